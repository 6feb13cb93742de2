"""Parquet: every type as text that says the same."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from evalkit.config import Source
from evalkit.errors import FileReadError, MissingColumnError
from evalkit.readers.sources.parquet import reader

SOURCE = Source(files=())
MOMENT = dt.datetime(2020, 5, 1, 13, 45, 0, 250_000)  # noqa: DTZ001 (a naive column is under test)


def text_of(folder: Path, values: pl.Series) -> list[str | None]:
    path = folder / "data.parquet"
    pl.DataFrame({"x": values, "other": values}).write_parquet(path)
    table = reader.read(path, SOURCE, ["x"])
    assert table.rows.schema == {"x": pl.String()}
    assert table.numbers.to_list() == list(range(1, len(values) + 1))
    return table.rows["x"].to_list()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pl.Series(["a", "", None, " b"]), ["a", None, None, " b"]),
        (pl.Series([1, None, -(2**62)], dtype=pl.Int64), ["1", None, str(-(2**62))]),
        (pl.Series([2**64 - 1], dtype=pl.UInt64), [str(2**64 - 1)]),
        (pl.Series([True, False]), ["true", "false"]),
        (pl.Series([dt.date(2020, 5, 1)]), ["2020-05-01"]),
        (pl.Series([MOMENT]), ["2020-05-01T13:45:00.250"]),
        (pl.Series([MOMENT]).dt.replace_time_zone("Asia/Seoul"), ["2020-05-01T13:45:00.250+09:00"]),
        (pl.Series([dt.time(3, 4, 5)]), ["03:04:05"]),
        (pl.Series([Decimal("1.50")]), ["1.50"]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"]),
        (pl.Series(["a"], dtype=pl.Enum(["a"])), ["a"]),
        (pl.Series([b"abc", "é".encode()]), ["abc", "é"]),
        (pl.Series([None, None], dtype=pl.Null), [None, None]),
    ],
)
def test_types(tmp_path: Path, values: pl.Series, expected: list[str | None]) -> None:
    assert text_of(tmp_path, values) == expected


def test_floats_come_back_bit_for_bit(tmp_path: Path) -> None:
    values = [0.1, -83.0746121304256, 1e-300, 1e300, 5e-324, math.pi, 1 / 3, -0.0]
    text = text_of(tmp_path, pl.Series(values))
    assert [float(value or "nan").hex() for value in text] == [value.hex() for value in values]


def test_nested_columns_are_refused_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pl.DataFrame({"x": [[1], [2]], "y": [1, 2]}).write_parquet(path)
    with pytest.raises(FileReadError, match="no text form"):
        reader.read(path, SOURCE, ["x"])
    assert reader.read(path, SOURCE, ["y"]).read == 2


def test_columns_in_the_order_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pl.DataFrame({"b": [1], "a": [2], "^a.*$": [3]}).write_parquet(path)
    table = reader.read(path, SOURCE, ["^a.*$", "a", "b"])
    assert table.rows.rows() == [("3", "2", "1")]
    assert table.rows.columns == ["^a.*$", "a", "b"]


def test_missing_column(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pl.DataFrame({"Date": [1]}).write_parquet(path)
    with pytest.raises(MissingColumnError, match='did you mean "Date"'):
        reader.read(path, SOURCE, ["date"])


def test_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pl.DataFrame({"x": pl.Series([], dtype=pl.String)}).write_parquet(path)
    with pytest.raises(FileReadError, match="no row"):
        reader.read(path, SOURCE, ["x"])


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"PAR1", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_not_parquet(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(data)
    with pytest.raises(FileReadError, match="not Parquet"):
        reader.read(path, SOURCE, ["a"])
