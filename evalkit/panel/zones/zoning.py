"""What every kind of unit returns.

Vocabulary
    reach  how far from a camera crime might be displaced to, for the kind of unit. Cameras of
           *another* site within reach of a unit are its neighbours; they blur its comparison and
           are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.panel.projection import Projection, unproject

__all__ = ["OUTSIDE", "Incidents", "Zoning", "no_dates"]

OUTSIDE: Final = -1
"""Unit of an incident that lies in none."""


@dataclass(frozen=True, slots=True, eq=False)
class Incidents:
    """Where N incidents of the window happened.

    Attributes:
        xy: (N, 2) metres from the city's centre, NaN without usable coordinates.
        area: (N,) names of areas, null where unknown.
        projection: metres back to degrees.
        bounds: west, south, east, north of the city in degrees.
        degrees: (N, 2) longitude and latitude as the source gives them; None if they were not kept.
    """

    xy: NDArray[np.float64]
    area: pl.Series
    projection: Projection
    bounds: tuple[float, float, float, float]
    degrees: NDArray[np.float64] | None = None

    @property
    def in_degrees(self) -> NDArray[np.float64]:
        """(N, 2) longitude and latitude; reckoned back from the metres if they were not kept."""
        if self.degrees is not None:
            return self.degrees
        return np.column_stack(unproject(self.projection, self.xy[:, 0], self.xy[:, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class Zoning:
    """U units and the unit of every incident.

    Attributes:
        unit: (N,) unit of each incident, or `OUTSIDE`.
        ids: U unique texts.
        ring: (U,) which ring the unit is: 1, 2, … outward from the camera, 0 if it is none.
        first: (U,) date of the unit's first camera, of the site's for a ring; NaT without one or if
            `undated`.
        undated: (U,) whether one of those cameras has no date.
        cameras: (U,) number of cameras inside the unit; 0 for rings and lattice discs.
        gone: (U,) first day without any of those cameras, NaT if one is still there.
        held: (K,) rows of the cameras that lie in a unit, and (K,) their units.
        neighbour: (U,) first go-live date of another site within reach, NaT if none.
        xy: (U, 2) metres, a point for the map; NaN if unknown.
        facts: counts worth reporting, by name.
    """

    unit: NDArray[np.int64]
    ids: tuple[str, ...]
    ring: NDArray[np.int64]
    first: NDArray[np.datetime64]
    undated: NDArray[np.bool_]
    cameras: NDArray[np.int64]
    gone: NDArray[np.datetime64]
    held: tuple[NDArray[np.int64], NDArray[np.int64]]
    neighbour: NDArray[np.datetime64]
    xy: NDArray[np.float64]
    facts: Mapping[str, int]


def no_dates(count: int) -> NDArray[np.datetime64]:
    """``count`` times NaT."""
    return np.full(count, np.datetime64("NaT"), dtype="datetime64[D]")
