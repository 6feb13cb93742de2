"""Logistic sums, the certificate of separation, and how many Newton steps are needed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.numerics.logistic import (
    MAX_STEP,
    SEPARATED,
    are_separated,
    bounded_step,
    logistic_sums,
    newton_step,
    probability,
)

# Sums of a few hundred doubles of size one in another order.
ROUNDING = 1e-11
# Newton's convergence is quadratic: a step of 1e-8 leaves the error of rounding.
SETTLED = 1e-8

seeds = st.integers(0, 10_000)


def design(seed: int, units: int = 60) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = np.column_stack([np.ones(units), random.normal(size=units)])
    return random.random(units) < probability(x, np.array([-0.5, 1.0])), x


def heavy_tailed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A standardised covariate with far outliers, and sometimes hardly anybody treated."""
    random = np.random.default_rng(seed)
    units = int(random.choice([40, 100, 400, 2000]))
    draws = (
        random.normal(size=units),
        random.lognormal(0, 1.5, units),
        random.gamma(0.5, 1, units),
        random.standard_t(2, units),
    )
    raw = draws[random.integers(len(draws))]
    x = np.column_stack([np.ones(units), (raw - raw.mean()) / raw.std()])
    share = random.choice([0.01, 0.05, 0.3, 0.6])
    beta = np.array([np.log(share / (1 - share)), random.uniform(0, 3)])
    return random.random(units) < probability(x, beta), x


def separable(treated: np.ndarray, x: np.ndarray) -> bool:
    ours, theirs = x[treated, 1], x[~treated, 1]
    return bool(ours.min() > theirs.max() or ours.max() < theirs.min())


def test_score_and_information_are_derivatives() -> None:
    treated, x = design(1)
    beta, step = np.array([0.3, -0.4]), 1e-5
    found = logistic_sums(treated, x, beta)
    for index in range(2):
        move = step * np.eye(2)[index]
        up, down = (logistic_sums(treated, x, beta + sign * move) for sign in (1, -1))
        by_deviance = -(up.deviance - down.deviance) / (4 * step)
        assert found.score[index] == pytest.approx(by_deviance, abs=1e-7)
        by_score = -(up.score - down.score) / (2 * step)
        np.testing.assert_allclose(found.information[index], by_score, rtol=0, atol=1e-7)


@given(seeds, st.integers(2, 5))
def test_sums_of_places_are_the_sums_of_all(seed: int, places: int) -> None:
    treated, x = design(seed)
    where = np.random.default_rng(seed).integers(0, places, len(x))
    beta = np.array([0.2, 0.7])
    whole = logistic_sums(treated, x, beta)
    parts = [logistic_sums(treated[where == p], x[where == p], beta) for p in range(places)]
    for name in ("score", "information", "deviance"):
        together = sum(getattr(part, name) for part in parts)
        np.testing.assert_allclose(together, getattr(whole, name), rtol=0, atol=ROUNDING)


@given(seeds, st.floats(-30, 30), st.floats(-30, 30))
def test_a_small_deviance_proves_separation(seed: int, constant: float, slope: float) -> None:
    """At whatever coefficients: groups that overlap never come below 2 ln 2."""
    treated, x = design(seed, units=12)
    if treated.all() or not treated.any() or separable(treated, x):
        return
    deviance = logistic_sums(treated, x, np.array([constant, slope])).deviance
    assert deviance >= SEPARATED
    assert not are_separated(deviance)


def test_the_bound_is_reached_up_to_a_factor_of_two() -> None:
    """One unit of each group at the same place: the best deviance is 4 ln 2, and no coefficients do better."""
    treated, x = np.array([True, False]), np.array([[1.0], [1.0]])
    assert logistic_sums(treated, x, np.zeros(1)).deviance == pytest.approx(2 * SEPARATED)


@pytest.mark.parametrize("seed", range(200))
def test_bounded_newton_settles_unless_groups_are_separated(seed: int) -> None:
    treated, x = heavy_tailed(seed)
    if treated.sum() < 2 or (~treated).sum() < 2:
        treated = np.arange(len(x)) < 2
    beta = np.zeros(2)
    beta[0] = np.clip(np.log(treated.sum() / (~treated).sum()), -MAX_STEP, MAX_STEP)
    steps = 0
    while steps < 24:
        found = logistic_sums(treated, x, beta)
        if are_separated(found.deviance):
            break
        step = newton_step(found.information, found.score)
        assert np.abs(bounded_step(step)).max() <= MAX_STEP
        beta = beta + bounded_step(step)
        steps += 1
        if np.abs(step).max() < SETTLED:
            break
    if separable(treated, x):
        assert are_separated(found.deviance) or steps == 24
    else:
        assert steps <= 17
        np.testing.assert_allclose(logistic_sums(treated, x, beta).score, 0, atol=1e-8)


def test_a_step_keeps_its_direction() -> None:
    np.testing.assert_allclose(bounded_step(np.array([8.0, -4.0])), [2.0, -1.0])
    np.testing.assert_allclose(bounded_step(np.array([0.5, -1.0])), [0.5, -1.0])


def test_covariates_that_depend_on_each_other_have_no_step() -> None:
    treated, x = design(2)
    twice = np.column_stack([x, 2 * x[:, 1]])
    found = logistic_sums(treated, twice, np.zeros(3))
    with pytest.raises(ArithmeticError, match="depend on each other"):
        newton_step(found.information, found.score)
    with pytest.raises(ArithmeticError):
        newton_step(np.zeros((2, 2)), np.zeros(2))
