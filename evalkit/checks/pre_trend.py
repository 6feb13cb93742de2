"""Were treated units and controls on the same path before go-live, and would the test have seen it if not?

The joint Wald test of all effects before go-live, with the slope of a linear trend that it would have found with
50 % and with 80 % power, and what such a slope would add to the average effect (Roth 2022). A test that passes because
it has no power is no evidence, so the reason says how large the trend is that could hide.
"""

from __future__ import annotations

import math

import numpy as np

from evalkit.checks._event_study import leads
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.core.terms import event_times
from evalkit.numerics.event_study import pre_trend_power, pre_trend_test

__all__ = ["check"]

NAME = "pre_trend"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if the joint test rejects at 1 − the estimate's level.

    Figures: ``statistic``, ``df``, ``p_value``; ``slope_50``, ``slope_80`` per period; ``bias_50``, ``bias_80`` of the
    average effect after go-live, and that ``average``; the last three are NaN without effects after go-live.
    """
    before = leads(estimate, context)
    if isinstance(before, str):
        return not_computable(NAME, before)
    alpha = 1.0 - estimate.level
    times, average = _after(estimate, context)
    try:
        # The estimate's df: infinite for a normal reference; anything that is none is treated as that.
        df = estimate.df if estimate.df > 0 else math.inf
        test = pre_trend_test(before.effect, before.covariance, df)
        half, most = pre_trend_power(before.direction, before.covariance, times, alpha=alpha)
    except (ValueError, ArithmeticError):
        return not_computable(NAME, "the effects before go-live cannot be tested jointly")
    figures = {
        "statistic": test.statistic,
        "df": float(test.df),
        "p_value": test.p_value,
        "slope_50": half.slope,
        "slope_80": most.slope,
        "bias_50": half.bias,
        "bias_80": most.bias,
        "average": average,
    }
    if test.p_value < alpha:
        reason = f"the effects before go-live are not all zero (joint test, p = {test.p_value:.2g})"
        return CheckResult(NAME, "failed", reason, figures)
    reason = (
        f"the effects before go-live are not told from zero (joint test, p = {test.p_value:.2g}); a trend of "
        f"{most.slope:.2g} a period would have been found with 80 % power"
    )
    if math.isfinite(most.bias):
        reason += f" and would add {most.bias:.2g} to the average effect, which is {average:.2g}"
        if most.bias >= abs(average):
            reason += ": a trend that explains all of it could have gone unseen"
    return CheckResult(NAME, "passed", reason, figures)


def _after(estimate: Estimate, context: CheckContext) -> tuple[float, float]:
    """Mean distance of the effects after go-live from the reference, and their mean; NaN if there is none."""
    after = [
        (time, float(estimate.effect[place]))
        for place, time in event_times(estimate.terms)
        if time >= 0 and time not in (context.bins or ())
    ]
    if not after:
        return math.nan, math.nan
    times, effects = zip(*after, strict=True)
    return float(np.mean(times)) + 1.0 + context.gap, float(np.mean(effects))
