"""Whatever a file holds, every row is accounted for and every failure is in words."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from itertools import dropwhile
from pathlib import Path

import polars as pl
from hypothesis import example, given
from hypothesis import strategies as st

from evalkit.config import Source
from evalkit.errors import EvalkitError
from evalkit.readers import read_incidents
from evalkit.readers.sources import delimited, geojson, parquet
from evalkit.readers.sources._records import read_exactly, read_fast
from tests.sites import GOOD, HEADER, small_site, write_rows

CANARY = "Zq9canary"
"""A value no column, file or setting has: where it turns up, a row was quoted."""

DEFECTS: dict[str, tuple[str, ...]] = {
    "missing_date": ("x", "", "-83.5", "42.5", "assault"),
    "unreadable_date": ("x", CANARY, "-83.5", "42.5", "assault"),
    "unmapped_type": ("x", "2020-05-02", "-83.5", "42.5", CANARY),
    "missing_coordinates": ("x", "2020-05-02", "NA", "42.5", "assault"),
    "unreadable_coordinates": ("x", "2020-05-02", CANARY, "42.5", "assault"),
    "zero_coordinates": ("x", "2020-05-02", "0", "0", "assault"),
    "swapped_coordinates": ("x", "2020-05-02", "42.5", "-83.5", "assault"),
    "outside_earth": ("x", "2020-05-02", "-999", "42.5", "assault"),
    "outside_city": ("x", "2020-05-02", "-90", "42.5", "assault"),
    "malformed_row": (CANARY,),
    "duplicate": GOOD,
}

kinds = st.lists(st.sampled_from(["good", "blank", *DEFECTS]), max_size=25)


@given(kinds=kinds, enough=st.booleans())
def test_planted_defects_are_found_and_counted(kinds: list[str], enough: bool) -> None:
    """Each planted row is used or rejected for its own reason; without enough good rows it may be refused."""
    good = len(kinds) + 5 if enough else 0
    lines = [GOOD]
    for n, kind in enumerate([*kinds, *["good"] * good]):
        lines.append((f"n{n}", *GOOD[1:]) if kind == "good" else DEFECTS.get(kind, ()))
    expected = Counter(kind for kind in kinds if kind in DEFECTS)
    with tempfile.TemporaryDirectory() as name:
        write_rows(Path(name) / "incidents.csv", lines)
        try:
            found = read_incidents(small_site(), Path(name))
        except EvalkitError as error:
            assert not enough
            assert CANARY not in str(error)
            return
    rows = 1 + len(kinds) - kinds.count("blank") + good
    assert found.account.read == rows
    assert found.account.used == rows - expected.total()
    assert +Counter(found.account.rejected) == expected
    numbers = sorted([*found.rows["row"], *found.rejected["row"]])
    assert numbers == list(range(1, rows + 1))
    assert not any(CANARY in note for note in found.notes)


CLEAN = "\n".join(
    ",".join(row) for row in [HEADER, GOOD, *(DEFECTS[kind] for kind in DEFECTS), *[GOOD] * 12]
).encode()

edits = st.lists(
    st.tuples(
        st.integers(0, len(CLEAN)),
        st.integers(0, 20),
        st.one_of(
            st.binary(max_size=6),
            st.sampled_from([b'"', b"\n", b"\r", b"\0", b",", b'"",', b"\xef\xbb\xbf", b"\n\n"]),
        ),
    ),
    max_size=6,
)


def records(data: bytes) -> list[str]:
    """Lines that are not blank from the header on, for text without quotation marks."""
    lines = [line for line in re.split(r"\r\n|\r|\n", data.decode("latin-1")) if line.strip(" ")]
    return list(dropwhile(lambda line: not line.replace(",", "").strip(), lines))


@given(edits=edits, cut=st.integers(0, len(CLEAN)))
@example(edits=[], cut=0)
@example(edits=[(14, 12, b'"'), (0, 14, b""), (70, 0, b'"')], cut=95)
@example(edits=[(len(",".join(HEADER)) + 1, 0, b'"')], cut=len(CLEAN))
def test_damaged_text_loses_no_row(edits: list[tuple[int, int, bytes]], cut: int) -> None:
    data = CLEAN[:cut]
    for start, length, new in edits:
        data = data[:start] + new + data[start + length :]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "incidents.csv"
        path.write_bytes(data)
        try:
            found = read_incidents(small_site(incidents={"encoding": "latin-1"}), Path(name))
        except EvalkitError as error:
            # Names of columns may be said, so what the damage has put into the header may be, too.
            assert CANARY not in str(error) or CANARY in records(data)[0]
            return
    numbers = sorted([*found.rows["row"], *found.rejected["row"]])
    assert numbers == list(range(1, found.account.read + 1))
    if b'"' not in data:
        assert found.account.read == len(records(data)) - 1


@given(data=st.binary(max_size=300))
def test_noise_is_refused_or_read_in_any_format(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data"
        path.write_bytes(data)
        for reader in (delimited.reader, geojson.reader, parquet.reader):
            for encoding in ("utf-8", "latin-1", "utf-16", "cp949"):
                try:
                    reader.read(path, Source(files=(), encoding=encoding), ["a"])
                except EvalkitError as error:
                    assert str(error)


def small_parquet() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data.parquet"
        table = [row for row in DEFECTS.values() if len(row) == len(HEADER)] * 3
        pl.DataFrame(table, schema=list(HEADER), orient="row").write_parquet(path)
        return path.read_bytes()


PARQUET = small_parquet()
GEOJSON = json.dumps(
    {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"date": "2020-05-01", "id": n, "note": CANARY},
                "geometry": {"type": "Point", "coordinates": [-83.5, 42.5]},
            }
            for n in range(4)
        ],
    }
).encode()

single_edits = st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=4))


@given(edits=st.lists(single_edits, min_size=1, max_size=4), binary=st.booleans())
def test_damaged_parquet_and_geojson_are_refused_or_read(
    edits: list[tuple[float, int, bytes]], binary: bool
) -> None:
    data = PARQUET if binary else GEOJSON
    reader = parquet.reader if binary else geojson.reader
    for place, length, new in edits:
        start = int(place * len(data))
        data = data[:start] + new + data[start + length :]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "data"
        path.write_bytes(data)
        try:
            table = reader.read(path, Source(files=()), ["date", "id"])
        except EvalkitError as error:
            assert CANARY not in str(error)
            return
    numbers = sorted([*table.numbers, *table.malformed["row"]])
    assert numbers == list(range(1, table.read + 1))


letters = st.text(st.sampled_from('ab", \n\r\0;é'), max_size=60)


@given(text=letters, width=st.integers(1, 4))
def test_the_fast_and_the_exact_way_agree(text: str, width: int) -> None:
    """Wherever the fast way dares to answer, it answers what the csv module does."""
    positions = list(range(width))
    body = text.encode()
    if not body:
        return
    fast = read_fast(body, ",", width, positions)
    if fast is None:
        return
    exact = read_exactly(body, ",", width, positions)
    filled = fast.rows.select(pl.all().fill_null(""))
    assert filled.rows() == exact.rows.rows()
    assert fast.numbers.to_list() == exact.numbers.to_list()
    assert fast.malformed.rows() == exact.malformed.rows()
