"""Hexagons of the H3 grid: against H3's own library, and by hand."""

from __future__ import annotations

import sys
from typing import Any

import h3
import msgspec
import numpy as np
import pytest
import shapely

from evalkit.config import parse_toml
from evalkit.core.panel import Role
from evalkit.core.study import Study, Units, check_study, study_hash
from evalkit.errors import ConfigError, MissingExtraError
from evalkit.panel import mosaic
from evalkit.panel.geometry import in_metres
from evalkit.panel.mosaic import OPEN
from evalkit.panel.projection import city_projection, project
from evalkit.panel.tally import open_tally
from evalkit.panel.zones import hexagon
from evalkit.panel.zones.hexagon import EDGES_M, hexagons_of
from tests.panel_frames import (
    BOUNDS,
    adds_up,
    build,
    camera,
    camera_frame,
    counts,
    degrees,
    incident,
    incident_frame,
    roles,
    study,
)

HEXAGON = Units(kind="hexagon", ring_m=150.0)

MANY = 4_000_000
"""Number of points for which a mosaic is built."""


def by_h3(longitude: Any, latitude: Any, resolution: int) -> list[int]:
    """The reference: one call of H3's own library a point."""
    return [
        h3.str_to_int(h3.latlng_to_cell(y, x, resolution))
        for x, y in zip(longitude.tolist(), latitude.tolist(), strict=True)
    ]


@pytest.mark.parametrize("resolution", sorted(EDGES_M))
def test_edges_are_those_of_h3(resolution: int) -> None:
    assert EDGES_M[resolution] == round(h3.average_hexagon_edge_length(resolution, "m"), 1)


@pytest.mark.parametrize(
    ("bounds", "resolution"),
    [
        (BOUNDS, 7),
        (BOUNDS, 9),
        ((-75.62, 6.18, -75.58, 6.22), 12),
        ((10.6, 59.8, 10.9, 60.0), 8),  # Oslo
        ((18.8, 69.6, 19.0, 69.7), 9),  # Tromsø
        ((-0.2, -0.2, 0.2, 0.2), 9),  # across the equator and the first meridian
        ((13.0, 47.5, 13.5, 48.0), 8),
        ((10.30, 64.60, 10.80, 64.80), 7),  # around a corner of the icosahedron: a pentagon
        ((25.4, 81.2, 27.2, 81.6), 7),  # too far north for a mosaic
    ],
)
def test_agrees_with_h3_to_the_last_point(
    bounds: tuple[float, float, float, float], resolution: int
) -> None:
    west, south, east, north = bounds
    generator = np.random.default_rng(resolution)
    longitude = generator.uniform(west, east, 6000)
    latitude = generator.uniform(south, north, 6000)
    # Corners of hexagons and of rectangles, and the corners of the box.
    corners = [
        corner[::-1]
        for cell in set(by_h3(longitude[:200], latitude[:200], resolution))
        for corner in h3.cell_to_boundary(h3.int_to_str(cell))
    ]
    inside = [c for c in corners if west <= c[0] <= east and south <= c[1] <= north]
    box = [(x, y) for x in (west, east) for y in (south, north)]
    extra = np.array(inside + box)
    hexagons = hexagons_of(bounds, resolution, MANY)
    assert hexagons is not None
    if hexagons.mosaic is not None:
        table = hexagons.mosaic
        edges = table.boxes(generator.integers(0, len(table.table), 500))
        kept = (edges.west > west) & (edges.west < east)
        kept &= (edges.south > south) & (edges.south < north)
        extra = np.concatenate([extra, np.column_stack([edges.west, edges.south])[kept]])
    found = hexagons.ids[hexagons.of(longitude, latitude)]
    assert found.tolist() == by_h3(longitude, latitude, resolution)
    # On a corner the two libraries differ by rounding; the mosaic must not differ from its own.
    at = extra[:, 0].copy(), extra[:, 1].copy()
    assert hexagons.ids[hexagons.of(*at)].tolist() == hexagon._h3(*at, resolution).tolist()


