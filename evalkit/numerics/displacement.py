"""Counts before and after, in a target, where its crime might have gone, and where neither happened.

Vocabulary
    target        places with a camera: T0 incidents before, T1 after.
    control       places like the target, far from any camera: C0, C1.
    displacement  places around the target, where crime might move: D0, D1.
    displacement control
                  places like those, far from any camera: DC0, DC1.
    weight        what a count is relative to (periods, area); a count enters as count/w.

Negative differences mean fewer incidents than the controls lead to expect.

Sources
    Wheeler, A. P. & Ratcliffe, J. H. (2018). A simple weighted displacement difference test to evaluate place
        based crime interventions. Crime Science 7, 11. Weights as in Wheeler's ptools, R/wdd.R.
    Bowers, K. J. & Johnson, S. D. (2003). Measuring the geographical displacement and diffusion of benefit
        effects of crime prevention activity. Journal of Quantitative Criminology 19, 275–301.
    Guerette, R. T. (2009). Analyzing crime displacement and diffusion. Problem-Oriented Guides for Police,
        Problem-Solving Tools Series 10.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import critical_value

__all__ = [
    "CumulativeDifference",
    "Difference",
    "NetEffect",
    "Quotient",
    "combine",
    "cumulative",
    "displacement_quotient",
    "net_effect",
    "weighted_displacement_difference",
]

Floats = NDArray[np.float64]

_SIGNS: Final = np.array([[-1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, -1.0]])
"""Rows target, control, displacement, displacement control; columns before, after."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A weighted displacement difference with its variance."""

    value: float
    variance: float

    @property
    def std_error(self) -> float:
        """√variance."""
        return math.sqrt(self.variance)

    @property
    def z(self) -> float:
        """Value over standard error; NaN if the standard error is 0."""
        return self.value / self.std_error if self.variance > 0 else math.nan

    def interval(self, level: float) -> tuple[float, float]:
        """Normal confidence limits."""
        half = critical_value(level, math.inf) * self.std_error
        return self.value - half, self.value + half


@dataclass(frozen=True, slots=True)
class Quotient:
    """Weighted displacement quotient and its two parts; NaN where a denominator is 0.

    Attributes:
        success: T1/C1 − T0/C0, negative if the target did better than the control.
        buffer: D1/C1 − D0/C0.
        quotient: buffer/success. Above 1 diffusion larger than the effect, from 0 to 1 diffusion, from −1 to 0
            displacement smaller than the effect, below −1 displacement that undoes it. It means nothing
            unless ``success`` is negative.
    """

    success: float
    buffer: float
    quotient: float


@dataclass(frozen=True, slots=True)
class NetEffect:
    """Guerette's measures, positive if crime fell.

    Attributes:
        gross: T0 − T1.
        net: T0/C0 − T1/C1.
        total: [T0·C1/C0 − T1] + [D0·C1/C0 − D1], incidents prevented net of displacement.
        total_variance: of ``total``, by the delta method for independent Poisson counts.
    """

    gross: float
    net: float
    total: float
    total_variance: float


@dataclass(frozen=True, slots=True, eq=False)
class CumulativeDifference:
    """Running difference of two series of T periods.

    Attributes:
        value: (T,) Σ (focus − comparison) up to each period.
        std_error: (T,) √Σ (focus + comparison): both Poisson.
        log_ratio: (T,) ln of the ratio of the running totals; NaN before both are above 0.
        log_ratio_std_error: (T,) √(1/Σ focus + 1/Σ comparison).
    """

    value: Floats
    std_error: Floats
    log_ratio: Floats
    log_ratio_std_error: Floats


