"""The specification curve: all effects with their intervals in order, and below them the choices that make each.

The axis is the log rate ratio, labelled in percent change. Colours are the verdicts on the claim.

Source
    Simonsohn, U., Simmons, J. P. & Nelson, L. D. (2020). Specification curve analysis. Nature Human
        Behaviour 4, 1208–1214.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.report.figures import canvas
from evalkit.report.figures.forest import OUTCOME_COLOURS
from evalkit.report.languages import Words
from evalkit.report.numbers import percent, short_percent, whole
from evalkit.report.wording.curve import curve_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "choice_text",
    "curve_alternative",
    "draw_curve",
    "headline",
    "specification_curve",
    "subline",
]

MARGIN: Final = 0.16
GUTTER: Final = 0.28
EFFECTS: Final = 2.7
"""Height of the upper part."""
ROW: Final = 0.215
GROUP: Final = 0.32
"""Height of a choice, and of the heading above each group of them."""
FOOT: Final = 0.16
WIDEST: Final = 2.6
LEAST: Final = 0.5
"""Width of the choices' names."""
TEXT: Final = 9.0
SMALL: Final = 8.5
HEADLINE: Final = 12.5

REACH: Final = 1.1
"""An interval may stretch the axis by this share of what the effects and the claim span."""
LEAST_REACH: Final = 0.25
ROOM: Final = 0.05
LEAST_ROOM: Final = 0.02
"""On the log scale, so that an axis has a length where nothing could be estimated."""
TICK_STEPS: Final = (1, 2, 5, 10, 20, 25, 50, 100)
MOST_TICKS: Final = 8
DIMENSIONS: Final = ("radius_m", "window", "controls", "estimator", "crime_types")

Row = Mapping[str, Any]


