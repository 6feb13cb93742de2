"""Distinct squares of a lattice, by integer row and column."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["distinct"]

Integers = NDArray[np.int64]


def distinct(squares: Integers) -> tuple[Integers, Integers]:
    """Distinct rows of an (N, 2) array, ascending, and the (N,) position of each row among them.

    Equal to ``numpy.unique(axis=0)``; one sort of single integers instead of a sort of structures,
    which is what makes it usable for millions of rows.
    """
    if len(squares) == 0:
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.int64)
    low = squares.min(axis=0)
    span = int(squares[:, 1].max() - low[1]) + 1
    keys, position = np.unique(
        (squares[:, 0] - low[0]) * span + (squares[:, 1] - low[1]), return_inverse=True
    )
    return np.column_stack([keys // span, keys % span]) + low, position.reshape(-1).astype(np.int64)
