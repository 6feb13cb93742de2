"""The C-LF hybrid test of linear moment inequalities, from the vertices of its dual (Andrews, Roth & Pakes 2023).

The test asks whether some nuisance parameter ζ makes E[y] − Xζ ≤ 0. Its statistic is a linear programme,
η = min_ζ max_i (y_i − X_iζ)/σ_i, whose dual is the largest γ'y over the vertices γ of
{γ ≥ 0, γ'X = 0, γ'σ = 1}. Where the vertices are known, so is everything else: η is a maximum of correlated normal
statistics, and given that vertex γ attains it and given what is independent of γ'y, η is a normal
truncated to [lower, upper] (their section 4.2).

1. Reject if η exceeds the least favourable critical value of size κ.
2. Else reject if η exceeds the 1 − (α − κ)/(1 − κ) quantile of that normal, truncated from above by the first
   stage too, and not below zero.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.honest_did.truncated_normal import truncated_quantile
from evalkit.numerics.root_finding import bracketed_root

__all__ = ["accepts", "least_favourable_critical_value"]

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

ANGLES: Final = 4_096
"""The integrand is periodic with kinks where the largest statistic changes: the trapezoid rule is off by
about (2π/4096)², 2e-6."""

PARALLEL: Final = 1e-9
"""Statistics whose slope along the direction of the largest differs from its own by less never overtake it:
they are the same statistic, or scaled so alike that a double cannot tell them apart."""


def least_favourable_critical_value(loadings: Array, kappa: float) -> float:
    """The 1 − κ quantile of η when every moment binds: the maximum of V normal statistics of rank two.

    In polar coordinates the radius is integrated exactly and the angle by the trapezoid rule, so no draw is
    needed: P(η > c) = (1/2π) ∫ exp(−c²/2m(φ)²) over the angles φ at which m(φ), the largest statistic per unit
    of radius, is above zero.

    Args:
        loadings: (V, 2), the statistics are ``loadings @ z`` for two independent standard normals z.
        kappa: Size of the first stage.
    """
    angles = 2.0 * math.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    reach = (loadings @ np.stack([np.cos(angles), np.sin(angles)])).max(axis=0)
    reach = reach[reach > 0.0]

    def excess(c: float) -> float:
        return float(np.exp(-0.5 * (c / reach) ** 2).sum()) / ANGLES - kappa

    if len(reach) == 0 or excess(0.0) <= 0.0:
        return 0.0
    longest = float(reach.max())
    return bracketed_root(excess, 0.0, longest * math.sqrt(-2.0 * math.log(kappa)) * (1.0 + 1e-9))


def accepts(
    statistics: Array, covariance: Array, critical: float, *, alpha: float, kappa: float
) -> Bools:
    """Whether the hybrid test accepts, for N hypotheses at once.

    Args:
        statistics: (N, V) γ'y of every vertex under each hypothesis.
        covariance: (V, V) of these statistics; the same under each.
        critical: First-stage critical value, of size ``kappa``.
        alpha: Size of the whole test.
        kappa: Size of the first stage, below alpha.
    """
    best = statistics.argmax(axis=1)
    eta = np.take_along_axis(statistics, best[:, None], axis=1)[:, 0]
    variance = np.diagonal(covariance)[best]
    lower, upper = _truncation(statistics, eta, covariance[best] / variance[:, None])
    error = np.sqrt(variance)
    quantile = truncated_quantile(
        1.0 - (alpha - kappa) / (1.0 - kappa),
        np.minimum(lower, eta) / error,
        np.maximum(np.minimum(upper, critical), eta) / error,
    )
    accepted: Bools = (eta <= critical) & (eta <= error * np.maximum(quantile, 0.0))
    return accepted


def _truncation(statistics: Array, eta: Array, slopes: Array) -> tuple[Array, Array]:
    """Between which values the largest statistic could move before another overtakes it.

    If the largest moves to v, statistic j moves to s_j + slope_j·v, with s_j what is independent of it.
    """
    rest = statistics - slopes * eta[:, None]
    distance = 1.0 - slopes
    moving = np.abs(distance) > PARALLEL
    crossing = rest / np.where(moving, distance, 1.0)
    lower = np.where(moving & (distance > 0), crossing, -np.inf).max(axis=1)
    upper = np.where(moving & (distance < 0), crossing, np.inf).min(axis=1)
    return lower, upper
