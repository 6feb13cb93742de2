"""The parts of a source, and one part as text under the names of the site file's roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from evalkit.config import Source
from evalkit.readers.files import file_parts
from evalkit.readers.protocol import Part, RawTable
from evalkit.readers.sources.database import database_part
from evalkit.readers.text import clean

__all__ = ["Gathered", "columns_of", "find_parts", "gather", "gathered_from", "roles_of", "text_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """All rows of one part as text, ready to be understood.

    Attributes:
        name: the part's.
        numbers: (N,) UInt64 positions of the rows in the part, counting from 1.
        source: the columns as they came, under the source's names; N rows.
        text: the same under the names of the site file's roles (date, longitude, …), without
            surrounding blanks, null where missing; N rows.
        malformed: ``row`` and raw ``text`` of the rows that could not be taken apart.
        notes: sentences about the part; they do not name it.
        fingerprint: SHA-256 over the content, of a part that learns it by reading; else empty.
    """

    name: str
    numbers: pl.Series
    source: pl.DataFrame
    text: pl.DataFrame
    malformed: pl.DataFrame
    notes: tuple[str, ...]
    fingerprint: str


def find_parts(source: Source, folder: Path) -> tuple[Part, ...]:
    """What the source is made of, in the order in which its rows are counted.

    Raises:
        ReadError: a file is not there, or the database cannot be used.
    """
    if source.database:
        return (database_part(source, folder),)
    return file_parts(source, folder)


def roles_of(columns: msgspec.Struct) -> dict[str, str]:
    """Role → name of the column that holds it, for the roles that the site file gives one."""
    return {role: name for role, name in msgspec.structs.asdict(columns).items() if name}


def gather(part: Part, source: Source, roles: Mapping[str, str]) -> Gathered:
    """Read the columns of ``roles`` from one part.

    Args:
        part: what to read.
        source: which texts stand for nothing.
        roles: as from `roles_of`.

    Raises:
        ReadError: the part is absent, not of its format, in another encoding, or lacks a column.
    """
    return gathered_from(part.name, part.read(columns_of(roles)), source, roles)


def columns_of(roles: Mapping[str, str]) -> list[str]:
    """The columns that hold the roles, each once."""
    return list(dict.fromkeys(roles.values()))


def gathered_from(name: str, table: RawTable, source: Source, roles: Mapping[str, str]) -> Gathered:
    """What was read of the part ``name``, under the names of the roles."""
    bad = table.malformed.height
    return Gathered(
        name=name,
        numbers=table.numbers,
        source=table.rows,
        text=text_of(table.rows, roles, source.missing, tidy=table.tidy),
        malformed=table.malformed,
        notes=(*table.notes, *([f"{bad:,} of {table.read:,} rows are malformed"] if bad else [])),
        fingerprint=table.fingerprint,
    )


def text_of(
    columns: pl.DataFrame,
    roles: Mapping[str, str],
    missing: Sequence[str],
    *,
    prefix: str = "",
    tidy: bool = False,
) -> pl.DataFrame:
    """The source's columns under the names of their roles, without blanks, null where missing.

    Args:
        columns: (N, ·) String, under the source's names.
        roles: as from `roles_of`.
        missing: texts that stand for nothing.
        prefix: what stands before the source's names in ``columns``.
        tidy: whether it is certain that no value has blanks around it.
    """
    return pl.DataFrame(
        {
            role: clean(columns[f"{prefix}{name}"], missing, tidy=tidy)
            for role, name in roles.items()
        }
    )
