"""A run's result as the figures and the page need it: typed, checked, with nulls where there is no number.

The input is the plain dictionary of ``result.json``. Effects stay on the log rate-ratio scale here, because that
is the scale on which they are drawn; `percent_of` turns one into percent change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from evalkit.core.estimate import percent_change
from evalkit.errors import ConfigError
from evalkit.report.json_numbers import known_numbers, number_or_none
from evalkit.report.wording.set_aside import set_aside_sentences

__all__ = ["Claimed", "Content", "Effect", "Simulated", "percent_of", "read_result"]

Outcome = Literal["supported", "contradicted", "undecided"]

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "supported": "supported",
    "contradicted": "contradicted",
    "undecided": "undecided",
}

LONGEST_OUTCOME: Final = 60
"""Characters before the first colon of a reason that are still taken for its opening word or two."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect with its interval, log rate ratios; None where there is none. ``weight`` is 0 to 1."""

    name: str
    effect: float | None
    low: float | None
    high: float | None
    weight: float | None = None

    @property
    def drawable(self) -> bool:
        """Whether it has a place on an axis."""
        return self.effect is not None


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim: log rate ratios of its value, its region, and what its source prints besides."""

    name: str
    title: str
    source: str
    uncertainty: str
    setting: str
    crime_types: tuple[str, ...]
    value: float
    low: float | None
    high: float | None
    also_printed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Simulated:
    """What is true of simulated cities: log rate ratios."""

    mean: float | None
    realised: float | None
    cities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Content:
    """A result, read.

    Attributes:
        version: of evalkit, as the result says.
        name, title, hash: of the study.
        estimator, level, contributors, notes: of the estimate.
        pooled: the effect a claim is tested on.
        others: further effects of the estimator.
        cities: city effects, in the result's order.
        prediction: interval for a city not in the study; None unless both ends are known.
        details: further numbers; only those that are known.
        claim, outcome, simulated: None where the result has none.
        headline, reason: the verdict's opening words, and the rest of its sentence; empty without a verdict.
        figures: numbers behind the verdict; only those that are known.
        placebo: cities whose cameras enforce traffic, where no effect on crime is expected.
        count: whether effects are differences of incidents, and not log rate ratios.
        untested: why the claim was not tested; empty if it was, or there is none.
        revoked: city, day and new run, where a city has withdrawn from this run.
        withdrawn: city, day and former run, where this run was made without a city that has withdrawn.
        set_aside: a sentence for each city whose answer is impossible or implausible.
    """

    version: str
    name: str
    title: str
    hash: str
    estimator: str
    level: float
    contributors: tuple[str, ...]
    notes: tuple[str, ...]
    pooled: Effect
    others: tuple[Effect, ...]
    cities: tuple[Effect, ...]
    prediction: Effect | None
    details: Mapping[str, float]
    claim: Claimed | None
    outcome: Outcome | None
    headline: str
    reason: str
    figures: Mapping[str, float]
    simulated: Simulated | None
    placebo: tuple[str, ...]
    count: bool = False
    untested: str = ""
    set_aside: tuple[str, ...] = ()
    revoked: Mapping[str, str] | None = None
    withdrawn: Mapping[str, str] | None = None


def read_result(result: Mapping[str, Any], language: str) -> Content:
    """Read a result dictionary; ``language`` chooses the verdict's sentence, English if it lacks that one.

    Raises:
        ConfigError: the dictionary is not a run's result.
    """
    try:
        return _read(result, language)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ConfigError(
            "the result is not one that a run wrote",
            where="result.json",
            limit="study, estimate with its terms, claim, verdict and truth",
            way_out="name a folder made by `evalkit study run`",
        ) from None


def percent_of(log_ratio: float | None) -> float | None:
    """Percent change of a log rate ratio, None for None."""
    return None if log_ratio is None else percent_change(log_ratio)


def _read(result: Mapping[str, Any], language: str) -> Content:
    study, estimate = result["study"], result["estimate"]
    terms = [_effect(row, row["term"]) for row in estimate["terms"]]
    details = known_numbers(estimate.get("details") or {})
    headline, reason = _sentence(result.get("verdict"), language)
    return Content(
        version=str(result.get("evalkit", "")),
        name=str(study["name"]),
        title=str(study.get("title") or study["name"]),
        hash=str(study.get("hash", "")),
        estimator=str(estimate["estimator"]),
        level=float(estimate["level"]),
        contributors=tuple(map(str, estimate.get("contributors") or ())),
        notes=tuple(map(str, estimate.get("notes") or ())),
        pooled=terms[0],
        others=tuple(terms[1:]),
        cities=tuple(_effect(row, row["site"]) for row in estimate.get("sites") or ()),
        prediction=_prediction(terms[0], details),
        details=details,
        claim=_claim(result.get("claim")),
        outcome=_outcome(result.get("verdict")),
        headline=headline,
        reason=reason,
        figures=known_numbers((result.get("verdict") or {}).get("figures") or {}),
        simulated=_simulated(result.get("truth")),
        placebo=tuple(map(str, result.get("placebo") or ())),
        count=estimate.get("scale") == "count",
        untested=_untested(result.get("untested"), language),
        revoked=_texts(result.get("revoked")),
        withdrawn=_texts(result.get("withdrawn")),
        set_aside=set_aside_sentences(estimate.get("set_aside") or (), language),
    )


def _effect(row: Mapping[str, Any], name: str) -> Effect:
    return Effect(
        name=str(name),
        effect=number_or_none(row.get("estimate")),
        low=number_or_none(row.get("conf_low")),
        high=number_or_none(row.get("conf_high")),
        weight=number_or_none(row.get("weight")),
    )


def _prediction(pooled: Effect, details: Mapping[str, float]) -> Effect | None:
    low, high = details.get("prediction_low"), details.get("prediction_high")
    if low is None or high is None:
        return None
    return Effect("", pooled.effect, low, high)


def _claim(claim: Mapping[str, Any] | None) -> Claimed | None:
    if claim is None:
        return None
    value = math.log(claim["value"])
    margin = number_or_none(claim.get("equivalence_margin"))
    half = None if margin is None else math.log(margin)
    return Claimed(
        name=str(claim.get("name", "")),
        title=str(claim.get("title") or claim.get("name", "")),
        source=str(claim.get("source") or ""),
        uncertainty=str(claim.get("uncertainty") or ""),
        setting=str(claim.get("setting") or ""),
        crime_types=tuple(map(str, claim.get("crime_types") or ())),
        value=value,
        low=None if half is None else value - half,
        high=None if half is None else value + half,
        also_printed=tuple(math.log(other) for other in claim.get("also_printed") or ()),
    )


def _outcome(verdict: Mapping[str, Any] | None) -> Outcome | None:
    if verdict is None:
        return None
    return _OUTCOMES[verdict["outcome"]]


def _sentence(verdict: Mapping[str, Any] | None, language: str) -> tuple[str, str]:
    """The verdict's opening words and the rest, which its sentence parts with a colon."""
    if verdict is None:
        return "", ""
    reasons = verdict.get("reason") or {}
    reason = str(reasons.get(language) or reasons.get("en") or "")
    opening, colon, rest = reason.partition(": ")
    if colon and len(opening) <= LONGEST_OUTCOME:
        return opening, rest
    return "", reason


def _untested(reasons: Mapping[str, Any] | None, language: str) -> str:
    return str((reasons or {}).get(language) or (reasons or {}).get("en") or "")


def _texts(named: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    return None if named is None else {key: str(value or "") for key, value in named.items()}


def _simulated(truth: Mapping[str, Any] | None) -> Simulated | None:
    if truth is None:
        return None
    return Simulated(
        mean=number_or_none(truth.get("effect_mean")),
        realised=number_or_none(truth.get("effect_realised")),
        cities=known_numbers(truth.get("cities") or {}),
    )
