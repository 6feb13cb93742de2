"""The breakdown value: how large the violation may be before the interval contains no effect."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.event_study import EventStudy
from evalkit.numerics.honest_did.interval import HonestInterval
from evalkit.numerics.honest_did.relative_magnitudes import relative_magnitudes_interval
from evalkit.numerics.honest_did.smoothness import smoothness_interval

__all__ = ["Breakdown", "relative_magnitudes_breakdown", "smoothness_breakdown"]

Array = NDArray[np.float64]

M_BAR_START: Final = 0.25
"""First M̄ above 0 that is looked at; it is doubled until the interval contains zero."""

M_START: Final = 2.0**-6
"""First M above 0 that is looked at, in standard errors of l'β̂."""

DOUBLINGS: Final = 20
"""M̄ reaches 2.6e5 and M 1.6e4 standard errors: whatever still excludes zero then is not about trends."""

TOLERANCE: Final = 1e-3
"""Relative width of the last bracket: three digits, one more than anybody prints."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The largest bound whose interval excludes zero.

    Attributes:
        value: M̄ or M, at most ``tolerance`` below the true one; 0 if zero is in the interval even at 0 (see
            ``at_zero``); infinite if no bound that was tried brings zero in.
        tolerance: width of the last bracket; the next larger bound that was tried contains zero.
        at_zero: the interval at a bound of 0: exactly parallel trends, or a linear violation.
    """

    value: float
    tolerance: float
    at_zero: HonestInterval


def relative_magnitudes_breakdown(
    study: EventStudy, weights: Array, *, alpha: float = 0.05
) -> Breakdown:
    """The largest M̄ at which the C-LF interval of l'τ excludes zero; errors as `relative_magnitudes_interval`."""

    def at(bound: float) -> HonestInterval:
        return relative_magnitudes_interval(study, weights, m_bar=bound, alpha=alpha)

    return _search(at, M_BAR_START)


def smoothness_breakdown(study: EventStudy, weights: Array, *, alpha: float = 0.05) -> Breakdown:
    """The largest M at which the fixed-length interval of l'τ excludes zero; errors as `smoothness_interval`."""
    if weights.shape != study.post.shape:
        raise ValueError("weights must be one per post coefficient, and not all zero")
    error = math.sqrt(float(weights @ study.post_covariance @ weights))

    def at(bound: float) -> HonestInterval:
        return smoothness_interval(study, weights, m=bound, alpha=alpha).interval

    return _search(at, M_START * error)


def _search(at: Callable[[float], HonestInterval], first: float) -> Breakdown:
    """Double the bound until zero comes in, then halve the bracket.

    The sets grow with their bound, so the identified set does; the interval need not to the last digit, because its
    centre or its critical value changes too. The value is the first crossing among the bounds that were tried.
    """
    at_zero = at(0.0)
    if not at_zero.excludes(0.0):
        return Breakdown(0.0, 0.0, at_zero)
    inside, outside = 0.0, first
    for _ in range(DOUBLINGS):
        if not at(outside).excludes(0.0):
            break
        inside, outside = outside, 2.0 * outside
    else:
        return Breakdown(math.inf, 0.0, at_zero)
    while outside - inside > TOLERANCE * outside:
        middle = 0.5 * (inside + outside)
        if at(middle).excludes(0.0):
            inside = middle
        else:
            outside = middle
    return Breakdown(inside, outside - inside, at_zero)
