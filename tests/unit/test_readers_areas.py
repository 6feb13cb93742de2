"""Polygons of a city: GeoJSON and GeoParquet in, an account of every row out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import polars as pl
import pytest
import shapely

from evalkit.config import AreaColumns, Areas, City, IncidentColumns, Incidents, Site, load_site
from evalkit.core.frames import AREAS
from evalkit.errors import (
    ConfigError,
    CoordinatesError,
    FileReadError,
    GeometryError,
    MissingColumnError,
    MissingExtraError,
)
from evalkit.readers import Read, read_areas
from tests.sites import BOUNDS

SQUARE = [[-83.6, 42.4], [-83.5, 42.4], [-83.5, 42.5], [-83.6, 42.5], [-83.6, 42.4]]
BESIDE = [[x + 0.1, y] for x, y in SQUARE]
BOW_TIE = [[-83.6, 42.4], [-83.5, 42.5], [-83.5, 42.4], [-83.6, 42.5], [-83.6, 42.4]]


def site(**settings: Any) -> Site:
    name = settings.pop("name", "beat")
    return Site(
        name="small",
        city=City(title="Small", time_zone="UTC", bounds=BOUNDS),
        incidents=Incidents(
            files=("i.csv",),
            columns=IncidentColumns(date="d", longitude="x", latitude="y"),
            all_as="assault",
        ),
        areas=Areas(**{"files": ("areas.*json",), **settings}, columns=AreaColumns(name=name)),
    )


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def read(folder: Path, features: list[Any], **settings: Any) -> Read:
    text = json.dumps({"type": "FeatureCollection", "features": features})
    (folder / "areas.geojson").write_text(text, encoding="utf-8")
    return read_areas(site(**settings), folder)


def reasons(found: Read) -> list[tuple[int, str]]:
    return list(found.rejected.select("row", "reason").iter_rows())


def test_no_areas_are_no_rows() -> None:
    without = Site(
        name="small",
        city=City(title="Small", time_zone="UTC", bounds=BOUNDS),
        incidents=Incidents(
            files=(), columns=IncidentColumns(date="d", area="a"), all_as="assault"
        ),
    )
    found = read_areas(without, Path())
    assert (found.rows.schema, found.account.read) == (AREAS.schema, 0)


def test_polygons_holes_and_parts_are_kept_as_they_are(tmp_path: Path) -> None:
    hole = [[-83.58, 42.42], [-83.58, 42.44], [-83.56, 42.44], [-83.58, 42.42]]
    apart = [[x + 0.2, y] for x, y in SQUARE]
    several = {"type": "MultiPolygon", "coordinates": [[SQUARE, hole], [apart]]}
    high = [[*corner, 180.5] for corner in BESIDE]
    found = read(
        tmp_path,
        [feature(several, beat="one"), feature(polygon(high), beat=2)],
    )
    assert found.rows["name"].to_list() == ["one", "2"]
    assert found.rows["row"].to_list() == [1, 2]
    shapes = shapely.from_wkb(found.rows["geometry"].to_numpy())
    assert shapes[0].equals(shapely.geometry.shape(several))
    assert shapes[1].equals(shapely.Polygon(BESIDE))
    assert not shapes[1].has_z
    assert (found.account.read, found.account.used) == (2, 2)
    assert found.notes == ()


def test_every_row_is_used_or_rejected_for_one_reason(tmp_path: Path) -> None:
    far = [[x + 10, y] for x, y in SQUARE]
    flat = [[-83.6, 42.4], [-83.5, 42.4], [-83.6, 42.4], [-83.6, 42.4]]
    found = read(
        tmp_path,
        [
            feature(polygon(SQUARE), beat="a"),
            feature(polygon(BESIDE), beat=" "),
            feature(polygon(BESIDE)),
            feature(None, beat="c"),
            feature({"type": "Point", "coordinates": [-83.5, 42.5]}, beat="d"),
            feature({"type": "LineString", "coordinates": SQUARE}, beat="e"),
            feature(polygon(far), beat="f"),
            feature(polygon(flat), beat="g"),
            {"type": "Blueprint"},
            "text",
            feature({"type": "Polygon", "coordinates": "everywhere"}, beat="h"),
            feature(polygon(BESIDE), beat="NA"),
            feature({"type": "Polygon", "coordinates": []}, beat="i"),
            feature(polygon([[x + 1e-9, y] for x, y in SQUARE]), beat="j"),
        ],
    )
    assert reasons(found) == [
        (2, "missing_name"),
        (3, "missing_name"),
        (4, "missing_geometry"),
        (5, "not_polygon"),
        (6, "not_polygon"),
        (7, "outside_city"),
        (8, "missing_geometry"),
        (9, "malformed_row"),
        (10, "malformed_row"),
        (11, "malformed_row"),
        (12, "missing_name"),
        (13, "missing_geometry"),
    ]
    assert found.rows["name"].to_list() == ["a", "j"]
    account = found.account
    assert account.read == 14 == account.used + sum(account.rejected.values())


def test_without_a_name_file_and_row_stand_in(tmp_path: Path) -> None:
    found = read(tmp_path, [feature(polygon(SQUARE)), feature(polygon(BESIDE))], name="")
    assert found.rows["name"].to_list() == ["areas.geojson:1", "areas.geojson:2"]


def test_repeated_names_and_overlaps_are_noted(tmp_path: Path) -> None:
    part = [[x + 0.05, y] for x, y in SQUARE]
    rows = [
        feature(polygon(SQUARE), beat="a"),
        feature(polygon(BESIDE), beat="b"),
        feature(polygon(SQUARE), beat="a"),
    ]
    assert read(tmp_path, rows[:2]).notes == ()
    (repeated,) = read(tmp_path, rows).notes
    assert "1 of 3 polygons repeat the name" in repeated
    (overlap,) = read(tmp_path, [*rows[:2], feature(polygon(part), beat="c")]).notes
    assert "3 of 3 polygons overlap" in overlap


def test_an_outline_without_a_certain_inside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GeometryError) as caught:
        read(tmp_path, [feature(polygon(SQUARE), beat="a"), feature(polygon(BOW_TIE), beat="b")])
    text = str(caught.value)
    assert "row 2" in text
    assert '"b"' in text
    assert "self-intersection" in text
    assert "fix geometries" in text
    assert "[" not in text.split("Where", maxsplit=1)[0]


@pytest.mark.parametrize(("width", "refused"), [(0.00004, False), (0.006, True)])
def test_a_small_crossing_is_mended_with_a_note(
    tmp_path: Path, width: float, refused: bool
) -> None:
    # A spur that crosses itself beyond the eastern side: a triangle of some width.
    spur = [*SQUARE[:2], [-83.5 + width, 42.5], [-83.5, 42.49], [-83.5 + width, 42.49], *SQUARE[2:]]
    assert not shapely.Polygon(spur).is_valid
    if refused:
        with pytest.raises(GeometryError):
            read(tmp_path, [feature(polygon(spur), beat="a")])
        return
    found = read(tmp_path, [feature(polygon(spur), beat="a")])
    (note,) = found.notes
    assert "1 invalid outlines were made valid" in note
    (shape,) = shapely.from_wkb(found.rows["geometry"].to_numpy())
    assert shape.is_valid
    assert shape.area == pytest.approx(shapely.Polygon(spur).area, rel=0.001)


def frame(**more: Any) -> geopandas.GeoDataFrame:
    shapes = [shapely.Polygon(SQUARE), shapely.Polygon(BESIDE), None]
    return geopandas.GeoDataFrame({"beat": ["a", "b", "c"]}, geometry=shapes, **more)


@pytest.mark.parametrize("crs", [None, "EPSG:4326", "OGC:CRS84"])
def test_geoparquet_gives_what_geojson_gives(tmp_path: Path, crs: str | None) -> None:
    frame(crs=crs).to_parquet(tmp_path / "areas.parquet")
    found = read_areas(site(files=("areas.parquet",)), tmp_path)
    assert reasons(found) == [(3, "missing_geometry")]
    same = read(
        tmp_path,
        [feature(polygon(SQUARE), beat="a"), feature(polygon(BESIDE), beat="b")],
    )
    assert found.rows.equals(same.rows)


def test_geoparquet_names_its_own_column(tmp_path: Path) -> None:
    frame(crs="EPSG:4326").rename_geometry("outline").to_parquet(tmp_path / "areas.pq")
    found = read_areas(site(files=("areas.pq",)), tmp_path)
    assert found.rows["name"].to_list() == ["a", "b"]


def test_projected_outlines_are_turned_into_degrees(tmp_path: Path) -> None:
    frame(crs="EPSG:4326").to_crs("EPSG:26917").to_parquet(tmp_path / "areas.parquet")
    with pytest.raises(CoordinatesError, match="EPSG:26917"):
        read_areas(site(files=("areas.parquet",)), tmp_path)
    found = read_areas(site(files=("areas.parquet",), crs="EPSG:26917"), tmp_path)
    corners = shapely.get_coordinates(shapely.from_wkb(found.rows["geometry"].to_numpy()))
    assert np.abs(corners - np.array([*SQUARE, *BESIDE])).max() < 1e-8
    with pytest.raises(CoordinatesError, match="coordinate system"):
        read(tmp_path, [feature(polygon(SQUARE), beat="a")], crs="EPSG:nothing")


def test_lengths_are_no_degrees(tmp_path: Path) -> None:
    metres = [[x * 1e4, y * 1e4] for x, y in SQUARE]
    with pytest.raises(CoordinatesError, match="5 of 5 corners are no degrees"):
        read(tmp_path, [feature(polygon(metres), beat="a")])


def test_parquet_without_shapes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "areas.parquet"
    pl.DataFrame({"beat": ["a"], "geometry": ["POINT (1 2)"]}).write_parquet(path)
    with pytest.raises(FileReadError, match="String"):
        read_areas(site(files=("areas.parquet",)), tmp_path)
    pl.DataFrame({"beat": ["a"]}).write_parquet(path)
    with pytest.raises(MissingColumnError, match="geometry"):
        read_areas(site(files=("areas.parquet",)), tmp_path)
    path.write_bytes(b"PAR1 no")
    with pytest.raises(FileReadError, match="not Parquet"):
        read_areas(site(files=("areas.parquet",)), tmp_path)
    pl.DataFrame({"beat": ["a"], "geometry": [b"no shape"]}).write_parquet(path)
    assert reasons(read_areas(site(files=("areas.parquet",)), tmp_path)) == [(1, "malformed_row")]


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ("no JSON", "damaged"),
        ("[]", "damaged"),
        (
            '{"primary_column": "geometry", "columns": {"geometry": {"encoding": "polygon"}}}',
            "encoded as polygon",
        ),
    ],
)
def test_descriptions_of_geoparquet_that_are_not_understood(
    tmp_path: Path, about: str, words: str
) -> None:
    table = pl.DataFrame({"beat": ["a"], "geometry": [shapely.to_wkb(shapely.Polygon(SQUARE))]})
    table.write_parquet(tmp_path / "areas.parquet", metadata={"geo": about})
    with pytest.raises(FileReadError, match=words):
        read_areas(site(files=("areas.parquet",)), tmp_path)


def test_files_follow_one_another(tmp_path: Path) -> None:
    for name, ring in (("b.geojson", BESIDE), ("a.geojson", SQUARE)):
        text = {"type": "FeatureCollection", "features": [feature(polygon(ring), beat=name)]}
        (tmp_path / name).write_text(json.dumps(text), encoding="utf-8")
    found = read_areas(site(files=("*.geojson",)), tmp_path)
    assert found.rows.select("file", "row", "name").rows() == [
        (0, 1, "a.geojson"),
        (1, 1, "b.geojson"),
    ]
    assert found.files == ("a.geojson", "b.geojson")


def test_misspelt_property_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match="beet"):
        read(tmp_path, [feature(polygon(SQUARE), beat="a")], name="beet")


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(MissingExtraError, match=r"evalkit\[polygons\]"):
        read(tmp_path, [feature(polygon(SQUARE), beat="a")])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('database = "sqlite:///a.db"\ntable = "beats"', "no geometry file"),
        ('files = ["a.csv"]\nformat = "csv"', "no geometry file"),
        ("", "files"),
        ('files = ["a.geojson"]\ncolumns = { naem = "x" }', "naem"),
    ],
)
def test_areas_that_are_no_geometry_file_are_refused(
    lines: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        'name = "a"\ncity = { title = "A", time_zone = "UTC", bounds = [0, 0, 1, 1] }\n'
        '[incidents]\nfiles = ["i.csv"]\nall_as = "assault"\n'
        'columns = { date = "d", longitude = "x", latitude = "y" }\n'
        f"[areas]\n{lines}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=words):
        load_site(path)
