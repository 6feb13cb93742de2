"""Cameras: undated ones are kept and counted, unreadable dates rejected, equal rows kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from evalkit.errors import CoordinatesError, UnreadableDatesError
from evalkit.readers import Read, read_cameras
from tests.sites import small_site, write_rows

HEADER = ("id", "live", "lon", "lat")
GOOD = ("a", "2020-05-01", "-83.5", "42.5")


def read(folder: Path, *rows: tuple[str, ...], **columns: str) -> Read:
    write_rows(folder / "cameras.csv", rows, HEADER)
    return read_cameras(small_site(camera_columns=columns), folder)


def test_cameras(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, ("", "NA", "-83.5", "42.5"))
    assert found.rows.rows() == [
        (0, 1, "a", dt.date(2020, 5, 1), -83.5, 42.5, None),
        (0, 2, "cameras.csv:2", None, -83.5, 42.5, None),
    ]
    assert "1 of 2 cameras have no live date" in found.notes


def test_equal_rows_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD, GOOD, GOOD).account.used == 3


def test_reasons(tmp_path: Path) -> None:
    rows = [
        GOOD,
        GOOD,
        GOOD,
        ("b", "soon", "-83.5", "42.5"),
        ("c", "2020-05-01", "", "42.5"),
        ("d", "2020-05-01", "-85", "42.5"),
        ("e", "2020-05-01", "42.5", "-83.5"),
        ("f",),
    ]
    found = read(tmp_path, *rows)
    assert found.rejected.select("row", "reason").rows() == [
        (4, "unreadable_date"),
        (5, "missing_coordinates"),
        (6, "outside_city"),
        (7, "swapped_coordinates"),
        (8, "malformed_row"),
    ]
    assert found.account.used == 3


def test_no_live_date_column(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, live_date="")
    assert found.rows["live_date"].to_list() == [None]
    assert found.notes == ("1 of 1 cameras have no live date",)


def test_no_id_column(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD, GOOD, id="").rows["id"].to_list() == [
        "cameras.csv:1",
        "cameras.csv:2",
    ]


def test_systematic_errors(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDatesError, match="live"):
        read(tmp_path, ("a", "1 May", "-83.5", "42.5"))
    with pytest.raises(CoordinatesError, match="swapped"):
        read(tmp_path, ("a", "2020-05-01", "42.5", "-83.5"))
