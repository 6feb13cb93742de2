"""Differential privacy of count tables: integer noise, a budget, and the same answer to the same question.

Where the city's policy has ``epsilon`` above 0, an answer of the class ``table`` is computed from noisy counts. The
estimator hands over disjoint counts of incidents (`Statistics.tables`); each gets discrete Laplace noise, and every
number that rests on incidents is computed again from the noisy ones (the estimator's ``with_noise``). One incident more
or less changes one count by one, so the whole answer loses ``epsilon`` of privacy, however many counts there are
(Dwork, McSherry, Nissim & Smith 2006; Ghosh, Roughgarden & Sundararajan 2012 for integers). Noise is drawn by OpenDP,
whose sampler is exact and takes its bits from the operating system; nobody can seed it.

The rules judge true counts: they say whether there is an answer, noise says which. What a refusal tells is therefore
outside the guarantee, and so are the units that the city's rules leave out.

Losses add up. The ledger holds what each answer cost, and a question that would bring the sum over
``epsilon_total`` is refused before any data are touched. Noise that is drawn anew each time averages out; so an answer
is kept in the store's folder ``noisy`` and given again as it was, at no cost.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.discover import estimators
from evalkit.core.estimator import Question
from evalkit.core.noise import Noise
from evalkit.core.statistics import Statistics
from evalkit.core.study import matching_of, study_hash
from evalkit.disclosure.questions import question_hash
from evalkit.disclosure.release import canonical_bytes, parse_release
from evalkit.disclosure.rules import Verdict
from evalkit.errors import LedgerError, MissingExtraError, RefusalError
from evalkit.numerics.discrete_laplace import variance
from evalkit.policy import Policy

__all__ = [
    "FOLDER",
    "Noisy",
    "answer",
    "noised",
    "noisy_counts",
    "review_budget",
    "spent",
    "wanted",
]

Fields = Mapping[str, NDArray[np.float64]]

FOLDER: Final = "noisy"
"""In the city's store, beside its ledger: the noisy answers given, by the hash of their question."""

ROUNDING: Final = 1e-9
"""Ten answers of 0.1 fit into 1.0, though their sum in doubles is a little off."""


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """What leaves in place of the true fields.

    Attributes:
        fields: computed from noisy counts.
        entry: for the ledger line: ``epsilon``, what the answer costs; ``repeated``, whether it was given before;
            ``noisy``, the SHA-256 of the kept file.
    """

    fields: Fields
    entry: Mapping[str, Any]


def wanted(question: Question, policy: Policy) -> bool:
    """Whether the answer is a count table and the policy asks for noise in these."""
    known = estimators().get(question.estimator)
    return policy.epsilon > 0 and known is not None and known.release_class == "table"


def exact(question: Question, policy: Policy) -> bool:
    """Whether the policy asks for noise in tables, and the answer is an effect that was computed from one without.

    Effect and variance are functions of four totals; whoever has both has the totals, to the last incident.
    """
    analysis, known = question.study.analysis, estimators()
    first = known.get(analysis.first_stage)
    pools = "first_stage" in getattr(known.get(question.estimator), "reads", ())
    return policy.epsilon > 0 and pools and first is not None and first.release_class == "table"


def spent(entries: Sequence[Mapping[str, Any]]) -> float:
    """The loss of privacy of all answers in a ledger; they are about the same incidents, whatever the study."""
    return math.fsum(
        float(entry.get("epsilon", 0.0)) for entry in entries if entry.get("outcome") == "released"
    )


def judged(
    question: Question, policy: Policy, entries: Sequence[Mapping[str, Any]], fingerprint: str
) -> tuple[Verdict, ...]:
    """The rules ``epsilon`` and ``epsilon_total`` on a question whose answer is to have noise; none on another.

    Args:
        question: what is asked.
        policy: in force.
        entries: of the city's ledger.
        fingerprint: of the data.
    """
    if exact(question, policy):
        reason = "an effect and its variance give away the table that they are computed from"
        return (Verdict("epsilon", False, policy.epsilon, policy.epsilon, reason),)
    if not wanted(question, policy):
        return ()
    analysis, known = question.study.analysis, estimators()[question.estimator]
    able = (
        hasattr(known, "with_noise")
        and not analysis.reassignments
        and matching_of(question.study).method == "none"
    )
    again = _given(question, entries, fingerprint) is not None
    before = spent(entries)
    after = before if again else before + policy.epsilon
    within = again or after <= policy.epsilon_total * (1 + ROUNDING)
    costs = "was given before and costs nothing" if again else f"costs {policy.epsilon:g}"
    return (
        Verdict(
            "epsilon",
            able,
            policy.epsilon,
            policy.epsilon,
            "all of the answer can be computed from noisy counts"
            if able
            else "a randomisation test, or controls matched by their counts, cannot be computed from noisy counts",
        ),
        Verdict(
            "epsilon_total",
            within,
            after,
            policy.epsilon_total,
            f"answers have cost {before:g} of {policy.epsilon_total:g}; this one {costs}",
        ),
    )


def review_budget(
    question: Question, policy: Policy, entries: Sequence[Mapping[str, Any]], fingerprint: str
) -> None:
    """Let the question pass if there is a noisy answer to it and the budget allows one more; see `judged`.

    Raises:
        RefusalError: rule ``epsilon``, if something in the answer cannot be computed from noisy counts;
            ``epsilon_total``, if the budget is used up.
    """
    failed = {one.rule for one in judged(question, policy, entries, fingerprint) if not one.passed}
    if "epsilon" in failed:
        raise RefusalError(
            "the city adds noise to its counts, and part of this answer cannot be computed from noisy counts",
            where="rule epsilon",
            limit="an estimator of count tables, without randomisation, and no controls matched by their counts",
            way_out="take randomisation and [matching] out of the study, or use random_effects over poisson_did",
            rules=("epsilon",),
        )
    if failed:
        raise RefusalError(
            "the city's answers have lost as much privacy as its policy allows",
            where="rule epsilon_total",
            way_out="the city can raise [policy] epsilon_total; a question that was answered may be asked again",
            rules=("epsilon_total",),
        )


