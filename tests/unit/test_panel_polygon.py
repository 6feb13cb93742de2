"""Polygons as units: counted by hand, as they come, and from files to a stored panel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import shapely

from evalkit.config import load_site
from evalkit.core.panel import Role
from evalkit.core.study import Units, study_hash
from evalkit.errors import MissingExtraError, PanelError
from evalkit.panel.build import Built, build_from_rows, build_panel
from evalkit.panel.tally import open_tally
from evalkit.workbench import Bench, open_bench, read_city, store_panel, stream_city
from tests.panel_frames import (
    BOUNDS,
    adds_up,
    camera,
    camera_frame,
    counts,
    degrees,
    incident,
    incident_frame,
    roles,
    study,
)

POLYGON = Units(kind="polygon", radius_m=100.0, ring_m=200.0)
NO_RING = Units(kind="polygon", radius_m=100.0, ring_m=100.0)


def box(west: float, south: float, east: float, north: float) -> shapely.Geometry:
    """A rectangle of metres from the city's centre, in degrees."""
    return shapely.Polygon(
        [degrees(x, y) for x, y in ((west, south), (east, south), (east, north), (west, north))]
    )


def area_frame(**shapes: shapely.Geometry | list[shapely.Geometry]) -> pl.DataFrame:
    rows = [
        (name, shapely.to_wkb(one))
        for name, several in shapes.items()
        for one in (several if isinstance(several, list) else [several])
    ]
    return pl.DataFrame(
        {
            "file": pl.Series([0] * len(rows), dtype=pl.UInt32),
            "row": pl.Series(range(1, len(rows) + 1), dtype=pl.UInt64),
            "name": [name for name, _ in rows],
            "geometry": pl.Series([shape for _, shape in rows], dtype=pl.Binary),
        }
    )


def build(
    crimes: pl.DataFrame, eyes: pl.DataFrame, areas: pl.DataFrame | None, units: Units = POLYGON
) -> Built:
    return build_panel(
        crimes,
        eyes,
        study(units),
        site_name="handmade",
        bounds=BOUNDS,
        study_hash="a" * 64,
        fingerprint="b" * 64,
        areas=areas,
    )


# West to east: east has the camera, beside is 100 m from it, near 190 m, far 210 m; ward comes in two pieces.
AREAS = area_frame(
    far=box(410, -500, 600, 500),
    near=box(390, -500, 410, 500),
    beside=box(300, -500, 390, 500),
    east=box(0, -500, 300, 500),
    ward=[box(-900, -500, -600, 500), box(-2000, -500, -1500, 500)],
    empty=box(3000, 3000, 4000, 4000),
)
CAMERAS = camera_frame([camera("2020-05-10", 200, 0), camera("2020-03-10", 200, 10)])
CRIMES = incident_frame(
    [
        incident("2020-01-05", 100, 100, times=2),
        incident("2020-02-05", 350, 0, times=3),
        incident("2020-02-05", 400, 0, times=4),
        incident("2020-02-05", 500, 0, times=5),
        incident("2020-03-05", -700, 0, times=6),
        incident("2020-03-05", -1600, 0, times=7),
        incident("2020-04-05", -300, 0, times=8),  # in no polygon
        incident("2020-04-05", 200, 200, "theft"),
        incident("2020-04-05"),
    ]
)


def test_counts_roles_and_account() -> None:
    built = build(CRIMES, CAMERAS, AREAS)
    assert built.panel.unit_ids.tolist() == ["beside", "east", "far", "near", "ward"]
    assert counts(built, "east") == [2, 0, 0, 0, 0, 0]
    assert counts(built, "ward") == [0, 0, 13, 0, 0, 0]
    assert roles(built) == {
        "east": "treated",
        "beside": "ring",
        "near": "ring",
        "far": "control",
        "ward": "control",
    }
    assert built.panel.first_live.tolist() == [2, 2, -1, 2, -1]
    assert built.panel.ring.tolist() == [1, 0, 0, 1, 0]
    assert built.units["cameras"].to_list() == [0, 2, 0, 0, 0]
    assert built.account["outside every unit"] == 8
    assert built.account["without a usable place"] == 1
    assert built.account["in ring units"] == 7
    assert adds_up(built)
    assert built.facts["polygons"] == 7
    assert built.facts["polygons without incident or camera"] == 1
    east = built.units.filter(pl.col("unit") == "east").to_dicts()[0]
    assert (round(east["x"], 1), round(east["y"], 1)) == (150.0, 0.0)


