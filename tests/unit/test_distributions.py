"""Distribution functions against scipy.stats and against each other, out to the far tails."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from evalkit.numerics.distributions import (
    chi2_cdf,
    chi2_isf,
    chi2_quantile,
    chi2_sf,
    critical_value,
    normal_cdf,
    normal_isf,
    normal_quantile,
    normal_sf,
    t_cdf,
    t_isf,
    t_quantile,
    t_sf,
    two_sided_p,
)

# Relative: what scipy.special's incomplete beta and gamma functions reach in the tails.
TAIL = 1e-11

POINTS = np.array([-30.0, -8.5, -1.96, -0.1, 0.0, 0.1, 1.96, 8.5, 30.0])
PROBABILITIES = np.array([1e-300, 1e-40, 1e-16, 0.025, 0.5, 0.975])


@pytest.mark.parametrize("df", [1.0, 2.5, 4.0, 12.0, 200.0])
def test_t_against_scipy_stats(df: float) -> None:
    assert t_cdf(POINTS, df) == pytest.approx(stats.t.cdf(POINTS, df), rel=TAIL)
    assert t_sf(POINTS, df) == pytest.approx(stats.t.sf(POINTS, df), rel=TAIL)
    assert t_isf(PROBABILITIES[2:], df) == pytest.approx(
        stats.t.isf(PROBABILITIES[2:], df), rel=1e-9
    )


@pytest.mark.parametrize("df", [1.0, 3.0, 12.0, 500.0])
def test_chi2_against_scipy_stats(df: float) -> None:
    x = np.array([0.0, 1e-3, 1.0, 12.0, 152.0, 900.0])
    assert chi2_cdf(x, df) == pytest.approx(stats.chi2.cdf(x, df), rel=TAIL)
    assert chi2_sf(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=TAIL)
    assert chi2_quantile(PROBABILITIES, df) == pytest.approx(
        stats.chi2.ppf(PROBABILITIES, df), rel=1e-9
    )


def test_normal_against_scipy_stats() -> None:
    assert normal_cdf(POINTS) == pytest.approx(stats.norm.cdf(POINTS), rel=TAIL)
    assert normal_sf(POINTS) == pytest.approx(stats.norm.sf(POINTS), rel=TAIL)
    assert normal_quantile(PROBABILITIES) == pytest.approx(stats.norm.ppf(PROBABILITIES), rel=TAIL)


def test_quantiles_invert_the_tails_far_below_machine_precision() -> None:
    for q in (1e-250, 1e-60, 1e-16, 0.3):
        assert normal_sf(normal_isf(q)) == pytest.approx(q, rel=1e-10)
        assert t_sf(t_isf(q, 5.0), 5.0) == pytest.approx(q, rel=1e-10)
        assert chi2_sf(chi2_isf(q, 5.0), 5.0) == pytest.approx(q, rel=1e-10)
        assert chi2_cdf(chi2_quantile(q, 5.0), 5.0) == pytest.approx(q, rel=1e-10)


def test_tails_that_a_complement_would_lose() -> None:
    # Mills' ratio: the normal tail lies between φ(x)/x (1 - 1/x²) and φ(x)/x.
    density = math.exp(-0.5 * 37.0**2) / math.sqrt(2 * math.pi)
    assert density / 37 * (1 - 1 / 37**2) < normal_sf(37.0) < density / 37
    # Cauchy: the tail of t with one degree of freedom is arctan(1/x)/π.
    assert t_sf(1e9, 1.0) == pytest.approx(math.atan(1e-9) / math.pi, rel=TAIL)
    # chi-square with two degrees of freedom: exp(-x/2).
    assert chi2_sf(1_000.0, 2.0) == pytest.approx(math.exp(-500.0), rel=TAIL)


def test_infinite_df_is_the_normal_and_many_df_are_close_to_it() -> None:
    assert t_sf(8.0, math.inf) == normal_sf(8.0)
    assert t_cdf(-8.0, math.inf) == normal_cdf(-8.0)
    assert t_quantile(0.975, math.inf) == normal_quantile(0.975)
    # The first term of t's expansion in 1/df: z + (z³ + z)/(4 df).
    z = normal_quantile(0.975)
    assert t_quantile(0.975, 1e8) == pytest.approx(z + (z**3 + z) / 4e8, rel=1e-14)


def test_ends_and_symmetry() -> None:
    assert t_quantile(0.0, 5.0) == -math.inf
    assert t_quantile(1.0, 5.0) == math.inf
    assert t_isf(0.0, 5.0) == math.inf
    assert normal_quantile(0.0) == -math.inf
    assert chi2_quantile(0.0, 3.0) == 0.0
    assert chi2_isf(0.0, 3.0) == math.inf
    assert chi2_sf(-1.0, 3.0) == 1.0
    assert chi2_cdf(-1.0, 3.0) == 0.0
    assert two_sided_p(-2.5, 7.0) == two_sided_p(2.5, 7.0) == 2 * t_sf(2.5, 7.0)
    assert two_sided_p(0.0, 7.0) == 1.0


def test_critical_values_of_every_table() -> None:
    assert critical_value(0.95, math.inf) == pytest.approx(1.959963984540054, rel=1e-15)
    assert critical_value(0.95, 12) == pytest.approx(2.178812829667228, rel=1e-12)
    assert critical_value(0.90, 4) == pytest.approx(2.131846786326649, rel=1e-12)


def test_scalars_come_back_as_floats_and_arrays_as_arrays() -> None:
    assert type(t_sf(1.0, 4.0)) is float
    assert type(two_sided_p(1.0, 4.0)) is float
    matrix = np.ones((2, 3))
    assert two_sided_p(matrix, 4.0).shape == (2, 3)
    assert math.isnan(t_sf(math.nan, 4.0))
    assert math.isnan(normal_cdf(math.nan))


@pytest.mark.parametrize("df", [0.0, -1.0, math.nan])
def test_df_must_be_above_zero(df: float) -> None:
    for function in (t_cdf, t_sf, chi2_cdf, chi2_sf):
        with pytest.raises(ValueError, match="degrees of freedom"):
            function(1.0, df)


@pytest.mark.parametrize("p", [-1e-9, 1.0 + 1e-9])
def test_probabilities_must_be_probabilities(p: float) -> None:
    for function in (t_quantile, t_isf, chi2_quantile, chi2_isf):
        with pytest.raises(ValueError, match="outside"):
            function(p, 3.0)
    for function in (normal_quantile, normal_isf):
        with pytest.raises(ValueError, match="outside"):
            function(p)


def test_chi_square_has_finite_df_and_levels_lie_inside() -> None:
    with pytest.raises(ValueError, match="finite"):
        chi2_sf(1.0, math.inf)
    for level in (0.0, 1.0, -0.5, math.nan):
        with pytest.raises(ValueError, match="level"):
            critical_value(level, 4.0)
