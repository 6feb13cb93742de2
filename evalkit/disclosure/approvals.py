"""Signed approvals: which studies a city's officers let be asked, each in a file that says what was approved.

An approval names the city, the study's hash, the most revealing class of what leaves, and a digest of the limits in
force. It holds for exactly these: another study, a copy in another city's store, a changed limit, and it is none. What
is signed is the canonical JSON of the approval, and a file that is not byte for byte what `write` makes is none either.

An approval that was withdrawn stays so, though somebody puts its file back: the ledger has its digest.

    <store>/approvals/<study hash>/<officer>.json
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from evalkit.core.estimator import RELEASE_CLASSES
from evalkit.disclosure.keys import PrivateKey, canonical, sign, verified
from evalkit.errors import ConfigError
from evalkit.policy import Policy, ReleaseClass, limits_of

__all__ = [
    "Approval",
    "Judged",
    "approval_bytes",
    "approved_studies",
    "digest_of",
    "judge_approval",
    "limits_digest",
    "read_approvals",
    "withdrawn_digests",
]

MOST_BYTES: Final = 16_384
"""Of an approval's file; one takes 700."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an officer signs.

    ``policy`` is `limits_digest` of the policy in force, ``release_class`` the most revealing class of anything that
    leaves for the study or what it covers, ``time`` in UTC, ``expires`` the first day on which it does not hold.
    """

    purpose: Literal["evalkit approval"] = "evalkit approval"
    site: str
    study: str
    study_name: str
    release_class: ReleaseClass
    policy: str
    officer: str
    time: dt.datetime
    expires: dt.date | None = None


class _Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    approval: Approval
    signature: str


@dataclass(frozen=True, slots=True)
class Judged:
    """An approval's file, and whether it counts.

    Attributes:
        study, officer: as the file's place says.
        digest: SHA-256 of the file.
        approval: what it says; None if it cannot be read.
        reason: why it does not count; empty if it does.
    """

    study: str
    officer: str
    digest: str
    approval: Approval | None
    reason: str

    @property
    def valid(self) -> bool:
        """Whether it counts."""
        return not self.reason


def limits_digest(policy: Policy, release_class: ReleaseClass) -> str:
    """SHA-256 of the limits in force: a changed limit asks officers anew, another officer does not.

    What hides a city in a masked sum are its peers: there another of them, or another key, asks anew too.
    """
    limits = limits_of(policy)
    if release_class == "masked_sum":
        limits = {**limits, "peers": policy.peers}
    return hashlib.sha256(canonical(limits)).hexdigest()


def digest_of(data: bytes) -> str:
    """SHA-256 of an approval's file, by which the ledger names it."""
    return hashlib.sha256(data).hexdigest()


def approval_bytes(key: PrivateKey, approval: Approval) -> bytes:
    """The file of an approval that the holder of ``key`` signs."""
    return _bytes(_Signed(approval=approval, signature=sign(key, _content(approval))))


def judge_approval(
    data: bytes,
    *,
    site: str,
    study: str,
    officer: str,
    policy: Policy,
    today: dt.date,
    withdrawn: AbstractSet[str] = frozenset(),
) -> Judged:
    """Whether an approval counts.

    Args:
        data: its file.
        site: the city in whose store it lies.
        study: the hash under which it lies.
        officer: under whose name it lies.
        policy: in force, with the city's officers.
        today: in UTC.
        withdrawn: digests of approvals that were withdrawn.
    """
    digest = digest_of(data)
    signed = _signed_of(data)
    if signed is None:
        return Judged(study, officer, digest, None, "the file is no approval, or was changed")
    approval = signed.approval
    public = policy.officers.get(officer)
    if public is None:
        reason = f"the policy names no officer {officer}"
    elif (approval.site, approval.study, approval.officer) != (site, study, officer):
        reason = "it is of another city, study or officer than its place says"
    elif not _verified(public, data):
        reason = "the signature is not of this approval by the officer's key"
    elif approval.policy != limits_digest(policy, approval.release_class):
        reason = "the policy's limits have changed since"
    elif approval.expires is not None and today >= approval.expires:
        reason = f"it expired on {approval.expires.isoformat()}"
    elif digest in withdrawn:
        reason = "it was withdrawn"
    else:
        reason = ""
    return Judged(study, officer, digest, approval, reason)


def read_approvals(
    folder: Path,
    *,
    site: str,
    policy: Policy,
    today: dt.date,
    withdrawn: AbstractSet[str] = frozenset(),
) -> tuple[Judged, ...]:
    """Every approval of a store's folder, judged, by study and officer. What cannot be read does not count."""
    found: list[Judged] = []
    for path in sorted(folder.glob("*/*.json")):
        study, officer = path.parent.name, path.stem
        if not _HASH.fullmatch(study):
            continue
        try:
            data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
        except OSError:
            data = b""
        found.append(
            judge_approval(
                data,
                site=site,
                study=study,
                officer=officer,
                policy=policy,
                today=today,
                withdrawn=withdrawn,
            )
        )
    return tuple(found)


def approved_studies(
    judged: Iterable[Judged], policy: Policy, needed: Mapping[str, ReleaseClass]
) -> tuple[str, ...]:
    """Hashes that enough different officers approve.

    Args:
        judged: all approvals.
        policy: says how many are enough.
        needed: study hash → class that it needs now; a study that is not there is not approved.
    """
    signers: dict[str, set[str]] = {}
    for one in judged:
        if one.valid and one.approval is not None and one.study in needed:
            allowed = RELEASE_CLASSES.index(one.approval.release_class)
            if RELEASE_CLASSES.index(needed[one.study]) <= allowed:
                # by key, not by name: one person under two names is one officer
                signers.setdefault(one.study, set()).add(policy.officers[one.officer])
    return tuple(study for study, keys in signers.items() if len(keys) >= policy.officers_needed)


def withdrawn_digests(entries: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Digests of the approvals that a ledger says were withdrawn."""
    return frozenset(
        str(entry.get("approval")) for entry in entries if entry.get("outcome") == "withdrawn"
    )


def _content(approval: Approval) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(approval)
    return content


def _bytes(signed: _Signed) -> bytes:
    return canonical(msgspec.to_builtins(signed)) + b"\n"


@lru_cache(maxsize=4096)
def _signed_of(data: bytes) -> _Signed | None:
    """What a file says, if these are the bytes in which it would be written."""
    try:
        signed = msgspec.json.decode(data, type=_Signed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return signed if _bytes(signed) == data else None


@lru_cache(maxsize=4096)
def _verified(public: str, data: bytes) -> bool:
    signed = _signed_of(data)
    try:
        return signed is not None and verified(public, _content(signed.approval), signed.signature)
    except ConfigError:
        return False
