"""The wild score bootstrap from four sums, against every sign or a million of them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, estimate
from evalkit.core.statistics import Statistics
from evalkit.errors import ConfigError
from evalkit.numerics.poisson import profile, unit_scores
from evalkit.numerics.score_bootstrap import power_sums, sign_p_value
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study

# Four moments of the clusters stand for the whole distribution. Largest difference over 400 seeds where the exact
# p-value is below 0.1: 0.013 with twelve clusters, 0.033 if a few of them dominate, 0.004 with thirty.
TWELVE = 0.015
TWELVE_UNEQUAL = 0.035
MANY = 0.012


def studentised(draws: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Kline & Santos' statistic of (B, G) signed scores, written out."""
    signed = draws * scores
    sums = signed.sum(axis=1)
    return np.abs(sums) / np.sqrt(((signed - signed.mean(axis=1, keepdims=True)) ** 2).sum(axis=1))


@pytest.mark.parametrize(("unequal", "tolerance"), [(False, TWELVE), (True, TWELVE_UNEQUAL)])
def test_twelve_clusters_against_every_sign(unequal: bool, tolerance: float) -> None:
    signs = np.array(list(product((-1.0, 1.0), repeat=12)))
    judged = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        scores = random.normal(0.5, 1, 12) * (random.gamma(0.7, 1, 12) if unequal else 1)
        everything = studentised(signs, scores)
        own = studentised(np.ones((1, 12)), scores)[0]
        # half of the draws that tie with the data: a continuous approximation lies in the middle of a step
        exact = (everything > own * (1 + 1e-9)).mean() + np.isclose(everything, own).mean() / 2
        if exact < 0.1:
            judged += 1
            assert sign_p_value(power_sums(scores)) == pytest.approx(exact, abs=tolerance)
    assert judged > 15


def test_many_equal_clusters_are_binomial() -> None:
    scores = np.r_[np.ones(35), -np.ones(15)]
    total = 20
    heads = [math.comb(50, k) / 2**50 for k in range(51)]
    above = sum(p for k, p in enumerate(heads) if abs(2 * k - 50) > total)
    tie = sum(p for k, p in enumerate(heads) if abs(2 * k - 50) == total)
    assert sign_p_value(power_sums(scores)) == pytest.approx(above + tie / 2, abs=5e-4)


def test_ends_of_the_distribution() -> None:
    assert sign_p_value(power_sums(np.array([1.0, -1.0, 2.0, -2.0]))) == 1.0
    assert sign_p_value(power_sums(np.full(10, 3.0))) == pytest.approx(2 * 0.5**10)
    assert math.isnan(sign_p_value(power_sums(np.zeros(5))))
    strong = sign_p_value(power_sums(np.r_[np.full(40, 1.0), -0.1]))
    assert 0 <= strong < 1e-9


def test_the_size_of_the_scores_does_not_matter() -> None:
    scores = np.random.default_rng(1).normal(0.3, 1, 20)
    one = sign_p_value(power_sums(scores))
    assert sign_p_value(power_sums(scores * 1e4)) == pytest.approx(one, rel=1e-9)
    assert sign_p_value(power_sums(-scores)) == pytest.approx(one, rel=1e-9)


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_federated_equals_pooled_draws(name: str) -> None:
    panels = tuple(city(f"c{i}", 10 + i, treated=6, controls=6, effect=0.0) for i in range(3))
    question = study(estimator=name, bootstrap=999)  # type: ignore[arg-type]  # a number

    def ask(one: Question) -> list[Statistics]:
        return [estimator(name).summarise(panel, one) for panel in panels]

    pooled = estimate(estimator(name), question, ask_pooled(panels))
    split = estimate(estimator(name), question, ask)
    found = split.details["p_value_score_bootstrap"]
    assert found == pytest.approx(pooled.details["p_value_score_bootstrap"], abs=1e-10)
    assert any("score bootstrap" in note for note in split.notes)
    plain = estimate(estimator(name), study(estimator=name), ask)
    assert "p_value_score_bootstrap" not in plain.details
    if name == "poisson_did":
        scores = []
        for panel in panels:
            (design,) = design_of(panel, question)
            column = np.where(design.treated > 0, 0, -1)
            fit = profile(design.outcome, design.exposure, column, np.zeros(1))
            scores.append(unit_scores(design.outcome, fit)[:, 0])
        everyone = np.concatenate(scores)
        random = np.random.default_rng(5)
        draws = random.choice((-1.0, 1.0), (200_000, len(everyone)))
        reference = studentised(draws, everyone) >= studentised(
            np.ones((1, len(everyone))), everyone
        )
        assert found == pytest.approx(reference.mean(), abs=MANY)


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_it_is_for_one_effect_only(name: str) -> None:
    question = study(estimator=name, bootstrap=999, design="event_time")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="bootstrap"):
        estimator(name).first_question(question)
