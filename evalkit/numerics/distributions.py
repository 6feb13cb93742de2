"""Normal, t and chi-square distributions, accurate in the far tails, without importing scipy.stats.

Vocabulary
    cdf        probability at or below x.
    sf         probability above x, computed directly: ``1 - cdf`` would be 0 beyond about eight
               standard errors.
    quantile   the x whose cdf is p.
    isf        the x whose sf is q: the quantile of the upper tail, exact for q far below 1e-16.
    df         degrees of freedom; ``math.inf`` turns t into the normal distribution.

Every function takes a float and returns a float, or takes a float64 array of any shape and returns
one of the same shape. NaN goes in and comes out. Probabilities outside [0, 1] and df that are not
above 0 raise `ValueError`.

The functions are those of ``scipy.special``: Cephes and Boost implementations of the error function
and of the incomplete beta and gamma integrals (Abramowitz & Stegun 1964, 26.2, 26.4, 26.5, 26.7).
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = [
    "chi2_cdf",
    "chi2_isf",
    "chi2_quantile",
    "chi2_sf",
    "critical_value",
    "normal_cdf",
    "normal_isf",
    "normal_quantile",
    "normal_sf",
    "t_cdf",
    "t_isf",
    "t_quantile",
    "t_sf",
    "two_sided_p",
]

Real = TypeVar("Real", float, NDArray[np.float64])


def normal_cdf(x: Real) -> Real:
    """P(Z ≤ x) for a standard normal Z."""
    return _like(x, special.ndtr(x))


def normal_sf(x: Real) -> Real:
    """P(Z > x), accurate to x = 37; beyond that it is below the smallest normal double."""
    return _like(x, special.ndtr(np.negative(x)))


def normal_quantile(p: Real) -> Real:
    """The x with P(Z ≤ x) = p; p = 0 and 1 give ∓∞."""
    _check_probability(p)
    return _like(p, special.ndtri(p))


def normal_isf(q: Real) -> Real:
    """The x with P(Z > x) = q."""
    _check_probability(q)
    return _like(q, np.negative(special.ndtri(q)))


def t_cdf(x: Real, df: float) -> Real:
    """P(T ≤ x) for Student's t with ``df`` degrees of freedom (may be ``math.inf``)."""
    _check_df(df)
    if math.isinf(df):
        return normal_cdf(x)
    return _like(x, special.stdtr(df, x))


def t_sf(x: Real, df: float) -> Real:
    """P(T > x) for Student's t with ``df`` degrees of freedom (may be ``math.inf``)."""
    _check_df(df)
    if math.isinf(df):
        return normal_sf(x)
    return _like(x, special.stdtr(df, np.negative(x)))


def t_quantile(p: Real, df: float) -> Real:
    """The x with P(T ≤ x) = p; p = 0 and 1 give ∓∞."""
    _check_df(df)
    if math.isinf(df):
        return normal_quantile(p)
    _check_probability(p)
    # scipy's stdtrit answers +inf at p = 0.
    return _like(p, np.where(np.equal(p, 0.0), -np.inf, special.stdtrit(df, p)))


def t_isf(q: Real, df: float) -> Real:
    """The x with P(T > x) = q."""
    return _like(q, np.negative(t_quantile(q, df)))


def chi2_cdf(x: Real, df: float) -> Real:
    """P(X ≤ x) for a chi-square X with finite ``df``; 0 for x < 0."""
    _check_finite_df(df)
    return _like(x, special.chdtr(df, np.maximum(x, 0.0)))


def chi2_sf(x: Real, df: float) -> Real:
    """P(X > x) for a chi-square X with finite ``df``; 1 for x < 0."""
    _check_finite_df(df)
    return _like(x, special.chdtrc(df, np.maximum(x, 0.0)))


def chi2_quantile(p: Real, df: float) -> Real:
    """The x with P(X ≤ x) = p, accurate for p far below 1e-16."""
    _check_finite_df(df)
    _check_probability(p)
    return _like(p, 2.0 * special.gammaincinv(df / 2.0, p))


def chi2_isf(q: Real, df: float) -> Real:
    """The x with P(X > x) = q, accurate for q far below 1e-16."""
    _check_finite_df(df)
    _check_probability(q)
    return _like(q, special.chdtri(df, q))


def two_sided_p(statistic: Real, df: float) -> Real:
    """P(|T| ≥ |statistic|) for t with ``df`` degrees of freedom, or the normal for ``math.inf``."""
    return _like(statistic, 2.0 * t_sf(np.abs(np.asarray(statistic, dtype=np.float64)), df))


def critical_value(level: float, df: float) -> float:
    """The half-width, in standard errors, of a two-sided interval of this level.

    Args:
        level: Coverage, strictly between 0 and 1: 0.95 gives 1.96 for ``df = math.inf``.
        df: Degrees of freedom of t, or ``math.inf``.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie strictly between 0 and 1, not {level!r}")
    return t_isf((1.0 - level) / 2.0, df)


def _like(argument: Real, value: Any) -> Real:
    """Return a plain float for a scalar argument and a float64 array for an array."""
    if isinstance(argument, np.ndarray):
        return np.asarray(value, dtype=np.float64)
    return float(value)


def _check_probability(p: float | NDArray[np.float64]) -> None:
    if np.any((np.asarray(p) < 0.0) | (np.asarray(p) > 1.0)):
        raise ValueError("a probability lies outside [0, 1]")


def _check_df(df: float) -> None:
    if not df > 0.0:
        raise ValueError(f"degrees of freedom must be above 0, not {df!r}")


def _check_finite_df(df: float) -> None:
    _check_df(df)
    if math.isinf(df):
        raise ValueError("degrees of freedom of a chi-square must be finite")
