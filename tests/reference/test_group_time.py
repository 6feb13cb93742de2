"""Group-time effects against R's did, against their definition, and where one indicator misleads."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Analysis, Outcome, Study, Treatment, Units, Window
from evalkit.errors import ConfigError, EstimationError, NoControlError, NothingToTestError
from evalkit.numerics import doubly_robust as numerics
from evalkit.numerics.doubly_robust import doubly_robust_totals
from evalkit.numerics.event_study import pre_trend_test
from evalkit.numerics.group_time import Blocks, Cells, att, blocks_of, cells_of
from evalkit.numerics.group_time_totals import (
    averages,
    calendar_weights,
    dynamic_weights,
    group_weights,
    simple_weights,
    totals,
)
from evalkit.runtimes.pooled import ask_pooled
from tests.did_worlds import (
    World,
    castle,
    jackknife_covariance,
    mpdta,
    panel_of,
    ragged,
    slow_cells,
    weighted_effect,
)

# R's did printed with 17 digits: sums of 500 doubles in another order.
R_DID = 1e-13
# expected.json prints eight decimals: half a unit in the last is 5e-9.
EIGHT_DECIMALS = 5.1e-9
# R's glm leaves the information of the step before its last one, see tests/reference/README.md.
R_GLM = 1e-8
# Counts are outcomes rounded to eight decimals.
ROUNDED = 1e-8
# Central differences with a step of 1e-4 are off by about its square.
DIFFERENCE = 1e-6


@pytest.fixture(scope="module")
def published(shared: Path) -> dict:
    return json.loads((shared / "data/reference/did/expected.json").read_text())


@pytest.fixture(scope="module")
def r_did(shared: Path) -> dict[tuple[str, str], tuple[float, float]]:
    with (shared / "data/reference/did/expected_mpdta_did_R.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    return {(group, key): (float(effect), float(error)) for group, key, effect, error in rows}


def prepared(world: World, control: str, base: str = "varying") -> tuple[Blocks, Cells]:
    blocks, _ = blocks_of(world.y, world.observed, world.first, world.start)
    return blocks, cells_of(blocks, control, base)


def average(blocks: Blocks, cells: Cells, weights, overall=None, scale: str = "count"):
    marked = np.ones(weights.shape[1], dtype=bool) if overall is None else overall
    found = averages(totals(blocks, cells, weights), marked, scale)
    return found.effect, np.sqrt(np.diagonal(found.covariance))


def four_aggregations(blocks: Blocks, cells: Cells) -> dict[str, tuple[float, float]]:
    times = np.arange(cells.event_time.min(), cells.event_time.max() + 1)
    periods = np.arange(blocks.mean.shape[1])
    found = {
        "simple": average(blocks, cells, simple_weights(cells)),
        "dynamic": average(blocks, cells, dynamic_weights(cells, times), times >= 0),
        "group": average(blocks, cells, group_weights(cells)[1].sum(axis=1, keepdims=True)),
        "calendar": average(blocks, cells, calendar_weights(cells, periods)),
    }
    return {name: (effect[0], error[0]) for name, (effect, error) in found.items()}


@pytest.mark.parametrize(
    ("control", "name"), [("never", "nevertreated"), ("not_yet", "notyettreated")]
)
def test_mpdta_equals_r_did(shared: Path, r_did, control: str, name: str) -> None:
    blocks, cells = prepared(mpdta(shared), control)
    found = att(blocks, cells)
    errors = np.sqrt(np.diagonal(found.covariance))
    assert len(found.effect) == 12
    for cell, both in enumerate(zip(found.effect, errors, strict=True)):
        key = f"{2003 + cells.first[cell]} {2003 + cells.period[cell]}"
        np.testing.assert_allclose(both, r_did[name, key], rtol=0, atol=R_DID)
    four = four_aggregations(blocks, cells)
    for key in ("simple", "dynamic", "group"):
        np.testing.assert_allclose(four[key], r_did[name, key], rtol=0, atol=R_DID)
    times = np.arange(-3, 4)
    by_time = np.array(average(blocks, cells, dynamic_weights(cells, times)))[:, 1:]
    for time, both in zip(times, by_time.T, strict=True):
        np.testing.assert_allclose(both, r_did[name, f"dynamic {time}"], rtol=0, atol=R_DID)
    cohorts, weights = group_weights(cells)
    by_cohort = np.array(average(blocks, cells, weights))[:, 1:]
    for cohort, both in zip(cohorts, by_cohort.T, strict=True):
        key = f"group {2003 + cohort[0]}"
        np.testing.assert_allclose(both, r_did[name, key], rtol=0, atol=R_DID)


@pytest.mark.parametrize("name", ["simple", "dynamic", "group", "calendar"])
def test_mpdta_equals_the_published_averages(shared: Path, published: dict, name: str) -> None:
    four = four_aggregations(*prepared(mpdta(shared), "never"))
    np.testing.assert_allclose(four[name], published["mpdta"][name], rtol=0, atol=EIGHT_DECIMALS)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("simple", "cs_simple"),
        ("dynamic", "cs_dynamic"),
        ("group", "cs_group_se_patched"),
        ("calendar", "cs_calendar"),
    ],
)
def test_castle_equals_the_published_averages(
    shared: Path, published: dict, name: str, key: str
) -> None:
    four = four_aggregations(*prepared(castle(shared), "never"))
    np.testing.assert_allclose(four[name], published["castle"][key], rtol=0, atol=EIGHT_DECIMALS)


def test_pre_test_of_the_did_readme(shared: Path) -> None:
    """bcallaway11/did README: p-value of the pre-test of parallel trends on mpdta, 0.16812."""
    blocks, cells = prepared(mpdta(shared), "never")
    found = att(blocks, cells)
    before = ~cells.post
    test = pre_trend_test(found.effect[before], found.covariance[np.ix_(before, before)])
    assert test.df == 5
    assert round(test.p_value, 5) == 0.16812


def test_a_cohort_of_one_has_no_standard_error(shared: Path) -> None:
    """One state is alone in 2005 and one in 2009: R's did prints an ordinary error for each."""
    blocks, cells = prepared(castle(shared), "never")
    found = att(blocks, cells)
    alone = np.isin(cells.first, [5, 9])
    np.testing.assert_array_equal(cells.treated_units == 1, alone)
    assert np.isnan(np.diagonal(found.covariance)[alone]).all()
    assert np.isfinite(np.diagonal(found.covariance)[~alone]).all()
    assert np.isfinite(found.effect).all()


