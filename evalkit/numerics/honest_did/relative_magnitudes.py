"""Intervals for l'τ when post violations are bounded by M̄ times the largest pre step: Δ^RM(M̄).

Δ^RM(M̄) is a union over the pre step s that is the largest and over its sign, 2P sets in all (Rambachan & Roth
2023, section 2.4.2). In one of them, with d the signed step s, all post steps u_t obey |u_t| ≤ M̄ n_t d, n_t the
number of periods the step spans. The interval of the union is the union of the intervals.

Why no linear programme is needed. With w_t = Σ_(j ≥ t) l_j, the target's violation is l'δ = Σ w_t u_t. The nuisance
parameters are all post effects but the target, so a dual vertex must weigh the moments +u_t and −u_t of
every step in proportion to w_t, or in equal parts. Its vertices are therefore T + 2, in closed form:
    l'β̂ − θ − B d,   −(l'β̂ − θ) − B d   with B = M̄ Σ |w_t| n_t,   and −2 M̄ n_t d for each t,
each divided by the same combination of the moments' standard errors. They are combinations of two normal
variables, l'β̂ and d̂, so the least favourable critical value is a one-dimensional integral.

As the R package HonestDiD 0.2 does by default, only moments that involve post periods are used; those that say
that no other pre step is larger than s do not change the identified set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.event_study import EventStudy
from evalkit.numerics.honest_did.conditional_test import accepts, least_favourable_critical_value
from evalkit.numerics.honest_did.interval import HonestInterval

__all__ = ["relative_magnitudes_interval"]

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

GRID: Final = 1_000
"""Hypotheses looked at per set, evenly over all that its first stage can accept (HonestDiD: 1,000 in all)."""

SECTIONS: Final = 32
PASSES: Final = 8
"""Between the last rejected and the first accepted hypothesis, 32 sections, eight times over: 1e-12 of a step.
Eight calls on 31 hypotheses cost a fifth of forty halvings."""

KAPPA_SHARE: Final = 0.1
"""κ = α/10: Andrews, Roth & Pakes' choice, and the default of HonestDiD."""


@dataclass(frozen=True, slots=True, eq=False)
class _Set:
    """One member of the union: T + 2 vertices as combinations of (l'β̂ − θ, d̂).

    Attributes:
        weights: (V, 2) of l'β̂ − θ and of d̂ in every vertex statistic.
        target, step: l'β̂ and d̂.
        covariance: (2, 2) of the two.
    """

    weights: Array
    target: float
    step: float
    covariance: Array


def relative_magnitudes_interval(
    study: EventStudy,
    weights: Array,
    *,
    m_bar: float,
    alpha: float = 0.05,
    grid: int = GRID,
) -> HonestInterval:
    """The C-LF hybrid interval of l'τ under Δ^RM(M̄).

    Args:
        study: at least one pre and one post coefficient.
        weights: (T,) l, not all zero.
        m_bar: M̄ ≥ 0; 1 allows post violations as large as the largest before.
        alpha: 1 − level.
        grid: hypotheses looked at in each of the 2P sets. A stretch of accepted values narrower than
            a grid step and apart from the others can be overlooked; ends are then refined by bisection.

    Raises:
        ValueError: no pre or post coefficient, weights of another length or all zero, M̄ below 0.
    """
    if len(study.pre) == 0:
        raise ValueError("relative magnitudes need at least one pre coefficient")
    if weights.shape != study.post.shape or not np.any(weights):
        raise ValueError("weights must be one per post coefficient, and not all zero")
    if not (m_bar >= 0.0 and math.isfinite(m_bar)):
        raise ValueError("M̄ must be a number of at least 0")
    ends = [_accepted(one, alpha, grid) for one in _sets(study, weights, m_bar)]
    found = [one for one in ends if one is not None]
    low = min((one[0] for one in found), default=math.nan)
    high = max((one[1] for one in found), default=math.nan)
    return HonestInterval(low, high, m_bar, 1.0 - alpha)


def _sets(study: EventStudy, weights: Array, m_bar: float) -> Iterator[_Set]:
    """The 2P sets whose union is Δ^RM(M̄)."""
    pre, post = len(study.pre), len(study.post)
    beta = np.concatenate([study.pre, study.post])
    # Steps as combinations of the coefficients; the reference's own coefficient is zero.
    pre_steps = np.zeros((pre, pre + post))
    pre_steps[:, :pre] = np.eye(pre, k=1) - np.eye(pre)
    post_steps = np.zeros((post, pre + post))
    post_steps[:, pre:] = np.eye(post) - np.eye(post, k=-1)
    spans = np.ones(post)
    spans[0] += study.gap
    w = np.cumsum(weights[::-1])[::-1]
    target = np.concatenate([np.zeros(pre), weights])
    for step in (*pre_steps, *-pre_steps):
        slack = m_bar * spans[:, None] * step
        plus = _errors(post_steps - slack, study.covariance)
        minus = _errors(-post_steps - slack, study.covariance)
        up, down = np.maximum(w, 0.0), np.maximum(-w, 0.0)
        total = m_bar * float(np.abs(w) @ spans)
        rows = [
            np.array([1.0, -total]) / float(up @ plus + down @ minus),
            np.array([-1.0, -total]) / float(down @ plus + up @ minus),
        ]
        if m_bar > 0.0:
            pairs = -2.0 * m_bar * spans / (plus + minus)
            rows += [np.array([0.0, one]) for one in pairs]
        both = np.stack([target, step])
        yield _Set(
            np.stack(rows),
            float(target @ beta),
            float(step @ beta),
            both @ study.covariance @ both.T,
        )


def _errors(rows: Array, covariance: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("ti,ij,tj->t", rows, covariance, rows)), dtype=np.float64)


def _accepted(one: _Set, alpha: float, grid: int) -> tuple[float, float] | None:
    """First and last θ that the test accepts, None if it accepts none.

    The first stage alone rejects every θ outside an interval known beforehand, so the grid covers all that could
    be accepted.
    """
    kappa = KAPPA_SHARE * alpha
    root = np.linalg.cholesky(one.covariance)
    critical = least_favourable_critical_value(one.weights @ root, kappa)
    covariance = one.weights @ one.covariance @ one.weights.T

    def test(theta: Array) -> Bools:
        values = np.stack([one.target - theta, np.full_like(theta, one.step)], axis=1)
        return accepts(values @ one.weights.T, covariance, critical, alpha=alpha, kappa=kappa)

    (up, up_step), (down, down_step) = one.weights[0], one.weights[1]
    low = one.target - (critical - up_step * one.step) / up
    high = one.target - (critical - down_step * one.step) / down
    if not low < high:
        return None
    thetas = np.linspace(low, high, grid)
    hits = np.flatnonzero(test(thetas))
    if len(hits) == 0:
        return None
    first, last = int(hits[0]), int(hits[-1])
    step = thetas[1] - thetas[0]
    return (
        _refine(test, float(thetas[first]), float(thetas[first] - step)),
        _refine(test, float(thetas[last]), float(thetas[last] + step)),
    )


def _refine(test: Callable[[Array], Bools], inside: float, outside: float) -> float:
    """The end of the accepted stretch between an accepted and a rejected θ."""
    for _ in range(PASSES):
        between = np.linspace(inside, outside, SECTIONS + 1)
        rejected = np.flatnonzero(~test(between[1:-1]))
        end = int(rejected[0]) + 1 if len(rejected) else SECTIONS
        inside, outside = float(between[end - 1]), float(between[end])
    return inside
