"""Incidents of a large city: understood block by block, counted at once, and forgotten.

What a block means is decided by the same code that reads a whole source
(`evalkit.readers.incidents`), so that the account is the same to the last row; a test holds one
against the other. What only the whole source can tell is decided at the end: whether most of a part
is wrong, and which rows repeat another one.

A source is streamed if all its parts can be taken in blocks (`evalkit.readers.protocol.Divisible`)
and no block depends on its neighbours. A quoted field that runs over a line end, a NUL or another
encoding than UTF-8 is for `evalkit.readers.incidents.read_incidents`.
"""

from __future__ import annotations

import os
from collections import Counter as Tallies
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.config import Site
from evalkit.core.frames import Account
from evalkit.readers.coordinates import plausible
from evalkit.readers.dates import readable
from evalkit.readers.files import FilePart
from evalkit.readers.incidents import incident_notes, understand
from evalkit.readers.parts import columns_of, find_parts, gathered_from, roles_of
from evalkit.readers.protocol import RawTable
from evalkit.readers.records import SAME, Records, changed_meanwhile
from evalkit.readers.repeats import Repeats
from evalkit.readers.result import join_fingerprints

__all__ = ["Counts", "Streamed", "stream_incidents"]

Integers = NDArray[np.int64]
Counting = TypeVar("Counting", bound="Counts")
Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS: Final = min(4, os.cpu_count() or 1)
"""Blocks worked on at once. Each needs about 100 MB, and most steps use one processor."""


class Counts(Protocol):
    """What takes the incidents. `add` is called from several threads."""

    def add(self, incidents: pl.DataFrame) -> Integers:
        """Count N incidents (`evalkit.core.frames.INCIDENTS`); (N,) what each was counted as."""

    def remove(self, cells: Integers) -> None:
        """Take back incidents by what they were counted as."""


@dataclass(frozen=True, slots=True, eq=False)
class Streamed(Generic[Counting]):
    """A source that was counted.

    Attributes:
        counts: what took the incidents.
        account, notes, files, fingerprint: as in `evalkit.readers.result.Read`, save that the notes
            do not say how many rows are repeated if they are kept.
    """

    counts: Counting
    account: Account
    notes: tuple[str, ...]
    files: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Block:
    """One block of the part number ``part``."""

    part: int
    read: Callable[[], RawTable | None]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What was found in a block of N used rows.

    Attributes:
        part: position of the block's part.
        read: number of records.
        used: N.
        rejected: reason → records.
        facts: counts of peculiarities.
        comparable: rows, of N, that may repeat another.
        digests: of these.
        cells: (N,) what the rows were counted as.
    """

    part: int
    read: int
    used: int
    rejected: Mapping[str, int]
    facts: Mapping[str, int]
    comparable: Integers
    digests: NDArray[np.uint64]
    cells: Integers


class _UnfitError(Exception):
    """A block cannot be understood without its neighbours."""


def stream_incidents(
    site: Site, folder: Path, counts: Callable[[], Counting]
) -> Streamed[Counting] | None:
    """Read the city's incidents and count them as they come.

    Args:
        site: how the source is laid out and what its columns mean.
        folder: where the source's files lie.
        counts: makes what takes the incidents; called again if they have to be read twice, as when
            rows of one ``id`` differ.

    Returns:
        None if the source cannot be streamed; `evalkit.readers.incidents.read_incidents` reads it.

    Raises:
        ReadError: a file cannot be read, or is not what the site file says.
        ConfigError: a format, time zone or mapping of the site file cannot be understood.
    """
    source = site.incidents
    parts = find_parts(source, folder)
    columns = columns_of(roles_of(source.columns))
    files = [part for part in parts if isinstance(part, FilePart)]
    divided = [part.blocks(columns) for part in files]
    if len(files) < len(parts) or not all(divided):
        return None
    blocks = [_Block(index, read) for index, reads in enumerate(divided) for read in reads]
    stamps = [part.stamp() for part in files]
    with ThreadPoolExecutor(WORKERS) as pool:
        prints = [pool.submit(part.fingerprint) for part in files]
        try:
            streamed = _read(site, files, blocks, counts, pool)
        except _UnfitError:
            return None
        fingerprint = join_fingerprints([one.result() for one in prints])
    for part, stamp in zip(files, stamps, strict=True):
        if part.stamp() != stamp:
            raise changed_meanwhile(part.name)
    return replace(streamed, fingerprint=fingerprint)


def _read(
    site: Site,
    files: Sequence[FilePart],
    blocks: Sequence[_Block],
    counts: Callable[[], Counting],
    pool: ThreadPoolExecutor,
) -> Streamed[Counting]:
    """Count all blocks, and take out what repeats earlier rows."""
    duplicates, total, taken = site.incidents.duplicates, _Total(), counts()

    def work(block: _Block) -> _Found:
        return _understand(site, files[block.part].name, block, taken)

    with Repeats() as repeats:
        for found in _in_order(pool, work, blocks):
            total.add(found)
            if duplicates == "row":
                # Rows that are equal in all columns are counted alike: no matter which ones go.
                repeats.add(found.digests, found.cells[found.comparable])
            elif duplicates == "id":
                repeats.add(found.digests, found.comparable + total.starts[-1])
        _check(site, files, blocks, total)
        for surplus in repeats.surplus():
            total.repeats.append(surplus)
    if duplicates == "row":
        for cells in total.repeats:
            taken.remove(cells)
    elif total.repeated:
        taken = _without_repeats(site, blocks, total, counts(), pool)
    return Streamed(
        counts=taken,
        account=total.account,
        notes=(
            *(f"{files[part].name}: {note}" for part, note in total.part_notes),
            *incident_notes(total.facts, site.incidents),
            *([] if total.account.used else ["no row is used"]),
        ),
        files=tuple(part.name for part in files),
        fingerprint="",
    )


def _without_repeats(
    site: Site,
    blocks: Sequence[_Block],
    total: _Total,
    taken: Counting,
    pool: ThreadPoolExecutor,
) -> Counting:
    """Count all blocks again without the rows of an earlier row's id."""
    again = np.sort(np.concatenate(total.repeats))
    ends = [*total.starts[1:], total.used]

    def work(number: int) -> None:
        start, end = total.starts[number], ends[number]
        first, last = np.searchsorted(again, [start, end])
        used = _used(_records(site, "", blocks[number]).table)
        keep = np.ones(used.height, dtype=np.bool_)
        keep[again[first:last] - start] = False
        taken.add(used.filter(pl.Series(keep)))

    deque(_in_order(pool, work, range(len(blocks))), maxlen=0)
    return taken


