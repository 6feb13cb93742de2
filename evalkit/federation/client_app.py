"""The city's side: one Flower ClientApp that answers questions about a stored panel.

The city runs no code it receives. Every limit is read from the node's own configuration and store, never from
the run's. Whatever happens, a `Message` goes back, and an error goes back as a code: an exception's text may
hold a value from the data, so it stays here.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from evalkit.config import Policy
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.disclosure import gate
from evalkit.errors import EvalkitError, RefusalError
from evalkit.federation.codec import (
    WireQuestion,
    decode_question,
    decode_questions,
    encode_answers,
    encode_refusal,
    encode_release,
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
    return Message(
        RecordDict({"hello": ConfigRecord({"site": store.name, "cameras": store.camera_kind})}),
        reply_to=message,
    )


@app.query("answer")
def answer(message: Message, context: Context) -> Message:
    """Review the question, compute on the stored panel, review the statistic, release it."""
    store = _store(context)
    content = _answer(decode_question(message.content), store, store.policy())
    return Message(content, reply_to=message)


@app.query("batch")
def batch(message: Message, context: Context) -> Message:
    """Answer several questions, each as if it had come alone: its own review, its own entry in the ledger.

    A question that is refused does not keep the others from being answered.
    """
    store = _store(context)
    policy = store.policy()
    answers: list[RecordDict] = []
    for wire in decode_questions(message.content):
        try:
            answers.append(_answer(wire, store, policy))
        except Exception as error:  # noqa: BLE001  # the same guard, for each question
            answers.append(_refusal(error))
    return Message(encode_answers(answers), reply_to=message)


def _answer(wire: WireQuestion, store: SiteStore, written: Policy | None) -> RecordDict:
    study = store.study(wire.study)
    question = Question(study, wire.estimator, wire.stage, wire.round, wire.parameters)
    opened, ledger = store.opened(wire.study), store.ledger
    fingerprint = opened.panel.fingerprint
    policy = gate.admit(question, written, ledger, fingerprint)
    prepared = opened.prepared(study, policy)
    statistics = estimator(question.estimator).summarise(prepared.panel, question)
    release = gate.review(
        statistics,
        question,
        policy,
        ledger,
        fingerprint=fingerprint,
        site=opened.name,
    )
    return encode_release(release)


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
