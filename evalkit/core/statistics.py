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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import EstimationError

__all__ = ["Cell", "Phase", "Statistics", "Support", "additive", "merge", "merge_all"]

Phase = Literal["before", "after", "all", "term"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Units and incidents of one design pattern in one phase.

    Attributes:
        pattern: ``never`` or the go-live interval, such as ``2019-03`` or ``2019-01..2019-03``; for a ``term``
            the name of the coefficient.
        phase: ``before``, ``after``, or ``all`` for units whose design never changes; ``term`` for the cells of
            one coefficient, which are cells of other phases too.
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
        tables: city → name → integer counts, from which the estimator can compute the city's fields again after
            noise was added to them (`evalkit.core.noise`). Only of estimators of class ``table``; as support, they
            stay in the city, and a merged statistic has none.
    """

    estimator: str
    stage: str
    kind: Literal["additive", "collected"]
    parts: Mapping[tuple[str, ...], Mapping[str, NDArray[np.float64]]]
    support: tuple[Support, ...] = field(default=())
    tables: Mapping[tuple[str, ...], Mapping[str, NDArray[np.int64]]] = field(default_factory=dict)

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


def additive(
    estimator: str,
    stage: str,
    sites: tuple[str, ...],
    cities: Iterable[tuple[Mapping[str, NDArray[np.float64]], Support]],
) -> Statistics:
    """One statistic of a panel's cities, their fields summed from the first to the last.

    Args:
        estimator: that was asked.
        stage: of its question.
        sites: names of the cities.
        cities: fields and support of each.

    Raises:
        EstimationError: cities have different fields or shapes.
    """
    answered = list(cities)
    return Statistics(
        estimator,
        stage,
        "additive",
        {sites: _sum([fields for fields, _ in answered])},
        tuple(support for _, support in answered),
    )


def merge(left: Statistics, right: Statistics) -> Statistics:
    """Combine two cities' statistics; associative and commutative up to rounding of sums.

    Raises:
        EstimationError: different questions, different shapes, or a city twice.
    """
    return _combine((left, right))


def merge_all(statistics: Sequence[Statistics]) -> Statistics:
    """Merge in the order of city names, so that the same answers always give the same bits.

    Raises:
        EstimationError: no answers, or as `merge`.
    """
    if not statistics:
        raise EstimationError("no city answered", way_out="see which sites refused, and why")
    if len(statistics) == 1:
        return statistics[0]
    return _combine(sorted(statistics, key=lambda one: one.sites))


def _combine(ordered: Sequence[Statistics]) -> Statistics:
    """All at once, so that the names of the cities are gone through once and not once for every city."""
    first = ordered[0]
    asked = (first.estimator, first.stage, first.kind)
    if any((one.estimator, one.stage, one.kind) != asked for one in ordered):
        raise EstimationError("statistics that answer different questions cannot be merged")
    sites = tuple(sorted(name for one in ordered for name in one.sites))
    if len(set(sites)) < len(sites):
        raise EstimationError("a city's statistics would be counted twice")
    support = tuple(
        sorted((part for one in ordered for part in one.support), key=lambda part: part.site)
    )
    if first.kind == "collected":
        parts = {names: part for one in ordered for names, part in one.parts.items()}
        return Statistics(*asked, dict(sorted(parts.items())), support)
    return Statistics(*asked, {sites: _sum([one.total() for one in ordered])}, support)


def _sum(totals: Sequence[Mapping[str, NDArray[np.float64]]]) -> dict[str, NDArray[np.float64]]:
    """Field by field, from the first to the last."""
    first = totals[0]
    shapes = {name: array.shape for name, array in first.items()}
    if any({name: array.shape for name, array in one.items()} != shapes for one in totals):
        raise EstimationError("cities sent statistics of different fields or shapes")
    return {name: reduce(np.add, [one[name] for one in totals]) for name in first}
