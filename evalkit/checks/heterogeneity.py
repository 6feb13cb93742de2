"""Do the cities differ so much that their mean says little about a further one?

Cochran's Q, I², and the prediction interval by REML (Higgins, Thompson & Spiegelhalter 2009, Journal of the Royal
Statistical Society A 172, 137–159).
"""

from __future__ import annotations

import math
from typing import Final

from evalkit.checks._cities import cities
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.numerics.meta_analysis import NoSpreadError, pool

__all__ = ["ALPHA", "check"]

NAME = "heterogeneity"

ALPHA: Final = 0.1
"""Of Cochran's Q, which has little power with few cities (Higgins et al. 2003, BMJ 327, 557–560)."""


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if the cities differ beyond chance and a further city's effect may have the other sign.

    Figures: ``q``, ``p_value``, ``i2`` in percent, ``tau``, ``prediction_low`` and ``prediction_high``; ``cities``.
    """
    found = cities(estimate)
    if isinstance(found, str):
        return not_computable(NAME, found)
    try:
        one = pool(*found, method="REML", interval=context.interval, level=estimate.level)
    except NoSpreadError:
        return not_computable(NAME, "the cities' effects are all the same")
    figures = {
        "q": one.q,
        "p_value": one.q_p_value,
        "i2": one.i2,
        "tau": math.sqrt(one.tau2),
        "prediction_low": one.prediction_low,
        "prediction_high": one.prediction_high,
        "cities": float(len(estimate.sites)),
    }
    further = f"a further city's effect is expected between {one.prediction_low:.2g} and {one.prediction_high:.2g}"
    if one.q_p_value >= ALPHA:
        reason = f"the cities differ no more than by chance (Q, p = {one.q_p_value:.2g}); {further}"
        return CheckResult(NAME, "passed", reason, figures)
    differ = f"the cities differ beyond chance (I² {one.i2:.0f} %, Q, p = {one.q_p_value:.2g})"
    if one.prediction_low <= 0.0 <= one.prediction_high:
        reason = f"{differ}, and {further}: cameras may do the opposite there"
        return CheckResult(NAME, "failed", reason, figures)
    return CheckResult(NAME, "passed", f"{differ}, but {further}, on the same side", figures)