def preview(
    statistics: Statistics,
    question: Question,
    policy: Policy,
    entries: Sequence[Mapping[str, Any]],
    *,
    fingerprint: str,
    store: Path,
) -> Noisy:
    """What `answer` would give: the answer that was given before, or one of the many it could draw. Keeps nothing."""
    given = _given(question, entries, fingerprint)
    if given is None:
        return Noisy(noised(statistics, policy), {"epsilon": policy.epsilon, "repeated": False})
    path = store / FOLDER / question_hash(question, fingerprint)
    return Noisy(_kept(path, given), {"epsilon": 0.0, "repeated": True})


def answer(
    statistics: Statistics,
    question: Question,
    policy: Policy,
    entries: Sequence[Mapping[str, Any]],
    *,
    fingerprint: str,
    store: Path,
) -> Noisy | None:
    """The noisy answer: the one that was given before, or a new one, which is kept; None if none is asked for.

    `review_budget` must have let the question pass.

    Args:
        statistics: of one city, judged by the rules.
        question: what was asked.
        policy: in force.
        entries: of the city's ledger.
        fingerprint: of the data.
        store: folder of the ledger.

    Raises:
        MissingExtraError: OpenDP is not installed.
        LedgerError: the answer that was given is not there any more, or was changed, or a new one cannot be kept.
    """
    if not wanted(question, policy):
        return None
    path = store / FOLDER / question_hash(question, fingerprint)
    given = _given(question, entries, fingerprint)
    if given is not None:
        return Noisy(_kept(path, given), {"epsilon": 0.0, "repeated": True, "noisy": given})
    fields = noised(statistics, policy)
    ((site,),) = statistics.parts
    data = canonical_bytes(
        site=site,
        study=study_hash(question.study),
        estimator=statistics.estimator,
        stage=statistics.stage,
        round_number=question.round,
        kind=statistics.kind,
        fields=fields,
    )
    _keep(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return Noisy(fields, {"epsilon": policy.epsilon, "repeated": False, "noisy": digest})


def noised(statistics: Statistics, policy: Policy) -> Fields:
    """One city's fields from freshly drawn noisy counts. Whoever sees several draws can average them.

    Args:
        statistics: of one city, with its table, of an estimator that has ``with_noise``.
        policy: ``epsilon`` above 0.

    Raises:
        MissingExtraError: OpenDP is not installed.
    """
    (fields,), (table,) = statistics.parts.values(), statistics.tables.values()
    names = sorted(table)
    flat = np.concatenate([table[name].ravel() for name in names])
    noisy, scale = noisy_counts(flat, policy.epsilon)
    ends = np.cumsum([table[name].size for name in names])[:-1]
    pieces = dict(zip(names, np.split(noisy, ends), strict=True))
    drawn = {name: pieces[name].reshape(table[name].shape) for name in names}
    chosen: Any = estimators()[statistics.estimator]
    found: Fields = chosen.with_noise(fields, drawn, Noise(policy.epsilon, variance(scale)))
    return found


def noisy_counts(counts: NDArray[np.int64], epsilon: float) -> tuple[NDArray[np.int64], float]:
    """(N,) disjoint ``counts`` with discrete Laplace noise in each, and the scale of the noise.

    The scale is 1/epsilon, or as little more as OpenDP needs to prove the loss for one incident to be at most epsilon.

    Raises:
        MissingExtraError: OpenDP is not installed.
    """
    try:
        import opendp.prelude as dp
    except ImportError:
        raise MissingExtraError(
            "[policy] epsilon asks for noise, and OpenDP is not installed",
            limit="opendp 0.14 or later",
            way_out="pip install 'evalkit[privacy]'; until then no count table leaves",
        ) from None
    dp.enable_features(
        "contrib"
    )  # what OpenDP calls constructors that are not yet vetted by its committee
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    scale = 1.0 / epsilon
    mechanism: Any = dp.m.make_laplace(*space, scale=scale)
    while mechanism.map(1) > epsilon:  # by the last bit, as OpenDP rounds up
        scale = math.nextafter(scale, math.inf)
        mechanism = dp.m.make_laplace(*space, scale=scale)
    return np.asarray(mechanism(counts.tolist()), dtype=np.int64), scale


def _given(
    question: Question, entries: Sequence[Mapping[str, Any]], fingerprint: str
) -> str | None:
    """SHA-256 of the noisy answer that this question got; None if it got none."""
    asked = question_hash(question, fingerprint)
    found = [
        entry["noisy"]
        for entry in entries
        if entry.get("outcome") == "released"
        and entry.get("question") == asked
        and "noisy" in entry
    ]
    return str(found[-1]) if found else None


def _kept(path: Path, digest: str) -> Fields:
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != digest:
        raise LedgerError(
            "a noisy answer that was given is not there any more, or was changed",
            where=str(path),
            limit="the same answer to the same question, as fresh noise could be averaged",
            way_out="restore the file from a backup; until then this question is not answered",
        )
    (fields,) = parse_release(data).parts.values()
    return fields


def _keep(path: Path, data: bytes) -> None:
    """On disk before anything leaves. A file without a ledger line was never sent and is written over."""
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise LedgerError(
            f"a noisy answer cannot be kept ({error.strerror})",
            where=str(path),
            limit="every noisy answer is kept before it is sent",
            way_out="free disk space or mend the folder's permissions",
        ) from None
