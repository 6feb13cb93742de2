"""Doubly robust effects of units of several places, from sums over units.

Given the logistic coefficients, every unit's contribution to a target (`doubly_robust.doubly_robust_totals`) is a
linear function of a few of its own numbers; what it is multiplied by, the outcome regression, the odds' total, the
derivative by the propensity, are functions of sums over all units. With u the unit's numbers and C the
multipliers, contributions are C·u: Σu and Σuu' over each place's units give the totals and their exact
cross-products, and no unit's influence leaves. Each comparison has these numbers, with d the treated, c the
controls, o their odds (0 for trimmed ones), x the p covariates, z its k changes and v its k treated outcomes:

    d·v, d·z (k each)   d·x (p)   o·z (k)   o·x (p)   c·z·x (k·p)   c·x·x' (p(p+1)/2)   (d − chance)·x (p)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.doubly_robust import LARGEST_PROPENSITY, TRIMMED_FROM, Comparison
from evalkit.numerics.group_time_totals import Totals
from evalkit.numerics.logistic import logistic_sums, newton_step, probability

__all__ = ["RobustSums", "robust_sums", "sides_of", "size_of", "totals_from_sums", "weights_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

COLLINEAR: Final = "the controls' covariates depend on each other"


@dataclass(frozen=True, slots=True, eq=False)
class RobustSums:
    """Sums over units for M comparisons with p covariates; each is additive over places.

    Attributes:
        sums: (D,) of the units' numbers.
        cross: (D, D) of their products.
        odds_gram: (M, p, p) Σ o·x·x'.
        odds_change: (N,) Σ o·x·z' of each comparison, (p, k) raveled.
        information: (M, p, p) of the logistic regressions.
        exceptional: (2,) units trimmed in some comparison, and controls beyond `LARGEST_PROPENSITY`.
    """

    sums: Floats
    cross: Floats
    odds_gram: Floats
    odds_change: Floats
    information: Floats
    exceptional: Floats


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the numbers of one comparison are among all D."""

    outcome: slice
    change: slice
    treated: slice
    odds_change: slice
    odds: slice
    control_change: slice
    gram: slice
    score: slice

    @property
    def end(self) -> int:
        """One past the last."""
        return int(self.score.stop)


def sides_of(one: Comparison, block: Integers) -> tuple[Booleans, Booleans]:
    """(U,) treated units and (U,) controls of a comparison; ``block`` (U,) says which block each unit is in."""
    return one.treated[block], one.control[block]


