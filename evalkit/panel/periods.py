"""Dates to periods.

Vocabulary
    period  a day, a week that starts on Monday, a month, a quarter or a year; counted from 0 at
            the window's start.

Dates are local dates already, so neither time zones nor daylight saving play any part here.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Window

__all__ = ["OUTSIDE", "as_days", "period_index", "period_starts"]

OUTSIDE: Final = -1
"""Period of a date before or after the window, or of no date."""

MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


def period_starts(window: Window) -> tuple[dt.date, ...]:
    """First day of every period, in order; ``window.start`` is one (see `check_study`)."""
    starts, day = [], window.start
    while day <= window.end:
        starts.append(day)
        day = _next(day, window.period)
    return tuple(starts)


def as_days(dates: object) -> NDArray[np.datetime64]:
    """Dates as a ``datetime64[D]`` array; null becomes NaT."""
    return np.asarray(dates, dtype="datetime64[D]")


def period_index(dates: NDArray[np.datetime64], window: Window) -> NDArray[np.int64]:
    """(N,) period of each date; `OUTSIDE` before the window, after it, and for NaT."""
    starts = as_days(period_starts(window))
    first, last = as_days(window.start), as_days(window.end)
    days = int((last - first).astype(np.int64)) + 1
    # One entry per day of the window: a look-up costs the same for every kind of period.
    period_of_day = np.searchsorted(starts, first + np.arange(days), side="right") - 1
    # One more on either side for the days before, NaT among them, and after.
    period = np.concatenate([[OUTSIDE], period_of_day, [OUTSIDE]]).astype(np.int64)
    before = int(first.astype(np.int64)) - 1
    day = np.clip(as_days(dates).view(np.int64), before, before + days + 1)
    day -= before
    return period.take(day)


def _next(day: dt.date, period: str) -> dt.date:
    if period in MONTHS:
        months = day.year * 12 + (day.month - 1) + MONTHS[period]
        return dt.date(months // 12, months % 12 + 1, 1)
    return day + dt.timedelta(days=7 if period == "week" else 1)
