"""Doubly robust effects of several places as one: against R's did, against their definition, and against one place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.core.panel import NEVER, Panel
from evalkit.numerics.doubly_robust import (
    TRIMMED_FROM,
    Comparison,
    comparisons_of,
    doubly_robust,
    doubly_robust_totals,
    logit,
)
from evalkit.numerics.doubly_robust_sums import (
    RobustSums,
    robust_sums,
    sides_of,
    totals_from_sums,
)
from evalkit.numerics.group_time import Cells, blocks_of, cells_of
from evalkit.numerics.group_time_totals import (
    Totals,
    averages,
    calendar_weights,
    dynamic_weights,
    group_weights,
    simple_weights,
)
from evalkit.numerics.logistic import bounded_step, logistic_sums, newton_step
from tests.did_worlds import World, jackknife_covariance, mpdta, panel_of, ragged
from tests.reference.test_group_time import DIFFERENCE, R_GLM, run, selected

# Sums of 500 doubles in another order, then quotients of them.
SAME = 1e-12
# Influences are differences of products of such sums.
CROSS = 1e-10
# Counts are outcomes times 1e8: a hundred millionth of a count is 1e-16.
COUNTS = 1e-13

PLACES = [1, 3, 5]

Weights = Callable[[Cells], np.ndarray]


def standardised(world: World) -> np.ndarray:
    z = world.covariate
    return np.column_stack([np.ones(len(z)), (z - z.mean()) / z.std()])


def federated(
    world: World, control: str, base: str, weights_of: Weights, places: int
) -> tuple[Totals, Totals]:
    """Totals of several places from their sums, and of all units at once."""
    x, y = standardised(world), np.where(world.observed, world.y, 0.0)
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, control, base)
    weights = weights_of(cells)
    comparisons = comparisons_of(cells, weights, y.shape[1])
    where = np.random.default_rng(places).integers(0, places, len(y))
    parts = [(y[where == p], x[where == p], block[where == p]) for p in range(places)]
    beta = np.stack([fitted(parts, one) for one in comparisons])
    sums = [robust_sums(*part, comparisons, beta) for part in parts]
    together = RobustSums(
        *(sum(getattr(one, field.name) for one in sums) for field in fields(RobustSums))
    )
    whole = doubly_robust_totals(y, x, blocks, block, cells, weights)
    return totals_from_sums(together, comparisons, weights.shape[1]), whole


def fitted(parts, comparison: Comparison) -> np.ndarray:
    beta = np.zeros(2)
    for _ in range(30):
        found = []
        for _, x, block in parts:
            treated, control = sides_of(comparison, block)
            units = treated | control
            found.append(logistic_sums(treated[units], x[units], beta))
        step = newton_step(sum(o.information for o in found), sum(o.score for o in found))
        beta = beta + bounded_step(step)
        if np.abs(step).max() < 1e-9:
            return beta
    raise AssertionError("the logistic regression does not settle")


@pytest.mark.parametrize("places", PLACES)
def test_mpdta_with_a_covariate_equals_r_did(shared: Path, places: int) -> None:
    published = json.loads((shared / "data/reference/did/expected.json").read_text())["mpdta"]
    totals, whole = federated(mpdta(shared), "never", "varying", simple_weights, places)
    for one in (totals, whole):
        found = averages(one, np.array([True]), "count")
        both = found.effect[0], np.sqrt(found.covariance[0, 0])
        np.testing.assert_allclose(both, published["lpop_dr_simple"], rtol=0, atol=R_GLM)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("control", ["never", "not_yet"])
@pytest.mark.parametrize(
    "weights_of",
    [
        simple_weights,
        lambda cells: dynamic_weights(cells, np.unique(cells.event_time)),
        lambda cells: calendar_weights(cells, np.arange(9)),
        lambda cells: group_weights(cells)[1].sum(axis=1, keepdims=True),
    ],
    ids=["simple", "dynamic", "calendar", "group"],
)
def test_sums_of_places_are_all_units_at_once(
    places: int, control: str, weights_of: Weights
) -> None:
    """With transitions, holes and controls that leave; contributions and all their products."""
    for base in ("varying", "universal"):
        totals, whole = federated(ragged(3, units=120), control, base, weights_of, places)
        np.testing.assert_allclose(totals.values, whole.values, rtol=SAME, atol=SAME)
        largest = np.abs(whole.cross).max()
        np.testing.assert_allclose(totals.cross, whole.cross, rtol=0, atol=CROSS * largest)


def weighted_effect(
    change: np.ndarray, treated: np.ndarray, x: np.ndarray, units: np.ndarray, kept: np.ndarray
) -> np.ndarray:
    """The effect if unit u were there ``units[u]`` times; controls that are not ``kept`` get no odds."""
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-x @ beta))
        information = (x * (units * chance * (1 - chance))[:, None]).T @ x
        step = np.linalg.solve(information, x.T @ (units * (treated - chance)))
        beta = beta + bounded_step(step)
        if np.abs(step).max() < 1e-12:
            break
    chance = 1 / (1 + np.exp(-x @ beta))
    on_c = units * ~treated
    slope = np.linalg.solve((x * on_c[:, None]).T @ x, x.T @ (on_c * change))
    rest = change - x @ slope
    odds = on_c * kept * chance / (1 - chance)
    found = np.average(rest, weights=units * treated) - np.average(rest, weights=odds)
    return np.array([found])


def nearly_apart(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One control has a propensity between 0.995 and 0.999."""
    random = np.random.default_rng(seed)
    z = random.normal(size=600)
    treated = random.random(600) < 1 / (1 + np.exp(-2 * z))
    x = np.column_stack([np.ones(600), z])
    place = int(np.flatnonzero(~treated)[0])
    x[place, 1] = 3.0
    return random.normal(size=600) + z, treated, x