@pytest.mark.parametrize("control", ["never", "not_yet"])
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_cells_with_transitions_and_holes_are_those_of_the_definition(
    control: str, base: str
) -> None:
    world = ragged(1)
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, control, base)
    slow = {
        (cell.cohort, cell.period, cell.base): cell for cell in slow_cells(world, control, base)
    }
    fast = list(zip(cells.first, cells.start, cells.period, cells.base, strict=True))
    assert {((f, s), t, b) for f, s, t, b in fast} == set(slow)
    effects = att(blocks, cells).effect
    for one, (f, s, t, b) in enumerate(fast):
        cell = slow[(f, s), t, b]
        np.testing.assert_array_equal(cells.treated[one][block], cell.treated)
        np.testing.assert_array_equal(cells.control[one][block], cell.control)
        assert (cells.event_time[one], cells.post[one]) == (cell.event_time, cell.post)
        change = world.y[:, t] - world.y[:, b]
        expected = change[cell.treated].mean() - change[cell.control].mean()
        assert effects[one] == pytest.approx(expected, abs=1e-12)


def targets_of(name: str, cells: Cells, periods: int) -> tuple[np.ndarray, np.ndarray]:
    if name == "dynamic":
        times = np.unique(cells.event_time)
        return dynamic_weights(cells, times), times >= 0
    if name == "calendar":
        weights = calendar_weights(cells, np.unique(cells.period[cells.post]))
    elif name == "group":
        weights = group_weights(cells)[1].sum(axis=1, keepdims=True)
    else:
        weights = simple_weights(cells)
    return weights, np.ones(weights.shape[1], dtype=bool)


