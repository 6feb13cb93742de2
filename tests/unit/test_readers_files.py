"""Many files: which are read, in which order, and that none is missed or read twice in silence."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from evalkit.config import Source
from evalkit.errors import FileReadError
from evalkit.readers import read_incidents
from evalkit.readers.files import find_files
from evalkit.readers.sources import _bytes, delimited
from tests.sites import GOOD, HEADER, small_site, write_rows
from tests.unprivileged import unprivileged

YEARS = range(2017, 2021)


def rows_of(year: int, ids: int = 3) -> list[tuple[str, ...]]:
    return [(f"{year}-{n}", f"{year}-05-0{n + 1} 10:00:00", *GOOD[2:]) for n in range(ids)]


def yearly(folder: Path, pattern: str) -> None:
    """One file a year, the first row of each year again at the end of the next."""
    for year in YEARS:
        path = folder / pattern.format(year=year)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [*rows_of(year), rows_of(year - 1)[0]]
        if path.suffix == ".parquet":
            pl.DataFrame(rows, schema=list(HEADER), orient="row").write_parquet(path)
        else:
            write_rows(path, rows)


@pytest.mark.parametrize(
    ("layout", "pattern"),
    [
        ("data/year={year}/part-0.parquet", "data/year=*/*.parquet"),
        ("data/year={year}/part-0.parquet", "data/**/*.parquet"),
        ("data/year={year}/part-0.parquet", "**/part-?.parquet"),
        ("data/year={year}/month=05/x.csv", "data/*/*/*.csv"),
        ("{year}/incidents.csv", "*/incidents.csv"),
        ("{year}/incidents.csv", "20[12]?/incidents.csv"),
        ("{year}/incidents.csv", "**"),
        ("incidents-{year}.csv", "incidents-*.csv"),
        ("sub/../incidents-{year}.csv", "sub/../incidents-*.csv"),
    ],
)
def test_a_file_a_year(tmp_path: Path, layout: str, pattern: str) -> None:
    yearly(tmp_path, layout)
    found = read_incidents(small_site(incidents={"files": (pattern,)}), tmp_path)
    assert len(found.files) == len(YEARS)
    assert list(found.files) == sorted(found.files)
    assert found.account.read == 4 * len(YEARS)
    assert found.account.rejected["duplicate"] == len(YEARS) - 1
    duplicates = found.rejected.filter(reason="duplicate")
    assert duplicates["file"].to_list() == list(found.files[1:])
    assert duplicates["row"].to_list() == [4] * (len(YEARS) - 1)
    assert found.rows.group_by("file").len().sort("file")["len"].to_list() == [4, 3, 3, 3]


def test_formats_may_be_mixed(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", rows_of(2017))
    pl.DataFrame(rows_of(2018), schema=list(HEADER), orient="row").write_parquet(
        tmp_path / "b.parquet"
    )
    found = read_incidents(small_site(incidents={"files": ("*",)}), tmp_path)
    assert found.account.used == 6


def test_the_name_of_the_bad_file_among_many_is_said(tmp_path: Path) -> None:
    yearly(tmp_path, "{year}/incidents.csv")
    (tmp_path / "2019" / "incidents.csv").write_text("id,date,lon,lat,type\n1,never,-83.5,42.5,x\n")
    site = small_site(incidents={"files": ("*/incidents.csv",)})
    with pytest.raises(Exception, match=r"2019/incidents\.csv"):
        read_incidents(site, tmp_path)


def test_one_file_under_several_names_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_rows(tmp_path / "a.csv", [GOOD])
    (tmp_path / "link.csv").symlink_to("a.csv")
    (tmp_path / "sub" / "folder").symlink_to("..")
    for patterns in (["*.csv"], ["link.csv", "a.csv", "sub/../a.csv", "sub/folder/a.csv", "**/*"]):
        assert list(find_files(patterns, tmp_path)) == ["a.csv"]
    assert list(find_files(["link.csv"], tmp_path)) == ["link.csv"]


def test_a_copy_is_read_and_pointed_out(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        write_rows(tmp_path / name, rows_of(2019))
    site = small_site(incidents={"files": ("*.csv",), "duplicates": "keep"})
    found = read_incidents(site, tmp_path)
    assert found.account.used == 6
    assert "b.csv: the file is byte for byte the same as a.csv" in found.notes


@pytest.mark.parametrize("pattern", ["b.csv", "*.csv", "**/*.csv"])
@pytest.mark.parametrize("target", ["gone.csv", "b.csv"], ids=["broken", "looping"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, pattern: str, target: str) -> None:
    write_rows(tmp_path / "a.csv", [GOOD])
    (tmp_path / "b.csv").symlink_to(target)
    with pytest.raises(FileReadError, match="a link that leads to no file"):
        find_files([pattern], tmp_path)


def test_links_between_folders_do_not_loop(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write_rows(tmp_path / "sub" / "a.csv", [GOOD])
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    assert list(find_files(["**/*.csv"], tmp_path)) == ["sub/a.csv"]


def test_folders_and_special_files_among_files_are_passed_over(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [GOOD])
    (tmp_path / "b.csv").mkdir()
    os.mkfifo(tmp_path / "c.csv")
    assert list(find_files(["*.csv"], tmp_path)) == ["a.csv"]
    for name in ("b.csv", "c.csv"):
        with pytest.raises(FileReadError):
            find_files([name], tmp_path)


@pytest.mark.parametrize(
    "pattern", ["x" * 300, "x\0y", "*\0*", "[", "[]", "[!", "***", "a/" * 2000 + "b", "/", "..", ""]
)
def test_odd_patterns_find_nothing_in_words(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(FileReadError) as caught:
        find_files([pattern], tmp_path)
    assert caught.value.way_out


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
@pytest.mark.parametrize("pattern", ["*/*.csv", "**/*.csv", "2019/*.csv", "2019/incidents.csv"])
def test_a_folder_that_may_not_be_read_is_not_passed_over(
    tmp_path: Path, mode: int, pattern: str
) -> None:
    """pathlib's glob would leave the year out and say nothing."""
    yearly(tmp_path, "{year}/incidents.csv")
    (tmp_path / "2019").chmod(mode)
    try:
        with unprivileged():
            found = find_files([pattern], tmp_path)
    except FileReadError as error:
        assert "2019" in str(error)
    else:
        assert mode == 0o111  # may be entered, not listed
        assert pattern == "2019/incidents.csv"
        assert list(found) == [pattern]
    finally:
        (tmp_path / "2019").chmod(0o755)


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    yearly(tmp_path, "{year}.csv")
    (tmp_path / "2019.csv").chmod(0)
    with unprivileged(), pytest.raises(FileReadError, match=r"2019\.csv.*permissions"):
        read_incidents(small_site(incidents={"files": ("*.csv",)}), tmp_path)


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "incidents.csv", rows_of(2019))
    real = delimited.Delimited.read

    def read(self, where, source, columns):
        table = real(self, where, source, columns)
        write_rows(path, rows_of(2019, 4))
        return table

    monkeypatch.setattr(delimited.Delimited, "read", read)
    with pytest.raises(FileReadError, match="changed while it was read"):
        read_incidents(small_site(), tmp_path)


