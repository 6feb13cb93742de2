"""What holds for any matching, on small cities full of equal places."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.core.panel import Role
from evalkit.core.study import Matching
from evalkit.panel.covariates import Covariates
from evalkit.panel.matching import match, match_units

EXAMPLES = 50
"""A logistic regression each."""

NAMES = np.array([f"u{n:03d}" for n in range(60)])


@st.composite
def cities(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Values (U, 2) that are mostly equal to others, and which units are treated."""
    units = draw(st.integers(2, 60))
    treated = np.array(draw(st.lists(st.booleans(), min_size=units, max_size=units)))
    treated[0], treated[-1] = True, False
    whole = st.integers(0, 3)
    values = draw(st.lists(st.tuples(whole, whole), min_size=units, max_size=units))
    return np.array(values, dtype=np.float64), treated


plans = st.builds(
    Matching,
    method=st.sampled_from(["nearest", "propensity"]),
    ratio=st.integers(1, 4),
    replacement=st.booleans(),
    caliper=st.sampled_from([None, 0.0, 0.1, 1.0]),
)


@given(cities(), plans)
@settings(max_examples=EXAMPLES)
def test_no_one_is_matched_twice_too_often_or_too_far(city: tuple, plan: Matching) -> None:
    values, treated = city
    names = NAMES[: len(treated)]
    pairs = match(values, treated, ~treated, names, plan)
    assert treated[pairs[:, 0]].all()
    assert not treated[pairs[:, 1]].any()
    assert len({tuple(pair) for pair in pairs.tolist()}) == len(pairs)
    assert np.bincount(pairs[:, 0]).max(initial=0) <= plan.ratio
    if not plan.replacement:
        assert np.bincount(pairs[:, 1]).max(initial=0) <= 1
    if np.isinf(plan.largest_distance):
        free = int((~treated).sum())
        wanted = plan.ratio * int(treated.sum())
        assert len(pairs) == (
            min(plan.ratio, free) * int(treated.sum()) if plan.replacement else min(free, wanted)
        )


@given(cities(), plans, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_the_order_of_units_changes_nothing(city: tuple, plan: Matching, random) -> None:
    values, treated = city
    names = NAMES[: len(treated)]
    order = list(range(len(treated)))
    random.shuffle(order)
    one = match(values, treated, ~treated, names, plan)
    other = match(values[order], treated[order], ~treated[order], names[order], plan)
    assert names[one].tolist() == names[order][other].tolist()


@given(cities(), plans)
@settings(max_examples=EXAMPLES)
def test_roles_change_to_set_apart_or_not_at_all(city: tuple, plan: Matching) -> None:
    values, treated = city
    role = np.where(treated, int(Role.TREATED), int(Role.CONTROL)).astype(np.int64)
    role[1 : len(role) - 1 : 5] = Role.RING
    known = Covariates(("level", "trend"), values, 4)
    loose = Matching(method=plan.method, ratio=plan.ratio, replacement=plan.replacement, caliper=0)
    found = match_units(role, NAMES[: len(role)], known, loose, "here")
    changed = found.role != role
    assert (found.role[changed] == Role.SET_APART).all()
    assert (role[changed] != Role.RING).all()
    assert found.facts["treated units with a match"] == (found.role == Role.TREATED).sum()
    assert found.facts["matched controls"] == (found.role == Role.CONTROL).sum()
    assert found.facts["controls not taken by the matching"] == (changed & (role == 0)).sum()


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 50))
@settings(max_examples=EXAMPLES)
def test_greedy_is_what_the_slow_way_finds(seed: int, treated: int, controls: int) -> None:
    """Sort all pairs by distance, and take each whose units are both free; no two distances are equal."""
    values = np.random.default_rng(seed).normal(size=(treated + controls, 2))
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    every = sorted(
        (float(np.hypot(*(scaled[unit] - scaled[control]))), unit, control)
        for unit in range(treated)
        for control in range(treated, treated + controls)
    )
    slow, taken = set(), set()
    for _, unit, control in every:
        if unit not in taken and control not in taken:
            taken |= {unit, control}
            slow.add((unit, control))
    names = np.array([f"u{n:03d}" for n in range(len(values))])
    is_treated = np.arange(len(values)) < treated
    found = match(values, is_treated, ~is_treated, names, Matching(method="nearest"))
    assert {tuple(pair) for pair in found.tolist()} == slow
