"""Event-study coefficients: are the pre-trends flat, how strong is that evidence, and one band for all.

Vocabulary
    reference   the period all coefficients are relative to; its own coefficient is 0 and it is not listed.
    pre, post   coefficients before and after it. At −P, …, −1 and at 1 + gap, …, T + gap periods from it.
    gap         periods between the reference and the first post coefficient that are not observed.
    linear trend  δ_t = slope · t: what two groups on different straight lines add to every coefficient.
    sup-t       the critical value c with P(max_k |Z_k| ≤ c) = level: a band that holds for all K at once.

Sources
    Roth, J. (2022). Pretest with caution: event-study estimates after testing for parallel trends.
        American Economic Review: Insights 4(3), 305–322.
    Montiel Olea, J. L. & Plagborg-Møller, M. (2019). Simultaneous confidence bands: theory, implementation,
        and an application to SVARs. Journal of Applied Econometrics 34(1), 1–17.
    Genz, A. & Bretz, F. (2009). Computation of Multivariate Normal and t Probabilities. Springer (4.1: the
        radius of a normal vector integrated out, its direction simulated).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from evalkit.numerics.distributions import chi2_isf, chi2_sf, critical_value
from evalkit.numerics.root_finding import bracketed_root

__all__ = [
    "EventStudy",
    "PreTrendPower",
    "SingularCovarianceError",
    "SupT",
    "WaldTest",
    "pre_trend_power",
    "pre_trend_test",
    "sup_t",
]

Array = NDArray[np.float64]

SINGULAR: Final = 1e-10
"""Smallest eigenvalue of a correlation matrix that counts as above zero: rounding in sums over clusters leaves
about 1e-14, and below 1e-10 an inverse has lost more digits than a published figure has."""

DIRECTIONS: Final = 20_000
"""Random directions for sup-t. The radius is integrated exactly, so the standard error of the critical
value is about 0.003 for ten uncorrelated coefficients and less for correlated ones; it is reported."""

SEED: Final = 20_220_922
"""Any fixed number: the same covariance always gives the same band."""


class SingularCovarianceError(ValueError):
    """Some combination of the coefficients has no variance: too few clusters, or a coefficient twice."""


@dataclass(frozen=True, slots=True, eq=False)
class EventStudy:
    """Coefficients of an event study, in the order of time, with their joint covariance.

    Attributes:
        pre: (P,) coefficients at −P, …, −1; may be empty.
        post: (T,) coefficients at 1 + gap, …, T + gap; may be empty.
        covariance: (P + T, P + T) of ``pre`` and then ``post``.
        gap: unobserved periods between the reference and the first post coefficient.

    Raises:
        ValueError: shapes that do not fit, not finite, not symmetric, gap below 0.
        SingularCovarianceError: the covariance is not positive definite.
    """

    pre: Array
    post: Array
    covariance: Array
    gap: int = 0

    def __post_init__(self) -> None:
        size = len(self.pre) + len(self.post)
        if self.covariance.shape != (size, size):
            raise ValueError(f"covariance must be {size} × {size}, not {self.covariance.shape}")
        if self.gap < 0:
            raise ValueError("gap must not be negative")
        if not all(np.isfinite(one).all() for one in (self.pre, self.post, self.covariance)):
            raise ValueError("a coefficient or covariance is not finite")
        check_covariance(self.covariance)

    @property
    def pre_times(self) -> Array:
        """(P,) periods from the reference, negative."""
        return np.arange(-len(self.pre), 0, dtype=np.float64)

    @property
    def post_times(self) -> Array:
        """(T,) periods from the reference, positive."""
        return np.arange(1, len(self.post) + 1, dtype=np.float64) + self.gap

    @property
    def pre_covariance(self) -> Array:
        """(P, P)."""
        return self.covariance[: len(self.pre), : len(self.pre)]

    @property
    def post_covariance(self) -> Array:
        """(T, T)."""
        return self.covariance[len(self.pre) :, len(self.pre) :]


@dataclass(frozen=True, slots=True)
class WaldTest:
    """A joint test of no effect: statistic, degrees of freedom (its number of effects), p-value."""

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True)
class PreTrendPower:
    """What a pre-trend test at ``alpha`` could have seen.

    Attributes:
        power: probability of rejecting under a linear trend.
        slope: the slope, per period, that is detected with this power; both signs alike.
        bias: what that slope adds to the average post coefficient (weights as given).
        alpha: size of the test.
    """

    power: float
    slope: float
    bias: float
    alpha: float


@dataclass(frozen=True, slots=True)
class SupT:
    """Critical value of a simultaneous band, and its Monte-Carlo standard error (0 where it is exact)."""

    critical_value: float
    simulation_error: float
    directions: int


def check_covariance(covariance: Array) -> None:
    """Refuse a matrix that is not symmetric and positive definite.

    Raises:
        ValueError: not symmetric.
        SingularCovarianceError: a variance of zero or below, or a correlation matrix without full rank.
    """
    if covariance.size == 0:
        return
    scale = float(np.abs(covariance).max())
    if not np.allclose(covariance, covariance.T, rtol=0.0, atol=1e-8 * scale):
        raise ValueError("the covariance is not symmetric")
    variances = np.diagonal(covariance)
    if not (variances > 0).all():
        raise SingularCovarianceError("a coefficient has no variance")
    errors = np.sqrt(variances)
    if float(np.linalg.eigvalsh(covariance / np.outer(errors, errors))[0]) < SINGULAR:
        raise SingularCovarianceError(
            "the covariance is singular: some combination of the coefficients has no variance"
        )


def pre_trend_test(pre: Array, covariance: Array, df: float = math.inf) -> WaldTest:
    """Joint Wald test that all P pre coefficients are zero: W = β'Σ⁻¹β.

    Args:
        pre: (P,), P ≥ 1.
        covariance: (P, P), positive definite.
        df: of the covariance; W is χ²(P) if infinite, and W/P is F(P, df) otherwise.

    Raises:
        ValueError: nothing to test, or not finite.
        SingularCovarianceError: the covariance is singular.
    """
    _check_pre(pre, covariance)
    statistic = float(pre @ linalg.solve(covariance, pre, assume_a="pos"))
    count = len(pre)
    if math.isinf(df):
        return WaldTest(statistic, count, chi2_sf(statistic, count))
    return WaldTest(statistic, count, float(special.fdtrc(count, df, statistic / count)))


def pre_trend_power(
    pre_direction: Array,
    covariance: Array,
    post_bias: float,
    *,
    powers: tuple[float, ...] = (0.5, 0.8),
    alpha: float = 0.05,
) -> tuple[PreTrendPower, ...]:
    """The slope of a linear trend that the joint pre-trend test finds with given power (Roth 2022).

    Under a slope s the Wald statistic is noncentral χ²(P, s²·d'Σ⁻¹d), so the slope is closed-form; Roth finds it
    by simulation for the test that no single coefficient is significant.

    Args:
        pre_direction: (P,) what a slope of one adds to each pre coefficient; `EventStudy.pre_times` for
            coefficients relative to one reference.
        covariance: (P, P), positive definite.
        post_bias: what a slope of one adds to the effect of interest, such as the mean of the post times.
        powers: above alpha and below 1.
        alpha: size of the test.

    Raises:
        ValueError: powers or alpha out of range.
        SingularCovarianceError: the covariance is singular.
    """
    _check_pre(pre_direction, covariance)
    if not 0.0 < alpha < min(powers) <= max(powers) < 1.0:
        raise ValueError("powers must lie between alpha and 1")
    count = len(pre_direction)
    critical = chi2_isf(alpha, count)
    unit = float(pre_direction @ linalg.solve(covariance, pre_direction, assume_a="pos"))
    if not unit > 0.0:
        raise ValueError("the trend adds nothing to any pre coefficient")
    found = []
    for power in powers:
        noncentrality = float(special.chndtrinc(critical, count, 1.0 - power))
        slope = math.sqrt(noncentrality / unit)
        found.append(PreTrendPower(power, slope, slope * post_bias, alpha))
    return tuple(found)


def sup_t(
    covariance: Array, *, level: float = 0.95, df: float = math.inf, directions: int = DIRECTIONS
) -> SupT:
    """Critical value of the simultaneous band β_k ± c·se_k.

    A normal vector is a radius times a direction. Given the direction, P(max |Z_k| ≤ c) is a chi-square
    probability of the radius (F for finite ``df``), which leaves only the direction to simulate.

    Args:
        covariance: (K, K), variances above 0; may be singular.
        level: of the band.
        df: of the covariance; infinite for a normal reference.
        directions: number of simulated directions.

    Raises:
        ValueError: nothing to band, not finite, no variance, level not in (0, 1).
    """
    if covariance.size == 0 or not np.isfinite(covariance).all():
        raise ValueError("a band needs at least one coefficient, and a finite covariance")
    variances = np.diagonal(covariance)
    if not (variances > 0).all():
        raise ValueError("a coefficient has no variance")
    errors = np.sqrt(variances)
    values, vectors = np.linalg.eigh(covariance / np.outer(errors, errors))
    kept = values > SINGULAR * len(values)
    root = vectors[:, kept] * np.sqrt(values[kept])
    rank = int(kept.sum())
    if rank == 1:
        return SupT(critical_value(level, df), 0.0, 0)
    drawn = np.random.default_rng(SEED).standard_normal((directions, rank))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    reach = np.abs(drawn @ root.T).max(axis=1)

    def coverage(c: float) -> Array:
        squared = (c / reach) ** 2
        inside = (
            special.chdtr(rank, squared)
            if math.isinf(df)
            else special.fdtr(rank, df, squared / rank)
        )
        return np.asarray(inside, dtype=np.float64)

    low = critical_value(level, df)
    high = critical_value(1.0 - (1.0 - level) / len(values), df)  # Bonferroni is never below
    c = bracketed_root(lambda x: float(coverage(x).mean()) - level, 0.5 * low, 1.5 * high)
    step = 1e-4 * c
    slope = float((coverage(c + step).mean() - coverage(c - step).mean()) / (2.0 * step))
    error = float(coverage(c).std(ddof=1)) / math.sqrt(directions) / slope
    return SupT(c, error, directions)


def _check_pre(pre: Array, covariance: Array) -> None:
    if len(pre) == 0 or covariance.shape != (len(pre), len(pre)):
        raise ValueError("a pre-trend needs at least one pre coefficient, and their covariance")
    if not (np.isfinite(pre).all() and np.isfinite(covariance).all()):
        raise ValueError("a pre coefficient or covariance is not finite")
    check_covariance(covariance)
