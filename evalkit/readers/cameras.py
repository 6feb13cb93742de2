"""Cameras of a city: files in, typed rows and an account of every other row out."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from evalkit.config import Site
from evalkit.core.frames import CAMERAS
from evalkit.readers.dates import check_readable, date_notes, read_dates
from evalkit.readers.files import Gathered, gather
from evalkit.readers.places import read_places
from evalkit.readers.rejection import first_reason
from evalkit.readers.result import Read, conclude

__all__ = ["read_cameras"]


def read_cameras(site: Site, folder: Path) -> Read:
    """Read the city's cameras.

    A camera without a live date is kept, with null: it must not become a control. One whose live date is
    present but unreadable is rejected, as taking it for undated would hide an error. Equal rows are all
    kept, as several cameras can hang at one place; the panel merges places.

    Args:
        site: how the source is laid out and what its columns mean.
        folder: where the source's files lie; ``site.cameras.files`` are relative to it.

    Returns:
        Rows under `evalkit.core.frames.CAMERAS`, in the order of the files.

    Raises:
        ReadError: a file cannot be read at all, or is not what the site file says.
        ConfigError: a format or time zone of the site file cannot be understood.
    """
    source = site.cameras
    names = source.columns
    gathered = gather(source, names, folder)
    text, file = gathered.text, gathered.position["file"]
    written = text["live_date"] if names.live_date else _nothing(text.height)
    dates = read_dates(written, None, source, site.city.time_zone)
    check_readable(dates, file, gathered.files, names.live_date, source, site.city.time_zone)
    places = read_places(gathered, source, names, site.city.bounds)
    reason = first_reason({"unreadable_date": dates.unreadable, **places.conditions})
    used = reason.is_null()
    undated = int((dates.missing & used).sum())
    return conclude(
        gathered,
        reason,
        {"id": _ids(gathered), "live_date": dates.date, **places.columns},
        CAMERAS,
        [
            *([f"{undated:,} of {int(used.sum()):,} cameras have no live date"] if undated else []),
            *date_notes(dates, used, hours_matter=False),
            *places.notes,
        ],
    )


def _ids(gathered: Gathered) -> pl.Series:
    """The source's ids; where it has none, file and row, so that a camera can be found again."""
    place = pl.format(
        "{}:{}",
        pl.col("file").replace_strict(dict(enumerate(gathered.files)), return_dtype=pl.String()),
        pl.col("row"),
    )
    made = gathered.position.select(place).to_series()
    if "id" not in gathered.text.columns:
        return made
    return gathered.text["id"].zip_with(gathered.text["id"].is_not_null(), made)


def _nothing(length: int) -> pl.Series:
    return pl.repeat(None, length, dtype=pl.String(), eager=True)
