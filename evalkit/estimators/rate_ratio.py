"""Relative incident rate ratio: before and after, target and control, as the reviews do it.

θ = ln(T1/T0) − ln(C1/C0), each total divided by its exposure (Farrington, Gill, Waples & Argomaniz 2007 call
exp(−θ) the odds ratio; Wilson 2022 calls exp(θ) the RIRR). The installation period, from the first go-live of
any treated unit to the last, is left out: it is neither before nor after. Controls are units observed through
the whole window. The Poisson variance is
1/T0 + 1/T1 + 1/C0 + 1/C1; counts are over-dispersed, so it is multiplied by a factor estimated inside the
city from the period-level series: Pearson's χ² of the target's share of each period's incidents around its
share in that phase, over its degrees of freedom (McCullagh & Nelder 1989, section 4.5). Shocks that hit the
whole city cancel in that share. The factor is never taken below 1.

A city that adds noise adds it to the incidents of targets and controls in at most `BLOCKS` blocks of periods before
and as many after, each with its own draw; totals and over-dispersion are computed from these. The noise's part in χ²
is taken off again, and its part in the variance is added by the delta method, variance/total² for each total.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.before_after import before_after
from evalkit.core.design import Design, cell_of, design_of
from evalkit.core.estimate import Estimate, Scale, SiteEffect
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.noise import Noise, noise_field, noise_of, with_cost
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Analysis, Study
from evalkit.errors import SeparationError
from evalkit.estimators._randomisation import rate_ratio_field, with_randomisation_of_cities
from evalkit.numerics.meta_analysis import pool

__all__ = ["BLOCKS", "TERM", "RateRatio", "estimator"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TERM: Final = "treated"

BLOCKS: Final = 12
"""Blocks of periods on each side that noise is added to. More give a better estimate of over-dispersion and more noise
in the totals: `experiments/05_privacy_utility` measures both."""

DROWNED: Final = 3.0
"""Totals below so many standard deviations of their noise: a normal interval of their logarithm is rough there."""

DOUBLED: Final = 2.0
"""The reviews' rule of thumb for over-dispersion (Farrington et al. 2007; Welsh & Farrington 2009)."""


