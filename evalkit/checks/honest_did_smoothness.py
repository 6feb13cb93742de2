"""Does the effect survive a trend that goes on after go-live, and bends as much as it did before?

Honest bounds under smoothness (Rambachan & Roth 2023): the difference between the paths of treated units and controls
may be any straight line, and may bend by up to M from one period to the next. The breakdown value is the largest M at
which the interval of the average effect excludes zero.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from evalkit.checks._event_study import average_weights, event_study
from evalkit.checks._honest import distinct_from_zero
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.numerics.honest_did.breakdown import smoothness_breakdown

__all__ = ["check"]

NAME = "honest_did_smoothness"

FEWEST_BEFORE: Final = 2
"""Effects before go-live that show a bend, together with the reference."""


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Passed if the breakdown value is at least the largest bend of the estimates before go-live.

    That benchmark contains sampling error, so it is on the strict side.

    Figures: ``breakdown`` M with its ``tolerance``, ``largest_bend``, the ``average`` effect after go-live, ``low`` and
    ``high`` of its interval at M = 0, a straight line.
    """
    study = event_study(estimate, context)
    if isinstance(study, str):
        return not_computable(NAME, study)
    if len(study.pre) < FEWEST_BEFORE:
        return not_computable(NAME, "one effect before go-live shows no bend to compare with")
    weights, alpha = average_weights(study), 1.0 - estimate.level
    if not distinct_from_zero(study, weights, alpha):
        return not_computable(
            NAME, "the average effect is not told from zero even if trends are parallel"
        )
    try:
        found = smoothness_breakdown(study, weights, alpha=alpha)
    except (ValueError, ArithmeticError):
        return not_computable(NAME, "the bounds cannot be computed from these effects")
    bend = float(np.abs(np.diff(np.append(study.pre, 0.0), n=2)).max())
    figures = {
        "breakdown": found.value,
        "tolerance": found.tolerance,
        "largest_bend": bend,
        "average": float(weights @ study.post),
        "low": found.at_zero.low,
        "high": found.at_zero.high,
    }
    if not found.at_zero.excludes(0.0):
        reason = "a straight trend through the periods before go-live is enough to explain the average effect"
        return CheckResult(NAME, "failed", reason, figures)
    reason = (
        f"the interval of the average effect excludes zero for trends that bend by up to {found.value:.2g} a period; "
        f"the largest bend before go-live is {bend:.2g}"
    )
    return CheckResult(NAME, "passed" if found.value >= bend else "failed", reason, figures)
