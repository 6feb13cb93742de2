"""Do records rise because somebody watches, and not because of what happens?

A camera shows offences that nobody would report: drugs, disorder, weapons, traffic (`core.taxonomy.DETECTED` says why).
Their records can rise while what happens falls, and hide an effect or be taken for harm. Types that victims report tell
the two apart: where detection raises records, those that depend on it rise alone.

Sources
    Piza, E. L., Welsh, B. C., Farrington, D. P. & Thomas, A. L. (2019). CCTV surveillance for crime prevention.
        Criminology & Public Policy 18, 135–159: reviews evaluations by crime type, as effects differ between them.
    Ashby, M. P. J. (2017). The value of CCTV surveillance cameras as an investigative tool. European Journal on
        Criminal Policy and Research 23, 441–459: of 251,195 recorded crimes those with useful footage were solved more
        often, for all types but possession of drugs or weapons and fraud, which are of another kind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from evalkit.checks._derived import Told, told
from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate
from evalkit.core.taxonomy import CRIME_TYPES, DETECTED

__all__ = ["check"]

NAME = "detection_effects"

LEAST_LEVEL: Final = 0.5
"""Studies allow no level at or below it."""

LACKING_REPORTED: Final = (
    "every crime type that was studied by itself is recorded where somebody watches; without one that victims report "
    "less crime and more detection cannot be told apart"
)
LACKING_WATCHED: Final = (
    "the study counts types whose recording depends on somebody watching together with others; there is no estimate of "
    "these alone"
)
UNUSABLE: Final = (
    "the estimate of types recorded where somebody watches has no rate ratio with a standard error"
)


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if types whose records depend on watching rise and the others do not, or if such types alone rise.

    A rise is one told from zero at 1 − the estimate's level over all estimates of its kind (Bonferroni). Estimates are
    the one under study, the placebo outcomes and those by crime type, as far as they count types of one kind only.

    Figures: number of ``types`` of the study, and of ``detected`` ones among them; of estimates of types that depend on
    watching (``watched``) and of others (``reported``), and how many of each rise (``watched_rises``,
    ``reported_rises``); of the largest effect on the former ``effect``, ``low`` and ``high``.
    """
    types = context.crime_types
    if not types or not set(types) <= set(CRIME_TYPES):
        return not_computable(NAME, "the crime types of the study are not known here")
    prone = [one for one in types if one in DETECTED]
    counted = {"types": float(len(types)), "detected": float(len(prone))}
    if not prone:
        said = "the study counts no crime type whose recording depends on somebody watching"
        return CheckResult(NAME, "passed", said, counted)
    if not LEAST_LEVEL < estimate.level < 1.0:
        return not_computable(NAME, "the estimate's level is no confidence level")
    listed = _estimates(estimate, context)
    watched = _usable({label: one for label, one in listed.items() if _kind(label) is True})
    reported = _usable({label: one for label, one in listed.items() if _kind(label) is False})
    alone = len(prone) == len(types)
    if not watched:
        return not_computable(NAME, UNUSABLE if alone else LACKING_WATCHED)
    alpha = 1.0 - estimate.level
    rising, others = _rising(watched, alpha), _rising(reported, alpha)
    most = max(watched, key=lambda one: one.effect)
    figures = {
        **counted,
        "watched": float(len(watched)),
        "reported": float(len(reported)),
        "watched_rises": float(len(rising)),
        "reported_rises": float(len(others)),
        "effect": most.effect,
        "low": most.low,
        "high": most.high,
    }
    size = f"{most.effect:+.2g} [{most.low:+.2g}, {most.high:+.2g}] ({most.label})"
    if rising and not others:
        said = "records that depend on somebody watching rise: " + size
        said += ", and no other type does" if reported else ", and no other type was studied"
        return CheckResult(NAME, "failed", said, figures)
    if not reported:
        return not_computable(NAME, LACKING_REPORTED)
    said = (
        f"records that depend on somebody watching rise: {size}, but so do others"
        if rising
        else f"no rise of records that depend on somebody watching is told from zero; the largest is {size}"
    )
    return CheckResult(NAME, "passed", said, figures)


def _estimates(estimate: Estimate, context: CheckContext) -> Mapping[str, Estimate]:
    """Crime types, with commas → estimate; the one under study first."""
    own = {", ".join(context.crime_types): estimate}
    return {**context.placebo_outcomes, **context.by_crime_type, **own}


def _kind(label: str) -> bool | None:
    """Whether all types of a label depend on watching; None if some do, or one is not known or of no kind."""
    types = label.split(", ")
    if not set(types) <= set(CRIME_TYPES) - {"other"}:
        return None
    kinds = {one in DETECTED for one in types}
    return kinds.pop() if len(kinds) == 1 else None


def _usable(listed: Mapping[str, Estimate]) -> tuple[Told, ...]:
    fitting = {
        label: one
        for label, one in listed.items()
        if len(one.effect) and one.covariance.shape == (len(one.effect),) * 2 and one.df_of(0) > 0
    }
    return tuple(one for one in told(fitting) if math.isfinite(one.p_value))


def _rising(found: tuple[Told, ...], alpha: float) -> list[Told]:
    return [one for one in found if one.effect > 0.0 and len(found) * one.p_value < alpha]