def test_mosaic_answers_for_most_points_and_is_left_out_where_it_would_not_pay() -> None:
    hexagons = hexagons_of(BOUNDS, 9, MANY)
    assert hexagons is not None
    assert hexagons.mosaic is not None
    inner = hexagons.mosaic.table[hexagons.mosaic.table != OPEN]
    assert len(inner) > 0.5 * len(hexagons.mosaic.table)
    small = hexagons_of(BOUNDS, 9, 100)
    assert small is not None
    assert small.mosaic is None


def test_a_pentagon_is_in_the_box_of_the_test() -> None:
    cells = [h3.latlng_to_cell(64.7000001279, 10.5361990755, 7)]
    assert any(h3.is_pentagon(cell) for cell in cells)


def test_rules_are_those_of_the_grid() -> None:
    centre_of = h3.latlng_to_cell(*reversed(degrees(0, 0)), 9)
    middle = h3.cell_to_latlng(centre_of)
    x, y = (float(v[0]) for v in project(city_projection(BOUNDS), [middle[1]], [middle[0]]))
    ring = [h3.cell_to_latlng(cell) for cell in h3.grid_ring(centre_of, 1)]
    far = h3.cell_to_latlng(h3.grid_ring(centre_of, 6)[0])
    rows = [incident("2020-01-05", x, y, times=2)]
    for number, (lat, lon) in enumerate([*ring, far], start=1):
        at = project(city_projection(BOUNDS), [lon], [lat])
        rows.append(incident("2020-02-05", float(at[0][0]), float(at[1][0]), times=number))
    built = build(
        incident_frame(rows),
        camera_frame([camera("2020-05-10", x + 10, y), camera("2020-03-10", x, y)]),
        study(HEXAGON),
    )
    name = f"hexagon:{h3.str_to_int(centre_of):x}"
    assert counts(built, name) == [2, 0, 0, 0, 0, 0]
    assert roles(built)[name] == "treated"
    assert built.panel.first_live[built.panel.role == Role.TREATED].tolist() == [2]
    # An inradius is 174 m: none of the six is within 150 m of the first camera, one of the second is not.
    assert built.account["in treated units"] == 2
    far_name = f"hexagon:{h3.str_to_int(h3.grid_ring(centre_of, 6)[0]):x}"
    assert roles(built)[far_name] == "control"
    assert len(built.panel.unit_ids) == 8
    assert adds_up(built)
    wide = build(
        incident_frame(rows),
        camera_frame([camera("2020-03-10", x, y)]),
        study(Units(kind="hexagon", ring_m=250.0)),
    )
    assert sorted(roles(wide).values()) == ["control", *["ring"] * 6, "treated"]
    assert wide.panel.ring.tolist() == (wide.panel.role == Role.RING).astype(int).tolist()
    none = build(
        incident_frame(rows),
        camera_frame([camera("2020-03-10", x, y)]),
        study(Units(kind="hexagon", ring_m=100.0)),
    )
    assert sorted(roles(none).values()) == [*["control"] * 7, "treated"]


@pytest.mark.parametrize("ring_m", [100.0, 120.0, 400.0])
def test_rings_are_by_distance_in_metres(ring_m: float) -> None:
    """Against the distance of every hexagon from every camera."""
    generator = np.random.default_rng(5)
    crimes = [incident("2020-01-05", *generator.uniform(-1500, 1500, 2)) for _ in range(150)]
    eyes = [camera("2020-03-10", *generator.uniform(-1500, 1500, 2)) for _ in range(8)]
    built = build(
        incident_frame(crimes),
        camera_frame(eyes),
        study(Units(kind="hexagon", ring_m=ring_m, resolution=10)),
    )
    projection = city_projection(BOUNDS)
    at = project(projection, [e["longitude"] for e in eyes], [e["latitude"] for e in eyes])
    points = shapely.points(*at)
    held = {h3.latlng_to_cell(e["latitude"], e["longitude"], 10) for e in eyes}
    for name, role in roles(built).items():
        cell = name.removeprefix("hexagon:")
        outline = shapely.Polygon([c[::-1] for c in h3.cell_to_boundary(cell)])
        shape = in_metres(np.array([outline]), projection, "hexagon")[0]
        near = ring_m > 100.0 and shapely.distance(shape, points).min() <= ring_m
        assert role == ("treated" if cell in held else "ring" if near else "control")


