"""Which coefficient each cell of a city's design has: one, one an event time, or one a cohort and event time.

Vocabulary
    grid    the coefficients a study may have. It follows from the study alone, so that the server can lay out
            a parameter vector without having seen any city, and cannot choose columns.
    column  a coefficient's place in the grid. Columns are indicators and exclude one another: a cell has one
            column or none (`NO_COLUMN`: controls, and the reference, event time −1).
    cohort  here: the units whose camera went live in one calendar year (the last of a merged interval).
            Cohorts by month would leave a few incidents to each coefficient, which no city's gate lets out.
    bin     the first event time of the window stands for all earlier ones, the last for all later ones.

With the event window (−1, L) everything before go-live is the reference: for a linear model and a balanced panel
that is the imputation estimator (Borusyak, Jaravel & Spiess 2024; Wooldridge 2021 shows the equality). With a
window that also has leads it is Sun & Abraham's (2021) interaction-weighted estimator with the never treated as
controls; its Poisson form is Wooldridge's (2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import NO_EVENT, Design, cell_of
from evalkit.core.sensitivity import TwoWay, WithoutCohort
from evalkit.core.statistics import Cell
from evalkit.core.study import Study
from evalkit.core.terms import OVERALL, at_event_time
from evalkit.errors import ConfigError, EstimationError, SeparationError
from evalkit.numerics.score_bootstrap import sign_p_value
from evalkit.numerics.two_way_weights import weights_from_products

__all__ = [
    "NO_COLUMN",
    "REFERENCE",
    "Effects",
    "Grid",
    "Joined",
    "bins_of",
    "bootstrap_details",
    "bootstrap_notes",
    "cells_by_column",
    "check_errors",
    "cohort_sizes",
    "columns_of",
    "design_notes",
    "effects_of",
    "grid_of",
    "join_columns",
    "two_way_of",
    "without_each_cohort",
]

NO_COLUMN: Final = -1
"""Of a cell without a coefficient."""

REFERENCE: Final = -1
"""The event time every other one is compared with: the last period wholly without the camera."""


ON_THE_GRID: Final = ("linear_did", "poisson_did")
"""Estimators whose effects by event time are coefficients of this grid, and so have bins at its ends."""

NO_ERROR: Final = 1e-9
"""Standard errors, in log rate ratios or incidents, at and below which nothing but rounding is left."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The K = cohorts × event times coefficients of a study, cohort by cohort.

    Attributes:
        cohorts: calendar years; one empty name where cohorts are not told apart.
        event_times: ascending, without the reference; ``(0,)`` stands for every treated cell in a static design.
        static: one coefficient for all treated cells.
    """

    cohorts: tuple[str, ...]
    event_times: tuple[int, ...]
    static: bool

    @property
    def size(self) -> int:
        """K."""
        return len(self.cohorts) * len(self.event_times)

    def name(self, column: int) -> str:
        """Name of one coefficient."""
        cohort, event = divmod(column, len(self.event_times))
        if self.static:
            return OVERALL
        prefix = f"cohort {self.cohorts[cohort]} " if self.cohorts[cohort] else ""
        return f"{prefix}{at_event_time(self.event_times[event])}"


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """Effects as weighted means of coefficients.

    Attributes:
        terms: (E,) names, `OVERALL` first, then event times.
        weights: (E, K), rows sum to one.
    """

    terms: tuple[str, ...]
    weights: NDArray[np.float64]


def grid_of(study: Study) -> Grid:
    """The coefficients of ``study``.

    Raises:
        ConfigError: the event window does not hold the last period before and the first one after go-live, or
            a bootstrap is asked for more than one effect.
    """
    analysis = study.analysis
    if analysis.design == "static":
        return Grid(("",), (0,), static=True)
    if analysis.bootstrap:
        raise ConfigError(
            f'bootstrap is given with design = "{analysis.design}"',
            where="[analysis]",
            limit="the score bootstrap tests one effect",
            way_out='set bootstrap = 0, or design = "static"',
        )
    first, last = analysis.event_window
    if not (first <= REFERENCE and last >= 0):
        raise ConfigError(
            f"event_window = [{first}, {last}] does not reach from before go-live to after it",
            where="[analysis]",
            limit="first ≤ −1, the reference, and last ≥ 0, the first treated period",
            way_out="use [-6, 12], or [-1, 12] to compare with everything before",
        )
    years = range(study.window.start.year, study.window.end.year + 1)
    cohorts = (
        tuple(str(year) for year in years) if analysis.design == "cohort_event_time" else ("",)
    )
    times = tuple(time for time in range(first, last + 1) if time != REFERENCE)
    return Grid(cohorts, times, static=False)


def bins_of(study: Study) -> tuple[int, int] | None:
    """Event times of the study's estimator that stand for all earlier ones and for all later ones, if it has any.

    Estimators of group-time effects also have an event window, and leave out what lies beyond it.
    """
    analysis = study.analysis
    binned = analysis.estimator in ON_THE_GRID and analysis.design != "static"
    return analysis.event_window if binned else None


def columns_of(design: Design, grid: Grid) -> NDArray[np.int64]:
    """(U, T) column of every cell; `NO_COLUMN` also where a cell is not used."""
    # event times follow from the go-live interval, so they are looked up once for each
    _, unit, interval = np.unique(
        np.stack([design.first_live, design.last_live]),
        axis=1,
        return_index=True,
        return_inverse=True,
    )
    column = _columns_of_intervals(design, grid, unit)[interval.ravel()]
    column[design.exposure == 0] = NO_COLUMN
    return column


def _columns_of_intervals(
    design: Design, grid: Grid, units: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(C, T) columns of ``units``, one for each go-live interval."""
    if grid.static:
        return np.where(design.treated[units] > 0, 0, NO_COLUMN).astype(np.int64)
    event_time = design.event_time[units]
    event = np.clip(event_time, min(grid.event_times[0], REFERENCE), grid.event_times[-1])
    place = np.searchsorted(np.array(grid.event_times), event)
    column = _cohort(design, grid)[units][:, None] * len(grid.event_times) + place
    has = (event_time != NO_EVENT) & (event != REFERENCE)
    return np.where(has, column, NO_COLUMN).astype(np.int64)


