"""Incident rows as arrays: which are in the window, of which crime type, and where.

Vocabulary
    usable place  coordinates inside the city's bounds, or an area for a study of areas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.study import Study
from evalkit.panel.periods import OUTSIDE, as_days, period_index
from evalkit.panel.projection import Projection, is_located
from evalkit.panel.sites import locate
from evalkit.panel.zones.zoning import Incidents

__all__ = ["OTHER_TYPE", "Rows", "type_index", "window_rows"]

OTHER_TYPE: Final = -1
"""Position of a crime type that the study does not ask for."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The N incidents of the window, of all crime types, and how many came in.

    Attributes:
        read: number of incidents before the window was applied.
        period: (N,) period of each incident.
        crime_type: (N,) position in the study's crime types, or `OTHER_TYPE`.
        places: where they happened.
        placed: (N,) whether the place is usable for the study's kind of unit.
        points: number of distinct coordinates.
    """

    read: int
    period: NDArray[np.int64]
    crime_type: NDArray[np.int64]
    places: Incidents
    placed: NDArray[np.bool_]
    points: int

    @property
    def asked(self) -> NDArray[np.bool_]:
        """(N,) whether the incident is of one of the study's crime types."""
        asked: NDArray[np.bool_] = self.crime_type != OTHER_TYPE
        return asked


def type_index(crime_types: pl.Series, study: Study) -> NDArray[np.int64]:
    """(N,) position of each crime type among the study's, `OTHER_TYPE` if it is not one of them."""
    names = list(dict.fromkeys(study.outcome.crime_types))
    index: NDArray[np.int64] = crime_types.replace_strict(
        names, list(range(len(names))), default=OTHER_TYPE, return_dtype=pl.Int64
    ).to_numpy()
    return index


def window_rows(
    incidents: pl.DataFrame,
    study: Study,
    projection: Projection,
    bounds: tuple[float, float, float, float],
) -> Rows:
    """Keep the incidents of the window and place them."""
    period = period_index(as_days(incidents["date"].to_numpy()), study.window)
    within = period != OUTSIDE
    kept = incidents.filter(pl.Series(within))
    places = Incidents(locate(kept, projection, bounds), kept["area"], projection, bounds)
    located = is_located(places.xy)
    named: NDArray[np.bool_] = places.area.is_not_null().to_numpy()
    return Rows(
        read=len(incidents),
        period=period[within],
        crime_type=type_index(kept["crime_type"], study),
        places=places,
        placed=named if study.units.kind == "area" else located,
        points=kept.select("longitude", "latitude").filter(pl.Series(located)).n_unique(),
    )
