"""Cameras: undated ones are kept and counted, unreadable dates rejected, equal rows kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest
from polars.testing import assert_frame_equal

from evalkit.core.frames import CAMERAS
from evalkit.errors import ConfigError, CoordinatesError, UnreadableDatesError
from evalkit.readers import Read, RowCache, read_cameras
from tests.sites import small_site, write_rows

HEADER = ("id", "live", "lon", "lat")
GOOD = ("a", "2020-05-01", "-83.5", "42.5")


def read(folder: Path, *rows: tuple[str, ...], **columns: str) -> Read:
    write_rows(folder / "cameras.csv", rows, HEADER)
    return read_cameras(small_site(camera_columns=columns), folder)


def test_cameras(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, ("", "NA", "-83.5", "42.5"))
    assert found.rows.rows() == [
        (0, 1, "a", dt.date(2020, 5, 1), None, -83.5, 42.5, None, 1),
        (0, 2, "cameras.csv:2", None, None, -83.5, 42.5, None, 1),
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


def table(
    folder: Path,
    header: tuple[str, ...],
    *rows: tuple[str, ...],
    settings: dict[str, Any] | None = None,
    **columns: Any,
) -> Read:
    """Cameras with columns beyond the usual ones; every row gets a place in the city."""
    placed = [(*row, "-83.5", "42.5") for row in rows]
    write_rows(folder / "cameras.csv", placed, (*header, "lon", "lat"))
    site = small_site(cameras=settings, camera_columns={"id": "", "live_date": "", **columns})
    return read_cameras(site, folder)


def live(found: Read) -> list[str | None]:
    return [None if day is None else day.isoformat() for day in found.rows["live_date"]]


def reasons(found: Read) -> list[tuple[int, str]]:
    return found.rejected.select("row", "reason").rows()


def test_the_first_readable_live_date_counts(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        ("go_live", "installed"),
        ("2020-05-01", "2019-01-01"),
        ("", "2019-02-01"),
        ("soon", "2019-03-01"),
        ("", ""),
        ("soon", "later"),
        ("soon", ""),
        live_date=("go_live", "installed"),
    )
    assert live(found) == ["2020-05-01", "2019-02-01", "2019-03-01", None]
    assert reasons(found) == [(5, "unreadable_date"), (6, "unreadable_date")]
    assert (
        "live dates by column, the first readable one counts: "
        '1 from "go_live", 2 from "installed"' in found.notes
    )
    assert "1 of 4 cameras have no live date" in found.notes


def test_all_columns_of_live_dates_may_be_wrong(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDatesError, match='"go_live", "installed"'):
        table(tmp_path, ("go_live", "installed"), ("x", "y"), live_date=("go_live", "installed"))


@pytest.mark.parametrize(
    ("form", "written", "day"),
    [
        ("%b-%y", "Jul-18", "2018-07-01"),
        ("%b-%y", "Dec-99", "1999-12-01"),
        ("%b-%y", "Jan-00", "2000-01-01"),
        ("%b-%y", "ene-18", "2018-01-01"),
        ("%b-%y", "févr.-18", "2018-02-01"),
        ("%b. %Y", "dez. 2018", "2018-12-01"),
        ("%d de %B de %Y", "3 de março de 2018", "2018-03-03"),
        ("%Y-%m", "2018-07", "2018-07-01"),
        ("%m/%Y", "07/2018", "2018-07-01"),
        ("%Y년 %m월", "2018년 7월", "2018-07-01"),
        ("%Y", "2018", "2018-01-01"),
    ],
)
def test_dates_without_a_day(tmp_path: Path, form: str, written: str, day: str) -> None:
    found = table(
        tmp_path, ("live",), (written,), live_date="live", settings={"date_format": (form,)}
    )
    assert live(found) == [day]


def test_removed_cameras(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        ("live", "gone"),
        ("2019-01-01", "2020-05-01"),
        ("2019-01-01", ""),
        ("2019-01-01", "2018-05-01"),
        ("2019-01-01", "some day"),
        ("", "2020-06-01"),
        live_date="live",
        removed="gone",
    )
    assert found.rows["removed"].to_list() == [dt.date(2020, 5, 1), None, dt.date(2020, 6, 1)]
    assert reasons(found) == [(3, "impossible_date"), (4, "unreadable_date")]
    assert "2 cameras have been removed or will be" in found.notes


def test_impossible_dates(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        ("live", "written"),
        ("2019-01-01", "2019-05-01"),
        ("2019-06-01", "2019-05-01"),
        ("2019-05-01", "2019-05-01"),
        ("2019-12-01", ""),
        ("2020-12-01", ""),
        ("2019-06-01", "May"),
        ("", "2019-05-01"),
        live_date="live",
        reference_date="written",
        settings={"last_day": dt.date(2020, 1, 1)},
    )
    assert reasons(found) == [(2, "impossible_date"), (5, "impossible_date")]
    assert live(found) == ["2019-01-01", "2019-05-01", "2019-12-01", "2019-06-01", None]
    assert any("2 cameras have an impossible date" in note for note in found.notes)
    assert any('1 values of "written" cannot be read' in note for note in found.notes)


def test_only_and_attributes(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        ("purpose", "watched"),
        ("Crime", "live"),
        (" crime ", ""),
        ("Traffic", "live"),
        ("", "live"),
        settings={"only": {"purpose": ("crime",)}, "attributes": ("purpose", "watched")},
    )
    assert reasons(found) == [(3, "other_purpose"), (4, "other_purpose")]
    assert found.rows["attribute.purpose"].to_list() == ["Crime", "crime"]
    assert found.rows["attribute.watched"].to_list() == ["live", None]


def test_a_row_may_stand_for_several_cameras(tmp_path: Path) -> None:
    found = table(tmp_path, ("n",), ("4",), ("",), ("x",), ("0",), ("1.5",), ("-1",), count="n")
    assert found.rows["count"].to_list() == [4, 0]
    assert reasons(found) == [
        (2, "missing_count"),
        (3, "unreadable_count"),
        (5, "unreadable_count"),
        (6, "unreadable_count"),
    ]


def test_names_of_areas(tmp_path: Path) -> None:
    rows = [("Station 1",), ("STATION 1 ",), ("Other",), ("",)]
    names = {"Station 1": "North"}
    found = table(tmp_path, ("place",), *rows, area="place", settings={"area_names": names})
    assert found.rows["area"].to_list() == ["North", "North", None, None]
    assert "1 rows name an area that area_names does not list" in found.notes
    by_name = table(
        tmp_path,
        ("place",),
        *rows,
        area="place",
        longitude="",
        latitude="",
        settings={"area_names": names},
    )
    assert reasons(by_name) == [(3, "unmapped_area"), (4, "missing_area")]
    assert by_name.account.used == 2


def test_two_names_for_one_area(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="different spellings"):
        table(
            tmp_path,
            ("place",),
            ("a",),
            area="place",
            settings={"area_names": {"North": "N", "north": "S"}},
        )


def test_a_site_without_cameras(tmp_path: Path) -> None:
    site = msgspec.structs.replace(small_site(), cameras=None)
    found = read_cameras(site, tmp_path)
    assert (found.account.read, found.rows.height, found.files) == (0, 0, ())
    assert found.rows.schema == CAMERAS.schema


def test_kept_rows_are_the_same_rows(tmp_path: Path) -> None:
    settings = {"attributes": ("purpose",), "only": {"purpose": ("crime",)}}
    rows = (("crime", "2019-01-01"), ("traffic", "2019-01-01"))
    write_rows(
        tmp_path / "cameras.csv",
        [(*row, "-83.5", "42.5") for row in rows],
        ("purpose", "live", "lon", "lat"),
    )
    site = small_site(cameras=settings, camera_columns={"id": ""})
    cache = RowCache(tmp_path / "rows")
    once, again = (read_cameras(site, tmp_path, cache) for _ in range(2))
    assert_frame_equal(once.rows, again.rows)
    assert (once.account, once.notes) == (again.account, again.notes)
