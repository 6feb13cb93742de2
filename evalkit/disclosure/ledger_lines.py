"""A ledger's lines as bytes: how one is made, hashed and signed, and how a chain of them is verified. No files here.

Each line is canonical JSON with the hash of the line before it and the city's signature over its own hash, so that
deleting, moving, editing or inserting one is found, and none can be made without the city's private key. The head, a
small signed object of its own, holds the number of lines and the hash of the last: cutting the end is found too.

A line's hash is taken in two steps. The fields of `OPEN`, which the server or the public may see, are hashed as they
are; all others as one digest, `closed`, salted with 128 random bits. A line whose closed fields were left out for the
public therefore still verifies, and says nothing of them.

Vocabulary
    open    fields that may leave the city: what was asked, when, for which study, and what became of it.
    closed  fields that stay: counts found by rules, fingerprints of data, whatever a later version adds.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from evalkit.disclosure.keys import PrivateKey, canonical, is_public, public_text, sign, verified
from evalkit.errors import LedgerError

__all__ = [
    "EMPTY",
    "GENESIS",
    "OPEN",
    "Chain",
    "Head",
    "check_head",
    "first_key",
    "make_head",
    "make_line",
    "open_fields",
]

GENESIS: Final = "0" * 64
"""What the first line names as its predecessor."""

OPEN: Final = frozenset(
    {
        "bytes",
        "epsilon",
        "estimator",
        "expires",
        "given",
        "key",
        "needed",
        "number",
        "numbers",
        "officer",
        "outcome",
        "previous",
        "reason",
        "release",
        "release_class",
        "round",
        "rules",
        "site",
        "stage",
        "statement",
        "studies",
        "study",
        "study_name",
        "time",
    }
)
"""Fields that an export for the public holds. A field that is not listed stays in the city.

Lines are hashed by this list: another one needs another purpose in `LINE`, or ledgers of before would not verify.
"""

LINE: Final = "evalkit ledger line"
HEAD: Final = "evalkit ledger head"

_MADE: Final = frozenset({"closed", "hash", "signature"})
"""Fields that only this module writes."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the head says: how many lines there are, and the hash of the last."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A ledger's verified lines.

    Attributes:
        data: the bytes, up to the end of the last line.
        entries: what is in them, oldest first.
        public: the public key that all of them are signed with; empty without a line.
    """

    data: bytes
    entries: tuple[dict[str, Any], ...]
    public: str

    @property
    def head(self) -> Head:
        """What the head of these lines must say."""
        return Head(len(self.entries), str(self.entries[-1]["hash"]) if self.entries else GENESIS)

    def followed_by(self, data: bytes, public: str, where: str, *, exported: bool = False) -> Chain:
        """Verify the lines of ``data``, which follow these.

        Args:
            data: whole lines.
            public: the city's public key.
            where: the file, for messages.
            exported: whether closed fields may have been left out.

        Raises:
            LedgerError: with the number of the first line that is damaged, or not the next of the chain.
        """
        if not data:
            return self
        if not data.endswith(b"\n"):
            raise _broken(where, len(self.entries) + data.count(b"\n") + 1, "is incomplete")
        entries, previous = list(self.entries), self.head.hash
        for number, line in enumerate(data[:-1].split(b"\n"), start=len(entries) + 1):
            entry = _decoded(line)
            if entry is None or entry.get("previous") != previous or entry.get("number") != number:
                raise _broken(where, number)
            if "signature" not in entry:
                raise _unsigned(where, number)
            if "closed" in entry and not exported:
                raise _broken(where, number, "is one of an export")
            if number == 1 and entry.get("key") != public:
                raise _broken(where, number, "names another key than the city's")
            if entry.get("hash") != _hash(entry) or not _signed(entry, public):
                raise _broken(where, number)
            previous = str(entry["hash"])
            entries.append(entry)
        return Chain(self.data + data, tuple(entries), public)


EMPTY: Final = Chain(b"", (), "")


def make_line(content: Mapping[str, Any], chain: Chain, key: PrivateKey) -> Chain:
    """``chain`` with one more line.

    Args:
        content: of the entry; it cannot name the fields that are made here.
        chain: so far.
        key: of the city.
    """
    entry: dict[str, Any] = {
        **{name: value for name, value in content.items() if name not in _MADE},
        "number": len(chain.entries) + 1,
        "time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "previous": chain.head.hash,
        "salt": secrets.token_hex(16),
    }
    public = chain.public or public_text(key)
    if not chain.entries:
        entry["key"] = public
    # as it will be read again, so that numbers and texts of other types cannot make another hash of it
    entry = msgspec.json.decode(canonical(entry))
    entry["hash"] = _hash(entry)
    entry["signature"] = sign(key, _purposed(entry["hash"]))
    return Chain(chain.data + canonical(entry) + b"\n", (*chain.entries, entry), public)


def make_head(head: Head, key: PrivateKey) -> bytes:
    """The head's file."""
    content = _head_content(head)
    return canonical({**content, "signature": sign(key, content)}) + b"\n"


