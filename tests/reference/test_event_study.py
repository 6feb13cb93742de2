"""Pre-trend tests, their power and simultaneous bands, against scipy's distributions and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalkit.numerics.event_study import (
    EventStudy,
    SingularCovarianceError,
    pre_trend_power,
    pre_trend_test,
    sup_t,
)

# Two implementations of the same distribution functions; scipy's noncentral quantile stops at 1e-11.
SAME = 1e-9
# A critical value may be off by chance: four of its own standard errors.
CHANCE = 4.0


def covariance(size: int, seed: int = 1) -> np.ndarray:
    root = np.random.default_rng(seed).standard_normal((size, 3 * size))
    return root @ root.T / (3 * size)


def test_wald_statistic_is_the_sum_of_squares_of_whitened_coefficients() -> None:
    matrix, beta = covariance(4), np.array([0.5, -1.0, 0.2, 0.8])
    white = np.linalg.solve(np.linalg.cholesky(matrix), beta)
    found = pre_trend_test(beta, matrix)
    assert found.statistic == pytest.approx(float(white @ white), rel=SAME)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 4), rel=SAME)
    few = pre_trend_test(beta, matrix, df=12.0)
    assert few.p_value == pytest.approx(stats.f.sf(found.statistic / 4, 4, 12), rel=SAME)


@given(st.integers(0, 10_000))
def test_wald_test_does_not_depend_on_the_reference_period(seed: int) -> None:
    """Coefficients relative to another period are a linear transformation of them, and so is their covariance."""
    draw = np.random.default_rng(seed)
    matrix, beta = covariance(3, seed), draw.standard_normal(3)
    other = np.array([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0], [0.0, 0.0, -1.0]])
    a = pre_trend_test(beta, matrix)
    b = pre_trend_test(other @ beta, other @ matrix @ other.T)
    assert a.statistic == pytest.approx(b.statistic, rel=1e-7)


@pytest.mark.parametrize("size", [1, 4, 12])
def test_power_is_that_of_the_noncentral_chi_square(size: int) -> None:
    matrix, times = covariance(size), np.arange(-size, 0.0)
    for found in pre_trend_power(times, matrix, post_bias=3.5, powers=(0.5, 0.8)):
        trend = found.slope * times
        noncentrality = float(trend @ np.linalg.solve(matrix, trend))
        power = stats.ncx2.sf(stats.chi2.isf(0.05, size), size, noncentrality)
        assert power == pytest.approx(found.power, abs=1e-7)
        assert found.bias == pytest.approx(3.5 * found.slope)


def test_power_is_the_share_of_simulated_studies_that_reject() -> None:
    matrix, times, draws = covariance(3), np.arange(-3, 0.0), 40_000
    (found,) = pre_trend_power(times, matrix, 1.0, powers=(0.8,))
    beta = np.random.default_rng(0).multivariate_normal(found.slope * times, matrix, draws)
    statistic = np.einsum("ni,ij,nj->n", beta, np.linalg.inv(matrix), beta)
    share = float((statistic > stats.chi2.isf(0.05, 3)).mean())
    assert abs(share - 0.8) < CHANCE * math.sqrt(0.8 * 0.2 / draws)


@pytest.mark.parametrize("size", [2, 5, 20])
def test_sup_t_of_independent_coefficients_is_sidaks(size: int) -> None:
    exact = stats.norm.ppf(0.5 + 0.5 * 0.95 ** (1 / size))
    found = sup_t(np.diag(np.arange(1.0, size + 1)))
    assert abs(found.critical_value - exact) < CHANCE * found.simulation_error
    assert found.simulation_error < 0.01


def test_sup_t_of_correlated_coefficients_is_genzs() -> None:
    matrix = np.array([[1.0, 0.8], [0.8, 1.0]])
    found = sup_t(matrix)
    c = found.critical_value
    inside = stats.multivariate_normal(np.zeros(2), matrix).cdf([c, c], lower_limit=[-c, -c])
    density = 2 * 2 * stats.norm.pdf(c)  # of the maximum, at most
    assert abs(float(inside) - 0.95) < CHANCE * found.simulation_error * density


def test_sup_t_with_few_degrees_of_freedom_is_simulated_t() -> None:
    matrix, draws = covariance(3), 200_000
    found = sup_t(matrix, df=8.0)
    drawn = np.abs(stats.multivariate_t.rvs(None, matrix, 8, draws, np.random.default_rng(0)))
    largest = (drawn / np.sqrt(np.diagonal(matrix))).max(axis=1)
    share = float((largest <= found.critical_value).mean())
    assert (
        abs(share - 0.95) < CHANCE * math.sqrt(0.95 * 0.05 / draws) + found.simulation_error * 0.1
    )


def test_sup_t_of_one_coefficient_is_exact_however_often_it_is_listed() -> None:
    for matrix in (np.array([[3.0]]), np.full((4, 4), 2.0)):
        found = sup_t(matrix)
        assert found.critical_value == pytest.approx(1.959963984540054, rel=SAME)
        assert found.simulation_error == 0.0
    assert sup_t(np.eye(1), df=5.0).critical_value == pytest.approx(stats.t.ppf(0.975, 5), rel=SAME)


def test_sup_t_is_the_same_every_time_and_lies_below_bonferroni() -> None:
    matrix = covariance(6)
    assert sup_t(matrix) == sup_t(matrix)
    assert stats.norm.isf(0.025) < sup_t(matrix).critical_value < stats.norm.isf(0.025 / 6)


def test_times_count_unobserved_periods() -> None:
    study = EventStudy(np.zeros(2), np.zeros(3), np.eye(5), gap=1)
    assert study.pre_times.tolist() == [-2.0, -1.0]
    assert study.post_times.tolist() == [2.0, 3.0, 4.0]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="at least one"):
        pre_trend_test(np.empty(0), np.empty((0, 0)))
    with pytest.raises(SingularCovarianceError):
        pre_trend_test(np.ones(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        pre_trend_test(np.array([math.nan]), np.eye(1))
    with pytest.raises(ValueError, match="powers"):
        pre_trend_power(np.ones(1), np.eye(1), 1.0, powers=(0.01,))
    with pytest.raises(ValueError, match="adds nothing"):
        pre_trend_power(np.zeros(1), np.eye(1), 1.0)
    for bad in (np.empty((0, 0)), np.array([[math.nan]]), np.array([[0.0]])):
        with pytest.raises(ValueError, match=r"band|variance"):
            sup_t(bad)
    with pytest.raises(ValueError, match="symmetric"):
        EventStudy(np.ones(1), np.ones(1), np.array([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="2 × 2"):
        EventStudy(np.ones(1), np.ones(1), np.eye(3))
    with pytest.raises(ValueError, match="gap"):
        EventStudy(np.ones(1), np.ones(1), np.eye(2), gap=-1)
