"""From a panel and a study to the arrays every difference-in-differences estimator needs.

The go-live interval of a cohort is a transition: from the first live period of any of its units to the last.
With ``transition = "drop"`` it is left out entirely; with ``"treat"`` a cohort's last live period already
counts as treated and only the earlier part of a merged interval is left out, where some of its units are
treated and some are not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.statistics import Cell, Phase, Support
from evalkit.core.study import Study

__all__ = ["Design", "cell_of", "cells_by_pattern", "design_of", "pattern_name", "support_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """One city's design: U units (treated and control only), T periods.

    Attributes:
        site: name of the city.
        outcome: (U, T) incidents of the study's crime types; zero where not used.
        exposure: (U, T); zero where a cell is not used.
        treated: (U, T) 1 where a camera is live, else 0.
        ever_treated: (U,) bool.
        first_live, last_live: (U,) go-live interval, `NEVER` for controls.
        period_names: (T,) ISO dates, for naming patterns.
    """

    site: str
    outcome: NDArray[np.float64]
    exposure: NDArray[np.float64]
    treated: NDArray[np.float64]
    ever_treated: NDArray[np.bool_]
    first_live: NDArray[np.int64]
    last_live: NDArray[np.int64]
    period_names: tuple[str, ...]


def design_of(panel: Panel, study: Study) -> tuple[Design, ...]:
    """One design per city of the panel, in the order of its sites.

    Raises:
        PanelError: the panel lacks one of the study's crime types.
    """
    return tuple(_design_of_city(city, study) for city in panel.split())


def _design_of_city(panel: Panel, study: Study) -> Design:
    chosen = panel.take((panel.role == Role.TREATED) | (panel.role == Role.CONTROL))
    ever = chosen.first_live != NEVER
    period = np.arange(chosen.n_periods)
    drop = study.treatment.transition == "drop"
    last_transition = chosen.last_live if drop else chosen.last_live - 1
    in_transition = (
        ever[:, None]
        & (period >= chosen.first_live[:, None])
        & (period <= last_transition[:, None])
    )
    treated = ever[:, None] & (period > last_transition[:, None])
    exposure = np.where(in_transition, 0.0, chosen.exposure)
    outcome = np.where(exposure > 0, chosen.total(study.outcome.crime_types), 0.0)
    return Design(
        site=chosen.sites[0],
        outcome=outcome,
        exposure=exposure,
        treated=treated.astype(np.float64),
        ever_treated=ever,
        first_live=chosen.first_live,
        last_live=chosen.last_live,
        period_names=tuple(day.isoformat() for day in chosen.periods),
    )


def cells_by_pattern(design: Design) -> tuple[Cell, ...]:
    """Units and incidents behind every distinct design pattern, before and after its own go-live.

    Units that are never treated are told apart by the cells they lack, since a later camera's unit leaves
    the panel when that camera goes live.
    """
    cells: list[Cell] = []
    for name, members in _patterns(design):
        ever = bool(design.ever_treated[members][0])
        used = design.exposure[members] > 0
        outcome, treated = design.outcome[members], design.treated[members] > 0
        phases: tuple[tuple[Phase, NDArray[np.bool_]], ...] = (
            (("before", used & ~treated), ("after", used & treated)) if ever else (("all", used),)
        )
        for phase, mask in phases:
            observed = mask.any(axis=1)
            cells.append(cell_of(name, phase, np.where(mask, outcome, 0.0)[observed], treated=ever))
    return tuple(cells)


def cell_of(pattern: str, phase: Phase, counts: NDArray[np.float64], *, treated: bool) -> Cell:
    """The cell of (units, periods) ``counts``: units, incidents and the share of the two largest units."""
    per_unit = np.sort(counts.sum(axis=1))
    incidents = float(per_unit.sum())
    share = float(per_unit[-2:].sum()) / incidents if incidents > 0 else 0.0
    return Cell(pattern, phase, treated, len(per_unit), round(incidents), share)


def support_of(design: Design, *, clusters: int, parameters: int, residual_df: int) -> Support:
    """The support of a statistic computed on ``design``."""
    return Support(design.site, cells_by_pattern(design), clusters, parameters, residual_df)


def pattern_name(first: int, last: int, period_names: tuple[str, ...]) -> str:
    """``never``, one period, or an interval of periods."""
    if first == NEVER:
        return "never"
    if first == last:
        return period_names[first]
    return f"{period_names[first]}..{period_names[last]}"


def _patterns(design: Design) -> list[tuple[str, NDArray[np.bool_]]]:
    """Each distinct pattern with its (U,) members, in the order of go-live."""
    used = design.exposure > 0
    end = int(np.flatnonzero(used.any(axis=0)).max(initial=-1))  # data may end before the window
    last_used = np.where(used.any(axis=1), used.shape[1] - 1 - np.argmax(used[:, ::-1], axis=1), -1)
    keys = np.stack(
        [design.first_live, design.last_live, np.where(design.ever_treated, 0, last_used)]
    )
    found: list[tuple[str, NDArray[np.bool_]]] = []
    for first, last, until in np.unique(keys, axis=1).T:
        members = (keys == np.array([[first], [last], [until]])).all(axis=0)
        name = pattern_name(int(first), int(last), design.period_names)
        if first == NEVER and until < end:
            name = f"never until {design.period_names[until + 1]}" if until >= 0 else "not used"
        found.append((name, members))
    return found
