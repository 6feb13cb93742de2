"""Rows rebuilt from the scores at many coefficients, under a link that is not canonical.

The score of a generalised linear model is Σ x_i v(μ_i) (y_i − μ_i). Under a canonical link v is 1 whatever β: every
answer tells the same sums Σ x_i y_i once more. Under another one (negative binomial counts with a log link have
v = 1/(1 + α μ)) every β weighs rows differently, and each answer adds as many equations as there are columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.attacks.sums import Solved, solve_sums

__all__ = ["negative_binomial", "poisson", "rebuild_rows", "score_of"]

Floats = NDArray[np.float64]
Weight = Callable[[Floats], Floats]


def poisson(mean: Floats) -> Floats:
    """Canonical: 1."""
    return np.ones_like(mean)


def negative_binomial(alpha: float) -> Weight:
    """Variance μ + α μ² with a log link."""
    return lambda mean: 1.0 / (1.0 + alpha * mean)


def score_of(x: Floats, y: Floats, beta: Floats, weight: Weight) -> Floats:
    """(K,) what a site sends at one β."""
    mean = np.exp(x @ beta)
    found: Floats = x.T @ (weight(mean) * (y - mean))
    return found


def rebuild_rows(
    x: Floats, betas: Sequence[Floats], scores: Sequence[Floats], weight: Weight, expected: float
) -> Solved:
    """The (n,) outcomes of public rows (n, K) from the scores at the β that were asked."""
    rows, answers = [], []
    for beta, score in zip(betas, scores, strict=True):
        mean = np.exp(x @ beta)
        weighed = x * weight(mean)[:, None]
        rows.append(weighed.T)
        answers.append(score + weighed.T @ mean)
    return solve_sums(np.vstack(rows), np.concatenate(answers), expected)
