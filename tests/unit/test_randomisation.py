"""Randomisation inference: exact ranks, the estimators' own statistics, and what of it leaves a city."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import permutation_test

from evalkit.cli.running import print_result
from evalkit.config import Policy
from evalkit.core.design import design_of
from evalkit.core.discover import estimator, estimators
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, ask_first, estimate
from evalkit.core.falsification import placebo_outcomes
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study, check_study, study_hash
from evalkit.disclosure.gate import draft
from evalkit.errors import ConfigError, EstimationError
from evalkit.estimators import _randomisation
from evalkit.estimators._randomisation import P_VALUE, seed_of
from evalkit.numerics.poisson import profile, unit_scores
from evalkit.numerics.randomisation import (
    Slots,
    assignments,
    distinct,
    field_of,
    randomised,
    rank,
    slots_of,
)
from evalkit.report.languages import words
from evalkit.report.page import write_page
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study

# The vectorised statistics are sums of a few hundred doubles in another order than the estimators'.
SAME = 1e-10
# The null fit of `numerics.poisson` ends at a relative miss of 1e-14, that of all draws together at 1e-12.
SAME_FIT = 1e-8

ABLE = ("group_time_att", "poisson_did", "random_effects", "rate_ratio")
TINY = {"treated": 2, "controls": 4, "cohorts": (11,)}


def asking(name: str, number: int = 999, **analysis: object) -> Study:
    return study(estimator=name, randomisation=number, **analysis)  # type: ignore[arg-type]


def run(question: Study, *panels: Panel) -> Estimate:
    return estimate(estimator(question.analysis.estimator), question, ask_pooled(panels))


def dealt(panel: Panel, order: np.ndarray) -> Panel:
    """The panel with the go-live dates of its used units in another order."""
    used = np.flatnonzero(panel.role != Role.RING)
    live, role = panel.first_live.copy(), panel.role.copy()
    live[used], role[used] = panel.first_live[used][order], panel.role[used][order]
    return replace(panel, first_live=live, last_live=live.copy(), role=role)


def every_panel(panel: Panel) -> list[Panel]:
    """The panel under every distinct assignment of its dates."""
    used = np.flatnonzero(panel.role != Role.RING)
    found = {
        tuple(panel.first_live[used][list(order)]): order
        for order in permutations(range(len(used)))
    }
    return [dealt(panel, np.array(order)) for order in found.values()]


# numerics


def test_every_assignment_once() -> None:
    slots = slots_of(np.array([0, 0, 1, 1, 2, 3, 3]), np.array([0, 0, 0, 0, 0, 1, 1]))
    assert distinct(slots, 10_000) == 30  # 5! / (2! 2! 1!) in the first stratum, 1 in the other
    assert distinct(slots, 29) == 30
    found = [
        order
        for chunk in assignments(slots, 29, np.random.default_rng(1), 1)
        for order in chunk.tolist()
    ]
    sets = {(frozenset(one[:2]), frozenset(one[2:4]), one[4], tuple(one[5:])) for one in found}
    assert len(found) == len(sets) == 30
    assert all(one[5:] == [5, 6] for one in found)


def test_draws_stay_in_their_stratum_and_are_all_alike() -> None:
    wide = slots_of(np.repeat([0, 1, 2, 3], [3, 12, 2, 3]), np.repeat([0, 0, 1, 1], [3, 12, 2, 3]))
    drawn = np.concatenate(list(assignments(wide, 3000, np.random.default_rng(1), 1 << 18)))
    assert drawn.shape == (3001, 20)
    np.testing.assert_array_equal(drawn[0], np.arange(20))
    np.testing.assert_array_equal(np.sort(drawn[:, :15], axis=1), np.tile(np.arange(15), (3001, 1)))
    seen = Counter(tuple(sorted(one[15:17])) for one in drawn[1:].tolist())
    assert len(seen) == 10
    # 3000 draws of ten equally likely pairs: standard deviation 16.4
    assert all(abs(count - 300) < 4 * 16.4 for count in seen.values())


def test_blocks_must_be_numbered_by_stratum() -> None:
    with pytest.raises(ValueError, match="stratum by stratum"):
        slots_of(np.array([0, 1, 2]), np.array([0, 1, 0]))


def test_strata_of_single_units_have_one_assignment() -> None:
    every = np.arange(3000)
    slots = slots_of(every, every)
    assert [one.tolist() for one in assignments(slots, 99, np.random.default_rng(1), 1)] == [
        [every.tolist()]
    ]
    assert field_of(
        rank(slots, lambda orders: np.ones(len(orders)), 99, np.random.default_rng(1), 1),
        slots,
        0.95,
    ).tolist() == [0, 0, 1, 1, 0, 1, 1]


def difference(values: np.ndarray, slots: Slots):
    """Of the means of the first block and the rest."""
    first = int(slots.sizes[0])
    return lambda orders: (
        values[orders[:, :first]].mean(axis=1) - values[orders[:, first:]].mean(axis=1)
    )


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(-3, 3), min_size=4, max_size=6),
    first=st.integers(1, 3),
    number=st.sampled_from([20, 9999]),
)
def test_no_p_value_is_too_small_whatever_the_outcomes(
    values: list[int], first: int, number: int
) -> None:
    """Every assignment in turn is own; with ties; the share with p ≤ α is never above α."""
    outcome = np.array(values, dtype=np.float64)
    units = len(values)
    block = (np.arange(units) >= first).astype(np.int64)
    slots = slots_of(block, np.zeros(units, dtype=np.int64))
    p_values = []
    below = 0.0
    for (order,) in np.split(
        np.concatenate(list(assignments(slots, 9999, np.random.default_rng(0), 1))),
        distinct(slots, 9999),
    ):
        own = replace(slots, units=order)
        ranked = rank(own, difference(outcome, own), number, np.random.default_rng(3), units)
        p_values.append(randomised(field_of(ranked, own, 0.95)).p_value)
        below += ranked.above / ranked.compared + 0.5 * ranked.equal / ranked.compared
    for alpha in set(p_values):
        assert np.mean(np.array(p_values) <= alpha + 1e-12) <= alpha + 1e-12
    assert below / len(p_values) == pytest.approx(0.5)  # ranks are uniform


def test_an_assignment_without_a_statistic_counts_as_extreme() -> None:
    slots = slots_of(np.array([0, 1, 1, 1]), np.zeros(4, dtype=np.int64))
    found = rank(
        slots,
        lambda orders: np.where(orders[:, 0] == 2, np.nan, 5.0 - orders[:, 0]),
        99,
        np.random.default_rng(1),
        1,
    )
    assert (found.above, found.equal, found.extreme, found.compared) == (1, 1, 2, 4)


def test_several_places_are_exact_together() -> None:
    """Three places of 15, 20 and 6 assignments: the combined p-value has the size it says, at both ends."""
    random = np.random.default_rng(7)
    shapes = [(2, 4), (3, 3), (2, 2)]
    p_values = []
    for world in range(700):
        total = np.zeros(7)
        for place, (treated, controls) in enumerate(shapes):
            block = np.repeat([0, 1], [treated, controls])
            slots = slots_of(block, np.zeros(len(block), dtype=np.int64))
            outcome = random.exponential(1.0, len(block)).round(1)
            draws = np.random.default_rng(1000 * world + place)
            total += field_of(rank(slots, difference(outcome, slots), 99, draws, 1), slots, 0.95)
        p_values.append(randomised(total).p_value)
    for alpha in (0.01, 0.05, 0.1, 0.3, 0.7):
        error = math.sqrt(alpha * (1 - alpha) / len(p_values))
        assert abs(np.mean(np.array(p_values) <= alpha) - alpha) < 3 * error


def test_one_place_counts_and_several_weigh_scores() -> None:
    slots = slots_of(np.repeat([0, 1], [3, 6]), np.zeros(9, dtype=np.int64))
    ranked = rank(slots, difference(np.arange(9.0), slots), 99, np.random.default_rng(1), 1)
    one = field_of(ranked, slots, 0.95)
    assert one[1] == pytest.approx(3 * 6 / 9)
    alone = randomised(one)
    assert (alone.p_value, alone.smallest, alone.few) == (2 / 84, 1 / 84, 0)
    both = randomised(2 * one)
    assert both.p_value < alone.p_value
    assert both.smallest == pytest.approx(
        math.erfc(math.sqrt(2) * -one[4] / math.sqrt(one[1]) / -math.sqrt(2))
    )
    nothing = randomised(np.array([0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]))
    assert math.isnan(nothing.p_value)
    assert nothing.smallest == 1.0


# statistics: the estimators' own, on every assignment of a small city


def statistics_of(question: Study, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """What the city computes for every assignment, as it is handed over to be ranked."""
    kept: list[np.ndarray] = []

    def spy(slots, statistic, number, random, numbers):
        kept.extend(map(statistic, assignments(slots, number, random, numbers)))
        return rank(slots, statistic, number, random, numbers)

    with monkeypatch.context() as patch:
        patch.setattr(_randomisation, "rank", spy)
        run(question, panel)
    return np.sort(np.concatenate(kept))


OPTIONS = [
    ("group_time_att", {}),
    ("group_time_att", {"scale": "count"}),
    ("group_time_att", {"aggregation": "dynamic", "event_window": (-3, 5)}),
    ("group_time_att", {"aggregation": "dynamic", "event_window": (-3, 5), "scale": "count"}),
    ("group_time_att", {"aggregation": "group", "control_group": "not_yet"}),
    ("group_time_att", {"aggregation": "calendar", "base_period": "universal"}),
    ("rate_ratio", {}),
    ("rate_ratio", {"dispersion": "doubled", "zero_cells": "add_half"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_statistics_are_the_estimators_own(
    name: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that runs the estimator itself on panels whose dates are dealt out anew: every sixth of 90."""
    panel = city("alta", 3, treated=4, controls=2, cohorts=(9, 14))
    found = statistics_of(asking(name, 99, **options), panel, monkeypatch)
    plain = study(estimator=name, **options)  # type: ignore[arg-type]
    assert len(found) == len(every_panel(panel)) == 90
    looped = [run(plain, one) for one in every_panel(panel)[::6]]
    t = np.array([one.effect[0] / one.std_error[0] for one in looped])
    nearest = found[np.abs(found[:, None] - t).argmin(axis=0)]
    np.testing.assert_allclose(nearest, t, rtol=SAME, atol=SAME)
    own = run(plain, panel)
    extreme = np.abs(found) >= abs(own.effect[0] / own.std_error[0]) - 1e-9
    details = run(asking(name, 99, **options), panel).details
    assert details[P_VALUE] == extreme.mean()
    assert details["randomisation_smallest_p"] == pytest.approx(1 / 90)