def check_head(data: bytes, public: str, where: str) -> Head:
    """Read and verify a head.

    Raises:
        LedgerError: it is damaged, or not signed with that key.
    """
    found = (_decoded(data[:-1]) if data.endswith(b"\n") else None) or {}
    head = Head(found.get("number", -1), found.get("hash", ""))
    content, signature = _head_content(head), found.get("signature", "")
    if found != {**content, "signature": signature} or not verified(public, content, signature):
        raise LedgerError(
            "the ledger's head is damaged, or signed with another key than the city's",
            where=where,
            limit="the number of lines and the last hash, signed by the city",
            way_out="restore it with its ledger from a backup; until then nothing leaves this city",
        )
    return head


def first_key(line: bytes) -> str:
    """The public key that a first line names; empty if it names none that could be one."""
    key = (_decoded(line.removesuffix(b"\n")) or {}).get("key")
    return key if isinstance(key, str) and is_public(key) else ""


def open_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A verified line without its closed fields, which still verifies."""
    shown = {name: value for name, value in entry.items() if name in OPEN}
    return {
        **shown,
        "closed": _closed(entry),
        "hash": entry["hash"],
        "signature": entry["signature"],
    }


def _head_content(head: Head) -> dict[str, Any]:
    return {"purpose": HEAD, "number": head.number, "hash": head.hash}


def _purposed(digest: str) -> dict[str, str]:
    return {"purpose": LINE, "hash": digest}


def _signed(entry: Mapping[str, Any], public: str) -> bool:
    return verified(public, _purposed(str(entry["hash"])), entry["signature"])


def _hash(entry: Mapping[str, Any]) -> str:
    body = {name: value for name, value in entry.items() if name in OPEN}
    body["closed"] = _closed(entry)
    return hashlib.sha256(canonical(body)).hexdigest()


def _closed(entry: Mapping[str, Any]) -> Any:
    """The digest of the closed fields, or what stands for it in an exported line."""
    hidden = {name: v for name, v in entry.items() if name not in OPEN and name not in _MADE}
    if "closed" in entry:
        return None if hidden else entry["closed"]  # both is neither
    return hashlib.sha256(canonical(hidden)).hexdigest()


def _decoded(line: bytes) -> dict[str, Any] | None:
    """The object in a line, None if it is not one or not written in the canonical way."""
    try:
        entry = msgspec.json.decode(line)
        return entry if isinstance(entry, dict) and canonical(entry) == line else None
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        return None


def _broken(where: str, number: int, how: str = "") -> LedgerError:
    what = f"the ledger's chain is broken at line {number}"
    return LedgerError(
        f"{what}, which {how}" if how else what,
        where=where,
        limit="lines only ever appended, each signed by the city and holding the hash of the one before",
        way_out="restore the file from a backup; until then nothing leaves this city",
    )


def _unsigned(where: str, number: int) -> LedgerError:
    return LedgerError(
        f"the ledger's line {number} is not signed",
        where=where,
        limit="lines signed by the city; versions of evalkit before signatures wrote them without",
        way_out="if the ledger is that old, move it to another folder and keep it: a new one begins, and what it "
        "counts begins anew with it. Otherwise restore it from a backup",
    )
