"""Where a city's units lie, what each is used for, and when its first camera went live. It stays in the city."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.study import Units
from evalkit.panel.zones.hexagon import EDGES_M
from evalkit.report.figures import canvas
from evalkit.report.languages import Words, words
from evalkit.report.numbers import whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["GO_LIVE", "draw_scale_bar", "fit", "length_text", "panel_map", "round_length"]

Floats = NDArray[np.float64]
Look = tuple[str, str]
"""Colours of face and edge."""

NONE: Final = "none"
CONTROL_FACE: Final = "#dbe2e7"
RING_EDGE: Final = "#94a3af"

LOOKS: Final[dict[str, Look]] = {
    "control": (CONTROL_FACE, NONE),
    "ring": (NONE, RING_EDGE),
    "always": (canvas.MUTED, NONE),
    "undated": (canvas.PAPER, canvas.ORANGE),
    "set_apart": (canvas.PAPER, canvas.VIOLET),
}
"""Roles in the order in which they are drawn; treated units come last, in the colour of their date."""

GO_LIVE: Final = ("#3b1f6b", "#2a6fa8", "#35a08a", "#c9b52a")
"""Early to late: dark to light, and apart under every common colour blindness."""

MAP_WIDTH: Final = 6.0
MAP_HEIGHT: Final = 6.0
STRIP: Final = 0.42
"""Below the map, for its scale."""

MARGIN: Final = 0.16
LEGEND_LEFT: Final = MARGIN + MAP_WIDTH + 0.3
POINT: Final = 4.5
"""Diameter in points of a unit of unknown size."""

LEAST: Final = 2.0
"""Diameter in points below which a unit would vanish; smaller ones are drawn as points."""

MANY: Final = 2000
"""Marks of a layer from which an SVG holds it as pixels: it would be megabytes otherwise."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a unit is drawn: side of a square or diameter of a disc, in metres; None for a point.

    ``rings`` are the diameters of rings, outward; none where a ring looks like any other unit.
    """

    form: Literal["square", "disc"]
    size: float | None
    rings: tuple[float, ...]


def panel_map(
    units: pl.DataFrame,
    title: str,
    path: Path,
    *,
    zones: Units | None = None,
    cameras: pl.DataFrame | None = None,
    language: str = "en",
) -> list[Path]:
    """Write the map of a panel's units as SVG and PNG and return both paths.

    Args:
        units: role, ring, first_live, x and y of each unit, as in `Built.units`; those without a place are left out.
        title: the city.
        path: without suffix.
        zones: the study's units, for their true shape and size; without it every unit is a point.
        cameras: x and y in the same metres, if they are to be shown.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    placed = units.drop_nulls(["x", "y"])
    count = said.count("units", units.height)
    figure = (
        _draw(placed, title, count, _shape(zones), cameras, said)
        if placed.height
        else _empty(title, said)
    )
    return canvas.png_and_svg(figure, path, said("map_alt", units=count))


def _shape(zones: Units | None) -> _Shape:
    if zones is None or zones.kind in ("area", "polygon"):
        return _Shape("disc", None, ())
    if zones.kind == "grid":
        return _Shape("square", zones.cell_m, ())
    if zones.kind == "hexagon":
        # The circle inside a hexagon of mean edge: neighbours touch, and what is drawn is not larger than it is.
        return _Shape("disc", 3**0.5 * EDGES_M[zones.hexagon_resolution], ())
    return _Shape("disc", 2 * zones.radius_m, tuple(2 * radius for radius in zones.rings_m))


def _empty(title: str, said: Words) -> Figure:
    figure = canvas.new_figure(canvas.README_WIDTH, 1.0)
    canvas.written(figure, MARGIN, 0.68, title, size=12.0, weight="bold")
    canvas.written(figure, MARGIN, 0.32, said("no_places"), color=canvas.MUTED)
    return figure


