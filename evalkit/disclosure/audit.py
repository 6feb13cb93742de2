"""The row-space auditor: no combination of everything released so far may come near a single place.

Every rule on one release can be kept while the difference of two, or a combination of four, is one camera's incidents.
The auditor therefore keeps what every release has told (`evalkit.disclosure.told`) and computes, before the next one,
the leverage of every place in the space of all of it (`evalkit.numerics.row_space`). A release after which a place's
leverage would reach the policy's ``max_leverage`` is refused.

What was told is kept in files named by their SHA-256, and the ledger's entry of each release names its file. A file
that is missing or changed, or a release that names none, refuses everything: the auditor does not forget.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from evalkit.core.kept import Kept
from evalkit.disclosure.rules import Verdict
from evalkit.disclosure.told import FORMAT, Encoded, Piece, Told
from evalkit.errors import RefusalError
from evalkit.numerics.row_space import place_leverage
from evalkit.policy import Policy

__all__ = ["AUDIT", "MAX_LEVERAGE", "Audit", "Spent", "released_digests", "spent"]

MAX_LEVERAGE: Final = "max_leverage"
"""Name of the rule: a place's leverage after the release."""

AUDIT: Final = "audit"
"""Name of the rule: everything that was told is known."""

ROUNDING: Final = 1e-9
"""A leverage that falls short of the limit by less is at the limit: of two places exactly one half."""

KEPT_BYTES: Final = 64 * 2**20
"""Memory for what was told: of a thousand small cities, or of a curve of 100 specifications with 20,000 places."""

NEARLY: Final = 1.25
"""Two radii, or two sides of cells, are nearly the same if the larger is less than this many times the other.

From there on the rings of the other places are more than half of their discs, and hide what a difference leaves over.
"""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

EMPTIER: Final = 0.01
"""Share of the incidents of a ring, of the next one within, if nearly all are written down at the place itself.

Incidents lie at crossings in many records, and the ring between one crossing and the next is empty. Then a disc of
150 m is one of 100 m. Leverages are computed by areas and in this way too, and the larger is the one that counts.
"""

FEWEST_OF_ALL: Final = 1e-6
"""The same, of all rings far out: no smaller, so that rounding decides nothing."""

_SIDE: Final = re.compile(r"[0-9.]+(e[+-]?[0-9]+)?")
"""Of a cell, as `evalkit.disclosure.told.place_names` writes it."""

Size = tuple[str, float, float]
"""Kind of places, and the inner and outer radius of what is counted, or 0 and the side of a cell."""


@dataclass(frozen=True, slots=True)
class Spent:
    """How far the sums that were released reach.

    Attributes:
        leverage: the largest of any place, from 0 to 1.
        places: names of those that have it, ascending.
        pieces: name of each set that one of these places is in, ascending.
        treated: whether one of them has a camera.
        sets: number of different sums that were told.
        known: number of places in any of them.
    """

    leverage: float
    places: tuple[str, ...]
    pieces: tuple[str, ...]
    treated: bool
    sets: int
    known: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What the gate needs to audit one release.

    Attributes:
        folder: where the city keeps what was told.
        told: what the release would tell.
    """

    folder: Path
    told: Encoded

    def judge(self, entries: Sequence[Mapping[str, Any]], policy: Policy) -> Verdict:
        """Whether the release may leave after all those in the ledger.

        What was told before is not told again, whatever the policy says by now.
        """
        limit = policy.max_leverage
        try:
            digests = released_digests(entries)
            if self.told.digest in digests:
                for digest in digests:
                    _check(self.folder, digest)
                found = _last_leverage(entries)
                return Verdict(MAX_LEVERAGE, True, found, limit, "the same sums were told before")
            before = _known_of(self.folder, digests, None)
            after = _found(self.folder, (*digests, self.told.digest), self.told)
        except RefusalError as refusal:
            return Verdict(AUDIT, False, 0, 1, refusal.what)
        near = _nearly_told([piece for piece, *_ in before.pieces], _decoded(self.told.data).pieces)
        if near:
            return Verdict(MAX_LEVERAGE, False, 1.0, limit, near)
        passed = after.leverage < limit * (1 - ROUNDING)
        return Verdict(MAX_LEVERAGE, passed, after.leverage, limit, _reason(after))

    def record(self) -> str:
        """Keep what is told, on disk before the ledger's entry names it; returns its SHA-256.

        Raises:
            RefusalError: it cannot be written. Nothing may leave then.
        """
        path = _path(self.folder, self.told.digest)
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                with fresh.open("wb") as file:
                    file.write(self.told.data)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(path)
            except OSError:
                raise _refusal("what would be told cannot be written down") from None
        return self.told.digest

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One review of a store at a time: two at once could together tell what neither may.

        Raises:
            RefusalError: the lock's file cannot be made.
        """
        with _lock_of(str(self.folder.absolute())), _locked_file(self.folder):
            yield


