"""Small cohorts are merged before anything is computed.

Camera dates are public: whoever sees a statistic knows which units stand behind each go-live period. A cohort
of a few units is therefore merged with other small ones of its quarter, half-year or year, and at last with
the cohort nearest in time, until it is large enough. The merged cohort's periods between its first and last
go-live become a transition and are left out, so that no cell is counted as treated before it was, or the
other way round.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.config import Policy
from evalkit.core.design import Design, design_of, patterns_of
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Study
from evalkit.errors import RefusalError

__all__ = ["Prepared", "prepare"]

Bin = Callable[[dt.date], tuple[int, int]]

LADDER: Final[tuple[tuple[str, Bin], ...]] = (
    ("quarter", lambda day: (day.year, (day.month - 1) // 3)),
    ("half-year", lambda day: (day.year, (day.month - 1) // 6)),
    ("year", lambda day: (day.year, 0)),
)


LONGEST_TRANSITION: Final = 366
"""Days; a longer one would leave out more of the window than the small cohort is worth."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A panel whose cohorts the policy can live with, and what was done to get there."""

    panel: Panel
    notes: tuple[str, ...]


def prepare(panel: Panel, study: Study, policy: Policy) -> Prepared:
    """Merge small cohorts of one city as far as the study allows.

    Raises:
        RefusalError: cohorts stay too small and the study does not allow them to be set apart.
    """
    notes: list[str] = []
    mode = study.federation.small_cohorts
    small = _small_units(panel, study, policy)
    if mode != "refuse":
        for label, bin_of in LADDER:
            if not small.any():
                break
            panel = _merge(panel, small, bin_of)
            small = _small_units(panel, study, policy)
            notes.append(f"cohorts too small for the policy were merged by {label}")
        while small.any():
            joined = _join_nearest(panel, small)
            if joined is None:
                break
            panel = joined
            small = _small_units(panel, study, policy)
            notes.append("a cohort too small for the policy joined the one nearest in time")
    small = _small_patterns(panel, study, policy)
    if small.any():
        if mode != "set_apart":
            raise RefusalError(
                "some cohorts are too small for this city's policy",
                where=f"site {panel.sites[0]}, rule min_treated_per_pattern or min_incidents",
                limit=f"{policy.min_treated_per_pattern} units and {policy.min_incidents} incidents on each side",
                way_out='set [federation] small_cohorts = "coarsen" or "set_apart", or use longer periods',
                rules=("min_treated_per_pattern",),
            )
        panel, note = _left_out(panel, small, study, policy)
        notes.append(note)
        if not (panel.role == Role.TREATED).any():
            raise RefusalError(
                "every cohort is too small for this city's policy, so that no treated unit is left",
                where=f"site {panel.sites[0]}, rule min_treated_per_pattern or min_incidents",
                limit=f"{policy.min_treated_per_pattern} units and {policy.min_incidents} incidents on each side",
                way_out="use longer periods, a longer window or larger units",
                rules=("min_treated_per_pattern",),
            )
    lonely = _lonely_controls(panel, policy)
    if lonely.any():
        panel = _set_apart(panel, lonely)
        notes.append(
            "controls that leave the panel in groups too small for the policy were set apart"
        )
    return Prepared(panel, tuple(dict.fromkeys(notes)))


def _small_units(panel: Panel, study: Study, policy: Policy) -> NDArray[np.bool_]:
    """(U,) treated units whose cohort has too few units, or too few incidents or those of two units on either side."""
    (design,) = design_of(panel, study)
    members = np.flatnonzero((panel.role == Role.TREATED) | (panel.role == Role.CONTROL))
    small = np.zeros(panel.n_units, dtype=bool)
    ever = np.flatnonzero(design.ever_treated)
    interval = design.first_live[ever] * panel.n_periods + design.last_live[ever]
    for one in np.unique(interval):
        cohort = ever[interval == one]
        if not _stands(design, cohort, policy):
            small[members[cohort]] = True
    return small


def _small_patterns(panel: Panel, study: Study, policy: Policy) -> NDArray[np.bool_]:
    """As `_small_units`, but units of a cohort whose cameras are removed are judged apart from those that stay.

    Merging does not help them: whoever leaves early keeps a row of the design of its own.
    """
    (design,) = design_of(panel, study)
    members = np.flatnonzero((panel.role == Role.TREATED) | (panel.role == Role.CONTROL))
    small = np.zeros(panel.n_units, dtype=bool)
    for _, units in patterns_of(design):
        if design.ever_treated[units[0]] and not _stands(design, units, policy):
            small[members[units]] = True
    return small