def weights_of(one: Comparison, block: Integers, x: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """(U,) information of each unit in the logistic regression, and (U,) odds of its untrimmed controls."""
    treated, control = sides_of(one, block)
    chance = probability(x, beta)
    information = np.where(treated | control, chance * (1 - chance), 0.0)
    used = control & (chance < TRIMMED_FROM)
    odds: Floats = np.where(used, chance, 0.0) / (1 - np.where(used, chance, 0.0))
    return information, odds


def size_of(comparisons: Sequence[Comparison], covariates: int) -> int:
    """D, for p ``covariates`` with the constant."""
    return _layouts(comparisons, covariates)[-1].end if comparisons else 0


def robust_sums(
    y: Floats, x: Floats, block: Integers, comparisons: Sequence[Comparison], beta: Floats
) -> RobustSums:
    """Sums of one place's units.

    Args:
        y: (U, T) outcomes, 0 where not observed.
        x: (U, p) covariates with a constant.
        block: (U,) which block each unit is in.
        comparisons: M of them.
        beta: (M, p) logistic coefficients.
    """
    places = _layouts(comparisons, x.shape[1])
    numbers = np.zeros((len(y), places[-1].end))
    upper = np.triu_indices(x.shape[1])
    grams, changes, informations = [], [], []
    trimmed, certain = np.zeros(len(y), dtype=bool), np.zeros(len(y), dtype=bool)
    for one, at, coefficients in zip(comparisons, places, beta, strict=True):
        treated, control = sides_of(one, block)
        compared = treated | control
        chance = probability(x, coefficients)
        odds = weights_of(one, block, x, coefficients)[1][:, None]
        z = y @ one.change
        numbers[:, at.outcome] = np.where(treated[:, None], y @ one.level, 0.0)
        numbers[:, at.change] = np.where(treated[:, None], z, 0.0)
        numbers[:, at.treated] = np.where(treated[:, None], x, 0.0)
        numbers[:, at.odds_change] = odds * z
        numbers[:, at.odds] = odds * x
        on_c = control.astype(np.float64)[:, None]
        by_change = (x[:, :, None] * z[:, None, :]).reshape(len(y), -1)
        numbers[:, at.control_change] = on_c * by_change
        numbers[:, at.gram] = on_c * x[:, upper[0]] * x[:, upper[1]]
        numbers[:, at.score] = np.where(compared[:, None], (treated - chance)[:, None] * x, 0.0)
        grams.append(x.T @ (odds * x))
        changes.append((x.T @ (odds * z)).ravel())
        informations.append(logistic_sums(treated[compared], x[compared], coefficients).information)
        trimmed |= control & (chance >= TRIMMED_FROM)
        certain |= control & (chance > LARGEST_PROPENSITY)
    return RobustSums(
        sums=numbers.sum(axis=0),
        cross=numbers.T @ numbers,
        odds_gram=np.stack(grams),
        odds_change=np.concatenate(changes),
        information=np.stack(informations),
        exceptional=np.array([trimmed.sum(), certain.sum()], dtype=np.float64),
    )


def totals_from_sums(found: RobustSums, comparisons: Sequence[Comparison], targets: int) -> Totals:
    """Totals of K targets from the sums of all places' units.

    Raises:
        ArithmeticError: groups do not overlap, or covariates depend on each other.
    """
    if found.exceptional[1] > 0:
        raise ArithmeticError("some controls look like treated units only: groups do not overlap")
    covariates = found.odds_gram.shape[1]
    places = _layouts(comparisons, covariates)
    combined = np.zeros((3, targets, places[-1].end))
    begin = 0
    for one, at, gram, information in zip(
        comparisons, places, found.odds_gram, found.information, strict=True
    ):
        shape = (covariates, len(one.targets))
        end = begin + shape[0] * shape[1]
        odds_change = found.odds_change[begin:end].reshape(shape)
        begin = end
        effect = _effect_rows(found.sums, at, gram, odds_change, information)
        rows = np.zeros((3, shape[1], places[-1].end))
        rows[0, :, at.outcome] = np.eye(shape[1])
        rows[1] = rows[0] - effect
        rows[2, :, at.treated.start] = one.weight
        combined[:, one.targets] += rows
    flat = combined.reshape(3 * targets, -1)
    return Totals(
        (flat @ found.sums).reshape(3, targets),
        (flat @ found.cross @ flat.T).reshape(3, targets, 3, targets),
    )


def _effect_rows(
    sums: Floats, at: _Layout, odds_gram: Floats, odds_change: Floats, information: Floats
) -> Floats:
    """(k, D) multipliers of a unit's numbers in its contribution to the effect's total over treated units.

    Sant'Anna & Zhao (2020), theorem A.1, times the number of treated units; the first covariate is the constant.
    """
    covariates, targets = odds_change.shape
    upper = np.triu_indices(covariates)
    gram = np.zeros((covariates, covariates))
    gram[upper] = sums[at.gram]
    gram.T[upper] = sums[at.gram]
    slope = _solve(gram, sums[at.control_change].reshape(covariates, targets))
    treated, odds = sums[at.treated], sums[at.odds]
    if not odds[0] > 0:
        raise ArithmeticError("all controls look like treated units only: groups do not overlap")
    ratio = treated[0] / odds[0]
    mean_c = (sums[at.odds_change] - odds @ slope) / odds[0]
    constant = np.zeros((covariates, targets))
    constant[0] = mean_c
    rows = np.zeros((targets, at.end))
    rows[:, at.change] = np.eye(targets)
    rows[:, at.treated] = -(slope + constant).T
    rows[:, at.odds_change] = -ratio * np.eye(targets)
    rows[:, at.odds] = ratio * (slope + constant).T
    # what the estimated regression adds: −c·(z − x'slope)·x'pull
    pull = _solve(gram, (treated - ratio * odds)[:, None])[:, 0]
    by_change = np.zeros((targets, covariates, targets))
    by_change[np.arange(targets), :, np.arange(targets)] = -pull
    rows[:, at.control_change] = by_change.reshape(targets, -1)
    products = slope.T[:, :, None] * pull
    products = products + products.transpose(0, 2, 1)
    products[:, np.arange(covariates), np.arange(covariates)] /= 2
    rows[:, at.gram] = products[:, upper[0], upper[1]]
    # what the estimated propensity adds
    derivative = ratio * (odds_change - odds_gram @ slope - np.outer(odds, mean_c))
    rows[:, at.score] = -np.stack(
        [newton_step(information, derivative[:, one]) for one in range(targets)]
    )
    padded = np.zeros((targets, len(sums)))
    padded[:, : at.end] = rows
    return padded


def _solve(gram: Floats, right: Floats) -> Floats:
    """gram⁻¹ · right, column by column."""
    try:
        return np.stack([newton_step(gram, column) for column in right.T], axis=1)
    except ArithmeticError:
        raise ArithmeticError(COLLINEAR) from None


def _layouts(comparisons: Sequence[Comparison], covariates: int) -> list[_Layout]:
    places, begin = [], 0
    for one in comparisons:
        k, p = len(one.targets), covariates
        found = []
        for width in (k, k, p, k, p, k * p, p * (p + 1) // 2, p):
            found.append(slice(begin, begin + width))
            begin += width
        places.append(_Layout(*found))
    return places
