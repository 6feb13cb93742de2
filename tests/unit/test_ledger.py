"""A ledger looked at again, written by several at once, cut short by a crash, or changed by another hand."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from evalkit.core.kept import Kept
from evalkit.disclosure import ledger as ledgers
from evalkit.disclosure import ledger_lines
from evalkit.disclosure.keys import load_key, make_key, public_text
from evalkit.disclosure.ledger import Ledger
from evalkit.errors import KeyFileError, LedgerError

LINES = 20
WRITERS, EACH = 4, 15


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "ledger.jsonl"
    for number in range(LINES):
        Ledger(made).append({"outcome": "released", "round": number, "found": 127})
    assert len(Ledger(made).entries()) == LINES
    return made


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of entries hashed from here on."""
    seen: list[int] = []
    real = ledger_lines._hash

    def watched(entry):
        seen.append(entry["number"])
        return real(entry)

    monkeypatch.setattr(ledger_lines, "_hash", watched)
    return seen


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_appending_hashes_new_lines_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = hashed(monkeypatch)
    for number in range(3):
        Ledger(path).append({"outcome": "released", "round": LINES + number})
    assert len(Ledger(path).entries()) == LINES + 3
    assert seen == [LINES + 1, LINES + 2, LINES + 3]


def test_another_process_s_lines_are_verified(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers._VERIFIED.clear()
    seen = hashed(monkeypatch)
    assert len(Ledger(path).entries()) == LINES
    assert seen == [*range(1, LINES + 1)]


def test_a_line_changed_after_it_was_verified_is_found(path: Path) -> None:
    lines = lines_of(path)
    lines[4] = lines[4].replace(b'"released"', b'"refused!"')
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="line 5"):
        Ledger(path).entries()
    with pytest.raises(LedgerError, match="line 5"):
        Ledger(path).append({"outcome": "released"})


@pytest.mark.parametrize("left", [0, 1, LINES - 2, LINES - 1])
def test_lines_cut_off_the_end_are_found(path: Path, left: int) -> None:
    path.write_bytes(b"".join(lines_of(path)[:left]))
    with pytest.raises(LedgerError, match=f"has {left} lines, and its head"):
        Ledger(path).entries()
    with pytest.raises(LedgerError):
        Ledger(path).append({"outcome": "refused"})


def test_a_ledger_removed_is_missed(path: Path) -> None:
    path.unlink()
    with pytest.raises(LedgerError, match="has 0 lines"):
        Ledger(path).entries()
    with pytest.raises(LedgerError):
        Ledger(path).append({"outcome": "refused"})


def test_a_head_removed_is_missed(path: Path) -> None:
    Ledger(path).head_path.unlink()
    with pytest.raises(LedgerError, match="no head"):
        Ledger(path).entries()


def test_an_old_head_covers_what_it_names_and_lines_signed_later(path: Path) -> None:
    ledger = Ledger(path)
    old, lines = ledger.head_path.read_bytes(), path.read_bytes()
    ledger.append({"outcome": "refused"})
    ledger.append({"outcome": "refused"})
    ledger.head_path.write_bytes(old)
    assert len(ledger.entries()) == LINES + 2
    # the limit: the end cut off, and the head that was true then put back; no further than that head
    path.write_bytes(lines)
    assert len(ledger.entries()) == LINES
    path.write_bytes(lines[: lines.rstrip(b"\n").rindex(b"\n") + 1])
    with pytest.raises(LedgerError, match=f"signed after line {LINES}"):
        ledger.entries()


def test_a_crash_before_the_head_is_mended_by_the_next_line(path: Path) -> None:
    ledger = Ledger(path)
    old = ledger.head_path.read_bytes()
    ledger.append({"outcome": "refused"})
    ledger.head_path.write_bytes(old)
    ledgers._VERIFIED.clear()
    assert len(ledger.entries()) == LINES + 1
    ledger.append({"outcome": "refused"})
    ledgers._VERIFIED.clear()
    assert len(ledger.entries()) == LINES + 2
    assert msgspec.json.decode(ledger.head_path.read_bytes())["number"] == LINES + 2


