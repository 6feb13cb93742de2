"""The estimator concept and the only round loop in the package.

An estimator is three pure functions on one city's panel; a runtime is a way of asking. The same object runs
pooled, in process and federated, because it never learns where it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from evalkit.core.estimate import Estimate, Scale
from evalkit.core.panel import Panel
from evalkit.core.question import Question
from evalkit.core.release_class import RELEASE_CLASSES, ReleaseClass
from evalkit.core.screening import Screen
from evalkit.core.set_aside import SetAside
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study
from evalkit.errors import CityAnswerError, ConfigError, NonConvergenceError

__all__ = [
    "MAX_ROUNDS",
    "RELEASE_CLASSES",
    "Ask",
    "Estimator",
    "Question",
    "ReleaseClass",
    "Rounds",
    "ask_first",
    "estimate",
    "only_sums",
    "scale_of",
]

MAX_ROUNDS: Final = 30
"""Newton on a concave likelihood needs about six; thirty is also a city's default round budget."""


class Estimator(Protocol):
    """Three pure functions and four facts."""

    @property
    def name(self) -> str:
        """Name in the registry; the same as its file's."""

    @property
    def release_class(self) -> ReleaseClass:
        """The most revealing class of anything it asks a city to send."""

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The scales its effects can have; where there are both, the study's ``[analysis] scale`` chooses."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Keys of ``[analysis]`` that it reads, beyond ``estimator`` and ``level``; `evalkit.core.settings` uses it."""

    def first_question(self, study: Study) -> Question:
        """Start values; no parameters for a one-shot estimator."""

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Local, pure, no input or output, no randomness but the question's seed."""

    def finalise(self, statistics: Statistics, question: Question) -> Estimate | Question:
        """An `Estimate`, or a `Question` that means *ask again*."""


def ask_first(estimator: Estimator, study: Study) -> Question:
    """The first question, if the estimator can answer the study.

    Raises:
        ConfigError: the study asks for a randomisation test of an estimator without one (attribute ``randomises``), for
            secure sums of one whose answers are not added up (`only_sums`), or for what the estimator itself refuses.
    """
    if study.federation.secure and not only_sums(estimator, study):
        raise ConfigError(
            f'sums = "secure" is given, and what {estimator.name} asks of cities is not added up over them',
            where="[federation] sums",
            limit="estimators that need sums only: poisson_did, linear_did, and group_time_att or doubly_robust with "
            'control_pool = "within_city"',
            way_out='name one of them, or set sums = "plain"; random_effects, which asks for each city\'s estimate '
            "and nothing else, needs no secure sums",
        )
    if study.analysis.reassignments and not getattr(estimator, "randomises", False):
        raise ConfigError(
            f"randomisation is given, and {estimator.name} has no randomisation test",
            where="[analysis] randomisation",
            limit="estimators whose statistic is computed again for every draw: group_time_att, poisson_did and "
            "rate_ratio, or random_effects over one of these",
            way_out="set randomisation = 0, or name one of them",
        )
    return estimator.first_question(study)


def only_sums(estimator: Estimator, study: Study) -> bool:
    """Whether all that the estimator asks for the study is added up over cities.

    It is for an estimator with the attribute ``additive``, and for one with ``additive_within_city`` where the study's
    controls are those of the same city.
    """
    within = study.analysis.control_pool == "within_city"
    by_pool = within and getattr(estimator, "additive_within_city", False)
    return bool(getattr(estimator, "additive", False) or by_pool)


def scale_of(estimator: Estimator, study: Study) -> Scale:
    """The scale of the effects that an estimator gives for a study."""
    if len(estimator.scales) == 1:
        return estimator.scales[0]
    return "count" if study.analysis.scale == "count" else "log_rate_ratio"


Ask = Callable[[Question], Sequence[Statistics]]
"""A runtime: puts one question to every city, returns one `Statistics` per city."""

Watch = Callable[[Question, Statistics, "Estimate | Question"], None]


@dataclass(slots=True)
class Rounds:
    """One estimation on its way: what is done with the answers of a round, whoever asks.

    Attributes:
        estimator, study: whose rounds they are.
        screen: the cities set aside so far.
    """

    estimator: Estimator
    study: Study
    screen: Screen

    @classmethod
    def of(cls, estimator: Estimator, study: Study) -> Rounds:
        """The rounds of a study, before the first one."""
        ratios = scale_of(estimator, study) == "log_rate_ratio"
        return cls(estimator, study, Screen(estimator, study, ratios))

    def step(
        self, answers: Sequence[Statistics], question: Question
    ) -> tuple[Statistics, Estimate | Question]:
        """Screen, merge and finalise one round.

        Raises:
            CityAnswerError: see `evalkit.core.screening`; or a city is set aside in a round that rests on its earlier
                answers, and the estimator has no way back.
            EstimationError: as `merge_all` and the estimator.
        """
        before = self.screen.left_out
        merged = merge_all(self.screen.passed(answers, question))
        left = tuple(site for site in self.screen.left_out if site not in before)
        stage = self._back_to(question, left) if left and question.round else question.stage
        if stage != question.stage:
            number, at = question.round + 1, question.parameters
            return merged, Question(self.study, self.estimator.name, stage, number, at)
        outcome = self.estimator.finalise(merged, question)
        if isinstance(outcome, Estimate) and self.screen.set_aside:
            outcome = _with_set_aside(outcome, tuple(self.screen.set_aside.values()))
        return merged, outcome

    def _back_to(self, question: Question, left: Sequence[str]) -> str:
        """The stage to go on from when the parameters may rest on what a city sent before."""
        recovers: Mapping[str, str] = dict(getattr(self.estimator, "recovers", ()))
        if question.stage not in recovers:
            raise CityAnswerError(
                "; ".join(self.screen.set_aside[site].reason for site in left)
                + ", and earlier rounds rest on what it sent",
                where=f"{question.estimator}, round {question.round}",
                way_out=f"run the study again without {', '.join(left)}",
            )
        return recovers[question.stage]


def _with_set_aside(found: Estimate, cities: tuple[SetAside, ...]) -> Estimate:
    ordered = tuple(sorted(cities, key=lambda one: one.site))
    return replace(found, set_aside=ordered, notes=(*(one.reason for one in ordered), *found.notes))


def estimate(
    estimator: Estimator,
    study: Study,
    ask: Ask,
    *,
    watch: Watch | None = None,
    left_out: set[str] | None = None,
    max_rounds: int = MAX_ROUNDS,
) -> Estimate:
    """Ask, merge, finalise, until an estimate comes out.

    Args:
        estimator: one from the registry.
        study: the study all cities have approved.
        ask: the runtime.
        watch: called after every round, for progress and tracking; it cannot change anything.
        left_out: gets the names of cities that are left out as soon as they are, so that a runtime need not ask
            them again.
        max_rounds: stop and say so after this many rounds.

    Raises:
        ConfigError: the estimator cannot answer the study.
        NonConvergenceError: no estimate after ``max_rounds``.
    """
    question, rounds = ask_first(estimator, study), Rounds.of(estimator, study)
    for _ in range(max_rounds):
        merged, outcome = rounds.step(ask(question), question)
        if left_out is not None:
            left_out.update(rounds.screen.left_out)
        if watch is not None:
            watch(question, merged, outcome)
        if isinstance(outcome, Estimate):
            return outcome
        question = outcome
    raise NonConvergenceError(
        f"{estimator.name} did not settle in {max_rounds} rounds",
        where=f"study {study.name}",
        limit=f"{max_rounds} rounds",
        way_out="look for cohorts with hardly any incidents; coarsen the study's units or periods",
    )
