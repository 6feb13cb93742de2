"""Do cities with imprecise effects show larger ones, as they do where small disappointing studies go unreported?

Egger's regression of the effects on their standard errors (Egger et al. 1997, BMJ 315, 629–634). With fewer than ten
cities it has no power to speak of (Sterne et al. 2011, BMJ 343, d4002): it may then fail, but never pass.
"""

from __future__ import annotations

from typing import Final

from evalkit.checks._cities import cities
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.numerics.meta_analysis import NoSpreadError, TooFewEffectsError
from evalkit.numerics.meta_regression import CollinearModeratorsError
from evalkit.numerics.small_study import ENOUGH_SITES, egger

__all__ = ["ALPHA", "check"]

NAME = "small_study"

ALPHA: Final = 0.1
"""The level Egger et al. (1997) use, as the test is weak."""


def check(estimate: Estimate, context: CheckContext) -> CheckResult:  # noqa: ARG001  # every check takes both
    """Failed if the test rejects at `ALPHA`; passed only with ten cities or more.

    Figures: ``slope`` per unit of standard error, ``p_value``, ``limit``: the effect at a standard error of 0;
    ``cities``.
    """
    found = cities(estimate)
    if isinstance(found, str):
        return not_computable(NAME, found)
    try:
        test = egger(*found, level=estimate.level)
    except (TooFewEffectsError, CollinearModeratorsError, NoSpreadError):
        return not_computable(NAME, "the cities are all equally precise, or lie on a line exactly")
    figures = {
        "slope": test.slope,
        "p_value": test.p_value,
        "limit": test.limit,
        "cities": float(test.k),
    }
    if test.p_value < ALPHA:
        reason = (
            f"imprecise cities show other effects than precise ones (Egger's test, p = {test.p_value:.2g}); a city "
            f"without error would show {test.limit:.2g}"
        )
        return CheckResult(NAME, "failed", reason, figures)
    if test.low_power:
        reason = (
            f"{test.k} cities show no asymmetry (Egger's test, p = {test.p_value:.2g}), but fewer than {ENOUGH_SITES} "
            "could not"
        )
        return CheckResult(NAME, "not computable", reason, figures)
    reason = f"imprecise and precise cities agree (Egger's test, p = {test.p_value:.2g})"
    return CheckResult(NAME, "passed", reason, figures)
