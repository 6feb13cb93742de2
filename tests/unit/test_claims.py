"""Claims: what a file may say, each test against an independent calculation, every verdict."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final, get_args

import msgspec
import numpy as np
import pytest
from scipy import integrate, stats

from evalkit.claims.bayes_factor import replication_bayes_factor
from evalkit.claims.claim import Claim, check_claim, claimed_sign, load_claim, printed_values
from evalkit.claims.consistency import consistency_test
from evalkit.claims.direction import direction_test
from evalkit.claims.equivalence import equivalence_test
from evalkit.claims.evidence import Evidence, build_evidence, interval
from evalkit.claims.generality import generality_test
from evalkit.claims.power import cities_needed, power_analysis
from evalkit.claims.verdict import EQUIVALENCE_ALPHA, ReasonKey, judge
from evalkit.claims.wording import Language, format_percent, sentence
from evalkit.errors import ClaimError, ConfigError, EstimationError, TaxonomyError

SHIPPED: Final = Path(__file__).resolve().parents[2] / "configs" / "claims"

QUADRATURE: Final = 1e-8
"""Relative: the tolerance asked of scipy's adaptive quadrature is 1e-10."""

DRAWS: Final = 20_000
"""The standard error of a rate of 0.01 estimated from so many draws is 0.0007."""


def claim_with(**changes: object) -> Claim:
    fields: dict[str, object] = {
        "name": "a-claim",
        "title": "Crime falls by 13 %",
        "source": "Somebody (2019)",
        "measure": "rate_ratio",
        "value": 0.87,
        "equivalence_margin": 1.10,
        "zero_margin": 1.10,
        "uncertainty": "none stated",
    }
    return msgspec.convert(fields | changes, type=Claim)


FALL: Final = claim_with(also_printed=[0.876])
RISE: Final = claim_with(value=1 / 0.87)


# ---------------------------------------------------------------- the claim file


def test_the_shipped_claim_says_what_was_published() -> None:
    claim = load_claim(SHIPPED / "cctv-review-2019.toml")
    assert claim.value == 0.87
    assert claim.also_printed == (0.876,)
    # The odds ratio 1.141 is control change over treated change: its inverse is the rate ratio.
    assert round(1 / 1.141, 3) == claim.also_printed[0]
    assert (claim.equivalence_margin, claim.zero_margin) == (1.10, 1.10)
    assert "1.141" in claim.uncertainty
    assert claim.name == "cctv-review-2019"


def test_every_shipped_claim_loads_and_is_named_after_its_file() -> None:
    files = sorted(SHIPPED.glob("*.toml"))
    assert files
    for file in files:
        assert load_claim(file).name == file.stem


def test_an_unknown_key_or_a_missing_one_is_refused(tmp_path: Path) -> None:
    text = (SHIPPED / "cctv-review-2019.toml").read_text(encoding="utf-8")
    file = tmp_path / "claim.toml"
    file.write_text(text.replace("zero_margin", "zero_margn"), encoding="utf-8")
    with pytest.raises(ConfigError, match="zero_margn"):
        load_claim(file)
    file.write_text(text.replace('measure = "rate_ratio"', ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="measure"):
        load_claim(file)
    with pytest.raises(ConfigError, match="does not exist"):
        load_claim(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"value": 0.0}, "must be rate ratios"),
        ({"value": -0.13}, "must be rate ratios"),
        ({"value": math.nan}, "must be rate ratios"),
        ({"value": math.inf}, "must be rate ratios"),
        ({"also_printed": [0.0]}, "must be rate ratios"),
        ({"value": 1.0}, "no effect"),
        ({"also_printed": [1.05]}, "another direction"),
        ({"also_printed": [1.0]}, "another direction"),
        ({"equivalence_margin": 1.0}, "equivalence_margin is not a factor above 1"),
        ({"equivalence_margin": 0.10}, "equivalence_margin is not a factor above 1"),
        ({"zero_margin": math.inf}, "zero_margin is not a factor above 1"),
        ({"equivalence_margin": 1.16}, "contains no effect"),
        ({"value": 1.08}, "contains no effect"),
        ({"zero_margin": 1.16}, "contains the claim"),
    ],
)
def test_claims_that_could_not_be_tested_are_refused(
    changes: dict[str, object], words: str
) -> None:
    claim = claim_with(**changes)
    with pytest.raises(ClaimError, match=words) as caught:
        check_claim(claim, where="claim.toml")
    assert caught.value.where == "claim.toml"
    assert caught.value.limit
    assert caught.value.way_out
    # A verdict is not to be had by going round the file.
    with pytest.raises(ClaimError, match=words):
        judge(build_evidence(-0.1, 0.05), claim)


