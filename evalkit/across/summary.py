"""Everything about the set of cities that follows from their effects alone, so that a reviewer can redo it.

Vocabulary
    without     the pooled effect of all other cities.
    cumulative  the pooled effect of the first city, the first two, and so on, in the order of a moderator.
    influence   `evalkit.numerics.influence`: how far one city moves the pooled effect.
    small study `evalkit.numerics.small_study`: whether imprecise cities show larger effects.

All of it is on the log rate-ratio scale and uses the study's own method, interval and level. A part that cannot be
computed is None, with its reason in ``absent``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from evalkit.core.estimate import Estimate
from evalkit.core.moderators import read_moderator
from evalkit.core.study import Analysis
from evalkit.numerics.influence import Influence, influence
from evalkit.numerics.meta_analysis import (
    InvalidEffectsError,
    NoSpreadError,
    PooledEffect,
    TooFewEffectsError,
)
from evalkit.numerics.meta_regression import CollinearModeratorsError, predict, regress
from evalkit.numerics.refits import cumulative, leave_one_out
from evalkit.numerics.small_study import egger

__all__ = ["Across", "Bubble", "City", "Cumulative", "Pooled", "Small", "summarise_cities"]

POOLING: Final = "random_effects"
"""The estimator whose pooled effect is that of its city effects; of others these are not refits."""

BUBBLE_POINTS: Final = 41
"""Of the line through a bubble plot; its limits are curved."""

NOT_COMPUTABLE: Final = (
    CollinearModeratorsError,
    InvalidEffectsError,
    NoSpreadError,
    TooFewEffectsError,
)
"""What numerics raise where cities are too few, or all alike."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pooled:
    """A pooled effect with its interval, τ² and I² in percent; nan where not defined."""

    estimate: float
    std_error: float
    conf_low: float
    conf_high: float
    p_value: float
    tau2: float
    i2: float


@dataclass(frozen=True, slots=True)
class City:
    """One city's part in the whole.

    Attributes:
        site: its name.
        without: the pooled effect of the others.
        rstudent, dffits, cooks_distance, covariance_ratio, hat: see `evalkit.numerics.influence`; None with
            too few cities.
        influential: by the rules of metafor.
    """

    site: str
    without: Pooled
    rstudent: float | None = None
    dffits: float | None = None
    cooks_distance: float | None = None
    covariance_ratio: float | None = None
    hat: float | None = None
    influential: bool = False


@dataclass(frozen=True, slots=True)
class Cumulative:
    """Cities one after another: the moderator they are in order of, and per step city, its value, the effect so far."""

    by: str
    sites: tuple[str, ...]
    values: tuple[float, ...]
    effects: tuple[Pooled, ...]


@dataclass(frozen=True, slots=True)
class Bubble:
    """A numeric moderator's line: effect with limits at evenly spaced values, other moderators at their means."""

    moderator: str
    sites: tuple[str, ...]
    values: tuple[float, ...]
    line_at: tuple[float, ...]
    line: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    p_value: float


@dataclass(frozen=True, slots=True)
class Small:
    """Egger's test; see `evalkit.numerics.small_study`."""

    slope: float
    std_error: float
    statistic: float
    df: int
    p_value: float
    limit: float
    limit_low: float
    limit_high: float
    cities: int
    low_power: bool


@dataclass(frozen=True, slots=True)
class Across:
    """See the module; ``absent`` says of each part that is None or empty why."""

    cities: tuple[City, ...] = ()
    cumulative: Cumulative | None = None
    bubble: Bubble | None = None
    small_study: Small | None = None
    absent: Mapping[str, str] = field(default_factory=dict)


