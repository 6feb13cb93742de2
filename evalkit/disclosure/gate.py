"""The gate: the only maker of a `Release`.

Review of a question, the rules on the statistic's support, and the ledger entry are one step; a release
exists only after its entry is on disk. Whatever goes wrong, nothing leaves.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from evalkit.config import Policy
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import study_hash
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.questions import question_hash, review_question
from evalkit.disclosure.release import _SEAL, Release, release_bytes
from evalkit.disclosure.rules import Verdict, judge
from evalkit.errors import RefusalError

__all__ = ["Draft", "admit", "draft", "review"]

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
    try:
        review_question(question, policy, ledger.entries(), fingerprint)
    except RefusalError as refusal:
        ledger.append(
            {**_about(question, fingerprint), "outcome": "refused", "rules": list(refusal.rules)}
        )
        raise
    if policy is None:
        raise RefusalError("the city has no policy", where="rule policy", rules=("policy",))
    return policy


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
) -> Release:
    """Turn one city's statistics into a release, if every rule agrees.

    Args:
        statistics: what the estimator computed on this city's panel, with its support.
        question: what was asked.
        policy: the city's; without one nothing leaves.
        ledger: written before this function returns.
        fingerprint: of the data behind the panel.
        site: the city's name.

    Raises:
        RefusalError: naming the rules that refuse.
        LedgerError: the entry could not be written.
    """
    policy = admit(question, policy, ledger, fingerprint)
    drafted = draft(statistics, policy)
    failed = [verdict for verdict in drafted.verdicts if not verdict.passed]
    verdicts = [_plain(verdict) for verdict in drafted.verdicts]
    about = {
        **_about(question, fingerprint, policy.max_parameters),
        "site": site,
        "verdicts": verdicts,
    }
    if failed or statistics.sites != (site,):
        rules = tuple(verdict.rule for verdict in failed) or ("site",)
        ledger.append({**about, "outcome": "refused", "rules": list(rules)})
        raise RefusalError(
            "the city's policy does not let this statistic leave",
            where=f"rules {', '.join(rules)}",
            way_out="`evalkit site preview` shows the city which limit is missed and by how much",
            rules=rules,
        )
    (fields,) = statistics.parts.values()
    release = Release(
        site=site,
        study=about["study"],
        estimator=statistics.estimator,
        stage=statistics.stage,
        round=question.round,
        kind=statistics.kind,
        fields=fields,
        seal=_SEAL,
    )
    data = release_bytes(release)
    ledger.append(
        {
            **about,
            "outcome": "released",
            "bytes": len(data),
            "release": hashlib.sha256(data).hexdigest(),
        }
    )
    return release


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
