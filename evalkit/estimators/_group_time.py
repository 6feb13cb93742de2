"""What the estimators of group-time effects share: the targets a study names, their support, the estimate.

A city's statistic is the same for all of them: totals of the study's targets and the cross-products of the
units' contributions (`numerics.group_time_totals`), additive over cities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, cell_of, support_of
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Cell, Support
from evalkit.core.study import Analysis, Study
from evalkit.core.terms import OVERALL, at_event_time
from evalkit.errors import (
    ConfigError,
    EstimationError,
    NoControlError,
    NothingToTestError,
    SeparationError,
)
from evalkit.numerics.event_study import SingularCovarianceError, WaldTest, pre_trend_test, sup_t
from evalkit.numerics.group_time import NEVER, Cells, Means
from evalkit.numerics.group_time_totals import (
    Averages,
    Totals,
    averages,
    calendar_weights,
    dynamic_weights,
    group_weights,
    simple_weights,
)

__all__ = [
    "check_analysis",
    "check_cells",
    "check_stage",
    "estimate_of",
    "event_times",
    "fields_of",
    "marked_targets",
    "outcome_of",
    "starts_of",
    "support_of_targets",
    "target_weights",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PARALLEL: Final = (
    "assumes that without cameras the treated units' counts would have changed by as many incidents as "
    "the controls' did, and that nothing changed before a camera went live because it was to come"
)
SCALES: Final[dict[str, Literal["log_rate_ratio", "count"]]] = {
    "ratio": "log_rate_ratio",
    "count": "count",
}


def check_stage(question: Question, stages: Sequence[str]) -> None:
    """A city answers only what the approved study needs.

    Raises:
        EstimationError: the question's stage is another.
    """
    if question.stage not in stages:
        pool = question.study.analysis.control_pool
        raise EstimationError(
            f"the question's stage is none that the study's controls ({pool}) need",
            limit=", ".join(stages),
            way_out="ask what the study says",
        )


def check_analysis(study: Study) -> None:
    """Refuse an event window in which nothing is treated.

    Raises:
        ConfigError: see above.
    """
    low, high = study.analysis.event_window
    if study.analysis.aggregation == "dynamic" and (high < 0 or high < low):
        raise ConfigError(
            "the event window holds no period with cameras",
            where="[analysis] event_window",
            limit="first ≤ last, and last ≥ 0",
            way_out="name a window around 0, such as [-6, 12]",
        )


def event_times(analysis: Analysis) -> Integers:
    """Every event time of the study's window."""
    low, high = analysis.event_window
    return np.arange(low, high + 1, dtype=np.int64)


def outcome_of(design: Design) -> Floats:
    """(U, T) incidents per exposure, 0 where not observed."""
    if (design.exposure == 1).all():  # nothing better is known, as in most panels: no copy
        return design.outcome
    rate: Floats = design.outcome / np.where(design.used, design.exposure, 1.0)
    return rate


def starts_of(design: Design, study: Study) -> Integers:
    """(U,) the first period wholly with cameras, −1 for controls."""
    after = design.last_live + (1 if study.treatment.transition == "drop" else 0)
    return np.where(design.ever_treated, after, design.first_live).astype(np.int64)


def target_weights(cells: Cells, analysis: Analysis, periods: int) -> Floats:
    """(J, K) weights of the cells in each target of the study's aggregation."""
    match analysis.aggregation:
        case "dynamic":
            return dynamic_weights(cells, event_times(analysis))
        case "calendar":
            return calendar_weights(cells, np.arange(periods))
        case "group":
            each: Floats = group_weights(cells)[1].sum(axis=1)
            return each[:, None]
        case _:
            return simple_weights(cells)


