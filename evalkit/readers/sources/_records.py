"""Two ways of taking delimited text apart that agree: a fast one and an exact one.

The fast way works on lines. It is taken only when every record is one line, and then nothing is
left to interpretation. A quotation mark that does not pair up within its line, a NUL byte, or a
lone carriage return sends the whole file the exact way, through Python's csv module, record by
record.

Vocabulary
    record     what lies between two line ends, quoted line ends not counted. blank line a line of
               nothing or of spaces; not a record, and not counted. malformed  a record with more or
               fewer fields than the header, with a NUL, or with a quotation mark that opens and
               does not close. A record that never closes ends at its own line, so that one stray
               quotation mark costs one row and not the rest of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from evalkit.readers.protocol import MALFORMED, RawTable, no_malformed
from evalkit.readers.sources._even import even_records

__all__ = ["read_exactly", "read_fast"]

MAX_RECORD_LINES: Final = 1000
"""Lines a quoted field may run over. Bounds the search for a closing quotation mark that is not
there."""


def read_fast(body: bytes, separator: str, width: int, positions: Sequence[int]) -> RawTable | None:
    """Fields ``positions`` of every record of ``width`` fields, None if only the exact way will do.

    Columns of the result are named by their position.
    """
    if b"\0" in body or (b"\r" in body and body.count(b"\r") != body.count(b"\r\n")):
        return None
    even = even_records(body, separator, width) if b'"' not in body else None
    if even:
        rows = _split(body, separator, width, positions)
        if rows.height != even.records:
            return None
        numbers = pl.int_range(1, even.records + 1, dtype=pl.UInt64(), eager=True).alias("row")
        return RawTable(rows, numbers, no_malformed(), tidy=even.tidy)
    lines = pl.read_lines(body)["line"]
    regular = _regular(lines, separator, width, quoted=b'"' in body)
    if regular is None:
        return None
    record = lines.str.strip_chars(" ") != ""
    regular &= record
    number = record.cum_sum().cast(pl.UInt64)
    if not regular.all():
        body = (lines.filter(regular).str.join("\n").item() or "").encode("utf-8")
    rows = _split(body, separator, width, positions)
    if rows.height != int(regular.sum()):
        return None
    bad = record & ~regular
    malformed = pl.DataFrame(
        {"row": number.filter(bad), "text": lines.filter(bad)}, schema=MALFORMED
    )
    return RawTable(rows=rows, numbers=number.filter(regular), malformed=malformed)


def _regular(lines: pl.Series, separator: str, width: int, *, quoted: bool) -> pl.Series | None:
    """Which lines have ``width`` fields; None if a line with quotation marks is not among them.

    Such a line may be one part of a record, so that lines are not records in this file.
    """
    if not quoted:
        return lines.str.count_matches(separator, literal=True) == width - 1
    mark = rf"\x{{{ord(separator):x}}}"
    field = rf'(?:[^"{mark}]*|"(?:[^"]|"")*")'
    try:
        regular = lines.str.contains(rf"^{field}(?:{mark}{field}){{{width - 1}}}$")
    except pl.exceptions.PolarsError:
        # The expression grows with the number of columns, and polars bounds its size.
        return None
    in_doubt = lines.str.contains('"', literal=True) & ~regular
    return None if in_doubt.any() else regular


def _split(body: bytes, separator: str, width: int, positions: Sequence[int]) -> pl.DataFrame:
    schema = pl.Schema({str(position): pl.String() for position in range(width)})
    names = [str(position) for position in positions]
    if not body:
        return pl.DataFrame(schema=schema).select(names)
    return pl.read_csv(
        body,
        has_header=False,
        separator=separator,
        schema=schema,
        columns=sorted(set(positions)),
        raise_if_empty=False,
    ).select(names)


def read_exactly(body: bytes, separator: str, width: int, positions: Sequence[int]) -> RawTable:
    """As `read_fast`, for any text."""
    names = [str(position) for position in positions]
    columns: list[list[str]] = [[] for _ in names]
    numbers: list[int] = []
    bad_numbers: list[int] = []
    bad_texts: list[str] = []
    for number, (fields, text) in enumerate(
        _records(body.decode("utf-8"), separator, width), start=1
    ):
        if fields is None:
            bad_numbers.append(number)
            bad_texts.append(text)
            continue
        numbers.append(number)
        for column, position in zip(columns, positions, strict=True):
            column.append(fields[position])
    return RawTable(
        rows=pl.DataFrame(
            dict(zip(names, columns, strict=True)), schema=dict.fromkeys(names, pl.String())
        ),
        numbers=pl.Series("row", numbers, dtype=pl.UInt64()),
        malformed=(
            pl.DataFrame({"row": bad_numbers, "text": bad_texts}, schema=MALFORMED)
            if bad_numbers
            else no_malformed()
        ),
    )


class _Window(Iterator[str]):
    """Lines one by one, as far as one record may reach; can be set back."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.at = 0
        self.end = 0

    def __next__(self) -> str:
        if self.at >= self.end:
            raise StopIteration
        line = self.lines[self.at]
        self.at += 1
        return line


def _records(text: str, separator: str, width: int) -> Iterator[tuple[list[str] | None, str]]:
    """Every record's fields, or None and its raw text if it is malformed."""
    window = _Window(list(io.StringIO(text, newline="")))
    reader = csv.reader(window, delimiter=separator, strict=True)
    while window.at < len(window.lines):
        start = window.at
        line = window.lines[start].rstrip("\r\n")
        if not line.strip(" "):
            window.at += 1
            continue
        window.end = min(start + MAX_RECORD_LINES, len(window.lines))
        try:
            fields = next(reader)
        except (csv.Error, StopIteration):
            fields = []
        nul = any("\0" in part for part in window.lines[start : window.at])
        if len(fields) == width and not nul:
            yield fields, ""
        else:
            window.at = start + 1
            yield None, line
