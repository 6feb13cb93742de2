"""What reading a source gives back, and the file of rejected rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from evalkit.core.frames import Account, Contract, validate
from evalkit.errors import FileReadError
from evalkit.readers.records import SOURCE, Records
from evalkit.readers.rejection import REASON

__all__ = ["Read", "conclude", "join_fingerprints", "no_source", "total_facts", "write_rejected"]

ABOUT = ("file", "row", "reason", "text")
"""First columns of the rejected rows; ``text`` is the raw record of a malformed row."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """One source, read.

    Attributes:
        rows: the rows that are used, under their contract in `evalkit.core.frames`.
        rejected: every other row: file name, row, reason, raw text if malformed, and the source's
            own columns. It holds what the source holds, and stays in the city.
        account: rows read, used, and rejected by reason.
        notes: plain sentences about the source; they name columns and counts, never a value.
        files: names of the files, which ``rows["file"]`` points into; for a database, of the query.
        fingerprint: SHA-256 over the content: of one file over its bytes, of several over the
            SHA-256 of each in the order of ``files``, of a database over the rows of its answer.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    account: Account
    notes: tuple[str, ...]
    files: tuple[str, ...]
    fingerprint: str


def conclude(
    files: Sequence[str],
    parts: Sequence[Records],
    contract: Contract,
    notes: Sequence[str],
    repeated: pl.DataFrame | None = None,
) -> Read:
    """Part used rows from rejected ones.

    Args:
        files: names of the parts.
        parts: what was understood of each, in the same order.
        contract: what the used rows must keep.
        notes: sentences to add to those on the parts.
        repeated: ``part`` and ``row`` of records that are to be rejected as duplicates.
    """
    repeats = {} if repeated is None else repeated.partition_by("part", as_dict=True)
    tables = [
        _with_duplicates(part.table, repeats.get((index,))) for index, part in enumerate(parts)
    ]
    rows = pl.concat(
        [
            table.filter(pl.col("reason").is_null()).select(
                pl.lit(index, pl.UInt32()).alias("file"), *contract.schema.names()[1:]
            )
            for index, table in enumerate(tables)
        ]
    )
    rejected = _rejected(files, parts, tables)
    counts = dict(rejected.group_by("reason").len().iter_rows())
    return Read(
        rows=validate(rows, contract),
        rejected=rejected,
        account=Account(
            read=sum(table.height for table in tables), used=rows.height, rejected=counts
        ),
        notes=(
            *_part_notes(files, parts),
            *notes,
            *([] if rows.height else ["no row is used"]),
        ),
        files=tuple(files),
        fingerprint=join_fingerprints([part.fingerprint for part in parts]),
    )


def no_source(contract: Contract, *notes: str) -> Read:
    """What reading gives where the site file names no such source."""
    return Read(
        rows=pl.DataFrame(schema=contract.schema),
        rejected=pl.DataFrame(schema=dict.fromkeys(ABOUT, pl.String())),
        account=Account(read=0, used=0),
        notes=notes,
        files=(),
        fingerprint="",
    )


def total_facts(parts: Sequence[Records]) -> Mapping[str, int]:
    """The facts of all parts together; zero for what none of them counts."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part.facts)
    return total


def write_rejected(read: Read, path: Path) -> None:
    """Write the rejected rows to a CSV file that only its owner may read.

    Raises:
        FileReadError: the file cannot be written.
    """
    try:
        path.touch(mode=0o600)
        read.rejected.write_csv(path)
    except OSError as error:
        raise FileReadError(
            f"the rejected rows cannot be written ({error.strerror})",
            where=str(path),
            way_out="name a file in a folder that exists",
        ) from None


def _with_duplicates(table: pl.DataFrame, repeated: pl.DataFrame | None) -> pl.DataFrame:
    if repeated is None:
        return table
    again = pl.col("row").is_in(repeated["row"].implode())
    return table.with_columns(
        reason=pl.when(again).then(pl.lit("duplicate", REASON)).otherwise("reason")
    )


def _rejected(
    files: Sequence[str], parts: Sequence[Records], tables: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    together = []
    for name, part, table in zip(files, parts, tables, strict=True):
        left_out = table.filter(pl.col("reason").is_not_null()).select("row", "reason", "text")
        source = part.written(left_out["row"]).drop("row")
        about = left_out.select(pl.lit(name).alias("file"), "row", "reason", "text")
        together.append(pl.concat([about, source], how="horizontal"))
    rejected = pl.concat(together).with_columns(pl.col("reason").cast(pl.String()))
    own = [name.removeprefix(SOURCE) for name in rejected.columns[len(ABOUT) :]]
    return rejected.rename({f"{SOURCE}{name}": name for name in own if name not in ABOUT})


def _part_notes(files: Sequence[str], parts: Sequence[Records]) -> list[str]:
    notes = [
        f"{name}: {note}" for name, part in zip(files, parts, strict=True) for note in part.notes
    ]
    first: dict[str, str] = {}
    for name, part in zip(files, parts, strict=True):
        other = first.setdefault(part.fingerprint, name)
        if other != name:
            notes.append(f"{name}: the file is byte for byte the same as {other}")
    return notes


def join_fingerprints(parts: Sequence[str]) -> str:
    """One fingerprint of a source from those of its parts, in their order."""
    if len(parts) == 1:
        return parts[0]
    return hashlib.sha256("".join(parts).encode()).hexdigest()
