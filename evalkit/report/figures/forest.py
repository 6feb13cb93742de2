"""The forest plot: every city's effect with its interval, all together, and the claim they are held against.

The axis is the logarithm of the rate ratio, labelled in percent change, so that halving and doubling are
equally far from no effect. Cities stand in the order of their effects.

Source
    Lewis, S. & Clarke, M. (2001). Forest plots: trying to see the wood and the trees. BMJ 322, 1479–1480.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from evalkit.report.content import Content, Effect, percent_of, read_result
from evalkit.report.figures import canvas
from evalkit.report.languages import Words, words
from evalkit.report.numbers import (
    MISSING,
    decimal,
    interval,
    keep_together,
    p_value,
    percent,
    short_percent,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "OUTCOME_COLOURS",
    "alternative_text",
    "draw_forest",
    "forest",
    "level_text",
    "percent_ticks",
]

OUTCOME_COLOURS: Final = {
    "supported": canvas.GREEN,
    "contradicted": canvas.ORANGE,
    "undecided": canvas.OCHRE,
}

MARGIN: Final = 0.16
GUTTER: Final = 0.22
ROW: Final = 0.285
DENSE_ROW: Final = 0.225
DENSE_FROM: Final = 16
"""Rows from which they stand closer, so that 35 cities still fit a page."""

WIDEST_NAME: Final = 2.1
HEADLINE: Final = 12.0
LABEL_GAP: Final = 0.05
"""Inches between a line and its label, and twice that between two labels."""

TEXT: Final = 9.5
SMALL: Final = 8.5

LARGEST_SQUARE: Final = 11.0
SMALLEST_SQUARE: Final = 3.2
"""Sides in points. The area, not the side, is proportional to the weight, down to what can still be seen."""

ROOM: Final = 0.06
"""Share of the axis left free beyond the outermost mark."""

REACH: Final = 0.75
"""A city may stretch the axis by this share of what the rest spans; what lies beyond is an arrow."""

LEAST_REACH: Final = 0.5
"""The same on the log scale, where the rest lies close together: two thirds more, or a third less."""

LEAST_SPAN: Final = 0.1
"""Of the axis, log scale, where there is hardly anything to show."""

TICK_STEPS: Final = (1, 2, 5, 10, 20, 25, 50)
TICK_LADDER: Final = (
    -99,
    -98,
    -95,
    -90,
    -80,
    -65,
    -50,
    -35,
    -20,
    0,
    25,
    50,
    100,
    200,
    400,
    900,
    1900,
    4900,
    9900,
)
"""Percent changes for axes so wide that even steps would crowd on one side."""

TICK_SPACE: Final = 0.52
"""Inches between labels."""

Kind = Literal["city", "pooled", "prediction"]
_Line = tuple[str, dict[str, Any], float]
"""Text, style, and the height it takes."""


@dataclass(frozen=True, slots=True)
class _Row:
    kind: Kind
    label: str
    effect: Effect
    truth: float | None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Places in inches: left edge of the plot, its width, and where the columns beside it end."""

    plot_left: float
    plot_width: float
    change_right: float
    weight_right: float
    row: float
    weights: bool