def test_margins_may_be_as_wide_as_the_claim_allows() -> None:
    widest = 1 / 0.87 - 1e-9
    claim = claim_with(equivalence_margin=widest, zero_margin=widest)
    assert check_claim(claim) is claim


def test_crime_types_are_the_common_ones() -> None:
    assert check_claim(claim_with(crime_types=["robbery"])).crime_types == ("robbery",)
    with pytest.raises(TaxonomyError, match="car_crime"):
        check_claim(claim_with(crime_types=["car_crime"]))


def test_direction_and_printed_values() -> None:
    assert (claimed_sign(FALL), claimed_sign(RISE)) == (-1, 1)
    assert printed_values(FALL) == (0.87, 0.876)


# ---------------------------------------------------------------- the evidence


def test_evidence_carries_its_own_interval() -> None:
    evidence = build_evidence(-0.1, 0.05, df=4, level=0.90)
    critical = stats.t.ppf(0.95, 4)
    assert evidence.conf_low == pytest.approx(-0.1 - critical * 0.05, rel=1e-12)
    assert interval(evidence, 0.90) == (evidence.conf_low, evidence.conf_high)
    wider = interval(evidence, 0.95)
    assert wider[0] < evidence.conf_low
    assert wider[1] > evidence.conf_high


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"effect": math.nan}, "not finite"),
        ({"std_error": math.inf}, "not finite"),
        ({"std_error": 0.0}, "out of range"),
        ({"df": math.nan}, "out of range"),
        ({"sites": 0}, "out of range"),
        ({"level": 95.0}, "not a coverage"),
        ({"conf_low": -0.25}, "is not the one"),
        ({"conf_high": math.nan}, "is not the one"),
        ({"tau2": -0.1}, "upside down"),
        ({"prediction_low": 0.2, "prediction_high": 0.1}, "upside down"),
    ],
)
def test_evidence_that_contradicts_itself_is_refused(changes: dict[str, float], words: str) -> None:
    good = {
        "effect": -0.1,
        "std_error": 0.05,
        "df": math.inf,
        "level": 0.95,
        "conf_low": -0.1 - 1.959963984540054 * 0.05,
        "conf_high": -0.1 + 1.959963984540054 * 0.05,
    }
    assert Evidence(**good).sites == 1  # type: ignore[arg-type]
    with pytest.raises(EstimationError, match=words):
        Evidence(**(good | changes))  # type: ignore[arg-type]


# ---------------------------------------------------------------- the tests, one by one


@pytest.mark.parametrize("df", [math.inf, 4.0])
def test_direction_against_scipy(df: float) -> None:
    reference = stats.norm if math.isinf(df) else stats.t(df)
    test = direction_test(build_evidence(-0.12, 0.05, df=df), FALL)
    assert test.statistic == pytest.approx(-2.4, rel=1e-14)
    assert test.p_fall == pytest.approx(reference.cdf(-2.4), rel=1e-11)
    assert test.p_rise == pytest.approx(reference.sf(-2.4), rel=1e-11)
    assert test.p_two_sided == pytest.approx(2 * reference.cdf(-2.4), rel=1e-11)
    assert test.p_claimed == test.p_fall
    assert direction_test(build_evidence(-0.12, 0.05, df=df), RISE).p_claimed == test.p_rise


