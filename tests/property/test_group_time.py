"""What must not change group-time effects, and what must change them in a known way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.numerics.doubly_robust import doubly_robust_totals
from evalkit.numerics.group_time import Blocks, att, blocks_of, cells_of, pool
from evalkit.numerics.group_time_totals import (
    Averages,
    averages,
    calendar_weights,
    dynamic_weights,
    group_weights,
    simple_weights,
    totals,
    totals_of_units,
)
from tests.did_worlds import World, ragged

# Sums of some hundred doubles of size ten to a thousand in another order.
ROUNDING = 1e-9

TIMES = np.arange(-5, 6)
seeds = st.integers(0, 10_000)
controls = st.sampled_from(["never", "not_yet"])
bases = st.sampled_from(["varying", "universal"])
scales = st.sampled_from(["ratio", "count"])


def moments(world: World) -> Blocks:
    return blocks_of(world.y, world.observed, world.first, world.start)[0]


def dynamic(world: World, control: str, base: str, scale: str, *, robust: bool = False) -> Averages:
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    return from_blocks(blocks, control, base, scale, (world, block) if robust else None)


def from_blocks(blocks: Blocks, control: str, base: str, scale: str, robust=None) -> Averages:
    cells = cells_of(blocks, control, base)
    weights = dynamic_weights(cells, TIMES)
    if robust is None:
        found = totals(blocks, cells, weights)
    else:
        world, block = robust
        y = np.where(world.observed, world.y, 0.0)
        x = np.column_stack([np.ones(len(y)), world.covariate])
        found = doubly_robust_totals(y, x, blocks, block, cells, weights)
    return averages(found, TIMES >= 0, scale)


def assert_same(a: Averages, b: Averages) -> None:
    np.testing.assert_allclose(a.effect, b.effect, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=0, atol=ROUNDING)


def take(world: World, units: np.ndarray) -> World:
    names = ("y", "observed", "first", "start", "covariate")
    return World(*(getattr(world, name)[units] for name in names))


@given(seeds, controls, bases, scales)
def test_order_of_units_is_irrelevant(seed: int, control: str, base: str, scale: str) -> None:
    world = ragged(seed)
    shuffled = take(world, np.random.default_rng(seed).permutation(len(world.y)))
    assert_same(dynamic(world, control, base, scale), dynamic(shuffled, control, base, scale))


@given(seeds, scales)
def test_order_of_units_is_irrelevant_when_doubly_robust(seed: int, scale: str) -> None:
    world = ragged(seed, units=80)
    shuffled = take(world, np.random.default_rng(seed).permutation(len(world.y)))
    assert_same(
        dynamic(world, "never", "varying", scale, robust=True),
        dynamic(shuffled, "never", "varying", scale, robust=True),
    )


@given(seeds, controls, bases, scales)
def test_a_unit_that_is_never_compared_is_irrelevant(
    seed: int, control: str, base: str, scale: str
) -> None:
    """One that is never observed, and one that is treated from the start."""
    world = ragged(seed)
    periods = world.y.shape[1]
    more = World(
        y=np.vstack([world.y, np.full(periods, 1e6), np.full(periods, 1e6)]),
        observed=np.vstack([world.observed, np.zeros(periods, bool), np.ones(periods, bool)]),
        first=np.r_[world.first, -1, 0],
        start=np.r_[world.start, -1, 0],
        covariate=np.r_[world.covariate, 0.0, 0.0],
    )
    assert_same(dynamic(world, control, base, scale), dynamic(more, control, base, scale))


@pytest.mark.parametrize("units", [40, 6000])
@pytest.mark.parametrize("control", ["never", "not_yet"])
@pytest.mark.parametrize("base", ["varying", "universal"])
def test_totals_of_units_are_those_of_their_moments(units: int, control: str, base: str) -> None:
    """Also where a block's units do not fit into one product, and where several targets share a cell."""
    world = ragged(units, units=units)
    blocks, block = blocks_of(world.y, world.observed, world.first, world.start)
    cells = cells_of(blocks, control, base)
    y = np.where(world.observed, world.y, 0.0)
    for weights in (
        simple_weights(cells),
        dynamic_weights(cells, TIMES),
        calendar_weights(cells, np.arange(y.shape[1])),
        group_weights(cells)[1],
        np.random.default_rng(1).normal(size=(len(cells.post), 5)),
        np.zeros((len(cells.post), 1)),
    ):
        slow, fast = (
            totals(blocks, cells, weights),
            totals_of_units(y, blocks, block, cells, weights),
        )
        for name in ("values", "cross"):
            expected = getattr(slow, name)
            within = 1e-12 * max(np.abs(expected).max(), 1.0)
            np.testing.assert_allclose(getattr(fast, name), expected, rtol=0, atol=within)


