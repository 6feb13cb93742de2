"""When cameras went live and when they were taken down, and which of these dates cannot be.

Several columns may hold live dates: row by row the first that can be read counts. A row is refused
only if something is written and nothing of it can be read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from evalkit.config import Cameras, City
from evalkit.readers.dates import Dates, check_readable, date_facts, read_dates
from evalkit.readers.parts import Gathered

__all__ = ["LiveDates", "date_roles", "live_date_notes", "read_live_dates"]

FROM: Final = "live dates from column "
IMPOSSIBLE: Final = "impossible dates"
UNCHECKED: Final = "unreadable reference dates"
REMOVED: Final = "removed cameras"


@dataclass(frozen=True, slots=True, eq=False)
class LiveDates:
    """Dates of N cameras.

    Attributes:
        live, removed: (N,) Date, null where unknown.
        missing: (N,) Boolean, whether no live date is written.
        conditions: reason for rejecting a row → (N,) Boolean.
        dates: the live dates, for `evalkit.readers.dates.date_facts`.
        source: (N,) position of the column that gave the live date, null without one.
        unchecked: number of reference dates that cannot be read.
    """

    live: pl.Series
    removed: pl.Series
    missing: pl.Series
    conditions: dict[str, pl.Series]
    dates: Dates
    source: pl.Series
    unchecked: int

    def facts(self, cameras: Cameras, useful: pl.Series) -> dict[str, int]:
        """Counts for `live_date_notes` and `date_notes`, of the rows ``useful`` (N,)."""
        names = cameras.columns.live_dates
        given = self.source.filter(useful)
        return {
            **date_facts(self.dates, useful),
            **{f"{FROM}{name}": int((given == index).sum()) for index, name in enumerate(names)},
            IMPOSSIBLE: int(self.conditions["impossible_date"].sum()),
            UNCHECKED: self.unchecked,
            REMOVED: int((self.removed.is_not_null() & useful).sum()),
        }


def date_roles(cameras: Cameras) -> dict[str, str]:
    """Role → column of every date of the cameras."""
    columns = cameras.columns
    others = {"removed": columns.removed, "reference_date": columns.reference_date}
    return {
        **{_role(index): name for index, name in enumerate(columns.live_dates)},
        **{role: name for role, name in others.items() if name},
    }


def read_live_dates(gathered: Gathered, cameras: Cameras, city: City) -> LiveDates:
    """Read the dates of all cameras of a part.

    Raises:
        UnreadableDatesError: most dates cannot be read.
        ConfigError: a format that is no format, or an unknown time zone.
    """
    text, columns = gathered.text, cameras.columns
    nothing = pl.repeat(None, text.height, dtype=pl.String(), eager=True)

    def read(role: str, name: str) -> Dates:
        return read_dates(text[role] if name else nothing, None, cameras, city.time_zone)

    def check(dates: Dates, name: str) -> None:
        check_readable(dates, gathered.name, name, cameras, city.time_zone)

    every = [read(_role(index), name) for index, name in enumerate(columns.live_dates)]
    dates, source = _first_readable(every or [read("", "")])
    check(dates, '", "'.join(columns.live_dates))
    removed = read("removed", columns.removed)
    check(removed, columns.removed)
    reference = read("reference_date", columns.reference_date)
    check(reference, columns.reference_date)
    latest = reference.date
    if cameras.last_day is not None:
        latest = _earlier(latest, cameras.last_day)
    impossible = (dates.date > latest).fill_null(value=False)
    impossible |= (removed.date < dates.date).fill_null(value=False)
    return LiveDates(
        live=dates.date,
        removed=removed.date,
        missing=dates.missing,
        conditions={
            "unreadable_date": dates.unreadable | removed.unreadable,
            "impossible_date": impossible,
        },
        dates=dates,
        source=source,
        unchecked=int(reference.unreadable.sum()),
    )


def live_date_notes(facts: Mapping[str, int], cameras: Cameras) -> list[str]:
    """Sentences about what `LiveDates.facts` has counted."""
    notes = []
    names = cameras.columns.live_dates
    if len(names) > 1:
        counts = ", ".join(f'{facts.get(f"{FROM}{name}", 0):,} from "{name}"' for name in names)
        notes.append(f"live dates by column, the first readable one counts: {counts}")
    if facts.get(IMPOSSIBLE):
        notes.append(
            f"{facts[IMPOSSIBLE]:,} cameras have an impossible date and are left out; the places "
            "where they stand must not be taken for places without a camera"
        )
    if facts.get(UNCHECKED):
        notes.append(
            f'{facts[UNCHECKED]:,} values of "{cameras.columns.reference_date}" cannot be read; the '
            "live dates of their rows are not checked"
        )
    if facts.get(REMOVED):
        notes.append(f"{facts[REMOVED]:,} cameras have been removed or will be")
    return notes


def _role(index: int) -> str:
    return f"live_date {index + 1}"


def _earlier(dates: pl.Series, last: dt.date) -> pl.Series:
    """(N,) the earlier of each date and ``last``; ``last`` where there is none."""
    return pl.select(pl.min_horizontal(dates, pl.lit(last))).to_series()


def _first_readable(columns: list[Dates]) -> tuple[Dates, pl.Series]:
    """The dates of several columns as one, and (N,) the position of the column they come from."""
    first, *others = columns
    source = pl.select(
        pl.when(first.date.is_not_null()).then(pl.lit(0, pl.UInt8())).otherwise(None)
    ).to_series()
    for position, other in enumerate(others, start=1):
        takes = first.date.is_null() & other.date.is_not_null()
        missing = first.missing & other.missing
        date = other.date.zip_with(takes, first.date)
        first = replace(
            first,
            date=date,
            hour=other.hour.zip_with(takes, first.hour),
            midnight=other.midnight.zip_with(takes, first.midnight),
            missing=missing,
            unreadable=date.is_null() & ~missing,
            text=first.text.zip_with(first.text.is_not_null(), other.text),
            skipped=first.skipped + other.skipped,
            moved=first.moved + other.moved,
        )
        source = source.set(takes, position)
    return first, source
