"""Periods without rows, and sudden drops and rises: an interface that failed, a file that is missing."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from evalkit.quality.calendar import Resolution
from evalkit.quality.finding import SURE, Finding, fine, look, unknown

__all__ = ["Sudden", "find_gaps", "find_sudden", "gap_finding", "sudden_finding"]

Series = Sequence[tuple[dt.date, int]]

HALF: Final = 0.5
"""A period is sudden if it has under half, or over twice, what its neighbours have. The fall in the
lockdowns of 2020 was 37 % on average over 27 cities (Nivette et al. 2021) and is not taken for a fault."""

SIDE: Final = 3
"""Neighbours on each side: the median of six is not moved by one more fault among them."""

FEWEST: Final = 3
"""Periods to compare with, at least."""


@dataclass(frozen=True, slots=True)
class Sudden:
    """A period unlike its neighbours.

    Attributes:
        period: its first day.
        number: what it has.
        usual: the median of its neighbours.
    """

    period: dt.date
    number: int
    usual: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"period": self.period.isoformat(), "number": self.number, "usual": self.usual}


def find_gaps(series: Series) -> list[dt.date]:
    """Periods without a row between the first and the last."""
    return [period for period, number in series if number == 0]


def find_sudden(series: Series) -> list[Sudden]:
    """Periods with under half or over twice the median of their neighbours, beyond chance; no empty ones."""
    numbers = [number for _, number in series]
    found = []
    for at, (period, number) in enumerate(series):
        beside = [*numbers[max(at - SIDE, 0) : at], *numbers[at + 1 : at + 1 + SIDE]]
        if number == 0 or len(beside) < FEWEST:
            continue
        usual = float(median(beside))
        # The square root of a count has a standard error of a half, whatever its mean (Anscombe 1948).
        surprise = 2 * abs(math.sqrt(number) - math.sqrt(usual))
        if not usual * HALF <= number <= usual / HALF and surprise >= SURE:
            found.append(Sudden(period, number, usual))
    return found


def gap_finding(series: Series, resolution: Resolution) -> Finding:
    """Whether a period is empty."""
    if len(series) < FEWEST:
        return unknown("gaps", "short")
    gaps = find_gaps(series)
    if not gaps:
        return fine("gaps", periods=len(series))
    case = "gaps_years" if resolution == "year" else "gaps"
    return look(
        "gaps", case, gaps=len(gaps), periods=len(series), period=_name(gaps[0], resolution)
    )


def sudden_finding(series: Series, resolution: Resolution) -> Finding:
    """Whether a period has far fewer or more rows than its neighbours; the worst is named."""
    if len(series) <= FEWEST:
        return unknown("sudden", "short")
    found = find_sudden(series)
    if not found:
        return fine("sudden", periods=len(series))
    edges = {series[0][0], series[-1][0]}
    worst = max(found, key=lambda one: abs(math.sqrt(one.number) - math.sqrt(one.usual)))
    return look(
        "sudden",
        "sudden_edge" if len(found) == 1 and worst.period in edges else "sudden",
        found=len(found),
        period=_name(worst.period, resolution),
        number=worst.number,
        usual=round(worst.usual),
    )


def _name(period: dt.date, resolution: Resolution) -> str:
    return f"{period:%Y}" if resolution == "year" else f"{period:%Y-%m}"
