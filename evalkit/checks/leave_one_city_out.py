"""Does any single city carry the result?

The cities are pooled again without each of them in turn, as the estimate itself is (Viechtbauer & Cheung 2010,
Research Synthesis Methods 1, 112–125).
"""

from __future__ import annotations

from evalkit.checks._cities import cities, excludes_zero, pooled, pooling_of
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.numerics.meta_analysis import NoSpreadError
from evalkit.numerics.refits import leave_one_out

__all__ = ["check"]

NAME = "leave_one_city_out"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if without some city an effect is no longer told from zero, or is only then, or changes its sign.

    Figures: ``cities``; ``lowest`` and ``highest`` effect without a city; ``changes``: cities whose leaving out changes
    the conclusion; ``told``: 1 if the whole effect is told from zero.
    """
    whole, found = pooled(estimate, context), cities(estimate)
    if isinstance(whole, str) or isinstance(found, str):
        return not_computable(NAME, str(whole))
    method, interval = pooling_of(estimate, context)
    try:
        refits = leave_one_out(*found, method=method, interval=interval, level=estimate.level)
    except NoSpreadError:
        return not_computable(NAME, "without one city the effects of the others are all the same")
    told = excludes_zero(whole)
    changed = [
        city.site
        for city, one in zip(estimate.sites, refits, strict=True)
        if excludes_zero(one) != told or (told and one.effect * whole.effect < 0.0)
    ]
    effects = [one.effect for one in refits]
    figures = {
        "cities": float(len(refits)),
        "lowest": min(effects),
        "highest": max(effects),
        "changes": float(len(changed)),
        "told": float(told),
    }
    between = f"without one city the effect lies between {min(effects):.2g} and {max(effects):.2g}"
    if not changed:
        state = "told" if told else "not told"
        reason = f"{between}, and is {state} from zero whichever city is left out"
        return CheckResult(NAME, "passed", reason, figures)
    change = "no longer told from zero" if told else "told from zero only"
    named = ", ".join(changed)
    reason = f"{between}; it is {change} without {named}"
    return CheckResult(NAME, "failed", reason, figures, {"cities": named})
