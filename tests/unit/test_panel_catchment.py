"""Catchments of 100 m with rings to 200 m, counted by hand."""

from __future__ import annotations

import datetime as dt

import pytest
from polars.testing import assert_frame_equal

from evalkit.core.study import Treatment, Units
from evalkit.panel import nearest
from evalkit.panel.zones.catchment import LATTICE_GAP_M
from tests.panel_frames import (
    adds_up,
    build,
    camera,
    camera_frame,
    counts,
    exposure,
    go_live,
    incident,
    incident_frame,
    roles,
    study,
)

LATTICE = Units(kind="catchment", radius_m=100.0, ring_m=200.0)
LATER = Units(kind="catchment", radius_m=100.0, ring_m=200.0, controls="later_cameras")
NO_RING = Units(kind="catchment", radius_m=100.0, ring_m=100.0)

SPACING = 200.0 + LATTICE_GAP_M

# Site 0 (March): two cameras 80 m apart. Site 1 (May): 250 m east of the first camera.
CAMERAS = camera_frame(
    [camera("2020-05-10", 250, 0), camera("2020-04-10", -80, 0), camera("2020-03-10", 0, 0)]
)
FAR = 10 * SPACING
INCIDENTS = incident_frame(
    [
        incident("2020-01-05", -170, 0, times=3),  # 90 m from the second camera of site 0
        incident("2020-02-05", 99, 0),  # site 0
        incident("2020-02-05", 101, 0, times=2),  # ring of site 0: 101 m, and 149 m from site 1
        incident("2020-03-05", 149, 0, times=4),  # 101 m from site 1: ring of site 1
        incident("2020-03-05", 151, 0, times=5),  # 99 m from site 1
        incident("2020-04-05", 0, 199, times=6),  # ring of site 0
        incident("2020-04-05", 0, 205, times=7),  # outside, and in no disc clear of the ring
        incident("2020-05-05", FAR, FAR + 99, times=8),  # disc 10:10
        incident("2020-05-05", FAR + 100.5, FAR),  # between two discs
        incident("2020-05-05", -FAR, FAR, "theft"),  # disc −10:10, another crime
    ]
)


def test_counts_roles_and_account() -> None:
    built = build(INCIDENTS, CAMERAS, study(LATTICE))
    assert built.panel.unit_ids.tolist() == [
        "site:00000",
        "site:00001",
        "ring:00000",
        "ring:00001",
        "disc:-10:10",
        "disc:10:10",
    ]
    assert counts(built, "site:00000") == [3, 1, 0, 0, 0, 0]
    assert counts(built, "site:00001") == [0, 0, 5, 0, 0, 0]
    assert counts(built, "ring:00000") == [0, 2, 0, 6, 0, 0]
    assert counts(built, "ring:00001") == [0, 0, 4, 0, 0, 0]
    assert counts(built, "disc:10:10") == [0, 0, 0, 0, 8, 0]
    assert counts(built, "disc:-10:10") == [0] * 6
    assert go_live(built) == {
        "site:00000": 2,
        "site:00001": 4,
        "ring:00000": 2,
        "ring:00001": 4,
        "disc:-10:10": -1,
        "disc:10:10": -1,
    }
    assert set(roles(built).values()) == {"treated", "ring", "control"}
    assert built.account["outside every unit"] == 8
    assert built.account["in ring units"] == 12
    assert built.account["of other crime types"] == 1
    assert adds_up(built)
    assert built.facts["sites"] == 2
    assert built.facts["cameras in the largest site"] == 2
    # Site 1 lies within 300 m of site 0, which is live before it.
    assert built.facts["treated units with an earlier neighbour"] == 1
    assert built.units["cameras"].to_list() == [2, 1, 0, 0, 0, 0]
    assert built.units["x"].round(6).to_list()[:2] == [-40.0, 250.0]


