"""Lasting levels of units whose spread no named distribution describes: an empirical-Bayes mixture of rates.

A straight credibility line (`numerics.regression_to_the_mean`) is calibrated on the whole, and level by level only if
rates follow a gamma distribution. A city is many quiet places and a few very busy ones: there the quiet ones expect up
to 1.7 times what the line says and those in the middle 0.85 times. Whoever then learns how counts depend on the level
learns that error. Here the distribution of rates is the nonparametric maximum-likelihood one (Kiefer & Wolfowitz 1956,
Annals of Mathematical Statistics 27, 887–906; for empirical Bayes Laird 1978, JASA 73, 805–811) on a grid of rates,
approached by a fixed number of EM steps from the even one, and a unit's level is its posterior mean.

With W exposure of a unit, Y its incidents and λ its rate, Y given λ is negative binomial with mean Wλ and variance
Wλ + α (Σ w²) λ²: every unit-period w has noise of its own with variance α, the same for all units, by moments from
the variance within units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ["MixtureLevels", "mixture_levels"]

Floats = NDArray[np.float64]

GRID: Final = 60
"""Rates of the grid, evenly spaced on the log scale: neighbours differ by a tenth over a range of 1 to 400."""

STEPS: Final = 300
"""EM steps: posterior means move by less than a hundredth after that, and few steps keep the mixture smooth."""

MARGIN: Final = 0.2
"""How far the grid goes beyond the lowest rate above 0 and the highest one, as a part of them."""

NO_NOISE: Final = 1e-6
"""Below this α is Poisson: the negative binomial's size would only lose digits."""


@dataclass(frozen=True, slots=True, eq=False)
class MixtureLevels:
    """Lasting levels of U units.

    Attributes:
        level: (U,) expected rate, above 0; Σ exposure × level is the number of incidents.
        noise: α, variance of a unit-period's own noise relative to its mean squared; 0 for Poisson counts.
    """

    level: Floats
    noise: float


def mixture_levels(counts: Floats, exposure: Floats) -> MixtureLevels:
    """Posterior mean rates from the periods before.

    Args:
        counts: (U, T) incidents.
        exposure: (U, T), 0 where a cell is not observed. A unit never observed gets the mixture's mean.

    Raises:
        ValueError: no incident in any observed cell.
    """
    used = exposure > 0
    y, w = np.where(used, counts, 0.0), np.where(used, exposure, 0.0)
    total, weight = y.sum(axis=1), w.sum(axis=1)
    if not total.sum() > 0:
        raise ValueError("no incident in any observed cell")
    rate = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    noise = _noise(y, w, rate)
    grid = np.geomspace(MARGIN * rate[rate > 0].min(), (1 + MARGIN) * rate.max(), GRID)
    log_likelihood = _log_likelihood(total, weight, (w**2).sum(axis=1), grid, noise)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    share = np.full(GRID, 1 / GRID)
    for _ in range(STEPS):
        share = _posterior(likelihood, share).mean(axis=0)
    level = (_posterior(likelihood, share) * grid).sum(axis=1)
    return MixtureLevels(level * (total.sum() / (weight * level).sum()), noise)


def _posterior(likelihood: Floats, share: Floats) -> Floats:
    """(U, G) probability of each rate for each unit."""
    joint = likelihood * share
    return np.asarray(joint / joint.sum(axis=1, keepdims=True), dtype=np.float64)


def _log_likelihood(
    total: Floats, weight: Floats, squares: Floats, grid: Floats, noise: float
) -> Floats:
    """(U, G) of the incidents of each unit at each rate, up to a constant of the unit."""
    mean = weight[:, None] * grid
    log_mean = np.log(np.where(mean > 0, mean, 1.0))
    if noise < NO_NOISE:
        return np.asarray(total[:, None] * log_mean - mean, dtype=np.float64)
    seen = np.where(squares > 0, squares, 1.0)
    size = np.where(weight > 0, weight**2 / (noise * seen), 1.0)[:, None]
    outside = np.log(size + mean)
    return np.asarray(
        gammaln(total[:, None] + size)
        - gammaln(size)
        + size * (np.log(size) - outside)
        + total[:, None] * (log_mean - outside),
        dtype=np.float64,
    )


def _noise(y: Floats, w: Floats, rate: Floats) -> float:
    """α by moments: what variance within units exceeds Poisson's by, over the sum of squared rates; at least 0."""
    used = w > 0
    periods = used.sum(axis=1)
    own = periods > 1
    if not own.any():
        return 0.0
    squares = np.divide((y - w * rate[:, None]) ** 2, w, out=np.zeros_like(y), where=used)
    within = squares[own].sum(axis=1) / (periods[own] - 1)
    excess = float((within - rate[own]).sum())
    weight = w[own].sum(axis=1)
    # the square of an estimated rate is too large by its variance
    square = float((rate[own] ** 2 - within / weight).sum())
    if square <= 0 or excess <= 0:
        return 0.0
    per_cell = float(weight.sum() / periods[own].sum())
    found = excess / square / per_cell
    return found if math.isfinite(found) else 0.0
