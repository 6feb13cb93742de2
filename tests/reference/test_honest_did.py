"""Honest intervals against the published tables, and against linear programmes and simulation."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linprog, minimize

from evalkit.numerics.event_study import EventStudy, SingularCovarianceError
from evalkit.numerics.honest_did import relative_magnitudes
from evalkit.numerics.honest_did.breakdown import (
    TOLERANCE,
    relative_magnitudes_breakdown,
    smoothness_breakdown,
)
from evalkit.numerics.honest_did.conditional_test import accepts, least_favourable_critical_value
from evalkit.numerics.honest_did.folded_normal import folded_critical_value
from evalkit.numerics.honest_did.lasso_path import lasso_path
from evalkit.numerics.honest_did.relative_magnitudes import relative_magnitudes_interval
from evalkit.numerics.honest_did.smoothness import smoothness_interval
from evalkit.numerics.honest_did.truncated_normal import truncated_quantile

# The published ends are points of a grid with steps of 3.7e-4, from critical values simulated with 1,000 draws, and
# are printed to three digits.
PUBLISHED = 5e-4
# The fixed-length table has no grid, but its critical values are simulated (10^6 draws), and it is printed to three
# digits: to 5e-4 from 0.1 on.
FIXED_LENGTH = 1e-4
# HiGHS solves to 1e-7 in each constraint; the programmes are scaled to numbers around one.
PROGRAMME = 1e-6
ALPHA, KAPPA = 0.05, 0.005
FIRST = np.array([1.0, 0.0])

positive = st.floats(0.2, 3.0)


def ehec(shared: Path) -> EventStudy:
    folder = shared / "data" / "reference" / "did"
    beta = np.loadtxt(folder / "ehec_betahat.txt")
    return EventStudy(beta[:5], beta[5:], np.loadtxt(folder / "ehec_sigma.txt"))


def published(shared: Path, table: str) -> dict[float, tuple[float, float]]:
    text = (shared / "data" / "reference" / "did" / "expected.json").read_text(encoding="utf-8")
    rows = json.loads(text)["ehec_honestdid_published"][table]
    return {float(bound): (low, high) for bound, (low, high) in rows.items()}


def made_up(seed: int, pre: int = 4, post: int = 3, gap: int = 0) -> EventStudy:
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((pre + post, 2 * (pre + post)))
    covariance = root @ root.T / (2 * (pre + post))
    beta = draw.multivariate_normal(np.zeros(pre + post), covariance)
    return EventStudy(beta[:pre], beta[pre:] + 1.0, covariance, gap)


@pytest.mark.parametrize("m_bar", [0.5, 1.0, 1.5, 2.0])
def test_published_relative_magnitudes(shared: Path, m_bar: float) -> None:
    interval = relative_magnitudes_interval(ehec(shared), FIRST, m_bar=m_bar)
    expected = published(shared, "RM_CLF")[m_bar]
    np.testing.assert_allclose((interval.low, interval.high), expected, rtol=0, atol=PUBLISHED)
    assert interval.excludes(0.0) is (m_bar < 2.0)


@pytest.mark.parametrize("m", [0.0, 0.01, 0.02, 0.03, 0.04, 0.05])
def test_published_smoothness(shared: Path, m: float) -> None:
    interval = smoothness_interval(ehec(shared), FIRST, m=m).interval
    low, high = published(shared, "SD_FLCI")[m]
    assert abs(interval.low - low) < FIXED_LENGTH
    assert abs(interval.high - high) < (FIXED_LENGTH if high < 0.1 else PUBLISHED)


def test_breakdown_brackets_zero(shared: Path) -> None:
    study = ehec(shared)
    relative = relative_magnitudes_breakdown(study, FIRST)
    assert 1.5 < relative.value < 2.0  # the published table changes sign there
    assert relative.tolerance <= TOLERANCE * 2.0
    for bound, excluded in (
        (relative.value, True),
        (relative.value + relative.tolerance, False),
    ):
        assert relative_magnitudes_interval(study, FIRST, m_bar=bound).excludes(0.0) is excluded
    smooth = smoothness_breakdown(study, FIRST)
    assert 0.02 < smooth.value < 0.03
    for bound, excluded in ((smooth.value, True), (smooth.value + smooth.tolerance, False)):
        assert smoothness_interval(study, FIRST, m=bound).interval.excludes(0.0) is excluded


def test_breakdown_is_zero_without_an_effect() -> None:
    covariance = np.eye(3)
    nothing = EventStudy(np.array([0.3, -0.2]), np.array([0.1]), covariance)
    one = np.array([1.0])
    assert relative_magnitudes_breakdown(nothing, one).value == 0.0
    assert smoothness_breakdown(nothing, one).value == 0.0


# ------------------------------------------------- relative magnitudes against linear programmes


def programme(study: EventStudy, weights: np.ndarray, m_bar: float, s: int, sign: int):
    """Δ^RM(M̄) for one s and sign as HonestDiD 0.2 sets it up: moments A(β̂ − τ), post rows, Γ with first row l."""
    pre, post = len(study.pre), len(study.post)
    steps = np.zeros((pre + post, pre + post + 1))
    for row in range(pre + post):
        steps[row, row : row + 2] = (-1.0, 1.0)
    largest = sign * steps[s]
    bound = np.concatenate([np.ones(pre), np.full(post, m_bar)])[:, None] * largest
    A = np.delete(np.concatenate([steps - bound, -steps - bound]), pre, axis=1)
    A = A[np.abs(A[:, pre:]).sum(axis=1) > 0]
    gamma = np.eye(post)
    place = int(np.flatnonzero(weights)[0])
    gamma[[0, place]] = gamma[[place, 0]]
    gamma[0] = weights
    transformed = A[:, pre:] @ np.linalg.inv(gamma)
    beta = np.concatenate([study.pre, study.post])
    return A @ beta, transformed[:, 0], transformed[:, 1:], A @ study.covariance @ A.T


def dual(y: np.ndarray, X: np.ndarray, sigma: np.ndarray) -> tuple[float, np.ndarray]:
    equal = np.column_stack([np.sqrt(np.diagonal(sigma)), X]).T
    right = np.concatenate([[1.0], np.zeros(X.shape[1])])
    solved = linprog(-y, A_eq=equal, b_eq=right, bounds=(0, None), method="highs-ds")
    assert solved.status == 0
    return -solved.fun, solved.x


def end_of_truncation(eta, rest, slope, X, sigma, direction: float) -> float:
    """Follow the linear programme from far out until its value is that of the conditioning vertex."""
    at = eta + direction * 1e3
    for _ in range(100):
        value, vertex = dual(rest + slope * at, X, sigma)
        if abs(value - at) < PROGRAMME * max(1.0, abs(at)):
            return at if abs(at - eta) < 999.0 else direction * math.inf
        at = float(vertex @ rest) / (1.0 - float(vertex @ slope))
    raise AssertionError("no end found")


def accepts_by_programme(y, X, sigma, critical: float) -> bool:
    """The C-LF test as written in HonestDiD's dual branch."""
    eta, vertex = dual(y, X, sigma)
    if eta > critical:
        return False
    variance = float(vertex @ sigma @ vertex)
    slope = sigma @ vertex / variance
    rest = y - slope * float(vertex @ y)
    low = end_of_truncation(eta, rest, slope, X, sigma, -1.0)
    high = end_of_truncation(eta, rest, slope, X, sigma, 1.0)
    error = math.sqrt(variance)
    size = (ALPHA - KAPPA) / (1 - KAPPA)
    limit = stats.truncnorm.ppf(1 - size, low / error, min(high, critical) / error)
    return eta / error <= max(0.0, limit)


