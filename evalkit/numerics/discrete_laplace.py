"""The discrete Laplace distribution, also called two-sided geometric: P(k) = (1 − a)/(1 + a) · a^|k|, a = exp(−1/b).

Added to a count that one incident changes by one it loses 1/b of privacy, and of all noise that loses no more it is
the one whose expected loss is smallest, whatever the loss (Ghosh, Roughgarden & Sundararajan 2012, Universally
utility-maximizing privacy mechanisms, SIAM Journal on Computing 41). Nothing here draws: noise that leaves a city
comes from a library whose sampler is proved (`evalkit.disclosure.noise`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["probability", "variance"]


def probability(k: NDArray[np.int64], scale: float) -> NDArray[np.float64]:
    """P(k) for each integer ``k``; ``scale`` b > 0."""
    ratio = math.exp(-1.0 / scale)
    chance: NDArray[np.float64] = math.tanh(0.5 / scale) * ratio ** np.abs(k).astype(np.float64)
    return chance


def variance(scale: float) -> float:
    """2a/(1 − a)²; 2b² − 1/6 to a few digits for b of 1 and more, 0 for b near 0."""
    root = math.sinh(min(0.5 / scale, 350.0))  # beyond it the variance is below the smallest double
    return 0.5 / root**2
