"""Text that means something: no surrounding blanks, null where it is marked as missing."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["clean"]


def clean(values: pl.Series, missing: Sequence[str], *, tidy: bool = False) -> pl.Series:
    """``values`` without surrounding blanks; null where nothing is left or ``missing`` lists it.

    Args:
        values: (N,) String.
        missing: texts that stand for nothing.
        tidy: whether it is certain that no value has blanks around it.
    """
    stripped = values if tidy else values.str.strip_chars()
    nothing = stripped.is_in(["", *missing])
    return stripped.set(nothing, None) if nothing.any() else stripped
