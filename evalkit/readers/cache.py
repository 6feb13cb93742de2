"""Parts that were understood before, kept so that only new and changed files are read again.

A folder with one Parquet file for each part of a city's sources. It holds what the sources hold, row
for row, so it stays in the city, and only its owner may read it.

A file's name is the SHA-256 of everything its rows depend on: the part's content and format, what
the site file says about the source and the city, and the code. Whatever changes gives another name,
so a kept part is never out of date; it is missing, or it is right. One that is damaged or cannot be
read counts as missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec
import polars as pl

import evalkit
from evalkit.config import City, Source
from evalkit.readers.protocol import Part
from evalkit.readers.records import SOURCE, Keep, Records
from evalkit.readers.rejection import REASON

__all__ = ["RowCache"]

MADE_BY: Final = ("evalkit", "polars", "pyproj")
"""Packages that the rows depend on, beside the code below."""

CODE: Final = ("readers/**/*.py", "core/frames.py", "config.py")
"""The code that the rows depend on."""

PROBE: Final = tuple("é" * length for length in (0, 1, 3, 9, 40, 130))
"""Texts of every length that a digest treats in its own way."""

DAMAGE: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises for a damaged file; a panic is not an Exception and would otherwise end the
run."""

FACTS: Final = "evalkit.facts"
NOTES: Final = "evalkit.notes"


class RowCache:
    """Kept parts of one city's sources.

    Attributes:
        folder: where they lie; made when the first one is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._asked: set[str] = set()

    def of(self, source: Source, city: City) -> Keep:
        """The kept parts of one source of a city."""

        def keep(part: Part, fingerprint: str, read: Callable[[], Records]) -> Records:
            name = _name(part.format, fingerprint, source, city)
            self._asked.add(name)
            path = self.folder / name
            return _load(path, fingerprint) or self._put(path, read())

        return keep

    def forget_the_rest(self) -> None:
        """Remove what nobody has asked for since this object was made: the parts of changed files."""
        with contextlib.suppress(OSError):
            for path in self.folder.glob("*.parquet*"):
                if path.name not in self._asked:
                    path.unlink(missing_ok=True)

    def _put(self, path: Path, records: Records) -> Records:
        """Keep ``records``; where that is not possible the work goes on with what is in memory."""
        whole = pl.concat(
            [records.table, records.source.drop("row").collect()], how="horizontal"
        ).with_columns(pl.col("reason").cast(pl.String()))
        buffer = io.BytesIO()
        about = {FACTS: _json(dict(records.facts)), NOTES: _json(records.notes)}
        whole.write_parquet(buffer, compression="lz4", metadata=about)
        fresh = path.with_suffix(".parquet.new")
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            fresh.touch(mode=0o600)
            fresh.write_bytes(buffer.getbuffer())
            fresh.replace(path)
        except OSError:
            return records
        return _load(path, records.fingerprint) or records


def _load(path: Path, fingerprint: str) -> Records | None:
    """The part kept in ``path``, None if it is not there or damaged."""
    try:
        about = pl.read_parquet_metadata(path)
        facts = msgspec.json.decode(about[FACTS], type=dict[str, int])
        notes = msgspec.json.decode(about[NOTES], type=tuple[str, ...])
        names = pl.read_parquet_schema(path)
        source = [name for name in names if name.startswith(SOURCE)]
        table = pl.read_parquet(path, columns=[name for name in names if name not in source])
        return Records(
            table=table.with_columns(pl.col("reason").cast(REASON)),
            source=pl.scan_parquet(path).select("row", *source),
            facts=facts,
            notes=notes,
            fingerprint=fingerprint,
        )
    except (OSError, KeyError, msgspec.DecodeError, *DAMAGE):
        return None


def _name(form: str, fingerprint: str, source: Source, city: City) -> str:
    meaning = msgspec.structs.replace(source, files=())
    about = [form, fingerprint, meaning, city, _made_by()]
    return f"{hashlib.sha256(_json(about).encode()).hexdigest()}.parquet"


@cache
def _made_by() -> tuple[str, ...]:
    """Versions, code, and how this machine computes digests, which polars does not promise."""
    code = hashlib.sha256()
    package = Path(evalkit.__file__).parent
    for pattern in CODE:
        for path in sorted(package.glob(pattern)):
            code.update(path.read_bytes())
    digests = pl.DataFrame({"a": [*PROBE, None], "b": [None, *PROBE]}).hash_rows()
    return (*map(_version, MADE_BY), code.hexdigest(), *map(str, digests))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a source tree that was not installed
        return ""


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
