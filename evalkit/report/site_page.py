"""A city's data check as one page: what needs a look, what was read and left out, and the figures.

It shows the city's data and stays in the city.

It needs no matplotlib, because a city installs none; pictures that exist are put into the page.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import evalkit
from evalkit.errors import ConfigError
from evalkit.report.check_words import check_words
from evalkit.report.files import write_all
from evalkit.report.findings import Said, by_status
from evalkit.report.html import Markup, document, element, join, section, table
from evalkit.report.languages import TABLES, Words, words
from evalkit.report.numbers import percent, whole
from evalkit.report.site_figures import figures_of
from evalkit.report.style import STYLE

__all__ = ["SITE_PAGE", "site_page_name", "write_site_page"]

SITE_PAGE: Final = "check.html"

PICTURE_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png"}

MONTHS: Final = tuple(range(1, 13))

YEAR: Final = 4
"""Letters of an ISO date that are its year."""


def site_page_name(language: str) -> str:
    """``check.html``, ``check.es.html``, ``check.pt.html``."""
    return SITE_PAGE if language == "en" else f"check.{language}.html"


def write_site_page(
    check: Mapping[str, Any],
    folder: Path,
    *,
    pictures: Sequence[Path] = (),
    language: str = "en",
    alternatives: Sequence[str] = (),
) -> Path:
    """Write the page of `site check` and return its path, ``folder/check.html`` in English.

    Args:
        check: site, title, incidents and cameras, each with read, used, rejected (reason → rows) and, if known,
            first, last, by_month ([[month, rows], …]), crime_types and notes; descriptions (reason → plain
            words); and, if the rows were checked, what `evalkit.quality.Survey.to_dict` gives.
        folder: inside the site's store.
        pictures: ``.svg`` or ``.png`` files to show, such as those of `quality`.
        language: of the page's words; descriptions of unknown reasons and notes are printed as they come.
        alternatives: languages in which the page exists beside this one, to link to.

    Raises:
        ConfigError: an unknown language, not a check, a picture that cannot be read, or a page that cannot be
            written.
    """
    said = words(language)
    try:
        title, body = _body(check, pictures, said, alternatives)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError(
            "the data account is not one that `evalkit site check` makes",
            limit="site, title, incidents and cameras with read, used and rejected",
        ) from None
    text = document(title, language, STYLE, body)
    return write_all({folder / site_page_name(language): text.encode("utf-8")})[0]


def _body(
    check: Mapping[str, Any], pictures: Sequence[Path], said: Words, alternatives: Sequence[str]
) -> tuple[str, Markup]:
    title = said("data_title", title=str(check.get("title") or check["site"]))
    checked = check_words(said.language)
    yearly = check.get("resolution") == "year"
    parts = [
        _source(check[name], name, check.get("descriptions") or {}, said, yearly=yearly)
        for name in ("incidents", "cameras")
        if check.get(name) is not None
    ]
    header = element(
        "header",
        _languages(said, alternatives),
        element("h1", title),
        element("p", element("code", str(check["site"])), class_="quiet"),
        element("p", said("data_intro")),
    )
    main = element(
        "main",
        *_verdict(check, checked),
        *(_picture(path, said) for path in pictures),
        *_rest(check, checked),
        *parts,
        *figures_of(check, checked),
    )
    footer = element(
        "footer",
        element("p", checked("stays")),
        element("p", checked("made", version=evalkit.__version__)),
    )
    return title, join((header, main, footer))


def _languages(said: Words, alternatives: Sequence[str]) -> Markup | None:
    others = [language for language in alternatives if language != said.language]
    if not others:
        return None
    links = [
        element(
            "a",
            TABLES[other]["language_name"],
            href=site_page_name(other),
            lang=other,
            hreflang=other,
        )
        for other in others
    ]
    return element("nav", *links, aria_label=said("other_languages"))


def _verdict(check: Mapping[str, Any], said: Words) -> tuple[Markup, ...]:
    """What needs a look."""
    if not check.get("findings"):
        return ()
    found = by_status(check["findings"], said)
    number = {status: whole(len(items), said.language) for status, items in found.items()}
    everything = whole(sum(map(len, found.values())), said.language)
    heading = (
        said.count("verdict_look", len(found["look"]), all=everything)
        if found["look"]
        else said("verdict_fine")
    )
    box = element(
        "div",
        element("h2", heading),
        element("p", said("verdict_line", **number)),
        class_=f"verdict {'undecided' if found['look'] else 'supported'}",
    )
    cards = section(said("look"), *map(_card(said), found["look"])) if found["look"] else None
    return (box, cards) if cards else (box,)


def _rest(check: Mapping[str, Any], said: Words) -> list[Markup]:
    """What is fine, and what cannot be told, each in one table."""
    found = by_status(check.get("findings") or (), said)
    parts = [_results(found[status], status, said) for status in ("fine", "unknown")]
    return [part for part in parts if part is not None]


def _card(said: Words) -> Any:
    def card(one: Said) -> Markup:
        return element(
            "div",
            element("h3", one.what),
            element("p", f"{one.much[:1].upper()}{one.much[1:]}."),
            element("p", element("strong", f"{said('why')}: "), one.why, class_="quiet"),
            element("p", element("strong", f"{said('do')}: "), one.way_out, class_="quiet"),
            class_="finding",
        )

    return card


def _results(found: Sequence[Said], status: str, said: Words) -> Markup | None:
    if not found:
        return None
    rows = [[one.what, one.much] for one in found]
    heads = [said("check_head"), said("result_head")]
    return section(said(status), table(said(f"{status}_caption"), heads, rows, text_columns=2))


def _source(
    source: Mapping[str, Any],
    name: str,
    descriptions: Mapping[str, str],
    said: Words,
    *,
    yearly: bool,
) -> Markup:
    heading = said(f"{name}_heading")
    if name == "cameras" and not int(source["read"]):
        return section(heading, element("p", check_words(said.language)("no_camera_source")))
    # A month without an incident is a gap in the data; one without a new camera is a month like others.
    months = _months(
        source.get("by_month") or (),
        said(f"{name}_by_month"),
        said,
        gaps=name == "incidents",
        yearly=yearly and name == "incidents",
    )
    return section(
        heading,
        _sums(source, said),
        element("p", _dates(source, said, yearly=yearly and name == "incidents"), class_="quiet"),
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


def _dates(source: Mapping[str, Any], said: Words, *, yearly: bool) -> str:
    first, last = source.get("first"), source.get("last")
    if first is None or last is None:
        return said("no_dates")
    length = YEAR if yearly else None
    return said("from_to", first=str(first)[:length], last=str(last)[:length])


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
            _meaning(reason, descriptions, language),
            whole(number, language),
            percent(100 * number / read if read else None, language, digits=2, signed=False),
        ]
        for reason, number in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    heads = [said("reason"), said("meaning"), said("rows"), said("share")]
    return table(said("rejected_caption", what=heading), heads, rows, text_columns=2)


def _meaning(reason: str, descriptions: Mapping[str, str], language: str) -> str:
    """The full English description, or the short one of another language."""
    short = check_words(language).table.get(f"reason_{reason}", "")
    return str(descriptions.get(reason, short)) if language == "en" or not short else short


def _months(
    by_month: Sequence[Sequence[Any]], caption: str, said: Words, *, gaps: bool, yearly: bool
) -> Markup | None:
    """Years down, months across: a month without rows, or with half of them, is easily seen."""
    counts = {_month(month): int(number) for month, number in by_month}
    if not counts:
        return None
    first, last = min(counts), max(counts)
    years = range(first[0], last[0] + 1)
    if yearly:
        checked = check_words(said.language)
        rows = [[str(year), _cell(counts.get((year, 1), 0), said, gaps=gaps)] for year in years]
        return table(checked("by_year"), [said("year"), checked("incidents")], rows)
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
        for year in years
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
    heading = f"{said('notes')}{check_words(said.language)('notes_english')}"
    return join((element("h3", heading), element("ul", *written, lang="en")))


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
