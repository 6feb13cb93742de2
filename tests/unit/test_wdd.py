"""The weighted displacement difference on panels: equal to the paper's formula, rings, and over-dispersed counts."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import numpy as np
import pytest

from evalkit.core.discover import estimators
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role, concatenate
from evalkit.core.study import Study
from evalkit.errors import EstimationError
from evalkit.numerics.displacement import net_effect, weighted_displacement_difference
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import study

PERIODS, LIVE = 24, 11
"""Eleven periods before, the go-live period, twelve after."""

# The same sums in another order.
ROUNDING = 1e-9

WORLDS = 400
# Of 400 true nulls 5 % are 20, with a binomial standard deviation of 4.4: three of them, on both sides.
SIZE_LOW, SIZE_HIGH = 7 / WORLDS, 33 / WORLDS


def panel_of(counts: np.ndarray, role: list[int], name: str = "alta") -> Panel:
    """One city of (U, T) counts; everything but controls goes live in period `LIVE`."""
    units = len(counts)
    live = np.where(np.array(role) == Role.CONTROL, NEVER, LIVE)
    return Panel(
        sites=(name,),
        crime_types=("robbery", "theft"),
        periods=tuple(dt.date(2020 + m // 12, m % 12 + 1, 1) for m in range(PERIODS)),
        unit_ids=np.array([f"u{i:03d}" for i in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=np.array(role),
        first_live=live,
        last_live=live.copy(),
        counts=np.stack([counts, np.zeros_like(counts)]),
        exposure=np.ones(counts.shape),
    )


def world(
    seed: int, *, targets: int = 20, rings: int = 0, trend: float = 1.0, noise: float = 0.0
) -> Panel:
    """No effect: 40 controls like the targets and rings, a common ``trend`` after, and over-dispersion.

    ``noise`` is the standard deviation of a unit's lasting change, on the log scale: what Poisson leaves out.
    """
    random = np.random.default_rng(seed)
    role = [Role.TREATED] * targets + [Role.CONTROL] * 40 + [Role.RING] * rings
    change = np.exp(random.normal(-noise * noise / 2, noise, len(role)))[:, None] * trend
    mean = np.where(np.arange(PERIODS) > LIVE, 8.0 * change, 8.0)
    return panel_of(random.poisson(mean), [int(one) for one in role])


def run(*panels: Panel, **analysis: str) -> Estimate:
    asked: Study = study(estimator="wdd", **analysis)
    return estimate(estimators()["wdd"], asked, ask_pooled(panels))


def rejections(panels: list[Panel], **analysis: str) -> float:
    found = [run(panel, **analysis).tidy()["p_value"][0] for panel in panels]
    return float(np.mean(np.array(found) < 0.05))


def table(panel: Panel) -> np.ndarray:
    """(3, 2) totals of targets, controls, rings before and after."""
    counts, period = panel.counts.sum(axis=0), np.arange(PERIODS)
    sides = (period < LIVE, period > LIVE)
    roles = (Role.TREATED, Role.CONTROL, Role.RING)
    return np.array(
        [[counts[panel.role == role][:, side].sum() for side in sides] for role in roles]
    ).astype(float)


def test_equals_the_published_formula_with_its_weights() -> None:
    panel = world(1, rings=10)
    totals = np.vstack([table(panel), np.zeros(2)])
    weights = np.outer([1, 40 / 20, 1, 1], [11 / 12, 1])
    expected = weighted_displacement_difference(totals, weights)
    found = run(panel, displacement_controls="none", dispersion="poisson")
    assert found.terms == ("treated", "target", "ring")
    assert found.effect[0] == pytest.approx(expected.value, rel=ROUNDING)
    assert found.covariance[0, 0] == pytest.approx(expected.variance, rel=ROUNDING)
    assert found.details["poisson_z_alta"] == pytest.approx(expected.z, rel=ROUNDING)
    assert found.effect[0] == pytest.approx(found.effect[1] + found.effect[2], rel=ROUNDING)
    assert found.scale == "count"
    assert found.df == math.inf


def test_controls_that_stand_for_both_are_counted_once() -> None:
    """Their change enters with (s_T + s_D), so its variance with the square of the sum, not the sum of squares."""
    panel = world(1, rings=10)
    (t0, t1), (c0, c1), (d0, d1) = table(panel).tolist()
    k, s = 12 / 11, 20 / 40 + 10 / 40
    found = run(panel, dispersion="poisson")
    assert found.effect[0] == pytest.approx(
        (t1 - k * t0) + (d1 - k * d0) - s * (c1 - k * c0), rel=ROUNDING
    )
    variance = t1 + k * k * t0 + d1 + k * k * d0 + s * s * (c1 + k * k * c0)
    assert found.covariance[0, 0] == pytest.approx(variance, rel=ROUNDING)
    ones = np.ones(2)
    assert found.covariance[0, 0] == pytest.approx(
        ones @ found.covariance[1:, 1:] @ ones, rel=ROUNDING
    )


def test_details_are_ratios_and_the_net_effect() -> None:
    panel = world(2, rings=10)
    (t0, t1), (c0, c1), (d0, d1) = totals = table(panel)
    found = run(panel, dispersion="poisson").details
    assert found["log_rate_ratio_target_alta"] == pytest.approx(math.log(t1 * c0 / t0 / c1))
    assert found["log_rate_ratio_ring_alta"] == pytest.approx(math.log(d1 * c0 / d0 / c1))
    assert found["log_rate_ratio_target_se_alta"] == pytest.approx(
        math.sqrt(1 / t0 + 1 / t1 + 1 / c0 + 1 / c1)
    )
    net = net_effect(totals, np.array([[11 / 12, 1]] * 3))
    assert found["total_net_effect_alta"] == pytest.approx(net.total)
    assert found["total_net_effect_se_alta"] == pytest.approx(math.sqrt(net.total_variance))


def test_poisson_rejects_true_nulls_of_over_dispersed_counts_and_the_default_does_not() -> None:
    panels = [world(1000 + i, noise=0.25) for i in range(WORLDS)]
    assert rejections(panels, dispersion="poisson") > 0.25
    assert SIZE_LOW < rejections(panels) < SIZE_HIGH


def test_default_keeps_its_size_where_counts_are_poisson() -> None:
    """It is never below the Poisson variance, so it may reject less than 5 %, not more."""
    panels = [world(5000 + i) for i in range(WORLDS)]
    assert rejections(panels) < SIZE_HIGH


def test_a_change_of_the_whole_city_is_no_displacement() -> None:
    """Crime falls by a fifth everywhere: without controls of the rings that looks like diffusion of benefits."""
    panels = [world(9000 + i, rings=20, trend=0.8, noise=0.2) for i in range(WORLDS)]
    assert SIZE_LOW < rejections(panels) < SIZE_HIGH
    assert rejections(panels, displacement_controls="none") > 0.5


def test_displacement_is_found() -> None:
    """Targets lose 30 %, rings gain as many: the target's part is large, the whole is nothing."""
    panel = world(3, rings=20)
    after = np.arange(PERIODS) > LIVE
    counts = panel.counts[0].copy()
    moved = np.random.default_rng(4).binomial(counts[:20], 0.3) * after
    counts[:20] -= moved
    counts[-20:] += moved
    found = run(panel_of(counts, panel.role.tolist()))
    whole, target, ring = found.effect
    assert target + 3 * found.std_error[1] < 0 < ring - 3 * found.std_error[2]
    assert abs(whole) < 3 * found.std_error[0]
    assert found.details["displacement_quotient_alta"] < -0.5


