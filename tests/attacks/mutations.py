"""Seeded mutations of everything evalkit reads, and how many of them were accepted: figures for the attack table.

Vocabulary
    accepted   what evalkit would have gone on with as if it were the honest thing.
    found by   where a mutation ends: ``arrival`` (the codec), ``ledger`` (the city's own hash of what it sent; a number
               changed on the way is still a message), ``refusal`` (the city's gate), ``reading`` (the file is damaged,
               or has another hash), ``verify`` (the run's own files contradict one another).
    crash      an error that is none of evalkit's own.
    naive      read by whoever checks no hash, name, limit or type: JSON or TOML that parses, bytes that are numbers.

A mutation that changes nothing evalkit would read, such as another space in JSON, is not counted but drawn again.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict

from evalkit.config import Policy, parse_toml
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study, check_study, study_hash
from evalkit.disclosure.release import parse_release
from evalkit.errors import EvalkitError
from evalkit.federation.client_app import app
from evalkit.federation.codec import (
    ANSWER,
    decode_release,
    encode_question,
    refusal_of,
)
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.runtimes.local import run_local
from evalkit.runtimes.replay import recompute
from tests.panels import city, study
from tests.stores import store_of

__all__ = [
    "Figure",
    "mutated_ledgers",
    "mutated_policies",
    "mutated_questions",
    "mutated_releases",
    "mutated_runs",
    "mutated_studies",
]

TRIALS = 1000
CITIES = ("alta", "brisa", "clara")
SAME = object()
"""Of an attempt: nothing was changed after all."""


@dataclass(slots=True)
class Figure:
    """What became of so many mutations."""

    name: str
    trials: int = 0
    accepted: int = 0
    crashes: int = 0
    naive: int = 0
    found_by: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """As plain numbers, for a table."""
        return {
            "name": self.name,
            "trials": self.trials,
            "accepted": self.accepted,
            "crashes": self.crashes,
            "naive": self.naive,
            "found_by": dict(sorted(self.found_by.items())),
            "kinds": dict(sorted(self.kinds.items())),
        }


Attempt = tuple[str, Callable[[], object], bool]
"""Kind of mutation, the attempt, and whether a naive reader goes on with what it is given."""


def tally(name: str, attempts: Iterator[Attempt], trials: int) -> Figure:
    """Run attempts until ``trials`` have counted.

    An attempt returns where the mutation was found, "" if it was accepted, `SAME` if there was none, or raises.
    """
    figure = Figure(name)
    for kind, attempt, naive in attempts:
        try:
            outcome = attempt()
        except EvalkitError as error:
            outcome = error.code
        except Exception as error:  # noqa: BLE001 (a crash is what is counted)
            outcome = None
            figure.crashes += 1
            figure.examples.append(f"{kind}: {type(error).__name__}: {error}")
        if outcome is SAME:
            continue
        figure.trials += 1
        figure.kinds[kind] += 1
        figure.naive += naive
        if outcome == "":
            figure.accepted += 1
            figure.examples.append(f"{kind}: accepted")
        elif outcome is not None:
            figure.found_by[str(outcome)] += 1
        if figure.trials == trials:
            break
    return figure


# ---------------------------------------------------------------- damage to bytes and to JSON


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """One bit flipped, a byte replaced, a piece cut out, doubled or exchanged, or the end cut off."""
    at = int(rng.integers(len(data)))
    end = min(len(data), at + int(rng.integers(1, 40)))
    match int(rng.integers(6)):
        case 0:
            return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]
        case 1:
            return data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:end] + data[at:end] + data[end:]
        case 4:
            other = int(rng.integers(len(data)))
            return data[:at] + data[other : other + end - at] + data[end:]
        case _:
            return data[:at]


VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 10**30, 1e308, "", "x", "../../x", "any", "10", [], ["any"], {}, [[]]),
    *({"a": 1}, 0.5, "2020-01-01", -0.1, [1, 2], "\0", "Infinity"),
)


def changed(content: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """One key left out, added, renamed, or given a value of another kind; of a section if there is one there."""
    content = dict(content)
    key = str(rng.choice(sorted(content)))
    if isinstance(content[key], dict) and content[key] and rng.random() < 0.7:
        return {**content, key: changed(content[key], rng)}
    match int(rng.integers(4)):
        case 0:
            del content[key]
        case 1:
            content[f"{key}_"] = content[key]
        case 2:
            content[key[:-1]] = content.pop(key)
        case _:
            content[key] = VALUES[int(rng.integers(len(VALUES)))]
    return content


# ---------------------------------------------------------------- messages


def _stores(root: Path, asked: Study) -> list[SiteStore]:
    """Three cities that have approved one study, by its hash and no other."""
    policy = Policy(studies=(study_hash(asked),), release_class="table")
    return [store_of(city(name, seed), asked, root, policy) for seed, name in enumerate(CITIES, 1)]


def _released(store: SiteStore, question: Question) -> RecordDict:
    """The city's honest answer, as its app sends it."""
    content = Node(store).answer(encode_question(question))
    assert refusal_of(content) is None
    return content


