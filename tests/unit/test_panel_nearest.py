"""The nearest camera: limits, ties, blocks."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.panel import nearest as module
from evalkit.panel.nearest import NOBODY, nearest, pairs_within
from tests.panel_frames import metres


def test_limit_is_included_and_beyond_it_is_nobody() -> None:
    cameras = metres([(0, 0)])
    points = metres([(0, 0), (60, 80), (60, 80.001), (300, 0)])
    found, squared = nearest(points, cameras, 100.0)
    assert found.tolist() == [0, 0, NOBODY, NOBODY]
    assert squared.tolist() == [0.0, 10_000.0, np.inf, np.inf]


def test_tie_goes_to_the_camera_with_priority() -> None:
    points = metres([(0, 0), (1, 0)])
    east, west, north = (50, 0), (-50, 0), (0, 50)
    assert nearest(points, metres([west, east, north]), 100.0)[0].tolist() == [0, 1]
    assert nearest(points, metres([north, east, west]), 100.0)[0].tolist() == [0, 1]
    assert nearest(points, metres([east, north, west]), 100.0)[0].tolist() == [0, 0]


def test_cameras_at_one_place_count_as_the_first_of_them() -> None:
    cameras = metres([(500, 500), (10, 10), (0, 0), (10, 10), (0, 0)])
    found, _ = nearest(metres([(1, 1), (9, 9), (5, 5)]), cameras, 100.0)
    assert found.tolist() == [2, 1, 1]


def test_nothing_to_find_and_nothing_to_look_for() -> None:
    empty = metres([])
    assert nearest(metres([(0, 0)]), empty, 10.0)[0].tolist() == [NOBODY]
    assert nearest(empty, metres([(0, 0)]), 10.0)[0].tolist() == []
    assert list(pairs_within(metres([(0, 0)]), empty, 10.0)) == []


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    points = generator.integers(0, 40, (101, 2)).astype(float)
    cameras = generator.integers(0, 40, (30, 2)).astype(float)
    whole = nearest(points, cameras, 8.0)
    pairs = np.concatenate(
        [np.stack(block) for block in pairs_within(points, cameras, 8.0)], axis=1
    )
    monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    monkeypatch.setattr(module, "PAIR_ROWS", 7)
    parts = nearest(points, cameras, 8.0)
    assert parts[0].tolist() == whole[0].tolist()
    assert parts[1].tolist() == whole[1].tolist()
    again = np.concatenate(
        [np.stack(block) for block in pairs_within(points, cameras, 8.0)], axis=1
    )
    assert again.tolist() == pairs.tolist()
    assert len(pairs[0]) > len(points)
