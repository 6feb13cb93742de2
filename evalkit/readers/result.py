"""What reading a source gives back, and the file of rejected rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from evalkit.core.frames import Account, Contract, validate
from evalkit.errors import FileReadError
from evalkit.readers.files import Gathered
from evalkit.readers.rejection import REASON

__all__ = ["Read", "conclude", "write_rejected"]

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
        files: names of the files, which ``rows["file"]`` points into.
        fingerprint: SHA-256 over the files' bytes in sorted order.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    account: Account
    notes: tuple[str, ...]
    files: tuple[str, ...]
    fingerprint: str


def conclude(
    gathered: Gathered,
    reason: pl.Series,
    columns: Mapping[str, pl.Series],
    contract: Contract,
    notes: list[str],
) -> Read:
    """Part used rows from rejected ones.

    Args:
        gathered: the source as text, N rows.
        reason: (N,) reason for rejecting a row, null if it is used.
        columns: the contract's columns beside file and row, (N,) each.
        contract: what the used rows must keep.
        notes: sentences to add to those on the files.
    """
    used = reason.is_null()
    rows = gathered.position.with_columns(**columns).filter(used).select(contract.schema.names())
    rejected = _rejected(gathered, reason)
    counts = dict(rejected.group_by("reason").len().iter_rows())
    account = Account(read=rows.height + rejected.height, used=rows.height, rejected=counts)
    if not rows.height:
        notes = [*notes, "no row is used"]
    return Read(
        rows=validate(rows, contract),
        rejected=rejected,
        account=account,
        notes=(*gathered.notes, *notes),
        files=gathered.files,
        fingerprint=gathered.fingerprint,
    )


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


def _rejected(gathered: Gathered, reason: pl.Series) -> pl.DataFrame:
    source = gathered.source.rename(
        {name: f"source.{name}" for name in gathered.source.columns if name in ABOUT}
    )
    set_apart = pl.concat([gathered.position.with_columns(reason=reason), source], how="horizontal")
    malformed = gathered.malformed.with_columns(reason=pl.lit("malformed_row", REASON))
    together = pl.concat([malformed, set_apart.filter(reason.is_not_null())], how="diagonal")
    named = together.sort("file", "row").with_columns(
        file=pl.col("file").replace_strict(
            dict(enumerate(gathered.files)), return_dtype=pl.String()
        ),
        reason=pl.col("reason").cast(pl.String),
    )
    return named.select(*ABOUT, *source.columns)
