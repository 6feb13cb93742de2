"""How many incidents lie where a study looks: in treated, ring and control zones, or in none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from evalkit.core.study import Outcome, Study, Treatment, Units, Window
from evalkit.quality.calendar import Resolution
from evalkit.quality.finding import Finding, fine, look, share, unknown

__all__ = ["ZoneShares", "trial_study", "zone_finding"]

FEW_TREATED: Final = 400
"""Incidents in treated zones below which even a change of a fifth cannot be told from chance: with half of
n before and half after, a log ratio has a standard error of 2/√n at least, and two of those are 0.2."""


@dataclass(frozen=True, slots=True)
class ZoneShares:
    """Incidents of a study's window and crime types, by where they lie.

    Attributes:
        study: its name.
        given: whether the analyst gave it; else it is `trial_study`.
        number: zone → incidents; zones in the order of the panel's account.
    """

    study: str
    given: bool
    number: Mapping[str, int]

    @property
    def total(self) -> int:
        """Incidents in all zones and in none."""
        return sum(self.number.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "study": self.study,
            "given": self.given,
            "number": dict(self.number),
            "total": self.total,
        }


def trial_study(
    first: dt.date,
    last: dt.date,
    resolution: Resolution,
    crime_types: Sequence[str],
    *,
    placed: bool,
) -> Study | None:
    """A study to look at a city with, before there is one; None if the dates hold no two whole periods.

    All crime types, all whole months (years of yearly data), catchments of the usual size, or the named areas
    of a source without coordinates.

    Args:
        first: of the incidents.
        last: of the incidents.
        resolution: of their dates.
        crime_types: common ones that occur.
        placed: whether incidents and cameras both have coordinates.
    """
    yearly = resolution == "year"
    start = first if first.day == 1 else _next_month(first)
    if yearly:
        start, end = dt.date(first.year, 1, 1), dt.date(last.year, 12, 31)
    else:
        after = last + dt.timedelta(days=1)
        whole = resolution == "month" or after.day == 1
        end = (_next_month(last) if whole else last.replace(day=1)) - dt.timedelta(days=1)
    if (end - start).days < (366 if yearly else 62) or not crime_types:
        return None
    return Study(
        name="site-check",
        title="Where the incidents lie",
        window=Window(start=start, end=end, period="year" if yearly else "month"),
        units=Units(kind="catchment" if placed else "area"),
        treatment=Treatment(),
        outcome=Outcome(crime_types=tuple(sorted(crime_types))),
    )


def zone_finding(zones: ZoneShares | None, why: str = "no_panel") -> Finding:
    """Whether treated zones hold enough incidents for a study."""
    if zones is None:
        return unknown("zones", why)
    number = zones.number
    total = zones.total
    figures: dict[str, Any] = {
        "study": zones.study,
        "treated": number.get("treated", 0),
        "treated_share": share(number.get("treated", 0), total),
        "ring_share": share(number.get("ring", 0), total),
        "control_share": share(number.get("control", 0), total),
        "outside_share": share(number.get("outside", 0), total),
    }
    few = number.get("treated", 0) < FEW_TREATED or not number.get("control", 0)
    return look("zones", **figures) if few else fine("zones", **figures)


def _next_month(day: dt.date) -> dt.date:
    return (day.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
