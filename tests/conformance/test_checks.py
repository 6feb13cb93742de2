"""One suite for every check found in the folder, unasked."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalkit.checks
from evalkit.core.check import CheckContext, CheckResult, Outcome
from evalkit.core.discover import checks, discover
from evalkit.core.estimate import Estimate, SiteEffect
from evalkit.core.sensitivity import TwoWay, WithoutCohort
from evalkit.core.terms import OVERALL, at_event_time
from evalkit.numerics.meta_analysis import pool

ALL = sorted(checks())
NOTHING = CheckContext()
COHORTS = CheckContext(cohort_units={"2018-01": 12, "2019-03": 20})


def event_study(
    times: tuple[int, ...] = (-4, -3, -2, 0, 1, 2),
    effect: float = -0.5,
    error: float = 0.05,
    level: float = 0.95,
) -> Estimate:
    """Flat before go-live, ``effect`` after it, independent errors; the overall effect comes first."""
    values = np.array([effect, *(effect if time >= 0 else 0.0 for time in times)])
    return Estimate(
        estimator="made up",
        terms=(OVERALL, *(at_event_time(time) for time in times)),
        effect=values,
        covariance=error**2 * np.eye(len(values)),
        df=math.inf,
        level=level,
        contributors=("alta",),
    )


GOOD = event_study()


def one_effect(effect: float, error: float) -> Estimate:
    """A derived study's estimate, of the same city."""
    return replace(
        GOOD,
        terms=(OVERALL,),
        effect=np.array([effect]),
        covariance=np.array([[error**2]]),
    )


def of_cities(size: int = 12) -> Estimate:
    """Cities that agree, precise and imprecise ones, pooled."""
    errors = np.linspace(0.03, 0.3, size)
    effects = -0.5 + 0.3 * errors * (-1.0) ** np.arange(size)
    whole = pool(effects, errors**2, method="REML", interval="knapp_hartung")
    return replace(
        one_effect(whole.effect, whole.std_error),
        df=whole.df,
        sites=tuple(
            SiteEffect(f"c{place}", float(effect), float(error))
            for place, (effect, error) in enumerate(zip(effects, errors, strict=True))
        ),
    )


EVERYTHING = CheckContext(
    cohort_units=COHORTS.cohort_units,
    placebo_dates={"6 periods earlier": one_effect(0.01, 0.05)},
    placebo_outcomes={"fraud": one_effect(-0.02, 0.05)},
    placebo_cameras={"places without a camera": one_effect(0.01, 0.05)},
    rings={"100 to 200 m": one_effect(0.02, 0.05)},
    expected_change=one_effect(-0.05, 0.05),
    crime_types=("robbery", "drugs"),
    by_crime_type={"drugs": one_effect(0.02, 0.05), "robbery": one_effect(-0.3, 0.05)},
)
OF_CITIES = {"heterogeneity", "leave_one_city_out", "small_study"}
"""Checks of the cities' own effects; the others look at the whole."""


WITH_COHORTS = replace(
    GOOD,
    without_cohorts=(
        WithoutCohort("2018-01", 12.0, -0.48, 0.06),
        WithoutCohort("2019-03", 20.0, -0.53, 0.07),
    ),
    two_way=TwoWay(coefficient=-0.4, negative=0.05, already_treated=0.2, without=-0.45),
)
OF_COHORTS = {"goodman_bacon", "leave_one_cohort_out"}
"""Checks of what an estimator tells of its cohorts."""


def changed(effect: dict[int, float] | None = None, covariance: np.ndarray | None = None):
    values = GOOD.effect.copy()
    for place, value in (effect or {}).items():
        values[place] = value
    return replace(
        GOOD, effect=values, covariance=GOOD.covariance if covariance is None else covariance
    )


def singular() -> np.ndarray:
    matrix = GOOD.covariance.copy()
    matrix[1:, 1:] = 0.01
    return matrix


def with_nan() -> np.ndarray:
    matrix = GOOD.covariance.copy()
    matrix[0, 0] = matrix[2, 2] = math.nan
    return matrix