def mutated_releases(root: Path, trials: int = TRIALS, seed: int = 51) -> Figure:
    """Answers changed on their way, or taken from another round, study, site or stage.

    What is still a well-formed message is given to the server's estimate beside two honest cities' answers, which must
    not crash, and is held against the city's ledger, which knows the hash of what the city sent.
    """
    asked = study(estimator="poisson_did")
    stores = _stores(root, asked)
    method = estimator("poisson_did")
    question = method.first_question(asked)
    releases = [_released(store, question) for store in stores]
    statistics = [
        decode_release(one, question, store.name).statistics
        for one, store in zip(releases, stores, strict=True)
    ]
    sent, others = releases[0], statistics[1:]
    known = {
        entry["release"] for entry in stores[0].ledger.entries() if entry["outcome"] == "released"
    }
    other = replace_analysis(asked)
    further = method.finalise(merge_all(statistics), question)
    assert isinstance(further, Question)
    replayed = {
        "another round": _released(stores[0], further),
        "another site": releases[1],
        "another study": _renamed(sent, study=study_hash(other)),
        "another stage": _renamed(sent, stage="meat"),
        "a later round's number": _renamed(sent, round=7),
        "another estimator": _renamed(sent, estimator="rate_ratio"),
    }
    rng = np.random.default_rng(seed)

    def attempts() -> Iterator[Attempt]:
        while True:
            if rng.random() < 0.2:
                kind = str(rng.choice(sorted(replayed)))
                yield f"replayed: {kind}", _received(replayed[kind], question, others, known), True
            else:
                kind, content = _damaged_release(sent, rng)
                yield (
                    kind,
                    _received(content, question, others, known),
                    _are_numbers(content["fields"]),
                )

    return tally("mutated releases", attempts(), trials)


def replace_analysis(asked: Study) -> Study:
    """The same study with another name, so with another hash."""
    return msgspec.structs.replace(asked, name="another")


def _received(
    content: RecordDict, question: Question, others: list[Statistics], known: set[str]
) -> Callable[[], object]:
    def attempt() -> object:
        received = decode_release(content, question, CITIES[0])
        if hashlib.sha256(received.data).hexdigest() in known:
            return ""
        method = estimator(question.estimator)
        try:
            method.finalise(merge_all([received.statistics, *others]), question)
        except EvalkitError:
            return "arrival"
        return "ledger"

    return attempt


def _renamed(content: RecordDict, **changes: Any) -> RecordDict:
    made = RecordDict(dict(content))
    made["release"] = ConfigRecord({**dict(content["release"]), **changes})
    return made


def _record(arrays: dict[str, Array]) -> ArrayRecord:
    record = ArrayRecord()
    for name, array in arrays.items():
        record[name] = array
    return record


def _damaged_release(sent: RecordDict, rng: np.random.Generator) -> tuple[str, RecordDict]:
    content = RecordDict(dict(sent))
    if rng.random() < 0.5:
        kind, head = _damaged_head(dict(sent["release"]), rng)
        content["release"] = ConfigRecord(head)
    else:
        kind, fields = _damaged_fields(dict(sent["fields"]), rng)
        content["fields"] = _record(fields)
    return kind, content


def _damaged_head(head: dict[str, Any], rng: np.random.Generator) -> tuple[str, dict[str, Any]]:
    key = str(rng.choice(sorted(head)))
    match int(rng.integers(4)):
        case 0:
            return "head: another value", {**head, key: any_value(rng)}
        case 1:
            return "head: a key more", {**head, f"{key}x": head[key]}
        case 2:
            return "head: a key less", {name: head[name] for name in head if name != key}
        case _:
            text = str(head[key])
            at = int(rng.integers(len(text)))
            letter = chr(33 + (ord(text[at]) - 33 + int(rng.integers(1, 94))) % 94)
            return "head: a letter", {**head, key: text[:at] + letter + text[at + 1 :]}


