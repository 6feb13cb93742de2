"""Does any single cohort carry the result?

The effects of each cohort in turn are taken out of the average, the others keep their weights. The rule is that of
``leave_one_city_out``. Places that went live first are often those with most crime; an effect that is theirs alone is
no effect of cameras elsewhere. The estimator computes the averages, exactly (`Estimate.without_cohorts`): `poisson_did`
and `linear_did` with ``design = "cohort_event_time"``, `group_time_att` with pooled controls.
"""

from __future__ import annotations

import math
from typing import Final

from evalkit.checks._overall import excludes_zero, told_from_zero, unusable
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate

__all__ = ["FEWEST", "check"]

NAME = "leave_one_cohort_out"

FEWEST: Final = 2
"""Cohorts: without the only one nothing is left."""

NOT_TOLD: Final = "the estimate does not tell cohorts apart, or has one only"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:  # noqa: ARG001  # every check takes both
    """Failed if without some cohort an effect is no longer told from zero, or is only then, or changes its sign.

    Figures: ``cohorts``; ``lowest`` and ``highest`` effect without a cohort; ``told``: 1 if the whole is told from
    zero; ``changes``: cohorts whose leaving out changes the conclusion, and the effect ``without`` each of these;
    ``single`` cohorts of one unit, and ``unit of`` each of these.
    """
    left = estimate.without_cohorts
    if len(left) < FEWEST:
        return not_computable(NAME, NOT_TOLD)
    reason = unusable(estimate)
    if reason:
        return not_computable(NAME, reason)
    if not all(math.isfinite(one.effect) and math.isfinite(one.std_error) for one in left):
        return not_computable(NAME, "an effect without one cohort is not a finite number")
    told, whole = told_from_zero(estimate), float(estimate.effect[0])
    changed = [
        one
        for one in left
        if excludes_zero(one.effect, one.std_error, estimate) != told
        or (told and one.effect * whole < 0.0)
    ]
    single = [one for one in left if one.units < 2]
    effects = [one.effect for one in left]
    figures = {
        "cohorts": float(len(left)),
        "lowest": min(effects),
        "highest": max(effects),
        "told": float(told),
        "changes": float(len(changed)),
        **{f"without {one.cohort}": one.effect for one in changed},
        "single": float(len(single)),
        **{f"unit of {one.cohort}": one.units for one in single},
    }
    between = (
        f"without one cohort the effect lies between {min(effects):.2g} and {max(effects):.2g}"
    )
    lone = (
        f"; {', '.join(one.cohort for one in single)}: one unit, whose own shocks pass for its effect"
        if single
        else ""
    )
    if not changed:
        state = "told" if told else "not told"
        kept = f"{between}, and is {state} from zero whichever cohort is left out{lone}"
        return CheckResult(NAME, "passed", kept, figures)
    change = "no longer told from zero, or of the other sign," if told else "told from zero only"
    names = ", ".join(one.cohort for one in changed)
    return CheckResult(NAME, "failed", f"{between}; it is {change} without {names}{lone}", figures)
