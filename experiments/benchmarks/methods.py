"""Ways of counting incidents by site, zone, month and crime type, from the same file to the same array.

All but `floor` and `whole` do the peers' work: read, project, find the nearest camera, count. They share
the projection and the table of sites, which are not what is compared. `whole` is what a city analyst
runs: it accounts for every row, looks for duplicates, takes the file's fingerprint and adds the controls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import polars as pl
from city import BOUNDS, FIRST, LAST, TYPES
from numpy.typing import NDArray

from evalkit.config import load_study
from evalkit.panel.projection import city_projection, project
from evalkit.panel.raster import build_raster, cell_for, codes
from evalkit.panel.sites import merge_sites, place_cameras
from evalkit.workbench import open_bench, stream_city

__all__ = ["METHODS"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

RADIUS_M, RING_M = 100.0, 200.0
MONTHS: Final = (int(LAST[:4]) - int(FIRST[:4]) + 1) * 12
DAY: Final = "%Y-%m-%d"
SCHEMA: Final = pl.Schema(
    {
        "case": pl.Int64(),
        "day": pl.String(),
        "type": pl.String(),
        "longitude": pl.Float64(),
        "latitude": pl.Float64(),
    }
)
PROJECTION: Final = city_projection(BOUNDS)


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """M cameras in order of priority: (M, 2) metres, and (M,) their site."""

    xy: Floats
    site: Integers

    @property
    def count(self) -> int:
        """Number of sites."""
        return int(self.site.max()) + 1


def floor(folder: Path) -> None:
    """Read the four columns, keep what lies in the city, decode; nothing is assigned or counted."""
    _decoded(folder).select(pl.all().sum()).collect(engine="streaming")


def raster(folder: Path) -> Integers:
    """A polars scan, and evalkit's raster with a dense counter."""
    sites = _sites(folder)
    rows = (folder / "incidents.csv").stat().st_size // 46
    table = build_raster(sites.xy, (RADIUS_M, RING_M), owner=sites.site, size=cell_for(rows))
    counts = np.zeros((2 * sites.count + 1) * MONTHS * len(TYPES), dtype=np.uint32)
    lock = Lock()

    def count(block: pl.DataFrame) -> pl.DataFrame:
        x, y = project(PROJECTION, block["longitude"].to_numpy(), block["latitude"].to_numpy())
        cell = codes(table, x, y).astype(np.int64)
        cell[cell < 0] = 2 * sites.count
        cell *= MONTHS * len(TYPES)
        cell += block["month"].to_numpy() * np.int32(len(TYPES)) + block["type"].to_numpy()
        with lock:  # two blocks may come at once
            np.add.at(counts, cell, np.uint32(1))
        return pl.DataFrame({"rows": [block.height]})

    blocks = _decoded(folder).map_batches(count, streamable=True, schema={"rows": pl.Int64})
    blocks.sum().collect(engine="streaming")
    return counts[: 2 * sites.count * MONTHS * len(TYPES)].astype(np.int64)


def tree(folder: Path, workers: int = 1) -> Integers:
    """polars, and SciPy's k-d tree as it is usually called: on one processor."""
    from scipy.spatial import cKDTree

    sites = _sites(folder)
    rows = _decoded(folder).collect()
    x, y = project(PROJECTION, rows["longitude"].to_numpy(), rows["latitude"].to_numpy())
    apart, camera = cKDTree(sites.xy).query(
        np.column_stack([x, y]), distance_upper_bound=np.nextafter(RING_M, np.inf), workers=workers
    )
    near = np.isfinite(apart)
    return _count(
        sites,
        camera[near],
        apart[near],
        *(rows[name].to_numpy()[near] for name in ("month", "type")),
    )


def tree_on_all(folder: Path) -> Integers:
    """As `tree`, on all processors."""
    return tree(folder, workers=-1)


