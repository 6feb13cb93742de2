"""Randomisation inference: how extreme is a statistic among those of other assignments of treatment?

Under Fisher's (1935) sharp null, that treatment changed nothing for any unit at any time, outcomes are the same
whatever the assignment. If labels (here: go-live dates, never among them) could as well have been dealt out to the
units of a stratum in any other way, the statistic's rank among all assignments is uniform, however few the units are
and whatever their outcomes look like. Numbers of units of each label are kept, in every stratum.

Vocabulary
    block       units of one label and one stratum. Blocks of a stratum stand beside each other.
    slot        a place in a block. An assignment is an order: which unit takes which slot.
    own         the assignment that was made.
    compared    how many assignments a rank is among, own included: all distinct ones if they are no more than the draws
                asked for, otherwise own and the draws.

One place: p = #{|T*| ≥ |T|} / compared, own counted (Phipson & Smyth 2010), which no null exceeds: P(p ≤ α) ≤ α.

Several places: T of one place says nothing of T in another, so each brings the score of its own rank,
z = Φ⁻¹(1 − v) with v = (#{T* > T} + u·#{T* = T}) / compared, u uniform, which breaks ties (own is one) by lot. v is
exactly uniform, so Σ w z / √Σ w² is exactly normal for weights fixed beforehand (Stouffer et al. 1949; Lipták 1958),
and p = 2·Φ(−|·|). With p = 1/compared, 2/compared, … in the place of v the last one, 1, would have the score −∞ and
take everything with it. u comes from the seed, so that whoever repeats the computation finds the same.

Weights are w² = Σ over strata of half of n·(1 − Σ f²), f the shares of its labels: n₁n₀/n with two labels, by the root
of which a t statistic grows with the number of units. They follow from dates alone.

Sources
    Fisher, R. A. (1935). The design of experiments. Phipson, B. & Smyth, G. K. (2010). Permutation p-values should
        never be zero. Statistical Applications in Genetics and Molecular Biology 9, 39. Young, A. (2019). Channeling
        Fisher. Quarterly Journal of Economics 134, 557–598. MacKinnon, J. G. & Webb, M. D. (2020). Randomization
        inference for difference-in-differences with few treated clusters. Journal of Econometrics 218, 435–450.
        Athey, S. & Imbens, G. W. (2022). Design-based analysis in difference-in-differences settings with staggered
        adoption. Journal of Econometrics 226, 62–79.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import normal_isf, normal_sf

__all__ = [
    "FIELD",
    "Randomised",
    "Ranked",
    "Slots",
    "assignments",
    "distinct",
    "field_of",
    "randomised",
    "rank",
    "slots_of",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Statistic = Callable[[Integers], Floats]
"""(D, U) orders → (D,) statistics; NaN where one does not exist."""

TIE: Final = 1e-9
"""Statistics closer than this, relative to own, are ties: the same sums in another order differ by about 1e-13."""

NUMBERS_AT_ONCE: Final = 1 << 22
"""Numbers in a block of draws, 32 MB: more of them at once are no faster."""

FIELD: Final = 7
"""Numbers of `field_of`."""


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """The own assignment as slots.

    Attributes:
        units: (U,) the unit in each slot.
        starts: (P,) the first slot of each block.
        stratum: (U,) of each slot, ascending.
    """

    units: Integers
    starts: Integers
    stratum: Integers

    @property
    def sizes(self) -> Integers:
        """(P,) slots of each block."""
        return np.diff(np.append(self.starts, len(self.units)))

    @property
    def block(self) -> Integers:
        """(U,) of each slot."""
        return np.repeat(np.arange(len(self.starts)), self.sizes)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Where own stands among ``compared`` assignments, itself one of them.

    Attributes:
        above, equal: assignments with a larger statistic, and with the same.
        extreme: assignments with a statistic at least as large in absolute value.
        uniform: breaks ties; strictly between 0 and 1.
    """

    above: int
    equal: int
    extreme: int
    compared: int
    uniform: float


@dataclass(frozen=True, slots=True)
class Randomised:
    """A randomisation test of one place or several.

    Attributes:
        p_value: two-sided; NaN where there is nothing to re-assign.
        smallest: the p-value if own were the most extreme assignment of every place, all to the same side; ties
            there count as half.
        compared: assignments, own included, over all places.
        few: places whose own p-value cannot reach the level that was asked for.
        places: their number.
    """

    p_value: float
    smallest: float
    compared: int
    few: int
    places: int


def slots_of(block: Integers, stratum: Integers) -> Slots:
    """Slots of (U,) ``block``, numbered from 0 without gaps, each within one (U,) ``stratum``.

    Blocks must be numbered stratum by stratum: then sorting by block sorts by stratum too.

    Raises:
        ValueError: a stratum's blocks do not stand beside each other.
    """
    units = np.argsort(block, kind="stable").astype(np.int64)
    if (np.diff(stratum[units]) < 0).any():
        raise ValueError("blocks are not numbered stratum by stratum")
    starts = np.searchsorted(block[units], np.arange(int(block.max(initial=-1)) + 1))
    return Slots(units, starts.astype(np.int64), stratum[units])


def distinct(slots: Slots, most: int) -> int:
    """Number of distinct assignments, or ``most`` + 1 if there are more."""
    number = 1
    for sizes in _blocks_by_stratum(slots):
        left = sum(sizes)
        for size in sizes:
            number *= math.comb(left, size)
            left -= size
        if number > most:
            return most + 1
    return number