def _stands(design: Design, units: NDArray[np.int64], policy: Policy) -> bool:
    """Whether a pattern has enough units, and on either side enough incidents that are not those of two of them."""
    outcome = design.outcome[units]
    live = design.timing.treated[design.cohort[units[0]]] > 0
    sides = (outcome[:, ~live].sum(axis=1), outcome[:, live].sum(axis=1))
    return len(units) >= policy.min_treated_per_pattern and all(
        total >= policy.min_incidents
        and np.sort(side)[-2:].sum() <= policy.max_two_unit_share * total
        for side, total in ((side, side.sum()) for side in sides)
    )


def _merge(panel: Panel, small: NDArray[np.bool_], bin_of: Bin) -> Panel:
    """Give small cohorts of one calendar bin one go-live interval, from the first to the last of them."""
    first, last = panel.first_live.copy(), panel.last_live.copy()
    bins = [bin_of(panel.periods[index]) for index in panel.first_live]
    for one in sorted({bins[unit] for unit in np.flatnonzero(small)}):
        together = small & np.array([this == one for this in bins])
        first[together] = panel.first_live[together].min()
        last[together] = panel.last_live[together].max()
    return replace(panel, first_live=first, last_live=last)


def _join_nearest(panel: Panel, small: NDArray[np.bool_]) -> Panel | None:
    """Merge the earliest small cohort with the treated cohort nearest in time, if both fit in a year."""
    treated = panel.role == Role.TREATED
    cohorts = np.unique(np.stack([panel.first_live, panel.last_live])[:, treated], axis=1).T
    unit = int(np.flatnonzero(small)[np.argmin(panel.first_live[small])])
    mine = (int(panel.first_live[unit]), int(panel.last_live[unit]))
    others = [(int(a), int(b)) for a, b in cohorts if (int(a), int(b)) != mine]
    if not others:
        return None
    nearest = min(others, key=lambda one: (max(one[0] - mine[1], mine[0] - one[1]), one))
    start, end = min(mine[0], nearest[0]), max(mine[1], nearest[1])
    if (panel.periods[end] - panel.periods[start]).days > LONGEST_TRANSITION:
        return None
    first, last = panel.first_live.copy(), panel.last_live.copy()
    for a, b in (mine, nearest):
        members = treated & (panel.first_live == a) & (panel.last_live == b)
        first[members], last[members] = start, end
    return replace(panel, first_live=first, last_live=last)


def _set_apart(panel: Panel, units: NDArray[np.bool_]) -> Panel:
    return replace(panel, role=np.where(units, int(Role.SET_APART), panel.role))


def _left_out(
    panel: Panel, small: NDArray[np.bool_], study: Study, policy: Policy
) -> tuple[Panel, str]:
    """Units whose cohort stays too small are treated no more; with a sentence that says so."""
    if study.treatment.pretends_cameras and small.sum() < policy.min_treated_per_pattern:
        again = "the few places of a cohort that stays too small are controls again"
        return _controls_again(panel, small), again
    return _set_apart(panel, small), "units whose cohort stays too small were set apart"


def _controls_again(panel: Panel, units: NDArray[np.bool_]) -> Panel:
    """Places only pretended to have a camera are not set apart where they are few.

    The study whose design is checked has them among its controls: all of those, less the other pretended places and
    the controls of this study, would be the incidents of these few.
    """
    return replace(
        panel,
        role=np.where(units, int(Role.CONTROL), panel.role),
        first_live=np.where(units, NEVER, panel.first_live),
        last_live=np.where(units, NEVER, panel.last_live),
    )


def _lonely_controls(panel: Panel, policy: Policy) -> NDArray[np.bool_]:
    """(U,) controls observed for a part of the window that too few others share."""
    control = (panel.role == Role.CONTROL) & (panel.first_live == NEVER)
    length = (panel.exposure > 0).sum(axis=1)
    lonely = np.zeros(panel.n_units, dtype=bool)
    longest = length.max(initial=0)
    if (length == longest).all():
        return lonely
    for value in np.unique(length[control]):
        same = control & (length == value)
        if same.sum() < policy.min_units and value < longest:
            lonely |= same
    return lonely
