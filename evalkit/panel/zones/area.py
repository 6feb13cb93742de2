"""Named areas: the unit is whatever the source calls the place (a block group, a beat, a park).

An area is a unit if an incident of the window or a camera names it. It is treated by the first
camera that names it, or the ``min_cameras``-th. There is no ring: names do not tell who borders whom.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.panel.projection import is_located
from evalkit.panel.sites import Cameras, go_live
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, Zoning, no_dates

__all__ = ["area_zones"]


def area_zones(incidents: Incidents, cameras: Cameras, least: int) -> Zoning:
    """Assign incidents to areas of the same name, sorted by name.

    Args:
        incidents: of the window.
        cameras: of the city.
        least: how many cameras make an area treated.
    """
    names = (
        pl.concat([incidents.area.drop_nulls().unique(), cameras.area.drop_nulls().unique()])
        .unique()
        .sort()
    )
    unit, unit_of_camera = _index(incidents.area, names), _index(cameras.area, names)
    placed = unit_of_camera != OUTSIDE
    live = go_live(cameras, np.flatnonzero(placed), unit_of_camera[placed], len(names), least=least)
    return Zoning(
        unit=unit,
        ids=tuple(names.to_list()),
        ring=np.zeros(len(names), dtype=np.int64),
        first=live.first,
        undated=live.undated,
        cameras=live.cameras,
        gone=live.gone,
        held=(cameras.rows[placed], unit_of_camera[placed]),
        neighbour=no_dates(len(names)),
        xy=_centre(
            np.concatenate([incidents.xy, cameras.xy]),
            np.concatenate([unit, unit_of_camera]),
            len(names),
        ),
        facts={"units with dated and undated cameras": live.mixed},
    )


def _index(area: pl.Series, names: pl.Series) -> NDArray[np.int64]:
    if len(names) == 0:
        return np.full(len(area), OUTSIDE, dtype=np.int64)
    positions = pl.Series(np.arange(len(names), dtype=np.int64))
    found: NDArray[np.int64] = area.replace_strict(
        names, positions, default=OUTSIDE, return_dtype=pl.Int64
    ).to_numpy()
    return found


def _centre(xy: NDArray[np.float64], unit: NDArray[np.int64], units: int) -> NDArray[np.float64]:
    """(U, 2) mean of the located points of each unit, NaN without any."""
    located = (unit != OUTSIDE) & is_located(xy)
    points = np.bincount(unit[located], minlength=units)
    sums = [
        np.bincount(unit[located], weights=xy[located, axis], minlength=units) for axis in (0, 1)
    ]
    centre = np.full((units, 2), np.nan)
    some = points > 0
    centre[some] = np.column_stack(sums)[some] / points[some, None]
    return centre
