"""What treated places would have counted without cameras, as a learner predicts it from places without.

Vocabulary
    untreated cell  a unit and period without a camera: of a control, or before a unit's own go-live.
    start           the first go-live period of any unit. Periods before it only tell each unit's level; periods from
                    it on are learnt from and predicted. So no cell is ever part of what describes it.
    level           the unit's own rate before start, drawn towards the rates of its group (treated units, or controls)
                    as far as it is chance: `numerics.rate_mixture`. Never 0. It must be right at every level, not on
                    average only: what is wrong with it among controls is learnt as if it depended on the level.
    relative level  log level less its mean in the group, where an expected incident counts as one. That is what the
                    learner sees: treated places have more crime than most controls, and a dependence on the level
                    itself, be it noise, would be carried on far beyond where it was learnt.
    expected        e_it = exposure × level, incidents if nothing changed. The learner predicts y/e, so that places
                    with more crime than any control have a sensible prediction too.
    fold            a group of units. Each fold's cells are predicted by a learner that has seen no unit of it.

The effect is θ = ln Σ y − ln Σ ŷ over treated cells, less the same of held-out controls in the same periods, which
counts a period as much as the treated cells in it are expected to (a difference-in-differences of prediction errors;
debiasing by held-out residuals as in Chernozhukov et al. 2018, Econometrics Journal 21, C1–C68).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.rate_mixture import mixture_levels

__all__ = [
    "Counterfactual",
    "Learner",
    "counterfactual_effect",
    "jackknife_variance",
    "predict_held_out",
]

Floats = NDArray[np.float64]

DIGITS: Final = 9
"""Decimals that features and targets keep: a tree must not split by the rounding of a sum."""


class Learner(Protocol):
    """Anything that learns a positive mean."""

    def fit(self, X: Floats, y: Floats, sample_weight: Floats) -> object:
        """Learn from (n, k) features, (n,) targets and weights."""

    def predict(self, X: Floats) -> Floats:
        """(n,) means for (n, k) features."""


@dataclass(frozen=True, slots=True, eq=False)
class Counterfactual:
    """Predicted untreated incidents.

    Attributes:
        predicted: (U, T), 0 before ``start`` and where a cell is not observed.
        start: first period that is predicted.
        learnt_from: untreated cells from ``start`` on.
    """

    predicted: Floats
    start: int
    learnt_from: int


def predict_held_out(
    outcome: Floats,
    exposure: Floats,
    treated: NDArray[np.bool_],
    start: int,
    season: Floats,
    folds: NDArray[np.int64],
    groups: NDArray[np.int64],
    make_learner: Callable[[], Learner],
) -> Counterfactual:
    """Predict every observed cell from ``start`` on by a learner that has not seen its unit.

    Args:
        outcome: (U, T) incidents.
        exposure: (U, T), 0 where a cell is not observed.
        treated: (U, T).
        start: first go-live period of any unit, above 0.
        season: (T, k) features of the time of year.
        folds: (U,) fold of each unit.
        groups: (U,) whose levels have a common mean: treated units and controls.
        make_learner: a fresh learner.

    Raises:
        ValueError: a group without incident before ``start``, or no untreated cell to learn from.
    """
    level, relative = np.empty(len(outcome)), np.empty(len(outcome))
    for group in np.unique(groups):
        own = groups == group
        level[own] = mixture_levels(outcome[own, :start], exposure[own, :start]).level
        relative[own] = _relative(level[own], exposure[own, :start].sum(axis=1))
    expected = (exposure * level[:, None])[:, start:]
    y, on = outcome[:, start:], treated[:, start:]
    observed = expected > 0
    period = np.arange(y.shape[1])
    predicted = np.zeros_like(outcome)
    for fold in np.unique(folds):
        held_out = folds == fold
        learn = observed & ~on & ~held_out[:, None]
        if not learn.any():
            raise ValueError("no untreated cell to learn from")
        city = (np.where(learn, y, 0).sum(axis=0) + 1) / (
            np.where(learn, expected, 0).sum(axis=0) + 1
        )
        of_period = np.column_stack([np.log(city), period / len(period), season[start:]])

        def features(cells: NDArray[np.bool_], of_period: Floats = of_period) -> Floats:
            units, periods = np.nonzero(cells)
            shown: Floats = np.column_stack([relative[units], of_period[periods]])
            return shown.round(DIGITS)

        learner = make_learner()
        weight = np.round(expected[learn], DIGITS)
        learner.fit(features(learn), np.round(y[learn] / expected[learn], DIGITS), weight)
        cells = observed & held_out[:, None]
        if cells.any():
            block = np.zeros_like(y)
            block[cells] = np.maximum(learner.predict(features(cells)), 0.0) * expected[cells]
            predicted[:, start:] += block
    return Counterfactual(predicted, start, int((observed & ~on).sum()))


def _relative(level: Floats, exposure: Floats) -> Floats:
    """(U,) log level less the group's mean of it, where an expected incident counts as one."""
    log_level = np.log(level)
    return log_level - float(np.average(log_level, weights=level * exposure))


def counterfactual_effect(
    outcome: Floats,
    predicted: Floats,
    treated: NDArray[np.bool_],
    control: NDArray[np.bool_],
) -> float:
    """θ of the module's docstring; NaN if a sum is 0.

    Args:
        outcome: (U, T) incidents.
        predicted: (U, T) without cameras, 0 where a cell is not used.
        treated: (U, T).
        control: (U,) units that are never treated.
    """
    used = predicted > 0
    return _effect(_sums(np.where(used, outcome, 0.0), predicted, treated, control))


def jackknife_variance(
    outcome: Floats,
    predicted: Floats,
    treated: NDArray[np.bool_],
    control: NDArray[np.bool_],
) -> float:
    """Leave-one-unit-out variance of θ, predictions held fixed; NaN if a θ is, or with fewer than 2 of a kind."""
    y = np.where(predicted > 0, outcome, 0.0)
    ever = treated.any(axis=1)
    if ever.sum() < 2 or control.sum() < 2:
        return math.nan
    total = _sums(y, predicted, treated, control)
    values = []
    for i in np.flatnonzero(ever | control):
        one = slice(i, i + 1)
        values.append(_effect(total - _sums(y[one], predicted[one], treated[one], control[one])))
    n = len(values)
    return (n - 1) / n * float(((np.array(values) - np.mean(values)) ** 2).sum())


def _sums(
    y: Floats, predicted: Floats, treated: NDArray[np.bool_], control: NDArray[np.bool_]
) -> Floats:
    """(4, T): incidents and predictions of treated cells, and of controls, per period."""
    live, never = treated, control[:, None]
    return np.stack(
        [
            np.where(live, y, 0).sum(axis=0),
            np.where(live, predicted, 0).sum(axis=0),
            np.where(never, y, 0).sum(axis=0),
            np.where(never, predicted, 0).sum(axis=0),
        ]
    )


def _effect(sums: Floats) -> float:
    seen, expected, control_seen, control_expected = sums
    used = (expected > 0) & (control_expected > 0)
    correction = control_seen[used] / control_expected[used] @ expected[used]
    total_seen, total_expected = float(seen[used].sum()), float(expected[used].sum())
    if min(total_seen, total_expected, float(correction)) <= 0:
        return math.nan
    return math.log(total_seen / total_expected) - math.log(float(correction) / total_expected)
