"""Rows as a portal's own table: its headers, its categories, its dates, its identifiers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.simulate.cameras import Group
from evalkit.simulate.draw import CityDraw
from evalkit.simulate.geo import to_degrees
from evalkit.simulate.incidents import CRIMES
from evalkit.simulate.layout import Layout, Portal
from evalkit.simulate.messy import UNMAPPED, Rows

__all__ = ["camera_table", "incident_table"]

Ints = NDArray[np.int64]


def incident_table(
    city: CityDraw, rows: Rows, portal: Portal, rng: np.random.Generator
) -> pl.DataFrame:
    """The incident file's table, columns in the portal's order."""
    layout = portal.incidents
    instants = _instants(city.calendar.start, rows, city.spec.time_zone)
    local = instants.dt.convert_time_zone(city.spec.time_zone)
    columns = {
        "id": _identify(portal.incident_id, rows.number, local.dt.year()),
        "date": _garble(_write_times(instants, local, layout), rows, portal, rng),
        "time": local.dt.strftime(layout.time_written) if layout.time_written else local,
        "crime_type": _categories(rows, portal, rng),
        "extra": pl.Series(rng.choice(portal.incident_extra, size=len(rows.number))),
        "longitude": _coordinates(rows.longitude, layout),
        "latitude": _coordinates(rows.latitude, layout),
    }
    table = pl.DataFrame({layout.columns[key]: columns[key] for key in layout.columns})
    return table.reverse() if portal.newest_first else table


def camera_table(city: CityDraw, portal: Portal, rng: np.random.Generator) -> pl.DataFrame:
    """The camera file's table, columns in the portal's order and rows in none."""
    layout, cameras = portal.cameras, city.cameras
    longitude, latitude = to_degrees(
        cameras.row_x, cameras.row_y, longitude=city.spec.longitude, latitude=city.spec.latitude
    )
    dates = [
        None if group is Group.UNDATED else city.calendar.start + dt.timedelta(days=int(day))
        for day, group in zip(cameras.live_day, cameras.group, strict=True)
    ]
    live = pl.Series(dates, dtype=pl.Date)[cameras.row_site]
    columns = {
        "id": _identify(portal.camera_id, np.arange(1, len(live) + 1), live.dt.year()),
        "live_date": live if layout.written == "typed" else live.dt.strftime(layout.written),
        "extra": pl.Series(rng.choice(portal.camera_extra, size=len(live))),
        "longitude": _coordinates(longitude, layout),
        "latitude": _coordinates(latitude, layout),
    }
    table = pl.DataFrame({layout.columns[key]: columns[key] for key in layout.columns})
    return table[rng.permutation(len(live))]


def _instants(start: dt.date, rows: Rows, zone: str) -> pl.Series:
    """Instants of local days and seconds; an hour that a clock change skips is the next one."""
    origin = (start - dt.date(1970, 1, 1)).days
    naive = pl.Series(((origin + rows.day) * 86_400 + rows.second) * 1_000).cast(pl.Datetime("ms"))

    def localise(series: pl.Series) -> pl.Series:
        return series.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")

    local = localise(naive)
    later = localise(naive.dt.offset_by("1h"))
    return local.zip_with(local.is_not_null(), later).dt.convert_time_zone("UTC")


def _write_times(instants: pl.Series, local: pl.Series, layout: Layout) -> pl.Series:
    shown = instants if layout.clock == "utc" else local
    match layout.written:
        case "typed":
            return shown
        case "epoch_s":
            return shown.dt.epoch("s")
        case "epoch_ms":
            return shown.dt.epoch("ms")
        case pattern:
            return shown.dt.strftime(pattern)


def _garble(dates: pl.Series, rows: Rows, portal: Portal, rng: np.random.Generator) -> pl.Series:
    choice = rng.integers(len(portal.bad_dates), size=len(dates))
    # A column of numbers must become text before a word can stand in it.
    if any(word is not None for word in portal.bad_dates):
        dates = dates.cast(pl.String)
    words = pl.Series(portal.bad_dates, dtype=dates.dtype)[choice]
    return dates.zip_with(pl.Series(~rows.bad_date), words)


def _categories(rows: Rows, portal: Portal, rng: np.random.Generator) -> pl.Series:
    """The portal's word for each record; the first word of a type is the commonest."""
    words = np.empty(len(rows.crime), dtype=object)
    for index, options in [
        *enumerate(portal.categories[crime] for crime in CRIMES),
        (UNMAPPED, portal.unmapped),
    ]:
        which = rows.crime == index
        odds = 1 / np.arange(1, len(options) + 1)
        words[which] = rng.choice(options, size=int(which.sum()), p=odds / odds.sum())
    # Numbers ascend and a duplicate follows its original, so this finds each record's first row.
    record = np.searchsorted(rows.number, rows.number)
    return pl.Series(words[record].tolist(), dtype=pl.String)


def _identify(pattern: str, number: Ints, year: pl.Series) -> pl.Series:
    if pattern == "{number}":
        return pl.Series(number)
    values: Sequence[str] = [
        pattern.format(number=n, year=y)
        for n, y in zip(number.tolist(), year.to_list(), strict=True)
    ]
    return pl.Series(values, dtype=pl.String)


def _coordinates(degrees: NDArray[np.float64], layout: Layout) -> pl.Series:
    return pl.Series(np.round(degrees, layout.decimals)).fill_nan(None)
