"""A ledger in a file for others: it verifies by itself, tells nothing that stays in the city, and hides no change."""

from __future__ import annotations

import random
import re
from pathlib import Path

import msgspec
import pytest

from evalkit.disclosure.keys import load_key, make_key, public_text
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.ledger_export import number_of, read_export
from evalkit.disclosure.ledger_lines import OPEN
from evalkit.errors import ConfigError, EvalkitError, LedgerError
from tests.property.test_ledger import mutated

LINES = 5
MUTATIONS = 1000
SEED = 6
COUNT = 127731
"""A count that stays in the city; no other number of the ledger looks like it."""


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    made = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.jsonl")
    for number in range(LINES):
        made.append(
            {
                "outcome": "released",
                "site": "brisa",
                "study": "a" * 64,
                "round": number,
                "bytes": 225,
                "release": f"{number:064x}",
                "parameters": [0.25],
                "data": "f" * 64,
                "verdicts": [
                    {"rule": "min_incidents", "passed": True, "found": COUNT, "limit": 10}
                ],
            }
        )
    return made


def public_of(ledger: Ledger) -> str:
    return public_text(load_key(ledger.path.parent / "keys" / "identity.pem"))


def test_the_reference_lists_the_open_fields() -> None:
    """Lines are hashed by this list: a field that is added or dropped would break every ledger there is."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "files.md").read_text("utf-8")
    listed = page.split("**Open** ones may leave the city:")[1].split("All others are")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == OPEN


@pytest.mark.parametrize("full", [False, True])
def test_an_export_verifies_without_the_store(ledger: Ledger, full: bool) -> None:
    data = ledger.export(full=full)
    for public in ("", public_of(ledger)):
        chain = read_export(data, "file", public)
        assert chain.head == ledger.verify().head
        assert [entry["round"] for entry in chain.entries] == [*range(LINES)]


def test_what_stays_in_the_city_is_not_in_the_public_export(ledger: Ledger) -> None:
    assert str(COUNT).encode() in ledger.export(full=True)
    data = ledger.export()
    assert str(COUNT).encode() not in data
    assert b"f" * 64 not in data
    for line in data.splitlines()[:-1]:
        assert msgspec.json.decode(line).keys() - OPEN == {"closed", "hash", "signature"}


def test_equal_closed_fields_have_different_digests(tmp_path: Path) -> None:
    """Else whoever guesses a count could confirm it."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for _ in range(2):
        ledger.append({"outcome": "refused", "verdicts": [{"found": COUNT}]})
    first, second, _ = (msgspec.json.decode(line) for line in ledger.export().splitlines())
    assert first["closed"] != second["closed"]


def test_another_key_is_found(ledger: Ledger, tmp_path: Path) -> None:
    other = public_text(make_key(tmp_path / "other.pem"))
    with pytest.raises(LedgerError, match="another key"):
        read_export(ledger.export(), "file", other)
    with pytest.raises(ConfigError):
        read_export(ledger.export(), "file", "ed25519:no")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("index", range(LINES + 1))
def test_every_line_taken_out_is_found(ledger: Ledger, full: bool, index: int) -> None:
    lines = ledger.export(full=full).splitlines(keepends=True)
    with pytest.raises(LedgerError):
        read_export(b"".join(lines[:index] + lines[index + 1 :]), "file")


@pytest.mark.parametrize("name", ["outcome", "study", "release", "time", "closed", "bytes"])
def test_every_open_field_is_signed(ledger: Ledger, name: str) -> None:
    lines = [msgspec.json.decode(line) for line in ledger.export().splitlines()]
    lines[2][name] = "x"
    data = b"".join(msgspec.json.encode(line, order="deterministic") + b"\n" for line in lines)
    with pytest.raises(LedgerError, match="line 3"):
        read_export(data, "file")


def test_closed_fields_beside_their_digest_are_found(ledger: Ledger) -> None:
    """Nobody can put a verdict of their own into a line whose verdicts were left out."""
    lines = [msgspec.json.decode(line) for line in ledger.export().splitlines()]
    lines[1]["verdicts"] = [{"rule": "min_incidents", "found": 1}]
    data = b"".join(msgspec.json.encode(line, order="deterministic") + b"\n" for line in lines)
    with pytest.raises(LedgerError, match="line 2"):
        read_export(data, "file")


def test_an_export_is_no_ledger(ledger: Ledger, tmp_path: Path) -> None:
    """The store's own ledger must be whole: a line without its closed fields is not one."""
    *lines, head = ledger.export().splitlines(keepends=True)
    copy = Ledger(
        tmp_path / "ledger.jsonl", lambda: load_key(ledger.path.parent / "keys/identity.pem")
    )
    copy.path.write_bytes(b"".join(lines))
    copy.head_path.write_bytes(head)
    with pytest.raises(LedgerError, match="line 1"):
        copy.entries()


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{}\n{}\n", b"\xff\xfe\n\n", b"[]\n" * 3, b"[" * 99999]
)
def test_what_is_no_export_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(LedgerError, match="not an exported ledger"):
        read_export(data, "file")


@pytest.mark.parametrize("full", [False, True])
def test_a_thousand_mutations_are_refused(ledger: Ledger, full: bool) -> None:
    rng, data = random.Random(SEED), ledger.export(full=full)
    accepted = tried = 0
    while tried < MUTATIONS:
        changed = mutated(data, rng)
        if changed == data:
            continue
        tried += 1
        try:
            read_export(changed, "file")
            accepted += 1
        except EvalkitError:  # any other error would be a traceback, and ends the test
            continue
    assert (accepted, tried) == (0, MUTATIONS)


def test_an_earlier_head_is_found_in_a_longer_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    heads = [ledger.append({"outcome": "refused", "round": number}) for number in range(4)]
    assert [number_of(ledger.verify(), head, "") for head in heads] == [1, 2, 3, 4]


def test_a_ledger_begun_anew_lacks_the_earlier_head(tmp_path: Path) -> None:
    """Putting back an old ledger with its old head is found by a head that was written down, and by nothing else."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append({"outcome": "refused"})
    old = ledger.path.read_bytes(), ledger.head_path.read_bytes()
    head = ledger.append({"outcome": "released"})
    ledger.path.write_bytes(old[0])
    ledger.head_path.write_bytes(old[1])
    assert len(ledger.entries()) == 1
    with pytest.raises(LedgerError, match="earlier head"):
        number_of(ledger.verify(), head, "")
