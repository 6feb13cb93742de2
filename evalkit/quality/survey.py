"""All checks of a city's rows, in the order in which they matter."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import polars as pl

from evalkit.core.frames import COUNT, Account
from evalkit.quality import devices, drift, gaps, heaping, overlap, places, repeats, zones
from evalkit.quality.calendar import by_period, resolution_of
from evalkit.quality.finding import Finding

__all__ = ["Source", "Survey", "survey"]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One source: rows under their contract in `evalkit.core.frames`, and their account."""

    rows: pl.DataFrame
    account: Account


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """What all checks found; see the modules of the parts.

    Attributes:
        findings: one a check, most important first.
        heaps: observed against expected shares of the incidents.
        years: places year by year.
        points: distinct positions of the incidents.
        overlap: cameras by when they went live.
        zones: incidents by where they lie.
        sudden: periods unlike their neighbours.
        weekdays: incidents of Monday to Sunday, empty where the day is not stated.
        resolution: how finely incidents are dated.
        periods: months, or years, with their incidents.
    """

    findings: tuple[Finding, ...]
    heaps: tuple[heaping.Heap, ...]
    years: tuple[drift.YearOfPlaces, ...]
    points: places.Points
    overlap: overlap.Overlap | None
    zones: zones.ZoneShares | None
    sudden: tuple[gaps.Sudden, ...]
    weekdays: tuple[int, ...]
    resolution: str
    periods: tuple[tuple[dt.date, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "heaping": [heap.to_dict() for heap in self.heaps],
            "places": [year.to_dict() for year in self.years],
            "points": self.points.to_dict(),
            "overlap": self.overlap.to_dict() if self.overlap else None,
            "zones": self.zones.to_dict() if self.zones else None,
            "sudden": [one.to_dict() for one in self.sudden],
            "weekdays": list(self.weekdays),
            "resolution": self.resolution,
        }


def survey(
    incidents: Source,
    cameras: Source,
    *,
    rejected: pl.DataFrame,
    clock: heaping.Clock | None,
    shares: zones.ZoneShares | None,
    no_shares: str,
    today: dt.date,
) -> Survey:
    """Check a city's rows.

    Args:
        incidents: one source.
        cameras: the other; no rows if the city names none.
        rejected: ``year`` and ``reason`` of incidents that are left out and whose date can be read.
        clock: times of the incidents as they are written; None if none are.
        shares: incidents by zone; None if no panel can be built.
        no_shares: why not, a key of the words for what cannot be told.
        today: dates after it are still to come.
    """
    dates, weights = incidents.rows["date"], incidents.rows[COUNT]
    resolution = resolution_of(dates)
    series = by_period(dates, weights, resolution)
    points = places.points_of(incidents.rows)
    years = drift.years_of_places(incidents.rows, rejected)
    heaps = (*heaping.clock_heaps(clock), *heaping.calendar_heaps(dates, weights))
    spans = overlap.overlap_of(dates, resolution, cameras.rows)
    facts = {"placed": points.rows > 0, "daily": resolution == "day"}
    coarse = "no_rows" if dates.is_empty() else "coarse_dates"
    findings = (
        repeats.account_finding("incidents", incidents.account),
        repeats.account_finding("cameras", cameras.account),
        overlap.overlap_finding(spans, cameras=cameras.rows.height > 0),
        zones.zone_finding(shares, no_shares),
        gaps.gap_finding(series, resolution),
        gaps.sudden_finding(series, resolution),
        overlap.future_finding(incidents.rows, cameras.rows, today),
        drift.missing_finding(years),
        drift.moved_finding(years),
        places.heap_point_finding(points),
        places.precision_finding(points),
        repeats.duplicates_finding(incidents.account, incidents.rows, facts),
        devices.removal_finding(cameras.rows),
        devices.undated_finding(cameras.rows),
        devices.default_date_finding(cameras.rows),
        devices.recent_finding(cameras.rows),
        *(heaping.heap_finding(check, heaps, "no_times") for check in ("midnight", "full_hour")),
        *(
            heaping.heap_finding(check, heaps, coarse)
            for check in ("first_of_month", "january", "december", "weekday")
        ),
    )
    return Survey(
        findings=findings,
        heaps=heaps,
        years=years,
        points=points,
        overlap=spans,
        zones=shares,
        sudden=tuple(gaps.find_sudden(series)),
        weekdays=tuple(heaping.weekdays(dates, weights))
        if resolution == "day" and len(series)
        else (),
        resolution=resolution,
        periods=tuple(series),
    )
