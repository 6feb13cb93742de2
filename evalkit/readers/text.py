"""Text that means something: no surrounding blanks, null where it is marked as missing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["clean"]


def clean(values: pl.Series, missing: Sequence[str]) -> pl.Series:
    """``values`` without surrounding blanks; null where nothing is left or ``missing`` lists it."""
    stripped = values.str.strip_chars()
    return stripped.set(stripped.is_in(["", *missing]), None)