def assignments(
    slots: Slots, number: int, random: np.random.Generator, numbers: int
) -> Iterator[Integers]:
    """(D, U) orders: every distinct assignment if there are at most ``number`` + 1, else own and ``number`` draws.

    Args:
        slots: own.
        number: of draws.
        random: advanced by the draws, and by nothing else.
        numbers: that a statistic holds in memory for each order; decides D.
    """
    at_once = max(1, NUMBERS_AT_ONCE // max(numbers, 1))
    if distinct(slots, number + 1) <= number + 1:
        every = _every(slots)
        while chunk := list(itertools.islice(every, at_once)):
            yield np.stack(chunk)
        return
    yield slots.units[None, :]
    for done in range(0, number, at_once):
        key = random.random((min(at_once, number - done), len(slots.units)))
        # sorted by stratum, in random order within it
        yield slots.units[np.argsort(key + slots.stratum, axis=1)]


def rank(
    slots: Slots, statistic: Statistic, number: int, random: np.random.Generator, numbers: int
) -> Ranked:
    """Compare own with all assignments, or with draws; arguments are those of `assignments`.

    An assignment without a statistic (NaN) counts as larger than any: a place in the order like another.
    """
    uniform = float(random.integers(1, 1 << 53)) / (1 << 53)
    (own,) = _ordered(statistic(slots.units[None, :]))
    near = TIE * max(1.0, abs(own)) if math.isfinite(own) else 0.0
    above = equal = extreme = compared = 0
    for orders in assignments(slots, number, random, numbers):
        found = _ordered(statistic(orders))
        larger = found > own + near
        above += int(larger.sum())
        equal += int((~larger & (found >= own - near)).sum())
        extreme += int((np.abs(found) >= abs(own) - near).sum())
        compared += len(found)
    return Ranked(above, equal, extreme, compared, uniform)


def field_of(ranked: Ranked, slots: Slots, level: float) -> Floats:
    """(7,) what a place sends; added over places it is what `randomised` needs.

    w·z, w², extreme, compared, w·z if own were the most extreme, 1 if ``level`` is out of reach, 1.
    """
    weight = sum(
        (sum(sizes) - sum(size**2 for size in sizes) / sum(sizes)) / 2
        for sizes in _blocks_by_stratum(slots)
    )
    root = math.sqrt(weight)
    v = (ranked.above + ranked.uniform * ranked.equal) / ranked.compared
    return np.array(
        [
            root * normal_isf(v) if root else 0.0,
            weight,
            ranked.extreme,
            ranked.compared,
            root * normal_isf(0.5 / ranked.compared),
            float(ranked.compared * (1.0 - level) < 1.0 - TIE),
            1.0,
        ]
    )


def randomised(total: Floats) -> Randomised:
    """The test from the sum of the places' `field_of`.

    One place: its count, exact and never too small. Several: weighted scores of ranks, exact.
    """
    score, weight, extreme, compared, best, few, places = (float(value) for value in total)
    if not weight > 0:
        return Randomised(math.nan, 1.0, round(compared), round(few), round(places))
    if places == 1:
        p_value, smallest = extreme / compared, 1.0 / compared
    else:
        p_value = 2 * normal_sf(abs(score) / math.sqrt(weight))
        smallest = min(1.0, 2 * normal_sf(best / math.sqrt(weight)))
    return Randomised(p_value, smallest, round(compared), round(few), round(places))


def _ordered(values: Floats) -> Floats:
    return np.where(np.isnan(values), np.inf, values)


def _blocks_by_stratum(slots: Slots) -> list[list[int]]:
    """Sizes of the blocks of each stratum."""
    ends = np.flatnonzero(np.diff(slots.stratum[slots.starts])) + 1
    return [[int(size) for size in sizes] for sizes in np.split(slots.sizes, ends)]


def _every(slots: Slots) -> Iterator[Integers]:
    """Each distinct assignment once: (U,) orders."""
    sizes = _blocks_by_stratum(slots)
    places = np.split(np.arange(len(slots.units)), np.cumsum([sum(one) for one in sizes])[:-1])
    # a stratum of one block has nothing to deal
    dealt = [(place, tuple(one)) for place, one in zip(places, sizes, strict=True) if len(one) > 1]
    moving = np.concatenate([place for place, _ in dealt]) if dealt else np.empty(0, dtype=np.int64)
    strata = tuple((tuple(slots.units[place].tolist()), one) for place, one in dealt)
    for chosen in _deal_each(strata):
        order = slots.units.copy()
        order[moving] = chosen
        yield order


def _deal_each(
    strata: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...],
) -> Iterator[tuple[int, ...]]:
    """Every way to deal the units of each stratum out to its own blocks; a list of all may be large."""
    if not strata:
        yield ()
        return
    for head in _deal(*strata[0]):
        for tail in _deal_each(strata[1:]):
            yield head + tail


def _deal(units: tuple[int, ...], sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every way to deal ``units`` out to blocks of these sizes; within a block their order is kept."""
    if len(sizes) <= 1:
        yield units
        return
    for chosen in itertools.combinations(range(len(units)), sizes[0]):
        inside = set(chosen)
        head = tuple(units[place] for place in chosen)
        rest = tuple(unit for place, unit in enumerate(units) if place not in inside)
        for tail in _deal(rest, sizes[1:]):
            yield head + tail