def test_consistency_against_scipy_and_rejects_only_if_all_figures_are() -> None:
    test = consistency_test(build_evidence(-0.05, 0.04, df=6), FALL)
    for value, printed in ((test.value, 0.87), (test.also_printed[0], 0.876)):
        statistic = (-0.05 - math.log(printed)) / 0.04
        assert value.rate_ratio == printed
        assert value.statistic == pytest.approx(statistic, rel=1e-12)
        assert value.p_value == pytest.approx(2 * stats.t.sf(abs(statistic), 6), rel=1e-11)
    # 0.876 is the nearer of the two, so it decides.
    assert test.p_value == test.also_printed[0].p_value > test.value.p_value


@pytest.mark.parametrize("df", [math.inf, 5.0])
def test_equivalence_at_five_percent_is_the_ninety_percent_interval_inside(df: float) -> None:
    rng = np.random.default_rng(20190101)
    inside = {True: 0, False: 0}
    for effect, std_error in zip(
        rng.uniform(-0.3, 0.15, 500), rng.uniform(0.005, 0.06, 500), strict=True
    ):
        evidence = build_evidence(float(effect), float(std_error), df=df)
        low, high = interval(evidence, 0.90)
        test = equivalence_test(evidence, FALL)
        for region in (test.to_claim, test.to_no_effect):
            within = math.log(region.low) < low and high < math.log(region.high)
            inside[within] += 1
            assert (region.p_value < 0.05) is within
    assert min(inside.values()) > 50
    regions = equivalence_test(build_evidence(0.0, 0.1), FALL)
    assert (regions.to_claim.low, regions.to_claim.high) == (0.87 / 1.1, 0.87 * 1.1)
    assert (regions.to_no_effect.low, regions.to_no_effect.high) == (1 / 1.1, 1.1)


@pytest.mark.parametrize("claim", [FALL, RISE])
@pytest.mark.parametrize(
    ("effect", "std_error"), [(-0.14, 0.03), (0.0, 0.03), (-0.05, 0.2), (0.1, 0.05)]
)
def test_bayes_factor_against_quadrature(claim: Claim, effect: float, std_error: float) -> None:
    factor = replication_bayes_factor(build_evidence(effect, std_error), claim)
    prior = stats.norm(factor.prior_mean, factor.prior_sd)
    # The prior as the module states it: centred on the claim, 95 % inside the margin.
    assert prior.mean() == pytest.approx(math.log(claim.value), rel=1e-14)
    margin = math.log(claim.equivalence_margin)
    inside = prior.cdf(prior.mean() + margin) - prior.cdf(prior.mean() - margin)
    assert inside == pytest.approx(0.95, rel=1e-12)

    def integrand(theta: float) -> float:
        return float(prior.pdf(theta) * stats.norm.pdf(effect, theta, std_error))

    marginal, _ = integrate.quad(
        integrand,
        prior.mean() - 12 * prior.std(),
        prior.mean() + 12 * prior.std(),
        epsabs=0,
        epsrel=1e-10,
        limit=500,
        points=[effect],
    )
    expected = marginal / stats.norm.pdf(effect, 0, std_error)
    assert factor.bayes_factor == pytest.approx(expected, rel=QUADRATURE)
    assert factor.log_bayes_factor == pytest.approx(math.log(expected), rel=1e-7, abs=1e-8)


def test_bayes_factor_of_overwhelming_evidence_does_not_overflow() -> None:
    factor = replication_bayes_factor(build_evidence(-0.14, 0.001), FALL)
    assert factor.log_bayes_factor > 1_000
    assert factor.bayes_factor == math.inf


def test_generality_reads_the_prediction_interval() -> None:
    unknown = generality_test(build_evidence(-0.1, 0.02), FALL)
    assert (unknown.known, unknown.excludes_no_effect, unknown.contains_claim) == (
        False,
        None,
        None,
    )
    for low, high, excludes, contains in (
        (-0.30, -0.02, True, True),
        (-0.30, 0.02, False, True),
        (-0.12, -0.02, True, False),
        (0.01, 0.10, True, False),
    ):
        evidence = build_evidence(-0.1, 0.02, prediction_low=low, prediction_high=high)
        test = generality_test(evidence, FALL)
        assert (test.known, test.excludes_no_effect, test.contains_claim) == (
            True,
            excludes,
            contains,
        )