@pytest.mark.parametrize("transition", ["drop", "treat"])
def test_score_statistic_is_the_poisson_models(
    transition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = city("alta", 3, treated=4, controls=2, cohorts=(9, 14), rate=1.0)
    # the same in all units but for a factor, and a period without any incident
    days = np.array([31.0, 28.0, 31.0, 30.0] * 6)
    counts = panel.counts.copy()
    counts[:, :, 3] = 0
    panel = replace(panel, exposure=np.outer(np.arange(1.0, 8.0), days), counts=counts)
    question = msgspec.structs.replace(
        asking("poisson_did", 99),
        treatment=msgspec.structs.replace(study().treatment, transition=transition),
    )
    found = statistics_of(question, panel, monkeypatch)
    t = []
    for one in every_panel(panel):
        (design,) = design_of(one, question)
        column = np.where(design.treated > 0, 0, -1)
        fit = profile(design.outcome, design.exposure, column, np.zeros(1))
        scores = unit_scores(design.outcome, fit)[:, 0]
        t.append(scores.sum() / math.sqrt((scores**2).sum()))
    assert len(found) == 90
    np.testing.assert_allclose(found, np.sort(t), rtol=SAME_FIT, atol=SAME_FIT)


def test_two_periods_are_scipys_permutation_test() -> None:
    """One cohort, the period before and the one after: a permutation test of two samples of changes."""
    panel = city("alta", 5, treated=4, controls=6, cohorts=(11,))
    window = slice(10, 13)
    panel = replace(
        panel,
        periods=panel.periods[window],
        counts=panel.counts[:, :, window],
        exposure=panel.exposure[:, window],
        first_live=np.where(panel.first_live == NEVER, NEVER, 1),
        last_live=np.where(panel.first_live == NEVER, NEVER, 1),
    )
    used = panel.role != Role.RING
    change = (panel.counts.sum(axis=0)[:, 2] - panel.counts.sum(axis=0)[:, 0])[used].astype(float)
    treated = panel.role[used] == Role.TREATED

    def t(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        variance = first.var(axis=axis) / first.shape[axis]
        variance = variance + second.var(axis=axis) / second.shape[axis]
        return np.abs(first.mean(axis=axis) - second.mean(axis=axis)) / np.sqrt(variance)

    reference = permutation_test(
        (change[treated], change[~treated]),
        t,
        permutation_type="independent",
        vectorized=True,
        n_resamples=np.inf,
        alternative="greater",
    )
    found = run(asking("group_time_att", 999, scale="count"), panel)
    assert found.details["randomisation_assignments"] == 210
    assert found.details[P_VALUE] == pytest.approx(reference.pvalue)


@pytest.mark.parametrize("name", ABLE)
def test_under_every_assignment_the_size_is_right(name: str) -> None:
    """Whichever of the 15 assignments was made, its p-value is its place among them."""
    p_values = np.array(
        [run(asking(name, 99), one).details[P_VALUE] for one in every_panel(city("a", 2, **TINY))]
    )
    for alpha in p_values:
        assert np.mean(p_values <= alpha + 1e-12) <= alpha + 1e-12
    assert p_values.min() == pytest.approx(1 / 15)


def test_controls_that_leave_keep_their_dates() -> None:
    """A control observed until its own camera comes cannot have had another's date."""
    panel = city("alta", 2, treated=2, controls=5, cohorts=(11,))
    exposure = panel.exposure.copy()
    exposure[6, 20:] = 0.0
    counts = panel.counts.copy()
    counts[:, 6, 20:] = 0
    leaves = replace(panel, exposure=exposure, counts=counts)
    found = run(asking("group_time_att", 99), leaves)
    assert found.details["randomisation_assignments"] == 15
    assert run(asking("group_time_att", 99), panel).details["randomisation_assignments"] == 21


# estimates


def cities_of_a_study() -> tuple[Panel, ...]:
    return tuple(city(f"c{i}", 20 + i, treated=8, controls=12, cohorts=(9, 14)) for i in range(3))


@pytest.mark.parametrize("name", ABLE)
def test_pooled_federated_and_in_another_order_are_the_same(name: str) -> None:
    panels, question = cities_of_a_study(), asking(name, 199)
    random = np.random.default_rng(5)
    shuffled = tuple(panel.take(random.permutation(panel.n_units)) for panel in panels)

    def each(asked: Question) -> list[Statistics]:
        return [estimator(name).summarise(panel, asked) for panel in panels[::-1]]

    pooled = run(question, *panels)
    for other in (run(question, *shuffled), estimate(estimator(name), question, each)):
        for key, value in pooled.details.items():
            if "randomisation" in key:
                assert other.details[key] == pytest.approx(value, abs=SAME)
    assert pooled.details["randomisation_assignments"] == 600
    assert any(P_VALUE in note for note in pooled.notes)
    plain = run(study(estimator=name), *panels)
    assert not any("randomisation" in key for key in plain.details)
    np.testing.assert_array_equal(plain.effect, pooled.effect)


@pytest.mark.parametrize("name", ["rate_ratio", "random_effects"])
def test_every_city_has_a_p_value_of_its_own(name: str) -> None:
    panels, question = cities_of_a_study(), asking(name, 199)
    together = run(question, *panels).details
    for panel in panels:
        (site,) = panel.sites
        alone = run(question, panel).details[P_VALUE]
        assert together[f"{P_VALUE}_{site}"] == alone
        assert 1 / 200 <= alone <= 1


def test_draws_follow_from_study_and_city() -> None:
    question = asking("group_time_att")
    assert seed_of(question, "alta") == seed_of(question, "alta")
    other = asking("group_time_att", 998)
    seeds = {seed_of(one, site) for one in (question, other) for site in ("alta", "brisa")}
    assert len(seeds) == 4


@pytest.mark.parametrize("name", ABLE)
def test_a_large_effect_is_found_and_the_smallest_p_value_is_said(name: str) -> None:
    strong = run(asking(name, 199), city("alta", 1, effect=-2.0, cohorts=(9, 14)))
    assert strong.details[P_VALUE] == pytest.approx(1 / 200)
    assert strong.details["randomisation_few"] == 0
    assert not any("to compare" in note for note in strong.notes)
    few = run(asking(name, 199), city("alta", 1, **TINY))
    assert few.details["randomisation_few"] == 1
    assert any("cannot be below 0.067" in note for note in few.notes)
    some = run(asking(name, 199), city("alta", 1, **TINY), city("brisa", 1, cohorts=(9, 14)))
    assert any("1 of 2 cities have fewer than 20" in note for note in some.notes)


def test_nothing_to_exchange_is_no_p_value() -> None:
    """Exposures that differ in shape from unit to unit: no two can have had each other's dates in a Poisson model."""
    panel = city("alta", 1)
    exposure = np.random.default_rng(2).uniform(0.5, 1.5, panel.exposure.shape)
    found = run(asking("poisson_did"), replace(panel, exposure=exposure))
    assert math.isnan(found.details[P_VALUE])
    assert any("cannot be computed" in note for note in found.notes)


# release


@pytest.mark.parametrize("name", ABLE)
def test_what_leaves_is_seven_numbers(name: str) -> None:
    panel, question = city("alta", 1), asking(name, 199)
    sizes: list[dict[str, int]] = []
    policy = Policy(studies=("any",), release_class="table")

    def ask(asked: Question) -> list[Statistics]:
        found = estimator(name).summarise(panel, asked)
        assert draft(found, policy).passed
        (fields,) = found.parts.values()
        sizes.append({key: array.size for key, array in fields.items()})
        return [found]

    estimate(estimator(name), question, ask)
    assert sizes[-1]["randomisation"] == 7
    assert all("randomisation" not in one for one in sizes[:-1])
    lonely = estimator("random_effects").summarise(
        city("alta", 1, **TINY), ask_first(estimator("random_effects"), asking("random_effects"))
    )
    assert not draft(lonely, policy).passed


def test_a_city_that_leaves_it_out_is_named_an_error() -> None:
    for name in ("group_time_att", "random_effects"):
        question = ask_first(estimator(name), asking(name, 99))
        found = merge_all([estimator(name).summarise(city("alta", 1), question)])
        for wrong in (None, np.zeros(7), np.ones(6)):
            parts = {
                key: {
                    **{one: array for one, array in fields.items() if one != "randomisation"},
                    **({} if wrong is None else {"randomisation": wrong}),
                }
                for key, fields in found.parts.items()
            }
            with pytest.raises(EstimationError, match="randomisation"):
                estimator(name).finalise(replace(found, parts=parts), question)


# studies


@pytest.mark.parametrize("name", sorted(set(estimators()) - set(ABLE)))
def test_estimators_without_it_say_so(name: str) -> None:
    with pytest.raises(ConfigError, match="no randomisation test"):
        ask_first(estimator(name), asking(name))
    if name not in ("linear_did", "wdd"):  # which are no rate ratios
        with pytest.raises(ConfigError, match="no randomisation test"):
            ask_first(estimator("random_effects"), asking("random_effects", first_stage=name))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("group_time_att", {"control_pool": "pooled"}),
        ("poisson_did", {"design": "event_time"}),
        ("random_effects", {"design": "event_time"}),
    ],
)
def test_options_without_it_say_so(name: str, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="randomisation is given with"):
        ask_first(estimator(name), asking(name, **options))


