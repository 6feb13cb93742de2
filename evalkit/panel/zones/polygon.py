"""Polygons that the city draws: beats, wards, census tracts.

A point belongs to the polygon that contains it; on a border, or where polygons overlap, to the first
in the order of the file whose inside or border holds it. A border is straight in degrees, as GeoJSON
has it (RFC 7946, section 3.1.1), and is decided there, on the coordinates that the source gives.

Polygons of one name are one unit. As for square cells, a name is a unit if an incident of the window
(of any crime type the site maps) or a camera lies in it. It is treated by the first camera inside. A
unit without a camera, but with one at most ``ring_m`` metres from it, is a ring and takes the cohort
of the first such camera. ``ring_m`` equal to ``radius_m`` means no ring.

Vocabulary
    tree   a ``shapely.STRtree`` of the pieces; shapely has no type hints.
    piece  a row of the geometry file, a polygon of one or several parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.study import Units
from evalkit.panel.geometry import in_metres, near_cameras, shapely_of
from evalkit.panel.mosaic import NOBODY, OPEN, Boxes, Mosaic, build_mosaic, depth_for, sides_m
from evalkit.panel.projection import Projection, is_located
from evalkit.panel.sites import Cameras
from evalkit.panel.zones.around import Near, zoning_around
from evalkit.panel.zones.keys import Keys
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, Zoning

__all__ = ["Polygons", "polygon_keys", "polygon_zones", "polygons_of"]

Bounds = tuple[float, float, float, float]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Shapes = NDArray[np.object_]

KIND: Final = "polygon"

MARGIN_DEGREES: Final = 1e-6
"""By which the box is widened: 0.1 m, so that a point on its edge is inside."""

POINTS_A_CELL: Final = 100
"""Points for every cell of the finest level. A cell on a border costs some 20 µs to judge at all levels, a
point in it 0.5 µs; with borders spread evenly the two add up to the least at a fixed number of points
a cell. Measured on 1,500 polygons of 97 corners: least between 66 and 150, from 1 to 10 M points."""

LEAST_EDGE_M: Final = 5.0
"""Smallest edge of a cell in metres."""

BLOCK_BOXES: Final = 1 << 16
"""Rectangles that are made into shapes at once: some tens of megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """P pieces of V names, and the look-up table of a box of the map.

    Attributes:
        names: (V,) ascending.
        outlines: (P,) polygons in degrees, in the order of the files.
        name: (P,) position of each piece's name.
        mosaic: of pieces.
        start: (cells + 1,) of an open cell, where its list starts in ``candidates``.
        candidates: pieces that reach into a cell, in their order, up to one that covers it.
    """

    names: tuple[str, ...]
    outlines: Shapes
    name: Integers
    mosaic: Mosaic
    start: NDArray[np.int32]
    candidates: NDArray[np.int32]

    def of(self, longitude: Floats, latitude: Floats) -> Integers:
        """(N,) position of the name that holds each point of the box, `NOBODY` in none."""
        cell = self.mosaic.cells(longitude, latitude)
        piece = self.mosaic.table.take(cell).astype(np.int64)
        open_ = np.flatnonzero(piece == OPEN)
        piece[open_] = self._asked(longitude[open_], latitude[open_], cell[open_])
        name = self.name.take(piece)  # a piece of −1 takes the last, which is put right below
        name[piece == NOBODY] = NOBODY
        return name

    def _asked(self, longitude: Floats, latitude: Floats, cell: Integers) -> Integers:
        """(N,) piece of points in open cells, candidate by candidate."""
        shapely = shapely_of(KIND)
        found = np.full(len(cell), NOBODY, dtype=np.int64)
        at, end = self.start.take(cell), self.start.take(cell + 1)
        left = np.flatnonzero(at < end)
        while len(left):
            piece = self.candidates.take(at[left])
            held = shapely.intersects_xy(self.outlines.take(piece), longitude[left], latitude[left])
            found[left[held]] = piece[held]
            at[left] += 1
            left = left[~held & (at[left] < end[left])]
        return found


