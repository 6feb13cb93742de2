"""The rounds of `doubly_robust` when units of all cities are compared as if they were in one place.

blocks       which blocks of units (cohort, periods observed) each city has, and how many units in each.
covariates   sums of the covariates of compared units and of their squares, for a common scale.
propensity   score and information of one logistic regression for each comparison, all of them in every round:
             Newton's method, until no coefficient moves.
moments      at the last coefficients, sums over units from which the effects and their covariance follow
             (`numerics.doubly_robust_sums`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, cell_of, cells_by_pattern, design_of, pattern_name
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.panel import Panel
from evalkit.core.statistics import Cell, Statistics, Support, additive
from evalkit.core.study import Study
from evalkit.errors import EstimationError, SeparationError
from evalkit.estimators._doubly_robust_state import (
    LENGTH,
    Agreed,
    Plan,
    agreed_of,
    blocks_in,
    numbers_of,
    plan_of,
)
from evalkit.estimators._early_covariates import early_covariates, no_covariates, periods_needed
from evalkit.estimators._group_time import (
    check_cells,
    estimate_of,
    fields_of,
    outcome_of,
    starts_of,
)
from evalkit.numerics.doubly_robust import Comparison
from evalkit.numerics.doubly_robust_sums import (
    RobustSums,
    robust_sums,
    sides_of,
    size_of,
    totals_from_sums,
    weights_of,
)
from evalkit.numerics.group_time import Means
from evalkit.numerics.logistic import (
    MAX_STEP,
    are_separated,
    bounded_step,
    logistic_sums,
    newton_step,
)

__all__ = ["LAST_ROUND", "STAGES", "first_pooled", "next_pooled", "summarise_pooled"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Fields = dict[str, Floats]

STAGES: Final = ("blocks", "covariates", "propensity", "moments")

EVERYWHERE: Final = "all cities together"

STEP_TOLERANCE: Final = 1e-8
"""Newton step after which the fit has settled: convergence is quadratic, so about 1e-16 is left."""

LAST_ROUND: Final = 25
"""The last one for propensities, of 30 that a city answers: about ten are usual (`numerics.logistic.MAX_STEP`), and
groups that a line separates up to ties never settle."""

CONSTANT: Final = 1e-12
"""Variance of a covariate, relative to its mean square, that is rounding."""

POOLED_CONTROLS: Final = (
    "controls of all cities are pooled: a shock that hits one city alone is taken for an effect"
)


def first_pooled(study: Study, name: str) -> Question:
    """No coefficient is known, nor what there is to compare."""
    return Question(study, name, "blocks", 0, np.zeros(LENGTH))


def summarise_pooled(panel: Panel, question: Question) -> Statistics:
    """One city's, or several cities', part of a round.

    Fields of ``blocks``, P blocks: ``units`` (P,), ``observed`` (P, T), ``cohort`` (P, 2). Of ``covariates``, q of
    them: ``covariates`` (3, q) units, sums and sums of squares. Of ``propensity``, M comparisons, p = 1 + q:
    ``score`` (M, p), ``information`` (M, p, p), ``deviance`` (M,). Of ``moments``: those of
    `numerics.doubly_robust_sums.RobustSums`, and ``units`` (P,) of each agreed block.

    Raises:
        EstimationError: covariates cannot be computed, or the question is not one of this estimator's.
    """
    designs = design_of(panel, question.study)
    cities = [_of_city(design, question) for design in designs]
    if question.stage != "blocks":
        return additive(question.estimator, question.stage, panel.sites, cities)
    parts: dict[tuple[str, ...], Fields] = {
        (design.site,): fields for design, (fields, _) in zip(designs, cities, strict=True)
    }
    support = tuple(one for _, one in cities)
    return Statistics(question.estimator, question.stage, "collected", parts, support)


def next_pooled(
    statistics: Statistics, question: Question, notes: tuple[str, ...]
) -> Estimate | Question:
    """The next round's question, or the estimate.

    Raises:
        NothingToTestError, NoControlError, EstimationError: no effect, or none with a standard error.
        SeparationError: the covariates tell treated units and controls apart, or the effect is no finite number.
    """
    if question.stage == "blocks":
        return _after_blocks(statistics, question)
    total = statistics.total()
    agreed, plan = agreed_of(question.parameters, question.study)
    if question.stage == "covariates":
        return _ask(question, "propensity", _scaled(agreed, total["covariates"]))
    if question.stage == "propensity":
        return _after_propensity(total, question, agreed)
    return _finish(statistics, question, agreed, plan, notes)


@dataclass(frozen=True, slots=True, eq=False)
class _City:
    """One city's units as the agreed comparisons see them.

    Attributes:
        design: of the city.
        y: (U, T) incidents per exposure, 0 where not observed.
        block: (U,) which agreed block each unit is in.
        comparisons: M of them.
        until: index of the first go-live of any compared cohort.
    """

    design: Design
    y: Floats
    block: Integers
    comparisons: tuple[Comparison, ...]
    until: int

    @property
    def used(self) -> Booleans:
        """(U, T) cells that are observed."""
        return self.design.exposure > 0

    def compared(self) -> tuple[Booleans, Booleans]:
        """(U,) units that are treated in some comparison, and (U,) that are a control in some."""
        sides = [sides_of(one, self.block) for one in self.comparisons]
        treated, control = (np.any(side, axis=0) for side in zip(*sides, strict=True))
        return treated, control

    def covariates(self, names: tuple[str, ...]) -> Floats:
        """(U, q) of the compared units; 0 for others."""
        treated, control = self.compared()
        where = f"site {self.design.site}"
        return early_covariates(self.y, self.used, self.until, names, treated | control, where)

    def standardised(self, agreed: Agreed, names: tuple[str, ...]) -> Floats:
        """(U, 1 + q) a constant and the covariates on the common scale."""
        if not (agreed.spreads > 0).all():
            raise EstimationError("the question names no scale of the covariates")
        raw = (self.covariates(names) - agreed.means) / agreed.spreads
        return np.hstack([np.ones((len(raw), 1)), raw])


def _of_city(design: Design, question: Question) -> tuple[Fields, Support]:
    study = question.study
    cohort = np.column_stack([design.first_live, starts_of(design, study)])
    observed = design.exposure > 0
    if question.stage == "blocks":
        blocks = blocks_in(cohort, observed)
        fields = {
            "units": blocks.units,
            "observed": blocks.observed.astype(np.float64),
            "cohort": np.column_stack([blocks.first, blocks.start]).astype(np.float64),
        }
        return fields, _support(design, cohort, (), 0)
    agreed, plan = agreed_of(question.parameters, study)
    city = _City(
        design,
        outcome_of(design),
        _place_in(agreed.blocks, cohort, observed),
        plan.comparisons,
        plan.until,
    )
    names = study.analysis.covariates
    if question.stage == "covariates":
        return _covariate_sums(city, names, cohort)
    x = city.standardised(agreed, names)
    if question.stage == "propensity":
        return _logistic(city, x, agreed, cohort)
    return _moments(city, x, agreed, cohort)


def _covariate_sums(
    city: _City, names: tuple[str, ...], cohort: Integers
) -> tuple[Fields, Support]:
    treated, control = city.compared()
    chosen = city.covariates(names)[treated | control]
    number = np.full(chosen.shape[1], float(len(chosen)))
    fields = {"covariates": np.stack([number, chosen.sum(axis=0), (chosen**2).sum(axis=0)])}
    early = city.design.outcome[:, : city.until]
    cells = [
        cell_of(f"compared {side}", "term", early[units], treated=side == "treated units")
        for side, units in (("treated units", treated), ("controls", control))
        if units.any()
    ]
    return fields, _support(city.design, cohort, cells, fields["covariates"][1:].size)


def _logistic(city: _City, x: Floats, agreed: Agreed, cohort: Integers) -> tuple[Fields, Support]:
    found = []
    for one, beta in zip(city.comparisons, agreed.coefficients, strict=True):
        treated, control = sides_of(one, city.block)
        units = treated | control
        found.append(logistic_sums(treated[units], x[units], beta))
    fields = {
        "score": np.stack([one.score for one in found]),
        "information": np.stack([one.information for one in found]),
        "deviance": np.array([one.deviance for one in found]),
    }
    cells = _early_cells(city, x, agreed)
    return fields, _support(city.design, cohort, cells, agreed.coefficients.size)


def _moments(city: _City, x: Floats, agreed: Agreed, cohort: Integers) -> tuple[Fields, Support]:
    found = robust_sums(city.y, x, city.block, city.comparisons, agreed.coefficients)
    size = len(agreed.blocks.units)
    fields = {
        "sums": found.sums,
        "cross": found.cross,
        "odds_gram": found.odds_gram,
        "odds_change": found.odds_change,
        "information": found.information,
        "exceptional": found.exceptional,
        "units": np.bincount(city.block, minlength=size).astype(np.float64),
    }
    cells = [*_early_cells(city, x, agreed), *_outcome_cells(city)]
    parameters = agreed.coefficients.size + size_of(city.comparisons, x.shape[1])
    return fields, _support(city.design, cohort, cells, parameters)


def _place_in(blocks: Means, cohort: Integers, observed: Booleans) -> Integers:
    """(U,) the agreed block of each unit.

    Raises:
        EstimationError: a unit is in none.
    """
    agreed = np.hstack([blocks.first[:, None], blocks.start[:, None], blocks.observed])
    own = np.hstack([cohort, observed])
    if agreed.shape[1] == own.shape[1]:
        places = {row.tobytes(): place for place, row in enumerate(agreed.astype(np.int64))}
        found = [places.get(row.tobytes(), -1) for row in own.astype(np.int64)]
        if min(found, default=0) >= 0:
            return np.array(found, dtype=np.int64)
    raise EstimationError(
        "the question does not know all cohorts and observed periods of this city",
        limit="those this city sent in the first round",
        way_out="start the study again; a panel must not change between rounds",
    )


def _support(
    design: Design, cohort: Integers, cells: tuple[Cell, ...] | list[Cell], parameters: int
) -> Support:
    """Every design pattern, every block, and what the numbers of this round rest on besides."""
    units, observed = design.exposure.shape[0], int((design.exposure > 0).sum())
    return Support(
        design.site,
        (*cells_by_pattern(design), *_block_cells(design, cohort), *cells),
        units,
        parameters,
        observed - units - parameters,
    )


def _block_cells(design: Design, cohort: Integers) -> list[Cell]:
    """Units and incidents of every block: a comparison may hold one and not another.

    Of the phase ``term``: the gate counts units of other phases, and these are units of theirs.
    """
    used = design.exposure > 0
    keys = np.hstack([cohort, used.astype(np.int64)])
    rows, block = np.unique(keys, axis=0, return_inverse=True)
    cells = []
    for one, row in enumerate(rows):
        if not row[2:].any():
            continue
        members = np.flatnonzero(block.ravel() == one)
        name = _cohort_name(design, members[0])
        label = f"{name}, observed in {int(row[2:].sum())} periods"
        treated = bool(design.ever_treated[members[0]])
        cells.append(cell_of(label, "term", design.outcome[members], treated=treated))
    return cells


def _early_cells(city: _City, x: Floats, agreed: Agreed) -> list[Cell]:
    """Both sides of every comparison in the periods before the first go-live, from which covariates come.

    A unit can also be most of a sum because it has most of the weight: the share of the two largest is that of
    incidents, of information or of odds, whichever is most.
    """
    early = city.design.outcome[:, : city.until]
    cells = []
    for one, beta in zip(city.comparisons, agreed.coefficients, strict=True):
        information, odds = weights_of(one, city.block, x, beta)
        for name, treated, units in _sides(city, one):
            counts = early if agreed.coefficients.shape[1] > 1 else city.design.outcome
            cell = cell_of(f"{name} before", "term", counts[units], treated=treated)
            share = max(cell.largest_two, *(_two(weight[units]) for weight in (information, odds)))
            cells.append(replace(cell, largest_two=share))
    return cells


def _outcome_cells(city: _City) -> list[Cell]:
    """Both sides of every comparison in the periods whose outcomes are compared, target by target."""
    cells = []
    for one in city.comparisons:
        for name, treated, units in _sides(city, one):
            for target in range(len(one.targets)):
                later = one.level[:, target] != 0
                base = (one.change[:, target] != 0) & ~later
                for label, periods in (("later", later), ("base", base)):
                    if periods.any():
                        counts = city.design.outcome[np.ix_(units, periods)]
                        full = f"{name}, target {one.targets[target]}, {label}"
                        cells.append(cell_of(full, "term", counts, treated=treated))
    return cells


def _sides(city: _City, one: Comparison) -> list[tuple[str, bool, Integers]]:
    """Name, whether treated, and units of each side of a comparison of which the city has any."""
    number = city.comparisons.index(one) + 1
    cohort = city.design.period_names[one.first]
    found = []
    for treated, side in zip((True, False), sides_of(one, city.block), strict=True):
        units = np.flatnonzero(side)
        if len(units):
            name = "treated units" if treated else "controls"
            found.append((f"{name} of comparison {number} (cohort {cohort})", treated, units))
    return found


def _two(weights: Floats) -> float:
    """Share of the two largest; 0 where there is no weight."""
    total = float(weights.sum())
    return float(np.sort(weights)[-2:].sum()) / total if total > 0 else 0.0


def _cohort_name(design: Design, unit: np.int64) -> str:
    first, last = int(design.first_live[unit]), int(design.last_live[unit])
    return pattern_name(first, last, design.period_names)


def _after_blocks(statistics: Statistics, question: Question) -> Question:
    """Derive the comparisons from all cities' blocks and start at the treated units' share."""
    study = question.study
    parts = statistics.parts.values()
    widths = {fields["observed"].shape[1] for fields in parts}
    if len(widths) != 1:
        raise EstimationError("cities sent panels of different lengths", where=EVERYWHERE)
    cohort = np.concatenate([fields["cohort"] for fields in parts]).astype(np.int64)
    observed = np.concatenate([fields["observed"] for fields in parts]) > 0
    blocks = blocks_in(cohort, observed)
    units = np.zeros(len(blocks.units))
    np.add.at(
        units,
        _place_in(blocks, cohort, observed),
        np.concatenate([fields["units"] for fields in parts]),
    )
    plan = plan_of(replace(blocks, units=units), study)
    check_cells(plan.cells, EVERYWHERE)
    if not plan.comparisons:
        raise EstimationError(
            "the study's event window holds none of the effects there are",
            where="[analysis] event_window",
            way_out="widen it",
        )
    names = tuple(dict.fromkeys(study.analysis.covariates))
    needed = periods_needed(names)
    if plan.until < needed:
        raise no_covariates(
            "there are too few periods before the first go-live of any city",
            EVERYWHERE,
            f"at least {needed} for {', '.join(names)}",
        )
    start = np.zeros((len(plan.comparisons), 1 + len(names)))
    for row, one in zip(start, plan.comparisons, strict=True):
        row[0] = np.log((one.treated @ units) / (one.control @ units))
    unknown = np.zeros(len(names))
    agreed = Agreed(blocks, unknown, unknown, np.clip(start, -MAX_STEP, MAX_STEP))
    return _ask(question, "covariates" if names else "propensity", agreed)


def _scaled(agreed: Agreed, sums: Floats) -> Agreed:
    """With the means and spreads of the covariates over all cities' compared units."""
    number, first, second = sums
    mean = first / number
    variance = second / number - mean**2
    if not (variance > CONSTANT * mean**2).all():
        raise no_covariates(
            "a covariate is the same for all units",
            EVERYWHERE,
            "covariates that differ between units",
        )
    return replace(agreed, means=mean, spreads=np.sqrt(variance))


