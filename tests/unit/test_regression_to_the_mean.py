"""Credibility levels and the expected fall of the hottest places, against simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evalkit.numerics.regression_to_the_mean import change_of_hottest, levels


def world(
    seed: int, *, shape: float, units: int = 4000, noise: float = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Lasting levels (U,) of mean 5, gamma with ``shape`` (infinite: all alike), and two years of counts."""
    random = np.random.default_rng(seed)
    level = np.full(units, 5.0) if math.isinf(shape) else random.gamma(shape, 5 / shape, units)
    mean = np.repeat(level[:, None], 24, axis=1) * random.gamma(noise, 1 / noise, (units, 24))
    return level, random.poisson(mean).astype(float)


def test_moments_are_those_of_the_simulation() -> None:
    """4,000 units: τ² and s² within 10 %. Given its level a cell has variance μ + μ²/8, and E μ² = 5² (1 + 1/4)."""
    _, counts = world(1, shape=4)
    found = levels(counts, np.ones_like(counts))
    assert found.mean == pytest.approx(5, rel=0.05)
    assert found.between == pytest.approx(25 / 4, rel=0.1)
    assert found.dispersion == pytest.approx(1 + 5 * 1.25 / 8, rel=0.1)


def test_levels_predict_better_than_the_rates_themselves() -> None:
    truth, counts = world(2, shape=4)
    found = levels(counts[:, :4], np.ones((len(counts), 4)))
    assert ((found.level - truth) ** 2).mean() < 0.85 * ((found.rate - truth) ** 2).mean()
    assert ((found.credibility > 0) & (found.credibility < 1)).all()
    assert (found.level > 0).all()


def test_expected_change_of_the_hottest_is_what_happens() -> None:
    """A year before chooses the hottest tenth of 4,000 places; the year after has no camera either.

    Their log change has a standard error of about 0.01 (400 places, 24,000 incidents, over-dispersed); three of them.
    """
    _, counts = world(3, shape=4)
    before, after = counts[:, :12], counts[:, 12:]
    expected = change_of_hottest(before, np.ones_like(before))
    hottest = np.argsort(-before.sum(axis=1))[:400]
    seen = math.log(after[hottest].sum() / before[hottest].sum())
    assert expected.units == 400
    assert expected.log_ratio < -0.04
    assert expected.log_ratio == pytest.approx(seen, abs=0.03)


def test_places_that_are_all_alike_fall_back_all_the_way() -> None:
    """τ² is 0 but for chance; 2,000 of 4,000 simulated worlds would have it truncated there."""
    _, counts = world(4, shape=math.inf)
    found = change_of_hottest(counts, np.ones_like(counts))
    assert found.share_of_chance > 0.9


def test_nobody_is_hottest_if_everybody_is() -> None:
    _, counts = world(5, shape=4, units=50)
    found = change_of_hottest(counts, np.ones_like(counts), 1.0)
    assert found.units == 50
    assert found.log_ratio == pytest.approx(0, abs=1e-9)


def test_exposure_is_a_unit_of_measure_and_unseen_units_are_average() -> None:
    _, counts = world(6, shape=4, units=60)
    exposure = np.ones_like(counts)
    exposure[0] = 0
    found, scaled = levels(counts, exposure), levels(counts, exposure * 30.5)
    assert found.level[0] == pytest.approx(found.mean)
    np.testing.assert_allclose(scaled.level * 30.5, found.level)
    np.testing.assert_allclose(scaled.credibility, found.credibility)


def test_nothing_to_learn_from() -> None:
    with pytest.raises(ValueError, match="no incident"):
        levels(np.zeros((3, 4)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="share"):
        change_of_hottest(np.ones((3, 4)), np.ones((3, 4)), 0.0)
    one = levels(np.full((1, 1), 3.0), np.ones((1, 1)))
    assert (one.level[0], one.between, one.dispersion) == (3.0, 0.0, 1.0)