def forest(
    result: Mapping[str, Any], path_without_suffix: Path, language: str = "en"
) -> list[Path]:
    """Write the forest plot of a run as SVG and PNG and return both paths.

    Args:
        result: what a run's ``result.json`` holds.
        path_without_suffix: ``folder/forest`` gives ``folder/forest.svg`` and ``folder/forest.png``.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: not a run's result, an unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    content = read_result(result, language)
    figure = draw_forest(content, said)
    return canvas.png_and_svg(figure, path_without_suffix, alternative_text(content, said))


def alternative_text(content: Content, said: Words) -> str:
    """The picture in one sentence."""
    pooled, language = content.pooled, said.language
    return said(
        "forest_alt",
        cities=said.count("cities", len(content.cities) or len(content.contributors)),
        effect=percent(percent_of(pooled.effect), language),
        level=level_text(content.level, language),
        interval=interval(percent_of(pooled.low), percent_of(pooled.high), language),
    )


def level_text(level: float, language: str) -> str:
    """``95 %``, or ``99.5 %`` where a digit is needed."""
    whole = abs(100 * level - round(100 * level)) < 1e-9  # a level written as a decimal fraction
    return percent(100 * level, language, digits=0 if whole else 1, signed=False)


def draw_forest(
    content: Content,
    said: Words,
    *,
    headline: bool = True,
    first_column: str = "",
    in_order: bool = False,
) -> Figure:
    """The figure itself.

    Args:
        content: what is drawn.
        said: the words.
        headline: False leaves out what a page says beside it: verdict and differences.
        first_column: heads the names of rows; empty for cities.
        in_order: keep the order of ``content.cities``, in place of that of their effects.
    """
    rows = _rows(content, said, in_order=in_order)
    first_column = first_column or said("city")
    width = canvas.README_WIDTH
    head = _headline(content, said, width - 2 * MARGIN) if headline else []
    layout = _layout(rows, content, said, width, first_column)
    gaps = _gaps(rows)
    body = len(rows) * layout.row + sum(gaps) + 0.1
    differences = _differences(content, said) if headline else ""
    top = 0.22 + sum(step for *_, step in head) if head else 0.0
    columns, foot = 0.42, 0.55 + (0.47 if differences else 0.0)
    height = top + columns + body + foot
    figure = canvas.new_figure(width, height)

    y = height - 0.14
    for text, style, step in head:
        y -= step
        canvas.written(figure, MARGIN, y + 0.05, text, **style)
    axes = canvas.bare_axes(figure, layout.plot_left, foot, layout.plot_width, body)
    axes.set_ylim(0, body)
    limits = _limits(rows, content)
    axes.set_xlim(*limits)
    places = _places(rows, gaps, body, layout.row)
    _backdrop(axes, content, said, body, limits, layout)
    _column_heads(figure, content, said, layout, foot + body + 0.16, first_column)
    for row, place in zip(rows, places, strict=True):
        _columns(figure, row, said, layout, foot + place)
        _mark(axes, row, place, limits, rows)
    _axis(axes, said, limits, layout)
    _footer(figure, differences, said, rows, layout, foot)
    return figure


def _rows(content: Content, said: Words, *, in_order: bool) -> list[_Row]:
    """Cities by effect, those without one last; then all together and the prediction, unless there is one city."""
    simulated = content.simulated
    true_cities = simulated.cities if simulated else {}
    mean = simulated.mean if simulated else None
    if len(content.cities) <= 1:
        # One city is its own pooled effect; its interval is the one the verdict rests on.
        only = content.cities[0].name if content.cities else None
        alone = only or (content.contributors[0] if len(content.contributors) == 1 else None)
        if alone is not None:
            truth = true_cities.get(alone)
            return [_Row("city", alone, content.pooled, truth)]
        return [_Row("pooled", said("all_cities"), content.pooled, mean)]
    ordered = (
        content.cities
        if in_order
        else sorted(
            content.cities,
            key=lambda city: (math.inf if city.effect is None else city.effect, city.name),
        )
    )
    rows = [_Row("city", city.name, city, true_cities.get(city.name)) for city in ordered]
    rows.append(_Row("pooled", said("all_cities"), content.pooled, mean))
    if content.prediction is not None:
        rows.append(_Row("prediction", said("further_city"), content.prediction, None))
    return rows


def _headline(content: Content, said: Words, width: float) -> list[_Line]:
    """Lines above the plot: text, style, and the height each takes."""
    cities = said.count("cities", len(content.contributors) or len(content.cities))
    lines: list[_Line] = []
    if content.outcome is not None:
        opening = content.headline or said(content.outcome)
        colour = OUTCOME_COLOURS[content.outcome]
        lines.append((opening, {"size": HEADLINE + 2, "weight": "bold", "color": colour}, 0.2))
        broken = canvas.wrap(keep_together(_capital(content.reason)), width, TEXT + 0.5, lines=4)
        for number, line in enumerate(broken):
            lines.append((line, {"size": TEXT + 0.5}, 0.2 if number else 0.27))
        lines += _placebo(content, said, width)
        small = canvas.wrap(f"{content.title} · {cities}", width, SMALL, lines=1)[0]
        lines.append((small, {"size": SMALL, "color": canvas.MUTED}, 0.23))
        return [line for line in lines if line[0]]
    broken = canvas.wrap(content.title, width, HEADLINE, lines=2, bold=True)
    lines += [(line, {"size": HEADLINE, "weight": "bold"}, 0.25) for line in broken]
    lines += _placebo(content, said, width)
    lines.append((cities, {"size": SMALL, "color": canvas.MUTED}, 0.2))
    return lines


def _placebo(content: Content, said: Words, width: float) -> list[_Line]:
    """A picture is passed on without its page, so it says itself what its verdict does not mean."""
    if not content.placebo:
        return []
    text = f"{said('placebo_heading')}. {said('placebo_line', cities=', '.join(content.placebo))}"
    broken = canvas.wrap(text, width, SMALL, lines=3)
    style: dict[str, Any] = {"size": SMALL, "color": canvas.VIOLET}
    return [(line, style, 0.18 if number else 0.25) for number, line in enumerate(broken)]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _layout(
    rows: Sequence[_Row], content: Content, said: Words, width: float, first_column: str
) -> _Layout:
    names = max(
        [canvas.text_width(row.label, TEXT, bold=row.kind == "pooled") for row in rows]
        + [canvas.text_width(first_column, SMALL, bold=True)]
    )
    weights = sum(row.effect.weight is not None for row in rows if row.kind == "city") > 1
    weight_width = GUTTER + max(
        canvas.text_width(said("weight"), SMALL, bold=True),
        *(canvas.text_width(_weight(row, said), TEXT) for row in rows),
    )
    weight_width = weight_width if weights else 0.0
    head = said("change_heading", level=level_text(content.level, said.language))
    change_width = max(
        canvas.text_width(head, SMALL, bold=True),
        *(canvas.text_width(_change(row, said), TEXT, bold=row.kind == "pooled") for row in rows),
    )
    left = MARGIN + min(names, WIDEST_NAME) + GUTTER
    right = width - MARGIN - weight_width - change_width - GUTTER
    return _Layout(
        plot_left=left,
        plot_width=right - left,
        change_right=width - MARGIN - weight_width,
        weight_right=width - MARGIN,
        row=DENSE_ROW if len(rows) >= DENSE_FROM else ROW,
        weights=weights,
    )


def _gaps(rows: Sequence[_Row]) -> list[float]:
    """Extra space above each row: a little before the pooled one."""
    return [0.12 if row.kind == "pooled" and len(rows) > 1 else 0.0 for row in rows]


def _places(rows: Sequence[_Row], gaps: Sequence[float], body: float, step: float) -> list[float]:
    """Height of each row's centre above the bottom of the plot."""
    y, places = body - 0.02, []
    for _, gap in zip(rows, gaps, strict=True):
        y -= gap + step
        places.append(y + step / 2)
    return places


