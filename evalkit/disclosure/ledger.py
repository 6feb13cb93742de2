"""The city's ledger: one signed JSON line per question answered or refused, chained by hashes, written first.

What a line is, and what is found when it was changed, is said in `evalkit.disclosure.ledger_lines`. Beside the ledger
lies its head, ``ledger.head``, written after each line: the signed number of lines and the last hash, so that a cut
at the end is found. A machine that stops may leave lines that are later than the head; they are signed too, and the
next line mends it. Whoever can put back an old ledger and the old head that belongs to it is found only by somebody who
kept a later head hash elsewhere (``evalkit site ledger --since``).

Every look at the ledger reads the whole file. Lines that a process has verified before and that are still the same
bytes are not verified again, so that a long ledger costs each answer its reading and its new lines only. Processes that
write at the same time wait for each other, by a lock on the file where the system has such locks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from evalkit.core.kept import Kept
from evalkit.disclosure.keys import PrivateKey, check_public, kept_key, make_key, public_text
from evalkit.disclosure.ledger_export import exported
from evalkit.disclosure.ledger_lines import (
    EMPTY,
    GENESIS,
    Chain,
    Head,
    check_head,
    make_head,
    make_line,
)
from evalkit.errors import LedgerError

if sys.platform != "win32":
    import fcntl

__all__ = ["GENESIS", "Ledger"]

KEPT_BYTES: Final = 128 * 2**20
"""Memory for verified ledgers: of a thousand cities with twenty entries of 1.3 kB each, or of one with 20,000."""

HEAD_BYTES: Final = 256
"""Length of the head's file: a head with the largest number that 32 bits hold takes 225."""

