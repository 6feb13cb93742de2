"""Intervals for l'τ when the violation bends by at most M a period: Δ^SD(M), fixed-length intervals.

The interval is an affine estimator l'β̂_post + v'β̂_pre ± half-length. Its weights v are chosen so that a linear trend
does not bias it, and so that the half-length, for the worst δ in Δ^SD(M), is as short as can be (Rambachan & Roth
2023, section 3.2, after Armstrong & Kolesár). No data enter the choice.

A violation with bends D_j at period j is δ_(−t) = −t·s + Σ_(0<j<t) (t − j) D_(−j) before the reference, s its step
into the reference, and δ_t = t·s + Σ_(0≤j<t) (t − j) D_j after it. The estimator's bias is Σ b_j D_j, at most
M Σ|b_j|: the b_j of the reference and later are fixed by l, and those before it, b_j = Σ_(t>j) v_(−t) (t − j), are a
one-to-one transformation of v once a slope is to do no harm. So the best trade of bias against variance
is a lasso in b, whose path is known exactly, and the shortest interval is a search along that path.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.event_study import EventStudy
from evalkit.numerics.honest_did.folded_normal import folded_critical_value
from evalkit.numerics.honest_did.interval import HonestInterval
from evalkit.numerics.honest_did.lasso_path import lasso_path

__all__ = ["SmoothnessInterval", "smoothness_interval"]

Array = NDArray[np.float64]

POINTS: Final = 64
"""Points looked at on every stretch of the path before the best is refined."""

GOLDEN: Final = 0.5 * (math.sqrt(5.0) - 1.0)

GOLDEN_STEPS: Final = 25
"""To 6e-6 of two points' distance; the half-length is flat at its minimum, so its own error is the square of that."""


@dataclass(frozen=True, slots=True, eq=False)
class SmoothnessInterval:
    """A fixed-length interval and the estimator behind it.

    Attributes:
        interval: the interval.
        estimate: its centre, l'β̂_post + v'β̂_pre.
        std_error: of the centre.
        bias: largest bias of the centre over Δ^SD(M).
        pre_weights: (P,) v.
    """

    interval: HonestInterval
    estimate: float
    std_error: float
    bias: float
    pre_weights: Array


def smoothness_interval(
    study: EventStudy, weights: Array, *, m: float, alpha: float = 0.05
) -> SmoothnessInterval:
    """The fixed-length interval of l'τ under Δ^SD(M).

    Args:
        study: at least one pre and one post coefficient.
        weights: (T,) l, not all zero.
        m: M ≥ 0, on the scale of the coefficients per period and period; 0 allows linear trends only.
        alpha: 1 − level.

    Raises:
        ValueError: no pre or post coefficient, weights of another length or all zero, M below 0.
    """
    if len(study.pre) == 0:
        raise ValueError("smoothness needs at least one pre coefficient")
    if weights.shape != study.post.shape or not np.any(weights):
        raise ValueError("weights must be one per post coefficient, and not all zero")
    if not (m >= 0.0 and math.isfinite(m)):
        raise ValueError("M must be a number of at least 0")
    fixed_bias = _post_bends(study, weights)
    offset, basis = _pre_weights(study, weights)
    path = _path(study, weights, offset, basis)

    def half_lengths(bends: Array) -> tuple[Array, Array, Array]:
        """Half-length, standard error and bias for (N, P − 1) choices of the free bends."""
        v = np.concatenate(
            [offset + bends @ basis.T, np.broadcast_to(weights, (len(bends), len(weights)))], axis=1
        )
        error = np.sqrt(np.einsum("ni,ij,nj->n", v, study.covariance, v))
        bias = m * (fixed_bias + np.abs(bends).sum(axis=1))
        return error * folded_critical_value(bias / error, alpha), error, bias

    bends = _shortest(path, lambda some: half_lengths(some)[0])
    half, error, bias = (float(one[0]) for one in half_lengths(bends[None, :]))
    pre_weights = offset + basis @ bends
    centre = float(weights @ study.post + pre_weights @ study.pre)
    return SmoothnessInterval(
        HonestInterval(centre - half, centre + half, m, 1.0 - alpha),
        centre,
        error,
        bias,
        pre_weights,
    )


def _post_bends(study: EventStudy, weights: Array) -> float:
    """Σ_j |Σ_t l_t (t − j)^+| over the reference and later: the bias no choice of v removes."""
    times = study.post_times
    bends = np.arange(0.0, times[-1])
    coefficients = np.maximum(times[None, :] - bends[:, None], 0.0) @ weights
    return float(np.abs(coefficients).sum())


def _pre_weights(study: EventStudy, weights: Array) -> tuple[Array, Array]:
    """Offset and basis of v = offset + basis @ b: all v whose estimator a slope does not bias, b the P − 1 bends."""
    times = -study.pre_times
    size = len(times)
    rows = np.concatenate(
        [times[None, :], np.maximum(times[None, :] - np.arange(1, size)[:, None], 0)]
    )
    inverse = np.linalg.inv(rows)
    return inverse[:, 0] * float(study.post_times @ weights), inverse[:, 1:]


def _path(study: EventStudy, weights: Array, offset: Array, basis: Array) -> Array:
    """(N, P − 1) bends at the knots of the trade of bias against variance, least bias first."""
    if basis.shape[1] == 0:
        return np.zeros((1, 0))
    pre = len(study.pre)
    cross = study.covariance[:pre, pre:] @ weights
    H = basis.T @ study.pre_covariance @ basis
    g = basis.T @ (study.pre_covariance @ offset + cross)
    # Bends of later periods have larger variances; the scale of λ is of no interest, but that of H is.
    scale = float(np.abs(np.diagonal(H)).max())
    return lasso_path(H / scale, g / scale)[1]


def _shortest(path: Array, length: Callable[[Array], Array]) -> Array:
    """The point on a piecewise linear path with the shortest interval."""
    if len(path) == 1:
        return np.asarray(path[0], dtype=np.float64)
    knots = np.arange(len(path), dtype=np.float64)

    def at(position: Array) -> Array:
        return np.stack([np.interp(position, knots, one) for one in path.T], axis=1)

    positions = np.linspace(0.0, knots[-1], POINTS * (len(path) - 1) + 1)
    best = int(length(at(positions)).argmin())
    low, high = positions[max(best - 1, 0)], positions[min(best + 1, len(positions) - 1)]
    for _ in range(GOLDEN_STEPS):
        inner = np.array([high - GOLDEN * (high - low), low + GOLDEN * (high - low)])
        left, right = length(at(inner))
        low, high = (low, inner[1]) if left <= right else (inner[0], high)
    last = np.array([positions[best], 0.5 * (low + high)])
    return np.asarray(at(last)[int(length(at(last)).argmin())], dtype=np.float64)
