"""Two-stage meta-analysis: each city estimates its own effect, the cities' effects are then pooled.

The first stage is any other estimator run inside one city to the end, so that only the effect and its
variance leave: the least revealing release there is. The second stage is `numerics.meta_analysis`: fixed
effect, DerSimonian–Laird, Paule–Mandel or REML, with Wald or Knapp–Hartung intervals, heterogeneity, and the
prediction interval for a city not in the study (Higgins, Thompson & Spiegelhalter 2009).

If the study names moderators, subgroups or an order, each city also sends those facts as numbers. Effects in
subgroups and coefficients of a meta-regression are then further terms; the first term stays the effect pooled
over all cities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.discover import estimator as find_estimator
from evalkit.core.estimate import Estimate, Scale, SiteEffect
from evalkit.core.estimator import (
    Estimator,
    Question,
    ReleaseClass,
    ask_first,
    estimate,
    scale_of,
)
from evalkit.core.moderators import group_of, read_groups, read_moderator, values_of, wanted
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Analysis, Study
from evalkit.core.terms import in_subgroup, of_moderator
from evalkit.errors import ConfigError, EstimationError
from evalkit.estimators._randomisation import with_randomisation_of_cities
from evalkit.numerics.distributions import critical_value
from evalkit.numerics.meta_analysis import NoSpreadError, PooledEffect, TooFewEffectsError
from evalkit.numerics.meta_regression import CollinearModeratorsError, regress
from evalkit.numerics.refits import pool_any
from evalkit.numerics.subgroups import compare_subgroups

__all__ = ["TERM", "RandomEffects", "estimator"]

TERM: Final = "treated"

INTERCEPT: Final = "intercept"
"""Of a meta-regression: the effect in a city whose moderators are all 0."""

ROUNDING: Final = 1e-9
"""Relative: two ways to the same standard error differ by less."""

CITIES_PER_MODERATOR: Final = 10
"""The Cochrane Handbook's (2023, 10.11.5.1) least number of studies for each covariate."""