@pytest.mark.parametrize("name", ["simple", "dynamic", "group", "calendar"])
@pytest.mark.parametrize("scale", ["ratio", "count"])
def test_covariance_is_that_of_the_influence_by_definition(name: str, scale: str) -> None:
    world = ragged(2)
    blocks, _ = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, "not_yet", "varying")
    weights, overall = targets_of(name, cells, world.y.shape[1])
    found = averages(totals(blocks, cells, weights), overall, scale)
    slow = slow_cells(world, "not_yet", "varying")

    def effect(units: np.ndarray) -> np.ndarray:
        return weighted_effect(world, slow, weights, overall, scale, units)

    np.testing.assert_allclose(found.effect, effect(np.ones(len(world.y))), rtol=0, atol=1e-12)
    expected = jackknife_covariance(effect, len(world.y))
    np.testing.assert_allclose(found.covariance, expected, rtol=DIFFERENCE, atol=DIFFERENCE)


@pytest.mark.parametrize("scale", ["ratio", "count"])
def test_doubly_robust_covariance_is_that_of_the_influence_by_definition(scale: str) -> None:
    """Propensities and regressions are fitted anew for every number of units, so nothing is left out."""
    world = ragged(3, units=60)
    x = np.column_stack([np.ones(60), world.covariate])
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, "never", "varying")
    times = np.unique(cells.event_time)
    weights = dynamic_weights(cells, times)
    y = np.where(world.observed, world.y, 0.0)
    found = averages(doubly_robust_totals(y, x, blocks, block, cells, weights), times >= 0, scale)
    slow = slow_cells(world, "never", "varying")

    def effect(units: np.ndarray) -> np.ndarray:
        return weighted_effect(world, slow, weights, times >= 0, scale, units, x)

    np.testing.assert_allclose(found.effect, effect(np.ones(60)), rtol=0, atol=1e-11)
    expected = jackknife_covariance(effect, 60)
    np.testing.assert_allclose(found.covariance, expected, rtol=DIFFERENCE, atol=DIFFERENCE)


def simple_doubly_robust(world: World, x: np.ndarray) -> tuple[float, float]:
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, "never", "varying")
    found = doubly_robust_totals(world.y, x, blocks, block, cells, simple_weights(cells))
    one = averages(found, np.array([True]), "count")
    return float(one.effect[0]), float(np.sqrt(one.covariance[0, 0]))


def test_mpdta_with_a_covariate_equals_r_did(shared: Path, published: dict) -> None:
    world = mpdta(shared)
    found = simple_doubly_robust(world, np.column_stack([np.ones(500), world.covariate]))
    np.testing.assert_allclose(found, published["mpdta"]["lpop_dr_simple"], rtol=0, atol=R_GLM)


def test_the_rest_of_the_difference_is_where_r_glm_stops(
    shared: Path, published: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With R's stopping rule and its information of the step before, all printed digits agree."""

    def r_glm(treated: np.ndarray, x: np.ndarray) -> numerics.Logit:
        d = treated.astype(float)
        p = (d + 0.5) / 2
        eta, deviance = np.log(p / (1 - p)), np.inf
        while True:
            information = x.T @ (x * (p * (1 - p))[:, None])
            beta = np.linalg.solve(information, x.T @ (p * (1 - p) * eta + d - p))
            eta = x @ beta
            p = 1 / (1 + np.exp(-eta))
            before = deviance
            deviance = float(-2 * np.log(np.where(treated, p, 1 - p)).sum())
            if abs(deviance - before) / (abs(deviance) + 0.1) < 1e-8:
                return numerics.Logit(beta, p, np.linalg.inv(information))

    monkeypatch.setattr(numerics, "logit", r_glm)
    world = mpdta(shared)
    found = simple_doubly_robust(world, np.column_stack([np.ones(500), world.covariate]))
    expected = published["mpdta"]["lpop_dr_simple"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=EIGHT_DECIMALS)


def test_doubly_robust_without_covariates_is_without_covariates() -> None:
    world = ragged(4)
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, "not_yet", "universal")
    weights = dynamic_weights(cells, np.unique(cells.event_time))
    y = np.where(world.observed, world.y, 0.0)
    robust = doubly_robust_totals(y, np.ones((len(y), 1)), blocks, block, cells, weights)
    plain = totals(blocks, cells, weights)
    np.testing.assert_allclose(robust.values, plain.values, rtol=1e-12)
    np.testing.assert_allclose(robust.cross, plain.cross, rtol=1e-10, atol=1e-9)


