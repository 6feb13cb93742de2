"""Power: what could these data have shown, and how many cities would it take?

The minimum detectable effect is the true log rate ratio at which a two-sided 5 % test rejects no
effect, on the right side, in 80 % of studies with this standard error (Bloom 1995):

    (t(1 - α/2, df) + t(0.80, df)) × std_error.

Everything here is an approximation that takes the estimated standard error for the true one; with
few degrees of freedom it is itself uncertain. The numbers of cities and the amounts of data also
take the cities at hand for typical, and assume that a city's own variance falls in proportion to
its data (camera-months, years) while the variance between cities does not.

Source
    Bloom, H. S. (1995). Minimum detectable effects: A simple way to report the statistical power of
        experimental designs. Evaluation Review 19, 547–556.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from evalkit.claims.claim import Claim, claimed_sign
from evalkit.claims.evidence import Evidence
from evalkit.numerics.distributions import critical_value, t_quantile, t_sf

__all__ = ["PowerAnalysis", "cities_needed", "power_analysis"]

TARGET_POWER: Final = 0.80
"""The convention of grant applications and of METHODS."""

LEVEL: Final = 0.95
"""Of the two-sided interval that has to exclude no effect."""


@dataclass(frozen=True, slots=True)
class PowerAnalysis:
    """What these data could detect.

    Attributes:
        minimum_detectable_effect: Log rate ratio, without sign.
        minimum_detectable_rate_ratio: The same as a rate ratio in the claimed direction.
        power_for_claim: Probability that such data exclude no effect, on the claimed side, if the
            claim is exactly true.
        cities_needed: Approximate number of cities, like these, that would detect the claim;
            ``None`` for a single city, unless the evidence says how much cities differ (tau2).
        data_factor: Approximate multiple of the present data per city that would detect the claim
            with the present number of cities: below 1 if there is enough, ``math.inf`` if no amount
            is, nan if it cannot be told.
        target_power: 0.80.
    """

    minimum_detectable_effect: float
    minimum_detectable_rate_ratio: float
    power_for_claim: float
    cities_needed: int | None
    data_factor: float
    target_power: float


def power_analysis(
    evidence: Evidence, claim: Claim, *, typical_variance: float | None = None
) -> PowerAnalysis:
    """Power of the evidence for the claim.

    Args:
        evidence: Its ``std_error``, ``df``, ``tau2`` and ``sites`` are used, not its effect.
        claim: Its ``value`` is used.
        typical_variance: Variance of one typical city's own estimate
            (`evalkit.numerics.meta_analysis.PooledEffect.typical_variance`). Without it the total
            per city is taken as sites × std_error², which is exact for equally precise cities.
    """
    distance = abs(math.log(claim.value))
    critical = critical_value(LEVEL, evidence.df)
    multiple = critical + t_quantile(TARGET_POWER, evidence.df)
    detectable = multiple * evidence.std_error
    between = 0.0 if math.isnan(evidence.tau2) else evidence.tau2
    alone = evidence.sites == 1
    if typical_variance is not None:
        within = typical_variance
    elif alone:
        # One city's standard error holds nothing of how much cities differ.
        within = evidence.std_error**2
    else:
        within = evidence.sites * evidence.std_error**2 - between
    told = not (alone and math.isnan(evidence.tau2))
    return PowerAnalysis(
        minimum_detectable_effect=detectable,
        minimum_detectable_rate_ratio=_exp(claimed_sign(claim) * detectable),
        power_for_claim=t_sf(critical - distance / evidence.std_error, evidence.df),
        cities_needed=cities_needed(distance, max(between + within, between)) if told else None,
        data_factor=_data_factor(
            evidence.sites, within, 0.0 if alone else between, distance / multiple
        ),
        target_power=TARGET_POWER,
    )


def cities_needed(effect: float, variance_per_city: float) -> int:
    """Smallest number n of cities whose average detects ``effect`` with 80 % power, approximately.

    The average of n cities has variance ``variance_per_city`` / n (between plus typical within) and
    a t reference with n - 1 degrees of freedom, as in a Knapp–Hartung interval. At least 2.

    Args:
        effect: Log rate ratio to detect; its sign is ignored.
        variance_per_city: τ² plus the typical variance of one city's estimate, at least 0.

    Raises:
        ValueError: ``effect`` is 0 or not finite, or the variance is negative or not finite.
    """
    if not (math.isfinite(effect) and effect != 0.0):
        raise ValueError(f"the effect to detect must be finite and not 0, not {effect!r}")
    if not (math.isfinite(variance_per_city) and variance_per_city >= 0.0):
        raise ValueError(f"the variance per city must be finite and ≥ 0, not {variance_per_city!r}")

    def enough(n: int) -> bool:
        df = float(n - 1)
        multiple = critical_value(LEVEL, df) + t_quantile(TARGET_POWER, df)
        return multiple**2 * variance_per_city <= n * effect**2

    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _exp(log_rate_ratio: float) -> float:
    try:
        return math.exp(log_rate_ratio)
    except OverflowError:
        return math.inf


def _data_factor(sites: int, within: float, between: float, std_error_needed: float) -> float:
    """By how much each city's own variance must fall for the needed standard error."""
    if within <= 0.0:
        return math.nan
    within_needed = sites * std_error_needed**2 - between
    return within / within_needed if within_needed > 0.0 else math.inf
