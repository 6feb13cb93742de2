"""The server's side of secure sums: open a session, put questions to all its cities, add up what comes back.

Every city of the roster must answer every question. One that does not ends the question: its masks are in the other
cities' answers, and nobody can take them off. The same cities can be asked again when it is back.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from evalkit.core.estimator import Ask, Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Federation
from evalkit.core.together import Answer, AskMany
from evalkit.disclosure.masked import sum_parts
from evalkit.disclosure.rosters import (
    FEWEST,
    Invitation,
    SignedKey,
    SignedRoster,
    verify_signed,
)
from evalkit.errors import BadMessageError, EvalkitError, MissingSiteError
from evalkit.federation.codec import BATCH, decode_answers, encode_questions, refusal_of
from evalkit.federation.exchange import Absence, Roster, list_absences, why_absent
from evalkit.federation.secure_codec import (
    KEYS,
    ReceivedPart,
    attach_roster,
    decode_masked,
    decode_signed_key,
    encode_invitation,
)

__all__ = ["OpenSession", "ask_many_securely", "ask_securely", "check_record", "open_session"]

OnPart = Callable[[Question, ReceivedPart], None]

OF_KEYS: Final = ("peers", "roster")
"""Rules by which a city refuses whom it is asked together with."""

PIN: Final = (
    "each city pins the keys of all others (`evalkit site peers`), and a study is answered for one roster only: "
    "see which city misses whom before asking again"
)

WAY_OUT: Final = (
    "ask the same cities again when all of them answer; a study over fewer of them is another question, which every "
    "city must approve anew"
)


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session whose keys are all there."""

    invitation: Invitation
    signed: SignedRoster

    def record(self) -> dict[str, Any]:
        """What a run's ``roster.json`` keeps of it."""
        return {
            "session": self.invitation.session,
            "studies": list(self.invitation.studies),
            "keys": [msgspec.to_builtins(one) for one in self.signed.signed],
        }


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    session: str
    studies: list[str]
    keys: list[SignedKey]


def check_record(record: Any) -> Invitation:
    """Read a session from ``roster.json`` and verify its signatures against the public keys recorded beside them.

    Raises:
        BadMessageError: it is no session, or a key is not signed for it.
    """
    try:
        read = msgspec.convert(record, type=_Record)
    except msgspec.ValidationError:
        raise _damaged("is not one") from None
    roster = tuple(one.site for one in read.keys)
    invitation = Invitation(read.session, roster, tuple(read.studies))
    for one in read.keys:
        try:
            genuine = verify_signed(one, invitation, one.identity)
        except EvalkitError:
            genuine = False
        if not genuine:
            raise _damaged(f"holds a key of {one.site} that is not signed for it")
    return invitation


def open_session(
    grid: Grid, roster: Roster, federation: Federation, studies: Sequence[str]
) -> OpenSession:
    """Ask every city for its key of a new session.

    Args:
        grid: where the nodes are.
        roster: which node speaks for which city.
        federation: timeout of the study.
        studies: hashes of all studies that are asked in the session.

    Raises:
        MissingSiteError: a city refuses or does not answer, or there are too few for a secure sum.
    """
    if len(roster.nodes) < FEWEST:
        raise MissingSiteError(
            f"{len(roster.nodes)} cities are on the roster of a secure sum",
            limit=f"at least {FEWEST}: with two, each knows the other's numbers",
            way_out='ask more cities, or set [federation] sums = "plain"',
        )
    invitation = Invitation(secrets.token_hex(16), roster.sites, tuple(studies))
    content = encode_invitation(invitation)
    replies = _replies(grid, roster, federation, content, KEYS, "keys")
    signed: dict[str, SignedKey] = {}
    absent: dict[str, Absence] = {}
    for site, reply in replies.items():
        try:
            reason = why_absent(reply)
            if reason is None:
                signed[site] = decode_signed_key(reply.content, invitation.session, site)
            else:
                absent[site] = Absence(site, *reason)
        except BadMessageError as error:
            absent[site] = Absence(site, error.code)
    _require_all(roster, tuple(signed), absent)
    keys = tuple(signed[site] for site in roster.sites)
    return OpenSession(invitation, SignedRoster(invitation.session, keys))


