"""The city's polygons: geometry files in, one row a polygon and an account of every other row out.

GeoJSON (RFC 7946) and GeoParquet 1.x (geoparquet.org) with WKB. Polygons of one name are one area;
which of several polygons a point in more than one belongs to is said where points are placed
(`evalkit.panel.zones.polygon`), and depends on the order kept here.

An invalid outline (one that crosses itself, a hole outside) has no certain inside. It is made valid
if that leaves its area as it was, and refused otherwise: to guess would move crime from one area to
another without a word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.config import Areas, Site
from evalkit.core.frames import AREAS, Account, validate
from evalkit.errors import (
    CoordinatesError,
    FileReadError,
    GeometryError,
    MissingExtraError,
)
from evalkit.readers.coordinates import to_degrees
from evalkit.readers.files import find_files
from evalkit.readers.rejection import first_reason
from evalkit.readers.result import Read, join_fingerprints, no_source
from evalkit.readers.sources._bytes import read_bytes, to_utf8
from evalkit.readers.sources._columns import check_columns
from evalkit.readers.sources.geojson import features_of

__all__ = ["MOST_CHANGE", "read_areas"]

Shapes = NDArray[np.object_]
Mask = NDArray[np.bool_]

MOST_CHANGE: Final = 0.001
"""Share by which making an outline valid may change its area. A crossing of a few metres, where lines
were drawn by hand, stays below it; a bow tie loses half its area or more."""

POLYGONAL: Final = (3, 6)
"""Numbers of a polygon and of one of several parts among shapely's types."""

ABSENT: Final = -1
"""Number of no geometry among shapely's types."""

GEOMETRY: Final = "geometry"
"""Column of shapes where a Parquet file does not say which it is."""

DEGREES: Final = frozenset({"OGC:CRS84", "EPSG:4326"})
"""Coordinate systems whose numbers are longitude and latitude in GeoParquet."""

PARQUET: Final = (".parquet", ".pq")


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """R rows of a file.

    Attributes:
        shapes: (R,) outlines, None without one.
        names: (R,) text, null without one.
        malformed: (R,) Boolean: no feature, or a shape that cannot be taken apart.
    """

    shapes: Shapes
    names: pl.Series
    malformed: Mask


def read_areas(site: Site, folder: Path) -> Read:
    """Read the city's polygons.

    Args:
        site: ``site.areas`` says where they are.
        folder: where the source's files lie; ``site.areas.files`` are relative to it.

    Returns:
        Rows under `evalkit.core.frames.AREAS`, in the order of the files; none if the site file
        names no areas.

    Raises:
        FileReadError: a file is absent, or is neither GeoJSON nor GeoParquet with WKB.
        MissingColumnError: no such column or property.
        GeometryError: an outline is invalid, and making it valid would change its area.
        CoordinatesError: the coordinate system is unknown, not that of the file, or the numbers are
            no degrees.
        MissingExtraError: shapely is not installed.
    """
    source = site.areas
    if source is None:
        return no_source(AREAS)
    tables, notes, prints = [], [], []
    found = find_files(source.files, folder)
    for number, (name, path) in enumerate(found.items()):
        data = read_bytes(path)
        prints.append(hashlib.sha256(data).hexdigest())
        rows, said = _rows(data, source, path)
        table, mended = _understood(rows, source, site.city.bounds, name, str(path))
        tables.append(table.with_columns(pl.lit(number, pl.UInt32()).alias("file")))
        notes += [f"{name}: {note}" for note in (*said, *mended)]
    return _conclude(list(found), tables, notes, prints)


def _rows(data: bytes, source: Areas, path: Path) -> tuple[_Rows, Sequence[str]]:
    by_ending = "parquet" if path.suffix.lower() in PARQUET else "geojson"
    if (by_ending if source.format == "auto" else source.format) == "parquet":
        return _from_parquet(data, source, str(path)), ()
    text, notes = to_utf8(data, source.encoding, str(path))
    return _from_geojson(text, source, str(path)), notes


def _from_geojson(data: bytes, source: Areas, where: str) -> _Rows:
    features = features_of(data, where)
    good = [isinstance(one, dict) and one.get("type") == "Feature" for one in features]
    held = [
        one.get("properties") or {} if right else {}
        for one, right in zip(features, good, strict=True)
    ]
    properties = [one if isinstance(one, dict) else {} for one in held]
    name = source.columns.name
    if name:
        present = dict.fromkeys(key for one in properties for key in one)
        check_columns([name], list(present), where)
    geometries = [
        one.get("geometry") if right else None for one, right in zip(features, good, strict=True)
    ]
    texts = [None if one is None else msgspec.json.encode(one).decode() for one in geometries]
    shapes = _shapely().from_geojson(np.array(texts, dtype=object), on_invalid="ignore")
    given = np.array([one is not None for one in texts], dtype=np.bool_)
    return _Rows(
        shapes,
        pl.Series("name", [_text(one.get(name)) for one in properties], dtype=pl.String),
        ~np.array(good, dtype=np.bool_) | (given & _absent(shapes)),
    )


