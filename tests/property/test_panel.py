"""Assignment against a slow and obvious reference, and the laws a panel keeps.

Coordinates are whole metres on a small board, so that equal distances are common and exact.
"""

from __future__ import annotations

import datetime as dt
import math
from itertools import accumulate
from typing import Any

import numpy as np
import polars as pl
from hypothesis import assume, example, given
from hypothesis import strategies as st

from evalkit.core.study import Units
from evalkit.errors import PanelError
from evalkit.panel.nearest import NOBODY, nearest, pairs_within
from evalkit.panel.periods import as_days
from evalkit.panel.projection import city_projection
from evalkit.panel.sites import Cameras, merge_sites
from evalkit.panel.zones.catchment import LATTICE_GAP_M, catchment_zones
from evalkit.panel.zones.grid import grid_zones
from evalkit.panel.zones.squares import distinct
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, no_dates
from tests.panel_frames import (
    BOUNDS,
    adds_up,
    build,
    camera,
    camera_frame,
    incident,
    incident_frame,
    metres,
    study,
)

Point = tuple[int, int]

points = st.lists(st.tuples(st.integers(-25, 25), st.integers(-25, 25)), max_size=40)
cameras = st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=1, max_size=12)
# Mostly hypotenuses of whole numbers, so that distances equal to the limit are common.
limits = st.sampled_from([1, 2, 5, 5, 10, 10, 13, 15, 17, 20, 25, 50])
dates = st.none() | st.dates(dt.date(2019, 11, 1), dt.date(2020, 8, 31))


def squared(one: Point, other: Point) -> int:
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2


def slow_nearest(point: Point, among: list[Point], limit: int) -> int:
    """The first of the nearest cameras, by looking at all of them."""
    best = min(range(len(among)), key=lambda row: (squared(point, among[row]), row))
    return best if squared(point, among[best]) <= limit**2 else NOBODY


def slow_sites(among: list[Point], distance: int) -> list[int]:
    """Components by spreading, numbered by their first camera."""
    site = [-1] * len(among)
    for first in range(len(among)):
        if site[first] >= 0:
            continue
        waiting, number = [first], max(site) + 1
        while waiting:
            one = waiting.pop()
            site[one] = number
            waiting += [
                other
                for other in range(len(among))
                if site[other] < 0 and squared(among[one], among[other]) <= distance**2
            ]
    return site


def as_cameras(among: list[Point], live: list[dt.date | None]) -> Cameras:
    days = as_days(pl.Series(live, dtype=pl.Date).to_numpy())
    area = pl.Series([None] * len(among), dtype=pl.String)
    return Cameras(
        xy=metres(among),
        live=days,
        area=area,
        removed=no_dates(len(among)),
        count=np.ones(len(among), dtype=np.int64),
        attributes={},
        rows=np.arange(len(among)),
    )


def as_incidents(where: list[Point]) -> Incidents:
    area = pl.Series([None] * len(where), dtype=pl.String)
    return Incidents(metres(where), area, city_projection(BOUNDS), BOUNDS)


@given(points, cameras, limits)
def test_nearest_is_brute_force(where: list[Point], among: list[Point], limit: int) -> None:
    found, distance = nearest(metres(where), metres(among), float(limit))
    assert found.tolist() == [slow_nearest(point, among, limit) for point in where]
    for point, row, square in zip(where, found.tolist(), distance.tolist(), strict=True):
        assert square == (math.inf if row == NOBODY else squared(point, among[row]))


@given(points, cameras, limits)
@example([(0, 0)], [(3, 4), (-5, 0), (4, 4)], 5)
def test_pairs_are_brute_force(where: list[Point], among: list[Point], limit: int) -> None:
    pairs = [
        (int(one), int(other))
        for block in pairs_within(metres(where), metres(among), float(limit))
        for one, other in zip(block[0], block[1], strict=True)
    ]
    assert pairs == [
        (one, other)
        for one in range(len(where))
        for other in range(len(among))
        if squared(where[one], among[other]) <= limit**2
    ]


