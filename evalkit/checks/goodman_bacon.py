"""Would a static two-way regression of this panel be believed?

Most published evaluations of staggered roll-outs are static two-way fixed effects. Their coefficient is a mean of
comparisons, among them such with units that were treated already (Goodman-Bacon 2021, Journal of Econometrics 225,
254–277), or of effects, some with a weight below zero (de Chaisemartin & D'Haultfœuille 2020, American Economic Review
110, 2964–2996): if effects grow, it is wrong even where trends are parallel. The weights follow from what the cities
sent (`core.sensitivity.TwoWay`); an estimate that tells cohorts apart makes no such comparison itself, and the check
says so.
"""

from __future__ import annotations

import math
from typing import Final

from evalkit.checks._overall import told_from_zero, unusable
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate

__all__ = ["MOST", "check"]

NAME = "goodman_bacon"

MOST: Final = 0.5
"""Share of the weight on comparisons with units already treated, or sum of the weights below zero, beyond which the
check fails. Both papers ask for the weights to be looked at and name no number; the majority is evalkit's own line."""

NONE: Final = 1e-9
"""Weight at and below which there is nothing but rounding."""

NOT_KNOWN: Final = (
    "a two-way regression can be taken apart from what linear_did with event times sends, or group_time_att with "
    'control_pool = "pooled"; a multiplicative model has no such parts'
)


def check(estimate: Estimate, context: CheckContext) -> CheckResult:  # noqa: ARG001  # every check takes both
    """Failed if the weight is above `MOST`, or if the coefficient changes its sign without what should not be in it.

    A change of sign counts where the estimate is told from zero; otherwise there is no sign to change.

    Figures: ``coefficient``, in incidents; ``negative``: how far the weights below zero sum below it; ``without``: the
    coefficient without the comparisons with units treated already, or where these are not known without the effects of
    negative weight; ``already_treated``: share of these comparisons, where known; ``cohorts``: 1 if the estimate tells
    them apart.
    """
    found = estimate.two_way
    if found is None:
        return not_computable(NAME, NOT_KNOWN)
    reason = unusable(estimate)
    if reason:
        return not_computable(NAME, reason)
    if not (math.isfinite(found.coefficient) and math.isfinite(found.negative)):
        return not_computable(NAME, "the two-way regression has no finite coefficient")
    comparisons = math.isfinite(found.already_treated)
    weight = found.already_treated if comparisons else found.negative
    some = weight > NONE and math.isfinite(found.without)
    turned = some and told_from_zero(estimate) and found.coefficient * found.without < 0.0
    apart = bool(estimate.without_cohorts)
    figures = {
        "coefficient": found.coefficient,
        "negative": found.negative,
        "cohorts": float(apart),
        **({"already_treated": weight} if comparisons else {}),
        **({"without": found.without} if some else {}),
    }
    said = f"a static two-way regression would give {_given(weight, comparisons=comparisons)}"
    said += f"; its coefficient is {found.coefficient:+.2g} incidents"
    if some:
        said += f", without them {found.without:+.2g}"
    if apart:
        said += "; this estimate makes no such comparison"
    failed = weight > MOST or turned
    return CheckResult(NAME, "failed" if failed else "passed", said, figures)


def _given(weight: float, *, comparisons: bool) -> str:
    if comparisons:
        return f"{100 * weight:.0f} % of its weight to comparisons with units that were treated already"
    if weight <= NONE:
        return "no effect a weight below zero"
    return f"effects weights below zero that sum to {-weight:.2g}"
