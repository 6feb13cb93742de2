"""Checks of cohorts on published panels: castle and mpdta, and on what cities release."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evalkit.core.check import CheckContext
from evalkit.core.discover import checks, estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel
from evalkit.estimators._group_time_cohorts import two_way_of
from evalkit.numerics.group_time import att, blocks_of, cells_of
from evalkit.runtimes.pooled import ask_pooled
from tests.did_worlds import (
    castle,
    jackknife_covariance,
    mpdta,
    panel_of,
    slow_cells,
    weighted_effect,
)
from tests.panels import cities, city, study
from tests.reference.test_group_time import ROUNDED, run

# The published figures are printed to ten decimals.
PRINTED = 1e-10
# bacondecomp's own test, which matches Stata's, has three.
THREE_DECIMALS = 5e-4
# One regression and another on the same panel, both to rounding.
SAME = 1e-9
# Central differences with a step of 1e-4 are off by about its square.
DIFFERENCE = 1e-6

PLAIN = CheckContext()


def test_castle_has_the_published_weight_on_units_already_treated(shared: Path) -> None:
    published = json.loads((shared / "data/reference/did/expected.json").read_text())["castle"]
    averages = dict(
        pl.read_csv(shared / "data/reference/did_reference_results.csv")
        .filter(pl.col("estimator") == "Goodman-Bacon average 2x2")
        .select("parameter", "estimate")
        .iter_rows()
    )
    world = castle(shared)
    blocks, _ = blocks_of(world.y, world.observed, world.first, world.start)
    found = two_way_of(blocks, cells_of(blocks, "never", "varying"))
    assert found is not None
    weights = published["bacon_weights"]
    assert found.coefficient == pytest.approx(published["feols_l_homicide"][0], abs=PRINTED)
    assert found.already_treated == pytest.approx(weights["later_vs_earlier"], abs=PRINTED)
    clean = {
        "earlier_vs_later": "Earlier vs Later Treated",
        "treated_vs_never": "Treated vs Untreated",
    }
    without = np.average(
        [averages[label] for label in clean.values()], weights=[weights[kind] for kind in clean]
    )
    assert found.without == pytest.approx(without, abs=THREE_DECIMALS)


def pooled(shared: Path, **analysis: object) -> Estimate:
    panels = (panel_of(mpdta(shared), "us"),)
    return run(panels, control_pool="pooled", scale="count", **analysis)


def test_mpdta_without_each_cohort_is_the_mean_of_the_published_effects_of_the_others(
    shared: Path,
) -> None:
    table = pl.read_csv(shared / "data/reference/did/expected_mpdta_did_R.csv")
    rows = [row for row in table.iter_rows() if row[0] == "nevertreated"]
    world = mpdta(shared)
    sizes = {2003 + g: (world.first == g).sum() for g in np.unique(world.first) if g != NEVER}
    published = []
    for _, key, effect, _ in rows:
        words = str(key).split()
        if len(words) == 2 and words[0].isdigit() and int(words[1]) >= int(words[0]):
            published.append((int(words[0]), effect))
    found = pooled(shared).without_cohorts
    assert [one.cohort for one in found] == ["2004-01", "2006-01", "2007-01"]
    for one in found:
        others = [(sizes[g], effect) for g, effect in published if g != int(one.cohort[:4])]
        weights, effects = zip(*others, strict=True)
        assert one.effect / 1e8 == pytest.approx(np.average(effects, weights=weights), abs=ROUNDED)
        assert one.units == sizes[int(one.cohort[:4])]


@pytest.mark.parametrize("scale", ["count", "ratio"])
def test_errors_without_a_cohort_are_those_of_the_jackknife(shared: Path, scale: str) -> None:
    world = mpdta(shared)
    world = replace(world, y=world.y[::4], observed=world.observed[::4], first=world.first[::4])
    world = replace(world, start=world.first, covariate=world.covariate[::4])
    cells = slow_cells(world, "not_yet", "varying")
    found = run(
        (panel_of(world, "us"),), control_pool="pooled", scale=scale, control_group="not_yet"
    ).without_cohorts
    for one in found:
        left = int(one.cohort[:4]) - 2003
        targets = np.array([[float(cell.post and cell.cohort[0] != left)] for cell in cells])

        def effect(units: np.ndarray, targets: np.ndarray = targets) -> np.ndarray:
            return weighted_effect(world, cells, targets, np.array([True]), scale, units)[:1]

        unit = 1e8 if scale == "count" else 1.0
        every = np.ones(len(world.y))
        assert one.effect / unit == pytest.approx(effect(every)[0], abs=ROUNDED)
        slow = jackknife_covariance(effect, len(world.y))
        assert (one.std_error / unit) ** 2 == pytest.approx(slow[0, 0], rel=DIFFERENCE)


@pytest.mark.parametrize("aggregation", ["dynamic", "group", "calendar"])
def test_every_aggregation_without_a_cohort_is_that_of_a_panel_that_never_had_it(
    shared: Path, aggregation: str
) -> None:
    """With controls that are never treated the other cohorts' effects do not depend on the one left out."""
    world, whole = mpdta(shared), pooled(shared, aggregation=aggregation)
    panel = panel_of(world, "us")
    for one in whole.without_cohorts:
        kept = np.flatnonzero(world.first != int(one.cohort[:4]) - 2003)
        other = run(
            (panel.take(kept),), control_pool="pooled", scale="count", aggregation=aggregation
        )
        assert one.effect == pytest.approx(other.effect[0], rel=SAME)
        assert one.std_error == pytest.approx(other.std_error[0], rel=SAME)


