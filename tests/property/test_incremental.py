"""Reading only what is new or changed gives what reading everything gives, to the last row and count.

Files are added, changed, renamed, emptied of rows and removed at random; the same rows are cut into files at
random. Whatever is kept in the store, the outcome is that of a store that holds nothing.
"""

from __future__ import annotations

import datetime as dt
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from evalkit.config import load_study
from evalkit.readers import Read, RowCache, read_cameras, read_incidents
from evalkit.readers import cache as cache_module
from evalkit.readers.files import FilePart
from evalkit.workbench import open_bench, read_city, store_panel
from tests.sites import GOOD, HEADER, small_site, write_rows
from tests.unit import test_bad_input as bad_input

Rows = Sequence[tuple[str, ...]]

# None for which a file that has nothing else is refused as a whole.
DEFECTS = [
    ("1", "", *GOOD[2:]),
    ("1", "", "", "", ""),
    ("1", GOOD[1], "NA", *GOOD[3:]),
    ("1", GOOD[1], "0", "0", GOOD[4]),
    (*GOOD[:4], "unheard of"),
    ("broken",),
]


def row(number: int) -> tuple[str, ...]:
    """Row 0, 7, 14, … have a defect; numbers that are equal are the same event."""
    if number % 7 == 0:
        return DEFECTS[number // 7 % len(DEFECTS)]
    day = dt.date(2020, 1, 1) + dt.timedelta(days=number % 300)
    id_ = "" if number % 11 == 0 else f"n{number}"
    return (id_, f"{day} {number % 24:02}:15:00", *GOOD[2:])


numbers = st.lists(st.integers(0, 40), min_size=1, max_size=12)
names = st.sampled_from(["a.csv", "2019/a.csv", "2020/a.csv", "b.csv", "z.tsv", "p.parquet"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), names, numbers),
        st.tuples(st.just("append"), names, numbers),
        st.tuples(st.just("remove"), names, st.none()),
        st.tuples(st.just("rename"), names, names),
    ),
    min_size=1,
    max_size=5,
)


def write(path: Path, rows: Rows) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        whole = [one if len(one) == len(HEADER) else GOOD for one in rows]
        pl.DataFrame(whole, schema=list(HEADER), orient="row").write_parquet(path)
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        lines = [separator.join(one) for one in [HEADER, *rows]]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def carry_out(folder: Path, files: dict[str, list[int]], step: tuple) -> None:
    kind, name, what = step
    if kind in ("write", "append"):
        files[name] = [*(files.get(name, []) if kind == "append" else []), *what]
        write(folder / name, [row(n) for n in files[name]])
    elif name in files and kind == "remove":
        del files[name]
        (folder / name).unlink()
    elif name in files and (folder / name).suffix == (folder / what).suffix and name != what:
        files[what] = files.pop(name)
        (folder / what).parent.mkdir(exist_ok=True)
        (folder / name).rename(folder / what)


def assert_same(found: Read, expected: Read) -> None:
    assert_frame_equal(found.rows, expected.rows)
    assert_frame_equal(found.rejected, expected.rejected)
    assert found.account == expected.account
    assert found.notes == expected.notes
    assert found.files == expected.files
    assert found.fingerprint == expected.fingerprint


@contextmanager
def counted_reads() -> Iterator[list[str]]:
    """Names of the files that are taken apart meanwhile."""
    reads: list[str] = []
    real = FilePart.read

    def read(self: FilePart, columns: Sequence[str]):
        reads.append(self.name)
        return real(self, columns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilePart, "read", read)
        yield reads


@settings(max_examples=60)
@given(steps=steps, duplicates=st.sampled_from(["id", "row", "keep"]))
def test_what_is_kept_changes_nothing(steps: list[tuple], duplicates: str) -> None:
    site = small_site(incidents={"files": ("**/*.*",), "duplicates": duplicates})
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name) / "data", Path(name) / "store" / "rows"
        folder.mkdir()
        files: dict[str, list[int]] = {}
        known: set[bytes] = set()
        carry_out(folder, files, ("write", "first.csv", [1, 1, 2]))
        for step in [("append", "first.csv", [3]), *steps]:
            carry_out(folder, files, step)
            cache = RowCache(store)
            with counted_reads() as reads:
                found = read_incidents(site, folder, cache)
            cache.forget_the_rest()
            assert_same(found, read_incidents(site, folder))
            assert found.account.read == found.rows.height + found.rejected.height
            contents = {one: (folder / one).read_bytes() for one in files}
            new = {content for content in contents.values() if content not in known}
            assert len(reads) == len(new)
            assert {contents[one] for one in reads} == new
            known = set(contents.values())
            assert len(list(store.iterdir())) == len(known)


