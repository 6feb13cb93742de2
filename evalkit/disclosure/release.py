"""A release: the only thing that leaves a city, and its canonical bytes.

`gate.review` is the only maker of releases. Nothing stops a determined programmer on the city's own machine,
who has the data anyway; the seal stops an honest mistake, such as encoding statistics nobody has judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from evalkit.core.statistics import Statistics
from evalkit.errors import BadMessageError

__all__ = ["Release", "canonical_bytes", "parse_release", "release_bytes"]

_SEAL: Final = object()

MOST_DIMENSIONS: Final = 4
"""Of a field; an estimator's have three at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """Statistics a city's gate has let through.

    Attributes:
        site, study, estimator, stage, round: what it answers.
        kind: ``additive`` or ``collected``.
        fields: name → float64 array.
        seal: proof that the gate made it.
    """

    site: str
    study: str
    estimator: str
    stage: str
    round: int
    kind: Literal["additive", "collected"]
    fields: Mapping[str, NDArray[np.float64]]
    seal: object

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("only the disclosure gate makes a Release")

    def statistics(self) -> Statistics:
        """The released statistics, as the server merges them; without support, which stays in the city."""
        return Statistics(self.estimator, self.stage, self.kind, {(self.site,): self.fields})


def canonical_bytes(
    *,
    site: str,
    study: str,
    estimator: str,
    stage: str,
    round_number: int,
    kind: str,
    fields: Mapping[str, NDArray[np.float64]],
) -> bytes:
    """The exact bytes of a release: a JSON header with sorted keys, a newline, little-endian doubles.

    The header lists each field's shape in the order in which the numbers follow, so the bytes can be read
    back without knowing the estimator.
    """
    names = sorted(fields)
    header: dict[str, Any] = {
        "estimator": estimator,
        "fields": [[name, list(fields[name].shape)] for name in names],
        "kind": kind,
        "round": round_number,
        "site": site,
        "stage": stage,
        "study": study,
    }
    numbers = b"".join(np.ascontiguousarray(fields[name], dtype="<f8").tobytes() for name in names)
    return msgspec.json.encode(header, order="deterministic") + b"\n" + numbers


def release_bytes(release: Release) -> bytes:
    """`canonical_bytes` of a release."""
    return canonical_bytes(
        site=release.site,
        study=release.study,
        estimator=release.estimator,
        stage=release.stage,
        round_number=release.round,
        kind=release.kind,
        fields=release.fields,
    )


def parse_release(data: bytes) -> Statistics:
    """Read canonical bytes back into statistics, as the server had them.

    Raises:
        BadMessageError: the bytes are not those of a release.
    """
    header_bytes, _, numbers = data.partition(b"\n")
    try:
        header = msgspec.json.decode(header_bytes, type=_Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_a_release() from None
    sizes = [math.prod(shape) for _, shape in header.fields]
    sound = all(
        len(shape) <= MOST_DIMENSIONS and all(0 <= length <= len(numbers) for length in shape)
        for _, shape in header.fields
    )
    if not sound or len(numbers) != 8 * sum(sizes):
        raise _not_a_release()
    values = np.frombuffer(numbers, dtype="<f8").astype(np.float64)
    pieces = np.split(values, np.cumsum(sizes)[:-1]) if sizes else []
    fields = {
        name: piece.reshape(shape)
        for (name, shape), piece in zip(header.fields, pieces, strict=True)
    }
    return Statistics(header.estimator, header.stage, header.kind, {(header.site,): fields})


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    estimator: str
    fields: list[tuple[str, list[int]]]
    kind: Literal["additive", "collected"]
    round: int
    site: str
    stage: str
    study: str


def _not_a_release() -> BadMessageError:
    return BadMessageError(
        "the bytes are not those of a release",
        limit="a JSON header, a newline, little-endian doubles",
        way_out="take the file from the run folder again",
    )
