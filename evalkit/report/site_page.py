"""A city's data account as one page: what was read, what is used, what was left out and why. It stays in the city.

It needs no matplotlib, because a city installs none; pictures that exist are put into the page.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from evalkit.errors import ConfigError
from evalkit.report.files import write_all
from evalkit.report.html import Markup, document, element, join, section, table
from evalkit.report.languages import Words, words
from evalkit.report.numbers import percent, whole
from evalkit.report.style import STYLE

__all__ = ["SITE_PAGE", "write_site_page"]

SITE_PAGE: Final = "check.html"

PICTURE_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png"}

MONTHS: Final = tuple(range(1, 13))


def write_site_page(
    check: Mapping[str, Any],
    folder: Path,
    *,
    pictures: Sequence[Path] = (),
    language: str = "en",
) -> Path:
    """Write the page of `site check` and return its path, ``folder/check.html``.

    Args:
        check: site, title, incidents and cameras, each with read, used, rejected (reason → rows) and, if known,
            first, last, by_month ([[month, rows], …]) and notes; descriptions (reason → plain words).
        folder: inside the site's store.
        pictures: ``.svg`` or ``.png`` files to show, such as those of `quality`.
        language: of the page's own words; descriptions and notes are printed as they come.

    Raises:
        ConfigError: an unknown language, not a check, a picture that cannot be read, or a page that cannot be
            written.
    """
    said = words(language)
    try:
        title, body = _body(check, pictures, said)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError(
            "the data account is not one that `evalkit site check` makes",
            limit="site, title, incidents and cameras with read, used and rejected",
        ) from None
    text = document(title, language, STYLE, body)
    return write_all({folder / SITE_PAGE: text.encode("utf-8")})[0]


def _body(check: Mapping[str, Any], pictures: Sequence[Path], said: Words) -> tuple[str, Markup]:
    title = said("data_title", title=str(check.get("title") or check["site"]))
    descriptions = check.get("descriptions") or {}
    parts = [
        _source(check[name], name, descriptions, said)
        for name in ("incidents", "cameras")
        if check.get(name) is not None
    ]
    header = element(
        "header",
        element("h1", title),
        element("p", element("code", str(check["site"])), class_="quiet"),
        element("p", said("data_intro")),
    )
    images = [_picture(path, said) for path in pictures]
    return title, join((header, element("main", *images, *parts)))


def _source(
    source: Mapping[str, Any], name: str, descriptions: Mapping[str, str], said: Words
) -> Markup:
    heading = said(f"{name}_heading")
    # A month without an incident is a gap in the data; one without a new camera is a month like others.
    months = _months(
        source.get("by_month") or (),
        said(f"{name}_by_month"),
        said,
        gaps=name == "incidents",
    )
    return section(
        heading,
        _sums(source, said),
        element("p", _dates(source, said), class_="quiet"),
        _rejected(source, heading, descriptions, said),
        months,
        _notes(source.get("notes") or (), said),
    )


def _sums(source: Mapping[str, Any], said: Words) -> Markup:
    read, used = int(source["read"]), int(source["used"])
    rejected = sum(map(int, source["rejected"].values()))
    sound = read == used + rejected
    numbers = {
        name: whole(value, said.language)
        for name, value in (("read", read), ("used", used), ("rejected", rejected))
    }
    sentence = said("adds_up" if sound else "does_not_add_up", **numbers)
    return element("p", element("strong", sentence))


def _dates(source: Mapping[str, Any], said: Words) -> str:
    first, last = source.get("first"), source.get("last")
    if first is None or last is None:
        return said("no_dates")
    return said("from_to", first=str(first), last=str(last))


def _rejected(
    source: Mapping[str, Any], heading: str, descriptions: Mapping[str, str], said: Words
) -> Markup:
    read, language = int(source["read"]), said.language
    found = {reason: int(rows) for reason, rows in source["rejected"].items() if int(rows)}
    if not found:
        return element("p", said("nothing_rejected"))
    rows = [
        [
            element("code", reason),
            str(descriptions.get(reason, "")),
            whole(number, language),
            percent(100 * number / read if read else None, language, digits=2, signed=False),
        ]
        for reason, number in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    heads = [said("reason"), said("meaning"), said("rows"), said("share")]
    return table(said("rejected_caption", what=heading), heads, rows, text_columns=2)


def _months(
    by_month: Sequence[Sequence[Any]], caption: str, said: Words, *, gaps: bool
) -> Markup | None:
    """Years down, months across: a month without rows, or with half of them, is easily seen."""
    counts = {_month(month): int(number) for month, number in by_month}
    if not counts:
        return None
    first, last = min(counts), max(counts)
    rows = [
        [
            str(year),
            *(
                _cell(counts.get((year, month), 0), said, gaps=gaps)
                if first <= (year, month) <= last
                else ""
                for month in MONTHS
            ),
        ]
        for year in range(first[0], last[0] + 1)
    ]
    heads = [said("year"), *(f"{month:02d}" for month in MONTHS)]
    return table(caption, heads, rows)


def _month(month: Any) -> tuple[int, int]:
    """Year and month of a date or of text that starts ``2019-04``."""
    if isinstance(month, dt.date):
        return month.year, month.month
    year, number = str(month).split("-")[:2]
    return int(year), int(number)


def _cell(number: int, said: Words, *, gaps: bool) -> Markup | str:
    """Zero stands out where it is a gap, and is left empty elsewhere."""
    text = whole(number, said.language)
    if number:
        return text
    return element("strong", text, class_="empty") if gaps else ""


def _notes(notes: Sequence[str], said: Words) -> Markup | None:
    if not notes:
        return None
    written = [element("li", str(note)) for note in notes]
    return join((element("h3", said("notes")), element("ul", *written)))


def _picture(path: Path, said: Words) -> Markup:
    """The file inside the page, on white as it was drawn."""
    kind = PICTURE_TYPES.get(path.suffix)
    try:
        content = path.read_bytes() if kind else None
    except OSError as error:
        raise ConfigError(f"a picture cannot be read ({error.strerror})", where=str(path)) from None
    if content is None:
        raise ConfigError(
            "a picture is of an unknown kind",
            where=str(path),
            limit=f"one of {', '.join(PICTURE_TYPES)}",
        )
    source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return element(
        "figure",
        element("div", element("img", src=source, alt=said("quality_alt")), class_="plate"),
    )
