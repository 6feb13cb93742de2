"""The bubble plot: cities' effects by one numeric moderator, with the line of the meta-regression.

Source
    Thompson, S. G. & Higgins, J. P. T. (2002). How should meta-regression analyses be undertaken and
    interpreted? Statistics in Medicine 21, 1559–1573.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from evalkit.report.across_content import Bubbles
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
from evalkit.report.numbers import percent
from evalkit.report.wording.across import across_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bubble_text", "draw_bubble"]


def draw_bubble(found: Bubbles, said: Words) -> Figure:
    """The figure itself."""
    figure, axes, size = plot()
    across = limits([point.x for point in found.points])
    # The limits of the line flare at the ends; the cities set the scale.
    effects = [0.0, *(point.y for point in found.points), *found.line]
    up = limits(effects)
    axes.set_xlim(*across)
    axes.set_ylim(*up)
    axes.axhline(0.0, color=canvas.INK, linewidth=0.9, zorder=1)
    axes.fill_between(found.at, found.low, found.high, color=canvas.FAINT, linewidth=0, zorder=0)
    axes.plot(found.at, found.line, color=canvas.DEEP, linewidth=1.8, zorder=2)
    lines = [[(across[0], 0.0), (across[1], 0.0)], list(zip(found.at, found.line, strict=True))]
    circles(axes, found.points, across, up, size, weighted=True, lines=lines)
    ticks = percent_ticks(*up, size[1])
    labels = [percent(tick, said.language, digits=0) for tick in ticks]
    canvas.style_axis(axes, "y", [math.log1p(tick / 100) for tick in ticks], labels)
    places = round_ticks(*across)
    canvas.style_axis(axes, "x", places, tick_texts(places, said.language))
    style = {"size": SMALL, "color": canvas.MUTED}
    canvas.written(figure, LEFT + size[0] / 2, 0.16, found.moderator, ha="center", **style)
    canvas.written(figure, 0.16, HEIGHT - 0.2, said("axis"), **style)
    return figure


def bubble_text(found: Bubbles, language: str) -> str:
    """The picture in one sentence."""
    return across_words(language)("bubble_alt", moderator=found.moderator)
