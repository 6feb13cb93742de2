"""A plan from stored panels: what their own counts say of rates, roll-out and variance. It stays on this machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np

from evalkit.claims.planning import Plan, PowerOfPlan, inflation, plan_power
from evalkit.core.design import Design, design_of
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, estimate
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.cohorts import prepare
from evalkit.errors import NothingToTestError, RefusalError
from evalkit.workbench import Bench

__all__ = ["CityFigures", "city_figures", "curves", "figures_of", "plan_of_cities"]

FIRST_STAGE: Final = "poisson_did"
"""Whose clustered standard error says how much more than Poisson counts a city's counts vary."""

POINTS: Final = 60
"""Of each power curve."""

REACH: Final = 2.5
"""A curve goes to this multiple of the plan's number, or of the number needed."""

WIDEST: Final = 20
"""Times the plan's number at most."""


@dataclass(frozen=True, slots=True)
class CityFigures:
    """What one city's panel says, as a plan of one city, and the variance of its own estimate."""

    site: str
    plan: Plan
    variance: float


def city_figures(bench: Bench, study: Study) -> CityFigures:
    """Figures of a city's stored panel, with cohorts merged as the city's gate merges them.

    Raises:
        NoPanelError: the panel has not been built.
        RefusalError: the city has no policy, or cohorts stay too small for it.
        NothingToTestError: see `figures_of`.
    """
    policy = bench.site.policy
    if policy is None:
        raise RefusalError(
            "the city has no policy, which says how small cohorts are merged",
            where=f"site {bench.site.name}",
            way_out="add [policy] to the site file",
            rules=("policy",),
        )
    panel = bench.store.panel(study_hash(study))
    return figures_of(prepare(panel, study, policy).panel, study)


def figures_of(panel: Panel, study: Study) -> CityFigures:
    """Figures of one city's panel.

    φ is the variance of `poisson_did` on this panel over that of Poisson counts with the same
    averages: over-dispersion, dependence in time and the roll-out in one number.

    Raises:
        NothingToTestError: no unit is observed before and after go-live.
    """
    (design,) = design_of(panel, study)
    found = _averages(design, study.analysis.level)
    analysis = msgspec.structs.replace(study.analysis, estimator=FIRST_STAGE, design="static")
    alone = msgspec.structs.replace(study, analysis=analysis)
    one = estimator(FIRST_STAGE)

    def ask(question: Question) -> Sequence[Statistics]:
        return [one.summarise(panel, question)]

    fit = estimate(one, alone, ask)
    variance = float(fit.covariance[0, 0])
    measured = inflation(found, variance, float(fit.effect[0]))
    return CityFigures(design.site, replace(found, dispersion=measured), variance)


def plan_of_cities(cities: Sequence[CityFigures], *, tau: float, effect: float) -> Plan:
    """One plan for cities that differ: their averages, and the φ at which equal cities weigh as much together.

    A random-effects mean has the variance 1 / Σ 1/(v_s + τ²), so that v is taken from the mean of
    1/(v_s + τ²), not from the mean of v_s.
    """
    plans = [one.plan for one in cities]
    cameras = _mean(plan.cameras for plan in plans)
    controls = _mean(plan.controls for plan in plans)
    joint = Plan(
        cities=len(plans),
        cameras=cameras,
        controls=controls,
        before=_mean(plan.cameras * plan.before for plan in plans) / cameras,
        after=_mean(plan.cameras * plan.after for plan in plans) / cameras,
        rate=_mean(plan.cameras * plan.rate for plan in plans) / cameras,
        control_rate=_mean(plan.controls * plan.control_rate for plan in plans) / controls,
        tau=tau,
        level=plans[0].level,
    )
    precision = _mean(1 / (one.variance + tau**2) for one in cities)
    within = 1 / precision - tau**2
    return replace(joint, dispersion=inflation(joint, within, effect))


def curves(found: PowerOfPlan) -> dict[str, list[dict[str, Any]]]:
    """Power along cities, cameras and periods: with the plan's τ, with none, and with twice as much."""
    plan, effect = found.plan, found.effect
    lines: dict[str, list[dict[str, Any]]] = {}
    for one in found.needed:
        least = 2 if one.quantity == "cities" else 1
        end = REACH * max(one.now, one.number or one.now, least + 1)
        numbers = np.unique(
            np.round(np.linspace(least, min(end, WIDEST * max(one.now, 3)), POINTS))
        )
        lines[one.quantity] = [
            {
                "number": number,
                "power": plan_power(_with(plan, one.quantity, number), effect),
                "power_without_tau": plan_power(
                    _with(replace(plan, tau=0.0), one.quantity, number), effect
                ),
                "power_twice_tau": plan_power(
                    _with(replace(plan, tau=2 * plan.tau), one.quantity, number), effect
                ),
            }
            for number in numbers.tolist()
        ]
    return lines


def _with(plan: Plan, quantity: str, number: float) -> Plan:
    if quantity == "cities":
        return replace(plan, cities=int(number))
    if quantity == "cameras":
        return replace(plan, cameras=number)
    share = number / (plan.before + plan.after)
    return replace(plan, before=plan.before * share, after=plan.after * share)


def _averages(design: Design, level: float) -> Plan:
    used, live = design.exposure > 0, design.treated > 0
    ever = design.ever_treated
    before, after = used & ~live & ever[:, None], used & live & ever[:, None]
    control = used & ~ever[:, None]
    if not (before.any() and after.any() and control.any()):
        raise NothingToTestError(
            "the panel has no before, no after or no control, so it says nothing of a plan",
            where=f"site {design.site}",
            way_out="widen the window or the adoption dates",
        )
    cameras = int(ever.sum())
    periods = (int(before.sum()) + int(after.sum())) / cameras
    incidents = design.outcome
    return Plan(
        cities=1,
        cameras=cameras,
        controls=int(control.sum()) / periods,
        before=int(before.sum()) / cameras,
        after=int(after.sum()) / cameras,
        rate=_rate(float(incidents[before].sum()), int(before.sum()), design.site),
        control_rate=_rate(float(incidents[control].sum()), int(control.sum()), design.site),
        dispersion=1.0,
        tau=0.0,
        level=level,
    )


def _rate(incidents: float, cells: int, site: str) -> float:
    if incidents == 0:
        raise NothingToTestError(
            "the panel has no incident before go-live, or none in controls",
            where=f"site {site}",
            way_out="widen the window, the radius or the crime types",
        )
    return incidents / cells


def _mean(values: Any) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)