def specification_curve(result: Mapping[str, Any], stem: Path, language: str = "en") -> list[Path]:
    """Write the curve as SVG and PNG and return both paths.

    Args:
        result: what ``curve.json`` holds.
        stem: path without suffix.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: an unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = curve_words(language)
    return canvas.png_and_svg(draw_curve(result, said), stem, curve_alternative(result, said))


def headline(result: Mapping[str, Any], said: Words) -> str:
    """How many specifications support the claim."""
    summary = result["summary"]
    if not summary["estimated"]:
        return said("nothing")
    estimated = summary["estimated"]
    if result["claim"] is None:
        median = percent(summary["median_percent"], said.language)
        return said.count("headline_no_claim", estimated, median=median)
    counts = {key: whole(summary[key], said.language) for key in ("supported", "contradicted")}
    return said.count("headline", estimated, **counts)


def subline(result: Mapping[str, Any], said: Words) -> str:
    """Median, range, and how many intervals exclude no effect; and what could not be estimated."""
    summary, language = result["summary"], said.language
    parts: list[str] = []
    if summary["estimated"]:
        shares = {
            name: percent(100 * summary[f"share_clear_{name}"], language, digits=0, signed=False)
            for name in ("falls", "rises")
        }
        parts.append(
            said(
                "subline",
                median=percent(summary["median_percent"], language),
                lowest=percent(summary["lowest_percent"], language),
                highest=percent(summary["highest_percent"], language),
                **shares,
            )
        )
    if summary["failed"]:
        parts.append(said.count("failed", summary["failed"]))
    return ". ".join(parts)


def curve_alternative(result: Mapping[str, Any], said: Words) -> str:
    """The picture in one sentence."""
    summary, language = result["summary"], said.language
    return said(
        "curve_alt",
        count=whole(summary["estimated"], language),
        median=percent(summary["median_percent"], language),
        lowest=percent(summary["lowest_percent"], language),
        highest=percent(summary["highest_percent"], language),
    )


def choice_text(name: str, label: str, said: Words) -> str:
    """A choice as it is shown: a window with a dash, ways of control in words, all else as the study has it."""
    if name == "controls":
        return said(label)
    return label.replace("..", " – ") if name == "window" else label


def draw_curve(result: Mapping[str, Any], said: Words, *, head: bool = True) -> Figure:
    """The figure itself; ``head = False`` leaves out what a page says beside it."""
    rows = sorted(
        (row for row in result["specifications"] if row["status"] == "estimated"),
        key=lambda row: (float(row["estimate"]), int(row["number"])),
    )
    groups = [
        (name, result["dimensions"][name]) for name in DIMENSIONS if name in result["dimensions"]
    ]
    width = canvas.README_WIDTH
    lines = canvas.wrap(subline(result, said), width - 2 * MARGIN, SMALL, lines=2) if head else []
    top = (0.5 + 0.19 * len(lines) if head else 0.08) + 0.34
    matrix = sum(GROUP + ROW * len(labels) for _, labels in groups)
    height = top + EFFECTS + 0.12 + matrix + FOOT
    figure = canvas.new_figure(width, height)
    if head:
        _head(figure, result, said, lines, height)
    left = MARGIN + _label_width(groups, said) + GUTTER
    across = width - MARGIN - left
    bottom = FOOT + matrix + 0.12
    _key(figure, result, said, MARGIN, bottom + EFFECTS + 0.17)
    axes = canvas.bare_axes(figure, left, bottom, across, EFFECTS)
    _effects(axes, rows, result, said, figure, left)
    _matrix(figure, rows, groups, said, left, across, bottom - 0.12)
    return figure


def _head(
    figure: Figure, result: Mapping[str, Any], said: Words, lines: Sequence[str], height: float
) -> None:
    width = figure.get_size_inches()[0] - 2 * MARGIN
    title = canvas.wrap(headline(result, said), width, HEADLINE, lines=1, bold=True)[0]
    canvas.written(figure, MARGIN, height - 0.26, title, size=HEADLINE, weight="bold")
    for number, line in enumerate(lines):
        y = height - 0.54 - 0.19 * number
        canvas.written(figure, MARGIN, y, line, size=SMALL, color=canvas.MUTED)


def _label_width(groups: Sequence[tuple[str, Sequence[str]]], said: Words) -> float:
    texts = [choice_text(name, label, said) for name, labels in groups for label in labels]
    heads = [said(name) for name, _ in groups]
    widths = [canvas.text_width(text, TEXT) for text in texts]
    widths += [canvas.text_width(text, TEXT, bold=True) for text in heads]
    return min(max([*widths, LEAST]), WIDEST)  # the axis' labels stand here too


def _key(figure: Figure, result: Mapping[str, Any], said: Words, x: float, y: float) -> None:
    """What colours and lines mean."""
    names = tuple(OUTCOME_COLOURS) if result["claim"] else ("effect",)
    for name in names:
        colour = OUTCOME_COLOURS.get(name, canvas.BLUE)
        axes = canvas.bare_axes(figure, x, y - 0.05, 0.1, 0.1)
        axes.plot([0], [0], marker="o", markersize=5, color=colour, markeredgewidth=0)
        x = _key_text(figure, x + 0.16, y, said(name))
    lines: list[tuple[str, str, Any]] = [(said("no_effect"), canvas.INK, "solid")]
    if result["claim"]:
        change = short_percent(100 * (result["claim"]["value"] - 1), said.language)
        lines.append((said("claim_mark", value=change), canvas.ORANGE, (0, (3, 2))))
    for text, colour, dash in lines:
        axes = canvas.bare_axes(figure, x, y - 0.05, 0.26, 0.1)
        axes.set_ylim(0, 1)
        axes.set_xlim(0, 1)
        axes.hlines(0.5, 0, 1, color=colour, linewidth=1.2, linestyle=dash)
        x = _key_text(figure, x + 0.33, y, text)


def _key_text(figure: Figure, x: float, y: float, text: str) -> float:
    """Write one entry and return where the next one begins."""
    canvas.written(figure, x, y, text, size=SMALL, color=canvas.MUTED)
    return x + canvas.text_width(text, SMALL) + 0.26


def _effects(
    axes: Axes,
    rows: Sequence[Row],
    result: Mapping[str, Any],
    said: Words,
    figure: Figure,
    left: float,
) -> None:
    low, high = _limits(rows, result["claim"])
    axes.set_ylim(low, high)
    axes.set_xlim(-0.5, max(len(rows), 1) - 0.5)
    ticks = _ticks(low, high)
    places = [math.log1p(tick / 100) for tick in ticks]
    labels = [percent(tick, said.language, digits=0) for tick in ticks]
    canvas.style_axis(axes, "y", places, labels, grid=True)
    end = max(len(rows), 1) - 0.5
    axes.hlines(0.0, -0.5, end, color=canvas.INK, linewidth=0.9, zorder=1)
    claim = result["claim"]
    if claim is not None:
        value, margin = math.log(claim["value"]), math.log(claim["equivalence_margin"])
        axes.axhspan(value - margin, value + margin, color=canvas.SAND, linewidth=0, zorder=0)
        dash = (0, (4, 3))
        axes.hlines(value, -0.5, end, color=canvas.ORANGE, linewidth=1.1, linestyle=dash, zorder=1)
    size = _marker(len(rows), figure.get_size_inches()[0] - left)
    for x, row in enumerate(rows):
        _interval(axes, x, row, (low, high), size)


def _marker(number: int, inches: float) -> float:
    """Diameter of a dot in points, so that neighbours do not touch."""
    return max(min(6.0, 0.62 * 72 * inches / max(number, 1)), 1.6)


def _interval(axes: Axes, x: int, row: Row, limits: tuple[float, float], size: float) -> None:
    colour = OUTCOME_COLOURS.get(row["outcome"] or "", canvas.BLUE)
    ends = (float(row["conf_low"]), float(row["conf_high"]))
    low, high = (min(max(end, limits[0]), limits[1]) for end in ends)
    thickness = min(1.6, 0.32 * size)
    axes.vlines(x, low, high, color=colour, linewidth=thickness, alpha=0.55, zorder=2)
    for end, edge, marker in ((ends[0], limits[0], "v"), (ends[1], limits[1], "^")):
        if (end < edge) if marker == "v" else (end > edge):
            axes.plot(
                [x],
                [edge],
                marker=marker,
                markersize=0.8 * size,
                color=colour,
                markeredgewidth=0,
                clip_on=False,
                zorder=3,
            )
    axes.plot(
        [x],
        [float(row["estimate"])],
        marker="o",
        markersize=size,
        color=colour,
        markeredgewidth=0,
        zorder=4,
    )


def _limits(rows: Sequence[Row], claim: Mapping[str, Any] | None) -> tuple[float, float]:
    """Ends of the axis: all effects and the claim, and intervals as far as they do not squeeze those."""
    marks = [0.0, *(float(row["estimate"]) for row in rows)]
    if claim is not None:
        value, margin = math.log(claim["value"]), math.log(claim["equivalence_margin"])
        marks += [value - margin, value + margin]
    low, high = min(marks), max(marks)
    reach = max(REACH * (high - low), LEAST_REACH)
    lowest = min([low, *(float(row["conf_low"]) for row in rows)])
    highest = max([high, *(float(row["conf_high"]) for row in rows)])
    low, high = max(lowest, low - reach), min(highest, high + reach)
    room = max(ROOM * (high - low), LEAST_ROOM)
    return low - room, high + room


def _ticks(low: float, high: float) -> list[int]:
    """Percent changes in even steps, few enough to read."""
    first, last = 100 * math.expm1(low), 100 * math.expm1(high)
    for step in TICK_STEPS:
        start = math.ceil(first / step) * step
        ticks = [tick for tick in range(start, math.floor(last) + 1, step) if tick > -100]
        if len(ticks) <= MOST_TICKS:
            return ticks
    return [0]


def _matrix(
    figure: Figure,
    rows: Sequence[Row],
    groups: Sequence[tuple[str, Sequence[str]]],
    said: Words,
    left: float,
    across: float,
    top: float,
) -> None:
    """Which choices make each specification: a line of dots for every choice, under its dimension's name."""
    size = _marker(len(rows), across)
    y = top
    for name, labels in groups:
        rule = canvas.bare_axes(figure, MARGIN, y - 0.04, left + across - MARGIN, 0.02)
        rule.axhline(0.5, color=canvas.LINE, linewidth=0.7)
        canvas.written(
            figure, MARGIN, y - 0.2, said(name), size=TEXT, color=canvas.MUTED, weight="bold"
        )
        y -= GROUP
        height = ROW * len(labels)
        axes = canvas.bare_axes(figure, left, y - height, across, height)
        axes.set_xlim(-0.5, max(len(rows), 1) - 0.5)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        for number, label in enumerate(labels):
            here = [x for x, row in enumerate(rows) if row["choices"].get(name) == label]
            others = [x for x in range(len(rows)) if x not in set(here)]
            style: dict[str, Any] = {
                "marker": "o",
                "linestyle": "none",
                "markeredgewidth": 0,
                "clip_on": False,
            }
            axes.plot(others, [number] * len(others), color=canvas.FAINT, markersize=size, **style)
            axes.plot(here, [number] * len(here), color=canvas.DEEP, markersize=size, **style)
            text = canvas.wrap(choice_text(name, label, said), WIDEST, TEXT, lines=1)[0]
            canvas.written(
                figure, left - GUTTER / 2, y - ROW * (number + 0.5), text, size=TEXT, ha="right"
            )
        y -= height
