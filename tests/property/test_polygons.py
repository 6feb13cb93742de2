"""Which polygon holds a point: the table against a tree of the same shapes, to the last point.

Corners are whole numbers of a small lattice, so that points on borders and corners are common and exact.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from evalkit.panel import mosaic as mosaic_module
from evalkit.panel.mosaic import NOBODY, OPEN
from evalkit.panel.zones import polygon as module
from evalkit.panel.zones.polygon import polygons_of
from evalkit.panel.zones.zoning import OUTSIDE

STEP = 0.001
BOUNDS = (-0.02, -0.02, 0.05, 0.05)

coordinate = st.integers(0, 12)
corner = st.tuples(coordinate, coordinate)


def square(draw: st.DrawFn) -> shapely.Geometry:
    x, y = draw(corner)
    return shapely.box(x, y, x + draw(st.integers(1, 6)), y + draw(st.integers(1, 6)))


def triangle(draw: st.DrawFn) -> shapely.Geometry:
    return shapely.Polygon(draw(st.lists(corner, min_size=3, max_size=3)))


def with_hole(draw: st.DrawFn) -> shapely.Geometry:
    x, y = draw(corner)
    outer = shapely.box(x, y, x + 6, y + 6)
    return outer.difference(shapely.box(x + 1, y + 1, x + draw(st.integers(2, 5)), y + 4))


def of_two_parts(draw: st.DrawFn) -> shapely.Geometry:
    x, y = draw(corner)
    return shapely.union(shapely.box(x, y, x + 2, y + 2), shapely.box(x + 3, y, x + 5, y + 3))


@st.composite
def maps(draw: st.DrawFn) -> pl.DataFrame:
    """One to six polygons that may touch, overlap or repeat a name."""
    kinds = (square, triangle, with_hole, of_two_parts)
    shapes = []
    for _ in range(draw(st.integers(1, 6))):
        shape = draw(st.sampled_from(kinds))(draw)
        if shape.area > 0:
            shapes.append(shape)
    shapes = shapes or [shapely.box(0, 0, 2, 2)]
    names = draw(st.lists(st.sampled_from("abcd"), min_size=len(shapes), max_size=len(shapes)))
    return as_areas(np.array(shapes, dtype=object), names)


def as_areas(shapes: np.ndarray, names: list[str]) -> pl.DataFrame:
    """Shapes of the lattice as a table of areas, in degrees."""
    scaled = shapely.transform(shapes, lambda xy: xy * STEP)
    return pl.DataFrame(
        {
            "file": pl.Series([0] * len(names), dtype=pl.UInt32),
            "row": pl.Series(range(1, len(names) + 1), dtype=pl.UInt64),
            "name": names,
            "geometry": pl.Series(shapely.to_wkb(scaled).tolist(), dtype=pl.Binary),
        }
    )


def by_tree(areas: pl.DataFrame, x: np.ndarray, y: np.ndarray) -> list[str | None]:
    """The first polygon in file order whose inside or border holds the point."""
    tree = shapely.STRtree(shapely.from_wkb(areas["geometry"].to_numpy()))
    point, piece = tree.query(shapely.points(x, y), predicate="intersects")
    first = np.full(len(x), len(areas))
    np.minimum.at(first, point, piece)
    return [None if one == len(areas) else areas["name"][int(one)] for one in first]


def agree(areas: pl.DataFrame, x: np.ndarray, y: np.ndarray, points: int) -> None:
    polygons = polygons_of(areas, BOUNDS, points)
    found = [None if one == NOBODY else polygons.names[one] for one in polygons.of(x, y).tolist()]
    assert found == by_tree(areas, x, y)


@given(
    maps(),
    st.lists(st.tuples(st.integers(-2, 40), st.integers(-2, 40)), max_size=60),
    st.sampled_from([1, 10_000, 1_000_000]),
)
def test_agrees_with_a_tree(areas: pl.DataFrame, where: list[tuple[int, int]], points: int) -> None:
    halves = np.array(where, dtype=np.float64).reshape(-1, 2) / 2
    agree(areas, halves[:, 0] * STEP, halves[:, 1] * STEP, points)


@given(maps(), st.integers(0, 2**32 - 1))
def test_agrees_on_random_points_borders_and_edges_of_cells(areas: pl.DataFrame, seed: int) -> None:
    generator = np.random.default_rng(seed)
    shapes = shapely.from_wkb(areas["geometry"].to_numpy())
    corners = shapely.get_coordinates(shapes)
    along = [
        one + (other - one) * share for one, other in pairwise(corners) for share in (0.25, 0.5)
    ]
    table = polygons_of(areas, BOUNDS, 100_000).mosaic
    boxes = table.boxes(generator.integers(0, len(table.table), 60))
    edges = np.column_stack([boxes.west, boxes.south])
    free = generator.uniform(BOUNDS[0], BOUNDS[2], (150, 2))
    everything = np.concatenate([corners, np.array(along).reshape(-1, 2), edges, free])
    agree(areas, everything[:, 0].copy(), everything[:, 1].copy(), 100_000)


def voronoi(seed: int, count: int) -> np.ndarray:
    """A partition of the lattice into cells that share their borders."""
    generator = np.random.default_rng(seed)
    seeds = shapely.multipoints(generator.uniform(0, 30, (count, 2)))
    return shapely.get_parts(shapely.voronoi_polygons(seeds, extend_to=shapely.box(0, 0, 30, 30)))


@pytest.mark.parametrize("points", [1000, 3_000_000])
def test_a_city_of_districts(points: int) -> None:
    shapes = voronoi(11, 300)
    areas = as_areas(shapes, [f"{number % 280:03}" for number in range(len(shapes))])
    generator = np.random.default_rng(12)
    free = generator.uniform(BOUNDS[0], BOUNDS[2], (20_000, 2))
    degrees = shapely.get_coordinates(shapely.from_wkb(areas["geometry"].to_numpy()))
    inside = (degrees >= BOUNDS[0]).all(axis=1) & (degrees <= BOUNDS[2]).all(axis=1)
    all_points = np.concatenate([free, degrees[inside]])
    agree(areas, all_points[:, 0].copy(), all_points[:, 1].copy(), points)
    polygons = polygons_of(areas, BOUNDS, points)
    certain = (polygons.mosaic.table != OPEN).mean()
    assert certain > (0.6 if points > 1000 else 0.0)


def test_several_threads_may_ask_at_once() -> None:
    shapes = voronoi(15, 200)
    areas = as_areas(shapes, [str(number) for number in range(len(shapes))])
    free = np.random.default_rng(16).uniform(BOUNDS[0], BOUNDS[2], (40_000, 2))
    polygons = polygons_of(areas, BOUNDS, 1000)
    blocks = np.split(free, 40)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: polygons.of(at[:, 0].copy(), at[:, 1].copy()), blocks))
    names = [None if one == NOBODY else polygons.names[one] for one in np.concatenate(found)]
    assert names == by_tree(areas, free[:, 0], free[:, 1])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosaic_module, "MAX_CELLS", 500)
    monkeypatch.setattr(module, "BLOCK_BOXES", 7)
    shapes = voronoi(13, 40)
    areas = as_areas(shapes, [str(number) for number in range(len(shapes))])
    assert len(polygons_of(areas, BOUNDS, 10_000_000).mosaic.table) <= 500
    free = np.random.default_rng(14).uniform(BOUNDS[0], BOUNDS[2], (3000, 2))
    agree(areas, free[:, 0].copy(), free[:, 1].copy(), 10_000_000)


def test_points_that_are_nowhere_belong_to_nobody() -> None:
    areas = as_areas(np.array([shapely.box(0, 0, 4, 4)], dtype=object), ["a"])
    polygons = polygons_of(areas, BOUNDS, 1_000_000)
    gone = np.array([np.nan, 0.001, 0.05, -0.02, np.inf])
    assert polygons.of(gone, np.full(5, 0.001)).tolist() == [NOBODY, 0, NOBODY, NOBODY, NOBODY]
    assert NOBODY == OUTSIDE
