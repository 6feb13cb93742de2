"""How near guesses come to the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design

__all__ = ["NEAR", "Figure", "figure_of", "public_of"]

Floats = NDArray[np.float64]

NEAR: Final = 0.5
"""A whole number is known exactly once it is known to less than this."""


@dataclass(frozen=True, slots=True)
class Figure:
    """How well some numbers were rebuilt.

    Attributes:
        number: how many.
        exact: how many of them to within `NEAR`.
        r_squared: share of their variance that the guesses explain, 1 − Σ(guess − truth)²/Σ(truth − mean)², and 0
            where guessing the mean would be no worse; NaN for fewer than two numbers, or equal ones.
    """

    number: int
    exact: int
    r_squared: float


def figure_of(guess: Floats, truth: Floats, mean: Floats | float | None = None) -> Figure:
    """Compare (n,) guesses with the truth.

    Args:
        guess: n numbers.
        truth: n numbers.
        mean: what would be guessed without the attack, one number or n of them; the truth's mean if left out.
    """
    guess, truth = np.asarray(guess, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    without = (truth.mean() if len(truth) else 0.0) if mean is None else mean
    plain = truth - without
    spread = float((plain**2).sum())
    known = math.nan
    if len(truth) > 1 and spread > 0:
        known = max(0.0, 1.0 - float(((guess - truth) ** 2).sum()) / spread)
    return Figure(len(truth), int((np.abs(guess - truth) < NEAR).sum()), known)


def public_of(design: Design) -> Design:
    """A design as everybody knows it: camera dates and periods observed, NaN for every number of incidents."""
    return replace(design, outcome=np.full_like(design.outcome, np.nan))
