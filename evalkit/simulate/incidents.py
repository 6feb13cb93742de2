"""Incidents without any camera: counts per place and month, then one event each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.world import Calendar, Places

__all__ = ["CRIMES", "Events", "draw_incidents", "draw_seconds", "join", "take"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CRIMES: Final[dict[str, float]] = {
    "theft": 0.42,
    "assault": 0.20,
    "robbery": 0.17,
    "burglary": 0.11,
    "vehicle_theft": 0.10,
}
"""Common crime types and their mean shares; each city's shares vary around them."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """N incidents.

    Attributes:
        x, y: (N,) metres east and north of the centre.
        day: (N,) local day, counted from the window's first.
        second: (N,) local second of the day.
        crime: (N,) index into `CRIMES`.
    """

    x: Floats
    y: Floats
    day: Ints
    second: Ints
    crime: Ints

    def __len__(self) -> int:
        return len(self.x)


def draw_incidents(
    places: Places, calendar: Calendar, *, expected: float, noise: float, rng: np.random.Generator
) -> Events:
    """Draw about ``expected`` incidents.

    A place's count in a month is Poisson with mean expected × weight × month share × G, where G is
    gamma with mean one and variance ``noise``, independent over places and months: a negative
    binomial.
    """
    weight = np.concatenate([places.hot_weight, places.cell_weight])
    mean = expected * np.outer(weight, calendar.month_share)
    gamma = rng.gamma(1 / noise, noise, size=mean.shape) if noise > 0 else np.ones_like(mean)
    counts = rng.poisson(mean * gamma)
    cell = np.repeat(np.arange(counts.size), counts.ravel())
    place, month = np.divmod(cell, mean.shape[1])
    x, y = _draw_positions(places, place, rng)
    shares = rng.dirichlet(80 * np.asarray(list(CRIMES.values())))
    return Events(
        x=x,
        y=y,
        day=_draw_days(calendar, month, rng),
        second=draw_seconds(calendar, len(cell), rng),
        crime=rng.choice(len(CRIMES), size=len(cell), p=shares),
    )


def draw_seconds(calendar: Calendar, n: int, rng: np.random.Generator) -> Ints:
    """(n,) seconds of the day by the calendar's hours."""
    hour = rng.choice(24, size=n, p=calendar.hour_share)
    return np.asarray(hour * 3600 + rng.integers(3600, size=n), dtype=np.int64)


def take(events: Events, index: Ints | NDArray[np.bool_]) -> Events:
    """The events of an index or mask, in its order."""
    return replace(
        events,
        x=events.x[index],
        y=events.y[index],
        day=events.day[index],
        second=events.second[index],
        crime=events.crime[index],
    )


def join(first: Events, second: Events) -> Events:
    """The events of both, first the first's."""
    return Events(
        x=np.concatenate([first.x, second.x]),
        y=np.concatenate([first.y, second.y]),
        day=np.concatenate([first.day, second.day]),
        second=np.concatenate([first.second, second.second]),
        crime=np.concatenate([first.crime, second.crime]),
    )


def _draw_positions(places: Places, place: Ints, rng: np.random.Generator) -> tuple[Floats, Floats]:
    hotspots = len(places.hot_x)
    hot = place < hotspots
    spot, cell = place[hot], place[~hot] - hotspots
    x, y = np.empty(len(place)), np.empty(len(place))
    x[hot] = places.hot_x[spot] + places.hot_sd[spot] * rng.standard_normal(len(spot))
    y[hot] = places.hot_y[spot] + places.hot_sd[spot] * rng.standard_normal(len(spot))
    width, height = places.cell_size
    x[~hot] = places.cell_x[cell] + width * rng.random(len(cell))
    y[~hot] = places.cell_y[cell] + height * rng.random(len(cell))
    # The border is six standard deviations from any hotspot: one point in a billion moves.
    return x.clip(-places.half_x, places.half_x), y.clip(-places.half_y, places.half_y)


def _draw_days(calendar: Calendar, month: Ints, rng: np.random.Generator) -> Ints:
    """A day of each event's month, by the days' shares."""
    until = np.concatenate([[0.0], np.cumsum(calendar.day_share)])
    first = np.searchsorted(calendar.month_of_day, np.arange(calendar.month_of_day[-1] + 2))
    low, high = until[first[month]], until[first[month + 1]]
    day = np.searchsorted(until, low + (high - low) * rng.random(len(month)), side="right") - 1
    # Guards the rounding of low + (high − low)·u at a month's ends.
    within: Ints = np.clip(day, first[month], first[month + 1] - 1)
    return within
