"""Linear panel difference-in-differences with effects shared by all cities: incidents, not percent.

y_it / w_it = α_i + γ_{s,t} + x_it'β + e_it by least squares with weights w, the exposure: unit effects, city ×
period effects, and indicators x: one for treated cells (``design = "static"``, two-way fixed effects), one for
each event time, or one for each cohort and event time (`core.event_design`): with leads in the event window that
is Sun & Abraham (2021), with the window (−1, L) the imputation estimator (Borusyak, Jaravel & Spiess 2024) if
every unit is observed throughout. Fixed effects are nested in a city and residualised out there
(`numerics.least_squares`): one round brings the cross-products of x̃ with itself and the outcome, from which β
follows, the next the cluster cross-products at β. Standard errors are clustered by unit with the small-sample
factor of R's fixest, as in `poisson_did`.

Assumptions: without cameras the expected counts of treated units and controls of a city would have moved by the
same *number* of incidents (parallel trends on the count scale), which busy and quiet places seldom do, and
nobody reacted before go-live.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of
from evalkit.core.estimate import Estimate, Scale
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.event_design import (
    Grid,
    bootstrap_details,
    bootstrap_notes,
    columns_of,
    design_notes,
    grid_of,
    join_columns,
    two_way_of,
    without_each_cohort,
)
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support, additive
from evalkit.core.study import Study
from evalkit.errors import EstimationError
from evalkit.estimators._panel_regression import effects_with_errors, support_of_columns
from evalkit.numerics.least_squares import gram, score_residuals
from evalkit.numerics.sandwich import solve_information
from evalkit.numerics.score_bootstrap import power_sums

__all__ = ["LinearDid", "estimator"]


@dataclass(frozen=True, slots=True)
class LinearDid:
    """Linear difference-in-differences; see the module's docstring.

    Attributes:
        linear_in_parameters: coefficients have the unit of the outcome and change no weight, so a city's gate
            does not limit how far they move.
    """

    name: str = "linear_did"
    release_class: ReleaseClass = "statistics"
    additive: bool = True
    scales: tuple[Scale, ...] = ("count",)
    reads: tuple[str, ...] = ("bootstrap", "design", "event_window")
    linear_in_parameters: bool = True
    semidefinite: tuple[str, ...] = ("information", "meat")
    never_negative: tuple[str, ...] = ("columns", "sizes")
    unbounded: tuple[str, ...] = ("null",)
    recovers: tuple[tuple[str, str], ...] = (("meat", "gram"),)

    def first_question(self, study: Study) -> Question:
        """Ask for the cross-products; the parameters are zero and not used yet.

        Raises:
            ConfigError: the event window does not reach from before go-live to after it.
        """
        return Question(study, self.name, "gram", 0, np.zeros(grid_of(study).size))

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Cross-products, and in the ``meat`` stage those of the clusters at the coefficients asked.

        Fields, K coefficients in the study's grid: ``information`` (K, K) Σ w x̃x̃', ``right`` (K,) Σ x̃y,
        ``columns`` (3, K): exposure, incidents and units of each coefficient; ``sizes`` (3,): clusters,
        observations, period effects; ``meat`` (K, K) in that stage, and with ``bootstrap`` also ``null`` (5,):
        `power_sums` of the unit scores at no effect.
        """
        grid = grid_of(question.study)
        cities = (_of_city(design, grid, question) for design in design_of(panel, question.study))
        return additive(self.name, question.stage, panel.sites, cities)

    def city_effect(
        self, fields: Mapping[str, NDArray[np.float64]], question: Question
    ) -> tuple[float, float]:
        """The effect of a city by itself, or of a sum, with its variance, by which cities are screened.

        See `core.screening`.

        Raises:
            EstimationError: the city has no effect of its own, or the round is the first, which tells of no variance.
        """
        if "meat" not in fields:
            raise EstimationError("cross-products alone tell of no variance")
        grid = grid_of(question.study)
        exposure, _, units = fields["columns"]
        joined = join_columns(grid, exposure, units)
        join = joined.matrix
        information = join.T @ fields["information"] @ join
        own = solve_information(information, join.T @ fields["right"])
        effects, of_effects, _ = effects_with_errors(grid, joined, information, fields)
        return float(effects.weights[0] @ join @ own), float(of_effects[0, 0])

    def finalise(self, statistics: Statistics, question: Question) -> Estimate | Question:
        """Solve for β and ask for the meat there; then give the estimate.

        Raises:
            EstimationError: the information is singular, a coefficient rests on one unit, there are too few
                clusters for an error, or units are all alike.
        """
        total = statistics.total()
        grid = grid_of(question.study)
        exposure, _, units = total["columns"]
        joined = join_columns(grid, exposure, units)
        join = joined.matrix
        information = join.T @ total["information"] @ join
        if question.stage == "gram":
            beta = join @ solve_information(information, join.T @ total["right"])
            return Question(question.study, self.name, "meat", question.round + 1, beta)
        clusters, observations, _ = (float(value) for value in total["sizes"])
        effects, of_effects, covariance = effects_with_errors(grid, joined, information, total)
        beta = question.parameters
        return Estimate(
            estimator=self.name,
            terms=effects.terms,
            effect=effects.weights @ beta,
            covariance=of_effects,
            df=math.inf,
            level=question.study.analysis.level,
            contributors=statistics.sites,
            units=clusters,
            observations=observations,
            clusters=clusters,
            details={"rounds": float(question.round + 1), **bootstrap_details(total)},
            notes=(
                *_notes(len(statistics.sites)),
                *design_notes(grid, joined),
                *bootstrap_notes(total),
            ),
            scale="count",
            without_cohorts=without_each_cohort(grid, total["columns"], beta, covariance, joined),
            two_way=two_way_of(grid, total["information"], total["right"], beta),
        )


def _of_city(
    design: Design, grid: Grid, question: Question
) -> tuple[dict[str, NDArray[np.float64]], Support]:
    columns = columns_of(design, grid)
    fit = gram(design.outcome, design.exposure, columns, grid.size)
    fields: dict[str, NDArray[np.float64]] = {
        "information": fit.information,
        "right": fit.right,
        "columns": fit.columns,
        "sizes": np.array([fit.clusters, fit.observations, fit.periods], dtype=np.float64),
    }
    if question.stage == "meat":
        scores = score_residuals(design.outcome, question.parameters, fit)
        fields["meat"] = scores.T @ scores
        if question.study.analysis.bootstrap:
            null = score_residuals(design.outcome, np.zeros(grid.size), fit)
            fields["null"] = power_sums(null[:, 0])
    return fields, support_of_columns(design, columns, grid, fit)


def _notes(cities: int) -> tuple[str, ...]:
    notes = [
        "incidents per unit of exposure and period: parallel trends are assumed in numbers, not in percent"
    ]
    if cities > 1:
        notes.append(
            "one effect is assumed for all cities: differences between cities are not in the interval, and a "
            "large city's numbers are assumed to fall by as much as a small one's"
        )
    return tuple(notes)


estimator = LinearDid()
