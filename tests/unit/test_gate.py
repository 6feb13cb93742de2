"""Every rule of the gate refuses what it should, lets through what it should, and leaves a line in the ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.core.panel import NEVER, Role
from evalkit.core.statistics import Cell, Statistics, Support
from evalkit.disclosure import gate
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.release import _SEAL, Release, parse_release, release_bytes
from evalkit.disclosure.rules import judge
from evalkit.errors import BadMessageError, LedgerError, RefusalError
from evalkit.federation.codec import encode_release
from tests.audits import audit_beside
from tests.panels import OPEN_POLICY, city, study

GOOD = Support(
    site="alta",
    cells=(
        Cell("2020-09-01", "before", True, 6, 120, 0.4),
        Cell("2020-09-01", "after", True, 6, 90, 0.4),
        Cell("2021-01-01", "before", True, 6, 120, 0.4),
        Cell("2021-01-01", "after", True, 6, 90, 0.4),
        Cell("never", "all", False, 30, 900, 0.1),
    ),
    clusters=42,
    parameters=1,
    residual_df=500,
)


def with_cell(index: int, **changes: float) -> Support:
    cells = list(GOOD.cells)
    cells[index] = replace(cells[index], **changes)
    return replace(GOOD, cells=tuple(cells))


def failed(support: Support) -> set[str]:
    return {verdict.rule for verdict in judge(support, OPEN_POLICY) if not verdict.passed}


def test_good_support_passes_every_rule() -> None:
    assert failed(GOOD) == set()
    assert len(judge(GOOD, OPEN_POLICY)) == 8


@pytest.mark.parametrize(
    ("support", "rule"),
    [
        (with_cell(1, incidents=9), "min_incidents"),
        (with_cell(1, incidents=0), "min_incidents"),
        (with_cell(0, units=4), "min_treated_per_pattern"),
        (with_cell(4, units=9), "min_control_per_pattern"),
        (with_cell(3, largest_two=0.91), "max_two_unit_share"),
        (replace(GOOD, parameters=5), "max_parameters_per_cluster"),
        (replace(GOOD, residual_df=9), "min_residual_df"),
        (replace(GOOD, clusters=9), "min_clusters"),
        (replace(GOOD, cells=GOOD.cells[2:]), "min_units"),
        (replace(GOOD, cells=GOOD.cells[4:]), "min_treated_per_pattern"),
        (replace(GOOD, cells=GOOD.cells[:4]), "min_control_per_pattern"),
        (replace(GOOD, cells=()), "support"),
    ],
)
def test_each_rule_refuses_one_step_beyond_its_limit(support: Support, rule: str) -> None:
    assert rule in failed(support)


@pytest.mark.parametrize(
    ("support"),
    [
        with_cell(1, incidents=10),
        with_cell(0, units=5),
        with_cell(4, units=10),
        with_cell(3, largest_two=0.90),
        replace(GOOD, parameters=4),
        replace(GOOD, residual_df=10),
        replace(GOOD, clusters=10),
    ],
)
def test_each_rule_passes_at_its_limit(support: Support) -> None:
    assert failed(support) == set()


def ask(number: int = 0, at: float = 0.0) -> Question:
    asked = study(estimator="poisson_did")
    return Question(asked, "poisson_did", "score", number, np.array([at]))


def answer(question: Question, ledger: Ledger, policy=OPEN_POLICY) -> Release:
    panel = city("alta", 1)
    statistics = estimator("poisson_did").summarise(panel, question)
    return gate.review(
        statistics,
        question,
        policy,
        ledger,
        fingerprint=panel.fingerprint,
        site="alta",
        audit=audit_beside(ledger, panel, question.study),
    )


def test_a_release_exists_only_after_its_ledger_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    release = answer(ask(), ledger)
    (entry,) = ledger.entries()
    assert entry["outcome"] == "released"
    assert entry["bytes"] == len(release_bytes(release))
    assert all(verdict["passed"] for verdict in entry["verdicts"])


def test_no_release_when_the_ledger_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(LedgerError, match="cannot be read"):
        answer(ask(), Ledger(tmp_path / "ledger.jsonl"))


@pytest.mark.parametrize(
    ("question", "policy", "rule"),
    [
        (ask(at=np.nan), OPEN_POLICY, "finite"),
        (ask(at=np.inf), OPEN_POLICY, "finite"),
        (ask(at=2.5), OPEN_POLICY, "max_step"),
        (ask(at=-10.0), OPEN_POLICY, "max_step"),
        (ask(number=30), OPEN_POLICY, "max_rounds"),
        (ask(number=-1), OPEN_POLICY, "max_rounds"),
        (ask(number=1, at=0.1), OPEN_POLICY, "max_step"),
        (ask(), None, "policy"),
        (ask(), replace_struct(OPEN_POLICY, studies=()), "studies"),
        (ask(), replace_struct(OPEN_POLICY, release_class="estimate"), "release_class"),
        (replace(ask(), estimator="rate_ratio"), OPEN_POLICY, "estimator"),
        (replace(ask(), estimator="made_up"), OPEN_POLICY, "estimator"),
        (replace(ask(), parameters=np.zeros(201)), OPEN_POLICY, "max_parameters"),
        (replace(ask(), parameters=np.zeros((1, 1))), OPEN_POLICY, "max_parameters"),
    ],
)
def test_a_bad_question_is_refused_before_any_data_are_touched(
    question: Question, policy, rule: str, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(RefusalError) as caught:
        gate.admit(question, policy, ledger, "f" * 64)
    assert caught.value.rules == (rule,)
    (entry,) = ledger.entries()
    assert (entry["outcome"], entry["rules"]) == ("refused", [rule])


def test_steps_must_follow_an_answered_round(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    answer(ask(), ledger)
    answer(ask(number=1, at=-0.2), ledger)
    with pytest.raises(RefusalError, match="too far"):
        answer(ask(number=2, at=5.0), ledger)


def test_steps_of_a_long_question_follow_one_another_too(tmp_path: Path) -> None:
    """The next step is held against all parameters in the ledger, however many the city allows."""
    ledger, many = Ledger(tmp_path / "ledger.jsonl"), 300
    policy = replace_struct(OPEN_POLICY, max_parameters=many)
    statistics = estimator("poisson_did").summarise(city("alta", 1), ask())
    for number, at in ((0, 0.5), (1, 1.0)):
        question = replace(ask(number), parameters=np.full(many, at))
        gate.review(
            replace(statistics, stage=question.stage),
            question,
            policy,
            ledger,
            fingerprint="0" * 64,
            site="alta",
            audit=audit_beside(ledger, city("alta", 1), question.study),
        )
    assert [len(entry["parameters"]) for entry in ledger.entries()] == [many, many]


def test_the_budget_counts_distinct_questions_and_repeats_are_free(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    policy = replace_struct(OPEN_POLICY, max_rounds=3)
    for at in (0.0, 0.1, 0.2, 0.1, 0.0):
        answer(ask(at=at), ledger, policy)
    with pytest.raises(RefusalError, match="as many different questions"):
        answer(ask(at=0.3), ledger, policy)


def test_statistics_of_several_cities_or_without_support_do_not_pass(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    panel, question = city("alta", 1), ask()
    good = estimator("poisson_did").summarise(panel, question)
    for bad in (
        replace(good, support=()),
        replace(good, parts={("brisa",): next(iter(good.parts.values()))}),
        replace(good, parts={("alta",): {"score": np.array([np.nan])}}),
        replace(good, support=(*good.support, *good.support)),
    ):
        with pytest.raises(RefusalError):
            gate.review(
                bad,
                question,
                OPEN_POLICY,
                ledger,
                fingerprint="0" * 64,
                site="alta",
                audit=audit_beside(ledger, panel, question.study),
            )
    assert all(entry["outcome"] == "refused" for entry in ledger.entries())


def test_only_the_gate_makes_releases_and_only_releases_are_encoded() -> None:
    fields = {"score": np.zeros(1)}
    with pytest.raises(TypeError, match="only the disclosure gate"):
        Release("a", "0" * 64, "poisson_did", "score", 0, "additive", fields, object())
    statistics = Statistics("poisson_did", "score", "additive", {("a",): fields})
    with pytest.raises(TypeError, match="only a Release"):
        encode_release(statistics)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("cut", [0, 1, 20, -1, -8, -9])
def test_damaged_release_bytes_are_refused(cut: int) -> None:
    release = Release(
        "a", "0" * 64, "poisson_did", "score", 0, "additive", {"score": np.arange(3.0)}, _SEAL
    )
    data = release_bytes(release)
    parse_release(data)
    with pytest.raises(BadMessageError):
        parse_release(data[:cut])


@pytest.mark.parametrize("shape", [[0, 1 << 62], [1] * 70 + [3], [-1, -3], [1 << 62, 4]])
def test_release_bytes_with_an_impossible_shape_are_refused(shape: list[int]) -> None:
    """Some hold as many numbers as follow, and no array can have them all the same."""
    release = Release(
        "a", "0" * 64, "poisson_did", "score", 0, "additive", {"score": np.arange(3.0)}, _SEAL
    )
    header, _, numbers = release_bytes(release).partition(b"\n")
    changed = header.replace(b"[3]", str(shape).replace(" ", "").encode())
    assert changed != header
    with pytest.raises(BadMessageError):
        parse_release(changed + b"\n" + (b"" if 0 in shape else numbers))


def test_small_cohorts_are_merged_until_large_enough() -> None:
    """18 treated units in nine go-live months of two: no month has five, every half-year has six."""
    panel = city("alta", 1, treated=18, cohorts=(4, 5, 6, 7, 8, 9, 10, 11, 12))
    prepared = prepare(panel, study(), OPEN_POLICY)
    treated = prepared.panel.role == Role.TREATED
    intervals = np.stack([prepared.panel.first_live, prepared.panel.last_live])[:, treated]
    kinds, sizes = np.unique(intervals, axis=1, return_counts=True)
    assert (sizes >= OPEN_POLICY.min_treated_per_pattern).all()
    assert kinds.shape[1] > 1
    assert (kinds[0] <= kinds[1]).all()
    assert prepared.notes
    (support,) = estimator("poisson_did").summarise(prepared.panel, ask()).support
    assert failed(support) == set()


def test_large_cohorts_are_left_alone() -> None:
    panel = city("alta", 1)
    prepared = prepare(panel, study(), OPEN_POLICY)
    np.testing.assert_array_equal(prepared.panel.first_live, panel.first_live)
    np.testing.assert_array_equal(prepared.panel.last_live, panel.last_live)
    assert prepared.notes == ()


def test_cohorts_that_stay_small_are_refused_or_set_apart() -> None:
    panel = city("alta", 1, treated=13, cohorts=(3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 16, 16))
    asked = study()
    with pytest.raises(RefusalError) as caught:
        prepare(panel, asked, OPEN_POLICY)
    assert caught.value.rules == ("min_treated_per_pattern",)
    apart = replace_struct(
        asked, federation=replace_struct(asked.federation, small_cohorts="set_apart")
    )
    prepared = prepare(panel, apart, OPEN_POLICY)
    assert (prepared.panel.role == Role.SET_APART).sum() == 2
    assert ((prepared.panel.role == Role.TREATED) & (prepared.panel.first_live == 16)).sum() == 0


def test_a_cohort_of_which_two_places_hold_nearly_all_is_merged_like_a_small_one() -> None:
    panel = city("alta", 1, treated=24, cohorts=(6, 12))
    counts = panel.counts.copy()
    early = np.flatnonzero((panel.first_live == 6) & (panel.role == Role.TREATED))
    counts[:, early[2:]] = 0
    counts[:, early[:2]] = 9
    dominated = replace(panel, counts=counts)
    prepared = prepare(dominated, study(), OPEN_POLICY)
    assert prepared.notes
    assert (prepared.panel.first_live[early] < prepared.panel.last_live[early]).all()
    (support,) = estimator("poisson_did").summarise(prepared.panel, ask()).support
    assert "max_two_unit_share" not in failed(support)
    loose = replace_struct(OPEN_POLICY, max_two_unit_share=1.0)
    assert prepare(dominated, study(), loose).notes == ()


def test_lonely_controls_are_set_apart() -> None:
    panel = city("alta", 1)
    exposure = panel.exposure.copy()
    control = np.flatnonzero(panel.first_live == NEVER)[:3]
    exposure[control, 12:] = 0
    prepared = prepare(replace(panel, exposure=exposure), study(), OPEN_POLICY)
    assert (prepared.panel.role[control] == Role.SET_APART).all()


def test_refusals_never_carry_counts_of_the_data(tmp_path: Path) -> None:
    """What leaves is the rule's name; the sentence with the count stays in the verdict, in the city."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    panel, question = city("alta", 1, treated=18, rate=0.02), ask()
    statistics = estimator("poisson_did").summarise(city("alta", 1), question)
    poor = replace(statistics, support=(with_cell(1, incidents=7),))
    with pytest.raises(RefusalError) as caught:
        gate.review(
            poor,
            question,
            OPEN_POLICY,
            ledger,
            fingerprint=panel.fingerprint,
            site="alta",
            audit=audit_beside(ledger, panel, question.study),
        )
    assert caught.value.rules == ("min_incidents",)
    assert "7" not in str(caught.value)
