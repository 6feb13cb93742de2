"""The gate: the only maker of a `Release`.

Review of a question, the rules on the statistic's support, and the ledger entry are one step; a release
exists only after its entry is on disk. Whatever goes wrong, nothing leaves.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from evalkit.config import Policy
from evalkit.core.discover import estimators
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import study_hash
from evalkit.disclosure import noise
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.masked import MaskedRelease, mask_release
from evalkit.disclosure.masking import Masks
from evalkit.disclosure.questions import class_needed, question_hash, review_question
from evalkit.disclosure.release import _SEAL, Release, release_bytes
from evalkit.disclosure.rules import Verdict, judge
from evalkit.errors import RefusalError

__all__ = ["Draft", "admit", "draft", "join", "review"]

Made = TypeVar("Made")

KEPT_OF_REFUSED: Final = 200
"""Parameters of a refused question in the ledger: it may have had any number of them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What would leave, and what each rule says about it. A draft cannot be encoded."""

    statistics: Statistics
    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether every rule lets it leave."""
        return all(verdict.passed for verdict in self.verdicts)


def admit(question: Question, policy: Policy | None, ledger: Ledger, fingerprint: str) -> Policy:
    """Review the question before any data are touched; returns the policy in force.

    A refusal is written to the ledger too.

    Raises:
        RefusalError: naming the rule.
        LedgerError: the ledger is broken.
    """
    return _admit(question, policy, ledger, ledger.entries(), fingerprint)


def _admit(
    question: Question,
    policy: Policy | None,
    ledger: Ledger,
    entries: Sequence[Mapping[str, Any]],
    fingerprint: str,
) -> Policy:
    try:
        review_question(question, policy, entries, fingerprint)
        if policy is not None:
            noise.review_budget(question, policy, entries, fingerprint)
    except RefusalError as refusal:
        ledger.append(
            {**_about(question, fingerprint), "outcome": "refused", "rules": list(refusal.rules)}
        )
        raise
    if policy is None:
        raise RefusalError("the city has no policy", where="rule policy", rules=("policy",))
    return policy


def join(question: Question, ledger: Ledger, fingerprint: str, make: Callable[[], Made]) -> Made:
    """What ``make`` gives: a key for a session of secure sums, or the masks of a question.

    A refusal is written to the ledger too.

    Raises:
        RefusalError: as ``make``, naming the rule.
        LedgerError: the ledger is broken.
    """
    try:
        return make()
    except RefusalError as refusal:
        ledger.append(
            {**_about(question, fingerprint), "outcome": "refused", "rules": list(refusal.rules)}
        )
        raise


def draft(statistics: Statistics, policy: Policy) -> Draft:
    """Judge one city's statistics without releasing anything."""
    verdicts = [verdict for support in statistics.support for verdict in judge(support, policy)]
    sites = statistics.sites
    covered = tuple(support.site for support in statistics.support) == sites and len(sites) == 1
    verdicts.append(Verdict("support", covered, len(statistics.support), 1, "support of one city"))
    finite = all(
        np.isfinite(array).all()
        for fields in statistics.parts.values()
        for array in fields.values()
    )
    verdicts.append(Verdict("finite", finite, float(finite), 1, "all numbers are finite"))
    return Draft(statistics, tuple(verdicts))


def review(
    statistics: Statistics,
    question: Question,
    policy: Policy | None,
    ledger: Ledger,
    *,
    fingerprint: str,
    site: str,
    audit: Audit,
    masks: Masks | None = None,
) -> Release | MaskedRelease:
    """Turn one city's statistics into a release, if every rule agrees.

    Args:
        statistics: what the estimator computed on this city's panel, with its support.
        question: what was asked.
        policy: the city's; without one nothing leaves.
        ledger: written before this function returns.
        fingerprint: of the data behind the panel.
        site: the city's name.
        audit: what the release would tell beside everything told before.
        masks: of the session, where the study asks for secure sums; the release is then masked.

    Raises:
        RefusalError: naming the rules that refuse.
        EstimationError: a number is too large to be masked.
        LedgerError: the entry could not be written.
    """
    with audit.alone():
        return _review(statistics, question, policy, ledger, fingerprint, site, audit, masks)


