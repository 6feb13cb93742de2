"""How coordinates change from year to year: a new geocoder, a new rule of anonymity, a new reporting form.

A change of geocoding between a camera's before and after looks like an effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.quality.finding import ENOUGH, SURE, Finding, fine, look, share, unknown

__all__ = ["PLACE_REASONS", "YearOfPlaces", "missing_finding", "moved_finding", "years_of_places"]

PLACE_REASONS: Final = (
    "missing_coordinates",
    "unreadable_coordinates",
    "zero_coordinates",
    "swapped_coordinates",
    "outside_earth",
    "outside_city",
    "missing_area",
)
"""Reasons for leaving a row out that are about its place."""

SAMPLE: Final = 500
"""Rows for which the number of distinct points is worked out, so that years of any size compare."""

MISSING_JUMP: Final = 0.05
"""Change of the share without a usable place from one year to the next that is worth a look."""

MOVED: Final = 0.1
"""Move of the mean position, in parts of the rows' own spread, that is worth a look."""

DISTINCT_JUMP: Final = 1.25
"""Ratio of the numbers of distinct points of two years that is worth a look."""

METRES_OF_DEGREE: Final = 111_320.0
"""Of latitude, and of longitude at the equator; to a third of a percent."""


@dataclass(frozen=True, slots=True)
class YearOfPlaces:
    """Places of one year.

    Attributes:
        year: calendar year.
        rows: rows with a usable place.
        lost: rows left out because of their place.
        distinct: expected distinct points among `SAMPLE` rows drawn from the year; None for a smaller year
            or one without coordinates.
        east, north: metres from the mean position of all years; None without coordinates.
        spread: root mean square distance from the year's mean position, metres.
    """

    year: int
    rows: int
    lost: int
    distinct: float | None
    east: float | None
    north: float | None
    spread: float | None

    @property
    def lost_share(self) -> float:
        """Share of the year's rows that is left out because of its place."""
        return share(self.lost, self.rows + self.lost)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "lost_share": self.lost_share}


def years_of_places(rows: pl.DataFrame, rejected: pl.DataFrame) -> tuple[YearOfPlaces, ...]:
    """Places year by year.

    Args:
        rows: date, longitude and latitude of rows that are used.
        rejected: ``year`` and ``reason`` of the others whose date can be read.
    """
    lost = dict(
        rejected.filter(pl.col("reason").is_in(PLACE_REASONS)).group_by("year").len().iter_rows()
    )
    dated = rows.select(pl.col("date").dt.year().alias("year"), "longitude", "latitude")
    middle = dated.select(pl.col("longitude", "latitude").mean()).row(0)
    parts = {key[0]: part for key, part in dated.partition_by("year", as_dict=True).items()}
    return tuple(
        _year(year, parts.get(year, dated.clear()), int(lost.get(year, 0)), middle)
        for year in sorted({*parts, *lost})
    )


def missing_finding(years: Sequence[YearOfPlaces]) -> Finding:
    """Whether the share without a usable place jumps between two years that follow one another."""
    large = [year for year in years if year.rows + year.lost >= ENOUGH]
    if len(large) < 2:
        return unknown("lost_places", "one_year")
    if not any(year.lost for year in years):
        return Finding("lost_places", "fine", "lost_places_none")
    worst = max(pairwise(large), key=lambda pair: abs(pair[1].lost_share - pair[0].lost_share))
    before, after = worst
    figures: dict[str, Any] = {
        "before": str(before.year),
        "before_share": before.lost_share,
        "after": str(after.year),
        "after_share": after.lost_share,
    }
    change = abs(after.lost_share - before.lost_share)
    sure = change >= SURE * _error(before, after)
    if change >= MISSING_JUMP and sure:
        return look("lost_places", **figures)
    return fine("lost_places", **figures)


def moved_finding(years: Sequence[YearOfPlaces]) -> Finding:
    """Whether the mean position, or the number of distinct points, jumps between two years."""
    large = [year for year in years if year.spread is not None and year.rows >= ENOUGH]
    if not large:
        return unknown("moved", "no_points")
    if len(large) < 2:
        return unknown("moved", "one_year")
    before, after = max(pairwise(large), key=lambda pair: _move(*pair))
    move, spread = _move(before, after), max(before.spread or 0.0, after.spread or 0.0)
    error = spread * math.sqrt(1 / before.rows + 1 / after.rows)
    figures: dict[str, Any] = {
        "before": str(before.year),
        "after": str(after.year),
        "metres": round(move),
    }
    if spread and move >= MOVED * spread and move >= SURE * error:
        return look("moved", **figures)
    counted = [year for year in large if year.distinct]
    for one, other in pairwise(counted):
        ratio = (other.distinct or 1.0) / (one.distinct or 1.0)
        if not 1 / DISTINCT_JUMP <= ratio <= DISTINCT_JUMP:
            return look(
                "moved",
                "moved_distinct",
                before=str(one.year),
                before_points=round(one.distinct or 0),
                after=str(other.year),
                after_points=round(other.distinct or 0),
                sample=SAMPLE,
            )
    return fine("moved", **figures)


def _year(
    year: int, rows: pl.DataFrame, lost: int, middle: tuple[float | None, float | None]
) -> YearOfPlaces:
    known = rows.select("longitude", "latitude").drop_nulls()
    longitude, latitude = middle
    if known.is_empty() or longitude is None or latitude is None:
        return YearOfPlaces(year, rows.height, lost, None, None, None, None)
    x = (
        (known["longitude"].to_numpy() - longitude)
        * METRES_OF_DEGREE
        * math.cos(math.radians(latitude))
    )
    y = (known["latitude"].to_numpy() - latitude) * METRES_OF_DEGREE
    sizes = known.group_by("longitude", "latitude").len()["len"].to_numpy()
    return YearOfPlaces(
        year=year,
        rows=rows.height,
        lost=lost,
        distinct=_distinct(sizes.astype(np.float64)) if known.height >= SAMPLE else None,
        east=float(x.mean()),
        north=float(y.mean()),
        spread=float(np.sqrt(x.var() + y.var())),
    )


def _distinct(sizes: NDArray[np.float64]) -> float:
    """Expected distinct points among `SAMPLE` rows drawn with replacement (rarefaction, after Hurlbert 1971)."""
    return float((1 - (1 - sizes / sizes.sum()) ** SAMPLE).sum())


def _move(one: YearOfPlaces, other: YearOfPlaces) -> float:
    return math.hypot(
        (other.east or 0.0) - (one.east or 0.0), (other.north or 0.0) - (one.north or 0.0)
    )


def _error(one: YearOfPlaces, other: YearOfPlaces) -> float:
    sizes = (one.rows + one.lost, other.rows + other.lost)
    pooled = (one.lost + other.lost) / sum(sizes)
    return math.sqrt(pooled * (1 - pooled) * (1 / sizes[0] + 1 / sizes[1]))
