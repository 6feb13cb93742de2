"""Poisson pseudo-maximum likelihood with two sets of fixed effects, profiled out inside one city.

The model is E[y_it] = w_it · exp(α_i + γ_t + β_k(i,t)), w the exposure and k(i, t) the cell's column, if it has
one (Gong & Samaniego 1981 on pseudo-likelihood; Correia, Guimarães & Zylkin 2020 on the two-way case). For a
given β the unit effects α and period effects γ have closed-form alternating updates, which is iterative
proportional fitting (Deming & Stephan 1940): only totals over units and over periods are matched. What remains
is the profile score and information in β (Murphy & van der Vaart 2000), which are sums over units and
therefore over cities.

Units of a group (`two_way`) have proportional fitted counts, μ_it = y_i· q_gt, so a group is fitted as if it
were one unit with all its incidents, and everything but the unit scores follows from its totals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from evalkit.numerics.two_way import (
    Groups,
    group_units,
    project,
    score_units,
    sum_columns,
    sum_groups,
    units_by_column,
)

__all__ = ["MAX_SWEEPS", "SWEEP_TOLERANCE", "Profile", "fit_margins", "profile", "unit_scores"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SWEEP_TOLERANCE: Final = 1e-14
"""Largest relative miss of any unit or period total: a few units in the last place of a double."""

MAX_SWEEPS: Final = 20_000
"""Two-way margins settle in under a hundred sweeps; only a nearly disconnected panel needs thousands."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Profile statistics of one city at β, K coefficients, G informative units (the clusters).

    Attributes:
        score: (K,) Σ x̃(y − μ).
        information: (K, K) Σ μ x̃x̃'.
        deviance: 2 Σ [y ln(y/μ) − (y − μ)].
        columns: (3, K) exposure, incidents and units of each column, as far as they enter the fit.
        clusters: G, units with at least one incident in a usable cell.
        observations: usable cells of informative units in informative periods.
        periods: informative periods (their effects are estimated).
        dropped_units: units without any incident; they carry no information on β.
        informative: (U,) which units those G are.
        kept: (T,) which periods.
        groups, fitted, period: what `unit_scores` needs: the groups of the G units, (groups, periods) fitted
            totals, (K, periods) each indicator's period effects.
    """

    score: Floats
    information: Floats
    deviance: float
    columns: Floats
    clusters: int
    observations: int
    periods: int
    dropped_units: int
    informative: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    groups: Groups
    fitted: Floats
    period: Floats


def profile(y: Floats, exposure: Floats, column: Ints, beta: Floats) -> Profile:
    """Profile one city's fixed effects out at ``beta``.

    Args:
        y: (U, T) counts, zero where a cell is not used.
        exposure: (U, T), zero where a cell is not used.
        column: (U, T) which coefficient a cell has, −1 for none.
        beta: (K,) coefficients.

    Raises:
        ArithmeticError: the fixed effects do not settle (a panel that falls apart into pieces).
    """
    totals = y.sum(axis=1)
    informative = totals > 0
    if not informative.all():
        y, exposure, column = y[informative], exposure[informative], column[informative]
    totals = totals[informative]
    groups = group_units(exposure, column)
    observed = sum_groups(y, groups)
    kept = observed.sum(axis=0) > 0
    observed = observed[:, kept]
    groups = groups.in_periods(kept)
    size = len(beta)
    rate = np.exp(np.append(beta, 0.0))
    fitted = fit_margins(observed, groups.exposure * rate[groups.column])
    projection = project(fitted, groups.column, size)
    miss = observed - fitted
    units = groups.sizes[:, None]
    share = fitted / fitted.sum(axis=1, keepdims=True)
    log_share = np.log(share, where=observed > 0, out=np.zeros_like(share))
    logs = xlogy(y, y).sum() - xlogy(totals, totals).sum() - (observed * log_share).sum()
    return Profile(
        score=sum_columns(miss, groups.column, size) - projection.period @ miss.sum(axis=0),
        information=projection.information,
        deviance=float(2 * (logs - miss.sum())),
        columns=np.stack(
            [
                sum_columns(units * groups.exposure, groups.column, size),
                sum_columns(observed, groups.column, size),
                units_by_column(groups, size),
            ]
        ),
        clusters=len(totals),
        observations=int((units * (groups.exposure > 0)).sum()),
        periods=int(kept.sum()),
        dropped_units=int((~informative).sum()),
        informative=informative,
        kept=kept,
        groups=groups,
        fitted=fitted,
        period=projection.period,
    )


def unit_scores(y: Floats, fit: Profile) -> Floats:
    """(G, K) u_i = Σ_t x̃_it(y_it − μ_it) of the informative units of (U, T) ``y``, in their order."""
    counts = y[np.ix_(fit.informative, fit.kept)]
    shares = fit.fitted / fit.fitted.sum(axis=1, keepdims=True)
    residual = counts - counts.sum(axis=1, keepdims=True) * shares[fit.groups.label]
    return score_units(residual, fit.groups, fit.period)


def fit_margins(y: Floats, start: Floats) -> Floats:
    """Scale ``start`` (U, T) by unit and period effects until its totals are those of ``y`` (U, T).

    Every unit and period must have an incident. Converges to the Poisson fit of the two sets of effects.
    """
    rows, columns = y.sum(axis=1), y.sum(axis=0)
    unit = np.ones_like(rows)
    period = columns / start.sum(axis=0)
    miss = math.inf
    for _ in range(MAX_SWEEPS):
        unit = rows / (start @ period)
        fitted = unit @ start
        miss = float(np.abs(fitted * period / columns - 1).max())
        period = columns / fitted
        if miss < SWEEP_TOLERANCE:
            break
    else:
        if miss > SWEEP_TOLERANCE * 1e4:
            raise ArithmeticError("unit and period effects did not settle")
    scaled: Floats = start * unit[:, None] * period[None, :]
    return scaled
