"""Incidents of a city: files in, typed rows and an account of every other row out."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from evalkit.config import Incidents, Site
from evalkit.core.frames import INCIDENTS
from evalkit.readers.crime_types import read_crime_types
from evalkit.readers.dates import check_readable, date_notes, read_dates
from evalkit.readers.duplicates import repeated
from evalkit.readers.files import gather
from evalkit.readers.places import read_places
from evalkit.readers.rejection import first_reason
from evalkit.readers.result import Read, conclude

__all__ = ["read_incidents"]


def read_incidents(site: Site, folder: Path) -> Read:
    """Read the city's incidents.

    Args:
        site: how the source is laid out and what its columns mean.
        folder: where the source's files lie; ``site.incidents.files`` are relative to it.

    Returns:
        Rows under `evalkit.core.frames.INCIDENTS`, in the order of the files.

    Raises:
        ReadError: a file cannot be read at all, or is not what the site file says.
        ConfigError: a format, time zone or mapping of the site file cannot be understood.
    """
    source = site.incidents
    names = source.columns
    gathered = gather(source, names, folder)
    text, file = gathered.text, gathered.position["file"]
    length = text.height
    dates = read_dates(
        text["date"], text["time"] if names.time else None, source, site.city.time_zone
    )
    check_readable(dates, file, gathered.files, names.date, source, site.city.time_zone)
    types = read_crime_types(text["crime_type"] if names.crime_type else None, length, source)
    places = read_places(gathered, source, names, site.city.bounds)
    reason = first_reason(
        {
            "missing_date": dates.missing,
            "unreadable_date": dates.unreadable,
            "unmapped_type": types.unmapped,
            **places.conditions,
        }
    )
    otherwise_used = reason.is_null()
    same = repeated(text, ["id"] if source.duplicates == "id" else text.columns, otherwise_used)
    if source.duplicates != "keep":
        reason = reason.set(same, "duplicate")
    return conclude(
        gathered,
        reason,
        {"date": dates.date, "hour": dates.hour, "crime_type": types.crime_type, **places.columns},
        INCIDENTS,
        [
            *date_notes(dates, otherwise_used, hours_matter=True),
            *_type_notes(types.unmapped, types.unused),
            *places.notes,
            *_duplicate_notes(int(same.sum()), source),
        ],
    )


def _type_notes(unmapped: pl.Series, unused: tuple[str, ...]) -> list[str]:
    notes = []
    count = int(unmapped.sum())
    if count:
        notes.append(
            f"{count:,} of {len(unmapped):,} rows have a crime type the site file does not map"
        )
    if unused:
        named = ", ".join(f'"{name}"' for name in unused)
        notes.append(f"no row has these crime types of the site file: {named}")
    return notes


def _duplicate_notes(count: int, source: Incidents) -> list[str]:
    if not count:
        return []
    if source.duplicates == "keep":
        return [f"{count:,} rows equal an earlier one in every column that is read; they are kept"]
    return []
