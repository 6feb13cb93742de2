"""The city's ledger: one JSON line per question answered or refused, chained by hashes, written first.

Each line holds the hash of the line before it, so that removing, reordering or editing one is found by
`verify`. Cutting lines off the end is found by whoever kept a later hash; signatures come with the release desk.

Every look at the ledger reads the whole file. Lines that a process has verified before and that are still the same
bytes are not verified again, so that a long ledger costs each answer its reading and its new lines only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from evalkit.core.kept import Kept
from evalkit.errors import LedgerError

__all__ = ["GENESIS", "Ledger"]

GENESIS: Final = "0" * 64
"""What the first line names as its predecessor."""

KEPT_BYTES: Final = 128 * 2**20
"""Memory for verified ledgers: of a thousand cities with twenty entries of 1.3 kB each, or of one with 20,000."""

_OBJECTS: Final = 5
"""Bytes of memory for each byte of a line: the line itself, and its entry, which takes 3.4 times as much."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """A ledger's bytes up to the end of its last line, and the entries in them."""

    data: bytes
    entries: tuple[dict[str, Any], ...]


_VERIFIED: Final[Kept[str, _Verified]] = Kept(KEPT_BYTES)


@dataclass(slots=True)
class Ledger:
    """An append-only file of entries.

    Attributes:
        path: JSON lines, created at the first entry.
    """

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def entries(self) -> list[dict[str, Any]]:
        """All entries, oldest first, verified.

        Raises:
            LedgerError: a line is damaged, or the chain is broken, with its number.
        """
        return [dict(entry) for entry in self._verified().entries]

    def _verified(self) -> _Verified:
        try:
            data = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return _Verified(b"", ())
        key = str(self.path.absolute())
        known = _VERIFIED.get(key)
        if known is not None and known.data == data:
            return known
        if known is None or not data.startswith(known.data):
            known = _Verified(b"", ())
        found = _verify(data, known, self.path)
        if data.endswith(b"\n"):  # else its last line might still be growing
            _VERIFIED.put(key, found, len(data) * _OBJECTS)
        return found

    def append(self, content: Mapping[str, Any]) -> str:
        """Write one entry and flush it to disk; returns its hash.

        Raises:
            LedgerError: the chain so far is broken, or the file cannot be written. Nothing may leave then.
        """
        with self._lock:
            entries = self._verified().entries
            entry: dict[str, Any] = {
                **content,
                "number": len(entries) + 1,
                "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
                "previous": entries[-1]["hash"] if entries else GENESIS,
            }
            entry["hash"] = _hash(entry)
            try:
                _write(self.path, msgspec.json.encode(entry, order="deterministic") + b"\n")
            except OSError as error:
                raise LedgerError(
                    f"the ledger cannot be written ({error.strerror})",
                    where=str(self.path),
                    limit="every release is in the ledger before it is sent",
                    way_out="free disk space or mend the folder's permissions",
                ) from None
            return str(entry["hash"])


def _verify(data: bytes, known: _Verified, path: Path) -> _Verified:
    """The entries of ``data``, which begins with ``known.data``.

    Raises:
        LedgerError: a line is damaged, or the chain is broken, with its number.
    """
    entries = list(known.entries)
    previous = entries[-1]["hash"] if entries else GENESIS
    lines = data[len(known.data) :].splitlines()
    for number, line in enumerate(lines, start=len(entries) + 1):
        entry = _decode(line, number, path)
        intact = (
            entry.get("previous") == previous
            and entry.get("number") == number
            and entry.get("hash") == _hash(entry)
        )
        if not intact:
            raise _broken(path, number)
        previous = entry["hash"]
        entries.append(entry)
    return _Verified(data, tuple(entries))


def _write(path: Path, line: bytes) -> None:
    """Append and flush to disk, in a folder that need not be there yet."""
    try:
        file = path.open("ab")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    with file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _hash(entry: Mapping[str, Any]) -> str:
    body = {key: value for key, value in entry.items() if key != "hash"}
    return hashlib.sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()


def _decode(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _broken(path, number) from None
    if not isinstance(entry, dict):
        raise _broken(path, number)
    return entry


def _broken(path: Path, number: int) -> LedgerError:
    return LedgerError(
        f"the ledger's chain is broken at line {number}",
        where=str(path),
        limit="lines only ever appended, each holding the hash of the one before",
        way_out="restore the file from a backup; until then nothing leaves this city",
    )
