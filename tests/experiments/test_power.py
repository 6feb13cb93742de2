"""Is the power that a plan promises the share of simulated studies that reject? From counts, and from raw files."""

from __future__ import annotations

import logging
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.claims.planning import Plan, plan_power
from evalkit.cli.planning import CityFigures, figures_of, plan_of_cities
from evalkit.config import load_study
from evalkit.core.estimator import estimate
from evalkit.core.panel import Panel
from evalkit.core.study import Study
from evalkit.estimators.random_effects import estimator as random_effects
from evalkit.runtimes.pooled import ask_pooled
from evalkit.simulate import simulate
from evalkit.workbench import open_bench, store_panel
from tests.panels import one_city, study
from tests.small_world import small_preset

LOG = logging.getLogger(__name__)

pytestmark = pytest.mark.experiment

MONTE_CARLO = 3.0
"""Standard errors by which a simulated share may differ."""

CALIBRATION = 0.06
"""Besides: a φ from a few dozen simulated cities is known to about a tenth, which moves power by so much."""


def error_of(share: float, draws: int) -> float:
    return MONTE_CARLO * math.sqrt(share * (1 - share) / draws)


@pytest.mark.parametrize(("cities", "tau", "effect"), [(4, 0.06, -0.2), (8, 0.1, -0.15)])
def test_from_counts_to_the_default_interval(cities: int, tau: float, effect: float) -> None:
    """Nothing of the plan's formulas stands between the counts and the rejection."""
    plan = Plan(
        cities=cities,
        cameras=20,
        controls=40 * 24 / 23,  # a control is seen in the transition as well
        before=12,
        after=11,
        rate=2.0,
        control_rate=2.0,
        dispersion=1.0,
        tau=tau,
    )
    asked, draws, rejected = study(estimator="random_effects"), 400, 0
    random = np.random.default_rng(7)
    for draw in range(draws):
        thetas = random.normal(effect, tau, cities)
        panels = [one_city(draw * cities + i, theta) for i, theta in enumerate(thetas)]
        rejected += estimate(random_effects, asked, ask_pooled(panels)).interval()[1] < 0
    predicted = plan_power(plan, effect)
    LOG.info(
        "%d cities, tau %g: predicted %.3f, simulated %.3f",
        cities,
        tau,
        predicted,
        rejected / draws,
    )
    assert abs(rejected / draws - predicted) < error_of(predicted, draws)


@pytest.mark.parametrize(("cities", "mean"), [(3, math.log(0.7)), (6, math.log(0.84))])
def test_from_raw_files_of_simulated_cities(cities: int, mean: float, tmp_path: Path) -> None:
    """Staggered, over-dispersed, seasonal, messy: φ is measured on other simulated cities than those tested."""
    base = small_preset(cities)
    preset = replace(base, effect=replace(base.effect, mean=mean))
    tau = preset.effect.tau
    draws, rejected = 60, 0
    figures: list[CityFigures] = []
    for draw in range(draws + 6):
        panels, asked = studied(preset, tmp_path / "world", draw)
        if draw < 6:
            figures += [figures_of(panel, asked) for panel in panels]
        else:
            rejected += estimate(random_effects, asked, ask_pooled(panels)).interval()[1] < 0
    plan = replace(plan_of_cities(figures, tau=tau, effect=mean), cities=cities)
    predicted, share = plan_power(plan, mean), rejected / draws
    LOG.info(
        "%d cities, phi %.2f: predicted %.3f, simulated %.3f",
        cities,
        plan.dispersion,
        predicted,
        share,
    )
    assert abs(share - predicted) < error_of(predicted, draws) + CALIBRATION


def studied(preset, folder: Path, seed: int) -> tuple[list[Panel], Study]:
    """Panels built from raw files that are written, read and removed again."""
    shutil.rmtree(folder, ignore_errors=True)
    world = simulate(preset, folder, seed)
    asked = load_study(world.study)
    return [store_panel(open_bench(site), asked).panel for site in world.sites], asked
