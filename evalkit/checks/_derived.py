"""Estimates of derived studies, in a form that checks can judge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evalkit.core.estimate import Estimate
from evalkit.numerics.distributions import t_sf

__all__ = ["SEPARATE", "Told", "Without", "not_estimated", "told", "worst"]

LISTED: Final = "; "
"""Between labels in a check's words: crime types have commas inside."""

SEPARATE: Final = "no derived study has an effect with a standard error"


@dataclass(frozen=True, slots=True)
class Told:
    """One derived study's effect.

    Attributes:
        label: of the study.
        effect, low, high: with its interval.
        p_value: two-sided, of no effect.
    """

    label: str
    effect: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Without:
    """Derived studies that have no estimate.

    Attributes:
        reason: which, and why; empty if there are none.
        beside: the same to follow another sentence.
        words: for `CheckResult.words`: ``without 1`` and ``why 1``, and so on.
    """

    reason: str
    beside: str
    words: Mapping[str, str]


def not_estimated(unanswered: Mapping[str, str]) -> Without:
    """Which derived studies have no estimate, and why; studies that share a reason together."""
    labels: dict[str, list[str]] = {}
    for label, why in unanswered.items():
        labels.setdefault(why.rstrip(". "), []).append(label)
    words: dict[str, str] = {}
    for number, (why, named) in enumerate(labels.items(), start=1):
        words |= {f"without {number}": LISTED.join(named), f"why {number}": why}
    reason = "; ".join(
        f"{', '.join(named)} could not be estimated: {why}" for why, named in labels.items()
    )
    return Without(reason, f"; {reason}" if reason else "", words)


def told(derived: Mapping[str, Estimate]) -> tuple[Told, ...]:
    """The usable ones in their order: finite effects on the log scale with a standard error."""
    return tuple(
        Told(label, float(one.effect[0]), *one.interval(), _p_value(one))
        for label, one in derived.items()
        if one.scale == "log_rate_ratio"
        and len(one.effect)
        and math.isfinite(float(one.effect[0]))
        and float(one.covariance[0, 0]) > 0.0
        and math.isfinite(float(one.covariance[0, 0]))
    )


def worst(found: tuple[Told, ...]) -> tuple[Told, float]:
    """The one with the smallest p-value, and that value times their number, at most 1 (Bonferroni)."""
    least = min(found, key=lambda one: one.p_value)
    return least, min(1.0, len(found) * least.p_value)


def _p_value(one: Estimate) -> float:
    statistic = abs(float(one.effect[0])) / math.sqrt(float(one.covariance[0, 0]))
    return 2.0 * t_sf(statistic, one.df_of(0))