# ---------------------------------------------------------------- long lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("long", [1, 2, 30], ids=["first", "second", "last"])
def test_a_line_too_long_is_refused(
    tmp_path: Path, end: str, long: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [",".join(HEADER), *(",".join(row) for row in rows_of(2019, 9) * 4)]
    path = tmp_path / "incidents.csv"
    monkeypatch.setattr(_bytes, "LINE_BYTES", max(map(len, lines)) + 1)
    path.write_bytes(end.join(lines).encode())
    assert delimited.reader.read(path, Source(), ["id"]).read == 36
    lines[long] += "x" * 20
    path.write_bytes(end.join(lines).encode())
    start = sum(len(line) + len(end) for line in lines[:long]) + 1
    with pytest.raises(FileReadError, match=f"begins at byte {start:,} has more than") as caught:
        delimited.reader.read(path, Source(), ["id"])
    assert "one record a line" in str(caught.value)
    assert GOOD[2] not in str(caught.value)


def test_gigabytes_without_a_line_end_are_not_taken_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "incidents.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n1,2\n")
        file.truncate(3 << 30)  # a hole: it takes no room on the disk

    def never(path: Path) -> bytes:
        raise AssertionError("the whole file was read")

    monkeypatch.setattr(delimited, "read_bytes", never)
    with pytest.raises(FileReadError, match=r"byte 9 has more than 16,777,216 bytes"):
        delimited.reader.read(path, Source(), ["a"])