@given(cameras, limits)
def test_sites_are_components(among: list[Point], distance: int) -> None:
    assert merge_sites(metres(among), float(distance)).tolist() == slow_sites(among, distance)


@given(points)
def test_distinct_is_numpy_unique(where: list[Point]) -> None:
    squares = np.array(where, dtype=np.int64).reshape(-1, 2)
    found, position = distinct(squares)
    expected = sorted(set(where))
    assert [tuple(row) for row in found.tolist()] == expected
    assert position.tolist() == [expected.index(point) for point in where]


@given(
    points,
    cameras,
    st.integers(1, 12),
    st.integers(0, 12),
    st.lists(st.integers(1, 8), max_size=2),
    st.data(),
)
def test_catchments_are_brute_force(
    where: list[Point],
    among: list[Point],
    radius: int,
    width: int,
    more: list[int],
    data: st.DataObject,
) -> None:
    live = sorted(
        data.draw(st.lists(dates, min_size=len(among), max_size=len(among))),
        key=lambda day: day or dt.date.max,
    )
    radii = list(accumulate([radius + width, *more]))
    edges = [edge for edge in radii if edge > radius]
    ring = radii[-1]
    ring_m = tuple(map(float, edges)) if edges else float(radius)
    units = Units(kind="catchment", radius_m=float(radius), ring_m=ring_m)
    zoning = catchment_zones(as_incidents(where), as_cameras(among, live), units)
    site = slow_sites(among, radius)
    spacing = 2 * radius + LATTICE_GAP_M
    for point, unit in zip(where, zoning.unit.tolist(), strict=True):
        name = zoning.ids[unit] if unit != OUTSIDE else None
        row = slow_nearest(point, among, ring)
        if row != NOBODY:
            number = sum(squared(point, among[row]) > edge**2 for edge in (radius, *edges))
            kind = ("site", "ring", "ring2", "ring3")[number]
            assert name == f"{kind}:{site[row]:05d}"
            assert zoning.ring[unit] == number
            continue
        column, line = round(point[0] / spacing), round(point[1] / spacing)
        centre = (column * spacing, line * spacing)
        inside = math.dist(point, centre) <= radius
        clear = all(math.dist(centre, one) > radius + ring for one in among)
        assert name == (f"disc:{column}:{line}" if inside and clear else None)
    for number in range(max(site) + 1):
        days = [day for day, one in zip(live, site, strict=True) if one == number]
        first = zoning.first[number]
        if None in days:
            assert zoning.undated[number]
            assert np.isnat(first)
        else:
            assert first == np.datetime64(min(day for day in days if day is not None))
        others = [
            day
            for day, one, place in zip(live, site, among, strict=True)
            if one != number
            and day is not None
            and any(
                squared(place, mine) <= (radius + ring) ** 2
                for mine, own in zip(among, site, strict=True)
                if own == number
            )
        ]
        neighbour = zoning.neighbour[number]
        assert np.isnat(neighbour) if not others else neighbour == np.datetime64(min(others))


@given(points, cameras, st.integers(2, 15), st.integers(1, 20), st.data())
def test_grid_is_brute_force(
    where: list[Point], among: list[Point], size: int, ring: int, data: st.DataObject
) -> None:
    live = sorted(
        data.draw(st.lists(dates, min_size=len(among), max_size=len(among))),
        key=lambda day: day or dt.date.max,
    )
    units = Units(kind="grid", cell_m=float(size), radius_m=0.5, ring_m=float(ring))
    zoning = grid_zones(as_incidents(where), as_cameras(among, live), units)

    def cell(point: Point) -> Point:
        return point[0] // size, point[1] // size

    def beyond(place: int, low: int) -> int:
        return max(low * size - place, 0, place - (low + 1) * size)

    def apart(square: Point, place: Point) -> int:
        return beyond(place[0], square[0]) ** 2 + beyond(place[1], square[1]) ** 2

    cells = sorted({cell(point) for point in [*where, *among]})
    assert list(zoning.ids) == [f"cell:{x}:{y}" for x, y in cells]
    assert zoning.unit.tolist() == [cells.index(cell(point)) for point in where]
    for number, square in enumerate(cells):
        inside = [day for day, place in zip(live, among, strict=True) if cell(place) == square]
        near = [
            day
            for day, place in zip(live, among, strict=True)
            if cell(place) != square and apart(square, place) <= ring**2
        ]
        assert zoning.ring[number] == (not inside and bool(near))
        group = inside or near
        known = bool(group) and None not in group
        assert zoning.undated[number] == (None in group)
        first = zoning.first[number]
        assert first == np.datetime64(min(d for d in group if d)) if known else np.isnat(first)
        dated = [day for day in near if day is not None]
        neighbour = zoning.neighbour[number]
        if zoning.ring[number] or not dated:
            assert np.isnat(neighbour)
        else:
            assert neighbour == np.datetime64(min(dated))


