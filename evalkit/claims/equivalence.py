"""Equivalence: is the effect shown to lie inside a margin around the claim, or around no effect?

Two one-sided tests (Schuirmann 1987): H0 that the effect lies below the region, and H0 that it lies
above. Both must be rejected, so the p-value is the larger of the two. At 5 % this is the same as
asking whether the 90 % interval lies inside the region.

Source
    Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and the power
        approach for assessing the equivalence of average bioavailability. Journal of
        Pharmacokinetics and Biopharmaceutics 15, 657–680.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence
from evalkit.numerics.distributions import t_cdf, t_sf

__all__ = ["EquivalenceTest", "TwoOneSidedTests", "equivalence_test"]


@dataclass(frozen=True, slots=True)
class TwoOneSidedTests:
    """Two one-sided tests of one region.

    Attributes:
        low: Lower end of the region, a rate ratio.
        high: Its upper end.
        p_below: Of H0 that the rate ratio is at or below ``low``.
        p_above: Of H0 that it is at or above ``high``.
        p_value: The larger: small if the effect is shown to lie inside.
    """

    low: float
    high: float
    p_below: float
    p_above: float
    p_value: float


@dataclass(frozen=True, slots=True)
class EquivalenceTest:
    """Equivalence to the claim, and to no effect."""

    to_claim: TwoOneSidedTests
    to_no_effect: TwoOneSidedTests


def equivalence_test(evidence: Evidence, claim: Claim) -> EquivalenceTest:
    """Test both regions, by t with the evidence's degrees of freedom."""
    margin, zero = claim.equivalence_margin, claim.zero_margin
    return EquivalenceTest(
        to_claim=_inside(evidence, claim.value / margin, claim.value * margin),
        to_no_effect=_inside(evidence, 1.0 / zero, zero),
    )


def _inside(evidence: Evidence, low: float, high: float) -> TwoOneSidedTests:
    above_low = (evidence.effect - math.log(low)) / evidence.std_error
    above_high = (evidence.effect - math.log(high)) / evidence.std_error
    p_below = t_sf(above_low, evidence.df)
    p_above = t_cdf(above_high, evidence.df)
    return TwoOneSidedTests(low, high, p_below, p_above, max(p_below, p_above))
