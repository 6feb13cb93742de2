"""A grid of 100 m cells, counted by hand."""

from __future__ import annotations

import pytest
from polars.testing import assert_frame_equal

from evalkit.core.study import Units
from evalkit.panel import nearest
from tests.panel_frames import (
    adds_up,
    build,
    camera,
    camera_frame,
    counts,
    go_live,
    incident,
    incident_frame,
    roles,
    study,
)

GRID = Units(kind="grid", cell_m=100.0, radius_m=10.0, ring_m=50.0)
NO_RING = Units(kind="grid", cell_m=100.0, radius_m=50.0, ring_m=50.0)

# Cell 0:0 has cameras of March and May. Its eastern neighbour 1:0 is 40 m from one of them, its
# western one −1:0 is 55 m away, beyond the ring. Cell 9:9 is far from everything.
CAMERAS = camera_frame([camera("2020-05-10", 55, 50), camera("2020-03-10", 60, 50)])
INCIDENTS = incident_frame(
    [
        incident("2020-01-05", 5, 5, times=3),
        incident("2020-03-31", 99, 99),
        incident("2020-06-30", 50, 50, "robbery", times=2),
        incident("2020-02-01", 101, 50),
        incident("2020-02-01", -1, 50, times=4),
        incident("2020-04-01", 950, 950, times=5),
        incident("2020-04-01", 850, 950, "theft"),
        incident("2019-12-31", 50, 50),
        incident("2020-07-01", 50, 50),
        incident("2020-02-02"),
        incident("2020-02-02", 0, 40_000),
    ]
)


def test_counts_roles_and_account() -> None:
    built = build(INCIDENTS, CAMERAS, study(GRID))
    assert built.panel.unit_ids.tolist() == [
        "cell:-1:0",
        "cell:0:0",
        "cell:1:0",
        "cell:8:9",
        "cell:9:9",
    ]
    assert counts(built, "cell:0:0") == [3, 0, 1, 0, 0, 0]
    assert counts(built, "cell:0:0", "robbery") == [0, 0, 0, 0, 0, 2]
    assert counts(built, "cell:1:0") == [0, 1, 0, 0, 0, 0]
    assert counts(built, "cell:-1:0") == [0, 4, 0, 0, 0, 0]
    assert counts(built, "cell:9:9") == [0, 0, 0, 5, 0, 0]
    assert counts(built, "cell:8:9") == [0] * 6  # another crime was committed there: a true zero
    assert roles(built) == {
        "cell:-1:0": "control",
        "cell:0:0": "treated",
        "cell:1:0": "ring",
        "cell:8:9": "control",
        "cell:9:9": "control",
    }
    assert go_live(built)["cell:0:0"] == 2  # the first camera, in March
    assert go_live(built)["cell:1:0"] == 2
    assert go_live(built)["cell:9:9"] == -1
    assert built.account == {
        "incidents": 21,
        "outside the window": 2,
        "of other crime types": 1,
        "without a usable place": 2,
        "outside every unit": 0,
        "in treated units": 6,
        "in control units": 9,
        "in ring units": 1,
        "in units live from the start": 0,
        "in units with a camera of unknown date": 0,
        "in units set apart by the study": 0,
    }
    assert adds_up(built)
    assert (built.panel.exposure == 1).all()


def test_unit_table() -> None:
    units = build(INCIDENTS, CAMERAS, study(GRID)).units
    row = units.filter(units["unit"] == "cell:0:0").to_dicts()[0]
    assert (row["x"], row["y"], row["cameras"]) == (50.0, 50.0, 2)
    assert row["first_live"].isoformat() == "2020-03-10"
    assert row["longitude"] == pytest.approx(-75.6, abs=0.001)
    assert row["latitude"] == pytest.approx(6.2, abs=0.001)
    ring = units.filter(units["unit"] == "cell:1:0").to_dicts()[0]
    assert (ring["cameras"], ring["first_live"].isoformat()) == (0, "2020-03-10")


def test_ring_as_wide_as_the_radius_is_no_ring() -> None:
    assert roles(build(INCIDENTS, CAMERAS, study(NO_RING)))["cell:1:0"] == "control"


def test_ring_reaches_round_a_corner_by_distance_not_by_steps() -> None:
    # The camera is 30 m from the eastern and 40 m from the northern edge of its cell: 50 m from
    # the corner cell, which is the limit, and included.
    corner = incident_frame([incident("2020-01-05", 150, 150), incident("2020-01-05", 950, 950)])
    inside = camera_frame([camera("2020-03-10", 70.001, 60.001)])
    outside = camera_frame([camera("2020-03-10", 69.999, 59.999)])
    assert roles(build(corner, inside, study(GRID)))["cell:1:1"] == "ring"
    assert roles(build(corner, outside, study(GRID)))["cell:1:1"] == "control"


def test_ring_takes_the_first_camera_in_reach_and_none_if_one_is_undated() -> None:
    rows = [camera("2020-05-10", 90, 50), camera("2020-03-10", 210, 50)]
    between = incident_frame([incident("2020-01-05", 150, 50), incident("2020-01-05", 950, 950)])
    assert go_live(build(between, camera_frame(rows), study(GRID)))["cell:1:0"] == 2
    undated = camera_frame([*rows, camera(None, 150, 110)])
    built = build(between, undated, study(GRID))
    assert roles(built)["cell:1:0"] == "ring"
    assert go_live(built)["cell:1:0"] == -1
    assert roles(built)["cell:1:1"] == "undated"


def test_neighbours_are_counted() -> None:
    rows = [
        camera("2020-03-10", 90, 55),  # cell 0:0, first
        camera("2020-05-10", 110, 40),  # cell 1:0, treated later: its before has the other camera
        camera("2021-05-10", 50, 110),  # cell 0:1, a control until 2021 with a camera at 45 m
    ]
    built = build(INCIDENTS, camera_frame(rows), study(GRID))
    assert roles(built)["cell:0:1"] == "control"
    assert built.facts["treated units with an earlier neighbour"] == 1
    assert built.facts["control units with a live neighbour"] == 1
    assert any("1 treated units have another camera" in note for note in built.notes)
    live = dict(zip(built.units["unit"], built.units["neighbour_live"], strict=True))
    assert str(live["cell:1:0"]) == "2020-03-10"
    assert str(live["cell:0:0"]) == "2020-05-10"
    assert live["cell:9:9"] is None


def test_a_neighbour_of_the_same_day_or_after_the_window_is_not_counted() -> None:
    rows = [
        camera("2020-03-10", 90, 55),
        camera("2020-03-10", 110, 40),
        camera("2021-05-10", 910, 950),
        camera("2022-05-10", 890, 950),
    ]
    built = build(INCIDENTS, camera_frame(rows), study(GRID))
    assert built.units["neighbour_live"].drop_nulls().len() == 4
    assert built.facts["treated units with an earlier neighbour"] == 0
    assert built.facts["control units with a live neighbour"] == 0


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = camera_frame(
        [camera(f"2020-0{2 + number % 4}-10", 90 * number, 20) for number in range(20)]
    )
    whole = build(INCIDENTS, rows, study(GRID)).units
    monkeypatch.setattr(nearest, "PAIR_ROWS", 1)
    assert_frame_equal(build(INCIDENTS, rows, study(GRID)).units, whole)
    assert whole["neighbour_live"].drop_nulls().n_unique() > 1
