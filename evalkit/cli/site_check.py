"""Pictures and page of `site check` and `site panel`; they show the city's data and stay in the city."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalkit.panel.built import Built
from evalkit.workbench import Bench, CityRows

__all__ = ["draw_check", "draw_panel"]


def draw_check(found: Mapping[str, Any], bench: Bench, rows: CityRows, folder: Path) -> None:
    """Draw where incidents and cameras lie, and write the page of the account."""


def draw_panel(built: Built, title: str, folder: Path) -> list[Path]:
    """Draw the map of units and the series before and after."""
