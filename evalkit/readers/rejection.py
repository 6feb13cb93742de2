"""One reason a row: the first that applies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from evalkit.core.frames import REJECT_REASONS

__all__ = ["REASON", "first_reason"]

REASON: Final = pl.Enum(list(REJECT_REASONS))
"""Type of a column of reasons; null means that nothing speaks against the row."""


def first_reason(conditions: Mapping[str, pl.Series]) -> pl.Series:
    """For every row the first reason whose condition holds, null if none does.

    Args:
        conditions: reason → Boolean series, all of one length; null counts as false. They are tried
            in the order of `REJECT_REASONS`, whatever the order they are given in.
    """
    length = len(next(iter(conditions.values())))
    reason = pl.repeat(None, length, dtype=REASON, eager=True)
    for code in reversed(REJECT_REASONS):
        if code in conditions:
            reason = reason.set(conditions[code].fill_null(value=False), code)
    return reason.alias("reason")
