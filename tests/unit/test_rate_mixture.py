"""Levels from a mixture of rates: right at every level, and what happens at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.numerics.rate_mixture import mixture_levels
from evalkit.numerics.regression_to_the_mean import levels

UNITS, PERIODS = 20_000, 12
BANDS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 1.0)
# A band of 600 units with 400 incidents a period or more: their mean rate is known to 2 %; the rest is the mixture's.
CALIBRATED = 0.06


def skewed_city(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(U,) true rates, one unit in ten busy and the others quiet, and (U, T) over-dispersed counts."""
    random = np.random.default_rng(seed)
    quiet = 0.2 * random.gamma(3, 1 / 3, UNITS)
    busy = 3 * random.gamma(1.5, 1 / 1.5, UNITS)
    rate = np.where(random.random(UNITS) < 0.1, busy, quiet)
    noise = random.gamma(4, 1 / 4, (UNITS, PERIODS))
    return rate, random.poisson(rate[:, None] * noise).astype(float)


def true_over_level(rate: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Mean true rate over mean level in bands of the level."""
    edges = np.quantile(level, BANDS)
    band = np.clip(np.searchsorted(edges, level, side="right") - 1, 0, len(BANDS) - 2)
    return np.array(
        [rate[band == b].mean() / level[band == b].mean() for b in range(len(BANDS) - 1)]
    )


def test_levels_are_right_in_every_band_where_a_straight_line_is_not() -> None:
    rate, counts = skewed_city()
    ones = np.ones_like(counts)
    mixed = mixture_levels(counts, ones)
    np.testing.assert_allclose(true_over_level(rate, mixed.level), 1, atol=CALIBRATED)
    line = true_over_level(rate, levels(counts, ones).level)
    assert line.max() > 1.3
    assert line.min() < 0.9
    assert mixed.noise == pytest.approx(0.25, rel=0.1)


def test_incidents_are_kept_and_poisson_counts_have_no_noise() -> None:
    random = np.random.default_rng(2)
    rate = np.tile([0.5, 2.0], 500)
    exposure = random.uniform(0.5, 1.5, (1000, 8))
    counts = random.poisson(rate[:, None] * exposure).astype(float)
    found = mixture_levels(counts, exposure)
    assert exposure.sum(axis=1) @ found.level == pytest.approx(counts.sum())
    assert found.noise < 0.03
    again = mixture_levels(counts, 4 * exposure)
    np.testing.assert_allclose(again.level, found.level / 4, rtol=1e-6)


def test_equal_counts_have_one_level_and_cells_without_exposure_are_not_looked_at() -> None:
    counts = np.full((6, 4), 3.0)
    exposure = np.ones((6, 4))
    np.testing.assert_allclose(mixture_levels(counts, exposure).level, 3.0)
    exposure[0] = 0
    exposure[1, 2:] = 0
    counts[0] = counts[1, 2:] = 99
    np.testing.assert_allclose(mixture_levels(counts, exposure).level, 3.0, rtol=0.02)


def test_one_period_or_one_unit_is_enough_and_no_incident_is_an_error() -> None:
    assert mixture_levels(np.array([[1.0], [0.0], [4.0]]), np.ones((3, 1))).noise == 0
    assert mixture_levels(np.array([[2.0, 4.0]]), np.ones((1, 2))).level == pytest.approx(3.0)
    with pytest.raises(ValueError, match="no incident"):
        mixture_levels(np.zeros((2, 2)), np.ones((2, 2)))
