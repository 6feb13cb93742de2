"""Several estimates in step: one round asks the questions of all of them, so that many cost few rounds.

Each job is the round loop of `evalkit.core.estimator.estimate`; they share rounds and nothing else. A job
that fails ends with its error and leaves the others alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import MAX_ROUNDS, Estimator, Question, Rounds, ask_first
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.errors import EvalkitError, NonConvergenceError

__all__ = ["Answer", "AskMany", "Together", "WatchMany", "estimate_together"]

Answer = Sequence[Statistics] | EvalkitError
"""To one question: one `Statistics` a city, or why there is none."""

AskMany = Callable[[Sequence[Question]], Sequence[Answer]]
"""A runtime: puts several questions to every city at once; answers in the order of the questions."""

Leave = Callable[[Study, tuple[str, ...]], None]
"""A job's study, and the cities it leaves out from now on."""

WatchMany = Callable[[int, int, int], None]
"""After every round: its number from 1, how many questions it had, how many jobs have ended so far."""


@dataclass(frozen=True, slots=True)
class Together:
    """What came of all jobs, in their order, and how many rounds they took together."""

    outcomes: tuple[Estimate | EvalkitError, ...]
    rounds: int


def estimate_together(
    jobs: Sequence[tuple[Estimator, Study]],
    ask: AskMany,
    *,
    watch: WatchMany | None = None,
    leave: Leave | None = None,
    max_rounds: int = MAX_ROUNDS,
) -> Together:
    """Run all jobs to their end, in as many rounds as the longest of them takes.

    Args:
        jobs: estimators, each with its study.
        ask: the runtime.
        watch: called after every round.
        leave: called after every round in which a job left cities out, with its study and their names, so that a
            runtime need not ask them again.
        max_rounds: what has not ended then fails.
    """
    states: list[Question | Estimate | EvalkitError] = [_first(*job) for job in jobs]
    under_way: dict[int, Rounds] = {}
    rounds = 0
    for _ in range(max_rounds):
        asked = [(i, state) for i, state in enumerate(states) if isinstance(state, Question)]
        if not asked:
            break
        rounds += 1
        answers = ask([question for _, question in asked])
        for (i, question), answer in zip(asked, answers, strict=True):
            if i not in under_way:
                under_way[i] = Rounds.of(*jobs[i])
            states[i] = _next(under_way[i], question, answer)
            if leave is not None and under_way[i].screen.left_out:
                leave(jobs[i][1], under_way[i].screen.left_out)
        if watch is not None:
            ended = sum(not isinstance(state, Question) for state in states)
            watch(rounds, len(asked), ended)
    outcomes = tuple(
        _unsettled(jobs[i][0], state, max_rounds) if isinstance(state, Question) else state
        for i, state in enumerate(states)
    )
    return Together(outcomes, rounds)


def _first(estimator: Estimator, study: Study) -> Question | EvalkitError:
    try:
        return ask_first(estimator, study)
    except EvalkitError as error:
        return error


def _next(rounds: Rounds, question: Question, answer: Answer) -> Question | Estimate | EvalkitError:
    if isinstance(answer, EvalkitError):
        return answer
    try:
        return rounds.step(answer, question)[1]
    except EvalkitError as error:
        return error


def _unsettled(estimator: Estimator, question: Question, rounds: int) -> EvalkitError:
    return NonConvergenceError(
        f"{estimator.name} did not settle in {rounds} rounds",
        where=f"study {question.study.name}",
        limit=f"{rounds} rounds",
    )
