"""What bubble and funnel plots share: room, axes, and cities as circles with their names where there is room."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from evalkit.report.across_content import Point
from evalkit.report.figures import canvas
from evalkit.report.figures.labels import Box, Mark, place_labels
from evalkit.report.figures.refits import YEARS
from evalkit.report.numbers import decimal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["HEIGHT", "LEFT", "SMALL", "circles", "limits", "plot", "round_ticks", "tick_texts"]

SMALL: Final = 8.5

LEFT: Final = 0.95
RIGHT: Final = 0.35
FOOT: Final = 0.62
HEAD: Final = 0.58
HEIGHT: Final = 4.6

ROOM: Final = 0.07
"""Share of an axis left free beyond the outermost circle."""

LARGEST: Final = 0.16
SMALLEST: Final = 0.05
EVEN: Final = 0.2
"""Radii in inches; the area is proportional to the weight, down to what can still be seen. ``EVEN`` is
the share of the largest area where there are no weights."""

CROWD: Final = 8
"""Circles from which they shrink, so that as much of the paper stays free."""

STRIDE: Final = 0.05
"""Inches between the points at which a line is kept clear of names."""

LINE_HEIGHT: Final = 0.16
"""Of a name, inches."""

STEPS: Final = (1.0, 2.0, 2.5, 5.0)

Limits = tuple[float, float]
Line = Sequence[tuple[float, float]]


def plot(width: float = canvas.README_WIDTH) -> tuple[Figure, Axes, tuple[float, float]]:
    """A figure with axes in it, and their size in inches."""
    figure = canvas.new_figure(width, HEIGHT)
    size = (width - LEFT - RIGHT, HEIGHT - FOOT - HEAD)
    axes = canvas.bare_axes(figure, LEFT, FOOT, *size)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(True)
        axes.spines[side].set_color(canvas.LINE)
        axes.spines[side].set_linewidth(0.9)
    return figure, axes, size


def limits(values: Sequence[float]) -> Limits:
    """Ends of an axis that holds the values with some air."""
    low, high = min(values), max(values)
    room = ROOM * (high - low) or 0.5
    return low - room, high + room


def circles(
    axes: Axes,
    points: Sequence[Point],
    across: Limits,
    up: Limits,
    size: tuple[float, float],
    *,
    weighted: bool,
    lines: Sequence[Line] = (),
) -> None:
    """Cities as circles, heavy ones first, each named where there is room.

    Args:
        axes: with the limits given.
        points: in data units.
        across: limits of x.
        up: limits of y; the first may be the larger one.
        size: of the axes in inches.
        weighted: whether the area stands for the weight.
        lines: broken lines through the plot, each as points in data units, that names keep clear of.
    """
    largest = max((point.weight for point in points), default=0.0)
    biggest = LARGEST * math.sqrt(min(1.0, CROWD / len(points)))
    ordered = sorted(points, key=lambda point: (-point.weight, point.site))
    marks = []
    for point in ordered:
        share = point.weight / largest if weighted and largest > 0 else EVEN
        marks.append(
            Mark(
                x=(point.x - across[0]) / (across[1] - across[0]) * size[0],
                y=(point.y - up[0]) / (up[1] - up[0]) * size[1],
                radius=max(biggest * math.sqrt(share), SMALLEST),
                width=canvas.text_width(point.site, SMALL),
                height=LINE_HEIGHT,
            )
        )
    for mark, point in zip(marks, ordered, strict=True):
        axes.plot(
            [point.x],
            [point.y],
            marker="o",
            markersize=2 * 72 * mark.radius,
            markerfacecolor=canvas.BLUE,
            markeredgecolor=canvas.PAPER,
            markeredgewidth=0.9,
            alpha=0.85,
            linestyle="none",
            zorder=4,
            clip_on=False,
        )
    boxes = [box for line in lines for box in _along(line, across, up, size)]
    for label, point in zip(place_labels(marks, size, lines=boxes), ordered, strict=True):
        if label is None:
            continue
        canvas.write(
            axes,
            label.left / size[0],
            label.middle / size[1],
            point.site,
            size=SMALL,
            ha="left",
            va="center",
            transform=axes.transAxes,
            zorder=5,
        )


def _along(line: Line, across: Limits, up: Limits, size: tuple[float, float]) -> list[Box]:
    """Small boxes along a line, in inches."""
    places = [
        (
            (x - across[0]) / (across[1] - across[0]) * size[0],
            (y - up[0]) / (up[1] - up[0]) * size[1],
        )
        for x, y in line
    ]
    boxes: list[Box] = []
    for (x, y), (x_next, y_next) in itertools.pairwise(places):
        steps = max(1, math.ceil(math.hypot(x_next - x, y_next - y) / STRIDE))
        for step in range(steps + 1):
            here = (x + (x_next - x) * step / steps, y + (y_next - y) * step / steps)
            boxes.append((*here, *here))
    return boxes


def tick_texts(ticks: Sequence[float], language: str) -> list[str]:
    """Ticks with as many decimals as they need, all the same; years without a separator of thousands."""
    if all(tick == round(tick) and YEARS[0] <= tick <= YEARS[1] for tick in ticks):
        return [str(int(tick)) for tick in ticks]
    digits = max((len(f"{tick:.6f}".rstrip("0").partition(".")[2]) for tick in ticks), default=0)
    return [decimal(tick, language, digits=digits) for tick in ticks]


def round_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """At most ``most`` evenly spaced round numbers from ``low`` to ``high``."""
    raw = (high - low) / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(
        (
            part * power
            for power in (magnitude, 10 * magnitude)
            for part in STEPS
            if part * power >= raw
        ),
        10 * magnitude,
    )
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Rounded, so that 3 · 0.1 is 0.3 and not its nearest neighbour.
    return [round(index * step, 12) for index in range(first, last + 1)]
