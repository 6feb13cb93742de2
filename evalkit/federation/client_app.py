"""The city's side: one Flower ClientApp that answers questions about a stored panel.

The city runs no code it receives. Every limit is read from the node's own configuration and store, never from
the run's. Whatever happens, a `Message` goes back, and an error goes back as a code: an exception's text may
hold a value from the data, so it stays here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from evalkit.config import Policy
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, ask_first
from evalkit.core.study import study_hash
from evalkit.disclosure import gate
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.keys import public_text
from evalkit.disclosure.masked import MaskedRelease
from evalkit.disclosure.masking import Masks
from evalkit.disclosure.rosters import SignedKey, review_content
from evalkit.errors import EvalkitError, KeyFileError, NoPanelError, RefusalError
from evalkit.federation.city_sessions import CitySessions, Party
from evalkit.federation.codec import (
    WireQuestion,
    decode_question,
    decode_questions,
    encode_answers,
    encode_refusal,
    encode_release,
)
from evalkit.federation.secure_codec import (
    decode_invitation,
    encode_masked,
    encode_signed_key,
    take_roster,
)
from evalkit.federation.site_store import SiteStore

__all__ = ["CityApp", "app"]

_log = logging.getLogger(__name__)


class CityApp(ClientApp):
    """A ClientApp that always replies, and never with an exception's text."""

    def __call__(self, message: Message, context: Context) -> Message:
        """Handle one message."""
        try:
            return super().__call__(message, context)
        except Exception as error:  # noqa: BLE001  # the guard: nothing but a code may leave
            return Message(_refusal(error), reply_to=message)


app: Final = CityApp()


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Say which city this is, so that the server can hold the roster against the study's."""
    store = _store(context)
    said = ConfigRecord({"site": store.name, "cameras": store.camera_kind})
    # So that whoever runs the study can tell the city's signature later. A key that cannot be read is told with the
    # city's name by the first answer; an error here would leave the server without the name.
    with suppress(KeyFileError):
        said["key"] = public_text(store.identity())
    return Message(RecordDict({"hello": said}), reply_to=message)


@app.query("keys")
def keys(message: Message, context: Context) -> Message:
    """Join a session of secure sums: a key for it, signed, if question and roster are ones the city accepts.

    The first of the session's studies that the city holds is reviewed as if it were asked now; all of them are when
    they are.
    """
    store = _store(context)
    invitation, written, ledger = decode_invitation(message.content), store.policy(), store.ledger
    study = store.study(_first_held(store, invitation.studies))
    question = ask_first(estimator(study.analysis.estimator), study)
    fingerprint = store.opened(study_hash(study)).panel.fingerprint
    policy = gate.admit(question, written, ledger, fingerprint)
    sessions = CitySessions(store.sessions_folder)

    def make() -> SignedKey:
        review_content(study, invitation.roster, ledger.entries())
        return sessions.join(invitation, store.name, policy, store.identity())

    signed = gate.join(question, ledger, fingerprint, make)
    return Message(encode_signed_key(invitation.session, signed), reply_to=message)


@app.query("answer")
def answer(message: Message, context: Context) -> Message:
    """Review the question, compute on the stored panel, review the statistic, release it."""
    store = _store(context)
    asked, roster = take_roster(message.content)
    party = Party(CitySessions(store.sessions_folder), store.name, roster)
    content = _answer(decode_question(asked), store, store.policy(), party)
    return Message(content, reply_to=message)


@app.query("batch")
def batch(message: Message, context: Context) -> Message:
    """Answer several questions, each as if it had come alone: its own review, its own entry in the ledger.

    A question that is refused does not keep the others from being answered. A policy that is changed meanwhile, an
    approval that is withdrawn, or a day that ends counts from the next one on.
    """
    store = _store(context)
    asked, roster = take_roster(message.content)
    party = Party(CitySessions(store.sessions_folder), store.name, roster)
    answers: list[RecordDict] = []
    for wire in decode_questions(asked):
        try:
            answers.append(_answer(wire, store, store.policy(), party))
        except Exception as error:  # noqa: BLE001  # the same guard, for each question
            answers.append(_refusal(error))
    return Message(encode_answers(answers), reply_to=message)


def _first_held(store: SiteStore, studies: Sequence[str]) -> str:
    """The first of a session's studies for which the city has built a panel.

    Raises:
        NoPanelError: it has for none.
    """
    for digest in studies:
        if (store.study_folder(digest) / "panel").is_dir():
            return digest
    raise NoPanelError("the city has no panel for any study of the session")


def _answer(
    wire: WireQuestion, store: SiteStore, written: Policy | None, party: Party
) -> RecordDict:
    study = store.study(wire.study)
    question = Question(study, wire.estimator, wire.stage, wire.round, wire.parameters)
    opened, ledger = store.opened(wire.study), store.ledger
    fingerprint = opened.panel.fingerprint
    policy = gate.admit(question, written, ledger, fingerprint)
    masks = _masks(question, policy, store, fingerprint, party) if study.federation.secure else None
    prepared = opened.prepared(study, policy)
    statistics = estimator(question.estimator).summarise(prepared.panel, question)
    release = gate.review(
        statistics,
        question,
        policy,
        ledger,
        fingerprint=fingerprint,
        site=opened.name,
        audit=Audit(store.audit_folder, opened.told(study, policy)),
        masks=masks,
    )
    return encode_masked(release) if isinstance(release, MaskedRelease) else encode_release(release)


def _masks(
    question: Question, policy: Policy, store: SiteStore, fingerprint: str, party: Party
) -> Masks:
    """The masks of a question, if its session and roster are in order and the study was asked for no other roster."""
    ledger = store.ledger

    def make() -> Masks:
        masks = party.masks(question, policy)
        review_content(question.study, masks.roster, ledger.entries())
        return masks

    return gate.join(question, ledger, fingerprint, make)


def _refusal(error: Exception) -> RecordDict:
    """An error as its code; the text of one that is not ours may hold a value from the data."""
    if isinstance(error, RefusalError):
        return encode_refusal(error.code, error.rules)
    if isinstance(error, EvalkitError):
        return encode_refusal(error.code)
    _log.error("internal error of type %s while answering", type(error).__name__)
    return encode_refusal("INTERNAL")


def _store(context: Context) -> SiteStore:
    """The store named by the node's own configuration."""
    return SiteStore(Path(str(context.node_config["store"])))
