"""Which camera is nearest, exactly, at the price of a look-up for most incidents.

Vocabulary
    cell       a square of a raster over the cameras and what lies within reach of them.
    owner      what a camera belongs to: its site, or itself. Only the owner is wanted.
    candidate  a camera that may be nearest to some point of a cell.
    certain    a cell whose candidates have one owner, all of it inside one zone: no distance is
               needed.
    ambiguous  any other cell that a camera reaches: exact squared distances to its candidates.
    zone       position of the smallest radius that includes a point: 0 is the catchment, 1 and up
               are its rings.
    code       owner · (number of radii) + zone, or `NOBODY`.

The rule is that of `evalkit.panel.nearest`, which is the reference beside it in the tests: the
smallest squared distance dx² + dy² in double precision; of equal ones, the lowest row; a radius
includes the distances equal to it.

Why the candidates suffice: let h be half a cell's diagonal and d₀ the distance of the camera that
is nearest to the cell's centre. No point of the cell is farther than d₀ + h from that camera, so
its own nearest is within d₀ + 2h of the centre; and within r + h, as it is within r of the point.
Both bounds are widened by `SLACK`, which is more than rounding can amount to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evalkit.panel.cells import cells_along
from evalkit.panel.nearest import NOBODY

__all__ = ["Raster", "assign", "build_raster", "cell_for", "codes"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SLACK: Final = 1e-9
"""Relative to the largest coordinate: ten million units in the last place, 0.03 mm in a city."""

MAX_CELLS: Final = 1 << 22
"""Cells of a raster; 16 MB. A wider region gets larger cells."""

MAX_PAIRS: Final = 1 << 25
"""Pairs of a camera and a cell within its reach that are looked at; a larger reach gets larger
cells."""

SITE_BLOCK: Final = 512
"""Cameras whose cells are listed at once: a few megabytes of temporaries."""

CHUNK_ROWS: Final = 1 << 16
"""Points looked up at once: their temporaries stay in the processor's cache."""

CELLS: Final = ((300_000, 66.0), (3_000_000, 33.0))
"""Up to how many points which edge of a cell is the cheapest, building included."""

FINEST: Final = 25.0
"""Edge of a cell in metres for more points than that. Of 50 million points 16 m would save 3 % of the
time, and take half as much memory again to build."""

AMBIGUOUS: Final = -2
"""Largest entry of the table that points to a list of candidates: entry −2 − i is list i."""


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """The look-up table of M cameras.

    Attributes:
        radii: metres, ascending; a point beyond the last one belongs to nobody.
        x, y: metres, the lower left corner.
        size: metres, edge of a cell.
        columns, rows: number of cells each way. The outermost ones lie beyond every reach.
        table: (columns · rows,) code of a certain cell, `NOBODY`, or −2 − start of a list.
        candidates: lists of cameras one after the other, ascending within a list; the last camera c
            of a list is written as −1 − c.
        camera_x, camera_y: (M,) metres.
        owner: (M,) of each camera.
    """

    radii: tuple[float, ...]
    x: float
    y: float
    size: float
    columns: int
    rows: int
    table: NDArray[np.int32]
    candidates: NDArray[np.int32]
    camera_x: Floats
    camera_y: Floats
    owner: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Cell, camera and the squared distance from the cell's centre."""

    cell: Integers
    camera: NDArray[np.int32]
    squared: Floats


def cell_for(points: int) -> float:
    """Edge of a cell in metres that suits a number of points: smaller cells cost more to build.

    Measured in a city 30 km wide with 20,000 cameras.
    """
    for most, size in CELLS:
        if points <= most:
            return size
    return FINEST


def build_raster(
    cameras: Floats,
    radii: Sequence[float],
    *,
    owner: Integers | None = None,
    size: float = 25.0,
) -> Raster:
    """Find the candidates of every cell.

    Args:
        cameras: (M, 2) metres, finite, in order of priority.
        radii: metres, ascending, one or more; the last one is the reach.
        owner: (M,) what each camera belongs to; by default its own row.
        size: metres, the smallest edge of a cell.
    """
    reach = float(radii[-1])
    # The first of several at one place has priority, so that the others can never win.
    _, first = np.unique(cameras, axis=0, return_index=True)
    places = np.sort(first).astype(np.int32)
    low, high = _corners(cameras, reach)
    size = _size(high - low, len(places), reach, size)
    low = low - size  # outermost cells that nothing reaches
    columns, rows = (int(count) + 3 for count in np.floor((high - low) / size))
    raster = Raster(
        radii=tuple(float(radius) for radius in radii),
        x=float(low[0]),
        y=float(low[1]),
        size=size,
        columns=columns,
        rows=rows,
        table=np.full(columns * rows, NOBODY, dtype=np.int32),
        candidates=np.empty(0, dtype=np.int32),
        camera_x=cameras[:, 0].copy(),
        camera_y=cameras[:, 1].copy(),
        owner=(np.arange(len(cameras)) if owner is None else owner).astype(np.int32),
    )
    return _filled(raster, _candidates(raster, places, reach)) if len(places) else raster


