"""A city that is set aside before answers are merged, and by which rule; `evalkit.core.screening` applies the rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["RULE_SAYS", "Action", "Rule", "SetAside"]

Rule = Literal[
    "message",
    "fields",
    "finite",
    "size",
    "sign",
    "matrix",
    "precision",
    "effect",
    "outlier",
    "influence",
]

Action = Literal["left out", "down-weighted", "named"]

RULE_SAYS: Final[Mapping[Rule, str]] = {
    "message": "its message could not be read",
    "fields": "its answer has other fields or shapes than those of the other cities",
    "finite": "its answer holds numbers that are not finite",
    "size": "its answer holds numbers above 1e24",
    "sign": "its answer holds a count, a size or a variance below 0",
    "matrix": "a matrix in its answer is no matrix of cross-products",
    "precision": "its effect is more precise than any city's incidents can make it",
    "effect": "its effect is more than a factor of 20 either way",
    "outlier": "its effect is too far from those of the other cities",
    "influence": "it has no effect of its own, and changes that of all cities by more than a factor of 2",
}
"""Each rule as a part of a sentence about a city."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A city whose answer is impossible or implausible.

    Attributes:
        site: its name.
        rule: that it breaks.
        action: what was done.
        round: in which it was found, from 0.
        found: the city's effect on the scale of the estimate for ``effect`` and ``precision`` (the standard error),
            the studentised residual for ``outlier``; NaN for the others.
        limit: that ``found`` is held against.
    """

    site: str
    rule: Rule
    action: Action
    round: int
    found: float = math.nan
    limit: float = math.nan

    @property
    def left_out(self) -> bool:
        """Whether the estimate is made without the city."""
        return self.action == "left out"

    @property
    def reason(self) -> str:
        """A plain English sentence without its full stop."""
        done = {"left out": "is left out", "down-weighted": "counts less", "named": "is kept"}
        figures = (
            f" ({self.found:.3g}, limit {self.limit:.3g})" if math.isfinite(self.found) else ""
        )
        return f"{self.site} {done[self.action]}: {RULE_SAYS[self.rule]}{figures}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for JSON."""
        return {
            "site": self.site,
            "rule": self.rule,
            "action": self.action,
            "round": self.round,
            "found": self.found if math.isfinite(self.found) else None,
            "limit": self.limit if math.isfinite(self.limit) else None,
            "reason": self.reason,
        }