@dataclass(frozen=True, slots=True)
class RateRatio:
    """Two-by-two rate ratio per city, combined by inverse variance; see the module's docstring."""

    name: str = "rate_ratio"
    release_class: ReleaseClass = "table"
    scales: tuple[Scale, ...] = ("log_rate_ratio",)
    reads: tuple[str, ...] = ("dispersion", "randomisation", "zero_cells")
    randomises: bool = True
    never_negative: tuple[str, ...] = ("totals", "exposure", "dispersion", "sizes")
    optional: tuple[str, ...] = ("noise", "randomisation")

    def first_question(self, study: Study) -> Question:
        """One round, no parameters."""
        return Question(study, self.name, "totals")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Four totals, their exposures and the over-dispersion of each city.

        Fields: ``totals`` (4,) T0, T1, C0, C1; ``exposure`` (4,) in unit-periods; ``dispersion`` (2,):
        Pearson χ² and its degrees of freedom; ``sizes`` (2,): units and unit-periods used; with ``randomisation``
        also ``randomisation`` (7,): the rank of the log rate ratio among those of other assignments.

        Raises:
            NothingToTestError, NoControlError: as `core.before_after.before_after`.
        """
        parts: dict[tuple[str, ...], dict[str, Floats]] = {}
        tables: dict[tuple[str, ...], dict[str, Integers]] = {}
        support: list[Support] = []
        study = question.study
        for city, design in zip(panel.split(), design_of(panel, study), strict=True):
            fields, one, table = _of_city(design, _blocks(study))
            if study.analysis.reassignments:
                fields["randomisation"] = rate_ratio_field(city, design, study)
            parts[(design.site,)], tables[(design.site,)] = fields, table
            support.append(one)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support), tables)

    def with_noise(
        self, fields: Mapping[str, Floats], table: Mapping[str, Integers], noise: Noise
    ) -> dict[str, Floats]:
        """A city's fields, computed again from its noisy table: nothing else of the incidents is in them.

        Args:
            fields: of `summarise`; only exposure and sizes, which have no incidents in them, are taken over.
            table: ``before`` (2, B) and ``after`` (2, B): incidents of targets and controls by block, with noise.
            noise: that was added.

        Returns:
            The fields of `summarise` without ``randomisation``, and ``noise`` (5,): epsilon, and the variance of the
            noise in each total.
        """
        before, after = (table[side].astype(np.float64) for side in ("before", "after"))
        (chi2_0, df_0), (chi2_1, df_1) = (
            _noisy_chi2(side, noise.variance) for side in (before, after)
        )
        totals = [before[0].sum(), after[0].sum(), before[1].sum(), after[1].sum()]
        cells = [before.shape[1], after.shape[1]] * 2
        return {
            "totals": np.array(totals),
            "exposure": fields["exposure"],
            "dispersion": np.array([max(chi2_0 + chi2_1, 0.0), df_0 + df_1]),
            "sizes": fields["sizes"],
            "noise": noise_field(noise, cells),
        }

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """City effects, and their fixed-effect mean.

        Raises:
            SeparationError: a city has a zero cell and the study does not name a correction, or its noise is
                larger than a total.
        """
        study = question.study
        found = with_cost(statistics, lambda one: self._combine(one, study.analysis))
        return with_randomisation_of_cities(found, study, statistics.parts)

    def city_effect(self, fields: Mapping[str, Floats], question: Question) -> tuple[float, float]:
        """A city's effect and its variance, by which it is screened (`core.screening`)."""
        analysis = question.study.analysis
        one = _effect("", fields, analysis.dispersion, analysis.zero_cells)
        return one.effect, one.variance

    def _combine(self, statistics: Statistics, analysis: Analysis) -> Estimate:
        cities = [
            _effect(names[0], fields, analysis.dispersion, analysis.zero_cells)
            for names, fields in statistics.parts.items()
        ]
        effects = np.array([one.effect for one in cities])
        variances = np.array([one.variance for one in cities])
        pooled = pool(effects, variances, method="fixed", interval="wald", level=analysis.level)
        weights = pooled.weights
        sizes = np.sum([fields["sizes"] for fields in statistics.parts.values()], axis=0)
        return Estimate(
            estimator=self.name,
            terms=(TERM,),
            effect=np.array([pooled.effect]),
            covariance=np.array([[pooled.std_error**2]]),
            df=math.inf,
            level=analysis.level,
            contributors=statistics.sites,
            units=float(sizes[0]),
            observations=float(sizes[1]),
            clusters=math.nan,
            sites=tuple(
                SiteEffect(one.site, one.effect, math.sqrt(one.variance), float(weight))
                for one, weight in zip(cities, weights, strict=True)
            ),
            details={
                **{f"dispersion_{one.site}": one.dispersion for one in cities},
                "q": pooled.q,
                "q_p_value": pooled.q_p_value,
            },
            notes=tuple(note for one in cities for note in one.notes),
        )


@dataclass(frozen=True, slots=True)
class _CityEffect:
    site: str
    effect: float
    variance: float
    dispersion: float
    notes: tuple[str, ...]


def _blocks(study: Study) -> int:
    """Only over-dispersion needs more than the totals."""
    return BLOCKS if study.analysis.dispersion == "quasi" else 1


def _of_city(design: Design, most: int) -> tuple[dict[str, Floats], Support, dict[str, Integers]]:
    chosen = before_after(design)
    target, control, before, after = chosen.target, chosen.control, chosen.before, chosen.after
    quarters = [(target, before), (target, after), (control, before), (control, after)]
    blocks = [design.outcome[np.ix_(units, when)] for units, when in quarters]
    exposure = [design.exposure[np.ix_(units, when)].sum() for units, when in quarters]
    totals = [block.sum(axis=0) for block in blocks]
    chi2_before, df_before = _share_chi2(totals[0], totals[2])
    chi2_after, df_after = _share_chi2(totals[1], totals[3])
    df = df_before + df_after
    units, periods = int(target.sum() + control.sum()), int(before.sum() + after.sum())
    fields = {
        "totals": np.array([block.sum() for block in blocks]),
        "exposure": np.array(exposure),
        "dispersion": np.array([chi2_before + chi2_after, df]),
        "sizes": np.array([units, units * periods], dtype=np.float64),
    }
    cells = (
        cell_of("ever treated", "before", blocks[0], treated=True),
        cell_of("ever treated", "after", blocks[1], treated=True),
        cell_of("never", "before", blocks[2], treated=False),
        cell_of("never", "after", blocks[3], treated=False),
    )
    table = {
        "before": _in_blocks(np.stack([totals[0], totals[2]]), most),
        "after": _in_blocks(np.stack([totals[1], totals[3]]), most),
    }
    return fields, Support(design.site, cells, units, 1, int(df)), table


