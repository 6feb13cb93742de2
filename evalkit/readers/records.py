"""One part of a source, understood: what every record means, and what speaks against using it.

A part is understood by itself and does not depend on the others, nor on its name. What only the
whole source can tell – which record repeats another one, what is worth a note – is decided from the
parts together (`evalkit.readers.result`). So a part that has not changed need not be read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from evalkit.core.frames import Contract
from evalkit.errors import FileReadError
from evalkit.readers.parts import Gathered
from evalkit.readers.protocol import Part
from evalkit.readers.rejection import REASON

__all__ = ["SAME", "SOURCE", "Keep", "Records", "changed_meanwhile", "make_records", "read_parts"]

SOURCE: Final = "source."
"""Put before the names of the source's own columns, so that none can be taken for one of ours."""

SAME: Final = "same"
"""Column of 64-bit digests: records that repeat one another have the same, others seldom do."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """All records of one part.

    Attributes:
        table: ``row`` (position in the part, counting from 1, increasing); ``reason`` to reject it,
            null if none is known yet; ``text``, raw, of one that could not be taken apart; the
            contract's columns; and `SAME`, null where there is nothing to compare.
        source: ``row``, and the columns as they came under their names after `SOURCE`; same rows.
        facts: counts of peculiarities; those of several parts add up.
        notes: sentences about the part; they do not name it.
        fingerprint: SHA-256 over the content.
    """

    table: pl.DataFrame
    source: pl.LazyFrame
    facts: Mapping[str, int]
    notes: tuple[str, ...]
    fingerprint: str

    def written(self, rows: pl.Series) -> pl.DataFrame:
        """``row`` and the source's columns of the records ``rows``, in the order of the part.

        Raises:
            FileReadError: what was kept of the part was removed meanwhile.
        """
        try:
            chosen = self.source.filter(pl.col("row").is_in(rows.implode()))
            return chosen.collect().sort("row")
        except (pl.exceptions.PolarsError, OSError):
            pass
        raise FileReadError(
            "what the store kept of a source was changed or removed while it was read",
            way_out="run the command again; no other one should work on the store meanwhile",
        )


Keep = Callable[[Part, str, Callable[[], Records]], Records]
"""Gives the records of a part with that fingerprint: kept ones, else those the function makes."""


def make_records(
    gathered: Gathered,
    reason: pl.Series,
    columns: Mapping[str, pl.Series],
    contract: Contract,
    facts: Mapping[str, int],
) -> Records:
    """Put together what was understood of one part.

    Args:
        gathered: the part as text, N rows.
        reason: (N,) reason for rejecting a row, null if nothing speaks against it.
        columns: the contract's columns beside file and row, and `SAME` if it matters, (N,) each.
        contract: what the used rows must keep.
        facts: counts of peculiarities.
    """
    names = contract.schema.names()[2:]
    schema = {**contract.schema, SAME: pl.UInt64()}
    understood = pl.DataFrame({"row": gathered.numbers, "reason": reason}).with_columns(
        pl.lit(None, pl.String()).alias("text"),
        *(columns[name].alias(name) for name in names),
        columns.get(SAME, pl.lit(None, pl.UInt64())).alias(SAME),
    )
    source = pl.DataFrame([gathered.numbers.alias("row"), *_prefixed(gathered.source)])
    malformed = gathered.malformed.with_columns(reason=pl.lit("malformed_row", REASON))
    if malformed.height:
        understood = pl.concat([understood, malformed], how="diagonal").sort("row")
        source = pl.concat([source, malformed.select("row")], how="diagonal").sort("row")
    return Records(
        table=understood.select("row", "reason", "text", *names, SAME).cast(
            {name: schema[name] for name in (*names, SAME)}
        ),
        source=source.lazy(),
        facts=dict(facts),
        notes=gathered.notes,
        fingerprint=gathered.fingerprint,
    )


def read_parts(
    parts: Sequence[Part], understand: Callable[[Part], Records], keep: Keep | None = None
) -> list[Records]:
    """Understand every part, or take what is kept of it.

    Raises:
        ReadError: a part cannot be read, is not what the site file says, or was changed meanwhile.
    """
    return [_read_part(part, understand, keep) for part in parts]


def _read_part(part: Part, understand: Callable[[Part], Records], keep: Keep | None) -> Records:
    stamp = part.stamp()
    fingerprint = part.fingerprint()

    def read() -> Records:
        records = understand(part)
        if part.stamp() != stamp:
            raise changed_meanwhile(part.name)
        return replace(records, fingerprint=fingerprint) if fingerprint else records

    return keep(part, fingerprint, read) if keep and fingerprint else read()


def changed_meanwhile(name: str) -> FileReadError:
    """The error of a part that was written to while it was read."""
    return FileReadError(
        "the file was changed while it was read",
        where=name,
        way_out="wait until it is complete, then run the command again",
    )


def _prefixed(columns: pl.DataFrame) -> list[pl.Series]:
    return [values.alias(f"{SOURCE}{values.name}") for values in columns]
