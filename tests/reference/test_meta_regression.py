"""Meta-regression, influence, leave-one-out, cumulative, Egger and subgroups against metafor 3.8-1.

Expected figures are in metafor_across.json, written by metafor_across.R beside it; the trials are those of
`meta_analysis_data`. What does not agree, and why, is in README.md.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from evalkit.numerics.influence import influence
from evalkit.numerics.meta_analysis import pool
from evalkit.numerics.meta_regression import MetaRegression, predict, regress
from evalkit.numerics.refits import cumulative, leave_one_out
from evalkit.numerics.small_study import egger
from evalkit.numerics.subgroups import compare_subgroups
from tests.reference.meta_analysis_data import BCG_ALLOCATION, BCG_LATITUDE, BCG_YEAR
from tests.reference.test_meta_analysis import INTERVALS, METHODS, bcg

Array = NDArray[np.float64]

EXPECTED: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "metafor_across.json").read_text(encoding="utf-8")
)

SOLVED: Final = 2e-9
"""Relative, with metafor's convergence tightened: measured 1e-11, and 6e-10 where the uncentred year is in the
design, whose normal equations metafor inverts."""

REFITS: Final = 1e-9
"""Relative, for refits without a site: measured 1e-10 at most."""

ALLOCATIONS: Final = ("alternate", "random", "systematic")


def indicators() -> Array:
    return np.array([[name == one for one in ALLOCATIONS[1:]] for name in BCG_ALLOCATION], float)


MODERATORS: Final[dict[str, Array]] = {
    "ablat": np.array(BCG_LATITUDE, dtype=float)[:, None],
    "ablat_year": np.column_stack([BCG_LATITUDE, BCG_YEAR]).astype(float),
    "alloc": indicators(),
    "none": np.empty((13, 0)),
}


def named_as_metafor(fit: MetaRegression) -> dict[str, Any]:
    return {
        "beta": fit.coefficients,
        "se": fit.std_error,
        "pval": fit.p_value,
        "tau2": fit.tau2,
        "QE": fit.qe,
        "QEp": fit.qe_p_value,
        "QM": fit.qm,
        "QMp": fit.qm_p_value,
        "R2": fit.r2,
        "I2": fit.i2,
        "H2": fit.h2,
    }


@pytest.mark.parametrize(
    "case", EXPECTED["fits"], ids=lambda case: f"{case['model']}-{case['method']}-{case['test']}"
)
def test_metafor_regressions_of_the_bcg_trials(case: dict[str, Any]) -> None:
    method = METHODS[case["method"]]
    assert method in ("fixed", "DL", "PM", "REML")
    fit = regress(
        *bcg("RR"), MODERATORS[case["model"]], method=method, interval=INTERVALS[case["test"]]
    )
    actual = named_as_metafor(fit)
    for name, found in actual.items():
        expected = [math.nan if value is None else value for value in case[name]]
        if name == "R2" and case["method"] == "FE":
            continue  # without τ² there is nothing to explain; metafor has no figure either
        assert np.atleast_1d(found) == pytest.approx(expected, rel=SOLVED, abs=1e-12), name


def test_what_metafor_prints_for_absolute_latitude() -> None:
    """The example of metafor's documentation with metafor's defaults; τ² and QM within its stopping rule."""
    fit = regress(*bcg("RR"), MODERATORS["ablat"], method="REML", interval="wald")
    assert np.round(fit.coefficients, 4).tolist() == [0.2515, -0.0291]
    assert np.round(fit.std_error, 4).tolist() == [0.2491, 0.0072]
    assert fit.tau2 == pytest.approx(0.0764, abs=1e-4)
    assert fit.qm == pytest.approx(16.3571, abs=2e-3)
    assert fit.qe == pytest.approx(30.7331, abs=5e-5)
    assert fit.i2 == pytest.approx(68.39, abs=1e-2)
    assert fit.r2 == pytest.approx(75.62, abs=1e-2)
    low, mean, high = (math.exp(float(one[0])) for one in _prediction(fit, 40.0))
    # predict(fit, newmods = 40, transf = exp): the average risk ratio at 40 degrees from the equator.
    assert (low, mean, high) == pytest.approx((0.3151, 0.4015, 0.5115), abs=2e-4)


def _prediction(fit: MetaRegression, latitude: float) -> tuple[Array, Array, Array]:
    effect, low, high = predict(fit, np.array([[latitude]]))
    return low, effect, high


def test_restricted_likelihood_is_stationary_where_metafor_stops_short() -> None:
    """At evalkit's τ² the estimating equation y'PPy = tr P holds; at the printed one it does not."""
    y, v = bcg("RR")
    x = np.column_stack([np.ones(13), BCG_LATITUDE])

    def equation(tau2: float) -> float:
        w = np.diag(1 / (v + tau2))
        p = w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w
        return float(y @ p @ p @ y - np.trace(p))

    fit = regress(y, v, MODERATORS["ablat"])
    assert abs(equation(fit.tau2)) < 1e-10
    assert abs(equation(0.0764)) > 1e-3


@pytest.mark.parametrize("case", EXPECTED["influence"], ids=lambda c: f"{c['model']}-{c['test']}")
def test_metafor_influence(case: dict[str, Any]) -> None:
    found = influence(*bcg("RR"), MODERATORS[case["model"]], interval=INTERVALS[case["test"]])
    for name in (
        "rstudent",
        "dffits",
        "cooks",
        "covariance_ratio",
        "tau2",
        "qe",
        "hat",
        "weight",
    ):
        expected = pytest.approx(case[name], rel=REFITS, abs=1e-8)
        assert getattr(found, name) == expected, name
    assert found.dfbetas.T.ravel() == pytest.approx(case["dfbetas"], rel=REFITS, abs=1e-8)
    assert found.influential.tolist() == [bool(flag) for flag in case["influential"]]


def test_metafor_leave_one_out() -> None:
    found = leave_one_out(*bcg("RR"), interval="wald")
    expected = EXPECTED["leave_one_out"]
    for name, attribute in (
        ("estimate", "effect"),
        ("se", "std_error"),
        ("tau2", "tau2"),
        ("I2", "i2"),
        ("Q", "q"),
    ):
        actual = [getattr(one, attribute) for one in found]
        assert actual == pytest.approx(expected[name], rel=REFITS), name


def test_metafor_cumulative_by_year() -> None:
    expected = EXPECTED["cumulative"]
    order = np.argsort(BCG_YEAR, kind="stable")
    assert order.tolist() == expected["order"]
    found = cumulative(*bcg("RR"), order, interval="wald")
    assert [one.effect for one in found] == pytest.approx(expected["estimate"], rel=REFITS)
    assert [one.std_error for one in found] == pytest.approx(expected["se"], rel=REFITS)
    assert [one.tau2 for one in found][1:] == pytest.approx(
        expected["tau2"][1:], rel=REFITS, abs=1e-8
    )


def test_metafor_egger() -> None:
    found, expected = egger(*bcg("RR")), EXPECTED["egger"]
    assert found.statistic == pytest.approx(expected["slope_t"][0], rel=SOLVED)
    assert found.p_value == pytest.approx(expected["p"][0], rel=SOLVED)
    assert (found.limit, found.limit_low, found.limit_high) == pytest.approx(
        (expected["limit"][0], expected["low"][0], expected["high"][0]), rel=SOLVED
    )
    assert not found.low_power


def test_metafor_egger_with_random_effects_is_a_meta_regression_on_the_standard_error() -> None:
    y, v = bcg("RR")
    fit = regress(y, v, np.sqrt(v)[:, None], interval="wald")
    expected = EXPECTED["egger_rma"]
    assert fit.coefficients[1] / fit.std_error[1] == pytest.approx(expected["z"][0], rel=REFITS)
    assert fit.p_value[1] == pytest.approx(expected["p"][0], rel=REFITS)
    assert fit.coefficients[0] == pytest.approx(expected["limit"][0], rel=REFITS)


@pytest.mark.parametrize("common", [True, False])
def test_metafor_subgroups_by_allocation(common: bool) -> None:
    groups = [ALLOCATIONS.index(name) for name in BCG_ALLOCATION]
    found = compare_subgroups(*bcg("RR"), groups, interval="wald", common_tau2=common)
    assert found.sizes == (2, 7, 4)
    if not common:
        for index, name in enumerate(ALLOCATIONS):
            expected = EXPECTED["groups"][name]
            assert found.effect[index] == pytest.approx(expected["estimate"][0], rel=REFITS)
            assert found.std_error[index] == pytest.approx(expected["se"][0], rel=REFITS)
            assert found.tau2[index] == pytest.approx(expected["tau2"][0], rel=REFITS)
        # Borenstein et al. (2009), equation 19.10: the groups pooled as if each were a study.
        again = pool(found.effect, found.std_error**2, method="fixed", interval="wald")
        assert found.q_between == pytest.approx(again.q)
        return
    (expected,) = (
        case
        for case in EXPECTED["fits"]
        if (case["model"], case["method"], case["test"]) == ("alloc", "REML", "z")
    )
    first, second, third = expected["beta"]
    assert found.effect == pytest.approx([first, first + second, first + third], rel=SOLVED)
    assert found.q_between == pytest.approx(expected["QM"][0], rel=SOLVED)
    assert found.q_p_value == pytest.approx(expected["QMp"][0], rel=SOLVED)


def test_without_moderators_it_is_the_meta_analysis(shared: Path) -> None:
    """34 metafor fits hold `pool`; here `regress` is held to it."""
    assert (shared / "data/reference/metafor_bcg_reference.csv").exists()
    for method in ("fixed", "DL", "PM", "REML"):
        for interval in INTERVALS.values():
            one = pool(*bcg("OR"), method=METHODS.get(method, method), interval=interval)
            two = regress(*bcg("OR"), MODERATORS["none"], method=method, interval=interval)
            assert (two.coefficients[0], two.std_error[0], two.tau2) == pytest.approx(
                (one.effect, one.std_error, one.tau2), rel=1e-12
            )
            assert (two.qe, two.i2, two.h2) == pytest.approx((one.q, one.i2, one.h2), rel=1e-12)