def test_universal_base_sums_the_changes_of_the_varying_one(shared: Path) -> None:
    world = mpdta(shared)
    blocks, varying = prepared(world, "never", "varying")
    _, universal = prepared(world, "never", "universal")
    changes, sums = att(blocks, varying).effect, att(blocks, universal).effect
    for cell in np.flatnonzero(~universal.post):
        between = (varying.first == universal.first[cell]) & ~varying.post
        between &= varying.period > universal.period[cell]
        assert sums[cell] == pytest.approx(-changes[between].sum(), abs=1e-13)
    np.testing.assert_allclose(sums[universal.post], changes[varying.post], rtol=0, atol=1e-13)


def study_of(name: str, **analysis) -> Study:
    return Study(
        name="mpdta",
        title="Minimum wages and teen employment",
        window=Window(start=dt.date(2003, 1, 1), end=dt.date(2007, 12, 31), period="year"),
        units=Units(kind="area"),
        outcome=Outcome(crime_types=("robbery",)),
        treatment=Treatment(transition=analysis.pop("transition", "treat")),
        analysis=Analysis(estimator=name, **analysis),
    )


def run(panels: tuple[Panel, ...], name: str = "group_time_att", **analysis) -> Estimate:
    asked = study_of(name, **analysis)
    return estimate(estimator(name), asked, ask_pooled(panels))


@pytest.mark.parametrize("pool", ["within_city", "pooled"])
@pytest.mark.parametrize("aggregation", ["simple", "dynamic", "group", "calendar"])
def test_estimator_equals_r_did(shared: Path, published: dict, pool: str, aggregation: str) -> None:
    panels = (panel_of(mpdta(shared), "us"),)
    found = run(panels, aggregation=aggregation, control_pool=pool, scale="count")
    both = np.array([found.effect[0], found.std_error[0]]) / 1e8
    np.testing.assert_allclose(both, published["mpdta"][aggregation], rtol=0, atol=ROUNDED)
    assert found.scale == "count"
    assert found.clusters == 500


def test_dynamic_terms_band_and_pre_test(shared: Path, r_did) -> None:
    found = run((panel_of(mpdta(shared), "us"),), aggregation="dynamic", scale="count")
    names = [f"event time {time}" for time in range(-3, 4)]
    assert found.terms == ("treated", *names)
    for index, time in enumerate(range(-3, 4), start=1):
        both = np.array([found.effect[index], found.std_error[index]]) / 1e8
        np.testing.assert_allclose(
            both, r_did["nevertreated", f"dynamic {time}"], rtol=0, atol=ROUNDED
        )
    # the overall effect is the mean of the event times from 0: so is its covariance with each
    np.testing.assert_allclose(found.covariance[0], found.covariance[4:].mean(axis=0), rtol=1e-9)
    before = slice(1, 4)
    test = pre_trend_test(found.effect[before], found.covariance[before, before])
    assert found.details["pre_test_chi2"] == pytest.approx(test.statistic)
    assert found.details["pre_test_df"] == 3
    assert 1.96 < found.details["sup_t_critical"] < 3.0


def test_event_window_cuts_terms_and_the_average(shared: Path) -> None:
    panels = (panel_of(mpdta(shared), "us"),)
    whole = run(panels, aggregation="dynamic", scale="count")
    cut = run(panels, aggregation="dynamic", scale="count", event_window=(-1, 1))
    assert cut.terms == ("treated", "event time -1", "event time 0", "event time 1")
    assert cut.effect[0] == pytest.approx(whole.effect[4:6].mean())
    with pytest.raises(ConfigError, match="no period with cameras"):
        run(panels, aggregation="dynamic", event_window=(-4, -1))


