"""Which rows are the same event told twice, within a part of a source and across its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import polars as pl

from evalkit.readers.records import SAME, Records

__all__ = ["digests", "find_repeated", "repeated"]


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


def digests(text: pl.DataFrame, columns: Sequence[str], among: pl.Series) -> pl.Series:
    """(N,) UInt64 that are equal for rows that `repeated` would call equal, null outside ``among``.

    Two unequal rows may share one, by chance once in 2⁶⁴ pairs.
    """
    compared = text.select(columns)
    known = compared.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    return compared.hash_rows().set(~(among & known), None).alias(SAME)


def find_repeated(
    parts: Sequence[Records], columns: Sequence[str], read: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    """``part`` and ``row`` of the records that repeat an earlier one, parts in their order.

    Digests only say who is suspect; suspects are compared letter for letter.

    Args:
        parts: every part, with digests from `digests`.
        columns: names of the columns that must be equal.
        read: turns columns of the source, as `Records.written` gives them, into text to compare.
    """
    suspects = pl.concat(
        [
            part.table.select(pl.lit(index, pl.UInt32()).alias("part"), "row", SAME).drop_nulls()
            for index, part in enumerate(parts)
        ]
    ).filter(pl.col(SAME).is_duplicated())
    if suspects.is_empty():
        return suspects.select("part", "row")
    groups = suspects.partition_by("part", maintain_order=True, as_dict=True)
    text = pl.concat(
        [read(parts[int(index)].written(group["row"])) for (index,), group in groups.items()]
    )
    everything = pl.repeat(value=True, n=suspects.height, eager=True)
    return suspects.select("part", "row").filter(repeated(text, columns, everything))
