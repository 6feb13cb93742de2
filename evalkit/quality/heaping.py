"""More rows on a midnight, a full hour, a first of a month, a month or a weekday than there should be.

What is expected follows from the calendar between the first and the last date, so that a file that ends in
March has no January too many. Crime itself has seasons and weekends: an excess is worth a look only
beyond what those make (`WORTH`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.quality.calendar import resolution_of
from evalkit.quality.finding import ENOUGH, SURE, Finding, excess_z, fine, look, unknown

__all__ = [
    "WORTH",
    "Clock",
    "Heap",
    "calendar_heaps",
    "clock_heaps",
    "heap_finding",
    "judge_heap",
    "weekdays",
]

WORTH: Final[dict[str, float]] = {
    "midnight": 0.02,
    "full_hour": 0.5,
    "first_of_month": 0.02,
    "january": 0.03,
    "december": 0.03,
    "weekday": 0.08,
}
"""Excess, as a share of all rows, from which a heap is worth a look.

Midnight, first of a month: two in a hundred rows have a made-up value, enough to shift an hour band or a
daily series. Full hours: people round, and rounding moves a row by minutes; only where most are
rounded are hours estimates. Months, weekdays: crime has seasons and weekends (Detroit's shootings have a
fifth on Sundays, 6 points more than a seventh), and only what exceeds them is a habit of those who enter
it. With ten million rows all of these are certain; that alone is no
reason to look.
"""

MINUTES_OF_DAY: Final = 1440
MINUTES_OF_HOUR: Final = 60
WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class Clock:
    """Times of day as the source writes them.

    Attributes:
        times: rows with a time.
        midnights: those exactly at midnight.
        full_hours: those at minute 0, midnights left out.
    """

    times: int
    midnights: int
    full_hours: int


@dataclass(frozen=True, slots=True)
class Heap:
    """How many rows fall on one value, against how many should.

    Attributes:
        check: name of the value.
        rows: rows that could fall on it.
        observed, expected: shares of them.
        z: standard errors between the two; for weekdays that of the χ² of all seven.
        finding: the verdict.
    """

    check: str
    rows: int
    observed: float
    expected: float
    z: float
    finding: Finding

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "check": self.check,
            "rows": self.rows,
            "observed": self.observed,
            "expected": self.expected,
            "z": self.z,
            "status": self.finding.status,
        }


def judge_heap(check: str, hits: int, rows: int, expected: float) -> Heap:
    """A heap and its verdict: worth a look if the excess both matters and is not chance."""
    observed, z = hits / max(rows, 1), excess_z(hits, rows, expected)
    return _heap(check, rows, observed, expected, z, {})


def clock_heaps(clock: Clock | None) -> tuple[Heap, ...]:
    """Midnights and full hours, from times as they are written; none without times.

    Full hours are judged among the rows that are not at midnight, so that one heap is not told twice.
    """
    if clock is None or not clock.times:
        return ()
    others = clock.times - clock.midnights
    # Of 1,439 minutes of a day beside midnight 23 are full hours.
    full = (MINUTES_OF_DAY // MINUTES_OF_HOUR - 1) / (MINUTES_OF_DAY - 1)
    return (
        judge_heap("midnight", clock.midnights, clock.times, 1 / MINUTES_OF_DAY),
        judge_heap("full_hour", clock.full_hours, others, full),
    )


def calendar_heaps(dates: pl.Series, weights: pl.Series) -> tuple[Heap, ...]:
    """First of a month, January, December and weekdays; those that the dates are fine enough to show.

    Args:
        dates: (N,) Date.
        weights: (N,) how many incidents each row stands for.
    """
    known = pl.DataFrame({"date": dates, "weight": weights.cast(pl.Int64)}).drop_nulls()
    resolution = resolution_of(known["date"])
    if known.is_empty() or resolution == "year":
        return ()
    per_day = known.group_by("date").agg(pl.col("weight").sum())
    days = _days(per_day, by_month=resolution == "month")
    rows = int(per_day["weight"].sum())

    def heap(check: str, rule: pl.Expr) -> Heap:
        hits = int(per_day.filter(rule)["weight"].sum())
        return judge_heap(check, hits, rows, days.filter(rule).height / days.height)

    months = (
        heap("january", pl.col("date").dt.month() == 1),
        heap("december", pl.col("date").dt.month() == 12),
    )
    if resolution == "month":
        return months
    first = heap("first_of_month", pl.col("date").dt.day() == 1)
    return (first, *months, _weekday_heap(per_day, days))


def weekdays(dates: pl.Series, weights: pl.Series) -> list[int]:
    """Rows of Monday to Sunday."""
    frame = pl.DataFrame({"date": dates, "weight": weights}).drop_nulls()
    return [int(number) for number in _by_weekday(frame, pl.col("weight").cast(pl.Int64).sum())]


def heap_finding(check: str, heaps: Sequence[Heap], why: str) -> Finding:
    """The finding of one heap, or that it cannot be told and why."""
    return next(
        (heap.finding for heap in heaps if heap.check == check),
        unknown(check, why),
    )


def _days(per_day: pl.DataFrame, *, by_month: bool) -> pl.DataFrame:
    """Every day that could have a row; the firsts of months where those are all that is stated."""
    first, last = pl.col("date").min(), pl.col("date").max()
    if by_month:
        first = first.dt.truncate("1mo")
    return per_day.select(date=pl.date_range(first, last, "1mo" if by_month else "1d"))


def _weekday_heap(per_day: pl.DataFrame, days: pl.DataFrame) -> Heap:
    observed = _by_weekday(per_day, pl.col("weight").sum())
    expected = _by_weekday(days, pl.len())
    rows = int(observed.sum())
    wanted = expected / expected.sum()
    parts = observed / max(rows, 1)
    most = int(np.abs(parts - wanted).argmax())
    possible = wanted > 0
    chi2 = float((((observed - rows * wanted) ** 2)[possible] / (rows * wanted[possible])).sum())
    z = _chi2_z(chi2, int(possible.sum()) - 1)
    day: dict[str, Any] = {"weekday": most + 1}
    return _heap("weekday", rows, float(parts[most]), float(wanted[most]), z, day)


def _by_weekday(frame: pl.DataFrame, number: pl.Expr) -> NDArray[np.float64]:
    found = frame.group_by(pl.col("date").dt.weekday()).agg(number.alias("number"))
    counts = np.zeros(WEEK)
    counts[found["date"].to_numpy() - 1] = found["number"].to_numpy()
    return counts


def _chi2_z(chi2: float, df: int) -> float:
    """Standard normal deviate of a χ² (Wilson & Hilferty 1931)."""
    if df < 1:
        return 0.0
    spread = 2 / (9 * df)
    return float((np.cbrt(chi2 / df) - (1 - spread)) / math.sqrt(spread))


def _heap(
    check: str,
    rows: int,
    observed: float,
    expected: float,
    z: float,
    more: Mapping[str, Any],
) -> Heap:
    figures: dict[str, Any] = {
        "observed_share": observed,
        "expected_share": expected,
        "rows": rows,
        **more,
    }
    # A season has troughs too; a midnight with too few rows is no heap.
    excess = abs(observed - expected) if check == "weekday" else observed - expected
    if rows < ENOUGH:
        finding = unknown(check, "few", rows=rows)
    elif excess >= WORTH[check] and z >= SURE:
        finding = look(check, **figures)
    else:
        finding = fine(check, **figures)
    return Heap(check, rows, observed, expected, z, finding)