def _damaged_fields(
    fields: dict[str, Array], rng: np.random.Generator
) -> tuple[str, dict[str, Array]]:
    name = str(rng.choice(sorted(fields)))
    array = fields[name]
    match int(rng.integers(6)):
        case 0:
            data = bytearray(array.data)
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
            return "bits of a number", {**fields, name: _array(array, data=bytes(data))}
        case 1:
            cut = int(rng.integers(1, 17))
            data = array.data[:-cut] if rng.random() < 0.5 else array.data + bytes(cut)
            return "length", {**fields, name: _array(array, data=data)}
        case 2:
            shapes = [(), (-1,), (1, *array.shape), (*array.shape, 1), (0,), (2**40, 2**40), (3, 3)]
            shape = shapes[int(rng.integers(len(shapes)))]
            return "shape", {**fields, name: _array(array, shape=shape)}
        case 3:
            kind = str(rng.choice(["object", "int64", "<f4", ""]))
            return "type", {**fields, name: _array(array, dtype=kind)}
        case 4:
            kind = str(rng.choice(["pickle", "numpy.ndarray", ""]))
            return "way of writing", {**fields, name: _array(array, stype=kind)}
        case _:
            left = {other: fields[other] for other in fields if other != name}
            if rng.random() < 0.5:
                return "fields", left
            return "fields", {**fields, str(rng.choice(["more", "../x", "__init__", "A"])): array}


def any_value(rng: np.random.Generator) -> Any:
    """One of `VALUES_OF_HEADS`."""
    return VALUES_OF_HEADS[int(rng.integers(len(VALUES_OF_HEADS)))]


VALUES_OF_HEADS: tuple[Any, ...] = (-1, 10**9, 1.5, True, "", "..", ["a"], b"\0")


def _array(array: Array, **changes: Any) -> Array:
    return Array(
        **{
            "dtype": array.dtype,
            "shape": array.shape,
            "stype": array.stype,
            "data": array.data,
            **changes,
        }
    )


class Node:
    """One city's app, asked as a server asks it."""

    def __init__(self, store: SiteStore) -> None:
        InProcessGrid(app, {}).close()  # gives this process the identity that creates messages
        self._context = Context(1, 1, {"store": str(store.folder)}, RecordDict({}), {})

    def answer(self, content: RecordDict) -> RecordDict:
        """What comes back."""
        return app(Message(content, 1, ANSWER), self._context).content

    def ask(self, content: RecordDict) -> object:
        """Where the question was refused; "" if a release came back.

        Raises:
            RuntimeError: the city met an error that is none of evalkit's own.
        """
        refusal = refusal_of(self.answer(content))
        if refusal is None:
            return ""
        if refusal[0] == "INTERNAL":
            raise RuntimeError("INTERNAL")
        return "arrival" if refusal[0] == "MESSAGE" else "refusal"


def mutated_questions(root: Path, trials: int = TRIALS, seed: int = 52) -> Figure:
    """Questions changed on their way, out of order, for another study, or far from the last ones.

    A parameter moved by less than the policy's step is a question that the city answers, and is none of these.
    """
    asked = study(estimator="poisson_did")
    store = _stores(root, asked)[0]
    node = Node(store)
    question = estimator("poisson_did").first_question(asked)
    sent = encode_question(question)
    rng = np.random.default_rng(seed)

    def attempts() -> Iterator[Attempt]:
        while True:
            kind, content = _damaged_question(sent, question, rng)
            numbers = _are_numbers(content["parameters"])
            yield kind, lambda content=content: node.ask(content), numbers

    return tally("mutated questions", attempts(), trials)


def _damaged_question(
    sent: RecordDict, question: Question, rng: np.random.Generator
) -> tuple[str, RecordDict]:
    content = RecordDict(dict(sent))
    head = dict(sent["question"])
    key = str(rng.choice(sorted(head)))
    size = len(question.parameters)
    match int(rng.integers(8)):
        case 0:
            kind, head[key] = "head: another value", any_value(rng)
        case 1:
            kind, head[f"{key}x"] = "head: a key more", head[key]
        case 2:
            kind = "head: a key less"
            del head[key]
        case 3:
            kind = "another study"
            head["study"] = study_hash(replace_analysis(question.study))
            if rng.random() < 0.5:
                digit = int(rng.integers(64))
                text = str(sent["question"]["study"])
                other = "0" if text[digit] != "0" else "1"
                head["study"] = text[:digit] + other + text[digit + 1 :]
        case 4:
            kind, head["round"] = "a round out of order", int(rng.integers(1, 1_000_000))
        case 5:
            kind = "another estimator"
            head["estimator"] = str(rng.choice(["rate_ratio", "random_effects", "os", "wdd"]))
        case 6:
            kind = "parameters out of reach"
            step = float(rng.choice([2.01, 10.0, 1e6, 1e300, np.inf, np.nan]))
            content["parameters"] = _record({"parameters": _numbers(np.full(max(size, 1), step))})
        case _:
            kind = "parameters of another form"
            forms = [
                {"parameters": _numbers(np.zeros((2, 2)))},
                {"parameters": _numbers(np.zeros(5000))},
                {"other": _numbers(np.zeros(size))},
                {"parameters": _numbers(np.zeros(size)), "more": _numbers(np.zeros(1))},
                {},
            ]
            content["parameters"] = _record(forms[int(rng.integers(len(forms)))])
    content["question"] = ConfigRecord(head)
    return kind, content


