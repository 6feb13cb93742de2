"""Studentised statistics of many assignments of go-live dates to the units of one place.

Each is an effect over its standard error, so that an assignment that is noisier by itself, with the dates at busy
units, does not count as extreme for that. Any statistic is exact if nothing changed for any unit; a studentised one is
also right in large places if only the mean effect is zero and variances differ (Janssen 1997; Chung & Romano 2013; Wu &
Ding 2021), and MacKinnon & Webb (2020) find it the better of the two with unequal clusters.

Vocabulary
    table   outcomes without any date, and the blocks (`numerics.randomisation`) that dates make. Blocks keep their
            size, dates and observed periods in every assignment; only who is in them changes.
    order   (U,) which unit takes which slot; several are (D, U).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.group_time import NEVER, Blocks, Cells
from evalkit.numerics.randomisation import Slots

__all__ = ["GroupTimeT", "RateRatioT", "ScoreT", "Table", "blocks_of_table"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

MARGIN: Final = 1e-12
"""Largest miss of a period's total, relative to all incidents, at which a fit has settled."""

MAX_SWEEPS: Final = 2_000
"""Of a fit; one that has not settled by then gives a statistic all the same, as good as another for its rank."""

RANK: Final = 1e-10
"""Relative size of an eigenvalue that is rounding: blocks that share no period have levels of their own."""

DOUBLED: Final = 2.0
"""Over-dispersion where no period is left to estimate it from, as in ``rate_ratio``."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One place.

    Attributes:
        outcome: (U, T) incidents, 0 where the unit is not observed whatever its dates.
        exposure: (U, T) 0 there.
        slots: own assignment, P blocks.
        first, start: (P,) cohort of each block, `NEVER` for controls.
        observed: (P, T) without the block's transition.
        live: (P, T) wholly treated.
    """

    outcome: Floats
    exposure: Floats
    slots: Slots
    first: Integers
    start: Integers
    observed: Booleans
    live: Booleans


def blocks_of_table(table: Table) -> Blocks:
    """The blocks without their moments, which change with the assignment."""
    count, periods = table.observed.shape
    return Blocks(
        units=table.slots.sizes.astype(np.float64),
        mean=np.zeros((count, periods)),
        scatter=np.zeros((count, 0, 0)),
        observed=table.observed,
        first=table.first,
        start=table.start,
    )


@dataclass(frozen=True, slots=True, eq=False)
class GroupTimeT:
    """Overall group-time effect over its standard error, for every assignment.

    The effect is that of `numerics.group_time_totals`, on the same arrays: a linear function of block sums, whose
    weights no assignment changes, and its error a sum over units of squares of what each contributes.

    Attributes:
        table: of the place.
        cells: J effects of its blocks.
        weights: (J, K) of the targets.
        overall: (K,) targets that the overall effect is the mean of.
        scale: ``ratio`` or ``count``.
    """

    table: Table
    cells: Cells
    weights: Floats
    overall: Booleans
    scale: Literal["ratio", "count"]

    def prepare(self) -> Callable[[Integers], Floats]:
        """The function of (D, U) orders."""
        table, cells, targets = self.table, self.cells, self.weights.shape[1]
        sizes = table.slots.sizes.astype(np.float64)
        count, periods = table.observed.shape
        scale = cells.treated_units / cells.control_units
        on_treated = self.weights[:, :, None] * cells.treated[:, None, :]
        on_control = self.weights[:, :, None] * (cells.control * scale[:, None])[:, None, :]
        factual = np.zeros((periods, targets, count))
        without = np.zeros((periods, targets, count))
        np.add.at(factual, cells.period, on_treated)
        np.add.at(without, cells.period, on_control)
        np.add.at(without, cells.base, on_treated - on_control)
        number = on_treated.sum(axis=0)  # (K, P) of a unit of the block
        weight = number @ sizes
        marked = self.overall & (weight > 0)
        shares = np.where(marked, 1 / (np.where(marked, weight, 1.0) * max(marked.sum(), 1)), 0.0)
        factual_overall = np.einsum("k,tkp->pt", shares, factual)
        without_overall = np.einsum("k,tkp->pt", shares, without)
        # controls' mean change, a sum over their blocks, times what each block's units take of it
        taken = np.einsum("k,jkp->jp", shares, on_treated - on_control)
        passed = (cells.control / cells.control_units[:, None])[:, :, None] * taken[:, None, :]
        drift = np.zeros((periods, count, count))
        np.add.at(drift, cells.period, passed)
        np.subtract.at(drift, cells.base, passed)
        safe = np.where(marked, weight, 1.0)
        rate = _rates(table)
        own_factual = rate @ factual_overall.T  # (U, P) what a unit contributes in each block
        own_without = rate @ without_overall.T
        block = table.slots.block

        def statistic(orders: Integers) -> Floats:
            sums = _sums(rate, orders, table.slots)
            treated = np.einsum("dpt,tkp->dk", sums, factual, optimize=True)
            expected = np.einsum("dpt,tkp->dk", sums, without, optimize=True)
            mean_t, mean_w = treated @ shares, expected @ shares
            effect, by_t, by_w = _effect(mean_t, mean_w, self.scale)
            by_n = -(by_t[:, None] * treated + by_w[:, None] * expected) * shares / safe
            change = np.einsum("dpt,tpq->dq", sums, drift, optimize=True)
            constant = by_w[:, None] * change + by_n @ number
            influence = by_t[:, None] * own_factual[orders, block]
            influence += by_w[:, None] * own_without[orders, block]
            influence += constant[:, block]
            return _divided(effect, (influence**2).sum(axis=1))

        return statistic