@pytest.mark.parametrize("reached", ["line", "first head", "last head"])
def test_a_crash_at_any_moment_of_the_first_line_leaves_a_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: str
) -> None:
    """The head of an empty ledger is written before its first line, so that a line without a head is never right."""
    ledger, calls = Ledger(tmp_path / "ledger.jsonl"), []
    real = Ledger._write_head

    def stops(self, chain, key):
        calls.append(chain)
        if (reached, len(calls)) in (("first head", 1), ("last head", 2)):
            raise KeyboardInterrupt
        return real(self, chain, key)

    def never(file, line):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "_write_head", stops)
        if reached == "line":
            patched.setattr(ledgers, "_write_line", never)
        with pytest.raises(KeyboardInterrupt):
            ledger.append({"outcome": "released"})
    assert len(ledger.entries()) == (1 if reached == "last head" else 0)
    ledger.append({"outcome": "released"})
    assert [entry["number"] for entry in ledger.entries()] == [*range(1, len(ledger.entries()) + 1)]


def test_a_line_that_does_not_fit_on_the_disk_is_cut_off_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(LedgerError, match="cannot be written"):
            Ledger(path).append({"outcome": "released"})
    assert path.read_bytes() == before
    assert len(Ledger(path).entries()) == LINES


def test_a_broken_line_added_by_another_hand_is_found(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"number": 21}\n')
    with pytest.raises(LedgerError, match=f"line {LINES + 1}"):
        Ledger(path).entries()


@pytest.mark.parametrize("rest", [b" ", b"\n", b"{}", b"\x00" * 40])
def test_anything_after_the_last_line_is_found(path: Path, rest: bytes) -> None:
    with path.open("ab") as file:
        file.write(rest)
    with pytest.raises(LedgerError, match=f"line {LINES + 1}"):
        Ledger(path).entries()


def test_another_way_of_writing_the_same_line_is_found(path: Path) -> None:
    lines = lines_of(path)
    lines[6] = lines[6].replace(b'"round":6', b'"round": 6')
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match="line 7"):
        Ledger(path).entries()


def test_a_line_signed_by_another_key_is_found(path: Path, tmp_path: Path) -> None:
    """Whoever can write the file and knows how hashes are taken still lacks the city's key."""
    forger = make_key(tmp_path / "forger.pem")
    chain = Ledger(path).verify()
    forged = ledger_lines.make_line({"outcome": "released"}, chain, forger)
    path.write_bytes(forged.data)
    with pytest.raises(LedgerError, match=f"line {LINES + 1}"):
        Ledger(path).entries()
    Ledger(path).head_path.write_bytes(ledger_lines.make_head(forged.head, forger))
    with pytest.raises(LedgerError):
        Ledger(path).entries()


def test_a_whole_ledger_of_another_key_is_found(path: Path, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other" / "ledger.jsonl")
    other.append({"outcome": "refused"})
    shutil.copy(other.path, path)
    shutil.copy(other.head_path, Ledger(path).head_path)
    with pytest.raises(LedgerError, match="another key"):
        Ledger(path).entries()


def test_the_public_key_alone_verifies(path: Path, tmp_path: Path) -> None:
    identity = path.parent / "keys" / "identity.pem"
    public = public_text(load_key(identity))
    identity.unlink()
    ledgers._VERIFIED.clear()
    assert len(Ledger(path).verify(public).entries) == LINES
    with pytest.raises(LedgerError, match="another key"):
        Ledger(path).verify(public_text(make_key(tmp_path / "other.pem")))
    with pytest.raises(KeyFileError):
        Ledger(path).entries()


def test_a_ledger_from_before_there_were_signatures_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"hash":"00","number":1,"outcome":"released","previous":"00"}\n')
    with pytest.raises(LedgerError) as found:
        Ledger(path).entries()
    assert "before signatures" in str(found.value)
    assert "move it to another folder and keep it" in str(found.value)


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


def _writer(path: Path, name: int) -> None:
    for number in range(EACH):
        Ledger(path).append({"outcome": "released", "writer": name, "round": number})


@pytest.mark.skipif(sys.platform == "win32", reason="locks between processes are those of POSIX")
def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append({"outcome": "refused"})
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_writer, args=(path, name)) for name in range(WRITERS)]
    for one in writers:
        one.start()
    seen = 0
    while any(one.is_alive() for one in writers):  # and who reads meanwhile sees a whole chain
        found = len(Ledger(path).entries())
        assert found >= seen
        seen = found
    for one in writers:
        one.join()
    assert [one.exitcode for one in writers] == [0] * WRITERS
    ledgers._VERIFIED.clear()
    entries = Ledger(path).entries()
    assert len(entries) == 1 + WRITERS * EACH
    for name in range(WRITERS):
        written = [entry["round"] for entry in entries if entry.get("writer") == name]
        assert written == [*range(EACH)]