def _review(
    statistics: Statistics,
    question: Question,
    policy: Policy | None,
    ledger: Ledger,
    fingerprint: str,
    site: str,
    audit: Audit,
    masks: Masks | None,
) -> Release | MaskedRelease:
    entries = ledger.entries()  # the city is alone with it until the end of the review
    policy = _admit(question, policy, ledger, entries, fingerprint)
    drafted = draft(statistics, policy)
    told = audit.judge(entries, policy) if drafted.passed else None
    judged = drafted.verdicts if told is None else (*drafted.verdicts, told)
    failed = [verdict for verdict in judged if not verdict.passed]
    verdicts = [_plain(verdict) for verdict in judged]
    about = {
        **_about(question, fingerprint, policy.max_parameters),
        "site": site,
        "verdicts": verdicts,
    }
    if failed or told is None or statistics.sites != (site,):
        rules = tuple(verdict.rule for verdict in failed) or ("site",)
        ledger.append({**about, "outcome": "refused", "rules": list(rules)})
        raise RefusalError(
            "the city's policy does not let this statistic leave",
            where=f"rules {', '.join(rules)}",
            way_out="`evalkit site preview` shows the city which limit is missed and by how much",
            rules=rules,
        )
    (fields,) = statistics.parts.values()
    noisy = noise.answer(
        statistics,
        question,
        policy,
        entries,
        fingerprint=fingerprint,
        store=ledger.path.parent,
    )
    if noisy is not None:
        fields, about = noisy.fields, {**about, **noisy.entry}
    release, data, entry = join(
        question, ledger, fingerprint, lambda: _sealed(statistics, fields, question, masks, entries)
    )
    about = {**about, **entry}
    digest = audit.record()
    ledger.append(
        {
            **about,
            "outcome": "released",
            "audit": digest,
            "leverage": told.found,
            "release_class": class_needed(question.study, estimators()[question.estimator]),
            "numbers": sum(int(np.size(array)) for array in fields.values()),
            "bytes": len(data),
            "release": hashlib.sha256(data).hexdigest(),
        }
    )
    return release


def _sealed(
    statistics: Statistics,
    fields: Mapping[str, NDArray[np.float64]],
    question: Question,
    masks: Masks | None,
    entries: Sequence[Mapping[str, Any]],
) -> tuple[Release | MaskedRelease, bytes, dict[str, Any]]:
    """What leaves, its bytes, and what the ledger says of its masks.

    Raises:
        RefusalError, EstimationError: see `masked.mask_release`; or the study asks for secure sums and there is no
            session.
    """
    study = study_hash(question.study)
    if question.study.federation.secure:
        if masks is None:
            raise RefusalError(
                "the study asks for secure sums, and there is no session",
                where="rule roster",
                rules=("roster",),
            )
        return mask_release(statistics, fields, question, study, masks, entries)
    release = Release(
        site=statistics.sites[0],
        study=study,
        estimator=statistics.estimator,
        stage=statistics.stage,
        round=question.round,
        kind=statistics.kind,
        fields=fields,
        seal=_SEAL,
    )
    return release, release_bytes(release), {}


def _about(question: Question, fingerprint: str, kept: int = KEPT_OF_REFUSED) -> dict[str, Any]:
    study = study_hash(question.study)
    return {
        "study": study,
        "estimator": question.estimator,
        "stage": question.stage,
        "round": question.round,
        "parameters": [
            float(value) if math.isfinite(value) else None
            for value in question.parameters.ravel()[:kept]
        ],
        "question": question_hash(question, fingerprint, study),
        "data": fingerprint,
    }


def _plain(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "passed": verdict.passed,
        "found": verdict.found,
        "limit": verdict.limit,
    }
