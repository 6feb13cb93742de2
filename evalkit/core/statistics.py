"""What a city computes for one question, and how several cities' answers become one.

Vocabulary
    additive   fields that are summed over cities (a score, an information matrix).
    collected  one part per city, kept apart and sorted by city (an effect with its variance).
    support    how many units and incidents stand behind a statistic, per distinct design pattern. It is what
               the gate judges; it stays in the city.
    pattern    what all units of a cohort share in the design matrix. Camera dates are public, so a server
               knows every unit's pattern; that is why counts are needed per pattern and not in total.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import EstimationError

__all__ = ["Cell", "Phase", "Statistics", "Support", "merge", "merge_all"]

Phase = Literal["before", "after", "all"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Units and incidents of one design pattern in one phase.

    Attributes:
        pattern: ``never`` or the go-live interval, such as ``2019-03`` or ``2019-01..2019-03``.
        phase: ``before``, ``after``, or ``all`` for units whose design never changes.
        treated: whether the pattern is ever treated.
        units: number of units.
        incidents: number of incidents in the cells used.
        largest_two: share of those incidents in the two units with most of them; 0 without incidents.
    """

    pattern: str
    phase: Phase
    treated: bool
    units: int
    incidents: int
    largest_two: float


@dataclass(frozen=True, slots=True)
class Support:
    """All cells behind one city's statistics, with the size of the model fitted to them."""

    site: str
    cells: tuple[Cell, ...]
    clusters: int
    parameters: int
    residual_df: int


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Named arrays from one or more cities, for one estimator and stage.

    Attributes:
        estimator, stage: which question they answer.
        kind: ``additive`` or ``collected``.
        parts: city → field name → float64 array. An additive statistic that has been merged keeps one part
            under the joined name of its cities; a collected one keeps a part per city.
        support: one per city while in the city; empty once it has been sent.
    """

    estimator: str
    stage: str
    kind: Literal["additive", "collected"]
    parts: Mapping[tuple[str, ...], Mapping[str, NDArray[np.float64]]]
    support: tuple[Support, ...] = field(default=())

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the contributing cities, sorted."""
        return tuple(sorted(name for names in self.parts for name in names))

    def total(self) -> Mapping[str, NDArray[np.float64]]:
        """The summed fields of an additive statistic."""
        if self.kind != "additive" or len(self.parts) != 1:
            raise EstimationError(
                "only a merged additive statistic has a total",
                where=f"{self.estimator}/{self.stage}",
            )
        return next(iter(self.parts.values()))


def merge(left: Statistics, right: Statistics) -> Statistics:
    """Combine two cities' statistics; associative and commutative up to rounding of sums.

    Raises:
        EstimationError: different questions, different shapes, or a city twice.
    """
    if (left.estimator, left.stage, left.kind) != (right.estimator, right.stage, right.kind):
        raise EstimationError("statistics that answer different questions cannot be merged")
    if set(left.sites) & set(right.sites):
        raise EstimationError("a city's statistics would be counted twice")
    support = tuple(sorted((*left.support, *right.support), key=lambda one: one.site))
    if left.kind == "collected":
        parts = dict(sorted({**left.parts, **right.parts}.items()))
        return Statistics(left.estimator, left.stage, left.kind, parts, support)
    a, b = left.total(), right.total()
    if a.keys() != b.keys() or any(a[name].shape != b[name].shape for name in a):
        raise EstimationError("cities sent statistics of different fields or shapes")
    summed = {name: a[name] + b[name] for name in a}
    sites = tuple(sorted((*left.sites, *right.sites)))
    return Statistics(left.estimator, left.stage, left.kind, {sites: summed}, support)


def merge_all(statistics: Sequence[Statistics]) -> Statistics:
    """Merge in the order of city names, so that the same answers always give the same bits."""
    if not statistics:
        raise EstimationError("no city answered", way_out="see which sites refused, and why")
    return reduce(merge, sorted(statistics, key=lambda one: one.sites))
