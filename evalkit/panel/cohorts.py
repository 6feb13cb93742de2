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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import NEVER, Role
from evalkit.core.study import Treatment, Window
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
    ring: NDArray[np.bool_],
    window: Window,
    treatment: Treatment,
) -> Cohorts:
    """Roles and go-live periods.

    Args:
        first: (U,) date of the first camera, NaT without one or of unknown date.
        undated: (U,) whether a camera of the unit has no date.
        gone: (U,) first day without any of its cameras, NaT if one is still there.
        ring: (U,) whether the unit is a ring.
        window: of the study.
        treatment: of the study; its adoption dates and washout.
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
    role[ring] = Role.RING
    first_live = np.where(later, NEVER, period)
    washed = np.minimum(first_live + treatment.washout_periods, periods - 1)
    last_live = np.where(first_live == NEVER, NEVER, washed)
    return Cohorts(role, first_live, last_live, used_until, periods)


def role_names(role: NDArray[np.int64]) -> list[str]:
    """Roles in lower case, as tables show them."""
    names = {int(one): one.name.lower() for one in Role}
    return [names[one] for one in role.tolist()]
