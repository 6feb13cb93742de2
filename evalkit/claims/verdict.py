"""The verdict: supported, contradicted or undecided, always with the reason.

The rule
    supported     if the 95 % interval excludes no effect on the claimed side, and the effect is
                  shown equivalent to the claim: two one-sided tests at 5 %, that is, the 90 %
                  interval lies inside the claim's margin.
    contradicted  otherwise, if the 95 % interval excludes the claim's value and every other figure
                  that its source prints.
    undecided     otherwise.

Why so severe
    "Supported" is the word that will be quoted. The usual habit, to call a published effect
    confirmed if the new interval contains it, rewards imprecision: the wider the interval, the
    surer the confirmation. The next habit, to ask for significance in the claimed direction,
    confirms "13 %" with an effect of 40 % or of 1 %, and does so by chance in one study of forty
    with no effect. Here both ends of the interval have to be near the claim.

    If there is no effect at all, a false "supported" needs an estimate that is far from zero by its
    own standard error and yet precise enough to stay inside the margin. For a claim of 0.87 with a
    margin of 1.10 its probability is at most 0.5 %, whatever the standard error, and 0 where that
    exceeds 0.058 (normal reference); with a standard error estimated on 9 degrees of freedom it is
    at most 0.6 %, on 4 at most 0.9 %, on 2 at most 1.3 %. A test simulates it.

    The price is that "supported" takes precise data: a standard error of at most ln(margin)/1.645,
    and in practice half of that. Less precise data end in "undecided", which the sentence explains.

    An effect inside the margin is called support even if the interval excludes the exact value: the
    margin, fixed in the claim's file before anybody looked, says which differences do not matter.

    The claim itself is uncertain. It is contradicted only if every figure its source prints is, and
    the claim file's own account of its uncertainty belongs beside every verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from evalkit.claims.bayes_factor import BayesFactor, replication_bayes_factor
from evalkit.claims.claim import Claim, check_claim, claimed_sign, printed_values
from evalkit.claims.consistency import ConsistencyTest, consistency_test
from evalkit.claims.direction import DirectionTest, direction_test
from evalkit.claims.equivalence import EquivalenceTest, equivalence_test
from evalkit.claims.evidence import Evidence, interval
from evalkit.claims.generality import GeneralityTest, generality_test
from evalkit.claims.power import PowerAnalysis, power_analysis

__all__ = [
    "EQUIVALENCE_ALPHA",
    "LEVEL",
    "Outcome",
    "ReasonKey",
    "Verdict",
    "judge",
]

Outcome = Literal["supported", "contradicted", "undecided"]
ReasonKey = Literal[
    "supported",
    "supported_not_everywhere",
    "supported_new_city_unknown",
    "contradicted_smaller",
    "contradicted_no_change",
    "contradicted_no_effect_possible",
    "contradicted_opposite",
    "contradicted_larger",
    "contradicted_between",
    "undecided_claim_and_no_effect",
    "undecided_too_wide",
]

LEVEL: Final = 0.95
"""Of the interval that must exclude no effect, or the claim."""

EQUIVALENCE_ALPHA: Final = 0.05
"""Of each of the two one-sided tests; the interval that shows the same has level 1 - 2 × 0.05."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict, its reason, and every test behind it.

    Attributes:
        outcome: ``supported``, ``contradicted`` or ``undecided``.
        reason_key: Which reason; `evalkit.claims.wording.sentence` puts it into words.
        figures: The numbers of the sentence and of the tests. Keys that end in ``_percent`` are
            percent changes, 100 (rate ratio - 1); ``p_`` are p-values. nan where there is none.
        claim: The claim's name.
        also_printed_percent: The other figures of the claim's source.
        claimed_fall: Whether the claim is a fall.
        direction: Test of no effect.
        consistency: Tests of the printed figures.
        equivalence: To the claim and to no effect.
        bayes_factor: Claim against no effect.
        generality: What a new city should expect.
        power: What these data could have shown.
    """

    outcome: Outcome
    reason_key: ReasonKey
    figures: dict[str, float]
    claim: str
    also_printed_percent: tuple[float, ...]
    claimed_fall: bool
    direction: DirectionTest
    consistency: ConsistencyTest
    equivalence: EquivalenceTest
    bayes_factor: BayesFactor
    generality: GeneralityTest
    power: PowerAnalysis


def judge(evidence: Evidence, claim: Claim, *, typical_variance: float | None = None) -> Verdict:
    """Hold the evidence against the claim.

    Args:
        evidence: The effect, on the log rate-ratio scale. Its own ``level`` does not matter here.
        claim: What was claimed.
        typical_variance: For the number of cities needed; see
            `evalkit.claims.power.power_analysis`.

    Raises:
        ClaimError: the claim cannot be tested as written.
    """
    check_claim(claim)
    equivalence = equivalence_test(evidence, claim)
    generality = generality_test(evidence, claim)
    reason_key = _reason(evidence, claim, equivalence, generality)
    outcome, _, _ = reason_key.partition("_")
    direction = direction_test(evidence, claim)
    consistency = consistency_test(evidence, claim)
    bayes_factor = replication_bayes_factor(evidence, claim)
    figures = _percent_figures(evidence, claim, equivalence) | {
        "p_no_effect": direction.p_two_sided,
        "p_claim": consistency.p_value,
        "p_equivalent_to_claim": equivalence.to_claim.p_value,
        "p_equivalent_to_no_effect": equivalence.to_no_effect.p_value,
        "log_bayes_factor": bayes_factor.log_bayes_factor,
    }
    return Verdict(
        outcome=_OUTCOMES[outcome],
        reason_key=reason_key,
        figures=figures,
        claim=claim.name,
        also_printed_percent=tuple(100.0 * (value - 1.0) for value in claim.also_printed),
        claimed_fall=claimed_sign(claim) < 0,
        direction=direction,
        consistency=consistency,
        equivalence=equivalence,
        bayes_factor=bayes_factor,
        generality=generality,
        power=power_analysis(evidence, claim, typical_variance=typical_variance),
    )


_OUTCOMES: Final[dict[str, Outcome]] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "undecided": "undecided",
}


def _reason(
    evidence: Evidence, claim: Claim, equivalence: EquivalenceTest, generality: GeneralityTest
) -> ReasonKey:
    # Turned so that the claim lies above 0: one set of comparisons serves falls and rises.
    low, high = _towards_claim(claim, interval(evidence, LEVEL))
    printed = [abs(math.log(value)) for value in printed_values(claim)]
    if low > 0.0 and equivalence.to_claim.p_value <= EQUIVALENCE_ALPHA:
        return _reason_supported(generality)
    if any(low <= value <= high for value in printed):
        return "undecided_too_wide" if low > 0.0 else "undecided_claim_and_no_effect"
    if all(high < value for value in printed):
        return _reason_short_of_claim(low, high, equivalence)
    return (
        "contradicted_larger" if all(value < low for value in printed) else "contradicted_between"
    )


def _reason_supported(generality: GeneralityTest) -> ReasonKey:
    if not generality.known:
        return "supported_new_city_unknown"
    return "supported" if generality.excludes_no_effect else "supported_not_everywhere"


def _reason_short_of_claim(low: float, high: float, equivalence: EquivalenceTest) -> ReasonKey:
    if low > 0.0:
        return "contradicted_smaller"
    if high < 0.0:
        return "contradicted_opposite"
    if equivalence.to_no_effect.p_value <= EQUIVALENCE_ALPHA:
        return "contradicted_no_change"
    return "contradicted_no_effect_possible"


def _towards_claim(claim: Claim, ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    return (low, high) if claimed_sign(claim) > 0 else (-high, -low)


def _percent_figures(
    evidence: Evidence, claim: Claim, equivalence: EquivalenceTest
) -> dict[str, float]:
    low, high = interval(evidence, LEVEL)
    narrow_low, narrow_high = interval(evidence, 1.0 - 2.0 * EQUIVALENCE_ALPHA)
    inside = [value for value in printed_values(claim) if low <= math.log(value) <= high]
    logs = {
        "effect": evidence.effect,
        "low": low,
        "high": high,
        "equivalence_low": narrow_low,
        "equivalence_high": narrow_high,
        "claim": math.log(claim.value),
        "claim_inside": math.log(inside[0]) if inside else math.nan,
        "margin_low": math.log(equivalence.to_claim.low),
        "margin_high": math.log(equivalence.to_claim.high),
        "no_effect_low": math.log(equivalence.to_no_effect.low),
        "no_effect_high": math.log(equivalence.to_no_effect.high),
        "prediction_low": evidence.prediction_low,
        "prediction_high": evidence.prediction_high,
    }
    return {f"{name}_percent": _percent(value) for name, value in logs.items()}


def _percent(log_rate_ratio: float) -> float:
    try:
        return 100.0 * math.expm1(log_rate_ratio)
    except OverflowError:
        return math.inf
