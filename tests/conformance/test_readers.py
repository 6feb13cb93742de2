"""One law for every source format found in evalkit/readers/sources, unasked.

The same rows written in each format give the same table; damage gives the same kind of error. A new format
needs one line here, how to write it, and fails until it has one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from evalkit.config import Source
from evalkit.errors import FileReadError, MissingColumnError
from evalkit.readers import read_cameras, read_incidents
from evalkit.readers.files import readers
from evalkit.readers.protocol import Reader
from tests.sites import small_site

HEADER = ("id", "date", "longitude", "latitude", "type")
ROWS: list[tuple[str | None, ...]] = [
    ("1", "2020-05-01T13:45:00", "-83.5", "42.5", "Assault"),
    ("2", "2020-05-02", "-83.0746121304256", "42.4336248235494", "assault"),
    ("3", None, "-83.5", "42.5", "assault"),
    ("4", "never", "-83.5", "42.5", "assault"),
    ("5", "2020-05-01", None, None, "assault"),
    ("6", "2020-05-01", "-85.0", "42.5", "assault"),
    ("7", "2020-05-01", "-83.5", "42.5", 'Übergriff, "schwer"'),
    ("2", "2020-05-02", "-83.0746121304256", "42.4336248235494", "assault"),
]
REASONS = {
    3: "missing_date",
    4: "unreadable_date",
    5: "missing_coordinates",
    6: "outside_city",
    7: "unmapped_type",
    8: "duplicate",
}

Rows = Sequence[tuple[str | None, ...]]


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])


def write_tsv(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([HEADER, *rows])


def write_parquet(path: Path, rows: Rows) -> None:
    schema = {name: pl.Float64 if name.endswith("tude") else pl.String for name in HEADER}
    typed = [
        (*row[:2], *(None if v is None else float(v) for v in row[2:4]), row[4]) for row in rows
    ]
    pl.DataFrame(typed, schema=schema, orient="row").write_parquet(path)


def write_geojson(path: Path, rows: Rows) -> None:
    features = [
        {
            "type": "Feature",
            "properties": {"id": key, "date": date, "type": kind},
            "geometry": None
            if longitude is None or latitude is None
            else {"type": "Point", "coordinates": [float(longitude), float(latitude)]},
        }
        for key, date, longitude, latitude, kind in rows
    ]
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    "csv": write_csv,
    "tsv": write_tsv,
    "parquet": write_parquet,
    "geojson": write_geojson,
}
FORMATS = [(reader, name) for reader in readers() for name in reader.formats]


@pytest.fixture(params=FORMATS, ids=[name for _, name in FORMATS])
def found(request: pytest.FixtureRequest) -> tuple[Reader, str]:
    reader, name = request.param
    assert name in WRITERS, f"say here how to write {name}"
    return reader, name


def written(folder: Path, name: str, rows: Rows = ROWS) -> Path:
    path = folder / f"data.{name}"
    WRITERS[name](path, rows)
    return path


def test_all_formats_are_found() -> None:
    assert {name for _, name in FORMATS} >= {"csv", "tsv", "parquet", "geojson"}


def test_formats_and_suffixes_are_claimed_once() -> None:
    for claims in ("formats", "suffixes"):
        names = [name for reader in readers() for name in getattr(reader, claims)]
        assert len(set(names)) == len(names)
    assert all(suffix == suffix.lower() for reader in readers() for suffix in reader.suffixes)


def test_the_same_rows_are_the_same_table(found: tuple[Reader, str], tmp_path: Path) -> None:
    reader, name = found
    columns = ["type", "longitude", "id", "latitude", "date"]
    table = reader.read(written(tmp_path, name), Source(files=(), format=name), columns)
    expected = pl.DataFrame(ROWS, schema=dict.fromkeys(HEADER, pl.String), orient="row")
    assert_frame_equal(table.rows, expected[columns])
    assert table.numbers.dtype == pl.UInt64
    assert table.numbers.to_list() == list(range(1, len(ROWS) + 1))
    assert table.malformed.is_empty()
    assert table.malformed.schema == {"row": pl.UInt64, "text": pl.String}
    assert table.notes == ()


@pytest.mark.parametrize("stated", [True, False], ids=["stated", "by suffix"])
def test_the_account_adds_up(found: tuple[Reader, str], tmp_path: Path, stated: bool) -> None:
    path = written(tmp_path, found[1])
    source = {"files": (path.name,), "format": found[1] if stated else "auto"}
    places = {"longitude": "longitude", "latitude": "latitude"}
    site = small_site(
        incidents=source,
        incident_columns=places,
        cameras=source,
        camera_columns={"live_date": "date", **places},
    )
    incidents = read_incidents(site, tmp_path)
    assert incidents.account.read == len(ROWS)
    assert incidents.rows["row"].to_list() == [1, 2]
    assert dict(incidents.rejected.select("row", "reason").iter_rows()) == REASONS
    cameras = read_cameras(site, tmp_path)
    assert cameras.account.read == len(ROWS)
    assert cameras.rows["row"].to_list() == [1, 2, 3, 7, 8]


def test_a_missing_column(found: tuple[Reader, str], tmp_path: Path) -> None:
    reader, name = found
    with pytest.raises(MissingColumnError) as caught:
        reader.read(written(tmp_path, name), Source(files=(), format=name), ["id", "Type"])
    message = str(caught.value)
    assert 'no column "Type"' in message
    assert 'did you mean "type"' in message
    assert all(column in message for column in HEADER)


def test_an_empty_file(found: tuple[Reader, str], tmp_path: Path) -> None:
    reader, name = found
    path = tmp_path / f"data.{name}"
    path.write_bytes(b"")
    with pytest.raises(FileReadError, match="empty"):
        reader.read(path, Source(files=(), format=name), ["id"])


def test_a_file_without_rows(found: tuple[Reader, str], tmp_path: Path) -> None:
    reader, name = found
    with pytest.raises(FileReadError, match=r"no (row|feature)"):
        reader.read(written(tmp_path, name, []), Source(files=(), format=name), ["id"])


def test_absent_files_and_folders(found: tuple[Reader, str], tmp_path: Path) -> None:
    reader, name = found
    for path, message in ((tmp_path / "absent", "does not exist"), (tmp_path, "folder")):
        with pytest.raises(FileReadError, match=message):
            reader.read(path, Source(files=(), format=name), ["id"])


def test_noise_is_refused_in_words(found: tuple[Reader, str], tmp_path: Path) -> None:
    reader, name = found
    path = tmp_path / f"data.{name}"
    path.write_bytes(b"no such format")
    with pytest.raises((FileReadError, MissingColumnError)):
        reader.read(path, Source(files=(), format=name), ["id"])
