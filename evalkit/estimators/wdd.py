"""Weighted displacement difference: incidents prevented in targets and in the rings around them.

WDD = (T1−T0) − (C1−C0) + (D1−D0) − (DC1−DC0) (Wheeler & Ratcliffe 2018), with targets T, controls C, rings D and
displacement controls DC. Totals are those before and after the whole roll-out, brought to the size of what they
are compared with: a total before counts k = exposure after / exposure before, controls of the targets
s = exposure of targets / exposure of controls (the paper's time and area weights). A panel has no displacement
controls of its own: by default the controls stand for them too, in the ring's size; with
``displacement_controls = "none"`` the ring's change is taken as it is, and a change of the whole city counts as
displacement.

With Δ for a group's change, WDD = Δ_T + Δ_D − (s_T + s_D) Δ_C. The published variance takes the totals for Poisson
counts, whose z-test rejects far too many true nulls when counts are over-dispersed. With ``dispersion = "quasi"``
the variance of each Δ is that between units, n/(n−1) Σ (δ_i − mean δ)², which also holds when a unit's periods
depend on one another, and never below Poisson's; degrees of freedom are Satterthwaite's (1946).

A city that adds noise divides the units of each group into at most `CLUSTERS` clusters, by turns in their order, and
adds it to each cluster's incidents before and after; totals and the variance, now between clusters, are computed from
these. The noise's part in the squares is taken off again, and its part in the variance of each Δ is added.

The scale is a number of incidents in the whole time after the roll-out; over cities the sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.before_after import BeforeAfter, before_after
from evalkit.core.design import Design, cell_of, design_of
from evalkit.core.estimate import Estimate, Scale, SiteEffect
from evalkit.core.estimator import Question, ReleaseClass
from evalkit.core.noise import Noise, noise_field, noise_of, with_cost
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.statistics import Cell, Statistics, Support
from evalkit.core.study import Analysis, Study
from evalkit.core.terms import OVERALL
from evalkit.errors import EstimationError
from evalkit.numerics.displacement import displacement_quotient, net_effect

__all__ = ["CLUSTERS", "RING", "TARGET", "Wdd", "estimator"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TARGET: Final = "target"
"""The part of the difference in targets."""

RING: Final = "ring"
"""The part of the difference in rings: above 0 displacement, below 0 diffusion of benefits."""

DOUBLED: Final = 2.0
"""The reviews' rule of thumb for over-dispersion (Farrington et al. 2007; Welsh & Farrington 2009)."""

MIN_UNITS: Final = 2
"""One unit has no variance between units."""

CLUSTERS: Final = 12
"""Clusters of units in each group that noise is added to; as many as `rate_ratio` takes blocks of periods."""

GROUPS: Final = ("target", "control", "ring")

NOTE_SCALE: Final = (
    "the effect is a number of incidents in the whole time after the roll-out, summed over cities; below 0 "
    "they were prevented"
)

NOTE_ASSUMPTION: Final = (
    "it assumes that without cameras incidents per unit would have changed by the same number in targets and "
    "controls; where targets have far more crime, see rate_ratio or the total net effect"
)


