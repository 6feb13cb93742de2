"""Malformed, oversized and hostile messages: none is accepted, none crashes anything."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.core.study import study_hash
from evalkit.disclosure.release import _SEAL, Release
from evalkit.errors import BadMessageError
from evalkit.federation.codec import (
    MAX_FIELDS,
    decode_question,
    decode_release,
    encode_question,
    encode_release,
    refusal_of,
)
from tests.panels import study

TRIALS = 1000

ASKED = study(estimator="poisson_did")
QUESTION: Question = estimator("poisson_did").first_question(ASKED)
RELEASE = Release(
    "alta",
    study_hash(ASKED),
    "poisson_did",
    "score",
    0,
    "additive",
    {"score": np.array([1.0, 2.0]), "information": np.eye(2)},
    _SEAL,
)


def array(**changes) -> Array:
    good = {
        "dtype": "float64",
        "shape": (2,),
        "stype": "evalkit.little-endian",
        "data": np.arange(2.0).tobytes(),
    }
    return Array(**{**good, **changes})


def message(record: str, **changes) -> RecordDict:
    content = encode_release(RELEASE)
    content[record] = ConfigRecord({**dict(content[record]), **changes})
    return content


def with_field(name: str, value: Array) -> RecordDict:
    content = encode_release(RELEASE)
    content["fields"] = ArrayRecord({**dict(content["fields"]), name: value})
    return content


def test_the_honest_message_is_accepted() -> None:
    received = decode_release(encode_release(RELEASE), QUESTION, "alta")
    np.testing.assert_array_equal(received.statistics.total()["score"], [1.0, 2.0])


HOSTILE = {
    "pickle": with_field("score", array(stype="pickle", data=pickle.dumps([1.0, 2.0]))),
    "numpy file": with_field("score", array(stype="numpy.ndarray")),
    "objects": with_field("score", array(dtype="object")),
    "integers": with_field("score", array(dtype="int64")),
    "too short": with_field("score", array(data=b"\0" * 8)),
    "too long": with_field("score", array(data=b"\0" * 24)),
    "negative shape": with_field("score", array(shape=(-2,))),
    "huge shape": with_field("score", array(shape=(1 << 40, 1 << 40))),
    "huge and empty": with_field("score", array(shape=(0, 1 << 62), data=b"")),
    "many dimensions": with_field("score", array(shape=(1,) * 9 + (2,))),
    "nan": with_field("score", array(data=np.array([np.nan, 1]).tobytes())),
    "infinite": with_field("score", array(data=np.array([np.inf, 1]).tobytes())),
    "path as field": with_field("../../etc/passwd", array()),
    "dunder field": with_field("__class__", array()),
    "long field": with_field("a" * 100, array()),
    "another city": message("release", site="brisa"),
    "path as city": message("release", site="../brisa"),
    "another study": message("release", study="0" * 64),
    "short hash": message("release", study="0"),
    "another estimator": message("release", estimator="rate_ratio"),
    "another stage": message("release", stage="meat"),
    "another round": message("release", round=7),
    "negative round": message("release", round=-1),
    "round as text": message("release", round="0"),
    "unknown kind": message("release", kind="anything"),
    "extra key": message("release", note="hello"),
    "empty": RecordDict({}),
    "no fields": RecordDict({"release": encode_release(RELEASE)["release"]}),
    "swapped records": RecordDict(
        {
            "release": encode_release(RELEASE)["fields"],
            "fields": encode_release(RELEASE)["release"],
        }
    ),
    "extra record": RecordDict({**dict(encode_release(RELEASE)), "more": ConfigRecord({"a": 1})}),
    "too many fields": RecordDict(
        {
            "release": encode_release(RELEASE)["release"],
            "fields": ArrayRecord({f"f{i}": array() for i in range(MAX_FIELDS + 1)}),
        }
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_releases_are_refused(name: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode_release(HOSTILE[name], QUESTION, "alta")
    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({}),
        RecordDict({"question": ConfigRecord({"study": "x"}), "parameters": ArrayRecord({})}),
        encode_question(replace(QUESTION, estimator="../evil")),
        encode_question(replace(QUESTION, stage="eval(1)")),
        encode_question(replace(QUESTION, parameters=np.array([[1.0]]))),
        encode_question(replace(QUESTION, parameters=np.array([np.nan]))),
        encode_question(replace(QUESTION, round=-1)),
    ],
)
def test_hostile_questions_are_refused(content: RecordDict) -> None:
    with pytest.raises(BadMessageError):
        decode_question(content)


@pytest.mark.parametrize(
    "refusal",
    [
        {"code": "free text with a value 4711", "rules": []},
        {"code": "REFUSAL", "rules": ["a value: 4711"]},
        {"code": "REFUSAL", "rules": ["min_units"] * (MAX_FIELDS + 1)},
        {"code": 7, "rules": []},
        {"code": "REFUSAL", "rules": "min_units"},
        {"code": "REFUSAL"},
    ],
)
def test_refusals_cannot_smuggle_text(refusal: dict) -> None:
    with pytest.raises(BadMessageError):
        refusal_of(RecordDict({"refusal": ConfigRecord(refusal)}))


def test_mutated_releases_are_refused_or_differ_only_in_numbers() -> None:
    """Random damage to every part of a release: header text, shapes, bytes."""
    random = np.random.default_rng(20)
    honest = decode_release(encode_release(RELEASE), QUESTION, "alta").data
    accepted_as_honest = 0
    for _ in range(TRIALS):
        content = encode_release(RELEASE)
        head = dict(content["release"])
        target = random.choice([*head, "array"])
        if target == "array":
            data = bytearray(content["fields"]["score"].data)
            data[random.integers(len(data))] ^= int(random.integers(1, 256))
            content["fields"]["score"] = array(data=bytes(data))
        elif isinstance(head[target], str):
            text = list(head[target])
            text[random.integers(len(text))] = chr(int(random.integers(32, 127)))
            if "".join(text) == head[target]:
                continue
            content["release"] = ConfigRecord({**head, target: "".join(text)})
        else:
            content["release"] = ConfigRecord({**head, target: int(random.integers(1, 1 << 30))})
        try:
            received = decode_release(content, QUESTION, "alta")
        except BadMessageError:
            continue
        # a changed number is a valid message: transport security and the ledger's hash are what find it
        assert target == "array"
        accepted_as_honest += received.data == honest
    assert accepted_as_honest == 0