@pytest.mark.parametrize("control_group", ["never", "not_yet"])
def test_pooled_controls_of_three_cities_equal_one_city(shared: Path, control_group: str) -> None:
    world = mpdta(shared)
    parts = [slice(0, 170), slice(170, 333), slice(333, 500)]
    cities = tuple(panel_of(world, f"c{i}", units=part) for i, part in enumerate(parts))
    asked = {"aggregation": "dynamic", "control_group": control_group, "control_pool": "pooled"}
    whole, split = run((panel_of(world, "us"),), **asked), run(cities, **asked)
    np.testing.assert_allclose(split.effect, whole.effect, rtol=0, atol=1e-13)
    np.testing.assert_allclose(split.covariance, whole.covariance, rtol=1e-10)


def test_cities_are_averaged_by_their_treated_unit_periods(shared: Path) -> None:
    world = mpdta(shared)
    parts = [slice(0, 200), slice(200, 500)]
    cities = tuple(panel_of(world, f"c{i}", units=part) for i, part in enumerate(parts))
    alone = [run((city,), scale="count") for city in cities]
    cells = [
        float(((world.first[part] != NEVER) * (5 - world.first[part])).sum()) for part in parts
    ]
    expected = np.average([one.effect[0] for one in alone], weights=cells)
    assert run(cities, scale="count").effect[0] == pytest.approx(expected, rel=1e-12)


def test_ratio_scale_is_the_log_of_observed_over_expected(shared: Path) -> None:
    panel = panel_of(mpdta(shared), "us")
    count, ratio = run((panel,), scale="count"), run((panel,), scale="ratio")
    live = (panel.first_live[:, None] != NEVER) & (np.arange(5) >= panel.first_live[:, None])
    observed = panel.counts[0][live].mean()
    assert ratio.effect[0] == pytest.approx(-np.log1p(-count.effect[0] / observed), rel=1e-9)
    assert ratio.scale == "log_rate_ratio"


def lone_cohort(shared: Path) -> World:
    world = mpdta(shared)
    keep = (world.first != 1) | (np.cumsum(world.first == 1) == 1)
    return World(
        *(getattr(world, name)[keep] for name in ("y", "observed", "first", "start", "covariate"))
    )


@pytest.mark.parametrize("name", ["group_time_att", "doubly_robust"])
def test_what_cannot_be_estimated_is_an_error(shared: Path, name: str) -> None:
    world = mpdta(shared)
    with pytest.raises(EstimationError, match="one unit"):
        run((panel_of(lone_cohort(shared), "us"),), name)
    treated = np.flatnonzero(world.first != NEVER)
    only_treated = panel_of(world, "us").take(treated)
    with pytest.raises(NoControlError):
        run((only_treated,), name)
    assert np.isfinite(run((only_treated,), name, control_group="not_yet").effect[0])
    with pytest.raises(NothingToTestError):
        run((panel_of(world, "us").take(np.flatnonzero(world.first == NEVER)),), name)


def test_doubly_robust_says_what_it_cannot_do(shared: Path) -> None:
    panels = (panel_of(mpdta(shared), "us"),)
    with pytest.raises(EstimationError, match="too few periods"):
        run(panels, "doubly_robust", covariates=("trend",))
    world = mpdta(shared)
    apart = World(
        y=world.y + 100.0 * (world.first != NEVER)[:, None],
        observed=world.observed,
        first=world.first,
        start=world.start,
        covariate=world.covariate,
    )
    with pytest.raises(EstimationError, match="apart"):
        run((panel_of(apart, "us", decimals=4),), "doubly_robust", covariates=("level",))


def selected(seed: int) -> tuple[Panel, float]:
    """Cameras go where crime is high, and crime falls by a tenth a period where it is high: no common trend."""
    random = np.random.default_rng(seed)
    units, periods, live = 3000, 12, 6
    level = random.gamma(5, 3.0, units)
    chosen = random.random(units) < 1 / (1 + np.exp(-(level - 18) / 5))
    period = np.arange(periods)
    mean = level[:, None] * 0.9 ** np.maximum(period - live + 1, 0)
    effect = -2.0
    mean = np.maximum(mean + effect * (chosen[:, None] & (period >= live)), 0.1)
    first = np.where(chosen, live, NEVER).astype(np.int64)
    y = random.poisson(mean).astype(float)
    world = World(y, np.ones_like(y, dtype=bool), first, first, level)
    return panel_of(world, "us", decimals=0), effect


