"""Synthetic difference-in-differences on panels: simulated truth, few treated units, staggered go-live."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from evalkit.core.discover import estimators
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.errors import EstimationError, NoControlError, NothingToTestError, SeparationError
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study

WORLDS = 50
# The standard deviation of 50 effects has a relative error of 1/√(2·49) = 10 %; three of them.
SPREAD = 0.3


def run(*panels: Panel, name: str = "synthetic_did", **analysis: str) -> Estimate:
    return estimate(estimators()[name], study(estimator=name, **analysis), ask_pooled(panels))


def with_counts(panel: Panel, counts: np.ndarray) -> Panel:
    return replace(panel, counts=np.stack([counts, np.zeros_like(counts)]))


@pytest.mark.parametrize("effect", [0.0, -0.3])
def test_effect_and_standard_error_in_simulated_cities(effect: float) -> None:
    """Fifty cities: bias within three of its standard errors, and errors as large as the effects' spread."""
    found = [
        run(city("alta", 300 + i, effect=effect, treated=10, controls=30, cohorts=(11,)))
        for i in range(WORLDS)
    ]
    effects = np.array([one.effect[0] for one in found])
    spread = effects.std(ddof=1)
    assert abs(effects.mean() - effect) < 3 * spread / math.sqrt(WORLDS)
    claimed = math.sqrt(np.mean([one.covariance[0, 0] for one in found]))
    assert 1 - SPREAD < claimed / spread < 1 + SPREAD


def uneven_world(seed: int) -> Panel:
    """No effect. Treated units and a third of the controls grow by 5 % a period, the others do not."""
    panel = city("alta", seed, effect=0.0, treated=10, controls=45, cohorts=(13,))
    random = np.random.default_rng(seed)
    grows = np.zeros(panel.n_units, dtype=bool)
    grows[:25] = True
    level = random.uniform(75, 125, panel.n_units)[:, None]
    mean = level * np.where(grows[:, None], 1.05, 1.0) ** np.arange(panel.n_periods)
    return with_counts(panel, random.poisson(mean))


def test_weights_repair_what_parallel_trends_break() -> None:
    """Mean of ten null cities: the plain difference-in-differences is far off, the weighted one a quarter of it."""
    panels = [uneven_world(i) for i in range(10)]
    plain = np.mean([run(one, name="poisson_did").effect[0] for one in panels])
    weighted = np.mean([run(one).effect[0] for one in panels])
    assert plain > 0.2
    assert abs(weighted) < plain / 4


def test_a_difference_of_counts() -> None:
    panel = city("alta", 9, treated=12, controls=30, cohorts=(11,))
    ratio, count = run(panel), run(panel, scale="count")
    assert count.scale == "count"
    after = panel.counts.sum(axis=0)[:12, 12:].mean()
    assert count.effect[0] == pytest.approx(after * (1 - math.exp(-ratio.effect[0])))
    assert count.std_error[0] / abs(count.effect[0]) < 1


def skewed_city(seed: int) -> Panel:
    """No effect, no difference between units: counts of a geometric distribution, mean 3, as skewed as one can meet."""
    panel = city("alta", seed, treated=120, controls=40, cohorts=(11,))
    return with_counts(
        panel, np.random.default_rng(seed).geometric(0.25, panel.counts[0].shape) - 1
    )


def test_skewed_counts_do_not_look_like_an_effect() -> None:
    """Mean of forty null cities, less the plain difference-in-differences of the same cities to save noise.

    With period weights from the very controls they are applied to it was -0.044, 5.7 of its standard errors.
    """
    differences = []
    for seed in range(40):
        panel = skewed_city(seed)
        counts = panel.counts.sum(axis=0)
        after, before = (counts[:, span].mean(axis=1) for span in (slice(12, None), slice(11)))
        change = (after - before)[120:160].mean()
        plain = math.log(after[:120].mean() / (before[:120].mean() + change))
        differences.append(run(panel).effect[0] - plain)
    found = np.array(differences)
    assert abs(found.mean()) < 3 * found.std(ddof=1) / math.sqrt(len(found))


def one_camera(seed: int, controls: int = 20) -> Panel:
    return city("alta", seed, treated=1, controls=controls, cohorts=(11,), rate=20.0, effect=-0.5)


def test_one_treated_unit_has_a_placebo_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poisson error alone is about 0.06; controls of other levels and a noise of 1/√8 a cell make it larger.

    Twenty-five draws instead of a hundred save time; that the order of units changes nothing holds for any number.
    """
    monkeypatch.setattr("evalkit.estimators.synthetic_did.PLACEBO_DRAWS", 25)
    one = one_camera(4)
    found = run(one)
    assert 0.06 < found.std_error[0] < 0.5
    assert abs(found.effect[0] + 0.5) < 3 * found.std_error[0]
    order = np.random.default_rng(1).permutation(one.n_units)
    assert run(one.take(order)).std_error[0] == found.std_error[0]


def test_one_treated_unit_without_controls_to_stand_for_it_is_an_error() -> None:
    with pytest.raises(EstimationError, match="too few controls"):
        run(one_camera(4, controls=2))


def test_units_without_a_before_are_left_out_and_said() -> None:
    panel = city("alta", 9, treated=20, controls=30, cohorts=(1, 11))
    found = run(panel)
    assert found.units == 10 + 30
    assert any("10 units are not used" in note for note in found.notes)
    kept = (panel.first_live != 1) | (panel.role != Role.TREATED)
    assert found.effect[0] == pytest.approx(run(panel.take(kept)).effect[0], abs=1e-12)
    with pytest.raises(NothingToTestError):
        run(city("alta", 9, cohorts=(1,)))


def test_controls_that_leave_are_no_controls() -> None:
    panel = city("alta", 9, treated=10, controls=30, cohorts=(11,))
    exposure = panel.exposure.copy()
    exposure[10:15, 20:] = 0
    found = run(replace(panel, exposure=exposure))
    stays = np.ones(panel.n_units, dtype=bool)
    stays[10:15] = False
    assert found.units == 10 + 25
    assert found.effect[0] == pytest.approx(run(panel.take(stays)).effect[0], abs=1e-12)
    with pytest.raises(NoControlError):
        run(panel.take(panel.first_live != NEVER))


def test_no_incident_has_no_ratio() -> None:
    panel = city("alta", 9, treated=10, controls=30, cohorts=(11,))
    counts = panel.counts.sum(axis=0)
    counts[:10, 12:] = 0
    with pytest.raises(SeparationError, match="no ratio"):
        run(with_counts(panel, counts))
    assert run(with_counts(panel, counts), scale="count").effect[0] < 0


def test_serves_random_effects_as_first_stage() -> None:
    panels = tuple(city(f"c{i}", 60 + i, treated=10, controls=25, cohorts=(11,)) for i in range(3))
    pooled = run(*panels, name="random_effects", first_stage="synthetic_did")
    assert [one.effect for one in pooled.sites] == [one.effect for one in run(*panels).sites]
