"""Which piece of the map holds a point, at the price of a look-up for most points.

Vocabulary
    piece   a polygon or a hexagon, by its number.
    cell    a rectangle of a raster over a box of the map, of equal size in degrees.
    certain a cell of which every point has the same answer: one piece, or `NOBODY`.
    open    any other cell: the caller decides point by point.

The table is refined from coarse to fine: only the cells that are open at one level are asked about
at the next, so that building costs in proportion to the length of the borders and not to the area.

A point's cell is found by a multiplication, whose rounding may put a point on the edge of a cell
into its neighbour. Cells are therefore judged a little larger than they are (`SLACK`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.panel.cells import cells_along

__all__ = ["NOBODY", "OPEN", "Boxes", "Mosaic", "build_mosaic", "depth_for", "sides_m"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOBODY: Final = -1
"""No piece."""

OPEN: Final = -2
"""The cell does not tell."""

SLACK: Final = 1e-6
"""Share of a cell by which it is judged larger; rounding moves a point by less than a billionth."""

MAX_CELLS: Final = 1 << 22
"""Cells of the finest level; 16 MB."""

COARSEST: Final = 8
"""Cells along the longer side of the box at the first level."""

CHUNK_ROWS: Final = 1 << 16
"""Points looked up at once: their temporaries stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """N rectangles in degrees: what the cells are, made a little larger."""

    west: Floats
    south: Floats
    east: Floats
    north: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Mosaic:
    """The look-up table.

    Attributes:
        west, south: degrees, the lower left corner.
        width, height: degrees, of a cell.
        columns, rows: number of cells each way. The outermost ones lie around the box, and stand for all beyond.
        table: (columns · rows,) piece of a certain cell, `NOBODY` or `OPEN`.
    """

    west: float
    south: float
    width: float
    height: float
    columns: int
    rows: int
    table: NDArray[np.int32]

    def cells(self, longitude: Floats, latitude: Floats) -> Integers:
        """(N,) cell of each point; what lies outside, and NaN, falls into an outermost cell."""
        cell = np.empty(len(longitude), dtype=np.int64)
        for start in range(0, len(cell), CHUNK_ROWS):
            block = slice(start, start + CHUNK_ROWS)
            column = cells_along(longitude[block], self.west, self.width, self.columns)
            column *= self.rows
            column += cells_along(latitude[block], self.south, self.height, self.rows)
            cell[block] = column
        return cell

    def boxes(self, cells: Integers) -> Boxes:
        """The cells as rectangles."""
        column, row = np.divmod(cells, self.rows)
        return _boxes(self.west, self.south, self.width, self.height, column, row)


def depth_for(box: tuple[float, float, float, float], edge_m: float) -> int:
    """How often the first level must be halved for cells of about ``edge_m`` metres, within `MAX_CELLS`."""
    width, height = sides_m(box)
    longest = max(width, height)
    depth = max(0, math.ceil(math.log2(max(longest / COARSEST / edge_m, 1.0))))
    while depth and _cells_at(box, depth) > MAX_CELLS:
        depth -= 1
    return depth


def build_mosaic(
    box: tuple[float, float, float, float],
    depth: int,
    judge: Callable[[Boxes], Integers],
    *,
    beyond: int = NOBODY,
) -> Mosaic:
    """Ask about the cells, level by level.

    Args:
        box: west, south, east, north in degrees.
        depth: how often the first level is halved.
        judge: N rectangles to (N,) piece that holds all of the rectangle, `NOBODY` if no piece has a point
            in common with it, else `OPEN`.
        beyond: what the cells around the box are: `NOBODY` if no piece reaches there, else `OPEN`.
    """
    west, south = box[0], box[1]
    columns, rows = _coarse(box)
    # A box without a width, of a single meridian, still gets cells that have one.
    width = max((box[2] - west) / columns, 1e-9)
    height = max((box[3] - south) / rows, 1e-9)
    table = np.full((columns, rows), OPEN, dtype=np.int32)
    for level in range(depth + 1):
        if level:
            table = table.repeat(2, axis=0).repeat(2, axis=1)
            width, height = width / 2, height / 2
        column, row = np.nonzero(table == OPEN)
        if len(column):
            table[column, row] = judge(_boxes(west, south, width, height, column, row))
    table = np.pad(table, 1, constant_values=beyond)
    return Mosaic(west - width, south - height, width, height, *table.shape, table.reshape(-1))


def _coarse(box: tuple[float, float, float, float]) -> tuple[int, int]:
    """Columns and rows of the first level: about square on the ground."""
    width, height = sides_m(box)
    longest = max(width, height, 1e-9)
    columns, rows = (max(1, math.ceil(COARSEST * side / longest)) for side in (width, height))
    return columns, rows


def _cells_at(box: tuple[float, float, float, float], depth: int) -> int:
    columns, rows = _coarse(box)
    return int((columns * 2**depth + 2) * (rows * 2**depth + 2))


def sides_m(box: tuple[float, float, float, float]) -> tuple[float, float]:
    """Metres, roughly: only the number of cells depends on it."""
    west, south, east, north = box
    degree = 111_320.0
    return (
        (east - west) * degree * math.cos(math.radians((south + north) / 2)),
        (north - south) * degree,
    )


def _boxes(
    west: float, south: float, width: float, height: float, column: Integers, row: Integers
) -> Boxes:
    columns, rows = column.astype(np.float64), row.astype(np.float64)
    return Boxes(
        west + (columns - SLACK) * width,
        south + (rows - SLACK) * height,
        west + (columns + 1 + SLACK) * width,
        south + (rows + 1 + SLACK) * height,
    )
