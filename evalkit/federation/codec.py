"""Releases and questions as Flower records: plain typed arrays, no pickle, everything checked on arrival.

Arrays travel as little-endian doubles in C order under a serialisation name of our own, so that no library's
loader is ever asked to interpret received bytes. `encode_release` takes a `Release` and nothing else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import study_hash
from evalkit.disclosure.release import Release, canonical_bytes
from evalkit.federation.records import (
    HASH,
    NAME,
    SITE,
    config_of,
    expect,
    expect_answer,
    round_of,
    text_of,
    unexpected,
)
from evalkit.policy import PUBLIC_KEY

__all__ = [
    "ANSWER",
    "BATCH",
    "HELLO",
    "MAX_ASKED",
    "MAX_FIELDS",
    "MAX_NUMBERS",
    "MAX_PARAMETERS",
    "MAX_QUESTIONS",
    "MAX_RECORDS",
    "Received",
    "WireQuestion",
    "decode_answers",
    "decode_hello",
    "decode_hello_key",
    "decode_question",
    "decode_questions",
    "decode_release",
    "encode_answers",
    "encode_question",
    "encode_questions",
    "encode_refusal",
    "encode_release",
    "refusal_of",
]

HELLO: Final = "query.hello"
"""Message type: which city are you?"""
ANSWER: Final = "query.answer"
"""Message type: a question about the stored panel."""
BATCH: Final = "query.batch"
"""Message type: several questions, each about a stored panel of its own."""

DTYPE: Final = "float64"
STYPE: Final = "evalkit.little-endian"
MAX_FIELDS: Final = 64
"""Fields in one release; the largest estimator has about ten."""
MAX_NUMBERS: Final = 4_000_000
"""Doubles in one message: 32 MB, far above any statistic and far below what could hurt a server."""
MAX_DIMENSIONS: Final = 4
MAX_QUESTIONS: Final = 1000
"""Questions in one message; a study has at most half as many specifications."""
MAX_RECORDS: Final = 2 * MAX_QUESTIONS
"""Records in one message: a question or an answer has two at most."""
MAX_PARAMETERS: Final = 20_000
"""Doubles in one question, 160 kB; a city's policy answers 200 unless it says otherwise."""
MAX_ASKED: Final = 1_000_000
"""Doubles in one message of questions, 8 MB."""

_KEY: Final = re.compile(PUBLIC_KEY)
_NUMBERED: Final = re.compile(r"([a-z]+)-([0-9]{4})")
_CODE: Final = re.compile(r"[A-Z][A-Z-]{0,63}")


@dataclass(frozen=True, slots=True, eq=False)
class WireQuestion:
    """A question as it arrives at a city: names and numbers; the city looks up the study itself."""

    study: str
    estimator: str
    stage: str
    round: int
    parameters: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """One city's release as it arrives at the server, with its canonical bytes."""

    site: str
    statistics: Statistics
    data: bytes


def decode_hello(content: RecordDict) -> tuple[str, Literal["cctv", "traffic"]]:
    """Which city a node says it is, and what its cameras do.

    Raises:
        BadMessageError: anything but a name of a city and one of the two kinds.
    """
    expect(set(content.keys()) == {"hello"}, "records")
    head = config_of(content, "hello", _hello_keys(content))
    kind: Literal["cctv", "traffic"] = "traffic" if head["cameras"] == "traffic" else "cctv"
    expect(head["cameras"] == kind, "cameras")
    return text_of(head, "site", SITE), kind


def decode_hello_key(content: RecordDict) -> str:
    """The public key that a node says its city has; empty if it says none.

    Raises:
        BadMessageError: anything but a public key.
    """
    head = config_of(content, "hello", _hello_keys(content))
    return text_of(head, "key", _KEY) if "key" in head else ""