@pytest.mark.parametrize("post", [1, 2, 4])
@pytest.mark.parametrize("target", ["first", "mean", "difference"])
def test_vertices_and_decisions_are_those_of_the_linear_programme(post: int, target: str) -> None:
    weights = {
        "first": np.eye(post)[0],
        "mean": np.full(post, 1 / post),
        "difference": np.eye(post)[-1] - 0.5 * np.eye(post)[0],
    }[target]
    study, m_bar = made_up(post, pre=3, post=post), 1.3
    sets = list(relative_magnitudes._sets(study, weights, m_bar))
    decisions = []
    for number in (0, 2, 4):
        one = sets[number]
        s, sign = number % 3, 1 if number < 3 else -1
        Y, direction, X, sigma = programme(study, weights, m_bar, s, sign)
        critical = least_favourable_critical_value(
            one.weights @ np.linalg.cholesky(one.covariance), KAPPA
        )
        covariance = one.weights @ one.covariance @ one.weights.T
        for theta in np.linspace(one.target - 15.0, one.target + 15.0, 11):
            values = np.array([[one.target - theta, one.step]]) @ one.weights.T
            y = Y - direction * theta
            assert values.max() == pytest.approx(dual(y, X, sigma)[0], abs=PROGRAMME)
            here = bool(accepts(values, covariance, critical, alpha=ALPHA, kappa=KAPPA)[0])
            assert here == accepts_by_programme(y, X, sigma, critical)
            decisions.append(here)
    assert {True, False} == set(decisions)


