"""Small seeded panels for tests: known effect, staggered go-live, every cohort large enough for the default policy."""

from __future__ import annotations

import datetime as dt

import numpy as np

from evalkit.config import Policy
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Analysis, Outcome, Study, Treatment, Units, Window

PERIODS = 24
OPEN_POLICY = Policy(studies=("any",), release_class="table")


def study(**analysis: str) -> Study:
    """A two-year monthly study of two crime types."""
    return Study(
        name="test",
        title="Test",
        window=Window(start=dt.date(2020, 1, 1), end=dt.date(2021, 12, 31)),
        units=Units(kind="grid"),
        outcome=Outcome(crime_types=("robbery", "theft")),
        treatment=Treatment(transition="drop"),
        analysis=Analysis(**analysis),  # type: ignore[arg-type]  # literals come from the tests
    )


def city(
    name: str,
    seed: int,
    *,
    treated: int = 18,
    controls: int = 25,
    effect: float = -0.2,
    cohorts: tuple[int, ...] = (8, 11, 14),
    rate: float = 6.0,
) -> Panel:
    """One city: treated units in equal cohorts, controls, and one ring unit that must not be used."""
    random = np.random.default_rng(seed)
    units = treated + controls + 1
    live = np.full(units, NEVER)
    live[:treated] = np.resize(cohorts, treated)
    live[-1] = cohorts[0]
    role = np.full(units, int(Role.CONTROL))
    role[:treated] = Role.TREATED
    role[-1] = Role.RING
    period = np.arange(PERIODS)
    after = (live[:, None] != NEVER) & (period > live[:, None])
    unit_rate = rate * random.gamma(4, 0.25, units)[:, None]
    season = np.exp(0.2 * np.sin(2 * np.pi * period / 12) + random.normal(0, 0.1, PERIODS))
    mean = unit_rate * season * np.exp(effect * after)
    noisy = random.poisson(mean * random.gamma(8, 1 / 8, mean.shape))
    robbery = random.binomial(noisy, 0.3)
    return Panel(
        sites=(name,),
        crime_types=("robbery", "theft"),
        periods=tuple(dt.date(2020 + m // 12, m % 12 + 1, 1) for m in range(PERIODS)),
        unit_ids=np.array([f"u{i:03d}" for i in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=role,
        first_live=live,
        last_live=live.copy(),
        counts=np.stack([robbery, noisy - robbery]),
        exposure=np.ones((units, PERIODS)),
        fingerprint=f"{seed:064x}",
    )


def cities() -> tuple[Panel, ...]:
    """Four cities of different sizes."""
    return (
        city("alta", 1),
        city("brisa", 2, treated=24, controls=31),
        city("clara", 3, effect=-0.1, cohorts=(6, 15)),
        city("dorada", 4, treated=15, rate=12.0),
    )


def one_city(seed: int, effect: float, *, units: int = 60, periods: int = 24) -> Panel:
    """A city whose cameras go live together, with Poisson counts of one rate."""
    random = np.random.default_rng(seed)
    live = np.where(np.arange(units) < units // 3, periods // 2, NEVER)
    after = (live[:, None] != NEVER) & (np.arange(periods) > live[:, None])
    counts = random.poisson(2.0 * np.exp(effect * after))
    return Panel(
        sites=(f"city{seed}",),
        crime_types=("robbery", "theft"),
        periods=tuple(dt.date(2020 + m // 12, m % 12 + 1, 1) for m in range(periods)),
        unit_ids=np.array([f"u{i:03d}" for i in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=np.where(live == NEVER, int(Role.CONTROL), int(Role.TREATED)),
        first_live=live,
        last_live=live.copy(),
        counts=np.stack([counts, np.zeros_like(counts)]),
        exposure=np.ones((units, periods)),
        fingerprint=f"{seed:064x}",
    )