def _from_parquet(data: bytes, source: Areas, where: str) -> _Rows:
    try:
        schema = pl.read_parquet_schema(BytesIO(data))
        about = pl.read_parquet_metadata(BytesIO(data)).get("geo")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise FileReadError(
            "the file is not Parquet, or is damaged", where=where, way_out="export it again"
        ) from None
    column = _geometry_column(about, source, where)
    wanted = [column, *([source.columns.name] if source.columns.name else [])]
    check_columns(wanted, list(schema), where)
    # By position: polars takes a name that begins with ^ and ends with $ for a pattern.
    places = [list(schema).index(one) for one in dict.fromkeys(wanted)]
    table = pl.read_parquet(BytesIO(data), columns=places)
    held = table[column]
    if isinstance(held.dtype, pl.Extension):  # geoarrow.wkb, as GeoPandas writes
        held = held.ext.storage()
    if held.dtype != pl.Binary:
        raise FileReadError(
            f'column "{column}" is of type {held.dtype}',
            where=where,
            limit="binary: WKB, as GeoParquet has it",
            way_out="export it as GeoParquet with WKB, or as GeoJSON",
        )
    shapes = _shapely().from_wkb(held.to_numpy(), on_invalid="ignore")
    names = (
        table[source.columns.name].cast(pl.String, strict=False)
        if source.columns.name
        else pl.repeat(None, table.height, dtype=pl.String, eager=True)
    )
    given = held.is_not_null().to_numpy()
    return _Rows(shapes, names.alias("name"), given & _absent(shapes))


def _geometry_column(about: str | None, source: Areas, where: str) -> str:
    """The column of shapes; refuses a file of another coordinate system than the site file names."""
    try:
        known: Any = {} if about is None else msgspec.json.decode(about)
        column = str(known.get("primary_column") or GEOMETRY)
        described = (known.get("columns") or {}).get(column) or {}
        encoding, system = described.get("encoding", "WKB"), described.get("crs")
        identity = (system or {}).get("id") or {}
    except (msgspec.DecodeError, AttributeError):
        raise FileReadError(
            "the description of the geometry is damaged",
            where=where,
            limit="GeoParquet 1",
            way_out="export it again, or as GeoJSON",
        ) from None
    if encoding != "WKB":
        raise FileReadError(
            f'column "{column}" is encoded as {encoding}',
            where=where,
            limit="WKB",
            way_out="export it as GeoParquet with WKB, or as GeoJSON",
        )
    stated = ":".join(str(identity[key]) for key in ("authority", "code") if key in identity)
    expected = DEGREES if source.crs == "lonlat" else {source.crs.upper()}
    if stated and stated.upper() not in expected:
        raise CoordinatesError(
            f"the file is in {stated}",
            where=where,
            limit=f'crs = "{source.crs}" in [areas] of the site file',
            way_out=f'write crs = "{stated}"',
        )
    return column


def _understood(
    rows: _Rows, source: Areas, bounds: tuple[float, float, float, float], name: str, where: str
) -> tuple[pl.DataFrame, Sequence[str]]:
    """Row, name, geometry and reason of every row of a file, and what is to be said of it."""
    shapely = _shapely()
    kind = shapely.get_type_id(rows.shapes)
    polygonal = np.isin(kind, POLYGONAL)
    shapes = rows.shapes.copy()
    shapes[~polygonal] = None
    shapes = shapely.force_2d(shapes)
    if source.crs != "lonlat":
        shapes = _in_degrees(shapes, source.crs, where)
    _check_degrees(shapes, where)
    number = pl.Series("row", range(1, len(shapes) + 1), dtype=pl.UInt64)
    names = rows.names.str.strip_chars()
    names = names.set(names.is_in(list(source.missing)), None)
    if not source.columns.name:
        named = pl.select(pl.format("{}:{}", pl.lit(name), number)).to_series()
        names = named.alias("name")
    shapes, notes = _valid(shapes, names, where)
    empty = ~(shapely.area(shapes) > 0)
    outside = ~shapely.intersects(shapes, shapely.box(*bounds))
    reason = first_reason(
        {
            "malformed_row": pl.Series(rows.malformed),
            "missing_name": names.is_null(),
            "missing_geometry": pl.Series((polygonal | (kind == ABSENT)) & empty),
            "not_polygon": pl.Series(~polygonal),
            "outside_city": pl.Series(polygonal & ~empty & outside),
        }
    )
    written = [None if one is None else shapely.to_wkb(one) for one in shapes]
    table = pl.DataFrame(
        [number, names.alias("name"), pl.Series("geometry", written, dtype=pl.Binary), reason]
    )
    return table.with_columns(pl.lit(name).alias("name of file")), notes


