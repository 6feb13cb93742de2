"""What a city's file probably is: a proposal for its part of the site file, with reasons and doubts.

Nothing here decides: an analyst reads the proposal, and ``evalkit site check`` accounts for every
row that it would leave out. Guesses rest on the first `MAX_ROWS` rows; only the encoding is tried
on the whole file. A doubt is a sentence about something that the file alone cannot settle.

Where things are
    guessing.sample     format, encoding, separator, and the first rows as text.
    guessing.headers    what a column's name says, in many languages.
    guessing.dates      date formats, and which number is the day.
    guessing.positions  decimal mark, degrees or lengths, bounds.
    guessing.crimes     categories as common crime types.
    guessing.roles      which column holds what.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import polars as pl

from evalkit.config import Source
from evalkit.readers.coordinates import read_coordinates
from evalkit.readers.dates import read_dates
from evalkit.readers.guessing.crimes import Categories, common_type, guess_categories
from evalkit.readers.guessing.dates import (
    DateGuess,
    Order,
    guess_clock,
    guess_dates,
    with_clock,
)
from evalkit.readers.guessing.headers import name_score, normalise, says_utc
from evalkit.readers.guessing.positions import (
    Bounds,
    Points,
    guess_bounds,
    numbers_of,
    zone_longitude,
)
from evalkit.readers.guessing.roles import (
    Kind,
    Place,
    find_area,
    find_crime_type,
    find_date,
    find_id,
    find_place,
    find_time,
)
from evalkit.readers.guessing.sample import MAX_ROWS, Sample, take_sample
from evalkit.readers.text import clean

__all__ = [
    "MAX_ROWS",
    "ROLES",
    "Bounds",
    "Categories",
    "Guess",
    "Kind",
    "Order",
    "Sample",
    "areas_agree",
    "common_type",
    "doubt_places",
    "guess_bounds",
    "guess_camera_kind",
    "guess_source",
    "join_bounds",
    "take_sample",
]

ROLES: Final[dict[Kind, tuple[str, ...]]] = {
    "incidents": ("date", "time", "longitude", "latitude", "id", "crime_type", "area"),
    "cameras": ("live_date", "longitude", "latitude", "id", "area"),
}
"""What columns can hold, as keys of the site file."""

MISSING: Final = Source(files=()).missing

SAME_EVENT: Final = 0.9
"""Share of repeated identifiers whose rows must be equal for the identifier to tell events apart."""

AREAS_AGREE: Final = 0.5
"""Share of the cameras' areas that must be among the incidents'."""

ZONE_REACH: Final = 45.0
"""Degrees that places lie at most from where their time zone's sun stands at noon. China's west is
the farthest, at 46 in summer terms; a lost minus sign is at least twice that in the Americas."""

TIMES_WIDER: Final = 3.0
"""A camera file that reaches this much farther than the incidents is another region's."""

_TRAFFIC: Final = re.compile(
    r"speed|red ?light|\btraffic|radar|enforce|fotomult|fotocomparend|fotodetec|lombada|blitzer"
    r"|autovelox|단속"
)
_WORLD: Final[Bounds] = (-180.0, -90.0, 180.0, 90.0)


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """A proposal for one source.

    Attributes:
        kind: incidents or cameras.
        sample: the rows it rests on.
        layout: every key of `Source`; ``files`` holds the file's name only.
        columns: role → column.
        others: role → further columns that could hold it, the likelier first.
        dates: how the date column is written, None without one, or if no format reads it.
        categories: categories of the crime-type column, None without one.
        duplicates: what tells the same event told twice.
        points: located rows, None without any.
        needs_crs: the coordinates are lengths, and nobody has named their system yet.
        why: key of the site file → one sentence.
        doubts: sentences on what a person should check.
    """

    kind: Kind
    sample: Sample
    layout: Source
    columns: dict[str, str]
    others: dict[str, tuple[str, ...]]
    dates: DateGuess | None
    categories: Categories | None
    duplicates: Literal["id", "row", "keep"]
    points: Points | None
    needs_crs: bool
    why: dict[str, str]
    doubts: tuple[str, ...]


