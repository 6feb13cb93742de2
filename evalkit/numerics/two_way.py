"""Two-way weighted projections of exclusive indicators, for groups of units that share their design.

Vocabulary
    group    units with the same exposure and the same columns in every period. Whatever is summed over units
             needs their totals only, so arrays are (groups, periods) and not (units, periods): exact, and
             smaller by the number of units a cohort has. Units that share nothing are groups of one.
    column   the one indicator that is 1 in a cell, or −1 for none; K indicators are never laid out densely.
    weights  (G, T) sums over the units of a group: fitted counts for a Poisson model, exposure for least squares.

Projecting on unit and period effects eliminates the units first (a diagonal matrix), which leaves one equation
a period. Inside a group all units have the same weighted mean of an indicator, hence the same residual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

__all__ = [
    "Groups",
    "Projection",
    "group_units",
    "project",
    "score_units",
    "solve_periods",
    "sum_columns",
    "sum_groups",
    "units_by_column",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Units of one city by shared design.

    Attributes:
        label: (U,) the group of each unit.
        order: (U,) units sorted by group.
        starts: (G,) where each group begins in ``order``.
        exposure: (G, T) of each of its units.
        column: (G, T).
    """

    label: Ints
    order: Ints
    starts: Ints
    exposure: Floats
    column: Ints

    @property
    def sizes(self) -> Ints:
        """(G,) units in each group."""
        return np.diff(np.append(self.starts, len(self.order)))

    def in_periods(self, kept: NDArray[np.bool_]) -> Groups:
        """The same groups in some of the periods."""
        return replace(self, exposure=self.exposure[:, kept], column=self.column[:, kept])


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """Indicators residualised on unit and period effects.

    Attributes:
        information: (K, K) weighted cross-products of the residuals.
        period: (K, T) each indicator's period effects; the first is zero, as their level is free.
        gram: (T, T) of the period indicators, units eliminated.
    """

    information: Floats
    period: Floats
    gram: Floats


def group_units(exposure: Floats, column: Ints) -> Groups:
    """Find the groups of (U, T) ``exposure`` and ``column``; the order of units does not matter."""
    keys = np.hstack([exposure.view(np.uint8), column.astype(np.int32).view(np.uint8)])
    numbers: dict[bytes, int] = {}
    label = np.array(
        [numbers.setdefault(row.tobytes(), len(numbers)) for row in keys], dtype=np.int64
    )
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(len(numbers)))
    first = order[starts]
    return Groups(label, order, starts, exposure[first], column[first])


def sum_groups(values: Floats, groups: Groups) -> Floats:
    """(G, …) sums of (U, …) ``values`` over the units of each group."""
    return np.asarray(np.add.reduceat(values[groups.order], groups.starts, axis=0))


def sum_columns(values: Floats, column: Ints, size: int) -> Floats:
    """(K,) sums of ``values`` over the cells of each column."""
    flat = np.bincount(column.ravel() + 1, values.ravel(), minlength=size + 1)
    return flat[1:].astype(np.float64)


def units_by_column(groups: Groups, size: int) -> Floats:
    """(K,) units that have a cell in each column."""
    has = np.zeros((len(groups.starts), size + 1), dtype=bool)
    np.put_along_axis(has, groups.column + 1, values=True, axis=1)
    counted: Floats = groups.sizes.astype(np.float64) @ has[:, 1:]
    return counted


def project(weights: Floats, column: Ints, size: int) -> Projection:
    """Project the ``size`` indicators of (G, T) ``column`` on unit and period effects.

    Every group and every period must have a positive total weight.
    """
    groups, periods = weights.shape
    totals = weights.sum(axis=1)
    shares = weights / totals[:, None]
    by_group = _sums(np.arange(groups)[:, None], weights, column, groups, size)
    by_period = _sums(np.arange(periods)[None, :], weights, column, periods, size)
    gram = np.diag(weights.sum(axis=0)) - shares.T @ weights
    right = by_period - shares.T @ by_group
    period = solve_periods(gram, right)
    own = np.diag(by_group.sum(axis=0)) - (by_group / totals[:, None]).T @ by_group
    information = own - right.T @ period
    return Projection((information + information.T) / 2, period.T, gram)


def solve_periods(gram: Floats, right: Floats) -> Floats:
    """Period effects (T, K) for (T, K) ``right``, the first fixed at zero.

    A panel in disconnected pieces has one free level per piece, and any of them will do.
    """
    solved = np.zeros_like(right)
    if len(right) > 1:
        try:
            solved[1:] = cho_solve(cho_factor(gram[1:, 1:]), right[1:])
        except LinAlgError:
            solved[1:] = np.linalg.lstsq(gram[1:, 1:], right[1:], rcond=None)[0]
    return solved


def score_units(residual: Floats, groups: Groups, period: Floats) -> Floats:
    """(U, K) Σ_t x̃_it r_it for (U, T) ``residual`` r whose rows sum to zero.

    The part of x̃ that is constant over a unit's periods then vanishes; what is left are the indicators less
    their (K, T) ``period`` effects, the same for all units of a group.
    """
    scores = np.empty((len(residual), len(period)))
    ends = groups.starts + groups.sizes
    for column, start, end in zip(groups.column, groups.starts, ends, strict=True):
        indicators = -period.T
        has = np.flatnonzero(column >= 0)
        indicators[has, column[has]] += 1
        members = groups.order[start:end]
        scores[members] = residual[members] @ indicators
    return scores


def _sums(place: Ints, weights: Floats, column: Ints, rows: int, size: int) -> Floats:
    """(rows, K) sums of weights by ``place`` (a group's or a period's number) and column."""
    cell = place * (size + 1) + column + 1
    flat = np.bincount(cell.ravel(), weights.ravel(), minlength=rows * (size + 1))
    return flat.reshape(rows, size + 1)[:, 1:].astype(np.float64)
