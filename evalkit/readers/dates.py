"""Dates and times of any format become the calendar date and hour in the city.

What a site file writes as ``date_format``
    ``iso``        2016-12-01, 2016-12-01 13:45, 2016-12-01T13:45:00.000Z, 20161201T1345 and so on,
                   with or without an offset.
    ``epoch_s``, ``epoch_ms``
                   seconds or milliseconds since 1970-01-01 UTC.
    a pattern      strftime, ``%m/%d/%Y %I:%M:%S %p``. ``%z`` takes ``+00``, ``+0000``, ``+00:00``
                   and ``Z``, so a portal's ``2016/12/01 00:00:00+00`` is ``%Y/%m/%d %H:%M:%S%z``. A
                   pattern without a day (``%b-%y``) means the first of the month, one without
                   a month (``%Y``) the first of the year, one without minutes the full hour. Two
                   digits of a year (``%y``) are 1970 to 2069. Names of months (``%b``, ``%B``) may
                   be in any language of `evalkit.readers.months`.
    several        are tried in their order, row by row; the first that reads a value counts.

A separate time column is put behind the date with a blank in between: ``%m/%d/%Y %H:%M``. For rows
without a time add the pattern of the date alone.

Whose clock
    A time with an offset is turned into the city's time, unless ``convert_zone`` is false: then the
    date is the one that was written. A time without an offset is the city's own, or that of
    ``source_zone``. A date without a time is never moved. A time that ``source_zone`` skips in
    spring keeps the date and hour it was written with; one that occurs twice in autumn is taken as
    the earlier.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from evalkit.config import Source
from evalkit.errors import ConfigError, UnreadableDatesError
from evalkit.readers.months import in_english

__all__ = ["Dates", "check_readable", "date_facts", "date_notes", "read_dates", "readable"]

FIRST_DATE: Final = dt.date(1900, 1, 1)
LAST_DATE: Final = dt.date(2100, 12, 31)
"""A date outside is a misread one: a two-digit year taken for four, or milliseconds for seconds."""

MAX_UNREADABLE: Final = 0.5
"""Share of a file's dates beyond which the stated format must be wrong."""

SAMPLE: Final = 1000
"""Values on which other formats are tried."""

WORTH_A_NOTE: Final = 0.05
"""Share from which a peculiarity is mentioned. Hours spread evenly put 0.07 % at midnight
exactly."""

HEAPED: Final = 0.25
"""Share of dates on the first of a month from which the day is doubtful; 3 % are expected."""

ENOUGH: Final = 20
"""Dates from which heaping can be told from chance."""

_CLOCKS: Final = ("%H:%M:%S", "%H:%M:%S%.f", "%H:%M")
_ISO: Final = (
    *(f"%Y-%m-%d{t}{clock}{zone}" for zone in ("", "%z") for t in (" ", "T") for clock in _CLOCKS),
    "%Y-%m-%d",
    *(f"%Y%m%dT{clock}{zone}" for zone in ("", "%z") for clock in ("%H%M%S", "%H%M")),
    "%Y%m%d",
)
"""Forms of ISO 8601. No value fits two of them with two meanings, so they may be tried in any
order."""

_EPOCH_MS: Final = {"epoch_s": 1000, "epoch_ms": 1}

_COMMON: Final = (
    "iso",
    *(
        f"{date}{clock}"
        for clock in ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H:%M:%S%z")
        for date in (
            "%Y/%m/%d",
            "%m/%d/%Y",
            "%d/%m/%Y",
            "%d.%m.%Y",
            "%d-%m-%Y",
            "%m/%d/%y",
            "%d/%m/%y",
        )
    ),
    "%d %B %Y",
    "%B %d, %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%b-%y",
    "%Y-%m",
    "epoch_s",
    "epoch_ms",
)
"""Formats that are proposed when the stated one fails; portals and spreadsheets write these."""