def check_cells(cells: Cells, where: str) -> None:
    """Refuse effects that do not exist or have no standard error.

    Raises:
        NothingToTestError: no unit is treated, or none is observed on both sides of its go-live.
        NoControlError: no control is observed in the same periods.
        EstimationError: a cohort or its controls are one unit.
    """
    if not cells.post.any():
        if cells.without_control:
            raise NoControlError(
                "no control is observed when treated units are",
                where=where,
                way_out='use [analysis] control_group = "not_yet", or [units] controls = "lattice"',
            )
        raise NothingToTestError(
            "no treated unit is observed before and after its camera went live", where=where
        )
    if min(cells.treated_units.min(), cells.control_units.min()) < 2:
        raise EstimationError(
            "a cohort of one unit, or one control for a cohort, has no standard error",
            where=where,
            limit="at least 2 units of each cohort, and 2 controls, in every period compared",
            way_out='set [federation] small_cohorts = "coarsen" or "set_apart", or use longer periods',
        )


def fields_of(totals: Totals, blocks: Means, cells: Cells) -> dict[str, Floats]:
    """The fields that leave: ``totals`` (3, K), ``cross`` (3K, 3K), and ``sizes`` (4,).

    Sizes are units, observations, cohort-periods without control, and treated units in no effect.
    """
    targets = totals.values.shape[1]
    compared = cells.treated[cells.post].any(axis=0)
    sizes = (
        blocks.units.sum(),
        blocks.units @ blocks.observed.sum(axis=1),
        cells.without_control,
        blocks.units[(blocks.first != NEVER) & ~compared].sum(),
    )
    return {
        "totals": totals.values,
        "cross": totals.cross.reshape(3 * targets, 3 * targets),
        "sizes": np.array(sizes, dtype=np.float64),
    }


def support_of_targets(design: Design, study: Study, parameters: int, cells: int) -> Support:
    """Support per design pattern, and per event time or calendar period where totals of those leave."""
    units = len(design.outcome)
    observed = int(np.count_nonzero(design.used))
    support = support_of(
        design, clusters=units, parameters=parameters, residual_df=observed - units - cells
    )
    targets = tuple(_target_cells(design, study.analysis))
    return Support(
        support.site,
        (*support.cells, *targets),
        support.clusters,
        support.parameters,
        support.residual_df,
    )


def _target_cells(design: Design, analysis: Analysis) -> list[Cell]:
    """Treated units and incidents at each target.

    They are of the phase ``after`` whatever the event time: the gate takes the number of treated units from
    the other phases of the patterns, and would count the same units again.
    """
    if analysis.aggregation not in ("dynamic", "calendar"):
        return []
    rows = np.flatnonzero(design.ever_treated)
    used, counts = design.used[rows], design.outcome[rows]
    if analysis.aggregation == "calendar":
        names, inside = design.period_names, used & (design.treated[rows] > 0)
    else:
        times = event_times(analysis)
        names = tuple(at_event_time(int(time)) for time in times)
        since = design.event_time[rows]
        unit, period = np.nonzero(used & (since >= times[0]) & (since <= times[-1]))
        # a unit has every event time at most once
        place = (unit, since[unit, period] - times[0])
        inside = np.zeros((len(rows), len(times)), dtype=bool)
        inside[place] = True
        by_time = np.zeros(inside.shape)
        by_time[place] = counts[unit, period]
        counts = by_time
    return [
        cell_of(name, "after", counts[inside[:, one], one][:, None], treated=True)
        for one, name in enumerate(names)
        if inside[:, one].any()
    ]


def estimate_of(
    name: str,
    question: Question,
    fields: Mapping[str, Floats],
    contributors: tuple[str, ...],
    notes: tuple[str, ...],
) -> Estimate:
    """The estimate from the summed ``totals``, ``cross`` and ``sizes``.

    Raises:
        SeparationError: the overall effect is no finite number.
    """
    analysis = question.study.analysis
    values = fields["totals"]
    targets = values.shape[1]
    found = averages(
        Totals(values, fields["cross"].reshape(3, targets, 3, targets)),
        marked_targets(analysis, targets),
        analysis.scale,
    )
    if not math.isfinite(found.effect[0]):
        raise SeparationError(
            "the treated units' incidents, or those expected without cameras, are none or fewer",
            limit="a ratio needs both above zero",
            way_out='use larger units, more crime types, or [analysis] scale = "count"',
        )
    kept = _kept(analysis, found)
    terms = [OVERALL, *(at_event_time(int(event_times(analysis)[i - 1])) for i in kept[1:])]
    units, observations, left_out, uncompared = (float(value) for value in fields["sizes"])
    covariance = found.covariance[np.ix_(kept, kept)]
    return Estimate(
        estimator=name,
        terms=tuple(terms),
        effect=found.effect[kept],
        covariance=covariance,
        df=math.inf,
        level=analysis.level,
        contributors=contributors,
        units=units,
        observations=observations,
        clusters=units,
        details={
            "cohort_periods_without_control": left_out,
            "treated_units_never_compared": uncompared,
            **_together(analysis, found, kept, covariance),
        },
        notes=(
            PARALLEL,
            *notes,
            *_notes(analysis, found, (left_out, uncompared), len(contributors)),
        ),
        scale=SCALES[analysis.scale],
    )


