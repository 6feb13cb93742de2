"""Coordinates: single errors are rejected, systematic ones refused with the way out."""

from __future__ import annotations

import polars as pl
import pytest

from evalkit.config import Source
from evalkit.errors import CoordinatesError
from evalkit.readers.coordinates import (
    Coordinates,
    check_plausible,
    coordinate_facts,
    coordinate_notes,
    read_coordinates,
)
from evalkit.readers.rejection import first_reason
from tests.sites import BOUNDS

SEOUL = (126.7, 37.4, 127.2, 37.7)
MICHIGAN_SOUTH = "EPSG:2253"
PROJECTED = ("13476250.123", "313112.456")
"""Somewhere in Detroit, in international feet of the Michigan South state plane."""

CENTRAL_MERIDIAN = -84.0 - 22.0 / 60.0
FALSE_EASTING = 4_000_000.0 / 0.3048
"""By the definition of the Michigan South state plane (NAD 83): 84°22' W lies at 4,000 km."""

NAD83_TO_WGS84 = 5e-5
"""Degrees by which the two datums may differ; pyproj may or may not apply the shift of a metre."""


def read(
    *points: tuple[str | None, str | None],
    bounds: tuple[float, float, float, float] = BOUNDS,
    **settings: str,
) -> Coordinates:
    x, y = (pl.Series([p[i] for p in points], dtype=pl.String) for i in (0, 1))
    return read_coordinates(x, y, Source(files=(), **settings), bounds)


def reasons(found: Coordinates) -> list[str | None]:
    return first_reason(found.conditions).to_list()


def check(
    found: Coordinates,
    bounds: tuple[float, float, float, float] = BOUNDS,
    **settings: str,
) -> None:
    check_plausible(found, "a.csv", ("lon", "lat"), Source(files=(), **settings), bounds)


@pytest.mark.parametrize(
    ("longitude", "latitude", "reason"),
    [
        ("-83.5", "42.5", None),
        ("-84", "42", None),
        ("-83", "43", None),
        ("-8.35e1", "+42.5", None),
        (None, "42.5", "missing_coordinates"),
        ("-83.5", None, "missing_coordinates"),
        ("83.5W", "42.5", "unreadable_coordinates"),
        ("inf", "42.5", "unreadable_coordinates"),
        ("-83,5", "42.5", "unreadable_coordinates"),
        ("0", "0.000", "zero_coordinates"),
        ("0", "42.5", "outside_city"),
        ("42.5", "-83.5", "swapped_coordinates"),
        ("-200", "42.5", "outside_earth"),
        ("-83.5", "90.1", "outside_earth"),
        ("-82.999", "42.5", "outside_city"),
        ("1e308", "42.5", "outside_earth"),
    ],
)
def test_reasons(longitude: str | None, latitude: str | None, reason: str | None) -> None:
    assert reasons(read((longitude, latitude))) == [reason]


def test_swapped_comes_before_outside_earth() -> None:
    """In Seoul a longitude is no latitude: 127 lies beyond the pole."""
    assert reasons(read(("37.5", "127.0"), bounds=SEOUL)) == ["swapped_coordinates"]


def test_decimal_comma() -> None:
    found = read(("-83,5", "42,25"), ("-83.5", "42"), ("-83.000,5", "42"), decimal=",")
    assert found.longitude.to_list() == [-83.5, -83.5, None]
    assert found.latitude.to_list() == [42.25, 42.0, 42.0]
    assert reasons(found) == [None, None, "unreadable_coordinates"]


def test_projected_coordinates() -> None:
    meridian = (repr(FALSE_EASTING), "300000")
    found = read(PROJECTED, ("0", "0"), (None, "1"), ("1e300", "1e300"), meridian, crs="EPSG:2253")
    assert found.longitude[4] == pytest.approx(CENTRAL_MERIDIAN, abs=NAD83_TO_WGS84)
    first, zero, missing, absurd, _ = reasons(found)
    assert (first, zero, missing) == (None, "zero_coordinates", "missing_coordinates")
    assert absurd in {"outside_city", "outside_earth"}


@pytest.mark.parametrize("crs", ["EPSG:1", "nonsense", ""])
def test_unknown_system(crs: str) -> None:
    with pytest.raises(CoordinatesError, match="not a coordinate system"):
        read(("1", "2"), crs=crs)


GOOD = ("-83.5", "42.5")
SWAPPED = ("42.5", "-83.5")
FAR = ("-90", "42.5")


def test_half_swapped_is_an_error_less_is_not() -> None:
    with pytest.raises(CoordinatesError) as caught:
        check(read(GOOD, SWAPPED, (None, None), ("0", "0")))
    message = str(caught.value)
    assert "1 of 2 rows lie in the city only if they change places" in message
    assert "a.csv, columns lon and lat" in message
    assert "42.5" not in message
    check(read(GOOD, GOOD, SWAPPED))


def test_nearly_all_outside_is_an_error() -> None:
    with pytest.raises(CoordinatesError, match=r"check city\.bounds"):
        check(read(GOOD, *[FAR] * 19))
    check(read(GOOD, *[FAR] * 18))


def test_a_projected_system_is_recognised() -> None:
    with pytest.raises(
        CoordinatesError, match="lengths, not degrees: name their coordinate system"
    ):
        check(read(PROJECTED, PROJECTED))
    with pytest.raises(CoordinatesError, match="check that crs is EPSG:2253"):
        check(read(("1", "1"), crs=MICHIGAN_SOUTH), crs=MICHIGAN_SOUTH)


def test_a_lost_sign_is_recognised() -> None:
    with pytest.raises(CoordinatesError, match="lack their sign"):
        check(read(("83.5", "42.5"), ("83.2", "42.5")))


def test_nothing_located_is_no_error() -> None:
    check(read((None, None), ("0", "0"), ("x", "y")))


def test_a_note_on_many_outside() -> None:
    assert coordinate_notes(coordinate_facts(read(*[GOOD] * 9, FAR))) == [
        "10% of rows with coordinates lie outside the city's bounds"
    ]
    assert coordinate_notes(coordinate_facts(read(GOOD))) == []
