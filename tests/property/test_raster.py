"""The raster against the k-d tree: the same camera and zone for every point, ties included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evalkit.panel import raster as module
from evalkit.panel.nearest import NOBODY, nearest
from evalkit.panel.raster import assign, build_raster, cell_for
from tests.panel_frames import metres

Array = np.ndarray[Any, np.dtype[Any]]
Point = tuple[float, float]

# Whole metres, so that equal distances and distances equal to a radius are common and exact; and
# any floating-point number, where nothing is exact.
whole = st.tuples(st.integers(-60, 60), st.integers(-60, 60))
real = st.tuples(*[st.floats(-2000, 2000, allow_nan=False)] * 2)
some_points = st.lists(whole, max_size=40) | st.lists(real, max_size=40)
some_cameras = st.lists(whole, max_size=12) | st.lists(real, max_size=30)
# Mostly hypotenuses of whole numbers.
radii = st.sampled_from([(5,), (5, 10), (10, 13), (13, 25, 50), (1, 2, 3), (100, 200), (50, 1e6)])
sizes = st.sampled_from([0.7, 1.0, 4.0, 10.0, 25.0, 300.0])


@pytest.fixture(scope="module", autouse=True)
def small_rasters() -> Iterator[None]:
    """Four million cells for a dozen points would make every example slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_CELLS", 20_000)
        yield


def by_tree(points: Array, cameras: Array, limits: tuple[float, ...]) -> tuple[Array, Array]:
    """What the k-d tree says: row of the camera, and the first radius that includes it."""
    camera, squared = nearest(points, cameras, limits[-1])
    zone = np.full(len(points), NOBODY)
    for position, limit in reversed(list(enumerate(limits))):
        zone[squared <= limit**2] = position
    return camera, zone


def agree(points: Array, cameras: Array, limits: tuple[float, ...], size: float) -> None:
    raster = build_raster(cameras, limits, size=size)
    camera, zone = assign(raster, points[:, 0], points[:, 1])
    expected_camera, expected_zone = by_tree(points, cameras, limits)
    assert camera.tolist() == expected_camera.tolist()
    assert zone.tolist() == expected_zone.tolist()


@given(some_points, some_cameras, radii, sizes)
@example(
    [(0, 0), (3, 4), (-3, -4)], [(3, 4), (-3, -4), (3, 4)], (5,), 1.0
)  # three at 5 m, two equal
@example([(0, 0)], [], (5,), 1.0)
@example([], [(0, 0)], (5,), 1.0)
def test_raster_is_the_tree(
    where: list[Point], among: list[Point], limits: tuple[float, ...], size: float
) -> None:
    agree(metres(where), metres(among), limits, size)


@given(st.lists(whole, min_size=1, max_size=8), st.integers(0, 7), sizes)
def test_points_on_circles(among: list[Point], which: int, size: float) -> None:
    """Every whole point on the circles of 5, 25 and 65 m about a camera, and one step off it."""
    centre = np.array(among[which % len(among)], dtype=np.float64)
    on = [
        (x, y)
        for radius in (5, 25, 65)
        for x in range(-radius, radius + 1)
        for y in range(-radius, radius + 1)
        if x * x + y * y == radius * radius
    ]
    circles = metres(on) + centre
    points = np.concatenate(
        [circles, np.nextafter(circles, np.inf), np.nextafter(circles, -np.inf)]
    )
    agree(points, metres(among), (5.0, 25.0, 65.0), size)


@given(st.lists(whole, min_size=2, max_size=10, unique=True), sizes)
def test_equidistant_cameras(among: list[Point], size: float) -> None:
    """Midpoints of all pairs of cameras, where a tie decides, and one step off them."""
    cameras = metres(among)
    middle = ((cameras[:, None] + cameras[None]) / 2).reshape(-1, 2)
    points = np.concatenate([middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)])
    agree(points, cameras, (20.0, 200.0), size)
    agree(points, cameras[::-1].copy(), (20.0, 200.0), size)


@given(st.lists(whole, min_size=1, max_size=6), st.sampled_from([4.0, 10.0]))
def test_cameras_and_points_on_the_borders_of_cells(among: list[Point], size: float) -> None:
    raster = build_raster(metres(among) * size, (2 * size, 3 * size), size=size)
    borders_x = raster.x + raster.size * np.arange(raster.columns)
    borders_y = raster.y + raster.size * np.arange(raster.rows)
    points = np.array([(x, y) for x in borders_x[:40] for y in borders_y[:40]])
    agree(points, metres(among) * size, (2 * size, 3 * size), size)


@given(some_points, st.lists(whole, min_size=1, max_size=12), st.data())
def test_owners(where: list[Point], among: list[Point], data: st.DataObject) -> None:
    owner = np.array(
        data.draw(st.lists(st.integers(0, 3), min_size=len(among), max_size=len(among)))
    )
    points, cameras = metres(where), metres(among)
    found, zone = assign(
        build_raster(cameras, (10.0, 20.0), owner=owner, size=3.0), points[:, 0], points[:, 1]
    )
    camera, expected = by_tree(points, cameras, (10.0, 20.0))
    assert found.tolist() == np.where(camera == NOBODY, NOBODY, owner[camera]).tolist()
    assert zone.tolist() == expected.tolist()


@pytest.mark.parametrize("spread", [50.0, 3000.0])
def test_a_dense_city(spread: float) -> None:
    """Many cameras in many blocks, most cells with several candidates."""
    generator = np.random.default_rng(20_240_501)
    cameras = generator.normal(scale=spread, size=(1500, 2))
    cameras[700:800] = cameras[:100]
    agree(generator.normal(scale=1.5 * spread, size=(20_000, 2)), cameras, (100.0, 200.0), 33.0)


def test_far_apart_cameras_get_larger_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 5000)
    generator = np.random.default_rng(7)
    cameras = generator.uniform(-50_000, 50_000, size=(60, 2))
    raster = build_raster(cameras, (100.0, 2000.0), size=25.0)
    assert raster.size > 25.0
    assert len(raster.table) <= 5000
    agree(generator.uniform(-55_000, 55_000, (5000, 2)), cameras, (100.0, 2000.0), 25.0)


def test_a_huge_reach_gets_larger_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 20_000)
    generator = np.random.default_rng(8)
    cameras = generator.uniform(-1000, 1000, size=(40, 2))
    assert build_raster(cameras, (100.0, 5000.0), size=25.0).size > 25.0
    agree(generator.uniform(-8000, 8000, (3000, 2)), cameras, (100.0, 5000.0), 25.0)


def test_nowhere_belongs_to_nobody() -> None:
    raster = build_raster(metres([(0, 0)]), (5.0,))
    gone = np.array([np.nan, 0.0, np.inf, -np.inf, 1e300])
    camera, zone = assign(raster, gone, np.zeros(5))
    assert camera.tolist() == [NOBODY, 0, NOBODY, NOBODY, NOBODY]
    assert zone.tolist() == [NOBODY, 0, NOBODY, NOBODY, NOBODY]


def test_more_points_deserve_smaller_cells() -> None:
    sizes_ = [cell_for(points) for points in (0, 1_000_000, 10_000_000)]
    assert sizes_ == sorted(sizes_, reverse=True)
    assert len(set(sizes_)) == 3