def guess_source(
    kind: Kind,
    sample: Sample,
    zone: str,
    *,
    chosen: Mapping[str, str] | None = None,
    order: Order = "",
    crs: str = "",
    today: dt.date | None = None,
) -> Guess:
    """Propose how a file is to be read.

    Args:
        kind: what its rows are.
        sample: its first rows.
        zone: IANA name of the city's time zone.
        chosen: role → column that a person has chosen, empty for none; these are not guessed.
        order: which number of a date is the day, where the values allow both.
        crs: coordinate system of lengths, if a person has named it.
        today: incidents cannot be later.

    Raises:
        CoordinatesError: ``crs`` is no coordinate system.
    """
    chosen = chosen or {}
    text = {name: clean(sample.rows[name], MISSING) for name in sample.rows.columns}
    roles = _roles(kind, text, zone, chosen, today if kind == "incidents" else None)
    columns = roles.columns
    doubts = [*sample.doubts, *roles.doubts]
    why = dict(sample.why)
    dates = _dates(kind, text, columns, order, today)
    layout = _layout(sample.layout, text, columns, dates)
    if columns.get("time") and not _time_helps(text, columns, layout, dates):
        doubts.append(f'"{columns["time"]}" cannot be put behind the date, so that times are lost')
        columns = {role: name for role, name in columns.items() if role != "time"}
        layout = _layout(sample.layout, text, columns, dates)
    if crs:
        layout = msgspec.structs.replace(layout, crs=crs)
    needs_crs = roles.projected and not crs
    points = None if needs_crs else _points(text, columns, layout)
    categories = guess_categories(text[columns["crime_type"]]) if "crime_type" in columns else None
    duplicates, sentence = _duplicates(text, columns, categories)
    why["duplicates"] = sentence
    if dates:
        why["date_format"] = dates.why
    doubts += _date_doubts(kind, columns, dates, layout)
    return Guess(
        kind=kind,
        sample=sample,
        layout=layout,
        columns=columns,
        others=roles.others,
        dates=dates,
        categories=categories,
        duplicates=duplicates,
        points=points,
        needs_crs=needs_crs,
        why=why,
        doubts=tuple(doubts),
    )


def join_bounds(incidents: Guess, cameras: Guess) -> tuple[Bounds | None, str]:
    """Bounds around the incidents and the cameras, and a doubt if the two do not fit together."""
    boxes = [guess_bounds(one.points) for one in (incidents, cameras) if one.points is not None]
    if len(boxes) < 2:
        return (boxes[0] if boxes else None), ""
    (west, south, east, north), (west2, south2, east2, north2) = boxes
    joined = (min(west, west2), min(south, south2), max(east, east2), max(north, north2))
    wide = joined[2] - joined[0] > TIMES_WIDER * (east - west)
    high = joined[3] - joined[1] > TIMES_WIDER * (north - south)
    if wide or high:
        return boxes[0], "the cameras reach far beyond the incidents: are both files of one city?"
    return joined, ""


def doubt_places(bounds: Bounds, zone: str) -> str:
    """A doubt if the places do not lie where the time zone is, empty if they do.

    Bounds guessed from the points fit whatever the points are; only the time zone tells that
    longitudes have lost their sign, or changed places with latitudes.
    """
    longitude, expected = (bounds[0] + bounds[2]) / 2, zone_longitude(zone)
    apart = abs((longitude - expected + 180) % 360 - 180)
    if apart <= ZONE_REACH:
        return ""
    return (
        f"the places lie near longitude {longitude:.0f}, while {zone} lies near {expected:.0f}: "
        "has the file lost minus signs, are longitude and latitude exchanged, or is the time zone "
        "another city's?"
    )


def areas_agree(incidents: Guess, cameras: Guess) -> tuple[str, str] | None:
    """Columns of areas in both files that use the same names, None if there are none."""
    for mine in _area_columns(incidents):
        known = set(clean(incidents.sample.rows[mine], MISSING).drop_nulls().unique())
        for theirs in _area_columns(cameras):
            named = set(clean(cameras.sample.rows[theirs], MISSING).drop_nulls().unique())
            if named and len(named & known) >= AREAS_AGREE * len(named):
                return mine, theirs
    return None


def guess_camera_kind(sample: Sample) -> Literal["cctv", "traffic"]:
    """Whether the file's or its columns' names speak of traffic enforcement."""
    names = [sample.path.stem, *sample.rows.columns]
    return "traffic" if any(_TRAFFIC.search(normalise(name)) for name in names) else "cctv"


