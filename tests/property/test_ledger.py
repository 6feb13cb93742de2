"""Any change to a ledger's lines is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.disclosure.ledger import Ledger
from evalkit.errors import LedgerError

LINES = 6


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    ledger = Ledger(path)
    for number in range(LINES):
        ledger.append({"outcome": "released", "round": number, "release": f"{number:064x}"})
    return path.read_bytes().splitlines(keepends=True)


def check(folder: Path, lines: list[bytes]) -> list[dict[str, object]]:
    path = folder / "ledger.jsonl"
    path.write_bytes(b"".join(lines))
    return Ledger(path).entries()


def test_an_untouched_ledger_is_read(tmp_path: Path, lines: list[bytes]) -> None:
    assert [entry["round"] for entry in check(tmp_path, lines)] == list(range(LINES))


@given(index=st.integers(0, LINES - 2))
def test_a_removed_line_is_found(
    index: int, lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(LedgerError, match=f"line {index + 1}"):
        check(tmp_path_factory.mktemp("x"), lines[:index] + lines[index + 1 :])


@given(first=st.integers(0, LINES - 1), second=st.integers(0, LINES - 1))
def test_swapped_lines_are_found(
    first: int, second: int, lines: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if first == second:
        return
    swapped = list(lines)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    with pytest.raises(LedgerError):
        check(tmp_path_factory.mktemp("x"), swapped)


@given(line=st.integers(0, LINES - 1), place=st.floats(0, 1), value=st.integers(0, 255))
def test_a_changed_byte_is_found(
    line: int,
    place: float,
    value: int,
    lines: list[bytes],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    body = bytearray(lines[line][:-1])
    index = min(int(place * len(body)), len(body) - 1)
    if body[index] == value:
        return
    body[index] = value
    changed = [*lines[:line], bytes(body) + b"\n", *lines[line + 1 :]]
    with pytest.raises(LedgerError):
        check(tmp_path_factory.mktemp("x"), changed)


def test_nothing_is_appended_to_a_broken_ledger(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(LedgerError, match="line 1"):
        Ledger(path).append({"outcome": "released"})
    assert path.read_bytes() == b"".join(lines[1:])
