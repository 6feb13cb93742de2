"""Numbers of a result's JSON, where what is not finite is null or left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["known_numbers", "number_or_none"]


def known_numbers(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Those that are finite numbers, by name."""
    found = {str(name): number_or_none(value) for name, value in numbers.items()}
    return {name: value for name, value in found.items() if value is not None}


def number_or_none(value: Any) -> float | None:
    """A finite number as it is; None for anything else."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
