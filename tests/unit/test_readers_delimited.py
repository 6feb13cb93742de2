"""Delimited text: encodings, separators, headers, and damage that must cost one row and no more."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from evalkit.config import Source
from evalkit.errors import EncodingError, FileReadError, MissingColumnError
from evalkit.readers.protocol import RawTable
from evalkit.readers.sources._records import MAX_RECORD_LINES, read_exactly, read_fast
from evalkit.readers.sources.delimited import reader

SOURCE = Source(files=())


def read(folder: Path, data: bytes | str, *columns: str, **settings: object) -> RawTable:
    path = folder / "data.csv"
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return reader.read(path, Source(files=(), **settings), columns)


def rows(table: RawTable) -> list[tuple[int, ...]]:
    return [(n, *row) for n, row in zip(table.numbers, table.rows.iter_rows(), strict=True)]


def bad(table: RawTable) -> list[tuple[int, str]]:
    return list(table.malformed.iter_rows())


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "utf-8"),
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("cp949", "cp949"),
        ("cp1252", "cp1252"),
        ("latin-1", "latin-1"),
    ],
)
def test_encodings_give_the_same_text(tmp_path: Path, encoding: str, written: str) -> None:
    word = "서울특별시" if written == "cp949" else "Medellín"
    table = read(tmp_path, f"a,b\n{word},1\n".encode(written), "a", encoding=encoding)
    assert rows(table) == [(1, word)]


def test_wrong_encoding_names_the_byte_and_what_would_fit(tmp_path: Path) -> None:
    data = "a,b\nok,1\n서울,2\n".encode("cp949")
    with pytest.raises(EncodingError) as caught:
        read(tmp_path, data, "a")
    message = str(caught.value)
    assert f"byte {data.index('서'.encode('cp949')) + 1} (line 3) is not utf-8 text" in message
    assert "data.csv" in message
    assert '"cp949"' in message


def test_wrong_encoding_offers_utf16_only_with_its_mark(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match='"utf-16"'):
        read(tmp_path, "a,b\né,1\n".encode("utf-16"), "a")
    with pytest.raises(EncodingError) as caught:
        read(tmp_path, "a,b\né,1\n".encode("cp1252"), "a")
    assert "utf-16" not in str(caught.value)
    assert '"cp1252"' in str(caught.value)


def test_an_encoding_error_carries_no_bytes_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(EncodingError) as caught:
        read(tmp_path, b"a,b\nSECRET\xff,1\n", "a")
    error: BaseException | None = caught.value
    while error is not None:
        assert "SECRET" not in repr(error.__dict__) + str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13"])
def test_unknown_encoding(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(EncodingError, match="not the name of a text encoding"):
        read(tmp_path, "a,b\n1,2\n", "a", encoding=encoding)


def test_utf8_read_as_latin1_is_noted(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\né,1\n", "a", encoding="latin-1")
    assert any("also valid UTF-8" in note for note in table.notes)
    assert read(tmp_path, "a,b\ne,1\n", "a", encoding="latin-1").notes == ()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("stated", [True, False])
def test_separators(tmp_path: Path, separator: str, stated: bool) -> None:
    text = "a,b c,d\n1,2,\n3,,4\n".replace(",", separator)
    table = read(tmp_path, text, "d", "a", separator=separator if stated else "")
    assert rows(table) == [(1, None, "1"), (2, "4", "3")]


def test_the_separator_is_found_in_a_header_that_holds_others(tmp_path: Path) -> None:
    table = read(tmp_path, '"x, y, z";a|b;c\n1;2;3\n', "c", "x, y, z")
    assert rows(table) == [(1, "3", "1")]


def test_a_wrong_separator_is_refused_with_the_likely_one(tmp_path: Path) -> None:
    with pytest.raises(FileReadError) as caught:
        read(tmp_path, "date;lon;lat\n1;2;3\n", "date", separator=",")
    assert 'likely separator is ";"' in str(caught.value)


@pytest.mark.parametrize("separator", ["::", '"', "\n", "§"])
def test_impossible_separators(tmp_path: Path, separator: str) -> None:
    with pytest.raises(FileReadError, match="separator"):
        read(tmp_path, "a,b\n1,2\n", "a", separator=separator)


def test_tsv_by_format(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "a\tb,c\n1\t2\n", "b,c", format="tsv")) == [(1, "2")]


def test_quoted_fields(tmp_path: Path) -> None:
    text = 'a,"b"\r\n"1, ""one""",2\r\n"",""\r\n'
    assert rows(read(tmp_path, text, "a", "b")) == [(1, '1, "one"', "2"), (2, None, None)]


