"""What both honest checks ask first: is there an effect that a violation could explain away?"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import critical_value
from evalkit.numerics.event_study import EventStudy

__all__ = ["distinct_from_zero"]


def distinct_from_zero(study: EventStudy, weights: NDArray[np.float64], alpha: float) -> bool:
    """Whether the usual interval of l'τ, which takes trends to be parallel, excludes zero."""
    error = math.sqrt(float(weights @ study.post_covariance @ weights))
    return abs(float(weights @ study.post)) > critical_value(1.0 - alpha, math.inf) * error
