"""Hexagons of the H3 grid (Brodsky 2018, *H3: Uber's hexagonal hierarchical spatial index*; h3geo.org).

The same rules as for square cells: a hexagon is a unit if an incident of the window (of any crime
type the site maps) or a camera lies in it. It is treated by the first camera inside. A hexagon
without a camera, but with one at most ``ring_m`` from its edge, is a ring and takes the cohort of
the first such camera. ``ring_m`` equal to ``radius_m`` means no ring.

Which hexagon a point lies in is H3's own answer, from the degrees that the source gives. A mosaic of
rectangles saves the question where a rectangle lies wholly in one hexagon.

The mean edge of a hexagon is 9,854 m at resolution 5, then 3,725, 1,406, 531, 201 (resolution 9, the
default), 76, 29 and 11 m at resolution 12; H3's own table.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.study import Units
from evalkit.errors import MissingExtraError
from evalkit.panel.geometry import near_cameras, shapely_of
from evalkit.panel.mosaic import OPEN, Boxes, Mosaic, build_mosaic, depth_for
from evalkit.panel.projection import Projection, is_located, project
from evalkit.panel.sites import Cameras
from evalkit.panel.zones.around import zoning_around
from evalkit.panel.zones.keys import Extent, Keys
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, Zoning

__all__ = ["EDGES_M", "Hexagons", "hexagon_keys", "hexagon_zones", "hexagons_of"]

Bounds = tuple[float, float, float, float]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

EDGES_M: Final = {
    5: 9854.1,
    6: 3724.5,
    7: 1406.5,
    8: 531.4,
    9: 200.8,
    10: 75.9,
    11: 28.7,
    12: 10.8,
}
"""Mean edge of a hexagon by resolution, metres: H3's ``average_hexagon_edge_length``."""

CLEAR: Final = 1e-3
"""Share of an edge by which a rectangle must stay clear of a hexagon's border, beside `_bend`."""

RADIUS_M: Final = 6_371_007.2
"""Radius of H3's sphere."""

SAFE_LATITUDE: Final = 80.0
"""Degrees beyond which no rectangle is taken for certain."""

WORTH: Final = 4
"""Rectangles must be so many times smaller than an edge, or nearly all would be open."""

POINTS_A_CELL: Final = 8
"""Points for every rectangle of the finest level, below which building costs more than it saves."""

BEYOND: Final = 3.0
"""Edges by which the box is widened so that every hexagon that meets it has its centre inside."""

SIDE_POINTS: Final = 256
"""Points on each side of the widened box: a side is a parallel, and H3 joins points by great circles."""

MAX_HEXAGONS: Final = 10_000_000
"""Most hexagons that are numbered beforehand, 80 MB; a city 60 km wide holds as many at resolution 12."""

SIX: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Hexagons:
    """The H hexagons that a box meets.

    Attributes:
        resolution: of H3.
        ids: (H,) H3 indexes, ascending.
        mosaic: of their positions; None if it is not worth its price.
    """

    resolution: int
    ids: Integers
    mosaic: Mosaic | None

    def of(self, longitude: Floats, latitude: Floats) -> Integers:
        """(N,) position of the hexagon of each point of the box, degrees."""
        if self.mosaic is None:
            return self._asked(longitude, latitude)
        found = self.mosaic.table.take(self.mosaic.cells(longitude, latitude)).astype(np.int64)
        left = np.flatnonzero(found < 0)
        found[left] = self._asked(longitude[left], latitude[left])
        return found

    def _asked(self, longitude: Floats, latitude: Floats) -> Integers:
        found = _h3(longitude, latitude, self.resolution)
        position: Integers = np.searchsorted(self.ids, found)
        return position


def hexagons_of(bounds: Bounds, resolution: int, points: int) -> Hexagons | None:
    """The hexagons that a box meets, for about ``points`` look-ups; None if they cannot be numbered.

    They cannot if they are too many, or if the box lies at a pole or at the meridian of 180°.

    Args:
        bounds: west, south, east, north in degrees.
        resolution: of H3, 5 to 12.
        points: decides whether and how fine a mosaic is worth its price.

    Raises:
        MissingExtraError: polars-h3 is not installed.
    """
    wider = _widened(bounds, resolution)
    if not (wider[0] > -180 and wider[2] < 180 and wider[1] > -89 and wider[3] < 89):
        return None
    ids = _covering(wider, resolution)
    if len(ids) > MAX_HEXAGONS:
        return None
    return Hexagons(resolution, ids, _mosaic(bounds, resolution, points, ids))


