"""The whole solution path of a small lasso, exactly: ½ b'Hb + g'b + λ Σ|b_j| for all λ ≥ 0.

The solution is piecewise linear in λ (Osborne, Presnell & Turlach 2000; Efron, Hastie, Johnstone & Tibshirani 2004,
section 3.1): between two knots the non-zero entries and their signs stay, and solve a linear system.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["lasso_path"]

Array = NDArray[np.float64]

TIE: Final = 1e-12
"""Relative to the current λ: an entry that has just joined or left does not do so again at the same knot."""

KNOTS_PER_ENTRY: Final = 50
"""A path has few knots more than entries; a longer one means that rounding makes it cycle."""


def lasso_path(H: Array, g: Array) -> tuple[Array, Array]:
    """Knots of the path, from the smallest λ with b = 0 down to λ = 0.

    Args:
        H: (K, K), positive definite.
        g: (K,).

    Returns:
        (N,) falling λ, the last one 0, and (N, K) solutions there; linear in between.

    Raises:
        ArithmeticError: the path does not end.
    """
    size = len(g)
    b = np.zeros(size)
    start = float(np.abs(g).max(initial=0.0))
    lambdas, solutions = [start], [b]
    if start == 0.0:
        return np.array([0.0]), np.zeros((1, size))
    signs = np.zeros(size)
    joining = int(np.abs(g).argmax())
    signs[joining] = -np.sign(g[joining])
    current = start
    for _ in range(KNOTS_PER_ENTRY * size):
        active = signs != 0
        # b_A(λ) = constant + λ · slope; the gradient of the others is linear in λ too.
        inverse = np.linalg.inv(H[np.ix_(active, active)])
        constant, slope = -inverse @ g[active], -inverse @ signs[active]
        following, which, sign = _next_knot(H, g, signs, constant, slope, current)
        b = np.zeros(size)
        b[active] = constant + following * slope
        if which is not None and active[which]:
            b[which] = 0.0
        lambdas.append(following)
        solutions.append(b)
        if which is None:
            return np.array(lambdas), np.stack(solutions)
        signs[which] = sign
        current = following
    raise ArithmeticError("the path of the lasso does not end")


def _next_knot(
    H: Array, g: Array, signs: Array, constant: Array, slope: Array, current: float
) -> tuple[float, int | None, float]:
    """The largest λ below ``current`` at which an entry joins or leaves, which one, and its new sign."""
    active = np.flatnonzero(signs)
    below = current * (1.0 - TIE)
    best: tuple[float, int | None, float] = (0.0, None, 0.0)
    for place, entry in enumerate(active):
        # Zero is crossed where constant + λ · slope changes sign.
        if slope[place] != 0.0:
            at = float(-constant[place] / slope[place])
            if best[0] < at < below:
                best = (at, int(entry), 0.0)
    for entry in np.flatnonzero(signs == 0):
        fixed = float(g[entry] + H[entry, active] @ constant)
        moving = float(H[entry, active] @ slope)
        # The gradient reaches −λ (the entry becomes positive) or +λ (negative).
        for sign in (1.0, -1.0):
            if moving + sign != 0.0:
                at = -fixed / (moving + sign)
                if best[0] < at < below:
                    best = (at, int(entry), sign)
    return best
