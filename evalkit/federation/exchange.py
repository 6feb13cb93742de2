"""The server's side of a round: who is on the roster, put the question, collect the releases.

A missing city is an error, because an estimate without it answers another question; with a quorum in the
study, the cities that answered go on together and the estimate names them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from evalkit.core.estimator import Ask, Question
from evalkit.core.screening import FEWEST_LEFT
from evalkit.core.statistics import Statistics
from evalkit.core.study import Federation, study_hash
from evalkit.disclosure.release import canonical_bytes
from evalkit.errors import BadMessageError, MissingSiteError, all_errors
from evalkit.federation.codec import (
    ANSWER,
    HELLO,
    Received,
    decode_hello,
    decode_hello_key,
    decode_release,
    encode_question,
    refusal_of,
)

__all__ = [
    "Absence",
    "OnRelease",
    "Roster",
    "ask_through",
    "gather_roster",
    "keep_unread",
    "read_answer",
    "require",
    "why_absent",
]

OnRelease = Callable[[Question, Received], None]


@dataclass(frozen=True, slots=True)
class Roster:
    """Which node speaks for which city, what each city's cameras do, and its public key if it has said one."""

    nodes: dict[int, str]
    cameras: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[str, ...]:
        """City names, sorted."""
        return tuple(sorted(self.nodes.values()))


@dataclass(frozen=True, slots=True)
class Absence:
    """A city that did not answer, and why, in codes and names of rules only."""

    site: str
    code: str
    rules: tuple[str, ...] = ()
    unread: bool = False
    """It did answer, and its message cannot be read."""


def list_absences(absent: Sequence[Absence]) -> str:
    """Cities that share a reason together, each reason explained once."""
    sentences = []
    for code, rules in dict.fromkeys((one.code, one.rules) for one in absent):
        cities = [one.site for one in absent if (one.code, one.rules) == (code, rules)]
        named = f" (rules: {', '.join(rules)})" if rules else ""
        meaning = f" — {_MEANINGS[code]}" if code in _MEANINGS else ""
        sentences.append(f"{', '.join(cities)}: {code}{named}{meaning}")
    return "; ".join(sentences)


_MEANINGS: Final = {
    **{error.code: (error.__doc__ or "").split("\n")[0].rstrip(".") for error in all_errors()},
    "NO-ANSWER": "no answer within the study's timeout",
    "NODE": "the node reported an error of its own",
    "INTERNAL": "an unexpected error inside the city; its own log names the type",
}


def gather_roster(grid: Grid, expected: Sequence[str], federation: Federation) -> Roster:
    """Ask every node which city it is.

    Args:
        grid: where the nodes are.
        expected: the cities the run is about; empty takes whoever is there.
        federation: timeout and quorum of the study.

    Raises:
        MissingSiteError: a city is absent and the quorum is not met, or two nodes claim one city.
    """
    messages = [
        Message(RecordDict({}), node, HELLO, ttl=federation.timeout_s)
        for node in sorted(grid.get_node_ids())
    ]
    nodes: dict[int, str] = {}
    cameras: dict[str, str] = {}
    keys: dict[str, str] = {}
    for reply in grid.send_and_receive(messages, timeout=federation.timeout_s):
        if reply.has_error():
            continue
        try:
            site, kind = decode_hello(reply.content)
            key = decode_hello_key(reply.content)
        except BadMessageError:  # a node that says something else is on no roster
            continue
        if not expected or site in expected:
            nodes[reply.metadata.src_node_id] = site
            cameras[site] = kind
            if key:
                keys[site] = key
    claimed = list(nodes.values())
    twice = sorted({site for site in claimed if claimed.count(site) > 1})
    if twice:
        raise MissingSiteError(
            f"more than one node says it is {', '.join(twice)}",
            limit="one node for each city",
            way_out="stop one of them, or give its site file another name",
        )
    absent = [Absence(site, "NO-ANSWER") for site in expected if site not in claimed]
    require(len(nodes), len(expected), absent, federation)
    return Roster(nodes, cameras, keys)


