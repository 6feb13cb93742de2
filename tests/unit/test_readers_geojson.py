"""GeoJSON: points with properties; anything else is set aside or refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.config import Source
from evalkit.errors import EncodingError, FileReadError, MissingColumnError
from evalkit.readers.protocol import RawTable
from evalkit.readers.sources.geojson import reader


def feature(properties: Any, geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def point(*position: Any) -> dict[str, Any]:
    return {"type": "Point", "coordinates": list(position)}


def read(folder: Path, features: list[Any], *columns: str) -> RawTable:
    path = folder / "data.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return reader.read(path, Source(files=()), columns)


def test_points_and_properties(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        [
            feature({"a": "x", "b": 1.5}, point(-83.0746121304256, 42.5)),
            feature({"a": None, "c": True}, point(-83, 42, 180.0)),
            feature({"b": {"k": [1]}, "a": ""}, None),
            feature(None, point()),
        ],
        "a",
        "b",
        "c",
        "latitude",
        "longitude",
    )
    assert table.rows.rows() == [
        ("x", "1.5", None, "42.5", "-83.0746121304256"),
        (None, None, "true", "42", "-83"),
        (None, '{"k":[1]}', None, None, None),
        (None, None, None, None, None),
    ]
    assert table.numbers.to_list() == [1, 2, 3, 4]


def test_the_geometry_hides_a_property_of_its_name(tmp_path: Path) -> None:
    table = read(tmp_path, [feature({"longitude": "7"}, point(1, 2))], "longitude")
    assert table.rows.rows() == [("1",)]


@pytest.mark.parametrize(
    "broken",
    [
        feature({"a": 1}, {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}),
        feature({"a": 1}, {"type": "Point", "coordinates": 5}),
        feature({"a": 1}, {"type": "Point"}),
        feature({"a": 1}, point(1)),
        feature({"a": 1}, point("1", "2")),
        feature({"a": 1}, point(True, False)),
        feature([1], point(1, 2)),
        feature({"a": 1}, "POINT (1 2)"),
        {"type": "Point", "coordinates": [1, 2]},
        7,
        None,
    ],
)
def test_other_features_are_malformed(tmp_path: Path, broken: Any) -> None:
    table = read(tmp_path, [broken, feature({"a": "x"}, point(1, 2))], "a")
    assert (table.rows.rows(), table.numbers.to_list()) == ([("x",)], [2])
    number, text = table.malformed.row(0)
    assert (number, json.loads(text)) == (1, broken)


def test_missing_property(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match='did you mean "Date"'):
        read(tmp_path, [feature({"Date": 1}, point(1, 2))], "date")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "empty"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "not a collection"),
        ('{"type": "Feature"}', "not a collection"),
        ('{"type": "FeatureCollection", "features": {}}', "not a collection"),
        ('{"type": "FeatureCollection", "features": []}', "no feature"),
    ],
)
def test_not_a_collection(tmp_path: Path, data: str, message: str) -> None:
    path = tmp_path / "data.geojson"
    path.write_text(data, "utf-8")
    with pytest.raises(FileReadError, match=message):
        reader.read(path, Source(files=()), ["a"])


def test_encodings(tmp_path: Path) -> None:
    path = tmp_path / "data.geojson"
    text = json.dumps({"features": [feature({"a": "é"}, point(1, 2))]}, ensure_ascii=False)
    path.write_bytes(text.encode("cp1252"))
    with pytest.raises(EncodingError):
        reader.read(path, Source(files=()), ["a"])
    table = reader.read(path, Source(files=(), encoding="cp1252"), ["a"])
    assert table.rows.rows() == [("é",)]