_DAY_CODES: Final = ("%d", "%-d", "%e", "%j", "%F", "%D", "%x", "%c", "%v", "%u", "%a", "%A", "%w")
_NAME_CODES: Final = ("%b", "%B", "%h")
_MONTH_CODES: Final = (
    "%m",
    "%-m",
    "%j",
    "%F",
    "%D",
    "%x",
    "%c",
    "%v",
    "%U",
    "%W",
    "%V",
    *_NAME_CODES,
)
_HOUR_CODES: Final = ("%H", "%-H", "%k", "%I", "%-I", "%l")
_MINUTE_CODES: Final = ("%M", "%-M")
_WHOLE_CLOCK_CODES: Final = ("%T", "%R", "%r", "%X", "%c", "%s")

_OFFSET: Final = r"(\d)\s*(?:Z|z|[+-]\d{2}(?::?\d{2})?)(\s+\d{4})?$"
"""An offset at the end of a value, or before a year that ends it."""

_MIDNIGHT: Final = r"[T ]00:00(?::00(?:\.0+)?)?$"
"""A midnight that only says: the time is in another column."""


@dataclass(frozen=True, slots=True, eq=False)
class Dates:
    """Dates of N rows.

    Attributes:
        date: (N,) Date in the city; null where missing or unreadable.
        hour: (N,) Int8; null also where the source gives no time.
        midnight: (N,) Boolean, whether the time is exactly 00:00:00; null where there is none.
        missing, unreadable: (N,) Boolean.
        text: (N,) what was read, the time column joined.
        skipped: times that daylight saving skips in ``source_zone``.
        moved: times that are midnight in UTC and another hour in the city.
    """

    date: pl.Series
    hour: pl.Series
    midnight: pl.Series
    missing: pl.Series
    unreadable: pl.Series
    text: pl.Series
    skipped: int
    moved: int


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A strftime pattern in polars' (chrono's) dialect.

    ``suffix`` is put behind the values so that a pattern without day or minutes is complete.
    """

    chrono: str
    suffix: str
    has_time: bool
    has_offset: bool


def read_dates(dates: pl.Series, times: pl.Series | None, source: Source, city_zone: str) -> Dates:
    """Read cleaned text into dates.

    Args:
        dates: (N,) String, null where missing.
        times: (N,) String of a separate time column, or None.
        source: formats, zone, and whether to convert.
        city_zone: IANA name of the city's time zone.

    Raises:
        ConfigError: a format that is no format, or an unknown time zone.
    """
    for zone in filter(None, (city_zone, source.source_zone)):
        _check_zone(zone)
    text = dates if times is None else _joined(dates, times)
    parsed = _parse(text, source.date_format, source, city_zone)
    missing, known = text.is_null(), parsed["date"].is_not_null()
    return Dates(
        date=parsed["date"],
        hour=parsed["hour"],
        midnight=parsed["midnight"],
        missing=missing,
        unreadable=parsed["date"].is_null() & ~missing,
        text=text,
        skipped=int((parsed["skipped"] & known).sum()),
        moved=int((parsed["moved"] & known).sum()),
    )


def check_readable(dates: Dates, where: str, column: str, source: Source, city_zone: str) -> None:
    """Refuse a part of a source most of whose dates cannot be read.

    Raises:
        UnreadableDatesError: names the part, the counts, and the formats that would read a sample
            better.
    """
    present, unreadable = int((~dates.missing).sum()), int(dates.unreadable.sum())
    if unreadable <= MAX_UNREADABLE * present:
        return
    sample = dates.text.filter(~dates.missing).head(SAMPLE)
    raise UnreadableDatesError(
        f'{unreadable:,} of {present:,} dates in column "{column}" cannot be read as '
        f"{' or '.join(source.date_format)}",
        where=where,
        limit=f"at least {MAX_UNREADABLE:.0%} of a file",
        way_out=_advice(sample, source, city_zone),
    )


def date_facts(dates: Dates, kept: pl.Series) -> dict[str, int]:
    """Counts of the peculiarities of dates, for `date_notes`; those of several parts add up.

    Args:
        dates: of N rows.
        kept: (N,) Boolean, rows whose hour and day are looked at.
    """
    times = dates.midnight.filter(kept).drop_nulls()
    days = dates.date.filter(kept).drop_nulls().dt.day()
    return {
        "times": len(times),
        "midnights": int(times.sum()),
        "days": len(days),
        "firsts of a month": int((days == 1).sum()),
        "dates": dates.date.count(),
        "unreadable dates": int(dates.unreadable.sum()),
        "moved from midnight": dates.moved,
        "skipped by daylight saving": dates.skipped,
    }


def readable(facts: Mapping[str, int]) -> bool:
    """Whether `check_readable` lets pass what `date_facts` has counted."""
    unreadable = facts["unreadable dates"]
    return unreadable <= MAX_UNREADABLE * (facts["dates"] + unreadable)


def date_notes(facts: Mapping[str, int], *, hours_matter: bool) -> list[str]:
    """Sentences about peculiarities of the dates that `date_facts` has counted."""
    notes = []
    share = facts["midnights"] / max(1, facts["times"])
    if hours_matter and share >= WORTH_A_NOTE:
        notes.append(
            f"{share:.0%} of times fall exactly on midnight: their hour is probably unknown, and "
            "if they were shifted between zones the date may be off by one"
        )
    firsts = facts["firsts of a month"] / max(1, facts["days"])
    if firsts >= HEAPED and facts["days"] >= ENOUGH:
        notes.append(
            f"{firsts:.0%} of dates fall on the first of a month: the day is probably not "
            "recorded, so that periods shorter than a month mean little"
        )
    moved = facts["moved from midnight"]
    if moved >= MAX_UNREADABLE * max(1, facts["dates"]):
        notes.append(
            f"{moved:,} times are midnight in UTC, another hour in the city: if the source "
            "means plain dates, set convert_zone = false, or the date is off by one"
        )
    skipped = facts["skipped by daylight saving"]
    if skipped:
        notes.append(
            f"{skipped:,} times do not exist in source_zone (daylight saving skips them); "
            "their date and hour are kept as written"
        )
    return notes


def _joined(dates: pl.Series, times: pl.Series) -> pl.Series:
    day = dates.str.replace(_MIDNIGHT, "")
    return pl.select(
        pl.when(times.is_not_null()).then(day + " " + times).otherwise(day)
    ).to_series()


def _parse(text: pl.Series, formats: Sequence[str], source: Source, city_zone: str) -> pl.DataFrame:
    """The columns of `_nothing`; each format takes what the earlier ones left."""
    first, *others = _steps(text, formats)
    read = _parse_one(text, first, source, city_zone)
    pending = (read["date"].is_null() & text.is_not_null()).arg_true()
    done, places = [read], [pending.head(0)]
    for part in others:
        if pending.is_empty():
            break
        found = _parse_one(text.gather(pending), part, source, city_zone)
        good = found["date"].is_not_null()
        done.append(found.filter(good))
        places.append(pending.filter(good))
        pending = pending.filter(~good)
    return _put_in(pl.concat(done), pl.concat(places), len(text)) if len(done) > 1 else read


def _put_in(read: pl.DataFrame, places: pl.Series, length: int) -> pl.DataFrame:
    """The first ``length`` rows, with the others in ``places``."""
    source = pl.int_range(length, dtype=pl.UInt32(), eager=True)
    source = source.scatter(
        places, pl.int_range(length, read.height, dtype=pl.UInt32(), eager=True)
    )
    return read.select(pl.all().gather(source))


def _steps(text: pl.Series, formats: Sequence[str]) -> list[str]:
    """The formats one by one; the forms of ``iso`` most frequent first, for speed."""
    steps: list[str] = []
    for one in formats or ("",):
        if one == "iso":
            steps += _by_share(text.drop_nulls().head(SAMPLE), _ISO)
        elif one in _EPOCH_MS or "%" in one:
            steps.append(one)
        else:
            raise ConfigError(
                f'"{one}" is not a date format',
                where="date_format",
                limit="iso, epoch_s, epoch_ms, or a strftime pattern such as %d/%m/%Y",
                way_out="write the pattern with % signs: day %d, month %m, year %Y, time %H:%M",
            )
    return steps


def _by_share(sample: pl.Series, forms: Sequence[str]) -> list[str]:
    """``forms``, those that read most of the sample first; one that reads all of it is enough."""
    shares: dict[str, float] = dict.fromkeys(forms, 0.0)
    for form in forms if len(sample) else ():
        shares[form] = 1 - _strptime(sample, _compile(form)).null_count() / len(sample)
        if shares[form] == 1:
            break
    return sorted(forms, key=lambda form: -shares[form])


def _share(sample: pl.Series, form: str) -> float:
    if sample.is_empty():
        return 0.0
    read = _parse_one(sample, form, _AS_WRITTEN, "UTC")
    return 1.0 - read["date"].null_count() / read.height


def _advice(sample: pl.Series, source: Source, city_zone: str) -> str:
    now = 1.0 - _parse(sample, source.date_format, source, city_zone)["date"].null_count() / len(
        sample
    )
    shares = {form: _share_any(sample, form) for form in _COMMON}
    best = max(shares.values())
    if best <= now:
        return "write the pattern of the column as date_format in the site file"
    fitting = [form for form, share in shares.items() if share == best]
    written = " or ".join(f'"{form}"' for form in fitting)
    choice = "; which of them is right you must know" if len(fitting) > 1 else ""
    return f"date_format = {written} reads {best:.0%} of a sample{choice}"


def _share_any(sample: pl.Series, form: str) -> float:
    return max(_share(sample, step) for step in (_ISO if form == "iso" else (form,)))


def _parse_one(text: pl.Series, form: str, source: Source, city_zone: str) -> pl.DataFrame:
    if form in _EPOCH_MS:
        return _from_epoch(text, _EPOCH_MS[form], source, city_zone)
    pattern = _compile(form)
    if not pattern.has_time:
        date = _plausible(_strptime(text, pattern).cast(pl.Date))
        return _nothing(text).with_columns(date.alias("date"))
    if pattern.has_offset and source.convert_zone:
        return _localised(_strptime(text, pattern), city_zone)
    if pattern.has_offset:
        bare = text.str.replace(_OFFSET, "${1}${2}")
        bare = bare.set(bare == text, None)
        return _taken_apart(_strptime(bare, _compile(form.replace("%z", ""))))
    written = _strptime(text, pattern)
    if source.source_zone in {"", city_zone} or not source.convert_zone:
        return _taken_apart(written)
    moved = (
        written.dt.replace_time_zone(source.source_zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone(city_zone)
        .dt.replace_time_zone(None)
    )
    skipped = moved.is_null() & written.is_not_null()
    local = pl.select(pl.coalesce(moved, written)).to_series()
    return _taken_apart(local).with_columns(skipped=skipped)


def _from_epoch(text: pl.Series, to_ms: int, source: Source, city_zone: str) -> pl.DataFrame:
    number = text.cast(pl.Float64, strict=False) * to_ms
    number = number.set(
        ~number.is_between(-_EPOCH_LIMIT_MS, _EPOCH_LIMIT_MS).fill_null(value=False), None
    )
    utc = number.cast(pl.Int64).cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime("us", "UTC"))
    return _localised(utc, city_zone if source.convert_zone else "UTC")


_EPOCH_LIMIT_MS: Final = 4.2e12
"""A little beyond `LAST_DATE`, so that the conversion cannot overflow."""


def _localised(utc: pl.Series, zone: str) -> pl.DataFrame:
    local = utc.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    read = _taken_apart(local)
    return read.with_columns(moved=(utc.dt.time() == dt.time(0)) & ~read["midnight"])


def _taken_apart(local: pl.Series) -> pl.DataFrame:
    date, hour, midnight = local.dt.date(), local.dt.hour(), local.dt.time() == dt.time(0)
    plausible = _plausible(date)
    if plausible.null_count() > date.null_count():
        known = plausible.is_not_null()
        hour, midnight = hour.set(~known, None), midnight.set(~known, None)
    return _nothing(local).with_columns(date=plausible, hour=hour, midnight=midnight)


def _nothing(like: pl.Series) -> pl.DataFrame:
    """As many rows as ``like`` has, nothing known of any of them."""
    return pl.select(
        date=pl.repeat(None, len(like), dtype=pl.Date()),
        hour=pl.repeat(None, len(like), dtype=pl.Int8()),
        midnight=pl.repeat(None, len(like), dtype=pl.Boolean()),
        skipped=pl.repeat(value=False, n=len(like)),
        moved=pl.repeat(value=False, n=len(like)),
    )


def _plausible(date: pl.Series) -> pl.Series:
    misread = ~date.is_between(FIRST_DATE, LAST_DATE)  # null stays null
    return date.set(misread, None) if misread.any() else date


def _compile(form: str) -> _Pattern:
    chrono = form.replace(".%f", "%.f").replace("%z", "%#z")
    whole_clock = any(code in form for code in _WHOLE_CLOCK_CODES)
    hour = any(code in form for code in _HOUR_CODES)
    minute = any(code in form for code in _MINUTE_CODES)
    suffix = ""
    if not any(code in form for code in (*_MONTH_CODES, "%s")):
        chrono, suffix = f"{chrono} %m", f"{suffix} 01"
    if not any(code in form for code in (*_DAY_CODES, "%s")):
        chrono, suffix = f"{chrono} %d", f"{suffix} 01"
    if hour and not minute and not whole_clock:
        chrono, suffix = f"{chrono} %M", f"{suffix} 00"
    return _Pattern(
        chrono, suffix, has_time=hour or minute or whole_clock, has_offset="%#z" in chrono
    )


def _strptime(text: pl.Series, pattern: _Pattern) -> pl.Series:
    values = text + pattern.suffix if pattern.suffix else text
    try:
        read = _to_datetime(values, pattern.chrono)
        failed = read.is_null() & values.is_not_null()
        if failed.any() and any(code in pattern.chrono for code in _NAME_CODES):
            dots = any(f"{code}." in pattern.chrono for code in _NAME_CODES)
            english = in_english(values.filter(failed), dots=dots)
            read = read.scatter(failed.arg_true(), _to_datetime(english, pattern.chrono))
        return read
    except pl.exceptions.PolarsError:
        pass
    raise ConfigError(
        f'"{pattern.chrono}" is not a date format',
        where="date_format",
        limit="a strftime pattern with year, month and day, and hour with minute",
        way_out="correct the pattern in the site file",
    )


def _to_datetime(text: pl.Series, chrono: str) -> pl.Series:
    # No cache: distinct times are many, and looking each up costs more than reading it.
    return text.str.to_datetime(chrono, strict=False, cache=False, time_unit="us")


def _check_zone(zone: str) -> None:
    try:
        pl.Series([dt.datetime(2000, 1, 1)]).dt.replace_time_zone(zone)  # noqa: DTZ001 (the zone is under test)
    except pl.exceptions.PolarsError:
        raise ConfigError(
            f'"{zone}" is not a time zone',
            where="city.time_zone or source_zone",
            limit="an IANA name such as America/Detroit",
            way_out="correct the name in the site file",
        ) from None


_AS_WRITTEN: Final = Source(files=(), convert_zone=False)
"""Reads a date as it is written, whatever its offset: enough to see whether a form fits."""
