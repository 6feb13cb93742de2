"""Group-time average treatment effects without covariates (Callaway & Sant'Anna 2021), in one round.

ATT(g, t) compares the change in incidents of the cohort that goes live in g, from its last observed period
before to period t, with that of controls: units never treated, or not treated yet. No treated unit ever
serves as a control for another, so effects may grow over time and differ between cohorts. The overall effect
is the average over treated unit-periods (`analysis.aggregation`: or over event times, cohorts or calendar
periods), as a ratio of means or as a difference of counts; its covariance is clustered by unit and includes
that of the cohorts' sizes.

Two pools of controls. ``within_city``: every city compares its units with its own controls, and sends the
totals of the study's targets with their cross-products, which add up over cities. ``pooled``: every city sends
number, mean and scatter of its blocks of units; blocks of the same cohort are pooled and compared with the
controls of all cities, exactly as if their units were in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, cell_of, cells_by_pattern, design_of, pattern_name
from evalkit.core.estimate import Estimate, Scale
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.panel import Panel
from evalkit.core.statistics import Cell, Statistics, Support, additive
from evalkit.core.study import Study
from evalkit.errors import ConfigError
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
from evalkit.estimators._group_time_cohorts import two_way_of, without_each_cohort
from evalkit.estimators._randomisation import group_time_field, with_randomisation
from evalkit.numerics.group_time import Blocks, Cells, Means, blocks_of, cells_of, means_of, pool
from evalkit.numerics.group_time_totals import totals, totals_of_units

__all__ = ["GroupTimeAtt", "estimator"]

Floats = NDArray[np.float64]

POOLED_CONTROLS: Final = (
    "controls of all cities are pooled: a shock that hits one city alone is taken for an effect"
)


@dataclass(frozen=True, slots=True)
class GroupTimeAtt:
    """Group-time effects from moments; see the module's docstring."""

    name: str = "group_time_att"
    release_class: ReleaseClass = "statistics"
    scales: tuple[Scale, ...] = ("log_rate_ratio", "count")
    reads: tuple[str, ...] = (
        "aggregation",
        "base_period",
        "control_group",
        "control_pool",
        "event_window",
        "randomisation",
        "scale",
    )
    randomises: bool = True
    additive_within_city: bool = True
    semidefinite: tuple[str, ...] = ("cross", "scatter")
    never_negative: tuple[str, ...] = ("sizes", "units", "observed")
    ragged: tuple[str, ...] = ("moments",)

    def first_question(self, study: Study) -> Question:
        """One round, no parameters; the stage is ``totals`` or, with pooled controls, ``moments``.

        Raises:
            ConfigError: the event window holds no treated period, or a randomisation test is asked for with pooled
                controls.
        """
        check_analysis(study)
        if study.analysis.reassignments and study.analysis.control_pool == "pooled":
            raise ConfigError(
                'randomisation is given with control_pool = "pooled"',
                where="[analysis]",
                limit="controls of the same city: dates are exchanged inside a city",
                way_out='set randomisation = 0, or control_pool = "within_city"',
            )
        return Question(study, self.name, _stage_of(study))

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Totals of the targets, additive; or moments of the blocks of units, collected.

        Fields of ``totals``, K targets: ``totals`` (3, K) treated incidents, incidents expected without
        cameras, weights; ``cross`` (3K, 3K); ``sizes`` (4,) units, observations, cohort-periods without
        control, treated units in no effect; if the study asks for it also ``randomisation`` (7,), the rank of
        the overall effect among those of other assignments. Fields of ``moments``, P blocks: ``units`` (P,), ``mean``
        (P, T), ``scatter`` (P, T, T), ``observed`` (P, T), ``cohort`` (P, 2).

        Raises:
            NothingToTestError, NoControlError, EstimationError: a city has no effect, or one without a
                standard error (`totals` only; pooled controls are judged when they are pooled).
        """
        check_stage(question, (_stage_of(question.study),))
        if question.stage == "moments":
            return self._moments(panel, question)
        study = question.study
        designs = zip(panel.split(), design_of(panel, study), strict=True)
        cities = (_totals_of_city(city, design, study) for city, design in designs)
        return additive(self.name, question.stage, panel.sites, cities)

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """Averages of the targets with their covariance.

        Raises:
            NothingToTestError, NoControlError, EstimationError, SeparationError: no effect, or none with a
                standard error, can be computed.
        """
        if question.stage == "totals":
            total = statistics.total()
            found = estimate_of(self.name, question, total, statistics.sites, ())
            return with_randomisation(found, question.study, total)
        blocks = pool(tuple(_blocks(fields) for fields in statistics.parts.values()))
        cells, weights = _targets(blocks, question.study, "all cities together")
        fields = fields_of(totals(blocks, cells, weights), blocks, cells)
        found = estimate_of(self.name, question, fields, statistics.sites, (POOLED_CONTROLS,))
        return replace(
            found,
            without_cohorts=without_each_cohort(blocks, cells, question.study),
            two_way=two_way_of(blocks, cells),
        )

    def city_effect(self, fields: Mapping[str, Floats], question: Question) -> tuple[float, float]:
        """The overall effect of a city, or of a sum, with its variance, by which cities are screened.

        With pooled controls that of the city's treated units and its own controls. See `core.screening`.
        """
        if question.stage == "moments":
            blocks = _blocks(fields)
            cells, weights = _targets(blocks, question.study, "")
            fields = fields_of(totals(blocks, cells, weights), blocks, cells)
        found = estimate_of(self.name, question, fields, (), ())
        return float(found.effect[0]), float(found.covariance[0, 0])

    def _moments(self, panel: Panel, question: Question) -> Statistics:
        parts: dict[tuple[str, ...], dict[str, Floats]] = {}
        support: list[Support] = []
        for design in design_of(panel, question.study):
            start = starts_of(design, question.study)
            blocks, block = blocks_of(outcome_of(design), design.used, design.first_live, start)
            parts[(design.site,)] = {
                "units": blocks.units,
                "mean": blocks.mean,
                "scatter": blocks.scatter,
                "observed": blocks.observed.astype(np.float64),
                "cohort": np.column_stack([blocks.first, blocks.start]).astype(np.float64),
            }
            support.append(_support_of_moments(design, blocks, block))
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))


def _stage_of(study: Study) -> str:
    """Moments say more of a city than totals, and only pooled controls need them."""
    return "totals" if study.analysis.control_pool == "within_city" else "moments"


def _totals_of_city(city: Panel, design: Design, study: Study) -> tuple[dict[str, Floats], Support]:
    y = outcome_of(design)
    blocks, block = means_of(y, design.used, design.first_live, starts_of(design, study))
    cells, weights = _targets(blocks, study, f"site {design.site}")
    fields = fields_of(totals_of_units(y, blocks, block, cells, weights), blocks, cells)
    if study.analysis.reassignments:
        fields["randomisation"] = group_time_field(city, design, study)
    return fields, support_of_targets(design, study, weights.shape[1], len(cells.post))


def _targets(blocks: Means, study: Study, where: str) -> tuple[Cells, Floats]:
    """The cells these blocks allow, and their (J, K) weights in the study's targets."""
    analysis = study.analysis
    cells = cells_of(blocks, analysis.control_group, analysis.base_period)
    check_cells(cells, where)
    return cells, target_weights(cells, analysis, blocks.mean.shape[1])