def weighted_displacement_difference(
    counts: Floats, weights: Floats | None = None, variances: Floats | None = None
) -> Difference:
    """(T1−T0) − (C1−C0) + (D1−D0) − (DC1−DC0); counts over weights, variances over weights squared.

    Args:
        counts: (4, 2) rows target, control, displacement, displacement control; columns before, after. Rows that
            do not exist are 0.
        weights: (4, 2), all 1 if not given.
        variances: (4, 2) of the counts; the counts themselves if not given (Poisson).

    Raises:
        ValueError: a shape is wrong, a count is negative, or a weight is not above 0.
    """
    w = np.ones((4, 2)) if weights is None else np.asarray(weights, dtype=np.float64)
    v = counts if variances is None else variances
    if counts.shape != (4, 2) or w.shape != (4, 2) or v.shape != (4, 2):
        raise ValueError("counts, weights and variances are arrays of shape (4, 2)")
    if (counts < 0).any() or (v < 0).any() or not (w > 0).all():
        raise ValueError("counts and variances are at least 0, weights above 0")
    return Difference(float((_SIGNS * counts / w).sum()), float((v / w**2).sum()))


def combine(differences: Sequence[Difference], weights: Sequence[float]) -> Difference:
    """Σ w·difference with variance Σ w²·variance: crime types by their harm, or cities with weight 1."""
    pairs = list(zip(differences, weights, strict=True))
    return Difference(
        math.fsum(w * one.value for one, w in pairs),
        math.fsum(w * w * one.variance for one, w in pairs),
    )


def displacement_quotient(counts: Floats, weights: Floats | None = None) -> Quotient:
    """Bowers & Johnson's weighted displacement quotient.

    Args:
        counts: (3, 2) rows target, control, displacement; columns before, after.
        weights: (3, 2), all 1 if not given; counts enter as count/weight.
    """
    w = np.ones((3, 2)) if weights is None else weights
    (t0, t1), (c0, c1), (d0, d1) = (counts / w).tolist()
    success = _ratio(t1, c1) - _ratio(t0, c0)
    buffer = _ratio(d1, c1) - _ratio(d0, c0)
    return Quotient(success, buffer, _ratio(buffer, success))


def net_effect(
    counts: Floats, weights: Floats | None = None, variance: Floats | None = None
) -> NetEffect:
    """Guerette's gross, net and total net effect.

    With r = C1/C0 the total is r(T0 + D0) − (T1 + D1). By the delta method its variance is that of the counts,
    r² V(T0 + D0) + V(T1 + D1), plus (T0 + D0)² r² (1/C1 + 1/C0) for the ratio, whose relative variance does not
    depend on weights.

    Args:
        counts: (3, 2) rows target, control, displacement; columns before, after.
        weights: (3, 2), all 1 if not given; counts enter as count/weight.
        variance: (3, 2) of the counts; their own number, as Poisson's, if not given.
    """
    w = np.ones((3, 2)) if weights is None else weights
    (t0, t1), (c0, c1), (d0, d1) = (counts / w).tolist()
    v = (counts if variance is None else variance) / w**2
    r = _ratio(c1, c0)
    of_counts = r * r * float(v[0, 0] + v[2, 0]) + float(v[0, 1] + v[2, 1])
    relative = [
        _ratio(1.0, count) if variance is None else _ratio(float(variance[1, side]), count**2)
        for side, count in ((1, float(counts[1, 1])), (0, float(counts[1, 0])))
    ]
    of_ratio = r * r * (relative[0] + relative[1])
    return NetEffect(
        gross=t0 - t1,
        net=_ratio(t0, c0) - _ratio(t1, c1),
        total=(t0 * r - t1) + (d0 * r - d1),
        total_variance=of_counts + (t0 + d0) ** 2 * of_ratio,
    )


def cumulative(focus: Floats, comparison: Floats) -> CumulativeDifference:
    """Running difference and ratio of two (T,) series of counts (Wheeler's cumulative WDD)."""
    a, b = np.cumsum(focus), np.cumsum(comparison)
    usable = (a > 0) & (b > 0)
    safe_a, safe_b = np.where(usable, a, 1.0), np.where(usable, b, 1.0)
    return CumulativeDifference(
        value=a - b,
        std_error=np.sqrt(a + b),
        log_ratio=np.where(usable, np.log(safe_a / safe_b), np.nan),
        log_ratio_std_error=np.where(usable, np.sqrt(1 / safe_a + 1 / safe_b), np.nan),
    )


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.nan