def ask_securely(
    grid: Grid, roster: Roster, federation: Federation, session: OpenSession, on_part: OnPart
) -> Ask:
    """A runtime for one study: as `exchange.ask_through`, but its answer is one sum over all cities."""
    ask_many = ask_many_securely(grid, roster, federation, session, on_part)

    def ask(question: Question) -> Sequence[Statistics]:
        (answer,) = ask_many([question])
        if isinstance(answer, EvalkitError):
            raise answer
        return answer

    return ask


def ask_many_securely(
    grid: Grid, roster: Roster, federation: Federation, session: OpenSession, on_part: OnPart
) -> AskMany:
    """A runtime for several studies at once: as `batch.ask_many_through`, but each answer is a sum over all cities.

    A question that one city does not answer fails; the others go on.
    """

    def ask(questions: Sequence[Question]) -> list[Answer]:
        content = attach_roster(encode_questions(questions), session.signed)
        group = str(max(question.round for question in questions))
        replies = _replies(grid, roster, federation, content, BATCH, group)
        outcomes = {
            site: _read(reply, questions, site, session.invitation)
            for site, reply in replies.items()
        }
        answers: list[Answer] = []
        for number, question in enumerate(questions):
            of_sites = {site: outcome[number] for site, outcome in outcomes.items()}
            parts = {s: one for s, one in of_sites.items() if isinstance(one, ReceivedPart)}
            absent = {s: one for s, one in of_sites.items() if isinstance(one, Absence)}
            try:
                _require_all(roster, tuple(parts), absent)
                total = sum_parts([parts[site].part for site in roster.sites])
            except EvalkitError as error:
                answers.append(error)
                continue
            for site in roster.sites:
                on_part(question, parts[site])
            answers.append([total])
        return answers

    return ask


def _replies(
    grid: Grid, roster: Roster, federation: Federation, content: RecordDict, kind: str, group: str
) -> dict[str, Message]:
    """The first reply of each city."""
    timeout = federation.timeout_s
    messages = [
        Message(content, node, kind, ttl=timeout, group_id=group) for node in sorted(roster.nodes)
    ]
    found: dict[str, Message] = {}
    for reply in grid.send_and_receive(messages, timeout=timeout):
        site = roster.nodes.get(reply.metadata.src_node_id)
        if site is not None:
            found.setdefault(site, reply)
    return found


def _read(
    reply: Message, questions: Sequence[Question], site: str, invitation: Invitation
) -> list[ReceivedPart | Absence]:
    """One city's reply: an answer to each question, or one reason for all of them."""
    try:
        reason = why_absent(reply)
        if reason is not None:
            return [Absence(site, *reason) for _ in questions]
        contents = decode_answers(reply.content, len(questions))
    except BadMessageError as error:
        return [Absence(site, error.code) for _ in questions]
    pairs = zip(contents, questions, strict=True)
    return [_part(content, question, site, invitation) for content, question in pairs]


def _part(
    content: RecordDict, question: Question, site: str, invitation: Invitation
) -> ReceivedPart | Absence:
    try:
        refusal = refusal_of(content)
        if refusal is not None:
            return Absence(site, *refusal)
        return decode_masked(content, question, site, invitation.session, invitation.roster)
    except BadMessageError as error:
        return Absence(site, error.code)


def _require_all(roster: Roster, answered: Sequence[str], absent: dict[str, Absence]) -> None:
    missing = [
        absent.get(site, Absence(site, "NO-ANSWER"))
        for site in roster.sites
        if site not in answered
    ]
    if missing:
        raise MissingSiteError(
            f"{len(missing)} of {len(roster.nodes)} cities gave no answer: {list_absences(missing)}",
            limit="every city on the roster of a secure sum: what others sent cannot be unmasked without it",
            way_out=PIN if any(set(one.rules) & set(OF_KEYS) for one in missing) else WAY_OUT,
        )


def _damaged(how: str) -> BadMessageError:
    return BadMessageError(
        f"the session of secure sums in roster.json {how}",
        limit="the keys that every city signed for this session, roster and studies",
        way_out="ask whoever ran the study for the run folder again",
    )
