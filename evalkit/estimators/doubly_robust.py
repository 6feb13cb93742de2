"""Group-time effects with covariates, doubly robust (Sant'Anna & Zhao 2020).

As `group_time_att`, but a treated unit's change is compared with that of controls of like covariates: those that
were similar before any camera went live. The effect is right if either the model of who gets a camera (logistic) or
the model of how controls change (linear) is.

Two pools of controls. ``within_city``: propensities and regressions are fitted inside each city; what leaves are
totals of the study's targets with their cross-products. ``pooled``: each comparison has one propensity model and one
regression over the units of all cities, fitted in rounds by Newton's method from the cities' scores and information
(`_doubly_robust_pooled`), exactly as if all units were in one place. Controls whose propensity is 0.995 or more get no
weight, as in R's ``DRDID``; one above 0.999 is an error, as in R's ``did``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of
from evalkit.core.estimate import Estimate, Scale
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support, additive
from evalkit.core.study import Study
from evalkit.errors import EstimationError, SeparationError
from evalkit.estimators._doubly_robust_pooled import (
    STAGES,
    first_pooled,
    next_pooled,
    summarise_pooled,
)
from evalkit.estimators._early_covariates import early_covariates, no_covariates
from evalkit.estimators._group_time import (
    check_analysis,
    check_cells,
    check_stage,
    estimate_of,
    fields_of,
    outcome_of,
    starts_of,
    support_of_targets,
    target_weights,
)
from evalkit.numerics.doubly_robust import TRIMMED_FROM, doubly_robust_totals
from evalkit.numerics.group_time import cells_of, means_of

__all__ = ["DoublyRobustDid", "estimator"]

Floats = NDArray[np.float64]

NO_COVARIATES: Final = "no covariates are named, so this is group_time_att"


@dataclass(frozen=True, slots=True)
class DoublyRobustDid:
    """Doubly robust group-time effects; see the module's docstring."""

    name: str = "doubly_robust"
    release_class: ReleaseClass = "statistics"
    scales: tuple[Scale, ...] = ("log_rate_ratio", "count")
    reads: tuple[str, ...] = (
        "aggregation",
        "base_period",
        "control_group",
        "control_pool",
        "covariates",
        "event_window",
        "scale",
    )
    additive_within_city: bool = True
    semidefinite: tuple[str, ...] = ("cross", "information")
    never_negative: tuple[str, ...] = ("sizes", "trimmed")
    ragged: tuple[str, ...] = ("blocks",)

    def first_question(self, study: Study) -> Question:
        """One round without parameters, stage ``totals``; with pooled controls the first of about ten.

        Raises:
            ConfigError: the event window holds no treated period.
        """
        check_analysis(study)
        if study.analysis.control_pool == "pooled":
            return first_pooled(study, self.name)
        return Question(study, self.name, "totals")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Totals of the targets, as `group_time_att` has them, and ``trimmed`` (1,) controls without weight.

        With pooled controls: see `_doubly_robust_pooled.summarise_pooled`.

        Raises:
            NothingToTestError, NoControlError: a city has no effect.
            EstimationError: no standard error; covariates cannot be computed; or a round of the other pool of
                controls than the study's, which a city that approved the study has not approved.
            SeparationError: covariates tell treated units and controls apart.
        """
        pooled = question.study.analysis.control_pool == "pooled"
        check_stage(question, STAGES if pooled else ("totals",))
        if question.stage != "totals":
            return summarise_pooled(panel, question)
        cities = (_of_city(design, question.study) for design in design_of(panel, question.study))
        return additive(self.name, question.stage, panel.sites, cities)

    def city_effect(self, fields: Mapping[str, Floats], question: Question) -> tuple[float, float]:
        """The overall effect of a city, or of a sum, with its variance, by which it is screened (`core.screening`).

        Raises:
            EstimationError: a round of the pooled fit, in which no city has an effect of its own.
        """
        if question.stage != "totals":
            raise EstimationError("no city has an effect of its own in a fit that all share")
        found = estimate_of(self.name, question, fields, (), ())
        return float(found.effect[0]), float(found.covariance[0, 0])

    def finalise(self, statistics: Statistics, question: Question) -> Estimate | Question:
        """Averages of the targets with their covariance; with pooled controls, the next round before that.

        Raises:
            NothingToTestError, NoControlError, EstimationError: pooled units have no effect, or none with a
                standard error.
            SeparationError: the effect is no finite number, or pooled covariates tell both groups apart.
        """
        named = tuple(dict.fromkeys(question.study.analysis.covariates))
        if question.stage != "totals":
            notes = (_given(named, "of any city"),)
            found = next_pooled(statistics, question, notes)
            if isinstance(found, Question):
                return found
            return _with_trimmed(found, float(statistics.total()["exceptional"][0]))
        total = statistics.total()
        notes = (_given(named, "of its city"),)
        found = estimate_of(self.name, question, total, statistics.sites, notes)
        return _with_trimmed(found, float(total["trimmed"][0]))


def _of_city(design: Design, study: Study) -> tuple[dict[str, Floats], Support]:
    analysis, where = study.analysis, f"site {design.site}"
    y = outcome_of(design)
    blocks, block = means_of(y, design.exposure > 0, design.first_live, starts_of(design, study))
    cells = cells_of(blocks, analysis.control_group, analysis.base_period)
    check_cells(cells, where)
    x = _covariates(design, y, tuple(dict.fromkeys(analysis.covariates)))
    weights = target_weights(cells, analysis, y.shape[1])
    try:
        found = doubly_robust_totals(y, x, blocks, block, cells, weights)
    except ArithmeticError:
        raise SeparationError(
            "the covariates tell treated units and controls apart, or depend on each other",
            where=where,
            limit="for every treated unit, controls that might as well have had a camera",
            way_out="name fewer [analysis] covariates, choose another control_group, or use group_time_att",
        ) from None
    parameters = weights.shape[1] + x.shape[1] - 1
    support = support_of_targets(design, study, parameters, len(cells.post))
    trimmed = np.array([float(found.trimmed)])
    return {**fields_of(found, blocks, cells), "trimmed": trimmed}, support


def _covariates(design: Design, y: Floats, names: tuple[str, ...]) -> Floats:
    """(U, 1 + q) a constant and the named covariates, from before the city's first go-live; mean 0, variance 1.

    Raises:
        EstimationError: too few periods before, a unit that is not observed in them, or a covariate that is the
            same for all units.
    """
    constant = np.ones((len(y), 1))
    if not names:
        return constant
    until = int(design.first_live[design.ever_treated].min())
    used, where = design.exposure > 0, f"site {design.site}"
    seen = used.sum(axis=1) > 0
    x = early_covariates(y, used, until, names, seen, where)
    mean, spread = x[seen].mean(axis=0), x[seen].std(axis=0)
    if spread.min() <= 0:
        raise no_covariates(
            "a covariate is the same for all units", where, "covariates that differ between units"
        )
    return np.hstack([constant, (x - mean) / spread])


def _given(names: tuple[str, ...], whose: str) -> str:
    if not names:
        return NO_COVARIATES
    return f"given each unit's {' and '.join(names)} before the first go-live {whose}"


def _with_trimmed(found: Estimate, trimmed: float) -> Estimate:
    """With the number of controls that got no weight, and a note if there are any."""
    notes = found.notes
    if trimmed:
        notes = (
            *notes,
            f"{trimmed:g} controls got no weight in some comparison: their propensity is {TRIMMED_FROM:g} or more",
        )
    return replace(found, details={**found.details, "controls_trimmed": trimmed}, notes=notes)


estimator = DoublyRobustDid()