def polygons_of(areas: pl.DataFrame, bounds: Bounds, points: int) -> Polygons:
    """Build the look-up table.

    Args:
        areas: keeps the contract `evalkit.core.frames.AREAS`, one row or more.
        bounds: west, south, east, north of the city in degrees; no point outside will be asked.
        points: about how many will be asked, which decides how fine the table is.

    Raises:
        MissingExtraError: shapely is not installed.
    """
    shapely = shapely_of(KIND)
    names = areas["name"].unique().sort()
    outlines: Shapes = shapely.from_wkb(areas["geometry"].to_numpy())
    shapely.prepare(outlines)
    # Warmed up by one thread: a prepared shape builds its index when it is first asked.
    shapely.intersects_xy(outlines, *shapely.get_coordinates(shapely.point_on_surface(outlines)).T)
    name = areas["name"].replace_strict(names, pl.Series(range(len(names))), return_dtype=pl.Int64)
    box = _box(shapely.total_bounds(outlines), bounds)
    tree = shapely.STRtree(outlines)

    def judge(boxes: Boxes) -> Integers:
        return np.concatenate(
            [np.empty(0, dtype=np.int64), *(_judged(tree, block) for block in _blocks(boxes))]
        )

    mosaic = build_mosaic(box, depth_for(box, _edge(box, points)), judge)
    start, candidates = _lists(tree, mosaic)
    return Polygons(
        tuple(names.to_list()), outlines, name.to_numpy().copy(), mosaic, start, candidates
    )


def polygon_zones(
    incidents: Incidents, cameras: Cameras, units: Units, areas: pl.DataFrame
) -> Zoning:
    """Assign incidents to polygons, sorted by name.

    Raises:
        MissingExtraError: shapely is not installed.
    """
    located = np.flatnonzero(is_located(incidents.xy))
    cameras = cameras.take(cameras.located)
    polygons = polygons_of(areas, incidents.bounds, len(located))
    here = polygons.of(*_columns(incidents.in_degrees[located]))
    of_camera = polygons.of(*_columns(cameras.in_degrees(incidents.projection)))
    met = np.unique(np.concatenate([here, of_camera]))
    met = met[met != NOBODY]
    number = np.full(len(polygons.names) + 1, OUTSIDE, dtype=np.int64)  # the last stands for nobody
    number[met] = np.arange(len(met))
    unit = np.full(len(incidents.xy), OUTSIDE, dtype=np.int64)
    unit[located] = number[here]
    place_of_camera = number[of_camera]
    pieces = np.flatnonzero(number[polygons.name] != OUTSIDE)
    owner = number[polygons.name[pieces]]
    outlines = polygons.outlines[pieces]
    return zoning_around(
        unit,
        tuple(polygons.names[one] for one in met.tolist()),
        _middles(outlines, owner, len(met), incidents.projection),
        cameras,
        place_of_camera,
        _near(outlines, owner, cameras, place_of_camera, units, incidents.projection),
        {
            "polygons": len(polygons.outlines),
            "polygons without incident or camera": len(polygons.names) - len(met),
            "cameras outside every polygon": int((of_camera == NOBODY).sum()),
        },
    )


def polygon_keys(areas: pl.DataFrame, bounds: Bounds, points: int) -> Keys:
    """Keys: one for every name, and one for no polygon.

    Raises:
        MissingExtraError: shapely is not installed.
    """
    polygons = polygons_of(areas, bounds, points)
    nobody = len(polygons.names)

    def keys_of(longitude: Floats, latitude: Floats) -> Integers:
        key = polygons.of(longitude, latitude)
        key[key == NOBODY] = nobody
        return key

    return Keys(nobody + 1, keys_of, in_degrees=True)


def _columns(degrees: Floats) -> tuple[Floats, Floats]:
    return degrees[:, 0].copy(), degrees[:, 1].copy()


def _box(reach: Floats, bounds: Bounds) -> Bounds:
    """What of the polygons lies in the city's bounds; a point of it if nothing does."""
    west, south = (max(float(reach[axis]), bounds[axis]) for axis in (0, 1))
    east, north = (min(float(reach[axis]), bounds[axis]) for axis in (2, 3))
    more = MARGIN_DEGREES
    return west - more, south - more, max(east, west) + more, max(north, south) + more