def _cohort(design: Design, grid: Grid) -> NDArray[np.int64]:
    """(U,) position of each unit's cohort; meaningless for units that have none."""
    if len(grid.cohorts) == 1:
        return np.zeros(len(design.last_live), dtype=np.int64)
    years = np.array([int(name[:4]) for name in design.period_names])
    found = years[design.last_live] - int(grid.cohorts[0])
    cohort: NDArray[np.int64] = np.clip(found, 0, len(grid.cohorts) - 1)
    return cohort


def cells_by_column(design: Design, columns: NDArray[np.int64], grid: Grid) -> tuple[Cell, ...]:
    """Units and incidents behind each coefficient that has cells in this city; none for a static design.

    A coefficient tells the incidents of its cells, whatever cohorts they are of, so the gate must judge them
    beside the cohorts' totals before and after go-live.
    """
    if grid.static:
        return ()
    units, width = len(columns), grid.size + 1
    place = (np.arange(units)[:, None] * width + columns + 1).ravel()
    shape = (units, width)
    summed = np.bincount(place, design.outcome.ravel(), minlength=units * width)
    incidents = summed.astype(np.float64).reshape(shape)
    has = np.bincount(place, minlength=units * width).reshape(shape) > 0
    return tuple(
        cell_of(
            grid.name(column), "term", incidents[has[:, column + 1], column + 1, None], treated=True
        )
        for column in range(grid.size)
        if has[:, column + 1].any()
    )


def cohort_sizes(grid: Grid, units: NDArray[np.float64]) -> dict[str, int] | None:
    """Treated units of each cohort that has any, as far as a server can tell; None where cohorts are not told apart.

    A cohort has at least as many units as its coefficient with most of them.

    Args:
        grid: of the study.
        units: (K,) units that have cells of each column, over all cities.
    """
    if len(grid.cohorts) == 1:
        return None
    most = units.reshape(len(grid.cohorts), len(grid.event_times)).max(axis=1)
    return {name: round(float(n)) for name, n in zip(grid.cohorts, most, strict=True) if n > 0}


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """How the K columns of the grid make R coefficients that can be estimated.

    Attributes:
        matrix: (K, R) zeros and ones.
        names: columns that share another one's coefficient.
    """

    matrix: NDArray[np.float64]
    names: tuple[str, ...]


