"""Laws of pooling that hold for every set of effects."""

from __future__ import annotations

import math
from dataclasses import fields
from random import Random
from typing import Final, get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalkit.numerics.meta_analysis import (
    Interval,
    InvalidEffectsError,
    Method,
    NoSpreadError,
    PooledEffect,
    TooFewEffectsError,
    pool,
)

Array = NDArray[np.float64]

METHODS: Final[tuple[Method, ...]] = get_args(Method)
INTERVALS: Final[tuple[Interval, ...]] = get_args(Interval)

LAW: Final = 1e-7
"""Relative to the scale of the effects. Rounding of the inputs moves tau2 by its condition number,
which is large only where the likelihood is flat; a broken law is wrong by far more than this."""

BOUNDARY: Final = 1e-6
"""Where tau2 leaves 0 its square root, and so I², moves faster than tau2 itself."""

_effect = st.floats(-3.0, 3.0).map(lambda x: round(x, 6))
_variance = st.floats(1e-3, 4.0).map(lambda x: round(x, 6))
_studies = st.lists(st.tuples(_effect, _variance), min_size=2, max_size=12)
_methods = st.sampled_from(METHODS)
_intervals = st.sampled_from(INTERVALS)


def split(studies: list[tuple[float, float]]) -> tuple[Array, Array]:
    y, v = np.array(studies, dtype=np.float64).T
    # Equal effects are refused by the untruncated interval; that is tested by itself.
    assume(float(np.ptp(y)) > 1e-3)
    return y, v


@given(_studies, _methods, _intervals, st.floats(-50.0, 50.0))
def test_shifting_every_effect_shifts_the_answer(
    studies: list[tuple[float, float]], method: Method, interval: Interval, shift: float
) -> None:
    y, v = split(studies)
    before, after = (pool(x, v, method=method, interval=interval) for x in (y, y + shift))
    for name in ("effect", "conf_low", "conf_high", "prediction_low", "prediction_high"):
        moved = getattr(before, name) + shift
        assert getattr(after, name) == pytest.approx(moved, abs=BOUNDARY, nan_ok=True)
    for name in ("std_error", "tau2", "tau2_low", "tau2_high", "q"):
        assert getattr(after, name) == pytest.approx(
            getattr(before, name), rel=LAW, abs=LAW, nan_ok=True
        )


@given(_studies, _methods, _intervals, st.sampled_from([-1.0, 1e-4, 0.5, 300.0]))
def test_changing_the_unit_changes_every_figure_with_it(
    studies: list[tuple[float, float]], method: Method, interval: Interval, unit: float
) -> None:
    y, v = split(studies)
    before = pool(y, v, method=method, interval=interval)
    after = pool(unit * y, unit**2 * v, method=method, interval=interval)
    assert after.effect == pytest.approx(unit * before.effect, abs=LAW * abs(unit))
    assert after.std_error == pytest.approx(abs(unit) * before.std_error, rel=LAW)
    ends = sorted((unit * before.conf_low, unit * before.conf_high))
    assert [after.conf_low, after.conf_high] == pytest.approx(ends, abs=BOUNDARY * abs(unit))
    for name in ("tau2", "tau2_low", "tau2_high"):
        expected = unit**2 * getattr(before, name)
        assert getattr(after, name) == pytest.approx(
            expected, rel=LAW, abs=LAW * unit**2, nan_ok=True
        )
    for name in ("q", "p_value", "h2", "i2"):
        assert getattr(after, name) == pytest.approx(
            getattr(before, name), rel=BOUNDARY, abs=BOUNDARY
        )


@given(_studies, _methods, _intervals, st.randoms(use_true_random=False))
def test_the_order_of_sites_does_not_matter(
    studies: list[tuple[float, float]], method: Method, interval: Interval, random: Random
) -> None:
    y, v = split(studies)
    order = np.random.default_rng(random.getrandbits(32)).permutation(y.size)
    before, after = (
        pool(y[i], v[i], method=method, interval=interval) for i in (np.arange(y.size), order)
    )
    for field in fields(PooledEffect):
        ours, theirs = getattr(before, field.name), getattr(after, field.name)
        if field.name == "weights":
            assert np.array(theirs) == pytest.approx(np.array(ours)[order], rel=LAW, abs=LAW)
        elif isinstance(ours, float):
            assert theirs == pytest.approx(ours, rel=BOUNDARY, abs=BOUNDARY, nan_ok=True), (
                field.name
            )
        else:
            assert theirs == ours


@given(_studies, _methods, _intervals)
def test_what_is_always_true(
    studies: list[tuple[float, float]], method: Method, interval: Interval
) -> None:
    y, v = split(studies)
    pooled = pool(y, v, method=method, interval=interval)
    assert pooled.tau2 >= 0.0
    assert 0.0 <= pooled.i2 <= 100.0
    assert 0.0 <= pooled.p_value <= 1.0
    assert pooled.std_error > 0.0
    assert y.min() - LAW <= pooled.effect <= y.max() + LAW
    assert pooled.conf_low < pooled.effect < pooled.conf_high
    assert math.fsum(pooled.weights) == pytest.approx(1.0, rel=1e-12)
    assert pooled.effect == pytest.approx(float(np.dot(pooled.weights, y)), rel=1e-9, abs=1e-9)
    if method != "fixed":
        assert 0.0 <= pooled.tau2_low <= pooled.tau2_high
    if method != "fixed" and y.size >= 3:
        assert pooled.prediction_low <= pooled.conf_low
        assert pooled.prediction_low <= pooled.prediction_low_normal
    else:
        assert math.isnan(pooled.prediction_low)


