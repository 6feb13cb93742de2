"""Doubly robust difference-in-differences for panels (Sant'Anna & Zhao 2020), with their influence functions.

The change of treated units is compared with that of controls weighted by their odds of treatment, after the
change that an outcome regression on covariates expects has been taken off both. The effect is right if either
the propensity (logistic) or the regression (linear, fitted to controls) is. Weights sum to one on either side
(Hájek), and controls that are all but certain to be treated get none, as in R's ``DRDID::drdid_panel``.

Given the propensity the effect is linear in the outcomes. All cells that compare the same units are therefore
one regression with several right-hand sides, and an average of cells is the effect on the averaged outcome.
Units of several places: `numerics.doubly_robust_sums`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from evalkit.numerics.group_time import Cells, Means
from evalkit.numerics.group_time_totals import Totals
from evalkit.numerics.logistic import (
    are_separated,
    bounded_step,
    logistic_sums,
    newton_step,
    probability,
)

__all__ = [
    "LARGEST_PROPENSITY",
    "TRIMMED_FROM",
    "Comparison",
    "DoublyRobust",
    "Logit",
    "RobustTotals",
    "comparisons_of",
    "doubly_robust",
    "doubly_robust_totals",
    "logit",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

LARGEST_PROPENSITY: Final = 0.999
"""Of a control; beyond it the groups do not overlap (the limit of R's ``did``, which then gives no effect)."""

TRIMMED_FROM: Final = 0.995
"""Propensity from which a control gets no weight (``trim.level`` of ``DRDID::drdid_panel``)."""

STEP_TOLERANCE: Final = 1e-10
"""Newton's method converges quadratically: after such a step the error is far below double precision."""

MAX_STEPS: Final = 40
"""Six are usual; separated groups never settle."""


@dataclass(frozen=True, slots=True, eq=False)
class Logit:
    """A logistic fit: (p,) coefficients, (n,) probabilities, (p, p) inverse information."""

    coefficients: Floats
    probability: Floats
    inverse: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DoublyRobust:
    """Effects of K outcomes.

    Attributes:
        effect: (K,).
        influence: (n, K); the error of an effect is the mean of its column, which is zero in the sample.
        trimmed: (n,) controls without weight, because they are all but certain to be treated.
    """

    effect: Floats
    influence: Floats
    trimmed: Booleans


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """All cells that compare the same units, and what they contribute to K targets.

    Attributes:
        first: first period of the treated cohort's transition.
        treated, control: (P,) blocks on each side.
        targets: (k,) the targets that any of these cells is part of.
        level: (T, k) a treated unit's outcomes → its outcome in each of those targets.
        change: (T, k) outcomes → the change that is compared.
        weight: (k,) a treated unit's weight in each.
    """

    first: int
    treated: Booleans
    control: Booleans
    targets: Integers
    level: Floats
    change: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RobustTotals(Totals):
    """Totals, and how many controls got no weight in some comparison because they are all but certain to be treated."""

    trimmed: int


def logit(treated: Booleans, x: Floats) -> Logit:
    """Maximum likelihood by Newton's method, which is iteratively reweighted least squares.

    Args:
        treated: (n,).
        x: (n, p) covariates with a constant.

    Raises:
        ArithmeticError: the covariates tell both groups apart completely, or depend on each other.
    """
    beta = np.zeros(x.shape[1])
    for _ in range(MAX_STEPS):
        sums = logistic_sums(treated, x, beta)
        if are_separated(sums.deviance):
            break
        step = newton_step(sums.information, sums.score)
        beta = beta + bounded_step(step)
        if np.abs(step).max() < STEP_TOLERANCE:
            inverse = np.asarray(np.linalg.inv(sums.information), dtype=np.float64)
            return Logit(beta, probability(x, beta), inverse)
    raise ArithmeticError("the covariates tell treated units and controls apart completely")


def doubly_robust(change: Floats, treated: Booleans, x: Floats) -> DoublyRobust:
    """Effects on K changes (Sant'Anna & Zhao 2020, eq. 2.5 and theorem 1).

    Args:
        change: (n, K) outcome after minus outcome before.
        treated: (n,).
        x: (n, p) covariates with a constant.

    Raises:
        ArithmeticError: as `logit`; or a control is certain to be treated, or all of them all but certain.
    """
    size = len(treated)
    fit = logit(treated, x)
    if fit.probability[~treated].max() > LARGEST_PROPENSITY:
        raise ArithmeticError("some controls look like treated units only: groups do not overlap")
    on_t = treated.astype(np.float64)
    trimmed = ~treated & (fit.probability >= TRIMMED_FROM)
    used = ~treated & ~trimmed
    if not used.any():
        raise ArithmeticError("all controls look like treated units only: groups do not overlap")
    on_c = np.where(used, fit.probability, 0.0) / (1 - np.where(used, fit.probability, 0.0))
    x_c = x[~treated]
    gram = _factor(x_c.T @ x_c)
    residual = change - x @ cho_solve(gram, x_c.T @ change[~treated])
    mean_t, mean_c = on_t.mean(), on_c.mean()
    eta_t, eta_c = on_t @ residual / size / mean_t, on_c @ residual / size / mean_c
    # what the estimated regression and the estimated propensity add (theorem A.1)
    regression = (
        np.where(treated[:, None], 0.0, residual)
        * ((x @ (size * cho_solve(gram, ((on_t / mean_t - on_c / mean_c) @ x) / size)))[:, None])
    )
    score = (on_t - fit.probability)[:, None] * x @ (size * fit.inverse)
    propensity = score @ ((on_c[:, None] * x).T @ (residual - eta_c) / size) / mean_c
    influence = (
        on_t[:, None] * (residual - eta_t) / mean_t
        - on_c[:, None] * (residual - eta_c) / mean_c
        - regression
        - propensity
    )
    return DoublyRobust(eta_t - eta_c, influence, trimmed)


def comparisons_of(cells: Cells, weights: Floats, periods: int) -> tuple[Comparison, ...]:
    """The comparisons behind targets with (J, K) ``weights`` of the cells, in the order of the cells.

    It depends on the cohorts and on who is observed when, but not on how many units there are.
    """
    at_period = (np.arange(periods)[:, None] == cells.period).astype(np.float64)
    at_base = (np.arange(periods)[:, None] == cells.base).astype(np.float64)
    sides = np.hstack([cells.treated, cells.control])
    if not len(sides):
        return ()
    _, earliest, groups = np.unique(sides, axis=0, return_index=True, return_inverse=True)
    groups = groups.ravel()
    found = []
    for one in np.argsort(earliest):
        same = np.flatnonzero(groups == one)
        targets = np.flatnonzero(weights[same].any(axis=0))
        if not len(targets):
            continue
        own = weights[np.ix_(same, targets)]
        found.append(
            Comparison(
                first=int(cells.first[same[0]]),
                treated=cells.treated[same[0]],
                control=cells.control[same[0]],
                targets=targets.astype(np.int64),
                level=at_period[:, same] @ own,
                change=(at_period[:, same] - at_base[:, same]) @ own,
                weight=own.sum(axis=0),
            )
        )
    return tuple(found)


def doubly_robust_totals(
    y: Floats, x: Floats, blocks: Means, block: Integers, cells: Cells, weights: Floats
) -> RobustTotals:
    """Totals of K targets as `group_time_totals.totals`, with every cell's effect doubly robust.

    Args:
        y: (U, T) outcomes, 0 where not observed.
        x: (U, p) covariates with a constant.
        blocks: the units' blocks.
        block: (U,) which of them each unit is in.
        cells: the comparisons.
        weights: (J, K) of the cells in the targets.

    Raises:
        ArithmeticError: as `doubly_robust`.
    """
    targets, periods = weights.shape[1], y.shape[1]
    at_period = (np.arange(periods)[:, None] == cells.period).astype(np.float64)
    outcome, effect, weight = (np.zeros((len(y), targets)) for _ in range(3))
    for one in range(len(blocks.units)):
        own = weights * cells.treated[:, one, None]
        if own.any():
            members = block == one
            outcome[members] = y[members] @ (at_period @ own)
            weight[members] = own.sum(axis=0)
    trimmed = np.zeros(len(y), dtype=bool)
    for same in comparisons_of(cells, weights, periods):
        treated, control = same.treated[block], same.control[block]
        compared = np.flatnonzero(treated | control)
        found = doubly_robust(y[compared] @ same.change, treated[compared], x[compared])
        share = float(treated.sum()) / len(compared)
        # the effect's total over treated units: its own error, and how many of them there are
        parts = share * found.influence + treated[compared, None] * found.effect
        effect[np.ix_(compared, same.targets)] += parts
        trimmed[compared] |= found.trimmed
    units = np.hstack([outcome, outcome - effect, weight])
    cross = (units.T @ units).reshape(3, targets, 3, targets)
    return RobustTotals(units.sum(axis=0).reshape(3, targets), cross, int(trimmed.sum()))


def _factor(matrix: Floats) -> tuple[Floats, bool]:
    try:
        factor: tuple[Floats, bool] = cho_factor(matrix)
    except LinAlgError:
        raise ArithmeticError(
            "the covariates depend on each other, or tell both groups apart"
        ) from None
    return factor
