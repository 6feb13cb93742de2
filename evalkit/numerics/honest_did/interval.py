"""What every honest method returns."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HonestInterval"]


@dataclass(frozen=True, slots=True)
class HonestInterval:
    """A confidence interval for l'τ that holds for every δ in the set.

    Attributes:
        low, high: its ends; the hull, where the accepted values are not connected. NaN if none is accepted.
        bound: M̄ or M of the set.
        level: coverage.
    """

    low: float
    high: float
    bound: float
    level: float

    def excludes(self, value: float) -> bool:
        """Whether ``value`` lies outside; True as well for an empty interval."""
        return not self.low <= value <= self.high
