"""Poisson pseudo-maximum likelihood with two sets of fixed effects, profiled out inside one city.

The model is E[y_it] = w_it · exp(α_i + γ_t + x_it'β), w the exposure (Gong & Samaniego 1981 on
pseudo-likelihood; Correia, Guimarães & Zylkin 2020 on the two-way case). For a given β the unit effects α and
period effects γ have closed-form alternating updates, which is iterative proportional fitting (Deming &
Stephan 1940): only totals over units and over periods are matched. What remains is the profile score and
information in β (Murphy & van der Vaart 2000), which are sums over units and therefore over cities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

__all__ = ["MAX_SWEEPS", "SWEEP_TOLERANCE", "Profile", "fit_margins", "profile", "residualise"]

Floats = NDArray[np.float64]

SWEEP_TOLERANCE: Final = 1e-14
"""Largest relative miss of any unit or period total: a few units in the last place of a double."""

MAX_SWEEPS: Final = 20_000
"""Two-way margins settle in under a hundred sweeps; only a nearly disconnected panel needs thousands."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Profile statistics of one city at β, K coefficients, G informative units (the clusters).

    Attributes:
        score: (K,) Σ x̃(y − μ).
        information: (K, K) Σ μ x̃x̃'.
        unit_scores: (G, K) u_i = Σ_t x̃_it(y_it − μ_it).
        deviance: 2 Σ [y ln(y/μ) − (y − μ)].
        clusters: G, units with at least one incident in a usable cell.
        observations: usable cells of informative units in informative periods.
        periods: informative periods (their effects are estimated).
        dropped_units: units without any incident; they carry no information on β.
    """

    score: Floats
    information: Floats
    unit_scores: Floats
    deviance: float
    clusters: int
    observations: int
    periods: int
    dropped_units: int


def profile(y: Floats, exposure: Floats, x: Floats, beta: Floats) -> Profile:
    """Profile one city's fixed effects out at ``beta``.

    Args:
        y: (U, T) counts.
        exposure: (U, T), zero where a cell is not used.
        x: (K, U, T) regressors.
        beta: (K,) coefficients.

    Raises:
        ArithmeticError: the fixed effects do not settle (a panel that falls apart into pieces).
    """
    used = exposure > 0
    y = np.where(used, y, 0.0)
    units = y.sum(axis=1) > 0
    periods = y[units].sum(axis=0) > 0
    keep = np.ix_(units, periods)
    y, exposure, used = y[keep], exposure[keep], used[keep]
    x = x[:, units][:, :, periods]
    mu = fit_margins(y, exposure * np.exp(np.tensordot(beta, x, axes=1)))
    residual = y - mu
    x_tilde = residualise(x, mu)
    weighted = x_tilde * mu
    unit_scores = np.einsum("kut,ut->uk", x_tilde, residual)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.where(y > 0, np.log(y / mu), 0.0)
    return Profile(
        score=unit_scores.sum(axis=0),
        information=np.einsum("kut,jut->kj", weighted, x_tilde),
        unit_scores=unit_scores,
        deviance=float(2 * (y * log_ratio - residual).sum()),
        clusters=int(units.sum()),
        observations=int(used.sum()),
        periods=int(periods.sum()),
        dropped_units=int((~units).sum()),
    )


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


def residualise(x: Floats, weights: Floats) -> Floats:
    """Residuals of (K, U, T) ``x`` on unit and period effects with (U, T) ``weights``.

    Unit effects are eliminated, which leaves T equations for the period effects; their level is free, so
    the first is fixed at zero.
    """
    rows = weights.sum(axis=1)
    unit_means = np.einsum("ut,kut->ku", weights, x) / rows
    gram = np.diag(weights.sum(axis=0)) - (weights / rows[:, None]).T @ weights
    right = np.einsum("ut,kut->tk", weights, x) - weights.T @ unit_means.T
    period = np.zeros_like(right)
    if len(right) > 1:
        period[1:] = _solve_symmetric(gram[1:, 1:], right[1:])
    unit = unit_means.T - (weights @ period) / rows[:, None]
    residual: Floats = x - unit.T[:, :, None] - period.T[:, None, :]
    return residual


def _solve_symmetric(matrix: Floats, right: Floats) -> Floats:
    """Solve; a panel in disconnected pieces has one free level per piece, and any of them will do."""
    try:
        solved: Floats = cho_solve(cho_factor(matrix), right)
    except LinAlgError:
        solved = np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0], dtype=np.float64)
    return solved
