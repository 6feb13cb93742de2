"""Screening of a round's answers: what is impossible, what is implausible, and what follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from evalkit.core.discover import estimator, estimators
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, estimate
from evalkit.core.screening import FEWEST_LEFT, HONEST_SPREAD, OUTLIER_LEVEL, SMALLEST_ERROR
from evalkit.core.set_aside import RULE_SAYS, SetAside
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Federation, Study, study_hash
from evalkit.core.together import estimate_together
from evalkit.errors import CityAnswerError, EstimationError
from evalkit.numerics.distributions import normal_sf
from evalkit.numerics.influence import influence
from evalkit.numerics.outliers import FEWEST, critical_residual, deleted_residuals
from evalkit.report.wording.set_aside import ACTIONS, RULES, set_aside_sentences
from evalkit.runtimes.pooled import ask_pooled
from tests.attacks.poisoned import honest, moved, replace_outliers
from tests.panels import cities, study

# Sums of at most twenty terms in another order.
SAME = 1e-12


def meta(outliers: str = "refuse", quorum: int = 0) -> Study:
    import msgspec

    asked = replace_outliers(
        study(estimator="random_effects", method="DL", interval="wald"), outliers
    )
    federation = msgspec.structs.replace(asked.federation, quorum=quorum)
    return msgspec.structs.replace(asked, federation=federation)


def sent(effects: Sequence[float], errors: float | Sequence[float] = 0.1) -> list[Statistics]:
    spread = np.broadcast_to(errors, len(effects))
    return [
        Statistics(
            "random_effects",
            "effect",
            "collected",
            {(f"city{i}",): {"effect": np.array([effect, error**2, 60.0, 900.0])}},
        )
        for i, (effect, error) in enumerate(zip(effects, spread, strict=True))
    ]


def pooled(
    effects: Sequence[float],
    errors: float | Sequence[float] = 0.1,
    outliers: str = "refuse",
    quorum: int = 0,
) -> Estimate:
    answers = sent(effects, errors)
    return estimate(estimator("random_effects"), meta(outliers, quorum), lambda _: answers)


def rules(found: Estimate) -> dict[str, str]:
    return {one.site: one.rule for one in found.set_aside}


# ---------------------------------------------------------------- residuals


def each(y: np.ndarray, v: np.ndarray, floor: float = 0.0) -> np.ndarray:
    """The residual of every effect with that one deleted."""
    return np.array(
        [deleted_residuals(y, v, np.array([i]), floor).residual[0] for i in range(len(y))]
    )


def test_residuals_are_those_of_the_diagnostics_of_meta_analysis() -> None:
    """Against `numerics.influence`, which is checked against metafor: the externally standardised residual."""
    random = np.random.default_rng(3)
    for k in (4, 6, 20):
        y, v = random.normal(-0.1, 0.4, k), random.uniform(0.05, 0.3, k) ** 2
        expected = influence(y, v, method="DL", interval="wald").rstudent
        np.testing.assert_allclose(each(y, v), expected, rtol=1e-9)


def test_residuals_do_not_depend_on_the_order() -> None:
    random = np.random.default_rng(4)
    y, v = random.normal(size=9), random.uniform(0.1, 0.3, 9) ** 2
    order = random.permutation(9)
    np.testing.assert_allclose(each(y[order], v[order], 0.09), each(y, v, 0.09)[order], rtol=SAME)


def test_too_few_effects_have_no_residuals() -> None:
    with pytest.raises(ValueError, match="residuals need 3"):
        deleted_residuals(np.zeros(3), np.ones(3), np.array([0]))


def test_the_limit_is_bonferronis() -> None:
    for k in (4, 35):
        assert 2 * normal_sf(critical_residual(k, 0.001)) * k == pytest.approx(0.001, rel=1e-9)


# ---------------------------------------------------------------- rules


def test_two_cannot_mask_each_other() -> None:
    effects = [-0.1, -0.2, -0.15, -0.12, -0.18, -0.14, 2.6, 2.7]
    assert np.abs(each(np.array(effects), np.full(8, 0.01))).max() < critical_residual(8, 0.001)
    assert rules(pooled(effects)) == {"city6": "outlier", "city7": "outlier"}


def test_a_minority_only_is_set_aside() -> None:
    found = pooled([-0.1, -0.2, 4.0, 4.1, 4.2])
    assert found.set_aside == ()
    assert len(found.contributors) == 5
    half = pooled([-0.1, -0.2, 2.9, 2.8])
    assert len(half.contributors) >= FEWEST_LEFT


def test_three_cities_cannot_outvote_one() -> None:
    assert FEWEST == 4
    assert pooled([-0.1, -0.2, 5.0]).set_aside == ()


def test_an_extreme_effect_of_few_incidents_is_an_accident() -> None:
    assert rules(pooled([-0.1, -0.2, -0.15, -0.1, 3.2], [0.1] * 4 + [1.1])) == {}
    assert rules(pooled([-0.1, -0.2, -0.15, -0.1, 3.2], 0.1)) == {"city4": "effect"}


def test_a_city_that_is_too_sure_of_itself() -> None:
    errors = [0.1, 0.12, 0.1, 0.1, SMALLEST_ERROR / 2]
    found = pooled([-0.1, -0.2, -0.15, -0.1, 0.3], errors)
    assert rules(found) == {"city4": "precision"}
    assert abs(found.effect[0] + 0.14) < 0.05


def test_a_quorum_says_how_many_must_be_left() -> None:
    effects = [-0.1, -0.2, -0.15, -0.1, 5.0]
    assert rules(pooled(effects, quorum=5)) == {}
    assert rules(pooled(effects, quorum=4)) == {"city4": "effect"}


def test_honest_cities_that_differ_are_kept() -> None:
    effects = [-0.5, 0.1, -0.2, 0.35, -0.1, -0.6]
    assert pooled(effects).set_aside == ()


@pytest.mark.parametrize("variance", [-0.01, -1e-9, math.inf, math.nan, 1e25])
def test_an_impossible_variance(variance: float) -> None:
    answers = sent([-0.1, -0.2, -0.15, -0.1])
    fields = {"effect": np.array([-0.1, variance, 60.0, 900.0])}
    answers.append(Statistics("random_effects", "effect", "collected", {("liar",): fields}))
    found = estimate(estimator("random_effects"), meta(), lambda _: answers)
    assert set(rules(found)) == {"liar"}
    assert found.contributors == ("city0", "city1", "city2", "city3")


def test_an_impossible_answer_with_too_few_others_ends_the_study_and_names_the_city() -> None:
    answers = sent([-0.1, -0.2])
    fields = {"effect": np.array([-0.1, -0.01, 60.0, 900.0])}
    answers.append(Statistics("random_effects", "effect", "collected", {("liar",): fields}))
    with pytest.raises(CityAnswerError, match="liar: its answer holds a count") as caught:
        estimate(estimator("random_effects"), meta(), lambda _: answers)
    assert isinstance(caught.value, EstimationError)


def test_other_fields_than_the_others() -> None:
    answers = sent([-0.1, -0.2, -0.15, -0.1])
    for fields in ({"other": np.ones(4)}, {"effect": np.ones(3)}, {"effect": np.ones((4, 1))}, {}):
        wrong = Statistics("random_effects", "effect", "collected", {("liar",): fields})
        found = estimate(estimator("random_effects"), meta(), lambda _, w=wrong: [*answers, w])
        assert rules(found) == {"liar": "fields" if fields else "message"}


# ---------------------------------------------------------------- what follows


def test_downweighting_stops_at_the_limit() -> None:
    effects = [-0.1, -0.2, -0.15, -0.12, -0.18, 2.0]
    kept = pooled(effects, outliers="downweight")
    (one,) = kept.set_aside
    assert (one.site, one.rule, one.action) == ("city5", "outlier", "down-weighted")
    assert "city5" in kept.contributors
    y = np.array([row.effect for row in kept.sites])
    v = np.array([row.std_error**2 for row in kept.sites])
    told = deleted_residuals(y, v, np.array([5]), HONEST_SPREAD**2)
    limit = critical_residual(len(effects), OUTLIER_LEVEL)
    assert told.residual[0] == pytest.approx(limit, rel=1e-9)
    without, ruined = pooled(effects), pooled(effects, outliers="name")
    assert without.effect[0] < kept.effect[0] < ruined.effect[0]


def test_naming_changes_no_number() -> None:
    effects = [-0.1, -0.2, -0.15, -0.12, -0.18, 2.0]
    named = pooled(effects, outliers="name")
    assert [one.action for one in named.set_aside] == ["named"]
    answers = sent(effects)
    plain = estimator("random_effects").finalise(
        merge_all(answers), Question(meta("name"), "random_effects", "effect")
    )
    assert isinstance(plain, Estimate)
    assert named.effect.tobytes() == plain.effect.tobytes()
    assert named.notes[0] in named.set_aside[0].reason


def test_the_default_spelled_out_is_the_same_study() -> None:
    assert study_hash(meta("refuse")) == study_hash(
        study(estimator="random_effects", method="DL", interval="wald")
    )
    assert study_hash(meta("name")) != study_hash(meta())
    assert Federation().on_outlier == "refuse"


def test_nothing_is_said_where_nothing_is_set_aside() -> None:
    assert "set_aside" not in pooled([-0.1, -0.2, -0.15, -0.1]).to_dict()
    (row,) = pooled([-0.1, -0.2, -0.15, -0.1, 5.0]).to_dict()["set_aside"]
    assert (row["site"], row["rule"], row["action"]) == ("city4", "effect", "left out")


def test_several_estimates_in_step_screen_each_by_itself() -> None:
    good, bad = sent([-0.1, -0.2, -0.15, -0.1, -0.12]), sent([-0.1, -0.2, -0.15, -0.1, 5.0])
    left: list[tuple[str, ...]] = []
    one = estimator("random_effects")
    together = estimate_together(
        [(one, meta()), (one, meta("downweight"))],
        lambda _: [good, bad],
        leave=lambda _, names: left.append(names),
    )
    assert [len(found.set_aside) for found in together.outcomes] == [0, 1]
    assert left == [("city4",)]


# ---------------------------------------------------------------- rounds


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_a_city_that_lies_in_the_last_round_leaves_no_trace(name: str) -> None:
    """The coefficients rest on its earlier answers, so the rounds go on without it to where they would have ended."""
    one, asked = estimator(name), study(estimator=name)

    def ask(question: Question) -> list[Statistics]:
        answers = [one.summarise(panel, question) for panel in honest()]
        if question.stage == "meat":
            (names, fields), *_ = answers[2].parts.items()
            answers[2] = replace(answers[2], parts={names: {**fields, "meat": -fields["meat"]}})
        return answers

    found = estimate(one, asked, ask)
    others = [panel for panel in honest() if panel.sites != ("clara",)]
    expected = estimate(one, asked, lambda q: [one.summarise(panel, q) for panel in others])
    assert rules(found) == {"clara": "sign"}
    np.testing.assert_allclose(found.effect, expected.effect, atol=1e-9)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-9)


def test_rounds_that_rest_on_a_broken_city_and_know_no_way_back_end() -> None:
    one = estimator("doubly_robust")
    asked = study(estimator="doubly_robust", control_pool="pooled", covariates=("level",))

    def ask(question: Question) -> list[Statistics]:
        answers = [one.summarise(panel, question) for panel in honest()]
        if question.round == 2:
            (names, fields), *_ = answers[2].parts.items()
            huge = {key: array * 1e30 for key, array in fields.items()}
            answers[2] = replace(answers[2], parts={names: huge})
        return answers

    with pytest.raises(CityAnswerError, match=r"clara is left out.*earlier rounds rest on"):
        estimate(one, asked, ask)


def test_a_city_without_an_effect_of_its_own_that_moves_all_others() -> None:
    one, asked = estimator("group_time_att"), study(estimator="group_time_att")

    def ask(question: Question) -> list[Statistics]:
        answers = [one.summarise(panel, question) for panel in honest()]
        (names, fields), *_ = answers[2].parts.items()
        totals = fields["totals"].copy()
        totals[0] *= 1e6
        totals[1] *= -1
        answers[2] = replace(answers[2], parts={names: {**fields, "totals": totals}})
        return answers

    assert rules(estimate(one, asked, ask)) == {"clara": "influence"}


def test_of_a_sum_only_the_sum_is_judged() -> None:
    one, asked = estimator("poisson_did"), study(estimator="poisson_did")
    panels = [moved(panel, 5.0) if panel.sites == ("clara",) else panel for panel in honest()]
    found = estimate(one, asked, ask_pooled(panels))
    assert found.set_aside == ()  # nobody can tell whose part is wrong

    def ask(question: Question) -> list[Statistics]:
        (whole,) = ask_pooled(panels)(question)
        ((names, fields),) = whole.parts.items()
        return [replace(whole, parts={names: {**fields, "score": fields["score"] * np.nan}})]

    with pytest.raises(CityAnswerError, match="the sum over 6 cities cannot be right"):
        estimate(one, asked, ask)


@pytest.mark.parametrize("name", sorted(estimators()))
def test_honest_answers_pass_whoever_is_asked(name: str) -> None:
    """Pooled collected statistics are screened as those that came one by one, so that both agree."""
    asked = study(estimator=name)
    one = estimators()[name]
    apart = estimate(one, asked, lambda q: [one.summarise(panel, q) for panel in cities()])
    assert apart.set_aside == ()
    assert estimate(one, asked, ask_pooled(cities())).set_aside == ()


# ---------------------------------------------------------------- words


def test_every_rule_has_words_in_every_language() -> None:
    assert RULES.keys() == ACTIONS.keys() == {"en", "es", "pt"}
    for language, table in RULES.items():
        assert table.keys() == RULE_SAYS.keys()
        assert ACTIONS[language].keys() == ACTIONS["en"].keys()
        for rule in table:
            (said,) = set_aside_sentences(
                [SetAside("brisa", rule, "left out", 0).to_dict()], language
            )
            assert said.startswith("brisa ")
            assert said.endswith(".")
