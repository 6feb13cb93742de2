"""Incidents from files to typed rows: reasons, crime types, duplicates, files, rejects."""

from __future__ import annotations

import datetime as dt
import hashlib
import stat
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evalkit.config import Site
from evalkit.errors import FileReadError, MissingColumnError, TaxonomyError
from evalkit.readers import Read, read_incidents, write_rejected
from tests.sites import GOOD, HEADER, small_site, write_rows


def changed(**values: str) -> tuple[str, ...]:
    return tuple(values.get(name, good) for name, good in zip(HEADER, GOOD, strict=True))


def read(folder: Path, *rows: tuple[str, ...], **settings: Any) -> Read:
    write_rows(folder / "incidents.csv", rows)
    return read_incidents(small_site(incidents=settings), folder)


def reasons(found: Read) -> list[tuple[int, str]]:
    return list(found.rejected.select("row", "reason").iter_rows())


def test_a_good_row(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found.rows.rows() == [
        (0, 1, dt.date(2020, 5, 1), 13, -83.5, 42.5, None, "assault", 1),
    ]
    assert found.account.to_dict()["used"] == 1
    assert found.rejected.is_empty()
    assert found.files == ("incidents.csv",)
    assert found.notes == ()


DEFECTS = {
    "missing_date": changed(date="NA"),
    "unreadable_date": changed(date="2020-13-01"),
    "unmapped_type": changed(type="ROBBERY"),
    "missing_coordinates": changed(lat=""),
    "unreadable_coordinates": changed(lon="west"),
    "zero_coordinates": changed(lon="0", lat="0"),
    "swapped_coordinates": changed(lon="42.5", lat="-83.5"),
    "outside_earth": changed(lon="-1000"),
    "outside_city": changed(lon="-85"),
    "malformed_row": ("one", "two"),
    "duplicate": GOOD,
}


def test_every_defect_has_its_reason(tmp_path: Path) -> None:
    goods = [changed(id=str(100 + n)) for n in range(20)]
    found = read(tmp_path, GOOD, *DEFECTS.values(), *goods)
    assert reasons(found) == [(n, reason) for n, reason in enumerate(DEFECTS, start=2)]
    assert found.account.read == 21 + len(DEFECTS)
    assert found.account.used == 21
    assert {k: v for k, v in found.account.rejected.items() if v} == dict.fromkeys(DEFECTS, 1)


def test_the_first_reason_counts(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, GOOD, changed(date="", type="", lon="", lat=""), changed(type=""))
    assert reasons(found) == [(2, "duplicate"), (3, "missing_date"), (4, "unmapped_type")]


def test_blank_lines_do_not_disturb_the_count(tmp_path: Path) -> None:
    (tmp_path / "incidents.csv").write_text(
        "id,date,lon,lat,type\n\n1,2020-05-01,-83.5,42.5,assault\n\n\n2,x,-83.5,42.5,assault\n"
    )
    found = read_incidents(small_site(), tmp_path)
    assert (found.account.read, found.rows["row"].to_list()) == (2, [1])
    assert reasons(found) == [(2, "unreadable_date")]


def test_crime_types_match_but_for_capitals_blanks_and_accents(tmp_path: Path) -> None:
    composed, decomposed = "Lesión", "Lesio\u0301n"
    found = read(
        tmp_path,
        changed(id="1", type=" ASSAULT "),
        changed(id="2", type=decomposed.upper()),
        changed(id="3", type="Assaults"),
        crime_types={"assault": "assault", composed: "robbery", "Absent": "theft"},
    )
    assert found.rows["crime_type"].to_list() == ["assault", "robbery"]
    assert reasons(found) == [(3, "unmapped_type")]
    assert 'no row has these crime types of the site file: "Absent"' in found.notes


def test_one_category_mapped_twice(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="two common types"):
        read(tmp_path, GOOD, crime_types={"Assault": "assault", "ASSAULT ": "robbery"})


def test_all_as_needs_no_column(tmp_path: Path) -> None:
    write_rows(tmp_path / "incidents.csv", [GOOD[:4]], HEADER[:4])
    site = small_site(incidents={"all_as": "theft"}, incident_columns={"crime_type": ""})
    assert read_incidents(site, tmp_path).rows["crime_type"].to_list() == ["theft"]


def test_duplicates_by_id(tmp_path: Path) -> None:
    rows = [changed(id="7"), changed(id="7", lon="-83.6"), changed(id=""), changed(id="")]
    found = read(tmp_path, *rows, duplicates="id")
    assert reasons(found) == [(2, "duplicate")]


def test_duplicates_by_row(tmp_path: Path) -> None:
    rows = [changed(id="7"), changed(id="7", lon="-83.6"), changed(id=""), changed(id=" ")]
    assert reasons(read(tmp_path, *rows, duplicates="row")) == [(4, "duplicate")]


def test_duplicates_kept(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, GOOD, GOOD, duplicates="keep")
    assert found.account.used == 3
    assert any(note.startswith("2 rows equal an earlier one") for note in found.notes)


def test_a_row_is_no_duplicate_of_a_rejected_one(tmp_path: Path) -> None:
    found = read(tmp_path, changed(date=""), GOOD, GOOD, duplicates="id")
    assert reasons(found) == [(1, "missing_date"), (3, "duplicate")]


def test_areas_only(tmp_path: Path) -> None:
    write_rows(tmp_path / "incidents.csv", [("2020-05-01", "North"), ("2020-05-01", " ")], "da")
    site = small_site(
        incidents={"all_as": "theft"},
        incident_columns={
            "date": "d", "area": "a", "id": "", "longitude": "", "latitude": "", "crime_type": "",
        },
    )  # fmt: skip
    found = read_incidents(site, tmp_path)
    assert found.rows.select("longitude", "latitude", "area").rows() == [(None, None, "North")]
    assert reasons(found) == [(2, "missing_area")]


def test_an_area_beside_coordinates_may_be_missing(tmp_path: Path) -> None:
    write_rows(tmp_path / "incidents.csv", [(*GOOD, "North"), (*GOOD, "")], (*HEADER, "area"))
    found = read_incidents(small_site(incident_columns={"area": "area"}), tmp_path)
    assert found.rows["area"].to_list() == ["North", None]


def test_several_files(tmp_path: Path) -> None:
    site = small_site(incidents={"files": ("b/*.csv", "a.csv")})
    (tmp_path / "b").mkdir()
    write_rows(tmp_path / "b" / "2.csv", [changed(id="3"), changed(id="4")])
    write_rows(tmp_path / "b" / "1.csv", [changed(id="2")])
    write_rows(tmp_path / "a.csv", [changed(id="1"), ("broken",)])
    found = read_incidents(site, tmp_path)
    assert found.files == ("a.csv", "b/1.csv", "b/2.csv")
    assert found.rows.select("file", "row").rows() == [(0, 1), (1, 1), (2, 1), (2, 2)]
    assert found.rejected.select("file", "row", "reason", "text").rows() == [
        ("a.csv", 2, "malformed_row", "broken")
    ]
    assert "a.csv: 1 of 2 rows are malformed" in found.notes


def test_duplicates_across_files(tmp_path: Path) -> None:
    for name in "ab":
        write_rows(tmp_path / f"{name}.csv", [GOOD])
    found = read_incidents(small_site(incidents={"files": ("*.csv",)}), tmp_path)
    assert found.rejected.select("file", "reason").rows() == [("b.csv", "duplicate")]


def test_the_fingerprint_is_that_of_the_bytes(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    one = (tmp_path / "incidents.csv").read_bytes()
    assert found.fingerprint == hashlib.sha256(one).hexdigest()
    write_rows(tmp_path / "a.csv", [changed(id="2")])
    both = read_incidents(small_site(incidents={"files": ("incidents.csv", "a.csv")}), tmp_path)
    each = [hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest(), found.fingerprint]
    assert both.fingerprint == hashlib.sha256("".join(each).encode()).hexdigest()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("incident.csv",), 'no file "incident.csv".*did you mean "incidents.csv"'),
        (("*.tsv",), r'no file "\*\.tsv"'),
        ((".",), "folder"),
        (("sub",), 'files = \\["sub/\\*"\\]'),
        (("**x",), "no file"),
        (("data.xls",), 'the ending ".xls".*format'),
        ((), "names no file"),
    ],
)
def test_files_that_are_not_there(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    write_rows(tmp_path / "incidents.csv", [GOOD])
    (tmp_path / "data.xls").write_text("x")
    (tmp_path / "sub").mkdir()
    with pytest.raises(FileReadError, match=message):
        read_incidents(small_site(incidents={"files": files}), tmp_path)


def test_an_absolute_path_and_an_absolute_pattern(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "incidents.csv", [GOOD])
    for name in (str(path), str(tmp_path / "inc*.csv")):
        site = small_site(incidents={"files": (name,)})
        assert read_incidents(site, tmp_path / "elsewhere").account.used == 1


def test_a_file_name_with_the_characters_of_a_pattern(tmp_path: Path) -> None:
    write_rows(tmp_path / "data[1].csv", [GOOD])
    site = small_site(incidents={"files": ("data[1].csv",)})
    assert read_incidents(site, tmp_path).files == ("data[1].csv",)


def test_the_format_may_be_stated(tmp_path: Path) -> None:
    write_rows(tmp_path / "export.dat", [GOOD])
    site = small_site(incidents={"files": ("export.dat",), "format": "csv"})
    assert read_incidents(site, tmp_path).account.used == 1


def test_a_missing_column(tmp_path: Path) -> None:
    write_rows(tmp_path / "incidents.csv", [GOOD])
    with pytest.raises(MissingColumnError, match='no column "kind"'):
        read_incidents(small_site(incident_columns={"crime_type": "kind"}), tmp_path)


def test_rejected_rows_keep_what_the_source_says(tmp_path: Path) -> None:
    header = ("row", "file", "date", "x", "text")
    write_rows(tmp_path / "incidents.csv", [("7", "f", " never", "-83.5", "42.5")], header)
    site = small_site(
        incidents={"all_as": "theft", "date_format": ("%Y-%m-%d", "iso")},
        incident_columns={
            "id": "row", "area": "file", "longitude": "x", "latitude": "text", "crime_type": "",
        },
    )  # fmt: skip
    write_rows(tmp_path / "more.csv", [("8", "f", "2020-01-01", "-83.5", "42.5")] * 2, header)
    with pytest.raises(FileReadError):
        read_incidents(site, tmp_path / "none")
    (tmp_path / "incidents.csv").write_text(
        (tmp_path / "incidents.csv").read_text() + "8,f,2020-01-01,-83.5,42.5\n"
    )
    found = read_incidents(site, tmp_path)
    assert found.rejected.row(0, named=True) == {
        "file": "incidents.csv",
        "row": 1,
        "reason": "unreadable_date",
        "text": None,
        "source.row": "7",
        "source.file": "f",
        "date": " never",
        "x": "-83.5",
        "source.text": "42.5",
    }


def test_rejected_rows_are_written_for_the_owner_only(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD, changed(type='say "x"'), ("a", "b"))
    path = tmp_path / "rejected.csv"
    write_rejected(found, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    back = pl.read_csv(path, infer_schema=False)
    assert back["reason"].to_list() == ["unmapped_type", "malformed_row"]
    assert back["type"][0] == 'say "x"'
    assert back["text"][1] == "a,b"


def test_rejected_rows_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="cannot be written"):
        write_rejected(read(tmp_path, GOOD), tmp_path / "no" / "rejected.csv")


def test_a_source_of_which_nothing_is_used(tmp_path: Path) -> None:
    found = read(tmp_path, changed(type="x"), changed(date=""))
    assert (found.account.used, found.rows.height) == (0, 0)
    assert "no row is used" in found.notes


def test_all_rows_malformed(tmp_path: Path) -> None:
    found = read(tmp_path, ("a",), ("b",))
    assert found.account.rejected["malformed_row"] == found.account.read == 2


def test_one_column_may_have_two_roles(tmp_path: Path) -> None:
    write_rows(tmp_path / "incidents.csv", [GOOD])
    site: Site = small_site(incident_columns={"area": "type"})
    assert read_incidents(site, tmp_path).rows["area"].to_list() == ["ASSAULT"]
