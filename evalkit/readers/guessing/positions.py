"""Numbers that could be places: the decimal mark, degrees or lengths, and the city's bounds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["Bounds", "Numbers", "Points", "guess_bounds", "numbers_of", "zone_longitude"]

Bounds = tuple[float, float, float, float]
"""West, south, east, north in degrees."""

NUMERIC: Final = 0.8
"""Share of values that must be numbers."""

FRACTIONAL: Final = 0.5
"""Share of numbers that must have a fraction: whole ones are counts, codes or identifiers."""

DEGREES: Final = 180.0

QUANTILES: Final = (0.005, 0.995)
"""Points between them, on either axis, bound the city: what lies beyond is often misplaced."""

MARGIN: Final = 0.10
"""Added on each side, relative to the extent, as the first rows may not reach the city's edge."""

LEAST_MARGIN: Final = 0.002
"""Degrees, about 200 m: the least margin, for files with hardly any extent."""

FAR: Final = 10.0
"""Interquartile ranges from the median beyond which a point is set apart before quantiles are
taken. Points with exchanged coordinates all lie on one side, so that 0.5 % of them would already
carry a quantile away."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column read as numbers.

    Attributes:
        values: (N,) Float64, null where missing or no number.
        decimal: the mark with which they read.
        middle: median of those that are not zero, NaN without any.
        spread: width of the middle 90 % of those.
    """

    values: pl.Series
    decimal: Literal[".", ","]
    middle: float
    spread: float

    @property
    def in_degrees(self) -> bool:
        """Whether they could be longitudes."""
        return abs(self.middle) <= DEGREES

    @property
    def a_city(self) -> bool:
        """Whether they spread as the degrees of a city's places do."""
        return self.in_degrees and 0 < self.spread < 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Located rows: (N,) degrees each, finite."""

    longitude: NDArray[np.float64]
    latitude: NDArray[np.float64]

    @property
    def middle(self) -> tuple[float, float]:
        """Median longitude and latitude."""
        return float(np.median(self.longitude)), float(np.median(self.latitude))


def numbers_of(text: pl.Series, *, whole: bool = False) -> Numbers | None:
    """Read a column of cleaned text as numbers, None if it is something else.

    Most must have a fraction, unless ``whole`` allows whole metres or feet.
    """
    present = text.len() - text.null_count()
    if not present:
        return None
    marks: Sequence[tuple[Literal[".", ","], pl.Series]] = (
        (".", text),
        (",", text.str.replace(",", ".", literal=True)),
    )
    for decimal, values in marks:
        number = values.cast(pl.Float64, strict=False)
        number = number.set(~number.is_finite().fill_null(value=False), None)
        known = number.drop_nulls()
        if len(known) < NUMERIC * present:
            continue
        placed = known.filter(known != 0)
        if placed.is_empty():
            continue
        if not whole and float((placed % 1 != 0).sum()) < FRACTIONAL * len(placed):
            continue
        low, middle, high = np.quantile(placed.to_numpy(), (0.05, 0.5, 0.95))
        return Numbers(number, decimal, float(middle), float(high - low))
    return None


def guess_bounds(points: Points) -> Bounds:
    """Bounds of a city from its points; at least one is needed."""
    west, east = _range(points.longitude, 180.0)
    south, north = _range(points.latitude, 90.0)
    return west, south, east, north


def zone_longitude(zone: str) -> float:
    """Longitude at which a time zone's standard time is the sun's: 15 degrees for each hour."""
    january, july = (dt.datetime(2020, month, 1, tzinfo=ZoneInfo(zone)) for month in (1, 7))
    offsets = [when.utcoffset() or dt.timedelta() for when in (january, july)]
    return min(offsets).total_seconds() / 3600 * 15


def _range(degrees: NDArray[np.float64], limit: float) -> tuple[float, float]:
    first, middle, third = np.quantile(degrees, (0.25, 0.5, 0.75))
    reach = max(FAR * (third - first), LEAST_MARGIN)
    near = degrees[np.abs(degrees - middle) <= reach]
    low, high = np.quantile(near, QUANTILES)
    margin = max(MARGIN * (high - low), LEAST_MARGIN)
    return (
        float(np.round(max(low - margin, -limit), 5)),
        float(np.round(min(high + margin, limit), 5)),
    )
