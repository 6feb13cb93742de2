"""What the rounds of `doubly_robust` with pooled controls have agreed on, as the parameters of a question.

A question carries numbers only, and a city lets each of them move by a small step a round. What is no coefficient
is therefore written as tiny multiples of a power of two, without loss: which blocks of units there are in any city,
from which every city derives the same comparisons as the server. Covariates' means and spreads go as inverse
hyperbolic sines. The vector has the same length in all rounds and ends in zeros.

    numbers of blocks and of periods | per block: cohort, periods observed as bits | means, spreads | M·p coefficients
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Study
from evalkit.errors import EstimationError
from evalkit.estimators._group_time import target_weights
from evalkit.numerics.doubly_robust import Comparison, comparisons_of
from evalkit.numerics.group_time import Cells, Means, cells_of

__all__ = ["LENGTH", "Agreed", "Plan", "agreed_of", "blocks_in", "numbers_of", "plan_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

LENGTH: Final = 200
"""Numbers in a question: as many as a city's default policy answers (`max_parameters`)."""

BITS: Final = 48
"""Of the whole numbers in it; a double has 53."""

UNIT: Final = 2.0**-60
"""What such a number is multiplied by: at most 2⁻¹², nothing beside a city's `max_step`, and exact."""

SCALE: Final = 2.0**-10
"""The inverse hyperbolic sine of the largest double is 711."""


@dataclass(frozen=True, slots=True, eq=False)
class Agreed:
    """What all cities and the server know.

    Attributes:
        blocks: the blocks of all cities; their ``units`` count cities' blocks as one each.
        means, spreads: (q,) of the covariates over all compared units; zeros until they are known.
        coefficients: (M, 1 + q) of the logistic regressions.
    """

    blocks: Means
    means: Floats
    spreads: Floats
    coefficients: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is compared: the cells, the comparisons of the study's targets, and the number of targets."""

    cells: Cells
    comparisons: tuple[Comparison, ...]
    targets: int

    @property
    def until(self) -> int:
        """The first go-live of any cohort that has an effect: what is before it makes the covariates."""
        return int(self.cells.first.min())


def blocks_in(cohort: Integers, observed: Booleans) -> Means:
    """Distinct blocks, sorted, of (N, 2) cohorts and (N, T) observed periods, with how many rows each has."""
    rows, number = np.unique(
        np.hstack([cohort, observed.astype(np.int64)]), axis=0, return_counts=True
    )
    return Means(
        units=number.astype(np.float64),
        mean=np.zeros((len(rows), observed.shape[1])),
        observed=rows[:, 2:] > 0,
        first=rows[:, 0],
        start=rows[:, 1],
    )


def plan_of(blocks: Means, study: Study) -> Plan:
    """What a study compares where there are these blocks."""
    analysis, periods = study.analysis, blocks.observed.shape[1]
    cells = cells_of(blocks, analysis.control_group, analysis.base_period)
    weights = target_weights(cells, analysis, periods)
    return Plan(cells, comparisons_of(cells, weights, periods), weights.shape[1])


def numbers_of(agreed: Agreed) -> Floats:
    """(`LENGTH`,) the question's parameters.

    Raises:
        EstimationError: they are too many.
    """
    blocks = agreed.blocks
    cohort = ((blocks.first + 1) << (BITS // 2)) + blocks.start + 1
    whole = np.column_stack([cohort, _packed(blocks.observed)])
    found = np.concatenate(
        [
            np.array(blocks.observed.shape) * UNIT,
            whole.ravel() * UNIT,
            np.arcsinh(np.concatenate([agreed.means, agreed.spreads])) * SCALE,
            agreed.coefficients.ravel(),
        ]
    )
    if len(found) > LENGTH:
        raise EstimationError(
            "there are too many cohorts and comparisons for doubly_robust with pooled controls",
            where="all cities together",
            limit=f"{LENGTH} numbers in a question; these need {len(found)}",
            way_out='use longer periods or fewer cohorts, [analysis] control_group = "never", or '
            'control_pool = "within_city"',
        )
    return np.concatenate([found, np.zeros(LENGTH - len(found))])


def agreed_of(numbers: Floats, study: Study) -> tuple[Agreed, Plan]:
    """What `numbers_of` wrote, with what is compared.

    Raises:
        EstimationError: it did not write these numbers.
    """
    covariates = len(dict.fromkeys(study.analysis.covariates))
    if len(numbers) != LENGTH:
        raise _not_agreed()
    size, periods = (round(float(number) / UNIT) for number in numbers[:2])
    width = 1 + -(-periods // BITS)
    end = 2 + size * width
    if not (size > 0 and periods > 0 and end + 2 * covariates <= LENGTH):
        raise _not_agreed()
    whole = np.rint(numbers[2:end] / UNIT).astype(np.int64).reshape(size, width)
    first = (whole[:, 0] >> (BITS // 2)) - 1
    start = (whole[:, 0] & ((1 << (BITS // 2)) - 1)) - 1
    if whole.min() < 0 or max(first.max(), start.max()) > periods:
        raise _not_agreed()
    blocks = blocks_in(np.column_stack([first, start]), _unpacked(whole[:, 1:], periods))
    plan = plan_of(blocks, study)
    shape = (len(plan.comparisons), 1 + covariates)
    middle = end + 2 * covariates
    if len(blocks.units) != size or not plan.comparisons or middle + shape[0] * shape[1] > LENGTH:
        raise _not_agreed()
    means, spreads = np.sinh(numbers[end:middle] / SCALE).reshape(2, covariates)
    coefficients = numbers[middle : middle + shape[0] * shape[1]].reshape(shape)
    return Agreed(blocks, means, spreads, coefficients), plan


def _packed(observed: Booleans) -> Integers:
    """(P, ⌈T/48⌉) the (P, T) cells as whole numbers, the first period in the lowest bit."""
    size, periods = observed.shape
    padded = np.zeros((size, -(-periods // BITS) * BITS), dtype=np.int64)
    padded[:, :periods] = observed
    values: Integers = padded.reshape(size, -1, BITS) @ (1 << np.arange(BITS, dtype=np.int64))
    return values


def _unpacked(whole: Integers, periods: int) -> Booleans:
    bits = (whole[:, :, None] >> np.arange(BITS, dtype=np.int64)) & 1
    found: Booleans = bits.reshape(len(whole), -1)[:, :periods] > 0
    return found


def _not_agreed() -> EstimationError:
    return EstimationError(
        "the question's numbers are not those of a round of doubly_robust",
        limit="what the server of the same version of evalkit writes",
        way_out="use one version everywhere",
    )
