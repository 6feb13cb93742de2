"""Which files a source is made of, which reader takes each, and their fingerprints."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

from evalkit.config import Source
from evalkit.core.discover import discover
from evalkit.errors import FileReadError
from evalkit.readers.protocol import Divisible, RawTable, Reader
from evalkit.readers.sources._bytes import unreadable

__all__ = ["FilePart", "file_parts", "find_files", "readers"]

ANY_DEPTH: Final = "**"
"""Stands for this folder and all below it; links to folders are not followed, as they may loop."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a source; a part (`evalkit.readers.protocol.Part`).

    Attributes:
        name: relative to the folder of the data.
        path: where it is.
        source: how it is laid out.
        reader: what takes its format.
    """

    name: str
    path: Path
    source: Source
    reader: Reader

    @property
    def format(self) -> str:
        """The reader's first format."""
        return self.reader.formats[0]

    def stamp(self) -> tuple[int, ...]:
        """Size and time of the last change.

        Raises:
            FileReadError: the file cannot be reached.
        """
        try:
            state = self.path.stat()
        except OSError as error:
            raise unreadable(self.path, error) from None
        return (state.st_size, state.st_mtime_ns)

    def fingerprint(self) -> str:
        """SHA-256 over the bytes: what ``sha256sum`` prints.

        Raises:
            FileReadError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(self.path, error) from None

    def read(self, columns: Sequence[str]) -> RawTable:
        """Read ``columns`` with the reader of the format."""
        return self.reader.read(self.path, self.source, columns)

    def blocks(self, columns: Sequence[str]) -> tuple[Callable[[], RawTable | None], ...]:
        """As `evalkit.readers.protocol.Divisible.blocks`; none if the format has no blocks.

        Raises:
            ReadError: the file cannot be read, or lacks a column.
        """
        if not isinstance(self.reader, Divisible):
            return ()
        return self.reader.blocks(self.path, self.source, columns)


@cache
def readers() -> tuple[Reader, ...]:
    """Every file format in `evalkit.readers.sources`."""
    return tuple(reader for _, reader in discover("evalkit.readers.sources", "reader"))


def file_parts(source: Source, folder: Path) -> tuple[FilePart, ...]:
    """The files of ``source``, in the order of their names.

    Raises:
        FileReadError: a pattern names no file, or a file's ending does not say its format.
    """
    return tuple(
        FilePart(name, path, source, _reader_of(path, source))
        for name, path in find_files(source.files, folder).items()
    )


def find_files(patterns: Sequence[str], folder: Path) -> dict[str, Path]:
    """The files that ``patterns`` name, by their name relative to ``folder``, in sorted order.

    A file that is reached by several names is there once, under the first of them.

    Raises:
        FileReadError: a pattern names no file, or a folder; it meets a link that leads nowhere, or
            a folder that may not be listed: the files behind them must not be missed in silence.
    """
    found: dict[str, Path] = {}
    for pattern in patterns:
        files = [path for path in _matches(pattern, folder) if _is_file(path)]
        if not files:
            raise _nothing_found(pattern, folder)
        found |= {_name(path, folder): path for path in files}
    if not found:
        raise FileReadError("the source names no file", way_out="add files to the site file")
    once: dict[Path, str] = {}
    for name, path in sorted(found.items()):
        once.setdefault(path.resolve(), name)
    return {name: found[name] for name in once.values()}


def _matches(pattern: str, folder: Path) -> list[Path]:
    literal = folder / pattern
    if os.path.lexists(literal):
        return [literal]
    anchor = Path(pattern).anchor
    parts = Path(pattern.removeprefix(anchor)).parts
    return list(_expand(Path(anchor) if anchor else folder, parts))


def _expand(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Paths below ``folder`` that match ``parts``.

    pathlib's own ``glob`` passes over folders it may not list, and so over what they hold.
    """
    first, rest = parts[0] if parts else "", parts[1:]
    if first == ANY_DEPTH:
        yield from _expand(folder, rest or ("*",))
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _expand(Path(entry), parts)
    elif any(sign in first for sign in "*?["):
        for entry in _entries(folder):
            if fnmatchcase(entry.name, first):
                yield from _expand(Path(entry), rest) if rest else (Path(entry),)
    elif first and os.path.lexists(folder / first):
        yield from _expand(folder / first, rest) if rest else (folder / first,)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name with a NUL
        return []
    except OSError as error:
        raise FileReadError(
            f"the folder cannot be listed ({error.strerror})",
            where=str(folder),
            way_out="check its permissions",
        ) from None


def _is_file(path: Path) -> bool:
    try:
        if path.is_file():
            return True
        dangling = path.is_symlink() and not path.exists()
    except OSError as error:
        raise FileReadError(
            f"the file cannot be reached ({error.strerror})",
            where=str(path),
            way_out="check the permissions of its folder",
        ) from None
    if dangling:
        raise FileReadError(
            "this is a link that leads to no file",
            where=str(path),
            way_out="mend or remove the link, or name the files without it",
        )
    return False


def _name(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _nothing_found(pattern: str, folder: Path) -> FileReadError:
    path = folder / pattern
    if os.path.isdir(path):  # noqa: PTH112 (unlike Path.is_dir it never raises)
        return FileReadError(
            "this is a folder, not a file",
            where=str(path),
            way_out=f'to read every file in it, write files = ["{pattern}/*"]',
        )
    there = [entry.name for entry in _entries(folder)]
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
