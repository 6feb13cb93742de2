"""Small cities made by hand, in metres from their centre, for the tests of the panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from evalkit.core.study import Outcome, Study, Treatment, Units, Window, check_study
from evalkit.panel.build import Built, build_panel
from evalkit.panel.projection import city_projection, unproject

BOUNDS = (-75.70, 6.10, -75.50, 6.30)  # about 22 km each way

INCIDENT_SCHEMA = {
    "row": pl.UInt64(),
    "date": pl.Date(),
    "longitude": pl.Float64(),
    "latitude": pl.Float64(),
    "area": pl.String(),
    "crime_type": pl.String(),
}
CAMERA_SCHEMA = {
    "row": pl.UInt64(),
    "id": pl.String(),
    "live_date": pl.Date(),
    "longitude": pl.Float64(),
    "latitude": pl.Float64(),
    "area": pl.String(),
}


def degrees(x: float | None, y: float | None) -> tuple[float | None, float | None]:
    """Longitude and latitude of a point in metres; None stays None."""
    if x is None or y is None:
        return None, None
    longitude, latitude = unproject(city_projection(BOUNDS), [x], [y])
    return float(longitude[0]), float(latitude[0])


def incident(
    day: str,
    x: float | None = None,
    y: float | None = None,
    crime_type: str = "assault",
    area: str | None = None,
    times: int = 1,
) -> list[dict[str, Any]]:
    """``times`` equal incidents."""
    longitude, latitude = degrees(x, y)
    one = {
        "date": dt.date.fromisoformat(day),
        "longitude": longitude,
        "latitude": latitude,
        "area": area,
        "crime_type": crime_type,
    }
    return [one] * times


def camera(
    live: str | None,
    x: float | None = None,
    y: float | None = None,
    area: str | None = None,
    name: str | None = None,
) -> dict[str, Any]:
    """One camera."""
    longitude, latitude = degrees(x, y)
    return {
        "id": name,
        "live_date": None if live is None else dt.date.fromisoformat(live),
        "longitude": longitude,
        "latitude": latitude,
        "area": area,
    }


def incident_frame(groups: Sequence[list[dict[str, Any]]]) -> pl.DataFrame:
    rows = [row for group in groups for row in group]
    return _frame(rows, INCIDENT_SCHEMA)


def camera_frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    return _frame(list(rows), CAMERA_SCHEMA)


def study(
    units: Units,
    *,
    start: str = "2020-01-01",
    end: str = "2020-06-30",
    period: Any = "month",
    crime_types: tuple[str, ...] = ("assault", "robbery"),
    treatment: Treatment | None = None,
) -> Study:
    return check_study(
        Study(
            name="made-by-hand",
            title="Made by hand",
            window=Window(
                start=dt.date.fromisoformat(start), end=dt.date.fromisoformat(end), period=period
            ),
            units=units,
            outcome=Outcome(crime_types=crime_types),
            treatment=treatment or Treatment(),
        )
    )


def build(incidents: pl.DataFrame, cameras: pl.DataFrame, asked: Study) -> Built:
    return build_panel(
        incidents,
        cameras,
        asked,
        site_name="handmade",
        bounds=BOUNDS,
        study_hash="a" * 64,
        fingerprint="b" * 64,
    )


def counts(built: Built, unit: str, crime_type: str = "assault") -> list[int]:
    """One unit's series."""
    panel = built.panel
    found: list[int] = panel.counts[
        panel.crime_types.index(crime_type), list(panel.unit_ids).index(unit)
    ].tolist()
    return found


def exposure(built: Built, unit: str) -> list[float]:
    found: list[float] = built.panel.exposure[list(built.panel.unit_ids).index(unit)].tolist()
    return found


def roles(built: Built) -> dict[str, str]:
    return dict(zip(built.units["unit"], built.units["role"], strict=True))


def go_live(built: Built) -> dict[str, int]:
    return dict(zip(built.panel.unit_ids.tolist(), built.panel.first_live.tolist(), strict=True))


def adds_up(built: Built) -> bool:
    parts = dict(built.account)
    return parts.pop("incidents") == sum(parts.values())


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    numbered = [{"row": number, **row} for number, row in enumerate(rows, start=1)]
    return pl.DataFrame(numbered, schema=schema)


def metres(points: Sequence[tuple[float, float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(points, dtype=np.float64).reshape(-1, 2)
