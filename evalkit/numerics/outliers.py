"""Which of several effects do not belong to the others: studentised deleted residuals, of one effect or of several.

The effects in question, a set D, are deleted, the rest are pooled, with the variance between them by DerSimonian &
Laird (1986), which is in closed form, so that the same effects give the same answer to the last bit on every machine.
For each i in D

    z_i = (y_i − μ(D)) / √(v_i + τ²(D) + Var μ(D))

With one effect in D this is the residual of Viechtbauer & Cheung (2010, section 3.1). Two outliers mask each other when
only one of them is deleted, as the other one makes τ² large; therefore the largest minority D is looked for that are
farthest from the median and all beyond the limit. Few effects say little about τ², and an estimate of 0 would make an
outlier of every honest one: τ² is taken to be no less than ``tau2_at_least``.

Source: Viechtbauer, W. & Cheung, M. W.-L. (2010), Outlier and influence diagnostics for meta-analysis, Research
Synthesis Methods 1, 112–125.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import critical_value

__all__ = ["FEWEST", "Deleted", "critical_residual", "deleted_residuals", "outliers_of"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST: Final = 4
"""Effects: without one there are three, of which two can agree against one."""


@dataclass(frozen=True, slots=True, eq=False)
class Deleted:
    """Deleted effects beside the rest; arrays are (d,).

    Attributes:
        index: which effects are deleted.
        residual: studentised.
        difference: the effect minus the mean of the rest.
        spread: variance of that difference but for the effect's own: τ²(D) + Var μ(D), the same for all.
    """

    index: Integers
    residual: Array
    difference: Array
    spread: float


def deleted_residuals(
    effects: Array, variances: Array, deleted: Integers, tau2_at_least: float = 0.0
) -> Deleted:
    """Residuals of the deleted effects from the mean of the rest.

    Args:
        effects: (k,).
        variances: (k,), above 0.
        deleted: (d,) indices.
        tau2_at_least: variance between the effects that is taken for granted.

    Raises:
        ValueError: fewer than three effects are left.
    """
    rest = np.ones(len(effects), dtype=bool)
    rest[deleted] = False
    y, v = effects[rest], variances[rest]
    if len(y) < FEWEST - 1:
        raise ValueError(f"{len(y)} effects are left; residuals need {FEWEST - 1}")
    w = 1.0 / v
    mean = float(w @ y / w.sum())
    q = float(w @ (y - mean) ** 2)
    room = float(w.sum() - (w @ w) / w.sum())
    # one city that weighs all there is leaves no room in which the others could differ
    tau2 = max((q - (len(y) - 1)) / room, tau2_at_least) if room > 0 else tau2_at_least
    w = 1.0 / (v + tau2)
    difference = effects[deleted] - float(w @ y / w.sum())
    spread = tau2 + 1.0 / float(w.sum())
    residual = difference / np.sqrt(variances[deleted] + spread)
    return Deleted(np.asarray(deleted, dtype=np.int64), residual, difference, spread)


def outliers_of(
    effects: Array, variances: Array, *, level: float, tau2_at_least: float, most: int
) -> Deleted | None:
    """The largest set of the effects farthest from the median that are all outliers beside the rest; None without any.

    Args:
        effects: (k,).
        variances: (k,), above 0.
        level: chance that any of k honest effects is called an outlier, see `critical_residual`.
        tau2_at_least: as for `deleted_residuals`.
        most: no more than these are called outliers.
    """
    k = len(effects)
    limit = critical_residual(k, level)
    away = np.abs(effects - np.median(effects)) / np.sqrt(variances + tau2_at_least)
    farthest = np.argsort(-away, kind="stable")
    for size in range(min(most, k - FEWEST + 1), 0, -1):
        told = deleted_residuals(effects, variances, farthest[:size], tau2_at_least)
        if bool((np.abs(told.residual) > limit).all()):
            return told
    return None


def critical_residual(k: int, level: float) -> float:
    """Two-sided normal limit that any of k residuals exceeds with probability ``level`` at most (Bonferroni)."""
    return critical_value(1.0 - level / k, np.inf)
