"""Delimited text: CSV, TSV and their relatives, in any encoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from evalkit.config import Source
from evalkit.errors import FileReadError
from evalkit.readers.protocol import RawTable
from evalkit.readers.sources._bytes import read_bytes, to_utf8
from evalkit.readers.sources._header import read_header
from evalkit.readers.sources._records import read_exactly, read_fast

__all__ = ["Delimited", "reader"]


class Delimited:
    """Reads delimited text with a header.

    No type is guessed: every field is text until a site file says what it means. Names in the
        header are compared without surrounding blanks; a name that occurs twice is refused only if
        it is asked for. Blank lines are not rows. Records that do not have the header's number of
        fields, and other damage, are
    set aside as malformed and counted; see `evalkit.readers.sources._records`.
    """

    formats: tuple[str, ...] = ("csv", "tsv")
    suffixes: tuple[str, ...] = (".csv", ".tsv", ".txt", ".tab")

    def read(self, path: Path, source: Source, columns: Sequence[str]) -> RawTable:
        """Read ``columns`` of one file.

        Raises:
            FileReadError: absent, empty, only a header, a wrong separator, or an ambiguous header.
            EncodingError: not in the encoding ``source`` names.
            MissingColumnError: a column is not in the file.
        """
        where = str(path)
        body, notes = to_utf8(read_bytes(path), source.encoding, where)
        separator = source.separator or ("\t" if source.format == "tsv" else "")
        header = read_header(body, separator, columns, where)
        records = body[header.end :]
        layout = (
            header.separator,
            len(header.names),
            [header.names.index(name) for name in columns],
        )
        table = (read_fast(records, *layout) if records else None) or read_exactly(records, *layout)
        if not table.read:
            raise FileReadError(
                "the file has a header and no row", where=where, way_out="export it again"
            )
        rows = table.rows.rename(dict(zip(table.rows.columns, columns, strict=True)))
        return replace(table, rows=_empty_to_null(rows), notes=notes)


def _empty_to_null(rows: pl.DataFrame) -> pl.DataFrame:
    """Delimited text cannot tell an empty field from a missing one; both are missing."""
    return rows.select(pl.when(pl.all() != "").then(pl.all()))


reader: Final = Delimited()
