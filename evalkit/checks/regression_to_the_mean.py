"""Is the effect more than the fall that places with much crime show by themselves?

The estimator ``regression_to_the_mean`` gives the change of treated units that chance alone leads to expect, had they
been chosen for their incidents before. That is the worst case: difference-in-differences over a long time before
contains less of it, as chance then averages out.
"""

from __future__ import annotations

import math

from evalkit.checks._derived import not_estimated
from evalkit.core.check import NOT_ASKED, CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.numerics.distributions import t_quantile

__all__ = ["check"]

NAME = "regression_to_the_mean"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if a fall is told from zero no longer once the expected change is taken off.

    The variances of both are added: their covariance is not known, and is not negative where a high count before
    makes both fall.

    Figures: ``expected`` and its ``expected_error``, the ``effect``, what is ``left`` of it with ``low`` and ``high``.
    """
    chance = context.expected_change
    if chance is None:
        without = not_estimated(context.unanswered.get("chance", {}))
        return not_computable(NAME, without.reason or NOT_ASKED[NAME], without.words)
    if estimate.scale != "log_rate_ratio" or chance.scale != "log_rate_ratio":
        return not_computable(NAME, "the effects are numbers of incidents, not rate ratios")
    if set(chance.contributors) != set(estimate.contributors):
        return not_computable(NAME, "the expected change is one of other cities than the effect")
    effect, expected = float(estimate.effect[0]), float(chance.effect[0])
    variances = float(estimate.covariance[0, 0]), float(chance.covariance[0, 0])
    if (
        not all(math.isfinite(value) for value in (effect, expected, *variances))
        or min(variances) <= 0
        or not estimate.df_of(0) > 0
    ):
        return not_computable(NAME, "an effect or its variance is not usable")
    if not estimate.interval()[1] < 0.0:
        return not_computable(NAME, "there is no fall told from zero that regression could explain")
    half = t_quantile(0.5 + estimate.level / 2, estimate.df_of(0)) * math.sqrt(sum(variances))
    left = effect - expected
    figures = {
        "expected": expected,
        "expected_error": math.sqrt(variances[1]),
        "effect": effect,
        "left": left,
        "low": left - half,
        "high": left + half,
    }
    reason = (
        f"chosen for their counts alone the places would change by {expected:+.2g} without cameras; of the effect "
        f"{effect:+.2g} there is {left:+.2g} [{left - half:+.2g}, {left + half:+.2g}] left"
    )
    return CheckResult(NAME, "passed" if left + half < 0.0 else "failed", reason, figures)
