"""Worlds with a known truth: six small cities each, made directly as panels.

Expected incidents of unit i of city s in month t without cameras are a unit's own rate times a month's factor of the
city, so that groups are parallel in proportion; in all worlds but ``hot_spots`` treated places and controls have the
same rates on average, so that they are parallel in numbers too. Every world changes one thing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import NEVER, Panel, Role

__all__ = ["CLAIM", "MONTHS", "WORLDS", "CityTruth", "Draw", "World", "draw"]

Floats = NDArray[np.float64]

MONTHS: Final = 36
CLAIM: Final = float(np.log1p(-0.13))
"""13 % fewer incidents, as a log rate ratio."""

TREATED: Final = (24, 27, 30, 33, 36, 39)
"""Treated units of the six cities, in three cohorts each."""

CONTROLS: Final = 60
RINGS: Final = 20
RATES: Final = (0.8, 1.0, 1.2, 1.5, 1.8, 2.2)
"""Incidents per unit and month."""

COHORTS: Final = (12, 16, 20)
"""Months of go-live, later by a month or two in every other city."""

RAMP: Final = 12
"""Months over which a dynamic effect grows."""


@dataclass(frozen=True, slots=True)
class World:
    """What sets a world apart.

    Attributes:
        about: what happens, in the words of the table.
        between: standard deviation of the cities' log effects.
        dynamic: the effect grows over a year, keeping its mean.
        treated: units with a camera in each city; none for the usual number.
        shape: of the gamma noise of a unit-month; its variance is 1/shape.
        persistent: standard deviation of a unit's log shocks that last (autocorrelation 0.7 from month to month).
        to_ring, to_controls: parts of what is prevented that happen there instead.
        drift: log change per month of treated places against controls, before and after.
        hot: how many times the rate of controls treated places have.
    """

    about: str
    between: float = 0.0
    dynamic: bool = False
    treated: int | None = None
    shape: float = 8.0
    persistent: float = 0.0
    to_ring: float = 0.0
    to_controls: float = 0.0
    drift: float = 0.0
    hot: float = 1.0

    @property
    def null_differs(self) -> bool:
        """Whether the world without effect is another one than ``homogeneous`` without effect."""
        return not (self.dynamic or self.to_ring or self.to_controls)


WORLDS: Final[Mapping[str, World]] = {
    "homogeneous": World("one effect everywhere"),
    "heterogeneous": World(
        "effects differ between cities (SD 0.08 on the log scale)", between=0.08
    ),
    "dynamic": World("the effect grows over a year", dynamic=True),
    "few_treated": World("four treated places a city, in two cohorts", treated=4),
    "over_dispersed": World(
        "noise of a unit-month has variance 0.5 instead of 0.125, and shocks last for months",
        shape=2.0,
        persistent=0.4,
    ),
    "displaced": World(
        "30 % of what is prevented moves to rings, 20 % to controls", to_ring=0.3, to_controls=0.2
    ),
    "pre_trending": World(
        "treated places fall by 0.5 % a month against controls all along", drift=-0.005
    ),
    "hot_spots": World("treated places have 2.5 times the crime of controls", hot=2.5),
}


@dataclass(frozen=True, slots=True)
class CityTruth:
    """True effects of one city.

    Attributes:
        log_mean: mean log effect over treated unit-months.
        ratio: log of expected over untreated incidents in treated unit-months.
        ratio_after: the same in months after the whole roll-out.
        with_camera, without_camera: those incidents, in treated unit-months.
        cells: treated unit-months.
        count_after: change of incidents in treated places after the whole roll-out.
        ring_after: the same in rings.
    """

    log_mean: float
    ratio: float
    ratio_after: float
    with_camera: float
    without_camera: float
    cells: float
    count_after: float
    ring_after: float


@dataclass(frozen=True, slots=True)
class Draw:
    """Six cities and what is true in them; ``mean`` is the effect in the population of cities."""

    panels: tuple[Panel, ...]
    truths: Mapping[str, CityTruth] = field(repr=False)
    mean: float


def draw(world: World, *, effect: bool, random: np.random.Generator) -> Draw:
    """One replication; without effect the mean is 0, and cities may still differ."""
    mean = CLAIM if effect else 0.0
    panels, truths = [], {}
    for number in range(len(TREATED)):
        name = f"city{number}"
        own = mean + world.between * random.normal()
        panel, truth = _city(world, name, number, own, random)
        panels.append(panel)
        truths[name] = truth
    return Draw(tuple(panels), truths, mean)


def _city(
    world: World, name: str, number: int, own: float, random: np.random.Generator
) -> tuple[Panel, CityTruth]:
    treated = TREATED[number] if world.treated is None else world.treated
    cohorts = COHORTS[: 3 if treated > 4 else 2]
    units = treated + CONTROLS + RINGS
    is_treated = np.arange(units) < treated
    is_ring = np.arange(units) >= treated + CONTROLS
    live = np.full(units, NEVER)
    live[:treated] = np.resize(cohorts, treated) + number % 3
    live[is_ring] = np.resize(cohorts, RINGS) + number % 3
    month = np.arange(MONTHS)
    rate = RATES[number] * random.gamma(4, 0.25, units) * np.where(is_treated, world.hot, 1.0)
    season = 0.2 * np.sin(2 * np.pi * (month + number) / 12) - 0.004 * month
    common = np.exp(season + random.normal(0, 0.1, MONTHS))
    drift = np.exp(world.drift * month * is_treated[:, None])
    without = rate[:, None] * common * drift
    after = is_treated[:, None] & (month > live[:, None])
    log_effect = own * _path(world, month - live[:, None] - 1, after)
    expected = without * np.exp(log_effect)
    prevented = (without - expected).sum(axis=0)
    expected[is_ring] += world.to_ring * prevented / RINGS
    expected[~is_treated & ~is_ring] += world.to_controls * prevented / CONTROLS
    counts = random.poisson(expected * _noise(world, expected.shape, random))
    role = np.where(is_treated, int(Role.TREATED), int(Role.CONTROL))
    role[is_ring] = Role.RING
    panel = Panel(
        sites=(name,),
        crime_types=("robbery",),
        periods=tuple(dt.date(2020 + m // 12, m % 12 + 1, 1) for m in range(MONTHS)),
        unit_ids=np.array([f"u{i:03d}" for i in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=role,
        first_live=live,
        last_live=live.copy(),
        counts=counts[None].astype(np.int64),
        exposure=np.ones((units, MONTHS)),
    )
    late = month > live[is_treated].max()
    return panel, _truth(without, expected, log_effect, after, is_treated, is_ring, late)


def _path(world: World, since: NDArray[np.int64], after: NDArray[np.bool_]) -> Floats:
    """How much of the effect there is in each cell: 1 on average over treated ones."""
    share = after.astype(float)
    if world.dynamic:
        share *= np.clip((since + 1) / RAMP, 0.0, 1.0)
        share /= share[after].mean()
    return share


def _noise(world: World, shape: tuple[int, int], random: np.random.Generator) -> Floats:
    """What varies besides Poisson; its mean is 1."""
    noise = random.gamma(world.shape, 1 / world.shape, shape)
    if world.persistent:
        keep = 0.7
        shock = random.normal(size=shape)
        for t in range(1, shape[1]):
            shock[:, t] = keep * shock[:, t - 1] + np.sqrt(1 - keep**2) * shock[:, t]
        noise *= np.exp(world.persistent * shock - world.persistent**2 / 2)
    return noise


def _truth(
    without: Floats,
    expected: Floats,
    log_effect: Floats,
    after: NDArray[np.bool_],
    is_treated: NDArray[np.bool_],
    is_ring: NDArray[np.bool_],
    late: NDArray[np.bool_],
) -> CityTruth:
    one, zero = expected[after].sum(), without[after].sum()
    late_one, late_zero = (x[is_treated][:, late].sum() for x in (expected, without))
    ring_one, ring_zero = (x[is_ring][:, late].sum() for x in (expected, without))
    return CityTruth(
        log_mean=float(log_effect[after].mean()),
        ratio=float(np.log(one / zero)),
        ratio_after=float(np.log(late_one / late_zero)),
        with_camera=float(one),
        without_camera=float(zero),
        cells=float(after.sum()),
        count_after=float(late_one - late_zero),
        ring_after=float(ring_one - ring_zero),
    )
