"""Files as they come: cut off, mixed up, empty, not files at all. Never a traceback, never a row lost in silence.

Each example is a folder of files with several things wrong at once, read through one pattern, with and without
what a store has kept. Either every record of every file is used or rejected for a reason, or an error says in
words what is wrong, and quotes no row.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.cli import main
from evalkit.config import Site
from evalkit.errors import EvalkitError
from evalkit.readers import Read, RowCache, read_cameras, read_incidents
from evalkit.readers.sources import _bytes
from tests.sites import GOOD, HEADER, small_site
from tests.unprivileged import unprivileged

CANARY = "zq9canary"
"""In every row; where it turns up in an error, a row was quoted."""

DATES = [
    "2020-05-01 13:45:00", "2020-05-02", "2020-05-03T10:00:00Z", "20200504", "01/05/2020", "May 5, 2020",
    "1588291200", "Jul-18", "2020-13-45", "0000-00-00", "9999-12-31", "2020-05-01T25:61:00", "", "NULL",
    f"{CANARY} 2020",
]  # fmt: skip
NUMBERS = [
    "-83.5", "42.5", "-83,5", "83.5 W", "N42°30'", "1e400", "nan", "-inf", "0", "0.0", "-0", "4 2.5", "٤٢", "",
    "NA", "POINT(-83.5 42.5)", f"{CANARY}", "99999999999999999999", "0x2A",
]  # fmt: skip
TYPES = ["Assault", "ASSAULT ", "assault", "", "Übergriff", CANARY, "=cmd()", "a" * 300]
IDS = ["1", "2", "", " 3", CANARY, "'", "😀"]

records = st.lists(
    st.tuples(
        st.sampled_from(IDS),
        st.sampled_from(DATES),
        st.sampled_from(NUMBERS),
        st.sampled_from(NUMBERS),
        st.sampled_from(TYPES),
    ),
    max_size=8,
)


def good(data: bytes) -> bytes:
    return data


def cut_off(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def another_separator_in_the_middle(data: bytes) -> bytes:
    lines = data.split(b"\n")
    half = len(lines) // 2
    return b"\n".join([*lines[:half], *(line.replace(b",", b";") for line in lines[half:])])


def another_separator(data: bytes) -> bytes:
    return data.replace(b",", b"|")


def nuls(data: bytes) -> bytes:
    return data.replace(b"5", b"\0", 3)


def only_nuls(data: bytes) -> bytes:
    return b"\0" * len(data)


def byte_order_mark(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def mark_in_the_middle(data: bytes) -> bytes:
    return data.replace(b"\n", b"\n\xef\xbb\xbf", 2)


def in_utf16(data: bytes) -> bytes:
    return data.decode("utf-8", errors="replace").encode("utf-16")


def in_latin1(data: bytes) -> bytes:
    return data.decode("utf-8", errors="replace").encode("latin-1", errors="replace")


def dos_lines(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def old_mac_lines(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r")


def mixed_lines(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n", 2).replace(b"\n", b"\r", 1)


def blank_lines(data: bytes) -> bytes:
    return b"\n\n" + data.replace(b"\n", b"\n\n   \n")


def stray_quote(data: bytes) -> bytes:
    return data.replace(b",", b',"', 7)


def long_line(data: bytes) -> bytes:
    return data + b"x" * 5000 + b"\n"


def header_only(data: bytes) -> bytes:
    return data.split(b"\n")[0]


def header_twice(data: bytes) -> bytes:
    return data.split(b"\n")[0] + b"\n" + data


def no_header(data: bytes) -> bytes:
    return data.partition(b"\n")[2]


def empty(data: bytes) -> bytes:
    return b""


def blanks(data: bytes) -> bytes:
    return b" \n \n\t\n"


def a_spreadsheet(data: bytes) -> bytes:
    return b"PK\x03\x04" + data


def a_page(data: bytes) -> bytes:
    return b"<html><body>429 Too Many Requests</body></html>"


def more_columns_later(data: bytes) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([*lines[:2], *(line + b",more" for line in lines[2:] if line)])


DAMAGE = [
    good, cut_off, another_separator_in_the_middle, another_separator, nuls, only_nuls, byte_order_mark,
    mark_in_the_middle, in_utf16, in_latin1, dos_lines, old_mac_lines, mixed_lines, blank_lines, stray_quote,
    long_line, header_only, header_twice, no_header, empty, blanks, a_spreadsheet, a_page, more_columns_later,
]  # fmt: skip

ENDINGS = [".csv", ".tsv", ".txt", ".parquet", ".geojson", ".json"]


def folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_in_its_place(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved").name)


def broken_link_in_its_place(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def looping_link_in_its_place(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def locked(path: Path) -> None:
    path.chmod(0)


def pipe_in_its_place(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


PLACES: list[Callable[[Path], None]] = [
    folder_in_its_place, link_in_its_place, broken_link_in_its_place, looping_link_in_its_place, locked,
    pipe_in_its_place,
]  # fmt: skip

files = st.tuples(
    records,
    st.lists(st.sampled_from(DAMAGE), min_size=1, max_size=2),
    st.sampled_from([*[".csv"] * 6, *ENDINGS]),
    st.one_of(*[st.none()] * 4, st.sampled_from(PLACES)),
)


def make(folder: Path, number: int, file: tuple) -> bytes:
    rows, damage, ending, place = file
    lines = [",".join(row) for row in [HEADER, *[GOOD] * 3, *rows]]
    data = ("\n".join(lines) + "\n").encode()
    for one in damage:
        data = one(data)
    path = folder / f"{number}{ending}"
    path.write_bytes(data)
    if place:
        place(path)
    return data


def ending_of(site: Site, folder: Path, cache: RowCache | None) -> Read | str:
    """What came out, or the words of the error."""
    try:
        return read_incidents(site, folder, cache)
    except EvalkitError as error:
        assert error.what
        assert error.way_out
        return str(error)


def assert_accounted_for(found: Read) -> None:
    account = found.account
    assert account.read == account.used + sum(account.rejected.values())
    assert account.used == found.rows.height
    assert Counter(found.rejected["reason"]) == +Counter(account.rejected)
    places = [
        *((found.files[file], row) for file, row in found.rows.select("file", "row").iter_rows()),
        *found.rejected.select("file", "row").iter_rows(),
    ]
    expected = Counter(file for file, _ in places)
    assert sorted(places) == sorted(
        (file, row) for file, count in expected.items() for row in range(1, count + 1)
    )
    assert not any(CANARY in note for note in found.notes)


@given(
    made=st.lists(files, min_size=1, max_size=3),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16", "utf-8-sig"]),
    separator=st.sampled_from(["", ",", ";"]),
    decimal=st.sampled_from([".", ","]),
    formats=st.sampled_from([("iso",), ("iso", "%d/%m/%Y", "epoch_s"), ("%Y-%m-%d",)]),
    duplicates=st.sampled_from(["id", "row", "keep"]),
)
def test_every_folder_is_read_to_the_last_row_or_refused_in_words(
    made: list[tuple], encoding: str, separator: str, decimal: str, formats: tuple[str, ...],
    duplicates: str,
) -> None:  # fmt: skip
    site = small_site(
        incidents={
            "files": ("*[!d]",), "encoding": encoding, "separator": separator, "decimal": decimal,
            "date_format": formats, "duplicates": duplicates,
        }
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder, store = Path(name) / "data", Path(name) / "rows"
        folder.mkdir()
        for number, file in enumerate(made):
            make(folder, number, file)
        with unprivileged():
            endings = [
                ending_of(site, folder, one) for one in (None, RowCache(store), RowCache(store))
            ]
    if isinstance(endings[0], str):
        assert endings[1:] == endings[:1] * 2
        # Names of columns may be said, and damage can put a row where the header was.
        assert CANARY not in endings[0] or any(
            one in damage
            for _, damage, *_ in made
            for one in (no_header, old_mac_lines, stray_quote)
        )
        return
    for found in endings:
        assert isinstance(found, Read)
        assert_accounted_for(found)
        assert found.account == endings[0].account
        assert found.notes == endings[0].notes
        assert found.rejected.equals(endings[0].rejected)


def lines_of(data: bytes) -> int:
    """Records after the header of text without quotation marks."""
    found = [line for line in re.split(rb"\r\n|\r|\n", data) if line.strip(b" ")]
    return len(found) - 1


COUNTED = [
    good, cut_off, another_separator_in_the_middle, nuls, byte_order_mark, mark_in_the_middle,
    dos_lines, old_mac_lines, mixed_lines, blank_lines, header_twice, long_line, more_columns_later,
]  # fmt: skip


@given(rows=records, damage=st.sampled_from(COUNTED), again=st.sampled_from(COUNTED))
def test_as_many_rows_are_read_as_there_are_lines(
    rows: list[tuple[str, ...]], damage: Callable[[bytes], bytes], again: Callable[[bytes], bytes]
) -> None:
    site = small_site(incidents={"files": ("*.csv",), "duplicates": "keep"})
    with tempfile.TemporaryDirectory() as name:
        data = make(Path(name), 0, (rows, [damage, again], ".csv", None))
        found = ending_of(site, Path(name), None)
    if isinstance(found, Read):
        assert_accounted_for(found)
        assert found.account.read == lines_of(data)


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    limit=st.integers(len(",".join(HEADER)), 60),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_the_guard_stops_lines_over_its_limit_and_no_others(
    lengths: list[int], limit: int, end: str
) -> None:
    """The limit of gigabytes, made small."""
    lines = [",".join(HEADER), *("x" * length for length in lengths)]
    site = small_site(incidents={"files": ("a.csv",)})
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_bytes, "LINE_BYTES", limit)
        (Path(name) / "a.csv").write_bytes(end.join(lines).encode())
        found = ending_of(site, Path(name), None)
    stopped = isinstance(found, str) and f"has more than {limit:,} bytes" in found
    longest = max(map(len, lines))
    assert stopped == (longest > limit)
    if isinstance(found, Read):
        assert_accounted_for(found)


@pytest.mark.parametrize("source", ["incidents", "cameras"])
@pytest.mark.parametrize("damage", DAMAGE, ids=lambda one: one.__name__)
def test_the_command_line_never_ends_in_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, damage: Callable[[bytes], bytes]
) -> None:  # fmt: skip
    from tests.unit import test_bad_input as bad_input

    site = bad_input.town(tmp_path)
    path = tmp_path / f"{source}.csv"
    path.write_bytes(damage(path.read_bytes()))
    for _ in range(2):  # the second time with what the first has kept
        with pytest.raises(SystemExit) as ended:
            main(["site", "check", "--site", str(site), "--no-pictures", "--json"])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        assert ended.value.code in (0, 4), said.err


@pytest.mark.parametrize("place", PLACES, ids=lambda one: one.__name__)
def test_cameras_that_are_no_file(tmp_path: Path, place: Callable[[Path], None]) -> None:
    path = tmp_path / "cameras.csv"
    path.write_text("id,live,lon,lat\n1,2020-01-01,-83.5,42.5\n")
    place(path)
    try:
        with unprivileged():
            found = read_cameras(small_site(), tmp_path)
    except EvalkitError as error:
        assert place is not link_in_its_place
        assert "cameras.csv" in str(error)
        assert error.way_out
    else:
        assert place is link_in_its_place
        assert found.account.used == 1