def marked_targets(analysis: Analysis, targets: int) -> NDArray[np.bool_]:
    """The targets that make the overall effect."""
    if analysis.aggregation == "dynamic":
        marked: NDArray[np.bool_] = event_times(analysis) >= 0
        return marked
    return np.ones(targets, dtype=bool)


def _kept(analysis: Analysis, found: Averages) -> Integers:
    """Overall, and for a dynamic aggregation every event time that has an effect."""
    finite = np.flatnonzero(np.isfinite(found.effect) & np.isfinite(np.diagonal(found.covariance)))
    return finite if analysis.aggregation == "dynamic" else finite[:1]


def _together(
    analysis: Analysis, found: Averages, kept: Integers, covariance: Floats
) -> dict[str, float]:
    """Critical value of the simultaneous band and the test of the effects before go-live."""
    if analysis.aggregation != "dynamic":
        return {}
    before = kept[1:][event_times(analysis)[kept[1:] - 1] < 0]
    test = _pre_test(found.effect[before], found.covariance[np.ix_(before, before)])
    return {
        "sup_t_critical": _critical(covariance[1:, 1:], analysis.level),
        "pre_test_chi2": test.statistic,
        "pre_test_df": float(test.df),
        "pre_test_p_value": test.p_value,
    }


def _pre_test(effect: Floats, covariance: Floats) -> WaldTest:
    """The joint test of effects before go-live; NaN where there is none, or their covariance is singular."""
    without = WaldTest(math.nan, len(effect), math.nan)
    if not len(effect):
        return without
    try:
        return pre_trend_test(effect, covariance)
    except SingularCovarianceError:
        return without


def _critical(covariance: Floats, level: float) -> float:
    """Of the simultaneous band over all event times; NaN without an effect, or with one that cannot vary."""
    if not len(covariance) or not (np.diagonal(covariance) > 0).all():
        return math.nan
    return sup_t(covariance, level=level).critical_value


def _notes(
    analysis: Analysis, found: Averages, left_out: tuple[float, float], cities: int
) -> tuple[str, ...]:
    notes = []
    if cities > 1:
        notes.append(
            "the effect is the average over the treated units of these cities; nothing follows for a further "
            "city (random_effects is for that)"
        )
    without_control, uncompared = left_out
    if uncompared:
        notes.append(
            f"{uncompared:g} treated units are in no effect: not observed on both sides of their go-live, or "
            "without a control then"
        )
    if without_control:
        notes.append(
            f"{without_control:g} cohort-periods were left out because no control is observed in both of their periods"
        )
    if analysis.aggregation == "dynamic":
        notes.append(
            "the overall effect is the mean over the event times from 0 to the end of the window; later ones "
            "rest on earlier cohorts only"
        )
        if analysis.base_period == "varying":
            notes.append(
                "effects before go-live are changes from one period to the next; for checks that draw a path "
                'through them set base_period = "universal"'
            )
        times = event_times(analysis)
        # with a universal base the last period before is 0 by construction
        named = times != -1 if analysis.base_period == "universal" else np.ones_like(times, bool)
        missing = times[~np.isfinite(found.effect[1:]) & named]
        if len(missing):
            names = ", ".join(str(int(time)) for time in missing)
            notes.append(f"no effect can be computed at event time {names}")
    return tuple(notes)
