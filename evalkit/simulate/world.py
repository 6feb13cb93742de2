"""Where and when crime happens in one city without any camera: places and a calendar.

Places are a Poisson-gamma cluster process: hotspots (Gaussian micro-places that huddle in a few
districts) over a background of square cells, each with a gamma weight that never changes. Whatever
changes over time (season, weekday, trend, shocks) is common to the whole city, so that trends
without cameras are parallel on the log scale by construction.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.presets import Shape

__all__ = ["BORDER_M", "Calendar", "Places", "density", "draw_calendar", "draw_places"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BORDER_M: Final = 400.0
"""No hotspot and no camera lies nearer to the town's border: five standard deviations of the widest
hotspot, and room for a ring."""

_CELL_M: Final = 250.0
_HOTSPOT_SD_M: Final = (25.0, 65.0)
_DISTRICT_SD_M: Final = 900.0
_IN_DISTRICT: Final = 0.6
_WEEKEND: Final = (0.95, 0.93, 0.95, 0.98, 1.10, 1.14, 0.95)
_SOUTHERN_SHIFT: Final = 6


@dataclass(frozen=True, slots=True)
class Places:
    """Where: H hotspots and C background cells, whose weights sum to one together.

    Metres east and north of the centre; cells are given by their south-west corner.
    """

    half_x: float
    half_y: float
    hot_x: Floats
    hot_y: Floats
    hot_sd: Floats
    hot_weight: Floats
    cell_x: Floats
    cell_y: Floats
    cell_size: tuple[float, float]
    cell_weight: Floats


@dataclass(frozen=True, slots=True)
class Calendar:
    """When: D days in T months.

    Attributes:
        start: first day.
        month_of_day: (D,) month index.
        day_share: (D,) expected share of all incidents, sums to one.
        hour_share: (24,) share of a day's incidents by local hour, sums to one.
    """

    start: dt.date
    month_of_day: Ints
    day_share: Floats
    hour_share: Floats

    @property
    def month_share(self) -> Floats:
        """(T,) expected share of all incidents by month."""
        shares: Floats = np.bincount(self.month_of_day, weights=self.day_share).astype(np.float64)
        return shares


def draw_places(shape: Shape, rng: np.random.Generator) -> Places:
    """Draw a town and its places."""
    half_x, half_y = rng.uniform(*shape.side_m, size=2) / 2
    inner = np.array([half_x - BORDER_M, half_y - BORDER_M])
    districts = rng.uniform(-0.8, 0.8, size=(6, 2)) * inner
    hot = _scatter(shape.hotspots, districts, inner, rng)
    hot_weight = rng.gamma(1.5, size=shape.hotspots)
    columns, rows = round(2 * half_x / _CELL_M), round(2 * half_y / _CELL_M)
    size = (2 * half_x / columns, 2 * half_y / rows)
    corner_x, corner_y = np.meshgrid(
        -half_x + size[0] * np.arange(columns), -half_y + size[1] * np.arange(rows)
    )
    centres = np.stack([corner_x.ravel() + size[0] / 2, corner_y.ravel() + size[1] / 2], axis=1)
    nearest = np.linalg.norm(centres[:, None] - districts[None], axis=2).min(axis=1)
    centrality = 0.4 + np.exp(-0.5 * (nearest / (1.5 * _DISTRICT_SD_M)) ** 2)
    cell_weight = centrality * rng.gamma(3.0, size=len(centres))
    return Places(
        half_x=float(half_x),
        half_y=float(half_y),
        hot_x=hot[:, 0],
        hot_y=hot[:, 1],
        hot_sd=rng.uniform(*_HOTSPOT_SD_M, size=shape.hotspots),
        hot_weight=shape.hotspot_share * hot_weight / hot_weight.sum(),
        cell_x=corner_x.ravel(),
        cell_y=corner_y.ravel(),
        cell_size=size,
        cell_weight=(1 - shape.hotspot_share) * cell_weight / cell_weight.sum(),
    )


def density(places: Places, x: Floats, y: Floats) -> Floats:
    """Expected share of incidents per square metre at N points, time-invariant."""
    variance = places.hot_sd**2
    squared = (x[:, None] - places.hot_x) ** 2 + (y[:, None] - places.hot_y) ** 2
    hot = np.exp(-squared / (2 * variance)) @ (places.hot_weight / (2 * np.pi * variance))
    width, height = places.cell_size
    columns = round(2 * places.half_x / width)
    column = np.floor((x + places.half_x) / width).astype(np.int64).clip(0, columns - 1)
    row = np.floor((y + places.half_y) / height).astype(np.int64)
    cell = (row * columns + column).clip(0, len(places.cell_weight) - 1)
    shares: Floats = hot + places.cell_weight[cell] / (width * height)
    return shares


def draw_calendar(
    start: dt.date, end: dt.date, *, latitude: float, shock: float, rng: np.random.Generator
) -> Calendar:
    """Draw season, weekday, trend and a shock per month of log standard deviation ``shock``."""
    days = (end - start).days + 1
    dates = np.datetime64(start, "D") + np.arange(days)
    months = dates.astype("datetime64[M]")
    month_of_day = (months - months[0]).astype(np.int64)
    weekday = (np.arange(days) + start.weekday()) % 7
    warmest = 6.5 + (_SOUTHERN_SHIFT if latitude < 0 else 0)
    year_time = (dates - dates.astype("datetime64[Y]")).astype(np.int64) / 365.25 * 12
    season = rng.uniform(0.06, 0.14) * np.cos(2 * np.pi * (year_time - warmest) / 12)
    trend = rng.normal(-0.02, 0.03) * np.arange(days) / 365.25
    shocks = rng.normal(0.0, shock, size=int(month_of_day[-1]) + 1)
    weight = np.asarray(_WEEKEND)[weekday] * np.exp(season + trend + shocks[month_of_day])
    hours = np.arange(24)
    day_peak, night_peak = rng.uniform(12, 16), rng.uniform(20, 23)
    hour = 0.25 + np.exp(1.5 * (np.cos(2 * np.pi * (hours - day_peak) / 24) - 1))
    hour += 1.2 * np.exp(4.0 * (np.cos(2 * np.pi * (hours - night_peak) / 24) - 1))
    return Calendar(
        start=start,
        month_of_day=month_of_day,
        day_share=weight / weight.sum(),
        hour_share=hour / hour.sum(),
    )


def _scatter(n: int, districts: Floats, inner: Floats, rng: np.random.Generator) -> Floats:
    """(n, 2) points inside ±``inner``: most huddle round a district, the others lie anywhere."""
    points = np.empty((0, 2))
    while len(points) < n:
        huddled = districts[rng.integers(len(districts), size=n)]
        huddled = huddled + rng.normal(0.0, _DISTRICT_SD_M, size=(n, 2))
        anywhere = rng.uniform(-1, 1, size=(n, 2)) * inner
        drawn = np.where(rng.random((n, 1)) < _IN_DISTRICT, huddled, anywhere)
        points = np.concatenate([points, drawn[(np.abs(drawn) <= inner).all(axis=1)]])
    return points[:n]