@dataclass(frozen=True, slots=True, eq=False)
class ScoreT:
    """Cluster-robust score statistic of one Poisson effect at none, for every assignment.

    Σ u_i / √Σ u_i², u_i the units' scores of `numerics.poisson` at β = 0: fitting nothing but unit and period effects
    it is as fast as block sums are, and under the null as good as the effect over its error. Units of a block must
    have proportional exposure.
    """

    table: Table

    def prepare(self) -> Callable[[Integers], Floats]:
        """The function of (D, U) orders."""
        table = self.table
        relative = table.exposure / table.exposure.max(axis=1, keepdims=True, initial=1e-300)
        shape = np.where(table.observed, relative[table.slots.units[table.slots.starts]], 0.0)
        treated = np.where(table.live, 1.0, 0.0)

        def statistic(orders: Integers) -> Floats:
            sums = np.where(table.observed, _sums(table.outcome, orders, table.slots), 0.0)
            fitted = _fit(sums, shape)
            residual = treated - _period_effects(fitted, treated)[:, None, :]
            of_block = fitted.sum(axis=2, keepdims=True)
            shares = fitted / np.where(of_block > 0, of_block, 1.0)
            level = (residual * shares).sum(axis=2, keepdims=True)
            per_incident = np.where(table.observed, residual - level, 0.0)
            scores = np.empty(orders.shape)
            ends = table.slots.starts + table.slots.sizes
            for one, (begin, end) in enumerate(zip(table.slots.starts, ends, strict=True)):
                members = table.outcome[orders[:, begin:end]]
                scores[:, begin:end] = (members @ per_incident[:, one, :, None])[..., 0]
            return _divided(scores.sum(axis=1), (scores**2).sum(axis=1))

        return statistic


@dataclass(frozen=True, slots=True, eq=False)
class RateRatioT:
    """Log rate ratio of four totals over its standard error, for every assignment; see ``rate_ratio``.

    Attributes:
        table: of the place.
        before, after: (T,) periods in which all treated blocks are without, or with, treatment.
        control: (P,) blocks of controls that are compared.
        dispersion: ``quasi`` estimates it for each assignment; ``poisson``, ``doubled`` do not.
        add_half: to each total where one is zero.
    """

    table: Table
    before: Booleans
    after: Booleans
    control: Booleans
    dispersion: Literal["quasi", "poisson", "doubled"]
    add_half: bool

    def prepare(self) -> Callable[[Integers], Floats]:
        """The function of (D, U) orders."""
        table = self.table
        target = table.first != NEVER
        phases = (self.before, self.after)
        exposed = np.stack([table.exposure[:, phase].sum(axis=1) for phase in phases], axis=1)

        def statistic(orders: Integers) -> Floats:
            sums = _sums(table.outcome, orders, table.slots)
            exposure = _sums(exposed, orders, table.slots)
            series = [sums[:, side].sum(axis=1) for side in (target, self.control)]
            totals = np.stack([one[:, p].sum(axis=1) for one in series for p in phases], axis=1)
            parts = [exposure[:, side].sum(axis=1) for side in (target, self.control)]
            zero = (totals <= 0).any(axis=1)
            adjusted = totals + np.where(zero, 0.5, 0.0)[:, None] if self.add_half else totals
            with np.errstate(divide="ignore", invalid="ignore"):
                rates = np.log(adjusted / np.concatenate(parts, axis=1))
                variance = (1 / adjusted).sum(axis=1)
            effect = (rates[:, 1] - rates[:, 0]) - (rates[:, 3] - rates[:, 2])
            if not self.add_half:
                effect[zero] = np.nan
            return _divided(effect, variance * self._factor(series, phases))

        return statistic

    def _factor(self, series: list[Floats], phases: tuple[Booleans, Booleans]) -> Floats:
        if self.dispersion != "quasi":
            fixed = DOUBLED if self.dispersion == "doubled" else 1.0
            return np.full(len(series[0]), fixed)
        both = [_share_chi2(series[0][:, p], series[1][:, p]) for p in phases]
        chi2, df = both[0][0] + both[1][0], both[0][1] + both[1][1]
        factor: Floats = np.where(
            df > 0, np.maximum(1.0, chi2 / np.where(df > 0, df, 1.0)), DOUBLED
        )
        return factor