@dataclass(frozen=True, slots=True)
class Wdd:
    """Weighted displacement difference per city, summed over cities; see the module's docstring."""

    name: str = "wdd"
    release_class: ReleaseClass = "table"
    scales: tuple[Scale, ...] = ("count",)
    reads: tuple[str, ...] = ("dispersion", "displacement_controls")
    never_negative: tuple[str, ...] = ("totals", "exposure", "between", "sizes")
    optional: tuple[str, ...] = ("noise", "clusters")

    def first_question(self, study: Study) -> Question:
        """One round, no parameters."""
        return Question(study, self.name, "totals")

    def summarise(self, panel: Panel, question: Question) -> Statistics:
        """Six totals, their exposures and the variance between units of each city.

        Fields: ``totals`` (6,) T0, T1, C0, C1, D0, D1; ``exposure`` (6,) behind each, 0 without a ring;
        ``between`` (3,) variance of each group's change; ``sizes`` (4,): units of the three groups, cells.

        Raises:
            NothingToTestError: no period is before or after the roll-out.
            NoControlError: no control is observed throughout.
        """
        parts: dict[tuple[str, ...], dict[str, Floats]] = {}
        tables: dict[tuple[str, ...], dict[str, Integers]] = {}
        support: list[Support] = []
        cities = zip(panel.split(), design_of(panel, question.study), strict=True)
        for city, design in cities:
            key = (design.site,)
            parts[key], one, tables[key] = _of_city(city, design, question.study)
            support.append(one)
        return Statistics(self.name, question.stage, "collected", parts, tuple(support), tables)

    def with_noise(
        self, fields: Mapping[str, Floats], table: Mapping[str, Integers], noise: Noise
    ) -> dict[str, Floats]:
        """A city's fields, computed again from its noisy table: nothing else of the incidents is in them.

        Args:
            fields: of `summarise`; only exposure and sizes, which have no incidents in them, are taken over.
            table: ``target``, ``control`` and ``ring``, (C, 2) each: incidents of C clusters of units before and
                after, with noise; no clusters without a ring.
            noise: that was added.

        Returns:
            The fields of `summarise`; ``clusters`` (3,) of each group; ``noise`` (7,): epsilon, and the variance of
            the noise in each total.
        """
        counts = [table[group].astype(np.float64) for group in GROUPS]
        clusters = [len(one) for one in counts]
        units = np.rint(fields["sizes"][:3]).astype(np.int64).tolist()
        exposure = fields["exposure"].reshape(3, 2).tolist()
        between = [
            _between_clusters(one, n, after / before, noise.variance) if n else 0.0
            for one, n, (before, after) in zip(counts, units, exposure, strict=True)
        ]
        return {
            "totals": np.concatenate([one.sum(axis=0) for one in counts]),
            "exposure": fields["exposure"],
            "between": np.array(between),
            "sizes": fields["sizes"],
            "clusters": np.array(clusters, dtype=np.float64),
            "noise": noise_field(noise, np.repeat(clusters, 2).tolist()),
        }

    def finalise(self, statistics: Statistics, question: Question) -> Estimate:
        """The sum of the cities' differences, and of their parts in targets and rings.

        Raises:
            EstimationError: a group of one unit with ``dispersion = "quasi"``.
        """
        return with_cost(statistics, lambda one: self._combine(one, question.study.analysis))

    def further_units(self, panel: Panel, study: Study) -> Mapping[str, NDArray[np.bool_]]:
        """Rings, whose sums leave beside those of targets and controls: (U,) units of one city's panel."""
        (design,) = design_of(panel, study)
        return {RING: _ring_units(panel, before_after(design), study)}

    def city_effect(self, fields: Mapping[str, Floats], question: Question) -> tuple[float, float]:
        """A city's difference and its variance, by which it is screened (`core.screening`)."""
        one = _difference("", fields, question.study.analysis)
        return float(one.effect[0]), float(one.covariance[0, 0])

    def _combine(self, statistics: Statistics, analysis: Analysis) -> Estimate:
        cities = [
            _difference(names[0], fields, analysis) for names, fields in statistics.parts.items()
        ]
        terms = (OVERALL, TARGET, RING) if any(one.has_ring for one in cities) else (OVERALL,)
        k = len(terms)
        effect = np.sum([one.effect for one in cities], axis=0)[:k]
        covariance = np.sum([one.covariance for one in cities], axis=0)[:k, :k]
        return Estimate(
            estimator=self.name,
            terms=terms,
            effect=effect,
            covariance=covariance,
            df=_satterthwaite([share for one in cities for share in one.shares]),
            level=analysis.level,
            contributors=statistics.sites,
            units=float(sum(one.units for one in cities)),
            observations=float(sum(one.cells for one in cities)),
            clusters=float(sum(one.units for one in cities)),
            sites=tuple(
                SiteEffect(one.site, float(one.effect[0]), math.sqrt(float(one.covariance[0, 0])))
                for one in cities
            ),
            details={name: value for one in cities for name, value in one.details.items()},
            notes=_notes(cities, analysis),
            scale="count",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _City:
    """One city's differences: all, in targets, in rings.

    ``shares`` holds, per group, its part of the variance of the first, and the degrees of freedom behind it.
    """

    site: str
    effect: Floats
    covariance: Floats
    shares: tuple[tuple[float, float], ...]
    has_ring: bool
    units: int
    cells: int
    details: Mapping[str, float]


# ---------------------------------------------------------------- in the city


def _of_city(
    city: Panel, design: Design, study: Study
) -> tuple[dict[str, Floats], Support, dict[str, Integers]]:
    chosen = before_after(design)
    target = design.outcome[chosen.target], design.exposure[chosen.target]
    control = design.outcome[chosen.control], design.exposure[chosen.control]
    groups = [target, control, _ring(city, chosen, study)]
    totals, exposure = np.zeros((3, 2)), np.zeros((3, 2))
    between, units = np.zeros(3), np.zeros(3)
    cells: list[Cell] = []
    table = {group: np.zeros((0, 2), dtype=np.int64) for group in GROUPS}
    most = CLUSTERS if study.analysis.dispersion == "quasi" else 1
    names = ("ever treated", "never", RING)
    for g, (outcome, weight) in enumerate(groups):
        if not len(outcome):
            continue
        sides = outcome[:, chosen.before], outcome[:, chosen.after]
        totals[g] = [side.sum() for side in sides]
        exposure[g] = [weight[:, chosen.before].sum(), weight[:, chosen.after].sum()]
        change = sides[1].sum(axis=1) - sides[0].sum(axis=1) * (exposure[g, 1] / exposure[g, 0])
        units[g] = len(outcome)
        between[g] = _between(change)
        table[GROUPS[g]] = _in_clusters(np.column_stack([one.sum(axis=1) for one in sides]), most)
        cells.append(cell_of(names[g], "before", sides[0], treated=g == 0))
        cells.append(cell_of(names[g], "after", sides[1], treated=g == 0))
    periods = int(chosen.before.sum() + chosen.after.sum())
    fields = {
        "totals": totals.ravel(),
        "exposure": exposure.ravel(),
        "between": between,
        "sizes": np.array([*units, units.sum() * periods]),
    }
    present = int((units > 0).sum())
    clusters = int(units.sum())
    support = Support(design.site, tuple(cells), clusters, present - 1, clusters - present)
    return fields, support, table


def _ring(city: Panel, chosen: BeforeAfter, study: Study) -> tuple[Floats, Floats]:
    """Outcome and exposure of the rings that are used."""
    used = _ring_units(city, chosen, study)
    return city.total(study.outcome.crime_types)[used], city.exposure[used]


def _ring_units(city: Panel, chosen: BeforeAfter, study: Study) -> NDArray[np.bool_]:
    """(U,) rings whose own camera goes live inside the roll-out; none if fewer than two."""
    drop = study.treatment.transition == "drop"
    last_transition = city.last_live if drop else city.last_live - 1
    period = np.arange(city.n_periods)
    without = period < city.first_live[:, None]
    live = period > last_transition[:, None]
    known = (city.role == Role.RING) & (city.first_live != NEVER)
    inside = without[:, chosen.before].all(axis=1) & live[:, chosen.after].all(axis=1)
    observed = (city.exposure[:, chosen.before | chosen.after] > 0).all(axis=1)
    used: NDArray[np.bool_] = known & inside & observed
    return used if used.sum() >= MIN_UNITS else np.zeros_like(used)


def _between(change: Floats) -> float:
    """Variance of the sum of n units' changes; 0 for a single unit, which `_variances` refuses."""
    n = len(change)
    return float(n * change.var(ddof=1)) if n >= MIN_UNITS else 0.0


def _in_clusters(counts: Floats, most: int) -> Integers:
    """(C, 2) sums of (n, 2) units' counts over at most ``most`` clusters, to which units belong by turns."""
    clusters = min(most, len(counts))
    sums = np.zeros((clusters, 2))
    np.add.at(sums, np.arange(len(counts)) % clusters, counts)
    return np.rint(sums).astype(np.int64)


def _between_clusters(counts: Floats, units: int, grow: float, noise: float) -> float:
    """Variance of the sum of ``units`` units' changes from (C, 2) noisy counts of clusters of them; 0 for one cluster.

    Changes are after − grow·before. That of a cluster with a share q of the units differs from q times the sum by r,
    whose variance is q(1 − q) times that of the sum; noise of variance u in each change adds u(1 − 2q + Cq²).
    """
    clusters = len(counts)
    if clusters < MIN_UNITS:
        return 0.0
    share = np.bincount(np.arange(units) % clusters) / units
    change = counts[:, 1] - counts[:, 0] * grow
    squares = float(((change - share * change.sum()) ** 2).sum())
    of_shares = float((share**2).sum())
    of_noise = noise * (1 + grow**2) * (clusters - 2 + clusters * of_shares)
    return max(squares - of_noise, 0.0) / (1 - of_shares)


# ---------------------------------------------------------------- at the server


def _difference(site: str, fields: Mapping[str, Floats], analysis: Analysis) -> _City:
    totals, exposure = fields["totals"].reshape(3, 2), fields["exposure"].reshape(3, 2)
    units = fields["sizes"][:3]
    has_ring = bool(units[2] > 0)
    known = exposure[:, 0] > 0
    grow = np.divide(exposure[:, 1], exposure[:, 0], out=np.ones(3), where=known)
    change = totals[:, 1] - totals[:, 0] * grow
    size = exposure[:, 1] / exposure[1, 1]
    shared = float(size[2]) if analysis.displacement_controls == "controls" else 0.0
    rows = np.array([[1.0, -size[0], 0.0], [0.0, -shared, 1.0]])
    loadings = np.vstack([rows.sum(axis=0), rows])
    noise = noise_of(fields, 6, site).reshape(3, 2)
    of_noise = noise[:, 1] + noise[:, 0] * grow**2
    # noise may leave a total with less than nothing, of which a Poisson variance cannot be
    poisson = np.maximum(totals[:, 1] + totals[:, 0] * grow**2, 0.0)
    own = _variances(site, poisson, fields["between"], units, analysis.dispersion)
    variance = own + of_noise
    effect, covariance = loadings @ change, (loadings * variance) @ loadings.T
    robust = analysis.dispersion == "quasi"
    clusters = fields.get("clusters", units)
    shares = tuple(
        (
            (float(loadings[0, g] ** 2 * own[g]), float(clusters[g] - 1) if robust else math.inf),
            (float(loadings[0, g] ** 2 * of_noise[g]), math.inf),
        )
        for g in range(3)
    )
    weights = np.column_stack([1 / grow, np.ones(3)])
    return _City(
        site=site,
        effect=effect,
        covariance=covariance,
        shares=tuple(one for both in shares for one in both),
        has_ring=has_ring,
        units=round(float(units.sum())),
        cells=round(float(fields["sizes"][3])),
        details=_details(site, totals, weights, effect, own, poisson, loadings, noise, has_ring),
    )


def _variances(
    site: str, poisson: Floats, between: Floats, units: Floats, dispersion: str
) -> Floats:
    if dispersion == "poisson":
        return poisson
    if dispersion == "doubled":
        return DOUBLED * poisson
    if ((units > 0) & (units < MIN_UNITS)).any():
        raise EstimationError(
            "a group of one unit has no variance between units",
            where=f"site {site}",
            limit=f"{MIN_UNITS} targets and {MIN_UNITS} controls",
            way_out='count smaller units, or set [analysis] dispersion = "doubled"',
        )
    return np.maximum(poisson, between)


def _details(
    site: str,
    totals: Floats,
    weights: Floats,
    effect: Floats,
    variance: Floats,
    poisson: Floats,
    loadings: Floats,
    noise: Floats,
    has_ring: bool,
) -> dict[str, float]:
    """Dispersion, the Poisson z-test as published, the other displacement measures, and log rate ratios.

    ``variance`` is that of counts, to which ``noise`` (3, 2) in totals comes in every standard error.
    """
    squares = loadings[0] ** 2
    of_poisson = float(squares @ poisson)
    of_noise = float(squares @ (noise / weights**2).sum(axis=1))
    dispersion = float(squares @ variance) / of_poisson if of_poisson > 0 else math.nan
    z_variance = of_poisson + of_noise
    net = net_effect(totals, weights)
    net_noise = net_effect(totals, weights, noise).total_variance
    found = {
        "dispersion": dispersion,
        "poisson_z": float(effect[0]) / math.sqrt(z_variance) if z_variance > 0 else math.nan,
        "total_net_effect": net.total,
        "total_net_effect_se": _root(dispersion * net.total_variance + net_noise),
        "log_rate_ratio_target": _log_ratio(totals[0], totals[1], weights),
        "log_rate_ratio_target_se": _log_ratio_se(totals[[0, 1]], dispersion, noise[[0, 1]]),
    }
    if has_ring:
        found |= {
            "displacement_quotient": displacement_quotient(totals, weights).quotient,
            "log_rate_ratio_ring": _log_ratio(totals[2], totals[1], weights[[2, 1]]),
            "log_rate_ratio_ring_se": _log_ratio_se(totals[[2, 1]], dispersion, noise[[2, 1]]),
        }
    return {f"{name}_{site}": value for name, value in found.items()}


def _log_ratio(one: Floats, control: Floats, weights: Floats) -> float:
    """ln(after/before) of one group less that of the controls; NaN if a total is 0."""
    if (one <= 0).any() or (control <= 0).any():
        return math.nan
    a, c = one / weights[0], control / weights[1]
    return math.log(float(a[1] / a[0])) - math.log(float(c[1] / c[0]))


def _log_ratio_se(totals: Floats, dispersion: float, noise: Floats) -> float:
    """By the delta method, from the variances dispersion·total + noise; NaN if a total is 0."""
    if (totals <= 0).any():
        return math.nan
    return math.sqrt(dispersion * float((1 / totals).sum()) + float((noise / totals**2).sum()))


def _root(square: float) -> float:
    """NaN below 0, where noise has left a total with less than nothing."""
    return math.sqrt(square) if square >= 0 else math.nan


def _satterthwaite(shares: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of independent variances."""
    total = math.fsum(value for value, _ in shares)
    loss = math.fsum(value**2 / df for value, df in shares if value > 0)
    return total**2 / loss if loss > 0 else math.inf


def _notes(cities: Sequence[_City], analysis: Analysis) -> tuple[str, ...]:
    notes = [NOTE_SCALE, NOTE_ASSUMPTION]
    without = [one.site for one in cities if not one.has_ring]
    if without:
        notes.append(f"{', '.join(without)}: no ring, so displacement is not in the difference")
    if any(one.has_ring for one in cities):
        notes.append(
            "rings have no controls of their own; the controls stand for them, in the ring's size"
            if analysis.displacement_controls == "controls"
            else "rings have no controls: a change of the whole city counts as displacement or diffusion"
        )
    if analysis.dispersion == "poisson":
        notes.append(
            "the variance takes counts for Poisson; if they vary more, a true null is rejected far too often"
        )
    return tuple(notes)


estimator = Wdd()