# ---------------------------------------------------------------- power


@pytest.mark.parametrize("df", [math.inf, 9.0])
def test_minimum_detectable_effect_has_80_percent_power_by_the_formula(df: float) -> None:
    evidence = build_evidence(0.03, 0.05, df=df)
    detectable = power_analysis(evidence, FALL)
    at_it = claim_with(value=detectable.minimum_detectable_rate_ratio)
    assert power_analysis(evidence, at_it).power_for_claim == pytest.approx(0.80, rel=1e-12)
    assert math.log(detectable.minimum_detectable_rate_ratio) == pytest.approx(
        -detectable.minimum_detectable_effect, rel=1e-14
    )
    assert power_analysis(evidence, RISE).minimum_detectable_rate_ratio > 1
    if math.isinf(df):
        # The textbook's 2.80 standard errors.
        assert detectable.minimum_detectable_effect == pytest.approx(2.8016 * 0.05, abs=5e-6)


def test_minimum_detectable_effect_is_detected_in_80_percent_of_simulated_studies() -> None:
    rng = np.random.default_rng(13)
    detectable = power_analysis(build_evidence(0.0, 0.05), FALL).minimum_detectable_effect
    found = sum(
        interval(build_evidence(float(effect), 0.05), 0.95)[1] < 0
        for effect in rng.normal(-detectable, 0.05, DRAWS)
    )
    # Four standard errors of a rate of 0.8.
    assert found / DRAWS == pytest.approx(0.80, abs=4 * math.sqrt(0.16 / DRAWS))


def test_power_does_not_depend_on_the_effect_found() -> None:
    found, not_found = (power_analysis(build_evidence(x, 0.05), FALL) for x in (-0.2, 0.2))
    assert found == not_found


@pytest.mark.parametrize("variance", [0.0, 0.001, 0.02, 0.3])
def test_cities_needed_is_the_smallest_number_that_is_enough(variance: float) -> None:
    effect = math.log(0.87)

    def power(n: int) -> float:
        """At a true effect, t with n - 1 degrees of freedom around it."""
        shift = abs(effect) / math.sqrt(variance / n)
        return float(stats.t.sf(stats.t.ppf(0.975, n - 1) - shift, n - 1))

    needed = cities_needed(effect, variance)
    assert needed == cities_needed(-effect, variance)
    assert needed >= 2
    if variance > 0:
        assert power(needed) >= 0.80
        if needed > 2:
            assert power(needed - 1) < 0.80
    # Many cities: the normal formula (1.96 + 0.84)² V/δ², plus about two for t.
    normal = (1.959964 + 0.841621) ** 2 * variance / effect**2
    assert normal <= needed <= normal + 4


def test_cities_needed_refuses_what_it_cannot_answer() -> None:
    for effect, variance in ((0.0, 0.1), (math.nan, 0.1), (0.1, -0.1), (0.1, math.inf)):
        with pytest.raises(ValueError, match="must be finite"):
            cities_needed(effect, variance)


def test_cities_and_data_needed_follow_from_the_variances() -> None:
    tau2, within, sites = 0.01, 0.03, 6
    std_error = math.sqrt((tau2 + within) / sites)
    evidence = build_evidence(-0.1, std_error, df=sites - 1, tau2=tau2, sites=sites)
    implied = power_analysis(evidence, FALL)
    stated = power_analysis(evidence, FALL, typical_variance=within)
    assert implied.cities_needed == stated.cities_needed
    assert implied.cities_needed == cities_needed(math.log(0.87), tau2 + within)
    # With that multiple of data per city the claim is detected with 80 % power.
    if math.isfinite(stated.data_factor):
        better = math.sqrt((tau2 + within / stated.data_factor) / sites)
        again = power_analysis(build_evidence(-0.1, better, df=sites - 1), FALL)
        assert again.power_for_claim == pytest.approx(0.80, rel=1e-9)
    else:
        assert stated.data_factor == math.inf


