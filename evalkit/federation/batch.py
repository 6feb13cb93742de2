"""The server's side of a round of several questions: one message to each city, one back.

Quorum and absence are judged for each question by itself: a city that refuses one specification goes on
answering the others, and all rounds of one specification rest on the same cities.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from flwr.app import Message
from flwr.serverapp import Grid

from evalkit.core.estimator import Question
from evalkit.core.study import Federation, study_hash
from evalkit.core.together import Answer, AskMany
from evalkit.errors import BadMessageError, EvalkitError
from evalkit.federation.codec import BATCH, Received, decode_answers, encode_questions
from evalkit.federation.exchange import (
    Absence,
    Roster,
    keep_unread,
    read_answer,
    require,
    why_absent,
)

__all__ = ["ask_many_through"]

OnRelease = Callable[[Question, Received], None]


def ask_many_through(
    grid: Grid,
    roster: Roster,
    federation: Federation,
    on_release: OnRelease,
    left_out: Mapping[str, Collection[str]] | None = None,
) -> AskMany:
    """A runtime for several questions at once over any grid.

    Args:
        grid: where the nodes are.
        roster: which node speaks for which city.
        federation: timeout and quorum, the same for all questions.
        on_release: called with every release as it was received.
        left_out: by a study's hash the names of cities that are not asked about it again; it grows meanwhile.
    """
    alive: dict[str, dict[int, str]] = {}
    left: Mapping[str, Collection[str]] = {} if left_out is None else left_out

    def ask(questions: Sequence[Question]) -> list[Answer]:
        nodes = [
            alive.setdefault(study_hash(question.study), dict(roster.nodes))
            for question in questions
        ]
        for question, still in zip(questions, nodes, strict=True):
            gone = left.get(study_hash(question.study), ())
            for node in [node for node, site in still.items() if site in gone]:
                still.pop(node)
        outcomes = _one_round(grid, questions, nodes, federation)
        answers: list[Answer] = []
        for question, still, by_site in zip(questions, nodes, outcomes, strict=True):
            received, absent = keep_unread(
                [one for one in by_site if isinstance(one, Received)],
                [one for one in by_site if isinstance(one, Absence)],
                question,
                federation,
            )
            size = len(roster.nodes) - len(left.get(study_hash(question.study), ()))
            try:
                require(len(received), size, absent, federation)
            except EvalkitError as error:
                answers.append(error)
                continue
            for absence in absent:
                still.pop(next(node for node, site in still.items() if site == absence.site))
            for one in received:
                on_release(question, one)
            answers.append([one.statistics for one in received])
        return answers

    return ask


def _one_round(
    grid: Grid,
    questions: Sequence[Question],
    nodes: Sequence[dict[int, str]],
    federation: Federation,
) -> list[list[Received | Absence]]:
    """For each question what came back of each of its cities, in the order of their names."""
    asked = {
        node: [number for number, alive in enumerate(nodes) if node in alive]
        for node in sorted({node for alive in nodes for node in alive})
    }
    messages = [
        Message(
            encode_questions([questions[number] for number in numbers]),
            node,
            BATCH,
            ttl=federation.timeout_s,
            group_id=str(max(questions[number].round for number in numbers)),
        )
        for node, numbers in asked.items()
    ]
    found: list[dict[str, Received | Absence]] = [{} for _ in questions]
    replied: set[int] = set()
    for reply in grid.send_and_receive(messages, timeout=federation.timeout_s):
        node = reply.metadata.src_node_id
        if node not in asked or node in replied:
            continue
        replied.add(node)
        for number, outcome in zip(
            asked[node], _read(reply, questions, asked[node], nodes), strict=True
        ):
            found[number][nodes[number][node]] = outcome
    return [
        [by_site.get(site, Absence(site, "NO-ANSWER")) for site in sorted(alive.values())]
        for by_site, alive in zip(found, nodes, strict=True)
    ]


def _read(
    reply: Message,
    questions: Sequence[Question],
    numbers: Sequence[int],
    nodes: Sequence[dict[int, str]],
) -> list[Received | Absence]:
    """One city's reply: an answer to each question, or one reason for all of them."""
    node = reply.metadata.src_node_id
    sites = [nodes[number][node] for number in numbers]
    try:
        reason = why_absent(reply)
        if reason is not None:
            return [Absence(site, *reason) for site in sites]
        parts = decode_answers(reply.content, len(numbers))
    except BadMessageError as error:
        return [Absence(site, error.code, unread=True) for site in sites]
    return [
        read_answer(part, questions[number], site)
        for part, number, site in zip(parts, numbers, sites, strict=True)
    ]
