"""The answer of `evalkit study power` as pages that open offline, with its picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from evalkit.report.figures import canvas
from evalkit.report.figures.power_curves import draw_power, power_alternative, power_curves
from evalkit.report.files import write_all
from evalkit.report.html import Markup, document, element, inline_svg, join, section, table
from evalkit.report.languages import Words
from evalkit.report.numbers import LANGUAGES, decimal, percent, short_percent, whole
from evalkit.report.style import STYLE
from evalkit.report.wording.power import TABLES, power_words

__all__ = ["write_power"]

ASSUMPTIONS: Final = (
    "cities",
    "cameras",
    "controls",
    "before",
    "after",
    "rate",
    "control_rate",
    "dispersion",
    "tau",
)


def write_power(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write ``power.html`` in every language, and the picture; returns pages, SVG and PNG in this order.

    Raises:
        ConfigError: the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    canvas.require_matplotlib()
    pages = {folder / _name(one): _page(result, power_words(one)).encode() for one in LANGUAGES}
    return [*write_all(pages), *power_curves(result, folder / "power")]


def _name(language: str) -> str:
    return "power.html" if language == "en" else f"power.{language}.html"


def _page(result: Mapping[str, Any], said: Words) -> str:
    language = said.language
    effect = short_percent(result["effect_percent"], language)
    smallest = result["detectable_percent"]
    claim = result.get("claim")
    links = [
        element("span", TABLES[one]["language_name"], aria_current="page")
        if one == language
        else element("a", TABLES[one]["language_name"], href=_name(one), lang=one)
        for one in LANGUAGES
    ]
    body = join(
        (
            element(
                "header",
                element("nav", *links, aria_label=said("other_languages")),
                element("h1", said("title")),
                element("p", claim["title"], class_="quiet") if claim else None,
            ),
            element(
                "main",
                section(
                    said("to_detect", effect=effect),
                    element(
                        "p",
                        said("answer", power=_share(result["power"], language)),
                        " ",
                        said("smallest_none")
                        if smallest is None
                        else said("smallest", smallest=percent(smallest, language)),
                    ),
                    element("p", said("one_city")) if result["plan"]["cities"] == 1 else None,
                    element("p", element("strong", said("local")))
                    if "panels" in result["sources"].values()
                    else None,
                ),
                section(said("needed_heading"), _needed(result, said)),
                _picture(result, said),
                section(said("assumed_heading"), _assumed(result, said)),
                section(said("method_heading"), element("p", said("method"))),
            ),
            element("footer", element("p", said("made_by", version=str(result["evalkit"])))),
        )
    )
    return document(said("title"), language, STYLE, body)


def _needed(result: Mapping[str, Any], said: Words) -> Markup:
    language = said.language
    rows = [
        [
            said(one["quantity"]),
            decimal(one["now"], language, digits=0),
            whole(one["number"], language)
            if one["number"] is not None
            else said(one["obstacle"], best=_share(one["best_power"], language)),
        ]
        for one in result["needed"]
    ]
    heads = [said("quantity"), said("now"), said("needed")]
    return table(said("needed_caption"), heads, rows, text_columns=3)


def _assumed(result: Mapping[str, Any], said: Words) -> Markup:
    plan, sources = result["plan"], result["sources"]
    rows = [
        [
            said(f"a_{name}"),
            decimal(plan[name], said.language, digits=_digits(plan[name])),
            said(sources[name]),
        ]
        for name in ASSUMPTIONS
    ]
    caption = said("assumed_caption", period=said(result["period"]))
    return table(caption, [said("assumption"), said("value"), said("source")], rows, text_columns=3)


def _digits(value: float) -> int:
    """As many as tell: none for large or whole numbers, three for small ones."""
    if value == round(value):
        return 0
    return 1 if abs(value) >= 10 else 3


def _share(value: float, language: str) -> str:
    return percent(100 * value, language, digits=0, signed=False)


def _picture(result: Mapping[str, Any], said: Words) -> Markup:
    label = power_alternative(result, said)
    svg = canvas.svg_text(draw_power(result, said), label)
    return section(
        said("curves_heading"),
        element(
            "figure",
            element(
                "div",
                inline_svg(svg, prefix="power", label=label, colours=canvas.CSS_VARIABLES),
                class_="picture",
                tabindex=0,
                role="region",
                aria_label=said("curves_heading"),
            ),
            element("figcaption", said("curves_caption")),
            class_="wide",
        ),
    )
