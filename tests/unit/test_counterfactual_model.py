"""Model estimates on simulated cities with known truth, and what the learner may see."""

from __future__ import annotations

import builtins
import math
from dataclasses import replace

import numpy as np
import pytest

from evalkit.core.discover import estimators
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.errors import (
    ConfigError,
    EstimationError,
    MissingExtraError,
    NoControlError,
    NothingToTestError,
    SeparationError,
)
from evalkit.numerics.counterfactual import (
    counterfactual_effect,
    jackknife_variance,
    predict_held_out,
)
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study

WORLDS = 40
# The standard deviation of 40 effects has a relative error of 1/√(2·39) = 11 %; three of them.
SPREAD = 0.34
LEARNERS = ("gradient_boosting", "poisson_glm", "random_forest")


def run(*panels: Panel, **analysis: str) -> Estimate:
    asked = study(estimator="counterfactual_model", **analysis)
    return estimate(estimators()["counterfactual_model"], asked, ask_pooled(panels))


def with_counts(panel: Panel, counts: np.ndarray) -> Panel:
    return replace(panel, counts=np.stack([counts, np.zeros_like(counts)]))


@pytest.mark.parametrize("learner", ["gradient_boosting", "poisson_glm"])
@pytest.mark.parametrize("effect", [0.0, -0.3])
def test_effect_and_standard_error_in_simulated_cities(effect: float, learner: str) -> None:
    """Forty cities: bias within three of its standard errors, and errors as large as the effects' spread."""
    found = [
        run(city("alta", 900 + i, effect=effect, controls=40), learner=learner)
        for i in range(WORLDS)
    ]
    effects = np.array([one.effect[0] for one in found])
    spread = effects.std(ddof=1)
    assert abs(effects.mean() - effect) < 3 * spread / math.sqrt(WORLDS)
    claimed = math.sqrt(np.mean([one.covariance[0, 0] for one in found]))
    assert 1 - SPREAD < claimed / spread < 1 + SPREAD


def hot_world(seed: int) -> Panel:
    """Treated places have four times the crime of controls; no effect."""
    panel = city("alta", seed, effect=0.0, controls=40)
    random = np.random.default_rng(seed)
    level = 6 * random.gamma(4, 0.25, panel.n_units) * np.where(panel.first_live == NEVER, 1, 4)
    shock = np.exp(random.normal(0, 0.1, panel.n_periods))
    mean = level[:, None] * shock
    return with_counts(panel, random.poisson(mean * random.gamma(8, 1 / 8, mean.shape)))


def test_places_with_more_crime_than_any_control_have_no_effect_of_their_own() -> None:
    """Mean of 20 null cities within 0.05: trees cannot go beyond the controls, so the target is relative to level."""
    effects = np.array([run(hot_world(i)).effect[0] for i in range(20)])
    assert abs(effects.mean()) < max(0.05, 3 * effects.std(ddof=1) / math.sqrt(20))
    assert abs(effects.mean()) < 0.1


def skewed_world(seed: int) -> tuple[Panel, float]:
    """As in the demo's cities: most controls are quiet, one in ten is busy, cameras hang at hot spots; no effect.

    Returns:
        The panel, and the log ratio of ratios that chance alone gave these counts against their known means.
    """
    panel = city("alta", seed, effect=0.0, treated=60, controls=400)
    random = np.random.default_rng(seed)
    n, treated = panel.n_units, panel.role == Role.TREATED
    quiet, busy = 0.2 * random.gamma(3, 1 / 3, n), 3 * random.gamma(1.5, 1 / 1.5, n)
    control = np.where(random.random(n) < 0.1, busy, quiet)
    level = np.where(panel.first_live != NEVER, 6 * random.gamma(3, 1 / 3, n), control)
    mean = level[:, None] * np.exp(random.normal(0, 0.1, panel.n_periods))
    counts = random.poisson(mean * random.gamma(8, 1 / 8, mean.shape))
    period, start = np.arange(panel.n_periods), panel.first_live[treated].min()
    live, never = (
        treated[:, None] & (period > panel.first_live[:, None]),
        panel.role == Role.CONTROL,
    )
    before, after = period < start, period >= start

    def luck(cells: np.ndarray) -> float:
        return math.log(counts[cells].sum() / mean[cells].sum())

    of_treated = luck(live) - luck(treated[:, None] & before)
    of_controls = luck(never[:, None] & after) - luck(never[:, None] & before)
    return with_counts(panel, counts), of_treated - of_controls


@pytest.mark.parametrize(
    ("learner", "cities", "limit"),
    [("poisson_glm", 8, 0.03), ("gradient_boosting", 8, 0.05)],
)
def test_what_a_learner_makes_of_quiet_controls_does_not_pass_for_an_effect(
    learner: str, cities: int, limit: float
) -> None:
    """Root mean square of what the learner adds to chance: 0.11 for the GLM with straight-line levels as a feature."""
    added = []
    for seed in range(cities):
        panel, luck = skewed_world(seed)
        added.append(float(run(panel, learner=learner).effect[0]) - luck)
    assert math.sqrt(np.mean(np.square(added))) < limit


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_is_deterministic_and_blind_to_the_order_of_units(learner: str) -> None:
    panel = city("alta", 5)
    first = run(panel, learner=learner)
    order = np.random.default_rng(1).permutation(panel.n_units)
    second = run(panel.take(order), learner=learner)
    assert first.effect.tobytes() == second.effect.tobytes()
    assert first.covariance.tobytes() == second.covariance.tobytes()
    assert abs(first.effect[0] + 0.2) < 3 * first.std_error[0]


