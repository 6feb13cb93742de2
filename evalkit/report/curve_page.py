"""A specification curve as pages that open offline, with its picture and every specification in figures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.core.estimate import percent_change
from evalkit.report.figures import canvas
from evalkit.report.figures.forest import level_text
from evalkit.report.figures.specification_curve import (
    choice_text,
    curve_alternative,
    draw_curve,
    headline,
    specification_curve,
    subline,
)
from evalkit.report.files import write_all
from evalkit.report.html import Markup, document, element, inline_svg, join, section, table
from evalkit.report.languages import Words
from evalkit.report.numbers import GAP, LANGUAGES, interval, percent, whole
from evalkit.report.style import STYLE
from evalkit.report.wording.curve import TABLES, curve_words

__all__ = ["write_curve"]


def write_curve(result: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write ``curve.html`` in every language and ``figures/curve``; returns the English page and the PNG.

    Args:
        result: what ``curve.json`` holds.
        folder: of the run.

    Raises:
        ConfigError: the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    canvas.require_matplotlib()
    pages = {folder / _name(one): _page(result, curve_words(one)).encode() for one in LANGUAGES}
    written = write_all(pages)
    pictures = specification_curve(result, folder / "figures" / "curve")
    return written[0], next(path for path in pictures if path.suffix == ".png")


def _name(language: str) -> str:
    return "curve.html" if language == "en" else f"curve.{language}.html"


def _page(result: Mapping[str, Any], said: Words) -> str:
    study = result["study"]
    links = [
        element("span", TABLES[one]["language_name"], aria_current="page")
        if one == said.language
        else element("a", TABLES[one]["language_name"], href=_name(one), lang=one)
        for one in LANGUAGES
    ]
    claim = result["claim"]
    body = join(
        (
            element(
                "header",
                element("nav", *links, aria_label=said("other_languages")),
                element("h1", study["title"] or study["name"]),
                element("p", f"{said('study')} ", element("code", study["name"]), class_="quiet"),
            ),
            element(
                "main",
                section(
                    headline(result, said),
                    element("p", claim["title"]) if claim else None,
                    element("p", subline(result, said)),
                    element("p", said("meaning"), class_="quiet"),
                ),
                _picture(result, said),
                _medians(result, said),
                _every(result, said),
                _failed(result, said),
                _how(result, said),
            ),
            element("footer", element("p", said("made_by", version=str(result["evalkit"])))),
        )
    )
    return document(study["title"] or study["name"], said.language, STYLE, body)


def _picture(result: Mapping[str, Any], said: Words) -> Markup | None:
    if not result["summary"]["estimated"]:
        return None
    label = curve_alternative(result, said)
    svg = canvas.svg_text(draw_curve(result, said, head=False), label)
    caption = said("curve_caption", level=level_text(result["level"], said.language))
    return section(
        said("curve_heading"),
        element(
            "figure",
            element(
                "div",
                inline_svg(svg, prefix="curve", label=label, colours=canvas.CSS_VARIABLES),
                class_="picture",
                tabindex=0,
                role="region",
                aria_label=said("curve_heading"),
            ),
            element("figcaption", caption),
            class_="wide",
        ),
    )


def _estimated(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = [row for row in result["specifications"] if row["status"] == "estimated"]
    return sorted(rows, key=lambda row: (float(row["estimate"]), int(row["number"])))


def _medians(result: Mapping[str, Any], said: Words) -> Markup | None:
    """What each choice does to the answer, over all specifications that have it."""
    rows = [
        line
        for name, labels in result["dimensions"].items()
        for label in labels
        if (line := _median(result, name, label, said))
    ]
    if not rows:
        return None
    heads = [said("choice"), said("specifications"), said("median")]
    if result["claim"]:
        heads += [said("support"), said("contradict")]
    return section(said("median_heading"), table(said("median_caption"), heads, rows))


def _median(result: Mapping[str, Any], name: str, label: str, said: Words) -> list[str]:
    with_it = [row for row in _estimated(result) if row["choices"][name] == label]
    if not with_it:
        return []
    middle = statistics.median(float(row["estimate"]) for row in with_it)
    cells = [
        f"{said(name)}: {choice_text(name, label, said)}",
        whole(len(with_it), said.language),
        percent(percent_change(middle), said.language),
    ]
    if result["claim"]:
        cells += [
            whole(sum(row["outcome"] == outcome for row in with_it), said.language)
            for outcome in ("supported", "contradicted")
        ]
    return cells


def _every(result: Mapping[str, Any], said: Words) -> Markup | None:
    rows = [
        [
            f"{row['number']:03d}",
            _choices(row, said),
            percent(row["percent"], said.language),
            interval(row["percent_low"], row["percent_high"], said.language),
            *([said(row["outcome"])] if row["outcome"] else []),
        ]
        for row in _estimated(result)
    ]
    if not rows:
        return None
    level = level_text(result["level"], said.language)
    heads = [said("number"), said("choices"), said("change"), said("interval", level=level)]
    heads += [said("verdict")] if result["claim"] else []
    return section(said("all_heading"), table(said("all_caption"), heads, rows, text_columns=2))


def _failed(result: Mapping[str, Any], said: Words) -> Markup | None:
    rows = [
        [f"{row['number']:03d}", _choices(row, said), f"{row['code']}: {row['what']}"]
        for row in result["specifications"]
        if row["status"] == "failed"
    ]
    if not rows:
        return None
    heads: Sequence[str] = (said("number"), said("choices"), said("reason"))
    return section(
        said("failed_heading"), table(said("failed_caption"), heads, rows, text_columns=3)
    )


def _how(result: Mapping[str, Any], said: Words) -> Markup:
    language = said.language
    line = said(
        "rounds_line",
        rounds=whole(result["rounds"], language),
        cities=whole(len(result["cities"]), language),
        releases=whole(result["releases"], language),
    )
    return join(
        (
            element("p", line),
            element("p", element("code", str(result["study"]["hash"]), class_="hash")),
            element("p", said("verify_line")),
            element("pre", "evalkit review verify RUN"),
        )
    )


def _choices(row: Mapping[str, Any], said: Words) -> str:
    texts = [choice_text(name, label, said) for name, label in row["choices"].items()]
    return f"{GAP}· ".join(texts)
