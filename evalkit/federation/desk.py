"""The release desk: officers approve a study or withdraw their approval, and whoever asks sees who has.

What an officer is shown is what is signed: `propose` makes the approval, `approve` signs and stores it. Each step is in
the city's ledger before its file is written or removed.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from evalkit.core.discover import estimator
from evalkit.core.estimator import ask_first
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.approval import covered_by, covering_class
from evalkit.disclosure.approvals import (
    Approval,
    Judged,
    approval_bytes,
    digest_of,
    limits_digest,
)
from evalkit.disclosure.keys import PrivateKey, public_text
from evalkit.disclosure.questions import review_question, utc_today
from evalkit.disclosure.revocation import is_revoked
from evalkit.errors import ConfigError, KeyFileError
from evalkit.federation.site_store import SiteStore
from evalkit.policy import ANY, Policy

__all__ = ["Standing", "approve", "propose", "standing", "stored_studies", "withdraw"]

How = Literal["officers", "listed", "any", "covered", "revoked", "no"]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a study may be asked, and by whose leave.

    Attributes:
        study: its hash.
        name: of the study; empty if the city does not hold it.
        how: signed by enough officers, listed by the policy, like whatever is asked, covered by another study's
            approval, or not at all, as the city has withdrawn from it or for another reason.
        given: officers whose signatures count now.
        needed: officers who must sign; 0 without officers.
        until: first day on which the approval or the policy does not hold any more; None for no end.
        by: hash of the study that covers it; empty if none does.
    """

    study: str
    name: str
    how: How
    given: tuple[str, ...]
    needed: int
    until: dt.date | None
    by: str = ""

    @property
    def approved(self) -> bool:
        """Whether it may be asked."""
        return self.how not in ("no", "revoked")


