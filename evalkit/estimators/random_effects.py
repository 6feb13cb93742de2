"""Two-stage meta-analysis: each city estimates its own effect, the cities' effects are then pooled.

The first stage is any other estimator run inside one city to the end, so that only the effect and its
variance leave: the least revealing release there is. The second stage is `numerics.meta_analysis`: fixed
effect, DerSimonian–Laird, Paule–Mandel or REML, with Wald or Knapp–Hartung intervals, heterogeneity, and the
prediction interval for a city not in the study (Higgins, Thompson & Spiegelhalter 2009).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.discover import estimator as find_estimator
from evalkit.core.estimate import Estimate, SiteEffect
from evalkit.core.estimator import Estimator, Question, ReleaseClass, estimate
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Study
from evalkit.errors import ConfigError
from evalkit.numerics.meta_analysis import pool

__all__ = ["TERM", "RandomEffects", "estimator"]

TERM: Final = "treated"


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Pool city effects; see the module's docstring."""

    name: str = "random_effects"
    release_class: ReleaseClass = "estimate"

    def first_question(self, study: Study) -> Question:
        """One round, no parameters.

        Raises:
            ConfigError: the first stage is unknown or is this estimator itself.
        """
        _first_stage(study)
        return Question(study, self.name, "effect")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Each city's effect: field ``effect`` (4,): log rate ratio, variance, clusters, observations."""
        inner = _first_stage(question.study)
        parts: dict[tuple[str, ...], dict[str, NDArray[np.float64]]] = {}
        support: list[Support] = []
        for city in panel.split():
            fit, city_support = _estimate_city(inner, city, question.study)
            sizes = [fit.clusters, fit.observations]
            parts[city.sites] = {
                "effect": np.array(
                    [
                        fit.effect[0],
                        fit.covariance[0, 0],
                        *(s if math.isfinite(s) else 0.0 for s in sizes),
                    ]
                )
            }
            support.extend(city_support)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """The pooled effect with its heterogeneity and prediction interval."""
        analysis = question.study.analysis
        names = [names[0] for names in statistics.parts]
        rows = np.array([fields["effect"] for fields in statistics.parts.values()])
        alone = len(rows) == 1
        pooled = pool(
            rows[:, 0],
            rows[:, 1],
            method="fixed" if alone else analysis.method,
            interval="wald" if alone else analysis.interval,
            level=analysis.level,
        )
        weights = pooled.weights
        clusters, observations = rows[:, 2].sum(), rows[:, 3].sum()
        return Estimate(
            estimator=self.name,
            terms=(TERM,),
            effect=np.array([pooled.effect]),
            covariance=np.array([[pooled.std_error**2]]),
            df=pooled.df,
            level=analysis.level,
            contributors=statistics.sites,
            clusters=float(clusters) if clusters else math.nan,
            observations=float(observations) if observations else math.nan,
            sites=tuple(
                SiteEffect(name, float(row[0]), math.sqrt(float(row[1])), float(weight))
                for name, row, weight in zip(names, rows, weights, strict=True)
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
            },
            notes=_notes(len(rows)),
        )


def _first_stage(study: Study) -> Estimator:
    name = study.analysis.first_stage
    if name == "random_effects":
        raise ConfigError(
            "random_effects cannot be its own first stage",
            where="[analysis] first_stage",
            way_out='name an estimator of one city, such as "poisson_did" or "rate_ratio"',
        )
    return find_estimator(name)


def _estimate_city(
    inner: Estimator, city: Panel, study: Study
) -> tuple[Estimate, tuple[Support, ...]]:
    """Run the first stage to its end on one city, and keep the support of its last round."""
    last: list[Statistics] = []

    def ask(question: Question) -> Sequence[Statistics]:
        last[:] = [inner.summarise(city, question)]
        return last

    fit = estimate(inner, study, ask)
    return fit, last[0].support


def _notes(cities: int) -> tuple[str, ...]:
    if cities == 1:
        return (
            "one city only: its own effect and normal interval, no heterogeneity or prediction",
        )
    if cities < 5:
        return (
            f"heterogeneity between {cities} cities is hardly known; intervals are wide for that reason",
        )
    return ()


estimator = RandomEffects()
