"""Generality: what should a city that is not among these expect?

The pooled effect is an average; a new city draws its own. The prediction interval covers it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence

__all__ = ["GeneralityTest", "generality_test"]


@dataclass(frozen=True, slots=True)
class GeneralityTest:
    """What the prediction interval says; ``None`` where there is none.

    Attributes:
        prediction_low: Lower end for a new city, log rate ratio; nan if unknown.
        prediction_high: Its upper end.
        known: Whether there is a prediction interval: it takes three cities and random effects.
        excludes_no_effect: Whether it lies on one side of no effect.
        contains_claim: Whether it contains the claim's value.
    """

    prediction_low: float
    prediction_high: float
    known: bool
    excludes_no_effect: bool | None
    contains_claim: bool | None


def generality_test(evidence: Evidence, claim: Claim) -> GeneralityTest:
    """Read the evidence's prediction interval against no effect and against the claim."""
    low, high = evidence.prediction_low, evidence.prediction_high
    if math.isnan(low) or math.isnan(high):
        return GeneralityTest(low, high, known=False, excludes_no_effect=None, contains_claim=None)
    return GeneralityTest(
        low,
        high,
        known=True,
        excludes_no_effect=not low <= 0.0 <= high,
        contains_claim=low <= math.log(claim.value) <= high,
    )
