"""Which cell of a row of equal cells a value falls into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["cells_along"]


def cells_along(
    values: NDArray[np.float64], low: float, size: float, count: int
) -> NDArray[np.int64]:
    """Cells along one axis. What lies outside, and NaN, falls into an outermost cell."""
    cells = values - low
    cells *= 1.0 / size
    np.fmax(cells, 0.0, out=cells)
    np.fmin(cells, count - 1.0, out=cells)
    return cells.astype(np.int64)