def _limits(rows: Sequence[_Row], content: Content) -> tuple[float, float]:
    """Ends of the axis. One imprecise city must not squeeze all others, so it stretches it only so far."""
    alone = len(rows) == 1
    marks = [0.0]
    for row in rows:
        marks += [] if row.truth is None else [row.truth]
        marks += _reach_of(row.effect) if alone or row.kind != "city" else []
    if content.claim is not None:
        ends = (content.claim.value, content.claim.low, content.claim.high)
        marks += [end for end in ends if end is not None]
    low, high = min(marks), max(marks)
    reach = max(REACH * (high - low), LEAST_REACH)
    cities = [value for row in rows for value in _reach_of(row.effect)]
    low = max(min([low, *cities]), low - reach)
    high = min(max([high, *cities]), high + reach)
    short = max(LEAST_SPAN - (high - low), 0.0) / 2
    low, high = low - short, high + short
    room = ROOM * (high - low)
    return low - room, high + room


def _reach_of(effect: Effect) -> list[float]:
    return _ends(effect) + ([] if effect.effect is None else [effect.effect])


def _ends(effect: Effect) -> list[float]:
    return [end for end in (effect.low, effect.high) if end is not None]


def _backdrop(
    axes: Axes,
    content: Content,
    said: Words,
    body: float,
    limits: tuple[float, float],
    layout: _Layout,
) -> None:
    """No effect, and the claim with its margin: what the cities are read against."""
    axes.vlines(0.0, 0, body, color=canvas.INK, linewidth=0.9, zorder=1)
    labels = [(0.0, said("no_effect"), canvas.MUTED)]
    claim = content.claim
    if claim is not None:
        if claim.low is not None and claim.high is not None:
            axes.axvspan(claim.low, claim.high, color=canvas.SAND, linewidth=0, zorder=0)
        axes.vlines(
            claim.value,
            0,
            body,
            color=canvas.ORANGE,
            linewidth=1.2,
            linestyle=(0, (4, 3)),
            zorder=1,
        )
        value = short_percent(percent_of(claim.value), said.language)
        labels.append((claim.value, said("claim_mark", value=value), canvas.ORANGE))
    inches = layout.plot_width / (limits[1] - limits[0])
    for x, text, colour in _label_places(sorted(labels), limits, inches):
        canvas.write(axes, x, body + 0.1, text, size=SMALL, color=colour, ha="left", va="bottom")


