"""A thousand each: paths, pickles, oversized and malformed messages, at the city and at the server."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from evalkit.core.estimator import Question
from evalkit.core.study import study_hash
from evalkit.disclosure.release import _SEAL, Release
from evalkit.errors import BadMessageError
from evalkit.federation.codec import (
    MAX_FIELDS,
    MAX_NUMBERS,
    decode_answers,
    decode_question,
    decode_questions,
    decode_release,
    encode_question,
    encode_release,
    refusal_of,
)
from tests.attacks.conftest import Record
from tests.attacks.gated import first_of
from tests.panels import study

TRIALS = 1000
ASKED = study(estimator="poisson_did")
QUESTION: Question = first_of(ASKED)
RELEASE = Release(
    "alta", study_hash(ASKED), "poisson_did", "score", 0, "additive",
    {"score": np.array([1.0]), "information": np.eye(1)}, _SEAL,
)  # fmt: skip

Random = np.random.Generator
TRACE = "evalkit_unpickled"
"""Attribute of `sys` that a pickle sets when it is loaded."""


class Loaded:
    """Leaves a trace if somebody unpickles it."""

    def __reduce__(self):
        return exec, (f"import sys; sys.{TRACE} = True",)


def pick(random: Random, choices):
    return choices[int(random.integers(len(choices)))]


def array(data: bytes, **changes) -> Array:
    good = {
        "dtype": "float64",
        "shape": (len(data) // 8,),
        "stype": "evalkit.little-endian",
        "data": data,
    }
    return Array(**{**good, **changes})


def with_text(random: Random, text: str) -> tuple[str, RecordDict]:
    """The text in any place of a question or release that holds one, or as a name."""
    kind = pick(random, ("question", "release"))
    content = encode_question(QUESTION) if kind == "question" else encode_release(RELEASE)
    arrays = "parameters" if kind == "question" else "fields"
    key = pick(random, [*content[kind], "a field", "a key", "a record"])
    if key == "a field":
        one = next(iter(content[arrays].values()))
        content[arrays] = ArrayRecord({**dict(content[arrays]), text: one})
    elif key == "a key":
        content[kind] = ConfigRecord({**dict(content[kind]), text: "x"})
    elif key == "a record":
        content[text] = ConfigRecord({"a": 1})
    else:
        content[kind] = ConfigRecord({**dict(content[kind]), key: text})
    return kind, content


def traversal(random: Random) -> tuple[str, RecordDict]:
    up = pick(random, ("../", "..\\", "%2e%2e/", "....//", "/", "file:///", "~/", "\\\\host\\"))
    end = pick(
        random, ("etc/passwd", "policy.json", "keys/identity.pem", "ledger.jsonl", "\0.json")
    )
    before = pick(random, ("", "alta/", study_hash(ASKED)[:60] + "/", "0" * 64 + "/"))
    return with_text(random, before + up * int(random.integers(1, 6)) + end)


def pickled(random: Random) -> tuple[str, RecordDict]:
    protocol = int(random.integers(0, pickle.HIGHEST_PROTOCOL + 1))
    data = pickle.dumps(Loaded(), protocol)
    if random.random() < 0.3:
        buffer = io.BytesIO()
        np.save(buffer, np.array([Loaded()], dtype=object), allow_pickle=True)
        data = buffer.getvalue()
    stype = pick(
        random, ("numpy.ndarray", "pickle", "torch", "evalkit.little-endian", "cloudpickle")
    )
    dtype = pick(random, ("object", "float64", "O", "V8"))
    shape = pick(random, ((1,), (len(data) // 8,), (len(data),), ()))
    one = Array(dtype=dtype, shape=shape, stype=stype, data=data)
    if random.random() < 0.5:
        content = encode_question(QUESTION)
        content["parameters"] = ArrayRecord({"parameters": one})
        return "question", content
    content = encode_release(RELEASE)
    content["fields"] = ArrayRecord({**dict(content["fields"]), "score": one})
    return "release", content


def oversized(random: Random) -> tuple[str, RecordDict]:
    kind = pick(random, ("claimed", "fields", "text", "many", "dimensions", "list"))
    content = encode_release(RELEASE)
    if kind == "text":
        return with_text(random, "a" * int(random.integers(65, 100_000)))
    if kind == "claimed":
        size = int(random.integers(MAX_NUMBERS, 1 << 60))
        content["fields"]["score"] = array(b"\0" * 8, shape=(size,))
    elif kind == "fields":
        number = MAX_FIELDS + int(random.integers(1, 50))
        content["fields"] = ArrayRecord({f"f{i}": array(b"\0" * 8) for i in range(number)})
    elif kind == "many":
        question = encode_question(QUESTION)
        size = MAX_NUMBERS + int(random.integers(1, 99))
        question["parameters"] = ArrayRecord({"parameters": array(b"", shape=(size,))})
        return "question", question
    elif kind == "dimensions":
        content["fields"]["score"] = array(b"\0" * 8, shape=(1,) * int(random.integers(5, 60)))
    else:
        head = {**dict(content["release"]), "site": ["alta"] * int(random.integers(2, 5000))}
        content["release"] = ConfigRecord(head)
    return "release", content


def malformed(random: Random) -> tuple[str, RecordDict]:
    kind = pick(random, ("question", "release", "batch", "refusal"))
    content = (
        encode_question(QUESTION) if kind in ("question", "batch") else encode_release(RELEASE)
    )
    names = sorted(content)
    values = (1, -1, 1.5, float("nan"), "", "x", b"x", True, [], [1], ["a"], 1 << 40)
    match int(random.integers(6)):
        case 0:
            del content[pick(random, names)]
        case 1:
            content[pick(random, names)] = ConfigRecord({"a": pick(random, values)})
        case 2:
            content[pick(random, names)] = MetricRecord({"a": 1.0})
        case 3:
            content[pick(random, names)] = ArrayRecord({})
        case 4:
            head = next(name for name in names if isinstance(content[name], ConfigRecord))
            key = pick(random, sorted(content[head]))
            # a round of 1 and a stage x can be: only values of another kind, or out of range
            fine = {"round": (1, 1 << 40), "stage": ("x",), "estimator": ("x",)}.get(key, ())
            wrong = [one for one in values if one is True or one not in fine]
            content[head] = ConfigRecord({**dict(content[head]), key: pick(random, wrong)})
        case _:
            arrays = next(name for name in names if isinstance(content[name], ArrayRecord))
            field = pick(random, sorted(content[arrays]))
            data = random.bytes(int(random.integers(0, 64)) * 8 + int(random.integers(1, 8)))
            content[arrays][field] = array(data)
    if kind == "batch":
        content = RecordDict({f"{name}-0000": record for name, record in content.items()})
    if kind == "refusal":
        code = pick(random, (*values, "free text", "REFUSAL "))
        content = RecordDict(
            {"refusal": ConfigRecord({"code": code, "rules": pick(random, ([], ["Ä b"], "x"))})}
        )
        content["refusal"]["more"] = 1
    return kind, content


READERS: dict[str, Callable[[RecordDict], object]] = {
    "question": decode_question,
    "release": lambda content: decode_release(content, QUESTION, "alta"),
    "batch": decode_questions,
    "refusal": refusal_of,
    "answers": lambda content: decode_answers(content, 1),
}


def test_a_thousand_of_each(record: Record) -> None:
    random = np.random.default_rng(2026)
    accepted, crashes = 0, 0
    kinds = (traversal, pickled, oversized, malformed)
    for make in kinds:
        for _ in range(TRIALS):
            kind, content = make(random)
            try:
                READERS[kind](content)
            except BadMessageError:
                continue
            except Exception:  # noqa: BLE001  # counted: that is what is measured
                crashes += 1
                continue
            accepted += 1
    assert not hasattr(sys, TRACE)
    assert (accepted, crashes) == (0, 0)
    record(
        "messages",
        without="a pickle runs what it carries when it is loaded",
        with_=f"{TRIALS:,} each: {accepted} accepted, {crashes} crashes",
    )


def test_a_pickle_that_is_loaded_runs() -> None:
    """Without the codec: what the tally above would have seen."""
    pickle.loads(pickle.dumps(Loaded()))
    assert hasattr(sys, TRACE)
    delattr(sys, TRACE)


def test_the_honest_ones_are_read() -> None:
    assert decode_question(encode_question(QUESTION)).estimator == "poisson_did"
    assert READERS["release"](encode_release(RELEASE))


@pytest.mark.parametrize("make", [traversal, pickled, oversized, malformed])
def test_messages_are_seeded(make) -> None:
    a, b = (make(np.random.default_rng(1))[0] for _ in range(2))
    assert a == b
