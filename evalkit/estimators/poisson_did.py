"""Poisson panel difference-in-differences with effects shared by all cities.

E[y_it] = w_it · exp(α_i + γ_{s,t} + x_it'β): unit effects, city × period effects, and indicators x: one for
treated cells (``design = "static"``), one for each event time, or one for each cohort and event time
(`core.event_design`). Both sets of effects are nested in a city and are profiled out there
(`numerics.poisson`), so a city sends the score and information in β, and at the end the cluster cross-products;
the pooled fit and the federated one are the same sums. Pseudo-maximum likelihood: only the mean need be right
(Gourieroux, Monfort & Trognon 1984); standard errors are clustered by unit (Liang & Zeger 1986) with the
small-sample factor G/(G−1) · (n−1)/(n−K) of R's fixest, K counting β and the period effects but not the unit
effects, which are nested in the clusters.

Assumptions: without cameras the expected counts of treated units and controls of a city would have moved in
proportion (parallel trends on the log scale), and nobody reacted before go-live. A static design also takes one
effect for all; cohort × event time (Wooldridge 2023) does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
    effects_of,
    grid_of,
    join_columns,
    without_each_cohort,
)
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support, additive
from evalkit.core.study import Study
from evalkit.errors import ConfigError, EstimationError, SeparationError
from evalkit.estimators._panel_regression import effects_with_errors, support_of_columns
from evalkit.estimators._randomisation import score_field, with_randomisation
from evalkit.numerics.poisson import profile, unit_scores
from evalkit.numerics.sandwich import solve_information
from evalkit.numerics.score_bootstrap import power_sums

__all__ = ["MAX_STEP", "STEP_TOLERANCE", "PoissonDid", "estimator"]

STEP_TOLERANCE: Final = 1e-10
"""Newton step, in units of β, below which the fit has settled. Convergence is quadratic, so the error left
after such a step is far below double precision of β."""

MAX_STEP: Final = 2.0
"""Largest Newton step; a city's gate refuses larger ones (its trust region)."""