def test_no_ring_when_ring_and_radius_agree() -> None:
    built = build(CRIMES, CAMERAS, AREAS, NO_RING)
    assert set(roles(built).values()) == {"treated", "control"}


def test_distance_to_a_ring_includes_its_limit() -> None:
    for away, role in ((199.99, "ring"), (200.01, "control")):
        areas = area_frame(east=box(0, -500, 300, 500), other=box(200 + away, -500, 900, 500))
        crimes = incident_frame([incident("2020-01-05", 500, 0), incident("2020-01-05", 1, 1)])
        eyes = camera_frame([camera("2020-03-10", 200, 0)])
        far = area_frame(far=box(3000, 0, 3100, 100))
        areas = pl.concat([areas, far]).with_columns(
            pl.int_range(1, 4, dtype=pl.UInt64).alias("row")
        )
        crimes = pl.concat([crimes, incident_frame([incident("2020-01-05", 3050, 50)])])
        assert roles(build(crimes, eyes, areas))["other"] == role


def test_shared_borders_and_overlaps_belong_to_the_first_in_the_file() -> None:
    west = shapely.box(-75.62, 6.18, -75.60, 6.20)
    east = shapely.box(-75.60, 6.18, -75.58, 6.20)
    over = shapely.box(-75.61, 6.19, -75.59, 6.21)
    at = [(-75.60, 6.185), (-75.60, 6.18), (-75.595, 6.195), (-75.595, 6.205), (-75.58, 6.20)]
    rows = [
        {
            "row": number,
            "date": incident("2020-01-05")[0]["date"],
            "longitude": x,
            "latitude": y,
            "area": None,
            "crime_type": "assault",
        }
        for number, (x, y) in enumerate(at, start=1)
    ]
    crimes = incident_frame([[{k: v for k, v in row.items() if k != "row"}] for row in rows])
    eyes = camera_frame([camera("2020-03-10", 0, 0), camera("2020-04-10", 1900, 500)])
    orders: list[tuple[dict[str, shapely.Geometry], dict[str, int]]] = [
        ({"west": west, "east": east, "over": over}, {"west": 2, "east": 2, "over": 1}),
        ({"east": east, "west": west, "over": over}, {"east": 4, "over": 1}),
        ({"over": over, "east": east, "west": west}, {"east": 3, "over": 2}),
    ]
    for order, expected in orders:
        built = build(crimes, eyes, area_frame(**order), NO_RING)
        found = dict(
            zip(built.panel.unit_ids.tolist(), built.panel.counts.sum(axis=(0, 2)), strict=True)
        )
        assert {name: int(n) for name, n in found.items() if n} == expected


def test_camera_outside_every_polygon_is_noted() -> None:
    eyes = pl.concat([CAMERAS, camera_frame([camera("2020-02-10", -300, 0)])])
    built = build(CRIMES, eyes, AREAS)
    assert built.facts["cameras outside every polygon"] == 1
    assert any("lie in no polygon" in note for note in built.notes)
    assert built.units["cameras"].sum() == 2


def test_polygons_are_needed() -> None:
    for none in (None, AREAS.clear()):
        with pytest.raises(PanelError, match=r"\[areas\] files"):
            build(CRIMES, CAMERAS, none)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(MissingExtraError, match=r"evalkit\[polygons\]"):
        build(CRIMES, CAMERAS, AREAS)


