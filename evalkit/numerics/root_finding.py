"""Roots of a continuous function in a bracket, to the last bits of a double.

scipy.optimize has the same, behind an import that costs more than a whole meta-analysis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

__all__ = ["bracketed_root"]

RELATIVE_TOLERANCE: Final = 4.0 * 2.0**-52
"""Four units in the last place: the sums behind a function value are no better than that."""

MAX_STEPS: Final = 2_200
"""Bisection alone needs at most 2,100 halvings to cross the whole range of doubles, so this is
never met.
"""


def bracketed_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Find x in [low, high] with function(x) = 0.

    Chandrupatla's method: inverse quadratic interpolation where it is safe, bisection elsewhere.

    Args:
        function: Continuous on the bracket.
        low: One end of the bracket.
        high: Its other end; the function must not have the same sign at both.

    Returns:
        The root to a relative 4 ulp, whichever end of the last bracket has the smaller function
        value.

    Raises:
        ValueError: the function has the same sign at both ends, or is not a number somewhere.

    Source:
        Chandrupatla, T. R. (1997). A new hybrid quadratic/bisection algorithm for finding the zero
        of a nonlinear function without using derivatives. Advances in Engineering Software 28(3),
        145–149.
    """
    a, b = high, low
    f_a, f_b = function(a), function(b)
    if f_a == 0.0:
        return a
    if f_b == 0.0:
        return b
    if not f_a * f_b < 0.0 and (math.copysign(1.0, f_a) == math.copysign(1.0, f_b)):
        raise ValueError("the function has the same sign at both ends of the bracket")
    fraction = 0.5
    for _ in range(MAX_STEPS):
        x = a + fraction * (b - a)
        f_x = function(x)
        if math.isnan(f_x):
            raise ValueError("the function is not a number inside the bracket")
        if math.copysign(1.0, f_x) == math.copysign(1.0, f_a):
            c, f_c = a, f_a
        else:
            c, f_c = b, f_b
            b, f_b = a, f_a
        a, f_a = x, f_x
        best, f_best = (a, f_a) if abs(f_a) < abs(f_b) else (b, f_b)
        # The smallest subnormal keeps a root at exactly 0 from being halved for ever.
        tolerance = RELATIVE_TOLERANCE * abs(best) + 5e-324
        if f_best == 0.0 or abs(b - a) < 2.0 * tolerance:
            return best
        nearest = tolerance / abs(b - a)
        fraction = _fraction((a, f_a), (b, f_b), (c, f_c))
        fraction = min(1.0 - nearest, max(nearest, fraction))
    raise ValueError("no root was found")


def _fraction(
    first: tuple[float, float], second: tuple[float, float], third: tuple[float, float]
) -> float:
    """Where to look next from a (0) to b (1): interpolated if that is monotone, else the middle."""
    (a, f_a), (b, f_b), (c, f_c) = first, second, third
    xi = (a - b) / (c - b)
    phi = (f_a - f_b) / (f_c - f_b)
    if not (phi * phi < xi and (1.0 - phi) * (1.0 - phi) < 1.0 - xi):
        return 0.5
    return f_a / (f_b - f_a) * f_c / (f_b - f_c) + (c - a) / (b - a) * f_a / (f_c - f_a) * f_b / (
        f_c - f_b
    )