def _numbers(values: np.ndarray) -> Array:
    return Array(
        dtype="float64",
        shape=values.shape,
        stype="evalkit.little-endian",
        data=values.astype("<f8").tobytes(),
    )


# ---------------------------------------------------------------- files


def mutated_studies(root: Path, trials: int = TRIALS, seed: int = 53) -> Figure:
    """Study files: half of them in a city's store, half as the TOML a server would go on with.

    In the store a study must be the one its folder is named after. As TOML a changed study has another hash, which no
    city has approved.
    """
    asked = study(estimator="poisson_did")
    store = _stores(root, asked)[0]
    node = Node(store)
    digest = study_hash(asked)
    path = store.folder / digest / "study.json"
    written = path.read_bytes()
    fields = msgspec.json.decode(written)
    toml = msgspec.toml.encode(_without_null(fields))
    rng = np.random.default_rng(seed)

    def in_store(data: bytes) -> object:
        if _as_json(data) == fields:
            return SAME
        path.write_bytes(data)
        try:
            found = store.study(digest)
            answer = node.ask(encode_question(estimator("poisson_did").first_question(asked)))
        finally:
            path.write_bytes(written)
        if found == asked:  # a default that was spelled out, or a key msgspec reads alike
            return SAME
        return answer

    def as_toml(data: bytes) -> object:
        found = check_study(parse_toml(data.decode("utf-8", errors="replace"), Study, where="x"))
        if study_hash(found) == digest:
            return SAME
        try:
            method = estimator(found.analysis.estimator)
            question = method.first_question(found)
        except EvalkitError:
            return "reading"
        return node.ask(encode_question(question))

    def attempts() -> Iterator[Attempt]:
        while True:
            for kind, data in _mutants(written, fields, toml, rng):
                reader = in_store if kind.startswith("stored") else as_toml
                naive = _is_json(data) if kind.startswith("stored") else _is_toml(data)
                yield kind, lambda reader=reader, data=data: _read(reader, data), naive

    return tally("mutated study files", attempts(), trials)


def _mutants(
    written: bytes, fields: dict[str, Any], toml: bytes, rng: np.random.Generator
) -> Iterator[tuple[str, bytes]]:
    """One of each kind, of a file in a store and of the same thing as TOML."""
    yield "stored, bytes", damaged(written, rng)
    yield "stored, keys", msgspec.json.encode(changed(fields, rng))
    yield "TOML, bytes", damaged(toml, rng)
    yield "TOML, keys", _toml_of(changed(_without_null(fields), rng))


def _are_numbers(record: Any) -> bool:
    """Whether the bytes of every array can be taken for doubles, whatever their shape and type are said to be."""
    return bool(record) and all(array.data and not len(array.data) % 8 for array in record.values())


def _is_json(data: bytes) -> bool:
    return isinstance(_as_json(data), dict)


def _is_toml(data: bytes) -> bool:
    try:
        tomllib.loads(data.decode("utf-8", errors="replace"))
    except ValueError:
        return False
    return True


def _read(attempt: Callable[[bytes], object], data: bytes) -> object:
    try:
        return attempt(data)
    except EvalkitError:
        return "reading"


