"""What `site check` shows: where the incidents lie, where the cameras stand, and how many incidents each month has.

Three faults are seen here at a glance: a piece of the city without data, a heap of incidents on one point, and
a month that is missing or half. It stays in the city.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.frames import COUNT
from evalkit.panel.projection import city_projection, project
from evalkit.quality.calendar import Resolution, by_period, resolution_of
from evalkit.report.check_words import check_words
from evalkit.report.figures import canvas
from evalkit.report.figures.panel_map import draw_scale_bar, fit, length_text, round_length
from evalkit.report.languages import Words, words
from evalkit.report.numbers import decimal, whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["density", "quality"]

Floats = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

MARGIN: Final = 0.16
MAP_WIDTH: Final = 6.0
MAP_HEIGHT: Final = 5.2
LEGEND_LEFT: Final = MARGIN + MAP_WIDTH + 0.3
STRIP: Final = 0.42
BARS: Final = 1.25
BARS_LEFT: Final = 0.62

SQUARES: Final = 60
"""Least number of squares along the longer side of the map: small enough for streets, large enough to see."""

DENSITY: Final = ("#cfe0ee", "#7fabd0", "#2a6fa8", "#0d2a47")
"""Few to many; the paper shows where there is no incident at all."""

MANY: Final = 2000
"""Cameras from which an SVG holds them as pixels."""


def quality(
    incidents: pl.DataFrame,
    cameras: pl.DataFrame,
    bounds: Bounds,
    title: str,
    path: Path,
    *,
    language: str = "en",
) -> list[Path]:
    """Write the map and the months of a city's data as SVG and PNG and return both paths.

    Args:
        incidents: date, longitude and latitude of the rows that are used; coordinates may be null. A column
            ``count`` says how many incidents each stands for.
        cameras: longitude and latitude, null where unknown, and perhaps ``count``.
        bounds: west, south, east, north of the city in degrees.
        title: the city.
        path: without suffix.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    west, south, east, north = bounds
    corners = _metres(
        pl.DataFrame(
            {"longitude": [west, east, west, east], "latitude": [south, south, north, north]}
        ),
        bounds,
    )
    width, height, limits = fit(corners, 0.0, MAP_WIDTH, MAP_HEIGHT)
    resolution = resolution_of(incidents["date"])
    months = by_period(incidents["date"], _weights(incidents), resolution)
    bars = BARS + 0.95 if months else 0.0
    body = max(height, 1.7)
    figure = canvas.new_figure(canvas.README_WIDTH, 0.6 + body + STRIP + bars)
    top = 0.6 + body + STRIP + bars
    canvas.written(figure, MARGIN, top - 0.28, title, size=12.0, weight="bold")
    left, bottom = MARGIN + (MAP_WIDTH - width) / 2, bars + STRIP + body - height
    axes = canvas.bare_axes(figure, left, bottom, width, height)
    axes.set_xlim(limits[0], limits[1])
    axes.set_ylim(limits[2], limits[3])
    inches = width / (limits[1] - limits[0])
    _map(
        figure,
        axes,
        _metres(incidents, bounds),
        _metres(cameras, bounds),
        limits,
        said,
        top - 0.62,
        int(_weights(cameras.drop_nulls(["longitude", "latitude"])).sum()),
    )
    _outline(axes, bounds)
    draw_scale_bar(figure, left, bottom - 0.08, inches, width, language)
    if months:
        _months(figure, months, resolution, said)
    return canvas.png_and_svg(figure, path, f"{title}: {said('quality_alt')}")


def density(
    xy: Floats, limits: tuple[float, float, float, float], side: float
) -> NDArray[np.int64]:
    """(rows, columns) incidents in squares of ``side`` metres, south first; points outside ``limits`` are left out."""
    west, east, south, north = limits
    columns, rows = int(np.ceil((east - west) / side)), int(np.ceil((north - south) / side))
    at = np.floor((xy - np.array([west, south])) / side).astype(np.int64)
    inside = ((at >= 0) & (at < np.array([columns, rows]))).all(axis=1)
    flat = at[inside, 1] * columns + at[inside, 0]
    return np.bincount(flat, minlength=rows * columns).reshape(rows, columns)


