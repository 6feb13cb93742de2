"""Cameras of a city: sources in, typed rows and an account of every other row out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from evalkit.config import Cameras, City, Site
from evalkit.core.frames import ATTRIBUTE, CAMERAS, COUNT, cameras_with
from evalkit.readers.cache import RowCache
from evalkit.readers.counts import read_counts
from evalkit.readers.dates import date_notes
from evalkit.readers.live_dates import date_roles, live_date_notes, read_live_dates
from evalkit.readers.naming import common_names
from evalkit.readers.parts import find_parts, gather
from evalkit.readers.places import place_notes, read_places
from evalkit.readers.protocol import Part
from evalkit.readers.records import Records, make_records, read_parts
from evalkit.readers.rejection import first_reason
from evalkit.readers.result import Read, conclude, no_source, total_facts

__all__ = ["read_cameras"]

_ONLY: Final = "only "


def read_cameras(site: Site, folder: Path, cache: RowCache | None = None) -> Read:
    """Read the city's cameras.

    A camera without a live date is kept, with null: it must not become a control. One whose live date is
    present but unreadable is rejected, as taking it for undated would hide an error. Equal rows are all
    kept, as several cameras can hang at one place; the panel merges places.

    Args:
        site: how the source is laid out and what its columns mean.
        folder: where the source's files lie; ``site.cameras.files`` are relative to it.
        cache: parts that were understood before; without one everything is read. The result is the
            same.

    Returns:
        Rows under `evalkit.core.frames.cameras_with` the source's attributes, in the order of the
        files; none, under `CAMERAS`, if the site file names no cameras.

    Raises:
        ReadError: a file or database cannot be read, or is not what the site file says.
        ConfigError: a format or time zone of the site file cannot be understood.
    """
    source = site.cameras
    if source is None:
        return no_source(CAMERAS, "the site file names no cameras, so that no panel can be built")
    parts = find_parts(source, folder)
    keep = cache.of(source, site.city) if cache else None
    found = read_parts(parts, partial(_understand, source, site.city), keep)
    facts = total_facts(found)
    return conclude(
        [part.name for part in parts],
        [_with_ids(part, records) for part, records in zip(parts, found, strict=True)],
        cameras_with(source.attributes),
        [
            *live_date_notes(facts, source),
            *_undated_note(facts),
            *date_notes(facts, hours_matter=False),
            *place_notes(facts),
        ],
    )


def _roles(source: Cameras) -> dict[str, str]:
    """Role → column; beside the roles of the site file those of dates, attributes and ``only``."""
    names = source.columns
    whole = {role: getattr(names, role) for role in ("id", "longitude", "latitude", "area", COUNT)}
    return {
        **{role: name for role, name in whole.items() if name},
        **date_roles(source),
        **{f"{ATTRIBUTE}{name}": name for name in source.attributes},
        **{f"{_ONLY}{name}": name for name in source.only},
    }


def _understand(source: Cameras, city: City, part: Part) -> Records:
    names = source.columns
    gathered = gather(part, source, _roles(source))
    text = gathered.text
    dates = read_live_dates(gathered, source, city)
    places = read_places(gathered, source, city.bounds)
    counts = read_counts(text[COUNT] if names.count else None, text.height, source)
    reason = first_reason(
        {
            **dates.conditions,
            **counts.conditions,
            "other_purpose": _other_purpose(text, source),
            **places.conditions,
        }
    )
    useful = reason.is_null()
    return make_records(
        gathered,
        reason,
        {
            "id": text["id"] if names.id else _nothing(text.height),
            "live_date": dates.live,
            "removed": dates.removed,
            COUNT: counts.count,
            **places.columns,
            **{name: text[name] for name in text.columns if name.startswith(ATTRIBUTE)},
        },
        cameras_with(source.attributes),
        {
            **dates.facts(source, useful),
            **places.facts,
            "used": int(useful.sum()),
            "undated": int((dates.missing & useful).sum()),
        },
    )


def _other_purpose(text: pl.DataFrame, source: Cameras) -> pl.Series:
    """(N,) Boolean: rows that ``only`` does not let pass in one of its columns."""
    other = pl.repeat(value=False, n=text.height, eager=True)
    for name, values in source.only.items():
        same = {value: value for value in values}
        other |= common_names(text[f"{_ONLY}{name}"], same, "only").is_null()
    return other


def _with_ids(part: Part, records: Records) -> Records:
    """The source's ids; where it has none, file and row, so that a camera can be found again."""
    made = pl.format("{}:{}", pl.lit(part.name), "row")
    return replace(records, table=records.table.with_columns(pl.col("id").fill_null(made)))


def _undated_note(facts: Mapping[str, int]) -> Sequence[str]:
    undated, used = facts["undated"], facts["used"]
    return [f"{undated:,} of {used:,} cameras have no live date"] if undated else []


def _nothing(length: int) -> pl.Series:
    return pl.repeat(None, length, dtype=pl.String(), eager=True)