def assign(raster: Raster, x: Floats, y: Floats) -> tuple[Integers, Integers]:
    """The owner of the camera nearest to every point, and the zone.

    Args:
        raster: of the cameras.
        x: (N,) metres east; NaN belongs to nobody.
        y: (N,) metres north.

    Returns:
        (N,) owner, `NOBODY` beyond the last radius; (N,) zone, `NOBODY` there.
    """
    code = codes(raster, x, y).astype(np.int64)
    owner, zone = np.divmod(code, len(raster.radii))
    owner[code == NOBODY] = NOBODY
    zone[code == NOBODY] = NOBODY
    return owner, zone


def codes(raster: Raster, x: Floats, y: Floats) -> NDArray[np.int32]:
    """(N,) code of every point: see `assign`, which takes it apart."""
    code = np.empty(len(x), dtype=np.int32)
    for start in range(0, len(x), CHUNK_ROWS):
        block = slice(start, start + CHUNK_ROWS)
        code[block] = _codes(raster, x[block], y[block])
    return code


def _codes(raster: Raster, x: Floats, y: Floats) -> NDArray[np.int32]:
    column = cells_along(x, raster.x, raster.size, raster.columns)
    row = cells_along(y, raster.y, raster.size, raster.rows)
    column *= raster.rows
    column += row
    code = raster.table.take(column)
    open_ = np.flatnonzero(code <= AMBIGUOUS)
    if len(open_):
        start = AMBIGUOUS - code[open_]
        code[open_] = _nearest(raster, x[open_], y[open_], start.astype(np.int64))
    return code


def _nearest(raster: Raster, x: Floats, y: Floats, position: Integers) -> NDArray[np.int32]:
    """Codes of points by exact distances to the candidates from ``position`` on."""
    camera, last = _candidate(raster, position)
    best, winner = _squared(raster, x, y, camera), camera
    open_ = np.flatnonzero(~last)
    x, y, position = x[open_], y[open_], position[open_]
    while len(open_):
        position += 1
        camera, last = _candidate(raster, position)
        squared = _squared(raster, x, y, camera)
        nearer = squared < best[open_]  # strictly: of equal ones the lower row stays
        changed = open_[nearer]
        best[changed], winner[changed] = squared[nearer], camera[nearer]
        more = np.flatnonzero(~last)
        open_, x, y, position = open_[more], x[more], y[more], position[more]
    code = raster.owner.take(winner)
    code *= np.int32(len(raster.radii))
    for radius in raster.radii[:-1]:
        code += best > radius**2
    code[~(best <= raster.radii[-1] ** 2)] = NOBODY  # not >: NaN belongs to nobody
    return code


def _candidate(raster: Raster, position: Integers) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Camera at a position of the lists, and whether it is the last of its list."""
    camera = raster.candidates.take(position)
    last = camera < 0
    np.invert(camera, out=camera, where=last)
    return camera, last


def _squared(raster: Raster, x: Floats, y: Floats, camera: NDArray[np.int32]) -> Floats:
    east, north = raster.camera_x.take(camera), raster.camera_y.take(camera)
    east -= x
    north -= y
    east *= east
    north *= north
    east += north
    return east


def _corners(cameras: Floats, reach: float) -> tuple[Floats, Floats]:
    if not len(cameras):
        return np.zeros(2), np.zeros(2)
    return cameras.min(axis=0) - reach, cameras.max(axis=0) + reach


def _size(extent: Floats, cameras: int, reach: float, size: float) -> float:
    """A cell's edge, large enough for `MAX_CELLS` and `MAX_PAIRS`."""
    width, height = (float(side) for side in extent)
    # (w/s + 4)·(h/s + 4) cells and 4·(reach/s + 2)² pairs a camera; doubling finds s in a few steps.
    while (width / size + 4) * (height / size + 4) > MAX_CELLS or (
        cameras * 4 * (reach / size + 2) ** 2 > MAX_PAIRS and reach / size > 1
    ):
        size *= 2**0.5
    return size