def test_cities_are_summed() -> None:
    a, b = world(1, rings=10), world(2)
    b = replace(b, sites=("brisa",))
    one, two, both = run(a), run(b), run(a, b)
    assert both.effect[0] == pytest.approx(one.effect[0] + two.effect[0], rel=ROUNDING)
    assert both.covariance[0, 0] == pytest.approx(
        one.covariance[0, 0] + two.covariance[0, 0], rel=ROUNDING
    )
    assert max(one.df, two.df) < both.df < one.df + two.df
    assert [site.effect for site in both.sites] == [one.effect[0], two.effect[0]]
    assert any("brisa: no ring" in note for note in both.notes)
    assert run(concatenate([a, b])).effect[0] == both.effect[0]


def test_rings_of_other_cameras_are_left_out() -> None:
    """Of a later camera, and one alone: neither has a before and after of this roll-out with a variance."""
    panel = world(5, rings=3)
    live = panel.first_live.copy()
    live[-2:] = (NEVER, LIVE + 3)
    found = run(replace(panel, first_live=live, last_live=live.copy()))
    assert found.terms == ("treated",)
    assert found.units == 60
    assert found.effect[0] == run(panel.take(panel.role != Role.RING)).effect[0]


def test_support_has_the_rings_own_cells() -> None:
    panel = world(5, rings=10)
    one, asked = estimators()["wdd"], study(estimator="wdd")
    (support,) = one.summarise(panel, one.first_question(asked)).support
    cells = {(cell.pattern, cell.phase): cell for cell in support.cells}
    totals = table(panel)
    assert (cells["ring", "before"].units, cells["ring", "before"].incidents) == (10, totals[2, 0])
    assert cells["ring", "after"].incidents == totals[2, 1]
    assert not cells["ring", "after"].treated
    assert support.clusters == 70


def test_one_target_is_an_error_and_not_a_standard_error() -> None:
    panel = world(6, targets=1)
    with pytest.raises(EstimationError, match="one unit"):
        run(panel)
    assert math.isfinite(run(panel, dispersion="doubled").std_error[0])


def test_no_incident_at_all_before_has_no_ratio_but_a_difference() -> None:
    panel = world(7)
    counts = panel.counts[0].copy()
    counts[:20, :LIVE] = 0
    found = run(panel_of(counts, panel.role.tolist()))
    assert math.isnan(found.details["log_rate_ratio_target_alta"])
    assert found.effect[0] > 0
