"""Dates: every format, the city's own clock, and daylight saving that must not raise."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from evalkit.config import Source
from evalkit.errors import ConfigError, UnreadableDatesError
from evalkit.readers.dates import Dates, check_readable, date_facts, date_notes, read_dates

DETROIT = "America/Detroit"


def read(
    values: list[str | None],
    *formats: str,
    zone: str = DETROIT,
    times: list[str | None] | None = None,
    **settings: object,
) -> list[tuple[str | None, int | None]]:
    source = Source(files=(), date_format=formats or ("iso",), **settings)
    clock = None if times is None else pl.Series(times, dtype=pl.String)
    found = read_dates(pl.Series(values, dtype=pl.String), clock, source, zone)
    days = [None if day is None else day.isoformat() for day in found.date]
    return list(zip(days, found.hour, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-05-01", ("2020-05-01", None)),
        ("20200501", ("2020-05-01", None)),
        ("2020-05-01 13:45", ("2020-05-01", 13)),
        ("2020-05-01T13:45", ("2020-05-01", 13)),
        ("2020-05-01 13:45:59", ("2020-05-01", 13)),
        ("2020-05-01T13:45:59.123456789", ("2020-05-01", 13)),
        ("20200501T1345", ("2020-05-01", 13)),
        ("20200501T134559", ("2020-05-01", 13)),
        ("2020-05-01T13:45:59Z", ("2020-05-01", 9)),
        ("2020-05-01 13:45Z", ("2020-05-01", 9)),
        ("2020-05-01T13:45:59.000+00:00", ("2020-05-01", 9)),
        ("2020-05-01 13:45:59+00", ("2020-05-01", 9)),
        ("2020-05-01 13:45:59-0400", ("2020-05-01", 13)),
        ("20200501T134559Z", ("2020-05-01", 9)),
        ("2020-05-01T02:00:00Z", ("2020-04-30", 22)),
        ("2020-02-30", (None, None)),
        ("2020-05", (None, None)),
        ("05/01/2020", (None, None)),
        ("0020-05-01", (None, None)),
        ("1899-12-31", (None, None)),
        ("yesterday", (None, None)),
    ],
)
def test_iso(text: str, expected: tuple[str | None, int | None]) -> None:
    assert read([text]) == [expected]


def test_iso_forms_may_be_mixed() -> None:
    values = ["2020-05-01", None, "2020-05-02T03:04:05Z", "x", "2020-05-03 06:07", "20200504"]
    assert read(values) == [
        ("2020-05-01", None),
        (None, None),
        ("2020-05-01", 23),
        (None, None),
        ("2020-05-03", 6),
        ("2020-05-04", None),
    ]


@pytest.mark.parametrize(
    ("text", "pattern", "expected"),
    [
        ("01/08/2020 12:30:00 AM", "%m/%d/%Y %I:%M:%S %p", ("2020-01-08", 0)),
        ("8.1.2020", "%d.%m.%Y", ("2020-01-08", None)),
        ("Jul-18", "%b-%y", ("2018-07-01", None)),
        ("2018-07", "%Y-%m", ("2018-07-01", None)),
        ("07/2018 14", "%m/%Y %H", ("2018-07-01", 14)),
        ("2016/12/01 00:00:00+00", "%Y/%m/%d %H:%M:%S%z", ("2016-11-30", 19)),
        ("2016/12/01 05:00:00+00", "%Y/%m/%d %H:%M:%S%z", ("2016-12-01", 0)),
        ("2016/12/01 00:00:00+00", "%Y/%m/%d %H:%M:%S+00", ("2016-12-01", 0)),
        ("2016-12-01 00:00:00.000123", "%Y-%m-%d %H:%M:%S.%f", ("2016-12-01", 0)),
        ("Thu Dec 01 00:30:00 +0000 2016", "%a %b %d %H:%M:%S %z %Y", ("2016-11-30", 19)),
        ("1480550400", "epoch_s", ("2016-11-30", 19)),
        ("1480550400000", "epoch_ms", ("2016-11-30", 19)),
        ("1480550400000.0", "epoch_ms", ("2016-11-30", 19)),
        ("1.4805504e9", "epoch_s", ("2016-11-30", 19)),
        ("1480550400000", "epoch_s", (None, None)),
        ("inf", "epoch_s", (None, None)),
        ("1e300", "epoch_ms", (None, None)),
    ],
)
def test_patterns(text: str, pattern: str, expected: tuple[str | None, int | None]) -> None:
    assert read([text], pattern) == [expected]


def test_several_patterns_in_their_order() -> None:
    values = ["03/04/2020", "25/12/2020", "2020-01-02"]
    assert [day for day, _ in read(values, "%m/%d/%Y", "%d/%m/%Y", "iso")] == [
        "2020-03-04",
        "2020-12-25",
        "2020-01-02",
    ]


@pytest.mark.parametrize(
    ("text", "pattern", "day"),
    [
        ("2016/12/01 00:00:00+00", "%Y/%m/%d %H:%M:%S%z", "2016-12-01"),
        ("2016-12-01T23:59:00-05:00", "iso", "2016-12-01"),
        ("2016-12-01T00:00:00Z", "iso", "2016-12-01"),
        ("Thu Dec 01 00:30:00 +0000 2016", "%a %b %d %H:%M:%S %z %Y", "2016-12-01"),
        ("1480550400", "epoch_s", "2016-12-01"),
    ],
)
def test_the_date_as_written(text: str, pattern: str, day: str) -> None:
    assert read([text], pattern, convert_zone=False)[0][0] == day


def test_an_offset_is_not_read_into_a_date() -> None:
    assert read(["2016-12-01"], convert_zone=False) == [("2016-12-01", None)]
    assert read(["2016-12-01"], "%Y-%m-%d%z", convert_zone=False) == [(None, None)]


def test_source_zone_moves_times_but_no_dates() -> None:
    assert read(["2020-05-01 02:00", "2020-05-01"], source_zone="UTC") == [
        ("2020-04-30", 22),
        ("2020-05-01", None),
    ]
    assert read(["2020-05-01 02:00"], source_zone="UTC", convert_zone=False) == [("2020-05-01", 2)]


def test_midsummer_night_in_london() -> None:
    """PANEL, traps: 23:30Z on 30 June is July in London."""
    assert read(["2020-06-30T23:30:00Z"], zone="Europe/London") == [("2020-07-01", 0)]


@pytest.mark.parametrize("text", ["2021-03-14 02:30:00", "2021-11-07 01:30:00"])
def test_daylight_saving_in_the_citys_own_time(text: str) -> None:
    assert read([text]) == [(text[:10], int(text[11:13]))]


def test_daylight_saving_in_the_source_zone() -> None:
    source = Source(files=(), source_zone=DETROIT)
    text = pl.Series(["2021-03-14 02:30:00", "2021-11-07 01:30:00"])
    found = read_dates(text, None, source, "UTC")
    assert found.date.to_list() == [dt.date(2021, 3, 14), dt.date(2021, 11, 7)]
    assert found.hour.to_list() == [2, 5]  # the earlier 01:30 is daylight time, UTC−4
    assert found.skipped == 1
    assert any("daylight saving" in n for n in date_notes(facts_of(found), hours_matter=True))


def test_a_separate_time_column() -> None:
    days = ["2020-05-01", "2020-05-01", None, "2020-05-02T00:00:00.000", "2020-05-03 00:00"]
    times = ["13:45", None, "13:45", "14:00:00", None]
    assert read(days, times=times) == [
        ("2020-05-01", 13),
        ("2020-05-01", None),
        (None, None),
        ("2020-05-02", 14),
        ("2020-05-03", None),
    ]
    assert read(["5/1/2020"], "%m/%d/%Y %H%M", times=["0930"]) == [("2020-05-01", 9)]


@pytest.mark.parametrize("form", ["YYYY-MM-DD", "", "%Y-%m-%d %M"])
def test_formats_that_are_none(form: str) -> None:
    with pytest.raises(ConfigError, match="not a date format"):
        read(["2020-01-01"], form)


def test_no_format_at_all() -> None:
    source = Source(files=(), date_format=())
    with pytest.raises(ConfigError, match="not a date format"):
        read_dates(pl.Series(["2020-01-01"]), None, source, DETROIT)


def test_unknown_zones() -> None:
    with pytest.raises(ConfigError, match='"Amerika/Detroit" is not a time zone'):
        read(["2020-01-01"], zone="Amerika/Detroit")
    with pytest.raises(ConfigError, match='"PDT" is not a time zone'):
        read(["2020-01-01"], source_zone="PDT")


def refusal(values: list[str | None], *formats: str) -> str:
    source = Source(files=(), date_format=formats)
    text = pl.Series(values, dtype=pl.String)
    found = read_dates(text, None, source, DETROIT)
    with pytest.raises(UnreadableDatesError) as caught:
        check_readable(found, "data.csv", "when", source, DETROIT)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "stated", "proposed"),
    [
        (["25/12/2020", "26/12/2020"], "iso", '"%d/%m/%Y" reads 100%'),
        (["03/04/2020"], "iso", '"%m/%d/%Y" or "%d/%m/%Y" reads 100% of a sample; which of them'),
        (["2016/12/01 00:00:00+00"], "iso", '"%Y/%m/%d %H:%M:%S%z"'),
        (["2020-05-01T10:00:00Z"], "%d/%m/%Y", '"iso"'),
        (["1480550400000"], "epoch_s", '"epoch_ms"'),
        (["Jul-18"], "iso", '"%b-%y"'),
        (["gestern"], "iso", "write the pattern"),
    ],
)
def test_unreadable_dates_propose_formats(values: list[str], stated: str, proposed: str) -> None:
    message = refusal(list(values), stated)
    assert proposed in message
    assert "data.csv" in message
    assert not any(value in message for value in values)


def test_half_may_be_unreadable_and_the_missing_do_not_count() -> None:
    source = Source(files=())
    text = pl.Series(["2020-01-01", "x", None, None, None])
    found = read_dates(text, None, source, DETROIT)
    check_readable(found, "data.csv", "when", source, DETROIT)
    assert found.unreadable.to_list() == [False, True, False, False, False]
    assert "2 of 3 dates" in refusal(["2020-01-01", "x", "y", None], "iso")


def facts_of(dates: Dates) -> dict[str, int]:
    return date_facts(dates, pl.repeat(value=True, n=len(dates.date), eager=True))


def notes(values: list[str], **settings: bool) -> str:
    found = read_dates(pl.Series(values), None, Source(files=(), **settings), DETROIT)
    return " ".join(date_notes(facts_of(found), hours_matter=True))


def test_notes_on_midnight_and_the_first_of_the_month() -> None:
    assert "75% of times fall exactly on midnight" in notes(
        ["2020-05-02 00:00:00"] * 3 + ["2020-05-02 00:00:01"]
    )
    assert "50% of dates fall on the first" in notes(["2020-05-01", "2020-05-02"] * 10)
    assert notes(["2020-05-01"] * 19) == ""
    assert notes(["2020-05-02 03:00", "2020-05-03"]) == ""


def test_a_note_on_plain_dates_written_as_utc() -> None:
    assert "set convert_zone = false" in notes(["2020-05-02T00:00:00Z"])
    assert "convert_zone" not in notes(["2020-05-02T00:00:00Z"], convert_zone=False)
    assert "convert_zone" not in notes(["2020-05-02T04:00:00Z"])
