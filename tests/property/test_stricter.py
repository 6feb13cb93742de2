"""The stricter of two policies: never looser than either, the same whichever comes first, and no further."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.policy import ANY, LIMITS, Policy, ReleaseClass, compare, stricter

SHARES = st.floats(0, 1)
COUNTS = st.integers(1, 500)
POLICIES = st.builds(
    Policy,
    studies=st.just(("0" * 64,)),
    expires=st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2030, 1, 1)),
    release_class=st.sampled_from(get_args(ReleaseClass)),
    crime_types=st.just((ANY,))
    | st.lists(st.sampled_from(sorted(CRIME_TYPES)), max_size=5).map(tuple),
    min_incidents=COUNTS,
    min_units=COUNTS,
    min_treated_per_pattern=COUNTS,
    max_parameters_per_cluster=SHARES,
    min_residual_df=COUNTS,
    max_two_unit_share=SHARES,
    min_clusters=COUNTS,
    max_leverage=st.floats(0.01, 0.99),
    max_rounds=COUNTS,
    max_step=st.floats(0.01, 100),
    max_parameters=COUNTS,
    max_specifications=st.integers(0, 500),
    min_cities=st.integers(3, 50),
    epsilon=st.just(0.0) | st.floats(0.01, 10),
    epsilon_total=st.just(0.0) | st.floats(0.01, 10),
)


def limits(policy: Policy) -> dict[str, object]:
    found = {key: getattr(policy, key) for key in LIMITS}
    allowed = set(CRIME_TYPES) if ANY in policy.crime_types else set(policy.crime_types)
    return {**found, "crime_types": allowed}


@given(POLICIES, POLICIES)
def test_never_looser_than_either(one: Policy, other: Policy) -> None:
    joint = stricter(one, other)
    for key in LIMITS:
        for policy in (one, other):
            stands = compare(key, joint, policy)
            same = limits(joint)[key] == limits(policy)[key]
            assert same or stands in ("same", "stricter"), key


@given(POLICIES, POLICIES)
def test_no_further_than_either_says(one: Policy, other: Policy) -> None:
    """Every number is one of the two; of crime types exactly those leave that both allow."""
    joint = limits(stricter(one, other))
    for key in set(LIMITS) - {"crime_types"}:
        assert joint[key] in (getattr(one, key), getattr(other, key))
    assert joint["crime_types"] == limits(one)["crime_types"] & limits(other)["crime_types"]


@given(POLICIES, POLICIES)
def test_the_same_whichever_comes_first(one: Policy, other: Policy) -> None:
    assert limits(stricter(one, other)) == limits(stricter(other, one))


@given(POLICIES, POLICIES, POLICIES)
def test_the_same_however_three_are_joined(one: Policy, other: Policy, third: Policy) -> None:
    assert limits(stricter(stricter(one, other), third)) == limits(
        stricter(one, stricter(other, third))
    )


@given(POLICIES, POLICIES)
def test_twice_is_once(one: Policy, other: Policy) -> None:
    assert stricter(one, one) == one
    joint = stricter(one, other)
    assert stricter(joint, other) == joint


@given(POLICIES, POLICIES)
def test_people_and_studies_stay_those_of_the_city(one: Policy, other: Policy) -> None:
    named = msgspec.structs.replace(one, officers_needed=2, peers={"b": "ed25519:" + "A" * 43})
    joint = stricter(named, other)
    for key in set(Policy.__struct_fields__) - set(LIMITS):
        assert getattr(joint, key) == getattr(named, key)
