"""The city's ledger: one JSON line per question answered or refused, chained by hashes, written first.

Each line holds the hash of the line before it, so that removing, reordering or editing one is found by
`verify`. Cutting lines off the end is found by whoever kept a later hash; signatures come with the release desk.
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

from evalkit.errors import LedgerError

__all__ = ["GENESIS", "Ledger"]

GENESIS: Final = "0" * 64
"""What the first line names as its predecessor."""


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
        if not self.path.exists():
            return []
        entries: list[dict[str, Any]] = []
        previous = GENESIS
        for number, line in enumerate(self.path.read_bytes().splitlines(), start=1):
            entry = _decode(line, number, self.path)
            intact = (
                entry.get("previous") == previous
                and entry.get("number") == number
                and entry.get("hash") == _hash(entry)
            )
            if not intact:
                raise _broken(self.path, number)
            previous = entry["hash"]
            entries.append(entry)
        return entries

    def append(self, content: Mapping[str, Any]) -> str:
        """Write one entry and flush it to disk; returns its hash.

        Raises:
            LedgerError: the chain so far is broken, or the file cannot be written. Nothing may leave then.
        """
        with self._lock:
            entries = self.entries()
            entry: dict[str, Any] = {
                **content,
                "number": len(entries) + 1,
                "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
                "previous": entries[-1]["hash"] if entries else GENESIS,
            }
            entry["hash"] = _hash(entry)
            line = msgspec.json.encode(entry, order="deterministic") + b"\n"
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("ab") as file:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise LedgerError(
                    f"the ledger cannot be written ({error.strerror})",
                    where=str(self.path),
                    limit="every release is in the ledger before it is sent",
                    way_out="free disk space or mend the folder's permissions",
                ) from None
            return str(entry["hash"])


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
