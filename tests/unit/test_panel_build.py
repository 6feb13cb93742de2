"""What the builder refuses, and what it stamps on a panel."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from evalkit.core.study import Treatment, Units
from evalkit.errors import (
    EmptyWindowError,
    NoControlError,
    NothingToTestError,
    PanelError,
    TaxonomyError,
)
from evalkit.panel import build as module
from tests.panel_frames import build, camera, camera_frame, incident, incident_frame, study

GRID = Units(kind="grid", cell_m=100.0)
LATER = Units(kind="catchment", controls="later_cameras")
INCIDENTS = incident_frame(
    [incident("2020-01-05", 5, 5, times=3), incident("2020-02-05", 2000, 2000, "robbery")]
)
CAMERAS = camera_frame([camera("2020-03-10", 0, 0)])


def test_stamps() -> None:
    panel = build(INCIDENTS, CAMERAS, study(GRID)).panel
    assert panel.sites == ("handmade",)
    assert panel.crime_types == ("assault", "robbery")
    assert (panel.study, panel.fingerprint) == ("a" * 64, "b" * 64)
    assert panel.periods[0] == dt.date(2020, 1, 1)
    assert panel.n_periods == 6
    assert (panel.first_live == panel.last_live).all()
    assert panel.counts.dtype == np.int64


def test_a_crime_type_that_never_occurs_is_zero_and_noted() -> None:
    built = build(INCIDENTS, CAMERAS, study(GRID, crime_types=("assault", "burglary")))
    assert built.panel.counts[1].sum() == 0
    assert built.facts["crime types that never occur"] == 1
    assert any("check the mapping" in note for note in built.notes)


def test_no_incident_of_the_crime_types_at_all() -> None:
    with pytest.raises(TaxonomyError, match=r"no incident of burglary.*assault, robbery"):
        build(INCIDENTS, CAMERAS, study(GRID, crime_types=("burglary",)))


def test_names_outside_the_taxonomy_are_data_and_not_repeated() -> None:
    secret = incident_frame([incident("2020-01-05", 5, 5, "canary-7f3a")])
    with pytest.raises(TaxonomyError, match="none of the taxonomy") as caught:
        build(secret, CAMERAS, study(GRID))
    assert "canary" not in str(caught.value)


def test_empty_window_names_the_months_that_are_covered() -> None:
    with pytest.raises(EmptyWindowError, match="run from 2020-01 to 2020-02"):
        build(INCIDENTS, CAMERAS, study(GRID, start="2021-01-01", end="2021-12-31"))
    with pytest.raises(EmptyWindowError, match="no incident at all"):
        build(INCIDENTS.clear(), CAMERAS, study(GRID))


def test_window_with_other_crimes_only_is_empty() -> None:
    rows = incident_frame([incident("2020-01-05", 5, 5, "theft"), incident("2019-01-05", 5, 5)])
    with pytest.raises(EmptyWindowError):
        build(rows, CAMERAS, study(GRID))


@pytest.mark.parametrize("kind", ["grid", "catchment"])
@pytest.mark.parametrize("which", ["incidents", "cameras"])
def test_rows_without_coordinates(kind: str, which: str) -> None:
    asked = study(Units(kind=kind))  # type: ignore[arg-type]  # a literal, spelled out above
    incidents = incident_frame([incident("2020-01-05", area="north")])
    cameras = camera_frame([camera("2020-03-10", area="north")])
    with pytest.raises(PanelError, match=f"none of the {which} has coordinates") as caught:
        build(
            incidents if which == "incidents" else INCIDENTS,
            cameras if which == "cameras" else CAMERAS,
            asked,
        )
    assert 'units.kind = "area"' in str(caught.value)


def test_no_camera() -> None:
    with pytest.raises(NothingToTestError, match="no camera was read"):
        build(INCIDENTS, CAMERAS.clear(), study(GRID))


@pytest.mark.parametrize("live", [None, "2019-05-01", "2020-01-31", "2020-06-01", "2020-07-01"])
def test_no_unit_with_a_before_and_an_after(live: str | None) -> None:
    with pytest.raises(NothingToTestError, match="before and one after"):
        build(INCIDENTS, camera_frame([camera(live, 0, 0)]), study(GRID))


def test_last_period_counts_as_after_if_the_transition_is_treated() -> None:
    last = camera_frame([camera("2020-06-01", 0, 0)])
    built = build(INCIDENTS, last, study(GRID, treatment=Treatment(transition="treat")))
    assert built.panel.first_live.max() == 5
    assert built.facts["treated units without an after"] == 0


def test_units_without_an_after_are_noted() -> None:
    rows = camera_frame([camera("2020-03-10", 0, 0), camera("2020-06-01", 5000, 5000)])
    built = build(INCIDENTS, rows, study(GRID))
    assert built.facts["treated units without an after"] == 1
    assert any("only serve as controls" in note for note in built.notes)


def test_no_control_and_a_single_cohort() -> None:
    with pytest.raises(NoControlError, match="same period"):
        build(INCIDENTS, CAMERAS, study(LATER))


def test_two_cohorts_without_a_control_are_allowed_and_noted() -> None:
    rows = camera_frame([camera("2020-03-10", 0, 0), camera("2020-04-10", 5000, 0)])
    built = build(INCIDENTS, rows, study(LATER))
    assert any("no control without a camera" in note for note in built.notes)


def test_one_cohort_is_allowed_and_noted() -> None:
    built = build(INCIDENTS, CAMERAS, study(GRID))
    assert any("go live in one period" in note for note in built.notes)


def test_too_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 10)
    with pytest.raises(PanelError, match=r"2 crime types × . units × 6 periods.*10 cells"):
        build(INCIDENTS, CAMERAS, study(GRID))


def test_periods_without_data_are_noted() -> None:
    built = build(INCIDENTS, CAMERAS, study(GRID))
    assert built.facts["periods without any incident"] == 4
    assert any("zero is read as no crime" in note for note in built.notes)


def test_errors_carry_no_coordinate() -> None:
    with pytest.raises(NothingToTestError) as caught:
        build(INCIDENTS, camera_frame([camera("2019-05-01", 1234.5, 0)]), study(GRID))
    assert "-75." not in str(caught.value)
    assert "2019-05-01" not in str(caught.value)