@given(_studies)
def test_the_truncated_error_is_the_larger_of_the_other_two(
    studies: list[tuple[float, float]],
) -> None:
    y, v = split(studies)
    error = {interval: pool(y, v, interval=interval).std_error for interval in INTERVALS}
    assert error["knapp_hartung_truncated"] == pytest.approx(
        max(error["wald"], error["knapp_hartung"]), rel=1e-12
    )


@given(st.lists(_variance, min_size=2, max_size=12), _effect, st.floats(0.0, 0.9))
def test_homogeneous_effects_make_every_truncated_method_the_fixed_effect(
    variances: list[float], effect: float, spread: float
) -> None:
    """Effects closer together than their variances allow: Q < k - 1 for any weights."""
    v = np.array(variances)
    signs = np.where(np.arange(v.size) % 2 == 0, 1.0, -1.0)
    # Each squared deviation from `effect` is spread²/k of its variance, so Q(0) < 1 ≤ k - 1.
    y = effect + signs * spread * np.sqrt(v / v.size)
    fixed = pool(y, v, method="fixed", interval="wald")
    assert fixed.q < fixed.q_df + 1e-12
    for method in ("DL", "PM", "EB", "HS"):
        pooled = pool(y, v, method=method, interval="wald")
        assert pooled.tau2 == 0.0
        assert pooled.i2 == 0.0
        assert pooled.h2 == 1.0
        assert (pooled.effect, pooled.std_error) == (fixed.effect, fixed.std_error)


@given(_studies)
def test_equal_variances_make_dl_he_pm_and_reml_one_estimator(
    studies: list[tuple[float, float]],
) -> None:
    """With v_i = v all four are max(0, s² - v) (Viechtbauer 2005)."""
    y, v = split(studies)
    equal = np.full_like(v, v[0])
    expected = max(0.0, float(np.var(y, ddof=1)) - v[0])
    for method in ("DL", "HE", "PM", "REML"):
        assert pool(y, equal, method=method).tau2 == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(_studies)
def test_paule_mandel_lies_inside_its_q_profile_interval(
    studies: list[tuple[float, float]],
) -> None:
    """All three are roots of one falling function, and k - 1 lies between the two quantiles."""
    y, v = split(studies)
    pooled = pool(y, v, method="PM")
    assert pooled.tau2_low <= pooled.tau2 <= pooled.tau2_high


@pytest.mark.parametrize("method", METHODS)
def test_one_effect_is_returned_as_it_is(method: Method) -> None:
    pooled = pool([-0.2], [0.04], method=method, interval="wald")
    assert (pooled.effect, pooled.std_error, pooled.method, pooled.k) == (-0.2, 0.2, "fixed", 1)
    assert pooled.conf_low == pytest.approx(-0.2 - 1.959963984540054 * 0.2, rel=1e-15)
    assert math.isnan(pooled.tau2)
    assert math.isnan(pooled.prediction_high_metafor)
    assert "one effect" in pooled.notes[0]
    for interval in ("knapp_hartung", "knapp_hartung_truncated"):
        with pytest.raises(TooFewEffectsError, match="at least 2"):
            pool([-0.2], [0.04], method=method, interval=interval)


def test_equal_effects_have_no_knapp_hartung_error() -> None:
    y, v = [0.1 + 0.2, 0.3, 0.3], [0.1, 0.2, 0.3]
    with pytest.raises(NoSpreadError, match="wald"):
        pool(y, v)
    for interval in ("wald", "knapp_hartung_truncated"):
        pooled = pool(y, v, interval=interval)
        assert pooled.tau2 == 0.0
        assert pooled.std_error == pytest.approx(1 / math.sqrt(10 + 5 + 10 / 3), rel=1e-14)
        assert (pooled.tau2_low, pooled.tau2_high) == (0.0, 0.0)
        assert "empty" in pooled.notes[0]


@pytest.mark.parametrize(
    ("effects", "variances", "words"),
    [
        ([], [], "no effect"),
        ([0.1, 0.2], [0.1], "one length"),
        ([[0.1, 0.2]], [[0.1, 0.2]], "one length"),
        ([0.1, math.nan], [0.1, 0.1], "1 effects are not finite"),
        ([0.1, math.inf], [0.1, 0.1], "1 effects are not finite"),
        ([0.1, 0.2], [0.1, math.nan], "1 variances are not finite"),
        ([0.1, 0.2], [math.inf, math.inf], "2 variances are not finite"),
        ([0.1, 0.2], [0.1, 0.0], "not above 0"),
        ([0.1, 0.2], [0.1, -0.1], "not above 0"),
    ],
)
def test_bad_input_is_refused(effects: list[float], variances: list[float], words: str) -> None:
    with pytest.raises(InvalidEffectsError, match=words):
        pool(effects, variances)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown method"):
        pool([0.1, 0.2], [0.1, 0.1], method="XX")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown interval"):
        pool([0.1, 0.2], [0.1, 0.1], interval="XX")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="level"):
        pool([0.1, 0.2], [0.1, 0.1], level=95.0)
