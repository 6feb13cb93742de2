"""How each kind of database is opened for reading, asked, and left again.

A session gives text, or what Python writes as text without loss. DuckDB and PostgreSQL write their
values themselves: Python's own dates and decimals do not hold all that theirs do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote

from evalkit.errors import DatabaseReadError, FileReadError, MissingExtraError

if TYPE_CHECKING:
    import psycopg

__all__ = ["ENGINES", "Row", "Session"]

Row = Sequence[bytes | str | int | float | None]

BATCH: Final = 20_000
"""Rows fetched at once: enough to make the round trip cheap, some megabytes of memory."""

PATIENCE: Final = 10
"""Seconds to wait for a server, unless the address says otherwise (``?connect_timeout=60``)."""


@dataclass(frozen=True, slots=True)
class _Words:
    what: str
    limit: str
    way_out: str


_OPEN: Final = _Words(
    "the database cannot be opened",
    "a database of the kind that its address says, that can be reached and admits the user",
    "correct the address, or open it with the database's own client, which says what is wrong; that "
    "is not repeated here, as it may hold the address",
)
_ASK: Final = _Words(
    "the database does not answer the query",
    "a table that exists, or a query that is one SELECT, and a user who may read it",
    "run it in the database's own client, which says what is wrong; that is not repeated here, as it "
    "may hold values",
)


@dataclass(frozen=True, slots=True)
class Session:
    """An open database.

    Attributes:
        as_text: SQL for a column → SQL for its text.
        names: query → names of the columns of its answer.
        rows: query → its rows in batches.
    """

    as_text: Callable[[str], str]
    names: Callable[[str], list[str]]
    rows: Callable[[str], Iterator[Sequence[Row]]]


Engine = Callable[[str, Path, str], AbstractContextManager[Session]]
"""Address, folder that paths are relative to, and the name of the part → an open session.

Raises:
    DatabaseReadError: the database cannot be opened; inside the session also: the query fails.
    FileReadError: the database's file is not there.
    MissingExtraError: the driver is not installed.
"""


@contextmanager
def sqlite(address: str, folder: Path, where: str) -> Iterator[Session]:
    """A SQLite file: ``sqlite:///relative.db``, ``sqlite:////absolute.db``."""
    path = _path(address, folder)
    with ExitStack() as stack:
        with _in_words(sqlite3.Error, where, _OPEN):
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None
            )
            stack.enter_context(closing(connection))
            # Text is decoded row by row, so that one damaged value costs one row.
            connection.text_factory = bytes
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM sqlite_schema").fetchone()

        def names(query: str) -> list[str]:
            return [column[0] for column in connection.execute(query).description]

        def rows(query: str) -> Iterator[Sequence[Row]]:
            return _batches(connection.execute(query))

        with _in_words(sqlite3.Error, where, _ASK):
            yield Session(str, names, rows)


@contextmanager
def duckdb(address: str, folder: Path, where: str) -> Iterator[Session]:
    """A DuckDB file: ``duckdb:///relative.duckdb``. The query reaches no other file and no network."""
    path = _path(address, folder)
    try:
        import duckdb as driver
    except ImportError:
        raise _missing("duckdb") from None
    settings: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with ExitStack() as stack:
        with _in_words(driver.Error, where, _OPEN):
            connection = driver.connect(str(path), read_only=True, config=settings)
            stack.enter_context(closing(connection))
            connection.execute("SET TimeZone = 'UTC'")

        def names(query: str) -> list[str]:
            return [column[0] for column in connection.execute(query).description]

        def rows(query: str) -> Iterator[Sequence[Row]]:
            return _batches(connection.execute(query))

        with _in_words(driver.Error, where, _ASK):
            yield Session(lambda column: f"CAST({column} AS VARCHAR)", names, rows)


@contextmanager
def postgresql(address: str, folder: Path, where: str) -> Iterator[Session]:  # noqa: ARG001 (an engine)
    """A PostgreSQL server: ``postgresql://user@host/database``, in one read-only transaction."""
    try:
        import psycopg
        from psycopg.conninfo import conninfo_to_dict, make_conninfo
    except ImportError:
        raise _missing("psycopg") from None
    with ExitStack() as stack:
        with _in_words(psycopg.Error, where, _OPEN):
            patience = {"connect_timeout": PATIENCE, **conninfo_to_dict(address)}["connect_timeout"]
            connection = psycopg.connect(
                make_conninfo(address, client_encoding="UTF8", connect_timeout=patience)
            )
            stack.enter_context(closing(connection))
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            _take_as_written(connection)

        def names(query: str) -> list[str]:
            described = connection.execute(query.encode()).description or []
            return [column.name for column in described]

        def rows(query: str) -> Iterator[Sequence[Row]]:
            # A cursor with a name lives on the server, which sends no more than is fetched.
            cursor = stack.enter_context(connection.cursor(name="evalkit"))
            return _batches(cursor.execute(query.encode()))

        with _in_words(psycopg.Error, where, _ASK):
            yield Session(str, names, rows)


ENGINES: Final[dict[str, Engine]] = {
    "sqlite": sqlite,
    "duckdb": duckdb,
    "postgresql": postgresql,
}


def _take_as_written(connection: psycopg.Connection) -> None:
    """Have every value as the text in which the server writes it: ISO dates in UTC, all digits."""
    from psycopg.adapt import Buffer, Loader

    class AsWritten(Loader):
        def load(self, data: Buffer) -> bytes:
            return bytes(data)

    class Boolean(Loader):
        def load(self, data: Buffer) -> bytes:
            return b"true" if bytes(data) == b"t" else b"false"

    for setting in (
        b"SET LOCAL TimeZone = 'UTC'",
        b"SET LOCAL DateStyle = 'ISO'",
        b"SET LOCAL IntervalStyle = 'iso_8601'",
        b"SET LOCAL extra_float_digits = 1",
    ):
        connection.execute(setting)
    known = connection.adapters.types
    for kind in known:
        connection.adapters.register_loader(kind.oid, AsWritten)
        connection.adapters.register_loader(kind.array_oid, AsWritten)
    connection.adapters.register_loader(0, AsWritten)  # every type psycopg does not know
    connection.adapters.register_loader(known["bool"].oid, Boolean)


class _Cursor(Protocol):
    def fetchmany(self, size: int, /) -> Sequence[Row]: ...


def _batches(cursor: _Cursor) -> Iterator[Sequence[Row]]:
    while batch := cursor.fetchmany(BATCH):
        yield batch


@contextmanager
def _in_words(failure: type[Exception], where: str, words: _Words) -> Iterator[None]:
    """Say in our own words that a driver failed; its words may hold addresses and values."""
    try:
        yield
    except failure as error:
        code = (
            getattr(error, "sqlstate", None)
            or getattr(error, "sqlite_errorname", None)
            or type(error).__name__
        )
        raise DatabaseReadError(
            f"{words.what} ({code})", where=where, limit=words.limit, way_out=words.way_out
        ) from None


def _path(address: str, folder: Path) -> Path:
    path = folder / address.partition(":///")[2]
    if path.is_file():
        return path
    raise FileReadError(
        "the database is a folder, not a file" if path.is_dir() else "there is no such database",
        where="database in the site file",
        limit="a path relative to the folder of the site file, or an absolute one: sqlite:////data/town.db",
        way_out="correct the path",
    )


def _missing(driver: str) -> MissingExtraError:
    return MissingExtraError(
        f"{driver} is not installed",
        limit="the extra `database`",
        way_out="pip install 'evalkit[database]'",
    )
