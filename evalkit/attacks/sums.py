"""Everything that is known as a weighted sum of unknown numbers, solved together.

Two studies whose units differ by one camera, four studies no two of which do, columns or row indices that a server
picks, many coefficients under a link that changes the weights: all are linear equations. The guess is the nearest
one to what was expected anyway that satisfies them (the minimum-norm solution); where the equations decide a number
it is that number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Solved", "solve_sums"]

Floats = NDArray[np.float64]

RANK_TOLERANCE: Final = 1e-9
"""Of the largest singular value: rounding of a few hundred rows leaves about 1e-14."""

DECIDED: Final = 1e-6
"""Distance of a leverage from 1 below which the equations decide a number."""


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """Guesses at n numbers.

    Attributes:
        guess: (n,).
        leverage: (n,) share of each number's own variance that the equations explain, were all of them independent.
        rank: how many of the equations are different.
    """

    guess: Floats
    leverage: Floats
    rank: int

    @property
    def decided(self) -> NDArray[np.bool_]:
        """(n,) numbers that follow exactly."""
        found: NDArray[np.bool_] = self.leverage > 1 - DECIDED
        return found


def solve_sums(rows: Floats, answers: Floats, expected: Floats | float = 0.0) -> Solved:
    """Solve ``rows`` · x = ``answers``.

    Args:
        rows: (Q, n) weight of each number in each sum; for sets of units 0 and 1.
        answers: (Q,) the sums.
        expected: what would be guessed without them, one number or n.
    """
    rows = np.asarray(rows, dtype=np.float64)
    start = np.broadcast_to(np.asarray(expected, dtype=np.float64), rows.shape[1:])
    left, values, right = np.linalg.svd(rows, full_matrices=False)
    kept = values > RANK_TOLERANCE * values.max(initial=0.0)
    basis = right[kept]
    moved = basis.T @ ((left[:, kept].T @ (answers - rows @ start)) / values[kept])
    leverage: Floats = np.asarray((basis**2).sum(axis=0))
    return Solved(start + moved, leverage, int(kept.sum()))