def test_counting_as_they_come_gives_the_same() -> None:
    generator = np.random.default_rng(3)
    crimes = incident_frame(
        [incident("2020-01-05", *generator.uniform(-3000, 3000, 2)) for _ in range(400)]
        + [incident("2020-02-05"), incident("2021-02-05", 1, 1), incident("2020-03-05", 9e5, 0)]
    )
    eyes = camera_frame([camera("2020-03-10", 0, 0), camera("2020-04-10", 900, 0)])
    asked = study(HEXAGON)
    whole = build(crimes, eyes, asked)
    tally = open_tally(eyes, asked, BOUNDS, MANY)
    assert tally is not None
    for start in range(0, len(crimes), 100):
        tally.add(crimes[start : start + 100])
    rows = tally.rows()
    from evalkit.panel.build import build_from_rows

    streamed = build_from_rows(
        rows, eyes, asked, site_name="handmade", study_hash="a" * 64, fingerprint="b" * 64
    )
    assert streamed.panel.unit_ids.tolist() == whole.panel.unit_ids.tolist()
    assert streamed.panel.counts.tolist() == whole.panel.counts.tolist()
    assert streamed.panel.role.tolist() == whole.panel.role.tolist()
    assert dict(streamed.account) == dict(whole.account)


def test_too_many_hexagons_are_not_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hexagon, "MAX_HEXAGONS", 10)
    eyes = camera_frame([camera("2020-03-10", 0, 0)])
    assert open_tally(eyes, study(HEXAGON), BOUNDS, MANY) is None
    crimes = incident_frame([incident("2020-01-05", 0, 0), incident("2020-01-05", 3000, 0)])
    few = build(crimes, eyes, study(HEXAGON))
    monkeypatch.undo()
    assert build(crimes, eyes, study(HEXAGON)).units.equals(few.units)


def test_a_table_that_would_be_too_large_gets_coarser_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mosaic, "MAX_CELLS", 3000)
    hexagons = hexagons_of(BOUNDS, 8, MANY)
    assert hexagons is not None
    assert hexagons.mosaic is not None
    assert len(hexagons.mosaic.table) <= 3000
    generator = np.random.default_rng(4)
    longitude, latitude = generator.uniform(-75.7, -75.5, 3000), generator.uniform(6.1, 6.3, 3000)
    found = hexagons.ids[hexagons.of(longitude, latitude)]
    assert found.tolist() == by_h3(longitude, latitude, 8)


TEXT = """
name = "hexagons"
title = "Hexagons"
window = {{ start = 2020-01-01, end = 2020-12-31 }}
outcome = {{ crime_types = ["theft"] }}
units = {{ kind = "{kind}"{more} }}
"""


def parsed(kind: str, more: str = "") -> Study:
    return check_study(parse_toml(TEXT.format(kind=kind, more=more), Study, where="here"))


def test_resolution_is_part_of_the_hash_of_hexagons_only() -> None:
    assert b'"resolution":9' in msgspec.json.encode(parsed("hexagon"))
    assert study_hash(parsed("hexagon")) == study_hash(parsed("hexagon", ", resolution = 9"))
    assert study_hash(parsed("hexagon")) != study_hash(parsed("hexagon", ", resolution = 8"))
    assert b"resolution" not in msgspec.json.encode(parsed("grid"))
    one = parsed("hexagon", ", resolution = 12")
    assert msgspec.json.decode(msgspec.json.encode(one), type=Study) == one


@pytest.mark.parametrize("resolution", [4, 13])
def test_resolutions_beyond_the_range_are_refused(resolution: int) -> None:
    with pytest.raises(ConfigError, match="resolution"):
        parsed("hexagon", f", resolution = {resolution}")


@pytest.mark.parametrize("missing", ["polars_h3", "shapely"])
def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    crimes = incident_frame([incident("2020-01-05", 0, 0)])
    with pytest.raises(MissingExtraError, match=r"evalkit\[hexagons\]"):
        build(crimes, camera_frame([camera("2020-03-10", 0, 0)]), study(HEXAGON))
