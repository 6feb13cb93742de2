"""Bayes factor: how much better does the claim predict the evidence than no effect does?

The prior, spelled out
    H0     the log rate ratio is 0.
    H1     the log rate ratio is Normal(ln value, sd²) with sd = ln(equivalence margin) / 1.96, so
           that 95 % of the prior lies inside the claim's region.
    Both have the normal likelihood of the effect with its standard error taken as known; with few
    degrees of freedom it is somewhat too sure of itself, in either direction.

With m = ln value and s the standard error, the evidence y is Normal(m, s² + sd²) under H1 and
Normal(0, s²) under H0, so

    ln BF = ½ [ln(s²/(s² + sd²)) + y²/s² - (y - m)²/(s² + sd²)].

This follows the replication Bayes factor of Verhagen & Wagenmakers (2014), in which the original
study's posterior is the prior of the replication; a published claim that comes without a usable
standard error has no posterior, so the stated margin takes its place.

Source
    Verhagen, J. & Wagenmakers, E.-J. (2014). Bayesian tests to quantify the result of a replication
        attempt. Journal of Experimental Psychology: General 143, 1457–1475.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.claims.claim import Claim
from evalkit.claims.evidence import Evidence
from evalkit.numerics.distributions import normal_quantile

__all__ = ["BayesFactor", "replication_bayes_factor"]


@dataclass(frozen=True, slots=True)
class BayesFactor:
    """Claim against no effect.

    Attributes:
        log_bayes_factor: Natural logarithm; above 0 favours the claim.
        bayes_factor: Its exponential; ``math.inf`` where that overflows.
        prior_mean: Of the log rate ratio under the claim.
        prior_sd: The same.
    """

    log_bayes_factor: float
    bayes_factor: float
    prior_mean: float
    prior_sd: float


def replication_bayes_factor(evidence: Evidence, claim: Claim) -> BayesFactor:
    """Bayes factor of the claim against no effect, in closed form; see the module for the prior."""
    mean = math.log(claim.value)
    sd = math.log(claim.equivalence_margin) / normal_quantile(0.975)
    null_variance = evidence.std_error**2
    claim_variance = null_variance + sd**2
    log_bayes_factor = 0.5 * (
        math.log(null_variance / claim_variance)
        + evidence.effect**2 / null_variance
        - (evidence.effect - mean) ** 2 / claim_variance
    )
    try:
        bayes_factor = math.exp(log_bayes_factor)
    except OverflowError:
        bayes_factor = math.inf
    return BayesFactor(log_bayes_factor, bayes_factor, mean, sd)
