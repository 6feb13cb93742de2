"""The estimator concept and the only round loop in the package.

An estimator is three pure functions on one city's panel; a runtime is a way of asking. The same object runs
pooled, in process and federated, because it never learns where it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.core.estimate import Estimate, Scale
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study
from evalkit.errors import ConfigError, NonConvergenceError

__all__ = [
    "MAX_ROUNDS",
    "RELEASE_CLASSES",
    "Ask",
    "Estimator",
    "Question",
    "ReleaseClass",
    "ask_first",
    "estimate",
    "scale_of",
]

ReleaseClass = Literal["estimate", "masked_sum", "statistics", "table"]

RELEASE_CLASSES: Final[tuple[ReleaseClass, ...]] = ("estimate", "masked_sum", "statistics", "table")
"""From least to most revealing."""

MAX_ROUNDS: Final = 30
"""Newton on a concave likelihood needs about six; thirty is also a city's default round budget."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of every city in one round.

    Only ``estimator``, ``stage``, ``round``, ``parameters`` and the study's hash travel. The city has the
    study itself, approved beforehand.
    """

    study: Study
    estimator: str
    stage: str
    round: int = 0
    parameters: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


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
        ConfigError: the study asks for a randomisation test of an estimator without one (attribute ``randomises``), or
            for what the estimator itself refuses.
    """
    if study.analysis.reassignments and not getattr(estimator, "randomises", False):
        raise ConfigError(
            f"randomisation is given, and {estimator.name} has no randomisation test",
            where="[analysis] randomisation",
            limit="estimators whose statistic is computed again for every draw: group_time_att, poisson_did and "
            "rate_ratio, or random_effects over one of these",
            way_out="set randomisation = 0, or name one of them",
        )
    return estimator.first_question(study)


def scale_of(estimator: Estimator, study: Study) -> Scale:
    """The scale of the effects that an estimator gives for a study."""
    if len(estimator.scales) == 1:
        return estimator.scales[0]
    return "count" if study.analysis.scale == "count" else "log_rate_ratio"


Ask = Callable[[Question], Sequence[Statistics]]
"""A runtime: puts one question to every city, returns one `Statistics` per city."""

Watch = Callable[[Question, Statistics, "Estimate | Question"], None]


def estimate(
    estimator: Estimator,
    study: Study,
    ask: Ask,
    *,
    watch: Watch | None = None,
    max_rounds: int = MAX_ROUNDS,
) -> Estimate:
    """Ask, merge, finalise, until an estimate comes out.

    Args:
        estimator: one from the registry.
        study: the study all cities have approved.
        ask: the runtime.
        watch: called after every round, for progress and tracking; it cannot change anything.
        max_rounds: stop and say so after this many rounds.

    Raises:
        ConfigError: the estimator cannot answer the study.
        NonConvergenceError: no estimate after ``max_rounds``.
    """
    question = ask_first(estimator, study)
    for _ in range(max_rounds):
        merged = merge_all(ask(question))
        outcome = estimator.finalise(merged, question)
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