def _draw(
    units: pl.DataFrame,
    title: str,
    count: str,
    shape: _Shape,
    cameras: pl.DataFrame | None,
    said: Words,
) -> Figure:
    xy = units.select("x", "y").to_numpy()
    pad = max(shape.size or 0.0, *shape.rings, 0.0) / 2
    width, height, limits = fit(xy, pad, MAP_WIDTH, MAP_HEIGHT)
    roles = [role for role in (*LOOKS, "treated") if (units["role"] == role).any()]
    body = max(height, _legend_height(units, roles, cameras))
    top = STRIP + body + 0.72
    figure = canvas.new_figure(canvas.README_WIDTH, top)
    canvas.written(figure, MARGIN, top - 0.28, title, size=12.0, weight="bold")
    canvas.written(figure, MARGIN, top - 0.5, count, size=8.5, color=canvas.MUTED)

    left = MARGIN + (MAP_WIDTH - width) / 2
    axes = canvas.bare_axes(figure, left, STRIP + body - height, width, height)
    axes.set_xlim(limits[0], limits[1])
    axes.set_ylim(limits[2], limits[3])
    inches = width / (limits[1] - limits[0])
    for role in roles:
        _layer(axes, units.filter(pl.col("role") == role), role, shape, inches)
    if cameras is not None:
        places = cameras.drop_nulls(["x", "y"])
        axes.plot(
            places["x"].to_numpy(),
            places["y"].to_numpy(),
            linestyle="none",
            marker="o",
            markersize=2.4,
            color=canvas.ORANGE,
            markeredgecolor=canvas.PAPER,
            markeredgewidth=0.35,
            zorder=5,
            rasterized=places.height > MANY,
        )
    draw_scale_bar(figure, left, STRIP + body - height - 0.08, inches, width, said.language)
    _legend(figure, units, roles, cameras, said, STRIP + body)
    return figure


def fit(
    xy: Floats, pad: float, width: float, height: float
) -> tuple[float, float, tuple[float, float, float, float]]:
    """Size in inches and limits in metres of a map with equal scales that shows all points and ``pad`` around."""
    low, high = xy.min(axis=0) - pad, xy.max(axis=0) + pad
    room = 0.02 * float((high - low).max()) or 1.0
    low, high = low - room, high + room
    spans = high - low
    # A city on one line still gets a map: never narrower than a fifth of the other side.
    widened = np.maximum(spans, spans.max() / 5)
    low, high = low - (widened - spans) / 2, high + (widened - spans) / 2
    scale = min(width / widened[0], height / widened[1])
    limits = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    return float(widened[0] * scale), float(widened[1] * scale), limits


def _layer(axes: Axes, units: pl.DataFrame, role: str, shape: _Shape, inches: float) -> None:
    """All units of one role."""
    from matplotlib.collections import EllipseCollection, PolyCollection

    xy = units.select("x", "y").to_numpy()
    sizes = _sizes(units, role, shape, inches)
    face, edge = LOOKS.get(role, (NONE, canvas.PAPER))
    colours = _date_colours(units) if role == "treated" else [face]
    style: dict[str, Any] = {
        "facecolors": colours,
        "edgecolors": edge,
        "linewidths": 0.3 if role == "treated" else 0.9,
        "zorder": 1 + (*LOOKS, "treated").index(role) / 10,
        "rasterized": len(xy) > MANY,
    }
    if shape.form == "square":
        corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * sizes[:, None, None] / 2
        axes.add_collection(PolyCollection(list(xy[:, None] + corners), **style), autolim=False)
        return
    # EllipseCollection takes sizes in the axes' units, so discs keep their radius on the ground.
    axes.add_collection(
        EllipseCollection(
            sizes,
            sizes,
            np.zeros(len(xy)),
            units="xy",
            offsets=xy,
            offset_transform=axes.transData,
            **style,
        ),
        autolim=False,
    )


def _sizes(units: pl.DataFrame, role: str, shape: _Shape, inches: float) -> Floats:
    """(N,) side or diameter of each unit in metres, never so small that it vanishes."""
    if shape.size is None:
        return np.full(units.height, POINT / 72 / inches)
    sizes = np.full(units.height, shape.size)
    if role == "ring" and shape.rings:
        # A table without the column is of a time when there was one ring.
        ring = units["ring"].to_numpy() if "ring" in units.columns else 1
        sizes[:] = np.array(shape.rings)[ring - 1]
    seen: Floats = np.maximum(sizes, LEAST / 72 / inches)
    return seen


def _dates(units: pl.DataFrame) -> tuple[dt.date, dt.date] | None:
    """First and last go-live of the treated units, None where no date is known."""
    days = units.filter(pl.col("role") == "treated")["first_live"].drop_nulls()
    if days.is_empty():
        return None
    ordered = sorted(days.to_list())
    return ordered[0], ordered[-1]


