"""What a unit may be used for, from the day its first camera went live.

In this order; a ring keeps the role `RING` and takes the cohort of its camera:

=====================================================  ============  ==============================
first camera                                           role          go-live period
=====================================================  ============  ==============================
none                                                   `CONTROL`     `NEVER`
of unknown date                                        `UNDATED`     `NEVER`
after the window                                       `CONTROL`     `NEVER`
before the window or in its first period               `ALWAYS`      0: there is no before
before ``adoption_start``                              `SET_APART`   the period that holds the date
after ``adoption_end``                                 `CONTROL`     `NEVER`; used until that period
otherwise                                              `TREATED`     the period that holds the date
=====================================================  ============  ==============================

A unit treated after ``adoption_end`` is a control until its own camera is live: its exposure is
zero from that period on, and zero marks a cell that no estimator uses. The go-live period itself is
already cut. So is that in which the last camera of a unit is removed, and all after it: the place is
neither with a camera nor like before it.

The go-live interval runs from the go-live period over the study's washout. Estimators leave it out.

Studies of the design itself (`evalkit.core.falsification`) change roles last: with ``treated_ring`` the ring's units
that would be treated are, and the units with cameras are set apart; with ``placebo_periods`` so are treated units that
have no period before their pretended go-live. Controls stay the same. With ``placebo_cameras`` as many controls as
there are treated units take their place and their go-live periods, one for one; only controls without a camera in the
window and observed through all of it can. Which they are follows from the hash of the study and the position of a
unit, so that whoever builds the panel again gets the same, and nobody can look for a draw that suits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import NEVER, Role
from evalkit.core.study import Treatment, Window
from evalkit.errors import NoControlError
from evalkit.panel.periods import as_days, period_index, period_starts

__all__ = ["Cohorts", "cohorts", "role_names"]


@dataclass(frozen=True, slots=True, eq=False)
class Cohorts:
    """Roles of U units.

    Attributes:
        role: (U,) `Role` values.
        first_live, last_live: (U,) go-live interval, periods or `NEVER`.
        used_until: (U,) first period that must not be used; ``periods`` if all may.
        periods: number of periods of the window.
    """

    role: NDArray[np.int64]
    first_live: NDArray[np.int64]
    last_live: NDArray[np.int64]
    used_until: NDArray[np.int64]
    periods: int


def cohorts(
    first: NDArray[np.datetime64],
    undated: NDArray[np.bool_],
    gone: NDArray[np.datetime64],
    ring: NDArray[np.int64],
    window: Window,
    treatment: Treatment,
    study_hash: str = "",
) -> Cohorts:
    """Roles and go-live periods.

    Args:
        first: (U,) date of the first camera, NaT without one or of unknown date.
        undated: (U,) whether a camera of the unit has no date.
        gone: (U,) first day without any of its cameras, NaT if one is still there.
        ring: (U,) which ring the unit is, 0 for none.
        window: of the study.
        treatment: of the study; its adoption dates and washout.
        study_hash: of the study; it chooses the places of ``placebo_cameras``.

    Raises:
        NoControlError: no more controls without a camera than there are treated units.
    """
    periods = len(period_starts(window))
    period = period_index(first, window)
    period[first < as_days(window.start)] = 0
    later = period == NEVER  # after the window, or no date
    role = np.full(len(first), int(Role.TREATED), dtype=np.int64)
    used_until = np.full(len(first), periods, dtype=np.int64)
    if treatment.adoption_end is not None:
        late = (first > as_days(treatment.adoption_end)) & ~later & (period > 0)
        used_until[late] = period[late]
        later |= late
    left = period_index(gone, window)
    left[gone < as_days(window.start)] = 0
    empty = (left != NEVER) & ~later
    used_until[empty] = np.minimum(used_until[empty], left[empty])
    if treatment.adoption_start is not None:
        role[first < as_days(treatment.adoption_start)] = Role.SET_APART
    role[period == 0] = Role.ALWAYS
    role[later] = Role.CONTROL
    role[undated] = Role.UNDATED
    role = _under_study(role, period, ring, treatment)
    first_live = np.where(later, NEVER, period)
    if treatment.pretends_cameras:
        role, first_live = _pretended(role, first_live, used_until == periods, study_hash)
    washed = np.minimum(first_live + treatment.washout_periods, periods - 1)
    last_live = np.where(first_live == NEVER, NEVER, washed)
    return Cohorts(role, first_live, last_live, used_until, periods)


def _under_study(
    role: NDArray[np.int64],
    period: NDArray[np.int64],
    ring: NDArray[np.int64],
    treatment: Treatment,
) -> NDArray[np.int64]:
    treated = role == Role.TREATED
    target = treated & (ring == treatment.ring_under_study)
    role = np.where(treated & ~target, int(Role.SET_APART), role)
    role[(ring > 0) & ~target] = Role.RING
    role[target & (period <= treatment.pretended_earlier)] = Role.SET_APART
    return role


def _pretended(
    role: NDArray[np.int64],
    first_live: NDArray[np.int64],
    throughout: NDArray[np.bool_],
    study_hash: str,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Roles and go-live periods after controls have taken the place of the treated units, which are set apart."""
    treated = np.flatnonzero(role == Role.TREATED)
    never = np.flatnonzero((role == Role.CONTROL) & (first_live == NEVER) & throughout)
    if len(never) <= len(treated):
        raise NoControlError(
            f"{len(never)} units are without a camera in the whole window, too few to stand in for "
            f"{len(treated)} treated units and be compared with",
            where="[treatment] placebo_cameras",
            limit=f"at least {len(treated) + 1}",
            way_out="do not ask this city for placebo cameras, or use smaller or more controls",
        )
    drawn = sorted(never.tolist(), key=lambda unit: _draw(study_hash, unit))[: len(treated)]
    role, first_live = role.copy(), first_live.copy()
    first_live[drawn] = first_live[treated]
    role[drawn], role[treated] = Role.TREATED, Role.SET_APART
    return role, first_live


def _draw(study_hash: str, unit: int) -> bytes:
    """A number that follows from study and position, and from nothing else; no generator whose stream may change."""
    return hashlib.sha256(f"{study_hash}:{unit}".encode()).digest()


def role_names(role: NDArray[np.int64]) -> list[str]:
    """Roles in lower case, as tables show them."""
    names = {int(one): one.name.lower() for one in Role}
    return [names[one] for one in role.tolist()]
