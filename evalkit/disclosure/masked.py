"""A masked release: what leaves a city in a secure sum, its canonical bytes, and the sum over all cities.

One city's masked release says nothing of its numbers. Only the sum over all cities of the roster, each answering the
same question in the same session, is free of masks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.disclosure.masking import Masks, masked
from evalkit.disclosure.release import _SEAL, MOST_DIMENSIONS
from evalkit.disclosure.rosters import (
    asked_about,
    content_hash,
    masks_label,
    review_content,
    roster_hash,
)
from evalkit.errors import BadMessageError, EstimationError, RefusalError
from evalkit.numerics.fixed_point import LARGEST, from_words, sum_of, to_words

__all__ = [
    "MaskedRelease",
    "Part",
    "is_masked",
    "mask_release",
    "masked_bytes",
    "parse_masked",
    "sum_parts",
]

Words = NDArray[np.uint64]
Fields = Mapping[str, NDArray[np.float64]]

_LANES: Final = 2
"""Words of 64 bits in one number."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One city's part of a sum, as it was sent.

    Attributes:
        site, study, estimator, stage, round: what it answers.
        session, roster: with whom it is to be added up; names sorted.
        words: name → uint64 array of the field's shape and a last axis of two lanes, the low one first.
    """

    site: str
    study: str
    estimator: str
    stage: str
    round: int
    session: str
    roster: tuple[str, ...]
    words: Mapping[str, Words]


@dataclass(frozen=True, slots=True, eq=False)
class MaskedRelease:
    """A part that a city's gate has let through."""

    part: Part
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only the disclosure gate makes a MaskedRelease")


def mask_release(
    statistics: Statistics,
    fields: Fields,
    question: Question,
    study: str,
    masks: Masks,
    entries: Sequence[Mapping[str, Any]],
) -> tuple[MaskedRelease, bytes, dict[str, Any]]:
    """The gate's last step: a masked release, its bytes, and what the ledger says of it besides.

    Args:
        statistics: of one city, judged.
        fields: to be sent, with noise where the policy adds some.
        question: what was asked.
        study: its hash.
        masks: of the session.
        entries: the city's ledger so far.

    Raises:
        RefusalError: rule ``sums`` if it is no sum over cities; rule ``roster`` if the study was answered for another
            one; rule ``session`` if the same masks have covered other numbers, which together would tell their
            difference.
        EstimationError: a number is too large.
    """
    if statistics.kind != "additive":
        raise RefusalError(
            "the study asks for secure sums, and this statistic is not one that is added up",
            where="rule sums",
            rules=("sums",),
        )
    review_content(question.study, masks.roster, entries)
    names = sorted(fields)
    plain = np.concatenate([fields[name].ravel() for name in names])
    try:
        words = to_words(plain)
    except OverflowError:
        raise EstimationError(
            "a number is too large for a secure sum",
            where=f"site {masks.site}, {question.estimator}/{question.stage}",
            limit=f"{LARGEST:.2g}",
            way_out='use larger units or shorter windows, or sums = "plain"',
        ) from None
    label = masks_label(question)
    covered = masked(words, masks, label)
    ends = np.cumsum([fields[name].size for name in names])[:-1]
    part = Part(
        site=masks.site,
        study=study,
        estimator=statistics.estimator,
        stage=statistics.stage,
        round=question.round,
        session=masks.session,
        roster=masks.roster,
        words={
            name: piece.reshape(*fields[name].shape, _LANES)
            for name, piece in zip(names, np.split(covered, ends), strict=True)
        },
    )
    data = masked_bytes(part)
    _refuse_second_use(masks.session, label, hashlib.sha256(data).hexdigest(), entries)
    entry = {
        "session": masks.session,
        "roster": roster_hash(masks.roster),
        "cities": len(masks.roster),
        "content": content_hash(question.study),
        **asked_about(question.study),
        "masks": label,
    }
    return MaskedRelease(part, _SEAL), data, entry


def _refuse_second_use(
    session: str, label: str, digest: str, entries: Sequence[Mapping[str, Any]]
) -> None:
    for entry in entries:
        if (
            entry.get("session") == session
            and entry.get("masks") == label
            and entry.get("outcome") == "released"
            and entry.get("release") != digest
        ):
            raise RefusalError(
                "the city's data have changed since it answered this question in this session",
                where="rule session",
                limit="one answer under one mask",
                way_out="run the study again, which opens a new session",
                rules=("session",),
            )


