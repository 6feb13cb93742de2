"""How placebos are judged, whatever they pretend."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.checks._derived import SEPARATE, not_estimated, told, worst
from evalkit.core.check import NOT_ASKED, CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate

__all__ = ["judge"]


def judge(
    name: str,
    estimate: Estimate,
    derived: Mapping[str, Estimate],
    context: CheckContext,
    *,
    failing: str,
) -> CheckResult:
    """Failed if a placebo has an effect; a pass says how large an effect could hide.

    Whatever the outcome, placebos that were asked and have no estimate are named with the reason.

    Figures: ``placebos``; of the one with the smallest p-value ``effect``, ``low``, ``high`` and
    ``p_value``, multiplied by their number; ``widest``: the limit farthest from zero over all placebos; ``studied``:
    the effect under study.
    """
    without = not_estimated(context.unanswered.get(name, {}))
    if not derived:
        return not_computable(name, without.reason or NOT_ASKED[name], without.words)
    found = told(derived)
    if not found:
        return not_computable(name, SEPARATE)
    least, p_value = worst(found)
    widest = max((limit for one in found for limit in (one.low, one.high)), key=abs)
    figures = {
        "placebos": float(len(found)),
        "effect": least.effect,
        "low": least.low,
        "high": least.high,
        "p_value": p_value,
        "widest": widest,
        **({"studied": float(estimate.effect[0])} if len(estimate.effect) else {}),
    }
    words = {"label": least.label, **without.words}
    if p_value < 1.0 - estimate.level:
        reason = f"{failing}: {least.effect:+.2g} ({least.label}), p = {p_value:.2g} over {len(found)} placebos"
        return CheckResult(name, "failed", reason + without.beside, figures, words)
    reason = (
        f"no placebo is told from zero (smallest p = {p_value:.2g} over {len(found)}); an effect of {widest:+.2g} "
        "could hide in their intervals"
    )
    if len(estimate.effect) and abs(widest) >= abs(float(estimate.effect[0])):
        reason += f", no smaller than the {float(estimate.effect[0]):+.2g} under study"
    return CheckResult(name, "passed", reason + without.beside, figures, words)
