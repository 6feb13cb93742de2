"""A federation treaty: limits that several cities have agreed on and signed; the stricter of treaty and policy holds.

A treaty is a TOML file that its members share, and a file of their signatures beside it. A signature covers what the
treaty says and not how it is written, so that comments and order may change. It is in force in a city that is a member
under its own public key, from the last member's signature to the day it expires. A policy that names a treaty which is
not in force refuses everything: whoever could remove a signature could remove the limits otherwise.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from evalkit.config import parse_toml
from evalkit.disclosure.keys import PrivateKey, public_text, sign, verified
from evalkit.errors import ConfigError, SignatureError
from evalkit.policy import LIMITS, Name, Policy, PublicKey, check_policy, stricter

__all__ = [
    "MOST_BYTES",
    "PURPOSE",
    "Treaty",
    "Verdict",
    "judge_treaty",
    "parse_treaty",
    "policy_under",
    "read_signatures",
    "sign_treaty",
    "signatures_file",
    "under_treaty",
]

PURPOSE: Final = "evalkit treaty"

MOST_BYTES: Final = 1_000_000
"""Of a treaty's file, and of that of its signatures: a thousand members take a tenth of it."""


class Treaty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the cities agree on.

    ``members`` (city → public key), ``expires`` the first day on which it is not in force any more, ``limits`` any of
    the limits of a policy; what is not there is up to each city.
    """

    name: Name
    members: Annotated[dict[Name, PublicKey], msgspec.Meta(min_length=2)]
    expires: dt.date
    limits: dict[str, Any] = {}

    def content(self) -> dict[str, Any]:
        """What is signed; `disclosure.keys.canonical` makes bytes of it."""
        return {"purpose": PURPOSE, **msgspec.to_builtins(self)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a treaty is in force in a city.

    Attributes:
        treaty: what it says.
        signed: members whose signature is valid.
        problems: sentences without a full stop; none if it is in force.
    """

    treaty: Treaty
    signed: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def in_force(self) -> bool:
        """Whether nothing stands against it."""
        return not self.problems


def signatures_file(treaty: Path) -> Path:
    """Where a treaty's signatures are: beside it."""
    return treaty.with_name(f"{treaty.stem}.signatures.json")


def parse_treaty(data: bytes, *, where: str) -> Treaty:
    """Read a treaty's bytes.

    Raises:
        ConfigError: not a treaty, an unknown key or limit, or a limit of the wrong type or out of range.
    """
    try:
        if len(data) > MOST_BYTES:
            raise ValueError
        text = data.decode("utf-8-sig")
        stated = tomllib.loads(text).get("limits", {})
    except (ValueError, AttributeError, RecursionError):
        raise ConfigError(
            "the treaty is not one",
            where=where,
            limit=f"TOML in UTF-8, up to {MOST_BYTES:,} bytes",
            way_out="ask the city that wrote it for the file again",
        ) from None
    treaty = parse_toml(text, Treaty, where=where)
    unknown = sorted(set(treaty.limits) - set(LIMITS))
    if unknown:
        raise ConfigError(
            f"a treaty cannot set {', '.join(unknown)}",
            where=f"{where}, [limits]",
            limit=", ".join(LIMITS),
            way_out="leave it out; a limit this version does not know refuses everything",
        )
    try:
        limits = msgspec.convert(stated, Policy)
    except msgspec.ValidationError:
        raise ConfigError(
            "a limit of the treaty is of the wrong type or out of range",
            where=f"{where}, [limits]",
            limit="as in [policy]",
            way_out="correct it; members must sign again",
        ) from None
    check_policy(limits, where=f"{where}, [limits]")
    if len(set(treaty.members.values())) < len(treaty.members):
        raise ConfigError(
            "two members have the same key",
            where=f"{where}, [members]",
            limit="each city's own, which `evalkit site key` prints",
            way_out="correct it; members must sign again",
        )
    # Values as a policy has them: 1 and 1.0 are one limit, and must be one text when it is signed.
    plain = {key: msgspec.to_builtins(getattr(limits, key)) for key in stated}
    return msgspec.structs.replace(treaty, limits=plain)


def read_signatures(data: bytes) -> dict[str, str]:
    """City → signature; empty if the bytes are none, as then nobody has signed."""
    try:
        return msgspec.json.decode(data, type=dict[str, str]) if len(data) <= MOST_BYTES else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def sign_treaty(
    treaty: Treaty, signatures: Mapping[str, str], city: str, key: PrivateKey
) -> dict[str, str]:
    """The signatures with that of ``city``.

    Raises:
        SignatureError: the treaty does not name the city, or names it with another key.
    """
    problem = _no_member(treaty, city, public_text(key))
    if problem:
        raise SignatureError(
            problem,
            where=f"treaty {treaty.name}, [members]",
            limit=f'{city} = "{public_text(key)}"',
            way_out="send this line to whoever writes the treaty; all members sign what comes of it",
        )
    return dict(sorted({**signatures, city: sign(key, treaty.content())}.items()))


def judge_treaty(
    treaty: Treaty, signatures: Mapping[str, str], *, site: str, public: str, today: dt.date
) -> Verdict:
    """Whether the treaty is in force in a city.

    Args:
        treaty: what it says.
        signatures: city → signature.
        site: the city's name.
        public: the city's own public key.
        today: in UTC.
    """
    content = treaty.content()
    signed = tuple(
        city
        for city, key in treaty.members.items()
        if city in signatures and _verified(key, content, signatures[city])
    )
    problems: list[str] = []
    stranger = _no_member(treaty, site, public)
    if stranger:
        problems.append(stranger)
    if today >= treaty.expires:
        problems.append(f"it expired on {treaty.expires.isoformat()}")
    for city in treaty.members:
        if city not in signatures:
            problems.append(f"{city} has not signed it")
        elif city not in signed:
            problems.append(f"the signature of {city} is not of this treaty by its key")
    return Verdict(treaty, signed, tuple(problems))


def under_treaty(policy: Policy, treaty: Treaty) -> Policy:
    """The policy with the stricter of its own and the treaty's limits, and no treaty left to resolve."""
    stated = msgspec.convert({**msgspec.to_builtins(policy), **treaty.limits}, Policy)
    return msgspec.structs.replace(stricter(policy, stated), treaty="")


@lru_cache(maxsize=64)
def policy_under(
    policy: bytes, treaty: bytes, signatures: bytes, site: str, public: str, today: dt.date
) -> Policy:
    """The policy in force of the bytes of all three files; the policy itself, unresolved, if the treaty is not."""
    written = msgspec.json.decode(policy, type=Policy)
    try:
        agreed = parse_treaty(treaty, where="treaty")
    except ConfigError:
        return written
    verdict = judge_treaty(
        agreed, read_signatures(signatures), site=site, public=public, today=today
    )
    return under_treaty(written, agreed) if verdict.in_force else written


def _no_member(treaty: Treaty, site: str, public: str) -> str:
    """Why a city is not a member under its own key; empty if it is."""
    if site not in treaty.members:
        return f"{site} is not among its members"
    return "" if treaty.members[site] == public else f"it names {site} with another key"


def _verified(public: str, content: Mapping[str, Any], signature: str) -> bool:
    """A member's key that is no point of the curve has signed nothing."""
    try:
        return verified(public, content, signature)
    except ConfigError:
        return False