def ask_through(
    grid: Grid,
    roster: Roster,
    federation: Federation,
    on_release: OnRelease | None = None,
    left_out: Collection[str] = (),
) -> Ask:
    """A runtime's ``ask`` over any grid.

    Cities that fail in one round are not asked again, so that all rounds rest on the same cities.

    Args:
        grid: where the nodes are.
        roster: which node speaks for which city.
        federation: timeout, quorum and what is done with a city that is broken.
        on_release: called with every release as it was received.
        left_out: names of cities that are not asked again; it grows while the study runs.
    """
    alive = dict(roster.nodes)

    def ask(question: Question) -> Sequence[Statistics]:
        for node in [node for node, site in alive.items() if site in left_out]:
            alive.pop(node)
        size = len(roster.nodes) - len(left_out)
        received, absent = keep_unread(
            *_one_round(grid, alive, question, federation), question, federation
        )
        require(len(received), size, absent, federation)
        for absence in absent:
            alive.pop(next(node for node, site in alive.items() if site == absence.site))
        for one in received:
            if on_release is not None:
                on_release(question, one)
        return [one.statistics for one in received]

    return ask


def _one_round(
    grid: Grid, alive: dict[int, str], question: Question, federation: Federation
) -> tuple[list[Received], list[Absence]]:
    content = encode_question(question)  # the same for all, and nobody writes into it
    messages = [
        Message(
            content,
            node,
            ANSWER,
            ttl=federation.timeout_s,
            group_id=str(question.round),
        )
        for node in sorted(alive)
    ]
    received: dict[str, Received] = {}
    absent: dict[str, Absence] = {}
    for reply in grid.send_and_receive(messages, timeout=federation.timeout_s):
        site = alive.get(reply.metadata.src_node_id)
        if site is None or site in received:
            continue
        outcome = (
            Absence(site, "NODE")
            if reply.has_error()
            else read_answer(reply.content, question, site)
        )
        if isinstance(outcome, Absence):
            absent[site] = outcome
        else:
            received[site] = outcome
    for site in alive.values():
        if site not in received and site not in absent:
            absent[site] = Absence(site, "NO-ANSWER")
    return [received[site] for site in sorted(received)], [absent[site] for site in sorted(absent)]


def why_absent(reply: Message) -> tuple[str, tuple[str, ...]] | None:
    """Code and rules if a whole message is a refusal or an error of the node, else None.

    Raises:
        BadMessageError: a refusal with free text in it.
    """
    return ("NODE", ()) if reply.has_error() else refusal_of(reply.content)


def read_answer(content: RecordDict, question: Question, site: str) -> Received | Absence:
    """A release that answers ``question``, or why there is none."""
    try:
        refusal = refusal_of(content)
        if refusal is not None:
            return Absence(site, *refusal)
        return decode_release(content, question, site)
    except BadMessageError as error:
        return Absence(site, error.code, unread=True)


def keep_unread(
    received: list[Received], absent: list[Absence], question: Question, federation: Federation
) -> tuple[list[Received], list[Absence]]:
    """Let a few messages that cannot be read pass as answers without any field, which screening sets aside by name.

    So a run's folder tells which cities these were, and whoever verifies it sets the same ones aside. Where the study
    wants to end at such a city, or most of the cities are broken, they stay absent.
    """
    broken = [one for one in absent if one.unread]
    few = 2 * len(broken) < len(received) + len(broken)
    if (
        not few
        or len(received) < FEWEST_LEFT
        or federation.on_outlier == "name"
        or federation.secure
    ):
        return received, absent  # what is missing in a sum cannot be replaced by nothing
    kind = received[0].statistics.kind
    stand_ins = [_without_fields(one.site, question, kind) for one in broken]
    everyone = sorted([*received, *stand_ins], key=lambda one: one.site)
    return everyone, [one for one in absent if not one.unread]


def _without_fields(
    site: str, question: Question, kind: Literal["additive", "collected"]
) -> Received:
    data = canonical_bytes(
        site=site,
        study=study_hash(question.study),
        estimator=question.estimator,
        stage=question.stage,
        round_number=question.round,
        kind=kind,
        fields={},
    )
    statistics = Statistics(question.estimator, question.stage, kind, {(site,): {}})
    return Received(site, statistics, data)


def require(answered: int, size: int, absent: Sequence[Absence], federation: Federation) -> None:
    """Let the study go on if its quorum answered.

    Raises:
        MissingSiteError: it did not.
    """
    needed = federation.quorum or size
    if answered >= needed and answered > 0:
        return
    raise MissingSiteError(
        f"{len(absent)} of {size} cities gave no answer: {list_absences(absent)}"
        if size
        else "no city is on the roster",
        limit=f"at least {max(needed, 1)} {'city' if needed <= 1 else 'cities'}",
        way_out="ask those cities, leave them out of the run, or set [federation] quorum in the study",
    )
