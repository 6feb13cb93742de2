"""What a list of cameras cannot tell: those that were removed, those without a date, those put in later.

A list of the cameras that stand today leaves out the removed ones. A place whose camera came and went passes
for one that never had any, and only lasting sites are seen as treated (survivorship).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import polars as pl

from evalkit.core.frames import COUNT
from evalkit.quality.finding import Finding, fine, look, share, unknown

__all__ = ["default_date_finding", "recent_finding", "removal_finding", "undated_finding"]

MANY_UNDATED: Final = 0.05
"""Share of cameras without a date from which the places set apart because of them matter."""

RECENT_YEARS: Final = 3
MOSTLY_RECENT: Final = 0.8
"""A list most of whose dates lie in its last three years has probably been written anew."""

ONE_DAY: Final = 0.2
"""Share of cameras on one date from which it is probably that of a list, not of going live."""

FEW: Final = 20
"""Cameras below which nothing is said about their dates."""


def removal_finding(cameras: pl.DataFrame) -> Finding:
    """Whether any camera has a removal date."""
    if cameras.is_empty():
        return unknown("removed", "no_cameras")
    known = int(cameras.filter(pl.col("removed").is_not_null())[COUNT].sum())
    figures: dict[str, Any] = {"cameras": int(cameras[COUNT].sum()), "removed": known}
    return fine("removed", **figures) if known else look("removed", **figures)


def undated_finding(cameras: pl.DataFrame) -> Finding:
    """Whether too many cameras have no go-live date."""
    if cameras.is_empty():
        return unknown("undated", "no_cameras")
    everything = int(cameras[COUNT].sum())
    undated = int(cameras.filter(pl.col("live_date").is_null())[COUNT].sum())
    figures: dict[str, Any] = {
        "cameras": everything,
        "undated": undated,
        "undated_share": share(undated, everything),
    }
    worth = figures["undated_share"] >= MANY_UNDATED
    return look("undated", **figures) if worth else fine("undated", **figures)


def recent_finding(cameras: pl.DataFrame) -> Finding:
    """Whether nearly all go-live dates lie in the years just before the last one."""
    dated = cameras.drop_nulls("live_date")
    last = dated["live_date"].max()
    if not isinstance(last, dt.date):
        return unknown("recent", "no_dates" if cameras.height else "no_cameras")
    everything = int(dated[COUNT].sum())
    if everything < FEW:
        return unknown("recent", "few", rows=everything)
    start = last - dt.timedelta(days=round(365.25 * RECENT_YEARS))
    recent = int(dated.filter(pl.col("live_date") > start)[COUNT].sum())
    figures: dict[str, Any] = {
        "recent_share": share(recent, everything),
        "years": RECENT_YEARS,
        "last": last,
    }
    worth = figures["recent_share"] >= MOSTLY_RECENT
    return look("recent", **figures) if worth else fine("recent", **figures)


def default_date_finding(cameras: pl.DataFrame) -> Finding:
    """Whether one go-live date is shared by too many cameras to be true."""
    dated = cameras.drop_nulls("live_date")
    everything = int(dated[COUNT].sum())
    if not everything:
        return unknown("one_date", "no_dates" if cameras.height else "no_cameras")
    if everything < FEW:
        return unknown("one_date", "few", rows=everything)
    sums = dated.group_by("live_date").agg(pl.col(COUNT).cast(pl.Int64).sum())
    number, date = max((number, date) for date, number in sums.iter_rows())
    figures: dict[str, Any] = {
        "number": number,
        "day": date,
        "one_day_share": share(number, everything),
    }
    worth = figures["one_day_share"] >= ONE_DAY
    return look("one_date", **figures) if worth else fine("one_date", **figures)