def test_lattice_keeps_clear_of_every_camera_of_any_date() -> None:
    place = [(FAR, FAR, 10), (3 * SPACING, 0, 3), (6 * SPACING, 0, 6)]
    crimes = incident_frame([incident("2020-01-05", x, y) for x, y, _ in place])
    first = camera("2020-03-10", 0, -5000)
    free = build(crimes, camera_frame([first]), study(LATTICE))
    assert [unit for unit in free.panel.unit_ids if unit.startswith("disc")] == [
        "disc:3:0",
        "disc:6:0",
        "disc:10:10",
    ]
    # 299.9 m away and of unknown date, or live long after the window: the disc is gone.
    for live in (None, "2031-01-01"):
        near = camera(live, 3 * SPACING, 299.9)
        built = build(crimes, camera_frame([first, near]), study(LATTICE))
        assert "disc:3:0" not in built.panel.unit_ids
        beyond = camera(live, 3 * SPACING, 300.1)
        built = build(crimes, camera_frame([first, beyond]), study(LATTICE))
        assert "disc:3:0" in built.panel.unit_ids


def test_lattice_discs_have_their_centre_inside_the_bounds() -> None:
    # The bounds end 11,068 m east of the centre (0.1° of longitude at 6.2°). Discs of 150 m stand
    # 301 m apart: number 36 is at 10,836 m, number 37 at 11,137 m and reaches back to 10,987 m.
    wide = Units(kind="catchment", radius_m=150.0, ring_m=200.0)
    crimes = incident_frame([incident("2020-01-05", 10_900, 0), incident("2020-01-05", 11_000, 0)])
    built = build(crimes, camera_frame([camera("2020-03-10", 0, 0)]), study(wide))
    discs = [unit for unit in built.panel.unit_ids if unit.startswith("disc")]
    assert discs == ["disc:36:0"]
    assert built.account["outside every unit"] == 1


def test_later_cameras_are_the_only_controls_when_asked() -> None:
    later = camera_frame(
        [
            camera("2020-03-10", 0, 0),
            camera("2020-06-10", 5000, 0),
            camera("2024-01-01", 0, 5000),
            camera(None, 5000, 5000),
            camera("2019-01-01", -5000, 0),
            camera("2020-02-10", -5000, 5000),
        ]
    )
    built = build(INCIDENTS, later, study(LATER))
    assert not any(unit.startswith("disc") for unit in built.panel.unit_ids)
    assert built.account["outside every unit"] > 0
    assert built.account["in control units"] == 0
    sites = built.units.filter(built.units["unit"].str.starts_with("site"))
    assert dict(zip(sites["first_live"].cast(str), sites["role"], strict=True)) == {
        "2019-01-01": "always",
        "2020-02-10": "treated",
        "2020-03-10": "treated",
        "2020-06-10": "treated",
        "2024-01-01": "control",
        None: "undated",
    }


def test_adoption_dates_set_apart_and_cut() -> None:
    rows = camera_frame(
        [
            camera("2020-02-10", 0, 5000, name="early"),
            camera("2020-03-10", 0, 0, name="inside"),
            camera("2020-05-10", 5000, 0, name="late"),
        ]
    )
    asked = study(
        LATER,
        treatment=Treatment(adoption_start=dt.date(2020, 3, 1), adoption_end=dt.date(2020, 4, 30)),
    )
    crimes = incident_frame(
        [INCIDENTS.to_dicts(), incident("2020-06-05", 5000, 0), incident("2020-01-05", 0, 5000)]
    )
    built = build(crimes.drop("row").with_row_index("row", 1), rows, asked)
    assert roles(built)["site:00000"] == "set_apart"
    assert roles(built)["site:00001"] == "treated"
    assert roles(built)["site:00002"] == "control"
    assert go_live(built)["site:00002"] == -1
    assert exposure(built, "site:00002") == [1, 1, 1, 1, 0, 0]
    assert exposure(built, "ring:00002") == [1, 1, 1, 1, 0, 0]
    assert exposure(built, "site:00001") == [1] * 6
    assert counts(built, "site:00002") == [0, 0, 0, 0, 0, 1]  # counted, not used
    assert built.account["in units set apart by the study"] == 1
    assert built.facts["controls until their own camera"] == 1
    assert adds_up(built)


def test_no_ring_when_ring_and_radius_agree() -> None:
    built = build(INCIDENTS, CAMERAS, study(NO_RING))
    assert not any(unit.startswith("ring") for unit in built.panel.unit_ids)
    assert built.account["in ring units"] == 0