def hexagon_zones(incidents: Incidents, cameras: Cameras, units: Units) -> Zoning:
    """Assign incidents to hexagons, sorted by H3 index.

    Raises:
        MissingExtraError: polars-h3 or shapely is not installed.
    """
    resolution = units.hexagon_resolution
    located = np.flatnonzero(is_located(incidents.xy))
    cameras = cameras.take(cameras.located)
    places = np.concatenate(
        [incidents.in_degrees[located], cameras.in_degrees(incidents.projection)]
    )
    found = _ids_of(places, incidents.bounds, resolution)
    ids, place = np.unique(found, return_inverse=True)
    place = place.reshape(-1).astype(np.int64)
    unit = np.full(len(incidents.xy), OUTSIDE, dtype=np.int64)
    unit[located] = place[: len(located)]
    place_of_camera = place[len(located) :]
    return zoning_around(
        unit,
        tuple(f"hexagon:{one:x}" for one in ids.tolist()),
        _centres(ids, incidents.projection),
        cameras,
        place_of_camera,
        near_cameras(_outlines(ids), cameras, place_of_camera, units, incidents.projection),
        {},
    )


def hexagon_keys(cameras: Cameras, units: Units, extent: Extent, points: int) -> Keys | None:  # noqa: ARG001 (all kinds share one signature)
    """Keys: one for every hexagon that the city's bounds meet; None if there are too many.

    Raises:
        MissingExtraError: polars-h3 is not installed.
    """
    hexagons = hexagons_of(extent.bounds, units.hexagon_resolution, points)
    if hexagons is None:
        return None
    return Keys(len(hexagons.ids), hexagons.of, in_degrees=True)


def _ids_of(places: Floats, bounds: Bounds, resolution: int) -> Integers:
    longitude, latitude = places[:, 0].copy(), places[:, 1].copy()
    hexagons = hexagons_of(bounds, resolution, len(places))
    if hexagons is None:
        return _h3(longitude, latitude, resolution)
    return hexagons.ids[hexagons.of(longitude, latitude)]


def _widened(bounds: Bounds, resolution: int) -> Bounds:
    """A box in which the centres of all hexagons lie that meet ``bounds``."""
    west, south, east, north = bounds
    high = BEYOND * EDGES_M[resolution] / 110_000.0
    steepest = min(max(abs(south), abs(north)) + high, 89.0)
    wide = high / float(np.cos(np.radians(steepest)))
    return west - wide, south - high, east + wide, north + high


def _covering(wider: Bounds, resolution: int) -> Integers:
    """Every hexagon whose centre lies in a box, ascending."""
    west, south, east, north = wider
    along, up = np.linspace(west, east, SIDE_POINTS), np.linspace(south, north, SIDE_POINTS)
    outline = np.concatenate(
        [
            np.column_stack([along, np.full(SIDE_POINTS, south)]),
            np.column_stack([np.full(SIDE_POINTS, east), up]),
            np.column_stack([along[::-1], np.full(SIDE_POINTS, north)]),
            np.column_stack([np.full(SIDE_POINTS, west), up[::-1]]),
        ]
    )
    text = ", ".join(f"{x!r} {y!r}" for x, y in outline.tolist())
    wkt = pl.Series([f"POLYGON (({text}))"])
    cells = wkt.to_frame("wkt").select(_library().polygon_wkt_to_cells("wkt", resolution))
    found: Integers = (
        cells.to_series().explode().drop_nulls().cast(pl.Int64).unique().sort().to_numpy()
    )
    return found


