"""Square cells: x and y divided by ``cell_m`` and rounded down, counted from the city's centre.

A cell is a unit if an incident of the window (of any crime type the site maps) or a camera lies in
it. It is treated by the first camera inside. A cell without a camera, but with one at most
``ring_m`` from its edge, is a ring and takes the cohort of the first such camera. ``ring_m`` equal
to ``radius_m`` means no ring, as for catchments; a cell beside a camera's cell is then a control.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Units
from evalkit.panel.nearest import pairs_within
from evalkit.panel.projection import is_located
from evalkit.panel.sites import Cameras
from evalkit.panel.zones.around import Near, zoning_around
from evalkit.panel.zones.keys import Extent, Keys, square_keys
from evalkit.panel.zones.squares import distinct
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, Zoning

__all__ = ["grid_keys", "grid_zones"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def grid_zones(incidents: Incidents, cameras: Cameras, units: Units) -> Zoning:
    """Assign incidents to cells, sorted from west to east and from south to north."""
    size = units.cell_m
    located = is_located(incidents.xy)
    cameras = cameras.take(cameras.located)
    keys = np.floor(np.concatenate([incidents.xy[located], cameras.xy]) / size).astype(np.int64)
    cells, cell = distinct(keys)
    here, cell_of_camera = cell[: int(located.sum())], cell[int(located.sum()) :]
    unit = np.full(len(incidents.xy), OUTSIDE, dtype=np.int64)
    unit[located] = here

    return zoning_around(
        unit,
        tuple(f"cell:{x}:{y}" for x, y in cells.tolist()),
        (cells.astype(np.float64) + 0.5) * size,
        cameras,
        cell_of_camera,
        _near(cells, cameras, cell_of_camera, units),
        {},
    )


def grid_keys(cameras: Cameras, units: Units, extent: Extent, points: int) -> Keys:  # noqa: ARG001 (all kinds share one signature)
    """Keys: one for every cell that the city's bounds may hold."""
    size = units.cell_m
    (first_column, first_row), (columns, rows) = square_keys(extent, size)

    def keys_of(x: Floats, y: Floats) -> Integers:
        column, row = (np.floor(values / size).astype(np.int64) for values in (x, y))
        key: Integers = (column - first_column) * rows + (row - first_row)
        return key

    return Keys(columns * rows, keys_of)


def _near(cells: Integers, cameras: Cameras, cell_of_camera: Integers, units: Units) -> Near:
    """Cameras outside a cell and at most ``ring_m`` from its edge."""
    if not units.rings_m:
        return Near(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    size = units.cell_m
    centres = (cells.astype(np.float64) + 0.5) * size
    kept_cells, kept_cameras = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    # No point within ring_m of the square is farther from its centre than this.
    for cell, camera, _ in pairs_within(centres, cameras.xy, units.reach_m + size / np.sqrt(2)):
        beyond = np.maximum(np.abs(cameras.xy[camera] - centres[cell]) - size / 2, 0.0)
        close = (beyond**2).sum(axis=1) <= units.reach_m**2
        close &= cell_of_camera[camera] != cell
        kept_cells.append(cell[close])
        kept_cameras.append(camera[close])
    return Near(np.concatenate(kept_cells), np.concatenate(kept_cameras))
