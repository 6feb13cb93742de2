"""What every message is held against on arrival: its records, its texts, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from flwr.app import ConfigRecord, RecordDict

from evalkit.core.question import Question
from evalkit.core.study import study_hash
from evalkit.errors import BadMessageError

__all__ = [
    "HASH",
    "NAME",
    "SITE",
    "config_of",
    "expect",
    "expect_answer",
    "round_of",
    "text_of",
    "unexpected",
]

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""Of an estimator, a stage, a field or a rule."""
SITE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
HASH: Final = re.compile(r"[0-9a-f]{64}")


def expect_answer(head: Mapping[str, Any], question: Question, site: str) -> str:
    """Refuse what does not answer ``question`` or does not come from ``site``; the hash of the question's study.

    Raises:
        BadMessageError: the head names something else.
    """
    study = study_hash(question.study)
    expect(text_of(head, "site", SITE) == site, "site")
    expect(text_of(head, "study", HASH) == study, "study")
    expect(text_of(head, "estimator", NAME) == question.estimator, "estimator")
    expect(text_of(head, "stage", NAME) == question.stage, "stage")
    expect(round_of(head) == question.round, "round")
    return study


def config_of(content: RecordDict, name: str, keys: set[str]) -> Mapping[str, Any]:
    """The config record of that name, with just these keys.

    Raises:
        BadMessageError: it is no config record, or has others.
    """
    record = content[name]
    if not isinstance(record, ConfigRecord) or set(record.keys()) != keys:
        raise unexpected(name)
    return dict(record)


def text_of(head: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    """A text that the pattern matches as a whole.

    Raises:
        BadMessageError: it is none.
    """
    value = head[key]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise unexpected(key)
    return value


def round_of(head: Mapping[str, Any]) -> int:
    """The number of the round.

    Raises:
        BadMessageError: it is no number, or no round can have it.
    """
    value = head["round"]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1_000_000:
        raise unexpected("round")
    return value


def expect(condition: bool, what: str) -> None:
    """Refuse the message if the condition does not hold; ``what`` names its part.

    Raises:
        BadMessageError: it does not hold.
    """
    if not condition:
        raise unexpected(what)


def unexpected(what: str) -> BadMessageError:
    """The error of a message that `evalkit` does not write; ``what`` names the part, never what is in it."""
    return BadMessageError(
        f"a message has unexpected {what}",
        limit="what this version of evalkit writes",
        way_out="use the same evalkit version at the server and at every city",
    )
