"""Synthetic difference-in-differences with period weights cross-fitted over controls, for counts.

The published estimator chooses period weights λ so that controls before predict controls after, and then applies
them to the same controls. A period that has little noise among them costs little and gets much weight. In counts,
and in anything else that is skewed to the right, mean and variance of a sample go together (their covariance over n
draws is the third central moment over n): periods with little noise are those that were low by chance. The controls'
weighted mean before is then too low, their rise and the counterfactual too high, and the effect too low; for
symmetric noise nothing of the kind happens.

Here every control has the λ of the *other* controls, which knows nothing of its noise, and treated units have the
mean of these λ under the unit weights ω:

    τ = (treated after − Σᵢ ωᵢ Σ λ₋ᵢ treated before) − Σᵢ ωᵢ (controlᵢ after − Σ λ₋ᵢ controlᵢ before)

so that whatever all units share in a period cancels as before. It is the leave-one-out form of cross-fitting
(Chernozhukov, Chetverikov, Demirer, Duflo, Hansen, Newey & Robins 2018, The Econometrics Journal 21, C1–C68),
applied to the weights of Arkhangelsky et al. (2021). ω is the published one: its penalty ζ holds it so near to equal
weights that the like selection of controls is small.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.synthetic_did import (
    TINY_PENALTY,
    SyntheticDid,
    apply_weights,
    noise_level,
    unit_weights,
)

__all__ = ["cross_fitted_synthetic_did", "leave_one_out_period_weights", "quadratic_on_simplex"]

Floats = NDArray[np.float64]

ROUNDING: Final = 1e-12
"""Share of the largest sum of squares that the penalty is at least, so that systems can be solved, and below which a
slope counts as none: sums of squares are exact to some 1e-14 of the largest."""


def cross_fitted_synthetic_did(controls: Floats, treated: Floats, before: int) -> SyntheticDid:
    """Weights and effect of one block; its ``lam`` is (N0, T0).

    Args:
        controls: (N0, T) outcomes of never-treated units.
        treated: (N1, T) outcomes of units treated from period ``before`` on.
        before: T0, periods before; at least 2.

    Raises:
        ValueError: fewer than 2 controls, 1 treated unit, 2 periods before or 1 after.
    """
    omega = unit_weights(controls, treated, before)
    lam = leave_one_out_period_weights(controls, before)
    return apply_weights(controls, treated, before, omega, lam)


def leave_one_out_period_weights(controls: Floats, before: int) -> Floats:
    """(N0, T0) weights of periods before, row i from all controls but i: minimum of the published objective.

    Equal weights if controls do not vary. With two controls one is left, whose constant fits everything: equal too.
    """
    n0 = len(controls)
    sigma = noise_level(controls, before)
    equal = np.full(before, 1 / before)
    if sigma == 0:
        return np.tile(equal, (n0, 1))
    # Weights sum to 1, so Σ λ before − after is Σ λ (before − after): levels drop out, which may be large.
    gaps = controls[:, :before] - controls[:, before:].mean(axis=1, keepdims=True)
    gaps = gaps - gaps.mean(axis=0)
    gram = gaps.T @ gaps
    penalty = (n0 - 1) * (TINY_PENALTY * sigma) ** 2
    penalty = max(penalty, ROUNDING * float(gram.diagonal().max()))
    gram[np.diag_indices(before)] += penalty
    start = quadratic_on_simplex(gram, equal)
    # Sums of squares about the mean without one row are those of all rows less n/(n−1) times that row's.
    rows = [quadratic_on_simplex(gram - n0 / (n0 - 1) * np.outer(one, one), start) for one in gaps]
    return np.array(rows)


def quadratic_on_simplex(gram: Floats, start: Floats) -> Floats:
    """Minimise x'Gx over the simplex with an active set (Lawson & Hanson 1974, chapter 23).

    Frank–Wolfe needs thousands of steps for what takes a few small systems here, and every control needs it.

    Args:
        gram: (k, k) G, positive definite.
        start: (k,) in the simplex; the nearer the minimum, the fewer the systems.

    Returns:
        (k,) the minimum, up to rounding.
    """
    x = start.copy()
    free = x > 0
    tolerance = ROUNDING * float(gram.diagonal().max())
    # A pass adds a coordinate; in practice there are fewer passes than coordinates.
    for _ in range(10 * len(x)):
        x = _descend(gram, x, free)
        slope = gram @ x
        best = int(np.where(free, np.inf, slope).argmin())
        if free[best] or slope[best] >= float(x @ slope) - tolerance:
            break
        free[best] = True
    return x


def _descend(gram: Floats, x: Floats, free: NDArray[np.bool_]) -> Floats:
    """To the minimum over the free coordinates; those that reach 0 on the way are freed no longer (in place)."""
    while True:
        proposal = _on_face(gram, free)
        outside = np.flatnonzero(free & (proposal <= 0))
        if not len(outside):
            return proposal
        gaps = x[outside] - proposal[outside]
        steps = np.where(gaps > 0, x[outside] / np.where(gaps > 0, gaps, 1.0), 0.0)
        x = x + float(steps.min()) * (proposal - x)
        free[outside[steps <= steps.min()]] = False
        x[~free] = 0.0


def _on_face(gram: Floats, free: NDArray[np.bool_]) -> Floats:
    """Minimum over coordinates that sum to 1 where all but the free are 0: G⁻¹1, scaled."""
    index = np.flatnonzero(free)
    solved = np.linalg.solve(gram[np.ix_(index, index)], np.ones(len(index)))
    x = np.zeros(len(free))
    x[index] = solved / solved.sum()
    return x
