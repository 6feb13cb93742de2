"""Model estimates: a learner predicts what treated places would have counted, from places without cameras.

Inside each city a scikit-learn learner is trained on untreated unit-periods only and predicts, for units it has not
seen (five folds of units), incidents over what the unit's own level before the first go-live leads to expect. Features
are that level relative to its group (treated units, or controls), time of year, the city's untreated level in the
period, and the period itself.
θ = ln Σ y − ln Σ ŷ over treated unit-periods, less the same of held-out controls in the same periods: a
difference-in-differences of prediction errors, so that what the learner misses everywhere cancels
(`numerics.counterfactual`). The variance is the jackknife over units with predictions held fixed.

``learner``: ``gradient_boosting`` (Poisson loss), ``poisson_glm`` or ``random_forest``; nothing else is run. Folds and
forests take their seed from the study's hash. Cities are pooled by inverse variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of, restrict, support_of
from evalkit.core.estimate import Estimate, Scale
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Study, study_hash
from evalkit.errors import (
    ConfigError,
    EstimationError,
    MissingExtraError,
    NoControlError,
    NothingToTestError,
    SeparationError,
)
from evalkit.estimators._city_effects import mean_of_cities
from evalkit.numerics.counterfactual import (
    Learner,
    counterfactual_effect,
    jackknife_variance,
    predict_held_out,
)

__all__ = ["FOLDS", "LEARNERS", "CounterfactualModel", "estimator"]

FOLDS: Final = 5
"""Four fifths of the units train each learner."""

MIN_UNITS: Final = 2
"""Treated units, and controls: a jackknife over one unit is none."""

DAYS_PER_YEAR: Final = 365.25

NOTE_FIXED_PREDICTIONS: Final = (
    "the interval takes the learner's predictions as they are; "
    "with few treated places in a city it is too short"
)


@dataclass(frozen=True, slots=True)
class CounterfactualModel:
    """Counterfactual prediction per city, pooled by inverse variance; see the module's docstring."""

    name: str = "counterfactual_model"
    release_class: ReleaseClass = "estimate"
    scales: tuple[Scale, ...] = ("log_rate_ratio",)
    reads: tuple[str, ...] = ("learner",)
    effect_field: str = "effect"

    def first_question(self, study: Study) -> Question:
        """One round, no parameters.

        Raises:
            ConfigError: the study wants a difference of counts, which a ratio of predictions is not.
        """
        if study.analysis.scale != "ratio":
            raise ConfigError(
                "counterfactual_model compares incidents with predicted ones by their ratio",
                where="[analysis] scale",
                limit='scale = "ratio"',
                way_out="use synthetic_did or wdd for a difference of counts",
            )
        return Question(study, self.name, "effect")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Each city's effect: field ``effect`` (4,): log rate ratio, variance, units, cells.

        Raises:
            MissingExtraError: scikit-learn is not installed.
            NothingToTestError: no treated unit-period, or no period before the first go-live.
            NoControlError: fewer than two units are never treated.
            EstimationError: one treated unit, or a group without incident before the first go-live.
            SeparationError: no incident in treated unit-periods or in their controls, so that no ratio exists.
        """
        parts: dict[tuple[str, ...], dict[str, NDArray[np.float64]]] = {}
        support: list[Support] = []
        for design in design_of(panel, question.study):
            season = _season(design.period_names)
            effect, variance = _of_city(_in_fixed_order(design), season, question.study)
            units, cells = len(design.outcome), int((design.exposure > 0).sum())
            parts[(design.site,)] = {"effect": np.array([effect, variance, units, cells])}
            df = cells - units - design.outcome.shape[1]
            support.append(support_of(design, clusters=units, parameters=1, residual_df=df))
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """City effects and their fixed-effect mean."""
        found = mean_of_cities(statistics, "effect", question.study.analysis.level)
        return replace(found, clusters=found.units, notes=(NOTE_FIXED_PREDICTIONS,))


def _of_city(design: Design, season: NDArray[np.float64], study: Study) -> tuple[float, float]:
    ever, treated = design.ever_treated, (design.treated > 0) & (design.exposure > 0)
    control = ~ever & (design.exposure > 0).any(axis=1)
    start = int(design.first_live[ever].min()) if ever.any() else 0
    _refuse(design.site, treated, control, start)
    seen = design.outcome[:, start:]
    if not (seen[treated[:, start:]].sum() > 0 and seen[control].sum() > 0):
        raise _no_ratio(design.site)
    random = np.random.default_rng(int(study_hash(study)[:16], 16))
    folds = np.empty(len(ever), dtype=np.int64)
    for group in (ever, ~ever):
        folds[group] = random.permutation(np.arange(int(group.sum())) % FOLDS)
    make = _maker(study.analysis.learner, int(random.integers(2**31)))
    try:
        with _one_thread():
            found = predict_held_out(
                design.outcome,
                design.exposure,
                treated,
                start,
                season,
                folds,
                ever.astype(np.int64),
                make,
            )
    except ValueError:
        raise EstimationError(
            "treated units or controls have no incident before the first go-live, so no level to predict from",
            where=f"site {design.site}",
            way_out="widen the window, or count larger units or more crime types",
        ) from None
    effect = counterfactual_effect(design.outcome, found.predicted, treated, control)
    variance = jackknife_variance(design.outcome, found.predicted, treated, control)
    if not (math.isfinite(effect) and math.isfinite(variance)):
        raise _no_ratio(design.site)
    return effect, variance


def _no_ratio(site: str) -> SeparationError:
    return SeparationError(
        "treated places or their controls have hardly any incident after go-live, so no ratio exists",
        where=f"site {site}",
        way_out="widen the window, or count larger units or more crime types",
    )


def _refuse(site: str, treated: NDArray[np.bool_], control: NDArray[np.bool_], start: int) -> None:
    if not treated.any() or start < 1:
        raise NothingToTestError(
            "no unit is seen with a camera, or no period lies before the first one",
            where=f"site {site}",
            way_out="widen the window",
        )
    if control.sum() < MIN_UNITS:
        raise NoControlError(
            "fewer than two units are never treated",
            where=f"site {site}",
            way_out='use [units] controls = "lattice"',
        )
    if treated.any(axis=1).sum() < MIN_UNITS:
        raise EstimationError(
            "one treated unit has no jackknife",
            where=f"site {site}",
            limit="two treated units",
            way_out="use synthetic_did, whose placebo error needs controls only",
        )


def _in_fixed_order(design: Design) -> Design:
    """Units sorted by what is known of them: folds and sums then do not depend on the order they came in."""
    keys = np.column_stack([design.first_live, design.last_live, design.outcome, design.exposure])
    return restrict(design, np.lexsort(keys.T[::-1]))


def _season(period_names: tuple[str, ...]) -> NDArray[np.float64]:
    """(T, 2) sine and cosine of the time of year at which each period starts."""
    days = np.array(period_names, dtype="datetime64[D]")
    of_year = (days - days.astype("datetime64[Y]")).astype(np.float64)
    angle = 2 * np.pi * of_year / DAYS_PER_YEAR
    return np.column_stack([np.sin(angle), np.cos(angle)])


# ---------------------------------------------------------------- learners


def _gradient_boosting(seed: int) -> Learner:
    """Shallow and slow: deeper or faster trees follow the few controls with much crime, and errors grow.

    Early stopping would set whole cells of a unit aside at random, so it is off.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    made = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=0.05,
        max_iter=50,
        max_leaf_nodes=4,
        min_samples_leaf=60,
        early_stopping=False,
        random_state=seed,
    )
    return cast("Learner", made)


