"""Averages of group-time effects, as smooth functions of totals over units.

A target is a weighted set of cells. Its totals are sums over units: of treated outcomes A, of the outcomes
there would have been without treatment B, and of weights N. An average effect is (A − B)/N, a ratio of means
is A/B: both are homogeneous of degree zero in the totals, so that the covariance of an average, with the
influence of estimated cohort sizes, follows from the plain cross-products Σ uu' of the units' contributions u
(the functional delta method; Callaway & Sant'Anna 2021, corollary 2). Totals and cross-products are sums over
units and so over cities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.group_time import Blocks, Cells, Means, members_of

__all__ = [
    "Averages",
    "Scale",
    "Totals",
    "averages",
    "calendar_weights",
    "dynamic_weights",
    "group_weights",
    "simple_weights",
    "totals",
    "totals_of_units",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Scale = Literal["ratio", "count"]

ALONE: Final = 2**18
"""Multiplications up to which OpenBLAS computes a product on the calling thread (65,536 times its default
`GEMM_MULTITHREAD_THRESHOLD`, 4).

A city's totals are some dozens of small products. Shared among threads, each of them waits for the slowest thread:
beside other work that took 10 to 100 ms instead of 0.1 ms. With another BLAS the limit does no harm.
"""

FEWEST_UNITS: Final = 4
"""In one product, so that very many targets do not make it a loop over units."""


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """Totals of K targets.

    Attributes:
        values: (3, K) treated outcomes, outcomes without treatment, and weights.
        cross: (3, K, 3, K) Σ over units of the products of their contributions.
    """

    values: Floats
    cross: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Averages:
    """An overall average and those it is made of.

    Attributes:
        effect: (1 + K,) overall first; NaN for a target without cells or, as a ratio, without outcomes.
        covariance: (1 + K, 1 + K).
    """

    effect: Floats
    covariance: Floats


def simple_weights(cells: Cells) -> Floats:
    """(J, 1): every treated unit-period alike."""
    return cells.post.astype(np.float64)[:, None]


def dynamic_weights(cells: Cells, event_times: Integers) -> Floats:
    """(J, K): one target for each event time, cohorts by their units."""
    found: Floats = (cells.event_time[:, None] == event_times).astype(np.float64)
    return found


def calendar_weights(cells: Cells, periods: Integers) -> Floats:
    """(J, K): one target for each treated calendar period, cohorts by their units."""
    found: Floats = (cells.post[:, None] & (cells.period[:, None] == periods)).astype(np.float64)
    return found


def group_weights(cells: Cells) -> tuple[Integers, Floats]:
    """(C, 2) cohorts with a treated period, and (J, C) weights: within a cohort its periods count alike.

    The sum over cohorts is the target whose average weighs each cohort by its units.
    """
    keys = np.stack([cells.first, cells.start])
    cohorts = np.unique(keys[:, cells.post], axis=1).T
    own = (keys[:, :, None] == cohorts.T[:, None, :]).all(axis=0) & cells.post[:, None]
    return cohorts, own / np.maximum(own.sum(axis=0), 1)


def totals(blocks: Blocks, cells: Cells, weights: Floats) -> Totals:
    """Totals of K targets from (J, K) weights, without looking at units."""
    size = 3 * weights.shape[1]
    values, cross = np.zeros(size), np.zeros((size, size))
    for one, rows, linear, constant in _contributions(blocks, cells, weights):
        at = rows[:, None], rows
        centre = linear @ blocks.mean[one] + constant
        values[rows] += blocks.units[one] * centre
        cross[at] += blocks.units[one] * np.outer(centre, centre)
        cross[at] += linear @ blocks.scatter[one] @ linear.T
    return _totals(values, cross)


def totals_of_units(
    y: Floats, blocks: Means, block: Integers, cells: Cells, weights: Floats
) -> Totals:
    """`totals` from the units themselves, which saves the scatter: far less work for few targets.

    Args:
        y: (U, T) outcomes, 0 where not observed.
        blocks: the units' blocks.
        block: (U,) which of them each unit is in.
        cells: the comparisons.
        weights: (J, K) of the cells in the targets.
    """
    size = 3 * weights.shape[1]
    values, cross = np.zeros(size), np.zeros((size, size))
    members = members_of(block, len(blocks.units))
    for one, rows, linear, constant in _contributions(blocks, cells, weights):
        step = max(ALONE // linear.size, FEWEST_UNITS)
        products = np.zeros((len(rows), len(rows)))
        for start in range(0, len(members[one]), step):
            units = y[members[one][start : start + step]] @ linear.T + constant
            values[rows] += units.sum(axis=0)
            products += units.T @ units
        cross[rows[:, None], rows] += products
    return _totals(values, cross)


def _totals(values: Floats, cross: Floats) -> Totals:
    targets = len(values) // 3
    return Totals(values.reshape(3, targets), cross.reshape(3, targets, 3, targets))


def _contributions(
    blocks: Means, cells: Cells, weights: Floats
) -> Iterator[tuple[int, Integers, Floats, Floats]]:
    """What a unit of each block adds to the 3K totals: ``linear`` · y + ``constant`` in r ``rows`` of them, else 0.

    Yields the block, (r,) rows, (r, T) linear and (r,) constant, for blocks that add anything.
    """
    targets, columns = weights.shape[1], blocks.mean.shape[1] + 1  # the last one is the constant
    cell, target = np.nonzero(weights)
    weight = weights[cell, target]
    on_control = weight * (cells.treated_units / cells.control_units)[cell]
    drift = _drift(blocks, cells)[cell]
    treated, without, counted = ((kind * targets + target) * columns for kind in range(3))
    period, base, last = cells.period[cell], cells.base[cell], columns - 1
    t, t_block = np.nonzero(cells.treated[cell])
    c, c_block = np.nonzero(cells.control[cell])
    entries = (
        (t_block, (treated + period)[t], weight[t]),
        (t_block, (without + base)[t], weight[t]),
        (t_block, (without + last)[t], (weight * drift)[t]),
        (t_block, (counted + last)[t], weight[t]),
        (c_block, (without + period)[c], on_control[c]),
        (c_block, (without + base)[c], -on_control[c]),
        (c_block, (without + last)[c], -(on_control * drift)[c]),
    )
    block, place, value = (np.concatenate(one) for one in zip(*entries, strict=True))
    order = np.argsort(block, kind="stable")
    bounds = np.searchsorted(block[order], np.arange(len(blocks.units) + 1))
    place, value = place[order], value[order]
    for one in np.flatnonzero(np.diff(bounds)):
        own = slice(bounds[one], bounds[one + 1])
        summed = np.bincount(place[own], value[own], 3 * targets * columns)
        added = np.asarray(summed, dtype=np.float64).reshape(3 * targets, columns)
        rows = np.flatnonzero(added.any(axis=1))
        if len(rows):
            yield int(one), rows, added[rows, :-1], added[rows, -1]


def _drift(blocks: Means, cells: Cells) -> Floats:
    """(J,) mean change of each cell's controls."""
    some = np.flatnonzero(cells.control.any(axis=0))
    mean = np.ascontiguousarray(blocks.mean[some].T)
    change = mean[cells.period] - mean[cells.base]
    found: Floats = (cells.control[:, some] * blocks.units[some] * change).sum(axis=1)
    return found / cells.control_units


