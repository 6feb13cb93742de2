"""Outlines in degrees, and which cameras are near them in metres.

shapely is an extra: only studies of hexagons and polygons need it.
"""

from __future__ import annotations

from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Units
from evalkit.errors import MissingExtraError
from evalkit.panel.projection import Projection, project
from evalkit.panel.sites import Cameras
from evalkit.panel.zones.around import Near

__all__ = ["STEP_DEGREES", "in_metres", "near_cameras", "shapely_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Shapes = NDArray[np.object_]

STEP_DEGREES: Final = 0.002
"""Longest piece of a border that is drawn straight in metres. A border is straight in degrees; over
200 m the two differ by 1 mm times the tangent of the latitude."""


def shapely_of(kind: str) -> ModuleType:
    """The library of shapes.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import shapely
    except ImportError:
        raise MissingExtraError(
            f"shapely is not installed, and units of kind {kind} need it",
            limit=f"the extra `{kind}s`",
            way_out=f"pip install 'evalkit[{kind}s]'",
        ) from None
    module: ModuleType = shapely
    return module


def in_metres(outlines: Shapes, projection: Projection, kind: str) -> Shapes:
    """(U,) the same shapes in metres from the city's centre; borders bend as they do on the ground."""
    shapely = shapely_of(kind)

    def moved(degrees: Floats) -> Floats:
        return np.column_stack(project(projection, degrees[:, 0], degrees[:, 1]))

    shapes: Shapes = shapely.transform(shapely.segmentize(outlines, STEP_DEGREES), moved)
    return shapes


def near_cameras(
    outlines: Shapes,
    cameras: Cameras,
    place_of_camera: Integers,
    units: Units,
    projection: Projection,
) -> Near:
    """Cameras outside a place and at most ``ring_m`` from it, included; none if the study has no ring.

    Args:
        outlines: (U,) in degrees.
        cameras: M cameras with coordinates.
        place_of_camera: (M,) place of each.
        units: of the study.
        projection: of the city.
    """
    nothing = np.empty(0, dtype=np.int64)
    if not units.rings_m or not len(outlines):
        return Near(nothing, nothing)
    shapely = shapely_of(units.kind)
    # Cameras hang together: one question for every distinct place.
    spots, spot = np.unique(cameras.xy, axis=0, return_inverse=True)
    tree = shapely.STRtree(in_metres(outlines, projection, units.kind))
    pairs = tree.query(shapely.points(spots), predicate="dwithin", distance=units.reach_m)
    order = np.lexsort((pairs[1], pairs[0]))
    at, place = pairs[0][order], pairs[1][order].astype(np.int64)
    # Every camera of a spot takes the spot's places.
    start = np.searchsorted(at, np.arange(len(spots) + 1))
    spot = spot.reshape(-1)
    many = (start[1:] - start[:-1])[spot]
    camera = np.repeat(np.arange(len(spot), dtype=np.int64), many)
    within = np.arange(len(camera)) - np.repeat(np.cumsum(many) - many, many)
    found = place[start[spot][camera] + within]
    outside = place_of_camera[camera] != found
    return Near(found[outside], camera[outside])
