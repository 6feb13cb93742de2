"""Many rows on one point, and positions that were coarsened, for anonymity or by the geocoder.

Coarse positions move incidents in and out of a catchment of a hundred metres. The source seldom says so;
the positions show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from evalkit.quality.finding import ENOUGH, Finding, fine, look, share, unknown

__all__ = ["Points", "heap_point_finding", "points_of", "precision_finding"]

LARGE_POINT: Final = 0.01
"""Share of all rows on one point from which it is probably a default (a station, a city's centre) or needs
to be known: no address of a city has a hundredth of its crime by chance."""

LEAST: Final = 20
"""Rows on one point, at least, before it is worth a look."""

MERGED: Final = 10
"""A point with as many rows is probably a street block or an intersection that stands for many addresses."""

MOSTLY_MERGED: Final = 0.5
"""Share of rows on such points from which positions are taken to be coarsened."""

ROUND: Final = 3
"""Decimals of a degree from which on a position is exact enough: three are about a hundred metres."""

MOSTLY_ROUND: Final = 0.9


@dataclass(frozen=True, slots=True)
class Points:
    """Distinct positions of a source.

    Attributes:
        rows: rows with coordinates.
        points: distinct positions.
        largest: rows on the commonest.
        merged: rows on positions with at least `MERGED` rows.
        rounded: rows whose two coordinates have no more than `ROUND` decimals.
    """

    rows: int
    points: int
    largest: int
    merged: int
    rounded: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "rows": self.rows,
            "points": self.points,
            "largest_share": share(self.largest, self.rows),
            "merged_share": share(self.merged, self.rows),
            "rounded_share": share(self.rounded, self.rows),
        }


def points_of(rows: pl.DataFrame) -> Points:
    """Count the distinct positions of ``longitude`` and ``latitude``; rows without either are left out."""
    known = rows.select("longitude", "latitude").drop_nulls()
    sizes = known.group_by("longitude", "latitude").len()["len"]
    rounded = known.filter(
        (pl.col("longitude").round(ROUND) == pl.col("longitude"))
        & (pl.col("latitude").round(ROUND) == pl.col("latitude"))
    ).height
    return Points(
        rows=known.height,
        points=len(sizes),
        largest=int(sizes.to_numpy().max(initial=0)),
        merged=int(sizes.filter(sizes >= MERGED).sum()),
        rounded=rounded,
    )


def heap_point_finding(points: Points) -> Finding:
    """Whether one point has too many rows."""
    if points.rows == 0:
        return unknown("one_point", "no_points")
    if points.rows < ENOUGH:
        return unknown("one_point", "few", rows=points.rows)
    largest = share(points.largest, points.rows)
    figures: dict[str, Any] = {"largest": points.largest, "largest_share": largest}
    worth = largest >= LARGE_POINT and points.largest >= LEAST
    return look("one_point", **figures) if worth else fine("one_point", **figures)


def precision_finding(points: Points) -> Finding:
    """Whether positions are coarsened: few distinct ones, or rounded ones."""
    if points.rows == 0:
        return unknown("precision", "no_points")
    if points.rows < ENOUGH:
        return unknown("precision", "few", rows=points.rows)
    rounded, merged = share(points.rounded, points.rows), share(points.merged, points.rows)
    if rounded >= MOSTLY_ROUND:
        return look("precision", "precision_round", rounded_share=rounded, decimals=ROUND)
    figures: dict[str, Any] = {
        "points": points.points,
        "rows": points.rows,
        "merged_share": merged,
        "merged": MERGED,
    }
    return look("precision", **figures) if merged >= MOSTLY_MERGED else fine("precision", **figures)