@pytest.mark.parametrize("points", [10, 3_000_000])
def test_counting_as_they_come_gives_the_same(points: int) -> None:
    generator = np.random.default_rng(3)
    crimes = pl.concat(
        [
            CRIMES,
            incident_frame(
                [
                    incident("2020-01-05", *generator.uniform(-2100, 2100, 2), times=2)
                    for _ in range(300)
                ]
            ),
        ]
    )
    whole = build(crimes, CAMERAS, AREAS)
    tally = open_tally(CAMERAS, study(POLYGON), BOUNDS, points, AREAS)
    assert tally is not None
    for start in range(0, len(crimes), 100):
        tally.add(crimes[start : start + 100])
    streamed = build_from_rows(
        tally.rows(),
        CAMERAS,
        study(POLYGON),
        site_name="handmade",
        study_hash="a" * 64,
        fingerprint="b" * 64,
        areas=AREAS,
    )
    assert streamed.panel.unit_ids.tolist() == whole.panel.unit_ids.tolist()
    assert streamed.panel.counts.tolist() == whole.panel.counts.tolist()
    assert streamed.panel.role.tolist() == whole.panel.role.tolist()
    assert dict(streamed.account) == dict(whole.account)
    assert streamed.units.equals(whole.units)
    assert open_tally(CAMERAS, study(POLYGON), BOUNDS, points) is None


def city(folder: Path, more: str = "") -> Bench:
    """Site file, incidents, cameras and polygons as files."""
    names = {"longitude": "x", "latitude": "y"}
    CRIMES.with_columns(pl.col("date").cast(pl.String)).rename(names).drop_nulls("x").select(
        "date", "x", "y", "crime_type"
    ).write_csv(folder / "incidents.csv")
    CAMERAS.rename(names).select("live_date", "x", "y").write_csv(folder / "cameras.csv")
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"beat": name},
            "geometry": shapely.geometry.mapping(shapely.from_wkb(shape)),
        }
        for name, shape in AREAS.select("name", "geometry").iter_rows()
    ]
    nameless = {**features[0], "properties": {}}
    (folder / "beats.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": [*features, nameless]}),
        encoding="utf-8",
    )
    (folder / "site.toml").write_text(
        'name = "handmade"\n'
        f'city = {{ title = "H", time_zone = "UTC", bounds = {list(BOUNDS)} }}\n'
        '[incidents]\nfiles = ["incidents.csv"]\nduplicates = "keep"\n'
        'columns = { date = "date", longitude = "x", latitude = "y", crime_type = "crime_type" }\n'
        '[incidents.crime_types]\nassault = "assault"\ntheft = "theft"\n'
        '[cameras]\nfiles = ["cameras.csv"]\n'
        'columns = { live_date = "live_date", longitude = "x", latitude = "y" }\n' + more,
        encoding="utf-8",
    )
    return open_bench(folder / "site.toml")


AREA_LINES = '[areas]\nfiles = ["beats.geojson"]\ncolumns = { name = "beat" }\n'


def test_from_files_to_a_stored_panel(tmp_path: Path) -> None:
    bench = city(tmp_path, AREA_LINES)
    asked = study(POLYGON)
    rows = read_city(bench)
    assert rows.areas is not None
    assert rows.areas.account.read == 8
    assert rows.areas.account.rejected["missing_name"] == 1
    built = store_panel(bench, asked)
    expected = build(CRIMES.drop_nulls("longitude"), CAMERAS, AREAS)
    assert built.panel.unit_ids.tolist() == expected.panel.unit_ids.tolist()
    assert built.panel.counts.tolist() == expected.panel.counts.tolist()
    stored = bench.store.panel(study_hash(asked))
    assert stored.ring.tolist() == expected.panel.ring.tolist()
    assert (stored.role == Role.RING).tolist() == [True, False, False, True, False]
    streamed = stream_city(bench, asked)
    assert streamed is not None
    assert streamed.built.panel.counts.tolist() == expected.panel.counts.tolist()
    assert streamed.built.panel.fingerprint == built.panel.fingerprint


def test_polygons_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    bench = city(tmp_path, AREA_LINES)
    before = read_city(bench).fingerprint
    path = tmp_path / "beats.geojson"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert read_city(bench).fingerprint != before
    assert read_city(city(tmp_path)).fingerprint != before


def test_site_check_accounts_for_the_polygons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from evalkit.cli import main

    city(tmp_path, AREA_LINES)
    assert load_site(tmp_path / "site.toml").areas is not None
    with pytest.raises(SystemExit) as ended:
        main(["site", "check", "--site", str(tmp_path / "site.toml"), "--no-pictures"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "areas: 8 rows read = 7 used + 1 rejected" in said
    assert "1 missing_name" in said
    assert "repeat the name" in " ".join(said.split())
    assert (tmp_path / "handmade.private" / "check" / "rejected-areas.csv").is_file()
