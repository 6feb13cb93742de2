"""Which sums over places an answer tells, as the row-space auditor counts them.

An answer is taken to tell, for each of its sets of places, every sum over the set of anything that follows from a
place's own incidents: in every period, squared or weighted by any coefficients. Whoever asks with ten coefficient
vectors therefore learns nothing that was not counted at the first. The sets are

    classes statistics, table and masked_sum    every cohort as the gate has merged it, and every group of controls
                                                that leave the panel at the same time;
    class estimate                              all treated places together, and every group of controls;
    an estimator that counts rings too          what its ``further_units`` names.

A place is known by where it is, not by its number in a panel: two panels number the same camera differently. Around a
place a disc is counted, or a ring between two radii; a disc of 300 m is one of 150 m and the ring from there.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of, patterns_of
from evalkit.core.discover import estimator
from evalkit.core.panel import Panel, Role
from evalkit.core.study import Study

__all__ = ["FORMAT", "Encoded", "Piece", "Told", "place_names", "told_by"]

FORMAT: Final = 1
"""Version of what is written below."""

WHOLE: Final = (0.0, 1.0)
"""Extent of a place that is counted as a whole: a cell, a hexagon, an area."""

Metres = Annotated[float, msgspec.Meta(ge=0)]


class Piece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Places that are summed, and what is counted around each.

    Attributes:
        row: pieces of one row are summed too: rings of several widths.
        name: of the cohort or group, for the city's own eyes.
        treated: whether the places have cameras, or stand for such.
        inner, outer: radii in metres.
        places: their names, ascending.
    """

    row: int
    name: str
    treated: bool
    inner: Metres
    outer: Annotated[float, msgspec.Meta(gt=0)]
    places: tuple[str, ...]


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all answers to one study from one prepared panel tell. It stays in the city."""

    format: int = FORMAT
    crime_types: tuple[str, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, eq=False)
class Encoded:
    """The canonical bytes of what is told, and their SHA-256, by which a ledger's entry names them."""

    data: bytes

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()


def told_by(panel: Panel, study: Study, places: Sequence[str] | None = None) -> Encoded:
    """What answers to ``study`` from ``panel`` tell.

    Args:
        panel: of one city, with its cohorts merged (`evalkit.disclosure.cohorts.prepare`).
        study: that is asked.
        places: (U,) `place_names`; without them the panel's own names of its units.

    Raises:
        PanelError: the panel lacks one of the study's crime types.
    """
    names = np.asarray(panel.unit_ids if places is None else places, dtype=np.str_)
    (design,) = design_of(panel, study)
    members = np.flatnonzero((panel.role == Role.TREATED) | (panel.role == Role.CONTROL))
    pieces: list[Piece] = []
    for row, (name, treated, units) in enumerate(_sets(design, study)):
        used = units[design.used[units].any(axis=1)]
        pieces += _pieces(row, name, members[used], panel, study, names, treated=treated)
    further = getattr(estimator(study.analysis.estimator), "further_units", None)
    if further is not None:
        row = 1 + max((piece.row for piece in pieces), default=-1)
        for at, (name, units) in enumerate(further(panel, study).items()):
            chosen = np.flatnonzero(units)
            pieces += _pieces(row + at, name, chosen, panel, study, names, treated=True)
    told = Told(crime_types=tuple(sorted(study.outcome.crime_types)), pieces=tuple(pieces))
    return Encoded(msgspec.json.encode(told, order="deterministic"))


def place_names(
    unit_ids: NDArray[np.str_], where: NDArray[np.float64] | None, study: Study
) -> tuple[str, ...]:
    """(U,) a name of every unit's place that is the same in every panel of the city.

    Catchments and cells go by longitude and latitude, to a tenth of a metre; hexagons and areas by their own names, and
    so do polygons, which may be the same areas drawn. Where two different units of a panel would get the same name,
    the unit's own is added: they must not be taken for one.

    Args:
        unit_ids: names of the panel's units.
        where: (U, 2) longitude and latitude, NaN where unknown; None if nothing is known.
        study: the one the panel was built for.
    """
    kind = study.units.kind
    if kind not in ("catchment", "grid") or where is None:
        named = "area" if kind == "polygon" else kind
        return tuple(f"{named} {name}" for name in unit_ids.tolist())
    size = f" {study.units.cell_m:g}" if kind == "grid" else ""
    ids = unit_ids.tolist()
    found = [
        f"{kind} {unit}"
        if math.isnan(longitude + latitude)
        else f"{kind}{size} {longitude:.6f},{latitude:.6f}"
        for unit, (longitude, latitude) in zip(ids, where.tolist(), strict=True)
    ]
    # a site and its rings share their place: "site:00007" and "ring:00007" differ before the colon
    taken = Counter(zip(found, (_zone(unit) for unit in ids), strict=True))
    return tuple(
        name if taken[name, _zone(unit)] == 1 else f"{name} {unit}"
        for name, unit in zip(found, ids, strict=True)
    )


def _zone(unit: str) -> str:
    zone, colon, _ = unit.partition(":")
    return zone if colon else ""


def _sets(design: Design, study: Study) -> list[tuple[str, bool, NDArray[np.int64]]]:
    """Name, whether treated, and units of the design of every set whose sums are told."""
    patterns = [
        (name, bool(design.ever_treated[units[0]]), units) for name, units in patterns_of(design)
    ]
    if estimator(study.analysis.estimator).release_class != "estimate":
        return patterns
    treated = np.flatnonzero(design.ever_treated)
    controls = [one for one in patterns if not one[1]]
    return [("all treated", True, treated), *controls]


def _pieces(
    row: int,
    name: str,
    units: NDArray[np.int64],
    panel: Panel,
    study: Study,
    names: NDArray[np.str_],
    *,
    treated: bool,
) -> list[Piece]:
    """One piece for every zone (the disc, the first ring and so on) that units of the set are."""
    pieces: list[Piece] = []
    for ring in np.unique(panel.ring[units]).tolist():
        inner, outer = _extent(study, ring)
        own = names[units[panel.ring[units] == ring]]
        pieces.append(
            Piece(
                row=row,
                name=name,
                treated=treated,
                inner=inner,
                outer=outer,
                places=tuple(sorted(own.tolist())),
            )
        )
    return pieces


def _extent(study: Study, ring: int) -> tuple[float, float]:
    if study.units.kind != "catchment":
        return WHOLE
    edges = (0.0, study.units.radius_m, *study.units.rings_m)
    return edges[ring], edges[ring + 1]