def _in_blocks(series: Floats, most: int) -> Integers:
    """(2, B) sums of (2, T) counts over at most ``most`` blocks of consecutive periods, of nearly equal length."""
    periods = series.shape[1]
    starts = np.linspace(0, periods, min(most, periods), endpoint=False).astype(np.int64)
    return np.rint(np.add.reduceat(series, starts, axis=1)).astype(np.int64)


def _noisy_chi2(counts: Floats, noise: float) -> tuple[float, float]:
    """As `_share_chi2` of (2, B) noisy counts, without what the noise adds.

    With s the target's share and n the blocks' mean, the squares of target − s·both have the mean φ n s(1 − s) and
    noise·(s² + (1 − s)²) more. Not each over its own expectation, as noise may leave a block with less than nothing.
    """
    target, both = counts[0], counts.sum(axis=0)
    df = len(target) - 1.0
    if df == 0 or both.sum() <= 0:
        return 0.0, 0.0
    share = float(target.sum() / both.sum())
    expected = float(both.mean()) * share * (1 - share)
    if expected <= 0:
        return 0.0, 0.0
    squares = float(((target - share * both) ** 2).sum())
    return (squares - df * noise * (share**2 + (1 - share) ** 2)) / expected, df


def _share_chi2(target: NDArray[np.float64], control: NDArray[np.float64]) -> tuple[float, float]:
    """Pearson χ² of the target's share per period around its share in the phase, and its df."""
    both = target + control
    used = both > 0
    if not used.any():
        return 0.0, 0.0
    share = target.sum() / both.sum()
    if not 0 < share < 1:
        return 0.0, 0.0
    expected = both[used] * share
    chi2 = ((target[used] - expected) ** 2 / (expected * (1 - share))).sum()
    return float(chi2), float(used.sum() - 1)


def _effect(
    site: str, fields: Mapping[str, NDArray[np.float64]], dispersion: str, zero_cells: str
) -> _CityEffect:
    totals, exposure = fields["totals"], fields["exposure"]
    chi2, df = (float(value) for value in fields["dispersion"])
    noise = noise_of(fields, len(totals), site)
    notes: list[str] = []
    if noise.any() and (totals <= 0).any():
        raise SeparationError(
            "the noise that the city adds is larger than one of its four totals",
            where=f"site {site}",
            limit="totals above 0",
            way_out="widen the window or the radius, ask the city for a larger epsilon, or leave it out",
        )
    if (totals < DROWNED * np.sqrt(noise)).any():
        notes.append(f"{site}: noise is more than a third of a total, so the interval is rough")
    if (totals <= 0).any():
        if zero_cells == "refuse":
            raise SeparationError(
                "one of the four totals is zero, so the rate ratio has no finite value",
                where=f"site {site}",
                limit="at least one incident before and after, in targets and controls",
                way_out='widen the window or the radius, or set [analysis] zero_cells = "add_half"',
            )
        totals = totals + 0.5
        notes.append(
            f"{site}: a zero total, so one half was added to each of the four (Haldane–Anscombe)"
        )
    rates = np.log(totals / exposure)
    effect = float((rates[1] - rates[0]) - (rates[3] - rates[2]))
    factor = {"poisson": 1.0, "doubled": DOUBLED}.get(dispersion)
    if factor is None:
        factor = max(1.0, chi2 / df) if df > 0 else DOUBLED
        if df <= 0:
            notes.append(
                f"{site}: too few periods to estimate over-dispersion; the variance was doubled"
            )
    variance = factor * float((1 / totals).sum()) + float((noise / totals**2).sum())
    return _CityEffect(site, effect, variance, factor, tuple(notes))


estimator = RateRatio()