@st.composite
def cities(draw: st.DrawFn) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]], Units]:
    """A city with everything that may be missing, and units of any kind."""
    where = st.none() | st.sampled_from([0, 60, 130, 250, 480, 2010, 40_000])
    area = st.none() | st.sampled_from(["north", "south", "east"])
    kind = st.sampled_from(["assault", "robbery", "theft"])
    day = st.dates(dt.date(2019, 12, 1), dt.date(2020, 7, 31)).map(dt.date.isoformat)
    rows = draw(
        st.lists(st.builds(incident, day, where, where, kind, area), min_size=1, max_size=30)
    )
    live = dates.map(lambda date: None if date is None else date.isoformat())
    eyes = draw(
        st.lists(
            st.builds(camera, live, where, where, area, st.sampled_from("ab")),
            min_size=1,
            max_size=6,
        )
    )
    eyes += [camera("2020-03-01", 0, 0, "north"), camera("2020-04-01", 2010, 2010, "south")]
    rows += [
        incident("2020-02-01", 0, 0, area="north"),
        incident("2020-02-01", 480, 0, area="east"),
    ]
    units = draw(
        st.sampled_from(
            [
                Units(kind="grid"),
                Units(kind="grid", cell_m=70.0, ring_m=100.0),
                Units(kind="catchment"),
                Units(kind="catchment", controls="later_cameras", ring_m=100.0),
                Units(kind="catchment", ring_m=(130.0, 260.0, 480.0)),
                Units(kind="hexagon"),
                Units(kind="hexagon", resolution=12, ring_m=130.0),
                Units(kind="area"),
            ]
        )
    )
    return rows, eyes, units


@given(cities(), st.randoms(use_true_random=False))
def test_every_incident_is_accounted_for_and_order_does_not_matter(
    city: tuple[list[list[dict[str, Any]]], list[dict[str, Any]], Units], shuffler: Any
) -> None:
    rows, eyes, units = city
    try:
        built = build(incident_frame(rows), camera_frame(eyes), study(units))
    except PanelError:
        assume(False)
    assert adds_up(built)
    table = incident_frame(rows)
    window = table["date"].is_between(dt.date(2020, 1, 1), dt.date(2020, 6, 30))
    asked = table["crime_type"].is_in(["assault", "robbery"])
    assert built.account["outside the window"] == (~window).sum()
    assert built.account["of other crime types"] == (window & ~asked).sum()
    assert built.panel.counts.sum() <= (window & asked).sum()
    # Units, roles and counts per crime type are those of the same rows in any other order.
    shuffler.shuffle(rows)
    shuffler.shuffle(eyes)
    again = build(incident_frame(rows), camera_frame(eyes), study(units))
    assert again.units["unit"].to_list() == built.units["unit"].to_list()
    assert again.panel.role.tolist() == built.panel.role.tolist()
    assert again.panel.first_live.tolist() == built.panel.first_live.tolist()
    assert again.panel.counts.tolist() == built.panel.counts.tolist()
    assert again.account == built.account
    assert again.facts == built.facts
