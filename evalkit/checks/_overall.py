"""The first effect of an estimate: whether it is usable, and whether its interval excludes zero."""

from __future__ import annotations

import math
from typing import Final

from evalkit.core.estimate import Estimate
from evalkit.numerics.distributions import t_quantile

__all__ = ["excludes_zero", "told_from_zero", "unusable"]

LOWEST_LEVEL: Final = 0.5
"""Studies allow no level at or below it."""


def unusable(estimate: Estimate) -> str | None:
    """Why the first effect has no interval; None if it has one."""
    size = len(estimate.terms)
    if (
        size == 0
        or estimate.effect.shape != (size,)
        or estimate.covariance.shape != (size, size)
        or len(estimate.term_df) not in (0, size)
    ):
        return "the estimate's arrays do not fit its terms"
    if not LOWEST_LEVEL < estimate.level < 1.0 or not estimate.df_of(0) > 0:
        return "the estimate's level or its degrees of freedom are none"
    effect, variance = float(estimate.effect[0]), float(estimate.covariance[0, 0])
    if not (math.isfinite(effect) and math.isfinite(variance) and variance > 0.0):
        return "the overall effect or its variance is not usable"
    return None


def excludes_zero(effect: float, error: float, estimate: Estimate) -> bool:
    """Whether the interval does, at the level and with the degrees of freedom of a usable estimate."""
    return abs(effect) > t_quantile(0.5 + estimate.level / 2, estimate.df_of(0)) * error


def told_from_zero(estimate: Estimate) -> bool:
    """Whether the first effect of a usable estimate is."""
    error = math.sqrt(float(estimate.covariance[0, 0]))
    return excludes_zero(float(estimate.effect[0]), error, estimate)
