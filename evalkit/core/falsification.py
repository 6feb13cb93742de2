"""Studies derived from a study that ask whether its design can be believed, each with a hash of its own.

Vocabulary
    placebo dates    cameras are pretended to have gone live N periods earlier; only what lies before the true go-live
                     is used. What is found is the design's mistake, or a reaction before go-live.
    placebo outcome  a crime that the cameras should not move; which one that is the researcher says beforehand.
    placebo cameras  as many controls as there are treated units are pretended to have got a camera, at the dates at
                     which those did; the true ones are left out, the other controls are the comparison.
    rings            the zone around each camera in its place, against the same controls: a rise is displacement, a
                     fall diffusion of benefits.
    chance           how far places with cameras would have fallen back by themselves: the estimator
                     ``regression_to_the_mean`` on the study's own panel.

They are plain studies: the same panel builder, estimator, gate and ledger answer them, and whoever has the study
derives the same hashes. A study that lists them in ``[checks]`` has them asked by `study run`, and a city that approves
it approves them, as it derives them itself (`evalkit.disclosure.approval`). Checks judge the overall effect only, so
regressions are asked for that alone (``design = "static"``), without subgroups and moderators of cities: the least that
must leave a city.

Sources
    Angrist, J. D. & Pischke, J.-S. (2009). Mostly harmless econometrics, section 5.2 (placebo dates). Lipsitch, M.,
        Tchetgen Tchetgen, E. & Cohen, T. (2010). Negative controls. Epidemiology 21, 383–388 (placebo outcomes).
    Abadie, A., Diamond, A. & Hainmueller, J. (2010). Synthetic control methods for comparative case studies. Journal of
        the American Statistical Association 105, 493–505 (placebos in the place of the treated).
    Clarke, R. V. & Weisburd, D. (1994). Diffusion of crime control benefits. Crime Prevention Studies 2, 165–183.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from evalkit.core.study import (
    Analysis,
    Specifications,
    Study,
    Window,
    check_study,
    checks_of,
    study_hash,
)
from evalkit.errors import ConfigError

__all__ = [
    "Falsification",
    "Kind",
    "by_crime_type",
    "derived_of",
    "estimates_chance",
    "periods_of",
    "placebo_cameras",
    "placebo_dates",
    "placebo_outcomes",
    "regression",
    "rings",
]

Kind = Literal[
    "placebo_dates", "placebo_outcomes", "placebo_cameras", "by_crime_type", "rings", "chance"
]
"""What is pretended or asked; fields of `evalkit.core.check.CheckContext` are named by it."""

CHANCE: Final = "regression_to_the_mean"
"""Name of the estimator."""

MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Falsification:
    """One derived study.

    Attributes:
        kind: of the derivation.
        label: what is pretended, such as ``6 months earlier``.
        study: the study, without specifications and checks of its own.
        hash: of that study.
    """

    kind: Kind
    label: str
    study: Study
    hash: str


def derived_of(study: Study) -> tuple[Falsification, ...]:
    """Every study that ``[checks]`` asks for, in a fixed order; empty if it asks for none.

    Raises:
        ConfigError: what is asked cannot be: rings of a study without any, dates before the window, crimes that the
            study counts itself, types one by one where there is one, the same twice, or checks of a placebo.
        TaxonomyError: an unknown crime type, or an empty list of them.
    """
    asked = checks_of(study)
    if study.checks is msgspec.UNSET:
        return ()
    if not study.treatment.is_true:
        raise _refused(
            "the study is a placebo itself",
            "[checks]",
            "a study of cameras where and when they were",
            "leave [checks] out, or placebo_periods, treated_ring and placebo_cameras in [treatment]",
        )
    around = rings(study) if asked.rings else ()
    if asked.rings and not around:
        raise _refused(
            "rings are asked of a study without rings",
            "[checks] rings",
            "units with a ring_m beyond radius_m; areas have none"
            if study.units.kind == "area"
            else f"ring_m above radius_m, which is {study.units.radius_m:g}",
            "set rings = false" if study.units.kind == "area" else "raise [units] ring_m",
        )
    found = (
        *placebo_dates(study, asked.placebo_periods),
        *placebo_outcomes(study, asked.placebo_outcomes),
        *((placebo_cameras(study),) if asked.placebo_cameras else ()),
        *(by_crime_type(study) if asked.by_crime_type else ()),
        *around,
        *((regression(study),) if asked.chance else ()),
    )
    if len({one.hash for one in found}) < len(found):
        raise _refused("[checks] lists something twice", "[checks]", "each once", "remove one")
    return found


def placebo_dates(study: Study, earlier: Sequence[int]) -> tuple[Falsification, ...]:
    """The study with go-live pretended so many periods earlier, once for each number.

    Raises:
        ConfigError: a number leaves no period after the pretended go-live or none before it, or the study is a placebo
            already.
    """
    if study.treatment.pretended_earlier:
        raise _refused(
            "the study pretends an earlier go-live already",
            "[treatment] placebo_periods",
            "a study of true dates",
            "derive placebo dates from the study without placebo_periods",
        )
    most = periods_of(study.window) - 2
    for number in earlier:
        if number > most:
            raise _refused(
                f"{number} {study.window.period}s earlier is before the window for every camera",
                "placebo_periods",
                f"at most {most}: one period before the pretended go-live, and the true one after it",
                "pretend a later go-live, or widen the window",
            )
    return tuple(
        _derived(
            "placebo_dates",
            f"{number} {study.window.period}{'s' if number > 1 else ''} earlier",
            replace(study, treatment=replace(study.treatment, placebo_periods=number)),
        )
        for number in earlier
    )


def placebo_outcomes(study: Study, outcomes: Sequence[Sequence[str]]) -> tuple[Falsification, ...]:
    """The study with other crime types, once for each set of them.

    Raises:
        ConfigError: a set shares a type with the study's own.
        TaxonomyError: an unknown crime type, or none.
    """
    for types in outcomes:
        shared = sorted(set(types) & set(study.outcome.crime_types))
        if shared:
            raise _refused(
                f"a placebo outcome holds {', '.join(shared)}, which the study itself counts",
                "placebo outcomes",
                "crimes that cameras should not move",
                "name others",
            )
    return tuple(
        _derived(
            "placebo_outcomes",
            ", ".join(types),
            replace(study, outcome=replace(study.outcome, crime_types=tuple(types))),
        )
        for types in outcomes
    )


def placebo_cameras(study: Study) -> Falsification:
    """The study of places without a camera that are pretended to have got one; which they are its hash decides."""
    treatment = replace(study.treatment, placebo_cameras=True)
    return _derived(
        "placebo_cameras", "places without a camera", replace(study, treatment=treatment)
    )


def by_crime_type(study: Study) -> tuple[Falsification, ...]:
    """The study of each of its crime types by itself, in its order.

    Raises:
        ConfigError: it counts one only.
    """
    types = study.outcome.crime_types
    if len(types) < 2:
        raise _refused(
            "crime types are asked one by one of a study that counts one",
            "[checks] by_crime_type",
            "two crime types or more",
            "set by_crime_type = false",
        )
    return tuple(
        _derived(
            "by_crime_type",
            one,
            replace(study, outcome=replace(study.outcome, crime_types=(one,))),
        )
        for one in types
    )


def rings(study: Study) -> tuple[Falsification, ...]:
    """The study of each of its rings, outward; none if it has no ring."""
    if study.units.kind == "area":
        return ()
    edges = (study.units.radius_m, *study.units.rings_m)
    return tuple(
        _derived(
            "rings",
            f"{inner:g} to {outer:g} m",
            replace(study, treatment=replace(study.treatment, treated_ring=number)),
        )
        for number, (inner, outer) in enumerate(itertools.pairwise(edges), start=1)
    )


def regression(study: Study) -> Falsification:
    """The study with the estimator of the change that chance alone leads to expect; pooled as the study pools."""
    analysis = study.analysis
    key = "first_stage" if analysis.estimator == "random_effects" else "estimator"
    other = replace(study, analysis=replace(analysis, **{key: CHANCE}))
    return _derived("chance", "expected by chance", other)


def estimates_chance(study: Study) -> bool:
    """Whether what a study estimates is regression to the mean, and no effect of cameras."""
    analysis = study.analysis
    pooled = analysis.estimator == "random_effects"
    return (analysis.first_stage if pooled else analysis.estimator) == CHANCE


def _derived(kind: Kind, label: str, other: Study) -> Falsification:
    bare = replace(
        other,
        analysis=_overall(other.analysis),
        specifications=Specifications(),
        checks=msgspec.UNSET,
    )
    checked = check_study(bare)
    return Falsification(kind, label, checked, study_hash(checked))


def _overall(analysis: Analysis) -> Analysis:
    """The analysis asked for its first term only, as far as it can be."""
    return replace(
        analysis,
        design="static",
        moderators=(),
        subgroups="",
        cumulative_by="",
        randomisation=msgspec.UNSET,
    )


def periods_of(window: Window) -> int:
    """Number of periods of the window."""
    start, end = window.start, window.end
    if window.period in MONTHS:
        months = 12 * (end.year - start.year) + end.month - start.month + 1
        return months // MONTHS[window.period]
    days = (end - start).days + 1
    return days // 7 if window.period == "week" else days


def _refused(what: str, where: str, limit: str, way_out: str) -> ConfigError:
    return ConfigError(what, where=where, limit=limit, way_out=way_out)