def test_data_factor_in_its_three_cases() -> None:
    def factor(tau2: float, within: float, sites: int) -> float:
        std_error = math.sqrt((tau2 + within) / sites)
        evidence = build_evidence(0.0, std_error, df=sites - 1, tau2=tau2, sites=sites)
        return power_analysis(evidence, FALL).data_factor

    assert factor(0.0, 0.001, 10) < 1
    assert 1 < factor(0.001, 0.05, 10) < math.inf
    # Cities differ so much that no amount of data in ten of them would do.
    assert factor(0.2, 0.05, 10) == math.inf


def test_one_city_cannot_tell_how_many_cities_are_needed() -> None:
    alone = power_analysis(build_evidence(-0.1, 0.07), FALL)
    assert alone.cities_needed is None
    assert alone.data_factor == pytest.approx((2.801585 * 0.07 / math.log(0.87)) ** 2, rel=1e-5)
    known = power_analysis(build_evidence(-0.1, 0.07, tau2=0.01), FALL)
    assert known.cities_needed == cities_needed(math.log(0.87), 0.01 + 0.07**2)
    assert known.data_factor == alone.data_factor


# ---------------------------------------------------------------- the verdict

LN: Final = math.log(0.87)

REASONS: Final[list[tuple[ReasonKey, Claim, Evidence]]] = [
    (
        "supported",
        FALL,
        build_evidence(LN, 0.02, prediction_low=-0.25, prediction_high=-0.03, sites=8),
    ),
    (
        "supported_not_everywhere",
        FALL,
        build_evidence(LN, 0.02, prediction_low=-0.35, prediction_high=0.07, sites=8),
    ),
    ("supported_new_city_unknown", FALL, build_evidence(LN, 0.02, df=20)),
    ("contradicted_smaller", FALL, build_evidence(-0.05, 0.02)),
    ("contradicted_no_change", FALL, build_evidence(0.0, 0.02)),
    ("contradicted_no_effect_possible", FALL, build_evidence(0.03, 0.06)),
    ("contradicted_opposite", FALL, build_evidence(0.2, 0.04)),
    ("contradicted_larger", FALL, build_evidence(-0.5, 0.05)),
    ("contradicted_between", claim_with(also_printed=[0.6]), build_evidence(-0.35, 0.05)),
    ("undecided_claim_and_no_effect", FALL, build_evidence(-0.0889, 0.075)),
    ("undecided_too_wide", FALL, build_evidence(-0.13, 0.06)),
]


def mirrored(evidence: Evidence) -> Evidence:
    return build_evidence(
        -evidence.effect,
        evidence.std_error,
        df=evidence.df,
        prediction_low=-evidence.prediction_high,
        prediction_high=-evidence.prediction_low,
        sites=evidence.sites,
    )


def test_the_table_covers_every_reason() -> None:
    assert {key for key, _, _ in REASONS} == set(get_args(ReasonKey))


@pytest.mark.parametrize(("key", "claim", "evidence"), REASONS, ids=[key for key, _, _ in REASONS])
def test_every_reason_is_reached_for_falls_and_for_rises(
    key: ReasonKey, claim: Claim, evidence: Evidence
) -> None:
    verdict = judge(evidence, claim)
    assert verdict.reason_key == key
    assert key.startswith(verdict.outcome)
    rise = claim_with(
        value=1 / claim.value, also_printed=[1 / value for value in claim.also_printed]
    )
    turned = judge(mirrored(evidence), rise)
    assert turned.reason_key == key
    assert (verdict.claimed_fall, turned.claimed_fall) == (True, False)


@pytest.mark.parametrize(("key", "claim", "evidence"), REASONS, ids=[key for key, _, _ in REASONS])
def test_the_rule_as_written_gives_the_outcome(
    key: ReasonKey, claim: Claim, evidence: Evidence
) -> None:
    """The rule once more, in terms of intervals only and for falls only."""
    low, high = interval(evidence, 0.95)
    narrow_low, narrow_high = interval(evidence, 0.90)
    margin = math.log(claim.equivalence_margin)
    centre = math.log(claim.value)
    if high < 0 and centre - margin <= narrow_low and narrow_high <= centre + margin:
        expected = "supported"
    elif not any(low <= math.log(value) <= high for value in printed_values(claim)):
        expected = "contradicted"
    else:
        expected = "undecided"
    assert judge(evidence, claim).outcome == expected


