"""Cameras in order of priority, and the sites they form."""

from __future__ import annotations

import numpy as np

from evalkit.panel.projection import city_projection
from evalkit.panel.sites import go_live, merge_sites, place_cameras
from tests.panel_frames import BOUNDS, camera, camera_frame, metres


def test_priority_is_date_then_identifier_then_place() -> None:
    frame = camera_frame(
        [
            camera(None, 0, 0, name="a", area="undated"),
            camera("2020-03-01", 0, 0, name="b", area="late"),
            camera("2020-01-01", 0, 0, name="z", area="early, z"),
            camera("2020-01-01", 9, 0, name="c", area="early, c, east"),
            camera("2020-01-01", 0, 0, name="c", area="early, c, west"),
        ]
    )
    expected = ["early, c, west", "early, c, east", "early, z", "late", "undated"]
    projection = city_projection(BOUNDS)
    assert place_cameras(frame, projection, BOUNDS).area.to_list() == expected
    assert place_cameras(frame.reverse(), projection, BOUNDS).area.to_list() == expected


def test_coordinates_outside_the_bounds_or_absent_are_not_usable() -> None:
    frame = camera_frame(
        [camera("2020-01-01", 0, 0), camera("2020-01-02"), camera("2020-01-03", 50_000, 0)]
    )
    placed = place_cameras(frame, city_projection(BOUNDS), BOUNDS)
    assert placed.located.tolist() == [True, False, False]
    assert placed.take(placed.located).xy.shape == (1, 2)


def test_chain_within_the_distance_is_one_site() -> None:
    xy = metres([(1000, 0), (0, 0), (180, 0), (90, 0), (1000, 0), (281, 0)])
    assert merge_sites(xy, 100.0).tolist() == [0, 1, 1, 1, 0, 2]
    assert merge_sites(xy, 101.0).tolist() == [0, 1, 1, 1, 0, 1]
    assert merge_sites(xy, 1.0).tolist() == [0, 1, 2, 3, 0, 4]
    assert merge_sites(metres([]), 100.0).tolist() == []


def test_thousands_of_cameras_in_one_building_are_cheap() -> None:
    # As pairs of cameras these would be 800 million.
    assert merge_sites(np.zeros((40_000, 2)), 100.0).max() == 0


def test_go_live_is_the_earliest_date_and_unknown_if_any_is() -> None:
    days = ["2020-05-01", "2020-02-01", None, "2020-01-01", None]
    placed = place_cameras(
        camera_frame([camera(day, 0, 0, name=str(at)) for at, day in enumerate(days)]),
        city_projection(BOUNDS),
        BOUNDS,
    )
    order = np.argsort([int(name) for name in ("3", "1", "0", "2", "4")])  # by date, undated last
    found = go_live(placed, order, np.array([0, 0, 1, 2, 2]), 4)
    assert found.first.astype(str).tolist() == ["2020-02-01", "NaT", "NaT", "NaT"]
    assert found.undated.tolist() == [False, True, True, False]
    assert found.cameras.tolist() == [2, 1, 2, 0]
    assert found.mixed == 1
