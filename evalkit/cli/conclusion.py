"""What a result says beyond its numbers; `study run` writes it and `review verify` recomputes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, get_args

import msgspec
import numpy as np

from evalkit.across.summary import summarise_cities
from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence, build_evidence
from evalkit.claims.verdict import judge
from evalkit.claims.wording import Language, sentence
from evalkit.core.check import NOT_ASKED, CheckContext, context_of
from evalkit.core.discover import checks
from evalkit.core.estimate import Estimate
from evalkit.core.event_design import cohort_sizes, grid_of
from evalkit.core.falsification import estimates_chance
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study
from evalkit.core.terms import event_times
from evalkit.federation.run_folder import RunFolder
from evalkit.numerics.event_study import sup_t
from evalkit.report.numbers import true_minus
from evalkit.report.wording.set_aside import set_aside_sentences
from evalkit.runtimes.derived import Derived, estimates_of, unanswered_of

__all__ = [
    "absent_cities",
    "across_cities",
    "check_lines",
    "checks_on",
    "event_study_of",
    "placebo_cities",
    "untested_because",
    "verdict_on",
]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

UNTESTED_COUNTS: Final[Mapping[Language, str]] = {
    "en": "a claim about a rate ratio cannot be tested with differences of counts",
    "es": "una afirmación sobre una razón de tasas no se puede contrastar con diferencias de recuentos",
    "pt": "uma afirmação sobre uma razão de taxas não pode ser testada com diferenças de contagens",
}

UNTESTED_CHANCE: Final[Mapping[Language, str]] = {
    "en": "the study estimates the change that chance alone leads to expect, not the effect of cameras",
    "es": "el estudio estima el cambio que cabe esperar solo por azar, no el efecto de las cámaras",
    "pt": "o estudo estima a mudança que se espera só por acaso, não o efeito das câmaras",
}


def untested_because(
    study: Study, claim: Claim | None, found: Estimate
) -> Mapping[Language, str] | None:
    """Why a claim is not tested, in every language; None if it is tested, or there is none."""
    if claim is None:
        return None
    if estimates_chance(study):
        return UNTESTED_CHANCE
    return None if found.scale == "log_rate_ratio" else UNTESTED_COUNTS


def verdict_on(study: Study, claim: Claim | None, found: Estimate) -> dict[str, Any] | None:
    """The verdict as ``result.json`` holds it, with its reason in every language; None without a test."""
    if claim is None or untested_because(study, claim, found) is not None:
        return None
    verdict = judge(_evidence(found), claim)
    plain: dict[str, Any] = msgspec.to_builtins(verdict)
    rows = [one.to_dict() for one in found.set_aside]
    plain["reason"] = {
        language: " ".join((sentence(verdict, language), *set_aside_sentences(rows, language)))
        for language in LANGUAGES
    }
    return plain


def placebo_cities(found: Estimate, kinds: Mapping[str, str]) -> list[str]:
    """Contributing cities whose cameras enforce traffic and do not watch people.

    Args:
        found: the estimate.
        kinds: city → what its cameras do, as the roster has it.
    """
    return sorted(site for site in found.contributors if kinds.get(site) == "traffic")


def absent_cities(found: Estimate, expected: Iterable[str]) -> list[str]:
    """Cities that were asked and are not in the estimate: with a quorum a study goes on without them."""
    left_out = {one.site for one in found.set_aside if one.left_out}
    return sorted(set(expected) - set(found.contributors) - left_out)


def across_cities(found: Estimate, study: Study) -> dict[str, Any] | None:
    """Leave-one-out, influence, order and small cities, as ``result.json`` holds them; None for other estimators."""
    told = summarise_cities(found, study.analysis)
    return None if told is None else msgspec.to_builtins(told)


def checks_on(
    found: Estimate, study: Study, run: RunFolder, derived: tuple[Derived, ...] = ()
) -> list[dict[str, Any]]:
    """Every credibility check, as ``result.json`` holds it.

    Args:
        found: the estimate.
        study: of the run.
        run: its folder, whose last releases may tell how many units a cohort has.
        derived: what came of the studies that the study's checks ask for.

    Raises:
        BadMessageError: a release was changed.
    """
    context = _context(study, run, derived, found.contributors)
    return [msgspec.to_builtins(check(found, context)) for check in checks().values()]


def _context(
    study: Study, run: RunFolder, derived: tuple[Derived, ...], cities: Sequence[str]
) -> CheckContext:
    sent = [one for one in run.last_releases() if set(one.sites) <= set(cities)]
    sizes = _cohort_units(study, merge_all(sent)) if sent else None
    return replace(
        context_of(study, sizes),
        placebo_dates=estimates_of(derived, "placebo_dates"),
        placebo_outcomes=estimates_of(derived, "placebo_outcomes"),
        placebo_cameras=estimates_of(derived, "placebo_cameras"),
        by_crime_type=estimates_of(derived, "by_crime_type"),
        rings=estimates_of(derived, "rings"),
        expected_change=next(iter(estimates_of(derived, "chance").values()), None),
        unanswered=unanswered_of(derived),
    )


def check_lines(checks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What each check found; those that lack the same are one line, as are those that were not asked."""
    lacking: dict[str, list[str]] = {}
    asked_not: list[str] = []
    for check in checks:
        if check["reason"] == NOT_ASKED.get(check["name"]):
            asked_not.append(check["name"])
        elif check["outcome"] == "not computable":
            lacking.setdefault(check["reason"], []).append(check["name"])
        else:
            yield f"Check:    {check['name']}: {check['outcome']}; {true_minus(check['reason'])}"
    for reason, names in lacking.items():
        yield f"Check:    {', '.join(names)}: not computable; {true_minus(reason)}"
    if asked_not:
        yield f"Check:    {', '.join(asked_not)}: not computable; [checks] in the study did not ask for them"


def event_study_of(found: Estimate, study: Study) -> dict[str, Any] | None:
    """What a picture of the effects by event time needs beside them; None without such effects.

    ``critical_value`` makes intervals that hold for all of them at once, None where an effect's variance is not
    above 0; ``gap`` and ``bins`` are those of `evalkit.core.check.CheckContext`.
    """
    listed = event_times(found.terms)
    if not listed:
        return None
    context = context_of(study)
    drawn = np.array([place for place, _ in listed])
    covariance = found.covariance[np.ix_(drawn, drawn)]
    certain = (np.diagonal(covariance) == 0) & (
        found.effect[drawn] == 0
    )  # a reference that is listed
    covariance = covariance[np.ix_(~certain, ~certain)]
    usable = (
        covariance.size and np.isfinite(covariance).all() and (np.diagonal(covariance) > 0).all()
    )
    critical = sup_t(covariance, level=found.level, df=found.df).critical_value if usable else None
    bins = None if context.bins is None else list(context.bins)
    return {"critical_value": critical, "gap": context.gap, "bins": bins}


def _cohort_units(study: Study, merged: Statistics) -> dict[str, int] | None:
    """From the ``columns`` that the regressions send; other estimators do not tell."""
    if merged.kind != "additive" or "columns" not in merged.total():
        return None
    return cohort_sizes(grid_of(study), merged.total()["columns"][2])


def _evidence(found: Estimate) -> Evidence:
    """The estimate's first term as evidence, with what is known of heterogeneity."""
    details = found.details
    return build_evidence(
        float(found.effect[0]),
        float(found.std_error[0]),
        df=found.df,
        level=found.level,
        tau2=details.get("tau2", math.nan),
        prediction_low=details.get("prediction_low", math.nan),
        prediction_high=details.get("prediction_high", math.nan),
        sites=len(found.contributors),
    )
