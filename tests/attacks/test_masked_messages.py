"""Malformed, oversized and hostile masked releases, on the wire and as files: none is accepted, none crashes."""

from __future__ import annotations

import pickle

import msgspec
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from evalkit.core.discover import estimator
from evalkit.core.study import study_hash
from evalkit.disclosure.masked import MaskedRelease, Part, is_masked, masked_bytes, parse_masked
from evalkit.disclosure.release import _SEAL, Release, parse_release, release_bytes
from evalkit.errors import BadMessageError
from evalkit.federation.codec import MAX_FIELDS, decode_release, encode_release
from evalkit.federation.secure_codec import decode_masked, encode_masked
from tests.panels import study

TRIALS = 1000
NAMES = ("alta", "brisa", "clara")
SESSION = "0123456789abcdef" * 2
ASKED = study(estimator="linear_did")
QUESTION = estimator("linear_did").first_question(ASKED)
WORDS = np.random.default_rng(1).integers(0, 2**64, 12, dtype=np.uint64)
PART = Part(
    "alta",
    study_hash(ASKED),
    "linear_did",
    "gram",
    0,
    SESSION,
    NAMES,
    {"information": WORDS[:8].reshape(2, 2, 2), "right": WORDS[8:].reshape(2, 2)},
)
RELEASE = MaskedRelease(PART, _SEAL)


def array(**changes) -> Array:
    good = {
        "dtype": "uint64",
        "shape": (2, 2),
        "stype": "evalkit.little-endian-words",
        "data": WORDS[8:].tobytes(),
    }
    return Array(**{**good, **changes})


def message(**changes) -> RecordDict:
    content = encode_masked(RELEASE)
    content["masked"] = ConfigRecord({**dict(content["masked"]), **changes})
    return content


def with_field(name: str, value: Array) -> RecordDict:
    content = encode_masked(RELEASE)
    content["words"] = ArrayRecord({**dict(content["words"]), name: value})
    return content


def decode(content: RecordDict) -> bytes:
    return decode_masked(content, QUESTION, "alta", SESSION, NAMES).data


def test_the_honest_message_is_accepted() -> None:
    data = decode(encode_masked(RELEASE))
    assert data == masked_bytes(PART)
    again = parse_masked(data)
    assert masked_bytes(again) == data
    assert again.roster == NAMES
    for name, words in PART.words.items():
        np.testing.assert_array_equal(again.words[name], words)


HOSTILE = {
    "pickle": with_field("right", array(stype="pickle", data=pickle.dumps([1]))),
    "numpy file": with_field("right", array(stype="numpy.ndarray")),
    "doubles": with_field("right", array(dtype="float64")),
    "plain style": with_field("right", array(stype="evalkit.little-endian")),
    "objects": with_field("right", array(dtype="object")),
    "too short": with_field("right", array(data=b"\0" * 16)),
    "too long": with_field("right", array(data=b"\0" * 48)),
    "one lane": with_field("right", array(shape=(4, 1))),
    "no shape": with_field("right", array(shape=(), data=b"\0" * 8)),
    "negative shape": with_field("right", array(shape=(-2, 2))),
    "two negatives": with_field("right", array(shape=(-1, -2, 2))),
    "huge shape": with_field("right", array(shape=(1 << 40, 2))),
    "huge and empty": with_field("right", array(shape=(0, 1 << 62, 2), data=b"")),
    "many dimensions": with_field("right", array(shape=(1,) * 9 + (2, 2))),
    "path as field": with_field("../../etc/passwd", array()),
    "too many fields": RecordDict(
        {
            **dict(encode_masked(RELEASE)),
            "words": ArrayRecord({f"f{i}": array() for i in range(MAX_FIELDS + 1)}),
        }
    ),
    "no fields": RecordDict({**dict(encode_masked(RELEASE)), "words": ArrayRecord({})}),
    "another city": message(site="brisa"),
    "another study": message(study="0" * 64),
    "another estimator": message(estimator="poisson_did"),
    "another stage": message(stage="meat"),
    "another round": message(round=1),
    "another session": message(session="0" * 32),
    "session as path": message(session="../../x"),
    "another roster": message(roster=["alta", "brisa"]),
    "roster with a city twice": message(roster=["alta", "alta", "clara"]),
    "roster unsorted": message(roster=["brisa", "alta", "clara"]),
    "roster as text": message(roster="alta"),
    "a marker": message(dropped=["clara"]),
    "empty": RecordDict({}),
    "extra record": RecordDict({**dict(encode_masked(RELEASE)), "more": ConfigRecord({"a": 1})}),
    "swapped": RecordDict(
        {"masked": encode_masked(RELEASE)["words"], "words": encode_masked(RELEASE)["masked"]}
    ),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_masked_releases_are_refused(name: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        decode(HOSTILE[name])
    assert "passwd" not in str(caught.value)


def test_plain_and_masked_are_never_taken_for_each_other() -> None:
    plain = Release(
        "alta", study_hash(ASKED), "linear_did", "gram", 0, "additive", {"x": np.ones(2)}, _SEAL
    )
    with pytest.raises(BadMessageError):
        decode(encode_release(plain))
    with pytest.raises(BadMessageError):
        decode_release(encode_masked(RELEASE), QUESTION, "alta")
    with pytest.raises(BadMessageError):
        parse_release(masked_bytes(PART))
    with pytest.raises(BadMessageError):
        parse_masked(release_bytes(plain))
    assert is_masked(masked_bytes(PART))
    assert not is_masked(release_bytes(plain))
    for wrong in (plain, PART, WORDS):
        with pytest.raises(TypeError):
            encode_masked(wrong)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError):
        encode_release(RELEASE)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError):
        MaskedRelease(PART, object())


def test_mutated_files_are_refused_or_differ_in_words_only() -> None:
    """Random damage to the bytes of a masked release: nothing but the words may differ afterwards."""
    random = np.random.default_rng(21)
    honest = masked_bytes(PART)
    header = len(honest.partition(b"\n")[0])
    accepted = 0
    for _ in range(TRIALS):
        data = bytearray(honest)
        at = int(random.integers(header))
        match random.integers(3):
            case 0:
                data[at] ^= int(random.integers(1, 256))
            case 1:
                del data[at : at + int(random.integers(1, 20))]
            case _:
                data[at:at] = random.bytes(int(random.integers(1, 20)))
        try:
            part = parse_masked(bytes(data))
        except BadMessageError:
            continue
        # still a masked release: one of another name, which neither ledger nor sum takes for this one
        accepted += masked_bytes(part) == honest
    assert accepted == 0
    for cut in (0, 1, header, -1, -8, -16):
        with pytest.raises(BadMessageError):
            parse_masked(honest[:cut])


@pytest.mark.parametrize(
    "changes",
    [
        {"masked": False},
        {"kind": "collected"},
        {"fields": []},
        {"fields": [["right", [-2, 2]]]},
        {"fields": [["right", [1 << 62, 4]]]},
        {"fields": [["empty", [0, 1 << 62]], ["right", [6]]]},
        {"fields": [["right", [1] * 70 + [6]]]},
        {"note": 1},
        {"roster": "alta"},
    ],
)
def test_hostile_headers_are_refused(changes: dict) -> None:
    header, _, words = masked_bytes(PART).partition(b"\n")
    changed = {**msgspec.json.decode(header), **changes}
    with pytest.raises(BadMessageError):
        parse_masked(msgspec.json.encode(changed) + b"\n" + words)
    with pytest.raises(BadMessageError):
        parse_masked(b"[" * 100_000 + b"\n" + words)
