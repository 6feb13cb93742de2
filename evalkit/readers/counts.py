"""How many incidents or cameras a row stands for: one, or what a column of the source says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from evalkit.config import Source

__all__ = ["Counts", "read_counts"]

LARGEST: Final = 2**32 - 1
"""Beyond it a number is no count of anything in a city."""


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Numbers of N rows.

    Attributes:
        count: (N,) UInt32; null where missing or unreadable.
        conditions: reason for rejecting a row → (N,) Boolean.
    """

    count: pl.Series
    conditions: dict[str, pl.Series]


def read_counts(values: pl.Series | None, length: int, source: Source) -> Counts:
    """Read cleaned text into counts; a mark between thousands is allowed.

    Args:
        values: (N,) String, null where missing; None without such a column, when every row is one.
        length: N.
        source: its decimal mark.
    """
    if values is None:
        return Counts(pl.repeat(1, length, dtype=pl.UInt32(), eager=True), {})
    mark, thousands = (",", r"[. \u{a0}'](\d{3})\b") if source.decimal == "," else (
        ".", r"[, \u{a0}'](\d{3})\b"
    )  # fmt: skip
    plain = values.str.replace_all(thousands, "${1}").str.replace(mark, ".", literal=True)
    number = plain.cast(pl.Float64, strict=False)
    whole = (number == number.floor()) & number.is_between(0, LARGEST)
    count = number.set(~whole.fill_null(value=False), None).cast(pl.UInt32())
    missing = values.is_null()
    return Counts(count, {"missing_count": missing, "unreadable_count": count.is_null() & ~missing})