@dataclass(slots=True)
class _Total:
    """What has been found so far.

    Attributes:
        starts: number of used rows before each block.
        by_part: facts of each part and block, to tell which of them is wrong.
        repeats: what is known of rows that repeat earlier ones.
    """

    read: int = 0
    used: int = 0
    rejected: Tallies[str] = field(default_factory=Tallies)
    facts: Tallies[str] = field(default_factory=Tallies)
    starts: list[int] = field(default_factory=list)
    by_block: list[Mapping[str, int]] = field(default_factory=list)
    parts: dict[int, Tallies[str]] = field(default_factory=dict)
    repeats: list[Integers] = field(default_factory=list)

    def add(self, found: _Found) -> None:
        """Add a block."""
        self.starts.append(self.used)
        self.read += found.read
        self.used += found.used
        self.rejected.update(found.rejected)
        self.facts.update(found.facts)
        self.by_block.append(found.facts)
        part = self.parts.setdefault(found.part, Tallies())
        part.update(found.facts)
        part.update({"read": found.read, "malformed": found.rejected.get("malformed_row", 0)})

    @property
    def repeated(self) -> int:
        """Number of rows that repeat earlier ones."""
        return sum(len(surplus) for surplus in self.repeats)

    @property
    def account(self) -> Account:
        """Read = used + rejected."""
        return Account(
            read=self.read,
            used=self.used - self.repeated,
            rejected={**self.rejected, "duplicate": self.repeated},
        )

    @property
    def part_notes(self) -> Iterator[tuple[int, str]]:
        """Part, and what is worth a note about it."""
        for part, tally in self.parts.items():
            if tally["malformed"]:
                yield part, f"{tally['malformed']:,} of {tally['read']:,} rows are malformed"


def _understand(site: Site, name: str, block: _Block, taken: Counts) -> _Found:
    records = _records(site, name, block)
    table = records.table
    used = _used(table)
    same = used[SAME]
    comparable = np.flatnonzero(same.is_not_null().to_numpy())
    left_out = table["reason"].drop_nulls().cast(pl.String())
    return _Found(
        part=block.part,
        read=table.height,
        used=used.height,
        rejected=dict(left_out.value_counts().iter_rows()),
        facts=records.facts,
        comparable=comparable,
        digests=same.drop_nulls().to_numpy(),
        cells=taken.add(used),
    )


def _records(site: Site, name: str, block: _Block) -> Records:
    table = block.read()
    if table is None:
        raise _UnfitError
    roles = roles_of(site.incidents.columns)
    return understand(site, gathered_from(name, table, site.incidents, roles), whole=False)


def _used(table: pl.DataFrame) -> pl.DataFrame:
    reason = table["reason"]
    return table.filter(reason.is_null()) if reason.null_count() < table.height else table


def _check(site: Site, files: Sequence[FilePart], blocks: Sequence[_Block], total: _Total) -> None:
    """Refuse a part most of whose dates or positions are wrong.

    Then they are in one of its blocks too, and what is said of that block says what is wrong.
    """
    for part, facts in total.parts.items():
        for fine in (readable, plausible):
            if fine(facts):
                continue
            for block, found in zip(blocks, total.by_block, strict=True):
                if block.part == part and not fine(found):
                    table = block.read()
                    if table is None:
                        raise _UnfitError
                    roles = roles_of(site.incidents.columns)
                    understand(site, gathered_from(files[part].name, table, site.incidents, roles))


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Results in the order of the items; few items are under way at a time."""
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