def _in_degrees(shapes: Shapes, crs: str, where: str) -> Shapes:
    transformer = to_degrees(crs, f"{where}, crs in the site file")
    moved: Shapes = _shapely().transform(
        shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    return moved


def _check_degrees(shapes: Shapes, where: str) -> None:
    corners = _shapely().get_coordinates(shapes)
    wrong = ~((np.abs(corners[:, 0]) <= 180) & (np.abs(corners[:, 1]) <= 90))
    if wrong.any():
        raise CoordinatesError(
            f"{int(wrong.sum())} of {len(corners)} corners are no degrees",
            where=where,
            limit="longitude within ±180, latitude within ±90, in this order",
            way_out="if they are lengths, name their coordinate system as crs in [areas] of the site file",
        )


def _valid(shapes: Shapes, names: pl.Series, where: str) -> tuple[Shapes, Sequence[str]]:
    """Outlines with a certain inside.

    Raises:
        GeometryError: there is none without changing the area by more than `MOST_CHANGE`.
    """
    shapely = _shapely()
    # Nothing is a valid nothing here: it is rejected for what it is.
    invalid = np.flatnonzero(~shapely.is_valid(shapes) & ~_absent(shapes))
    if not len(invalid):
        return shapes, ()
    before = shapely.area(shapes[invalid])
    made = shapely.make_valid(shapes[invalid], method="structure", keep_collapsed=False)
    after = shapely.area(made)
    changed = np.flatnonzero(np.abs(after - before) > MOST_CHANGE * np.maximum(after, before))
    if len(changed):
        first = int(invalid[changed[0]])
        said = re.sub(r"\[.*", "", str(shapely.is_valid_reason(shapes[first])))
        raise GeometryError(
            f"{len(changed)} outlines have no certain inside; the first is row {first + 1}"
            + ("" if names[first] is None else f', "{names[first]}"')
            + f" ({said.strip().lower()})",
            where=where,
            limit=f"valid outlines, or such as change their area by at most {MOST_CHANGE:.1%} when made valid",
            way_out='mend it in a map program ("fix geometries"), look at what became of it, and export it again',
        )
    mended = shapes.copy()
    mended[invalid] = made
    return mended, (
        f"{len(invalid)} invalid outlines were made valid; none changed its area by more than {MOST_CHANGE:.1%}",
    )


def _conclude(
    files: Sequence[str],
    tables: Sequence[pl.DataFrame],
    notes: Sequence[str],
    prints: Sequence[str],
) -> Read:
    table = pl.concat(tables)
    rows = table.filter(pl.col("reason").is_null()).select(AREAS.schema.names())
    rejected = table.filter(pl.col("reason").is_not_null()).select(
        pl.col("name of file").alias("file"),
        "row",
        pl.col("reason").cast(pl.String()),
        pl.lit(None, pl.String()).alias("text"),
        "name",
    )
    return Read(
        rows=validate(rows, AREAS),
        rejected=rejected,
        account=Account(
            read=table.height,
            used=rows.height,
            rejected=dict(rejected.group_by("reason").len().iter_rows()),
        ),
        notes=(*notes, *_joint_notes(rows)),
        files=tuple(files),
        fingerprint=join_fingerprints(prints),
    )


def _joint_notes(rows: pl.DataFrame) -> list[str]:
    if rows.is_empty():
        return ["no row is used"]
    notes = []
    repeated = rows.height - rows["name"].n_unique()
    if repeated:
        notes.append(
            f"{repeated} of {rows.height} polygons repeat the name of an earlier one; polygons of one "
            "name are one unit"
        )
    overlapping = _overlapping(rows)
    if overlapping:
        notes.append(
            f"{overlapping} of {rows.height} polygons overlap one of another name; a point in both "
            "belongs to the first in the order of the file"
        )
    return notes


def _overlapping(rows: pl.DataFrame) -> int:
    """Number of polygons whose inside meets that of a polygon of another name."""
    shapely = _shapely()
    shapes = shapely.from_wkb(rows["geometry"].to_numpy())
    one, other = shapely.STRtree(shapes).query(shapes)
    name = rows["name"].to_numpy()
    apart = (one < other) & (name[one] != name[other])
    one, other = one[apart], other[apart]
    shared = shapely.relate_pattern(shapes[one], shapes[other], "T********")
    return len(np.unique(np.concatenate([one[shared], other[shared]])))


def _absent(shapes: Shapes) -> Mask:
    absent: Mask = _shapely().get_type_id(shapes) == ABSENT
    return absent


def _text(value: object) -> str | None:
    match value:
        case None:
            return None
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode("utf-8")


def _shapely() -> ModuleType:
    try:
        import shapely
    except ImportError:
        raise MissingExtraError(
            "shapely is not installed, and the city's areas are polygons",
            limit="the extra `polygons`",
            way_out="pip install 'evalkit[polygons]'",
        ) from None
    module: ModuleType = shapely
    return module
