"""Specifications: which studies a list stands for, what approval covers, and rounds that are shared."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from evalkit.config import parse_toml
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, estimate
from evalkit.core.specifications import MOST, specifications_of
from evalkit.core.study import Specifications, Study, Units, Window, study_hash
from evalkit.core.together import Answer, estimate_together
from evalkit.disclosure.approval import with_specifications
from evalkit.errors import ConfigError, NonConvergenceError, RefusalError, TaxonomyError
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import OPEN_POLICY, cities, study

WINDOWS = (
    (dt.date(2020, 1, 1), dt.date(2021, 12, 31)),
    (dt.date(2020, 7, 1), dt.date(2021, 12, 31)),
)


def catchments(**lists: object) -> Study:
    return msgspec.structs.replace(
        study(estimator="random_effects"),
        units=Units(kind="catchment", radius_m=100.0, ring_m=220.0),
        specifications=Specifications(**lists),  # type: ignore[arg-type]  # lists come from the tests
    )


def test_every_combination_is_there_once_in_a_fixed_order() -> None:
    asked = catchments(
        radius_m=(80.0, 100.0),
        window=WINDOWS,
        controls=("lattice",),
        estimator=("poisson_did", "random_effects/rate_ratio"),
        crime_types=(("robbery",), ("robbery", "theft")),
    )
    found = specifications_of(asked)
    assert len(found) == len({one.hash for one in found}) == 2 * 2 * 2 * 2
    assert found == specifications_of(asked)
    assert set(found[0].choices) == {"radius_m", "window", "estimator", "crime_types"}
    assert found[0].choices["window"] == "2020-01-01..2021-12-31"
    last = found[-1].study
    assert (last.units.radius_m, last.units.ring_m) == (100.0, 220.0)
    assert (last.analysis.estimator, last.analysis.first_stage) == ("random_effects", "rate_ratio")
    assert last.window.start == dt.date(2020, 7, 1)
    assert last.outcome.crime_types == ("robbery", "theft")


def test_a_specification_is_the_plain_study_with_those_choices() -> None:
    """So that a result of a curve and one of `study run` are answers to the same question."""
    (one, own) = specifications_of(catchments(radius_m=(80.0, 100.0)))
    plain = catchments()
    assert own.hash == study_hash(plain)
    smaller = msgspec.structs.replace(
        plain, units=Units(kind="catchment", radius_m=80.0, ring_m=200.0)
    )
    assert one.hash == study_hash(smaller)


def test_a_study_without_lists_has_none() -> None:
    assert specifications_of(catchments()) == ()


def test_lists_are_part_of_the_hash() -> None:
    assert study_hash(catchments(radius_m=(80.0,))) != study_hash(catchments())


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"radius_m": (80.0, 80.0)}, "twice"),
        ({"radius_m": tuple(float(r) for r in range(1, MOST + 2))}, "combinations"),
        ({"window": ((dt.date(2020, 1, 2), dt.date(2021, 12, 31)),)}, "first day of a month"),
        ({"estimator": ("random_effects", "random_effects/poisson_did")}, "same study"),
    ],
)
def test_lists_that_cannot_be_meant_are_refused(lists: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        specifications_of(catchments(**lists))


def test_unknown_crimes_are_refused() -> None:
    with pytest.raises(TaxonomyError):
        specifications_of(catchments(crime_types=(("gossip",),)))


def test_radii_are_for_catchments() -> None:
    asked = msgspec.structs.replace(
        catchments(radius_m=(80.0, 90.0)), units=Units(kind="grid", cell_m=200.0)
    )
    with pytest.raises(ConfigError, match="units of kind"):
        specifications_of(asked)


def test_lists_are_read_from_toml() -> None:
    text = """
name = "s"
title = "S"
window = {start = 2020-01-01, end = 2021-12-31}
units = {kind = "catchment"}
outcome = {crime_types = ["robbery"]}
[specifications]
radius_m = [80.0, 120]
window = [[2020-01-01, 2021-12-31], [2020-07-01, 2021-12-31]]
controls = ["lattice", "later_cameras"]
crime_types = [["robbery"], ["theft", "robbery"]]
"""
    asked = parse_toml(text, Study, where="test")
    assert asked.window == Window(start=dt.date(2020, 1, 1), end=dt.date(2021, 12, 31))
    assert len(specifications_of(asked)) == 16


# --------------------------------------------------------------------------- approval


def test_approval_of_a_study_covers_its_specifications_and_no_others() -> None:
    asked = catchments(radius_m=(80.0, 100.0), estimator=("poisson_did", "random_effects"))
    other = catchments(radius_m=(60.0, 70.0))
    policy = msgspec.structs.replace(OPEN_POLICY, studies=(study_hash(asked),))
    covered = with_specifications(policy, [asked, other]).studies
    expected = {one.hash for one in specifications_of(asked)}
    assert set(covered) == {study_hash(asked), *expected}
    assert not {one.hash for one in specifications_of(other)} & set(covered)


def test_a_study_that_is_not_approved_approves_nothing() -> None:
    asked = catchments(radius_m=(80.0, 100.0))
    (one, _) = specifications_of(asked)
    policy = msgspec.structs.replace(OPEN_POLICY, studies=(one.hash,))
    assert with_specifications(policy, [asked, one.study]) == policy


def test_more_specifications_than_the_policy_allows_are_not_covered() -> None:
    asked = catchments(radius_m=(80.0, 90.0, 100.0))
    policy = msgspec.structs.replace(
        OPEN_POLICY, studies=(study_hash(asked),), max_specifications=2
    )
    assert with_specifications(policy, [asked]) == policy


# --------------------------------------------------------------------------- rounds in step


def jobs_of(names: Sequence[str]) -> list:
    return [(estimator(name), study(estimator=name)) for name in names]


def ask_all(questions: Sequence[Question]) -> list[Answer]:
    ask = ask_pooled(cities())
    return [ask(question) for question in questions]


def test_estimates_in_step_are_those_one_by_one_to_the_last_bit() -> None:
    jobs = jobs_of(["poisson_did", "random_effects", "rate_ratio"])
    seen: list[tuple[int, int, int]] = []
    together = estimate_together(jobs, ask_all, watch=lambda *now: seen.append(now))
    for (one, asked), outcome in zip(jobs, together.outcomes, strict=True):
        alone = estimate(one, asked, ask_pooled(cities()))
        assert isinstance(outcome, Estimate)
        np.testing.assert_array_equal(outcome.effect, alone.effect)
        np.testing.assert_array_equal(outcome.covariance, alone.covariance)
    assert together.rounds == len(seen) == 5  # the longest: four Newton steps and the meat
    assert seen[0] == (1, 3, 2)  # both one-shot estimators end in the first round
    assert seen[-1] == (5, 1, 3)


def test_one_that_fails_leaves_the_others_alone() -> None:
    jobs = jobs_of(["random_effects", "rate_ratio"])
    refusal = RefusalError("no")

    def ask(questions: Sequence[Question]) -> list[Answer]:
        answers = ask_all(questions)
        return [refusal, *answers[1:]]

    first, second = estimate_together(jobs, ask).outcomes
    assert first is refusal
    assert isinstance(second, Estimate)


def test_one_that_does_not_settle_says_so() -> None:
    (outcome,) = estimate_together(jobs_of(["poisson_did"]), ask_all, max_rounds=2).outcomes
    assert isinstance(outcome, NonConvergenceError)
