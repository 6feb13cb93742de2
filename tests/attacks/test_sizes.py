"""Messages and files larger than anything honest are refused before their content is looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from evalkit.claims.claim import load_claim
from evalkit.config import MAX_BYTES, load_site, load_study
from evalkit.core.discover import estimator
from evalkit.core.study import Federation
from evalkit.disclosure.release import _SEAL, Release
from evalkit.errors import BadMessageError, ConfigError, MissingSiteError
from evalkit.federation import codec
from evalkit.federation.codec import (
    MAX_ASKED,
    MAX_FIELDS,
    MAX_NUMBERS,
    MAX_PARAMETERS,
    MAX_QUESTIONS,
    MAX_RECORDS,
    decode_answers,
    decode_hello,
    decode_question,
    decode_questions,
    decode_release,
    encode_answers,
    encode_question,
    encode_questions,
    encode_release,
)
from evalkit.federation.exchange import gather_roster
from tests.panels import study

ASKED = study(estimator="poisson_did")
QUESTION = estimator("poisson_did").first_question(ASKED)


def array_of(numbers: int) -> Array:
    return Array(
        dtype="float64",
        shape=(numbers,),
        stype="evalkit.little-endian",
        data=bytes(8 * numbers),
    )


def release_with(fields: dict[str, Array]) -> RecordDict:
    made = Release(
        "alta",
        codec.study_hash(ASKED),
        "poisson_did",
        "score",
        0,
        "additive",
        {"a": np.ones(1)},
        _SEAL,
    )
    content = encode_release(made)
    record = ArrayRecord()
    for name, array in fields.items():
        record[name] = array
    content["fields"] = record
    return content


def question_of(numbers: int) -> RecordDict:
    content = encode_question(QUESTION)
    record = ArrayRecord()
    record["parameters"] = array_of(numbers)
    content["parameters"] = record
    return content


def test_what_is_as_large_as_allowed_is_read() -> None:
    assert len(decode_question(question_of(MAX_PARAMETERS)).parameters) == MAX_PARAMETERS
    full = release_with({f"f{at}": array_of(1000) for at in range(MAX_FIELDS)})
    assert len(decode_release(full, QUESTION, "alta").statistics.total()) == MAX_FIELDS
    assert len(decode_questions(encode_questions([QUESTION] * MAX_QUESTIONS))) == MAX_QUESTIONS


def test_numbers_of_a_release_are_bounded_over_all_its_fields() -> None:
    half = array_of(MAX_NUMBERS // 2)
    decode_release(release_with({"a": half, "b": half}), QUESTION, "alta")
    with pytest.raises(BadMessageError, match="size"):
        decode_release(release_with({"a": half, "b": half, "c": array_of(1)}), QUESTION, "alta")


def test_questions_are_small() -> None:
    with pytest.raises(BadMessageError, match="number of parameters"):
        decode_question(question_of(MAX_PARAMETERS + 1))


def test_numbers_of_several_questions_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    each = MAX_ASKED // 50 + 1
    parts = [question_of(min(each, MAX_PARAMETERS)) for _ in range(51)]
    looked_at: list[Array] = []
    monkeypatch.setattr(codec, "_decode_array", looked_at.append)
    with pytest.raises(BadMessageError, match="size"):
        decode_questions(encode_answers(parts))
    assert looked_at == []


def test_numbers_of_several_answers_are_bounded_together() -> None:
    part = release_with({"a": array_of(MAX_NUMBERS // 2)})
    assert len(decode_answers(encode_answers([part, part]), 2)) == 2
    with pytest.raises(BadMessageError, match="size"):
        decode_answers(encode_answers([part, part, part]), 3)


def test_records_and_questions_are_counted_before_anything_is_read() -> None:
    many = RecordDict({f"question-{at:04d}": ConfigRecord({}) for at in range(MAX_RECORDS + 1)})
    with pytest.raises(BadMessageError, match="number of records"):
        decode_questions(many)
    one_too_many = RecordDict(
        {f"question-{at:04d}": ConfigRecord({}) for at in range(MAX_QUESTIONS + 1)}
    )
    with pytest.raises(BadMessageError, match="number of questions"):
        decode_questions(one_too_many)


@pytest.mark.parametrize("key", ["site", "study", "estimator", "stage", "kind"])
def test_texts_are_bounded(key: str) -> None:
    content = release_with({"a": array_of(2)})
    decode_release(content, QUESTION, "alta")
    content["release"] = ConfigRecord({**dict(content["release"]), key: "a" * 1_000_000})
    with pytest.raises(BadMessageError) as caught:
        decode_release(content, QUESTION, "alta")
    assert len(str(caught.value)) < 300


def test_lists_are_bounded() -> None:
    refusal = {"code": "REFUSAL", "rules": ["min_units"] * (MAX_FIELDS + 1)}
    with pytest.raises(BadMessageError, match="rules"):
        codec.refusal_of(RecordDict({"refusal": ConfigRecord(refusal)}))


HELLOS = {
    "good": ({"site": "alta", "cameras": "cctv"}, True),
    "traffic": ({"site": "alta", "cameras": "traffic"}, True),
    "another kind": ({"site": "alta", "cameras": "drones"}, False),
    "no kind": ({"site": "alta"}, False),
    "a path": ({"site": "../alta", "cameras": "cctv"}, False),
    "line end": ({"site": "alta\n", "cameras": "cctv"}, False),
    "long": ({"site": "a" * 65, "cameras": "cctv"}, False),
    "capitals": ({"site": "Alta", "cameras": "cctv"}, False),
    "a number": ({"site": 7, "cameras": "cctv"}, False),
    "a list": ({"site": ["alta"], "cameras": "cctv"}, False),
    "more": ({"site": "alta", "cameras": "cctv", "note": "x" * 1_000_000}, False),
}


class Nodes(Grid):
    """One node that says ``hello`` as it is told to."""

    def __init__(self, content: RecordDict) -> None:
        self._content = content

    run = property(lambda _: None)

    def set_run(self, run: object) -> None: ...
    def create_message(self, *_: object, **__: object) -> Message: ...
    def push_messages(self, messages: object) -> object: ...
    def pull_messages(self, message_ids: object) -> object: ...

    def get_node_ids(self) -> list[int]:
        return [1]

    def send_and_receive(self, messages, **_: object) -> list[Message]:
        return [Message(self._content, reply_to=one) for one in messages]


@pytest.mark.parametrize("name", sorted(HELLOS))
def test_a_node_is_on_the_roster_by_a_plain_name_and_a_known_kind_only(
    name: str, in_process: None
) -> None:
    said, good = HELLOS[name]
    content = RecordDict({"hello": ConfigRecord(said)})
    if good:
        assert decode_hello(content) == (said["site"], said["cameras"])
        assert gather_roster(Nodes(content), (), Federation()).sites == ("alta",)
        return
    with pytest.raises(BadMessageError):
        decode_hello(content)
    with pytest.raises(MissingSiteError):
        gather_roster(Nodes(content), (), Federation())


@pytest.fixture
def in_process() -> None:
    """The identity without which Flower lets nobody create a message."""
    from evalkit.federation.client_app import app
    from evalkit.federation.grid import InProcessGrid

    InProcessGrid(app, {}).close()


@pytest.mark.parametrize("load", [load_study, load_site, load_claim])
def test_large_files_are_refused_before_they_are_read(load, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="too large"):
        load(path)
    path.write_bytes(b"#" * MAX_BYTES)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "too large" not in str(caught.value)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "1" * 5000, "a" * 100_000])
def test_files_that_would_wear_out_a_parser_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_study(path)
