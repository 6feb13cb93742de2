"""The incidents' period against the cameras' go-live dates, and dates that are still to come."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from evalkit.core.frames import COUNT
from evalkit.quality.calendar import Resolution
from evalkit.quality.finding import Finding, fine, look, share, unknown

__all__ = ["Overlap", "future_finding", "overlap_finding", "overlap_of"]

MONTHS_EACH_SIDE: Final = 12
"""Months of incidents before and after a camera without which a season stands on one side only."""

MOST: Final = 0.5
"""Share of the dated cameras that should have as many."""


LENGTH: Final[dict[Resolution, str]] = {"day": "1d", "month": "1mo", "year": "1y"}


@dataclass(frozen=True, slots=True)
class Overlap:
    """Cameras by when they went live.

    Attributes:
        first, last: of the incidents.
        before: live on or before the first incident: always treated.
        testable: inside, with at least `MONTHS_EACH_SIDE` months of incidents on either side.
        edge: inside, with fewer on one side.
        after: live after the last incident: not treated yet.
        undated: without a date.
    """

    first: dt.date
    last: dt.date
    before: int
    testable: int
    edge: int
    after: int
    undated: int

    @property
    def dated(self) -> int:
        """Cameras with a date."""
        return self.before + self.testable + self.edge + self.after

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "first": self.first.isoformat(), "last": self.last.isoformat()}


def overlap_of(
    incidents: pl.Series, resolution: Resolution, cameras: pl.DataFrame
) -> Overlap | None:
    """Sort cameras by their go-live date; None without incidents or cameras.

    A source of months or years lasts to the end of its last one.
    """
    first, last = incidents.min(), incidents.dt.offset_by(LENGTH[resolution]).max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date) or cameras.is_empty():
        return None
    last -= dt.timedelta(days=1)
    margin = dt.timedelta(days=round(365.25 * MONTHS_EACH_SIDE / 12))
    live, weight = pl.col("live_date"), pl.col(COUNT).cast(pl.Int64)
    inside = live.is_between(first, last, closed="right")
    testable = live.is_between(first + margin, last - margin) & inside
    sums = cameras.select(
        before=weight.filter(live <= first).sum(),
        testable=weight.filter(testable).sum(),
        edge=weight.filter(inside & ~testable).sum(),
        after=weight.filter(live > last).sum(),
        undated=weight.filter(live.is_null()).sum(),
    ).row(0, named=True)
    return Overlap(first, last, **sums)


def overlap_finding(overlap: Overlap | None, *, cameras: bool) -> Finding:
    """Whether enough cameras go live in the middle of the incidents' period."""
    if overlap is None:
        return unknown("overlap", "no_rows" if cameras else "no_cameras")
    if not overlap.dated:
        return unknown("overlap", "no_dates")
    testable = share(overlap.testable, overlap.dated)
    figures: dict[str, Any] = {
        "testable": overlap.testable,
        "dated": overlap.dated,
        "testable_share": testable,
        "months": MONTHS_EACH_SIDE,
        "before": overlap.before,
        "after": overlap.after,
    }
    return fine("overlap", **figures) if testable >= MOST else look("overlap", **figures)


def future_finding(incidents: pl.DataFrame, cameras: pl.DataFrame, today: dt.date) -> Finding:
    """Whether a row is dated after today."""
    late = int((incidents["date"] > today).sum())
    planned = int((cameras["live_date"] > today).sum())
    if not incidents.height and not cameras.height:
        return unknown("future", "no_rows")
    figures: dict[str, Any] = {"incidents": late, "cameras": planned, "today": today}
    return look("future", **figures) if late or planned else fine("future", **figures)