def _effect(mean_t: Floats, mean_w: Floats, scale: str) -> tuple[Floats, Floats, Floats]:
    """(D,) effects of means with and without treatment, and their derivatives; NaN for a ratio that is none."""
    if scale == "count":
        return mean_t - mean_w, np.ones_like(mean_t), -np.ones_like(mean_w)
    defined = (mean_t > 0) & (mean_w > 0)
    safe_t, safe_w = np.where(defined, mean_t, 1.0), np.where(defined, mean_w, 1.0)
    return np.where(defined, np.log(safe_t / safe_w), np.nan), 1 / safe_t, -1 / safe_w


def _rates(table: Table) -> Floats:
    """(U, T) incidents per exposure, 0 where not observed."""
    used = table.exposure > 0
    rate: Floats = np.where(used, table.outcome / np.where(used, table.exposure, 1.0), 0.0)
    return rate


def _sums(values: Floats, orders: Integers, slots: Slots) -> Floats:
    """(D, P, T) sums of (U, T) values over the units in each block."""
    return np.asarray(np.add.reduceat(values[orders], slots.starts, axis=1))


def _divided(effect: Floats, variance: Floats) -> Floats:
    """Effects by √variance; NaN where there is no variance to divide by."""
    usable = variance > 0
    statistic: Floats = np.where(usable, effect / np.sqrt(np.where(usable, variance, 1.0)), np.nan)
    return statistic


def _fit(sums: Floats, shape: Floats) -> Floats:
    """(D, P, T) products of block and period effects with (P, T) ``shape`` that have the margins of ``sums``."""
    rows, columns = sums.sum(axis=2), sums.sum(axis=1)
    open_periods = np.maximum(shape.sum(axis=0), 1e-300)
    period = columns / open_periods
    block = np.zeros_like(rows)
    largest = np.maximum(rows.sum(axis=1), 1.0)
    for _ in range(MAX_SWEEPS):
        reach = period @ shape.T
        block = np.divide(rows, reach, out=np.zeros_like(rows), where=reach > 0)
        found = block @ shape
        miss = np.abs(found * period - columns).max(axis=1) / largest
        period = np.divide(columns, found, out=np.zeros_like(columns), where=found > 0)
        if miss.max() < MARGIN:
            break
    fitted: Floats = shape * block[:, :, None] * period[:, None, :]
    return fitted


def _period_effects(fitted: Floats, treated: Floats) -> Floats:
    """(D, T) period effects of the (P, T) indicator, projected with weights (D, P, T) on blocks and periods.

    Periods are eliminated, which leaves an equation a block; their common level is free and any will do.
    """
    of_period = fitted.sum(axis=1)
    inverse = np.divide(1.0, of_period, out=np.zeros_like(of_period), where=of_period > 0)
    share = fitted * inverse[:, None, :]
    gram = -(share @ fitted.transpose(0, 2, 1))
    diagonal = np.arange(fitted.shape[1])
    gram[:, diagonal, diagonal] += fitted.sum(axis=2)
    mean = (share * treated).sum(axis=1)
    right = (fitted * (treated - mean[:, None, :])).sum(axis=2)
    solved = (np.linalg.pinv(gram, rcond=RANK, hermitian=True) @ right[:, :, None])[..., 0]
    effects: Floats = mean - (share * solved[:, :, None]).sum(axis=1)
    return effects


def _share_chi2(target: Floats, control: Floats) -> tuple[Floats, Floats]:
    """(D,) Pearson χ² of the target's share in each period around its share in the phase, and its df."""
    both = target + control
    total = both.sum(axis=1)
    share = target.sum(axis=1) / np.where(total > 0, total, 1.0)
    inside = (share > 0) & (share < 1)
    used = (both > 0) & inside[:, None]
    expected = both * share[:, None]
    spread = np.where(used, expected * (1 - share[:, None]), 1.0)
    chi2 = np.where(used, (target - expected) ** 2 / spread, 0.0).sum(axis=1)
    return chi2, np.maximum(used.sum(axis=1) - 1.0, 0.0)
