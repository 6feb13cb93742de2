"""Incidents that come in blocks, counted as they come: memory is that of the counts.

A block is reduced to keys, and the keys are counted by crime type and period. What is left at the
end are rows that each stand for all incidents of one key, crime type and period, with one incident's
place for each key; the panel is built from them as it would be from the incidents.

Vocabulary
    key  a number for a place such that all incidents of one key belong to one unit, or all to none.
         The kinds of unit that have keys are those in `KEYS`.
    cell
         position of a key, crime type and period among the counts; the last three cells take the
         incidents outside the window, at other hours, and without an hour.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from threading import Lock
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.study import Study, Units
from evalkit.panel.periods import OUTSIDE, period_starts
from evalkit.panel.points import DistinctPoints
from evalkit.panel.projection import Projection, city_projection, project
from evalkit.panel.rows import (
    IN_BAND,
    NO_HOUR,
    OTHER_HOUR,
    OTHER_TYPE,
    Rows,
    Seen,
    hours_of,
    periods_of,
    see,
    type_index,
    weights_of,
)
from evalkit.panel.sites import Cameras, place_cameras
from evalkit.panel.zones.catchment import catchment_keys
from evalkit.panel.zones.grid import grid_keys
from evalkit.panel.zones.hexagon import hexagon_keys
from evalkit.panel.zones.keys import Extent, Keys, extent_of
from evalkit.panel.zones.polygon import polygon_keys
from evalkit.panel.zones.zoning import Incidents

__all__ = ["KEYS", "MAX_COUNTS", "Tally", "open_tally"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEFT_OUT: Final = ("window", "other_hours", "no_hour")
"""What the last cells count."""

MAX_COUNTS: Final = 200_000_000
"""Most cells that are counted in one array: 0.8 GB if every one of them is met."""

KEYS: Final[dict[str, Callable[[Cameras, Units, Extent, int], Keys | None]]] = {
    "grid": grid_keys,
    "catchment": catchment_keys,
    "hexagon": hexagon_keys,
}
"""Kinds of unit whose places have keys; beside them polygons, which need the city's own."""