def _label_places(
    labels: Sequence[tuple[float, str, str]], limits: tuple[float, float], inches: float
) -> list[tuple[float, str, str]]:
    """Left edges of the labels over one or two lines, which grow away from each other and stay in the plot."""
    gap = LABEL_GAP / inches
    widths = [canvas.text_width(text, SMALL) / inches for _, text, _ in labels]
    right = min(labels[-1][0] + gap, limits[1] - widths[-1])
    if len(labels) == 1:
        return [(right, *labels[0][1:])]
    left = min(labels[0][0] - gap, right - 2 * gap) - widths[0]
    left = max(left, limits[0])
    right = max(right, left + widths[0] + 2 * gap)
    return [(left, *labels[0][1:]), (right, *labels[1][1:])]


def _column_heads(
    figure: Figure, content: Content, said: Words, layout: _Layout, y: float, first_column: str
) -> None:
    style: dict[str, Any] = {"size": SMALL, "weight": "bold", "color": canvas.MUTED}
    head = said("change_heading", level=level_text(content.level, said.language))
    canvas.written(figure, MARGIN, y, first_column, **style)
    canvas.written(figure, layout.change_right, y, head, ha="right", **style)
    if layout.weights:
        canvas.written(figure, layout.weight_right, y, said("weight"), ha="right", **style)


def _columns(figure: Figure, row: _Row, said: Words, layout: _Layout, y: float) -> None:
    style: dict[str, Any] = {"size": TEXT, "weight": "bold" if row.kind == "pooled" else "normal"}
    label = canvas.wrap(row.label, WIDEST_NAME, TEXT, lines=1, bold=row.kind == "pooled")[0]
    canvas.written(figure, MARGIN, y, label, **style)
    canvas.written(figure, layout.change_right, y, _change(row, said), ha="right", **style)
    if layout.weights and row.kind == "city":
        text = _weight(row, said)
        canvas.written(
            figure, layout.weight_right, y, text, ha="right", size=TEXT, color=canvas.MUTED
        )


def _weight(row: _Row, said: Words) -> str:
    weight = row.effect.weight
    return percent(None if weight is None else 100 * weight, said.language, signed=False)


def _change(row: _Row, said: Words) -> str:
    effect, language = row.effect, said.language
    ends = interval(percent_of(effect.low), percent_of(effect.high), language, unit=False)
    if row.kind == "prediction":
        return ends
    point = decimal(percent_of(effect.effect), language, signed=True)
    return point if point == MISSING else f"{point} {ends}"


def _mark(
    axes: Axes,
    row: _Row,
    y: float,
    limits: tuple[float, float],
    rows: Sequence[_Row],
) -> None:
    effect = row.effect
    match row.kind:
        case "city" if effect.effect is not None:
            _line(axes, effect, y, limits, canvas.BLUE, 1.4)
            if limits[0] <= effect.effect <= limits[1]:
                axes.plot(
                    [effect.effect],
                    [y],
                    marker="s",
                    markersize=_side(effect, rows),
                    color=canvas.BLUE,
                    markeredgewidth=0,
                    zorder=3,
                )
        case "pooled" if effect.effect is not None and len(_ends(effect)) == 2:
            low, high = _ends(effect)
            half = 0.085
            axes.fill(
                [low, effect.effect, high, effect.effect],
                [y, y + half, y, y - half],
                facecolor=canvas.DEEP,
                linewidth=0,
                zorder=3,
            )
        case "prediction":
            _line(axes, effect, y, limits, canvas.DEEP, 3.2)
        case _:
            pass
    if row.truth is not None:
        axes.plot(
            [row.truth],
            [y],
            marker="o",
            markersize=5.0,
            markerfacecolor=canvas.PAPER,
            markeredgecolor=canvas.VIOLET,
            markeredgewidth=1.3,
            linestyle="none",
            zorder=4,
        )


def _line(
    axes: Axes, effect: Effect, y: float, limits: tuple[float, float], colour: str, width: float
) -> None:
    """An interval, with an arrowhead on the axis' edge where it goes on."""
    if effect.low is None or effect.high is None:
        return
    low, high = (min(max(end, limits[0]), limits[1]) for end in (effect.low, effect.high))
    axes.hlines(y, low, high, color=colour, linewidth=width, zorder=2)
    for end, edge, marker in ((effect.low, limits[0], "<"), (effect.high, limits[1], ">")):
        if end < edge if marker == "<" else end > edge:
            axes.plot(
                [edge],
                [y],
                marker=marker,
                markersize=5,
                color=colour,
                markeredgewidth=0,
                clip_on=False,
            )


