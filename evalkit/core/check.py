"""The check concept: one question about whether a design can be believed, asked of an estimate.

A check is one file in `evalkit/checks/` that defines ``check``, a pure function. It never raises because of what an
estimate holds: what it cannot work out is *not computable*, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from evalkit.core.estimate import Estimate
from evalkit.core.event_design import bins_of
from evalkit.core.study import Study
from evalkit.numerics.meta_analysis import Interval, Method

__all__ = [
    "NOT_ASKED",
    "Check",
    "CheckContext",
    "CheckResult",
    "Outcome",
    "context_of",
    "not_computable",
]

Outcome = Literal["passed", "failed", "not computable"]

NOT_ASKED: Final[Mapping[str, str]] = {
    "placebo_dates": "no placebo dates were asked",
    "placebo_outcomes": "no placebo outcome was asked",
    "placebo_cameras": "no placebo cameras were asked",
    "displacement": "no ring around the cameras was studied",
    "regression_to_the_mean": "the change that chance leads to expect was not asked",
}
"""Check → its reason where the study's ``[checks]`` did not ask for the studies that it judges."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a check may need beside the estimate. A check says what it lacks.

    Attributes:
        gap: unobserved periods between event times −1 and 0: a transition that is left out.
        bins: event times that stand for all earlier ones and for all later ones, if the design bins its ends.
        cohort_units: cohort → number of treated units, over all cities; None where that is not known.
        placebo_dates, placebo_outcomes, placebo_cameras, rings: label → estimate of each derived study
            (`core.falsification`); empty where none was asked. Rings outward.
        unanswered: kind of derived study → label → why one that was asked has no estimate.
        method, interval: by which the study pools its cities.
        expected_change: log rate ratio of treated units over controls that chance alone leads to expect, since places
            with much crime fall back by themselves (the estimator ``regression_to_the_mean``); None where not known.
        crime_types: that the study counts; empty where that is not known.
        by_crime_type: crime types, with commas between them → estimate of the same study for these alone, such as the
            specifications of a curve over crime types.
    """

    gap: int = 0
    bins: tuple[int, int] | None = None
    cohort_units: Mapping[str, int] | None = None
    placebo_dates: Mapping[str, Estimate] = field(default_factory=dict)
    placebo_outcomes: Mapping[str, Estimate] = field(default_factory=dict)
    placebo_cameras: Mapping[str, Estimate] = field(default_factory=dict)
    rings: Mapping[str, Estimate] = field(default_factory=dict)
    expected_change: Estimate | None = None
    crime_types: tuple[str, ...] = ()
    by_crime_type: Mapping[str, Estimate] = field(default_factory=dict)
    unanswered: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    method: Method = "REML"
    interval: Interval = "knapp_hartung"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        name: of the check, the name of its file.
        outcome: ``passed``, ``failed`` or ``not computable``.
        reason: one or two plain sentences, without a final full stop.
        figures: the numbers behind it, by name; empty if nothing was computed.
        words: names in the reason that are not numbers, such as a placebo's label; with figures they are all that
            another language needs to say the same.
    """

    name: str
    outcome: Outcome
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


class Check(Protocol):
    """A pure function of an estimate and its context."""

    def __call__(self, estimate: Estimate, context: CheckContext) -> CheckResult:
        """Never raises because of what the estimate holds."""


def not_computable(name: str, reason: str, words: Mapping[str, str] | None = None) -> CheckResult:
    """The result of a check that lacks something."""
    return CheckResult(name, "not computable", reason, words=words or {})


def context_of(study: Study, cohort_units: Mapping[str, int] | None = None) -> CheckContext:
    """The context that a study's file tells, with the sizes of cohorts if they are known.

    A cohort merged from several has a longer transition than the study says; the gap is that of the others.
    """
    treatment, analysis = study.treatment, study.analysis
    return CheckContext(
        gap=treatment.washout_periods + (treatment.transition == "drop"),
        bins=bins_of(study),
        cohort_units=cohort_units,
        crime_types=study.outcome.crime_types,
        method=analysis.method,
        interval=analysis.interval,
    )