@settings(max_examples=60)
@given(
    numbers=st.lists(st.integers(0, 40), min_size=1, max_size=40),
    seed=st.integers(0, 999),
    parts=st.integers(1, 6),
    duplicates=st.sampled_from(["id", "row", "keep"]),
)
def test_how_rows_are_cut_into_files_changes_no_count(
    numbers: list[int], seed: int, parts: int, duplicates: str
) -> None:
    """Cut in order, so that the first of two equal rows stays the first."""
    rows = [row(n) for n in numbers]
    draw = random.Random(seed)
    cuts = sorted(draw.randint(0, len(rows)) for _ in range(parts - 1))
    pieces = [rows[start:end] for start, end in pairwise([0, *cuts, len(rows)])]
    site = small_site(incidents={"files": ("*.csv",), "duplicates": duplicates})
    with tempfile.TemporaryDirectory() as name:
        whole, cut = Path(name) / "whole", Path(name) / "cut"
        for folder in (whole, cut):
            folder.mkdir()
        write_rows(whole / "a.csv", rows)
        for index, piece in enumerate(filter(None, pieces)):
            write_rows(cut / f"{index}.csv", piece)
        one, several = read_incidents(site, whole), read_incidents(site, cut)
        assert several.account == one.account
        assert_frame_equal(several.rows.drop("file", "row"), one.rows.drop("file", "row"))
        places = ["file", "row"]
        assert_frame_equal(several.rejected.drop(places), one.rejected.drop(places))


def test_cameras_keep_their_ids_when_a_file_before_theirs_comes(tmp_path: Path) -> None:
    header = ("id", "live", "lon", "lat")
    site = small_site(cameras={"files": ("*.csv",)})
    for name in ("b.csv", "a.csv"):
        write_rows(tmp_path / name, [("", "2020-01-01", "-83.5", "42.5")], header)
        found = read_cameras(site, tmp_path, RowCache(tmp_path / "rows"))
        assert_same(found, read_cameras(site, tmp_path))
    assert found.rows["id"].to_list() == ["a.csv:1", "b.csv:1"]


def monthly(folder: Path) -> dict[dt.date, pl.DataFrame]:
    """The town of tests/unit/test_bad_input.py, with one file of incidents a month."""
    path = bad_input.town(folder)
    (folder / "incidents.csv").unlink()
    bad_input.rewrite(path, 'files = ["incidents.csv"]', 'files = ["data/year=*/*.csv"]')
    bad_input.rewrite(path, 'duplicates = "keep"', 'duplicates = "row"')
    months = bad_input.incidents().with_columns(
        month=pl.col("when").str.head(10).str.to_date().dt.truncate("1mo")
    )
    return {
        month: rows.drop("month")
        for (month,), rows in months.partition_by("month", as_dict=True).items()
    }


def save(folder: Path, month: dt.date, rows: pl.DataFrame) -> None:
    path = folder / "data" / f"year={month.year}" / f"{month.month:02}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.write_csv(path)


