"""Synthetic difference-in-differences inside each city, for few treated places; cities are pooled afterwards.

The treated units of one go-live date are compared with never-treated units observed throughout, weighted so that
their path before runs parallel (Arkhangelsky et al. 2021; `numerics.synthetic_did`). Period weights are cross-fitted
over controls, without which counts bias the effect downwards (`numerics.synthetic_cross_fit`); with
``period_weights = "published"`` they are the paper's. Other go-live dates
are further blocks against the same controls; treated unit-periods are averaged over blocks. Outcomes are incidents
over exposure. The effect is θ = ln Σ treated − ln Σ counterfactual over treated unit-periods, or with
``scale = "count"`` their mean difference per unit and period.

The variance is the jackknife over units with weights held fixed, which needs two treated units on every date; else
the placebo, where controls drawn at random stand for the treated, with a seed from the study's hash. It takes
controls to vary in proportion as treated units do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of, restrict, support_of
from evalkit.core.estimate import Estimate, Scale
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Study, study_hash
from evalkit.errors import EstimationError, NoControlError, NothingToTestError, SeparationError
from evalkit.estimators._city_effects import mean_of_cities
from evalkit.numerics.synthetic_cross_fit import cross_fitted_synthetic_did
from evalkit.numerics.synthetic_did import (
    Block,
    Fit,
    Sums,
    mean_difference,
    staggered_jackknife,
    staggered_placebos,
    staggered_sums,
    synthetic_did,
)

__all__ = ["PLACEBO_DRAWS", "SyntheticDidPerCity", "estimator"]

PLACEBO_DRAWS: Final = 100
"""A standard deviation from 100 draws has a Monte-Carlo error of about 7 %; each draw fits every block again."""

MIN_BEFORE: Final = 2
"""Periods before, which the penalty on weights is estimated from."""

MIN_CONTROLS: Final = 2
"""Controls to weight, and to be left when others stand for the treated."""


@dataclass(frozen=True, slots=True)
class SyntheticDidPerCity:
    """Synthetic difference-in-differences per city, pooled by inverse variance; see the module's docstring."""

    name: str = "synthetic_did"
    release_class: ReleaseClass = "estimate"
    scales: tuple[Scale, ...] = ("log_rate_ratio", "count")
    reads: tuple[str, ...] = ("period_weights", "scale")
    effect_field: str = "effect"

    def first_question(self, study: Study) -> Question:
        """One round, no parameters."""
        return Question(study, self.name, "effect")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Each city's effect: field ``effect`` (5,): effect, variance, units used, cells used, units left out.

        Raises:
            NothingToTestError: no go-live date has two periods before and one after.
            NoControlError: fewer than two never-treated units are observed throughout.
            EstimationError: neither jackknife nor placebo variance exists.
            SeparationError: no incident in treated unit-periods, or none expected, so that no ratio exists.
        """
        parts: dict[tuple[str, ...], dict[str, NDArray[np.float64]]] = {}
        support: list[Support] = []
        for design in design_of(panel, question.study):
            effect, one = _of_city(design, question.study)
            parts[(design.site,)] = {"effect": effect}
            support.append(one)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """City effects and their fixed-effect mean."""
        analysis = question.study.analysis
        found = mean_of_cities(statistics, "effect", analysis.level)
        left_out = [
            f"{names[0]}: {round(float(fields['effect'][4]))} units are not used: too few periods before or after "
            "their go-live, or controls that are not observed throughout"
            for names, fields in statistics.parts.items()
            if fields["effect"][4] > 0
        ]
        return replace(
            found,
            clusters=found.units,
            notes=tuple(left_out),
            scale="log_rate_ratio" if analysis.scale == "ratio" else "count",
        )


def _of_city(design: Design, study: Study) -> tuple[NDArray[np.float64], Support]:
    observed = design.exposure > 0
    controls = np.flatnonzero(~design.ever_treated & observed.all(axis=1))
    if len(controls) < MIN_CONTROLS:
        raise NoControlError(
            "fewer than two never-treated units are observed through the whole window",
            where=f"site {design.site}",
            way_out='use [units] controls = "lattice", or a window that ends before later cameras go live',
        )
    controls = _in_fixed_order(design, controls)
    used = [controls]
    blocks: list[Block] = []
    for members in _cohorts(design):
        block = _block(design, controls, members)
        if block is not None:
            blocks.append(block)
            used.append(members)
    if not blocks:
        raise NothingToTestError(
            "no go-live date has two whole periods before it and one after",
            where=f"site {design.site}",
            way_out="widen the window",
        )
    statistic = _statistic(study, design.site)
    fit = _fit_of(study)
    fits = [fit(one.controls, one.treated, one.before) for one in blocks]
    value = statistic(staggered_sums(blocks, fits))
    variance = staggered_jackknife(blocks, fits, statistic)
    if not math.isfinite(variance):
        variance = _placebo_variance(blocks, statistic, study, design.site, fit)
    chosen = restrict(design, np.sort(np.concatenate(used)))
    units, cells = len(chosen.outcome), int((chosen.exposure > 0).sum())
    effect = np.array([value, variance, units, cells, len(design.outcome) - units], dtype=float)
    df = cells - units - chosen.outcome.shape[1]
    return effect, support_of(chosen, clusters=units, parameters=1, residual_df=df)


def _fit_of(study: Study) -> Fit:
    published = study.analysis.period_weights == "published"
    return synthetic_did if published else cross_fitted_synthetic_did


def _cohorts(design: Design) -> list[NDArray[np.int64]]:
    """Treated units of every go-live interval, in the order of go-live."""
    live = np.stack([design.first_live, design.last_live], axis=1)
    return [
        _in_fixed_order(design, np.flatnonzero((live == one).all(axis=1)))
        for one in np.unique(live[design.ever_treated], axis=0)
    ]


def _in_fixed_order(design: Design, units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Units sorted by their outcomes: sums and random draws then do not depend on the order they came in."""
    return units[np.lexsort(design.outcome[units].T[::-1])]


