"""Critical values of |N(t, 1)|: how wide an interval must be whose centre may be biased by t errors."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evalkit.numerics.distributions import normal_isf

__all__ = ["folded_critical_value"]

Array = NDArray[np.float64]

ROOT_TWO_PI: Final = math.sqrt(2.0 * math.pi)

STEPS: Final = 8
"""Newton steps from below on a convex function: errors square, and the first is less than 0.4."""


def folded_critical_value(bias: Array, alpha: float) -> Array:
    """The c with P(|N(bias, 1)| ≤ c) = 1 − alpha (Armstrong & Kolesár 2020, equation 4).

    Args:
        bias: Worst-case bias in standard errors, ≥ 0, any shape.
        alpha: Above 0 and below one half, where the function that is solved is convex.
    """
    # One tail alone is missed less than both: a start from which Newton's steps only ever rise.
    c = bias + normal_isf(alpha)
    for _ in range(STEPS):
        missed = special.ndtr(bias - c) + special.ndtr(-bias - c)
        density = np.exp(-0.5 * (bias - c) ** 2) + np.exp(-0.5 * (bias + c) ** 2)
        c = c + (missed - alpha) * ROOT_TWO_PI / density
    return np.asarray(c, dtype=np.float64)
