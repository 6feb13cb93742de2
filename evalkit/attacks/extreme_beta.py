"""A coefficient so large that one unit carries all the information.

With a public covariate z and unit effects profiled out, the information on a change after go-live is
Σ y_i p_i (1 − p_i) with p_i = expit(β·z_i + β₀). At β = s, β₀ = −s·z_j and a large s only units with z near z_j are
undecided: p(1 − p) is 1/4 for unit j and nearly 0 for all others, so that four times the answer is that unit's count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["Isolated", "isolating", "logistic_weights", "lone_count"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Isolated:
    """A question that singles a unit out.

    Attributes:
        beta: (2,) constant and slope.
        share: of all weight, what the unit has; from 1/n to 1.
    """

    beta: Floats
    share: float


def logistic_weights(covariate: Floats, beta: Floats) -> Floats:
    """(n,) p(1 − p) of each unit at (2,) ``beta``."""
    eta = beta[0] + beta[1] * covariate
    found: Floats = expit(eta) * expit(-eta)
    return found


def isolating(covariate: Floats, unit: int, strength: float) -> Isolated:
    """The β of largest size ``strength`` that is undecided about one of n units, given all (n,) public covariates."""
    centre = float(covariate[unit])
    slope = strength / max(1.0, abs(centre))
    beta = np.array([-slope * centre, slope])
    weights = logistic_weights(covariate, beta)
    return Isolated(beta, float(weights[unit] / weights.sum()))


def lone_count(information: float) -> float:
    """The unit's count from the one entry it decides."""
    return 4.0 * information
