"""The panel: one or more cities' immutable unit × period arrays.

Vocabulary
    unit    a place that is counted; ``role`` says what it may be used for.
    go-live the index of the period in which the unit's first camera goes live (`NEVER` without one).
    cohort  units that share a go-live interval ``(first_live, last_live)``. The two ends are equal unless a
            city's gate has merged small cohorts; the periods from one to the other are then a transition.
    exposure
            what a count is relative to (days, population). Zero marks a cell that must not be used.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import PanelError

__all__ = ["NEVER", "Panel", "Role", "concatenate"]

_RING_LEFT_OUT: Final = np.empty(0, dtype=np.int64)
"""Stands for "not given" in the constructor."""

NEVER: Final = -1
"""Go-live index of a unit that has no camera in the window."""


class Role(enum.IntEnum):
    """What a unit may be used for. Only `TREATED` and `CONTROL` enter an estimate."""

    CONTROL = 0
    TREATED = 1
    RING = 2
    """Close enough to a camera to receive displaced crime: neither treated nor control."""
    ALWAYS = 3
    """Live before the window's second period: has no before."""
    UNDATED = 4
    """Has a camera whose live date is unknown."""
    SET_APART = 5
    """Excluded by the study's adoption dates or by the city's gate."""


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Counts of U units in T periods for C crime types, from S cities.

    Attributes:
        sites: names of the cities, length S.
        crime_types: common crime types, length C.
        periods: first day of each period, length T; shared by all cities of a study.
        unit_ids: (U,) text, unique within a city.
        site_of_unit: (U,) index into ``sites``.
        role: (U,) `Role` values.
        ring: (U,) which ring: 1, 2, … outward from the camera, 0 for units that are none. Left out, every unit
            of role `Role.RING` is in the first.
        first_live, last_live: (U,) period index or `NEVER`; equal except in merged cohorts.
        counts: (C, U, T) incidents, non-negative integers.
        exposure: (U, T) non-negative; 1 where nothing better is known, 0 where a cell is not observed.
        study: hash of the study the panel was built for, empty for a panel made by hand.
        fingerprint: SHA-256 of the data the panel was built from, empty for one made by hand.
        moderators: public facts of the cities, length S, or empty where none are known.
    """

    sites: tuple[str, ...]
    crime_types: tuple[str, ...]
    periods: tuple[dt.date, ...]
    unit_ids: NDArray[np.str_]
    site_of_unit: NDArray[np.int64]
    role: NDArray[np.int64]
    first_live: NDArray[np.int64]
    last_live: NDArray[np.int64]
    counts: NDArray[np.int64]
    exposure: NDArray[np.float64]
    ring: NDArray[np.int64] = field(default_factory=lambda: _RING_LEFT_OUT)
    study: str = ""
    fingerprint: str = field(default="", compare=False)
    moderators: tuple[Mapping[str, float | str], ...] = ()

    def __post_init__(self) -> None:
        if self.ring is _RING_LEFT_OUT:
            object.__setattr__(self, "ring", (self.role == Role.RING).astype(np.int64))
        units, periods = len(self.unit_ids), len(self.periods)
        shapes = {
            "site_of_unit": (self.site_of_unit.shape, (units,)),
            "role": (self.role.shape, (units,)),
            "ring": (self.ring.shape, (units,)),
            "first_live": (self.first_live.shape, (units,)),
            "last_live": (self.last_live.shape, (units,)),
            "counts": (self.counts.shape, (len(self.crime_types), units, periods)),
            "exposure": (self.exposure.shape, (units, periods)),
        }
        for name, (found, expected) in shapes.items():
            if found != expected:
                raise PanelError(
                    f"panel array {name} has shape {found}",
                    limit=f"{expected}: {units} units, {periods} periods",
                )
        if len(self.moderators) not in (0, len(self.sites)):
            raise PanelError(
                f"the panel has facts of {len(self.moderators)} cities",
                limit=f"none, or {len(self.sites)}: one set for each city",
            )
        if self.counts.size and self.counts.min() < 0:
            raise PanelError("panel counts are negative", limit="counts ≥ 0")
        if self.ring.size and self.ring.min() < 0:
            raise PanelError("panel rings are negative", limit="0, 1, 2, …")
        if not (np.isfinite(self.exposure).all() and (self.exposure >= 0).all()):
            raise PanelError("panel exposure is negative or not finite", limit="0 ≤ exposure < ∞")
        for array in (
            self.site_of_unit,
            self.role,
            self.ring,
            self.first_live,
            self.last_live,
            self.counts,
            self.exposure,
        ):
            array.setflags(write=False)

    @property
    def n_units(self) -> int:
        """Number of units U."""
        return len(self.unit_ids)

    @property
    def n_periods(self) -> int:
        """Number of periods T."""
        return len(self.periods)

    def total(self, crime_types: Sequence[str]) -> NDArray[np.float64]:
        """(U, T) counts summed over the crime types named.

        Raises:
            PanelError: a crime type is not in the panel.
        """
        missing = sorted(set(crime_types) - set(self.crime_types))
        if missing:
            raise PanelError(
                f"the panel of {', '.join(self.sites)} has no {', '.join(missing)}",
                limit=f"one of {', '.join(self.crime_types)}",
                way_out="map the city's categories to these types, or change the study's crime_types",
            )
        summed = np.zeros(self.counts.shape[1:])
        for name in dict.fromkeys(crime_types):
            summed += self.counts[self.crime_types.index(name)]
        return summed

    def take(self, units: NDArray[np.bool_] | NDArray[np.int64]) -> Panel:
        """The panel of some units only, cities kept as they are."""
        return replace(
            self,
            unit_ids=self.unit_ids[units],
            site_of_unit=self.site_of_unit[units],
            role=self.role[units],
            ring=self.ring[units],
            first_live=self.first_live[units],
            last_live=self.last_live[units],
            counts=self.counts[:, units],
            exposure=self.exposure[units],
        )

    def split(self) -> tuple[Panel, ...]:
        """One panel per city, in the order of ``sites``."""
        if len(self.sites) == 1:
            return (self,)
        return tuple(
            replace(
                self.take(self.site_of_unit == index),
                sites=(name,),
                site_of_unit=np.zeros(int((self.site_of_unit == index).sum()), dtype=np.int64),
                moderators=self.moderators[index : index + 1],
            )
            for index, name in enumerate(self.sites)
        )


def concatenate(panels: Sequence[Panel]) -> Panel:
    """Several cities' panels as one, cities in alphabetical order whatever order they came in.

    Raises:
        PanelError: a city twice, or panels that differ in periods, crime types or study.
    """
    if not panels:
        raise PanelError("no panel to put together", way_out="name at least one site")
    ordered = sorted(panels, key=lambda panel: panel.sites)
    first = ordered[0]
    names = tuple(name for panel in ordered for name in panel.sites)
    if len(set(names)) != len(names):
        raise PanelError("a city is named twice", limit="each site once", way_out="rename one site")
    for panel in ordered[1:]:
        if (panel.periods, panel.crime_types, panel.study) != (
            first.periods,
            first.crime_types,
            first.study,
        ):
            raise PanelError(
                f"the panels of {first.sites[0]} and {panel.sites[0]} differ in periods, crime types or study",
                limit="panels built for one study",
                way_out="build both again with `evalkit site panel`",
            )
    starts = np.cumsum([0, *(len(panel.sites) for panel in ordered)])
    return replace(
        first,
        sites=names,
        unit_ids=np.concatenate([panel.unit_ids for panel in ordered]),
        site_of_unit=np.concatenate(
            [panel.site_of_unit + start for panel, start in zip(ordered, starts, strict=False)]
        ),
        role=np.concatenate([panel.role for panel in ordered]),
        ring=np.concatenate([panel.ring for panel in ordered]),
        first_live=np.concatenate([panel.first_live for panel in ordered]),
        last_live=np.concatenate([panel.last_live for panel in ordered]),
        counts=np.concatenate([panel.counts for panel in ordered], axis=1),
        exposure=np.concatenate([panel.exposure for panel in ordered], axis=0),
        fingerprint="",
        moderators=_together(ordered),
    )


def _together(panels: Sequence[Panel]) -> tuple[Mapping[str, float | str], ...]:
    """Facts of all cities; a city without any counts as one with none."""
    if not any(panel.moderators for panel in panels):
        return ()
    return tuple(
        facts for panel in panels for facts in panel.moderators or ({},) * len(panel.sites)
    )
