"""Databases: the same table as a file, nothing written, nothing lost, and no secret ever repeated."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from evalkit.config import Source, load_site, load_study
from evalkit.errors import (
    ConfigError,
    DatabaseReadError,
    FileReadError,
    MissingColumnError,
    MissingExtraError,
)
from evalkit.readers import read_cameras, read_incidents
from evalkit.readers.parts import find_parts
from evalkit.readers.sources import _engines
from evalkit.workbench import open_bench, store_panel
from tests.postgresql import Server
from tests.sites import GOOD, HEADER, small_site, write_rows
from tests.unit import test_bad_input as bad_input

VARIABLE = "EVALKIT_TEST_DSN"
PASSWORD = "Kanarien9vogel!"
ENCODED = "Kanarien9vogel%21"
USER = "kanarienleser"
CANARY = "zq9canary"

ROWS = [
    GOOD,
    ("2", "2020-05-02", "-83.0746121304256", "42.4336248235494", "assault"),
    ("3", None, "-83.5", "42.5", "assault"),
    ("4", "never", "-83.5", "42.5", "assault"),
    ("5", "2020-05-01", None, None, "assault"),
    ("6", "2020-05-01", "-85.0", "42.5", "assault"),
    ("7", "2020-05-01", "-83.5", "42.5", 'Übergriff, "schwer"'),
    GOOD,
    ("8", "2020-05-03", "-83.5", "42.5", ""),
]

Row = Sequence[Any]


class Database:
    """One database of a kind, empty at first."""

    def __init__(self, kind: str, folder: Path, server: Server | None = None) -> None:
        self.kind, self.folder, self.server = kind, folder, server
        self.file = folder / f"town.{kind}"
        self.address = f"{kind}:///town.{kind}"
        if server:
            self.address = server.address(USER, ENCODED, "town")
            with psycopg.connect(server.dsn, autocommit=True) as owner:
                owner.execute("DROP DATABASE IF EXISTS town")
                owner.execute("CREATE DATABASE town")
                owner.execute(f"DROP ROLE IF EXISTS {USER}")
                owner.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")

    def run(self, *statements: str) -> None:
        """As the owner, who may write."""
        if self.server:
            with psycopg.connect(self.server.dsn.replace("/postgres", "/town")) as owner:
                for statement in statements:
                    owner.execute(statement.encode())
                owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}")
            return
        connect: Any = sqlite3.connect if self.kind == "sqlite" else duckdb.connect
        with closing(connect(str(self.file))) as owner:
            for statement in statements:
                owner.execute(statement)
            owner.commit()

    def fill(self, table: str, rows: Sequence[Row], *columns: str) -> None:
        values = ",".join(
            "(" + ",".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in row)
            + ")"
            for row in rows
        )  # fmt: skip
        named = ", ".join(f'"{column}"' for column in columns or HEADER)
        typed = ", ".join(f"{column} TEXT" for column in named.split(", "))
        self.run(f"CREATE TABLE {table} ({typed})", f"INSERT INTO {table} VALUES {values}")

    def source(self, **asked: str) -> dict[str, Any]:
        return {"files": (), "database": f"env:{VARIABLE}", **asked}

    def read(self, columns: Sequence[str], **asked: str) -> Any:
        (part,) = find_parts(Source(**self.source(**asked)), self.folder)
        return part.read(columns)

    def answer(self, query: str, *columns: str) -> list[tuple[str | None, ...]]:
        return self.read(columns, query=query).rows.rows()


@pytest.fixture(params=["sqlite", "duckdb", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Database:
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    made = Database(request.param, tmp_path, server)
    monkeypatch.setenv(VARIABLE, made.address)
    return made


@pytest.fixture
def town(tmp_path: Path, postgresql: Server, monkeypatch: pytest.MonkeyPatch) -> Database:
    made = Database("postgresql", tmp_path, postgresql)
    monkeypatch.setenv(VARIABLE, made.address)
    return made


def as_written(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'


@pytest.mark.parametrize("whole", [True, False], ids=["table", "query"])
def test_the_same_rows_as_from_a_file(database: Database, whole: bool) -> None:
    database.fill("events", ROWS)
    write_rows(database.folder / "incidents.csv", [tuple(map(as_written, row)) for row in ROWS])
    asked = {"table": "events"} if whole else {"query": "SELECT * FROM events"}
    from_file = read_incidents(small_site(), database.folder)
    found = read_incidents(small_site(incidents=database.source(**asked)), database.folder)
    assert_frame_equal(found.rows, from_file.rows)
    assert_frame_equal(found.rejected.drop("file"), from_file.rejected.drop("file"))
    assert found.account == from_file.account
    assert found.account.rejected["duplicate"] == 1
    assert found.files == ("table events",) if whole else ("query",)


def test_cameras_too(database: Database) -> None:
    columns = ("id", "live", "lon", "lat")
    rows = [("1", "2020-01-01", "-83.5", "42.5"), (None, None, "-83.4", "42.4")]
    database.fill("poles", rows, *columns)
    found = read_cameras(small_site(cameras=database.source(table="poles")), database.folder)
    assert found.rows["id"].to_list() == ["1", "table poles:2"]
    assert found.account.used == 2


@pytest.mark.parametrize("batch", [1, 2, 3, 9, 10])
def test_the_size_of_a_batch_changes_nothing(
    database: Database, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.fill("events", ROWS)
    whole = database.read(HEADER, table="events")
    monkeypatch.setattr(_engines, "BATCH", batch)
    parted = database.read(HEADER, table="events")
    assert_frame_equal(parted.rows, whole.rows)
    assert parted.fingerprint == whole.fingerprint


LITERALS = {
    "sqlite": {
        "NULL": None,
        "''": None,
        "' x '": " x ",
        "9223372036854775807": "9223372036854775807",
        "0.1": "0.1",
        "0.1 + 0.2": "0.30000000000000004",
        "1.7976931348623157e308": "1.7976931348623157e+308",
        "CAST('Zürich' AS BLOB)": "Zürich",
        "1 = 1": "1",
    },
    "duckdb": {
        "NULL": None,
        "''": None,
        "0.1::DOUBLE + 0.2::DOUBLE": "0.30000000000000004",
        "0.1::FLOAT": "0.1",
        "12345678901234567890.123456789::DECIMAL(38, 9)": "12345678901234567890.123456789",
        "170141183460469231731687303715884105727::HUGEINT": "170141183460469231731687303715884105727",
        "TRUE": "true",
        "DATE '2020-05-01'": "2020-05-01",
        "TIMESTAMP '2020-05-01 13:45:00'": "2020-05-01 13:45:00",
        "TIMESTAMP '2020-05-01 13:45:00.000001'": "2020-05-01 13:45:00.000001",
        "TIMESTAMPTZ '2020-05-01 13:45:00+02'": "2020-05-01 11:45:00+00",
        "TIMESTAMP 'infinity'": "infinity",
        "DATE '20200-05-01'": "20200-05-01",
        "TIME '13:45:00'": "13:45:00",
    },
    "postgresql": {
        "NULL::text": None,
        "''::text": None,
        "0.1::float8 + 0.2::float8": "0.30000000000000004",
        "0.1::float4": "0.1",
        "'NaN'::float8": "NaN",
        "12345678901234567890.12345678901234567890": "12345678901234567890.12345678901234567890",
        "1e-30::numeric": "0.000000000000000000000000000001",
        "TRUE": "true",
        "FALSE": "false",
        "DATE '2020-05-01'": "2020-05-01",
        "DATE 'infinity'": "infinity",
        "DATE '20200-05-01'": "20200-05-01",
        "DATE '0044-03-15 BC'": "0044-03-15 BC",
        "TIMESTAMP '2020-05-01 13:45:00'": "2020-05-01 13:45:00",
        "TIMESTAMPTZ '2020-05-01 13:45:00.000001+02'": "2020-05-01 11:45:00.000001+00",
        "TIME '13:45:00'": "13:45:00",
        "'x'::char(3)": "x  ",
        "ARRAY[1, 2]": "{1,2}",
        "'{\"a\": 1}'::jsonb": '{"a": 1}',
        "'9.9.9.9'::inet": "9.9.9.9",
        "'mood'::regtype": "mood",
        "'sad'::mood": "sad",
    },
}


def test_values_become_text_without_loss(database: Database) -> None:
    expected = LITERALS[database.kind]
    if database.kind == "postgresql":
        database.run("CREATE TYPE mood AS ENUM ('sad')")
    else:
        database.run("CREATE TABLE t (a INTEGER)")
    for literal, text in expected.items():
        assert database.answer(f"SELECT {literal} AS v", "v") == [(text,)], literal


@pytest.mark.parametrize("zone", ["America/Detroit", "Asia/Kolkata"])
def test_times_are_read_whatever_the_clock_of_the_session(
    town: Database, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", zone)
    monkeypatch.setenv("PGDATESTYLE", "German")
    town.run(
        "CREATE TABLE events (id int, date timestamptz, lon float8, lat numeric, type text)",
        "INSERT INTO events VALUES (1, '2020-05-01 23:30:00-04', -83.5, 42.5, 'Assault')",
    )
    found = read_incidents(small_site(incidents=town.source(table="events")), town.folder)
    assert found.rows.select(pl.col("date").cast(pl.String), "hour").rows() == [("2020-05-01", 23)]


@pytest.mark.parametrize("end", ["", ";", " ;\n", " -- all of them", "\n-- all;"])
def test_a_query_may_end_as_people_end_it(database: Database, end: str) -> None:
    database.fill("events", ROWS)
    assert database.answer(f"SELECT id FROM events WHERE id = '6'{end}", "id") == [("6",)]


def test_names_are_quoted(database: Database) -> None:
    name = 'Data "do" Fato; DROP TABLE x'
    columns = [name.replace('"', '""'), "Größe", "select"]
    typed = ", ".join(f'"{column}" TEXT' for column in columns)
    database.run(
        f'CREATE TABLE "odd table" ({typed})', "INSERT INTO \"odd table\" VALUES ('a', 'b', 'c')"
    )
    found = database.read(["select", name, "Größe"], table="odd table")
    assert found.rows.rows() == [("c", "a", "b")]


def test_a_table_of_another_schema(town: Database) -> None:
    town.run(
        "CREATE SCHEMA police",
        "CREATE TABLE police.events AS SELECT '1' AS id",
        f"GRANT USAGE ON SCHEMA police TO {USER}",
        f"GRANT SELECT ON police.events TO {USER}",
    )
    assert town.read(["id"], table="police.events").rows.rows() == [("1",)]


def test_a_missing_column_names_those_that_are_there(database: Database) -> None:
    database.fill("events", ROWS)
    with pytest.raises(MissingColumnError) as caught:
        database.read(["id", "Type"], table="events")
    assert 'did you mean "type"' in str(caught.value)
    assert all(column in str(caught.value) for column in HEADER)


def test_a_column_name_that_occurs_twice(town: Database) -> None:
    town.fill("events", ROWS)
    with pytest.raises(DatabaseReadError, match="more than once in the answer: id"):
        town.read(["id"], query="SELECT a.id, b.id FROM events a JOIN events b USING (date)")


def test_an_answer_without_rows(database: Database) -> None:
    database.fill("events", ROWS)
    with pytest.raises(DatabaseReadError, match="no row"):
        database.read(["id"], query="SELECT id FROM events WHERE id = 'none'")


WRITES = [
    "DELETE FROM events",
    "DROP TABLE events",
    "INSERT INTO events VALUES ('9', '', '', '', '')",
    "SELECT 1 AS id) AS answer; DELETE FROM events; --",
    "UPDATE events SET id = '1' RETURNING id",
]


@pytest.mark.parametrize("query", WRITES)
def test_nothing_can_be_written(database: Database, query: str) -> None:
    database.fill("events", ROWS)
    with pytest.raises(DatabaseReadError, match="does not answer the query"):
        database.read(["id"], query=query)
    assert database.read(["id"], table="events").read == len(ROWS)


def test_nothing_can_be_written_by_a_function_either(town: Database) -> None:
    town.fill("events", ROWS)
    town.run(
        f"GRANT ALL ON events TO {USER}",
        "CREATE FUNCTION clear() RETURNS text LANGUAGE sql AS 'DELETE FROM events RETURNING id'",
    )
    with pytest.raises(DatabaseReadError, match="25006"):  # read_only_sql_transaction
        town.read(["id"], query="SELECT clear() AS id")
    assert town.read(["id"], table="events").read == len(ROWS)


def test_duckdb_reaches_no_other_file(tmp_path: Path) -> None:
    database = Database("duckdb", tmp_path)
    database.run("CREATE TABLE t (a INTEGER)")
    write_rows(tmp_path / "other.csv", [GOOD])
    (part,) = find_parts(
        Source(database=database.address, query=f"SELECT * FROM '{tmp_path / 'other.csv'}'"),
        tmp_path,
    )
    with pytest.raises(DatabaseReadError):
        part.read(["id"])


def test_the_server_keeps_the_answer_and_gives_it_in_parts(
    town: Database, postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.fill("events", ROWS)
    monkeypatch.setattr(_engines, "BATCH", 4)
    before = postgresql.log.stat().st_size
    town.read(HEADER, table="events")
    log = postgresql.log.read_bytes()[before:].decode()
    assert "READ ONLY" in log
    assert 'DECLARE "evalkit"' in log
    assert log.count('FETCH FORWARD 4 FROM "evalkit"') == 4  # 4, 4, 1, and none


def test_the_fingerprint_is_that_of_the_rows_in_any_order(database: Database) -> None:
    database.fill("events", ROWS)
    database.fill("less", ROWS[:-1])
    database.fill("other", [*ROWS[:-1], ("9", *ROWS[-1][1:])])
    columns = ["id", "date"]

    def fingerprint(**asked: str) -> str:
        return str(database.read(columns, **asked).fingerprint)

    first = fingerprint(table="events")
    assert len(first) == 64
    assert fingerprint(query="SELECT * FROM events ORDER BY lat, id DESC") == first
    assert len({first, fingerprint(table="less"), fingerprint(table="other")}) == 3
    assert database.read(["id"], table="events").fingerprint != first


def test_text_that_is_no_text_costs_its_row_only(tmp_path: Path) -> None:
    database = Database("sqlite", tmp_path)
    database.fill("events", [GOOD, *ROWS[1:3]])
    database.run("INSERT INTO events SELECT 'x', date, lon, lat, CAST(x'41ff' AS TEXT) FROM events")
    site = small_site(incidents={"files": (), "database": database.address, "table": "events"})
    found = read_incidents(site, tmp_path)
    assert found.account.read == 6
    assert found.account.rejected["malformed_row"] == 3
    assert found.rejected.filter(reason="malformed_row")["text"][0].endswith("A\\xff")
    numbers = sorted([*found.rows["row"], *found.rejected["row"]])
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert "table events: 3 of 6 rows are malformed" in found.notes


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_database_that_is_none(tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "noise").write_bytes(b"no such format" * 1000)
    for name, error, words in (
        ("absent", FileReadError, "no such database"),
        ("folder", FileReadError, "folder"),
        ("noise", DatabaseReadError, "cannot be opened"),
    ):
        (part,) = find_parts(Source(database=f"{kind}:///{name}", table="t"), tmp_path)
        with pytest.raises(error, match=words):
            part.read(["id"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "noise"]


@pytest.mark.parametrize("name", ["t", "a b%20c#d?e=f"])
def test_paths_may_be_absolute_and_odd(tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / name)) as owner:
        owner.execute("CREATE TABLE t AS SELECT 1 AS a")
        owner.commit()
    for address in (f"sqlite:///{name}", f"sqlite:///{tmp_path}/{name}"):
        (part,) = find_parts(Source(database=address, table="t"), tmp_path)
        assert part.read(["a"]).rows.rows() == [("1",)]


@pytest.mark.parametrize("driver", ["duckdb", "psycopg"])
def test_a_missing_driver_names_the_extra(
    tmp_path: Path, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    (tmp_path / "town.duckdb").write_bytes(b"x")
    address = "duckdb:///town.duckdb" if driver == "duckdb" else "postgresql://nowhere/town"
    (part,) = find_parts(Source(database=address, table="t"), tmp_path)
    with pytest.raises(MissingExtraError, match=r"evalkit\[database\]"):
        part.read(["id"])


# ---------------------------------------------------------------- the site file

SITE = """
name = "town"
[city]
title = "Town"
time_zone = "America/Detroit"
bounds = [-84.0, 42.0, -83.0, 43.0]
[incidents]
{incidents}
all_as = "theft"
[incidents.columns]
date = "date"
longitude = "lon"
latitude = "lat"
[cameras]
files = ["cameras.csv"]
[cameras.columns]
longitude = "lon"
latitude = "lat"
"""


def site_file(folder: Path, incidents: str) -> Path:
    path = folder / "site.toml"
    path.write_text(SITE.format(incidents=incidents))
    return path


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://reader:{PASSWORD}@host/town",
        f"postgres://reader:{ENCODED}@host:5432/town?sslmode=require",
        f"postgresql://host/town?user=reader&password={PASSWORD}",
        f"postgresql://host/town?sslpassword={PASSWORD}",
        f"host=localhost user=reader password={PASSWORD}",
        f"host=localhost PASSWORD = '{PASSWORD}'",
        f"mysql://reader:{PASSWORD}@host/town",
    ],
)
def test_a_password_in_a_site_file_is_refused_and_not_repeated(
    tmp_path: Path, address: str
) -> None:
    with pytest.raises(ConfigError, match="a password stands in the site file") as caught:
        load_site(site_file(tmp_path, f'database = "{address}"\ntable = "events"'))
    assert "env:NAME" in str(caught.value)
    for secret in (PASSWORD, ENCODED, "reader"):
        assert secret not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("incidents", "words"),
    [
        ("", 'the key "files" is missing'),
        ('files = ["a.csv"]\ndatabase = "sqlite:///a.db"\ntable = "t"', "both files and database"),
        ('files = ["a.csv"]\ntable = "t"', "without a database"),
        ('database = "sqlite:///a.db"', "not asked anything"),
        ('database = "sqlite:///a.db"\ntable = "t"\nquery = "SELECT 1"', "both table and query"),
        ('database = "a.db"\ntable = "t"', "not the address"),
        ('database = "sqlite://a.db"\ntable = "t"', "not the address"),
        ('database = "mysql://host/town"\ntable = "t"', "not the address"),
        ('database = "env:9"\ntable = "t"', "not the address"),
        ('database = "postgresql://[x/town"\ntable = "t"', ""),
    ],
)
def test_contradictions_in_a_site_file(tmp_path: Path, incidents: str, words: str) -> None:
    if not words:  # no address either, but that is for the server's library to say
        assert load_site(site_file(tmp_path, incidents)).incidents.database
        return
    with pytest.raises(ConfigError, match=words) as caught:
        load_site(site_file(tmp_path, incidents))
    assert caught.value.way_out


@pytest.mark.parametrize(
    "database",
    ["sqlite:///a.db", "duckdb:///a.duckdb", "postgresql://reader@host/town", "env:TOWN_DSN"],
)
def test_addresses_without_a_password_are_taken(tmp_path: Path, database: str) -> None:
    site = load_site(site_file(tmp_path, f'database = "{database}"\nquery = "SELECT 1"'))
    assert site.incidents.database == database
    assert site.incidents.files == ()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, f"{VARIABLE} is not set"),
        ("  ", f"{VARIABLE} is not set"),
        (f"mysql://reader:{PASSWORD}@host/town", f"{VARIABLE} does not hold the address"),
        (f"password={PASSWORD}", f"{VARIABLE} does not hold the address"),
        (f"env:{PASSWORD}", f"{VARIABLE} does not hold the address"),
    ],
)
def test_a_variable_that_does_not_help(
    tmp_path: Path, value: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    (part,) = find_parts(Source(database=f"env:{VARIABLE}", table="t"), tmp_path)
    with pytest.raises(ConfigError, match=words) as caught:
        part.read(["id"])
    assert PASSWORD not in str(caught.value)


# ---------------------------------------------------------------- canaries

SECRETS = (PASSWORD, ENCODED, USER)


def everything_said(error: BaseException) -> str:
    """The error, and what an unlucky traceback would show with it."""
    said, following = [], [error]
    while following:
        one = following.pop()
        said += [str(one), repr(one), *map(str, one.args)]
        following += [other for other in (one.__cause__, one.__context__) if other]
    return " ".join(said)


FAILURES = [
    ("SELECT id FROM events", {"password": "wrong" + ENCODED}),
    ("SELECT id FROM events", {"port": "1"}),
    ("SELECT id FROM events", {"database": "nowhere"}),
    ("SELECT id FROM nowhere", {}),
    ("SELECT id::int AS id FROM events", {}),
    (f"SELECT '{CANARY}'::int AS id", {}),
    ("SELECT id FROM closed", {}),
    ("SELEC id", {}),
    ("SELECT 1/0 AS id", {}),
]


@pytest.mark.parametrize(("query", "change"), FAILURES)
def test_no_error_and_no_log_repeats_a_secret_or_a_value(
    town: Database, query: str, change: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    town.fill("events", [(CANARY, *GOOD[1:])])
    town.run("CREATE TABLE closed (id text)", f"REVOKE ALL ON closed FROM {USER}")
    with psycopg.connect(town.server.dsn.replace("/postgres", "/town")) as owner:
        owner.execute(f"REVOKE ALL ON closed FROM {USER}")
    address = town.address.replace(ENCODED, change.get("password", ENCODED))
    address = address.replace("/town", f"/{change.get('database', 'town')}")
    if "port" in change:
        address = address.replace(f":{town.server.port}/", f":{change['port']}/")
    monkeypatch.setenv(VARIABLE, address)
    with caplog.at_level(logging.DEBUG), pytest.raises(DatabaseReadError) as caught:
        town.read(["id"], query=query)
    said = everything_said(caught.value) + caplog.text + "".join(capfd.readouterr())
    for secret in (*SECRETS, CANARY, "127.0.0.1"):
        assert secret not in said
    assert caught.value.way_out


def test_the_canary_is_found_where_it_is() -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(f"postgresql://{USER}:{ENCODED}@127.0.0.1:1/town", connect_timeout=2)
    assert "127.0.0.1" in everything_said(caught.value)


def test_a_city_in_a_database_has_the_panel_of_the_same_city_in_files(
    town: Database, tmp_path: Path
) -> None:
    files = bad_input.town(tmp_path)
    tables = tmp_path / "database.toml"
    asked = {
        'name = "town"': 'name = "town"\nstore = "database.store"',
        'files = ["incidents.csv"]': f'database = "env:{VARIABLE}"\ntable = "events"',
        'files = ["cameras.csv"]': f'database = "env:{VARIABLE}"\nquery = "SELECT * FROM poles"',
    }
    text = files.read_text()
    for old, new in asked.items():
        assert old in text
        text = text.replace(old, new)
    tables.write_text(text)
    town.fill("events", bad_input.incidents().cast(pl.String).rows(), "when", "lon", "lat")
    town.fill("poles", bad_input.cameras().cast(pl.String).rows(), "live", "lon", "lat")
    study = load_study(bad_input.study(tmp_path))
    one, other = (store_panel(open_bench(path), study) for path in (files, tables))
    assert one.panel.counts.sum() > 3000
    assert (one.panel.counts == other.panel.counts).all()
    assert_frame_equal(one.units, other.units)
    assert one.account == other.account


def test_no_secret_in_what_a_command_prints_or_writes(town: Database, tmp_path: Path) -> None:
    town.fill("events", [(*GOOD[:1], *row[1:]) for row in [GOOD] * 3])
    write_rows(tmp_path / "cameras.csv", [("-83.5", "42.5")], ("lon", "lat"))
    path = site_file(tmp_path, f'database = "env:{VARIABLE}"\ntable = "events"')
    code = (
        "import logging, sys; logging.basicConfig(level=logging.DEBUG);"
        "from evalkit.cli import main; main(sys.argv[1:])"
    )

    def run(address: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, "site", "check", "--site", str(path), "--no-pictures"],
            capture_output=True, text=True, check=False,
            env={**os.environ, VARIABLE: address, "EVALKIT_DEBUG": "1"},
        )  # fmt: skip

    good = run(town.address)
    assert good.returncode == 0, good.stderr
    assert "3 rows read" in good.stdout
    bad = run(town.address.replace("/town", "/nowhere"))
    assert bad.returncode == 4
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert any(file.name == "rejected-incidents.csv" for file in written)
    for secret in SECRETS:
        for run_ in (good, bad):
            assert secret not in run_.stdout + run_.stderr
        assert not [file.name for file in written if secret.encode() in file.read_bytes()]
