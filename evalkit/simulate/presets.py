"""What is simulated: the cities, the effect, the size and the mess; three presets by name."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace
from typing import Final

from evalkit.errors import ConfigError
from evalkit.simulate.cities import CITIES, DEMO, CitySpec
from evalkit.simulate.portals import PORTALS

__all__ = ["PRESETS", "CitySpec", "Effect", "Mess", "Preset", "Shape", "check_preset"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a live camera does to the incidents around it.

    Attributes:
        mean: mean over all cities of θ, the log rate ratio within ``radius_m``; ln 0.87 is the
            published 13 %.
        tau: standard deviation of θ between cities.
        radius_m: reach of a camera.
        ring_m: displaced incidents go to between ``radius_m`` and ``ring_m``.
        displaced: share of the prevented incidents that happens in the ring instead.
        ramp_months: months over which θ grows linearly from zero; 0 is at once.
    """

    mean: float = math.log(0.87)
    tau: float = 0.04
    radius_m: float = 100.0
    ring_m: float = 200.0
    displaced: float = 0.15
    ramp_months: float = 0.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of a city; a pair is a range from which each city draws evenly.

    With these defaults a catchment sees three to five incidents a month, their Pearson dispersion
    given city and month is 1.3 to 2, and a city's log rate ratio has a standard error of about
    0.03.

    Attributes:
        side_m: length of each side of the town.
        incidents: expected number over the window without any camera.
        hotspots: number of micro-places.
        hotspot_share: share of incidents that happens in them.
        noise: variance of the mean-one gamma noise of a place in a month.
        shock: standard deviation (log) of what the whole city shares in a month.
        sites: number of camera sites.
        batches: number of months in which cameras go live.
        install_months: first and last month (from 0) of installation.
        always, undated, later: shares of sites that went live before the window, have no published
            date, or go live after the window.
        approaches: share of sites with more than one camera, a few metres apart.
    """

    side_m: tuple[float, float] = (6_000.0, 8_000.0)
    incidents: tuple[float, float] = (50_000.0, 80_000.0)
    hotspots: int = 260
    hotspot_share: float = 0.55
    noise: float = 0.25
    shock: float = 0.08
    sites: tuple[int, int] = (64, 90)
    batches: tuple[int, int] = (8, 12)
    install_months: tuple[int, int] = (10, 38)
    always: float = 0.05
    undated: float = 0.04
    later: float = 0.04
    approaches: float = 0.25


@dataclass(frozen=True, slots=True)
class Mess:
    """Shares of spoiled rows, relative to the clean incidents; no row is spoiled twice.

    Duplicated and unmapped rows are added; in the others a good row is spoiled.
    """

    duplicates: float = 0.015
    unmapped: float = 0.06
    missing: float = 0.02
    zero: float = 0.005
    swapped: float = 0.003
    out_of_town: float = 0.004
    bad_dates: float = 0.004


@dataclass(frozen=True, slots=True)
class Preset:
    """One simulation: vary it with `dataclasses.replace`.

    ``placebo_periods`` are the placebo dates that its study asks for beside the question itself.
    """

    name: str
    title: str
    cities: tuple[CitySpec, ...]
    effect: Effect = Effect()
    shape: Shape = Shape()
    mess: Mess = Mess()
    start: dt.date = dt.date(2018, 1, 1)
    end: dt.date = dt.date(2021, 12, 31)
    placebo_periods: tuple[int, ...] = ()

    @property
    def months(self) -> int:
        """Number of months of the window."""
        return (self.end.year - self.start.year) * 12 + self.end.month - self.start.month + 1


def check_preset(preset: Preset) -> Preset:
    """Refuse a preset that cannot be simulated; return it otherwise.

    Raises:
        ConfigError: no city, one twice, an unknown portal, a window of broken months, or an
            installation outside the window.
    """
    where = f"simulation {preset.name}"
    names = [city.name for city in preset.cities]
    if not names or len(set(names)) != len(names):
        raise ConfigError("a simulation needs cities, each once", where=where)
    unknown = sorted({city.portal for city in preset.cities} - set(PORTALS))
    if unknown:
        raise ConfigError(
            f"unknown portals: {', '.join(unknown)}",
            where=where,
            limit=f"one of {', '.join(sorted(PORTALS))}",
        )
    if preset.start.day != 1 or (preset.end + dt.timedelta(days=1)).day != 1 or preset.months < 1:
        raise ConfigError(
            "the window is not whole months", where=where, limit="first to last day of a month"
        )
    first, last = preset.shape.install_months
    if not 0 < first <= last < preset.months:
        raise ConfigError(
            f"installation runs from month {first} to {last} of {preset.months}",
            where=where,
            limit="inside the window, after its first month",
            way_out="change shape.install_months or the window",
        )
    effect, mess = preset.effect, preset.mess
    spoiled = (
        mess.duplicates
        + mess.missing
        + mess.zero
        + mess.swapped
        + mess.out_of_town
        + mess.bad_dates
    )
    if not (
        0 <= effect.displaced <= 1 and effect.tau >= 0 and effect.ramp_months >= 0 and spoiled <= 1
    ):
        raise ConfigError(
            "a share, standard deviation or duration is out of range",
            where=where,
            limit="0 ≤ displaced ≤ 1, tau ≥ 0, ramp_months ≥ 0, at most every row spoiled once",
        )
    if not 0 < effect.radius_m < effect.ring_m:
        raise ConfigError(
            "the ring lies inside the catchment", where=where, limit="0 < radius_m < ring_m"
        )
    return preset


_DEMO = Preset(
    name="demo",
    title="Cameras and crime in six simulated cities",
    cities=CITIES[:DEMO],
    placebo_periods=(6,),
)

PRESETS: Final[dict[str, Preset]] = {
    preset.name: preset
    for preset in (
        _DEMO,
        replace(
            _DEMO,
            name="null",
            title="The six simulated cities, with cameras that do nothing",
            effect=Effect(mean=0.0, tau=0.0, displaced=0.0),
        ),
        replace(
            _DEMO,
            name="safe-city",
            title="Cameras and crime in thirty-five simulated cities",
            cities=CITIES,
            placebo_periods=(),
        ),
    )
}
"""``demo`` (six cities, ln 0.87), ``null`` (the same, no effect), ``safe-city`` (thirty-five)."""