ODD = {
    "no event times": replace(
        GOOD, terms=(OVERALL,), effect=np.zeros(1), covariance=np.full((1, 1), math.nan)
    ),
    "one period": event_study(times=(0,)),
    "no period before": event_study(times=(0, 1, 2)),
    "no period after": event_study(times=(-3, -2)),
    "a gap": event_study(times=(-5, -2, 0, 3)),
    "twice the same": event_study(times=(-2, -2, 0)),
    "far periods only": event_study(times=(-9, -8, 7, 8)),
    "a varying base": event_study(times=(-3, -2, -1, 0, 1)),
    "not a number": changed(effect={0: math.nan, 2: math.nan}),
    "infinite": changed(effect={1: math.inf}),
    "variance not a number": changed(covariance=with_nan()),
    "variance zero": changed(covariance=np.zeros((7, 7))),
    "variance below zero": changed(covariance=-np.eye(7)),
    "singular": changed(covariance=singular()),
    "not symmetric": changed(covariance=np.triu(np.ones((7, 7))) + np.eye(7)),
    "arrays of other lengths": replace(GOOD, covariance=np.eye(2)),
    "nothing at all": replace(
        GOOD, terms=(), effect=np.empty(0), covariance=np.empty((0, 0)), contributors=()
    ),
    "no level": replace(GOOD, level=math.nan),
    "tiny": changed(covariance=1e-200 * np.eye(7)),
    "huge": changed(covariance=1e200 * np.eye(7)),
    "df not a number": replace(GOOD, df=math.nan),
}
# Those from which an event-study check could compute something without being wrong.
COMPUTABLE = {
    "pre_trend": {"no period after", "a varying base", "tiny", "huge", "df not a number"},
    "honest_did_relative_magnitudes": {"tiny", "huge", "df not a number"},
    "honest_did_smoothness": {"tiny", "huge", "df not a number"},
    # It looks at the overall standard error and at the cohorts, not at event times.
    "small_cohorts": set(ODD)
    - {
        "no event times",
        "variance not a number",
        "variance zero",
        "variance below zero",
        "nothing at all",
    },
}


def assert_sound(result: CheckResult, name: str) -> None:
    assert result.name == name
    assert result.outcome in get_args(Outcome)
    assert len(result.reason) > 20
    assert not result.reason.endswith(".")
    assert all(isinstance(value, float) for value in result.figures.values())
    assert bool(result.figures) is (result.outcome != "not computable")


def test_every_file_in_the_folder_is_a_check() -> None:
    (folder,) = map(Path, evalkit.checks.__path__)
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert {name for name, _ in discover("evalkit.checks", "check")} == files == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_clear_effect_after_a_flat_path_passes(name: str) -> None:
    good = WITH_COHORTS if name in OF_COHORTS else of_cities() if name in OF_CITIES else GOOD
    result = checks()[name](good, EVERYTHING)
    assert_sound(result, name)
    assert result.outcome == "passed", result.reason


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ALL)
def test_odd_input_never_raises(name: str, odd: str) -> None:
    result = checks()[name](ODD[odd], COHORTS)
    assert_sound(result, name)
    if odd not in COMPUTABLE.get(name, set()):
        assert result.outcome == "not computable", result.reason


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ALL)
def test_odd_input_never_raises_where_all_else_is_known(name: str, odd: str) -> None:
    assert_sound(checks()[name](ODD[odd], EVERYTHING), name)
    told = {"without_cohorts": WITH_COHORTS.without_cohorts, "two_way": WITH_COHORTS.two_way}
    assert_sound(checks()[name](replace(ODD[odd], **told), EVERYTHING), name)


@pytest.mark.parametrize("name", ALL)
def test_without_context_it_passes_or_says_what_it_lacks(name: str) -> None:
    result = checks()[name](GOOD, NOTHING)
    assert_sound(result, name)
    assert result.outcome in {"passed", "not computable"}


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=8)
@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=8, unique=True).map(sorted),
    st.integers(0, 1000),
    st.sampled_from([1e-3, 1.0, 1e3]),
)
def test_any_event_study_gives_a_sound_result(
    name: str, times: list[int], seed: int, scale: float
) -> None:
    draw = np.random.default_rng(seed)
    one = event_study(times=tuple(times))
    root = draw.standard_normal((len(one.terms), len(one.terms) + seed % 3))
    changed_one = replace(
        one, effect=scale * draw.standard_normal(len(root)), covariance=scale**2 * root @ root.T
    )
    context = CheckContext(gap=seed % 3, bins=(-6, 6), cohort_units={"a": 1 + seed})
    result = checks()[name](changed_one, context)
    assert_sound(result, name)
    assert checks()[name](changed_one, context) == result


@pytest.mark.parametrize("name", ALL)
def test_the_unit_of_the_effects_is_irrelevant(name: str) -> None:
    larger = replace(GOOD, effect=8.0 * GOOD.effect, covariance=64.0 * GOOD.covariance)
    assert checks()[name](larger, COHORTS).outcome == checks()[name](GOOD, COHORTS).outcome
