"""How far the places with cameras would have fallen back by themselves: no effect of cameras, but what looks like one.

Each unit's incidents before are shrunk towards the mean of its city by their credibility
(`numerics.regression_to_the_mean`; Bühlmann & Straub 1970, Hauer 1986). The expected change is

    θ = ln(Σ W_i level_i / Σ W_i X_i) over treated units − the same over controls,

with W_i the exposure before: of a treated unit before its own go-live, of a control in the periods in which most
treated units are still without a camera. Each period counts by the controls' rate in it, so that seasons and trends of
the city cancel. A θ of −0.1 means: had the places been chosen for their count alone, a tenth of their distance from the
controls was chance and would be gone afterwards, with or without a camera. Controls are what such a choice leaves, and
rise by themselves; they count for little where they are many.

Assumptions: treated units and controls are draws from one distribution of lasting levels. Where treated places lie
lastingly higher than others for reasons of their own, the shrinkage goes too far, so that θ bounds the regression from
below and is not what happened. The mean and the variances are taken as known: the standard error is that between units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of, support_of
from evalkit.core.estimate import Estimate, Scale
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Study
from evalkit.errors import EstimationError, SeparationError
from evalkit.estimators._city_effects import mean_of_cities
from evalkit.numerics.regression_to_the_mean import Levels, levels

__all__ = ["NOTE", "RegressionToTheMean", "estimator"]

Floats = NDArray[np.float64]

NOTE: Final = (
    "this is no effect of cameras: it is the change that chance alone leads to expect, had the places been chosen for "
    "their number of incidents before"
)

PARAMETERS: Final = 3
"""Mean, variance within units and variance between them."""


@dataclass(frozen=True, slots=True)
class RegressionToTheMean:
    """Expected change without cameras, per city, combined by inverse variance; see the module's docstring."""

    name: str = "regression_to_the_mean"
    release_class: ReleaseClass = "estimate"
    scales: tuple[Scale, ...] = ("log_rate_ratio",)
    reads: tuple[str, ...] = ()
    effect_field: str = "expected"

    def first_question(self, study: Study) -> Question:
        """One round, no parameters."""
        return Question(study, self.name, "expected")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Each city's field ``expected`` (4,): log ratio, its variance, units, unit-periods behind it.

        Raises:
            SeparationError: no incident in controls, or none in treated units before go-live.
            EstimationError: fewer than two treated units or controls, or no variation between them.
        """
        parts: dict[tuple[str, ...], dict[str, Floats]] = {}
        support: list[Support] = []
        for design in design_of(panel, question.study):
            parts[(design.site,)], one = _of_city(design)
            support.append(one)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """The cities' expected changes and their fixed-effect mean."""
        found = mean_of_cities(statistics, "expected", question.study.analysis.level)
        return replace(found, details={}, notes=(NOTE,))


def _of_city(design: Design) -> tuple[dict[str, Floats], Support]:
    treated = design.ever_treated
    exposure = np.where(_before(design), design.exposure, 0.0) * _season(design)
    _refuse_without(design, exposure)
    found = levels(design.outcome, exposure)
    fall, of_fall = _change(found, exposure.sum(axis=1), treated)
    rise, of_rise = _change(found, exposure.sum(axis=1), ~treated)
    variance = of_fall + of_rise
    if not variance > 0.0:
        raise EstimationError(
            "all units are expected to change alike, which leaves no standard error",
            where=f"site {design.site}",
            limit="units with different numbers of incidents",
            way_out="use a longer window or larger units",
        )
    cells = int((exposure > 0).sum())
    fields = {"expected": np.array([fall - rise, variance, len(design.outcome), cells])}
    support = support_of(
        design,
        clusters=len(design.outcome),
        parameters=PARAMETERS,
        residual_df=len(design.outcome) - PARAMETERS,
    )
    return fields, support


def _before(design: Design) -> NDArray[np.bool_]:
    """(U, T) cells before go-live.

    Of controls those in which at least half as many treated units are without a camera as ever are: the time that
    places were chosen from.
    """
    before = (design.exposure > 0) & (design.treated == 0)
    without = before[design.ever_treated].sum(axis=0)
    usual = 2 * without >= without.max(initial=1)
    chosen: NDArray[np.bool_] = before & (design.ever_treated[:, None] | usual)
    return chosen


def _change(found: Levels, weight: Floats, group: NDArray[np.bool_]) -> tuple[float, float]:
    """Expected log change of a group of units, and its variance by linearisation, between units."""
    seen, expected = (weight * found.rate)[group], (weight * found.level)[group]
    influence = expected / expected.sum() - seen / seen.sum()
    units = int((weight[group] > 0).sum())
    variance = units / (units - 1) * float((influence**2).sum())
    return math.log(expected.sum() / seen.sum()), variance


def _season(design: Design) -> Floats:
    """(T,) the controls' incidents per exposure in each period over their mean; 0 where they have none."""
    control = ~design.ever_treated
    incidents = design.outcome[control].sum(axis=0)
    exposure = design.exposure[control].sum(axis=0)
    rate = np.divide(incidents, exposure, out=np.zeros_like(incidents), where=exposure > 0)
    if not incidents.sum() > 0:
        raise SeparationError(
            "controls have no incident",
            where=f"site {design.site}",
            limit="at least one",
            way_out="use a longer window, a larger radius or more crime types",
        )
    relative: Floats = rate * (exposure.sum() / incidents.sum())
    return relative


def _refuse_without(design: Design, exposure: Floats) -> None:
    groups = (("treated units", design.ever_treated), ("controls", ~design.ever_treated))
    for name, group in groups:
        if (exposure[group] > 0).any(axis=1).sum() < 2:
            raise EstimationError(
                f"fewer than two {name} are observed before go-live",
                where=f"site {design.site}",
                limit="at least 2",
                way_out="use a longer window",
            )
        if not design.outcome[group][exposure[group] > 0].sum() > 0:
            raise SeparationError(
                f"{name} have no incident before the cameras went live",
                where=f"site {design.site}",
                limit="at least one incident",
                way_out="use a longer window, a larger radius or more crime types",
            )


estimator = RegressionToTheMean()
