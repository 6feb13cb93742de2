"""Which digests come more than once, among more of them than memory should hold.

Vocabulary
    digest   64 bits that are equal for rows that repeat one another. Two others share one by chance
             once in 2⁶⁴ pairs: among 50 million rows once in 15,000 cities.
    payload  a number that goes with a digest: of several that share one, the smallest stays.
    bin      the digests that agree in their first bits. Only one bin is in memory at a time, once
             `HELD` have come; the others wait in files that have no name and vanish with the
             process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Repeats"]

Digests = NDArray[np.uint64]
Payloads = NDArray[np.int64]

HELD: Final = 1 << 22
"""Digests kept in memory; 64 MB with their payloads."""

BINS: Final = 64

FIRST_BITS: Final = np.uint64(58)
"""Shift that leaves the bits which tell the bin."""

BOTH: Final = np.dtype([("digest", np.uint64), ("payload", np.int64)])


class Repeats:
    """Digests that come in blocks. To be closed, as a context manager does."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.void]] = []
        self._held = 0
        self._files: list[IO[bytes]] = []
        self._open = ExitStack()

    def __enter__(self) -> Repeats:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def add(self, digests: Digests, payloads: Payloads) -> None:
        """Take note of N digests and their payloads."""
        block = np.empty(len(digests), dtype=BOTH)
        block["digest"], block["payload"] = digests, payloads
        self._blocks.append(block)
        self._held += len(block)
        if self._held > HELD:
            self._put_away()

    def surplus(self) -> Iterator[Payloads]:
        """Payloads of the digests that came before, but for the smallest of each, in some order."""
        if not self._files:
            yield _surplus(self._blocks)
            return
        self._put_away()
        for file in self._files:
            file.seek(0)
            yield _surplus([np.frombuffer(file.read(), dtype=BOTH)])

    def _put_away(self) -> None:
        if not self._files:
            for _ in range(BINS):
                file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the others)
                self._files.append(self._open.enter_context(file))
        for block in self._blocks:
            which = (block["digest"] >> FIRST_BITS).astype(np.uint8)
            order = np.argsort(which, kind="stable")
            ends = np.cumsum(np.bincount(which, minlength=BINS))
            for one, part in zip(self._files, np.split(block[order], ends[:-1]), strict=True):
                one.write(part.tobytes())
        self._blocks, self._held = [], 0


def _surplus(blocks: list[NDArray[np.void]]) -> Payloads:
    if not blocks:
        return np.empty(0, dtype=np.int64)
    digests = np.concatenate([block["digest"] for block in blocks])
    ordered = np.sort(digests)
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(again):
        return np.empty(0, dtype=np.int64)
    near = np.minimum(np.searchsorted(again, digests), len(again) - 1)
    suspect = np.flatnonzero(again[near] == digests)
    digest = digests[suspect]
    payload = np.concatenate([block["payload"] for block in blocks])[suspect]
    order = np.lexsort((payload, digest))
    digest, payload = digest[order], payload[order]
    surplus: Payloads = payload[1:][digest[1:] == digest[:-1]]
    return surplus
