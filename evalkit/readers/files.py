"""Which files a source is made of, which reader takes each, and their fingerprint."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import polars as pl

from evalkit.config import Source
from evalkit.core.discover import discover
from evalkit.errors import FileReadError
from evalkit.readers.protocol import RawTable, Reader
from evalkit.readers.text import clean

__all__ = ["Gathered", "find_files", "gather", "readers"]

CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """All rows of a source as text, ready to be understood.

    Attributes:
        files: names of the files, relative to the folder, in sorted order.
        position: ``file`` (UInt32 index into ``files``) and ``row`` (UInt64) of every row.
        source: the columns as they came, under the source's names; same rows as ``position``.
        text: the same under the names of the site file's roles (date, longitude, …), without
            surrounding blanks, null where missing; same rows.
        malformed: ``file``, ``row`` and raw ``text`` of the rows that could not be taken apart.
        notes: sentences about the files.
        fingerprint: SHA-256 over the bytes of the files in sorted order, 64 hex digits. For one
            file it is what ``sha256sum`` prints.
    """

    files: tuple[str, ...]
    position: pl.DataFrame
    source: pl.DataFrame
    text: pl.DataFrame
    malformed: pl.DataFrame
    notes: tuple[str, ...]
    fingerprint: str


@cache
def readers() -> tuple[Reader, ...]:
    """Every source format in `evalkit.readers.sources`."""
    return tuple(reader for _, reader in discover("evalkit.readers.sources", "reader"))


def gather(source: Source, columns: msgspec.Struct, folder: Path) -> Gathered:
    """Read the columns that ``columns`` names from all files of ``source``.

    Raises:
        ReadError: a file is absent, not of its format, in another encoding, or lacks a column.
    """
    roles = {role: name for role, name in msgspec.structs.asdict(columns).items() if name}
    names = list(dict.fromkeys(roles.values()))
    found = find_files(source.files, folder)
    tables = [_reader_of(path, source).read(path, source, names) for path in found.values()]
    rows = pl.concat([table.rows for table in tables])
    return Gathered(
        files=tuple(found),
        position=pl.concat([_position(index, table.numbers) for index, table in enumerate(tables)]),
        source=rows,
        text=pl.DataFrame(
            {role: clean(rows[name], source.missing) for role, name in roles.items()}
        ),
        malformed=pl.concat(
            [
                table.malformed.select(pl.lit(index, pl.UInt32()).alias("file"), "row", "text")
                for index, table in enumerate(tables)
            ]
        ),
        notes=tuple(_file_notes(dict(zip(found, tables, strict=True)))),
        fingerprint=_fingerprint(list(found.values())),
    )


def find_files(patterns: Sequence[str], folder: Path) -> dict[str, Path]:
    """The files that ``patterns`` name, by their name relative to ``folder``, in sorted order.

    Raises:
        FileReadError: a pattern names no file, or a folder.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        files = [path for path in _matches(pattern, folder) if path.is_file()]
        if not files:
            raise _nothing_found(pattern, folder)
        found |= {_name(path, folder): path for path in files}
    if not found:
        raise FileReadError("the source names no file", way_out="add files to the site file")
    return dict(sorted(found.items()))


def _matches(pattern: str, folder: Path) -> list[Path]:
    literal = folder / pattern
    if literal.exists():
        return [literal]
    root = Path(pattern).anchor
    try:
        return list((Path(root) if root else folder).glob(pattern.removeprefix(root)))
    except ValueError:  # not a glob pattern
        return []


def _name(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _nothing_found(pattern: str, folder: Path) -> FileReadError:
    path = folder / pattern
    if path.is_dir():
        return FileReadError(
            "this is a folder, not a file",
            where=str(path),
            way_out=f'to read every file in it, write files = ["{pattern}/*"]',
        )
    there = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(Path(pattern).name, there, n=1)
    return FileReadError(
        f'no file "{pattern}"',
        where=str(folder),
        limit="paths are relative to the folder of the data",
        way_out=f'did you mean "{near[0]}"?'
        if near
        else "correct files in the site file, or the folder",
    )


def _reader_of(path: Path, source: Source) -> Reader:
    for reader in readers():
        if source.format in reader.formats:
            return reader
        if source.format == "auto" and path.suffix.lower() in reader.suffixes:
            return reader
    known = [suffix for reader in readers() for suffix in reader.suffixes]
    raise FileReadError(
        f'the ending "{path.suffix}" does not say which format the file has',
        where=str(path),
        limit=f"one of {', '.join(known)}",
        way_out="name the format in the site file",
    )


def _position(index: int, numbers: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"row": numbers}).select(pl.lit(index, pl.UInt32()).alias("file"), "row")


def _file_notes(tables: dict[str, RawTable]) -> list[str]:
    notes = [f"{name}: {note}" for name, table in tables.items() for note in table.notes]
    for name, table in tables.items():
        if table.malformed.height:
            notes.append(f"{name}: {table.malformed.height:,} of {table.read:,} rows are malformed")
    return notes


def _fingerprint(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