def _after_propensity(total: Mapping[str, Floats], question: Question, agreed: Agreed) -> Question:
    """One Newton step of every comparison; then again, or on to the moments."""
    if any(are_separated(float(deviance)) for deviance in total["deviance"]):
        raise _separated("the covariates tell treated units and controls apart completely")
    try:
        steps = np.stack(
            [
                newton_step(information, score)
                for information, score in zip(total["information"], total["score"], strict=True)
            ]
        )
    except ArithmeticError as error:
        raise _separated(str(error)) from None
    settled = bool(np.abs(steps).max() < STEP_TOLERANCE)
    if not settled and question.round >= LAST_ROUND:
        raise _separated(
            "the covariates tell some treated units or some controls apart completely: a propensity does not settle"
        )
    steps = np.stack([bounded_step(step) for step in steps])
    stage = "moments" if settled else "propensity"
    return _ask(question, stage, replace(agreed, coefficients=agreed.coefficients + steps))


def _finish(
    statistics: Statistics,
    question: Question,
    agreed: Agreed,
    plan: Plan,
    notes: tuple[str, ...],
) -> Estimate:
    total = statistics.total()
    sums = RobustSums(
        total["sums"],
        total["cross"],
        total["odds_gram"],
        total["odds_change"],
        total["information"],
        total["exceptional"],
    )
    try:
        found = totals_from_sums(sums, plan.comparisons, plan.targets)
    except ArithmeticError as error:
        raise _separated(str(error)) from None
    blocks = replace(agreed.blocks, units=total["units"])
    fields = fields_of(found, blocks, plan_of(blocks, question.study).cells)
    estimate = estimate_of(
        question.estimator, question, fields, statistics.sites, (*notes, POOLED_CONTROLS)
    )
    return replace(estimate, details={**estimate.details, "rounds": float(question.round + 1)})


def _ask(question: Question, stage: str, agreed: Agreed) -> Question:
    return Question(
        question.study, question.estimator, stage, question.round + 1, numbers_of(agreed)
    )


def _separated(what: str) -> SeparationError:
    return SeparationError(
        what,
        where=EVERYWHERE,
        limit="for every treated unit, controls that might as well have had a camera",
        way_out="name fewer [analysis] covariates, choose another control_group, or use group_time_att",
    )
