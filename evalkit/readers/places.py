"""Where rows are: by coordinates, by the name of an area, or both."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from evalkit.config import CameraColumns, IncidentColumns, Source
from evalkit.readers.coordinates import (
    Bounds,
    check_plausible,
    coordinate_notes,
    read_coordinates,
)
from evalkit.readers.files import Gathered

__all__ = ["Places", "read_places"]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places of N rows.

    Attributes:
        columns: longitude, latitude (Float64) and area (String), (N,) each.
        conditions: reason for rejecting a row → (N,) Boolean.
        notes: sentences about the places.
    """

    columns: dict[str, pl.Series]
    conditions: dict[str, pl.Series]
    notes: list[str]


def read_places(
    gathered: Gathered, source: Source, names: IncidentColumns | CameraColumns, bounds: Bounds
) -> Places:
    """Read the places of all rows.

    A source with coordinates must give them for every row, and the area may be null. A source with
    areas only must give the area, and longitude and latitude are null.

    Raises:
        CoordinatesError: the positions are wrong in a systematic way.
    """
    text = gathered.text
    area = text["area"] if names.area else _nothing(text.height, pl.String())
    if not (names.longitude and names.latitude):
        empty = _nothing(text.height, pl.Float64())
        return Places(
            columns={"longitude": empty, "latitude": empty, "area": area},
            conditions={"missing_area": area.is_null()},
            notes=[],
        )
    found = read_coordinates(text["longitude"], text["latitude"], source, bounds)
    check_plausible(
        found,
        gathered.position["file"],
        gathered.files,
        (names.longitude, names.latitude),
        source,
        bounds,
    )
    return Places(
        columns={"longitude": found.longitude, "latitude": found.latitude, "area": area},
        conditions=found.conditions,
        notes=coordinate_notes(found),
    )


def _nothing(length: int, dtype: pl.DataType) -> pl.Series:
    return pl.repeat(None, length, dtype=dtype, eager=True)
