"""Quantiles of a truncated normal, accurate far in its tails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

__all__ = ["truncated_quantile"]

Array = NDArray[np.float64]


def truncated_quantile(p: float, low: Array, high: Array) -> Array:
    """The p quantile of a standard normal given that it lies in [low, high].

    Computed from logarithms of upper tails, so it is exact where a critical value matters, at quantiles above
    zero, even if the interval lies 30 standard errors out.

    Args:
        p: Strictly between 0 and 1.
        low: Array of lower ends; may be −∞.
        high: Upper ends, of the same shape and not below them; may be ∞.
    """
    with np.errstate(divide="ignore"):
        upper_low = special.log_ndtr(-low)
        upper_high = special.log_ndtr(-high)
    log_tail = np.logaddexp(np.log1p(-p) + upper_low, np.log(p) + upper_high)
    return np.asarray(np.clip(-special.ndtri_exp(log_tail), low, high), dtype=np.float64)
