"""Planning a study: its power, what it could detect, and how many cities, cameras or months it takes.

One city
    A city's log rate ratio has the variance of the two-by-two comparison,

        v = φ · (1/T0 + 1/T1 + 1/C0 + 1/C1),

    with the incidents expected before and after in treated and control units and φ, by which the
    variance exceeds that of Poisson counts. This is exactly the Poisson difference-in-differences
    with unit and period effects where all cameras of a city go live together, since its likelihood
    then depends on the four totals alone. A staggered roll-out is somewhat better or worse than
    its averages; φ measured on a panel (`inflation`) holds that too.

Several cities
    The mean of k equally precise cities is tested as `random_effects` does by default: t with
    k − 1 degrees of freedom on a standard error that is estimated from the spread of the cities
    alone (Hartung & Knapp 2001). With S² the variance between the estimates, (k − 1)S²/(v + τ²) is
    chi-square, and independent of their mean, so that

        power = E Φ(√k |θ| / √(v + τ²) − t(k − 1) · S / (v + τ²)^½),

    the power of a t test, as an average over one chi-square quantile, taken numerically. A single
    city is tested by its own normal interval; then τ does not enter, and the answer is about that
    city only.

What is not in it
    Cities differ in size; unequal ones have less power than their average. φ, τ and the rates are
    assumptions, or estimates that are themselves uncertain.

Sources
    Bloom, H. S. (1995). Minimum detectable effects. Evaluation Review 19, 547–556.
    Hedges, L. V. & Pigott, T. D. (2001). The power of statistical tests in meta-analysis.
        Psychological Methods 6, 203–217.
    Hartung, J. & Knapp, G. (2001). On tests of the overall treatment effect in meta-analysis with
        normally distributed responses. Statistics in Medicine 20, 1771–1782.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ConfigError
from evalkit.numerics.distributions import chi2_quantile, critical_value, normal_cdf

__all__ = [
    "RANGES",
    "TARGET_POWER",
    "Needed",
    "Plan",
    "PowerOfPlan",
    "Quantity",
    "city_variance",
    "detectable_effect",
    "inflation",
    "needed",
    "plan_power",
    "power_of_plan",
]

TARGET_POWER: Final = 0.80
"""The convention of grant applications."""

LARGEST_EFFECT: Final = math.log(100.0)
"""A fall by 99 %, or a hundredfold rise: nothing larger is looked for."""

LARGEST_NUMBER: Final = 100_000
"""Of cities, cameras or periods; nobody would read a larger answer as a plan."""

RANGES: Final = {
    "cities": (1, LARGEST_NUMBER),
    "cameras": (1e-6, 1e6),
    "controls": (1e-6, 1e6),
    "before": (1e-6, 1e6),
    "after": (1e-6, 1e6),
    "rate": (1e-6, 1e6),
    "control_rate": (1e-6, 1e6),
    "dispersion": (1e-3, 1e6),
    "tau": (0.0, 10.0),
}
"""Least and most of each assumption: wider than any town, and narrow enough for numbers to stay exact."""

NODES: Final = 400
"""Gauss–Legendre nodes over the probability of the chi-square; the power is then right to 1e-4
(`tests/unit/test_planning.py` holds it against scipy's quadrature)."""

EFFECT_TOLERANCE: Final = 1e-6
"""On the log scale: a ten-thousandth of a percent."""

Quantity = Literal["cities", "cameras", "periods"]
Obstacle = Literal["", "between_cities", "controls", "too_many"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a study is assumed to look like; all cities alike.

    Attributes:
        cities: k, at least 1.
        cameras: treated units in each city.
        controls: control units in each city.
        before, after: periods before and after go-live, on average.
        rate: incidents per treated unit and period without cameras.
        control_rate: the same of control units.
        dispersion: φ, variance of a city's log rate ratio over that of Poisson counts; 1 or more
            for counts as they are.
        tau: standard deviation of the true log rate ratio between cities.
        level: of the two-sided interval that has to exclude no effect.

    Raises:
        ConfigError: a number that is not finite or not above 0, or τ below 0.
    """

    cities: int
    cameras: float
    controls: float
    before: float
    after: float
    rate: float
    control_rate: float
    dispersion: float = 1.5
    tau: float = 0.05
    level: float = 0.95

    def __post_init__(self) -> None:
        _require("cities", self.cities > 0, "above 0")
        for name in ("cameras", "controls", "before", "after", "rate", "control_rate"):
            _require(name, 0 < getattr(self, name) < math.inf, "a number above 0")
        _require("dispersion", 0 < self.dispersion < math.inf, "above 0; 1 for Poisson counts")
        _require("tau", 0 <= self.tau < math.inf, "0 or more, on the log scale: 0.05 is about 5 %")
        _require("level", 0.5 < self.level < 1, "between 0.5 and 1")


@dataclass(frozen=True, slots=True)
class Needed:
    """How much of one quantity gives the target power, all others as they are.

    Attributes:
        quantity: which.
        now: of the plan.
        number: smallest that is enough; ``None`` where none is.
        best_power: what no amount of it can exceed.
        obstacle: why there is no number: differences between cities, too few controls, or a
            number beyond `LARGEST_NUMBER`; empty where there is one.
    """

    quantity: Quantity
    now: float
    number: int | None
    best_power: float
    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class PowerOfPlan:
    """The answer.

    Attributes:
        plan, effect: what was assumed, and the log rate ratio to detect.
        power: probability that the interval excludes no effect on the right side.
        std_error: expected, of one city: √v.
        mean_std_error: of the mean of all: √((v + τ²)/k).
        detectable: smallest log rate ratio on the same side with the target power; ``None`` where
            not even `LARGEST_EFFECT` has it.
        needed: cities, cameras and periods, each alone.
        target_power: 0.80.
    """

    plan: Plan
    effect: float
    power: float
    std_error: float
    mean_std_error: float
    detectable: float | None
    needed: tuple[Needed, ...]
    target_power: float = TARGET_POWER


def city_variance(plan: Plan, effect: float) -> float:
    """Variance v of one city's log rate ratio when ``effect`` is true."""
    treated = plan.cameras * plan.rate
    control = plan.controls * plan.control_rate
    before, after = 1 / plan.before, 1 / plan.after
    return plan.dispersion * (
        (before + after * math.exp(-effect)) / treated + (before + after) / control
    )


def plan_power(plan: Plan, effect: float) -> float:
    """Probability that the interval excludes no effect, on the side of ``effect``."""
    within = city_variance(plan, effect)
    if plan.cities == 1:
        critical = critical_value(plan.level, math.inf)
        return normal_cdf(abs(effect) / math.sqrt(within) - critical)
    total = within + plan.tau**2
    distance = math.sqrt(plan.cities) * abs(effect) / math.sqrt(total)
    critical = critical_value(plan.level, float(plan.cities - 1))
    spread, weights = _spread(plan.cities - 1)
    return float(weights @ normal_cdf(distance - critical * np.sqrt(spread)))


def power_of_plan(plan: Plan, effect: float) -> PowerOfPlan:
    """Power, minimum detectable effect and what is needed, for a log rate ratio other than 0.

    Raises:
        ConfigError: ``effect`` is 0, not finite or beyond `LARGEST_EFFECT`, or an assumption lies outside `RANGES`.
    """
    if not (effect != 0.0 and abs(effect) <= LARGEST_EFFECT + EFFECT_TOLERANCE):
        raise ConfigError(
            "no effect is named that a study could detect",
            limit="a change from −99 to +9,900 %, other than 0 %",
            way_out="give --effect -13 for a fall by 13 %, or a claim",
        )
    for name, (least, most) in RANGES.items():
        _require(name, least <= getattr(plan, name) <= most, f"from {least:g} to {most:,.0f}")
    within = city_variance(plan, effect)
    between = 0.0 if plan.cities == 1 else plan.tau**2
    return PowerOfPlan(
        plan=plan,
        effect=effect,
        power=plan_power(plan, effect),
        std_error=math.sqrt(within),
        mean_std_error=math.sqrt((within + between) / plan.cities),
        detectable=detectable_effect(plan, rise=effect > 0),
        needed=tuple(needed(plan, effect, one) for one in ("cities", "cameras", "periods")),
    )


def detectable_effect(plan: Plan, *, rise: bool = False) -> float | None:
    """The smallest log rate ratio with the target power, a fall unless ``rise``.

    A larger fall leaves fewer incidents after go-live, so that power does not grow for ever; the
    first crossing is what is looked for.
    """
    sign = 1.0 if rise else -1.0

    def enough(size: float) -> bool:
        return plan_power(plan, sign * size) >= TARGET_POWER

    grid: list[float] = np.geomspace(1e-4, LARGEST_EFFECT, 240).tolist()
    high = next((size for size in grid if enough(size)), None)
    if high is None:
        return None
    low = 0.0
    if high > grid[0]:
        low = grid[grid.index(high) - 1]
    while high - low > EFFECT_TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return sign * high


def needed(plan: Plan, effect: float, quantity: Quantity) -> Needed:
    """The smallest number of one quantity with the target power, all others as they are.

    Cities are counted from 2, because one alone says nothing of others. Cameras are added without
    further controls. Periods are all of them, before and after in the plan's proportion.
    """
    total = plan.before + plan.after

    def with_number(number: float) -> Plan:
        match quantity:
            case "cities":
                return replace(plan, cities=int(number))
            case "cameras":
                return replace(plan, cameras=number)
            case "periods":
                share = number / total
                return replace(plan, before=plan.before * share, after=plan.after * share)

    now = {"cities": float(plan.cities), "cameras": plan.cameras, "periods": total}[quantity]
    # With 10^12 of them only the differences between cities, or the controls, are left.
    best = 1.0 if quantity == "cities" else plan_power(with_number(1e12), effect)
    least = 1 if quantity == "cameras" else 2
    number = _smallest(lambda n: plan_power(with_number(n), effect) >= TARGET_POWER, least)
    if number is not None:
        return Needed(quantity, now, number, best, "")
    if best >= TARGET_POWER:
        return Needed(quantity, now, None, best, "too_many")
    unlimited = replace(with_number(1e12), controls=1e12)
    few_controls = quantity == "cameras" and plan_power(unlimited, effect) >= TARGET_POWER
    return Needed(quantity, now, None, best, "controls" if few_controls else "between_cities")


def inflation(plan: Plan, variance: float, effect: float) -> float:
    """φ that gives a city's measured variance: over-dispersion, dependence in time, and roll-out.

    Args:
        plan: of that city; its ``dispersion`` is ignored.
        variance: measured, of its log rate ratio.
        effect: that log rate ratio, which says how many incidents are left after go-live.
    """
    return variance / city_variance(replace(plan, dispersion=1.0), effect)


def _smallest(enough: Callable[[int], bool], least: int) -> int | None:
    low, high = least - 1, least
    while not enough(high):
        low, high = high, 2 * high
        if low > LARGEST_NUMBER:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= LARGEST_NUMBER else None


@functools.lru_cache(maxsize=256)
def _spread(df: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quantiles of χ²/df at the nodes of a quadrature over its probability, and their weights."""
    nodes, weights = _gauss_legendre()
    return chi2_quantile(nodes, float(df)) / df, weights


@functools.cache
def _gauss_legendre() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes in (0, 1) and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2


def _require(name: str, condition: bool, limit: str) -> None:
    if not condition:
        raise ConfigError(
            f"{name} of the planned study is out of range",
            limit=limit,
            way_out=f"correct --{name.replace('_', '-')}",
        )
