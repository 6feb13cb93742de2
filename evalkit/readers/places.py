"""Where rows are: by coordinates, by the name of an area, or both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from evalkit.config import Cameras, Incidents
from evalkit.readers.coordinates import (
    Bounds,
    check_plausible,
    coordinate_facts,
    coordinate_notes,
    read_coordinates,
)
from evalkit.readers.naming import common_names
from evalkit.readers.parts import Gathered

__all__ = ["Places", "place_notes", "read_places"]

UNLISTED: Final = "unlisted areas"


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places of N rows.

    Attributes:
        columns: longitude, latitude (Float64) and area (String), (N,) each.
        conditions: reason for rejecting a row → (N,) Boolean.
        facts: counts for `place_notes`; those of several parts add up.
    """

    columns: dict[str, pl.Series]
    conditions: dict[str, pl.Series]
    facts: dict[str, int]


def read_places(
    gathered: Gathered,
    source: Incidents | Cameras,
    bounds: Bounds,
    *,
    whole: bool = True,
) -> Places:
    """Read the places of all rows.

    A source with coordinates must give them for every row, and the area may be null. A source with
    areas only must give the area, and longitude and latitude are null. With ``whole`` a part is
    refused if most of it is wrong in the same way.

    Where the site file lists names of areas, others count for nothing: they leave the area null in a
    source with coordinates, and speak against the row in one without.

    Raises:
        CoordinatesError: the positions are wrong in a systematic way.
    """
    text, names = gathered.text, source.columns
    written = text["area"] if names.area else _nothing(text.height, pl.String())
    area = common_names(written, source.area_names, "area_names") if source.area_names else written
    unlisted = area.is_null() & written.is_not_null()
    facts = {UNLISTED: int(unlisted.sum())}
    if not (names.longitude and names.latitude):
        empty = _nothing(text.height, pl.Float64())
        return Places(
            columns={"longitude": empty, "latitude": empty, "area": area},
            conditions={"missing_area": written.is_null(), "unmapped_area": unlisted},
            facts=facts,
        )
    found = read_coordinates(text["longitude"], text["latitude"], source, bounds)
    if whole:
        check_plausible(found, gathered.name, (names.longitude, names.latitude), source, bounds)
    return Places(
        columns={"longitude": found.longitude, "latitude": found.latitude, "area": area},
        conditions=found.conditions,
        facts={**facts, **coordinate_facts(found)},
    )


def place_notes(facts: Mapping[str, int]) -> list[str]:
    """Sentences about peculiarities of the places that `Places.facts` has counted."""
    unlisted = facts.get(UNLISTED, 0)
    notes = [f"{unlisted:,} rows name an area that area_names does not list"] if unlisted else []
    return [*notes, *coordinate_notes(facts)]


def _nothing(length: int, dtype: pl.DataType) -> pl.Series:
    return pl.repeat(None, length, dtype=dtype, eager=True)
