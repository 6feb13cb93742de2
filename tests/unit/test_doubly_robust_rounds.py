"""The rounds of doubly_robust with pooled controls: what a question carries, what leaves, and what stops them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.config import Policy
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import MAX_ROUNDS, Question, estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.gate import draft, review
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.release import parse_release, release_bytes
from evalkit.errors import EstimationError, RefusalError, SeparationError
from evalkit.estimators._doubly_robust_pooled import LAST_ROUND
from evalkit.estimators._doubly_robust_state import (
    LENGTH,
    Agreed,
    agreed_of,
    blocks_in,
    numbers_of,
    plan_of,
)
from evalkit.federation.run_folder import RunFolder
from evalkit.numerics.doubly_robust import TRIMMED_FROM
from evalkit.runtimes.local import run_local
from evalkit.runtimes.pooled import ask_pooled
from evalkit.runtimes.replay import ask_replay
from tests.audits import audit_beside
from tests.conformance import test_estimators as suite
from tests.panels import cities, city, study
from tests.stores import store_of

# Half a thousand units, one round after another: the same sums in another order.
SAME = 1e-12

# Small cities may not say much; these tests are about other rules. No policy can allow more.
LOOSE = Policy(studies=("any",), release_class="table", max_parameters_per_cluster=1.0)


def larger() -> tuple[Panel, ...]:
    return tuple(
        city(name, seed, treated=60, controls=80)
        for seed, name in enumerate(("alta", "brisa", "clara"), start=1)
    )


def pooled_study(**analysis: object) -> Study:
    asked = {"control_pool": "pooled", "covariates": ("level",), **analysis}
    return study(estimator="doubly_robust", **asked)


def questions(panels: tuple[Panel, ...], asked: Study) -> tuple[list[Question], Estimate]:
    seen: list[Question] = []
    pooled = ask_pooled(panels)

    def ask(question: Question) -> list[Statistics]:
        seen.append(question)
        return list(pooled(question))

    return seen, estimate(estimator("doubly_robust"), asked, ask)


def run(panels: tuple[Panel, ...], **analysis: object) -> Estimate:
    return questions(panels, pooled_study(**analysis))[1]


@pytest.mark.parametrize(
    "law",
    [
        suite.test_split_and_merge_is_the_whole,
        suite.test_pooled_equals_one_city_after_another,
        suite.test_order_of_cities_is_irrelevant_to_the_last_bit,
        suite.test_merge_is_associative_and_commutative,
        suite.test_order_of_units_is_irrelevant,
        suite.test_units_of_other_roles_do_not_matter,
        suite.test_scaling_the_exposure_of_a_city_changes_nothing,
        suite.test_renaming_cities_changes_nothing_but_names,
        suite.test_tables_have_the_fixed_columns,
        suite.test_recovers_a_known_effect,
        suite.test_question_carries_nothing_but_names_and_numbers,
    ],
    ids=lambda law: law.__name__.removeprefix("test_"),
)
def test_conformance_holds_when_controls_are_pooled(
    law: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "study_for", lambda _: pooled_study(covariates=("level", "trend")))
    law("doubly_robust")


def test_released_encoded_decoded_is_identical_when_controls_are_pooled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "study_for", lambda _: pooled_study())
    monkeypatch.setattr(suite, "OPEN_POLICY", LOOSE)
    monkeypatch.setattr(suite, "cities", larger)
    suite.test_released_encoded_decoded_is_identical("doubly_robust", tmp_path)


def test_gates_answer_every_round_of_an_honest_server(tmp_path: Path) -> None:
    """With the default trust region and round budget; and the estimate is that without gates."""
    panels, one, asked = larger(), estimator("doubly_robust"), pooled_study()

    def ask(question: Question) -> list[Statistics]:
        releases = [
            review(
                one.summarise(panel, question),
                question,
                LOOSE,
                Ledger(tmp_path / f"{panel.sites[0]}.jsonl"),
                fingerprint=panel.fingerprint,
                site=panel.sites[0],
                audit=audit_beside(Ledger(tmp_path / f"{panel.sites[0]}.jsonl"), panel, asked),
            )
            for panel in panels
        ]
        return [parse_release(release_bytes(release)) for release in releases]

    found = estimate(one, asked, ask)
    plain = run(panels)
    np.testing.assert_array_equal(found.effect, plain.effect)
    np.testing.assert_array_equal(found.covariance, plain.covariance)


def test_over_flower_and_from_the_run_folder_the_bits_are_the_same(tmp_path: Path) -> None:
    asked = pooled_study()
    run_folder = RunFolder.create(tmp_path / "run", asked)
    stores = [store_of(panel, asked, tmp_path / "stores", LOOSE) for panel in larger()]
    found = run_local(run_folder, stores)
    again = estimate(estimator("doubly_robust"), asked, ask_replay(RunFolder(tmp_path / "run")))
    assert again.effect.tobytes() == found.effect.tobytes()
    assert again.covariance.tobytes() == found.covariance.tobytes()
    prepared = tuple(prepare(panel, asked, LOOSE).panel for panel in larger())
    plain = run(prepared)
    np.testing.assert_allclose(found.effect, plain.effect, rtol=0, atol=SAME)
    np.testing.assert_allclose(found.covariance, plain.covariance, rtol=0, atol=SAME)


def test_the_privacy_page_names_all_that_leaves() -> None:
    panel, one, asked = city("alta", 1), estimator("doubly_robust"), pooled_study()
    seen, _ = questions((panel,), asked)
    page = Path(__file__).parents[2] / "docs/privacy/doubly_robust.md"
    pooled_part = page.read_text(encoding="utf-8").partition("## pooled")[2]
    for question in seen:
        assert f"Stage `{question.stage}`" in pooled_part
        (fields,) = one.summarise(panel, question).parts.values()
        assert all(f"`{name}`" in pooled_part for name in fields)


@pytest.mark.parametrize("control_group", ["never", "not_yet"])
def test_parameters_start_at_zero_and_move_by_small_steps(control_group: str) -> None:
    seen, found = questions(cities(), pooled_study(control_group=control_group))
    assert [question.round for question in seen] == list(range(len(seen)))
    stages = [question.stage for question in seen]
    assert stages[:2] == ["blocks", "covariates"]
    assert stages[2:-1] == ["propensity"] * (len(seen) - 3)
    assert stages[-1] == "moments"
    assert found.details["rounds"] == len(seen) <= 12
    assert {len(question.parameters) for question in seen} == {LENGTH}
    assert not seen[0].parameters.any()
    for before, after in itertools.pairwise(seen):
        assert np.abs(after.parameters - before.parameters).max() <= LOOSE.max_step


def test_a_jump_is_refused_by_the_gate(tmp_path: Path) -> None:
    panel, one = cities()[0], estimator("doubly_robust")
    seen, _ = questions(cities(), pooled_study())
    ledger = Ledger(tmp_path / "ledger.jsonl")

    def answer(question: Question) -> None:
        statistics = one.summarise(panel, question)
        review(
            statistics,
            question,
            LOOSE,
            ledger,
            fingerprint=panel.fingerprint,
            site=panel.sites[0],
            audit=audit_beside(ledger, panel, question.study),
        )

    for question in seen[:3]:
        answer(question)
    far = seen[3].parameters.copy()
    far[np.flatnonzero(far)[-1]] += 4.0
    with pytest.raises(RefusalError) as caught:
        answer(replace(seen[3], parameters=far))
    assert caught.value.rules == ("max_step",)


def test_a_scale_that_singles_out_one_unit_is_refused_as_dominance() -> None:
    """Coefficients can stay small and covariates be stretched instead: the share of the information tells."""
    panel, one, asked = cities()[0], estimator("doubly_robust"), pooled_study()
    seen, _ = questions(cities(), asked)
    agreed, _ = agreed_of(seen[2].parameters, asked)
    (design,) = design_of(panel, asked)
    level = np.sort(design.outcome[:, :6].mean(axis=1))
    stretched = replace(
        agreed,
        means=np.array([level[-1]]),
        spreads=np.array([1e-3]),
        coefficients=np.array([[0.0, 2.0]] * len(agreed.coefficients)),
    )
    honest, chosen = (
        draft(one.summarise(panel, replace(seen[2], parameters=numbers_of(each))), LOOSE)
        for each in (agreed, stretched)
    )
    assert honest.passed
    failed = {verdict.rule for verdict in chosen.verdicts if not verdict.passed}
    assert "max_two_unit_share" in failed


def test_support_is_true() -> None:
    """Both sides of every comparison recounted by hand; never-treated controls, so one comparison a cohort."""
    panel, one, asked = city("alta", 1), estimator("doubly_robust"), pooled_study()
    seen, _ = questions((panel,), asked)
    (design,) = design_of(panel, asked)
    until = int(design.first_live[design.ever_treated].min())
    never = ~design.ever_treated
    for question in seen[2:]:
        (support,) = one.summarise(panel, question).support
        found = {c.pattern: (c.units, c.incidents, c.treated) for c in support.cells}
        for number, first in enumerate((8, 11, 14), start=1):
            name = f"of comparison {number} (cohort {design.period_names[first]})"
            for side, units in (("treated units", design.first_live == first), ("controls", never)):
                early = int(design.outcome[units, :until].sum())
                expected = (int(units.sum()), early, side == "treated units")
                assert found[f"{side} {name} before"] == expected
                if question.stage == "moments":
                    later = int(design.outcome[units, first + 1 :].sum())
                    base = int(design.outcome[units, first - 1].sum())
                    assert found[f"{side} {name}, target 0, later"][1] == later
                    assert found[f"{side} {name}, target 0, base"][1] == base
        numbers = 3 * 2 + (3 * 14 if question.stage == "moments" else 0)
        assert support.parameters == numbers
        assert support.clusters == len(design.outcome)
    statistics = one.summarise(panel, seen[-1]).total()
    assert statistics["sums"].shape == (42,)
    assert statistics["cross"].shape == (42, 42)


def test_default_policy_lets_a_large_city_answer_and_no_small_one() -> None:
    one, asked, default = estimator("doubly_robust"), pooled_study(), Policy(studies=("any",))
    for treated, controls, passes in ((18, 25, False), (150, 400, True)):
        panel = city("alta", 1, treated=treated, controls=controls)
        seen, _ = questions((panel,), asked)
        drafts = [draft(one.summarise(panel, question), default) for question in seen]
        assert all(one.passed for one in drafts) == passes
        failed = {v.rule for d in drafts for v in d.verdicts if not v.passed}
        assert failed == (set() if passes else {"max_parameters_per_cluster"})


def by_level(level: np.ndarray, treated: np.ndarray, seed: int = 0) -> Panel:
    """Counts are exactly ``level`` in the six periods before cameras, and Poisson after: it is the covariate."""
    random = np.random.default_rng(seed)
    after = random.poisson(np.maximum(level, 1)[:, None], (len(level), 6))
    live = np.where(treated, 6, NEVER)
    return Panel(
        sites=("us",),
        crime_types=("robbery", "theft"),
        periods=tuple(dt.date(2020, month, 1) for month in range(1, 13)),
        unit_ids=np.array([f"u{i:04d}" for i in range(len(level))]),
        site_of_unit=np.zeros(len(level), dtype=np.int64),
        role=np.where(treated, int(Role.TREATED), int(Role.CONTROL)),
        first_live=live,
        last_live=live.copy(),
        counts=np.stack([np.hstack([np.repeat(level[:, None], 6, axis=1), after])] * 2),
        exposure=np.ones((len(level), 12)),
    )


def halves(panel: Panel) -> tuple[Panel, Panel]:
    rows = np.arange(panel.n_units)
    return replace(panel.take(rows[::2]), sites=("a",)), replace(
        panel.take(rows[1::2]), sites=("b",)
    )


def test_complete_separation_is_an_error_after_few_rounds() -> None:
    level = np.r_[np.arange(10, 40), np.arange(50, 80)]
    panel = by_level(level, level >= 50)
    seen: list[Question] = []
    pooled = ask_pooled(halves(panel))

    def ask(question: Question) -> list[Statistics]:
        seen.append(question)
        return list(pooled(question))

    with pytest.raises(SeparationError, match="apart completely") as caught:
        estimate(estimator("doubly_robust"), pooled_study(), ask)
    assert caught.value.code == "ESTIMATE-SEPARATION"
    assert "control_group" in str(caught.value.way_out)
    assert len(seen) < 12
    with pytest.raises(SeparationError, match="apart"):
        run((panel,), control_pool="within_city")


def test_separation_up_to_ties_is_an_error_within_the_round_budget() -> None:
    """Both groups share one level, and no other: the likelihood has a limit, the coefficients have none."""
    level = np.r_[np.arange(10, 40), np.full(6, 40), np.arange(41, 70)]
    treated = level > 40
    treated[30:33] = True
    with pytest.raises(SeparationError, match="apart"):
        run(halves(by_level(level, treated)))
    assert LAST_ROUND + 1 < MAX_ROUNDS
    with pytest.raises(SeparationError, match="apart"):
        run((by_level(level, treated),), control_pool="within_city")


def crossing(beyond: int) -> Panel:
    """Treatment follows the level; a few controls stand where nearly all others are treated."""
    random = np.random.default_rng(5)
    level = random.poisson(60, 900)
    treated = random.random(900) < 1 / (1 + np.exp(-(level - 60) / 3))
    controls = np.flatnonzero(~treated)
    level[controls[0]] = beyond
    return by_level(level, treated, 5)


def test_controls_all_but_certain_to_be_treated_are_trimmed_and_said() -> None:
    found = run(halves(crossing(78)), scale="count")
    alone = run((crossing(78),), control_pool="within_city", scale="count")
    for one in (found, alone):
        assert one.details["controls_trimmed"] >= 1
        assert any(f"propensity is {TRIMMED_FROM:g} or more" in note for note in one.notes)
    np.testing.assert_allclose(found.effect, alone.effect, rtol=0, atol=SAME * 100)
    np.testing.assert_allclose(found.covariance, alone.covariance, rtol=1e-9)
    none = run(cities())
    assert none.details["controls_trimmed"] == 0
    assert not any("no weight" in note for note in none.notes)


def test_a_control_certain_to_be_treated_is_an_error() -> None:
    with pytest.raises(SeparationError, match="do not overlap"):
        run(halves(crossing(88)))
    with pytest.raises(SeparationError):
        run((crossing(88),), control_pool="within_city")


def test_one_treated_unit_in_two_hundred_settles() -> None:
    random = np.random.default_rng(8)
    panel = by_level(random.poisson(30, 1600), np.arange(1600) % 200 == 0, 8)
    found = run(halves(panel), scale="count")
    assert found.details["rounds"] <= 14
    alone = run((panel,), control_pool="within_city", scale="count")
    np.testing.assert_allclose(found.effect, alone.effect, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.covariance, alone.covariance, rtol=1e-9)


def test_what_has_no_covariates_is_an_error() -> None:
    flat = by_level(np.full(60, 9), np.arange(60) < 20)
    with pytest.raises(EstimationError, match="the same for all units"):
        run(halves(flat))
    early = tuple(city(name, seed, cohorts=(2, 14)) for seed, name in enumerate("ab"))
    with pytest.raises(EstimationError, match="too few periods before the first go-live of any"):
        run(early, covariates=("trend",))
    gap = cities()[0]
    exposure = gap.exposure.copy()
    exposure[4, :8] = 0  # its cohort goes live in period 11: it is compared
    with pytest.raises(EstimationError, match="a unit is observed in too few periods"):
        run((replace(gap, exposure=exposure, counts=gap.counts * (exposure > 0)),))


def test_units_treated_from_the_start_do_not_take_the_others_covariates_away() -> None:
    panel = city("alta", 1)
    live = panel.first_live.copy()
    live[:3] = 0
    with_old = replace(panel, first_live=live, last_live=live.copy())
    without = with_old.take(np.flatnonzero(live != 0))
    np.testing.assert_allclose(run((with_old,)).effect, run((without,)).effect, rtol=0, atol=1e-12)


def test_too_many_cohorts_are_an_error() -> None:
    monthly = city("alta", 1, treated=120, cohorts=tuple(range(4, 22)))
    with pytest.raises(EstimationError, match="too many cohorts and comparisons") as caught:
        run((monthly,), control_group="not_yet")
    assert np.isfinite(run((monthly,)).effect[0])
    assert str(LENGTH) in str(caught.value)


def agreed(seed: int, periods: int) -> tuple[Agreed, Study]:
    random = np.random.default_rng(seed)
    cohorts = np.array([[NEVER, NEVER], [3, 4], [5, 5], [5, 7]])
    observed = np.ones((4, periods), dtype=bool)
    observed[1:, :] = random.random((3, periods)) < 0.9
    observed[:, :3] = True
    blocks = blocks_in(cohorts, observed)
    asked = pooled_study(covariates=("level", "trend"))
    comparisons = plan_of(blocks, asked).comparisons
    return Agreed(
        blocks,
        random.normal(0, 10.0 ** random.integers(-8, 9), 2),
        random.gamma(1, 10.0 ** random.integers(-8, 9), 2),
        random.normal(0, 3, (len(comparisons), 3)),
    ), asked


@given(st.integers(0, 10_000), st.integers(9, 120))
def test_numbers_of_a_question_come_back(seed: int, periods: int) -> None:
    sent, asked = agreed(seed, periods)
    numbers = numbers_of(sent)
    back, plan = agreed_of(numbers, asked)
    for name in ("observed", "first", "start"):
        np.testing.assert_array_equal(getattr(back.blocks, name), getattr(sent.blocks, name))
    np.testing.assert_allclose(back.means, sent.means, rtol=1e-12)
    np.testing.assert_allclose(back.spreads, sent.spreads, rtol=1e-12)
    np.testing.assert_array_equal(back.coefficients, sent.coefficients)
    assert len(plan.comparisons) == len(sent.coefficients)
    assert plan.targets == 1
    # what is no coefficient is far below the trust region
    assert np.abs(numbers[: 2 + 4 * (1 + -(-periods // 48)) + 4]).max() < 0.1


@given(st.integers(0, 10_000))
def test_numbers_nobody_wrote_are_an_error(seed: int) -> None:
    random = np.random.default_rng(seed)
    sent, asked = agreed(seed, 24)
    numbers = numbers_of(sent)
    spoilt = numbers.copy()
    spoilt[random.integers(0, 10)] = random.choice([-1.0, 1e-3, 0.5, 2.0, -(2.0**-60)])
    for wrong in (spoilt, np.zeros(LENGTH), numbers[:50], np.empty(0)):
        question = Question(asked, "doubly_robust", "propensity", 2, wrong)
        with pytest.raises(EstimationError):
            estimator("doubly_robust").summarise(cities()[0], question)


@pytest.mark.parametrize("stage", ["blocks", "propensity", "moments", "everything", "totals"])
def test_a_round_that_the_approved_study_does_not_need_is_not_answered(stage: str) -> None:
    pool = "pooled" if stage in ("totals", "everything") else "within_city"
    seen, _ = questions(cities(), pooled_study())
    asked = Question(pooled_study(control_pool=pool), "doubly_robust", stage, 2, seen[2].parameters)
    with pytest.raises(EstimationError, match="stage"):
        estimator("doubly_robust").summarise(cities()[0], asked)


def test_an_unknown_cohort_is_an_error() -> None:
    seen, _ = questions(cities()[:2], pooled_study())
    with pytest.raises(EstimationError, match="does not know all cohorts"):
        estimator("doubly_robust").summarise(cities()[2], seen[2])


def test_all_cities_send_all_comparisons() -> None:
    """So that a city without a cohort adds its controls to that cohort's comparison, and zeros for the treated."""
    panels, asked, one = cities(), pooled_study(), estimator("doubly_robust")
    seen, _ = questions(panels, asked)
    shapes = [one.summarise(panel, seen[2]).total()["score"].shape for panel in panels]
    assert shapes == [(5, 2)] * 4
    merged = merge_all([one.summarise(panel, seen[2]) for panel in panels])
    assert merged.total()["information"].shape == (5, 2, 2)
