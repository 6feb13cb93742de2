"""Tables and notes for the city's analyst, from a panel made by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from evalkit.core.panel import NEVER, Panel, Role
from evalkit.panel.diagnostics import diagnose
from evalkit.panel.notes import FACT_NOTES

T, C, R = int(Role.TREATED), int(Role.CONTROL), int(Role.RING)


def panel(
    counts: list[list[int]],
    role: list[int],
    first: list[int],
    exposure: list[list[float]] | None = None,
    periods: tuple[dt.date, ...] | None = None,
) -> Panel:
    units, length = np.array(counts).shape
    days = periods or tuple(dt.date(2020, month + 1, 1) for month in range(length))
    return Panel(
        sites=("handmade",),
        crime_types=("assault",),
        periods=days,
        unit_ids=np.array([f"u{unit}" for unit in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=np.array(role, dtype=np.int64),
        first_live=np.array(first, dtype=np.int64),
        last_live=np.array(first, dtype=np.int64),
        counts=np.array([counts], dtype=np.int64),
        exposure=np.ones((units, length)) if exposure is None else np.array(exposure),
    )


TWO_COHORTS = panel(
    [[4, 6, 2, 2], [8, 8, 8, 2], [1, 2, 3, 4], [3, 4, 9, 9], [5, 0, 0, 0]],
    [T, T, C, C, R],
    [2, 3, NEVER, NEVER, 2],
    [[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]],
)


def test_series_leaves_out_cells_that_are_not_used() -> None:
    series = diagnose(TWO_COHORTS, {}).series
    assert series["treated_mean"].to_list() == [6.0, 7.0, 5.0, 2.0]
    assert series["control_mean"].to_list() == [2.0, 3.0, 3.0, 4.0]


def test_event_time() -> None:
    table = diagnose(TWO_COHORTS, {}).event_time
    assert table["event_time"].to_list() == [-3, -2, -1, 0, 1]
    assert table["units"].to_list() == [1, 2, 2, 2, 1]
    assert table["treated_mean"].to_list() == [8.0, 6.0, 7.0, 2.0, 2.0]
    assert table["control_mean"].to_list() == [2.0, 2.5, 3.0, 3.5, 4.0]
    # unit 0 stands at 10 / 5 = 2 times the controls before go-live, unit 1 at 24 / 8 = 3 times
    assert table["expected_mean"].to_list() == [6.0, 6.5, 7.5, 9.0, 8.0]


def test_event_time_leaves_out_cells_that_are_not_used() -> None:
    made = panel([[4, 6, 2], [1, 1, 1]], [T, C], [2, NEVER], [[0, 1, 1], [1, 1, 1]])
    assert diagnose(made, {}).event_time["event_time"].to_list() == [-1, 0]


def test_cohorts_zones_and_months() -> None:
    found = diagnose(TWO_COHORTS, {})
    assert found.cohorts.rows() == [
        (dt.date(2020, 3, 1), "ring", 1, 5),
        (dt.date(2020, 3, 1), "treated", 1, 14),
        (dt.date(2020, 4, 1), "treated", 1, 26),
        (None, "control", 2, 35),
    ]
    zones = {row["role"]: row for row in found.zones.to_dicts()}
    assert zones["ring"] == {"role": "ring", "units": 1, "incidents": 5, "share": 5 / 80}
    assert found.zones["share"].sum() == pytest.approx(1.0)
    january = found.by_month.filter(found.by_month["month"] == dt.date(2020, 1, 1))
    assert dict(zip(january["role"], january["incidents"], strict=True)) == {
        "control": 4,
        "ring": 5,
        "treated": 12,
    }


def test_days_are_added_up_to_months() -> None:
    days = (dt.date(2020, 1, 30), dt.date(2020, 1, 31), dt.date(2020, 2, 1))
    found = diagnose(panel([[1, 2, 4], [0, 0, 0]], [T, C], [1, NEVER], periods=days), {})
    treated = found.by_month.filter(found.by_month["role"] == "treated")
    assert treated["month"].to_list() == [dt.date(2020, 1, 1), dt.date(2020, 2, 1)]
    assert treated["incidents"].to_list() == [3, 4]


@pytest.mark.parametrize(
    ("before", "words"),
    [(9, "where crime was higher"), (1, "where crime was lower"), (3, "the levels are alike")],
)
def test_note_on_levels_before(before: int, words: str) -> None:
    made = panel([[before, before, 0], [3, 3, 3]], [T, C], [2, NEVER])
    notes = diagnose(made, {}).notes
    assert words in notes[0]
    assert f"{before} incidents a period, a control 3" in notes[0]


def test_every_fact_with_a_note_is_told_and_none_if_zero() -> None:
    for name, text in FACT_NOTES.items():
        assert text.format(7) in diagnose(TWO_COHORTS, {name: 7}).notes
        assert text.format(0) not in diagnose(TWO_COHORTS, {name: 0}).notes


def test_note_on_points_that_were_moved() -> None:
    few = {"incidents with coordinates": 100, "distinct points": 10}
    many = {"incidents with coordinates": 100, "distinct points": 11}
    assert any("only 10 points" in note for note in diagnose(TWO_COHORTS, few).notes)
    assert not any("points" in note for note in diagnose(TWO_COHORTS, many).notes)


def test_units_without_incidents_are_noted() -> None:
    made = panel([[1, 1, 0], [0, 0, 0]], [T, C], [2, NEVER])
    assert any(note.startswith("1 treated or control units") for note in diagnose(made, {}).notes)


def test_without_a_control_means_are_empty() -> None:
    found = diagnose(panel([[1, 2, 3], [1, 2, 3]], [T, T], [1, 2]), {})
    assert found.series["control_mean"].to_list() == [None, None, None]
    assert not any("before its camera" in note for note in found.notes)
