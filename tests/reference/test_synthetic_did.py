"""Synthetic difference-in-differences: California's Proposition 99, and properties of the solver."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from evalkit.core.discover import estimator
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Outcome
from evalkit.numerics.synthetic_cross_fit import cross_fitted_synthetic_did
from evalkit.numerics.synthetic_did import (
    Block,
    SyntheticDid,
    Weighting,
    apply_weights,
    jackknife_variance,
    mean_difference,
    simplex_weights,
    staggered_jackknife,
    staggered_placebos,
    staggered_sums,
    synthetic_did,
    without_control,
)
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import study

# synthdid-py prints 15 digits; the same steps in the same order, sums in another. Measured: 2e-12.
SAME_STEPS = 1e-9
# The file holds tenths of packs in single precision: 58.59999847 is 586 incidents in ten days. Measured: 1.3e-6.
SINGLE_PRECISION = 4e-6
# Difference-in-differences and synthetic control are printed with four decimals.
FOUR_DECIMALS = 0.5e-4


def california(shared: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Packs per head: 38 control states, California, periods before (1970 to 1988)."""
    table = pl.read_csv(shared / "data/reference/did/california_prop99.csv", separator=",")
    wide = table.pivot(on="Year", index="State", values="PacksPerCapita").sort("State")
    values = wide.drop("State").to_numpy()
    is_california = (wide["State"] == "California").to_numpy()
    return values[~is_california], values[is_california], 19


@pytest.fixture(scope="module")
def block(shared: Path) -> tuple[np.ndarray, np.ndarray, int]:
    return california(shared)


@pytest.mark.parametrize(
    ("weighting", "key", "tolerance"),
    [
        ("synthetic_did", "sdid", SAME_STEPS),
        ("difference_in_differences", "did", FOUR_DECIMALS),
        ("synthetic_control", "sc", FOUR_DECIMALS),
    ],
)
def test_california(
    shared: Path,
    block: tuple[np.ndarray, np.ndarray, int],
    weighting: Weighting,
    key: str,
    tolerance: float,
) -> None:
    expected = json.loads((shared / "data/reference/did/expected.json").read_text())
    found = synthetic_did(*block, weighting=weighting)
    assert found.effect == pytest.approx(expected["california_prop99"][key], rel=0, abs=tolerance)
    assert found.omega.sum() == pytest.approx(1)


def test_california_does_not_depend_on_the_order_of_states(
    block: tuple[np.ndarray, np.ndarray, int],
) -> None:
    controls, treated, before = block
    shuffled = controls[np.random.default_rng(1).permutation(len(controls))]
    assert synthetic_did(shuffled, treated, before).effect == pytest.approx(
        synthetic_did(*block).effect, abs=SAME_STEPS
    )


