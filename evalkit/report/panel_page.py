"""One study's panel in one city as a page: its pictures, how alike the groups were before, its notes.

It shows the city's data and stays in the city. It needs no matplotlib; pictures that exist are put into the page.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from evalkit.errors import ConfigError
from evalkit.panel.balance import Balance
from evalkit.report.files import write_all
from evalkit.report.html import Markup, document, element, join, section, table
from evalkit.report.languages import Words, words
from evalkit.report.numbers import MISSING, decimal, whole
from evalkit.report.style import STYLE

__all__ = ["PANEL_PAGE", "write_panel_page"]

PANEL_PAGE: Final = "panel.html"


def write_panel_page(
    title: str,
    study: str,
    folder: Path,
    *,
    account: Mapping[str, int],
    balance: Sequence[Balance],
    notes: Sequence[str],
    pictures: Sequence[Path] = (),
    language: str = "en",
) -> Path:
    """Write ``folder/panel.html`` and return its path.

    Args:
        title: the city.
        study: its title.
        folder: the study's in the city's store.
        account: where every incident went.
        balance: of the built panel.
        notes: plain sentences, printed as they come.
        pictures: ``.svg`` files, in order; others are left out.
        language: of the page's own words.

    Raises:
        ConfigError: an unknown language, a picture that cannot be read, or a page that cannot be written.
    """
    said = words(language)
    name = said("panel_title", title=title)
    header = element(
        "header",
        element("h1", name),
        element("p", study),
        element("p", said("panel_intro"), class_="quiet"),
    )
    written = [element("li", note) for note in notes]
    shown = [_picture(path, name) for path in pictures if path.suffix == ".svg"]
    main = element(
        "main",
        section(said("notes"), element("ul", *written)) if written else None,
        *shown,
        _balance(balance, said),
        _account(account, said),
    )
    text = document(name, language, STYLE, join((header, main)))
    return write_all({folder / PANEL_PAGE: text.encode("utf-8")})[0]


def _balance(balance: Sequence[Balance], said: Words) -> Markup | None:
    """Two rows for each covariate where units were matched."""
    rows = []
    for one in balance:
        name = said(f"balance_{one.covariate}")
        matched = one.matched_treated is not None
        before = (one.treated, one.control, one.difference, one.variance_ratio)
        rows.append(_row(name, said("balance_before"), before, said))
        if matched:
            after = (
                one.matched_treated,
                one.matched_control,
                one.matched_difference,
                one.matched_variance_ratio,
            )
            rows.append(_row(name, said("balance_after"), after, said))
    if not rows:
        return None
    heads = ["", "", said("treated"), said("control")]
    heads += [said("balance_difference"), said("balance_ratio")]
    return section(
        said("balance_title"), table(said("balance_caption"), heads, rows, text_columns=2)
    )


def _row(name: str, which: str, numbers: Sequence[float | None], said: Words) -> list[str]:
    treated, control, difference, ratio = (
        MISSING if value is None else decimal(value, said.language, digits=2, signed=place == 2)
        for place, value in enumerate(numbers)
    )
    return [name, which, treated, control, difference, ratio]


def _account(account: Mapping[str, int], said: Words) -> Markup:
    rows = [[label, whole(number, said.language)] for label, number in account.items()]
    heading = said("incidents_heading")
    return section(heading, table(said("account_caption"), ["", heading], rows))


def _picture(path: Path, label: str) -> Markup:
    """The file inside the page, on white as it was drawn."""
    try:
        content = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise ConfigError(f"a picture cannot be read ({error.strerror})", where=str(path)) from None
    image = element("img", src=f"data:image/svg+xml;base64,{content}", alt=f"{label}: {path.stem}")
    return element("figure", element("div", image, class_="plate"))