class Memory:
    """A learner that predicts the weighted mean and remembers what it was shown."""

    shown: list[tuple[np.ndarray, np.ndarray]] = []  # noqa: RUF012  # read after the learners are gone

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray) -> None:
        self.shown.append((X, y))
        self.mean = float(y @ sample_weight / sample_weight.sum())

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.mean)


def arrays(seed: int = 1) -> dict[str, np.ndarray]:
    """Twelve units, ten periods; the first four are treated from period six on."""
    random = np.random.default_rng(seed)
    treated = np.zeros((12, 10), dtype=bool)
    treated[:4, 6:] = True
    return {
        "outcome": random.poisson(5.0, (12, 10)).astype(float),
        "exposure": np.ones((12, 10)),
        "treated": treated,
        "season": np.zeros((10, 1)),
        "folds": np.arange(12) % 3,
        "groups": (np.arange(12) < 4).astype(int),
    }


def predict(one: dict[str, np.ndarray]) -> np.ndarray:
    return predict_held_out(start=5, make_learner=Memory, **one).predicted


def test_learners_see_levels_relative_to_the_own_group() -> None:
    """A group with ten times the crime is shown at its own level, not far beyond what others were learnt from."""
    one = arrays()
    hot = {**one, "outcome": np.where(one["groups"][:, None] == 1, 10.0, 1.0) * one["outcome"]}
    Memory.shown.clear()
    predict(hot)
    assert all(abs(x[:, 0]).max() < 1 for x, _ in Memory.shown)


def test_learners_see_untreated_cells_after_the_start_of_other_folds_only() -> None:
    one = arrays()
    Memory.shown.clear()
    predict(one)
    untreated = ~one["treated"][:, 5:]
    sizes = [int(untreated[one["folds"] != fold].sum()) for fold in range(3)]
    assert [len(y) for _, y in Memory.shown] == sizes


def test_a_cells_own_outcome_never_reaches_its_prediction() -> None:
    """Whatever a unit counts from the start on, its own predictions stay what they were."""
    one = arrays()
    before = predict(one)
    changed = {**one, "outcome": one["outcome"].copy()}
    changed["outcome"][7, 5:] += 50
    after = predict(changed)
    same_fold = one["folds"] == one["folds"][7]
    np.testing.assert_array_equal(after[same_fold], before[same_fold])
    assert (after[~same_fold][:, 5:] > before[~same_fold][:, 5:]).all()


def test_treated_cells_never_reach_any_prediction() -> None:
    one = arrays()
    before = predict(one)
    changed = {**one, "outcome": np.where(one["treated"], 0.0, one["outcome"])}
    np.testing.assert_array_equal(predict(changed), before)


def test_the_correction_is_that_of_the_same_periods() -> None:
    """Controls do twice as well as predicted in the last period, where half of the treated cells are expected."""
    predicted = np.zeros((4, 3))
    predicted[:, 1:] = 10.0
    outcome = predicted.copy()
    outcome[2:, 2] = 20.0
    treated = np.zeros((4, 3), dtype=bool)
    treated[:2, 1:] = True
    control = np.array([False, False, True, True])
    found = counterfactual_effect(outcome, predicted, treated, control)
    assert found == pytest.approx(-math.log((10 + 20) / (10 + 10)))
    assert jackknife_variance(outcome, predicted, treated, control) == pytest.approx(0, abs=1e-30)
    assert math.isnan(jackknife_variance(outcome, predicted, treated, control & [1, 1, 1, 0]))


def test_jackknife_of_plain_ratios_is_the_delta_method() -> None:
    """With constant predictions θ is a log ratio of means, whose delta-method variance is known: 5 % for 200 units."""
    random = np.random.default_rng(3)
    outcome = random.poisson(20.0, (200, 1)).astype(float)
    treated = np.zeros((200, 1), dtype=bool)
    treated[:80] = True
    found = jackknife_variance(outcome, np.full((200, 1), 20.0), treated, ~treated[:, 0])
    groups = outcome[:80, 0], outcome[80:, 0]
    expected = sum(one.var(ddof=1) / len(one) / one.mean() ** 2 for one in groups)
    assert found == pytest.approx(expected, rel=0.05)


def test_no_way_to_an_estimate_is_an_explained_error() -> None:
    panel = city("alta", 9)
    counts = panel.counts.sum(axis=0)
    with pytest.raises(ConfigError, match="ratio"):
        run(panel, scale="count")
    with pytest.raises(NothingToTestError):
        run(city("alta", 9, cohorts=(0,)))
    with pytest.raises(NoControlError):
        run(panel.take(panel.first_live != NEVER))
    with pytest.raises(EstimationError, match="one treated unit"):
        run(city("alta", 9, treated=1))
    with pytest.raises(EstimationError, match="no level"):
        run(with_counts(panel, np.where(np.arange(24) < 8, 0, counts)))
    with pytest.raises(SeparationError):
        run(with_counts(panel, np.where(np.arange(24) < 8, counts, 0)))


def test_without_scikit_learn_the_way_out_is_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: object, **more: object) -> object:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"evalkit\[learners\]"):
        run(city("alta", 9))