def test_placebo_dates_do_not_go_with_it() -> None:
    question = asking("group_time_att")
    earlier = msgspec.structs.replace(question.treatment, placebo_periods=3)
    with pytest.raises(ConfigError, match="placebo_periods"):
        check_study(msgspec.structs.replace(question, treatment=earlier))
    (derived,) = placebo_outcomes(question, [("vehicle_theft",)])
    assert derived.study.analysis.reassignments == 0


def test_a_study_without_it_keeps_its_hash() -> None:
    plain, none = study(estimator="rate_ratio"), asking("rate_ratio", 0)
    assert study_hash(plain) == study_hash(none)
    assert b"randomisation" not in msgspec.json.encode(none)
    assert study_hash(asking("rate_ratio", 99)) != study_hash(plain)


@pytest.mark.parametrize("number", [-1, 10_000])
def test_the_number_of_draws_is_bounded(number: int) -> None:
    plain = msgspec.to_builtins(study().analysis)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**plain, "randomisation": number}, type(study().analysis))


# what people see


def result_of(found: Estimate) -> dict[str, object]:
    return {
        "study": {"name": "test", "title": "Test", "hash": "0" * 64},
        "estimate": found.to_dict(),
        "claim": None,
        "verdict": None,
        "absent": [],
        "placebo": [],
        "checks": [],
        "files": {},
    }


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_the_report_says_it(language: str, tmp_path: Path) -> None:
    usual = run(asking("rate_ratio", 199), city("alta", 1))
    page = write_page(result_of(usual), tmp_path, language).read_text(encoding="utf-8")
    said = words(language)
    start = said("randomisation_line", p="|", count="|").split("|")[0]
    assert start in page
    assert "200" in page
    assert said("randomisation_few", p="|").split("|")[0] not in page
    few = run(asking("rate_ratio", 199), city("alta", 1, **TINY))
    page = write_page(result_of(few), tmp_path, language).read_text(encoding="utf-8")
    assert said("randomisation_few", p="|").split("|")[0] in page
    plain = run(study(estimator="rate_ratio"), city("alta", 1))
    assert start not in write_page(result_of(plain), tmp_path, language).read_text(encoding="utf-8")


def test_the_terminal_says_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = run(asking("rate_ratio", 199), city("alta", 1, **TINY))
    print_result(result_of(found))
    assert "Re-dated: p = " in capsys.readouterr().out
    print_result(result_of(run(study(estimator="rate_ratio"), city("alta", 1))))
    assert "Re-dated" not in capsys.readouterr().out
