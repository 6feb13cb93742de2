"""Incident totals of every cohort and period, from one score and one information matrix.

With unit and period effects profiled out, the fitted counts of cohort g in period t are w_gt · exp(a_g + c_t + x'β): w
and x are public, β was asked by the server. The information is a function of these numbers alone, so that a server
looks for the a and c whose information is the one it was sent, by nonlinear least squares. Fitted totals are the true
ones in every cohort and every period: that is how the effects are estimated. An event-time design sends more entries
than there are unknowns; a static one sends two numbers, and the guess then stays near what is expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design
from evalkit.core.event_design import Grid, columns_of
from evalkit.numerics.two_way import Groups, group_units, project, sum_columns

__all__ = [
    "MOST_UNKNOWNS",
    "CohortTotals",
    "cohort_totals",
    "linear_cohort_totals",
    "totals_of_groups",
]

Floats = NDArray[np.float64]

RANK_TOLERANCE: Final = 1e-9
MOST_UNKNOWNS: Final = 150
"""Cohorts and periods together. Twice as many take eight times as long; the attack is the same."""

MOST_STEPS: Final = 200
FEW_STEPS: Final = 20
"""Where there are fewer numbers than unknowns: any of many solutions will do, and none is right."""

TINY: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class CohortTotals:
    """Guessed incidents of G groups of units that share their design.

    Attributes:
        groups: which units they are.
        totals: (G,) incidents in all periods used.
        rank: how many of the unknowns the released numbers decide.
        unknowns: effects of groups and periods.
    """

    groups: Groups
    totals: Floats
    rank: int
    unknowns: int


def cohort_totals(
    public: Design, grid: Grid, beta: Floats, score: Floats, information: Floats, columns: Floats
) -> CohortTotals | None:
    """Every group's total from what `poisson_did` sends in any of its rounds.

    Args:
        public: the city's design, without incidents.
        grid: the study's K coefficients.
        beta: (K,) asked.
        score: (K,).
        information: (K, K).
        columns: (3, K) exposure, incidents and units of each coefficient.

    Returns:
        None where there are more than `MOST_UNKNOWNS`.
    """
    from scipy.optimize import least_squares

    column = columns_of(public, grid)
    used = (public.exposure > 0).any(axis=1)
    groups = group_units(public.exposure[used], column[used])
    size, (cohorts, periods) = grid.size, groups.exposure.shape
    if cohorts + periods - 1 > MOST_UNKNOWNS:
        return None
    rate = np.exp(np.append(beta, 0.0))[groups.column]
    has = columns[0] > 0
    fitted = np.maximum(columns[1] - score, TINY)
    base = groups.sizes[:, None] * groups.exposure * rate
    base *= fitted[has].sum() / max(float(sum_columns(base, groups.column, size).sum()), TINY)
    scale = np.sqrt(np.maximum(np.diagonal(information), TINY))
    upper = np.triu_indices(size)
    sent = (information / np.outer(scale, scale))[upper]

    def counts(effects: Floats) -> Floats:
        both = np.append(effects, 0.0)
        found: Floats = base * np.exp(both[:cohorts, None] + both[cohorts:])
        return found

    def miss(effects: Floats) -> Floats:
        trial = counts(effects)
        scaled = project(trial, groups.column, size).information / np.outer(scale, scale)
        summed = np.maximum(sum_columns(trial, groups.column, size), TINY)
        return np.concatenate([scaled[upper] - sent, np.log(summed / fitted)[has]])

    found = least_squares(
        miss,
        np.zeros(cohorts + periods - 1),
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
        max_nfev=MOST_STEPS if len(upper[0]) + int(has.sum()) > cohorts + periods else FEW_STEPS,
    )
    values = np.linalg.svd(np.asarray(found.jac), compute_uv=False)
    rank = int((values > RANK_TOLERANCE * values.max(initial=0.0)).sum())
    totals = counts(np.asarray(found.x)).sum(axis=1)
    return CohortTotals(groups, totals, rank, cohorts + periods - 1)


def linear_cohort_totals(x: Floats, weights: Floats, beta: Floats, information: Floats) -> Floats:
    """(G,) totals from an information matrix of which only unit effects are profiled out.

    It is Σ_g y_g · X_g'(diag(p_g) − p_g p_g')X_g, with p_g the public shares of the periods at β: linear in the totals
    y_g. With period effects among the coefficients this is what many federated Poisson fits send.

    Args:
        x: (G, T, K) design rows of each group.
        weights: (G, T) exposure.
        beta: (K,) asked.
        information: (K, K).
    """
    share = weights * np.exp(x @ beta)
    share = share / share.sum(axis=1, keepdims=True)
    mean = np.einsum("gt,gtk->gk", share, x)
    second = np.einsum("gt,gtk,gtl->gkl", share, x, x)
    rows = second - mean[:, :, None] * mean[:, None, :]
    upper = np.triu_indices(information.shape[0])
    found = np.linalg.lstsq(rows[:, *upper].T, information[upper], rcond=None)[0]
    return np.asarray(found, dtype=np.float64)


def totals_of_groups(outcome: Floats, public: Design, groups: Groups) -> Floats:
    """(G,) the true totals, for the figure."""
    used = (public.exposure > 0).any(axis=1)
    found = np.bincount(groups.label, outcome[used].sum(axis=1), minlength=len(groups.starts))
    return found.astype(np.float64)
