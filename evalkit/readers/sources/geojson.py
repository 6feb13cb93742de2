"""GeoJSON (RFC 7946): a collection of points with properties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

from evalkit.config import Source
from evalkit.errors import FileReadError
from evalkit.readers.protocol import MALFORMED, RawTable, no_malformed
from evalkit.readers.sources._bytes import read_bytes, to_utf8
from evalkit.readers.sources._columns import check_columns

__all__ = ["GeoJson", "features_of", "reader"]

AXES: Final = ("longitude", "latitude")
"""Names under which the two coordinates of the geometry are offered; a property of that name is
hidden."""

POSITION: Final = 2
"""Numbers of a position that are used; RFC 7946 allows a height after them."""


class GeoJson:
    """Reads the features of a FeatureCollection of points.

    Columns are the properties, and ``longitude`` and ``latitude`` from the geometry. A feature
    without a geometry is a row without coordinates; a feature with any other geometry is malformed.
    """

    formats: tuple[str, ...] = ("geojson",)
    suffixes: tuple[str, ...] = (".geojson", ".json")

    def read(self, path: Path, source: Source, columns: Sequence[str]) -> RawTable:
        """Read ``columns`` of one file.

        Raises:
            FileReadError: absent, empty, not JSON, or not a collection of features.
            EncodingError: not in the encoding ``source`` names.
            MissingColumnError: no feature has such a property.
        """
        where = str(path)
        data, notes = to_utf8(read_bytes(path), source.encoding, where)
        features = features_of(data, where)
        rows = [_row(feature) for feature in features]
        present = dict.fromkeys([*AXES, *(name for row in rows if row is not None for name in row)])
        check_columns(columns, list(present), where)
        good = [(number, row) for number, row in enumerate(rows, start=1) if row is not None]
        table = {name: [_text(row.get(name)) for _, row in good] for name in columns}
        return RawTable(
            rows=pl.DataFrame(table, schema=dict.fromkeys(columns, pl.String())),
            numbers=pl.Series("row", [number for number, _ in good], dtype=pl.UInt64()),
            malformed=_malformed(features, rows),
            notes=notes,
        )


def features_of(data: bytes, where: str) -> list[Any]:
    """The features of a collection, one or more, whatever they are.

    Raises:
        FileReadError: not JSON, no collection of features, or without any.
    """
    try:
        root = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        root = None
    features = root.get("features") if isinstance(root, dict) else None
    if not isinstance(features, list):
        raise FileReadError(
            "the file is not JSON" if root is None else "the file is not a collection of features",
            where=where,
            limit='{"type": "FeatureCollection", "features": [...]}',
            way_out="export it as GeoJSON again, or correct format in the site file",
        )
    if not features:
        raise FileReadError("the collection has no feature", where=where, way_out="export it again")
    return features


def _row(feature: object) -> Mapping[str, Any] | None:
    """Properties and coordinates of one feature, None if it is no point."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return None
    properties = feature.get("properties") or {}
    position = _position(feature.get("geometry"))
    if not isinstance(properties, dict) or position is None:
        return None
    return {**properties, **dict(zip(AXES, position, strict=True))}


def _position(geometry: object) -> tuple[float | None, float | None] | None:
    if geometry is None:
        return (None, None)
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        return None
    position = geometry.get("coordinates")
    if not isinstance(position, list):
        return None
    if not position:  # RFC 7946, section 3.1: an empty array is a geometry of nothing
        return (None, None)
    if len(position) < POSITION or not all(map(_is_number, position[:POSITION])):
        return None
    return (position[0], position[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object) -> str | None:
    match value:
        case None | "":
            return None
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode("utf-8")


def _malformed(features: Sequence[object], rows: Sequence[object]) -> pl.DataFrame:
    bad = list(_bad(features, rows))
    return pl.DataFrame(bad, schema=MALFORMED, orient="row") if bad else no_malformed()


def _bad(features: Sequence[object], rows: Sequence[object]) -> Iterator[tuple[int, str]]:
    for number, (feature, row) in enumerate(zip(features, rows, strict=True), start=1):
        if row is None:
            yield number, msgspec.json.encode(feature).decode("utf-8")


reader: Final = GeoJson()