def join_columns(
    grid: Grid,
    exposure: NDArray[np.float64],
    units: NDArray[np.float64],
    incidents: NDArray[np.float64] | None = None,
) -> Joined:
    """Decide which columns have a coefficient, from sums over all cities.

    A column without cells in any city has no coefficient. With ``incidents`` (a multiplicative model), a column
    with cells but without a single incident in any city would run to minus infinity. By rule it shares the
    coefficient of the nearest column of its cohort with incidents, on the same side of go-live: first looking
    towards go-live, then away from it. A lead that finds none becomes part of the reference.

    Args:
        grid: of the study.
        exposure: (K,) exposure of each column's cells, over all cities.
        units: (K,) units that have such cells, over all cities.
        incidents: (K,) in those cells; None for a linear model, which needs none.

    Raises:
        SeparationError: the treated cells of a cohort hold no incident at all.
        EstimationError: a coefficient rests on one unit, whose cluster-robust standard error would be far too
            small and look like any other.
    """
    present = exposure > 0
    full = present if incidents is None else present & (incidents > 0)
    target = np.where(full, np.arange(grid.size), NO_COLUMN)
    for column in np.flatnonzero(present & ~full):
        target[column] = _neighbour(grid, full, int(column))
    kept = np.flatnonzero(full)
    matrix = (target[:, None] == kept[None, :]).astype(np.float64)
    lonely = [grid.name(int(kept[one])) for one in np.flatnonzero(units @ matrix < 2)]
    if lonely:
        raise EstimationError(
            f"the effect of {', '.join(lonely)} rests on a single unit",
            limit="two units or more: one cluster has no standard error",
            way_out="narrow event_window, as its ends are binned, or use a design with fewer effects",
        )
    return Joined(matrix, tuple(grid.name(int(one)) for one in np.flatnonzero(present & ~full)))


def _neighbour(grid: Grid, full: NDArray[np.bool_], column: int) -> int:
    """The column whose coefficient one without incidents shares, or `NO_COLUMN` for the reference."""
    width = len(grid.event_times)
    start = column - column % width
    treated = grid.event_times[column % width] >= 0
    side = [
        other
        for other in range(start, start + width)
        if full[other] and (grid.event_times[other - start] >= 0) == treated
    ]
    towards = [other for other in side if (other < column) == treated]
    if towards:
        return max(towards) if treated else min(towards)
    if side:
        return min(side) if treated else max(side)
    if treated:
        raise SeparationError(
            f"no city has an incident in {grid.name(column)}, nor in any other period after go-live",
            limit="at least one incident after go-live in every cohort",
            way_out='use design = "event_time", a longer window or more crime types',
        )
    return NO_COLUMN


def effects_of(grid: Grid, exposure: NDArray[np.float64]) -> Effects:
    """The overall effect and the effect at each event time, as means weighted by exposure.

    The weights are the exposure of a column's cells. They follow from camera dates and not from outcomes, so
    they add nothing to the sampling error and the delta method is exact; fitted untreated means would give
    busy places more say, but would be estimated themselves.

    Args:
        grid: of the study.
        exposure: (K,) exposure of each column's cells that enter the fit, over all cities; some treated.
    """
    table = exposure.reshape(len(grid.cohorts), len(grid.event_times))
    times = np.array(grid.event_times)
    rows = [np.where(times >= 0, table, 0.0)]
    names = [OVERALL]
    if not grid.static:
        for index, time in enumerate(grid.event_times):
            if table[:, index].sum() > 0:
                rows.append(np.where(times == time, table, 0.0))
                names.append(at_event_time(time))
    weights = np.stack([row.ravel() / row.sum() for row in rows])
    return Effects(tuple(names), weights)


