"""Group-time average treatment effects without covariates, from moments of blocks of units.

Callaway & Sant'Anna (2021). ATT(g, t) compares the change of cohort g from its base period to t with that of
controls; every effect is a linear function of block means, and every influence function a linear function of
one unit's outcomes. A block's number, mean and scatter of outcomes are therefore enough for all effects with
their exact covariance, and blocks of several cities can be put beside each other. Effects alone, and totals of
units that are at hand (`group_time_totals.totals_of_units`), need no scatter.

Vocabulary
    block   units that share the cohort and the periods in which they are observed.
    cohort  (first, start): ``first`` is the first period that is not wholly without treatment, ``start`` the
            first one wholly with it; they differ by the transition, in which nothing is observed.
    cell    one effect: a cohort, a period, and the base period it is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NEVER",
    "BasePeriod",
    "Blocks",
    "Cells",
    "ControlGroup",
    "GroupTime",
    "att",
    "blocks_of",
    "cells_of",
    "effects",
    "pool",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
ControlGroup = Literal["never", "not_yet"]
BasePeriod = Literal["varying", "universal"]

NEVER: Final = -1
"""``first`` and ``start`` of a unit that is never treated."""


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """P blocks of units over T periods: who they are, and their mean outcome.

    Attributes:
        units: (P,) number of units.
        mean: (P, T) mean outcome, 0 where not observed.
        observed: (P, T).
        first, start: (P,) the cohort, `NEVER` for controls.
    """

    units: Floats
    mean: Floats
    observed: Booleans
    first: Integers
    start: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Blocks(Means):
    """`Means` with second moments.

    Attributes:
        scatter: (P, T, T) Σ (y − mean)(y − mean)' over units.
    """

    scatter: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """J effects that have treated units and controls, both observed in two periods.

    Attributes:
        first, start: (J,) the cohort.
        period, base: (J,) effect in ``period``, compared with ``base``.
        event_time: (J,) ``period`` − ``start`` after treatment, ``period`` − ``first`` before.
        post: (J,) whether the period is a treated one.
        treated, control: (J, P) the blocks on each side.
        treated_units, control_units: (J,) their units.
        without_control: cells left out because no control is observed in both periods.
    """

    first: Integers
    start: Integers
    period: Integers
    base: Integers
    event_time: Integers
    post: Booleans
    treated: Booleans
    control: Booleans
    treated_units: Floats
    control_units: Floats
    without_control: int


@dataclass(frozen=True, slots=True, eq=False)
class GroupTime:
    """ATT(g, t) of J cells.

    Attributes:
        effect: (J,).
        covariance: (J, J), clustered by unit; NaN where either side of a cell is one unit.
    """

    effect: Floats
    covariance: Floats


def means_of(
    y: Floats, observed: Booleans, first: Integers, start: Integers
) -> tuple[Means, Integers]:
    """The blocks of U units with their means, and the (U,) block of each unit.

    Args:
        y: (U, T) outcomes; not looked at where not observed.
        observed: (U, T).
        first: (U,) first period of the cohort's transition, `NEVER` for controls.
        start: (U,) its first treated period, `NEVER` for controls.
    """
    index, block = _distinct(first, start, observed)
    members = members_of(block, len(index))
    mean = np.zeros((len(index), y.shape[1]))
    for one, rows in enumerate(members):
        mean[one] = _inside(y, rows, observed[index[one]]).mean(axis=0)
    units = np.array([len(rows) for rows in members], dtype=np.float64)
    return Means(units, mean, observed[index], first[index], start[index]), block


def blocks_of(
    y: Floats, observed: Booleans, first: Integers, start: Integers
) -> tuple[Blocks, Integers]:
    """`means_of` with scatters, one matrix product a block."""
    means, block = means_of(y, observed, first, start)
    scatter = np.zeros((*means.mean.shape, y.shape[1]))
    for one, rows in enumerate(members_of(block, len(means.units))):
        off = _inside(y, rows, means.observed[one])
        off -= means.mean[one]
        scatter[one] = off.T @ off
    return (
        Blocks(means.units, means.mean, means.observed, means.first, means.start, scatter),
        block,
    )


def members_of(block: Integers, blocks: int) -> list[Integers]:
    """The units of each of the blocks, in ascending order; ``block`` (U,) says which one each is in."""
    order = np.argsort(block, kind="stable")
    bounds = np.searchsorted(block[order], np.arange(blocks + 1))
    return [order[bounds[one] : bounds[one + 1]] for one in range(blocks)]


def pool(places: tuple[Blocks, ...]) -> Blocks:
    """Blocks of several places as one set; blocks of the same cohort and periods become one block.

    Means and scatters are combined as Chan, Golub & LeVeque (1983) do: the result is that of all units
    together, up to rounding.
    """
    units, mean, scatter, observed, first, start = (
        np.concatenate([getattr(one, name) for one in places])
        for name in ("units", "mean", "scatter", "observed", "first", "start")
    )
    index, block = _distinct(first, start, observed)
    total = np.zeros(len(index))
    np.add.at(total, block, units)
    pooled = np.zeros((len(index), mean.shape[1]))
    np.add.at(pooled, block, units[:, None] * mean)
    pooled /= total[:, None]
    off = mean - pooled[block]
    products = np.zeros((len(index), *scatter.shape[1:]))
    np.add.at(products, block, scatter + units[:, None, None] * off[:, :, None] * off[:, None, :])
    return Blocks(total, pooled, observed[index], first[index], start[index], products)


def cells_of(blocks: Means, control_group: ControlGroup, base_period: BasePeriod) -> Cells:
    """Every cell of every cohort, in the order of cohorts and periods.

    After treatment the base is the cohort's last observed period before ``first``. Before it, with a
    ``varying`` base, it is the observed period before, so that the effect is a one-period change; with a
    ``universal`` one it is the same as after, and the base itself, which is 0 by construction, has no cell.
    """
    ever = blocks.first != NEVER
    cohorts, cohort = np.unique(
        np.stack([blocks.first[ever], blocks.start[ever]]), axis=1, return_inverse=True
    )
    own = np.zeros((cohorts.shape[1], len(ever)), dtype=bool)
    own[cohort.ravel(), np.flatnonzero(ever)] = True
    found = [
        _comparisons(blocks.observed[blocks_of_it].any(axis=0), int(first), int(start), base_period)
        for blocks_of_it, first, start in zip(own, *cohorts, strict=True)
    ]
    lengths = np.array([pairs.shape[1] for pairs in found], dtype=np.int64)
    row = np.repeat(np.arange(len(own)), lengths)
    first, start = cohorts[:, row]
    period, base = np.concatenate([np.empty((2, 0), dtype=np.int64), *found], axis=1)
    by_period = np.ascontiguousarray(blocks.observed.T)
    both = by_period[period] & by_period[base]
    untreated = np.broadcast_to(~ever, both.shape)
    if control_group == "not_yet":
        untreated = untreated | (blocks.first > np.maximum(period, base)[:, None])
    treated, control = both & own[row], both & untreated & ~own[row]
    treated_units, control_units = _units(treated, blocks), _units(control, blocks)
    keep = (treated_units > 0) & (control_units > 0)
    post = period >= start
    return Cells(
        first=first[keep],
        start=start[keep],
        period=period[keep],
        base=base[keep],
        event_time=np.where(post, period - start, period - first)[keep],
        post=post[keep],
        treated=treated[keep],
        control=control[keep],
        treated_units=treated_units[keep],
        control_units=control_units[keep],
        without_control=int(((treated_units > 0) & (control_units == 0)).sum()),
    )


def att(blocks: Blocks, cells: Cells) -> GroupTime:
    """ATT(g, t) of all cells with their covariance (Callaway & Sant'Anna 2021, eq. 2.4 and theorem 2).

    A unit's influence on a cell is its change minus the mean change of its side, over the number of units
    of that side; the covariance is the sum of its cross-products, as R's ``did`` has it, without a
    small-sample factor.
    """
    change, mean_t, mean_c = _changes(blocks, cells)
    weight = cells.treated / cells.treated_units[:, None]
    weight = weight - cells.control / cells.control_units[:, None]
    off = change - np.where(cells.treated, mean_t[:, None], mean_c[:, None])
    size = len(mean_t)
    covariance = np.zeros((size, size))
    for one in range(len(blocks.units)):
        used = np.flatnonzero(weight[:, one])
        if not len(used):
            continue
        period, base = cells.period[used], cells.base[used]
        rows = blocks.scatter[one][period] - blocks.scatter[one][base]
        inner = rows[:, period] - rows[:, base]
        inner += blocks.units[one] * np.outer(off[used, one], off[used, one])
        covariance[np.ix_(used, used)] += inner * np.outer(weight[used, one], weight[used, one])
    lone = np.minimum(cells.treated_units, cells.control_units) < 2
    covariance[lone] = np.nan
    covariance[:, lone] = np.nan
    return GroupTime(mean_t - mean_c, covariance)


def effects(blocks: Blocks, cells: Cells) -> Floats:
    """(J,) ATT(g, t) of all cells as `att` has them, without their covariance."""
    _, treated, control = _changes(blocks, cells)
    return treated - control


def _changes(blocks: Blocks, cells: Cells) -> tuple[Floats, Floats, Floats]:
    """(J, P) change of every block from base to period, and (J,) its means over treated units and over controls."""
    change = blocks.mean.T[cells.period] - blocks.mean.T[cells.base]
    side_t = cells.treated * blocks.units / cells.treated_units[:, None]
    side_c = cells.control * blocks.units / cells.control_units[:, None]
    return change, (side_t * change).sum(axis=1), (side_c * change).sum(axis=1)


def _inside(y: Floats, rows: Integers, observed: Booleans) -> Floats:
    """(n, T) copy of the rows, 0 in the periods that are not observed."""
    inside = y[rows]
    if not observed.all():
        inside[:, ~observed] = 0.0
    return inside


def _comparisons(observed: Booleans, first: int, start: int, base_period: BasePeriod) -> Integers:
    """(2, j) period and base of the cells of one cohort, observed in the (T,) periods marked."""
    seen = np.flatnonzero(observed)
    before, after = seen[seen < first], seen[seen >= start]
    if not len(before):
        return np.empty((2, 0), dtype=np.int64)
    if base_period == "varying":
        early, early_base = before[1:], before[:-1]
    else:
        early, early_base = before[:-1], np.full(len(before) - 1, before[-1])
    period = np.concatenate([early, after])
    base = np.concatenate([early_base, np.full(len(after), before[-1])])
    return np.stack([period, base])


def _units(inside: Booleans, blocks: Means) -> Floats:
    """(J,) units in the (J, P) blocks marked; without BLAS, whose threads cost more than so small a product."""
    found: Floats = (inside * blocks.units).sum(axis=1)
    return found


def _distinct(first: Integers, start: Integers, observed: Booleans) -> tuple[Integers, Integers]:
    """Where each distinct block first appears, (P,), and which one each row belongs to, (U,)."""
    key = np.column_stack([_as_bytes(first), _as_bytes(start), np.packbits(observed, axis=1)])
    _, index, block = np.unique(
        np.ascontiguousarray(key).view(f"V{key.shape[1]}").ravel(),
        return_index=True,
        return_inverse=True,
    )
    return index.astype(np.int64), block.astype(np.int64).ravel()


def _as_bytes(numbers: Integers) -> NDArray[np.uint8]:
    """(U, 8) big-endian bytes, which sort like the numbers, `NEVER` last."""
    return numbers.astype(">i8").view(np.uint8).reshape(-1, 8)
