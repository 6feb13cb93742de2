"""From an estimate's terms to the arrays that the checks of an event study need, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.check import CheckContext
from evalkit.core.estimate import Estimate
from evalkit.core.terms import event_times
from evalkit.numerics.event_study import EventStudy, SingularCovarianceError, check_covariance

__all__ = ["Leads", "average_weights", "event_study", "leads"]

Array = NDArray[np.float64]

REFERENCE: Final = -1
"""Event time of the last period wholly before go-live."""

LOWEST_LEVEL: Final = 0.5
"""Studies allow no level at or below it."""


@dataclass(frozen=True, slots=True, eq=False)
class Leads:
    """The effects before go-live.

    Attributes:
        effect: (P,) at consecutive event times, ascending.
        covariance: (P, P).
        direction: (P,) what a trend with a slope of one period adds to each: periods from the reference, or one
            each where every effect is the change from the period before (a varying base period).
    """

    effect: Array
    covariance: Array
    direction: Array


def leads(estimate: Estimate, context: CheckContext) -> Leads | str:
    """The effects before go-live, or the reason why they cannot be tested."""
    found = _effects(estimate, context)
    if isinstance(found, str):
        return found
    times, effect, covariance = found
    before = times < 0
    if not before.any():
        return "the estimate has no effect before go-live"
    times = times[before]
    varying = bool(times[-1] == REFERENCE)
    wanted = np.arange(times[0], 0 if varying else REFERENCE)
    if not np.array_equal(times, wanted):
        return "the event times before go-live have gaps"
    direction = np.ones(len(times)) if varying else (times - REFERENCE).astype(np.float64)
    result = Leads(effect[before], covariance[np.ix_(before, before)], direction)
    reason = _unusable(result.covariance)
    return reason or result


def event_study(estimate: Estimate, context: CheckContext) -> EventStudy | str:
    """All effects relative to event time −1, or the reason why there are none."""
    found = _effects(estimate, context)
    if isinstance(found, str):
        return found
    times, effect, covariance = found
    if (times == REFERENCE).any():
        return (
            "the effects before go-live are changes from one period to the next; honest bounds need all effects "
            'relative to one period (base_period = "universal")'
        )
    before = times < 0
    if not before.any():
        return "the estimate has no effect before go-live"
    if before.all():
        return "the estimate has no effect after go-live"
    wanted = np.concatenate([np.arange(times[0], REFERENCE), np.arange(times[-1] + 1)])
    if not np.array_equal(times, wanted):
        return "the event times have gaps"
    reason = _unusable(covariance)
    return reason or EventStudy(effect[before], effect[~before], covariance, context.gap)


def average_weights(study: EventStudy) -> Array:
    """(T,) equal weights of all effects after go-live."""
    return np.full(len(study.post), 1.0 / len(study.post))


def _effects(
    estimate: Estimate, context: CheckContext
) -> tuple[NDArray[np.int64], Array, Array] | str:
    """Event times, effects and covariance, without the reference and without binned ends."""
    size = len(estimate.terms)
    if estimate.effect.shape != (size,) or estimate.covariance.shape != (size, size):
        return "the estimate's arrays do not fit its terms"
    if not LOWEST_LEVEL < estimate.level < 1.0:
        return "the estimate's level is no confidence level"
    listed = event_times(estimate.terms)
    if not listed:
        return "the estimate has no effects by event time"
    places = np.array([place for place, _ in listed])
    times = np.array([time for _, time in listed], dtype=np.int64)
    if len(np.unique(times)) < len(times):
        return "an event time has two effects"
    effect = estimate.effect[places]
    covariance = estimate.covariance[np.ix_(places, places)]
    # An estimator may list the reference itself: an effect of zero that cannot vary.
    listed_reference = (times == REFERENCE) & (effect == 0.0) & ~(np.diagonal(covariance) > 0.0)
    kept = ~listed_reference & ~np.isin(times, context.bins or ())
    times, effect, covariance = times[kept], effect[kept], covariance[np.ix_(kept, kept)]
    if len(times) == 0:
        return "no effect is left beside the reference and the binned ends"
    if not (np.isfinite(effect).all() and np.isfinite(covariance).all()):
        return "an effect or its variance is not a finite number"
    return times, effect, covariance


def _unusable(covariance: Array) -> str | None:
    try:
        check_covariance(covariance)
    except SingularCovarianceError:
        return (
            "the covariance of the effects is singular: there are more effects than the clusters can tell apart, "
            "or one cannot vary"
        )
    except ValueError:
        return "the covariance of the effects is not symmetric"
    return None