def _weights(rows: pl.DataFrame) -> pl.Series:
    """(N,) what each row stands for."""
    if COUNT in rows.columns:
        return rows[COUNT].cast(pl.Int64)
    return pl.repeat(1, rows.height, dtype=pl.Int64(), eager=True)


def _metres(places: pl.DataFrame, bounds: Bounds) -> Floats:
    """(N, 2) metres from the city's centre; rows without coordinates are left out."""
    known = places.select("longitude", "latitude").drop_nulls().drop_nans()
    x, y = project(
        city_projection(bounds), known["longitude"].to_numpy(), known["latitude"].to_numpy()
    )
    return np.column_stack([x, y])


def _outline(axes: Axes, bounds: Bounds) -> None:
    """The city's bounds; on the ground their sides are slightly bent."""
    west, south, east, north = bounds
    along = np.linspace(0.0, 1.0, 25)
    longitude = np.concatenate([west + along * (east - west), np.full(25, east)])
    latitude = np.concatenate([np.full(25, south), south + along * (north - south)])
    there = _metres(pl.DataFrame({"longitude": longitude, "latitude": latitude}), bounds)
    longitude = np.concatenate([east - along * (east - west), np.full(25, west)])
    latitude = np.concatenate([np.full(25, north), north - along * (north - south)])
    back = _metres(pl.DataFrame({"longitude": longitude, "latitude": latitude}), bounds)
    edge = np.concatenate([there, back])
    axes.plot(edge[:, 0], edge[:, 1], color=canvas.LINE, linewidth=1.0, zorder=2)


def _map(
    figure: Figure,
    axes: Axes,
    incidents: Floats,
    cameras: Floats,
    limits: tuple[float, float, float, float],
    said: Words,
    y: float,
    standing: int,
) -> None:
    """Squares shaded by the logarithm of their incidents, cameras above, and what they mean beside."""
    from matplotlib.colors import LogNorm

    west, east, south, north = limits
    side = round_length(max(east - west, north - south) / SQUARES)
    counts = density(incidents, limits, side)
    most = int(counts.max(initial=0))
    if most == 0:
        canvas.written(figure, LEGEND_LEFT, y, _line(said("no_points"), 0), size=8.5)
        rest = _line(said("no_points"), 1)
        if rest:
            canvas.written(figure, LEGEND_LEFT, y - 0.2, rest, size=8.5)
    else:
        rows, columns = counts.shape
        axes.imshow(
            np.ma.masked_equal(counts, 0),
            cmap=canvas.colormap("density", DENSITY),
            norm=LogNorm(1, max(most, 2)),
            origin="lower",
            extent=(west, west + columns * side, south, south + rows * side),
            interpolation="nearest",
            aspect="auto",
            zorder=1,
        )
        axes.set_xlim(west, east)
        axes.set_ylim(south, north)
        _density_key(figure, y, side, most, said)
    if len(cameras):
        axes.plot(
            cameras[:, 0],
            cameras[:, 1],
            linestyle="none",
            marker="o",
            markersize=3.4,
            color=canvas.ORANGE,
            markeredgecolor=canvas.PAPER,
            markeredgewidth=0.5,
            zorder=3,
            rasterized=len(cameras) > MANY,
        )
        _camera_key(figure, y - 0.85, standing, said)


def _line(text: str, number: int) -> str:
    """One of two lines of a text that is set beside the map."""
    width = canvas.README_WIDTH - MARGIN - LEGEND_LEFT
    lines = canvas.wrap(text, width, 8.5, lines=2)
    return lines[number] if number < len(lines) else ""


def _density_key(figure: Figure, y: float, side: float, most: int, said: Words) -> None:
    style = {"size": 8.5, "color": canvas.MUTED}
    title = said("density", side=length_text(side, said.language))
    canvas.written(figure, LEGEND_LEFT, y, title, weight="bold", **style)
    width = canvas.README_WIDTH - MARGIN - LEGEND_LEFT
    axes = canvas.bare_axes(figure, LEGEND_LEFT, y - 0.32, width, 0.16)
    axes.imshow(
        np.linspace(0.0, 1.0, 128)[None, :],
        cmap=canvas.colormap("density", DENSITY),
        aspect="auto",
        extent=(0, 1, 0, 1),
        interpolation="nearest",
    )
    canvas.written(figure, LEGEND_LEFT, y - 0.45, "1", **style)
    canvas.written(
        figure, LEGEND_LEFT + width, y - 0.45, whole(most, said.language), ha="right", **style
    )
    # The scale is logarithmic: its middle is the square root of its end.
    middle = round(float(np.sqrt(most)))
    if 1 < middle < most:
        text = whole(middle, said.language)
        canvas.written(figure, LEGEND_LEFT + width / 2, y - 0.45, text, ha="center", **style)


