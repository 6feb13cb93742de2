"""Checks that need cities' effects, or estimates of derived studies, on cases whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from evalkit.core.check import CheckContext
from evalkit.core.discover import checks
from evalkit.core.estimate import Estimate, Scale, SiteEffect
from evalkit.numerics.meta_analysis import pool

PLAIN = CheckContext()

OF_CITIES = ("heterogeneity", "leave_one_city_out", "small_study")


def pooled(effects: list[float], errors: list[float]) -> Estimate:
    variances = np.array(errors) ** 2
    one = pool(effects, variances, method="REML", interval="knapp_hartung")
    return Estimate(
        estimator="random_effects",
        terms=("treated",),
        effect=np.array([one.effect]),
        covariance=np.array([[one.std_error**2]]),
        df=one.df,
        level=0.95,
        contributors=tuple(f"c{i}" for i in range(len(effects))),
        sites=tuple(
            SiteEffect(f"c{i}", effect, error)
            for i, (effect, error) in enumerate(zip(effects, errors, strict=True))
        ),
    )


def single(effect: float, error: float, scale: Scale = "log_rate_ratio") -> Estimate:
    return Estimate(
        estimator="made up",
        terms=("treated",),
        effect=np.array([effect]),
        covariance=np.array([[error**2]]),
        df=math.inf,
        level=0.95,
        contributors=("alta",),
        scale=scale,
    )


def run(name: str, estimate: Estimate, context: CheckContext = PLAIN):
    return checks()[name](estimate, context)


def test_cities_that_agree_do_not_hang_on_one() -> None:
    result = run("leave_one_city_out", pooled([-0.2, -0.22, -0.18, -0.21, -0.19], [0.02] * 5))
    assert result.outcome == "passed"
    assert "whichever city is left out" in result.reason
    assert -0.22 < result.figures["lowest"] <= result.figures["highest"] < -0.18


def test_an_inverse_variance_mean_is_pooled_again_as_one() -> None:
    """Of an estimator with a normal interval of its own, whatever the study says of pooling cities that differ."""
    effects, errors = [-0.3, -0.1, -0.25, -0.02, -0.2], [0.02, 0.03, 0.02, 0.04, 0.03]
    one = pool(effects, np.square(errors), method="fixed", interval="wald")
    found = replace(
        pooled(effects, errors),
        estimator="synthetic_did",
        effect=np.array([one.effect]),
        covariance=np.array([[one.std_error**2]]),
        df=math.inf,
    )
    result = run("leave_one_city_out", found)
    assert result.outcome == "passed"
    assert result.figures["lowest"] < one.effect < result.figures["highest"]


def test_one_city_that_carries_the_result_is_named() -> None:
    result = run("leave_one_city_out", pooled([-0.5, -0.1, -0.6, -0.3, -0.2], [0.05, *[0.25] * 4]))
    assert result.outcome == "failed"
    assert result.reason.endswith("no longer told from zero without c0")
    assert result.figures["changes"] == 1.0


def test_one_city_that_hides_the_result_is_named() -> None:
    effects = [-0.2, -0.21, -0.19, -0.2, -0.2, 0.9]
    result = run("leave_one_city_out", pooled(effects, [0.02] * 6))
    assert result.outcome == "failed"
    assert result.reason.endswith("told from zero only without c5")


def test_an_effect_that_is_not_the_pooled_one_is_not_refitted() -> None:
    found = pooled([-0.2, -0.3, -0.1], [0.05] * 3)
    other = Estimate(**{**_fields(found), "effect": found.effect + 0.01})
    assert "not the pooled mean" in run("leave_one_city_out", other).reason
    by_fixed = CheckContext(method="fixed", interval="wald")
    unequal = pooled([-0.2, -0.9, 0.3], [0.05, 0.1, 0.2])
    assert run("leave_one_city_out", unequal, by_fixed).outcome == "not computable"


@pytest.mark.parametrize("name", OF_CITIES)
@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (pooled([-0.2, -0.3], [0.1, 0.1]), "2 cities; 3 are needed"),
        (single(-0.2, 0.1), "0 cities"),
        (single(-20.0, 3.0, "count"), "numbers of incidents"),
    ],
)
def test_too_few_cities_or_another_scale(name: str, estimate: Estimate, words: str) -> None:
    result = run(name, estimate)
    assert result.outcome == "not computable"
    assert words in result.reason


def test_small_cities_that_show_more_are_seen_with_many_cities_only() -> None:
    random = np.random.default_rng(3)
    errors = np.linspace(0.02, 0.4, 12)
    biased = (-1.5 * errors + 0.3 * errors * random.standard_normal(12)).tolist()
    result = run("small_study", pooled(biased, errors.tolist()))
    assert result.outcome == "failed"
    assert result.figures["slope"] < -1.0
    fair = (-0.2 + errors * random.standard_normal(12)).tolist()
    assert run("small_study", pooled(fair, errors.tolist())).outcome == "passed"
    few = run("small_study", pooled(fair[:5], errors[:5].tolist()))
    assert few.outcome == "not computable"
    assert few.figures["cities"] == 5.0


def test_cities_that_are_all_equally_precise_have_no_small_ones() -> None:
    assert "equally precise" in run("small_study", pooled([-0.1, 0.0, -0.2], [0.1] * 3)).reason


def test_heterogeneity_fails_only_where_a_further_city_may_have_the_other_sign() -> None:
    alike = run("heterogeneity", pooled([-0.2, -0.21, -0.19, -0.2], [0.05] * 4))
    assert alike.outcome == "passed"
    assert "no more than by chance" in alike.reason
    apart = run("heterogeneity", pooled([-0.5, 0.3, -0.4, 0.2], [0.05] * 4))
    assert apart.outcome == "failed"
    assert apart.figures["prediction_low"] < 0.0 < apart.figures["prediction_high"]
    same_side = run("heterogeneity", pooled([-1.0, -1.1, -0.9, -1.05, -0.95, -1.2], [0.03] * 6))
    assert same_side.outcome == "passed"
    assert "on the same side" in same_side.reason


@pytest.mark.parametrize("kind", ["dates", "outcomes", "cameras"])
def test_placebos(kind: str) -> None:
    name, key = f"placebo_{kind}", f"placebo_{kind}"
    under_study = single(-0.2, 0.05)
    assert run(name, under_study).outcome == "not computable"
    none = CheckContext(**{key: {"a": single(0.01, 0.05), "b": single(-0.02, 0.04)}})
    passed = run(name, under_study, none)
    assert passed.outcome == "passed"
    assert "no smaller than" not in passed.reason
    vague = run(name, under_study, CheckContext(**{key: {"a": single(0.01, 0.5)}}))
    assert vague.outcome == "passed"
    assert "no smaller than the -0.2 under study" in vague.reason
    found = CheckContext(**{key: {"a": single(0.01, 0.05), "b": single(-0.3, 0.05)}})
    failed = run(name, under_study, found)
    assert failed.outcome == "failed"
    assert "(b)" in failed.reason
    useless = CheckContext(**{key: {"a": single(0.0, 0.0), "b": single(-3.0, 1.0, "count")}})
    assert run(name, under_study, useless).outcome == "not computable"


def test_what_could_not_be_estimated_is_named_whatever_the_others_say() -> None:
    """A refusal alone is not computable with the reason; beside others it is told with their result."""
    gone = {"6 months earlier": "REFUSAL, no.", "9 months earlier": "REFUSAL, no", "a": "X"}
    said = "6 months earlier, 9 months earlier could not be estimated: REFUSAL, no; a could not be estimated: X"
    for kind, name in (
        ("placebo_dates", "placebo_dates"),
        ("rings", "displacement"),
        ("chance", "regression_to_the_mean"),
    ):
        result = run(name, single(-0.2, 0.05), CheckContext(unanswered={kind: gone}))
        assert (result.outcome, result.reason) == ("not computable", said)
        assert result.words["without 1"] == "6 months earlier; 9 months earlier"
        assert result.words["why 2"] == "X"
        elsewhere = run(
            name, single(-0.2, 0.05), CheckContext(unanswered={"placebo_outcomes": gone})
        )
        assert "could not be estimated" not in elsewhere.reason
    for effect, outcome in ((0.01, "passed"), (-0.4, "failed")):
        context = CheckContext(
            placebo_dates={"3 months earlier": single(effect, 0.05)},
            unanswered={"placebo_dates": gone},
        )
        result = run("placebo_dates", single(-0.2, 0.05), context)
        assert result.outcome == outcome
        assert result.reason.endswith(said)
    ring = CheckContext(rings={"near": single(0.3, 0.05)}, unanswered={"rings": {"far": "X"}})
    assert run("displacement", single(-0.2, 0.05), ring).reason.endswith(
        "far could not be estimated: X"
    )


def test_many_placebos_do_not_fail_by_their_number() -> None:
    """p = 0.03 once is a failure; the smallest of five such is none after Bonferroni."""
    effect = 2.17 * 0.1
    one = run(
        "placebo_dates", single(-0.2, 0.05), CheckContext(placebo_dates={"a": single(effect, 0.1)})
    )
    assert one.outcome == "failed"
    more = {label: single(effect if label == "a" else 0.0, 0.1) for label in "abcde"}
    five = run("placebo_dates", single(-0.2, 0.05), CheckContext(placebo_dates=more))
    assert five.outcome == "passed"
    assert five.figures["p_value"] == pytest.approx(5 * one.figures["p_value"])


def test_rings() -> None:
    estimate = single(-0.2, 0.05)
    assert run("displacement", estimate).outcome == "not computable"
    rise = {"100 to 200 m": single(0.3, 0.05), "200 to 300 m": single(0.0, 0.05)}
    failed = run("displacement", estimate, CheckContext(rings=rise))
    assert failed.outcome == "failed"
    assert "100 to 200 m" in failed.reason
    fall = run("displacement", estimate, CheckContext(rings={"100 to 200 m": single(-0.3, 0.05)}))
    assert fall.outcome == "passed"
    assert "diffusion" in fall.reason
    none = run("displacement", estimate, CheckContext(rings={"100 to 200 m": single(0.02, 0.05)}))
    assert none.outcome == "passed"
    assert f"{0.02 + 1.96 * 0.05:+.2g} could hide" in none.reason


def test_a_rise_farther_out_is_not_hidden_by_a_stronger_fall_near() -> None:
    both = {"near": single(-0.9, 0.05), "far": single(0.3, 0.05)}
    result = run("displacement", single(-0.2, 0.05), CheckContext(rings=both))
    assert result.outcome == "failed"
    assert "far" in result.reason


def test_regression_to_the_mean() -> None:
    name, effect = "regression_to_the_mean", single(-0.3, 0.05)
    assert run(name, effect).outcome == "not computable"
    little = run(name, effect, CheckContext(expected_change=single(-0.05, 0.02)))
    assert little.outcome == "passed"
    assert little.figures["left"] == pytest.approx(-0.25)
    assert little.figures["high"] == pytest.approx(-0.25 + 1.959964 * math.hypot(0.05, 0.02))
    much = run(name, effect, CheckContext(expected_change=single(-0.28, 0.02)))
    assert much.outcome == "failed"
    rise = run(name, single(0.3, 0.05), CheckContext(expected_change=single(-0.28, 0.02)))
    assert "no fall" in rise.reason
    count = CheckContext(expected_change=single(-3.0, 1.0, "count"))
    assert run(name, effect, count).outcome == "not computable"


def _fields(estimate: Estimate) -> dict[str, object]:
    return {name: getattr(estimate, name) for name in estimate.__dataclass_fields__}
