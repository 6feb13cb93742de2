"""The city projection against the geodesic of PROJ (Karney 2013) and its transverse Mercator.

Measured on 20,000 random pairs a city, centres at latitudes 0 to 65 north and south (centimetres
of error on a distance of 200 m): 0.057 in a city 30 km wide, 0.230 in one 60 km wide.
"""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from evalkit.panel.projection import city_projection, project, unproject

# Bounds a little above the measurement above; the error is geometry, not chance.
ERROR_AT_200_M = {30: 0.0006, 60: 0.0025}
# The polynomial stops at third order; the rest against the full series, in metres (measured:
# 4.2e-4 and 6.7e-3 at latitude 65, where it is largest).
REST_OF_SERIES_M = {30: 0.0005, 60: 0.008}
# Six steps of the inverse end at rounding error: 1e-9 m measured at most.
INVERSE_M = 1e-8

LATITUDES = (0.0, 6.2, -33.0, 41.8, 51.5, 65.0, -65.0)
LONGITUDE = 10.0
PAIRS = 5_000


def city(latitude: float, width_km: int) -> tuple[float, float, float, float]:
    half = width_km * 500
    up, along = half / 111_000, half / (111_320 * np.cos(np.radians(latitude)))
    return LONGITUDE - along, latitude - up, LONGITUDE + along, latitude + up


def points(width_km: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Random points, and the four corners, where the error is largest."""
    half = width_km * 500.0
    x, y = generator.uniform(-half, half, (2, PAIRS))
    x[:4], y[:4] = [half, half, -half, -half], [half, -half, half, -half]
    return x, y


@pytest.mark.parametrize("width_km", [30, 60])
@pytest.mark.parametrize("latitude", LATITUDES)
class TestCity:
    def test_distance_of_200_m_against_the_geodesic(self, latitude: float, width_km: int) -> None:
        generator = np.random.default_rng(20_250_101)
        projection = city_projection(city(latitude, width_km))
        x, y = points(width_km, generator)
        longitude, latitudes = unproject(projection, x, y)
        azimuth = generator.uniform(0, 360, PAIRS)
        geodesic = pyproj.Geod(ellps="WGS84")
        to_longitude, to_latitude, _ = geodesic.fwd(
            longitude, latitudes, azimuth, np.full(PAIRS, 200.0)
        )
        to_x, to_y = project(projection, to_longitude, to_latitude)
        error = np.abs(np.hypot(to_x - x, to_y - y) - 200.0).max()
        assert error < ERROR_AT_200_M[width_km]
        # Not exact either: a bound that cannot be missed would prove nothing.
        assert error > ERROR_AT_200_M[width_km] / 2

    def test_is_transverse_mercator_to_third_order(self, latitude: float, width_km: int) -> None:
        projection = city_projection(city(latitude, width_km))
        longitude, latitudes = unproject(projection, *points(width_km, np.random.default_rng(7)))
        x, y = project(projection, longitude, latitudes)
        centre = f"+lat_0={projection.latitude} +lon_0={projection.longitude}"
        exact = pyproj.Proj(f"+proj=tmerc {centre} +k=1 +ellps=WGS84")
        exact_x, exact_y = exact(longitude, latitudes)
        assert np.hypot(x - exact_x, y - exact_y).max() < REST_OF_SERIES_M[width_km]

    def test_inverse(self, latitude: float, width_km: int) -> None:
        projection = city_projection(city(latitude, width_km))
        x, y = points(width_km, np.random.default_rng(7))
        back_x, back_y = project(projection, *unproject(projection, x, y))
        assert np.hypot(back_x - x, back_y - y).max() < INVERSE_M


def test_centre_is_the_origin_and_axes_point_east_and_north() -> None:
    projection = city_projection((9.0, 49.0, 11.0, 51.0))
    x, y = project(projection, [10.0, 10.01, 10.0], [50.0, 50.0, 50.01])
    assert (x[0], y[0]) == (0.0, 0.0)
    assert x[1] == pytest.approx(716.96, abs=0.01)  # cos 50° × the normal radius × 0.01°
    assert y[2] == pytest.approx(1112.29, abs=0.01)  # the meridian radius at 50° × 0.01°


def test_unknown_stays_unknown_and_blocks_do_not_show() -> None:
    projection = city_projection((-75.7, 6.1, -75.5, 6.3))
    rows = 40_000  # more than two blocks
    longitude = np.linspace(-75.7, -75.5, rows)
    latitude = np.linspace(6.1, 6.3, rows)
    latitude[3] = np.nan
    x, y = project(projection, longitude, latitude)
    assert np.flatnonzero(np.isnan(x)).tolist() == [3]
    assert np.flatnonzero(np.isnan(y)).tolist() == [3]
    for row in (0, 16_383, 16_384, 39_999):
        alone = project(projection, longitude[row], latitude[row])
        assert (alone[0][0], alone[1][0]) == (x[row], y[row])
