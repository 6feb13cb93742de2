"""Noise in a city's count table, as estimators compute with it and readers are told of it.

A city that adds noise draws it once for every cell of a table of disjoint counts, and computes all it sends from the
noisy table. Whoever pools the cities must know how much noise is in a total, or the interval is too short: the field
`FIELD` says so. Both numbers in it, epsilon and the variance, follow from the city's policy and tell nothing of its
data.

Vocabulary
    epsilon  loss of privacy: with one incident more or less no release becomes more than exp(epsilon) times as
             likely, nor less (Dwork, McSherry, Nissim & Smith 2006, Calibrating noise to sensitivity in private data
             analysis).
    cell     an integer count. Every incident is in one cell of a table or in none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.estimate import Estimate
from evalkit.core.statistics import Statistics
from evalkit.errors import EstimationError
from evalkit.numerics.distributions import t_quantile

__all__ = ["COST", "FIELD", "Noise", "noise_field", "noise_of", "with_cost"]

Floats = NDArray[np.float64]

FIELD: Final = "noise"
"""(1 + K,): epsilon, and the variance of the noise in each of K totals."""

COST: Final = "noise_cost"
"""Of an estimate's details: width of the interval over that without noise; with a city's name, that city's."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What is drawn for each cell.

    Attributes:
        epsilon: loss of privacy of the whole table.
        variance: of the noise in one cell.
    """

    epsilon: float
    variance: float


def noise_field(noise: Noise, cells: Sequence[int]) -> Floats:
    """The field `FIELD` of totals that are sums of so many ``cells`` each."""
    return np.array([noise.epsilon, *(noise.variance * number for number in cells)])


def noise_of(fields: Mapping[str, Floats], totals: int, site: str) -> Floats:
    """(K,) variance of the noise in each of a city's ``totals``; zeros if it added none.

    Raises:
        EstimationError: the field has another shape, or no variances in it.
    """
    found = fields.get(FIELD)
    if found is None:
        return np.zeros(totals)
    if found.shape != (1 + totals,) or not (found >= 0).all() or found[0] == 0:
        raise EstimationError(
            "what a city says of its noise does not fit its totals",
            where=f"site {site}",
            limit=f"epsilon above 0, and {totals} variances",
            way_out="use the same evalkit version at the server and at every city",
        )
    return found[1:]


def with_cost(statistics: Statistics, combine: Callable[[Statistics], Estimate]) -> Estimate:
    """What ``combine`` makes of all cities, with each one's epsilon and the cost in interval width.

    The cost is found by combining the same numbers as if no noise were in them. Where no city added noise there is
    nothing to add.
    """
    found = combine(statistics)
    epsilons = {
        names[0]: float(fields[FIELD][0])
        for names, fields in statistics.parts.items()
        if FIELD in fields
    }
    if not epsilons:
        return found
    bare = combine(_without_noise(statistics))
    cost = _width(found) / _width(bare)
    errors = {
        one.site: one.std_error / other.std_error
        for one, other in zip(found.sites, bare.sites, strict=True)
    }
    details = {
        **found.details,
        COST: cost,
        **{f"epsilon_{site}": epsilon for site, epsilon in epsilons.items()},
        **{f"{COST}_{site}": errors[site] for site in epsilons},
    }
    listed = ", ".join(f"{site} (epsilon {epsilon:g})" for site, epsilon in epsilons.items())
    note = f"noise is in the counts of {listed}; the interval is {cost:.2f} times as wide as without noise"
    return replace(found, details=details, notes=(*found.notes, note))


def _without_noise(statistics: Statistics) -> Statistics:
    parts = {
        names: {name: array for name, array in fields.items() if name != FIELD}
        for names, fields in statistics.parts.items()
    }
    return replace(statistics, parts=parts)


def _width(found: Estimate) -> float:
    half = t_quantile(0.5 + found.level / 2, found.df) * math.sqrt(float(found.covariance[0, 0]))
    return 2 * half