_OBJECTS: Final = 5
"""Bytes of memory for each byte of a line: the line itself, and its entry, which takes 3.4 times as much."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """Lines and head as they were when they were verified."""

    chain: Chain
    head: bytes
    said: Head | None
    """What the head says; None where there is none yet."""


_VERIFIED: Final[Kept[str, _Verified]] = Kept(KEPT_BYTES)

_HERE: Final = threading.Lock()
"""In place of a lock on the file where the system has none: it holds within this process only."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An append-only file of entries.

    Attributes:
        path: JSON lines, created at the first entry; its head has the same name with the ending ``.head``.
        key: gives the city's private key, when it is needed. By default it is ``keys/identity.pem`` beside the ledger,
            made at the first entry.
    """

    path: Path
    key: Callable[[], PrivateKey] | None = None

    @property
    def head_path(self) -> Path:
        """The signed number of lines and the last hash."""
        return self.path.with_suffix(".head")

    def entries(self) -> list[dict[str, Any]]:
        """All entries, oldest first, verified.

        Raises:
            LedgerError: a line is damaged or missing, or the chain is broken, with its number.
            KeyFileError: the city's key is absent, or others can read it.
        """
        return [dict(entry) for entry in self.verify().entries]

    def verify(self, public: str = "") -> Chain:
        """All lines, verified with the public key that is given, or else with that of the city's private key.

        Raises:
            LedgerError: as `entries`.
            KeyFileError: as `entries`, if no public key is given.
            ConfigError: ``public`` is not a public key.
        """
        try:
            with self.path.open("rb") as file, _locked(file, exclusive=False):
                return self._state(file.read(), self._read_head(), public).chain
        except (FileNotFoundError, NotADirectoryError):
            return self._state(b"", self._read_head(), public).chain
        except OSError as error:
            raise self._unreadable(error) from None

    def export(self, *, full: bool = False) -> bytes:
        """The verified lines with a head, as one file that verifies by itself (`evalkit.disclosure.ledger_export`).

        Args:
            full: with the fields that stay in the city, for its own auditors.

        Raises:
            LedgerError: as `entries`.
            KeyFileError: as `entries`.
        """
        chain = self.verify()
        return (
            exported(chain, make_head(chain.head, self._key()), full=full) if chain.entries else b""
        )

    def append(self, content: Mapping[str, Any]) -> str:
        """Write one entry and flush it to disk; returns its hash.

        Raises:
            LedgerError: the chain so far is broken, or the file cannot be written. Nothing may leave then.
            KeyFileError: the city's key is absent, or others can read it. Nothing may leave then.
        """
        key = self._key(make=True)
        try:
            with _opened(self.path) as file, _locked(file, exclusive=True):
                file.seek(0)
                found = self._state(file.read(), self._read_head(), "")
                before = found.chain
                if (
                    found.said != before.head
                ):  # a new ledger, or the machine stopped before the head was written
                    self._write_head(before, key)
                after = make_line(content, before, key)
                _write_line(file, after.data[len(before.data) :])
                self._keep(_Verified(after, self._write_head(after, key), after.head))
        except OSError as error:
            raise LedgerError(
                f"the ledger cannot be written ({error.strerror})",
                where=str(self.path),
                limit="every release is in the ledger before it is sent",
                way_out="free disk space or mend the folder's permissions",
            ) from None
        return after.head.hash

    def _state(self, data: bytes, head: bytes | None, public: str) -> _Verified:
        """Lines and head, verified against each other."""
        if not data and head is None:
            return _Verified(EMPTY, b"", None)
        if head is None:
            raise LedgerError(
                "the ledger has lines and no head",
                where=str(self.head_path),
                limit="a signed head beside every ledger; versions of evalkit before signatures wrote none",
                way_out="restore both from a backup. If the ledger is that old, move it to another folder and keep "
                "it: a new one begins, and what it counts begins anew with it",
            )
        public = check_public(public) if public else public_text(self._key())
        name = str(self.path.absolute())
        known = _VERIFIED.get(name)
        if known is not None and known.chain.public not in ("", public):
            known = None
        if known is not None and known.chain.data == data and known.head == head:
            return known
        begun = known.chain if known is not None and data.startswith(known.chain.data) else EMPTY
        chain = begun.followed_by(data[len(begun.data) :], public, str(self.path))
        said = check_head(head, public, str(self.head_path))
        lines = len(chain.entries)
        last = str(chain.entries[said.number - 1]["hash"]) if 0 < said.number <= lines else GENESIS
        if said.number > lines or said.hash != last:
            raise LedgerError(
                f"the ledger has {lines} lines, and its head was signed after line {said.number}",
                where=str(self.path),
                limit="all lines that the head names; later ones are signed by themselves",
                way_out="restore the ledger and its head from a backup; until then nothing leaves this city",
            )
        found = _Verified(chain, head, said)
        self._keep(found)
        return found

    def _keep(self, found: _Verified) -> None:
        _VERIFIED.put(str(self.path.absolute()), found, len(found.chain.data) * _OBJECTS)

    def _read_head(self) -> bytes | None:
        """The head without the spaces that fill it up; as it is where it was not written so."""
        try:
            data = self.head_path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(error) from None
        written = data.rstrip(b" ")
        return written if written.ljust(HEAD_BYTES) == data else data

    def _write_head(self, chain: Chain, key: PrivateKey) -> bytes:
        """Write the head over the one before, and do not wait for the disk, except for the first.

        Its length is always the same and less than a sector, so that after a crash there is the old one or the new one;
        which of the two is of no account, as lines later than the head are signed too.
        """
        data = make_head(chain.head, key)
        first = not self.head_path.exists()
        with self.head_path.open("wb" if first else "r+b") as file:
            file.write(data.ljust(HEAD_BYTES))
            if first:
                file.flush()
                os.fsync(file.fileno())
        if first:
            _flush_folder(self.path.parent)
        return data

    def _key(self, *, make: bool = False) -> PrivateKey:
        if self.key is not None:
            return self.key()
        beside = self.path.parent / "keys" / "identity.pem"
        return make_key(beside) if make and not beside.exists() else kept_key(beside)

    def _unreadable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"the ledger cannot be read ({error.strerror})",
            where=str(self.path),
            limit="every release is in the ledger before it is sent",
            way_out="mend the folder's permissions",
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """For reading and appending, in a folder that need not be there yet."""
    try:
        file = path.open("a+b")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    with file:
        yield file


@contextlib.contextmanager
def _locked(file: IO[bytes], *, exclusive: bool) -> Iterator[None]:
    """Alone, or together with other readers, until the end of the block."""
    if sys.platform == "win32":
        with _HERE:
            yield
    else:
        fcntl.flock(file, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _write_line(file: IO[bytes], line: bytes) -> None:
    """Append and flush to disk; what was written of a line that does not fit is cut off again."""
    before = os.fstat(file.fileno()).st_size
    try:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file.fileno(), before)
        raise


def _flush_folder(folder: Path) -> None:
    """Make the renaming itself last, where a folder can be flushed."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
