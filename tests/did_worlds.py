"""Difference-in-differences data for tests: the published panels, and group-time effects done slowly."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from evalkit.core.panel import NEVER, Panel, Role


@dataclass(frozen=True)
class World:
    """(U, T) outcomes, what is observed, (U,) cohorts, and a covariate where there is one."""

    y: np.ndarray
    observed: np.ndarray
    first: np.ndarray
    start: np.ndarray
    covariate: np.ndarray
    first_year: int = 0


def mpdta(shared: Path) -> World:
    """Teen employment in 500 counties, 2003 to 2007 (Callaway & Sant'Anna 2021)."""
    frame = pl.read_csv(shared / "data/reference/did/mpdta.csv").sort("countyreal", "year")
    shape = (500, 5)
    live = frame["first.treat"].to_numpy().reshape(shape)[:, 0]
    first = np.where(live == 0, NEVER, live - 2003).astype(np.int64)
    return World(
        y=frame["lemp"].to_numpy().reshape(shape).astype(float),
        observed=np.ones(shape, dtype=bool),
        first=first,
        start=first,
        covariate=frame["lpop"].to_numpy().reshape(shape)[:, 0].astype(float),
        first_year=2003,
    )


def castle(shared: Path) -> World:
    """Homicide in 50 states, 2000 to 2010 (Cheng & Hoekstra 2013); the cohorts of 2005 and 2009 are one state each."""
    frame = pl.read_csv(shared / "data/reference/did/castle.csv", null_values="NA").sort(
        "sid", "year"
    )
    shape = (50, 11)
    live = frame["effyear"].fill_null(0).to_numpy().reshape(shape)[:, 0]
    first = np.where(live == 0, NEVER, live - 2000).astype(np.int64)
    return World(
        y=frame["l_homicide"].to_numpy().reshape(shape).astype(float),
        observed=np.ones(shape, dtype=bool),
        first=first,
        start=first,
        covariate=np.zeros(50),
        first_year=2000,
    )


def ragged(seed: int, units: int = 40, periods: int = 9) -> World:
    """Cohorts with transitions of different lengths, controls that leave, and a few holes."""
    random = np.random.default_rng(seed)
    cohorts = np.array([(NEVER, NEVER), (NEVER, NEVER), (3, 4), (5, 7), (6, 6)])
    first, start = cohorts[np.arange(units) % len(cohorts)].T
    period = np.arange(periods)
    observed = ~((period >= first[:, None]) & (period < start[:, None]))
    leaves = (first == NEVER) & (np.arange(units) % 3 == 0)
    observed &= ~(leaves[:, None] & (period >= 7))
    observed[7, 2] = observed[11, 5] = observed[12, 1] = False
    treated = (start != NEVER)[:, None] & (period >= start[:, None])
    y = random.gamma(4, 2, units)[:, None] + random.poisson(3, (units, periods)) - 0.7 * treated
    return World(y, observed, first, start, random.normal(size=units))


def panel_of(world: World, name: str, *, decimals: int = 8, units: slice = slice(None)) -> Panel:
    """A panel whose counts are the outcomes times a power of ten, which the count scale just scales back."""
    first = world.first[units]
    shape = world.y[units].shape
    return Panel(
        sites=(name,),
        crime_types=("robbery",),
        periods=tuple(dt.date(2003 + period, 1, 1) for period in range(shape[1])),
        unit_ids=np.array([f"u{i:03d}" for i in range(shape[0])]),
        site_of_unit=np.zeros(shape[0], dtype=np.int64),
        role=np.where(first == NEVER, int(Role.CONTROL), int(Role.TREATED)),
        first_live=first,
        last_live=first.copy(),
        counts=np.rint(world.y[units] * 10.0**decimals).astype(np.int64)[None],
        exposure=world.observed[units].astype(float),
    )


@dataclass(frozen=True)
class SlowCell:
    """One effect, found by looking at every unit."""

    cohort: tuple[int, int]
    period: int
    base: int
    event_time: int
    post: bool
    treated: np.ndarray
    control: np.ndarray


def slow_cells(world: World, control_group: str, base_period: str) -> list[SlowCell]:
    """Every cell by its definition, one unit at a time."""
    found = []
    pairs = {(int(f), int(s)) for f, s in zip(world.first, world.start, strict=True) if f != NEVER}
    for first, start in sorted(pairs):
        own = [u for u in range(len(world.y)) if (world.first[u], world.start[u]) == (first, start)]
        seen = [t for t in range(world.y.shape[1]) if any(world.observed[u, t] for u in own)]
        before = [t for t in seen if t < first]
        if not before:
            continue
        for t in seen:
            post = t >= start
            earlier = [s for s in before if s < t]
            if post or base_period == "universal":
                base = before[-1]
            elif earlier:
                base = earlier[-1]
            else:
                continue
            if t == base:
                continue
            both = world.observed[:, t] & world.observed[:, base]
            treated = np.array([u in own for u in range(len(world.y))]) & both
            control = np.zeros(len(world.y), dtype=bool)
            for u in range(len(world.y)):
                later = control_group == "not_yet" and world.first[u] > max(t, base)
                control[u] = both[u] and u not in own and (world.first[u] == NEVER or later)
            if treated.any() and control.any():
                event_time = t - start if post else t - first
                found.append(SlowCell((first, start), t, base, event_time, post, treated, control))
    return found


def weighted_effect(
    world: World,
    cells: list[SlowCell],
    targets: np.ndarray,
    overall: np.ndarray,
    scale: str,
    units: np.ndarray,
    covariates: np.ndarray | None = None,
) -> np.ndarray:
    """Overall and target effects if unit u were there ``units[u]`` times.

    Its derivative by ``units`` is the influence function by definition, whatever was estimated on the way.
    """
    treated, without, weight = (np.zeros(targets.shape[1]) for _ in range(3))
    for row, cell in zip(targets, cells, strict=True):
        change = world.y[:, cell.period] - world.y[:, cell.base]
        number = units[cell.treated].sum()
        level = (units * world.y[:, cell.period])[cell.treated].sum() / number
        if covariates is None:
            effect = np.average(change[cell.treated], weights=units[cell.treated])
            effect -= np.average(change[cell.control], weights=units[cell.control])
        else:
            effect = _weighted_doubly_robust(change, cell, units, covariates)
        treated += row * number * level
        without += row * number * (level - effect)
        weight += row * number
    ratios = treated / weight, without / weight
    means = ratios[0][overall].mean(), ratios[1][overall].mean()
    if scale == "ratio":
        return np.r_[np.log(means[0] / means[1]), np.log(treated / without)]
    return np.r_[means[0] - means[1], ratios[0] - ratios[1]]


def _weighted_doubly_robust(
    change: np.ndarray, cell: SlowCell, units: np.ndarray, covariates: np.ndarray
) -> float:
    both = cell.treated | cell.control
    x, d, w, z = covariates[both], cell.treated[both].astype(float), units[both], change[both]
    beta = np.zeros(x.shape[1])
    for _ in range(60):
        p = 1 / (1 + np.exp(-x @ beta))
        step = np.linalg.solve((x * (w * p * (1 - p))[:, None]).T @ x, x.T @ (w * (d - p)))
        beta += step
        if np.abs(step).max() < 1e-12:
            break
    p = 1 / (1 + np.exp(-x @ beta))
    on = w * (1 - d)
    slope = np.linalg.solve((x * on[:, None]).T @ x, x.T @ (on * z))
    residual = z - x @ slope
    odds = on * p / (1 - p)
    return float(np.average(residual, weights=w * d) - np.average(residual, weights=odds))


def jackknife_covariance(effect, units: int, step: float = 1e-4) -> np.ndarray:
    """Infinitesimal jackknife (Jaeckel 1972): Σ of products of central differences in each unit's number."""
    rows = []
    for unit in range(units):
        up, down = np.ones(units), np.ones(units)
        up[unit] += step
        down[unit] -= step
        rows.append((effect(up) - effect(down)) / (2 * step))
    influence = np.array(rows)
    return influence.T @ influence
