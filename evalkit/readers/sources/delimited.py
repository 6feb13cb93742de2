"""Delimited text: CSV, TSV and their relatives, in any encoding."""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from evalkit.config import Source
from evalkit.errors import FileReadError
from evalkit.readers.protocol import RawTable
from evalkit.readers.sources._bytes import LINE_BYTES, check_lines, codec_name, read_bytes, to_utf8
from evalkit.readers.sources._header import HEAD_BYTES, read_header
from evalkit.readers.sources._records import read_exactly, read_fast

__all__ = ["Delimited", "reader"]

BLOCK_BYTES: Final = 1 << 24
"""Bytes of a block: a hundred thousand records, so that what is done once a block costs little."""

Layout = tuple[str, int, list[int]]
"""Separator, number of fields, and positions of the columns."""


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
            FileReadError: absent, empty, only a header, a line too long, a wrong separator, or an
                ambiguous header.
            EncodingError: not in the encoding ``source`` names.
            MissingColumnError: a column is not in the file.
        """
        where = str(path)
        check_lines(path)
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
        return replace(_named(table, columns), notes=notes)

    def blocks(
        self, path: Path, source: Source, columns: Sequence[str]
    ) -> tuple[Callable[[], RawTable | None], ...]:
        """The file in blocks of whole lines, if it is UTF-8; none else.

        A block gives None if its records may not be one line each; then only `read` will do.

        Raises:
            FileReadError: a wrong separator, or an ambiguous header.
            MissingColumnError: a column is not in the file.
        """
        if codec_name(source.encoding, str(path)) != "utf-8":
            return ()
        separator = source.separator or ("\t" if source.format == "tsv" else "")
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
                if not head:
                    return ()
                mark = len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0
                header = read_header(head[mark:], separator, columns, str(path))
                cuts = list(_cuts(file, mark + header.end))
        except OSError:  # `read` says it in words
            return ()
        if any(end - start > LINE_BYTES for start, end in pairwise(cuts)):
            check_lines(path)
        layout = (
            header.separator,
            len(header.names),
            [header.names.index(name) for name in columns],
        )
        return tuple(
            partial(_read_block, path, start, end, layout, columns) for start, end in pairwise(cuts)
        )


def _cuts(file: BinaryIO, start: int) -> Iterator[int]:
    """Positions of line starts, about `BLOCK_BYTES` apart; the first is ``start``, the last the end."""
    size = file.seek(0, os.SEEK_END)
    while start < size:
        yield start
        file.seek(start + BLOCK_BYTES)
        file.readline()
        start = file.tell()
    yield size


def _read_block(
    path: Path, start: int, end: int, layout: Layout, columns: Sequence[str]
) -> RawTable | None:
    with path.open("rb") as file:
        file.seek(start)
        records = file.read(end - start)
    if not _is_utf8(records):
        return None
    table = read_fast(records, *layout)
    return table and _named(table, columns)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _named(table: RawTable, columns: Sequence[str]) -> RawTable:
    rows = table.rows.rename(dict(zip(table.rows.columns, columns, strict=True)))
    return replace(table, rows=_empty_to_null(rows))


def _empty_to_null(rows: pl.DataFrame) -> pl.DataFrame:
    """Delimited text cannot tell an empty field from a missing one; both are missing."""
    return rows.select(pl.when(pl.all() != "").then(pl.all()))


reader: Final = Delimited()