def _hello_keys(content: RecordDict) -> set[str]:
    """A city without a key of its own, as before there were any, says none."""
    record = content["hello"]
    given = isinstance(record, ConfigRecord) and "key" in record
    return {"site", "cameras", "key"} if given else {"site", "cameras"}


def encode_question(question: Question) -> RecordDict:
    """What travels of a question: not the study, only its hash."""
    return RecordDict(
        {
            "question": ConfigRecord(
                {
                    "study": study_hash(question.study),
                    "estimator": question.estimator,
                    "stage": question.stage,
                    "round": question.round,
                }
            ),
            "parameters": _encode_arrays({"parameters": question.parameters}),
        }
    )


def decode_question(content: RecordDict) -> WireQuestion:
    """Read a question, refusing whatever `encode_question` could not have written.

    Raises:
        BadMessageError: wrong records, names, shapes or types.
    """
    expect(set(content.keys()) == {"question", "parameters"}, "records")
    head = config_of(content, "question", {"study", "estimator", "stage", "round"})
    arrays = _arrays(content, "parameters")
    expect(set(arrays) == {"parameters"} and arrays["parameters"].ndim == 1, "parameters")
    expect(arrays["parameters"].size <= MAX_PARAMETERS, "number of parameters")
    return WireQuestion(
        study=text_of(head, "study", HASH),
        estimator=text_of(head, "estimator", NAME),
        stage=text_of(head, "stage", NAME),
        round=round_of(head),
        parameters=arrays["parameters"],
    )


def encode_release(release: Release) -> RecordDict:
    """A release as records.

    Raises:
        TypeError: anything but a `Release`; statistics nobody has judged cannot be sent.
    """
    if not isinstance(release, Release):
        raise TypeError("only a Release can be encoded")
    return RecordDict(
        {
            "release": ConfigRecord(
                {
                    "site": release.site,
                    "study": release.study,
                    "estimator": release.estimator,
                    "stage": release.stage,
                    "round": release.round,
                    "kind": release.kind,
                }
            ),
            "fields": _encode_arrays(release.fields),
        }
    )


def decode_release(content: RecordDict, question: Question, site: str) -> Received:
    """Read a release that answers ``question`` and comes from ``site``.

    Raises:
        BadMessageError: not a release, not finite, or the answer to something else.
    """
    expect(set(content.keys()) == {"release", "fields"}, "records")
    head = config_of(content, "release", {"site", "study", "estimator", "stage", "round", "kind"})
    fields = _arrays(content, "fields")
    study = expect_answer(head, question, site)
    expect(bool(fields), "fields")
    kind: Literal["additive", "collected"] = (
        "additive" if head["kind"] == "additive" else "collected"
    )
    expect(head["kind"] == kind, "kind")
    data = canonical_bytes(
        site=site,
        study=study,
        estimator=question.estimator,
        stage=question.stage,
        round_number=question.round,
        kind=kind,
        fields=fields,
    )
    statistics = Statistics(question.estimator, question.stage, kind, {(site,): fields})
    return Received(site, statistics, data)


def encode_refusal(code: str, rules: tuple[str, ...] = ()) -> RecordDict:
    """A refusal: the error's code and the names of rules, nothing else."""
    return RecordDict({"refusal": ConfigRecord({"code": code, "rules": list(rules)})})


def refusal_of(content: RecordDict) -> tuple[str, tuple[str, ...]] | None:
    """The code and rules of a refusal, or None if the message is something else.

    Raises:
        BadMessageError: a refusal with free text in it.
    """
    if "refusal" not in content:
        return None
    expect(set(content.keys()) == {"refusal"}, "records")
    head = config_of(content, "refusal", {"code", "rules"})
    rules = head["rules"]
    expect(isinstance(rules, list) and len(rules) <= MAX_FIELDS, "rules")
    names = tuple(rules) if isinstance(rules, list) else ()
    expect(all(isinstance(name, str) and NAME.fullmatch(name) for name in names), "rules")
    return text_of(head, "code", _CODE), names