@dataclass(frozen=True, slots=True)
class _Roles:
    columns: dict[str, str]
    others: dict[str, tuple[str, ...]]
    projected: bool
    doubts: tuple[str, ...]


def _roles(
    kind: Kind,
    text: Mapping[str, pl.Series],
    zone: str,
    chosen: Mapping[str, str],
    today: dt.date | None,
) -> _Roles:
    """One column a role, in the order in which values tell most."""
    found: dict[str, str] = {role: name for role, name in chosen.items() if name}
    others: dict[str, tuple[str, ...]] = {}

    def free() -> dict[str, pl.Series]:
        return {name: values for name, values in text.items() if name not in found.values()}

    def settle(role: str, candidates: tuple[str, ...]) -> None:
        if role not in chosen and candidates:
            found[role], candidates = candidates[0], candidates[1:]
        others[role] = candidates[:5]

    settle("date" if kind == "incidents" else "live_date", find_date(free(), kind, today))
    place = _place(text, free(), zone, chosen)
    if place is not None:
        found |= {"longitude": place.x, "latitude": place.y}
    if kind == "incidents":
        settle("crime_type", find_crime_type(free()))
        settle("time", find_time(free()))
    settle("id", find_id(free()))
    areas = find_area(free())
    if place is None:
        settle("area", areas)
    else:
        others["area"] = areas
    return _Roles(
        columns={role: found[role] for role in ROLES[kind] if role in found},
        others=others,
        projected=place is not None and place.projected,
        doubts=(place.doubt,) if place is not None and place.doubt else (),
    )


def _place(
    text: Mapping[str, pl.Series],
    free: Mapping[str, pl.Series],
    zone: str,
    chosen: Mapping[str, str],
) -> Place | None:
    if "longitude" not in chosen and "latitude" not in chosen:
        return find_place(free, zone)
    x, y = chosen.get("longitude", ""), chosen.get("latitude", "")
    if not (x and y):
        return None
    numbers = [numbers_of(text[name], whole=True) for name in (x, y)]
    return Place(
        x, y, projected=any(found is not None and not found.in_degrees for found in numbers)
    )


def _dates(
    kind: Kind,
    text: Mapping[str, pl.Series],
    columns: Mapping[str, str],
    order: Order,
    today: dt.date | None,
) -> DateGuess | None:
    name = columns.get("date" if kind == "incidents" else "live_date")
    if name is None:
        return None
    # Cameras may be planned, so that a later date does not speak against a reading.
    limit = today if kind == "incidents" else None
    return guess_dates(text[name], epochs=True, order=order, today=limit)


def _layout(
    layout: Source,
    text: Mapping[str, pl.Series],
    columns: Mapping[str, str],
    dates: DateGuess | None,
) -> Source:
    settings: dict[str, object] = {}
    places = [columns[role] for role in ("longitude", "latitude") if role in columns]
    numbers = [numbers_of(text[name], whole=True) for name in places]
    if any(found is not None and found.decimal == "," for found in numbers):
        settings["decimal"] = ","
    if dates is not None:
        clock = guess_clock(text[columns["time"]]) if "time" in columns and dates.plain else ""
        settings["date_format"] = with_clock(dates.formats, clock) if clock else dates.formats
        settings["convert_zone"] = not (dates.has_offset and dates.has_time and dates.plain)
        timed = clock or not dates.plain
        clocks = [columns[role] for role in ("date", "live_date", "time") if role in columns]
        if timed and not dates.has_offset and any(map(says_utc, clocks)):
            settings["source_zone"] = "UTC"
    marks = _marks(text, columns, dates, places)
    if marks:
        settings["missing"] = (*MISSING, *marks)
    return msgspec.structs.replace(layout, **settings)


def _marks(
    text: Mapping[str, pl.Series],
    columns: Mapping[str, str],
    dates: DateGuess | None,
    places: list[str],
) -> list[str]:
    """What stands for nothing where a date or a number should: words, and zeros."""
    odd: list[pl.Series] = []
    name = columns.get("date") or columns.get("live_date")
    if name is not None and dates is not None:
        source = Source(files=(), date_format=dates.formats, convert_zone=False)
        odd.append(text[name].filter(read_dates(text[name], None, source, "UTC").unreadable))
    odd += [text[one].filter(_no_number(text[one])) for one in places]
    found = dict.fromkeys(value for series in odd for value in series.unique(maintain_order=True))
    return [value for value in found if not re.search(r"[1-9]", value)][:10]


