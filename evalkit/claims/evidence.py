"""What a claim is held against: one effect on the log rate-ratio scale, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from evalkit.errors import EstimationError
from evalkit.numerics.distributions import critical_value

__all__ = ["Evidence", "build_evidence", "interval"]

SAME_INTERVAL: Final = 1e-6
"""In standard errors. Generous for floats, far too small for a different kind of interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One estimated effect. Everything is on the log rate-ratio scale; ``nan`` means not known.

    Attributes:
        effect: Log rate ratio.
        std_error: Its standard error, above 0.
        df: Degrees of freedom of its reference t, ``math.inf`` for the normal.
        level: Coverage of the two intervals.
        conf_low: effect - t(df) std_error.
        conf_high: effect + t(df) std_error.
        tau2: Variance of the true effects between cities.
        prediction_low: Lower end of the prediction interval for a new city.
        prediction_high: Its upper end.
        sites: Number of cities behind the effect.

    Raises:
        EstimationError: figures that are not finite or contradict each other. The tests of a claim
            use one reference distribution for all p-values and intervals, so an interval of another
            kind (a bootstrap percentile interval, say) is refused rather than ignored.
    """

    effect: float
    std_error: float
    df: float
    level: float
    conf_low: float
    conf_high: float
    tau2: float = math.nan
    prediction_low: float = math.nan
    prediction_high: float = math.nan
    sites: int = 1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.effect) and math.isfinite(self.std_error)):
            raise _refused("the effect or its standard error is not finite", "finite numbers")
        if not (self.std_error > 0.0 and self.df > 0.0 and self.sites >= 1):
            raise _refused(
                "std_error, df or sites is out of range", "std_error > 0, df > 0, sites ≥ 1"
            )
        if not 0.0 < self.level < 1.0:
            raise _refused("level is not a coverage", "strictly between 0 and 1")
        low, high = interval(self, self.level)
        tolerance = SAME_INTERVAL * self.std_error
        if not (abs(self.conf_low - low) <= tolerance and abs(self.conf_high - high) <= tolerance):
            raise _refused(
                "the confidence interval is not the one of its standard error and df",
                "effect ± t(df) × std_error at this level",
            )
        if self.tau2 < 0.0 or self.prediction_low > self.prediction_high:
            raise _refused(
                "tau2 or the prediction interval is upside down", "tau2 ≥ 0 and low ≤ high, or nan"
            )


def build_evidence(
    effect: float,
    std_error: float,
    *,
    df: float = math.inf,
    level: float = 0.95,
    tau2: float = math.nan,
    prediction_low: float = math.nan,
    prediction_high: float = math.nan,
    sites: int = 1,
) -> Evidence:
    """Evidence from an effect and its standard error, with the interval that follows from them.

    Raises:
        EstimationError: see `Evidence`.
        ValueError: ``df`` not above 0 or ``level`` outside (0, 1).
    """
    half_width = critical_value(level, df) * std_error
    return Evidence(
        effect=effect,
        std_error=std_error,
        df=df,
        level=level,
        conf_low=effect - half_width,
        conf_high=effect + half_width,
        tau2=tau2,
        prediction_low=prediction_low,
        prediction_high=prediction_high,
        sites=sites,
    )


def interval(evidence: Evidence, level: float) -> tuple[float, float]:
    """The two-sided interval of any level, on the log scale."""
    half_width = critical_value(level, evidence.df) * evidence.std_error
    return evidence.effect - half_width, evidence.effect + half_width


def _refused(what: str, limit: str) -> EstimationError:
    return EstimationError(
        f"this estimate cannot be held against a claim: {what}",
        limit=limit,
        way_out="see what the estimator returned; a claim needs an effect, a standard error and df",
    )
