"""Times of day as a source writes them, and the years of rows that are left out: for the check of a city's data.

The normalised rows keep the hour only, and rows that are left out are not normalised; what a clerk or a form
put in place of an unknown time is seen in the minutes, and a change of geocoding in the rejected rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from evalkit.config import Incidents
from evalkit.readers.dates import read_dates
from evalkit.readers.parts import find_parts, gather, text_of
from evalkit.readers.records import SOURCE
from evalkit.readers.result import Read

__all__ = ["Times", "count_times", "read_times", "rejected_years"]

CLOCK: Final = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?\s*([AaPp])?"
"""The first clock of a value: hour, minute, second, and whether it is of twelve hours."""

EPOCHS: Final = {"epoch_s": 1, "epoch_ms": 1000}

DAY: Final = 86_400
HOUR: Final = 3_600

PLAIN_DATES: Final = 0.999
"""Share of midnights from which a column holds plain dates that were written with a clock."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times as they are written, before any change of zone.

    Attributes:
        times: values with a time.
        midnights: those exactly at midnight.
        full_hours: those at minute and second zero, midnights left out.
    """

    times: int
    midnights: int
    full_hours: int

    def __add__(self, other: Times) -> Times:
        """Those of two parts together."""
        return Times(
            self.times + other.times,
            self.midnights + other.midnights,
            self.full_hours + other.full_hours,
        )


def count_times(text: pl.Series, source: Incidents) -> Times:
    """Count the times in (N,) cleaned text, which is null where missing."""
    seconds = _of_epoch(text, source) if set(EPOCHS) & set(source.date_format) else _of_clock(text)
    known = seconds.drop_nulls()
    midnights = int((known == 0).sum())
    return Times(len(known), midnights, int((known % HOUR == 0).sum()) - midnights)


def read_times(source: Incidents, folder: Path) -> Times | None:
    """Count the times of all parts of a source.

    Returns:
        None where there are no times: no column with a clock, plain dates that are all written with
        midnight, or a database, whose query is not run twice for it.

    Raises:
        ReadError: as the reading of incidents.
    """
    if source.database:
        return None
    names = source.columns
    total = Times(0, 0, 0)
    for part in find_parts(source, folder):
        text = gather(part, source, {"clock": names.time or names.date}).text["clock"]
        total += count_times(text, source)
    return None if total.midnights >= PLAIN_DATES * total.times else total


def rejected_years(read: Read, source: Incidents, city_zone: str) -> pl.DataFrame:
    """``year`` and ``reason`` of the rejected rows whose date can be read."""
    names = source.columns
    roles: Mapping[str, str] = {
        role: name for role, name in (("date", names.date), ("time", names.time)) if name
    }
    rejected = read.rejected
    # A source's own column of a name that the file of rejected rows uses keeps its prefix.
    columns = {
        name: next((one for one in (f"{SOURCE}{name}", name) if one in rejected.columns), "")
        for name in roles.values()
    }
    if not all(columns.values()) or rejected.is_empty():
        return pl.DataFrame(schema={"year": pl.Int32(), "reason": pl.String()})
    written = rejected.select(pl.col(column).alias(name) for name, column in columns.items())
    text = text_of(written, roles, source.missing)
    dates = read_dates(text["date"], text["time"] if names.time else None, source, city_zone)
    return pl.DataFrame({"year": dates.date.dt.year(), "reason": rejected["reason"]}).drop_nulls(
        "year"
    )


def _of_clock(text: pl.Series) -> pl.Series:
    """(N,) seconds of the day, null without a clock."""
    parts = (
        text.str.extract_groups(CLOCK)
        .struct.rename_fields(["hour", "minute", "second", "half"])
        .struct.unnest()
    )
    number = {
        name: pl.col(name).cast(pl.Int64, strict=False) for name in ("hour", "minute", "second")
    }
    twelve = (
        pl.when(pl.col("half").is_null())
        .then(number["hour"])
        .when(pl.col("half").str.to_lowercase() == "p")
        .then(number["hour"] % 12 + 12)
        .otherwise(number["hour"] % 12)
    )
    seconds = twelve * HOUR + number["minute"] * 60 + number["second"].fill_null(0)
    return parts.select(seconds.alias("seconds"))["seconds"]


def _of_epoch(text: pl.Series, source: Incidents) -> pl.Series:
    form = next(one for one in source.date_format if one in EPOCHS)
    return (text.cast(pl.Float64, strict=False) // EPOCHS[form]).cast(pl.Int64) % DAY