def test_several_rings_are_units_of_their_own() -> None:
    rings = Units(kind="catchment", radius_m=100.0, ring_m=(200.0, 300.0, 400.0))
    far = 10 * SPACING
    crimes = incident_frame(
        [
            incident("2020-01-05", 100, 0),
            incident("2020-01-05", 100.01, 0, times=2),
            incident("2020-01-05", 200, 0, times=3),
            incident("2020-01-05", 200.01, 0, times=4),
            incident("2020-01-05", 0, -399, times=5),
            incident("2020-01-05", 0, 400.01, times=6),  # in a disc that touches the outermost ring
            incident("2020-01-05", far, 0, times=7),
        ]
    )
    built = build(crimes, camera_frame([camera("2020-03-10", 0, 0)]), study(rings))
    assert built.panel.unit_ids.tolist() == [
        "site:00000",
        "ring:00000",
        "ring2:00000",
        "ring3:00000",
        "disc:10:0",
    ]
    assert built.panel.counts.sum(axis=(0, 2)).tolist() == [1, 5, 4, 5, 7]
    assert built.panel.ring.tolist() == [0, 1, 2, 3, 0]
    assert built.units["ring"].to_list() == [0, 1, 2, 3, 0]
    assert built.units["role"].to_list() == ["treated", "ring", "ring", "ring", "control"]
    assert built.panel.first_live.tolist() == [2, 2, 2, 2, -1]
    assert built.account["in ring units"] == 14
    assert built.account["outside every unit"] == 6
    assert adds_up(built)


def test_outermost_ring_keeps_discs_and_neighbours_at_bay() -> None:
    rings = Units(kind="catchment", radius_m=100.0, ring_m=(200.0, 400.0))
    crimes = incident_frame([incident("2020-01-05", 3 * SPACING, 0)])
    for away, free in ((499.9, False), (500.1, True)):
        eyes = [camera("2020-03-10", 0, -9000), camera("2020-04-10", 3 * SPACING + away, 0)]
        built = build(crimes, camera_frame(eyes), study(rings))
        assert ("disc:3:0" in built.panel.unit_ids) is free
        pair = [camera("2020-03-10", 0, -9000), camera("2020-04-10", 0, -9000 + away)]
        built = build(crimes, camera_frame(pair), study(rings))
        assert built.facts["treated units with an earlier neighbour"] == (not free)


def test_tie_goes_to_the_earlier_site() -> None:
    # 150 m from both, exactly on the line between them.
    halfway = incident_frame([incident("2020-01-05", 0, 0), incident("2020-01-05", FAR, FAR)])
    for first, second in (("2020-02-10", "2020-03-10"), ("2020-03-10", "2020-02-10")):
        rows = camera_frame([camera(first, -150, 0), camera(second, 150, 0)])
        built = build(halfway, rows, study(LATTICE))
        west_is_first = first < second
        ring = built.units.filter(built.units["unit"] == "ring:00000").to_dicts()[0]
        assert round(ring["x"]) == (-150 if west_is_first else 150)
        assert counts(built, "ring:00000")[0] == 1
        assert counts(built, "ring:00001")[0] == 0


def test_undated_member_makes_the_site_undated() -> None:
    rows = camera_frame(
        [camera("2020-03-10", 0, 0), camera(None, 90, 0), camera("2020-03-10", 2000, 0)]
    )
    built = build(INCIDENTS, rows, study(LATTICE))
    assert roles(built)["site:00000"] == "undated"
    assert built.units["first_live"][0] is None
    assert roles(built)["ring:00000"] == "ring"
    assert built.facts["units with dated and undated cameras"] == 1
    assert built.facts["cameras without a date"] == 1


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = camera_frame(
        [camera(f"2020-0{2 + number % 4}-10", 120 * number, 0) for number in range(20)]
    )
    whole = build(INCIDENTS, rows, study(LATTICE)).units
    monkeypatch.setattr(nearest, "PAIR_ROWS", 1)
    assert_frame_equal(build(INCIDENTS, rows, study(LATTICE)).units, whole)
    assert whole["neighbour_live"].drop_nulls().n_unique() > 1


def test_site_across_the_bounds_is_flagged() -> None:
    rows = camera_frame([camera("2020-03-10", 0, 0), camera("2020-04-10", 11_000, 0)])
    built = build(INCIDENTS, rows, study(LATTICE))
    assert built.facts["sites across the city's bounds"] == 1