def _edge(box: Bounds, points: int) -> float:
    width, height = sides_m(box)
    return max(float((POINTS_A_CELL * width * height / max(points, 1)) ** 0.5), LEAST_EDGE_M)


def _blocks(boxes: Boxes) -> list[Boxes]:
    starts = range(0, len(boxes.west), BLOCK_BOXES)
    return [
        Boxes(*(side[start : start + BLOCK_BOXES] for side in _sides(boxes))) for start in starts
    ]


def _sides(boxes: Boxes) -> tuple[Floats, Floats, Floats, Floats]:
    return boxes.west, boxes.south, boxes.east, boxes.north


def _pairs(tree: Any, boxes: Boxes) -> tuple[Integers, Integers, NDArray[np.bool_]]:
    """(K,) box and (K,) piece that have a point in common, in this order; (K,) whether it is all of the box."""
    shapely = shapely_of(KIND)
    shapes = shapely.box(*_sides(boxes))
    box, piece = tree.query(shapes)
    outlines = tree.geometries.take(piece)
    meets = np.flatnonzero(shapely.intersects(outlines, shapes.take(box)))
    order = meets[np.lexsort((piece[meets], box[meets]))]
    box, piece, outlines = box[order], piece[order], outlines[order]
    return box, piece, shapely.contains_properly(outlines, shapes.take(box))


def _judged(tree: Any, boxes: Boxes) -> Integers:
    box, piece, whole = _pairs(tree, boxes)
    answer = np.full(len(boxes.west), NOBODY, dtype=np.int64)
    met, first = np.unique(box, return_index=True)
    answer[met] = np.where(whole[first], piece[first], OPEN)
    return answer


def _lists(tree: Any, mosaic: Mosaic) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Candidates of the open cells."""
    cells = np.flatnonzero(mosaic.table == OPEN)
    count = np.zeros(len(mosaic.table) + 1, dtype=np.int32)
    lists = [np.empty(0, dtype=np.int32)]
    for start in range(0, len(cells), BLOCK_BOXES):
        block = cells[start : start + BLOCK_BOXES]
        box, piece, whole = _pairs(tree, mosaic.boxes(block))
        # Up to the first that covers the cell: none before it in the same list does.
        before: Integers = np.cumsum(whole) - whole
        first = np.searchsorted(box, box)
        kept = np.flatnonzero(before == before[first])
        lists.append(piece[kept].astype(np.int32))
        count[block + 1] = np.bincount(box[kept], minlength=len(block))
    return np.cumsum(count, dtype=np.int32), np.concatenate(lists)


def _near(
    outlines: Shapes,
    owner: Integers,
    cameras: Cameras,
    place_of_camera: Integers,
    units: Units,
    projection: Projection,
) -> Near:
    """Cameras around the units, each pair once whatever number of pieces a unit has."""
    nowhere = np.full(len(place_of_camera), OUTSIDE, dtype=np.int64)
    pairs = near_cameras(outlines, cameras, nowhere, units, projection)
    unit = owner[pairs.place]
    outside = place_of_camera[pairs.camera] != unit
    both = np.column_stack([unit[outside], pairs.camera[outside]])
    distinct = np.unique(both, axis=0)
    return Near(distinct[:, 0], distinct[:, 1])


def _middles(outlines: Shapes, owner: Integers, units: int, projection: Projection) -> Floats:
    """(U, 2) centre of gravity of each unit in metres, for the map."""
    shapely = shapely_of(KIND)
    shapes = in_metres(outlines, projection, KIND)
    area, centre = shapely.area(shapes), shapely.get_coordinates(shapely.centroid(shapes))
    total = np.bincount(owner, weights=area, minlength=units)
    sums = [np.bincount(owner, weights=area * centre[:, axis], minlength=units) for axis in (0, 1)]
    middles: Floats = np.column_stack(sums) / total[:, None]
    return middles
