"""Numbers for places, so that incidents can be counted before all of them have come.

Vocabulary
    key  a number such that all points of one key are in one unit, or all in none. Which units there
         are is decided later, from one point of every key that was met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.panel.projection import Projection, project

__all__ = ["Extent", "Keys", "extent_of", "square_keys"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MESH: Final = 33
"""Points each way at which the outline of the bounds in metres is measured."""

MARGIN: Final = 0.01
"""Share by which the outline is widened: the projection bends less than that between the points."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The city's bounds in metres: no located point lies outside. ``bounds`` are they in degrees."""

    west: float
    south: float
    east: float
    north: float
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one kind of unit.

    Attributes:
        count: keys are 0 … count − 1.
        of: (N,) x and (N,) y in metres, finite and inside the extent, to (N,) keys.
        in_degrees: whether ``of`` takes longitude and latitude in place of x and y.
    """

    count: int
    of: Callable[[Floats, Floats], Integers]
    in_degrees: bool = False


def extent_of(projection: Projection, bounds: tuple[float, float, float, float]) -> Extent:
    """The bounds (west, south, east, north in degrees) in metres, a little widened."""
    west, south, east, north = bounds
    longitude, latitude = np.meshgrid(
        np.linspace(west, east, MESH), np.linspace(south, north, MESH)
    )
    x, y = project(projection, longitude.reshape(-1), latitude.reshape(-1))
    wider, higher = MARGIN * (x.max() - x.min()) + 1.0, MARGIN * (y.max() - y.min()) + 1.0
    return Extent(
        float(x.min() - wider),
        float(y.min() - higher),
        float(x.max() + wider),
        float(y.max() + higher),
        bounds,
    )


def square_keys(extent: Extent, size: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """First column and row of a lattice of squares about the centre, and how many there are.

    Wide enough for squares that are numbered by rounding down as well as to the nearest.
    """
    first = int(np.floor(extent.west / size)) - 1, int(np.floor(extent.south / size)) - 1
    last = int(np.ceil(extent.east / size)) + 1, int(np.ceil(extent.north / size)) + 1
    return first, (last[0] - first[0] + 1, last[1] - first[1] + 1)
