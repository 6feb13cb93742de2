"""Which rows are the same event told twice."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

__all__ = ["repeated"]


def repeated(text: pl.DataFrame, columns: Sequence[str], among: pl.Series) -> pl.Series:
    """Rows of ``among`` that equal an earlier row of ``among`` in all ``columns``.

    Only rows that are otherwise used are compared, so that a row is not the duplicate of a rejected
    one. A null equals a null, unless all ``columns`` are null: nothing is known of such a row.

    Args:
        text: (N, ·) columns to compare.
        columns: names of those that must be equal.
        among: (N,) Boolean.
    """
    eligible = text.select(columns).with_row_index("position").filter(among)
    eligible = eligible.filter(pl.any_horizontal(pl.col(columns).is_not_null()))
    first = eligible.unique(columns, keep="first")["position"]
    later = eligible.filter(~pl.col("position").is_in(first.implode()))["position"]
    result = pl.repeat(value=False, n=text.height, eager=True)
    return result.scatter(later, values=True)
