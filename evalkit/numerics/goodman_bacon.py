"""What a static two-way fixed-effects coefficient is made of: Goodman-Bacon's decomposition.

With staggered adoption and a balanced panel, β of y_it = α_i + γ_t + β D_it + e_it is a weighted mean of all
two-by-two comparisons of cohorts. Comparisons of a later cohort with an earlier one use units already treated as
controls, and turn effects that grow into bias; their weight says how much that matters.

Vocabulary
    cohort     units first treated in the same period; also those never treated, and those always treated.
    D̄          share of periods in which a cohort is treated.
    kinds      treated_vs_never, treated_vs_always, earlier_vs_later (the later cohort is not yet treated),
               later_vs_earlier (the earlier cohort is already treated).

Source
    Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of
        Econometrics 225(2), 254–277: theorem 1, equations 7–10.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "Decomposition", "Kind", "TwoByTwo", "decompose"]

Array = NDArray[np.float64]

Kind = Literal["treated_vs_never", "treated_vs_always", "earlier_vs_later", "later_vs_earlier"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class TwoByTwo:
    """One comparison.

    Attributes:
        kind: which controls it uses.
        treated, control: positions of the two cohorts.
        weight: share of the coefficient; all are above 0 and sum to 1.
        estimate: the two-by-two difference-in-differences.
    """

    kind: Kind
    treated: int
    control: int
    weight: float
    estimate: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """The coefficient and its parts.

    Attributes:
        coefficient: β of the static two-way regression.
        comparisons: all two-by-twos; Σ weight · estimate = coefficient.
    """

    coefficient: float
    comparisons: tuple[TwoByTwo, ...]

    def weight(self, kind: Kind) -> float:
        """Total weight of one kind."""
        return sum(one.weight for one in self.comparisons if one.kind == kind)

    def estimate(self, kind: Kind) -> float:
        """Weighted mean of one kind's estimates; NaN if there is none."""
        total = self.weight(kind)
        parts = sum(one.weight * one.estimate for one in self.comparisons if one.kind == kind)
        return parts / total if total > 0.0 else float("nan")


def decompose(means: Array, units: Array, first_treated: NDArray[np.int64]) -> Decomposition:
    """Decompose the static two-way coefficient of a balanced panel.

    Args:
        means: (G, T) mean outcome of every cohort and period.
        units: (G,) number of units, above 0.
        first_treated: (G,) first treated period, 0-based; at or below 0 is always treated, at or above T never.
            No two cohorts alike.

    Raises:
        ValueError: shapes that do not fit, not finite, no units, two cohorts alike, or nothing to compare.
    """
    cohorts, periods = _check(means, units, first_treated)
    first = np.clip(first_treated, 0, periods)
    treated = np.arange(periods) >= first[:, None]
    share = units / units.sum()
    residual = treated - treated.mean(axis=1, keepdims=True)
    residual = residual - share @ residual
    variance = float(share @ (residual**2).mean(axis=1))
    if not variance > 0.0:
        raise ValueError("no two cohorts differ in when they are treated")
    coefficient = float(share @ (residual * means).mean(axis=1)) / variance
    pairs = [(a, b) for a in range(cohorts) for b in range(cohorts) if first[a] < first[b]]
    comparisons = [
        TwoByTwo(kind, one, other, weight / variance, estimate)
        for a, b in pairs
        for kind, one, other, weight, estimate in _compare(means, share, first, a, b)
    ]
    return Decomposition(coefficient, tuple(comparisons))


def _compare(
    means: Array, share: Array, first: NDArray[np.int64], a: int, b: int
) -> Iterator[tuple[Kind, int, int, float, float]]:
    """The comparisons of cohorts a and b, a treated first, with their weights times the variance of D.

    The variance of D within two cohorts, over the whole panel, is n_a n_b times the variance over time of the one
    that changes, and each weight is that of its window: equations 10e–10g without their common denominators.
    """
    periods = means.shape[1]
    k, m = int(first[a]), int(first[b])
    early, late = 1.0 - k / periods, 1.0 - m / periods
    size = float(share[a] * share[b])
    if k > 0:
        kind: Kind = "treated_vs_never" if m == periods else "earlier_vs_later"
        estimate = _change(means[a], 0, k, m) - _change(means[b], 0, k, m)
        yield kind, a, b, size * (early - late) * (1.0 - early), estimate
    if m < periods:
        kind = "treated_vs_always" if k == 0 else "later_vs_earlier"
        estimate = _change(means[b], k, m, periods) - _change(means[a], k, m, periods)
        yield kind, b, a, size * (early - late) * late, estimate


def _change(series: Array, start: int, change: int, end: int) -> float:
    """Mean of [change, end) less mean of [start, change)."""
    return float(series[change:end].mean() - series[start:change].mean())


def _check(means: Array, units: Array, first_treated: NDArray[np.int64]) -> tuple[int, int]:
    if means.ndim != 2 or means.shape[1] == 0:
        raise ValueError("means must be cohorts × periods")
    cohorts, periods = means.shape
    if units.shape != (cohorts,) or first_treated.shape != (cohorts,):
        raise ValueError("units and first treated periods must be one per cohort")
    if not (np.isfinite(means).all() and np.isfinite(units).all() and (units > 0).all()):
        raise ValueError("a mean is not finite, or a cohort has no units")
    if len(np.unique(np.clip(first_treated, 0, periods))) < cohorts:
        raise ValueError("two cohorts are first treated in the same period")
    return cohorts, periods
