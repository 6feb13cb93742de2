"""The gate's first half: is this a question the city answers at all?

The server only names things. A question outside the registry, for a study the city has not approved, with
parameters far from the last ones, or one round too many, is refused before any data are touched. One
carefully chosen coefficient can make a single unit carry nearly all the information, and many of them rebuild
the data; that is why the step and the number of distinct questions are limited.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from evalkit.config import Policy
from evalkit.core.discover import estimators
from evalkit.core.estimator import RELEASE_CLASSES, Estimator, Question, ReleaseClass, only_sums
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.revocation import is_revoked
from evalkit.errors import RefusalError
from evalkit.policy import ANY

__all__ = ["ANY_STUDY", "class_needed", "question_hash", "review_question", "utc_today"]

ANY_STUDY: Final = ANY
"""In a policy: approve whatever is asked. For simulated or public data only."""


def utc_today() -> dt.date:
    """The day it is in UTC, by which whatever expires does."""
    return dt.datetime.now(dt.UTC).date()


def class_needed(study: Study, estimator: Estimator) -> ReleaseClass:
    """The most revealing class of what leaves a city that answers the study with this estimator.

    Secure sums let the server see nothing but sums over cities of an estimator whose every statistic is one
    (`only_sums`).
    """
    needed = estimator.release_class
    if study.federation.secure and needed == "statistics" and only_sums(estimator, study):
        return "masked_sum"
    return needed


def question_hash(question: Question, fingerprint: str, study: str = "") -> str:
    """SHA-256 that is equal exactly when the same question is asked of the same data.

    Args:
        question: what is asked.
        fingerprint: of the data.
        study: the hash of the question's study where it is known already.
    """
    content = [
        study or study_hash(question.study),
        fingerprint,
        question.estimator,
        question.stage,
        list(question.parameters.shape),
        [float(value).hex() for value in question.parameters.ravel().tolist()],
    ]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()


def review_question(
    question: Question,
    policy: Policy | None,
    entries: Sequence[Mapping[str, Any]],
    fingerprint: str,
    today: dt.date | None = None,
) -> None:
    """Let the question pass, or say which rule refuses it.

    Args:
        question: what the server asks, with the study it names.
        policy: the city's; without one everything is refused.
        entries: the city's ledger so far.
        fingerprint: of the data the panel was built from.
        today: in UTC; by default that of this machine.

    Raises:
        RefusalError: naming the rule in ``where``.
    """
    if policy is None:
        raise _refusal("policy", "the city has no policy", "add [policy] to the site file")
    study = study_hash(question.study)
    if is_revoked(entries, study):
        raise _refusal(
            "revoked",
            "the city has withdrawn from this study",
            "leave the city out; it takes this back with `evalkit site revoke --undo`",
        )
    _review_approval(question.study, study, policy, today or utc_today())
    analysis = question.study.analysis
    if question.estimator not in estimators() or question.estimator != analysis.estimator:
        raise _refusal(
            "estimator", "the study does not name this estimator", "ask what the study says"
        )
    needed = class_needed(question.study, estimators()[question.estimator])
    if RELEASE_CLASSES.index(needed) > RELEASE_CLASSES.index(policy.release_class):
        raise _refusal(
            "release_class",
            f"the estimator needs the release class {needed}; the city allows up to {policy.release_class}",
            "use random_effects, which needs the class estimate only",
        )
    _review_parameters(question, policy)
    _review_history(question, policy, entries, fingerprint, study)


def _review_approval(study: Study, digest: str, policy: Policy, today: dt.date) -> None:
    """Whether this study may be asked now.

    Officers and a treaty stand in a policy until `federation.site_store.SiteStore.policy` resolves them; until then
    nothing may.
    """
    if policy.treaty:
        raise _refusal(
            "treaty",
            "the city's treaty is not in force: it is missing or damaged, has expired, or a signature is",
            "the city finds out which with `evalkit site treaty check`",
        )
    if policy.expires is not None and today >= policy.expires:
        raise _refusal(
            "expires",
            "the city's policy has expired",
            "the city sets a later day in [policy] expires",
        )
    if policy.officers or not {digest, ANY_STUDY} & set(policy.studies):
        raise _refusal(
            "studies",
            "the city has not approved this study",
            f"the city reads it, and lists {digest} in [policy] studies or has its officers sign it",
        )
    outside = set(study.outcome.crime_types) - set(policy.crime_types)
    if ANY not in policy.crime_types and outside:
        raise _refusal(
            "crime_types",
            "the study counts crime types about which the city answers nothing",
            "ask about the others, or the city adds them to [policy] crime_types",
        )


def _review_parameters(question: Question, policy: Policy) -> None:
    parameters = question.parameters
    if parameters.ndim != 1 or len(parameters) > policy.max_parameters:
        raise _refusal(
            "max_parameters", "the question has too many parameters", "ask a smaller model"
        )
    if not np.isfinite(parameters).all():
        raise _refusal(
            "finite", "the question's parameters are not finite", "ask with finite numbers"
        )
    if not 0 <= question.round < policy.max_rounds:
        raise _refusal(
            "max_rounds", "the round number is outside the budget", "start the study again"
        )


def _review_history(
    question: Question,
    policy: Policy,
    entries: Sequence[Mapping[str, Any]],
    fingerprint: str,
    study: str,
) -> None:
    """Repeating an answered question tells nothing new; new ones must stay close and few.

    Close, because extreme coefficients of a multiplicative model give one unit nearly all the information. In a
    linear one coefficients change no weight and have the unit of the outcome, so that no distance is large.
    """
    same_study = [
        entry
        for entry in entries
        if entry.get("outcome") == "released"
        and entry.get("study") == study
        and entry.get("estimator") == question.estimator
    ]
    asked = {entry.get("question") for entry in same_study}
    if asked and question_hash(question, fingerprint, study) in asked:
        return
    if len(asked) >= policy.max_rounds:
        raise _refusal(
            "max_rounds",
            "this study has asked as many different questions as the city answers",
            "the city can raise [policy] max_rounds",
        )
    if not len(question.parameters) or getattr(
        estimators()[question.estimator], "linear_in_parameters", False
    ):
        return
    bases = (
        [np.zeros_like(question.parameters)]
        if question.round == 0
        else [
            np.asarray(entry["parameters"], dtype=np.float64)
            for entry in same_study
            if entry.get("round") == question.round - 1
            and len(entry.get("parameters", ())) == len(question.parameters)
        ]
    )
    # a little more than the limit itself, so that a step clipped to it is not refused for its last bit
    reach = policy.max_step * (1 + 1e-12)
    if not any(np.abs(question.parameters - base).max() <= reach for base in bases):
        raise _refusal(
            "max_step",
            "the parameters are too far from those of the round before",
            "rounds must follow each other; start the study again",
        )


def _refusal(rule: str, what: str, way_out: str) -> RefusalError:
    return RefusalError(what, where=f"rule {rule}", way_out=way_out, rules=(rule,))
