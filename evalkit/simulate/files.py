"""Tables as bytes, in the format, encoding and number style of a portal."""

from __future__ import annotations

import codecs
from pathlib import Path

import msgspec
import polars as pl

from evalkit.simulate.layout import Layout

__all__ = ["write_table"]


def write_table(table: pl.DataFrame, layout: Layout, path: Path) -> None:
    """Write one file; the same table gives the same bytes."""
    if layout.suffix == "parquet":
        table.write_parquet(path)
    elif layout.suffix == "geojson":
        path.write_bytes(_geojson(table, layout))
    else:
        path.write_bytes(_encode(_delimited(table, layout), layout.encoding))


def _delimited(table: pl.DataFrame, layout: Layout) -> str:
    text: str = table.write_csv(
        separator=layout.separator,
        line_terminator=layout.newline,
        decimal_comma=layout.decimal == ",",
        float_precision=layout.decimals,
        null_value=layout.missing,
    )
    return text


def _encode(text: str, encoding: str) -> bytes:
    # Python writes UTF-16 in the machine's own byte order; these files must not.
    if encoding == "utf-16":
        return codecs.BOM_UTF16_LE + text.encode("utf-16-le")
    return text.encode(encoding)


def _geojson(table: pl.DataFrame, layout: Layout) -> bytes:
    """Points; coordinates are repeated among the properties, as map servers often do."""
    lon, lat = table[layout.columns["longitude"]], table[layout.columns["latitude"]]
    features = [
        {
            "type": "Feature",
            "geometry": None if x is None else {"type": "Point", "coordinates": [x, y]},
            "properties": properties,
        }
        for x, y, properties in zip(lon, lat, table.iter_rows(named=True), strict=True)
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})
