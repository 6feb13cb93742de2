"""A large city made up for benchmarks: incidents and cameras in files, a site file and a study.

The city is 30 km wide. Incidents cluster about some hundreds of hot places and are spread evenly
beside them; cameras stand where incidents are, so that most incidents are near several of them,
which is the hard case.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["BOUNDS", "FIRST", "LAST", "TYPES", "make_city"]

BOUNDS: Final = (-75.735, 6.065, -75.465, 6.335)
"""West, south, east, north in degrees: 30 km each way."""

FIRST, LAST = "2015-01-01", "2024-12-31"
"""Days of the first and the last incident, and of the study's window."""

TYPES: Final = {"HURTO": "theft", "ATRACO": "robbery", "LESIONES": "assault"}
"""The source's categories, and the common crime types."""

CHUNK_ROWS: Final = 1_000_000
"""Rows written at once."""

HOT_PLACES: Final = 400
SPREAD: Final = 0.004
"""Degrees; about 440 m."""
HOT_SHARE: Final = 0.6
"""Share of incidents near a hot place."""

Floats = NDArray[np.float64]


def make_city(folder: Path, rows: int, cameras: int, *, seed: int = 1) -> None:
    """Write ``incidents.csv``, ``cameras.csv``, ``site.toml`` and ``study.toml`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    west, south, east, north = BOUNDS
    hot = rng.uniform((west, south), (east, north), (HOT_PLACES, 2))
    live = np.datetime64("2014-01-01") + rng.integers(0, 4500, cameras)
    at = _places(rng, hot, cameras)
    pl.DataFrame(
        {
            "camera": np.arange(cameras),
            "live": live,
            "longitude": at[:, 0].round(7),
            "latitude": at[:, 1].round(7),
        }
    ).write_csv(folder / "cameras.csv")
    with (folder / "incidents.csv").open("wb") as file:
        for start in range(0, rows, CHUNK_ROWS):
            frame = _incidents(rng, hot, start, min(CHUNK_ROWS, rows - start))
            frame.write_csv(file, include_header=start == 0)
    (folder / "site.toml").write_text(_SITE, encoding="utf-8")
    (folder / "study.toml").write_text(_STUDY, encoding="utf-8")


def _incidents(rng: np.random.Generator, hot: Floats, start: int, rows: int) -> pl.DataFrame:
    days = int((np.datetime64(LAST) + 1 - np.datetime64(FIRST)).astype(int))
    at = _places(rng, hot, rows)
    return pl.DataFrame(
        {
            "case": np.arange(start, start + rows),
            "day": np.datetime64(FIRST) + rng.integers(0, days, rows),
            "type": np.array(list(TYPES))[rng.integers(0, len(TYPES), rows)],
            "longitude": at[:, 0],
            "latitude": at[:, 1],
        }
    ).with_columns(pl.col("longitude", "latitude").round(6))


def _places(rng: np.random.Generator, hot: Floats, count: int) -> Floats:
    west, south, east, north = BOUNDS
    even = rng.uniform((west, south), (east, north), (count, 2))
    near = hot[rng.integers(0, len(hot), count)] + rng.normal(0, SPREAD, (count, 2))
    inside = (near > (west, south)).all(axis=1) & (near < (east, north)).all(axis=1)
    chosen = inside & (rng.random(count) < HOT_SHARE)
    return np.where(chosen[:, None], near, even)


_SITE: Final = f"""
name = "benchmark"
[city]
title = "Benchmark"
time_zone = "America/Bogota"
bounds = {list(BOUNDS)}
[incidents]
files = ["incidents.csv"]
date_format = ["%Y-%m-%d"]
[incidents.columns]
id = "case"
date = "day"
longitude = "longitude"
latitude = "latitude"
crime_type = "type"
[incidents.crime_types]
{chr(10).join(f'"{name}" = "{common}"' for name, common in TYPES.items())}
[cameras]
files = ["cameras.csv"]
date_format = ["%Y-%m-%d"]
[cameras.columns]
id = "camera"
live_date = "live"
longitude = "longitude"
latitude = "latitude"
[policy]
studies = ["any"]
"""

_STUDY: Final = f"""
name = "benchmark"
title = "Benchmark"
[window]
start = {FIRST}
end = {LAST}
[units]
kind = "catchment"
radius_m = 100.0
ring_m = 200.0
[outcome]
crime_types = {list(TYPES.values())}
"""