def _blocks(fields: Mapping[str, Floats]) -> Blocks:
    """Blocks as a city sent them."""
    first, start = fields["cohort"].astype(np.int64).T
    observed = fields["observed"] > 0
    return Blocks(fields["units"], fields["mean"], observed, first, start, fields["scatter"])


def _support_of_moments(design: Design, blocks: Blocks, block: NDArray[np.int64]) -> Support:
    """Besides the design patterns every block in every period is a cell, since its mean leaves."""
    units = len(design.outcome)
    parameters = int(blocks.observed.sum())
    cells = [*cells_by_pattern(design), *_block_cells(design, blocks, block)]
    residual_df = int(np.count_nonzero(design.used)) - units - parameters
    return Support(design.site, tuple(cells), units, parameters, residual_df)


def _block_cells(design: Design, blocks: Blocks, block: NDArray[np.int64]) -> list[Cell]:
    """Units and incidents of every block in every period in which it is observed.

    Of the phase ``after`` for the reason given in `_group_time`.
    """
    cells = []
    for one, observed in enumerate(blocks.observed):
        members = np.flatnonzero(block == one)
        first, last = int(design.first_live[members[0]]), int(design.last_live[members[0]])
        name = pattern_name(first, last, design.period_names)
        treated = bool(design.ever_treated[members[0]])
        counts = design.outcome[members]
        cells += [
            cell_of(
                f"{name} in {design.period_names[period]}",
                "after",
                counts[:, period, None],
                treated=treated,
            )
            for period in np.flatnonzero(observed)
        ]
    return cells


estimator = GroupTimeAtt()
