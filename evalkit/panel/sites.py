"""Cameras in order of priority, and the camera sites they form.

Vocabulary
    priority  by go-live date, then by identifier, then by place; a camera without a date comes
              last. A tie in distance goes to the camera with priority.
    site      cameras that hang together: each at most the merge distance from another one of the
              site. Its go-live is that of its first camera.
    mixed     a group with both dated and undated cameras. Its first camera may have been one
              without a date, so its go-live is unknown: it counts as undated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from evalkit.core.frames import ATTRIBUTE, COUNT
from evalkit.panel.periods import as_days
from evalkit.panel.projection import Projection, is_located, project, unproject

__all__ = [
    "Cameras",
    "GoLive",
    "as_degrees",
    "go_live",
    "locate",
    "merge_sites",
    "place_cameras",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Days = NDArray[np.datetime64]


@dataclass(frozen=True, slots=True, eq=False)
class Cameras:
    """M cameras in order of priority.

    Attributes:
        xy: (M, 2) metres from the city's centre; NaN without usable coordinates.
        live: (M,) go-live dates, NaT where unknown.
        area: (M,) names of areas, null where unknown.
        removed: (M,) first days out of operation, NaT where it still works.
        count: (M,) cameras that each stands for.
        attributes: the source's own name → (M,) what else it says of each.
        rows: (M,) position of each in the order of priority of all of the city's.
        degrees: (M, 2) longitude and latitude as the source gives them; None if they were not kept.
    """

    xy: Floats
    live: Days
    area: pl.Series
    removed: Days
    count: Integers
    attributes: Mapping[str, pl.Series]
    rows: Integers
    degrees: Floats | None = None

    @property
    def located(self) -> NDArray[np.bool_]:
        """(M,) whether the camera has usable coordinates."""
        return is_located(self.xy)

    def take(self, which: NDArray[np.bool_]) -> Cameras:
        """Some of the cameras, still in order of priority."""
        kept = pl.Series(which)
        return Cameras(
            self.xy[which],
            self.live[which],
            self.area.filter(kept),
            self.removed[which],
            self.count[which],
            {name: values.filter(kept) for name, values in self.attributes.items()},
            self.rows[which],
            None if self.degrees is None else self.degrees[which],
        )

    def in_degrees(self, projection: Projection) -> Floats:
        """(M, 2) longitude and latitude; reckoned back from the metres if they were not kept."""
        if self.degrees is not None:
            return self.degrees
        return np.column_stack(unproject(projection, self.xy[:, 0], self.xy[:, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class GoLive:
    """When G groups of cameras go live.

    Attributes:
        first: (G,) date of the first camera; NaT if the group is empty or `undated`.
        undated: (G,) whether any camera of the group has no date.
        cameras: (G,) number of cameras.
        gone: (G,) first day without any of them, NaT if one is still there.
        mixed: number of groups with both dated and undated cameras.
    """

    first: Days
    undated: NDArray[np.bool_]
    cameras: Integers
    gone: Days
    mixed: int


def place_cameras(
    cameras: pl.DataFrame, projection: Projection, bounds: tuple[float, float, float, float]
) -> Cameras:
    """Sort a frame of cameras by priority and project it; outside ``bounds`` is not usable."""
    ordered = cameras.with_columns(pl.col("id").fill_null("")).sort(
        "live_date", "id", "longitude", "latitude", "area", nulls_last=True, maintain_order=True
    )
    return Cameras(
        xy=locate(ordered, projection, bounds),
        live=as_days(ordered["live_date"].to_numpy()),
        area=ordered["area"],
        removed=as_days(_column(ordered, "removed", pl.Date()).to_numpy()),
        count=_column(ordered, COUNT, pl.UInt32()).fill_null(1).cast(pl.Int64).to_numpy(),
        attributes={
            name.removeprefix(ATTRIBUTE): ordered[name]
            for name in ordered.columns
            if name.startswith(ATTRIBUTE)
        },
        rows=np.arange(ordered.height),
        degrees=as_degrees(ordered),
    )


def _column(rows: pl.DataFrame, name: str, kind: pl.DataType) -> pl.Series:
    """A column that a frame made by hand may lack: null then."""
    if name in rows.columns:
        return rows[name].cast(kind)
    return pl.repeat(None, rows.height, dtype=kind, eager=True)


def locate(
    rows: pl.DataFrame, projection: Projection, bounds: tuple[float, float, float, float]
) -> Floats:
    """(N, 2) metres of a frame's longitude and latitude; NaN where absent or outside ``bounds``."""
    west, south, east, north = bounds
    longitude = rows["longitude"].cast(pl.Float64).to_numpy()
    latitude = rows["latitude"].cast(pl.Float64).to_numpy()
    inside = (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
    x, y = project(
        projection, np.where(inside, longitude, np.nan), np.where(inside, latitude, np.nan)
    )
    return np.column_stack([x, y])


def as_degrees(rows: pl.DataFrame) -> Floats:
    """(N, 2) a frame's longitude and latitude; NaN where absent."""
    return np.column_stack(
        [rows[name].cast(pl.Float64).to_numpy() for name in ("longitude", "latitude")]
    )


def go_live(
    cameras: Cameras, which: Integers, group: Integers, groups: int, *, least: int = 1
) -> GoLive:
    """Reduce the dates of cameras to their groups.

    Args:
        cameras: of the city.
        which: (K,) rows of cameras. A camera may be listed for several groups.
        group: (K,) group of each, in 0 … groups − 1.
        groups: number of groups G.
        least: how many cameras make a group live.
    """
    live, count = cameras.live[which], cameras.count[which]
    dated = ~np.isnat(live)
    undated = np.zeros(groups, dtype=np.bool_)
    undated[group[~dated]] = True
    days, some = _reached(live[dated].astype(np.int64), count[dated], group[dated], groups, least)
    first = np.full(groups, np.datetime64("NaT"), dtype="datetime64[D]")
    known = some & ~undated
    first[known] = days[known].astype("datetime64[D]")
    counts = np.bincount(group, weights=count, minlength=groups).astype(np.int64)
    mixed = np.zeros(groups, dtype=np.bool_)
    mixed[group[dated]] = True
    gone = _gone(cameras.removed[which], group, groups)
    return GoLive(first, undated, counts, gone, int((mixed & undated).sum()))


def _reached(
    days: Integers, count: Integers, group: Integers, groups: int, least: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """(G,) day on which so many cameras of the group have gone live; (G,) whether it comes."""
    order = np.lexsort((days, group))
    days, count, group = days[order], count[order], group[order]
    total = np.cumsum(count)
    start = np.searchsorted(group, np.arange(groups))
    before = np.where(start > 0, total[start - 1], 0) if len(total) else np.zeros(groups, np.int64)
    enough = np.flatnonzero(total - before[group] >= least)
    found, first = np.unique(group[enough], return_index=True)
    reached, day = np.zeros(groups, dtype=np.bool_), np.zeros(groups, dtype=np.int64)
    reached[found], day[found] = True, days[enough[first]]
    return day, reached


def _gone(removed: Days, group: Integers, groups: int) -> Days:
    gone = np.full(groups, np.datetime64("NaT"), dtype="datetime64[D]")
    last = np.full(groups, np.iinfo(np.int64).min, dtype=np.int64)
    known = ~np.isnat(removed)
    np.maximum.at(last, group[known], removed[known].astype(np.int64))
    all_gone = np.bincount(group[known], minlength=groups) == np.bincount(group, minlength=groups)
    all_gone &= last > np.iinfo(np.int64).min
    gone[all_gone] = last[all_gone].astype("datetime64[D]")
    return gone


def merge_sites(xy: Floats, distance: float) -> Integers:
    """(M,) site of each camera: connected components under "at most ``distance`` metres apart".

    Sites are numbered by the priority of their first camera.
    """
    if len(xy) == 0:
        return np.empty(0, dtype=np.int64)
    # One place per coordinate first: a building with a thousand cameras has half a million pairs.
    places, place = np.unique(xy, axis=0, return_inverse=True)
    place = place.reshape(-1)
    pairs = cKDTree(places).query_pairs(distance, output_type="ndarray")
    links = coo_array(
        (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(places), len(places))
    )
    _, component = connected_components(links, directed=False)
    _, first, site = np.unique(component[place], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    sites: Integers = rank[site.reshape(-1)]
    return sites