@given(seeds, controls, bases)
def test_a_level_of_its_own_for_every_unit_and_period_is_irrelevant(
    seed: int, control: str, base: str
) -> None:
    """On the scale of counts; where observation is ragged, for units in the same way."""
    world = ragged(seed)
    random = np.random.default_rng(seed)
    level = random.normal(0, 50, (len(world.y), 1)) + random.normal(0, 50, world.y.shape[1])
    moved = replace(world, y=world.y + level)
    a = att(moments(world), cells_of(moments(world), control, base))
    b = att(moments(moved), cells_of(moments(moved), control, base))
    np.testing.assert_allclose(a.effect, b.effect, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=0, atol=ROUNDING)
    assert_same(dynamic(world, control, base, "count"), dynamic(moved, control, base, "count"))


@given(seeds, controls, bases, st.floats(0.01, 100))
def test_counts_scale_and_ratios_do_not(seed: int, control: str, base: str, factor: float) -> None:
    world = ragged(seed)
    larger = replace(world, y=world.y * factor)
    a = dynamic(world, control, base, "count")
    b = dynamic(larger, control, base, "count")
    np.testing.assert_allclose(a.effect * factor, b.effect, rtol=1e-8, atol=ROUNDING * factor)
    assert_same(dynamic(world, control, base, "ratio"), dynamic(larger, control, base, "ratio"))


@given(seeds, controls, bases, scales, st.integers(2, 5))
def test_places_pooled_are_the_whole(
    seed: int, control: str, base: str, scale: str, places: int
) -> None:
    world = ragged(seed)
    where = np.random.default_rng(seed).integers(0, places, len(world.y))
    parts = tuple(
        moments(take(world, where == place)) for place in range(places) if (where == place).any()
    )
    pooled, whole = pool(parts), moments(world)
    for name in ("units", "mean", "scatter", "observed", "first", "start"):
        np.testing.assert_allclose(
            getattr(pooled, name).astype(float), getattr(whole, name).astype(float), atol=ROUNDING
        )
    assert_same(from_blocks(pooled, control, base, scale), dynamic(world, control, base, scale))


@given(seeds, controls, bases, scales)
def test_every_unit_twice_halves_the_covariance(
    seed: int, control: str, base: str, scale: str
) -> None:
    world = ragged(seed)
    twice = take(world, np.tile(np.arange(len(world.y)), 2))
    a, b = dynamic(world, control, base, scale), dynamic(twice, control, base, scale)
    np.testing.assert_allclose(a.effect, b.effect, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(a.covariance / 2, b.covariance, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("control", ["never", "not_yet"])
def test_treated_outcomes_never_enter_another_cohorts_effect(control: str) -> None:
    """Change what happens to a cohort after its own go-live: no other cohort's effect may move."""
    world = ragged(3)
    late = (world.first == 3)[:, None] & (np.arange(world.y.shape[1]) >= 4)
    changed = replace(world, y=world.y + 100.0 * late)
    blocks, other = moments(world), moments(changed)
    cells = cells_of(blocks, control, "varying")
    a, b = att(blocks, cells).effect, att(other, cells_of(other, control, "varying")).effect
    moved = np.abs(a - b) > ROUNDING
    np.testing.assert_array_equal(moved, (cells.first == 3) & cells.post)
