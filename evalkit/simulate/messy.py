"""What clerks and exports do to good rows: repeat, misplace, misdate, mix with paperwork.

Every defect is planted in rows of its own, so that their numbers are exact and can be compared to a
reader's account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.draw import CityDraw
from evalkit.simulate.geo import metres_per_degree, to_degrees
from evalkit.simulate.incidents import Events, draw_seconds, join
from evalkit.simulate.presets import Mess
from evalkit.simulate.truth import Defects

__all__ = ["UNMAPPED", "Rows", "spoil"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

UNMAPPED: Final = -1
"""Crime index of a row that is no crime."""

_AWAY_M: Final = (25_000.0, 90_000.0)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """R rows in order of time, before a portal writes them.

    Attributes:
        number: (R,) running number of the record; a duplicate has its original's.
        longitude, latitude: (R,) degrees, NaN where missing.
        day, second: (R,) local day from the window's first, and second of the day.
        crime: (R,) index into `evalkit.simulate.incidents.CRIMES` or `UNMAPPED`.
        bad_date: (R,) rows whose date the portal garbles.
        usable: (R,) rows a faultless reader keeps.
    """

    number: Ints
    longitude: Floats
    latitude: Floats
    day: Ints
    second: Ints
    crime: Ints
    bad_date: Bools
    usable: Bools


def spoil(city: CityDraw, mess: Mess, rng: np.random.Generator) -> tuple[Rows, Defects]:
    """Turn a city's clean incidents into the rows of its portal, and say what was planted."""
    clean = len(city.incidents)
    events = join(city.incidents, _paperwork(city, _number(mess.unmapped, clean), rng))
    longitude, latitude = to_degrees(
        events.x, events.y, longitude=city.spec.longitude, latitude=city.spec.latitude
    )
    order = np.lexsort((events.second, events.day))
    original = order < clean
    rows = Rows(
        number=np.arange(1, len(order) + 1),
        longitude=longitude[order],
        latitude=latitude[order],
        day=events.day[order],
        second=events.second[order],
        crime=events.crime[order],
        bad_date=np.zeros(len(order), dtype=np.bool_),
        usable=original.copy(),
    )
    shares = (
        mess.duplicates,
        mess.missing,
        mess.zero,
        mess.swapped,
        mess.out_of_town,
        mess.bad_dates,
    )
    numbers = [_number(share, clean) for share in shares]
    queue = rng.permutation(np.flatnonzero(original))
    twice, missing, zero, swapped, away, undated = np.split(queue, np.cumsum(numbers))[:-1]
    _misplace(rows, missing, np.nan, np.nan)
    _misplace(rows, zero, 0.0, 0.0)
    _misplace(rows, swapped, rows.latitude[swapped], rows.longitude[swapped])
    _misplace(rows, away, *_far_away(city, len(away), rng))
    rows.bad_date[undated] = True
    rows.usable[undated] = False
    defects = Defects(
        duplicates=len(twice),
        unmapped=int((~original).sum()),
        missing=len(missing),
        zero=len(zero),
        swapped=len(swapped),
        out_of_town=len(away),
        bad_dates=len(undated),
    )
    return _repeat(rows, twice), defects


def _number(share: float, clean: int) -> int:
    """Rows for a share: at least one where the share is not zero."""
    return max(round(share * clean), 1) if share > 0 else 0


def _paperwork(city: CityDraw, n: int, rng: np.random.Generator) -> Events:
    """Rows that are no crime, anywhere in town and at any time."""
    return Events(
        x=rng.uniform(-city.places.half_x, city.places.half_x, size=n),
        y=rng.uniform(-city.places.half_y, city.places.half_y, size=n),
        day=rng.integers(len(city.calendar.day_share), size=n),
        second=draw_seconds(city.calendar, n, rng),
        crime=np.full(n, UNMAPPED),
    )


def _misplace(rows: Rows, which: Ints, longitude: Floats | float, latitude: Floats | float) -> None:
    rows.longitude[which] = longitude
    rows.latitude[which] = latitude
    rows.usable[which] = False


def _far_away(city: CityDraw, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    east, north = metres_per_degree(np.asarray(city.spec.latitude))
    distance, angle = rng.uniform(*_AWAY_M, size=n), rng.uniform(0, 2 * np.pi, size=n)
    return (
        city.spec.longitude + distance * np.cos(angle) / east,
        city.spec.latitude + distance * np.sin(angle) / north,
    )


def _repeat(rows: Rows, which: Ints) -> Rows:
    """Write some rows twice, the second right after the first; one of the two is usable."""
    times = np.ones(len(rows.number), dtype=np.int64)
    times[which] = 2
    index = np.repeat(np.arange(len(times)), times)
    again = np.concatenate([[False], np.diff(index) == 0])
    return replace(
        rows,
        number=rows.number[index],
        longitude=rows.longitude[index],
        latitude=rows.latitude[index],
        day=rows.day[index],
        second=rows.second[index],
        crime=rows.crime[index],
        bad_date=rows.bad_date[index],
        usable=rows.usable[index] & ~again,
    )
