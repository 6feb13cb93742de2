"""Direction: is there an effect at all, and on the claimed side?"""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.claims.claim import Claim, claimed_sign
from evalkit.claims.evidence import Evidence
from evalkit.numerics.distributions import t_cdf, t_sf, two_sided_p

__all__ = ["DirectionTest", "direction_test"]


@dataclass(frozen=True, slots=True)
class DirectionTest:
    """Test of no effect.

    Attributes:
        statistic: effect / std_error.
        df: Degrees of freedom of its reference t (``math.inf`` for the normal).
        p_two_sided: Against any effect.
        p_fall: One-sided, against a fall: small if crime fell.
        p_rise: One-sided, against a rise.
        p_claimed: The one of the two that the claim predicts.
    """

    statistic: float
    df: float
    p_two_sided: float
    p_fall: float
    p_rise: float
    p_claimed: float


def direction_test(evidence: Evidence, claim: Claim) -> DirectionTest:
    """Test H0: log rate ratio = 0, by t with the evidence's degrees of freedom."""
    statistic = evidence.effect / evidence.std_error
    fall, rise = t_cdf(statistic, evidence.df), t_sf(statistic, evidence.df)
    return DirectionTest(
        statistic=statistic,
        df=evidence.df,
        p_two_sided=two_sided_p(statistic, evidence.df),
        p_fall=fall,
        p_rise=rise,
        p_claimed=fall if claimed_sign(claim) < 0 else rise,
    )
