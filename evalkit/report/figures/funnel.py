"""The funnel plot: cities' effects by their standard errors, the precise ones at the top.

Without differences between cities, and without a tendency of imprecise cities to show larger effects, the points
fill a funnel around the pooled effect evenly.

Source
    Sterne, J. A. C. & Egger, M. (2001). Funnel plots for detecting bias in meta-analysis. Journal of
    Clinical Epidemiology 54, 1046–1055.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from evalkit.numerics.distributions import critical_value
from evalkit.report.across_content import Funnel
from evalkit.report.figures import canvas
from evalkit.report.figures.forest import percent_ticks
from evalkit.report.figures.scatter import (
    HEIGHT,
    LEFT,
    SMALL,
    circles,
    limits,
    plot,
    round_ticks,
    tick_texts,
)
from evalkit.report.languages import Words
from evalkit.report.numbers import percent, whole
from evalkit.report.wording.across import across_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_funnel", "funnel_text"]

NAME_ABOVE: Final = 0.05
"""Inches from the plot to the names of its lines."""

BELOW: Final = 1.08
"""How far the axis of standard errors reaches beyond the largest."""


def draw_funnel(found: Funnel, level: float, said: Words) -> Figure:
    """The figure itself; the funnel holds ``level`` of cities that do not differ."""
    figure, axes, size = plot()
    deepest = BELOW * max(point.y for point in found.points)
    half = critical_value(level, math.inf) * deepest
    effects = [point.x for point in found.points]
    across = limits([0.0, *effects, found.centre - half, found.centre + half])
    up = (deepest, 0.0)
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.fill(
        [found.centre, found.centre - half, found.centre + half],
        [0.0, deepest, deepest],
        facecolor=canvas.FAINT,
        linewidth=0,
        zorder=0,
    )
    centre = found.centre
    lines = [
        _line(axes, 0.0, 0.0, deepest, "-", canvas.INK, 0.9),
        _line(axes, centre, centre, deepest, "-", canvas.DEEP, 1.6),
        *(
            _line(axes, centre, centre + side, deepest, (0, (4, 3)), canvas.MUTED, 1.3)
            for side in (-half, half)
        ),
    ]
    if found.limit is not None and found.slope is not None:
        end = found.limit + found.slope * deepest
        lines.append(_line(axes, found.limit, end, deepest, (0, (1, 2)), canvas.ORANGE, 1.3))
    circles(axes, found.points, across, up, size, weighted=False, lines=lines)
    _name_lines(axes, centre, size[1], said)
    ticks = percent_ticks(*across, size[0])
    canvas.style_axis(
        axes,
        "x",
        [math.log1p(tick / 100) for tick in ticks],
        [percent(tick, said.language, digits=0) for tick in ticks],
    )
    errors = round_ticks(0.0, deepest)
    canvas.style_axis(axes, "y", errors, tick_texts(errors, said.language))
    style: dict[str, Any] = {"size": SMALL, "color": canvas.MUTED}
    words = across_words(said.language)
    canvas.written(figure, LEFT + size[0] / 2, 0.16, said("axis"), ha="center", **style)
    canvas.written(figure, 0.16, HEIGHT - 0.2, words("funnel_axis"), **style)
    return figure


def funnel_text(found: Funnel, language: str) -> str:
    """The picture in one sentence."""
    return across_words(language)("funnel_alt", count=whole(len(found.points), language))


def _line(
    axes: Axes, top: float, foot: float, deepest: float, style: Any, colour: str, width: float
) -> list[tuple[float, float]]:
    """Draw a line from a standard error of 0 down to the largest; returns its ends."""
    ends = [(top, 0.0), (foot, deepest)]
    axes.plot([top, foot], [0.0, deepest], linestyle=style, color=colour, linewidth=width, zorder=2)
    return ends


def _name_lines(axes: Axes, centre: float, height: float, said: Words) -> None:
    """What the two upright lines are, above them and away from each other."""
    names = (
        (0.0, said("no_effect"), canvas.MUTED, centre <= 0),
        (centre, across_words(said.language)("pooled"), canvas.DEEP, centre > 0),
    )
    for x, text, colour, rightwards in names:
        canvas.write(
            axes,
            x,
            1.0 + NAME_ABOVE / height,
            text,
            size=SMALL,
            color=colour,
            ha="left" if rightwards else "right",
            va="bottom",
            transform=axes.get_xaxis_transform(),
        )
