"""What the city's analyst should see before anybody estimates anything. It stays in the city.

Vocabulary
    used        a cell with exposure; the others enter no mean.
    event time  periods since go-live: −1 is the last one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.panel import NEVER, Panel, Role
from evalkit.panel.balance import Balance
from evalkit.panel.cohorts import role_names
from evalkit.panel.notes import find_notes

__all__ = ["Diagnostics", "diagnose"]

Floats = NDArray[np.float64]

ALIKE: Final = 0.1
"""Levels that differ by less than a tenth are called alike: a matter of wording, not a test."""


@dataclass(frozen=True, slots=True, eq=False)
class Diagnostics:
    """Tables for a report, all crime types of the panel taken together.

    Attributes:
        by_month: month (first day), role, incidents.
        cohorts: go_live (first day of the period, null without one), role, units, incidents.
        series: period, treated_mean, control_mean: incidents per used unit-period.
        event_time: event_time, units, treated_mean, control_mean of the same calendar periods weighted by
            the treated units that stand in them, and expected_mean: what the treated units would have had
            if each had moved with the controls from its own level before go-live. Comparing with the last
            compares every unit with itself; early and late event times hold different units, so that their
            plain means differ without any effect.
        zones: role, units, incidents, share of all incidents in units.
        notes: plain sentences.
    """

    by_month: pl.DataFrame
    cohorts: pl.DataFrame
    series: pl.DataFrame
    event_time: pl.DataFrame
    zones: pl.DataFrame
    notes: tuple[str, ...]


def diagnose(
    panel: Panel, facts: Mapping[str, int], balance: Sequence[Balance] = ()
) -> Diagnostics:
    """Diagnostics of one city's panel, of what was noticed while it was built, and of its balance."""
    totals = panel.counts.sum(axis=0)
    per_unit = pl.DataFrame(
        {
            "role": role_names(panel.role),
            "period": panel.first_live,
            "incidents": totals.sum(axis=1),
        }
    )
    event_time = _event_time(panel, totals)
    return Diagnostics(
        by_month=_by_month(panel, totals),
        cohorts=_cohorts(panel, per_unit),
        series=_series(panel, totals),
        event_time=event_time,
        zones=_zones(per_unit),
        notes=(*_level_note(event_time), *find_notes(panel, facts, balance)),
    )


def _by_month(panel: Panel, totals: NDArray[np.int64]) -> pl.DataFrame:
    roles = np.unique(panel.role)
    frame = pl.concat(
        pl.DataFrame(
            {
                "month": [day.replace(day=1) for day in panel.periods],
                "role": Role(role).name.lower(),
                "incidents": totals[panel.role == role].sum(axis=0),
            }
        )
        for role in roles
    )
    return frame.group_by("month", "role").agg(pl.col("incidents").sum()).sort("month", "role")


def _cohorts(panel: Panel, per_unit: pl.DataFrame) -> pl.DataFrame:
    days = pl.DataFrame({"period": np.arange(panel.n_periods), "go_live": list(panel.periods)})
    return (
        per_unit.join(days, on="period", how="left")
        .group_by("go_live", "role")
        .agg(pl.len().alias("units").cast(pl.Int64), pl.col("incidents").sum())
        .sort("go_live", "role", nulls_last=True)
    )


def _zones(per_unit: pl.DataFrame) -> pl.DataFrame:
    total = max(int(per_unit["incidents"].sum()), 1)
    return (
        per_unit.group_by("role")
        .agg(pl.len().alias("units").cast(pl.Int64), pl.col("incidents").sum())
        .with_columns((pl.col("incidents") / total).alias("share"))
        .sort("role")
    )


def _means(panel: Panel, totals: NDArray[np.int64], role: Role) -> Floats:
    """(T,) incidents per used unit of a role, NaN in a period without one."""
    of_role = panel.role == role
    used = panel.exposure[of_role] > 0
    units = used.sum(axis=0)
    sums = np.where(used, totals[of_role], 0).sum(axis=0)
    means = np.full(panel.n_periods, np.nan)
    means[units > 0] = sums[units > 0] / units[units > 0]
    return means


def _series(panel: Panel, totals: NDArray[np.int64]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "period": list(panel.periods),
            "treated_mean": _means(panel, totals, Role.TREATED),
            "control_mean": _means(panel, totals, Role.CONTROL),
        }
    ).with_columns(pl.col("treated_mean", "control_mean").fill_nan(None))


def _event_time(panel: Panel, totals: NDArray[np.int64]) -> pl.DataFrame:
    treated = (panel.role == Role.TREATED) & (panel.first_live != NEVER)
    event = np.arange(panel.n_periods) - panel.first_live[treated, None]
    control = np.broadcast_to(_means(panel, totals, Role.CONTROL), event.shape)
    used = panel.exposure[treated] > 0
    before = used & (event < 0)
    level = np.where(before, totals[treated], 0).sum(axis=1)
    reference = np.where(before, control, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = (level / reference)[:, None] * control
    return (
        pl.DataFrame(
            {
                "event_time": event[used],
                "treated_mean": totals[treated][used].astype(np.float64),
                "control_mean": control[used],
                "expected_mean": np.where(np.isfinite(expected), expected, np.nan)[used],
            }
        )
        .with_columns(pl.col("control_mean", "expected_mean").fill_nan(None))
        .group_by("event_time")
        .agg(
            pl.len().alias("units").cast(pl.Int64),
            pl.col("treated_mean").mean(),
            pl.col("control_mean", "expected_mean").mean(),
        )
        .sort("event_time")
    )


def _level_note(event_time: pl.DataFrame) -> tuple[str, ...]:
    before = event_time.filter(pl.col("event_time") < 0).drop_nulls()
    units = before["units"].to_numpy()
    if not units.sum():
        return ()
    treated = float(before["treated_mean"].to_numpy() @ units) / units.sum()
    control = float(before["control_mean"].to_numpy() @ units) / units.sum()
    if abs(treated - control) <= ALIKE * control:
        verdict = "the levels are alike"
    elif treated > control:
        verdict = (
            "cameras were put where crime was higher, so some fall would be expected without them "
            "(regression to the mean)"
        )
    else:
        verdict = "cameras were put where crime was lower"
    return (
        (
            f"before its camera a treated unit had {treated:.3g} incidents a period, a control "
            f"{control:.3g} in the same periods: {verdict}"
        ),
    )