def _date_colours(units: pl.DataFrame) -> list[tuple[float, float, float, float]]:
    span = _dates(units)
    scale = canvas.colormap("go_live", GO_LIVE)
    first, last = span or (dt.date.min, dt.date.min)
    days = max((last - first).days, 1)
    return [
        scale(0.0 if day is None else (day - first).days / days)
        for day in units["first_live"].to_list()
    ]


def _legend_height(
    units: pl.DataFrame, roles: Sequence[str], cameras: pl.DataFrame | None
) -> float:
    lines = len(roles) + (cameras is not None)
    return 0.3 * lines + (0.9 if _dates(units) else 0.0) + 0.2


def _legend(
    figure: Figure,
    units: pl.DataFrame,
    roles: Sequence[str],
    cameras: pl.DataFrame | None,
    said: Words,
    top: float,
) -> None:
    """Roles with their numbers, and the colours of the dates."""
    y = top - 0.12
    for role in reversed(roles):
        number = whole(int((units["role"] == role).sum()), said.language)
        face, edge = LOOKS.get(role, (GO_LIVE[1], NONE))
        _key(figure, y, face, edge, said(role), number)
        y -= 0.3
    if cameras is not None:
        number = whole(cameras.height, said.language)
        _key(figure, y, canvas.ORANGE, NONE, said("cameras"), number, size=4)
        y -= 0.3
    span = _dates(units)
    if span is not None:
        _date_key(figure, y - 0.1, span, said)


def _key(
    figure: Figure, y: float, face: str, edge: str, label: str, number: str, *, size: float = 8
) -> None:
    axes = canvas.bare_axes(figure, LEGEND_LEFT, y - 0.07, 0.14, 0.14)
    axes.set_xlim(-1, 1)
    axes.set_ylim(-1, 1)
    axes.plot(
        [0],
        [0],
        linestyle="none",
        marker="o",
        markersize=size,
        markerfacecolor=face,
        markeredgecolor=edge,
        markeredgewidth=1.1,
        clip_on=False,
    )
    canvas.written(figure, LEGEND_LEFT + 0.24, y, label, size=8.5)
    canvas.written(
        figure,
        canvas.README_WIDTH - MARGIN,
        y,
        number,
        size=8.5,
        ha="right",
        color=canvas.MUTED,
    )


def _date_key(figure: Figure, y: float, span: tuple[dt.date, dt.date], said: Words) -> None:
    canvas.written(
        figure, LEGEND_LEFT, y, said("first_live"), size=8.5, weight="bold", color=canvas.MUTED
    )
    width = canvas.README_WIDTH - MARGIN - LEGEND_LEFT
    axes = canvas.bare_axes(figure, LEGEND_LEFT, y - 0.32, width, 0.16)
    first, last = (day.strftime("%Y-%m") for day in span)
    gradient = np.linspace(0.0, 1.0 if first != last else 0.0, 128)[None, :]
    axes.imshow(
        gradient,
        cmap=canvas.colormap("go_live", GO_LIVE),
        vmin=0.0,
        vmax=1.0,
        aspect="auto",
        extent=(0, 1, 0, 1),
        interpolation="nearest",
    )
    style = {"size": 8.5, "color": canvas.MUTED}
    canvas.written(figure, LEGEND_LEFT, y - 0.45, first, **style)
    if last != first:
        canvas.written(figure, LEGEND_LEFT + width, y - 0.45, last, ha="right", **style)


def draw_scale_bar(
    figure: Figure, left: float, top: float, inches: float, width: float, language: str
) -> None:
    """A bar of round length under a map.

    Args:
        figure: the figure.
        left: edge of the bar in inches.
        top: the same, upwards.
        inches: per metre on the ground.
        width: of the map in inches.
        language: of the unit's number.
    """
    length = round_length(width / inches / 5)
    axes = canvas.bare_axes(figure, left, top - 0.1, length * inches, 0.06)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.plot(
        [0, 0, 1, 1],
        [1, 0, 0, 1],
        color=canvas.INK,
        linewidth=1.1,
        solid_joinstyle="miter",
        clip_on=False,
    )
    text = length_text(length, language)
    canvas.written(figure, left + length * inches + 0.1, top - 0.08, text, size=8.5)


def round_length(length: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step * power for step in (1, 2, 5) if step * power <= length)


def length_text(metres: float, language: str) -> str:
    """``500 m`` or ``2 km``."""
    if metres >= 1000:
        return f"{whole(metres / 1000, language)}\u00a0km"
    return f"{whole(metres, language)}\u00a0m"
