"""How much of a city's disclosure budget is spent, and what is still open; for the city's own eyes.

The budget is the policy's ``max_leverage``: how near all releases together may come to a single place.
"""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.core.discover import estimator
from evalkit.core.estimator import ask_first
from evalkit.core.falsification import derived_of
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Study
from evalkit.disclosure import noise
from evalkit.disclosure.audit import Audit, Spent, released_digests, spent
from evalkit.disclosure.questions import ANY_STUDY
from evalkit.errors import EvalkitError, RefusalError
from evalkit.federation.site_store import SiteStore
from evalkit.policy import Policy

__all__ = ["Budget", "Open", "budget_of"]


@dataclass(frozen=True, slots=True)
class Open:
    """A stored study that the city has approved, and what its answer would spend.

    Attributes:
        study: its hash.
        name: of the study; with what is pretended or chosen if the approval of another one covers it.
        asked: whether it was answered before.
        admitted: whether the auditor would let its answer leave. Other rules may still refuse it.
        leverage: the largest of any place afterwards; None if it cannot be answered at all.
        why: the reason, or the code of the error.
    """

    study: str
    name: str
    asked: bool
    admitted: bool
    leverage: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What is spent and what is open.

    Attributes:
        spent: by everything in the ledger; None if the auditor cannot know it, and refuses everything.
        limit: the policy's ``max_leverage``.
        releases: in the ledger.
        analyses: number of different studies among them.
        open: every stored study that is approved, in the order of names.
        why: the auditor's reason if it refuses everything.
        epsilon: loss of privacy of all noisy answers so far; 0 where no noise was ever added.
        epsilon_total: that the policy allows; 0 where it adds no noise.
    """

    spent: Spent | None
    limit: float
    releases: int
    analyses: int
    open: tuple[Open, ...]
    why: str = ""
    epsilon: float = 0.0
    epsilon_total: float = 0.0


def budget_of(store: SiteStore) -> Budget:
    """Look at the ledger and at every stored study; nothing is changed and nothing leaves.

    Raises:
        RefusalError: the city has no policy, so that nothing may leave.
        NoPanelError: the folder is not a store.
        LedgerError: the ledger is broken.
        ConfigError: the stored policy or a study is damaged.
    """
    policy = store.policy()
    if policy is None:
        raise RefusalError(
            "the city has no policy",
            where="rule policy",
            way_out="add [policy] to the site file, and put it in force with `evalkit site policy apply`",
            rules=("policy",),
        )
    released = [one for one in store.ledger.entries() if one.get("outcome") == "released"]
    answered = {str(one.get("study")) for one in released}
    try:
        found, why = spent(store.audit_folder, released_digests(released)), ""
    except RefusalError as refusal:
        found, why = None, refusal.what
    studies = {digest: store.study(digest) for digest in store.held()}
    names = _names(studies)
    approved = [
        digest for digest in studies if digest in policy.studies or ANY_STUDY in policy.studies
    ]
    opened = [
        _open(store, policy, digest, studies[digest], names[digest], answered)
        for digest in sorted(approved, key=lambda digest: (names[digest], digest))
    ]
    return Budget(
        found,
        policy.max_leverage,
        len(released),
        len(answered),
        tuple(opened),
        why,
        noise.spent(released),
        policy.epsilon_total if policy.epsilon > 0 else 0.0,
    )


def _names(studies: dict[str, Study]) -> dict[str, str]:
    """What each study is called; derived ones by the study that asks for them and what is different in them."""
    names = {digest: study.name for digest, study in studies.items()}
    for study in studies.values():
        for falsification in derived_of(study):
            if falsification.hash in names:
                kind = falsification.kind.replace("_", " ")
                names[falsification.hash] = f"{study.name}, {kind}: {falsification.label}"
        for specification in specifications_of(study):
            if specification.hash in names:
                names[specification.hash] = f"{study.name}, " + ", ".join(
                    specification.choices.values()
                )
    return names


def _open(
    store: SiteStore, policy: Policy, digest: str, study: Study, name: str, answered: set[str]
) -> Open:
    try:
        opened, entries = store.opened(digest), store.ledger.entries()
        first = ask_first(estimator(study.analysis.estimator), study)
        noise.review_budget(first, policy, entries, opened.panel.fingerprint)
        verdict = Audit(store.audit_folder, opened.told(study, policy)).judge(entries, policy)
    except RefusalError as refusal:
        why = f"{refusal.code}: {', '.join(refusal.rules)}"
        return Open(digest, name, digest in answered, False, None, why)
    except EvalkitError as error:
        return Open(digest, name, digest in answered, False, None, error.code)
    after = verdict.found if verdict.rule == "max_leverage" else None
    return Open(digest, name, digest in answered, verdict.passed, after, verdict.reason)