def without_each_cohort(
    grid: Grid,
    columns: NDArray[np.float64],
    beta: NDArray[np.float64],
    covariance: NDArray[np.float64],
    joined: Joined,
) -> tuple[WithoutCohort, ...]:
    """The overall effect without each cohort, the others by their exposure; empty with fewer than two cohorts.

    Args:
        grid: of the study.
        columns: (3, K) exposure, incidents and units of each column, over all cities.
        beta: (K,) coefficients.
        covariance: (R, R) of the joined coefficients.
        joined: of the K columns.
    """
    sizes = cohort_sizes(grid, columns[2])
    width = len(grid.event_times)
    treated = np.tile(np.array(grid.event_times) >= 0, len(grid.cohorts))
    weight = np.where(treated, columns[0], 0.0)
    place = {name: np.arange(grid.size) // width == at for at, name in enumerate(grid.cohorts)}
    found = [name for name in grid.cohorts if weight[place[name]].sum() > 0]
    if sizes is None or len(found) < 2:
        return ()
    left = []
    for name in found:
        others = np.where(place[name], 0.0, weight)
        others = others / others.sum()
        row = others @ joined.matrix
        error = math.sqrt(float(row @ covariance @ row))
        left.append(WithoutCohort(name, float(sizes[name]), float(others @ beta), error))
    return tuple(left)


def two_way_of(
    grid: Grid,
    information: NDArray[np.float64],
    right: NDArray[np.float64],
    beta: NDArray[np.float64],
) -> TwoWay | None:
    """What the static regression of the same panel averages, from the products of this one; None if it has no answer.

    Of a design with cohorts the weights are those of cohorts and event times, of one without those of event times:
    weights of both signs inside a cell cancel, so that the negative ones sum to at least what is told.

    Args:
        grid: of the study.
        information: (K, K) Σ w x̃x̃' over all cities.
        right: (K,) Σ x̃y.
        beta: (K,) coefficients.
    """
    if grid.static:
        return None
    treated = np.tile(np.array(grid.event_times) >= 0, len(grid.cohorts))
    try:
        found = weights_from_products(information, right, treated)
    except ValueError:
        return None
    return TwoWay(
        coefficient=found.coefficient,
        negative=found.negative,
        without=found.without_negative(beta),
    )


def check_errors(effects: Effects, covariance: NDArray[np.float64]) -> None:
    """Refuse effects that are certain: units that are all alike tell nothing of how much units differ.

    Args:
        effects: E of them.
        covariance: (E, E).

    Raises:
        EstimationError: the standard error of an effect is zero but for rounding.
    """
    certain = [
        term
        for term, variance in zip(effects.terms, np.diagonal(covariance), strict=True)
        if variance <= NO_ERROR**2
    ]
    if certain:
        raise EstimationError(
            f"the effect of {', '.join(certain)} has no variance",
            limit="a variance above 0: units that differ from one another",
            way_out="look for units that are all alike; use larger units or a longer window",
        )


def design_notes(grid: Grid, joined: Joined) -> tuple[str, ...]:
    """What a reader must know of a design with more than one effect."""
    if grid.static:
        return ()
    first, last = min(grid.event_times[0], REFERENCE), grid.event_times[-1]
    notes = [
        (
            f"event time {first} stands for all earlier ones"
            if first < REFERENCE
            else "the reference are all periods before go-live"
        )
        + f" and event time {last} for all later ones; effects are means weighted by exposure"
    ]
    if joined.names:
        notes.append(
            f"{', '.join(joined.names)}: not one incident in any city, so no finite effect of its own; "
            "it shares that of the nearest event time with incidents, or is part of the reference"
        )
    return tuple(notes)


def bootstrap_details(total: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """The score bootstrap's p-value for no effect, if the cities sent what it needs."""
    return {"p_value_score_bootstrap": sign_p_value(total["null"])} if "null" in total else {}


def bootstrap_notes(total: Mapping[str, NDArray[np.float64]]) -> tuple[str, ...]:
    """What that p-value is."""
    if "null" not in total:
        return ()
    return (
        "p_value_score_bootstrap tests no effect by the wild score bootstrap, for few clusters; without draws",
    )
