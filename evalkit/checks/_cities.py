"""City effects as arrays, or why the estimate has none that its pooled effect is made of."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.check import CheckContext
from evalkit.core.estimate import Estimate
from evalkit.numerics.meta_analysis import Interval, Method, NoSpreadError, PooledEffect, pool

__all__ = ["FEWEST", "cities", "excludes_zero", "pooled", "pooling_of"]

Array = NDArray[np.float64]

FEWEST: Final = 3
"""Cities: with two, leaving one out leaves no comparison of cities."""

POOLING: Final = "random_effects"
"""The estimator that pools cities as the study's ``method`` and ``interval`` say."""

SAME: Final = 1e-6
"""Relative to the standard error. REML stops at about 1e-9 of τ²; a mean pooled in another way differs by more."""


def cities(estimate: Estimate) -> tuple[Array, Array] | str:
    """(k,) effects and variances of at least `FEWEST` cities, or the reason why not."""
    if estimate.scale != "log_rate_ratio":
        return "the effects are numbers of incidents, which differ with the size of a city"
    if len(estimate.sites) < FEWEST:
        noun = "city" if len(estimate.sites) == 1 else "cities"
        return f"the estimate has effects of {len(estimate.sites)} {noun}; {FEWEST} are needed"
    effects = np.array([one.effect for one in estimate.sites])
    variances = np.array([one.std_error for one in estimate.sites]) ** 2
    usable = np.isfinite(effects).all() and np.isfinite(variances).all() and (variances > 0).all()
    return (effects, variances) if usable else "a city's effect or its variance is not usable"


def pooling_of(estimate: Estimate, context: CheckContext) -> tuple[Method, Interval]:
    """How the estimate's cities are pooled: `random_effects` as the study says, all others by inverse variance."""
    if estimate.estimator == POOLING:
        return context.method, context.interval
    return "fixed", "wald"


def pooled(estimate: Estimate, context: CheckContext) -> PooledEffect | str:
    """The estimate pooled again from its cities, or the reason why that is something else."""
    found = cities(estimate)
    if isinstance(found, str):
        return found
    try:
        method, interval = pooling_of(estimate, context)
        again = pool(*found, method=method, interval=interval, level=estimate.level)
    except NoSpreadError:
        return "the cities' effects are all the same"
    if not abs(again.effect - float(estimate.effect[0])) <= SAME * again.std_error:
        return "the estimate is not the pooled mean of its cities, so that leaving one out tells nothing of it"
    return again


def excludes_zero(one: PooledEffect) -> bool:
    """Whether the interval does; an interval that is none excludes nothing."""
    return math.isfinite(one.conf_low) and not one.conf_low <= 0.0 <= one.conf_high