def test_a_figure_also_printed_keeps_a_claim_from_being_contradicted() -> None:
    """The interval excludes 0.87 and contains 0.876."""
    std_error = 0.03
    evidence = build_evidence(math.log(0.8755) + 1.959963984540054 * std_error, std_error)
    assert judge(evidence, claim_with()).outcome == "contradicted"
    verdict = judge(evidence, FALL)
    assert verdict.outcome == "undecided"
    assert verdict.figures["claim_inside_percent"] == pytest.approx(-12.4, rel=1e-12)
    assert "the claim (\u221212.4 %)" in sentence(verdict)


def test_precision_alone_never_supports_a_wrong_claim() -> None:
    for std_error in (0.03, 0.01, 0.001, 1e-6):
        assert judge(build_evidence(0.0, std_error), FALL).reason_key == "contradicted_no_change"
        assert judge(build_evidence(-0.5, std_error), FALL).reason_key == "contradicted_larger"


def test_imprecision_never_supports_a_right_claim() -> None:
    """The widest interval that supports has a standard error of ln(margin)/1.645."""
    limit = math.log(1.10) / stats.norm.ppf(1 - EQUIVALENCE_ALPHA)
    assert judge(build_evidence(LN, limit * 0.999), FALL).outcome == "supported"
    assert judge(build_evidence(LN, limit * 1.001), FALL).outcome == "undecided"
    assert judge(build_evidence(LN, 1.0), FALL).reason_key == "undecided_claim_and_no_effect"


@pytest.mark.parametrize(("df", "std_error"), [(math.inf, 0.049), (4, 0.06)])
def test_false_support_is_rare_under_no_effect(df: float, std_error: float) -> None:
    """At the standard errors where it is most frequent, and with few cities' degrees of freedom."""
    rng = np.random.default_rng(2019)
    effects = rng.normal(0.0, std_error, DRAWS)
    estimated = (
        np.full(DRAWS, std_error)
        if math.isinf(df)
        else std_error * np.sqrt(rng.chisquare(df, DRAWS) / df)
    )
    outcomes = [
        judge(build_evidence(float(effect), float(error), df=df), FALL).outcome
        for effect, error in zip(effects, estimated, strict=True)
    ]
    false = outcomes.count("supported") / DRAWS
    assert 0.0 < false < 0.01


def test_support_is_within_reach_of_precise_data() -> None:
    """A rule that never supports would pass the test above."""
    rng = np.random.default_rng(87)
    outcomes = [
        judge(build_evidence(float(effect), 0.03), FALL).outcome
        for effect in rng.normal(LN, 0.03, 2_000)
    ]
    # P(|Z| < (ln 1.1)/0.03 - 1.645) = 0.875.
    assert outcomes.count("supported") / 2_000 == pytest.approx(0.875, abs=0.03)


def test_figures_are_those_of_the_tests() -> None:
    evidence = build_evidence(-0.1, 0.04, df=7, prediction_low=-0.3, prediction_high=0.1, sites=8)
    verdict = judge(evidence, FALL)
    assert verdict.claim == "a-claim"
    assert verdict.figures["effect_percent"] == pytest.approx(100 * (math.exp(-0.1) - 1))
    assert verdict.figures["claim_percent"] == pytest.approx(-13)
    assert verdict.also_printed_percent == pytest.approx((-12.4,))
    assert verdict.figures["margin_high_percent"] == pytest.approx(-4.3)
    assert verdict.figures["no_effect_low_percent"] == pytest.approx(-100 / 11)
    assert verdict.figures["prediction_high_percent"] == pytest.approx(100 * (math.exp(0.1) - 1))
    assert verdict.figures["p_no_effect"] == verdict.direction.p_two_sided
    assert verdict.figures["p_claim"] == verdict.consistency.p_value
    assert verdict.figures["log_bayes_factor"] == verdict.bayes_factor.log_bayes_factor
    assert verdict.power == power_analysis(evidence, FALL)


