"""Poisson panel difference-in-differences with one effect shared by all cities.

E[y_it] = w_it · exp(α_i + γ_{s,t} + β D_it): unit effects, city × period effects, and the static treatment
indicator D. Both sets of effects are nested in a city and are profiled out there (`numerics.poisson`), so a
city sends the score and information in β, and at the end the cluster cross-products; the pooled fit and the
federated one are the same sums. Pseudo-maximum likelihood: only the mean need be right (Gourieroux, Monfort
& Trognon 1984); standard errors are clustered by unit (Liang & Zeger 1986) with the small-sample factor
G/(G−1) · (n−1)/(n−K) of R's fixest, K counting β and the period effects but not the unit effects, which are
nested in the clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of, support_of
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Study
from evalkit.errors import EstimationError, SeparationError
from evalkit.numerics.poisson import profile

__all__ = ["STEP_TOLERANCE", "TERM", "PoissonDid", "estimator"]

TERM: Final = "treated"

STEP_TOLERANCE: Final = 1e-10
"""Newton step, in units of β, below which the fit has settled. Convergence is quadratic, so the error left
after such a step is far below double precision of β."""

MAX_STEP: Final = 2.0
"""Largest Newton step; a city's gate refuses larger ones (its trust region)."""


@dataclass(frozen=True, slots=True)
class PoissonDid:
    """Static Poisson difference-in-differences; see the module's docstring."""

    name: str = "poisson_did"
    release_class: ReleaseClass = "statistics"

    def first_question(self, study: Study) -> Question:
        """Start at no effect."""
        return Question(study, self.name, "score", 0, np.zeros(1))

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Profile score and information, and in the ``meat`` stage the cluster cross-products.

        Fields, K = 1: ``score`` (K,), ``information`` (K, K), ``deviance`` (1,), ``sizes`` (4,): clusters,
        observations, period effects, units without incidents; ``meat`` (K, K) in that stage.

        Raises:
            SeparationError: a city has no incident in treated cells, or none in them before treatment.
        """
        parts: dict[str, NDArray[np.float64]] = {}
        support: list[Support] = []
        for design in design_of(panel, question.study):
            fields, one = _of_city(design, question)
            parts = fields if not parts else {name: parts[name] + fields[name] for name in fields}
            support.append(one)
        return Statistics(
            self.name, question.stage, "additive", {panel.sites: parts}, tuple(support)
        )

    def finalise(self, statistics: Statistics, question: Question) -> Estimate | Question:
        """Take the Newton step, ask for the meat when it is small, then give the estimate.

        Raises:
            EstimationError: the information is singular, or there are too few clusters for an error.
        """
        total = statistics.total()
        score, information = total["score"], total["information"]
        step = _newton_step(score, information)
        if question.stage == "score":
            settled = bool(np.abs(step).max() < STEP_TOLERANCE)
            beta = question.parameters + np.clip(step, -MAX_STEP, MAX_STEP)
            stage = "meat" if settled else "score"
            return Question(question.study, self.name, stage, question.round + 1, beta)
        clusters, observations, periods, dropped = (float(value) for value in total["sizes"])
        covariance = _clustered(information, total["meat"], clusters, observations, periods)
        return Estimate(
            estimator=self.name,
            terms=(TERM,),
            effect=question.parameters,
            covariance=covariance,
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
            },
            notes=_notes(dropped, len(statistics.sites)),
        )


def _of_city(design: Design, question: Question) -> tuple[dict[str, NDArray[np.float64]], Support]:
    _refuse_separation(design)
    beta = question.parameters
    try:
        fit = profile(design.outcome, design.exposure, design.treated[None], beta)
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
        "sizes": np.array(
            [fit.clusters, fit.observations, fit.periods, fit.dropped_units], dtype=np.float64
        ),
    }
    if question.stage == "meat":
        fields["meat"] = fit.unit_scores.T @ fit.unit_scores
    residual_df = fit.observations - fit.clusters - fit.periods + 1 - len(beta)
    return fields, support_of(
        design, clusters=fit.clusters, parameters=len(beta), residual_df=residual_df
    )


def _refuse_separation(design: Design) -> None:
    """β runs to ±infinity when all incidents of treated units lie on one side of go-live."""
    units = design.ever_treated
    after = float((design.outcome * design.treated)[units].sum())
    before = float(design.outcome[units].sum()) - after
    for phase, total in (("after", after), ("before", before)):
        if total == 0:
            raise SeparationError(
                f"treated units have no incident {phase} their cameras went live",
                where=f"site {design.site}",
                limit="at least one incident on each side",
                way_out="use a longer window, a larger radius or more crime types",
            )


def _newton_step(
    score: NDArray[np.float64], information: NDArray[np.float64]
) -> NDArray[np.float64]:
    try:
        step = np.asarray(np.linalg.solve(information, score), dtype=np.float64)
    except np.linalg.LinAlgError:
        step = np.full_like(score, np.nan)
    if not np.isfinite(step).all():
        raise EstimationError(
            "the treatment effect is not identified",
            limit="treated units with a before and an after, and controls in the same periods",
            way_out="widen the window or the adoption dates",
        )
    return step


def _clustered(
    information: NDArray[np.float64],
    meat: NDArray[np.float64],
    clusters: float,
    observations: float,
    periods: float,
) -> NDArray[np.float64]:
    counted = len(information) + periods
    if clusters < 2 or observations <= counted:
        raise EstimationError(
            "too few clusters for a standard error",
            limit=f"at least 2 clusters and more than {counted:g} observations",
            way_out="use more units or longer windows",
        )
    bread = np.linalg.inv(information)
    factor = clusters / (clusters - 1) * (observations - 1) / (observations - counted)
    covariance: NDArray[np.float64] = factor * bread @ meat @ bread
    return covariance


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
