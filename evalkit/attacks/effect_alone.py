"""Incidents of a city from an effect and its variance, the least revealing class.

Of a two-by-two rate ratio θ = ln(T1/T0) − ln(C1/C0) and, for Poisson counts, its variance 1/T0 + 1/T1 + 1/C0 + 1/C1 are
two equations in four totals. Whoever believes that targets and controls had the same rate before, and that controls did
not change, has as many as unknowns. Both beliefs are wrong in most cities, which is what the figure shows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["targets_from_effect"]

Floats = NDArray[np.float64]


def targets_from_effect(effect: float, variance: float, exposure: Floats) -> float:
    """Incidents in targets, before and after together.

    Args:
        effect: log rate ratio.
        variance: of it.
        exposure: (4,) public unit-periods of targets before and after, controls before and after.
    """
    change = np.array([1.0, math.exp(effect), 1.0, 1.0])
    relative = exposure * change
    rate = float((1.0 / relative).sum()) / variance
    return rate * float(relative[:2].sum())