def _camera_key(figure: Figure, y: float, number: int, said: Words) -> None:
    axes = canvas.bare_axes(figure, LEGEND_LEFT, y - 0.06, 0.12, 0.12)
    axes.plot([0], [0], "o", markersize=4.5, color=canvas.ORANGE, markeredgewidth=0)
    canvas.written(figure, LEGEND_LEFT + 0.22, y, said("cameras"), size=8.5)
    canvas.written(
        figure,
        canvas.README_WIDTH - MARGIN,
        y,
        whole(number, said.language),
        ha="right",
        size=8.5,
        color=canvas.MUTED,
    )


def _months(
    figure: Figure, months: list[tuple[dt.date, int]], resolution: Resolution, said: Words
) -> None:
    """One bar a month, or a year; an empty one gets a mark, because a missing bar is easily missed."""
    yearly = check_words(said.language) if resolution == "year" else None
    title = yearly("by_year") if yearly else said("by_month")
    canvas.written(figure, MARGIN, BARS + 0.68, title, size=9.5, weight="bold", color=canvas.MUTED)
    axes = canvas.bare_axes(figure, BARS_LEFT, 0.42, canvas.README_WIDTH - BARS_LEFT - MARGIN, BARS)
    heights = np.array([count for _, count in months])
    places = np.arange(len(months))
    top = 1.05 * max(int(heights.max()), 1)
    # A few bars would be as wide as the page.
    axes.set_xlim(-0.7, max(len(months), 6 if yearly else 12) - 0.3)
    axes.set_ylim(0, top)
    axes.spines["bottom"].set_visible(True)
    axes.spines["bottom"].set_color(canvas.LINE)
    axes.bar(places, heights, width=0.74, color=canvas.BLUE, linewidth=0)
    empty = places[heights == 0]
    if len(empty):
        style: dict[str, Any] = {
            "linestyle": "none",
            "marker": "v",
            "color": canvas.ORANGE,
            "markeredgewidth": 0,
        }
        axes.plot(empty, np.full(len(empty), 0.05 * top), markersize=5.5, **style)
        text = yearly("no_incident_year") if yearly else said("no_incident_month")
        right = canvas.README_WIDTH - MARGIN
        canvas.written(figure, right, BARS + 0.68, text, ha="right", size=8.5, color=canvas.ORANGE)
        left = right - canvas.text_width(text, 8.5) - 0.2
        key = canvas.bare_axes(figure, left, BARS + 0.62, 0.12, 0.12)
        key.plot([0], [0], markersize=5.5, **style)
    step = _step(top)
    ticks = [float(tick) for tick in range(0, int(top) + 1, step)]
    labels = [decimal(tick, said.language, digits=0) for tick in ticks]
    canvas.style_axis(axes, "y", ticks, labels, grid=True)
    marks = _month_marks(months)
    canvas.style_axis(axes, "x", [at for at, _ in marks], [text for _, text in marks])


def _step(top: float) -> int:
    """Round steps that give two to five of them."""
    least = max(int(np.ceil(top / 5)), 1)
    power = int(10 ** (len(str(least)) - 1))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= least)


def _month_marks(months: list[tuple[dt.date, int]]) -> list[tuple[float, str]]:
    """Januaries with their year, or every third month of a short series; at most fifteen."""
    januaries = [
        (float(at), str(month.year)) for at, (month, _) in enumerate(months) if month.month == 1
    ]
    if len(januaries) < 2:
        every = -(-len(months) // 12)
        return [
            (float(at), month.strftime("%Y-%m"))
            for at, (month, _) in enumerate(months)
            if at % (every * 3 if len(months) > 6 else 1) == 0
        ]
    return januaries[:: -(-len(januaries) // 15)]