def geopandas(folder: Path) -> Integers:
    """pandas, and geopandas' `sjoin_nearest`."""
    import geopandas as gpd
    import pandas as pd

    sites = _sites(folder)
    rows = pd.read_csv(folder / "incidents.csv")
    day = pd.to_datetime(rows["day"], format=DAY)
    x, y = project(PROJECTION, rows["longitude"].to_numpy(), rows["latitude"].to_numpy())
    incidents = gpd.GeoDataFrame(
        {
            "month": (day.dt.year - int(FIRST[:4])) * 12 + day.dt.month - 1,
            "kind": rows["type"].map({name: at for at, name in enumerate(TYPES)}),
        },
        geometry=gpd.points_from_xy(x, y),
    )
    cameras = gpd.GeoDataFrame(
        {"camera": np.arange(len(sites.xy))}, geometry=gpd.points_from_xy(*sites.xy.T)
    )
    joined = gpd.sjoin_nearest(incidents, cameras, max_distance=RING_M, distance_col="apart")
    # An incident as far from two cameras comes twice; the earlier camera has it.
    joined = joined.sort_values("camera")
    joined = joined[~joined.index.duplicated()]
    return _count(
        sites, *(joined[name].to_numpy() for name in ("camera", "apart", "month", "kind"))
    )


def whole(folder: Path) -> Integers:
    """`evalkit site panel`: the same counts, with everything a city needs to trust them."""
    study = load_study(folder / "study.toml")
    city = stream_city(open_bench(folder / "site.toml"), study)
    if city is None or city.account.read != city.account.used:
        raise RuntimeError("the city of the benchmark has no row to reject")
    panel = city.built.panel
    at = [panel.crime_types.index(common) for common in TYPES.values()]
    units = 2 * sum(name.startswith("site:") for name in panel.unit_ids.tolist())
    counts = panel.counts[at][:, :units].reshape(len(at), 2, units // 2, MONTHS)
    return np.ascontiguousarray(counts.transpose(2, 1, 3, 0)).reshape(-1)


METHODS: Final[dict[str, Callable[[Path], Any]]] = {
    "floor": floor,
    "raster": raster,
    "whole": whole,
    "tree": tree,
    "tree_on_all": tree_on_all,
    "geopandas": geopandas,
}


def _decoded(folder: Path) -> pl.LazyFrame:
    """Longitude, latitude, month from 0, and position of the crime type."""
    west, south, east, north = BOUNDS
    day = pl.col("day").str.to_date(DAY)
    return (
        pl.scan_csv(folder / "incidents.csv", schema=SCHEMA)
        .filter(
            pl.col("longitude").is_between(west, east) & pl.col("latitude").is_between(south, north)
        )
        .select(
            "longitude",
            "latitude",
            ((day.dt.year() - int(FIRST[:4])) * 12 + day.dt.month().cast(pl.Int32) - 1).alias(
                "month"
            ),
            # Not replace_strict, which keeps the whole column in memory (polars 2.1).
            pl.col("type").cast(pl.Enum(list(TYPES))).to_physical().cast(pl.Int32),
        )
    )


def _sites(folder: Path) -> Sites:
    cameras = pl.read_csv(folder / "cameras.csv", try_parse_dates=True).select(
        pl.col("camera").cast(pl.String).alias("id"),
        pl.col("live").alias("live_date"),
        "longitude",
        "latitude",
        pl.lit(None, pl.String).alias("area"),
    )
    placed = place_cameras(cameras, PROJECTION, BOUNDS)
    return Sites(placed.xy, merge_sites(placed.xy, RADIUS_M))


def _count(
    sites: Sites, camera: Integers, apart: Floats, month: Integers, kind: Integers
) -> Integers:
    zone = (apart > RADIUS_M).astype(np.int64)
    cell = ((sites.site[camera] * 2 + zone) * MONTHS + month) * len(TYPES) + kind
    return np.bincount(cell, minlength=2 * sites.count * MONTHS * len(TYPES))
