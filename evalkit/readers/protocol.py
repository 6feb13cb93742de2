"""What a source has to offer: text in rows, damaged rows set aside.

A source is one part or several. A part is read as a whole: a file, or a database's answer to one
query. Neither a part nor the reader of a file format knows anything about crime: they return the
columns they are asked for as text. What the text means is decided afterwards, in one place for all
(`evalkit.readers.incidents`, `evalkit.readers.cameras`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import polars as pl

from evalkit.config import Source

__all__ = ["MALFORMED", "Divisible", "Part", "RawTable", "Reader", "no_malformed"]

MALFORMED: Final = pl.Schema({"row": pl.UInt64(), "text": pl.String()})
"""Columns of the rows that could not be taken apart: where they are, and their raw text."""


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """One part as text.

    Attributes:
        rows: the columns asked for, in that order, all String; null where the source holds nothing.
        numbers: (rows.height,) UInt64 positions in the part counting from 1, increasing.
        malformed: `MALFORMED` columns; these rows are not in ``rows``, but their positions count.
        notes: plain sentences about the part; never a value from it.
        fingerprint: SHA-256 over the content, of a part that learns it by reading; else empty.
        tidy: whether it is certain that no value has blanks around it.
    """

    rows: pl.DataFrame
    numbers: pl.Series
    malformed: pl.DataFrame
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    tidy: bool = False

    @property
    def read(self) -> int:
        """Number of rows in the part."""
        return self.rows.height + self.malformed.height


class Part(Protocol):
    """What is read as a whole."""

    @property
    def name(self) -> str:
        """What people call it: a file's name, never an address with a password."""

    @property
    def format(self) -> str:
        """How it is taken apart; the same content in another format is something else."""

    def stamp(self) -> tuple[int, ...]:
        """Differs after the content was changed; costs next to nothing.

        Raises:
            ReadError: the part cannot be read.
        """

    def fingerprint(self) -> str:
        """SHA-256 over the content, 64 hex digits; empty if only `read` tells.

        Raises:
            ReadError: the part cannot be read.
        """

    def read(self, columns: Sequence[str]) -> RawTable:
        """Read ``columns``.

        Raises:
            ReadError: the part cannot be read, or lacks a column.
        """


@runtime_checkable
class Divisible(Protocol):
    """A reader that can take a file in blocks, each of which fits into memory."""

    def blocks(
        self, path: Path, source: Source, columns: Sequence[str]
    ) -> tuple[Callable[[], RawTable | None], ...]:
        """Reads of consecutive parts of the file; no part at all if the file cannot be divided.

        A read gives None if its part cannot be understood without the others. The numbers of its
        rows count from 1 in every part.

        Raises:
            ReadError: the file cannot be read, or lacks a column.
        """


class Reader(Protocol):
    """One file format. A file in `evalkit.readers.sources` exposes one of these as ``reader``."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Names by which a site file asks for this reader."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """File name endings, in lower case with the dot, that belong to it."""

    def read(self, path: Path, source: Source, columns: Sequence[str]) -> RawTable:
        """Read ``columns`` of one file.

        Raises:
            FileReadError: absent, empty, or not of this format.
            EncodingError: not in the encoding ``source`` names.
            MissingColumnError: a column is not in the file.
        """


def no_malformed() -> pl.DataFrame:
    """The table of malformed rows of a file that has none."""
    return pl.DataFrame(schema=MALFORMED)