def test_covariates_repair_trends_that_depend_on_the_level() -> None:
    """The level is measured over six periods, so a little of the bias is left (attenuation): a quarter at most."""
    panel, truth = selected(7)
    plain = run((panel,), scale="count")
    robust = run((panel,), "doubly_robust", scale="count", covariates=("level",))
    bias, left = abs(plain.effect[0] - truth), abs(robust.effect[0] - truth)
    assert bias > 5 * plain.std_error[0]
    assert left < bias / 4


def growing(seed: int) -> tuple[Panel, float]:
    """Effects that grow by 0.4 incidents a period, early and late cohorts, few units never treated."""
    random = np.random.default_rng(seed)
    units, periods = 900, 20
    first = np.select(
        [np.arange(units) % 9 < 4, np.arange(units) % 9 < 8], [4, 12], default=NEVER
    ).astype(np.int64)
    period = np.arange(periods)
    since = np.where(first[:, None] == NEVER, -1, period - first[:, None])
    effect = -0.4 * np.maximum(since + 1, 0)
    mean = 12 + random.gamma(4, 1.0, units)[:, None] + np.sin(period) + effect
    y = random.poisson(mean).astype(float)
    world = World(y, np.ones_like(y, dtype=bool), first, first, np.zeros(units))
    return panel_of(world, "us", decimals=0), float(effect[since >= 0].mean())


@pytest.mark.parametrize("control_group", ["never", "not_yet"])
def test_right_where_one_indicator_with_two_way_effects_is_wrong(control_group: str) -> None:
    """Goodman-Bacon (2021): units already treated serve as controls. Three standard errors, fixed seed."""
    panel, truth = growing(11)
    found = run((panel,), scale="count", control_group=control_group)
    assert abs(found.effect[0] - truth) < 3 * found.std_error[0]
    period = np.arange(panel.n_periods)
    live = ((panel.first_live != NEVER)[:, None] & (period >= panel.first_live[:, None])) * 1.0
    within = live - live.mean(axis=1, keepdims=True) - live.mean(axis=0) + live.mean()
    one_indicator = float((within * panel.counts[0]).sum() / (within**2).sum())
    assert abs(one_indicator - truth) > 5 * found.std_error[0]


def test_estimator_with_transitions_and_controls_that_leave() -> None:
    """What the numerics do with start ≠ first, seen from a panel: go-live intervals and exposure 0."""
    world = ragged(5)
    panel = Panel(
        sites=("us",),
        crime_types=("robbery",),
        periods=tuple(dt.date(2003 + t, 1, 1) for t in range(world.y.shape[1])),
        unit_ids=np.array([f"u{i:03d}" for i in range(len(world.y))]),
        site_of_unit=np.zeros(len(world.y), dtype=np.int64),
        role=np.where(world.first == NEVER, int(Role.CONTROL), int(Role.TREATED)),
        first_live=world.first,
        last_live=np.where(world.first == NEVER, NEVER, np.maximum(world.start - 1, world.first)),
        counts=np.rint(world.y * 1e8).astype(np.int64)[None],
        exposure=np.where(world.observed, 1.0, 0.0),
    )
    start = np.where(world.first == NEVER, NEVER, panel.last_live + 1)
    period = np.arange(world.y.shape[1])
    gap = (period >= world.first[:, None]) & (period < start[:, None])
    asked = World(world.y, world.observed & ~gap, world.first, start, world.covariate)
    blocks, cells = prepared(asked, "not_yet")
    expected, error = average(blocks, cells, simple_weights(cells))
    found = run((panel,), scale="count", control_group="not_yet", transition="drop")
    assert found.effect[0] / 1e8 == pytest.approx(expected[0], abs=ROUNDED)
    assert found.std_error[0] / 1e8 == pytest.approx(error[0], abs=ROUNDED)
