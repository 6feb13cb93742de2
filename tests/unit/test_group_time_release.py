"""What the group-time estimators release in every mode, and what their support says of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from evalkit.config import Policy
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import concatenate
from evalkit.disclosure.gate import draft
from evalkit.errors import EstimationError
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import OPEN_POLICY, cities, city, study

# As in the conformance suite: sums of a few hundred doubles in another order.
SAME = 1e-10

MODES = [
    ("group_time_att", {"aggregation": "dynamic"}),
    ("group_time_att", {"aggregation": "group", "control_group": "not_yet"}),
    ("group_time_att", {"aggregation": "calendar", "scale": "count"}),
    ("group_time_att", {"aggregation": "simple", "control_pool": "pooled"}),
    ("group_time_att", {"aggregation": "dynamic", "control_pool": "pooled", "control_group": "not_yet"}),
    ("group_time_att", {"aggregation": "dynamic", "base_period": "universal"}),
    ("doubly_robust", {"covariates": ("level",)}),
    ("doubly_robust", {"aggregation": "dynamic", "covariates": ("level", "trend")}),
    ("doubly_robust", {"control_pool": "pooled", "covariates": ("level", "trend")}),
    ("doubly_robust", {"control_pool": "pooled", "control_group": "not_yet", "covariates": ("level",)}),
]  # fmt: skip


def pooled(name: str, analysis: dict) -> Estimate:
    return estimate(estimator(name), study(estimator=name, **analysis), ask_pooled(cities()))


def federated(name: str, analysis: dict, panels) -> Estimate:
    one = estimator(name)
    return estimate(
        one,
        study(estimator=name, **analysis),
        lambda question: [one.summarise(panel, question) for panel in panels],
    )


@pytest.mark.parametrize(("name", "analysis"), MODES)
def test_pooled_equals_federated_in_any_order(name: str, analysis: dict) -> None:
    whole = pooled(name, analysis)
    orders = list(permutations(cities()))[::9]
    found = [federated(name, analysis, order) for order in orders]
    for one in found:
        np.testing.assert_allclose(one.effect, whole.effect, rtol=0, atol=SAME)
        np.testing.assert_allclose(one.covariance, whole.covariance, rtol=0, atol=SAME)
    assert len({(one.effect.tobytes(), one.covariance.tobytes()) for one in found}) == 1


@pytest.mark.parametrize(("name", "analysis"), MODES)
def test_split_of_a_joint_panel_is_each_city(name: str, analysis: dict) -> None:
    one = estimator(name)
    question = one.first_question(study(estimator=name, **analysis))
    together = one.summarise(concatenate(cities()), question)
    assert together.sites == ("alta", "brisa", "clara", "dorada")
    assert [support.site for support in together.support] == list(together.sites)


def test_support_of_event_times_is_true() -> None:
    asked = study(estimator="group_time_att", aggregation="dynamic", event_window=(-3, 4))
    one = estimator("group_time_att")
    panel = city("alta", 1)
    (support,) = one.summarise(panel, one.first_question(asked)).support
    (design,) = design_of(panel, asked)
    found = {c.pattern: (c.units, c.incidents) for c in support.cells if "event" in c.pattern}
    expected = {}
    for time in range(-3, 5):
        units, incidents = 0, 0
        for unit in np.flatnonzero(design.ever_treated):
            for period in np.flatnonzero(design.event_time[unit] == time):
                units, incidents = units + 1, incidents + int(design.outcome[unit, period])
        expected[f"event time {time}"] = (units, incidents)
    assert found == expected
    assert support.parameters == 8


def test_support_of_moments_has_every_block_in_every_period() -> None:
    asked = study(estimator="group_time_att", control_pool="pooled")
    one = estimator("group_time_att")
    panel = city("alta", 1)
    statistics = one.summarise(panel, one.first_question(asked))
    (support,), (fields,) = statistics.support, statistics.parts.values()
    inside = [cell for cell in support.cells if " in " in cell.pattern]
    assert len(inside) == support.parameters == fields["observed"].sum()
    (design,) = design_of(panel, asked)
    assert sum(cell.incidents for cell in inside) == int(design.outcome.sum())
    assert sum(cell.units for cell in inside) == int((design.exposure > 0).sum())
    assert fields["mean"].shape == (4, 24)
    assert fields["scatter"].shape == (4, 24, 24)


def test_default_policy_refuses_moments_of_a_small_city_and_lets_totals_pass() -> None:
    one = estimator("group_time_att")
    verdicts = {}
    for pool in ("within_city", "pooled"):
        asked = study(estimator="group_time_att", control_pool=pool)
        statistics = one.summarise(city("alta", 1), one.first_question(asked))
        verdicts[pool] = draft(statistics, Policy(studies=("any",)))
    assert verdicts["within_city"].passed
    assert not verdicts["pooled"].passed
    failed = {verdict.rule for verdict in verdicts["pooled"].verdicts if not verdict.passed}
    assert "max_parameters_per_cluster" in failed


def test_many_event_times_need_many_units() -> None:
    one = estimator("group_time_att")
    asked = study(estimator="group_time_att", aggregation="dynamic")
    small, large = (
        draft(one.summarise(panel, one.first_question(asked)), OPEN_POLICY)
        for panel in (city("alta", 1), city("alta", 1, treated=60, controls=160))
    )
    assert not small.passed
    assert large.passed


def test_treated_units_in_no_effect_are_counted_and_said() -> None:
    """A cohort whose go-live is the last period is never seen with its cameras."""
    panel = city("alta", 1, cohorts=(8, 23))
    found = estimate(
        estimator("group_time_att"), study(estimator="group_time_att"), ask_pooled((panel,))
    )
    assert found.details["treated_units_never_compared"] == 9
    assert any("9 treated units are in no effect" in note for note in found.notes)


def test_exposure_makes_a_rate() -> None:
    """Twice the days with twice the incidents is the same rate, in one period for all units or in all for one."""
    panel = city("alta", 1)
    longer = np.ones_like(panel.exposure)
    longer[:, 5] = longer[3] = 2.0
    doubled = replace(
        panel, exposure=panel.exposure * longer, counts=panel.counts * longer.astype(np.int64)
    )
    asked = study(estimator="group_time_att")
    a, b = (
        estimate(estimator("group_time_att"), asked, ask_pooled((p,))) for p in (panel, doubled)
    )
    np.testing.assert_allclose(a.effect, b.effect, rtol=0, atol=SAME)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=0, atol=SAME)


@pytest.mark.parametrize("scale", ["ratio", "count"])
def test_intervals_cover(scale: str) -> None:
    """300 panels of four cohorts; 95 % ± three Monte-Carlo errors of 1.3 points."""
    from evalkit.numerics.group_time import blocks_of, cells_of
    from evalkit.numerics.group_time_totals import averages, simple_weights, totals

    random = np.random.default_rng(20)
    first = np.where(np.arange(120) < 60, 4 + 2 * (np.arange(120) % 4), -1)
    live = (first != -1)[:, None] & (np.arange(12) >= first[:, None])
    covered = 0
    truth = np.log(8.0 / 10.0) if scale == "ratio" else -2.0
    for _ in range(300):
        level = random.normal(0, 1, (120, 1))
        y = random.poisson(10 - 2.0 * live) + level
        blocks, _ = blocks_of(y, np.ones_like(live), first, first)
        cells = cells_of(blocks, "never", "varying")
        found = averages(totals(blocks, cells, simple_weights(cells)), np.array([True]), scale)
        covered += abs(found.effect[0] - truth) < 1.96 * np.sqrt(found.covariance[0, 0])
    assert 0.91 < covered / 300 < 0.99


@pytest.mark.parametrize("name", ["group_time_att", "doubly_robust"])
def test_a_stage_that_the_study_does_not_need_is_not_answered(name: str) -> None:
    """Moments say more of a city than totals do: an approval of totals is none of moments."""
    one = estimator(name)
    own, other = (
        one.first_question(study(estimator=name, control_pool=pool))
        for pool in ("within_city", "pooled")
    )
    assert own.stage != other.stage
    with pytest.raises(EstimationError, match="none that the study's controls"):
        one.summarise(city("alta", 1), replace(own, stage=other.stage))