@dataclass(frozen=True, slots=True)
class _Further:
    """Terms beyond the first, of one further model.

    Attributes:
        terms, effect, covariance, df: K of them.
        details: further named numbers.
        notes: what a reader must know.
    """

    terms: tuple[str, ...] = ()
    effect: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    covariance: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    df: tuple[float, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Pool city effects; see the module's docstring."""

    name: str = "random_effects"
    release_class: ReleaseClass = "estimate"
    scales: tuple[Scale, ...] = ("log_rate_ratio",)
    reads: tuple[str, ...] = (
        "cumulative_by",
        "first_stage",
        "interval",
        "method",
        "moderators",
        "randomisation",
        "subgroups",
    )
    randomises: bool = True
    effect_field: str = "effect"

    def first_question(self, study: Study) -> Question:
        """One round, no parameters.

        Raises:
            ConfigError: the first stage is unknown, is this estimator itself, counts incidents, or has an effect for
                each event time, as one effect a city is pooled.
        """
        ask_first(_first_stage(study), study)  # refuses a study that cannot be asked
        _refuse_event_times(study)
        return Question(study, self.name, "effect")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Each city's effect: field ``effect`` (4,): log rate ratio, variance, clusters, observations.

        If the study names them, ``moderators`` (M,) in its order and ``subgroup`` (1,), the number of the group. With
        ``randomisation`` that field (7,) of the first stage: the rank of its effect among other assignments.

        Raises:
            ModeratorError: a city lacks a moderator that the study names.
        """
        inner = _first_stage(question.study)
        analysis = question.study.analysis
        parts: dict[tuple[str, ...], dict[str, NDArray[np.float64]]] = {}
        support: list[Support] = []
        for city in panel.split():
            fit, asked = _estimate_city(inner, city, question.study)
            sizes = [fit.clusters, fit.observations]
            parts[city.sites] = {
                "effect": np.array(
                    [
                        fit.effect[0],
                        fit.covariance[0, 0],
                        *(s if math.isfinite(s) else 0.0 for s in sizes),
                    ]
                ),
                **_facts(city, analysis),
                **_rank(asked, analysis),
            }
            support.extend(asked.support)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """The pooled effect with its heterogeneity and prediction interval, then subgroups and moderators.

        Raises:
            EstimationError: a city sent an effect without uncertainty, or facts that do not fit the study.
        """
        analysis = question.study.analysis
        names = [names[0] for names in statistics.parts]
        rows = np.array([fields["effect"] for fields in statistics.parts.values()])
        _check_variances(names, rows[:, 1])
        pooled = _pool(rows, analysis)
        clusters, observations = rows[:, 2].sum(), rows[:, 3].sum()
        facts = [
            _labelled(fields, analysis, city)
            for city, fields in zip(names, statistics.parts.values(), strict=True)
        ]
        further = (
            _subgroups(rows, facts, analysis),
            _regression(rows, facts, analysis),
        )
        found = Estimate(
            estimator=self.name,
            terms=(TERM, *(term for one in further for term in one.terms)),
            effect=np.concatenate([[pooled.effect], *(one.effect for one in further)]),
            covariance=_blocks(
                [np.array([[pooled.std_error**2]]), *(one.covariance for one in further)]
            ),
            df=pooled.df,
            term_df=(pooled.df, *(df for one in further for df in one.df)),
            level=analysis.level,
            contributors=statistics.sites,
            clusters=float(clusters) if clusters else math.nan,
            observations=float(observations) if observations else math.nan,
            sites=tuple(
                SiteEffect(name, float(row[0]), math.sqrt(float(row[1])), float(weight), known)
                for name, row, weight, known in zip(names, rows, pooled.weights, facts, strict=True)
            ),
            details={
                "tau2": pooled.tau2,
                "tau2_low": pooled.tau2_low,
                "tau2_high": pooled.tau2_high,
                "q": pooled.q,
                "q_df": float(pooled.q_df),
                "q_p_value": pooled.q_p_value,
                "i2": pooled.i2,
                "h2": pooled.h2,
                "prediction_low": pooled.prediction_low,
                "prediction_high": pooled.prediction_high,
                **{name: value for one in further for name, value in one.details.items()},
            },
            notes=(*_notes(rows, pooled), *(note for one in further for note in one.notes)),
        )
        return with_randomisation_of_cities(found, question.study, statistics.parts)


def _pool(rows: NDArray[np.float64], analysis: Analysis) -> PooledEffect:
    """The cities' effects pooled as the study says.

    Raises:
        EstimationError: all cities have the very same effect, and the interval rests on their spread.
    """
    try:
        return pool_any(
            rows[:, 0],
            rows[:, 1],
            method=analysis.method,
            interval=analysis.interval,
            level=analysis.level,
        )
    except NoSpreadError:
        raise EstimationError(
            f"all {len(rows)} cities have the very same effect, and a Knapp–Hartung interval rests on how much they "
            "differ",
            where="[analysis] interval",
            limit="effects that differ",
            way_out='see that no city is in the run twice; else set interval = "knapp_hartung_truncated"',
        ) from None


def _check_variances(names: Sequence[str], variances: NDArray[np.float64]) -> None:
    """An effect without uncertainty would take all the weight."""
    without = [name for name, variance in zip(names, variances, strict=True) if not variance > 0.0]
    if without:
        raise EstimationError(
            f"the effect of {', '.join(without)} has no variance",
            limit="a variance above 0 for every city",
            way_out="look for units that are all alike; leave the city out, or use larger units or a longer window",
        )


def _facts(city: Panel, analysis: Analysis) -> dict[str, NDArray[np.float64]]:
    """What the study asks to know of a city, and nothing else."""
    (site,) = city.sites
    known = city.moderators[0] if city.moderators else {}
    facts: dict[str, NDArray[np.float64]] = {}
    asked = wanted(analysis)
    if asked:
        facts["moderators"] = values_of(known, asked, site=site)
    if analysis.subgroups:
        groups = read_groups(analysis.subgroups)
        facts["subgroup"] = np.array([float(group_of(known, groups, site=site))])
    return facts


def _labelled(
    fields: Mapping[str, NDArray[np.float64]], analysis: Analysis, city: str
) -> dict[str, float]:
    """A city's facts by the study's words; a subgroup as 1 for the city's own and 0 for the others.

    Raises:
        EstimationError: they are not those that the study asks for.
    """
    asked = wanted(analysis)
    groups = read_groups(analysis.subgroups).labels if analysis.subgroups else ()
    values = fields.get("moderators", np.empty(0))
    number = fields.get("subgroup", np.empty(0))
    if values.shape != (len(asked),) or number.shape != (min(len(groups), 1),):
        raise _wrong_facts(city)
    known = {one.label: float(value) for one, value in zip(asked, values, strict=True)}
    if groups:
        if number[0] not in range(len(groups)):
            raise _wrong_facts(city)
        known |= {label: float(index == number[0]) for index, label in enumerate(groups)}
    return known


def _wrong_facts(city: str) -> EstimationError:
    return EstimationError(
        "a city's moderators do not fit the study",
        where=f"site {city}",
        limit="one number for each moderator, and the number of a subgroup",
        way_out="use the same evalkit version at the server and at every city",
    )


def _subgroups(
    rows: NDArray[np.float64], facts: Sequence[Mapping[str, float]], analysis: Analysis
) -> _Further:
    """An effect for every subgroup that has a city, with one τ² for all."""
    if not analysis.subgroups or len(rows) == 1:
        return _Further()
    labels = read_groups(analysis.subgroups).labels
    member = np.array([[one[label] for label in labels] for one in facts]).argmax(axis=1)
    present = np.unique(member)
    empty = [label for index, label in enumerate(labels) if index not in present]
    notes = [f"no city has {label}" for label in empty]
    try:
        found = compare_subgroups(
            rows[:, 0],
            rows[:, 1],
            np.searchsorted(present, member),
            method=analysis.method,
            interval=analysis.interval,
            level=analysis.level,
        )
    except TooFewEffectsError:
        return _Further(
            notes=(
                *notes,
                f"subgroups cannot be compared: {len(rows)} cities, {len(present)} groups",
            )
        )
    notes.append("effects in subgroups share one variance between cities")
    return _Further(
        terms=tuple(in_subgroup(labels[index]) for index in present),
        effect=found.effect,
        covariance=found.covariance,
        df=tuple(float(df) for df in found.df),
        details={
            "subgroups_tau2": float(found.tau2[0]),
            "subgroups_q": found.q_between,
            "subgroups_q_df": float(found.q_df),
            "subgroups_q_p_value": found.q_p_value,
        },
        notes=tuple(notes),
    )


def _regression(
    rows: NDArray[np.float64], facts: Sequence[Mapping[str, float]], analysis: Analysis
) -> _Further:
    """Coefficients of the study's moderators, or a note that says why there are none."""
    labels = [read_moderator(text).label for text in analysis.moderators]
    if not labels or len(rows) == 1:
        return _Further()
    try:
        fit = regress(
            rows[:, 0],
            rows[:, 1],
            np.array([[one[label] for label in labels] for one in facts]),
            method=analysis.method,
            interval=analysis.interval,
            level=analysis.level,
        )
    except TooFewEffectsError:
        reason = f"{len(rows)} cities are too few for {len(labels) + 1} coefficients"
        return _Further(notes=(f"the meta-regression cannot be computed: {reason}",))
    except CollinearModeratorsError as error:
        how = "is the same in all cities" if error.constant else "follows from those before it"
        reason = f"the moderator {labels[error.moderator]} {how}"
        return _Further(notes=(f"the meta-regression cannot be computed: {reason}",))
    few = len(rows) < CITIES_PER_MODERATOR * len(labels)
    sparse = f"fewer than {CITIES_PER_MODERATOR} cities for each moderator: one may fit by chance"
    return _Further(
        terms=tuple(of_moderator(label) for label in (INTERCEPT, *labels)),
        effect=fit.coefficients,
        covariance=fit.covariance,
        df=(fit.df,) * len(fit.coefficients),
        details={
            "moderators_tau2": fit.tau2,
            "moderators_r2": fit.r2,
            "moderators_qm": fit.qm,
            "moderators_qm_df": float(fit.qm_df),
            "moderators_qm_p_value": fit.qm_p_value,
            "moderators_qe": fit.qe,
            "moderators_qe_df": float(fit.qe_df),
            "moderators_qe_p_value": fit.qe_p_value,
        },
        notes=(
            "cities were not given their moderators at random: what goes with a moderator need not come from it",
            *([sparse] if few else []),
        ),
    )


def _blocks(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Covariances of separate models along the diagonal; between models they are not defined."""
    sizes = [len(part) for part in parts]
    whole = np.full((sum(sizes), sum(sizes)), math.nan)
    start = 0
    for size, part in zip(sizes, parts, strict=True):
        whole[start : start + size, start : start + size] = part
        start += size
    return whole


def _refuse_event_times(study: Study) -> None:
    """An average over event times, on which cities with other go-live dates differ, is not what is asked for."""
    design, stage = study.analysis.design, study.analysis.first_stage
    if design != "static" and "design" in getattr(_first_stage(study), "reads", ()):
        raise ConfigError(
            f'design = "{design}" is given, and random_effects pools one effect a city',
            where="[analysis] design",
            limit=f'design = "static" with random_effects over {stage}',
            way_out=f'set design = "static", or estimator = "{stage}" for effects by event time',
        )


def _first_stage(study: Study) -> Estimator:
    name = study.analysis.first_stage
    if name == "random_effects":
        raise ConfigError(
            "random_effects cannot be its own first stage",
            where="[analysis] first_stage",
            way_out='name an estimator of one city, such as "poisson_did" or "rate_ratio"',
        )
    found = find_estimator(name)
    if scale_of(found, study) != "log_rate_ratio":
        raise ConfigError(
            f"the first stage {name} estimates differences of incidents, which cannot be pooled over cities: they "
            "grow with the city",
            where="[analysis] first_stage",
            limit="effects that are rate ratios",
            way_out='set scale = "ratio"'
            if "log_rate_ratio" in found.scales
            else 'name another, such as "poisson_did" or "rate_ratio"',
        )
    return found


def _estimate_city(inner: Estimator, city: Panel, study: Study) -> tuple[Estimate, Statistics]:
    """Run the first stage to its end on one city, and keep its last round's statistics."""
    last: list[Statistics] = []

    def ask(question: Question) -> Sequence[Statistics]:
        last[:] = [inner.summarise(city, question)]
        return last

    fit = estimate(inner, study, ask)
    return fit, last[0]


def _rank(asked: Statistics, analysis: Analysis) -> dict[str, NDArray[np.float64]]:
    """The first stage's randomisation test of one city, if the study asks for it."""
    if not analysis.reassignments:
        return {}
    (fields,) = asked.parts.values()
    return {"randomisation": fields["randomisation"]}


def _notes(rows: NDArray[np.float64], pooled: PooledEffect) -> tuple[str, ...]:
    cities = len(rows)
    if cities == 1:
        return (
            "one city only: its own effect and normal interval, no heterogeneity or prediction",
        )
    found: list[str] = []
    if cities < 5:
        found.append(
            f"heterogeneity between {cities} cities is hardly known; intervals are wide for that reason"
        )
    wald = 1.0 / math.sqrt(float((1.0 / (rows[:, 1] + pooled.tau2)).sum()))
    reach = critical_value(pooled.level, math.inf) * wald
    shorter = pooled.conf_high - pooled.conf_low < 2.0 * reach * (1.0 - ROUNDING)
    if shorter and pooled.q < pooled.q_df:
        found.append(
            "cities agree more closely than their own errors lead to expect, which may be chance: from these errors "
            f"the interval would be {_percent(pooled.effect - reach)} to {_percent(pooled.effect + reach)}"
        )
    return tuple(found)


def _percent(effect: float) -> str:
    """A log rate ratio as a change."""
    return f"{100.0 * math.expm1(effect):+.1f} %".replace("-", "−")


estimator = RandomEffects()