def summarise_cities(found: Estimate, analysis: Analysis) -> Across | None:
    """What the cities of an estimate say together.

    Args:
        found: an estimate with city effects.
        analysis: of its study.

    Returns:
        None if the estimate is not one that pools the effects of two or more cities.
    """
    if analysis.estimator != POOLING or len(found.sites) < 2:
        return None
    effects = np.array([one.effect for one in found.sites])
    variances = np.array([one.std_error for one in found.sites]) ** 2
    absent: dict[str, str] = {}

    def attempt(part: str, compute: Callable[[], T]) -> T | None:
        try:
            return compute()
        except NOT_COMPUTABLE as error:
            absent[part] = str(error)
            return None

    without = attempt(
        "cities",
        lambda: leave_one_out(
            effects,
            variances,
            method=analysis.method,
            interval=analysis.interval,
            level=analysis.level,
        ),
    )
    told = attempt(
        "influence",
        lambda: influence(effects, variances, method=analysis.method, interval=analysis.interval),
    )
    return Across(
        cities=_cities([one.site for one in found.sites], without or (), told),
        cumulative=attempt("cumulative", lambda: _cumulative(found, effects, variances, analysis)),
        bubble=attempt("bubble", lambda: _bubble(found, effects, variances, analysis)),
        small_study=attempt("small_study", lambda: _small(effects, variances, analysis)),
        absent=absent,
    )


def _cities(
    names: Sequence[str], without: Sequence[PooledEffect], told: Influence | None
) -> tuple[City, ...]:
    if told is None:
        return tuple(City(name, _pooled(one)) for name, one in zip(names, without, strict=False))
    return tuple(
        City(
            site=name,
            without=_pooled(one),
            rstudent=float(told.rstudent[index]),
            dffits=float(told.dffits[index]),
            cooks_distance=float(told.cooks[index]),
            covariance_ratio=float(told.covariance_ratio[index]),
            hat=float(told.hat[index]),
            influential=bool(told.influential[index]),
        )
        for index, (name, one) in enumerate(zip(names, without, strict=False))
    )


def _cumulative(
    found: Estimate,
    effects: NDArray[np.float64],
    variances: NDArray[np.float64],
    analysis: Analysis,
) -> Cumulative | None:
    by = analysis.cumulative_by.strip()
    if not by:
        return None
    values = np.array([one.moderators[by] for one in found.sites])
    order = np.argsort(values, kind="stable")  # ties in the order of names
    pooled = cumulative(
        effects,
        variances,
        order,
        method=analysis.method,
        interval=analysis.interval,
        level=analysis.level,
    )
    return Cumulative(
        by=by,
        sites=tuple(found.sites[index].site for index in order),
        values=tuple(float(values[index]) for index in order),
        effects=tuple(_pooled(one) for one in pooled),
    )


def _bubble(
    found: Estimate,
    effects: NDArray[np.float64],
    variances: NDArray[np.float64],
    analysis: Analysis,
) -> Bubble | None:
    """Of the first moderator that is a number and not an indicator."""
    labels = [read_moderator(text).label for text in analysis.moderators]
    numeric = [index for index, label in enumerate(labels) if "=" not in label]
    if not numeric:
        return None
    design = np.array([[one.moderators[label] for label in labels] for one in found.sites])
    fit = regress(
        effects,
        variances,
        design,
        method=analysis.method,
        interval=analysis.interval,
        level=analysis.level,
    )
    chosen = numeric[0]
    at = np.linspace(design[:, chosen].min(), design[:, chosen].max(), BUBBLE_POINTS)
    rows = np.tile(design.mean(axis=0), (len(at), 1))
    rows[:, chosen] = at
    line, low, high = predict(fit, rows)
    return Bubble(
        moderator=labels[chosen],
        sites=tuple(one.site for one in found.sites),
        values=tuple(float(value) for value in design[:, chosen]),
        line_at=tuple(at.tolist()),
        line=tuple(line.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        p_value=float(fit.p_value[1 + chosen]),
    )


def _small(
    effects: NDArray[np.float64], variances: NDArray[np.float64], analysis: Analysis
) -> Small:
    told = egger(effects, variances, level=analysis.level)
    return Small(
        slope=told.slope,
        std_error=told.std_error,
        statistic=told.statistic,
        df=told.df,
        p_value=told.p_value,
        limit=told.limit,
        limit_low=told.limit_low,
        limit_high=told.limit_high,
        cities=told.k,
        low_power=told.low_power,
    )


def _pooled(one: PooledEffect) -> Pooled:
    return Pooled(
        estimate=one.effect,
        std_error=one.std_error,
        conf_low=one.conf_low,
        conf_high=one.conf_high,
        p_value=one.p_value,
        tau2=one.tau2,
        i2=one.i2,
    )