def test_california_through_the_estimator(
    shared: Path, block: tuple[np.ndarray, np.ndarray, int]
) -> None:
    """A study that asks for the published weights gets them; tenths of packs are the incidents of ten days."""
    controls, treated, before = block
    packs = np.vstack([controls, treated])
    units, years = packs.shape
    live = np.where(np.arange(units) < len(controls), NEVER, before)
    panel = Panel(
        sites=("us",),
        crime_types=("theft",),
        periods=tuple(dt.date(1970 + year, 1, 1) for year in range(years)),
        unit_ids=np.array([f"state{number:02d}" for number in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=np.where(live == NEVER, int(Role.CONTROL), int(Role.TREATED)),
        first_live=live,
        last_live=live.copy(),
        counts=np.rint(packs * 10).astype(np.int64)[None],
        exposure=np.full((units, years), 10.0),
        fingerprint="0" * 64,
    )
    plain = study(estimator="synthetic_did", scale="count", period_weights="published")
    asked = msgspec.structs.replace(
        plain,
        outcome=Outcome(crime_types=("theft",)),
        treatment=msgspec.structs.replace(plain.treatment, transition="treat"),
    )
    found = estimate(estimator("synthetic_did"), asked, ask_pooled((panel,)))
    expected = json.loads((shared / "data/reference/did/expected.json").read_text())
    assert found.effect[0] == pytest.approx(
        expected["california_prop99"]["sdid"], rel=0, abs=SINGLE_PRECISION
    )


def test_cross_fitting_changes_california_little(
    shared: Path, block: tuple[np.ndarray, np.ndarray, int]
) -> None:
    """By less than a tenth of the standard error in the paper's Table 1, and not by nothing."""
    expected = json.loads((shared / "data/reference/did/expected.json").read_text())
    found = cross_fitted_synthetic_did(*block)
    assert 0 < abs(found.effect - expected["california_prop99"]["sdid"]) < 0.84
    assert found.lam.shape == (38, 19)


def test_one_treated_state_has_no_jackknife(block: tuple[np.ndarray, np.ndarray, int]) -> None:
    assert math.isnan(jackknife_variance(*block, synthetic_did(*block)))


def test_californias_placebo_error_is_the_papers(
    block: tuple[np.ndarray, np.ndarray, int],
) -> None:
    """Every state once is what the paper's random draws estimate; its Table 1 prints 8.4.

    A standard deviation from n draws has relative error √((κ − 1)/4n) for kurtosis κ; the package's n is 200,
    and three such errors are allowed.
    """
    controls, _, before = block
    effects = np.array(
        [
            synthetic_did(np.delete(controls, i, axis=0), controls[i : i + 1], before).effect
            for i in range(len(controls))
        ]
    )
    centred = effects - effects.mean()
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2
    assert effects.std() == pytest.approx(8.4, rel=3 * math.sqrt((kurtosis - 1) / 800))


def test_placebos_have_no_effect_on_average() -> None:
    """Mean of 60 placebo effects within three of its standard errors of 0."""
    random = np.random.default_rng(6)
    y = random.normal(5, 1, 24)[:, None] + random.normal(0, 1, (24, 12))
    blocks = [Block(y, y[:4], 8)]  # of the treated only their number matters
    effects = staggered_placebos(blocks, mean_difference, np.random.default_rng(12), draws=60)
    assert abs(effects.mean()) < 3 * effects.std() / math.sqrt(60)
    again = staggered_placebos(blocks, mean_difference, np.random.default_rng(12), draws=60)
    np.testing.assert_array_equal(effects, again)


def test_weights_are_the_minimum_of_the_objective() -> None:
    """Against SLSQP. Frank–Wolfe's gap falls as one over the steps: 1e-4 after ten thousand."""
    random = np.random.default_rng(3)
    A, b, zeta = random.normal(size=(30, 6)), random.normal(size=30), 0.3
    start = np.full(6, 1 / 6)

    def objective(x: np.ndarray) -> float:
        return float(zeta**2 * x @ x + ((A @ x - b) ** 2).mean())

    found = simplex_weights(A, b, zeta, start, 0.0, 10_000, intercept=False)
    best = minimize(
        objective,
        start,
        bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
        options={"ftol": 1e-14},
    )
    assert found.sum() == pytest.approx(1)
    assert (found >= 0).all()
    assert objective(found) == pytest.approx(best.fun, abs=1e-4)


def test_an_additive_effect_is_found_exactly_where_paths_are_parallel() -> None:
    random = np.random.default_rng(4)
    level, path = random.normal(10, 3, 25)[:, None], random.normal(0, 1, 20)
    y = level + path
    y[20:, 12:] += 2.5
    found = synthetic_did(y[:20], y[20:], 12)
    assert found.effect == pytest.approx(2.5, abs=1e-9)
    assert found.counterfactual_mean == pytest.approx(found.treated_mean - 2.5, abs=1e-9)


def test_removes_what_difference_in_differences_leaves() -> None:
    """Treated units follow a factor that only some controls share: parallel trends fail, weights restore them."""
    random = np.random.default_rng(5)
    load = np.concatenate([np.repeat([0.0, 1.0], 30), np.ones(5)])
    trend = np.linspace(0, 10, 24)
    y = load[:, None] * trend + random.normal(0, 0.5, (65, 24))
    plain = synthetic_did(y[:60], y[60:], 16, weighting="difference_in_differences")
    weighted = synthetic_did(y[:60], y[60:], 16)
    assert plain.effect > 2
    assert (
        abs(weighted.effect) < plain.effect / 5
    )  # the penalty keeps weights from fitting the noise


def test_jackknife_error_is_that_of_repeated_samples() -> None:
    """Mean of 50 jackknife variances against the variance of 50 effects (relative error √(2/49) = 20 %).
    Conservative, so up to twice as large is no surprise; less than three fifths would be."""
    effects, variances = [], []
    for seed in range(50):
        random = np.random.default_rng(seed)
        y = random.normal(5, 1, 50)[:, None] + random.normal(0, 1, (50, 20))
        fit = synthetic_did(y[:40], y[40:], 12)
        effects.append(fit.effect)
        variances.append(jackknife_variance(y[:40], y[40:], 12, fit))
    ratio = float(np.mean(variances) / np.var(effects, ddof=1))
    assert 0.6 < ratio < 2.0


def test_blocks_are_averaged_by_treated_unit_periods() -> None:
    """Two starts with different exact effects; their counterfactuals are those of either alone."""
    level, path = np.arange(26.0)[:, None], np.sin(np.arange(20.0))
    y = 5 + level + path
    y[20:23, 8:] += 1.0
    y[23:, 15:] += 4.0
    blocks = [Block(y[:20], y[20:23], 8), Block(y[:20], y[23:], 15)]
    fits = [synthetic_did(one.controls, one.treated, one.before) for one in blocks]
    sums = staggered_sums(blocks, fits)
    n = np.array([3 * 12, 3 * 5])
    assert sums.unit_periods == n.sum()
    assert mean_difference(sums) == pytest.approx((n * [1.0, 4.0]).sum() / n.sum(), abs=1e-9)
    assert staggered_jackknife(blocks, fits, mean_difference) > 0
    assert math.isnan(
        staggered_jackknife([blocks[0], Block(y[:20], y[23:24], 15)], fits, mean_difference)
    )


def test_a_control_left_out() -> None:
    np.testing.assert_allclose(without_control(np.array([0.5, 0.25, 0.25]), 0), [0, 0.5, 0.5])
    np.testing.assert_allclose(without_control(np.array([1.0, 0.0, 0.0]), 0), [0, 0.5, 0.5])


def test_constant_controls_have_equal_weights() -> None:
    found: SyntheticDid = synthetic_did(np.ones((4, 6)), np.arange(6.0)[None], 3)
    assert (
        found.effect
        == apply_weights(
            np.ones((4, 6)), np.arange(6.0)[None], 3, np.full(4, 0.25), np.full(3, 1 / 3)
        ).effect
    )


@pytest.mark.parametrize(("n0", "n1", "before"), [(1, 1, 3), (4, 0, 3), (4, 1, 1), (4, 1, 6)])
def test_no_block(n0: int, n1: int, before: int) -> None:
    with pytest.raises(ValueError, match="block needs"):
        synthetic_did(np.ones((n0, 6)), np.ones((n1, 6)), before)


def test_too_few_controls_for_placebos() -> None:
    with pytest.raises(ValueError, match="placebos"):
        staggered_placebos(
            [Block(np.ones((4, 6)), np.ones((3, 6)), 3)],
            mean_difference,
            np.random.default_rng(0),
            draws=1,
        )
