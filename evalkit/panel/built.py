"""A panel with everything its city should know about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from evalkit.core.panel import Panel
from evalkit.panel.balance import Balance
from evalkit.panel.diagnostics import Diagnostics

__all__ = ["DOSE", "Built"]

DOSE: Final = pl.Schema({"unit": pl.String(), "period": pl.Date(), "cameras": pl.Int64()})
"""Columns of the table of doses."""


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """One city's panel, its units, and where every incident went. Stays in the city.

    Attributes:
        panel: what estimators read.
        units: one row per unit of the panel, in its order: unit, role (lower case), ring (1, 2, …
            outward, 0 for none), first_live (date of the first camera, null without one or
            unknown), x and y (metres from the city's centre), longitude, latitude, cameras (inside
            the unit), neighbour_live (first go-live date of another camera site within reach, null
            if none or for areas).
        account: what became of the incidents, in order. ``incidents`` is the number that came in;
            the other entries add up to it.
        facts: counts noticed on the way, by name.
        diagnostics: tables and notes.
        dose: unit, period, cameras: live ones at the period's end, where that changed (`evalkit.panel.dose`).
        balance: how alike treated units and controls were before any camera, for each covariate; empty where
            nothing can be said.
    """

    panel: Panel
    units: pl.DataFrame
    account: Mapping[str, int]
    facts: Mapping[str, int]
    diagnostics: Diagnostics
    balance: tuple[Balance, ...] = ()
    dose: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DOSE))

    @property
    def notes(self) -> tuple[str, ...]:
        """Plain sentences the analyst should read."""
        return self.diagnostics.notes
