"""A cohort of one camera: its incidents stand in the release, period by period."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.attacks.cohort_totals import cohort_totals
from evalkit.attacks.figure import figure_of, public_of
from evalkit.attacks.outright import lone_series
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.event_design import grid_of
from evalkit.core.study import Federation
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.gate import draft
from evalkit.errors import RefusalError
from tests.attacks.conftest import Record
from tests.attacks.gated import DEFAULTS, answered, first_of, lone_city, released
from tests.panels import study

TRIALS = 1000
THROUGH_FILES = 50
"""Trials in which the gate writes its ledger as in a city; the others judge by the same rules without a file."""

POOLED = study(estimator="group_time_att", control_pool="pooled")


def test_one_camera_of_its_own_cohort(record: Record, tmp_path: Path) -> None:
    exact = leaked = 0
    question = first_of(POOLED)
    for seed in range(TRIALS):
        panel, lone = lone_city(seed)
        statistics = estimator("group_time_att").summarise(panel, question)
        (fields,) = statistics.parts.values()
        (series,) = lone_series(fields)
        truth = panel.total(POOLED.outcome.crime_types)[lone]
        seen = np.arange(panel.n_periods) != panel.first_live[lone]
        found = figure_of(series[seen], truth[seen])
        exact += found.exact == found.number
        refused = {one.rule for one in draft(statistics, DEFAULTS).verdicts if not one.passed}
        leaked += "min_treated_per_pattern" not in refused
        if seed < THROUGH_FILES:
            with pytest.raises(RefusalError):
                released(panel, question, tmp_path, ledger=str(seed))
    assert exact == TRIALS
    record(
        "lone camera",
        without=f"exact, {exact} of {TRIALS}",
        with_=f"{leaked} of {TRIALS} released",
    )


def test_merged_with_its_neighbours_it_is_no_longer_alone() -> None:
    """What an honest study does: the camera's cohort is made larger, and only its total with others is told."""
    asked = msgspec.structs.replace(
        study(estimator="poisson_did", design="event_time", event_window=(-6, 9)),
        federation=Federation(small_cohorts="coarsen"),
    )
    grid, found = grid_of(asked), 0
    for seed in range(20):
        panel, lone = lone_city(seed)
        merged = prepare(panel, asked, DEFAULTS).panel
        question, statistics = answered(merged, asked)[-1]
        (design,) = design_of(merged, asked)
        (fields,) = statistics.parts.values()
        guess = cohort_totals(
            public_of(design), grid, question.parameters,
            fields["score"], fields["information"], fields["columns"],
        )  # fmt: skip
        assert guess is not None
        assert guess.groups.sizes.min() >= DEFAULTS.min_treated_per_pattern
        truth = panel.total(asked.outcome.crime_types)[lone].sum()
        found += bool((np.abs(guess.totals - truth) < 0.5).any())
    assert found == 0


def test_the_gate_refuses_what_does_not_merge() -> None:
    asked = msgspec.structs.replace(POOLED, federation=Federation(small_cohorts="refuse"))
    panel, _ = lone_city(1)
    with pytest.raises(RefusalError):
        prepare(panel, asked, DEFAULTS)
