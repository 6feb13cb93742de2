"""Cross-fitted period weights: their minimum, what they do not know, and the bias they remove."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.numerics.synthetic_cross_fit import (
    cross_fitted_synthetic_did,
    leave_one_out_period_weights,
    quadratic_on_simplex,
)
from evalkit.numerics.synthetic_did import simplex_weights, synthetic_did

# Frank-Wolfe's gap falls as one over the steps: after ten thousand of them weights agree to some 1e-3.
FRANK_WOLFE = 5e-3
# Sums of squares without one unit by subtraction, solved in systems of condition up to about 1e6.
SUBTRACTED = 1e-8


@given(seed=st.integers(0, 10_000), k=st.integers(1, 12), n=st.integers(1, 20))
def test_quadratic_on_simplex_fulfils_the_conditions_of_a_minimum(
    seed: int, k: int, n: int
) -> None:
    """In the simplex, and no vertex is downhill: slope @ (vertex - x) >= 0."""
    A = np.random.default_rng(seed).poisson(1.5, (n, k)).astype(float)
    gram = A.T @ A + 1e-6 * np.eye(k)
    x = quadratic_on_simplex(gram, np.full(k, 1 / k))
    assert (x >= 0).all()
    assert x.sum() == pytest.approx(1)
    slope = gram @ x
    assert slope.min() >= x @ slope - 1e-9 * max(1.0, gram.max())


def test_any_start_leads_to_the_same_minimum() -> None:
    A = np.random.default_rng(2).normal(size=(30, 8))
    gram = A.T @ A
    found = quadratic_on_simplex(gram, np.full(8, 1 / 8))
    np.testing.assert_allclose(quadratic_on_simplex(gram, np.eye(8)[3]), found, atol=1e-12)


def test_rows_are_the_published_weights_without_that_control() -> None:
    controls = np.random.default_rng(3).normal(5, 1, (15, 14))
    rows = leave_one_out_period_weights(controls, 8)
    assert rows.shape == (15, 8)
    for i in (0, 9):
        others = np.delete(controls, i, axis=0)
        published = simplex_weights(
            others[:, :8],
            others[:, 8:].mean(axis=1),
            1e-6,
            np.full(8, 1 / 8),
            0.0,
            10_000,
            intercept=True,
        )
        np.testing.assert_allclose(rows[i], published, atol=FRANK_WOLFE)


def test_a_controls_weights_do_not_depend_on_it_nor_on_levels() -> None:
    controls = np.random.default_rng(4).poisson(3.0, (12, 20)).astype(float)
    rows = leave_one_out_period_weights(controls, 9)
    changed = controls.copy()
    changed[5] = np.random.default_rng(5).poisson(3.0, 20)
    np.testing.assert_allclose(
        leave_one_out_period_weights(changed, 9)[5], rows[5], atol=SUBTRACTED
    )
    higher = controls + 1000.0 * np.arange(12)[:, None] + np.arange(20.0)
    np.testing.assert_allclose(leave_one_out_period_weights(higher, 9), rows, atol=SUBTRACTED)


@pytest.mark.parametrize("skewed", [True, False])
def test_periods_are_not_chosen_for_being_low_by_chance(skewed: bool) -> None:
    """Pure noise of mean 0, a hundred times: the controls' mean before under either weights.

    The published weights are more than five standard errors low for exponential noise and not for normal noise; the
    cross-fitted ones for neither.
    """
    published, cross_fitted = [], []
    for seed in range(100):
        random = np.random.default_rng(seed)
        noise = random.exponential(size=(40, 24)) - 1 if skewed else random.normal(size=(40, 24))
        gaps = noise[:, :12] - noise[:, 12:].mean(axis=1, keepdims=True)
        gaps -= gaps.mean(axis=0)
        lam = quadratic_on_simplex(gaps.T @ gaps, np.full(12, 1 / 12))
        mean = noise[:, :12].mean()
        published.append(noise[:, :12].mean(axis=0) @ lam - mean)
        rows = leave_one_out_period_weights(noise, 12)
        cross_fitted.append((rows * noise[:, :12]).sum(axis=1).mean() - mean)

    def errors_from_zero(values: list[float]) -> float:
        return float(np.mean(values) / np.std(values, ddof=1) * math.sqrt(len(values)))

    assert abs(errors_from_zero(cross_fitted)) < 3
    if skewed:
        assert errors_from_zero(published) < -5
    else:
        assert abs(errors_from_zero(published)) < 3


def test_an_additive_effect_is_found_exactly_where_paths_are_parallel() -> None:
    random = np.random.default_rng(4)
    level, path = random.normal(10, 3, 25)[:, None], random.normal(0, 1, 20)
    y = level + path
    y[20:, 12:] += 2.5
    found = cross_fitted_synthetic_did(y[:20], y[20:], 12)
    assert found.effect == pytest.approx(2.5, abs=1e-9)
    assert found.counterfactual_mean == pytest.approx(found.treated_mean - 2.5, abs=1e-9)


def test_equal_rows_are_published_weights() -> None:
    """What all rows share is the published estimator: here all are equal because controls do not vary."""
    controls, treated = np.ones((4, 6)), np.arange(6.0)[None]
    found = cross_fitted_synthetic_did(controls, treated, 3)
    assert found.effect == pytest.approx(synthetic_did(controls, treated, 3).effect, abs=1e-12)
    np.testing.assert_allclose(found.lam, 1 / 3)


def test_two_controls_leave_equal_weights() -> None:
    controls = np.random.default_rng(6).poisson(4.0, (2, 10)).astype(float)
    np.testing.assert_allclose(leave_one_out_period_weights(controls, 6), 1 / 6, atol=1e-3)


def test_no_block() -> None:
    with pytest.raises(ValueError, match="block needs"):
        cross_fitted_synthetic_did(np.ones((1, 6)), np.ones((1, 6)), 3)