def _side(effect: Effect, rows: Sequence[_Row]) -> float:
    """Side of a city's square in points."""
    weights = [row.effect.weight or 0.0 for row in rows if row.kind == "city"]
    largest = max(weights, default=0.0)
    if effect.weight is None or largest <= 0 or len(weights) == 1:
        return 0.7 * LARGEST_SQUARE
    return max(LARGEST_SQUARE * math.sqrt(effect.weight / largest), SMALLEST_SQUARE)


def percent_ticks(low: float, high: float, inches: float) -> list[int]:
    """Percent changes to label on a log axis from ``low`` to ``high`` (log rate ratios), ``inches`` wide.

    The finest even steps that leave room for their labels; a ladder of round numbers where none does, or too few.
    """
    scale = inches / (high - low)

    def fits(ticks: Sequence[int]) -> bool:
        places = [math.log1p(tick / 100) * scale for tick in ticks]
        return all(b - a >= TICK_SPACE for a, b in itertools.pairwise(places))

    inside = (math.ceil(100 * math.expm1(low)), math.floor(100 * math.expm1(high)))
    for step in TICK_STEPS:
        first, last = -(-inside[0] // step) * step, inside[1] // step * step
        ticks = [tick for tick in range(first, last + 1, step) if tick > -100]
        if len(ticks) >= 4 and fits(ticks):
            return ticks
    return _thinned([tick for tick in TICK_LADDER if inside[0] <= tick <= inside[1]], scale)


def _thinned(ticks: Sequence[int], scale: float) -> list[int]:
    """Zero, and from there outwards whatever leaves room."""
    kept = [0]
    for side in (1, -1):
        place = 0.0
        for tick in sorted((tick for tick in ticks if tick * side > 0), key=abs):
            here = math.log1p(tick / 100) * scale
            if abs(here - place) >= TICK_SPACE:
                kept.append(tick)
                place = here
    return sorted(kept)


def _axis(axes: Axes, said: Words, limits: tuple[float, float], layout: _Layout) -> None:
    ticks = percent_ticks(*limits, layout.plot_width)
    labels = [percent(tick, said.language, digits=0) for tick in ticks]
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(canvas.LINE)
    axes.spines["bottom"].set_linewidth(0.9)
    canvas.style_axis(axes, "x", [math.log1p(tick / 100) for tick in ticks], labels)


def _footer(
    figure: Figure,
    differences: str,
    said: Words,
    rows: Sequence[_Row],
    layout: _Layout,
    foot: float,
) -> None:
    """What the axis means, the key of the simulation's marks, and how much cities differ."""
    y = foot - 0.42
    middle = layout.plot_left + layout.plot_width / 2
    style: dict[str, Any] = {"size": SMALL, "color": canvas.MUTED}
    fewer, more = f"← {said('fewer')}", f"{said('more')} →"
    sides = max(canvas.text_width(fewer, SMALL), canvas.text_width(more, SMALL))
    canvas.written(figure, layout.plot_left, y, fewer, **style)
    canvas.written(figure, layout.plot_left + layout.plot_width, y, more, ha="right", **style)
    if 2 * sides + canvas.text_width(said("axis"), SMALL) + 0.4 < layout.plot_width:
        canvas.written(figure, middle, y, said("axis"), ha="center", **style)
    if any(row.truth is not None for row in rows):
        _truth_key(figure, said, layout, y)
    if differences:
        canvas.written(figure, MARGIN, 0.2, differences, **style)


def _truth_key(figure: Figure, said: Words, layout: _Layout, y: float) -> None:
    text = said("simulated_mark")
    canvas.written(
        figure, layout.weight_right, y, text, ha="right", size=SMALL, color=canvas.VIOLET
    )
    left = layout.weight_right - canvas.text_width(text, SMALL) - 0.12
    axes = canvas.bare_axes(figure, left - 0.06, y - 0.06, 0.12, 0.12)
    axes.plot(
        [0],
        [0],
        linestyle="none",
        marker="o",
        markersize=5.0,
        markerfacecolor=canvas.PAPER,
        markeredgecolor=canvas.VIOLET,
        markeredgewidth=1.3,
    )


def _differences(content: Content, said: Words) -> str:
    details, language = content.details, said.language
    if len(content.cities) < 2 or not {"i2", "tau2", "q", "q_df"} <= set(details):
        return ""
    return said(
        "between_cities",
        i2=percent(details["i2"], language, digits=0, signed=False),
        tau=decimal(math.sqrt(max(details["tau2"], 0.0)), language, digits=3),
        q=decimal(details["q"], language),
        df=decimal(details["q_df"], language, digits=0),
        p=p_value(details.get("q_p_value"), language, relation=True),
    )
