"""Any change to a ledger's lines or head is found."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.disclosure.keys import load_key, make_key
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.ledger_lines import make_line
from evalkit.errors import EvalkitError, LedgerError

LINES = 6
MUTATIONS = 1000
SEED = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ledger, its head and its key."""
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(folder / "ledger.jsonl")
    for number in range(LINES):
        verdicts = [{"rule": "min_units", "passed": True, "found": 40, "limit": 10}]
        ledger.append(
            {
                "outcome": "released",
                "round": number,
                "release": f"{number:064x}",
                "verdicts": verdicts,
            }
        )
    return folder


@pytest.fixture(scope="module")
def lines(made: Path) -> list[bytes]:
    return (made / "ledger.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture(scope="module")
def copy(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second store with the same key, to put changed ledgers into."""
    return shutil.copytree(made, tmp_path_factory.mktemp("copy") / "store")


def check(folder: Path, lines: list[bytes], head: bytes | None = None) -> list[dict[str, object]]:
    path = folder / "ledger.jsonl"
    path.write_bytes(b"".join(lines))
    if head is not None:
        (folder / "ledger.head").write_bytes(head)
    return Ledger(path).entries()


def test_an_untouched_ledger_is_read(copy: Path, lines: list[bytes]) -> None:
    assert [entry["round"] for entry in check(copy, lines)] == list(range(LINES))


@pytest.mark.parametrize("index", range(LINES))
def test_every_removed_line_is_found(index: int, copy: Path, lines: list[bytes]) -> None:
    with pytest.raises(LedgerError):
        check(copy, lines[:index] + lines[index + 1 :])


@pytest.mark.parametrize("index", range(LINES))
def test_every_cut_is_found(index: int, copy: Path, lines: list[bytes]) -> None:
    with pytest.raises(LedgerError):
        check(copy, lines[:index])
    with pytest.raises(LedgerError):
        check(copy, [*lines[:index], lines[index][:-1]])


@pytest.mark.parametrize("index", range(LINES))
@pytest.mark.parametrize("place", range(LINES + 1))
def test_every_duplicated_line_is_found(
    index: int, place: int, copy: Path, lines: list[bytes]
) -> None:
    with pytest.raises(LedgerError):
        check(copy, [*lines[:place], lines[index], *lines[place:]])


@pytest.mark.parametrize("first", range(LINES))
@pytest.mark.parametrize("second", range(LINES))
def test_every_swap_is_found(first: int, second: int, copy: Path, lines: list[bytes]) -> None:
    if first == second:
        return
    swapped = list(lines)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    with pytest.raises(LedgerError):
        check(copy, swapped)


@pytest.mark.parametrize("place", range(LINES + 1))
def test_every_line_forged_with_another_key_is_found(
    place: int, copy: Path, lines: list[bytes], tmp_path: Path
) -> None:
    """The forger appends as the city would, hashes and all; only the signature is by another hand."""
    city = load_key(copy / "keys" / "identity.pem")
    kept = check(copy, lines)
    chain = Ledger(copy / "ledger.jsonl").verify()
    assert len(kept) == LINES
    before = type(chain)(b"".join(lines[:place]), chain.entries[:place], chain.public)
    forged = make_line({"outcome": "refused"}, before, make_key(tmp_path / "forger.pem"))
    line = forged.data[len(before.data) :]
    with pytest.raises(LedgerError):
        check(copy, [*lines[:place], line, *lines[place:]])
    # and it is the key that is missing: the city's own next line would be accepted
    if place == LINES:
        own = make_line({"outcome": "refused"}, before, city)
        assert len(check(copy, [own.data])) == LINES + 1


@given(line=st.integers(0, LINES - 1), place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_changed_byte_is_found(
    line: int, place: float, value: int, copy: Path, lines: list[bytes]
) -> None:
    body = bytearray(lines[line])
    index = min(int(place * len(body)), len(body) - 1)
    if body[index] == value:
        return
    body[index] = value
    with pytest.raises(LedgerError):
        check(copy, [*lines[:line], bytes(body), *lines[line + 1 :]])


@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_changed_byte_of_the_head_is_found(
    place: float, value: int, made: Path, copy: Path, lines: list[bytes]
) -> None:
    head = bytearray((made / "ledger.head").read_bytes())
    index = min(int(place * len(head)), len(head) - 1)
    if head[index] == value:
        return
    head[index] = value
    try:
        with pytest.raises(LedgerError):
            check(copy, lines, bytes(head))
    finally:
        shutil.copy(made / "ledger.head", copy / "ledger.head")


def test_nothing_is_appended_to_a_broken_ledger(copy: Path, lines: list[bytes]) -> None:
    path = copy / "ledger.jsonl"
    path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(LedgerError, match="line 1"):
        Ledger(path).append({"outcome": "released"})
    assert path.read_bytes() == b"".join(lines[1:])


def test_a_thousand_mutations_are_refused(made: Path, copy: Path) -> None:
    """Of ledger or head: bits flipped, bytes removed, swapped, repeated or inserted, lines moved; 0 accepted."""
    rng = random.Random(SEED)
    files = {name: (made / name).read_bytes() for name in ("ledger.jsonl", "ledger.head")}
    accepted, tried = 0, 0
    while tried < MUTATIONS:
        name = rng.choice(["ledger.jsonl", "ledger.jsonl", "ledger.jsonl", "ledger.head"])
        changed = mutated(files[name], rng)
        if changed == files[name]:
            continue
        tried += 1
        for each, data in files.items():
            (copy / each).write_bytes(changed if each == name else data)
        try:
            Ledger(copy / "ledger.jsonl").entries()
            accepted += 1
        except EvalkitError:  # any other error would be a traceback, and ends the test
            continue
    assert (accepted, tried) == (0, MUTATIONS)


def mutated(data: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(7)
    at = rng.randrange(len(data))
    length = rng.choice([1, 2, 8, 64, 400])
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + data[at + length :]
    if kind == 2:
        return data[:at] + rng.randbytes(length) + data[at:]
    if kind == 3:
        other = rng.randrange(len(data))
        swapped = bytearray(data)
        swapped[at], swapped[other] = swapped[other], swapped[at]
        return bytes(swapped)
    if kind == 4:
        return data[:at] + data[at : at + length] * 2 + data[at + length :]
    if kind == 5:
        return data[:at]
    lines = data.splitlines(keepends=True)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice([*lines, b"{}\n", b"\n", b"[" * 9999]))
    return b"".join(lines)