def averages(found: Totals, overall: NDArray[np.bool_], scale: Scale) -> Averages:
    """Effects of K targets, and overall of those marked in ``overall`` (K,), each of them counting alike.

    On the ratio scale the overall effect is ln(mean of A/N ÷ mean of B/N). Marked targets without any cell
    are left out of the mean.
    """
    treated, without, weight = found.values
    targets = len(weight)
    marked = overall & (weight > 0)
    gradient = np.zeros((1 + targets, 3, targets))
    effect = np.full(1 + targets, np.nan)
    own = np.arange(targets)
    with np.errstate(divide="ignore", invalid="ignore"):
        if scale == "ratio":
            effect[1:] = _log_ratio(treated, without, weight)
            gradient[1 + own, 0, own] = 1 / treated
            gradient[1 + own, 1, own] = -1 / without
        else:
            effect[1:] = (treated - without) / weight
            gradient[1 + own, 0, own] = 1 / weight
            gradient[1 + own, 1, own] = -1 / weight
            gradient[1 + own, 2, own] = -(treated - without) / weight**2
    gradient[~np.isfinite(effect)] = 0.0
    if marked.any():
        _overall(found.values, marked, scale, effect, gradient)
    covariance = np.einsum("akb,kblm,clm->ac", gradient, found.cross, gradient, optimize=True)
    missing = ~np.isfinite(effect)
    covariance[missing] = np.nan
    covariance[:, missing] = np.nan
    return Averages(effect, covariance)


def _overall(
    values: Floats, marked: NDArray[np.bool_], scale: Scale, effect: Floats, gradient: Floats
) -> None:
    """Write the overall effect and its gradient into their first rows."""
    treated, without, weight = values[:, marked]
    mean_t, mean_w = float((treated / weight).mean()), float((without / weight).mean())
    if scale == "ratio" and min(mean_t, mean_w) <= 0:
        return
    by_t, by_w = (1 / mean_t, -1 / mean_w) if scale == "ratio" else (1.0, -1.0)
    effect[0] = np.log(mean_t / mean_w) if scale == "ratio" else mean_t - mean_w
    shares = 1 / (weight * len(weight))
    gradient[0, 0, marked] = by_t * shares
    gradient[0, 1, marked] = by_w * shares
    gradient[0, 2, marked] = -(by_t * treated + by_w * without) * shares / weight


def _log_ratio(treated: Floats, without: Floats, weight: Floats) -> Floats:
    defined = (weight > 0) & (treated > 0) & (without > 0)
    ratio = np.where(defined, treated, 1.0) / np.where(defined, without, 1.0)
    return np.where(defined, np.log(ratio), np.nan)