def _mosaic(bounds: Bounds, resolution: int, points: int, ids: Integers) -> Mosaic | None:
    edge = EDGES_M[resolution]
    cells = max(points // POINTS_A_CELL, 1)
    area = len(ids) * edge**2 * 2.6  # of a hexagon: 3/2·√3·edge²
    size = max((area / cells) ** 0.5, edge / 32)
    if size > edge / WORTH or max(abs(bounds[1]), abs(bounds[3])) > SAFE_LATITUDE:
        return None
    depth = depth_for(bounds, size)
    latitude = float(np.radians((bounds[1] + bounds[3]) / 2))
    return build_mosaic(bounds, depth, _Judge(resolution, ids, latitude), beyond=OPEN)


class _Judge:
    """Whether a rectangle lies wholly in the hexagon of its centre: far enough from its six edges."""

    def __init__(self, resolution: int, ids: Integers, latitude: float) -> None:
        self._resolution, self._ids = resolution, ids
        self._narrow = float(np.cos(latitude))
        corners, whole = _corners(ids)
        corners[:, :, 0] *= self._narrow
        following = np.roll(corners, -1, axis=1)
        along = following - corners
        length = np.sqrt((along**2).sum(axis=2))
        centre = corners.mean(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            normal = np.stack([-along[:, :, 1], along[:, :, 0]], axis=2) / length[:, :, None]
        inward = np.sign((normal * (centre - corners)).sum(axis=2))
        self._normal = normal * inward[:, :, None]
        # A point p is inside by n·p − offset, and must be so by more than the slack.
        clear = CLEAR + _bend(resolution, latitude)
        self._offset = (self._normal * corners).sum(axis=2) + clear * length
        self._offset[~whole] = np.inf

    def __call__(self, boxes: Boxes) -> Integers:
        longitude, latitude = (boxes.west + boxes.east) / 2, (boxes.south + boxes.north) / 2
        position = np.searchsorted(self._ids, _h3(longitude, latitude, self._resolution))
        known = position < len(self._ids)
        position[~known] = 0
        x, y = longitude * self._narrow, latitude
        half = np.hypot((boxes.east - boxes.west) * self._narrow, boxes.north - boxes.south) / 2
        clear = known
        for side in range(SIX):
            normal = self._normal[position, side]
            inside = normal[:, 0] * x + normal[:, 1] * y - self._offset[position, side]
            clear &= inside >= half
        return np.where(clear, position, OPEN)


def _bend(resolution: int, latitude: float) -> float:
    """Share of an edge by which it may bend in degrees, four times what it is for a mean edge.

    A great circle's sagitta there is edge²/8R·tan latitude.
    """
    return float(EDGES_M[resolution] / RADIUS_M * np.tan(abs(latitude)) / 2)


def _corners(ids: Integers) -> tuple[Floats, NDArray[np.bool_]]:
    """(H, 6, 2) longitude and latitude of corners; (H,) whether the outline is a hexagon.

    Where H3's icosahedron has an edge or a corner, an outline has five or up to ten points.
    """
    outline = _outline_series(ids)
    whole = (outline.list.len() == SIX).to_numpy()
    corners = np.full((len(ids), SIX, 2), np.nan)
    flat = outline.filter(pl.Series(whole)).explode().explode().to_numpy()
    corners[whole] = flat.reshape(-1, SIX, 2)[:, :, ::-1]
    return corners, whole


def _outlines(ids: Integers) -> NDArray[np.object_]:
    """(H,) polygons in degrees."""
    shapely = shapely_of("hexagon")
    outline = _outline_series(ids)
    points = outline.explode().explode().to_numpy().reshape(-1, 2)[:, ::-1]
    owner = np.repeat(np.arange(len(ids)), outline.list.len().to_numpy())
    rings = shapely.linearrings(points, indices=owner)
    outlines: NDArray[np.object_] = shapely.polygons(rings)
    return outlines


def _outline_series(ids: Integers) -> pl.Series:
    frame = pl.Series("cell", ids).cast(pl.UInt64).to_frame()
    return frame.select(_library().cell_to_boundary("cell")).to_series()


def _centres(ids: Integers, projection: Projection) -> Floats:
    library = _library()
    frame = pl.Series("cell", ids).cast(pl.UInt64).to_frame()
    degrees = frame.select(
        longitude=library.cell_to_lng("cell"), latitude=library.cell_to_lat("cell")
    )
    return np.column_stack(
        project(projection, degrees["longitude"].to_numpy(), degrees["latitude"].to_numpy())
    )


def _h3(longitude: Floats, latitude: Floats, resolution: int) -> Integers:
    """(N,) H3 index of each point. Its highest bit is zero, so that it fits a signed number."""
    frame = pl.DataFrame({"latitude": latitude, "longitude": longitude})
    cell = _library().latlng_to_cell("latitude", "longitude", resolution, return_dtype=pl.UInt64)
    found: Integers = frame.select(cell).to_series().cast(pl.Int64).to_numpy()
    return found


def _library() -> ModuleType:
    try:
        import polars_h3
    except ImportError:
        raise MissingExtraError(
            "polars-h3 is not installed, and the study's units are hexagons",
            limit="the extra `hexagons`",
            way_out="pip install 'evalkit[hexagons]'",
        ) from None
    module: ModuleType = polars_h3
    return module