def test_a_quoted_field_over_lines_is_one_row(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n"1\n\none",2\n3,4\n', "a", "b")
    assert rows(table) == [(1, "1\n\none", "2"), (2, "3", "4")]
    assert bad(table) == []


def test_ragged_rows_are_malformed_and_numbered(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b,c\n1,2,3\n4,5\n6,7,8,9\n\n10,11,12\n", "c", "a")
    assert rows(table) == [(1, "3", "1"), (4, "12", "10")]
    assert bad(table) == [(2, "4,5"), (3, "6,7,8,9")]
    assert table.read == 4


def test_ragged_rows_beside_quoted_ones(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n"x,y",1\n"x",2,3\n4,5\n', "a", "b")
    assert rows(table) == [(1, "x,y", "1"), (3, "4", "5")]
    assert bad(table) == [(2, '"x",2,3')]


def test_an_open_quote_costs_its_row_only(tmp_path: Path) -> None:
    lines = [f"{n},x" for n in range(50)]
    lines[10] = '10,"x'
    table = read(tmp_path, "a,b\n" + "\n".join(lines) + "\n", "a", "b")
    assert bad(table) == [(11, '10,"x')]
    assert table.rows["a"].to_list() == [str(n) for n in range(50) if n != 10]


def test_an_open_quote_before_quoted_rows_costs_its_row_only(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n"1,x\n"2","y"\n"3","z"\n', "a", "b")
    assert bad(table) == [(1, '"1,x')]
    assert rows(table) == [(2, "2", "y"), (3, "3", "z")]


def test_a_quote_is_sought_over_so_many_lines_only(tmp_path: Path) -> None:
    short, long = ("\n".join(["x"] * lines) for lines in (MAX_RECORD_LINES, MAX_RECORD_LINES + 1))
    assert read(tmp_path, f'a,b\n"{short}",1\n2,3\n', "b").rows["b"].to_list() == ["1", "3"]
    table = read(tmp_path, f'a,b\n"{long}",1\n2,3\n', "b")
    assert table.malformed.height == MAX_RECORD_LINES
    assert table.rows["b"].to_list() == ["1", "3"]


def test_text_after_a_closing_quote_is_malformed(tmp_path: Path) -> None:
    table = read(tmp_path, 'a,b\n"1"x,2\n3,4\n', "a", "b")
    assert (rows(table), bad(table)) == ([(2, "3", "4")], [(1, '"1"x,2')])


def test_a_quote_within_a_bare_field_is_a_letter(tmp_path: Path) -> None:
    assert rows(read(tmp_path, 'a,b\n5" pipe,1\n', "a")) == [(1, '5" pipe')]


def test_nul_bytes_are_malformed(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\n1,2\n3\x00,4\n5,6\n", "a", "b")
    assert rows(table) == [(1, "1", "2"), (3, "5", "6")]
    assert bad(table) == [(2, "3\x00,4")]


def test_lone_carriage_returns_end_lines(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "a,b\r1,2\r3,4", "b")) == [(1, "2"), (2, "4")]


def test_blank_lines_are_not_rows_but_empty_records_are(tmp_path: Path) -> None:
    table = read(tmp_path, "\n\na,b\n\n1,2\n   \n,\n\n\n", "a", "b")
    assert rows(table) == [(1, "1", "2"), (2, None, None)]


def test_blank_lines_of_a_single_column_are_not_rows(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "a\n1\n\n2\n", "a")) == [(1, "1"), (2, "2")]


def test_a_tab_separated_row_of_nothing_is_a_row(tmp_path: Path) -> None:
    assert rows(read(tmp_path, "a\tb\n\t\n1\t2\n", "a")) == [(1, None), (2, "1")]


def test_no_type_is_guessed(tmp_path: Path) -> None:
    text = "a,b\n" + "1,2\n" * 200 + "0042,1e5\n"
    assert read(tmp_path, text, "a", "b").rows.row(-1) == ("0042", "1e5")


def test_header_names_lose_blanks_only(tmp_path: Path) -> None:
    assert rows(read(tmp_path, ' a ," B"\n1,2\n', "B", "a")) == [(1, "2", "1")]


def test_a_name_with_the_characters_of_a_pattern(tmp_path: Path) -> None:
    text = "^a.*$,ab,*\n1,2,3\n"
    assert rows(read(tmp_path, text, "^a.*$", "*")) == [(1, "1", "3")]


def test_a_name_that_occurs_twice(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="more than once in the header: a"):
        read(tmp_path, "a,a,b\n1,2,3\n", "a")
    assert rows(read(tmp_path, "a,a,b\n1,2,3\n", "b")) == [(1, "3")]


def test_a_missing_column_names_the_nearest_and_all(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError) as caught:
        read(tmp_path, "Longitude,LATITUDE,when\n1,2,3\n", "longitude", "when")
    message = str(caught.value)
    assert 'no column "longitude"' in message
    assert 'did you mean "Longitude"' in message
    assert "Longitude, LATITUDE, when" in message


def test_many_columns_are_not_all_listed(tmp_path: Path) -> None:
    text = ",".join(f"name{n}x" for n in range(200)) + "\n" + ",".join("1" * 200) + "\n"
    with pytest.raises(MissingColumnError, match="and 140 more"):
        read(tmp_path, text, "absent")


def test_a_file_without_a_header_is_not_quoted(tmp_path: Path) -> None:
    with pytest.raises(FileReadError) as caught:
        read(tmp_path, "SECRET,2020-01-01,-83.5\nx,2020-01-02,-83.6\n", "date")
    assert "hold data, not column names" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_open_quote_in_the_header_quotes_no_row(tmp_path: Path, end: str) -> None:
    with pytest.raises(FileReadError) as caught:
        read(tmp_path, end.join(['"a,b', "1,SECRET", '2,x"', ""]), "a")
    assert "a column name runs over several lines" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("data", ["a,b", "a,b\n", "a,b\n\n\n", "a,b\n  \n"])
def test_a_header_alone(tmp_path: Path, data: str) -> None:
    with pytest.raises(FileReadError, match="a header and no row"):
        read(tmp_path, data, "a")


@pytest.mark.parametrize("data", ["\n", " \n\n", '"', '"a'])
def test_no_header(tmp_path: Path, data: str) -> None:
    with pytest.raises(FileReadError, match="not a header"):
        read(tmp_path, data, "a")


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="the file is empty"):
        read(tmp_path, b"", "a")


def test_a_folder_and_an_absent_file(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match="folder"):
        reader.read(tmp_path, SOURCE, ["a"])
    with pytest.raises(FileReadError, match="does not exist"):
        reader.read(tmp_path / "no.csv", SOURCE, ["a"])


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FileReadError, match="Permission denied"):
        reader.read(tmp_path / "data.csv", SOURCE, ["a"])


def test_more_columns_than_an_expression_can_hold(tmp_path: Path) -> None:
    width = 4000
    header = ",".join(f"c{n}" for n in range(width))
    row = ",".join(f'"{n}"' for n in range(width))
    assert rows(read(tmp_path, f"{header}\n{row}\n", "c3999")) == [(1, "3999")]


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4\n",
        "1,2\r\n3,4",
        '"a,b",2\n\n3,""\n',
        "1\n2,3\n4,5,6\n",
        '"1"x,2\n3,4\n',
        '"open,2\n3,4\n',
    ],
)
def test_both_ways_agree(text: str) -> None:
    exact = read_exactly(text.encode(), ",", 2, [1, 0])
    fast = read_fast(text.encode(), ",", 2, [1, 0])
    if fast is not None:
        assert [[v or "" for v in row] for row in rows(fast)] == [list(row) for row in rows(exact)]
        assert bad(fast) == bad(exact)
    assert (fast is None) == (text in {'"1"x,2\n3,4\n', '"open,2\n3,4\n'})


def test_the_exact_way_reads_what_the_csv_module_writes() -> None:
    table = [["plain", 'quo"te'], ["com,ma", "new\nline"], ["", "é"], [" pad ", "x"]]
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table)
    exact = read_exactly(out.getvalue().encode(), ",", 2, [0, 1])
    assert [list(row) for row in exact.rows.iter_rows()] == table
