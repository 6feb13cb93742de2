"""The gate's first half: is this a question the city answers at all?

The server only names things. A question outside the registry, for a study the city has not approved, with
parameters far from the last ones, or one round too many, is refused before any data are touched. One
carefully chosen coefficient can make a single unit carry nearly all the information, and many of them rebuild
the data; that is why the step and the number of distinct questions are limited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from evalkit.config import Policy
from evalkit.core.discover import estimators
from evalkit.core.estimator import RELEASE_CLASSES, Question
from evalkit.core.study import study_hash
from evalkit.errors import RefusalError

__all__ = ["ANY_STUDY", "question_hash", "review_question"]

ANY_STUDY: Final = "any"
"""In a policy: approve whatever is asked. For simulated or public data only."""


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
) -> None:
    """Let the question pass, or say which rule refuses it.

    Args:
        question: what the server asks, with the study it names.
        policy: the city's; without one everything is refused.
        entries: the city's ledger so far.
        fingerprint: of the data the panel was built from.

    Raises:
        RefusalError: naming the rule in ``where``.
    """
    if policy is None:
        raise _refusal("policy", "the city has no policy", "add [policy] to the site file")
    study = study_hash(question.study)
    if study not in policy.studies and ANY_STUDY not in policy.studies:
        raise _refusal(
            "studies",
            "the city has not approved this study",
            f"add {study} to [policy] studies after reading the study",
        )
    analysis = question.study.analysis
    if question.estimator not in estimators() or question.estimator != analysis.estimator:
        raise _refusal(
            "estimator", "the study does not name this estimator", "ask what the study says"
        )
    needed = estimators()[question.estimator].release_class
    if RELEASE_CLASSES.index(needed) > RELEASE_CLASSES.index(policy.release_class):
        raise _refusal(
            "release_class",
            f"the estimator needs the release class {needed}; the city allows up to {policy.release_class}",
            "use random_effects, which needs the class estimate only",
        )
    _review_parameters(question, policy)
    _review_history(question, policy, entries, fingerprint, study)


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
