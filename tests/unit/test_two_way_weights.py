"""What a static two-way regression averages, against least squares with dummies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evalkit.numerics.two_way_weights import (
    TwoWayWeights,
    weights_from_means,
    weights_from_products,
)

# Two solvers of one small least-squares problem.
SAME = 1e-9


def dummies(label: np.ndarray) -> np.ndarray:
    return (label[:, None] == np.unique(label)).astype(float)


def world(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Groups with holes: units, observed, treated, effects of the cells, means without noise."""
    draw = np.random.default_rng(seed)
    groups, periods = int(draw.integers(3, 6)), int(draw.integers(4, 9))
    first = draw.integers(1, periods + 2, groups)
    first[0] = periods + 1
    treated = np.arange(periods) >= first[:, None]
    observed = draw.random(treated.shape) < 0.85
    observed[0] = True
    units = draw.integers(1, 9, groups).astype(float)
    effects = draw.standard_normal(treated.shape)
    means = 5 * draw.standard_normal((groups, 1)) + draw.standard_normal(periods)
    return units, observed, treated, effects, means + treated * effects


def by_least_squares(
    units: np.ndarray, observed: np.ndarray, treated: np.ndarray, means: np.ndarray
) -> float:
    group, period = np.nonzero(observed)
    design = np.column_stack([treated[group, period], dummies(group), dummies(period)])
    root = np.sqrt(units[group])
    solution = np.linalg.lstsq(root[:, None] * design, root * means[group, period], rcond=None)
    return float(solution[0][0])


@settings(deadline=None)
@given(st.integers(0, 5_000))
def test_the_coefficient_is_the_weighted_mean_of_the_effects_where_trends_are_parallel(
    seed: int,
) -> None:
    """De Chaisemartin & D'Haultfœuille's theorem 1, on outcomes that are effects and fixed effects only."""
    units, observed, treated, effects, means = world(seed)
    try:
        found = weights_from_means(means, units, observed, treated)
    except ValueError:
        assume(False)
    slow = by_least_squares(units, observed, treated, means)
    assert found.coefficient == pytest.approx(slow, abs=SAME)
    assert (found.weights * effects).sum() == pytest.approx(found.coefficient, abs=SAME)
    assert found.weights.sum() == pytest.approx(1.0, abs=SAME)
    assert not found.weights[~(treated & observed)].any()
    # what is not observed is not looked at
    hidden = np.where(observed, means, np.nan)
    assert weights_from_means(hidden, units, observed, treated).coefficient == found.coefficient


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5_000))
def test_products_of_indicators_tell_the_same(seed: int) -> None:
    units, observed, treated, _, means = world(seed)
    group, period = np.nonzero(observed)
    cells = np.flatnonzero(treated[group, period])
    assume(len(cells) > 0)
    indicators = np.zeros((len(group), len(cells)))
    indicators[cells, np.arange(len(cells))] = 1.0
    root = np.sqrt(units[group])[:, None]
    fixed = root * np.column_stack([dummies(group), dummies(period)])
    left = root * indicators
    left = left - fixed @ np.linalg.lstsq(fixed, left, rcond=None)[0]
    outcome = root[:, 0] * means[group, period]
    try:
        expected = weights_from_means(means, units, observed, treated)
    except ValueError:
        assume(False)
    every = np.ones(len(cells), dtype=bool)
    found = weights_from_products(left.T @ left, left.T @ outcome, every)
    assert found.coefficient == pytest.approx(expected.coefficient, abs=SAME)
    of_cells = expected.weights[group[cells], period[cells]]
    np.testing.assert_allclose(found.weights, of_cells, rtol=0, atol=SAME)
    assert found.negative == pytest.approx(expected.negative, abs=SAME)


def test_effects_of_the_earliest_late_in_the_panel_have_negative_weight() -> None:
    """Two cohorts and nobody else: the textbook case of forbidden comparisons."""
    treated = np.arange(6) >= np.array([1, 5])[:, None]
    growing = np.where(treated, np.cumsum(treated, axis=1), 0).astype(float)
    found = weights_from_means(growing, np.ones(2), np.ones_like(treated), treated)
    assert found.weights[0, 5] < 0.0 < found.negative
    # every effect is above zero, and yet
    assert found.coefficient < found.without_negative(growing)


def test_effects_that_are_not_known_are_left_out() -> None:
    weights = TwoWayWeights(1.0, np.array([0.75, 0.5, -0.25]))
    assert weights.negative == 0.25
    assert weights.without_negative(np.array([2.0, np.nan, np.nan])) == 2.0
    assert weights.without_negative(np.array([1.0, 2.0, 99.0])) == pytest.approx(1.4)
    assert np.isnan(weights.without_negative(np.full(3, np.nan)))


def test_a_treatment_that_the_fixed_effects_explain_is_refused() -> None:
    everywhere = np.ones((2, 3), dtype=bool)
    with pytest.raises(ValueError, match="leave nothing"):
        weights_from_means(np.zeros((2, 3)), np.ones(2), everywhere, everywhere)
    with pytest.raises(ValueError, match="leave nothing"):
        weights_from_products(np.zeros((2, 2)), np.zeros(2), np.ones(2, dtype=bool))
