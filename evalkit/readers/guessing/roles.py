"""Which column holds what: by its name and by its values, each role in turn."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from evalkit.readers.guessing.crimes import guess_categories
from evalkit.readers.guessing.dates import guess_clock, guess_dates
from evalkit.readers.guessing.headers import Role, name_score
from evalkit.readers.guessing.positions import Numbers, numbers_of, zone_longitude

__all__ = ["Kind", "Place", "find_area", "find_crime_type", "find_date", "find_id", "find_place",
           "find_time"]  # fmt: skip

Kind = Literal["incidents", "cameras"]
Text = Mapping[str, pl.Series]
"""Column → (N,) cleaned text."""

MOST_CATEGORIES: Final = 400
"""Distinct values beyond which a column is free text, not categories."""

REPEATED: Final = 0.2
"""Distinct values relative to rows, beyond which values do not repeat as categories do."""

NAMED: Final = 50
"""Name score with which a column counts as the crime type though no value is understood."""

DISTINCT: Final = 0.5
"""Distinct values relative to rows that an identifier needs."""


@dataclass(frozen=True, slots=True)
class Place:
    """Columns of the coordinates.

    Attributes:
        x, y: names of the columns of longitude and latitude, or of easting and northing.
        projected: whether they are lengths, in a system that a person must name.
        doubt: a sentence, empty if names and values agree.
    """

    x: str
    y: str
    projected: bool = False
    doubt: str = ""


def find_date(text: Text, kind: Kind, today: dt.date | None) -> tuple[str, ...]:
    """Columns of dates, the likeliest first. Epochs need a name that speaks of a time.

    A column whose name speaks against it comes last among incidents' (a report's date is better
    than none) and not at all among cameras' (a file's date of issue is no first day).
    """
    role: Role = "date" if kind == "incidents" else "live_date"

    def score(name: str) -> float:
        named = name_score(role, name)
        if named < 0 and kind == "cameras":
            return 0.0
        found = guess_dates(text[name], epochs=named > 0, today=today)
        if found is None:
            return 0.0
        present = 1.0 - text[name].null_count() / max(len(text[name]), 1)
        return 100.0 + named + 20 * found.share + 30 * present + 10 * (not found.plain)

    return _ranked([name for name in text if _has_digits(text[name])], score)


def find_time(text: Text) -> tuple[str, ...]:
    """Columns of times of day whose name says so."""
    return _ranked(
        text,
        lambda name: name_score("time", name) if guess_clock(text[name]) else 0,
    )


def find_place(text: Text, zone: str) -> Place | None:
    """Columns of coordinates: degrees by name, lengths by name, degrees by value."""
    numbers = {name: found for name in text if (found := numbers_of(text[name])) is not None}
    x = _named(numbers, "longitude")
    y = _named({name: found for name, found in numbers.items() if name != x}, "latitude")
    if x and y:
        if abs(numbers[y].middle) > 90 >= abs(numbers[x].middle):
            doubt = f"{_both(x, y)} seem to have each other's values, so they are exchanged here"
            return Place(y, x, doubt=doubt)
        if abs(numbers[y].middle) <= 90:
            return Place(x, y)
    whole = {name: found for name in text if (found := numbers_of(text[name], whole=True))}
    lengths = {name: found for name, found in whole.items() if not found.in_degrees}
    easting, northing = _best(lengths, "easting"), _best(lengths, "northing")
    if easting and northing and easting != northing:
        return Place(easting, northing, projected=True)
    return _by_value({name: found for name, found in numbers.items() if found.a_city}, zone)


def find_id(text: Text) -> tuple[str, ...]:
    """Columns of identifiers: named so, and mostly distinct."""

    def score(name: str) -> float:
        named = name_score("id", name)
        present = text[name].drop_nulls()
        distinct = present.n_unique() / max(len(present), 1)
        full = len(present) / max(len(text[name]), 1)
        return named + 20 * distinct if named > 0 and distinct >= DISTINCT and full > 0.9 else 0

    return _ranked(text, score)


def find_crime_type(text: Text) -> tuple[str, ...]:
    """Columns of categories: those whose values are understood, then those that are named so."""

    def score(name: str) -> float:
        if not _repeats(text[name]):
            return 0
        named, share = name_score("crime_type", name), guess_categories(text[name]).share
        understood = share > 0.5 or (share > 0 and named > 0)
        return max(named, 0) + 100 * share if understood else (named if named >= NAMED else 0)

    return _ranked(text, score)


def find_area(text: Text) -> tuple[str, ...]:
    """Columns of areas: named so, with values that repeat."""
    return _ranked(text, lambda name: name_score("area", name) if _repeats(text[name]) else 0)


def _ranked(
    names: Mapping[str, object] | list[str], score: Callable[[str], float]
) -> tuple[str, ...]:
    scores = {name: score(name) for name in names}
    return tuple(sorted((n for n in scores if scores[n] > 0), key=lambda name: -scores[name]))


def _has_digits(values: pl.Series) -> bool:
    share = values.drop_nulls().head(1000).str.contains(r"\d").mean()
    return isinstance(share, float) and share > 0.5


def _repeats(values: pl.Series) -> bool:
    present = values.drop_nulls()
    distinct = present.n_unique()
    few = distinct <= max(REPEATED * len(present), 20)
    return bool(distinct) and few and distinct <= MOST_CATEGORIES


def _named(numbers: Mapping[str, Numbers], role: Role) -> str:
    """The column in degrees that is named best, one that spreads as a city does if there is one."""
    degrees = {name: found for name, found in numbers.items() if found.in_degrees}
    return _best({n: f for n, f in degrees.items() if f.a_city}, role) or _best(degrees, role)


def _best(numbers: Mapping[str, Numbers], role: Role) -> str:
    named = _ranked(list(numbers), lambda name: name_score(role, name))
    return named[0] if named else ""


def _by_value(numbers: Mapping[str, Numbers], zone: str) -> Place | None:
    """Two columns that spread as a city's degrees do; which is which by the time zone."""
    if len(numbers) != 2:
        return None
    (first, one), (second, other) = numbers.items()
    expected = zone_longitude(zone)
    straight = abs(one.middle - expected) + 90 * (abs(other.middle) > 90)
    crossed = abs(other.middle - expected) + 90 * (abs(one.middle) > 90)
    x, y = (first, second) if straight <= crossed else (second, first)
    doubt = f"no name says which of {_both(first, second)} is the longitude: by the time zone, {_quoted(x)}"
    return Place(x, y, doubt=doubt)


def _both(one: str, other: str) -> str:
    return f"{_quoted(one)} and {_quoted(other)}"


def _quoted(name: str) -> str:
    return f'"{name}"'
