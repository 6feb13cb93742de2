"""Three made-up cities in which it is known what a comparison of treated places with all others would say.

Go-live is in the middle of the window and no camera does anything: whatever an estimate says is bias.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Matching
from evalkit.estimators.poisson_did import estimator
from evalkit.panel.covariates import covariates_of
from evalkit.panel.matching import match_units
from tests.panels import study

PERIODS = 24
LIVE = 12


def panel_of(counts: NDArray[np.int64], treated: NDArray[np.bool_], live: int = LIVE) -> Panel:
    """One city's panel: counts (U, T), treated (U,)."""
    units, periods = counts.shape
    first = np.where(treated, live, NEVER).astype(np.int64)
    return Panel(
        sites=("made",),
        crime_types=("robbery", "theft"),
        periods=tuple(dt.date(2020 + m // 12, m % 12 + 1, 1) for m in range(periods)),
        unit_ids=np.array([f"u{unit:04d}" for unit in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=np.where(treated, int(Role.TREATED), int(Role.CONTROL)).astype(np.int64),
        first_live=first,
        last_live=first.copy(),
        counts=np.stack([np.zeros_like(counts), counts]).astype(np.int64),
        exposure=np.ones((units, periods)),
    )


def different_trends(seed: int) -> Panel:
    """Hot places fall by 3 % a month, others stay; cameras go to most hot places and to few others."""
    random = np.random.default_rng(seed)
    hot = np.arange(400) < 150
    treated = random.random(400) < np.where(hot, 0.4, 0.05)
    level = np.where(hot, 12.0, 5.0) * random.gamma(20, 1 / 20, 400)
    trend = np.where(hot, -0.03, 0.0)
    rate = level[:, None] * np.exp(trend[:, None] * np.arange(PERIODS))
    return panel_of(random.poisson(rate), treated)


def mean_reverting(seed: int) -> Panel:
    """All places alike in the long run; cameras go to those where the months before happened to be bad."""
    random = np.random.default_rng(seed)
    wave = np.empty((400, PERIODS))
    wave[:, 0] = random.normal(0, 0.5, 400)
    for period in range(1, PERIODS):
        wave[:, period] = 0.9 * wave[:, period - 1] + random.normal(0, 0.5 * np.sqrt(0.19), 400)
    counts = random.poisson(6 * np.exp(wave))
    recent = counts[:, LIVE - 6 : LIVE].sum(axis=1)
    chance = 0.6 / (1 + np.exp(-(recent - np.quantile(recent, 0.8)) / 8))
    return panel_of(counts, random.random(400) < chance)


def two_populations(seed: int) -> Panel:
    """Hot places and others, each with ups and downs around a steady level of its own; cameras in hot ones."""
    random = np.random.default_rng(seed)
    treated = np.arange(400) < 80
    # One half-year's luck: what a place had before says little of what it will have.
    luck = np.repeat(random.gamma(4, 1 / 4, (400, 2)), LIVE, axis=1)
    return panel_of(random.poisson(np.where(treated, 9.0, 5.0)[:, None] * luck), treated)


def matched(panel: Panel, matching: Matching) -> Panel:
    """The panel as `panel.build` would leave it."""
    known = covariates_of(panel, np.zeros((panel.n_units, 2)), matching)
    return replace(
        panel, role=match_units(panel.role, panel.unit_ids, known, matching, "made").role
    )


def effect(panel: Panel) -> float:
    """The log rate ratio that `poisson_did` finds."""
    found = estimate(
        estimator, study(estimator="poisson_did"), lambda asked: [estimator.summarise(panel, asked)]
    )
    return float(found.effect[0])
