"""Text becomes longitude and latitude in degrees, and a file with a systematic error is refused.

A few wrong points are rejected row by row. When most are wrong in the same way the file is not what
its site file says, and using the rest would quietly bias every count: that is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from evalkit.config import Source
from evalkit.errors import CoordinatesError

if TYPE_CHECKING:
    from pyproj import Transformer

__all__ = [
    "Coordinates",
    "check_plausible",
    "coordinate_facts",
    "coordinate_notes",
    "plausible",
    "read_coordinates",
    "to_degrees",
]

SWAPPED: Final = 0.5
"""Share of located rows inside the city only when swapped, from which the columns are swapped."""

OUTSIDE: Final = 0.95
"""Share of located rows outside the city from which the system or the bounds must be wrong. Files
of a region that covers several cities stay below it if the city is among the larger ones."""

WORTH_A_NOTE: Final = 0.05

DEGREES: Final = 400.0
"""A value beyond is no angle in degrees but a length in metres or feet."""

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """Positions of N rows; every array is (N,).

    Attributes:
        longitude, latitude: Float64 degrees (WGS 84); null where missing or unreadable.
        missing, unreadable, zero, swapped, off_earth, outside: Boolean; at most one of them is
            true, save that a row outside the city may also be off the earth or swapped.
    """

    longitude: pl.Series
    latitude: pl.Series
    missing: pl.Series
    unreadable: pl.Series
    zero: pl.Series
    swapped: pl.Series
    off_earth: pl.Series
    outside: pl.Series

    @property
    def located(self) -> pl.Series:
        """(N,) Boolean: rows with a position, right or wrong."""
        return ~(self.missing | self.unreadable | self.zero)

    @property
    def conditions(self) -> dict[str, pl.Series]:
        """Reason → rows it applies to."""
        return {
            "missing_coordinates": self.missing,
            "unreadable_coordinates": self.unreadable,
            "zero_coordinates": self.zero,
            "swapped_coordinates": self.swapped,
            "outside_earth": self.off_earth,
            "outside_city": self.outside,
        }


def read_coordinates(x: pl.Series, y: pl.Series, source: Source, bounds: Bounds) -> Coordinates:
    """Read cleaned text into positions.

    Args:
        x: (N,) String: longitude, or easting if ``source.crs`` is projected.
        y: (N,) String: latitude, or northing.
        source: decimal mark and coordinate system.
        bounds: west, south, east, north of the city in degrees.

    Raises:
        CoordinatesError: ``source.crs`` is no coordinate system.
    """
    missing = x.is_null() | y.is_null()
    first, second = (_number(values, source.decimal) for values in (x, y))
    unreadable = ~missing & (first.is_null() | second.is_null())
    zero = (first == 0) & (second == 0)
    longitude, latitude = (
        (first, second) if source.crs == "lonlat" else _project(first, second, source.crs)
    )
    located = ~(missing | unreadable | zero.fill_null(value=False))
    outside = located & ~_inside(longitude, latitude, bounds)
    on_earth = (longitude.abs() <= 180) & (latitude.abs() <= 90)
    return Coordinates(
        longitude=longitude,
        latitude=latitude,
        missing=missing,
        unreadable=unreadable,
        zero=zero.fill_null(value=False),
        swapped=outside & _inside(latitude, longitude, bounds),
        off_earth=located & ~on_earth.fill_null(value=False),
        outside=outside,
    )


def check_plausible(
    found: Coordinates, where: str, columns: tuple[str, str], source: Source, bounds: Bounds
) -> None:
    """Refuse a part of a source whose positions are wrong in a systematic way.

    Raises:
        CoordinatesError: longitude and latitude are swapped, or the system or the bounds are wrong.
    """
    located, swapped, outside = (
        int(rows.sum()) for rows in (found.located, found.swapped, found.outside)
    )
    where = f"{where}, columns {columns[0]} and {columns[1]}"
    if located and swapped >= SWAPPED * located:
        raise CoordinatesError(
            f"longitude and latitude seem to be swapped: {swapped:,} of {located:,} rows lie "
            "in the city only if they change places",
            where=where,
            limit="longitude is east and west, latitude north and south",
            way_out="exchange the two names under columns in the site file",
        )
    if located and outside >= OUTSIDE * located:
        raise CoordinatesError(
            f"{outside:,} of {located:,} rows with coordinates lie outside the city's bounds",
            where=where,
            limit="most rows within city.bounds (west, south, east, north in degrees)",
            way_out=_advice(found.longitude, found.latitude, source, bounds),
        )


def coordinate_facts(found: Coordinates) -> dict[str, int]:
    """Counts for `coordinate_notes`; those of several parts add up."""
    return {
        "located": int(found.located.sum()),
        "outside": int(found.outside.sum()),
        "swapped": int(found.swapped.sum()),
    }


def plausible(facts: Mapping[str, int]) -> bool:
    """Whether `check_plausible` lets pass what `coordinate_facts` has counted."""
    located = facts.get("located", 0)
    return not located or not (
        facts["swapped"] >= SWAPPED * located or facts["outside"] >= OUTSIDE * located
    )


def coordinate_notes(facts: Mapping[str, int]) -> list[str]:
    """Sentences about peculiarities of the positions that `coordinate_facts` has counted."""
    located, outside = facts.get("located", 0), facts.get("outside", 0)
    if located and outside >= WORTH_A_NOTE * located:
        return [f"{outside / located:.0%} of rows with coordinates lie outside the city's bounds"]
    return []


def to_degrees(crs: str, where: str) -> Transformer:
    """What turns x and y of a coordinate system into longitude and latitude.

    Raises:
        CoordinatesError: ``crs`` is no coordinate system.
    """
    from pyproj import Transformer  # slow to import and needed by few cities
    from pyproj.exceptions import ProjError

    try:
        return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except ProjError:
        raise CoordinatesError(
            f'"{crs}" is not a coordinate system',
            where=where,
            limit="lonlat, or an EPSG code such as EPSG:2253",
            way_out="look the code up in the portal's description of the data",
        ) from None


def _number(values: pl.Series, decimal: str) -> pl.Series:
    text = values.str.replace(",", ".", literal=True) if decimal == "," else values
    number = text.cast(pl.Float64, strict=False)
    return number.set(~number.is_finite().fill_null(value=False), None)


def _inside(longitude: pl.Series, latitude: pl.Series, bounds: Bounds) -> pl.Series:
    west, south, east, north = bounds
    inside = longitude.is_between(west, east) & latitude.is_between(south, north)
    return inside.fill_null(value=False)


def _project(x: pl.Series, y: pl.Series, crs: str) -> tuple[pl.Series, pl.Series]:
    """Degrees of projected positions; null where the projection does not reach."""
    transformer = to_degrees(crs, "crs in the site file")
    longitude, latitude = transformer.transform(_array(x), _array(y))
    return _series(x, longitude), _series(y, latitude)


def _array(values: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return values.fill_null(np.nan).to_numpy()


def _series(template: pl.Series, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> pl.Series:
    series = pl.Series(template.name, values, dtype=pl.Float64())
    return series.set(~series.is_finite(), None)


def _advice(longitude: pl.Series, latitude: pl.Series, source: Source, bounds: Bounds) -> str:
    largest = longitude.abs().median()
    if source.crs == "lonlat" and isinstance(largest, float) and largest > DEGREES:
        return (
            "the values are lengths, not degrees: name their coordinate system as crs, for example "
            '"EPSG:2253"; the portal\'s description of the data gives the code'
        )
    mirrored = _inside(-longitude, latitude, bounds).mean()
    if isinstance(mirrored, float) and mirrored >= SWAPPED:
        return (
            "the longitudes lack their sign: west of Greenwich they are negative; mend the export"
        )
    if source.crs != "lonlat":
        return f"check that crs is {source.crs}, that the x column comes first, and city.bounds"
    return "check city.bounds, and whether crs must be named"
