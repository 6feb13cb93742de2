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

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.disclosure import gate
from evalkit.disclosure.cohorts import prepare
from evalkit.errors import EvalkitError, RefusalError
from evalkit.federation.codec import decode_question, encode_refusal, encode_release
from evalkit.federation.site_store import SiteStore

__all__ = ["CityApp", "app"]

_log = logging.getLogger(__name__)


class CityApp(ClientApp):
    """A ClientApp that always replies, and never with an exception's text."""

    def __call__(self, message: Message, context: Context) -> Message:
        """Handle one message."""
        try:
            return super().__call__(message, context)
        except RefusalError as error:
            content = encode_refusal(error.code, error.rules)
        except EvalkitError as error:
            content = encode_refusal(error.code)
        except Exception as error:  # noqa: BLE001  # the guard: nothing but a code may leave
            _log.error("internal error of type %s while answering", type(error).__name__)
            content = encode_refusal("INTERNAL")
        return Message(content, reply_to=message)


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
    wire = decode_question(message.content)
    study = store.study(wire.study)
    question = Question(study, wire.estimator, wire.stage, wire.round, wire.parameters)
    panel = store.panel(wire.study)
    policy = gate.admit(question, store.policy(), store.ledger, panel.fingerprint)
    prepared = prepare(panel, study, policy)
    statistics = estimator(question.estimator).summarise(prepared.panel, question)
    release = gate.review(
        statistics,
        question,
        policy,
        store.ledger,
        fingerprint=panel.fingerprint,
        site=store.name,
    )
    return Message(encode_release(release), reply_to=message)


def _store(context: Context) -> SiteStore:
    """The store named by the node's own configuration."""
    return SiteStore(Path(str(context.node_config["store"])))
