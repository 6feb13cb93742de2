"""A ledger looked at again: lines verified before are not verified again, changed ones are."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.core.kept import Kept
from evalkit.disclosure import ledger as ledgers
from evalkit.disclosure.ledger import Ledger
from evalkit.errors import LedgerError

LINES = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "ledger.jsonl"
    for number in range(LINES):
        Ledger(made).append({"outcome": "released", "round": number})
    assert len(Ledger(made).entries()) == LINES
    return made


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of entries hashed from here on."""
    seen: list[int] = []
    real = ledgers._hash

    def watched(entry):
        seen.append(entry["number"])
        return real(entry)

    monkeypatch.setattr(ledgers, "_hash", watched)
    return seen


def test_appending_verifies_new_lines_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = hashed(monkeypatch)
    for number in range(3):
        Ledger(path).append({"outcome": "released", "round": LINES + number})
    # each line when it is written, and all but the last when the next is written
    assert seen == [LINES + 1, LINES + 1, LINES + 2, LINES + 2, LINES + 3]


def test_a_line_changed_after_it_was_verified_is_found(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"released"', b'"refused!"')
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="line 5"):
        Ledger(path).entries()
    with pytest.raises(LedgerError, match="line 5"):
        Ledger(path).append({"outcome": "released"})


@pytest.mark.parametrize("left", [0, 1, LINES - 1])
def test_lines_cut_off_are_gone_from_memory_too(path: Path, left: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:left]))
    assert len(Ledger(path).entries()) == left
    Ledger(path).append({"outcome": "refused"})
    assert [entry["number"] for entry in Ledger(path).entries()] == list(range(1, left + 2))


def test_a_broken_line_added_by_another_hand_is_found(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"number": 21}\n')
    with pytest.raises(LedgerError, match=f"line {LINES + 1}"):
        Ledger(path).entries()


def test_a_ledger_removed_begins_anew(path: Path) -> None:
    path.unlink()
    assert Ledger(path).entries() == []


def test_changing_what_was_handed_out_changes_nothing(path: Path) -> None:
    Ledger(path).entries()[0]["round"] = 99
    assert Ledger(path).entries()[0]["round"] == 0


def test_two_ledgers_do_not_share(tmp_path: Path, path: Path) -> None:
    other = Ledger(tmp_path / "other.jsonl")
    other.append({"outcome": "refused"})
    assert [entry["outcome"] for entry in other.entries()] == ["refused"]
    assert len(Ledger(path).entries()) == LINES


def test_a_ledger_above_the_bound_is_verified_every_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_VERIFIED", Kept(1))
    seen = hashed(monkeypatch)
    Ledger(path).entries()
    Ledger(path).entries()
    assert seen == [*range(1, LINES + 1)] * 2