def propose(
    store: SiteStore,
    study: Study,
    officer: str,
    *,
    expires: dt.date | None = None,
    now: dt.datetime | None = None,
) -> Approval:
    """What the officer would sign, under the policy in force in the store.

    Raises:
        ConfigError: the city has no policy, the policy has no such officer, or the approval would have expired.
        RefusalError: the gate would refuse the study's first question even with the approval.
    """
    moment = now or dt.datetime.now(dt.UTC)
    written = store.written_policy()
    if written is None:
        raise ConfigError(
            "the city has no policy, so that there is nothing to approve under",
            where=str(store.folder),
            way_out="add [policy] to the site file",
        )
    if officer not in written.officers:
        raise ConfigError(
            f"the policy names no officer {officer}",
            where="[policy.officers]",
            limit=f"one of {', '.join(written.officers) or 'none: studies are approved by listing'}",
            way_out="make a key with `evalkit site officer`, and add the line it prints",
        )
    if expires is not None and expires <= moment.date():
        raise ConfigError(
            "the approval would have expired already",
            where="--expires",
            limit="a day to come, the first on which it does not hold",
            way_out="name a later day",
        )
    limits = store.limits(moment.date())
    digest = study_hash(study)
    as_approved = msgspec.structs.replace(limits, studies=(digest,), officers={})
    question = ask_first(estimator(study.analysis.estimator), study)
    review_question(question, as_approved, (), "", moment.date())
    needed = covering_class(study, limits.max_specifications)
    return Approval(
        site=store.name,
        study=digest,
        study_name=study.name,
        release_class=needed,
        policy=limits_digest(limits, needed),
        officer=officer,
        time=moment.replace(microsecond=moment.microsecond // 1000 * 1000),
        expires=expires,
    )


def approve(store: SiteStore, approval: Approval, key: PrivateKey) -> Standing:
    """Sign an approval, write it into the ledger and then into the store.

    Raises:
        KeyFileError: the key is not the officer's.
        LedgerError: the ledger cannot be written; nothing is approved then.
    """
    policy = store.written_policy() or Policy()
    if policy.officers.get(approval.officer) != public_text(key):
        raise KeyFileError(
            f"the key is not the one that the policy names for {approval.officer}",
            where="[policy.officers]",
            limit=f'{approval.officer} = "{public_text(key)}" for this key',
            way_out="use the officer's own key, or correct the policy",
        )
    data = approval_bytes(key, approval)
    before = standing(store, approval.study, approval.time.date())
    given = tuple(sorted({*before.given, approval.officer}))
    store.ledger.append(
        {
            "outcome": "approved",
            "site": approval.site,
            "study": approval.study,
            "study_name": approval.study_name,
            "officer": approval.officer,
            "needed": policy.officers_needed,
            "given": len(given),
            "release_class": approval.release_class,
            "policy": approval.policy,
            "expires": approval.expires.isoformat() if approval.expires else None,
            "approval": digest_of(data),
        }
    )
    folder = store.approvals_folder / approval.study
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{approval.officer}.json").write_bytes(data)
    now = standing(store, approval.study, approval.time.date())
    return replace(now, name=now.name or approval.study_name)


def withdraw(store: SiteStore, study: str, officer: str) -> Standing:
    """Withdraw an officer's approval: it is in the ledger, and its file counts no more though it should come back.

    Raises:
        ConfigError: there is no such approval.
        LedgerError: the ledger cannot be written; the approval stays then.
    """
    path = store.approvals_folder / study / f"{officer}.json"
    try:
        data = path.read_bytes()
    except OSError:
        raise ConfigError(
            f"{officer} has not approved this study",
            where=str(store.approvals_folder / study),
            way_out="`evalkit site approvals` lists what is approved",
        ) from None
    policy = store.written_policy() or Policy()
    before = standing(store, study)
    store.ledger.append(
        {
            "outcome": "withdrawn",
            "site": store.name,
            "study": study,
            "study_name": before.name,
            "officer": officer,
            "needed": policy.officers_needed,
            "given": len(set(before.given) - {officer}),
            "approval": digest_of(data),
        }
    )
    path.unlink()
    return standing(store, study)


def standing(store: SiteStore, study: str, today: dt.date | None = None) -> Standing:
    """Whether a study may be asked now.

    Raises:
        ConfigError: the stored policy is damaged.
        LedgerError: the ledger is broken.
    """
    day = today or utc_today()
    return _standing(store, study, day, _covering(store))


def stored_studies(store: SiteStore, today: dt.date | None = None) -> tuple[Standing, ...]:
    """Every study the city holds or has approvals of, and whether it may be asked now.

    Raises:
        ConfigError: the stored policy or a stored study is damaged.
        LedgerError: the ledger is broken.
    """
    day, covering = today or utc_today(), _covering(store)
    signed = {one.study for one in store.approvals(day)}
    found = sorted({*store.held(), *signed})
    return tuple(_standing(store, study, day, covering) for study in found)


def _standing(
    store: SiteStore, study: str, today: dt.date, covering: dict[str, list[str]]
) -> Standing:
    policy, written = store.policy(today), store.written_policy()
    name = store.study(study).name if store.holds(study) else ""
    if policy is None or written is None:
        return Standing(study, name, "no", (), 0, None)
    signed = [one for one in store.approvals(today) if one.valid and one.study == study]
    needed = written.officers_needed if written.officers else 0
    given = tuple(sorted(one.officer for one in signed))
    refused = Standing(study, name, "no", given, needed, None)
    if is_revoked(store.ledger.entries(), study):
        return replace(refused, how="revoked")
    if policy.treaty or (policy.expires is not None and today >= policy.expires):
        return refused
    if written.officers and len(given) >= needed and study in policy.studies:
        return replace(refused, how="officers", until=_until(signed, needed, policy.expires))
    if not written.officers and study in written.studies:
        return replace(refused, how="listed", until=policy.expires)
    if study in policy.studies:
        for parent in covering.get(study, ()):
            over = _standing(store, parent, today, {})
            if over.approved:
                return replace(refused, how="covered", until=over.until, by=parent)
    if ANY in policy.studies:
        return replace(refused, how="any", until=policy.expires)
    return refused


def _until(signed: list[Judged], needed: int, expires: dt.date | None) -> dt.date | None:
    """First day on which fewer than ``needed`` signatures hold, or the policy does not."""
    ends = sorted(
        (one.approval.expires or dt.date.max for one in signed if one.approval is not None),
        reverse=True,
    )
    last = min(ends[needed - 1], expires or dt.date.max)
    return None if last == dt.date.max else last


def _covering(store: SiteStore) -> dict[str, list[str]]:
    """Hash of each study that others cover → their hashes."""
    found: dict[str, list[str]] = {}
    for digest in store.held():
        for covered in covered_by(store.study(digest)):
            found.setdefault(covered, []).append(digest)
    return found
