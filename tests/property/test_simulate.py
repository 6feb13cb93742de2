"""Simulated incidents are accounted for whatever the effect, and discs are discs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from evalkit.simulate import PRESETS, CityDraw, Effect, Mess, Shape, draw_city
from evalkit.simulate.draw import portal_stream
from evalkit.simulate.effect import apply_effect, catchment_of
from evalkit.simulate.geo import to_degrees
from evalkit.simulate.messy import spoil

HALF_A_TOWN_M = 4_000.0
A_CENTIMETRE = 0.01
"""Allowed error of a distance of 100 m: 0.01 %, a tenth of what would move a count noticeably."""

PRESET = replace(
    PRESETS["null"],
    shape=Shape(incidents=(2_000.0, 2_000.0), hotspots=50, sites=(20, 20), batches=(3, 3)),
)


@cache
def town() -> CityDraw:
    return draw_city(PRESET.cities[0], PRESET, 1)


@given(
    theta=st.floats(-3, 1.5),
    displaced=st.floats(0, 1),
    ramp=st.floats(0, 40),
    seed=st.integers(0, 2**32),
)
def test_every_incident_is_accounted_for(
    theta: float, displaced: float, ramp: float, seed: int
) -> None:
    city = town()
    effect = Effect(displaced=displaced, ramp_months=ramp)
    done = apply_effect(city.without, city.cameras, effect, theta, np.random.default_rng(seed))
    assert len(done.events) == len(city.without) - done.prevented + done.displaced + done.added
    assert 0 <= done.displaced <= done.prevented
    assert done.prevented == 0 or done.added == 0
    before = catchment_of(city.without, city.cameras, effect.radius_m) >= 0
    after = catchment_of(done.events, city.cameras, effect.radius_m) >= 0
    assert after.sum() == before.sum() - done.prevented + done.added
    inside = np.abs(done.events.x) <= city.places.half_x
    assert (inside & (np.abs(done.events.y) <= city.places.half_y)).all()


SHARES = st.floats(0, 0.14)


@given(
    shares=st.tuples(*[SHARES] * 7).map(lambda shares: Mess(*shares)), seed=st.integers(0, 2**32)
)
def test_no_row_is_spoiled_twice(shares: Mess, seed: int) -> None:
    city = town()
    clean = len(city.incidents)
    rows, defects = spoil(city, shares, portal_stream(city.spec.name, seed))
    assert len(rows.number) == clean + defects.duplicates + defects.unmapped
    assert rows.usable.sum() == clean - defects.spoiled
    assert len(np.unique(rows.number)) == len(rows.number) - defects.duplicates
    assert np.isnan(rows.longitude).sum() == defects.missing
    assert rows.bad_date.sum() == defects.bad_dates


@given(
    longitude=st.floats(-179, 179),
    latitude=st.floats(-60, 60),
    x=st.floats(-HALF_A_TOWN_M, HALF_A_TOWN_M),
    y=st.floats(-HALF_A_TOWN_M, HALF_A_TOWN_M),
    angle=st.floats(0, 2 * np.pi),
)
def test_a_hundred_metres_are_a_hundred_metres(
    longitude: float, latitude: float, x: float, y: float, angle: float
) -> None:
    east = np.array([x, x + 100 * np.cos(angle)])
    north = np.array([y, y + 100 * np.sin(angle)])
    lon, lat = to_degrees(east, north, longitude=longitude, latitude=latitude)
    metres = Geod(ellps="WGS84").inv(lon[0], lat[0], lon[1], lat[1])[2]
    assert abs(metres - 100) < A_CENTIMETRE