# Four standard errors of a quantile or share from so many draws.
DRAWS = 400_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_least_favourable_value_is_the_simulated_quantile(seed: int) -> None:
    one = list(relative_magnitudes._sets(made_up(seed), np.full(3, 1 / 3), 1.0))[seed]
    loadings = one.weights @ np.linalg.cholesky(one.covariance)
    critical = least_favourable_critical_value(loadings, KAPPA)
    drawn = np.random.default_rng(0).standard_normal((DRAWS, 2)) @ loadings.T
    share = float((drawn.max(axis=1) > critical).mean())
    assert abs(share - KAPPA) < 4 * math.sqrt(KAPPA / DRAWS)


@pytest.mark.parametrize("slack", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("side", ["upper end", "lower end"])
def test_size_of_the_test_is_at_most_alpha(slack: float, side: str) -> None:
    """At an end of the identified set, with the pre step truly ``slack`` standard errors large."""
    one = list(relative_magnitudes._sets(made_up(7), np.full(3, 1 / 3), 1.0))[1]
    root = np.linalg.cholesky(one.covariance)
    critical = least_favourable_critical_value(one.weights @ root, KAPPA)
    step = slack * math.sqrt(one.covariance[1, 1])
    row = one.weights[0 if side == "upper end" else 1]
    centre = np.array([-row[1] / row[0] * step, step])
    drawn = centre + np.random.default_rng(0).standard_normal((DRAWS, 2)) @ root.T
    accepted = accepts(
        drawn @ one.weights.T,
        one.weights @ one.covariance @ one.weights.T,
        critical,
        alpha=ALPHA,
        kappa=KAPPA,
    )
    rejected = 1 - float(accepted.mean())
    assert rejected < ALPHA + 4 * math.sqrt(ALPHA / DRAWS)
    assert rejected > 0.25 * ALPHA  # and it is not a test that never rejects


@settings(max_examples=10)  # each computes four intervals
@given(st.integers(0, 10_000), positive, st.floats(0.0, 2.0))
def test_units_and_signs_of_the_coefficients_are_irrelevant(
    seed: int, scale: float, m_bar: float
) -> None:
    study, weights = made_up(seed), np.array([0.5, 0.3, 0.2])
    other = EventStudy(-scale * study.pre, -scale * study.post, scale**2 * study.covariance)
    a = relative_magnitudes_interval(study, weights, m_bar=m_bar, grid=100)
    b = relative_magnitudes_interval(other, weights, m_bar=m_bar, grid=100)
    np.testing.assert_allclose((-b.high / scale, -b.low / scale), (a.low, a.high), 1e-6)
    c = smoothness_interval(study, weights, m=m_bar).interval
    d = smoothness_interval(other, weights, m=m_bar * scale).interval
    np.testing.assert_allclose((-d.high / scale, -d.low / scale), (c.low, c.high), 1e-6, 1e-9)


def test_a_step_over_two_periods_may_be_twice_as_large() -> None:
    a = made_up(3, post=1)
    b = EventStudy(a.pre, a.post, a.covariance, gap=1)
    one = np.array([1.0])
    twice = relative_magnitudes_interval(a, one, m_bar=1.0)
    over = relative_magnitudes_interval(b, one, m_bar=0.5)
    assert (over.low, over.high) == pytest.approx((twice.low, twice.high), abs=1e-9)


# ------------------------------------------------- smoothness against linear programmes and search


def test_an_unobserved_period_is_one_without_weight() -> None:
    full = made_up(5, pre=4, post=4)
    keep = np.array([0, 1, 2, 3, 5, 6, 7])
    gap = EventStudy(full.pre, full.post[1:], full.covariance[np.ix_(keep, keep)], gap=1)
    weights = np.array([0.2, 0.3, 0.5])
    a = smoothness_interval(full, np.concatenate([[0.0], weights]), m=0.4)
    b = smoothness_interval(gap, weights, m=0.4)
    assert (a.interval.low, a.bias) == pytest.approx((b.interval.low, b.bias), abs=1e-12)


@pytest.mark.parametrize("gap", [0, 2])
def test_bias_is_the_largest_of_the_linear_programme(gap: int) -> None:
    study, weights, m = made_up(11, gap=gap), np.array([0.2, 0.3, 0.5]), 0.4
    fitted = smoothness_interval(study, weights, m=m)
    periods = np.arange(-4, 4 + gap)
    second = np.diff(np.eye(len(periods)), n=2, axis=0)
    v = np.zeros(len(periods))
    v[:4] = fitted.pre_weights
    v[-3:] = weights
    solved = linprog(
        -v,
        A_ub=np.concatenate([second, -second]),
        b_ub=np.full(2 * len(second), m),
        A_eq=(periods == 0)[None, :].astype(float),
        b_eq=[0.0],
        bounds=(None, None),
    )
    assert solved.status == 0
    assert -solved.fun == pytest.approx(fitted.bias, abs=PROGRAMME)


@pytest.mark.parametrize("seed", range(3))
def test_no_other_linear_estimator_is_shorter(seed: int) -> None:
    study, weights, m = made_up(seed, pre=5), np.array([0.2, 0.3, 0.5]), 0.05 * (seed + 1)
    fitted = smoothness_interval(study, weights, m=m)
    half = 0.5 * (fitted.interval.high - fitted.interval.low)
    times = np.arange(5, 0, -1)
    rows = np.stack([np.maximum(times - j, 0) for j in range(5)])
    fixed = sum(abs(np.maximum(np.arange(1, 4) - j, 0) @ weights) for j in range(3))

    def length(bends: np.ndarray) -> float:
        pre = np.linalg.solve(rows, np.concatenate([[np.arange(1, 4) @ weights], bends]))
        v = np.concatenate([pre, weights])
        error = math.sqrt(v @ study.covariance @ v)
        bias = m * (fixed + np.abs(bends).sum())
        return error * float(folded_critical_value(np.array(bias / error), ALPHA))

    start = rows[1:] @ fitted.pre_weights
    assert length(start) == pytest.approx(half, rel=1e-9)
    found = [
        minimize(length, start + shift, method="Powell", options={"xtol": 1e-6, "ftol": 1e-9}).fun
        for shift in (0.0, 0.5)
    ]
    assert half <= min(found) * (1 + 1e-9)


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_every_knot_of_the_path_is_a_solution(seed: int, size: int) -> None:
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((size, 2 * size))
    H, g = root @ root.T / size, draw.standard_normal(size)
    lambdas, solutions = lasso_path(H, g)
    assert (np.diff(lambdas) < 0).all()
    middle = 0.5 * (solutions[1:] + solutions[:-1])
    between = 0.5 * (lambdas[1:] + lambdas[:-1])
    for limit, b in zip([*lambdas, *between], [*solutions, *middle], strict=True):
        gradient = H @ b + g
        slack = 1e-9 * np.abs(g).max()
        assert (np.abs(gradient) <= limit + slack).all()
        used = np.abs(b) > 1e-9
        np.testing.assert_allclose(gradient[used], -limit * np.sign(b[used]), atol=slack)


# ------------------------------------------------- distributions, and what is refused


def test_truncated_quantile_is_right_where_others_lose_digits() -> None:
    low, high = np.array([-np.inf, -1.0, 0.5, 2.0]), np.array([np.inf, 2.0, 3.0, 2.8])
    expected = stats.truncnorm.ppf(0.95, low, high)
    np.testing.assert_allclose(truncated_quantile(0.95, low, high), expected, rtol=1e-12)
    # Thirty standard errors out a normal tail is exponential: sf(30 + x/30)/sf(30) → e^(−x).
    far = truncated_quantile(0.95, np.array([30.0]), np.array([np.inf]))
    assert float(far[0]) == pytest.approx(30.0 + math.log(20) / 30.0, rel=1e-4)


def test_folded_critical_value_is_the_quantile_of_a_folded_normal() -> None:
    bias = np.array([0.0, 0.1, 1.0, 4.0])
    expected = stats.foldnorm.ppf(0.95, bias)
    np.testing.assert_allclose(folded_critical_value(bias, 0.05), expected, rtol=1e-9)
    assert float(folded_critical_value(np.array(50.0), 0.05)) == pytest.approx(50 + 1.6448536270)


def test_refusals() -> None:
    good = made_up(1)
    with pytest.raises(ValueError, match="weights"):
        relative_magnitudes_interval(good, np.zeros(3), m_bar=1.0)
    with pytest.raises(ValueError, match="M̄"):
        relative_magnitudes_interval(good, np.ones(3), m_bar=math.nan)
    with pytest.raises(ValueError, match="weights"):
        smoothness_interval(good, np.ones(2), m=1.0)
    with pytest.raises(ValueError, match="M must"):
        smoothness_interval(good, np.ones(3), m=-1.0)
    with pytest.raises(ValueError, match="weights"):
        smoothness_breakdown(good, np.ones(2))
    bare = EventStudy(np.empty(0), np.ones(1), np.eye(1))
    with pytest.raises(ValueError, match="pre coefficient"):
        relative_magnitudes_interval(bare, np.ones(1), m_bar=1.0)
    with pytest.raises(ValueError, match="pre coefficient"):
        smoothness_interval(bare, np.ones(1), m=1.0)
    with pytest.raises(SingularCovarianceError):
        EventStudy(np.ones(1), np.ones(1), np.ones((2, 2)))
    with pytest.raises(ValueError, match="finite"):
        EventStudy(np.array([math.nan]), np.ones(1), np.eye(2))
