"""Power of a plan: against simulation of the very test, against quadrature, and at its limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, nct, norm, t

from evalkit.claims.planning import (
    RANGES,
    TARGET_POWER,
    Plan,
    city_variance,
    detectable_effect,
    inflation,
    needed,
    plan_power,
    power_of_plan,
)
from evalkit.cli.planning import CityFigures, curves, figures_of, plan_of_cities
from evalkit.core.panel import Role
from evalkit.errors import ConfigError, NothingToTestError
from evalkit.numerics.poisson import profile
from tests.panels import city, one_city, study

CLAIM = math.log(0.87)
PLAN = Plan(
    cities=6,
    cameras=40,
    controls=120,
    before=20,
    after=28,
    rate=1.5,
    control_rate=0.9,
    dispersion=1.6,
    tau=0.06,
)

MONTE_CARLO = 3.5
"""Standard errors by which a simulated share may differ: one correct test of 2000 would fail."""


@pytest.mark.parametrize(
    ("cities", "effect", "tau", "dispersion"),
    [(5, -0.14, 0.05, 8.0), (3, -0.2, 0.0, 4.0), (20, -0.06, 0.1, 2.0), (8, 0.15, 0.05, 9.0)],
)
def test_power_is_the_share_of_simulated_meta_analyses_that_reject(
    cities: int, effect: float, tau: float, dispersion: float
) -> None:
    plan = replace(PLAN, cities=cities, tau=tau, dispersion=dispersion)
    within = city_variance(plan, effect)
    draws = 100_000
    random = np.random.default_rng(20261125)
    effects = random.normal(effect, math.sqrt(within + tau**2), (draws, cities))
    spread = effects.var(axis=1, ddof=1)
    statistic = effects.mean(axis=1) / np.sqrt(spread / cities)
    share = float((math.copysign(1, effect) * statistic > t.ppf(0.975, cities - 1)).mean())
    predicted = plan_power(plan, effect)
    assert abs(share - predicted) < MONTE_CARLO * math.sqrt(predicted * (1 - predicted) / draws)
    assert 0.1 < predicted < 0.99  # a setting that could show a difference


@pytest.mark.parametrize("cities", [2, 3, 6, 40])
def test_the_average_over_the_standard_error_is_integrated_well(cities: int) -> None:
    plan, df = replace(PLAN, cities=cities, dispersion=5.0), cities - 1
    distance = math.sqrt(cities / (city_variance(plan, CLAIM) + plan.tau**2)) * abs(CLAIM)

    def integrand(x: float) -> float:
        width = t.ppf(0.975, df) * math.sqrt(x / df)
        return float(norm.cdf(distance - width) * chi2.pdf(x, df))

    exact = sum(quad(integrand, a, b, limit=200)[0] for a, b in ((0, df), (df, 40 * df + 60)))
    assert plan_power(plan, CLAIM) == pytest.approx(exact, abs=1e-4)
    assert plan_power(plan, CLAIM) == pytest.approx(
        nct.sf(t.ppf(0.975, df), df, distance), abs=1e-4
    )


def test_the_variance_of_a_city_is_that_of_the_profiled_poisson_likelihood() -> None:
    """Cameras that go live together: unit and period effects cost nothing beyond the four totals."""
    units, treated, before, after = 50, 15, 9, 14
    random = np.random.default_rng(3)
    live = np.arange(before + after) >= before
    cell = (np.arange(units) < treated)[:, None] & live
    mean = np.full(cell.shape, 1.7) * np.exp(CLAIM * cell)
    fit = profile(mean, np.ones_like(mean), np.where(cell, 0, -1), np.array([CLAIM]))
    plan = Plan(
        cities=1,
        cameras=treated,
        controls=units - treated,
        before=before,
        after=after,
        rate=1.7,
        control_rate=1.7,
        dispersion=1.0,
    )
    assert 1 / fit.information[0, 0] == pytest.approx(city_variance(plan, CLAIM), rel=1e-9)
    # and no other split of the same totals over units and periods changes it
    uneven = mean * random.gamma(2, 0.5, (units, 1)) * np.exp(random.normal(0, 0.5, before + after))
    fit = profile(uneven, np.ones_like(mean), np.where(cell, 0, -1), np.array([CLAIM]))
    totals = [uneven[:treated, ~live], uneven[:treated, live]]
    totals += [uneven[treated:, ~live], uneven[treated:, live]]
    four = sum(1 / part.sum() for part in totals)
    assert 1 / fit.information[0, 0] == pytest.approx(four, rel=1e-9)


def test_more_of_anything_helps_and_differences_between_cities_hurt() -> None:
    power = plan_power(PLAN, CLAIM)
    more = [
        {"cities": 12},
        {"cameras": 80},
        {"controls": 240},
        {"before": 40},
        {"after": 56},
        {"rate": 3.0},
        {"control_rate": 1.8},
        {"dispersion": 1.0},
        {"tau": 0.0},
    ]
    assert all(plan_power(replace(PLAN, **change), CLAIM) > power for change in more)


def test_what_is_needed_is_enough_and_one_less_is_not() -> None:
    plan = replace(PLAN, cities=5, dispersion=4.0)
    for one in power_of_plan(plan, CLAIM).needed:
        assert one.number is not None
        for number, enough in ((one.number, True), (one.number - 1, False)):
            share = number / (plan.before + plan.after)
            changed = {
                "cities": replace(plan, cities=number),
                "cameras": replace(plan, cameras=number),
                "periods": replace(plan, before=plan.before * share, after=plan.after * share),
            }[one.quantity]
            assert (plan_power(changed, CLAIM) >= TARGET_POWER) is enough


def test_when_cities_differ_no_number_of_cameras_or_periods_is_enough() -> None:
    plan = replace(PLAN, cities=3, tau=0.2)
    for quantity in ("cameras", "periods"):
        one = needed(plan, CLAIM, quantity)
        assert (one.number, one.obstacle) == (None, "between_cities")
        assert one.best_power < TARGET_POWER
    assert needed(plan, CLAIM, "cities").number is not None


def test_when_controls_are_few_no_number_of_cameras_is_enough() -> None:
    one = needed(replace(PLAN, controls=4, tau=0.0), CLAIM, "cameras")
    assert (one.number, one.obstacle) == (None, "controls")


def test_a_number_beyond_all_plans_is_not_given() -> None:
    one = needed(replace(PLAN, tau=0.0), 1e-5, "periods")
    assert (one.number, one.obstacle) == (None, "too_many")


def test_the_detectable_effect_has_the_target_power() -> None:
    for rise in (False, True):
        effect = detectable_effect(PLAN, rise=rise)
        assert effect is not None
        assert (effect > 0) is rise
        assert plan_power(PLAN, effect) == pytest.approx(TARGET_POWER, abs=1e-4)


def test_with_two_cities_that_differ_nothing_is_detectable() -> None:
    assert detectable_effect(replace(PLAN, cities=2, rate=0.001, tau=1.0)) is None


def test_one_city_is_tested_by_itself() -> None:
    alone = replace(PLAN, cities=1)
    assert plan_power(alone, CLAIM) == plan_power(replace(alone, tau=1.0), CLAIM)
    assert power_of_plan(alone, CLAIM).mean_std_error == power_of_plan(alone, CLAIM).std_error


@pytest.mark.parametrize(
    "change",
    [
        {"cities": 0},
        {"rate": 0.0},
        {"tau": -0.1},
        {"tau": math.inf},
        {"rate": math.nan},
        {"dispersion": math.inf},
        {"level": 0.4},
    ],
)
def test_impossible_plans_are_refused(change: dict) -> None:
    with pytest.raises(ConfigError):
        replace(PLAN, **change)


@pytest.mark.parametrize("name", sorted(RANGES))
@pytest.mark.parametrize("end", [0, 1])
def test_answers_make_sense_to_the_ends_of_every_range(name: str, end: int) -> None:
    plan = replace(PLAN, **{name: RANGES[name][end]})
    assert 0.0 <= power_of_plan(plan, CLAIM).power <= 1.0
    beyond = RANGES[name][end] * 2 + 1 if end else RANGES[name][end] / 2 - 1e-9
    with pytest.raises(ConfigError, match=f"{name} of the planned study is out of range"):
        power_of_plan(replace(PLAN, **{name: beyond}), CLAIM)


@pytest.mark.parametrize("effect", [-20.0, 20.0, math.nan, math.inf])
def test_effects_that_nobody_plans_for_are_refused(effect: float) -> None:
    with pytest.raises(ConfigError, match="no effect"):
        power_of_plan(PLAN, effect)


def test_no_effect_cannot_be_planned_for() -> None:
    with pytest.raises(ConfigError, match="no effect"):
        power_of_plan(PLAN, 0.0)


def test_inflation_gives_back_the_measured_variance() -> None:
    measured = replace(PLAN, dispersion=inflation(PLAN, 0.0123, CLAIM))
    assert city_variance(measured, CLAIM) == pytest.approx(0.0123, rel=1e-12)


def test_figures_of_a_panel_are_its_own() -> None:
    figures = figures_of(one_city(5, 0.0), study())
    plan = figures.plan
    assert (plan.cameras, plan.before, plan.after) == (20, 12, 11)
    assert plan.controls == pytest.approx(40 * 24 / 23)
    assert plan.rate == pytest.approx(2.0, rel=0.15)  # 480 incidents: three standard errors
    assert plan.control_rate == pytest.approx(2.0, rel=0.08)
    assert 0.4 < plan.dispersion < 2.0  # Poisson counts, from the spread of 60 units
    assert city_variance(plan, 0.0) == pytest.approx(figures.variance, rel=0.3)


def test_over_dispersed_panels_say_so() -> None:
    assert figures_of(city("alta", 1), study()).plan.dispersion > 1.0


def test_cities_that_differ_weigh_together_as_their_plan_says() -> None:
    cities = [
        CityFigures("a", replace(PLAN, cities=1), 0.01),
        CityFigures("b", replace(PLAN, cities=1, cameras=80), 0.04),
    ]
    joint = plan_of_cities(cities, tau=0.05, effect=CLAIM)
    assert joint.cities == 2
    assert joint.cameras == 60
    total = sum(1 / (one.variance + 0.05**2) for one in cities)
    assert (city_variance(joint, CLAIM) + 0.05**2) / 2 == pytest.approx(1 / total)


def test_a_panel_without_controls_says_nothing_of_a_plan() -> None:
    panel = one_city(1, 0.0)
    only_treated = panel.take(panel.role == Role.TREATED)
    with pytest.raises(NothingToTestError):
        figures_of(only_treated, study())


def test_curves_pass_through_the_plan() -> None:
    found = power_of_plan(PLAN, CLAIM)
    points = curves(found)["cities"]
    (here,) = [point for point in points if point["number"] == PLAN.cities]
    assert here["power"] == found.power
    assert all(
        point["power_without_tau"] >= point["power"] >= point["power_twice_tau"]
        for point in points
        if point["power"] > 0.5
    )
