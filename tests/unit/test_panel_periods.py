"""Dates to periods, at the edges."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from evalkit.core.study import Window
from evalkit.panel.periods import OUTSIDE, as_days, period_index, period_starts


def window(start: str, end: str, period: str) -> Window:
    return Window(
        start=dt.date.fromisoformat(start),
        end=dt.date.fromisoformat(end),
        period=period,  # type: ignore[arg-type]  # a literal, spelled out by the caller
    )


@pytest.mark.parametrize(
    ("start", "end", "period", "starts"),
    [
        (
            "2020-02-27",
            "2020-03-01",
            "day",
            ["2020-02-27", "2020-02-28", "2020-02-29", "2020-03-01"],
        ),
        ("2019-12-30", "2020-01-12", "week", ["2019-12-30", "2020-01-06"]),
        (
            "2019-11-01",
            "2020-02-29",
            "month",
            ["2019-11-01", "2019-12-01", "2020-01-01", "2020-02-01"],
        ),
        ("2019-10-01", "2020-06-30", "quarter", ["2019-10-01", "2020-01-01", "2020-04-01"]),
    ],
)
def test_starts(start: str, end: str, period: str, starts: list[str]) -> None:
    asked = window(start, end, period)
    assert [day.isoformat() for day in period_starts(asked)] == starts
    # Every start is the first day of its period, and the day before belongs to the one before.
    days = as_days(starts)
    assert period_index(days, asked).tolist() == list(range(len(starts)))
    assert period_index(days - 1, asked).tolist() == [OUTSIDE, *range(len(starts) - 1)]


def test_window_ends_are_included_and_no_date_is_outside() -> None:
    asked = window("2020-01-01", "2020-12-31", "month")
    days = as_days(["2019-12-31", "2020-01-01", "2020-02-29", "2020-12-31", "2021-01-01", "NaT"])
    assert period_index(days, asked).tolist() == [OUTSIDE, 0, 1, 11, OUTSIDE, OUTSIDE]


def test_agrees_with_the_calendar_on_every_day() -> None:
    asked = window("2016-01-01", "2021-12-31", "month")
    days = np.arange(as_days("2016-01-01"), as_days("2022-01-01"))
    months = days.astype("datetime64[M]")
    expected = (months - np.datetime64("2016-01")).astype(int)
    assert period_index(days, asked).tolist() == expected.tolist()
