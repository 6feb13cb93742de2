"""What a panel's builder noticed, in plain words.

Vocabulary
    fact  a count, by name. `FACT_NOTES` says what it means where it is not zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from evalkit.core.panel import Panel, Role
from evalkit.panel.balance import FAR_APART, Balance

__all__ = ["FACT_NOTES", "find_notes"]

SNAPPED_POINTS: Final = 10
"""Incidents per distinct point from which a note is given. Exact addresses rarely hold ten
incidents of a study on average; points that were moved to an anonymous anchor hold dozens (UK
police data)."""

APART: Final[dict[str, tuple[str, str]]] = {
    "level": ("had more crime than", "had less crime than"),
    "trend": ("moved upwards from", "moved downwards from"),
    "x": ("lay east of", "lay west of"),
    "y": ("lay north of", "lay south of"),
}
"""How treated units that are far from the controls differ: above them, below them."""

FACT_NOTES: Final[dict[str, str]] = {
    "cameras without a usable place": (
        "{} cameras lack coordinates inside the city's bounds, or an area, and were left out; "
        "crime near them may be counted as a control"
    ),
    "cameras without a date": (
        "{} cameras have no live date; the units they stand in are left out of every estimate"
    ),
    "units with dated and undated cameras": (
        "{} units have dated and undated cameras; as the first may be one without a date, they "
        "count as undated"
    ),
    "treated units with an earlier neighbour": (
        "{} treated units have another camera site within reach that was live before their own; "
        "their before is not free of cameras"
    ),
    "control units with a live neighbour": (
        "{} controls are places of later cameras with a live camera within reach; displaced crime "
        "there would look like an effect"
    ),
    "controls until their own camera": (
        "{} controls get a camera after the adoption dates and are not used from that period on"
    ),
    "treated units without an after": (
        "{} treated units went live so late that no period is left after their transition; they "
        "only serve as controls"
    ),
    "treated units whose cameras were removed": (
        "the cameras of {} treated units were removed again; periods from then on are not used there"
    ),
    "periods before the data begin": (
        "{} periods of the window are not used, as the incidents begin later or in their middle"
    ),
    "periods after the data end": (
        "{} periods of the window are not used, as the incidents end before or in their middle"
    ),
    "cameras outside every polygon": (
        "{} cameras lie in no polygon; they treat no unit, but polygons near them are rings"
    ),
    "sites across the city's bounds": (
        "{} camera sites lie so close to the city's bounds that part of their catchment may have "
        "no data"
    ),
    "periods without any incident": (
        "{} periods hold no incident of the city at all; if its data do not reach there, shorten "
        "the study's window, because zero is read as no crime"
    ),
    "crime types that never occur": (
        "{} of the study's crime types never occur in this city's window; they are counted as "
        "zero, so check the mapping in the site file"
    ),
    "periods that units were matched on": (
        "controls were chosen to be like the treated units in {} periods before the first camera; "
        "what was high there by chance falls back afterwards, and choosing by it can bring that into "
        "the comparison (regression to the mean): hold the result against one without matching"
    ),
    "treated units without a match": (
        "{} treated units have no like place without a camera and are set apart: the effect is that "
        "on the treated units that have one, and says nothing of the others"
    ),
    "treated units with fewer controls than asked": (
        "{} treated units have fewer controls than the study's ratio"
    ),
    "controls not taken by the matching": (
        "{} controls are like no treated unit, or like one that has its controls already, and are "
        "set apart"
    ),
    "controls of several treated units": (
        "{} controls stand for several treated units each and count once: estimators carry no weights"
    ),
}
"""Facts that deserve a note when they are not zero."""


def find_notes(
    panel: Panel, facts: Mapping[str, int], balance: Sequence[Balance] = ()
) -> tuple[str, ...]:
    """Plain sentences about the design, the facts and the balance of one city's panel."""
    treated, control = panel.role == Role.TREATED, panel.role == Role.CONTROL
    found = []
    if len(np.unique(panel.first_live[treated])) == 1:
        found.append(
            "all treated units go live in one period; whatever else happened to them then cannot "
            "be told from the cameras"
        )
    if not control.any():
        found.append(
            "there is no control without a camera; units that go live later stand in until their "
            "own camera is live"
        )
    found += [note for one in balance if (note := _far_apart(one))]
    found += [text.format(facts[name]) for name, text in FACT_NOTES.items() if facts.get(name, 0)]
    points, located = facts.get("distinct points", 0), facts.get("incidents with coordinates", 0)
    if points and located >= SNAPPED_POINTS * points:
        found.append(
            f"{located} incidents lie on only {points} points; if the source moves incidents to "
            "anonymous points, small distances mean little"
        )
    empty = int((panel.counts.sum(axis=(0, 2)) == 0)[treated | control].sum())
    if empty:
        found.append(
            f"{empty} treated or control units have no incident at all; they tell nothing about "
            "a rate ratio"
        )
    return tuple(found)


def _far_apart(balance: Balance) -> str:
    """What to say where treated units and controls differ too much before; empty where they do not."""
    distance = balance.in_use
    if distance is None or abs(distance) <= FAR_APART:
        return ""
    matched = balance.matched_treated is not None
    way_out = (
        "use a smaller caliper, or other covariates, in [matching] of the study"
        if matched
        else "choose like controls with [matching] in the study, or places of later cameras with "
        'units.controls = "later_cameras"'
    )
    said = APART[balance.covariate][distance < 0]
    return (
        f"before the first camera {'the matched' if matched else 'the'} treated units {said} the controls "
        f"by {abs(distance):.2f} standard deviations, and more than {FAR_APART:g} is too far for a fair "
        f"comparison: {way_out}"
    )