def _slack(raster: Raster) -> float:
    largest = max(float(np.abs(at).max(initial=0.0)) for at in (raster.camera_x, raster.camera_y))
    return SLACK * (largest + raster.radii[-1] + 4 * raster.size)


def _candidates(raster: Raster, places: NDArray[np.int32], reach: float) -> _Pairs:
    """Every pair of a cell and a candidate, cameras ascending within a cell, cells ascending."""
    half, slack = raster.size / 2**0.5, _slack(raster)
    blocks = [places[start : start + SITE_BLOCK] for start in range(0, len(places), SITE_BLOCK)]
    bound = np.full(len(raster.table), np.inf)
    # Those that a later camera will beat are known only in the end; most are dropped on the way.
    loose = []
    for block in blocks:
        pairs = _reached(raster, block, reach + half + slack)
        np.minimum.at(bound, pairs.cell, pairs.squared)
        loose.append(_within(pairs, bound, half, slack))
    kept = [_within(pairs, bound, half, slack) for pairs in loose]
    cell = np.concatenate([pairs.cell for pairs in kept])
    order = _counting_sort(cell, len(raster.table))
    return _Pairs(
        cell=cell[order],
        camera=np.concatenate([pairs.camera for pairs in kept])[order],
        squared=np.concatenate([pairs.squared for pairs in kept])[order],
    )


def _within(pairs: _Pairs, bound: Floats, half: float, slack: float) -> _Pairs:
    """Pairs that may still win: the camera is at most 2h farther than the nearest known one."""
    limit = np.sqrt(bound.take(pairs.cell))
    limit += 2 * half + slack
    limit *= limit
    which = np.flatnonzero(pairs.squared <= limit)
    return _Pairs(pairs.cell.take(which), pairs.camera.take(which), pairs.squared.take(which))


def _counting_sort(keys: Integers, count: int) -> Integers:
    """The stable order of keys in 0 … count − 1: a compressed matrix with one entry a key."""
    places = np.arange(len(keys))
    sorted_: Any = csr_array((places, (keys, places)), shape=(count, len(keys)))
    order: Integers = sorted_.indices
    return order


def _reached(raster: Raster, block: NDArray[np.int32], limit: float) -> _Pairs:
    """Pairs of a camera of ``block`` and a cell whose centre is at most ``limit`` away."""
    side = np.arange(int(np.ceil(2 * limit / raster.size)) + 2)
    column, apart_x = _along(raster.camera_x[block], raster.x, raster.size, limit, side)
    row, apart_y = _along(raster.camera_y[block], raster.y, raster.size, limit, side)
    apart_x[(column < 0) | (column >= raster.columns)] = np.inf
    apart_y[(row < 0) | (row >= raster.rows)] = np.inf
    squared = apart_x[:, :, None] ** 2 + apart_y[:, None, :] ** 2
    cell = (column * raster.rows)[:, :, None] + row[:, None, :]
    near = np.flatnonzero(squared <= limit**2)
    return _Pairs(
        cell=cell.reshape(-1).take(near),
        camera=block.take(near // len(side) ** 2),
        squared=squared.reshape(-1).take(near),
    )


def _along(
    places: Floats, corner: float, size: float, limit: float, side: Integers
) -> tuple[Integers, Floats]:
    """Cells along one axis that a camera may reach, and how far their centres are away."""
    cells = np.floor((places - limit - corner) / size).astype(np.int64)[:, None] + side
    return cells, corner + (cells + 0.5) * size - places[:, None]


def _filled(raster: Raster, pairs: _Pairs) -> Raster:
    """The raster with its table and lists."""
    half, slack = raster.size / 2**0.5, _slack(raster)
    owner = raster.owner.take(pairs.camera)
    start = np.flatnonzero(np.diff(pairs.cell, prepend=-1))
    cell = pairs.cell[start]
    distance = np.sqrt(np.minimum.reduceat(pairs.squared, start))
    alike = np.minimum.reduceat(owner, start) == np.maximum.reduceat(owner, start)
    # Wholly inside one zone: the distance of the nearest camera differs by at most h in a cell.
    radii = np.array(raster.radii)
    outer = np.searchsorted(radii, distance + half + slack, side="left")
    inner = np.searchsorted(radii, distance - half - slack, side="left")
    certain = alike & (outer == inner) & (outer < len(radii))
    code = owner[start] * np.int32(len(radii)) + outer.astype(np.int32)
    raster.table[cell] = np.where(certain, code, AMBIGUOUS - start).astype(np.int32)
    lists = pairs.camera.copy()
    end = np.append(start[1:], len(lists)) - 1
    lists[end] = ~lists[end]
    return replace(raster, candidates=lists)
