"""Roles and go-live periods, rule by rule."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from evalkit.core.panel import NEVER, Role
from evalkit.core.study import Treatment, Window
from evalkit.panel.cohorts import cohorts, role_names
from evalkit.panel.periods import as_days
from evalkit.panel.zones.zoning import no_dates

WINDOW = Window(start=dt.date(2020, 1, 1), end=dt.date(2020, 12, 31))
MONTHS = 12
SPRING = Treatment(adoption_start=dt.date(2020, 3, 15), adoption_end=dt.date(2020, 5, 31))
PAST = Treatment(adoption_end=dt.date(2019, 12, 31))


@pytest.mark.parametrize(
    ("live", "undated", "treatment", "role", "period", "used_until"),
    [
        ("NaT", False, Treatment(), Role.CONTROL, NEVER, MONTHS),
        ("NaT", True, Treatment(), Role.UNDATED, NEVER, MONTHS),
        ("1999-01-01", False, Treatment(), Role.ALWAYS, 0, MONTHS),
        ("2020-01-31", False, Treatment(), Role.ALWAYS, 0, MONTHS),
        ("2020-02-01", False, Treatment(), Role.TREATED, 1, MONTHS),
        ("2020-12-31", False, Treatment(), Role.TREATED, 11, MONTHS),
        ("2021-01-01", False, Treatment(), Role.CONTROL, NEVER, MONTHS),
        ("2020-01-31", False, SPRING, Role.ALWAYS, 0, MONTHS),
        ("2020-03-14", False, SPRING, Role.SET_APART, 2, MONTHS),
        ("2020-03-15", False, SPRING, Role.TREATED, 2, MONTHS),
        ("2020-05-31", False, SPRING, Role.TREATED, 4, MONTHS),
        ("2020-06-01", False, SPRING, Role.CONTROL, NEVER, 5),
        ("2020-01-15", False, PAST, Role.ALWAYS, 0, MONTHS),
        ("2020-02-15", False, PAST, Role.CONTROL, NEVER, 1),
        ("2021-06-01", False, SPRING, Role.CONTROL, NEVER, MONTHS),
    ],
)
def test_rules(
    live: str, undated: bool, treatment: Treatment, role: Role, period: int, used_until: int
) -> None:
    dates, flags = as_days([live]), np.array([undated])
    found = cohorts(dates, flags, no_dates(1), np.array([False]), WINDOW, treatment)
    assert (found.role[0], found.first_live[0], found.used_until[0]) == (role, period, used_until)
    assert found.periods == MONTHS
    # A ring takes the cohort and the cut of its camera, and keeps its role.
    ring = cohorts(dates, flags, no_dates(1), np.array([True]), WINDOW, treatment)
    assert (ring.role[0], ring.first_live[0], ring.used_until[0]) == (Role.RING, period, used_until)


def test_names_of_roles() -> None:
    assert role_names(np.array([int(Role.SET_APART), int(Role.TREATED)])) == [
        "set_apart",
        "treated",
    ]


@pytest.mark.parametrize(
    ("live", "gone", "role", "used_until"),
    [
        ("2020-03-10", "2020-08-05", Role.TREATED, 7),  # not used from the month of removal on
        ("2020-03-10", "2021-02-01", Role.TREATED, MONTHS),  # after the window
        ("2018-03-10", "2019-02-01", Role.ALWAYS, 0),  # a place that had one once is no control
        ("2021-03-10", "2021-08-01", Role.CONTROL, MONTHS),
    ],
)
def test_removal_ends_the_use(live: str, gone: str, role: Role, used_until: int) -> None:
    none = np.array([False])
    found = cohorts(as_days([live]), none, as_days([gone]), none, WINDOW, Treatment())
    assert (found.role[0], found.used_until[0]) == (role, used_until)


@pytest.mark.parametrize(("washout", "last"), [(0, 2), (2, 4), (50, MONTHS - 1)])
def test_washout_lengthens_the_transition(washout: int, last: int) -> None:
    none = np.array([False])
    treatment = Treatment(washout_periods=washout)
    found = cohorts(as_days(["2020-03-15"]), none, no_dates(1), none, WINDOW, treatment)
    assert (found.first_live[0], found.last_live[0]) == (2, last)
    never = cohorts(no_dates(1), none, no_dates(1), none, WINDOW, treatment)
    assert never.last_live[0] == NEVER