@pytest.mark.parametrize("claim", [FALL, RISE])
@pytest.mark.parametrize("effect", [-900.0, 0.0, 900.0])
def test_hopelessly_imprecise_evidence_is_undecided_not_an_error(
    claim: Claim, effect: float
) -> None:
    """A nearly separated fit has such figures."""
    verdict = judge(build_evidence(effect, 2_000.0, sites=3, df=2, tau2=0.0), claim)
    assert verdict.reason_key == "undecided_claim_and_no_effect"
    assert "\u2212100" in sentence(verdict)


def test_the_evidence_level_does_not_change_the_verdict() -> None:
    narrow = build_evidence(-0.13, 0.06, level=0.80)
    assert judge(narrow, FALL).reason_key == "undecided_too_wide"


# ---------------------------------------------------------------- the words


@pytest.mark.parametrize("language", get_args(Language))
@pytest.mark.parametrize(("key", "claim", "evidence"), REASONS, ids=[key for key, _, _ in REASONS])
def test_every_reason_is_one_sentence_in_every_language(
    language: Language, key: ReasonKey, claim: Claim, evidence: Evidence
) -> None:
    words = sentence(judge(evidence, claim), language)
    assert words.endswith(".")
    assert words.count(". ") == 0
    assert "nan" not in words
    assert "{" not in words
    assert "-" not in words
    assert "95 %" in words


def test_reasons_have_different_sentences() -> None:
    for language in get_args(Language):
        said = {sentence(judge(evidence, claim), language) for _, claim, evidence in REASONS}
        assert len(said) == len(REASONS)


def test_the_sentence_of_the_methods() -> None:
    verdict = judge(build_evidence(-0.0889, 0.075), FALL)
    assert sentence(verdict) == (
        "Undecided: the 95 % interval [\u221221 %, +6 %] contains both the claim (\u221213 %) and "
        "no effect."
    )
    assert sentence(verdict, "es") == (
        "Sin decidir: el intervalo del 95 % [\u221221 %; +6 %] contiene tanto la afirmación "
        "(\u221213 %) como la ausencia de efecto."
    )
    assert sentence(verdict, "pt") == (
        "Sem decisão: o intervalo de 95 % [\u221221 %; +6 %] contém tanto a afirmação (\u221213 %) "
        "como a ausência de efeito."
    )


def test_a_rise_is_called_a_rise() -> None:
    words = sentence(judge(build_evidence(0.05, 0.02), RISE))
    assert "shows a rise, but a smaller one" in words
    words = sentence(judge(build_evidence(-0.2, 0.04), RISE))
    assert "shows a fall; the claim is a rise" in words


def test_decimals_appear_only_where_whole_percents_would_mislead() -> None:
    close = judge(build_evidence(-0.01, 0.002), FALL)
    assert "[\u22121.4 %, \u22120.6 %]" in sentence(close)
    assert "[\u22121,4 %; \u22120,6 %]" in sentence(close, "es")
    # 0.3 % must not be printed as none.
    slight = judge(build_evidence(0.0, 0.0015), FALL)
    assert "[\u22120.3 %, +0.3 %]" in sentence(slight)


def test_percent_changes_have_a_sign_and_a_space() -> None:
    assert format_percent(-13.0) == "\u221213 %"
    assert format_percent(6.4) == "+6 %"
    assert format_percent(-0.04, 1) == "0.0 %"
    assert format_percent(0.0) == "0 %"
    assert format_percent(-12.44, 1, ",") == "\u221212,4 %"
    assert format_percent(math.inf) == "+\u221e %"


def test_an_unknown_language_is_refused() -> None:
    verdict = judge(build_evidence(-0.1, 0.05), FALL)
    with pytest.raises(ConfigError, match='"fr"'):
        sentence(verdict, "fr")  # type: ignore[arg-type]
