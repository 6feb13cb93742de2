"""Pictures and page of `site check` and `site panel`; they show the city's data and stay in the city."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalkit.core.study import Study
from evalkit.panel.built import Built
from evalkit.report import before_after, panel_map, quality, write_site_page
from evalkit.workbench import Bench, CityRows

__all__ = ["draw_check", "draw_panel"]


def draw_check(found: Mapping[str, Any], bench: Bench, rows: CityRows, folder: Path) -> Path:
    """Draw where incidents and cameras lie, write the page of the account, and return its path."""
    city = bench.site.city
    pictures = quality(
        rows.incidents.rows, rows.cameras.rows, city.bounds, city.title, folder / "map"
    )
    vector = [picture for picture in pictures if picture.suffix == ".svg"]
    return write_site_page(found, folder, pictures=vector)


def draw_panel(built: Built, study: Study, title: str, folder: Path) -> list[Path]:
    """Draw the map of units and the series before and after; returns the pictures."""
    return [
        *panel_map(built.units, title, folder / "map", zones=study.units),
        *before_after(built.diagnostics, title, folder / "before-after"),
    ]
