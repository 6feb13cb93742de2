"""Does the effect survive violations of parallel trends as large as those before go-live?

Honest bounds under relative magnitudes (Rambachan & Roth 2023): after go-live the two paths may drift apart in each
period by up to M̄ times the largest drift between two periods before. The breakdown value is the largest M̄ at which
the interval of the average effect excludes zero.
"""

from __future__ import annotations

from typing import Final

from evalkit.checks._event_study import average_weights, event_study
from evalkit.checks._honest import distinct_from_zero
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.numerics.honest_did.breakdown import relative_magnitudes_breakdown
from evalkit.numerics.honest_did.relative_magnitudes import relative_magnitudes_interval

__all__ = ["BENCHMARK", "check"]

NAME = "honest_did_relative_magnitudes"

BENCHMARK: Final = 1.0
"""As large as before: the benchmark Rambachan & Roth suggest."""


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Passed if the breakdown value of the average effect is at least `BENCHMARK`.

    Figures: ``breakdown`` M̄ with its ``tolerance``, the ``average`` effect after go-live, ``low`` and ``high`` of its
    interval at M̄ = 1.
    """
    study = event_study(estimate, context)
    if isinstance(study, str):
        return not_computable(NAME, study)
    weights, alpha = average_weights(study), 1.0 - estimate.level
    if not distinct_from_zero(study, weights, alpha):
        return not_computable(
            NAME, "the average effect is not told from zero even if trends are parallel"
        )
    try:
        found = relative_magnitudes_breakdown(study, weights, alpha=alpha)
        interval = relative_magnitudes_interval(study, weights, m_bar=BENCHMARK, alpha=alpha)
    except (ValueError, ArithmeticError):
        return not_computable(NAME, "the bounds cannot be computed from these effects")
    figures = {
        "breakdown": found.value,
        "tolerance": found.tolerance,
        "average": float(weights @ study.post),
        "low": interval.low,
        "high": interval.high,
    }
    # A breakdown a hair below the benchmark is decided by the interval at the benchmark itself.
    passed = found.value >= BENCHMARK or (
        found.value + found.tolerance > BENCHMARK and interval.excludes(0.0)
    )
    reason = (
        f"the interval of the average effect excludes zero for violations up to {found.value:.2f} times the largest "
        f"before go-live; {BENCHMARK:g} is asked for"
    )
    return CheckResult(NAME, "passed" if passed else "failed", reason, figures)