def masked_bytes(part: Part) -> bytes:
    """The exact bytes of a masked release: a JSON header, a newline, little-endian 16-byte words."""
    names = sorted(part.words)
    header: dict[str, Any] = {
        "estimator": part.estimator,
        "fields": [[name, list(part.words[name].shape[:-1])] for name in names],
        "kind": "additive",
        "masked": True,
        "roster": list(part.roster),
        "round": part.round,
        "session": part.session,
        "site": part.site,
        "stage": part.stage,
        "study": part.study,
    }
    numbers = b"".join(
        np.ascontiguousarray(part.words[name], dtype="<u8").tobytes() for name in names
    )
    return msgspec.json.encode(header, order="deterministic") + b"\n" + numbers


def is_masked(data: bytes) -> bool:
    """Whether bytes of a release say that they are those of a masked one."""
    try:
        return msgspec.json.decode(data.partition(b"\n")[0], type=_Kind).masked
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def parse_masked(data: bytes) -> Part:
    """Read canonical bytes back, as the server had them.

    Raises:
        BadMessageError: the bytes are not those of a masked release.
    """
    header_bytes, _, numbers = data.partition(b"\n")
    try:
        header = msgspec.json.decode(header_bytes, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_masked() from None
    shapes = [shape for _, shape in header.fields]
    sizes = [math.prod(shape) for shape in shapes]
    longest = len(numbers)  # also of an empty field, whose other lengths nothing else bounds
    sound = all(
        len(shape) <= MOST_DIMENSIONS and all(0 <= length <= longest for length in shape)
        for shape in shapes
    )
    if not sound or len(numbers) != 8 * _LANES * sum(sizes) or not header.masked or not sizes:
        raise _not_masked()
    words = np.frombuffer(numbers, dtype="<u8").astype(np.uint64).reshape(-1, _LANES)
    pieces = np.split(words, np.cumsum(sizes)[:-1])
    return Part(
        site=header.site,
        study=header.study,
        estimator=header.estimator,
        stage=header.stage,
        round=header.round,
        session=header.session,
        roster=tuple(header.roster),
        words={
            name: piece.reshape(*shape, _LANES)
            for (name, shape), piece in zip(header.fields, pieces, strict=True)
        },
    )


def sum_parts(parts: Sequence[Part]) -> Statistics:
    """The sum over all cities of a roster, as one statistic of all of them.

    Raises:
        EstimationError: they are not the parts of one sum, a city is missing or twice, fields differ, or the masks
            do not cancel.
    """
    first = parts[0] if parts else None
    if first is None or tuple(sorted(one.site for one in parts)) != first.roster:
        raise _no_sum("a city of the roster is missing or there twice")
    asked = _asked(first)
    if any(_asked(one) != asked for one in parts):
        raise _no_sum("cities answered different questions, or in different sessions")
    shapes = {name: words.shape for name, words in first.words.items()}
    if any({name: words.shape for name, words in one.words.items()} != shapes for one in parts):
        raise _no_sum("cities sent statistics of different fields or shapes")
    fields = {name: from_words(sum_of(one.words[name] for one in parts)) for name in sorted(shapes)}
    most = LARGEST * len(parts)
    if any(array.size and float(np.abs(array).max()) > most for array in fields.values()):
        raise _no_sum(
            "the masks do not cancel: a city's answer was changed, or is another session's"
        )
    return Statistics(first.estimator, first.stage, "additive", {first.roster: fields})


def _asked(part: Part) -> tuple[Any, ...]:
    return (
        part.study,
        part.estimator,
        part.stage,
        part.round,
        part.session,
        part.roster,
    )


class _Kind(msgspec.Struct, frozen=True):
    masked: bool = False


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    estimator: str
    fields: list[tuple[str, list[int]]]
    kind: Literal["additive"]
    masked: bool
    roster: list[str]
    round: int
    session: str
    site: str
    stage: str
    study: str


def _no_sum(what: str) -> EstimationError:
    return EstimationError(
        what,
        where="secure sum",
        limit="one part of each city on the roster, all of one question and session",
        way_out="run the study again with the same cities",
    )


def _not_masked() -> BadMessageError:
    return BadMessageError(
        "the bytes are not those of a masked release",
        limit="a JSON header, a newline, little-endian words of 16 bytes",
        way_out="take the file from the run folder again",
    )
