"""Relative incident rate ratio: before and after, target and control, as the reviews do it.

θ = ln(T1/T0) − ln(C1/C0), each total divided by its exposure (Farrington, Gill, Waples & Argomaniz 2007 call
exp(−θ) the odds ratio; Wilson 2022 calls exp(θ) the RIRR). The installation period, from the first go-live of
any treated unit to the last, is left out: it is neither before nor after. Controls are units observed through
the whole window. The Poisson variance is
1/T0 + 1/T1 + 1/C0 + 1/C1; counts are over-dispersed, so it is multiplied by a factor estimated inside the
city from the period-level series: Pearson's χ² of the target's share of each period's incidents around its
share in that phase, over its degrees of freedom (McCullagh & Nelder 1989, section 4.5). Shocks that hit the
whole city cancel in that share. The factor is never taken below 1.
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
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, Support
from evalkit.core.study import Study
from evalkit.errors import SeparationError
from evalkit.estimators._randomisation import rate_ratio_field, with_randomisation_of_cities
from evalkit.numerics.meta_analysis import pool

__all__ = ["TERM", "RateRatio", "estimator"]

TERM: Final = "treated"

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
        parts: dict[tuple[str, ...], dict[str, NDArray[np.float64]]] = {}
        support: list[Support] = []
        study = question.study
        for city, design in zip(panel.split(), design_of(panel, study), strict=True):
            fields, one = _of_city(design)
            if study.analysis.reassignments:
                fields["randomisation"] = rate_ratio_field(city, design, study)
            parts[(design.site,)] = fields
            support.append(one)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support))

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """City effects, and their fixed-effect mean.

        Raises:
            SeparationError: a city has a zero cell and the study does not name a correction.
        """
        analysis = question.study.analysis
        cities = [
            _effect(names[0], fields, analysis.dispersion, analysis.zero_cells)
            for names, fields in statistics.parts.items()
        ]
        effects = np.array([one.effect for one in cities])
        variances = np.array([one.variance for one in cities])
        pooled = pool(effects, variances, method="fixed", interval="wald", level=analysis.level)
        weights = pooled.weights
        sizes = np.sum([fields["sizes"] for fields in statistics.parts.values()], axis=0)
        found = Estimate(
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
            notes=tuple(one.note for one in cities if one.note),
        )
        return with_randomisation_of_cities(found, question.study, statistics.parts)


@dataclass(frozen=True, slots=True)
class _CityEffect:
    site: str
    effect: float
    variance: float
    dispersion: float
    note: str


def _of_city(design: Design) -> tuple[dict[str, NDArray[np.float64]], Support]:
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
    return fields, Support(design.site, cells, units, 1, int(df))


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
    note = ""
    if (totals <= 0).any():
        if zero_cells == "refuse":
            raise SeparationError(
                "one of the four totals is zero, so the rate ratio has no finite value",
                where=f"site {site}",
                limit="at least one incident before and after, in targets and controls",
                way_out='widen the window or the radius, or set [analysis] zero_cells = "add_half"',
            )
        totals = totals + 0.5
        note = f"{site}: a zero total, so one half was added to each of the four (Haldane–Anscombe)"
    rates = np.log(totals / exposure)
    effect = float((rates[1] - rates[0]) - (rates[3] - rates[2]))
    factor = {"poisson": 1.0, "doubled": DOUBLED}.get(dispersion)
    if factor is None:
        factor = max(1.0, chi2 / df) if df > 0 else DOUBLED
        if df <= 0:
            note = f"{site}: too few periods to estimate over-dispersion; the variance was doubled"
    return _CityEffect(site, effect, factor * float((1 / totals).sum()), factor, note)


estimator = RateRatio()
