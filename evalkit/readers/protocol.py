"""What a source format has to offer: text in rows, damaged rows set aside.

A reader knows files and nothing about crime: it returns the columns it was asked for as text. What
the text means is decided afterwards, in one place for all formats (`evalkit.readers.incidents`,
`evalkit.readers.cameras`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import polars as pl

from evalkit.config import Source

__all__ = ["MALFORMED", "RawTable", "Reader", "no_malformed"]

MALFORMED: Final = pl.Schema({"row": pl.UInt64(), "text": pl.String()})
"""Columns of the rows that could not be taken apart: where they are, and their raw text."""


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """One file as text.

    Attributes:
        rows: the columns asked for, in that order, all String; null where the source holds nothing.
        numbers: (rows.height,) UInt64 positions in the file counting from 1, increasing.
        malformed: `MALFORMED` columns; these rows are not in ``rows``, but their positions count.
        notes: plain sentences about the file; never a value from it.
    """

    rows: pl.DataFrame
    numbers: pl.Series
    malformed: pl.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        """Number of rows in the file."""
        return self.rows.height + self.malformed.height


class Reader(Protocol):
    """One source format. A file in `evalkit.readers.sources` exposes one of these as ``reader``."""

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
