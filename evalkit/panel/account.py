"""Where every incident went, and what else is worth counting."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import Panel, Role
from evalkit.core.study import Study
from evalkit.panel.cohorts import Cohorts
from evalkit.panel.periods import as_days
from evalkit.panel.rows import Rows
from evalkit.panel.sites import Cameras
from evalkit.panel.zones.zoning import OUTSIDE, Zoning

__all__ = ["ROLE_LABELS", "account_of", "facts_of"]

ROLE_LABELS: Final[dict[Role, str]] = {
    Role.TREATED: "in treated units",
    Role.CONTROL: "in control units",
    Role.RING: "in ring units",
    Role.ALWAYS: "in units live from the start",
    Role.UNDATED: "in units with a camera of unknown date",
    Role.SET_APART: "in units set apart by the study",
}
"""Entries of the account, one for each role."""


def account_of(panel: Panel, zoning: Zoning, rows: Rows) -> dict[str, int]:
    """Where every incident went; the entries after ``incidents`` add up to it.

    An incident is accounted for by the first of these it fails: window, crime type, place, unit.
    The entries for roles are read off the panel and not off the assignment, so that the sum proves
    that nothing was lost in between.
    """
    weight = rows.weight

    def number(which: NDArray[np.bool_]) -> int:
        return int(weight[which].sum())

    per_unit = panel.counts.sum(axis=(0, 2))
    inside = rows.of_places(zoning.unit) != OUTSIDE
    return {
        "incidents": rows.seen.read,
        "outside the window": rows.seen.read - int(weight.sum()) - rows.other_hours - rows.no_hour,
        **(
            {"at other hours": rows.other_hours, "without an hour": rows.no_hour}
            if rows.by_hour
            else {}
        ),
        "of other crime types": number(~rows.asked),
        "without a usable place": number(rows.asked & ~rows.placed),
        "outside every unit": number(rows.asked & rows.placed & ~inside),
        **{label: int(per_unit[panel.role == role].sum()) for role, label in ROLE_LABELS.items()},
    }


def facts_of(
    zoning: Zoning, found: Cohorts, cameras: Cameras, rows: Rows, study: Study
) -> dict[str, int]:
    """Counts about units, cameras and incidents, by name; see `evalkit.panel.notes`."""
    names, periods = len(set(study.outcome.crime_types)), found.periods
    treated, control = found.role == Role.TREATED, found.role == Role.CONTROL
    by_area = study.units.kind == "area"
    usable = cameras.area.is_not_null().to_numpy() if by_area else cameras.located
    last = treated & (found.last_live == periods - 1)
    earlier = treated & (zoning.neighbour < zoning.first)
    live = control & (zoning.neighbour <= as_days(study.window.end))
    return {
        "units": len(zoning.ids),
        "cameras": len(cameras.live),
        "cameras without a usable place": int((~usable).sum()),
        "cameras without a date": int(np.isnat(cameras.live).sum()),
        **zoning.facts,
        "treated units with an earlier neighbour": int(earlier.sum()),
        "control units with a live neighbour": int(live.sum()),
        "controls until their own camera": int((control & (found.used_until < periods)).sum()),
        "treated units whose cameras were removed": int(
            (treated & (found.used_until < periods)).sum()
        ),
        "treated units without an after": (
            int(last.sum()) if study.treatment.transition == "drop" else 0
        ),
        "periods without any incident": periods - len(np.unique(rows.period)),
        "crime types that never occur": names - len(np.unique(rows.crime_type[rows.asked])),
        "incidents with coordinates": int(rows.weight[rows.located].sum()),
        "distinct points": rows.points,
    }