def test_a_panel_that_grows_month_by_month_is_the_panel_built_at_once(tmp_path: Path) -> None:
    months = monthly(tmp_path)
    study = load_study(bad_input.study(tmp_path))
    bench = open_bench(tmp_path / "site.toml")
    last = sorted(months)[-1]
    for month, rows in months.items():
        if month != last:
            save(tmp_path, month, rows)
    with counted_reads() as reads:
        store_panel(bench, study)
    assert len(reads) == len(months) - 1 + 1  # and the cameras
    save(
        tmp_path, last, pl.concat([months[last], months[last].head(3), months[min(months)].head(2)])
    )
    first = min(months)
    save(tmp_path, first, months[first].tail(-5))
    with counted_reads() as reads:
        grown = store_panel(bench, study)
    assert sorted(reads) == sorted(
        f"data/year={month.year}/{month.month:02}.csv" for month in (first, last)
    )
    bad_input.rewrite(tmp_path / "site.toml", 'name = "town"', 'name = "town"\nstore = "other"')
    other = open_bench(tmp_path / "site.toml")
    with counted_reads() as reads:
        full = store_panel(other, study)
    assert len(reads) == len(months) + 1
    assert (grown.panel.counts == full.panel.counts).all()
    assert (grown.panel.exposure == full.panel.exposure).all()
    assert grown.panel.fingerprint == full.panel.fingerprint
    assert_frame_equal(grown.units, full.units)
    assert grown.account == full.account
    assert grown.facts == full.facts
    assert grown.notes == full.notes


# ---------------------------------------------------------------- when what is kept is not used


def reread(folder: Path, site=None, city_folder: Path | None = None) -> list[str]:
    with counted_reads() as reads:
        found = read_incidents(
            site or small_site(), city_folder or folder, RowCache(folder / "rows")
        )
    assert_same(found, read_incidents(site or small_site(), city_folder or folder))
    return reads


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    write_rows(tmp_path / "incidents.csv", [row(n) for n in range(1, 40)])
    assert reread(tmp_path) == ["incidents.csv"]
    assert reread(tmp_path) == []
    return tmp_path


def test_another_meaning_of_the_same_file_is_understood_anew(kept: Path) -> None:
    bounds = small_site()
    city = msgspec.structs.replace(bounds.city, bounds=(-83.6, 42.0, -83.0, 43.0))
    sites = [
        small_site(incidents={"duplicates": "keep"}),
        small_site(incidents={"missing": ("",)}),
        small_site(incidents={"date_format": ("%Y-%m-%d %H:%M:%S",)}),
        small_site(incidents={"crime_types": {"Assault": "robbery"}}),
        small_site(incident_columns={"id": ""}),
        small_site(incident_columns={"id": "type"}),
        small_site(zone="Asia/Tokyo"),
        msgspec.structs.replace(bounds, city=city),
    ]
    for site in sites:
        assert reread(kept, site) == ["incidents.csv"]
        assert reread(kept, site) == []
    assert reread(kept) == []


def test_other_code_and_another_machine_start_anew(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "_made_by", lambda: ("another",))
    assert reread(kept) == ["incidents.csv"]


def test_the_name_and_the_place_of_a_file_do_not_matter(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (kept / "incidents.csv").rename(tmp_path / "elsewhere" / "incidents.csv")
    assert reread(kept, city_folder=tmp_path / "elsewhere") == []


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "folder", "other table", "no rows"])
def test_what_is_damaged_is_read_again(kept: Path, damage: str) -> None:
    (path,) = (kept / "rows").iterdir()
    data = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    elif damage == "other table":
        pl.DataFrame({"a": [1]}).write_parquet(path)
    elif damage == "no rows":
        pl.read_parquet(path).head(0).write_parquet(path)
    else:
        path.write_bytes({"cut": data[:-9], "empty": b"", "noise": b"PAR1" * 99}[damage])
    assert reread(kept) == ["incidents.csv"]
    if damage != "folder":
        assert reread(kept) == []


def test_only_the_owner_may_read_what_is_kept(kept: Path) -> None:
    assert (kept / "rows").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (kept / "rows").iterdir()] == [0o600]


def test_without_a_place_to_keep_anything_all_is_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "incidents.csv", [GOOD])
    (tmp_path / "rows").write_text("a file, not a folder")
    assert reread(tmp_path) == ["incidents.csv"]
    assert reread(tmp_path) == ["incidents.csv"]


def test_the_parts_of_both_sources_are_kept_and_no_others(tmp_path: Path) -> None:
    bench = open_bench(bad_input.town(tmp_path))
    for rows in (2000, 2001, 2002):
        bad_input.incidents().head(rows).write_csv(tmp_path / "incidents.csv")
        read_city(bench)
        assert len(list((bench.private / "rows").iterdir())) == 2