def released_digests(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """SHA-256 of everything that was told, each once, oldest first.

    Raises:
        RefusalError: a release does not say what it told.
    """
    found: dict[str, None] = {}
    for entry in entries:
        if entry.get("outcome") == "released":
            digest = entry.get("audit")
            if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
                raise _refusal(
                    "a release in the ledger does not say what it told",
                    "it may be older than the auditor: begin a new store for the city",
                )
            found[digest] = None
    return tuple(found)


def spent(folder: Path, digests: Sequence[str], more: Encoded | None = None) -> Spent:
    """How far what was told reaches, and after ``more`` too.

    Args:
        folder: where the city keeps it.
        digests: `released_digests` of its ledger.
        more: what might be told next.

    Raises:
        RefusalError: a file is missing or was changed.
    """
    if more is None or more.digest in digests:
        return _found(folder, tuple(digests), None)
    return _found(folder, (*digests, more.digest), more)


# ---------------------------------------------------------------- what is known


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Everything told so far: places by number, pieces with their places' numbers and their row, how far it reaches."""

    places: dict[str, int]
    pieces: tuple[tuple[Piece, NDArray[np.int64], int], ...]
    rows: frozenset[bytes]
    spent: Spent

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return 120 * len(self.places) + sum(own.nbytes + 400 for _, own, _ in self.pieces)


_NOTHING: Final = _Known({}, (), frozenset(), Spent(0.0, (), (), False, 0, 0))

_KNOWN: Final[Kept[tuple[str, tuple[str, ...]], _Known]] = Kept(KEPT_BYTES)
"""By folder and what was told; used only while the files are those that were verified."""

_VERIFIED: Final[Kept[str, tuple[int, int, int]]] = Kept(4 * 2**20)
"""Path of a file whose SHA-256 was compared with its name → its state then."""

_LOCKS: Final[dict[str, threading.Lock]] = {}
_LOCKS_LOCK: Final = threading.Lock()


def _lock_of(folder: str) -> threading.Lock:
    with _LOCKS_LOCK:
        return _LOCKS.setdefault(folder, threading.Lock())


@contextmanager
def _locked_file(folder: Path) -> Iterator[None]:
    """Hold the store's lock against other processes; on Windows, which has no such locks, one serves a store."""
    try:
        file = _opened_lock(folder / "lock")
    except OSError:
        raise _refusal("the store's folder audit cannot be written") from None
    with file:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened_lock(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("ab")


def _found(folder: Path, digests: tuple[str, ...], last: Encoded | None) -> Spent:
    """How far everything in ``digests`` reaches; ``last`` is the last of them, if it is not on disk yet."""
    return _known_of(folder, digests, last).spent


def _known_of(folder: Path, digests: tuple[str, ...], last: Encoded | None) -> _Known:
    place = str(folder.absolute())
    on_disk = digests if last is None else digests[:-1]
    for digest in on_disk:
        _check(folder, digest)
    known = _KNOWN.get((place, digests))
    if known is not None:
        return known
    start, known = len(digests) - 1, _KNOWN.get((place, digests[:-1]))
    if known is None:
        start, known = 0, _NOTHING
    told = [
        last.data if last is not None and digest == last.digest else _read(folder, digest)
        for digest in digests[start:]
    ]
    known = _extended(known, [_decoded(data) for data in told])
    _KNOWN.put((place, digests), known, known.size)
    return known


def _extended(known: _Known, more: Sequence[Told]) -> _Known:
    """What is known after ``more``; a sum that was told before adds nothing."""
    places, pieces, rows = dict(known.places), list(known.pieces), set(known.rows)
    row = 1 + max((number for *_, number in pieces), default=-1)
    for told in more:
        by_row: dict[int, list[tuple[Piece, NDArray[np.int64]]]] = {}
        for piece in told.pieces:
            own = [places.setdefault(name, len(places)) for name in piece.places]
            by_row.setdefault(piece.row, []).append((piece, np.sort(np.array(own, dtype=np.int64))))
        for summed in by_row.values():
            digest = _row_digest(summed)
            if digest in rows:
                continue
            rows.add(digest)
            pieces += [(piece, own, row) for piece, own in summed]
            row += 1
    if len(rows) == len(known.rows):
        return known
    kept = tuple(pieces)
    return _Known(places, kept, frozenset(rows), _reach(places, kept, len(rows)))


def _row_digest(summed: Sequence[tuple[Piece, NDArray[np.int64]]]) -> bytes:
    content = hashlib.sha256()
    for piece, own in summed:
        content.update(f"{piece.inner!r} {piece.outer!r} {len(own)};".encode())
        content.update(own.tobytes())
    return content.digest()


def _reach(
    places: Mapping[str, int],
    pieces: Sequence[tuple[Piece, NDArray[np.int64], int]],
    sets: int,
) -> Spent:
    """The leverage of every place in the space of all sums, and the places with the largest."""
    members = np.zeros((len(pieces), len(places)), dtype=bool)
    for at, (_, own, _) in enumerate(pieces):
        members[at, own] = True
    rows = np.array([row for *_, row in pieces], dtype=np.int64)
    counted, area = _atoms(pieces)
    inner = np.maximum(EMPTIER ** np.arange(len(area)), FEWEST_OF_ALL)
    by_area, by_inner = (
        place_leverage(members, rows, counted, measure) for measure in (area, inner)
    )
    leverage = np.maximum(by_area, by_inner)
    largest = float(leverage.max(initial=0.0))
    at_it = np.flatnonzero(leverage >= largest * (1 - ROUNDING))
    names = list(places)
    theirs = [piece for (piece, *_), own in zip(pieces, members, strict=True) if own[at_it].any()]
    return Spent(
        largest,
        tuple(sorted(names[number] for number in at_it.tolist())),
        tuple(sorted({piece.name for piece in theirs})),
        any(piece.treated for piece in theirs),
        sets,
        len(places),
    )


def _atoms(
    pieces: Sequence[tuple[Piece, NDArray[np.int64], int]],
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """(P, J) rings of distance counted in each piece, and (J,) the rings' areas over π.

    Not crime types: a type that hardly occurs changes the question and not the sum, and a busy place has much of each.
    """
    edges = sorted({edge for piece, *_ in pieces for edge in (piece.inner, piece.outer)})
    rings = list(pairwise(edges))
    counted = np.array(
        [[p.inner <= inner and outer <= p.outer for inner, outer in rings] for p, *_ in pieces],
        dtype=bool,
    ).reshape(len(pieces), len(rings))
    return counted, np.array([outer**2 - inner**2 for inner, outer in rings], dtype=np.float64)


def _nearly_told(before: Sequence[Piece], now: Sequence[Piece]) -> str:
    """Why places of one release are nearly those of another and yet have other names or rings; empty if they are not.

    Cells of 250 m and of 250.001 m, or discs of 100 m and of 101 m, hold the same incidents, so that the difference of
    two sums over them is one over the places that only one of them has. No row says so.
    """
    told = _sizes(before)
    for one in sorted(_sizes(now) - told):
        for other in sorted(told):
            overlap = max(one[1], other[1]) < min(one[2], other[2])
            if one[0] == other[0] and overlap and all(map(_nearly, one[1:], other[1:])):
                return (
                    f"places of {one[2]:g} m are nearly those of {other[2]:g} m that were told before: "
                    f"take the same, or {NEARLY:g} times as much"
                )
    return ""


def _nearly(one: float, other: float) -> bool:
    return one == other or 0 < max(one, other) < NEARLY * min(one, other)


def _sizes(pieces: Sequence[Piece]) -> set[Size]:
    found: set[Size] = set()
    for piece in pieces:
        kind, size, *_ = (*piece.places[0].split(" ", 2), "") if piece.places else ("", "")
        if kind != "grid":
            found.add((kind, piece.inner, piece.outer))
        elif _SIDE.fullmatch(size):
            found.add((kind, 0.0, float(size)))
    return found


# ---------------------------------------------------------------- files


def _path(folder: Path, digest: str) -> Path:
    return folder / f"{digest}.json"


def _check(folder: Path, digest: str) -> None:
    """Compare a file with its name, once as long as the file stays as it is.

    Raises:
        RefusalError: it is missing or was changed.
    """
    path = str(_path(folder, digest).absolute())
    try:
        state = os.stat(path)  # noqa: PTH116  # a thousand of them before every answer
    except OSError:
        raise _refusal("a file of what was told is missing") from None
    if _VERIFIED.get(path) != (state.st_mtime_ns, state.st_size, state.st_ino):
        _read(folder, digest)


def _read(folder: Path, digest: str) -> bytes:
    path = _path(folder, digest).absolute()
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            data = file.read()
    except OSError:
        raise _refusal("a file of what was told is missing") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise _refusal("a file of what was told was changed")
    _VERIFIED.put(str(path), (state.st_mtime_ns, state.st_size, state.st_ino), len(str(path)) + 200)
    return data


def _decoded(data: bytes) -> Told:
    try:
        told = msgspec.json.decode(data, type=Told)
    except msgspec.DecodeError:
        raise _refusal("a file of what was told is damaged") from None
    if told.format != FORMAT:
        raise _refusal("a file of what was told is of another version")
    return told


def _last_leverage(entries: Sequence[Mapping[str, Any]]) -> float:
    found = [entry.get("leverage") for entry in entries if entry.get("outcome") == "released"]
    last = found[-1] if found else 0.0
    return float(last) if isinstance(last, int | float) else 0.0


def _reason(after: Spent) -> str:
    kind = "with a camera" if after.treated else "without a camera"
    number = len(after.places)
    whom = f"{number} places {kind}" if number > 1 else f"a place {kind}"
    return f"all releases together would tell {after.leverage:.3f} of what is unknown about {whom}"


RESTORE: Final = (
    "restore the store's folder audit from a backup; until then nothing leaves this city"
)


def _refusal(what: str, way_out: str = RESTORE) -> RefusalError:
    return RefusalError(
        what,
        where=f"rule {AUDIT}",
        limit="everything that was ever told is known to the auditor",
        way_out=way_out,
        rules=(AUDIT,),
    )
