"""Parquet: typed columns, written out as text without losing a digit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from evalkit.config import Source
from evalkit.errors import FileReadError
from evalkit.readers.protocol import RawTable, no_malformed
from evalkit.readers.sources._bytes import read_bytes
from evalkit.readers.sources._columns import check_columns

__all__ = ["Parquet", "reader"]

BLOCK_ROWS: Final = 1 << 17
"""Rows of a block, a fraction of the row groups that are usual."""

_FAILURES: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)
"""What polars raises for a damaged file; a panic is not an Exception and would otherwise end the
run."""


class Parquet:
    """Reads flat columns of any type.

    Dates and times become ISO 8601, with their offset if they have a zone; floats their shortest
    exact decimal; binary columns UTF-8. ``encoding``, ``separator`` and the like do not apply.
    """

    formats: tuple[str, ...] = ("parquet",)
    suffixes: tuple[str, ...] = (".parquet", ".pq")

    def read(self, path: Path, source: Source, columns: Sequence[str]) -> RawTable:  # noqa: ARG002 (protocol)
        """Read ``columns`` of one file.

        Raises:
            FileReadError: absent, empty, not Parquet, damaged, or a column that holds lists.
            MissingColumnError: a column is not in the file.
        """
        where = str(path)
        data = read_bytes(path)
        schema = _schema(data, where)
        check_columns(columns, schema.names(), where)
        rows = _as_text(_rows(data, schema, columns, where), columns, where)
        if not rows.height:
            raise FileReadError("the file has no row", where=where, way_out="export it again")
        return RawTable(
            rows=rows,
            numbers=pl.int_range(1, rows.height + 1, dtype=pl.UInt64(), eager=True).alias("row"),
            malformed=no_malformed(),
        )

    def blocks(
        self,
        path: Path,
        source: Source,  # noqa: ARG002 (protocol)
        columns: Sequence[str],
    ) -> tuple[Callable[[], RawTable | None], ...]:
        """The file in blocks of rows.

        Raises:
            FileReadError: not Parquet, or damaged.
            MissingColumnError: a column is not in the file.
        """
        where = str(path)
        if any(name.startswith("^") for name in columns):  # polars takes it for a pattern
            return ()
        try:
            frame = pl.scan_parquet(path)
            names, height = frame.collect_schema().names(), frame.select(pl.len()).collect().item()
        except _FAILURES:
            return ()
        check_columns(columns, names, where)
        chosen = frame.select(columns)
        return tuple(
            partial(_read_block, chosen, start, columns, where)
            for start in range(0, height, BLOCK_ROWS)
        )


def _read_block(
    frame: pl.LazyFrame, start: int, columns: Sequence[str], where: str
) -> RawTable | None:
    try:
        found = frame.slice(start, BLOCK_ROWS).collect()
    except _FAILURES:
        return None
    return RawTable(
        rows=_as_text(found, columns, where),
        numbers=pl.int_range(1, found.height + 1, dtype=pl.UInt64(), eager=True).alias("row"),
        malformed=no_malformed(),
    )


def _schema(data: bytes, where: str) -> pl.Schema:
    try:
        return pl.Schema(pl.read_parquet_schema(data))
    except _FAILURES:
        pass
    raise _damaged(where)


def _rows(data: bytes, schema: pl.Schema, columns: Sequence[str], where: str) -> pl.DataFrame:
    # By position: polars takes a name that begins with ^ and ends with $ for a pattern.
    positions = [schema.names().index(name) for name in columns]
    try:
        return pl.read_parquet(data, columns=positions)
    except _FAILURES:
        pass
    raise _damaged(where)


def _damaged(where: str) -> FileReadError:
    return FileReadError(
        "the file is not Parquet, or is damaged",
        where=where,
        way_out="export it again, or correct format in the site file",
    )


def _as_text(rows: pl.DataFrame, columns: Sequence[str], where: str) -> pl.DataFrame:
    return pl.DataFrame([_text(rows[name], where) for name in columns])


def _text(values: pl.Series, where: str) -> pl.Series:
    dtype = values.dtype
    if dtype.is_nested() or isinstance(dtype, pl.Object | pl.Duration):
        raise FileReadError(
            f'column "{values.name}" is of type {dtype}, which has no text form',
            where=where,
            limit="text, numbers, dates or times",
            way_out="flatten it before the export",
        )
    if isinstance(dtype, pl.Datetime):
        offset = "%:z" if dtype.time_zone else ""
        values = values.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.f{offset}")
    elif isinstance(dtype, pl.Time):
        values = values.dt.strftime("%H:%M:%S%.f")
    elif isinstance(dtype, pl.Date):
        values = values.dt.strftime("%Y-%m-%d")
    text = values.cast(pl.String(), strict=False)
    return text.set(text == "", None)


reader: Final = Parquet()
