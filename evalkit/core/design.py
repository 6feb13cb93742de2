"""From a panel and a study to the arrays every difference-in-differences estimator needs.

The go-live interval of a cohort is a transition: from the first live period of any of its units to the last.
With ``transition = "drop"`` it is left out entirely; with ``"treat"`` a cohort's last live period already
counts as treated and only the earlier part of a merged interval is left out, where some of its units are
treated and some are not.

A study with ``placebo_periods`` moves every interval as many periods earlier and leaves out what lies at or after the
true one. That is done here, after small cohorts have been merged, so that all units of a cohort lose the same periods.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.statistics import Cell, Phase, Support
from evalkit.core.study import Study

__all__ = [
    "NO_EVENT",
    "Design",
    "Timing",
    "cell_of",
    "cells_by_pattern",
    "design_of",
    "pattern_name",
    "patterns_of",
    "restrict",
    "support_of",
]


NO_EVENT: Final = np.iinfo(np.int64).min
"""Event time of a cell that has none."""


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """What follows from go-live intervals alone: (C, T) arrays for C cohorts.

    Attributes:
        in_transition: whether the period is part of the cohort's go-live.
        treated: 1 where a camera is live, else 0.
        event_time: periods since go-live: 0 is the first treated one, −1 the last before the transition;
            `NO_EVENT` in a transition and for controls.
    """

    in_transition: NDArray[np.bool_]
    treated: NDArray[np.float64]
    event_time: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Design:
    """One city's design: U units (treated and control only), T periods.

    Arrays are not to be written to. Without slots: what not every estimator needs is computed when it is first
    asked for, and then kept.

    Attributes:
        site: name of the city.
        outcome: (U, T) incidents of the study's crime types; zero where not used.
        exposure: (U, T); zero where a cell is not used.
        cohort: (U,) the row of ``timing`` that is each unit's.
        timing: of the C cohorts, controls being one of them.
        ever_treated: (U,) bool.
        first_live, last_live: (U,) go-live interval, `NEVER` for controls.
        period_names: (T,) ISO dates, for naming patterns.
    """

    site: str
    outcome: NDArray[np.float64]
    exposure: NDArray[np.float64]
    cohort: NDArray[np.int64]
    timing: Timing
    ever_treated: NDArray[np.bool_]
    first_live: NDArray[np.int64]
    last_live: NDArray[np.int64]
    period_names: tuple[str, ...]

    @cached_property
    def used(self) -> NDArray[np.bool_]:
        """(U, T) whether a cell has exposure."""
        return self.exposure > 0

    @cached_property
    def treated(self) -> NDArray[np.float64]:
        """(U, T) 1 where a camera is live, else 0."""
        return self.timing.treated[self.cohort]

    @cached_property
    def event_time(self) -> NDArray[np.int64]:
        """(U, T) periods since go-live, as `Timing` has them."""
        return self.timing.event_time[self.cohort]


def design_of(panel: Panel, study: Study) -> tuple[Design, ...]:
    """One design per city of the panel, in the order of its sites.

    Raises:
        PanelError: the panel lacks one of the study's crime types.
    """
    return tuple(_design_of_city(city, study) for city in panel.split())


def _design_of_city(panel: Panel, study: Study) -> Design:
    used = (panel.role == Role.TREATED) | (panel.role == Role.CONTROL)
    chosen = panel if used.all() else panel.take(used)
    intervals, cohort = _distinct(np.stack([chosen.first_live, chosen.last_live]), chosen.n_periods)
    drop = study.treatment.transition == "drop"
    earlier = study.treatment.pretended_earlier
    first, last = (_earlier(live, earlier) for live in intervals)
    timing = _timing(first, last, chosen.n_periods, drop=drop)
    unused = timing.in_transition
    if earlier:
        true = intervals[0][:, None]
        unused = unused | ((true != NEVER) & (np.arange(chosen.n_periods) >= true))
    exposure = chosen.exposure
    if unused.any():
        exposure = np.where(unused[cohort], 0.0, exposure)
    outcome = chosen.total(study.outcome.crime_types)
    left_out = exposure == 0
    if left_out.any():
        outcome[left_out] = 0.0
    return Design(
        site=chosen.sites[0],
        outcome=outcome,
        exposure=exposure,
        cohort=cohort,
        timing=timing,
        ever_treated=chosen.first_live != NEVER,
        first_live=first[cohort],
        last_live=last[cohort],
        period_names=tuple(day.isoformat() for day in chosen.periods),
    )


def _earlier(live: NDArray[np.int64], periods: int) -> NDArray[np.int64]:
    """Go-live indices moved to the window's start at most; `NEVER` stays."""
    return np.where(live == NEVER, NEVER, np.maximum(live - periods, 0))


