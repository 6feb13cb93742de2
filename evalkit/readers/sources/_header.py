"""The first record of a delimited file: separator, names, and where the data begin."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evalkit.errors import FileReadError
from evalkit.readers.sources._columns import check_columns, listed

__all__ = ["HEAD_BYTES", "Header", "read_header"]

SEPARATORS: Final[dict[str, str]] = {",": '","', ";": '";"', "\t": '"\\t" (tab)', "|": '"|"'}
"""Separators that are looked for when none is stated, and how a site file writes them."""

HEAD_BYTES: Final = 1 << 20
"""A header longer than this is not a header."""

VALUE_LIKE: Final = re.compile(r"[-+]?\d[\d.,:/+\-TZ ]*")
"""A number, date or time: what stands in the first record of a file without a header."""


@dataclass(frozen=True, slots=True)
class Header:
    """First record of a delimited file.

    Attributes:
        names: the columns in their order, without surrounding blanks.
        separator: one character.
        end: number of bytes up to the first data record.
    """

    names: tuple[str, ...]
    separator: str
    end: int


def read_header(body: bytes, separator: str, wanted: Sequence[str], where: str) -> Header:
    """Read the header of UTF-8 ``body``; an empty ``separator`` is found from the header itself.

    Raises:
        FileReadError: no header, no data, a wrong separator, or a wanted name that occurs twice.
        MissingColumnError: a wanted name is not there.
    """
    _check_separator(separator, where)
    head = body[:HEAD_BYTES].decode("utf-8", errors="ignore")
    tried = {
        one: _parse(head, one) for one in dict.fromkeys([*filter(None, [separator]), *SEPARATORS])
    }
    best = max(tried, key=lambda one: _fit(tried[one], wanted, stated=one == separator))
    if separator and best != separator:
        raise FileReadError(
            f"the header does not fall into columns at {_written(separator)}",
            where=where,
            limit=f"the likely separator is {_written(best)}",
            way_out="set separator in the site file to it, or leave separator out to have it found",
        )
    header = tried[best]
    if header is None:
        raise FileReadError(
            "the first record is not a header",
            where=where,
            limit="one line of column names",
            way_out="export the file again, with a header",
        )
    _check_names(header.names, wanted, where)
    return header


def _parse(head: str, separator: str) -> Header | None:
    """The first record that is not blank, taken apart at ``separator``; None if it cannot be."""
    lines = io.StringIO(head, newline="")
    try:
        for fields in csv.reader(lines, delimiter=separator, strict=True):
            if any(name.strip() for name in fields):
                names = tuple(name.strip() for name in fields)
                return Header(names, separator, len(head[: lines.tell()].encode("utf-8")))
    except csv.Error:
        return None
    return None


def _fit(
    header: Header | None, wanted: Sequence[str], *, stated: bool
) -> tuple[int, bool, bool, int]:
    """How well a separator suits: wanted names found, then columns at all, then what was stated."""
    if header is None:
        return (-1, False, stated, 0)
    found = len(set(wanted) & set(header.names))
    return (found, len(header.names) > 1, stated, len(header.names))


def _check_separator(separator: str, where: str) -> None:
    if len(separator) > 1 or separator in {'"', "\n", "\r", "\0"} or not separator.isascii():
        raise FileReadError(
            "the separator cannot separate",
            where=f"{where}, separator in the site file",
            limit="one ASCII character that is not a quotation mark or a line end",
            way_out=f"one of {', '.join(SEPARATORS.values())}, or leave it out to have it found",
        )


def _check_names(names: Sequence[str], wanted: Sequence[str], where: str) -> None:
    absent = not set(wanted) <= set(names)
    if absent and any("\n" in name or "\r" in name for name in names):
        # Not listed either: what lies between the quotation marks may be rows.
        raise FileReadError(
            "a column name runs over several lines",
            where=where,
            limit="a header on one line, whose quotation marks close",
            way_out="mend the first line of the file",
        )
    if absent and any(VALUE_LIKE.fullmatch(name) for name in names):
        # The names are not listed: they are probably the values of the first row.
        raise FileReadError(
            "the first record seems to hold data, not column names",
            where=where,
            limit="a header with the columns that the site file names",
            way_out="export the file again with a header, or put one before the first line",
        )
    check_columns(wanted, names, where)
    counts = Counter(names)
    twice = [name for name in dict.fromkeys(wanted) if counts[name] > 1]
    if twice:
        raise FileReadError(
            f"column names occur more than once in the header: {listed(twice)}",
            where=where,
            limit="each column that is read has a name of its own",
            way_out="rename all but the one that is meant",
        )


def _written(separator: str) -> str:
    return SEPARATORS.get(separator, f'"{separator}"')
