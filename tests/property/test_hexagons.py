"""Hexagons anywhere on earth: the table of rectangles never differs from H3 itself."""

from __future__ import annotations

import h3
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.panel.zones.hexagon import EDGES_M, hexagons_of

DEGREE_M = 111_320.0


@given(
    st.floats(-179.9, 179.9),
    st.floats(-75.0, 75.0),
    st.integers(5, 12),
    st.integers(100, 5000),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_agrees_with_h3_everywhere(
    longitude: float, latitude: float, resolution: int, points: int, seed: int
) -> None:
    high = 4 * EDGES_M[resolution] / DEGREE_M
    wide = high / np.cos(np.radians(latitude))
    bounds = (longitude - wide, latitude - high, longitude + wide, latitude + high)
    hexagons = hexagons_of(bounds, resolution, points * 64)
    if hexagons is None:
        assert abs(longitude) > 176
        return
    generator = np.random.default_rng(seed)
    east = generator.uniform(bounds[0], bounds[2], 400)
    north = generator.uniform(bounds[1], bounds[3], 400)
    found = hexagons.ids[hexagons.of(east, north)].tolist()
    assert found == [
        h3.str_to_int(h3.latlng_to_cell(y, x, resolution))
        for x, y in zip(east.tolist(), north.tolist(), strict=True)
    ]
