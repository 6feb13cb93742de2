"""Which cell has which coefficient, what is joined, and what the gate makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, estimate
from evalkit.core.event_design import (
    cells_by_column,
    columns_of,
    effects_of,
    grid_of,
    join_columns,
)
from evalkit.core.panel import NEVER, Panel
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.disclosure.gate import admit, draft, review
from evalkit.disclosure.ledger import Ledger
from evalkit.errors import ConfigError, EstimationError, RefusalError, SeparationError
from evalkit.runtimes.pooled import ask_pooled
from tests.audits import audit_beside
from tests.panels import OPEN_POLICY, PERIODS, city, study

WINDOW = (-3, 4)


def asked(design: str, window: tuple[int, int] = WINDOW, name: str = "poisson_did") -> Study:
    return study(estimator=name, design=design, event_window=window)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [WINDOW, (-1, 2), (-1, 0), (-30, 30)])
@pytest.mark.parametrize("design", ["event_time", "cohort_event_time"])
def test_columns_by_a_slow_loop(design: str, window: tuple[int, int]) -> None:
    """Go-live months 8, 11 (2020) and 14 (2021); the go-live month itself is dropped."""
    question = asked(design, window)
    grid = grid_of(question)
    (made,) = design_of(city("alta", 1), question)
    columns = columns_of(made, grid)
    for unit, live in enumerate(made.first_live):
        for period in range(PERIODS):
            since = period - live - 1 if period > live else period - live
            event = max(window[0], min(window[1], int(since)))
            if live in (NEVER, period) or event == -1:
                assert columns[unit, period] == -1
                continue
            prefix = f"cohort {2020 + live // 12} " if design == "cohort_event_time" else ""
            assert grid.name(int(columns[unit, period])) == f"{prefix}event time {event}"


def test_the_grid_follows_from_the_study_alone() -> None:
    assert grid_of(asked("static")).size == 1
    assert grid_of(asked("event_time")).size == 7
    grid = grid_of(asked("cohort_event_time"))
    assert (grid.cohorts, grid.size) == (("2020", "2021"), 14)
    assert grid_of(asked("event_time", (-1, 3))).event_times == (0, 1, 2, 3)


@pytest.mark.parametrize("window", [(0, 5), (-5, -1), (3, 1)])
def test_a_window_without_before_and_after_is_refused(window: tuple[int, int]) -> None:
    for name in ("poisson_did", "linear_did"):
        with pytest.raises(ConfigError, match="event_window"):
            estimator(name).first_question(asked("event_time", window, name))


def test_columns_without_incidents_are_joined_by_the_stated_rule() -> None:
    grid = grid_of(asked("event_time"))  # -3 -2 | 0 1 2 3 4
    exposure, units = np.ones(7), np.full(7, 5.0)
    joined = join_columns(grid, exposure, units, np.array([1.0, 1, 1, 0, 0, 1, 0]))
    np.testing.assert_array_equal(
        joined.matrix,
        [
            [1, 0, 0, 0],
            [0, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 1, 0],
            [0, 0, 1, 0],
            [0, 0, 0, 1],
            [0, 0, 0, 1],
        ],
    )
    assert joined.names == ("event time 1", "event time 2", "event time 4")
    towards_go_live = join_columns(grid, exposure, units, np.array([0.0, 1, 1, 1, 1, 1, 1]))
    np.testing.assert_array_equal(towards_go_live.matrix[0], [1, 0, 0, 0, 0, 0])
    away = join_columns(grid, exposure, units, np.array([1.0, 0, 0, 1, 1, 1, 1]))
    np.testing.assert_array_equal(away.matrix[1:3], [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    reference = join_columns(grid, exposure, units, np.array([0.0, 0, 1, 1, 1, 1, 1]))
    assert not reference.matrix[:2].any()
    with pytest.raises(SeparationError, match="event time 0"):
        join_columns(grid, exposure, units, np.array([1.0, 1, 0, 0, 0, 0, 0]))


def test_columns_without_cells_have_no_coefficient_and_no_effect() -> None:
    grid = grid_of(asked("event_time"))
    exposure = np.array([2.0, 0, 6, 0, 2, 0, 0])
    joined = join_columns(grid, exposure, np.full(7, 5.0), exposure)
    assert joined.matrix.shape == (7, 3)
    assert joined.names == ()
    effects = effects_of(grid, exposure)
    assert effects.terms == ("treated", "event time -3", "event time 0", "event time 2")
    np.testing.assert_allclose(effects.weights[0], [0, 0, 0.75, 0, 0.25, 0, 0])


def test_a_coefficient_of_one_unit_has_no_standard_error() -> None:
    grid = grid_of(asked("event_time"))
    units = np.full(7, 5.0)
    units[6] = 1
    with pytest.raises(EstimationError, match="event time 4 rests on a single unit"):
        join_columns(grid, np.ones(7), units)


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
@pytest.mark.parametrize("design", ["static", "event_time", "cohort_event_time"])
def test_one_treated_unit_never_gets_an_ordinary_standard_error(name: str, design: str) -> None:
    panel = city("alta", 1, treated=1, cohorts=(8,))
    question = asked(design, name=name)
    with pytest.raises(EstimationError, match="single unit"):
        estimate(estimator(name), question, ask_pooled((panel,)))


def test_an_event_time_without_incidents_shares_its_neighbours_effect() -> None:
    """Named, finite, and equal to a fit in which the two event times are one."""
    panel = city("alta", 1, treated=30, cohorts=(8,))
    counts = panel.counts.copy()
    counts[:, :30, 10] = 0  # event time 1
    quiet = replace(panel, counts=counts)
    found = estimate(estimator("poisson_did"), asked("event_time"), ask_pooled((quiet,)))
    zero, one = (found.effect[found.terms.index(f"event time {e}")] for e in (0, 1))
    assert zero == one
    assert any("event time 1:" in note for note in found.notes)
    assert np.isfinite(found.covariance).all()


def test_term_cells_count_units_and_incidents() -> None:
    question = asked("event_time")
    (made,) = design_of(city("alta", 1), question)
    grid = grid_of(question)
    cells = cells_by_column(made, columns_of(made, grid), grid)
    assert [cell.pattern for cell in cells] == [
        f"event time {event}" for event in (-3, -2, 0, 1, 2, 3, 4)
    ]
    assert {cell.phase for cell in cells} == {"term"}
    live = made.first_live
    for cell in cells[2:6]:
        event = int(cell.pattern.split()[-1])
        rows = [u for u in range(len(live)) if live[u] != NEVER]
        counts = [made.outcome[u, live[u] + 1 + event] for u in rows]
        assert (cell.units, cell.incidents) == (len(rows), int(sum(counts)))
        assert cell.largest_two == pytest.approx(sum(sorted(counts)[-2:]) / sum(counts))


def judge_first_round(panel: Panel, question: Study) -> dict[str, bool]:
    one = estimator(question.analysis.estimator)
    drafted = draft(one.summarise(panel, one.first_question(question)), OPEN_POLICY)
    return {verdict.rule: verdict.passed for verdict in drafted.verdicts}


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_the_gate_refuses_a_term_that_rests_on_few_incidents(name: str) -> None:
    """Cohorts have incidents in plenty before and after; one event time of all of them has three."""
    panel = city("alta", 1, treated=30, controls=60, cohorts=(8,))
    assert all(judge_first_round(panel, asked("event_time", name=name)).values())
    counts = panel.counts.copy()
    counts[:, :30, 10] = 0
    counts[0, :3, 10] = 1
    thin = replace(panel, counts=counts)
    assert all(judge_first_round(thin, asked("static", name=name)).values())
    verdicts = judge_first_round(thin, asked("event_time", name=name))
    assert not verdicts["min_incidents"]
    assert not judge_first_round(panel, asked("event_time", (-7, 14), name))[
        "max_parameters_per_cluster"
    ]


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
@pytest.mark.parametrize("design", ["event_time", "cohort_event_time"])
def test_an_admitted_design_runs_through_the_gate(name: str, design: str, tmp_path: Path) -> None:
    panels = tuple(
        city(f"c{i}", i, treated=80, controls=90, cohorts=(8, 14), rate=30.0) for i in range(2)
    )
    question = asked(design, (-2, 2), name)

    def ask(one: Question) -> list[Statistics]:
        return [
            review(
                estimator(name).summarise(panel, one),
                one,
                OPEN_POLICY,
                Ledger(tmp_path / f"{panel.sites[0]}.jsonl"),
                fingerprint=panel.fingerprint,
                site=panel.sites[0],
                audit=audit_beside(Ledger(tmp_path / f"{panel.sites[0]}.jsonl"), panel, one.study),
            ).statistics()
            for panel in panels
        ]

    through = estimate(estimator(name), question, ask)
    pooled = estimate(estimator(name), question, ask_pooled(panels))
    np.testing.assert_allclose(through.effect, pooled.effect, rtol=0, atol=1e-10)
    np.testing.assert_allclose(through.covariance, pooled.covariance, rtol=0, atol=1e-10)
    entries = Ledger(tmp_path / "c0.jsonl").entries()
    assert len(entries) == through.details["rounds"]


def test_a_grid_too_large_for_the_policy_is_refused_before_any_data_are_touched(
    tmp_path: Path,
) -> None:
    panel = city("alta", 1)
    question = estimator("poisson_did").first_question(asked("event_time", (-120, 120)))
    with pytest.raises(RefusalError) as caught:
        review(
            Statistics("poisson_did", "score", "additive", {("alta",): {}}),
            question,
            OPEN_POLICY,
            Ledger(tmp_path / "ledger.jsonl"),
            fingerprint=panel.fingerprint,
            site="alta",
            audit=audit_beside(Ledger(tmp_path / "ledger.jsonl"), panel, question.study),
        )
    assert caught.value.rules == ("max_parameters",)


def test_coefficients_of_a_linear_model_may_be_as_large_as_the_outcome(tmp_path: Path) -> None:
    for name, admitted in (("linear_did", True), ("poisson_did", False)):
        asks = asked("static", name=name)
        ledger = Ledger(tmp_path / f"{name}.jsonl")
        if admitted:
            admit(Question(asks, name, "meat", 1, np.array([-50.0])), OPEN_POLICY, ledger, "f" * 64)
            continue
        with pytest.raises(RefusalError) as caught:
            admit(Question(asks, name, "meat", 1, np.array([-50.0])), OPEN_POLICY, ledger, "f" * 64)
        assert caught.value.rules == ("max_step",)
