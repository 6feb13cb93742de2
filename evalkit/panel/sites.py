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

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

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
        degrees: (M, 2) longitude and latitude as the source gives them; None if they were not kept.
    """

    xy: Floats
    live: Days
    area: pl.Series
    degrees: Floats | None = None

    @property
    def located(self) -> NDArray[np.bool_]:
        """(M,) whether the camera has usable coordinates."""
        return is_located(self.xy)

    def take(self, which: NDArray[np.bool_]) -> Cameras:
        """Some of the cameras, still in order of priority."""
        return Cameras(
            self.xy[which],
            self.live[which],
            self.area.filter(pl.Series(which)),
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
        mixed: number of groups with both dated and undated cameras.
    """

    first: Days
    undated: NDArray[np.bool_]
    cameras: Integers
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
        degrees=as_degrees(ordered),
    )


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


def go_live(live: Days, group: Integers, groups: int) -> GoLive:
    """Reduce the dates of cameras to their groups.

    Args:
        live: (M,) dates, NaT where unknown.
        group: (M,) group of each camera, in 0 … groups − 1. A camera may be listed in several
            groups.
        groups: number of groups G.
    """
    dated = ~np.isnat(live)
    undated = np.zeros(groups, dtype=np.bool_)
    undated[group[~dated]] = True
    latest = np.iinfo(np.int64).max
    days = np.full(groups, latest, dtype=np.int64)
    np.minimum.at(days, group[dated], live[dated].astype(np.int64))
    some = days != latest
    first = np.full(groups, np.datetime64("NaT"), dtype="datetime64[D]")
    known = some & ~undated
    first[known] = days[known].astype("datetime64[D]")
    counts = np.bincount(group, minlength=groups).astype(np.int64)
    return GoLive(first, undated, counts, int((some & undated).sum()))


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
