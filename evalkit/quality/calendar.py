"""Days, months and years of a source, and how finely it states them.

Vocabulary
    weight      how many incidents or cameras a row stands for; 1 unless the source gives counts.
    resolution  ``day``, ``month`` or ``year``: the finest that the dates tell.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal

import polars as pl

__all__ = ["Resolution", "by_period", "by_year", "resolution_of"]

Resolution = Literal["day", "month", "year"]

NEARLY_ALL: Final = 0.9
"""Share of dates on the first of a month, or on 1 January, from which no finer date is meant."""

STEP: Final[dict[Resolution, str]] = {"day": "1mo", "month": "1mo", "year": "1y"}


def resolution_of(dates: pl.Series) -> Resolution:
    """How finely dates are stated; ``day`` for none at all."""
    known = dates.drop_nulls()
    if known.is_empty():
        return "day"
    firsts = known.dt.day() == 1
    if float(firsts.sum()) < NEARLY_ALL * len(known):
        return "day"
    januaries = int((firsts & (known.dt.month() == 1)).sum())
    # One month repeated may be January by chance; several years of nothing else are not.
    return "year" if januaries >= NEARLY_ALL * len(known) and known.n_unique() > 1 else "month"


def by_period(
    dates: pl.Series, weights: pl.Series, resolution: Resolution
) -> list[tuple[dt.date, int]]:
    """Months, or years, from the first to the last with their number, empty ones included."""
    step = STEP[resolution]
    found = (
        pl.DataFrame({"date": dates, "weight": weights.cast(pl.Int64)})
        .drop_nulls()
        .group_by(pl.col("date").dt.truncate(step))
        .agg(pl.col("weight").sum())
    )
    if found.is_empty():
        return []
    counts = dict(found.iter_rows())
    periods = pl.date_range(min(counts), max(counts), step, eager=True).to_list()
    return [(period, int(counts.get(period, 0))) for period in periods]


def by_year(dates: pl.Series, weights: pl.Series) -> dict[int, int]:
    """Year → number, years without any left out."""
    return {day.year: number for day, number in by_period(dates, weights, "year") if number}
