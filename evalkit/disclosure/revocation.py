"""A city withdraws from a study: a signed statement that whoever ran it can check, and a line in the city's ledger.

From that line on the city refuses whatever the study asks (rule ``revoked``), whoever has approved it, until a line
takes it back. The statement names the study and every study that its approval covers, or all studies. A reason is the
city's to give, and is printed as it came.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from evalkit.disclosure.keys import PrivateKey, canonical, public_text, sign, verified
from evalkit.errors import ConfigError, SignatureError
from evalkit.policy import Name, PublicKey

__all__ = [
    "ALL",
    "MOST_BYTES",
    "PURPOSE",
    "Revocation",
    "check_revocation",
    "is_revoked",
    "read_revocation",
    "revocation_bytes",
    "revoke",
]

PURPOSE: Final = "evalkit revocation"

ALL: Final = "all"
"""In place of hashes: every study, those of the past and those to come."""

MOST_BYTES: Final = 100_000
"""Of a statement's file: a study, its specifications and those of its checks take 70 bytes each."""

Hash = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64}|all)$")]


class Revocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a city says. ``studies`` are hashes, or ``all`` alone; ``key`` is the city's public key."""

    purpose: str
    site: Name
    studies: Annotated[tuple[Hash, ...], msgspec.Meta(min_length=1, max_length=1000)]
    reason: Annotated[str, msgspec.Meta(max_length=1000)]
    date: dt.date
    key: PublicKey
    signature: Annotated[str, msgspec.Meta(max_length=100)]

    def content(self) -> dict[str, Any]:
        """What is signed."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in plain.items() if name != "signature"}

    def covers(self, study: str) -> bool:
        """Whether the city withdraws from the study of that hash."""
        return ALL in self.studies or study in self.studies


def revoke(
    key: PrivateKey, site: str, studies: Sequence[str], *, reason: str = "", date: dt.date
) -> Revocation:
    """A signed statement.

    Args:
        key: the city's own.
        site: its name.
        studies: hashes, or `ALL`.
        reason: in the city's words; may be empty.
        date: of the statement.
    """
    unsigned = Revocation(
        purpose=PURPOSE,
        site=site,
        studies=tuple(studies),
        reason=reason,
        date=date,
        key=public_text(key),
        signature="",
    )
    return msgspec.structs.replace(unsigned, signature=sign(key, unsigned.content()))


def revocation_bytes(statement: Revocation) -> bytes:
    """The statement as a file."""
    return canonical(msgspec.to_builtins(statement)) + b"\n"


def read_revocation(data: bytes) -> Revocation:
    """A statement from the bytes of its file; its signature is not looked at, see `check_revocation`.

    Only the bytes that `revocation_bytes` writes are read: a file that says the same in another way was changed.

    Raises:
        ConfigError: it is none.
    """
    try:
        if len(data) > MOST_BYTES:
            raise ValueError("too long")
        statement = msgspec.json.decode(data, type=Revocation)
        if statement.purpose != PURPOSE or revocation_bytes(statement) != data:
            raise ValueError("not canonical")
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise ConfigError(
            "the file is not a city's revocation",
            limit="what `evalkit site revoke` writes, unchanged",
            way_out="ask the city for the file again",
        ) from None
    return statement


def check_revocation(statement: Revocation, site: str, key: str, study: str) -> None:
    """Whether it is this city that withdraws from this study.

    Args:
        statement: as it came.
        site: the city it must be of.
        key: that city's public key, from the run's roster and not from the statement.
        study: hash of the study.

    Raises:
        SignatureError: it is another city's, or was not signed with its key.
        ConfigError: it is about other studies.
    """
    mine = statement.site == site and statement.key == key
    if not mine or not verified(key, statement.content(), statement.signature):
        raise SignatureError(
            "the revocation is not signed by the city it names",
            where=f"site {statement.site}",
            limit="a signature with the key that the city had when the study ran",
            way_out="ask the city for the file again; if it has a new key, name the old one with --public-key",
        )
    if not statement.covers(study):
        raise ConfigError(
            "the revocation is about other studies",
            where=f"site {statement.site}",
            limit=f"study {study}",
            way_out="ask the city which study it withdraws from",
        )


def is_revoked(entries: Sequence[Mapping[str, Any]], study: str) -> bool:
    """Whether the ledger says that the city has withdrawn from the study, or from all.

    Taking back a withdrawal from all leaves those from single studies in force; taking back one from a study exempts
    it from an earlier withdrawal from all.
    """
    own = everything = False
    for entry in entries:
        outcome, studies = entry.get("outcome"), entry.get("studies", ())
        if outcome not in ("revoked", "reinstated"):
            continue
        revoked = outcome == "revoked"
        if ALL in studies:
            everything = revoked
        elif study in studies:
            own, everything = revoked, everything and revoked
    return own or everything