def _as_json(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _without_null(value: Any) -> Any:
    """TOML has no null."""
    if isinstance(value, dict):
        return {key: _without_null(one) for key, one in value.items() if one is not None}
    return value


def _toml_of(content: dict[str, Any]) -> bytes:
    return msgspec.toml.encode(_without_null(content))


def mutated_policies(root: Path, trials: int = TRIALS, seed: int = 54) -> Figure:
    """Policies in a city's store, and ``[policy]`` sections: damaged, keys more or less, values of a wrong kind.

    A legal value instead of another one is the city's own choice, which nobody but the city can tell from the one
    before (approvals name the policy where officers sign), and is none of these mutations.
    """
    asked = study(estimator="poisson_did")
    store = _stores(root, asked)[0]
    node = Node(store)
    path = store.folder / "policy.json"
    written = path.read_bytes()
    fields = msgspec.json.decode(written)
    toml = _toml_of(fields)
    question = encode_question(estimator("poisson_did").first_question(asked))
    rng = np.random.default_rng(seed)

    def in_store(data: bytes) -> object:
        legal = _is_whole_policy(data)
        if legal:
            return SAME
        path.write_bytes(data)
        try:
            return node.ask(question)
        finally:
            path.write_bytes(written)

    def as_toml(data: bytes) -> object:
        found = parse_toml(data.decode("utf-8", errors="replace"), Policy, where="x")
        assert isinstance(
            found, Policy
        )  # a legal policy of the city's own: absent keys have their defaults
        return SAME

    def attempts() -> Iterator[Attempt]:
        while True:
            for kind, data in _mutants(written, fields, toml, rng):
                reader = in_store if kind.startswith("stored") else as_toml
                naive = _is_json(data) if kind.startswith("stored") else _is_toml(data)
                yield kind, lambda reader=reader, data=data: _read(reader, data), naive

    return tally("mutated policies", attempts(), trials)


def _is_whole_policy(data: bytes) -> bool:
    """Whether the bytes are a policy with every key, judged by a second reading of our own."""
    content = _as_json(data)
    if not isinstance(content, dict) or set(content) != set(Policy.__struct_fields__):
        return False
    try:
        msgspec.convert(content, type=Policy)
    except msgspec.ValidationError:
        return False
    return True


def mutated_ledgers(root: Path, trials: int = TRIALS, seed: int = 55) -> Figure:
    """A city whose ledger was changed answers nothing: lines damaged, left out, exchanged, doubled, cut off."""
    asked = study(estimator="poisson_did")
    store = _stores(root, asked)[0]
    node = Node(store)
    question = estimator("poisson_did").first_question(asked)
    for number in range(4):
        node.ask(encode_question(replace(question, parameters=question.parameters + 0.1 * number)))
    node.ask(encode_question(replace(question, round=900)))
    path = store.folder / "ledger.jsonl"
    written = path.read_bytes()
    lines = written.splitlines(keepends=True)
    rng = np.random.default_rng(seed)

    def attempt(data: bytes) -> object:
        if data == written:
            return SAME
        path.write_bytes(data)
        try:
            return node.ask(encode_question(question))
        finally:
            path.write_bytes(written)

    def attempts() -> Iterator[Attempt]:
        while True:
            at = int(rng.integers(len(lines) - 1))
            edited = damaged(lines[at].rstrip(b"\n"), rng) + b"\n"
            order = rng.permutation(len(lines))
            mutants = {
                "a line left out": [*lines[:at], *lines[at + 1 :]],
                "lines exchanged": [lines[one] for one in order],
                "a line doubled": [*lines[: at + 1], *lines[at:]],
                "the end cut off": lines[: at + 1],
                "a line damaged": [*lines[:at], edited, *lines[at + 1 :]],
            }
            for kind, mutant in mutants.items():
                naive = all(map(_is_json, mutant))
                yield kind, lambda mutant=mutant: attempt(b"".join(mutant)), naive

    return tally("mutated ledgers", attempts(), trials)


def mutated_runs(root: Path, trials: int = TRIALS, seed: int = 56) -> Figure:
    """Files of a finished run: `review verify` recomputes them from one another."""
    asked = study()
    run = RunFolder.create(root / "run", asked)
    run_local(run, _stores(root / "cities", asked))
    releases = sorted((run.path / "releases").iterdir())
    others = [run.path / name for name in ("study.json", "releases.json", "estimate.json")]
    rng = np.random.default_rng(seed)

    def attempt(path: Path, data: bytes) -> object:
        written = path.read_bytes()
        same = data == written or (path.suffix == ".json" and _as_json(data) == _as_json(written))
        if same:
            return SAME
        path.write_bytes(data)
        try:
            found: Estimate = recompute(run, run.study())
            return "" if run.read("estimate.json") == found.to_dict() else "verify"
        except EvalkitError:
            return "verify"
        finally:
            path.write_bytes(written)

    def attempts() -> Iterator[Attempt]:
        while True:
            for files, readable in ((releases, _is_release), (others, _is_json)):
                path = files[int(rng.integers(len(files)))]
                data = damaged(path.read_bytes(), rng)
                kind = path.name if path in others else "a release"
                yield kind, lambda path=path, data=data: attempt(path, data), readable(data)

    return tally("mutated runs", attempts(), trials)


def _is_release(data: bytes) -> bool:
    try:
        parse_release(data)
    except EvalkitError:
        return False
    return True