class Tally:
    """Counts the incidents of one city for one study.

    Blocks may be added from several threads.
    """

    def __init__(
        self,
        study: Study,
        keys: Keys,
        projection: Projection,
        bounds: tuple[float, float, float, float],
    ) -> None:
        self._study, self._keys = study, keys
        self._projection, self._bounds = projection, bounds
        self._types = len(set(study.outcome.crime_types)) + 1
        self._periods = len(period_starts(study.window))
        cells = (keys.count + 1) * self._types * self._periods
        self._cells = cells
        self._counts = np.zeros(cells + len(LEFT_OUT), dtype=np.uint32)
        self._met = np.zeros(keys.count, dtype=np.bool_)
        self._xy = np.full((keys.count + 1, 2), np.nan)
        self._degrees = np.full((keys.count + 1 if keys.in_degrees else 0, 2), np.nan)
        self._points = DistinctPoints()
        self._crime_types: set[str] = set()
        self._first: dt.date | None = None
        self._last: dt.date | None = None
        self._firsts = 0
        self._lock = Lock()

    def fresh(self) -> Tally:
        """One that has counted nothing, for the same study and city."""
        return Tally(self._study, self._keys, self._projection, self._bounds)

    def add(self, incidents: pl.DataFrame) -> Integers:
        """Count a block of incidents.

        Args:
            incidents: N rows; the columns date, longitude, latitude, crime_type of
                `evalkit.core.frames.INCIDENTS`.

        Returns:
            (N,) cells that they were counted in, for `remove`.
        """
        weight = weights_of(incidents)
        seen = see(incidents, weight)
        period = periods_of(incidents, self._study)
        crime_type = type_index(incidents["crime_type"], self._study)
        longitude, latitude, x, y = self._located(incidents)
        hour = hours_of(incidents, self._study)
        inside = period != OUTSIDE
        within = inside & (hour == IN_BAND)
        placed = np.flatnonzero(within & np.isfinite(x) & np.isfinite(y))
        whole = len(placed) == len(x)
        at_x, at_y = (x, y) if whole else (x[placed], y[placed])
        at = longitude[placed], latitude[placed]
        found = self._keys.of(*at) if self._keys.in_degrees else self._keys.of(at_x, at_y)
        key = found if whole else np.full(len(x), self._keys.count, dtype=np.int64)
        if not whole:
            key[placed] = found
        crime_type = np.where(crime_type == OTHER_TYPE, self._types - 1, crime_type)
        cell = (key * self._types + crime_type) * self._periods + period
        cell[~within] = self._cells + LEFT_OUT.index("window")
        for name, why in (("other_hours", OTHER_HOUR), ("no_hour", NO_HOUR)):
            cell[inside & (hour == why)] = self._cells + LEFT_OUT.index(name)
        with self._lock:
            self._see(seen)
            fresh = np.flatnonzero(~self._met[found])
            self._xy[found[fresh]] = np.column_stack([at_x[fresh], at_y[fresh]])
            if self._keys.in_degrees:
                self._degrees[found[fresh]] = np.column_stack(at)[fresh]
            self._met[found[fresh]] = True
            np.add.at(self._counts, cell, weight.astype(np.uint32))
            self._points.add(*at)
        return cell

    def remove(self, cells: Integers) -> None:
        """Take back incidents that turned out to repeat others that lie in the same cells.

        Each is one incident: a source of counts is not counted so.
        """
        with self._lock:
            np.subtract.at(self._counts, cells, np.uint32(1))

    def rows(self) -> Rows:
        """What was counted."""
        cell = np.flatnonzero(self._counts[: self._cells])
        left_out = dict(zip(LEFT_OUT, self._counts[self._cells :].tolist(), strict=True))
        rest, period = np.divmod(cell, self._periods)
        key, crime_type = np.divmod(rest, self._types)
        crime_type[crime_type == self._types - 1] = OTHER_TYPE
        keys, place = np.unique(key, return_inverse=True)
        weight = self._counts[cell].astype(np.int64)
        return Rows(
            seen=Seen(
                read=int(weight.sum()) + sum(left_out.values()),
                crime_types=frozenset(self._crime_types),
                first=self._first,
                last=self._last,
                firsts=self._firsts,
            ),
            period=period,
            crime_type=crime_type,
            weight=weight,
            places=Incidents(
                self._xy[keys],
                pl.repeat(None, len(keys), dtype=pl.String(), eager=True),
                self._projection,
                self._bounds,
                self._degrees[keys] if self._keys.in_degrees else None,
            ),
            place=place.reshape(-1).astype(np.int64),
            placed=key != self._keys.count,
            points=self._points.count,
            by_hour=self._study.outcome.hours is not None,
            other_hours=left_out["other_hours"],
            no_hour=left_out["no_hour"],
        )

    def _located(self, incidents: pl.DataFrame) -> tuple[Floats, Floats, Floats, Floats]:
        """Degrees, and metres; NaN where absent or outside the bounds."""
        west, south, east, north = self._bounds
        longitude, latitude = (
            incidents[name].cast(pl.Float64).to_numpy() for name in ("longitude", "latitude")
        )
        inside = (longitude >= west) & (longitude <= east)
        inside &= (latitude >= south) & (latitude <= north)
        if not inside.all():
            longitude = np.where(inside, longitude, np.nan)
            latitude = np.where(inside, latitude, np.nan)
        x, y = project(self._projection, longitude, latitude)
        return longitude, latitude, x, y

    def _see(self, seen: Seen) -> None:
        self._crime_types |= seen.crime_types
        self._firsts += seen.firsts
        if seen.first and seen.last:
            self._first = min(self._first or seen.first, seen.first)
            self._last = max(self._last or seen.last, seen.last)


def _keys(
    cameras: Cameras, units: Units, extent: Extent, points: int, areas: pl.DataFrame | None
) -> Keys | None:
    if units.kind == "polygon":
        if areas is None or areas.is_empty():
            return None
        return polygon_keys(areas, extent.bounds, points)
    make = KEYS.get(units.kind)
    return None if make is None else make(cameras, units, extent, points)


def open_tally(
    cameras: pl.DataFrame,
    study: Study,
    bounds: tuple[float, float, float, float],
    points: int,
    areas: pl.DataFrame | None = None,
) -> Tally | None:
    """A tally for about ``points`` incidents, or None if the study's units cannot be counted so.

    Args:
        cameras: keeps the contract `evalkit.core.frames.CAMERAS`.
        study: a checked study.
        bounds: west, south, east, north of the city in degrees.
        points: number of incidents to come, roughly.
        areas: keeps the contract `evalkit.core.frames.AREAS`; for studies of polygons.

    Raises:
        MissingExtraError: the kind of unit needs an extra that is not installed.
    """
    projection = city_projection(bounds)
    placed = place_cameras(cameras, projection, bounds)
    keys = _keys(placed, study.units, extent_of(projection, bounds), points, areas)
    if keys is None:
        return None
    types = len(set(study.outcome.crime_types)) + 1
    if (keys.count + 1) * types * len(period_starts(study.window)) > MAX_COUNTS:
        return None
    return Tally(study, keys, projection, bounds)
