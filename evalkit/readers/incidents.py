"""Incidents of a city: sources in, typed rows and an account of every other row out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import polars as pl

from evalkit.config import Incidents, Site
from evalkit.core.frames import COUNT, INCIDENTS
from evalkit.readers.cache import RowCache
from evalkit.readers.counts import read_counts
from evalkit.readers.crime_types import CrimeTypes, read_crime_types
from evalkit.readers.dates import check_readable, date_facts, date_notes, read_dates
from evalkit.readers.duplicates import digests, find_repeated
from evalkit.readers.parts import Gathered, find_parts, gather, roles_of, text_of
from evalkit.readers.places import place_notes, read_places
from evalkit.readers.protocol import Part
from evalkit.readers.records import SAME, SOURCE, Records, make_records, read_parts
from evalkit.readers.rejection import first_reason
from evalkit.readers.result import Read, conclude, total_facts

__all__ = ["compared", "incident_notes", "read_incidents", "understand"]


def read_incidents(site: Site, folder: Path, cache: RowCache | None = None) -> Read:
    """Read the city's incidents.

    Args:
        site: how the source is laid out and what its columns mean.
        folder: where the source's files lie; ``site.incidents.files`` are relative to it.
        cache: parts that were understood before; without one everything is read. The result is the
            same.

    Returns:
        Rows under `evalkit.core.frames.INCIDENTS`, in the order of the files.

    Raises:
        ReadError: a file or database cannot be read, or is not what the site file says.
        ConfigError: a format, time zone or mapping of the site file cannot be understood.
    """
    source = site.incidents
    parts = find_parts(source, folder)
    keep = cache.of(source, site.city) if cache else None
    found = read_parts(parts, partial(_understand, site), keep)
    repeated = find_repeated(found, compared(source), partial(_text, source))
    facts = total_facts(found)
    return conclude(
        [part.name for part in parts],
        found,
        INCIDENTS,
        [*incident_notes(facts, source), *_duplicate_notes(repeated.height, source)],
        repeated if source.duplicates != "keep" else None,
    )


def _understand(site: Site, part: Part) -> Records:
    gathered = gather(part, site.incidents, roles_of(site.incidents.columns))
    return understand(site, gathered)


def understand(site: Site, gathered: Gathered, *, whole: bool = True) -> Records:
    """What the incidents of a part mean, and what speaks against using them.

    Args:
        site: what the columns mean.
        gathered: the part as text.
        whole: whether it is a whole part, which is refused if most of it is wrong in the same way.

    Raises:
        ReadError: dates or positions are wrong in a systematic way.
    """
    source = site.incidents
    names = source.columns
    text = gathered.text
    dates = read_dates(
        text["date"], text["time"] if names.time else None, source, site.city.time_zone
    )
    if whole:
        check_readable(dates, gathered.name, names.date, source, site.city.time_zone)
    types = read_crime_types(text["crime_type"] if names.crime_type else None, text.height, source)
    places = read_places(gathered, source, site.city.bounds, whole=whole)
    counts = read_counts(text["count"] if names.count else None, text.height, source)
    reason = first_reason(
        {
            "missing_date": dates.missing,
            "unreadable_date": dates.unreadable,
            "unmapped_type": types.unmapped,
            **counts.conditions,
            **places.conditions,
        }
    )
    useful = reason.is_null()
    return make_records(
        gathered,
        reason,
        {
            "date": dates.date,
            "hour": dates.hour,
            "crime_type": types.crime_type,
            COUNT: counts.count,
            SAME: digests(text, compared(source), useful),
            **places.columns,
        },
        INCIDENTS,
        {**date_facts(dates, useful), **_type_facts(types), **places.facts},
    )


def compared(source: Incidents) -> list[str]:
    """Roles whose columns must be equal in two rows that tell of the same event."""
    return ["id"] if source.duplicates == "id" else list(roles_of(source.columns))


def incident_notes(facts: Mapping[str, int], source: Incidents) -> list[str]:
    """Sentences about what was counted over all parts."""
    return [
        *date_notes(facts, hours_matter=True),
        *_type_notes(facts, source),
        *place_notes(facts),
    ]


def _text(source: Incidents, written: pl.DataFrame) -> pl.DataFrame:
    return text_of(written, roles_of(source.columns), source.missing, prefix=SOURCE)


def _type_facts(types: CrimeTypes) -> dict[str, int]:
    return {
        "rows": len(types.unmapped),
        "unmapped": int(types.unmapped.sum()),
        **{f"category {name}": 1 for name in types.met},
    }


def _type_notes(facts: Mapping[str, int], source: Incidents) -> list[str]:
    notes = []
    count = facts["unmapped"]
    if count:
        notes.append(
            f"{count:,} of {facts['rows']:,} rows have a crime type the site file does not map"
        )
    unused = [name for name in source.crime_types if not facts.get(f"category {name}")]
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
