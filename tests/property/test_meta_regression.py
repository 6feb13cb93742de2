"""Laws of meta-regression, refits and influence that hold for every set of effects."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evalkit.numerics.influence import influence
from evalkit.numerics.meta_analysis import Interval, pool
from evalkit.numerics.meta_regression import RegressionMethod, predict, regress
from evalkit.numerics.refits import cumulative, leave_one_out
from evalkit.numerics.small_study import ENOUGH_SITES, egger
from evalkit.numerics.subgroups import compare_subgroups

Array = NDArray[np.float64]

LAW: Final = 1e-6
"""Relative to the scale of the effects. Where the likelihood of τ² is flat, rounding of the inputs moves its
maximum by the square root of the rounding; a broken law is wrong by far more than this."""

FEWER: Final = settings(max_examples=30)
"""Each example fits a dozen models."""

_methods = st.sampled_from(["fixed", "DL", "PM", "REML"])
_intervals = st.sampled_from(["wald", "knapp_hartung", "knapp_hartung_truncated"])


@st.composite
def _cities(draw: st.DrawFn, least: int = 5) -> tuple[Array, Array, Array]:
    """Effects, variances and one moderator that is not nearly constant."""
    count = draw(st.integers(least, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    moderator = rng.uniform(-2, 2, count)
    variances = rng.uniform(0.01, 0.5, count)
    spread = draw(st.sampled_from([0.0, 0.3, 1.0]))
    effects = 0.2 * moderator + rng.normal(0, np.sqrt(variances + spread**2))
    assume(np.ptp(moderator) > 0.5)
    return effects, variances, moderator[:, None]


@FEWER
@given(_cities(), _methods, _intervals, st.randoms(use_true_random=False))
def test_order_of_cities_does_not_matter(cities, method, interval, random) -> None:
    y, v, m = cities
    order = list(range(len(y)))
    random.shuffle(order)
    one = regress(y, v, m, method=method, interval=interval)
    two = regress(y[order], v[order], m[order], method=method, interval=interval)
    assert two.coefficients == pytest.approx(one.coefficients, rel=LAW, abs=LAW)
    assert two.covariance.ravel() == pytest.approx(one.covariance.ravel(), rel=LAW, abs=LAW)
    assert two.hat == pytest.approx(one.hat[order], rel=LAW, abs=LAW)
    first = influence(y, v, m, method=method, interval=interval)
    second = influence(y[order], v[order], m[order], method=method, interval=interval)
    for name in ("rstudent", "dffits", "cooks", "hat", "tau2"):
        expected = getattr(first, name)[order]
        assert getattr(second, name) == pytest.approx(expected, rel=1e-4, abs=1e-4), name


@FEWER
@given(_cities(), _methods, st.floats(-3, 3), st.floats(-5, 5))
def test_adding_a_line_adds_its_coefficients(cities, method, slope, shift) -> None:
    y, v, m = cities
    one = regress(y, v, m, method=method)
    two = regress(y + shift + slope * m[:, 0], v, m, method=method)
    assert two.coefficients == pytest.approx(
        one.coefficients + np.array([shift, slope]), rel=LAW, abs=LAW
    )
    assert two.tau2 == pytest.approx(one.tau2, rel=LAW, abs=LAW)
    assert two.qe == pytest.approx(one.qe, rel=LAW, abs=LAW)


@FEWER
@given(_cities(), _methods, st.sampled_from([-1.0, 1e-3, 1e4]), st.floats(-100, 100))
def test_the_moderator_s_unit_and_origin_change_its_coefficient_only(
    cities, method, unit, origin
) -> None:
    y, v, m = cities
    one = regress(y, v, m, method=method)
    two = regress(y, v, unit * (m + origin), method=method)
    assert unit * two.coefficients[1] == pytest.approx(one.coefficients[1], rel=1e-4, abs=1e-5)
    assert two.fitted == pytest.approx(one.fitted, rel=1e-4, abs=1e-5)
    assert two.qm == pytest.approx(one.qm, rel=1e-3, abs=1e-4)


@FEWER
@given(_cities(least=3), _methods, _intervals)
def test_leaving_one_out_is_the_refit_without_it(cities, method, interval) -> None:
    y, v, _ = cities
    for index, without in enumerate(leave_one_out(y, v, method=method, interval=interval)):
        again = pool(np.delete(y, index), np.delete(v, index), method=method, interval=interval)
        assert repr(without) == repr(again)  # to the last digit; nan is nan


@FEWER
@given(_cities(least=3), _methods, _intervals)
def test_the_last_of_a_cumulative_analysis_is_the_whole(cities, method, interval) -> None:
    y, v, _ = cities
    order = np.argsort(v)
    steps = cumulative(y, v, order, method=method, interval=interval)
    assert [one.k for one in steps] == list(range(1, len(y) + 1))
    whole = pool(y, v, method=method, interval=interval)
    assert steps[-1].effect == pytest.approx(whole.effect, rel=LAW, abs=LAW)
    assert (steps[0].effect, steps[0].std_error) == pytest.approx(
        (y[order[0]], np.sqrt(v[order[0]]))
    )


@FEWER
@given(_cities(least=4), _intervals)
def test_influence_is_what_a_refit_shows(cities, interval: Interval) -> None:
    """DFFITS, the residual and Cook's distance from their definitions, by pooling without each city."""
    y, v, _ = cities
    told = influence(y, v, interval=interval)
    whole = pool(y, v, interval=interval)
    for index, without in enumerate(leave_one_out(y, v, interval=interval)):
        tau2 = without.tau2
        wald = 1 / np.sum(1 / (np.delete(v, index) + tau2))
        scale = without.std_error**2 / wald
        spread = scale * (v[index] + tau2)
        residual = (y[index] - without.effect) / np.sqrt(spread + without.std_error**2)
        assert told.rstudent[index] == pytest.approx(residual, rel=1e-4, abs=1e-6)
        moved = whole.effect - without.effect
        dffits = moved / np.sqrt(told.hat[index] * spread)
        assert told.dffits[index] == pytest.approx(dffits, rel=1e-4, abs=1e-4)
        cooks = (moved / whole.std_error) ** 2
        assert told.cooks[index] == pytest.approx(cooks, rel=1e-4, abs=1e-4)
    assert told.hat.sum() == pytest.approx(1.0)
    assert told.weight.sum() == pytest.approx(1.0)


@FEWER
@given(_cities(), st.sampled_from(["fixed", "REML"]))
def test_two_subgroups_are_a_regression_on_an_indicator(cities, method: RegressionMethod) -> None:
    y, v, m = cities
    groups = (m[:, 0] > np.median(m)).astype(int)
    assume(0 < groups.sum() < len(groups))
    found = compare_subgroups(y, v, groups, method=method)
    fit = regress(y, v, groups[:, None].astype(float), method=method)
    effect, low, high = predict(fit, np.array([[0.0], [1.0]]))
    assert found.effect == pytest.approx(effect, rel=LAW, abs=LAW)
    assert np.all(low < effect)
    assert np.all(effect < high)
    assert found.q_p_value == pytest.approx(fit.p_value[1], rel=1e-6)


@FEWER
@given(_cities(least=3), st.floats(-2, 2))
def test_egger_does_not_see_an_effect_common_to_all(cities, shift: float) -> None:
    y, v, _ = cities
    one, two = egger(y, v), egger(y + shift, v)
    assert two.slope == pytest.approx(one.slope, rel=1e-6, abs=1e-6)
    assert two.limit == pytest.approx(one.limit + shift, rel=1e-6, abs=1e-6)
    assert one.low_power is (len(y) < ENOUGH_SITES)