def _no_number(values: pl.Series) -> pl.Series:
    number = values.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
    return values.is_not_null() & number.is_null()


def _time_helps(
    text: Mapping[str, pl.Series],
    columns: Mapping[str, str],
    layout: Source,
    dates: DateGuess | None,
) -> bool:
    """Whether date and time, put together, are read as well as the date alone."""
    if dates is None:
        return False
    as_written = msgspec.structs.replace(layout, convert_zone=False, source_zone="")
    read = read_dates(text[columns["date"]], text[columns["time"]], as_written, "UTC")
    present = len(read.date) - int(read.missing.sum())
    readable = present - int(read.unreadable.sum())
    return readable >= (dates.share - 0.05) * present and read.hour.null_count() < len(read.hour)


def _points(
    text: Mapping[str, pl.Series], columns: Mapping[str, str], layout: Source
) -> Points | None:
    if "longitude" not in columns or "latitude" not in columns:
        return None
    found = read_coordinates(text[columns["longitude"]], text[columns["latitude"]], layout, _WORLD)
    kept = found.located & ~found.off_earth & found.longitude.is_not_null()
    if not kept.any():
        return None
    return Points(found.longitude.filter(kept).to_numpy(), found.latitude.filter(kept).to_numpy())


def _duplicates(
    text: Mapping[str, pl.Series], columns: Mapping[str, str], categories: Categories | None
) -> tuple[Literal["id", "row"], str]:
    """Whether an identifier tells events apart: rows that share one are then equal.

    Categories are compared as common types: a second entry of one event is often worded anew.
    """
    if "id" not in columns:
        return "row", "the file has no identifier, so only rows equal in every column count as one"
    roles = [role for role in columns if role not in {"id", "area"}]
    rows = pl.DataFrame({role: text[columns[role]] for role in ("id", *roles)}).drop_nulls("id")
    if categories is not None and categories.mapped:
        rows = rows.with_columns(pl.col("crime_type").replace(categories.mapped))
    groups = rows.group_by("id").agg(
        pl.len().alias("rows"), pl.struct(roles).n_unique().alias("kinds")
    )
    repeated = groups.filter(pl.col("rows") > 1)
    if not repeated.height:
        return "id", "every row has an identifier of its own"
    same = repeated.filter(pl.col("kinds") == 1).height / repeated.height
    if same >= SAME_EVENT:
        return "id", "rows that share an identifier are equal otherwise: exported twice"
    return "row", (
        "rows that share an identifier differ otherwise (several charges of one case, perhaps), so "
        "only rows equal in every column count as one"
    )


def _date_doubts(
    kind: Kind, columns: Mapping[str, str], dates: DateGuess | None, layout: Source
) -> list[str]:
    name = columns.get("date") or columns.get("live_date")
    if name is None:
        undated = (
            "no column says since when the cameras are there; undated ones are neither treated "
        )
        return [f"{undated}nor controls"] if kind == "cameras" else []
    if dates is None:
        return [f'no known date format reads the column "{name}"']
    doubts = []
    named = name_score("date" if kind == "incidents" else "live_date", name)
    if named <= 0:
        other = (
            "speaks of a report or an entry, not of the deed" if named else "does not say of what"
        )
        doubts.append(f'"{name}" holds dates, but its name {other}')
    if dates.rival:
        doubts.append(
            f'the dates of "{name}" can be read as {layout.date_format[0]} and as {dates.rival}: '
            f"{dates.why}"
        )
    if dates.has_offset and not dates.plain:
        doubts.append(
            f'the times of "{name}" carry an offset or count from 1970 in UTC and are turned into '
            "local time; if the city writes local times all the same, set convert_zone = false"
        )
    return doubts


def _area_columns(guess: Guess) -> tuple[str, ...]:
    taken = guess.columns.get("area")
    return (*((taken,) if taken else ()), *guess.others.get("area", ()))
