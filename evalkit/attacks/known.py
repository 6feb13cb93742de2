"""What everything a city has released tells of one panel's places: the sets that `payload.attack_places` is given.

The auditor keeps which places were summed (`evalkit.disclosure.told`), not the sums. The city has these: here every sum
over places of the panel at hand is taken to be known exactly, for the crime types and the distance of its study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import design_of
from evalkit.core.panel import Panel, Role
from evalkit.core.study import Study
from evalkit.disclosure.told import Encoded, Told
from evalkit.errors import RefusalError

__all__ = ["KnownSums", "known_sums", "read_told", "sets_of"]


@dataclass(frozen=True, slots=True, eq=False)
class KnownSums:
    """Places of one panel and the sums over them that are known.

    Attributes:
        counts: (U,) incidents of each place, which stay in the city.
        treated: (U,) whether there is a camera.
        sets: (Q, U) which places each known sum is over.
    """

    counts: NDArray[np.float64]
    treated: NDArray[np.bool_]
    sets: NDArray[np.bool_]


def known_sums(
    panel: Panel, study: Study, names: Sequence[str], own: Encoded, earlier: Sequence[Told]
) -> KnownSums:
    """What the answer at hand and everything before it tell of the panel's places.

    Args:
        panel: of one city, prepared for its policy.
        study: that is asked.
        names: of the places of all units of the panel (`disclosure.told.place_names`).
        own: what the answer at hand tells.
        earlier: what was told before.
    """
    (design,) = design_of(panel, study)
    members = np.flatnonzero((panel.role == Role.TREATED) | (panel.role == Role.CONTROL))
    place = {names[unit]: at for at, unit in enumerate(members.tolist())}
    places, sets = sets_of(own, earlier)
    units = np.array([place[name] for name in places], dtype=np.int64)
    counts = design.outcome.sum(axis=1)
    return KnownSums(counts[units], design.ever_treated[units], sets)


def read_told(folder: Path, digests: Sequence[str]) -> tuple[Told, ...]:
    """What earlier releases told, oldest first.

    Raises:
        RefusalError: a file is missing or damaged.
    """
    found = []
    for digest in digests:
        try:
            found.append(msgspec.json.decode((folder / f"{digest}.json").read_bytes(), type=Told))
        except (OSError, msgspec.DecodeError):
            raise RefusalError(
                "a file of what was told is missing or damaged",
                where="rule audit",
                way_out="restore the store's folder audit from a backup",
                rules=("audit",),
            ) from None
    return tuple(found)


def sets_of(own: Encoded, earlier: Sequence[Told]) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
    """The U places of a panel, without those in rings, and (Q, U) which of them each known sum is over.

    A sum over places that are not in the panel, of other crimes, or at another distance is left out: it is known, and
    says something, but the panel at hand cannot show what.

    Args:
        own: what the answer at hand tells.
        earlier: what was told before.
    """
    asked = msgspec.json.decode(own.data, type=Told)
    extent = min(((piece.inner, piece.outer) for piece in asked.pieces), default=(0.0, 0.0))
    own_pieces = (one for one in asked.pieces if (one.inner, one.outer) == extent)
    places = tuple(dict.fromkeys(name for piece in own_pieces for name in piece.places))
    number = {name: at for at, name in enumerate(places)}
    rows: dict[bytes, NDArray[np.bool_]] = {}
    for told in (*earlier, asked):
        if told.crime_types != asked.crime_types:
            continue
        summed: dict[int, NDArray[np.bool_] | None] = {}
        for piece in told.pieces:
            row = summed.setdefault(piece.row, np.zeros(len(places), dtype=bool))
            known = (piece.inner, piece.outer) == extent and all(
                name in number for name in piece.places
            )
            if row is None or not known:
                summed[piece.row] = None
                continue
            row[[number[name] for name in piece.places]] = True
        rows.update({row.tobytes(): row for row in summed.values() if row is not None})
    return places, np.array(list(rows.values()), dtype=bool).reshape(-1, len(places))