def _timing(
    first_live: NDArray[np.int64], last_live: NDArray[np.int64], periods: int, *, drop: bool
) -> Timing:
    period = np.arange(periods)
    first = first_live[:, None]
    last_transition = (last_live if drop else last_live - 1)[:, None]
    ever = first != NEVER
    in_transition = ever & (period >= first) & (period <= last_transition)
    treated = ever & (period > last_transition)
    since = np.where(treated, period - last_transition - 1, period - first)
    event_time = np.where(ever & ~in_transition, since, NO_EVENT).astype(np.int64)
    return Timing(in_transition, treated.astype(np.float64), event_time)


def cells_by_pattern(design: Design) -> tuple[Cell, ...]:
    """Units and incidents behind every distinct design pattern, before and after its own go-live.

    Units are told apart by the cells they lack too: a later camera's unit leaves the panel when that camera goes
    live, one whose camera is removed then.
    """
    cells: list[Cell] = []
    for name, members in patterns_of(design):
        one = members[0]
        ever = bool(design.ever_treated[one])
        outcome, used = design.outcome[members], design.used[members]
        live = design.timing.treated[design.cohort[one]] > 0
        phases: tuple[tuple[Phase, NDArray[np.bool_]], ...] = (
            (("before", ~live), ("after", live)) if ever else (("all", ~live),)
        )
        for phase, periods in phases:
            observed = (used & periods).any(axis=1)
            # not by BLAS, whose threads cost more than so small a product
            per_unit = np.einsum("ut,t->u", outcome, periods.astype(np.float64))
            cells.append(_cell(name, phase, per_unit[observed], treated=ever))
    return tuple(cells)


def cell_of(pattern: str, phase: Phase, counts: NDArray[np.float64], *, treated: bool) -> Cell:
    """The cell of (units, periods) ``counts``: units, incidents and the share of the two largest units."""
    return _cell(pattern, phase, counts.sum(axis=1), treated=treated)


def _cell(pattern: str, phase: Phase, per_unit: NDArray[np.float64], *, treated: bool) -> Cell:
    ordered = np.sort(per_unit)
    incidents = float(ordered.sum())
    share = float(ordered[-2:].sum()) / incidents if incidents > 0 else 0.0
    return Cell(pattern, phase, treated, len(ordered), round(incidents), share)


def support_of(design: Design, *, clusters: int, parameters: int, residual_df: int) -> Support:
    """The support of a statistic computed on ``design``."""
    return Support(design.site, cells_by_pattern(design), clusters, parameters, residual_df)


def pattern_name(first: int, last: int, period_names: tuple[str, ...]) -> str:
    """``never``, one period, or an interval of periods."""
    if first == NEVER:
        return "never"
    if first == last:
        return period_names[first]
    return f"{period_names[first]}..{period_names[last]}"


def patterns_of(design: Design) -> list[tuple[str, NDArray[np.int64]]]:
    """Each distinct pattern with its members in ascending order, in the order of go-live.

    Units of one go-live that are used for unequally long have different rows in the design: a place whose camera was
    removed is a pattern of its own.
    """
    last_used = _last_used(design)
    end = int(last_used.max(initial=-1))  # data may end before the window
    keys = np.stack([design.first_live, design.last_live, last_used])
    patterns, pattern = _distinct(keys, len(design.period_names))
    order = np.argsort(pattern, kind="stable")
    bounds = np.searchsorted(pattern[order], np.arange(patterns.shape[1] + 1))
    longest: dict[tuple[int, int], int] = {(NEVER, NEVER): end}
    for first, last, until in patterns.T.tolist():
        longest[first, last] = max(longest.get((first, last), -1), until)
    found: list[tuple[str, NDArray[np.int64]]] = []
    for at, (first, last, until) in enumerate(patterns.T.tolist()):
        own = order[bounds[at] : bounds[at + 1]]
        name = pattern_name(first, last, design.period_names)
        if until < longest[first, last]:
            name = f"{name} until {design.period_names[until + 1]}" if until >= 0 else "not used"
        found.append((name, own))
    return found


def _distinct(
    periods: NDArray[np.int64], n_periods: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct columns of indices of periods (or −1) in ascending order, and (U,) which one each is.

    As ``np.unique(axis=1)``, which takes ten times as long.
    """
    code = np.zeros(periods.shape[1], dtype=np.int64)
    for row in periods:
        code = code * (n_periods + 1) + row + 1
    _, index, column = np.unique(code, return_index=True, return_inverse=True)
    return periods[:, index], column.ravel()


def _last_used(design: Design) -> NDArray[np.int64]:
    """(U,) the last period in which each unit is used, −1 if none is."""
    periods = design.used.shape[1]
    last = np.full(len(design.used), periods - 1)
    early = np.flatnonzero(~design.used[:, -1])
    used = design.used[early]
    last[early] = np.where(used.any(axis=1), periods - 1 - np.argmax(used[:, ::-1], axis=1), -1)
    return last


def restrict(design: Design, units: NDArray[np.bool_] | NDArray[np.int64]) -> Design:
    """The design of some units only, in the order given."""
    return replace(
        design,
        outcome=design.outcome[units],
        exposure=design.exposure[units],
        cohort=design.cohort[units],
        ever_treated=design.ever_treated[units],
        first_live=design.first_live[units],
        last_live=design.last_live[units],
    )
