"""A city's side of a revocation: the statement, the line in its ledger, the file in its store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from evalkit.core.study import Study, study_hash
from evalkit.disclosure.approval import covered_by
from evalkit.disclosure.questions import utc_today
from evalkit.disclosure.revocation import ALL, Revocation, is_revoked, revocation_bytes, revoke
from evalkit.errors import ConfigError
from evalkit.federation.site_store import SiteStore

__all__ = ["reinstate", "studies_of", "withdraw_from"]


def studies_of(study: Study | None) -> tuple[str, ...]:
    """Hashes of a study and of all that its approval covers; `ALL` without a study."""
    return (ALL,) if study is None else (study_hash(study), *covered_by(study))


def withdraw_from(store: SiteStore, study: Study | None, reason: str = "") -> Revocation:
    """Withdraw the city from a study, or from all: nothing is answered any more from the line in the ledger on.

    Raises:
        KeyFileError: the city has no key that could sign.
        LedgerError: the line cannot be written; then nothing is signed.
    """
    statement = revoke(
        store.identity(), store.name, studies_of(study), reason=reason, date=utc_today()
    )
    data = revocation_bytes(statement)
    digest = hashlib.sha256(data).hexdigest()
    store.ledger.append(
        {
            **_entry("revoked", store, statement.studies, study),
            "reason": reason,
            "statement": digest,
        }
    )
    folder = store.folder / "revocations"
    folder.mkdir(exist_ok=True)
    (folder / f"{digest[:16]}.json").write_bytes(data)
    return statement


def reinstate(store: SiteStore, study: Study | None) -> None:
    """Take a revocation back: the study, or all, may be asked again as far as policy and approvals let it.

    Raises:
        ConfigError: the city has not withdrawn from it.
        LedgerError: the line cannot be written.
    """
    studies = studies_of(study)
    if not is_revoked(store.ledger.entries(), studies[0]):
        raise ConfigError(
            "the city has not withdrawn from it",
            where=f"site {store.name}",
            way_out="`evalkit site ledger` lists what it has withdrawn from",
        )
    store.ledger.append(_entry("reinstated", store, studies, study))


def _entry(
    outcome: str, store: SiteStore, studies: Sequence[str], study: Study | None
) -> dict[str, object]:
    named = {} if study is None else {"study": study_hash(study), "study_name": study.name}
    return {"outcome": outcome, "site": store.name, "studies": list(studies), **named}
