"""Did crime move to the places around the cameras, or did they gain from them too?

Each ring stands in the place of the units with cameras, against the same controls (`core.falsification`). A rise in a
ring is displacement, a fall diffusion of benefits (Clarke & Weisburd 1994, Crime Prevention Studies 2, 165–183). Rates
of a ring and its target have different bases: a ring that rises by less than the target falls can hold as many
incidents, so a clear rise fails whatever its size.
"""

from __future__ import annotations

from evalkit.checks._derived import SEPARATE, not_estimated, told, worst
from evalkit.core.check import NOT_ASKED, CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate

__all__ = ["check"]

NAME = "displacement"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if some ring's effect is a rise, at 1 − the estimate's level over all rings (Bonferroni).

    Figures: ``rings``; of the innermost ``inner``, ``inner_low``, ``inner_high``; ``p_value`` of the ring that is
    farthest from no effect, multiplied by their number, and its ``effect``, ``low`` and ``high``; ``highest`` limit of
    all; ``fell``: 1 if that is a fall told from zero; of a ring that rose ``rise``, ``rise_low`` and ``rise_high``.
    """
    without = not_estimated(context.unanswered.get("rings", {}))
    if not context.rings:
        return not_computable(NAME, without.reason or NOT_ASKED[NAME], without.words)
    found = told(context.rings)
    if not found:
        return not_computable(NAME, SEPARATE)
    alpha = 1.0 - estimate.level
    least, p_value = worst(found)
    figures = {
        "rings": float(len(found)),
        "inner": found[0].effect,
        "inner_low": found[0].low,
        "inner_high": found[0].high,
        "effect": least.effect,
        "low": least.low,
        "high": least.high,
        "p_value": p_value,
        "highest": max(one.high for one in found),
        "fell": float(least.effect < 0 and p_value < alpha),
    }
    words = {"label": least.label, **without.words}
    risen = [one for one in found if one.effect > 0 and len(found) * one.p_value < alpha]
    if risen:
        one = risen[0]
        figures |= {"rise": one.effect, "rise_low": one.low, "rise_high": one.high}
        words["label"] = one.label
        reason = f"crime rose around the cameras: {one.effect:+.2g} [{one.low:+.2g}, {one.high:+.2g}] from {one.label}"
        return CheckResult(NAME, "failed", reason + without.beside, figures, words)
    interval = f"[{least.low:+.2g}, {least.high:+.2g}] from {least.label}"
    if p_value < alpha:
        reason = (
            f"crime fell around the cameras too: {least.effect:+.2g} {interval}; diffusion of benefits, or a fall of "
            "the whole area"
        )
    else:
        reason = (
            f"no ring's effect is told from zero; a rise of {figures['highest']:+.2g} could hide in their "
            "intervals"
        )
    return CheckResult(NAME, "passed", reason + without.beside, figures, words)