def _poisson_glm(seed: int) -> Learner:  # noqa: ARG001  # a GLM draws nothing
    from sklearn.linear_model import PoissonRegressor

    return cast("Learner", PoissonRegressor(alpha=1e-3, max_iter=1000))


def _random_forest(seed: int) -> Learner:
    from sklearn.ensemble import RandomForestRegressor

    made = RandomForestRegressor(
        criterion="poisson", n_estimators=50, min_samples_leaf=50, random_state=seed
    )
    return cast("Learner", made)


LEARNERS: Final[dict[str, Callable[[int], Learner]]] = {
    "gradient_boosting": _gradient_boosting,
    "poisson_glm": _poisson_glm,
    "random_forest": _random_forest,
}
"""The only learners a study can name."""


def _maker(name: str, seed: int) -> Callable[[], Learner]:
    try:
        import sklearn  # noqa: F401  # only whether it is there
    except ImportError:
        raise MissingExtraError(
            "counterfactual_model needs scikit-learn, which is not installed",
            where="[analysis] estimator",
            way_out='pip install "evalkit[learners]"',
        ) from None
    return lambda: LEARNERS[name](seed)


def _one_thread() -> AbstractContextManager[object]:
    """A city's panel is small: threads would wait for one another longer than they work."""
    from threadpoolctl import threadpool_limits

    return cast("AbstractContextManager[object]", threadpool_limits(limits=1))


estimator = CounterfactualModel()
