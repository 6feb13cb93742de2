"""Weighted least squares with two sets of fixed effects, profiled out inside one city.

The model is y_it / w_it = α_i + γ_t + β_k(i,t) + e_it with weights w, the exposure, and k(i, t) the cell's
column, if it has one: counts per exposure, and ordinary differences of them. By Frisch, Waugh and Lovell, with x̃
for an indicator residualised on both sets of effects, Σ w x̃x̃' and Σ x̃y are all that β needs, and they are sums
over cities; given β a city computes its own residuals and their unit scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.two_way import (
    Groups,
    Projection,
    group_units,
    project,
    score_units,
    solve_periods,
    sum_columns,
    sum_groups,
    units_by_column,
)

__all__ = ["Gram", "gram", "score_residuals"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """Cross-products of one city, K coefficients.

    Attributes:
        information: (K, K) Σ w x̃x̃'.
        right: (K,) Σ x̃y.
        columns: (3, K) exposure, incidents (sums of y) and units of each column.
        clusters: units with a usable cell.
        observations: usable cells.
        periods: periods with a usable cell.
        observed, kept: (U,) which units, (T,) which periods these are.
        groups, projection: of those units in those periods.
        outcome: (groups, periods) sums of y.
    """

    information: Floats
    right: Floats
    columns: Floats
    clusters: int
    observations: int
    periods: int
    observed: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    groups: Groups
    projection: Projection
    outcome: Floats


def gram(y: Floats, exposure: Floats, column: Ints, size: int) -> Gram:
    """Residualise ``size`` indicators and cross them with one another and with the outcome.

    Args:
        y: (U, T) outcome times exposure (counts), zero where a cell is not used.
        exposure: (U, T) weights, zero where a cell is not used.
        column: (U, T) which coefficient a cell has, −1 for none.
        size: K.
    """
    used = exposure > 0
    observed, kept = np.asarray(used.any(axis=1)), np.asarray(used.any(axis=0))
    cells = np.ix_(observed, kept)
    y, exposure, column = y[cells], exposure[cells], column[cells]
    groups = group_units(exposure, column)
    outcome = sum_groups(y, groups)
    weights = groups.sizes[:, None] * groups.exposure
    projection = project(weights, groups.column, size)
    by_unit = weights * (outcome.sum(axis=1) / weights.sum(axis=1))[:, None]
    reduced = outcome - by_unit
    return Gram(
        information=projection.information,
        right=sum_columns(reduced, groups.column, size) - projection.period @ reduced.sum(axis=0),
        columns=np.stack(
            [
                sum_columns(weights, groups.column, size),
                sum_columns(outcome, groups.column, size),
                units_by_column(groups, size),
            ]
        ),
        clusters=len(y),
        observations=int((groups.sizes[:, None] * (groups.exposure > 0)).sum()),
        periods=int(kept.sum()),
        observed=observed,
        kept=kept,
        groups=groups,
        projection=projection,
        outcome=outcome,
    )


def score_residuals(y: Floats, beta: Floats, fit: Gram) -> Floats:
    """(units, K) u_i = Σ_t w_it x̃_it e_it at ``beta``, for the observed units of (U, T) ``y``, in their order."""
    y = y[np.ix_(fit.observed, fit.kept)]
    groups = fit.groups
    exposure = groups.exposure
    weights = groups.sizes[:, None] * exposure
    effect = exposure * np.append(beta, 0.0)[groups.column]
    rest = fit.outcome - groups.sizes[:, None] * effect
    means = rest.sum(axis=1) / weights.sum(axis=1)
    right = (rest - weights * means[:, None]).sum(axis=0)
    period = solve_periods(fit.projection.gram, right[:, None])[:, 0]
    fitted = effect + exposure * period
    residual = y - fitted[groups.label]
    residual -= (residual.sum(axis=1) / exposure.sum(axis=1)[groups.label])[:, None] * exposure[
        groups.label
    ]
    return score_units(residual, groups, fit.projection.period)