@dataclass(frozen=True, slots=True)
class PoissonDid:
    """Poisson difference-in-differences; see the module's docstring."""

    name: str = "poisson_did"
    release_class: ReleaseClass = "statistics"
    additive: bool = True
    scales: tuple[Scale, ...] = ("log_rate_ratio",)
    reads: tuple[str, ...] = ("bootstrap", "design", "event_window", "randomisation")
    randomises: bool = True
    semidefinite: tuple[str, ...] = ("information", "meat")
    never_negative: tuple[str, ...] = ("deviance", "columns", "sizes")
    unbounded: tuple[str, ...] = ("null",)
    recovers: tuple[tuple[str, str], ...] = (("score", "score"), ("meat", "score"))

    def first_question(self, study: Study) -> Question:
        """Start at no effect.

        Raises:
            ConfigError: the event window does not reach from before go-live to after it, or a randomisation test is
                asked for more than one effect.
        """
        analysis = study.analysis
        if analysis.reassignments and analysis.design != "static":
            raise ConfigError(
                f'randomisation is given with design = "{analysis.design}"',
                where="[analysis]",
                limit="one effect: the design static, or group_time_att, whose effects may differ",
                way_out='set randomisation = 0, or design = "static", or use group_time_att',
            )
        return Question(study, self.name, "score", 0, np.zeros(grid_of(study).size))

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Profile score and information, and in the ``meat`` stage the cluster cross-products.

        Fields, K coefficients in the study's grid: ``score`` (K,), ``information`` (K, K), ``deviance`` (1,),
        ``columns`` (3, K): exposure, incidents and units of each coefficient; ``sizes`` (4,): clusters,
        observations, period effects, units without incidents; ``meat`` (K, K) in that stage, and with
        ``bootstrap`` also ``null`` (5,): `power_sums` of the unit scores at no effect; with ``randomisation`` also
        ``randomisation`` (7,): the rank of the score statistic at no effect among those of other assignments.

        Raises:
            SeparationError: a city has no incident in treated cells, or none in them before treatment.
        """
        grid, study = grid_of(question.study), question.study
        designs = zip(panel.split(), design_of(panel, study), strict=True)
        cities = (_of_city(city, design, grid, question) for city, design in designs)
        return additive(self.name, question.stage, panel.sites, cities)

    def city_effect(
        self, fields: Mapping[str, NDArray[np.float64]], question: Question
    ) -> tuple[float, float]:
        """One Newton step of a city by itself, or of a sum, with its variance, by which cities are screened.

        Before the last round the variance is that of the likelihood times the over-dispersion of the deviance
        (McCullagh & Nelder 1989, section 4.5), as there is no meat yet. See `core.screening`.

        Raises:
            EstimationError, SeparationError: the city has no effect of its own.
        """
        grid = grid_of(question.study)
        exposure, incidents, units = fields["columns"]
        joined = join_columns(grid, exposure, units, incidents)
        join = joined.matrix
        information = join.T @ fields["information"] @ join
        step = solve_information(information, join.T @ fields["score"])
        start = np.linalg.lstsq(join, question.parameters, rcond=None)[0]
        weights = effects_of(grid, exposure).weights[0] @ join
        effect = float(weights @ (start + step))
        if "meat" in fields:
            _, of_effects, _ = effects_with_errors(grid, joined, information, fields)
            return effect, float(of_effects[0, 0])
        clusters, observations, periods, _ = (float(value) for value in fields["sizes"])
        df = observations - clusters - periods - len(step)
        dispersion = max(1.0, float(fields["deviance"][0]) / df) if df > 0 else 1.0
        return effect, dispersion * float(weights @ solve_information(information, weights))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate | Question:
        """Take the Newton step, ask for the meat when it is small, then give the estimate.

        Raises:
            EstimationError: the information is singular, a coefficient rests on one unit, there are too few
                clusters for an error, or units are all alike.
            SeparationError: see `core.event_design.join_columns`.
        """
        total = statistics.total()
        grid = grid_of(question.study)
        exposure, incidents, units = total["columns"]
        joined = join_columns(grid, exposure, units, incidents)
        join = joined.matrix
        information = join.T @ total["information"] @ join
        step = join @ solve_information(information, join.T @ total["score"])
        if question.stage == "score":
            settled = bool(np.abs(step).max() < STEP_TOLERANCE)
            beta = question.parameters + np.clip(step, -MAX_STEP, MAX_STEP)
            stage = "meat" if settled else "score"
            return Question(question.study, self.name, stage, question.round + 1, beta)
        clusters, observations, _, dropped = (float(value) for value in total["sizes"])
        effects, of_effects, covariance = effects_with_errors(grid, joined, information, total)
        beta = question.parameters
        found = Estimate(
            estimator=self.name,
            terms=effects.terms,
            effect=effects.weights @ beta,
            covariance=of_effects,
            df=math.inf,
            level=question.study.analysis.level,
            contributors=statistics.sites,
            units=clusters + dropped,
            observations=observations,
            clusters=clusters,
            details={
                "deviance": float(total["deviance"][0]),
                "rounds": float(question.round + 1),
                "units_without_incidents": dropped,
                **bootstrap_details(total),
            },
            notes=(
                *_notes(dropped, len(statistics.sites)),
                *design_notes(grid, joined),
                *bootstrap_notes(total),
            ),
            without_cohorts=without_each_cohort(grid, total["columns"], beta, covariance, joined),
        )
        return with_randomisation(found, question.study, total)


def _of_city(
    city: Panel, design: Design, grid: Grid, question: Question
) -> tuple[dict[str, NDArray[np.float64]], Support]:
    _refuse_separation(design)
    columns = columns_of(design, grid)
    try:
        fit = profile(design.outcome, design.exposure, columns, question.parameters)
    except ArithmeticError:
        raise EstimationError(
            "the unit and period effects do not settle",
            where=f"site {design.site}",
            limit="a panel whose units and periods hang together",
            way_out="use longer periods or larger units",
        ) from None
    fields: dict[str, NDArray[np.float64]] = {
        "score": fit.score,
        "information": fit.information,
        "deviance": np.array([fit.deviance]),
        "columns": fit.columns,
        "sizes": np.array(
            [fit.clusters, fit.observations, fit.periods, fit.dropped_units], dtype=np.float64
        ),
    }
    if question.stage == "meat":
        scores = unit_scores(design.outcome, fit)
        fields["meat"] = scores.T @ scores
        if question.study.analysis.bootstrap:
            null = profile(design.outcome, design.exposure, columns, np.zeros(grid.size))
            fields["null"] = power_sums(unit_scores(design.outcome, null)[:, 0])
        if question.study.analysis.reassignments:
            fields["randomisation"] = score_field(city, design, question.study)
    return fields, support_of_columns(design, columns, grid, fit)


def _refuse_separation(design: Design) -> None:
    """β runs to ±infinity when all incidents of treated units lie on one side of go-live."""
    after = float(np.vdot(design.outcome, design.treated))
    before = float(design.outcome[design.ever_treated].sum()) - after
    for phase, total in (("after", after), ("before", before)):
        if total == 0:
            raise SeparationError(
                f"treated units have no incident {phase} their cameras went live",
                where=f"site {design.site}",
                limit="at least one incident on each side",
                way_out="use a longer window, a larger radius or more crime types",
            )


def _notes(dropped: float, cities: int) -> tuple[str, ...]:
    notes = []
    if cities > 1:
        notes.append(
            "one effect is assumed for all cities: differences between cities are not in the interval, "
            "and nothing follows for a further city (random_effects is for that)"
        )
    if dropped:
        notes.append(
            f"{dropped:g} units without any incident carry no information and were left out"
        )
    return tuple(notes)


estimator = PoissonDid()