def test_mpdta_checks(shared: Path) -> None:
    found = pooled(shared)
    two_way = checks()["goodman_bacon"](found, PLAIN)
    assert two_way.outcome == "passed"
    assert 0.0 < two_way.figures["already_treated"] < 0.5
    assert two_way.reason.endswith("this estimate makes no such comparison")
    left = checks()["leave_one_cohort_out"](found, PLAIN)
    assert left.figures["cohorts"] == 3.0
    assert left.figures["lowest"] < found.effect[0] < left.figures["highest"]


def asked(name: str, panels: tuple[Panel, ...], **analysis: object) -> Estimate:
    question = study(estimator=name, **analysis)  # type: ignore[arg-type]  # literals of this file
    return estimate(estimator(name), question, ask_pooled(panels))


@pytest.mark.parametrize("design", ["event_time", "cohort_event_time"])
def test_what_event_times_release_holds_the_static_regression(design: str) -> None:
    """Static two-way coefficient from the cross-products of another design, exactly; transitions, city × period."""
    panels = cities()
    static = asked("linear_did", panels, design="static")
    found = asked("linear_did", panels, design=design, event_window=(-3, 4)).two_way
    assert static.two_way is None
    assert found is not None
    assert found.coefficient == pytest.approx(static.effect[0], rel=SAME)
    assert found.negative >= 0.0


def later_years(name: str, seed: int) -> Panel:
    """A city whose cohorts go live in two calendar years."""
    return city(name, seed, treated=24, cohorts=(5, 16))


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_regressions_leave_cohorts_out_by_their_own_weights(name: str) -> None:
    panels = (later_years("alta", 1), later_years("brisa", 2))
    found = asked(name, panels, design="cohort_event_time", event_window=(-1, 20))
    assert [one.cohort for one in found.without_cohorts] == ["2020", "2021"]
    assert [one.units for one in found.without_cohorts] == [24.0, 24.0]
    # two cohorts: what is left is the effect of the other one, and the whole their mean by treated periods
    second, first = (one.effect for one in found.without_cohorts)
    assert found.effect[0] == pytest.approx((18 * first + 7 * second) / 25, abs=SAME)
    both = {one.cohort: one.std_error for one in found.without_cohorts}
    assert all(0.0 < error < 10.0 for error in both.values())
    alone = asked(name, panels, design="event_time", event_window=(-1, 20))
    assert alone.without_cohorts == ()
    assert asked(name, panels, design="static").without_cohorts == ()


def test_group_time_of_one_city_and_pooled_blocks(shared: Path) -> None:
    """Cohorts stay in the city where controls are its own; pooled ones tell the same whichever city they are of."""
    world = mpdta(shared)
    parts = [slice(0, 200), slice(200, 500)]
    split = tuple(panel_of(world, f"c{i}", units=part) for i, part in enumerate(parts))
    within = run(split, scale="count")
    assert within.without_cohorts == ()
    assert within.two_way is None
    whole, apart = pooled(shared), run(split, scale="count", control_pool="pooled")
    assert apart.two_way is not None
    assert whole.two_way is not None
    for one, other in zip(apart.without_cohorts, whole.without_cohorts, strict=True):
        assert (one.effect, one.std_error) == pytest.approx((other.effect, other.std_error))
    assert apart.two_way.coefficient == pytest.approx(whole.two_way.coefficient)
    assert apart.two_way.already_treated == pytest.approx(whole.two_way.already_treated)


def test_an_unobserved_transition_leaves_effects_with_their_weights(shared: Path) -> None:
    found = pooled(shared, transition="drop").two_way
    assert found is not None
    assert np.isnan(found.already_treated)
    assert found.negative >= 0.0
    assert np.isfinite(found.without)
    world = mpdta(shared)
    dropped = replace(
        world,
        observed=world.first[:, None] != np.arange(5),
        start=np.where(world.first == NEVER, NEVER, world.first + 1),
    )
    blocks, _ = blocks_of(dropped.y, dropped.observed, dropped.first, dropped.start)
    cells = cells_of(blocks, "never", "varying")
    same = two_way_of(blocks, cells)
    assert same is not None
    assert found.coefficient / 1e8 == pytest.approx(same.coefficient, abs=ROUNDED)
    assert found.negative == pytest.approx(same.negative, abs=ROUNDED)
    assert found.without / 1e8 == pytest.approx(same.without, abs=ROUNDED)
    effects = att(blocks, cells).effect[cells.post]
    assert effects.min() <= same.without <= effects.max()
