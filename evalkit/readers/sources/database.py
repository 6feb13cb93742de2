"""A table or the answer to a query, from SQLite, DuckDB or PostgreSQL.

The database is opened for reading only, and the query is put into a SELECT of the columns that are
needed, so that nothing but a SELECT can be run. The answer comes in batches. Every value becomes
text without losing a digit; ``NULL`` and empty text become null.

Where the database is, is written in the site file, or in an environment variable that the site file
names (``env:NAME``). A password may only come from the environment. Addresses, passwords and what a
driver says of an error are never repeated, as a driver quotes values; nothing is logged.

Fingerprint
    SHA-256 over the names of the columns, the number of rows, and the sum modulo 2²⁵⁶ of the
    SHA-256 of every row. It does not depend on the order of the rows, which a database does not
    promise to keep.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from evalkit.config import DATABASE_FORMS, Source
from evalkit.errors import ConfigError, DatabaseReadError
from evalkit.readers.protocol import MALFORMED, RawTable, no_malformed
from evalkit.readers.sources._columns import check_columns, listed
from evalkit.readers.sources._engines import ENGINES, Row, Session

__all__ = ["DatabasePart", "database_part"]

_ADDRESS: Final = re.compile(r"(?P<engine>[a-z]+)://.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class DatabasePart:
    """The answer to one query; a part (`evalkit.readers.protocol.Part`).

    Attributes:
        name: the table's name, or ``query``.
        source: the database, and the table or query.
        folder: what paths of database files are relative to.
    """

    name: str
    source: Source
    folder: Path

    @property
    def format(self) -> str:
        """No file's."""
        return "database"

    def stamp(self) -> tuple[int, ...]:
        """Always the same: the answer is taken from one state of the database."""
        return ()

    def fingerprint(self) -> str:
        """Empty: only reading tells."""
        return ""

    def read(self, columns: Sequence[str]) -> RawTable:
        """Read ``columns`` of the answer.

        Raises:
            ConfigError: the environment variable is not set, or holds no address.
            DatabaseReadError: the database cannot be opened, the query fails, or has no row.
            MissingColumnError: a column is not in the answer.
            MissingExtraError: the driver is not installed.
        """
        try:
            return self._read(columns)
        except DatabaseReadError as error:
            failure = error
        # What the driver raised, and frames that hold an address, hang on the error and must go.
        failure.__context__ = None
        raise failure.with_traceback(None)

    def _read(self, columns: Sequence[str]) -> RawTable:
        engine, address = _address(self.source.database)
        asked = _asked(self.source)
        with ENGINES[engine](address, self.folder, self.name) as session:
            _check_names(session.names(_select("*", asked) + " LIMIT 0"), columns, self.name)
            chosen = ", ".join(session.as_text(_quoted(name)) for name in columns)
            return _collect(session, _select(chosen, asked), columns, self.name)


def database_part(source: Source, folder: Path) -> DatabasePart:
    """The one part of a source that is a database; nothing is opened yet."""
    return DatabasePart(f"table {source.table}" if source.table else "query", source, folder)


def _address(database: str) -> tuple[str, str]:
    """Engine and address; nothing of the address is ever shown."""
    variable = database.removeprefix("env:") if database.startswith("env:") else ""
    address = os.environ.get(variable, "").strip() if variable else database
    if variable and not address:
        raise ConfigError(
            f"the environment variable {variable} is not set",
            where="database in the site file",
            limit=f"the address of a database: {DATABASE_FORMS}",
            way_out=f"set {variable} before the command is run",
        )
    match = _ADDRESS.fullmatch(address)
    engine = {"postgres": "postgresql"}.get(match["engine"], match["engine"]) if match else ""
    if engine not in ENGINES:
        raise ConfigError(
            f"the environment variable {variable} does not hold the address of a database"
            if variable
            else "this is not the address of a database",
            where="database in the site file",
            limit=DATABASE_FORMS,
            way_out="correct the address",
        )
    return engine, address


def _asked(source: Source) -> str:
    if source.table:
        return ".".join(_quoted(part) for part in source.table.split("."))
    # On lines of its own, so that a comment at its end does not swallow the bracket.
    return f"(\n{source.query.strip().rstrip(';')}\n) AS answer"


def _select(columns: str, asked: str) -> str:
    # Columns are quoted and what is asked comes from the city's own site file.
    return f"SELECT {columns} FROM {asked}"  # noqa: S608 (nothing in it comes from elsewhere)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _check_names(present: Sequence[str], wanted: Sequence[str], where: str) -> None:
    check_columns(wanted, present, where)
    counts = Counter(present)
    twice = [name for name in wanted if counts[name] > 1]
    if twice:
        raise DatabaseReadError(
            f"column names occur more than once in the answer: {listed(twice)}",
            where=where,
            limit="each column that is read has a name of its own",
            way_out="rename all but the one that is meant: SELECT a.id AS id, b.id AS other_id",
        )


def _collect(session: Session, query: str, columns: Sequence[str], where: str) -> RawTable:
    schema = pl.Schema(dict.fromkeys(columns, pl.String()))
    frames = [pl.DataFrame(schema=schema)]
    malformed: list[tuple[int, str]] = []
    digest = _Digest(columns)
    for batch in session.rows(query):
        good = []
        for row in batch:
            text = _as_text(row)
            digest.add(row if text is None else text)
            if text is None:
                malformed.append((digest.rows, _raw(row)))
            else:
                good.append(text)
        frames.append(pl.DataFrame(good, schema=schema, orient="row"))
    if not digest.rows:
        raise DatabaseReadError(
            "the answer has no row", where=where, way_out="correct the table or query"
        )
    bad = pl.DataFrame(malformed, schema=MALFORMED, orient="row") if malformed else no_malformed()
    numbers = pl.int_range(1, digest.rows + 1, dtype=pl.UInt64(), eager=True).alias("row")
    return RawTable(
        rows=pl.concat(frames),
        numbers=numbers.filter(~numbers.is_in(bad["row"].implode())),
        malformed=bad,
        fingerprint=digest.result(),
    )


def _as_text(row: Row) -> list[str | None] | None:
    """The row's values as text; None if one of them is not text."""
    try:
        return [_value(value) for value in row]
    except UnicodeDecodeError:
        return None


def _value(value: bytes | str | int | float | None) -> str | None:
    match value:
        case None | b"" | "":
            return None
        case bytes():
            return value.decode("utf-8")
        case str():
            return value
        case _:  # repr is the shortest text that gives the same number
            return repr(value)


def _raw(row: Row) -> str:
    return "\t".join(
        value.decode("utf-8", errors="backslashreplace")
        if isinstance(value, bytes)
        else (_value(value) or "")
        for value in row
    )


class _Digest:
    """Fingerprint of rows whose order does not matter.

    Attributes:
        rows: number of rows so far.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.rows = 0
        self._sum = 0

    def add(self, row: Sequence[object]) -> None:
        """Count one row in."""
        self.rows += 1
        one = hashlib.sha256(msgspec.msgpack.encode(row)).digest()
        self._sum = (self._sum + int.from_bytes(one, "big")) % (1 << 256)

    def result(self) -> str:
        """64 hex digits."""
        whole = [self.columns, self.rows, f"{self._sum:064x}"]
        return hashlib.sha256(msgspec.json.encode(whole)).hexdigest()
