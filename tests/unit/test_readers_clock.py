"""Times as they are written, and the years of rejected rows."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from evalkit.config import load_site
from evalkit.readers import read_incidents
from evalkit.readers.clock import Times, count_times, read_times, rejected_years

SITE = """
name = "x"
[city]
title = "X"
time_zone = "America/Bogota"
bounds = [-75.7, 6.1, -75.5, 6.3]
[incidents]
files = ["rows.csv"]
all_as = "assault"
duplicates = "keep"
date_format = {formats}
[incidents.columns]
date = "date"
longitude = "x"
latitude = "y"
{time}
"""


def make_site(folder: Path, *, formats: str = '["iso"]', time: str = "") -> Path:
    path = folder / "site.toml"
    path.write_text(SITE.format(formats=formats, time=time))
    return path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2020-01-01T00:00:00Z", (1, 1, 0)),
        ("2020-01-01 00:00:00+00", (1, 1, 0)),
        ("2020-01-01 13:00", (1, 0, 1)),
        ("2020-01-01 13:00:01", (1, 0, 0)),
        ("2020-01-01 13:30:00.000", (1, 0, 0)),
        ("01/02/2020 12:00:00 AM", (1, 1, 0)),
        ("01/02/2020 12:00:00 PM", (1, 0, 1)),
        ("01/02/2020 1:00 pm", (1, 0, 1)),
        ("2020-01-01", (0, 0, 0)),
        (None, (0, 0, 0)),
    ],
)
def test_a_clock_is_read_as_it_is_written(
    value: str | None, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    text = pl.Series([value], dtype=pl.String())
    assert count_times(text, load_site(make_site(tmp_path)).incidents) == Times(*expected)


def test_seconds_since_1970_have_a_clock_too(tmp_path: Path) -> None:
    incidents = load_site(make_site(tmp_path, formats='["epoch_ms"]')).incidents
    text = pl.Series(["1577836800000", "1577840400000", "1577840460000", "no number"])
    assert count_times(text, incidents) == Times(3, 1, 1)


def test_times_of_all_files_add_up_and_plain_dates_have_none(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "date,x,y\n2020-01-01 00:00:00,-75.6,6.2\n2020-01-01 10:00:00,-75.6,6.2\n"
        "2020-01-01 10:20:00,,\n"
    )
    incidents = load_site(make_site(tmp_path)).incidents
    assert read_times(incidents, tmp_path) == Times(3, 1, 1)
    (tmp_path / "rows.csv").write_text("date,x,y\n2020-01-01 00:00:00,-75.6,6.2\n")
    assert read_times(incidents, tmp_path) is None
    (tmp_path / "rows.csv").write_text("date,x,y\n2020-01-01,-75.6,6.2\n")
    assert read_times(incidents, tmp_path) is None


def test_a_separate_time_column_is_the_one_that_is_read(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "date,clock,x,y\n2020-01-01 00:00:00,13:00,-75.6,6.2\n2020-01-01 00:00:00,13:05,-75.6,6.2\n"
    )
    incidents = load_site(
        make_site(tmp_path, formats='["%Y-%m-%d %H:%M"]', time='time = "clock"')
    ).incidents
    assert read_times(incidents, tmp_path) == Times(2, 0, 1)


def test_rejected_rows_keep_their_year(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(
        "date,x,y\n2020-01-01,-75.6,6.2\n2020-05-01,,\n2021-05-01,0,0\n2021-06-01,-75.6,6.2\n"
        "never,-75.6,6.2\n"
    )
    site = load_site(make_site(tmp_path))
    read = read_incidents(site, tmp_path)
    found = rejected_years(read, site.incidents, site.city.time_zone)
    assert sorted(found.iter_rows()) == [(2020, "missing_coordinates"), (2021, "zero_coordinates")]


def test_a_source_that_calls_its_date_as_we_call_a_column_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("row,x,y\n2020-01-01,-75.6,6.2\n2020-05-01,,\n")
    path = make_site(tmp_path)
    path.write_text(path.read_text().replace('date = "date"', 'date = "row"'))
    site = load_site(path)
    read = read_incidents(site, tmp_path)
    found = rejected_years(read, site.incidents, site.city.time_zone)
    assert list(found.iter_rows()) == [(2020, "missing_coordinates")]
