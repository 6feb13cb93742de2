"""What one check says about a city's data: a key, a status and numbers, no words."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = [
    "ENOUGH",
    "SURE",
    "Figure",
    "Finding",
    "Status",
    "excess_z",
    "fine",
    "look",
    "share",
    "unknown",
]

Status = Literal["fine", "look", "unknown"]

Figure = int | float | str | dt.date
"""An int is a count, a float whose name ends in ``share`` a fraction of one, any other float a number."""

SURE: Final = 4.0
"""Standard errors beyond which an excess is not chance: one false alarm in thirty thousand, for some
twenty checks a city."""

ENOUGH: Final = 100
"""Rows below which shares are too uncertain to be judged at all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result.

    Attributes:
        check: which one; names the words for it.
        status: ``fine``, ``look`` (somebody should look at it), ``unknown`` (the data cannot tell).
        case: which sentence says how much; for ``unknown``, why it cannot be told.
        figures: the numbers of that sentence.
    """

    check: str
    status: Status
    case: str
    figures: Mapping[str, Figure] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "check": self.check,
            "status": self.status,
            "case": self.case,
            "figures": {
                name: value.isoformat() if isinstance(value, dt.date) else value
                for name, value in self.figures.items()
            },
        }


def fine(check: str, **figures: Figure) -> Finding:
    """Nothing to look at."""
    return Finding(check, "fine", check, figures)


def look(check: str, case: str = "", **figures: Figure) -> Finding:
    """Something that somebody should look at."""
    return Finding(check, "look", case or check, figures)


def unknown(check: str, why: str, **figures: Figure) -> Finding:
    """The data cannot tell, and why."""
    return Finding(check, "unknown", f"unknown_{why}", figures)


def share(part: float, whole: float) -> float:
    """``part`` of ``whole``, zero of nothing."""
    return part / whole if whole else 0.0


def excess_z(hits: float, rows: float, expected: float) -> float:
    """Standard errors by which ``hits`` of ``rows`` exceed an expected share (binomial)."""
    spread = math.sqrt(rows * expected * (1 - expected))
    return (hits - rows * expected) / spread if spread else 0.0
