"""Small sites for tests: a square city, and sources with the columns most tests need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evalkit.config import CameraColumns, Cameras, City, IncidentColumns, Incidents, Site

BOUNDS = (-84.0, 42.0, -83.0, 43.0)
INSIDE = (-83.5, 42.5)
"""A point well inside, whose coordinates exchanged lie outside."""

HEADER = ("id", "date", "lon", "lat", "type")
GOOD = ("1", "2020-05-01 13:45:00", "-83.5", "42.5", "ASSAULT")


def small_site(
    *,
    incidents: dict[str, Any] | None = None,
    incident_columns: dict[str, str] | None = None,
    cameras: dict[str, Any] | None = None,
    camera_columns: dict[str, str] | None = None,
    zone: str = "America/Detroit",
) -> Site:
    """A site whose incidents have the columns `HEADER`; arguments override single settings."""
    located = {"longitude": "lon", "latitude": "lat"}
    incident_names = {"id": "id", "date": "date", "crime_type": "type", **located}
    camera_names = {"id": "id", "live_date": "live", **located}
    types = {} if incidents and incidents.get("all_as") else {"crime_types": {"Assault": "assault"}}
    return Site(
        name="small",
        city=City(title="Small", time_zone=zone, bounds=BOUNDS),
        incidents=Incidents(
            **{"files": ("incidents.csv",), **types, **(incidents or {})},
            columns=IncidentColumns(**{**incident_names, **(incident_columns or {})}),
        ),
        cameras=Cameras(
            **{"files": ("cameras.csv",), **(cameras or {})},
            columns=CameraColumns(**{**camera_names, **(camera_columns or {})}),
        ),
    )


def write_rows(path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = HEADER) -> Path:
    """Write rows as plain CSV, without any quoting: what a test writes is what the file holds."""
    path.write_text("".join(f"{','.join(row)}\n" for row in [header, *rows]), encoding="utf-8")
    return path