def encode_questions(questions: Sequence[Question]) -> RecordDict:
    """Several questions in one message: the records of `encode_question`, numbered."""
    return _numbered([encode_question(question) for question in questions])


def decode_questions(content: RecordDict) -> list[WireQuestion]:
    """Read what `encode_questions` wrote.

    Raises:
        BadMessageError: anything else.
    """
    return [decode_question(one) for one in _parted(content, MAX_ASKED)]


def encode_answers(answers: Sequence[RecordDict]) -> RecordDict:
    """Answers to several questions in their order: each a release or a refusal, as encoded alone."""
    return _numbered(answers)


def decode_answers(content: RecordDict, expected: int) -> list[RecordDict]:
    """Part an answer to several questions into the answers to each; what is in them is still unchecked.

    Raises:
        BadMessageError: records that are not numbered from 0, or more or fewer answers than questions.
    """
    found = _parted(content, MAX_NUMBERS)
    expect(len(found) == expected, "number of answers")
    return found


def _numbered(parts: Sequence[RecordDict]) -> RecordDict:
    expect(len(parts) <= MAX_QUESTIONS, "number of questions")
    return RecordDict(
        {
            f"{name}-{number:04d}": record
            for number, part in enumerate(parts)
            for name, record in part.items()
        }
    )


def _parted(content: RecordDict, numbers: int) -> list[RecordDict]:
    expect(len(content) <= MAX_RECORDS, "number of records")
    expect(_doubles(content) <= numbers, "size")
    parts: dict[int, RecordDict] = {}
    for key in content:
        named = _NUMBERED.fullmatch(key)
        if named is None:
            raise unexpected("records")
        parts.setdefault(int(named.group(2)), RecordDict({}))[named.group(1)] = content[key]
    expect(sorted(parts) == list(range(len(parts))), "numbers of records")
    expect(len(parts) <= MAX_QUESTIONS, "number of questions")
    return [parts[number] for number in range(len(parts))]


def _doubles(content: RecordDict) -> float:
    """How many doubles all arrays of a message hold together, by their bytes; nothing is decoded for it."""
    return (
        sum(
            len(array.data)
            for record in content.array_records.values()
            for array in record.values()
        )
        / 8
    )


def _encode_arrays(arrays: Mapping[str, NDArray[np.float64]]) -> ArrayRecord:
    record = ArrayRecord()  # made of a dictionary, Flower would check and copy everything twice
    for name, array in arrays.items():
        record[name] = _encode_array(array)
    return record


def _encode_array(array: NDArray[np.float64]) -> Array:
    plain = np.ascontiguousarray(array, dtype="<f8")
    return Array(dtype=DTYPE, shape=tuple(plain.shape), stype=STYPE, data=plain.tobytes())


def _decode_array(array: Array) -> NDArray[np.float64]:
    shape = tuple(array.shape)
    expect(array.dtype == DTYPE and array.stype == STYPE, "array type")
    expect(len(shape) <= MAX_DIMENSIONS and all(0 <= n <= MAX_NUMBERS for n in shape), "shape")
    size = math.prod(shape)
    expect(size <= MAX_NUMBERS and len(array.data) == 8 * size, "array size")
    decoded = np.frombuffer(array.data, "<f8").astype(np.float64).reshape(shape)
    expect(bool(np.isfinite(decoded).all()), "finite numbers")
    return decoded


def _arrays(content: RecordDict, name: str) -> dict[str, NDArray[np.float64]]:
    record = content[name]
    if not isinstance(record, ArrayRecord):
        raise unexpected(name)
    expect(len(record) <= MAX_FIELDS, "number of fields")
    expect(all(NAME.fullmatch(key) for key in record), "field names")
    expect(sum(len(array.data) for array in record.values()) <= 8 * MAX_NUMBERS, "size")
    return {key: _decode_array(record[key]) for key in sorted(record)}
