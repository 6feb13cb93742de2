"""Incident rows as arrays: which are in the window, of which crime type, and where.

Vocabulary
    usable place  coordinates inside the city's bounds, or an area for a study of areas.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.frames import COUNT
from evalkit.core.study import Study
from evalkit.panel.periods import OUTSIDE, as_days, period_index
from evalkit.panel.points import count_points
from evalkit.panel.projection import Projection, is_located
from evalkit.panel.sites import as_degrees, locate
from evalkit.panel.zones.zoning import Incidents

__all__ = [
    "IN_BAND",
    "IN_DEGREES",
    "NO_HOUR",
    "OTHER_HOUR",
    "OTHER_TYPE",
    "Rows",
    "Seen",
    "hours_of",
    "periods_of",
    "see",
    "type_index",
    "weights_of",
    "window_rows",
]

Value = TypeVar("Value", bound=np.generic)

IN_DEGREES: Final = ("hexagon", "polygon")
"""Kinds of unit whose borders are given in degrees: a point on a border is decided there."""

IN_BAND, OTHER_HOUR, NO_HOUR = 0, 1, 2
"""Whether an incident is of the study's hours of the day."""

OTHER_TYPE: Final = -1
"""Position of a crime type that the study does not ask for."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What came in, before the window was applied.

    Attributes:
        read: number of incidents.
        crime_types: the common crime types among them.
        first, last: dates of the first and the last one; None without any.
        firsts: how many are dated the first of a month.
    """

    read: int
    crime_types: frozenset[str]
    first: dt.date | None
    last: dt.date | None
    firsts: int


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The incidents of the window and of the study's hours, of all crime types, in N rows, and what came in.

    A row is one incident, or several that lie in one place and agree in everything else.

    Attributes:
        seen: what came in.
        period: (N,) period of each row.
        crime_type: (N,) position in the study's crime types, or `OTHER_TYPE`.
        weight: (N,) number of incidents.
        places: P places where they happened.
        place: (N,) place of each row; None if row i is in place i.
        placed: (N,) whether the place is usable for the study's kind of unit.
        points: number of distinct coordinates.
        by_hour: whether the study counts some hours of the day only.
        other_hours, no_hour: incidents of the window at other hours, and without an hour.
    """

    seen: Seen
    period: NDArray[np.int64]
    crime_type: NDArray[np.int64]
    weight: NDArray[np.int64]
    places: Incidents
    place: NDArray[np.int64] | None
    placed: NDArray[np.bool_]
    points: int
    by_hour: bool
    other_hours: int
    no_hour: int

    @property
    def asked(self) -> NDArray[np.bool_]:
        """(N,) whether the row is of one of the study's crime types."""
        asked: NDArray[np.bool_] = self.crime_type != OTHER_TYPE
        return asked

    @property
    def located(self) -> NDArray[np.bool_]:
        """(N,) whether the row has usable coordinates."""
        return self.of_places(is_located(self.places.xy))

    def of_places(self, values: NDArray[Value]) -> NDArray[Value]:
        """(N,) each row's own of P values, one a place."""
        return values if self.place is None else values[self.place]


def type_index(crime_types: pl.Series, study: Study) -> NDArray[np.int64]:
    """(N,) position of each crime type among the study's, `OTHER_TYPE` if it is not one of them."""
    names = list(dict.fromkeys(study.outcome.crime_types))
    index: NDArray[np.int64] = crime_types.replace_strict(
        names, list(range(len(names))), default=OTHER_TYPE, return_dtype=pl.Int64
    ).to_numpy()
    return index


def periods_of(incidents: pl.DataFrame, study: Study) -> NDArray[np.int64]:
    """(N,) period of each incident, `OUTSIDE` of what the window leaves out."""
    return period_index(as_days(incidents["date"].to_numpy()), study.window)


def window_rows(
    incidents: pl.DataFrame,
    study: Study,
    projection: Projection,
    bounds: tuple[float, float, float, float],
) -> Rows:
    """Keep the incidents of the window and of the study's hours, and place them."""
    period = periods_of(incidents, study)
    weight = weights_of(incidents)
    hour = hours_of(incidents, study)
    inside = period != OUTSIDE
    within = inside & (hour == IN_BAND)
    kept = incidents.filter(pl.Series(within))
    places = Incidents(
        locate(kept, projection, bounds),
        kept["area"],
        projection,
        bounds,
        as_degrees(kept) if study.units.kind in IN_DEGREES else None,
    )
    located = is_located(places.xy)
    named: NDArray[np.bool_] = places.area.is_not_null().to_numpy()
    coordinates = kept.select("longitude", "latitude").filter(pl.Series(located))
    return Rows(
        seen=see(incidents, weight),
        period=period[within],
        crime_type=type_index(kept["crime_type"], study),
        weight=weight[within],
        places=places,
        place=None,
        placed=named if study.units.kind == "area" else located,
        points=count_points(*(column.to_numpy() for column in coordinates)),
        by_hour=study.outcome.hours is not None,
        other_hours=int(weight[inside & (hour == OTHER_HOUR)].sum()),
        no_hour=int(weight[inside & (hour == NO_HOUR)].sum()),
    )


def weights_of(incidents: pl.DataFrame) -> NDArray[np.int64]:
    """(N,) incidents that each row stands for; one where the frame does not say."""
    if COUNT not in incidents.columns:
        return np.ones(incidents.height, dtype=np.int64)
    weights: NDArray[np.int64] = incidents[COUNT].cast(pl.Int64).to_numpy()
    return weights


def hours_of(incidents: pl.DataFrame, study: Study) -> NDArray[np.int8]:
    """(N,) `IN_BAND`, `OTHER_HOUR` or `NO_HOUR`: the study's hours, from the first up to the second."""
    if study.outcome.hours is None:
        return np.full(incidents.height, IN_BAND, dtype=np.int8)
    start, end = study.outcome.hours
    hour = incidents["hour"]
    inside = (hour >= start) & (hour < end) if start < end else (hour >= start) | (hour < end)
    found: NDArray[np.int8] = (
        pl.select(
            pl.when(inside).then(IN_BAND).when(hour.is_null()).then(NO_HOUR).otherwise(OTHER_HOUR)
        )
        .to_series()
        .cast(pl.Int8)
        .to_numpy()
    )
    return found


def see(incidents: pl.DataFrame, weight: NDArray[np.int64]) -> Seen:
    """What came in: rows under `evalkit.core.frames.INCIDENTS`, and (N,) incidents of each."""
    dates = incidents["date"]
    return Seen(
        read=int(weight.sum()),
        crime_types=frozenset(incidents["crime_type"].unique().drop_nulls().to_list()),
        first=cast("dt.date | None", dates.min()),
        last=cast("dt.date | None", dates.max()),
        firsts=int(weight[(dates.dt.day() == 1).fill_null(value=False)].sum()),
    )
