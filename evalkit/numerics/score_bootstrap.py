"""The wild score bootstrap for few clusters, without draws.

With the scores u_i of G clusters at the estimate restricted to no effect, the score bootstrap (Kline & Santos
2012) compares S = Σ u_i with S* = Σ w_i u_i for random signs w (Rademacher weights). Studentised by
Σ (w_i u_i − S*/G)² = Σ u_i² − S*²/G the statistic grows with |S*|, so its p-value is P(|S*| ≥ |S|).

A city must not send draws. Whoever knows the signs solves B ≥ G sums for every cluster's score; and if they are
secret, few clusters have so few distinct sums that their differences give the scores away. The distribution of S*
depends on the scores only through Σ ln cosh(t u_i), a sum over clusters of a function of u², so what is sent are
the first moments of u²: with G and Σ u², Σ u⁴, Σ u⁶ the two-point Gauss quadrature has the same first four
cumulants of S* that are not zero by symmetry, and the tail is a saddlepoint approximation (Lugannani & Rice 1980).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import normal_sf
from evalkit.numerics.root_finding import bracketed_root

__all__ = ["power_sums", "sign_p_value"]

CENTRE: Final = 1e-3
"""Standardised score below which the p-value is 1 to three digits and the approximation is nearly 0/0."""

SPREAD: Final = 1e-12
"""Relative variance of u² below which all clusters count as equal; rounding leaves about 1e-15."""


def power_sums(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(5,) G, Σ u, Σ u², Σ u⁴, Σ u⁶ of (G,) ``scores``; added over cities they are those of all clusters."""
    squares = scores**2
    return np.array(
        [len(scores), scores.sum(), squares.sum(), (squares**2).sum(), (squares**3).sum()]
    )


def sign_p_value(sums: NDArray[np.float64]) -> float:
    """P(|S*| ≥ |S|) over random signs, from the `power_sums` of all clusters.

    Between the two-sided tail of discrete sums and its continuous approximation lies about half the probability
    of a single sum, 2^−G. Scores without any spread around zero (all zero) have no distribution: NaN.
    """
    number, total, second, fourth, sixth = (float(value) for value in sums)
    if not second > 0:
        return math.nan
    score = abs(total)
    if score < CENTRE * math.sqrt(second):
        return 1.0
    law = _two_points(number, second, fourth, sixth)
    limit = law.largest
    if score >= limit * (1 - 1e-12):
        return math.pow(2.0, 1.0 - number)
    high = 1.0 / math.sqrt(second)
    while law.slope(high) < score:
        high *= 2
    tilt = bracketed_root(lambda t: law.slope(t) - score, 0.0, high)
    root = math.sqrt(2 * (tilt * score - law.cumulants(tilt)))
    scaled = tilt * math.sqrt(law.curvature(tilt))
    density = math.exp(-(root**2) / 2) / math.sqrt(2 * math.pi)
    tail = float(normal_sf(root)) + density * (1 / scaled - 1 / root)
    return min(1.0, 2 * tail)


@dataclass(frozen=True, slots=True)
class _Law:
    """Σ_j n_j ln cosh(t a_j): the cumulant generating function of a sum with random signs."""

    sizes: tuple[float, ...]
    numbers: tuple[float, ...]

    @property
    def largest(self) -> float:
        """The largest value the sum can have."""
        return sum(n * a for a, n in zip(self.sizes, self.numbers, strict=True))

    def cumulants(self, t: float) -> float:
        pairs = zip(self.sizes, self.numbers, strict=True)
        # ln cosh x = x + ln(1 + exp(−2x)) − ln 2 does not overflow
        return sum(n * (t * a + math.log1p(math.exp(-2 * t * a)) - math.log(2)) for a, n in pairs)

    def slope(self, t: float) -> float:
        return sum(n * a * math.tanh(t * a) for a, n in zip(self.sizes, self.numbers, strict=True))

    def curvature(self, t: float) -> float:
        pairs = zip(self.sizes, self.numbers, strict=True)
        return sum(n * a * a / math.cosh(min(t * a, 300.0)) ** 2 for a, n in pairs)


def _two_points(number: float, second: float, fourth: float, sixth: float) -> _Law:
    """Gauss quadrature of the measure that has mass 1 at each u², from its first four moments."""
    spread = number * fourth - second**2
    if spread <= SPREAD * number * fourth:
        return _Law((math.sqrt(second / number),), (number,))
    linear = (second * fourth - number * sixth) / spread
    constant = (second * sixth - fourth**2) / spread
    half = math.sqrt(max(linear**2 / 4 - constant, 0.0))
    low, high = max(-linear / 2 - half, 0.0), -linear / 2 + half
    many = (number * high - second) / (high - low)
    return _Law((math.sqrt(low), math.sqrt(high)), (many, number - many))