def _block(design: Design, controls: NDArray[np.int64], members: NDArray[np.int64]) -> Block | None:
    """The block of one go-live date over the periods in which all its units are observed; None if too short."""
    periods = np.flatnonzero((design.exposure[members] > 0).all(axis=0))
    before = int((design.treated[members[0], periods] == 0).sum())
    if before < MIN_BEFORE or before == len(periods):
        return None

    def rate(units: NDArray[np.int64]) -> NDArray[np.float64]:
        cells = np.ix_(units, periods)
        return design.outcome[cells] / design.exposure[cells]

    return Block(rate(controls), rate(members), before)


@dataclass(frozen=True, slots=True)
class _LogRatio:
    """ln of treated over counterfactual."""

    site: str

    def __call__(self, sums: Sums) -> float:
        if sums.treated <= 0 or sums.counterfactual <= 0:
            raise SeparationError(
                "treated places have no incident after go-live, or none is expected there, so no ratio exists",
                where=f"site {self.site}",
                way_out='count larger units or more crime types, or set [analysis] scale = "count"',
            )
        return math.log(sums.treated / sums.counterfactual)


def _statistic(study: Study, site: str) -> _LogRatio | _Difference:
    return _LogRatio(site) if study.analysis.scale == "ratio" else _Difference()


@dataclass(frozen=True, slots=True)
class _Difference:
    """Treated less counterfactual, per unit and period."""

    def __call__(self, sums: Sums) -> float:
        return mean_difference(sums)


def _placebo_variance(
    blocks: Sequence[Block],
    statistic: _LogRatio | _Difference,
    study: Study,
    site: str,
    fit: Fit,
) -> float:
    treated = sum(len(block.treated) for block in blocks)
    if len(blocks[0].controls) < treated + MIN_CONTROLS:
        raise EstimationError(
            "a go-live date has one treated unit and there are too few controls to stand for the treated",
            where=f"site {site}",
            limit="two treated units on every date, or two more controls than treated units",
            way_out="add controls, or use longer periods so that units share their go-live",
        )
    random = np.random.default_rng(int(study_hash(study)[:16], 16))
    values = staggered_placebos(blocks, statistic, random, draws=PLACEBO_DRAWS, fit=fit)
    return float(values.var(ddof=1))


estimator = SyntheticDidPerCity()
