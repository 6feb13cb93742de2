"""How much a release reveals, in four classes."""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["RELEASE_CLASSES", "ReleaseClass"]

ReleaseClass = Literal["estimate", "masked_sum", "statistics", "table"]

RELEASE_CLASSES: Final[tuple[ReleaseClass, ...]] = ("estimate", "masked_sum", "statistics", "table")
"""From least to most revealing."""