@pytest.mark.parametrize("seed", range(3))
def test_controls_all_but_certain_to_be_treated_get_no_weight(seed: int) -> None:
    """As DRDID's ``drdid_panel`` has it: no odds, but they stay in both fits."""
    change, treated, x = nearly_apart(seed)
    chance = logit(treated, x).probability
    beyond = ~treated & (chance >= TRIMMED_FROM)
    assert beyond.any()
    assert chance[~treated].max() < 0.999
    found = doubly_robust(change[:, None], treated, x)
    np.testing.assert_array_equal(found.trimmed, beyond)

    def effect(units: np.ndarray) -> np.ndarray:
        return weighted_effect(change, treated, x, units, ~beyond)

    n = len(change)
    np.testing.assert_allclose(found.effect, effect(np.ones(n)), rtol=0, atol=1e-11)
    variance = (found.influence**2).sum() / n**2
    expected = jackknife_covariance(effect, n)[0, 0]
    np.testing.assert_allclose(variance, expected, rtol=DIFFERENCE)


def split(panel: Panel, places: int) -> tuple[Panel, ...]:
    """The same units in several cities, drawn at random."""
    where = np.random.default_rng(places).integers(0, places, panel.n_units)
    return tuple(
        replace(panel.take(np.flatnonzero(where == place)), sites=(f"c{place}",))
        for place in range(places)
    )


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize(
    "asked",
    [
        {"covariates": ("level",)},
        {"covariates": ("level",), "aggregation": "dynamic", "control_group": "not_yet"},
        {"covariates": ("level",), "aggregation": "group", "base_period": "universal"},
        {"covariates": ("level",), "aggregation": "calendar", "scale": "ratio"},
        {"covariates": ()},
    ],
    ids=lambda asked: " ".join(str(value) for value in asked.values()),
)
def test_counties_in_several_cities_are_those_of_one(
    shared: Path, asked: dict, places: int
) -> None:
    """mpdta's counties; and one city with pooled controls is the city by itself."""
    scale = 1.0 if asked.get("scale") == "ratio" else 1e8
    panel = panel_of(mpdta(shared), "us")
    kept = {"scale": "count", **asked}
    alone = run((panel,), "doubly_robust", **kept)
    found = run(split(panel, places), "doubly_robust", control_pool="pooled", **kept)
    assert found.terms == alone.terms
    for one, other in ((found.effect, alone.effect), (found.std_error, alone.std_error)):
        np.testing.assert_allclose(one / scale, other / scale, rtol=0, atol=COUNTS)
    sizes = (found.units, found.observations, found.clusters)
    assert sizes == (alone.units, alone.observations, alone.clusters) == (500, 2500, 500)


def test_without_covariates_it_is_group_time_att(shared: Path) -> None:
    cities = split(panel_of(mpdta(shared), "us"), 3)
    asked = {"scale": "count", "control_pool": "pooled", "aggregation": "dynamic"}
    robust, plain = (run(cities, name, **asked) for name in ("doubly_robust", "group_time_att"))
    np.testing.assert_allclose(robust.effect / 1e8, plain.effect / 1e8, rtol=0, atol=COUNTS)
    np.testing.assert_allclose(robust.std_error / 1e8, plain.std_error / 1e8, rtol=0, atol=COUNTS)


def test_a_city_of_controls_lends_them_to_the_others(shared: Path) -> None:
    """Which no estimator of a single city could use."""
    panel = panel_of(mpdta(shared), "us")
    treated = panel.first_live != NEVER
    cities = tuple(
        panel_of(mpdta(shared), name).take(np.flatnonzero(units))
        for name, units in (("a", treated), ("b", ~treated))
    )
    asked = {"scale": "count", "covariates": ("level",)}
    found = run(cities, "doubly_robust", control_pool="pooled", **asked)
    alone = run((panel,), "doubly_robust", **asked)
    np.testing.assert_allclose(found.effect / 1e8, alone.effect / 1e8, rtol=0, atol=COUNTS)
    np.testing.assert_allclose(found.std_error / 1e8, alone.std_error / 1e8, rtol=0, atol=COUNTS)


def test_pooled_covariates_repair_trends_that_depend_on_the_level() -> None:
    panel, truth = selected(7)
    cities = split(panel, 4)
    asked = {"scale": "count", "control_pool": "pooled"}
    plain = run(cities, "group_time_att", **asked)
    robust = run(cities, "doubly_robust", covariates=("level",), **asked)
    bias, left = abs(plain.effect[0] - truth), abs(robust.effect[0] - truth)
    assert bias > 5 * plain.std_error[0]
    assert left < bias / 4
