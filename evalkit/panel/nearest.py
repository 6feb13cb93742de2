"""Which camera is nearest, exactly.

Vocabulary
    camera  a row of an (M, 2) array of metres, sorted so that a lower row has priority.
    limit   distances up to and including it count.

The rule is: the smallest squared distance dx² + dy² in double precision; of equal ones, the lowest
row. A k-d tree finds candidates; the rule itself is applied to the coordinates, so that any other
search structure (a raster, brute force) must agree to the last incident.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

__all__ = ["NOBODY", "nearest", "pairs_within"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NOBODY: Final = -1
"""Index where no camera lies within the limit."""

CHUNK_ROWS: Final = 1 << 18
"""Points searched at once: with two neighbours each, about 20 MB of temporaries."""

PAIR_ROWS: Final = 1 << 14
"""Points whose neighbours are listed at once; a list may be long where cameras are dense."""

MARGIN: Final = 1e-9
"""Relative slack of every search. The tree's distances and ours differ by a few units in the last
place (1e-16); candidates inside the slack are decided on exact squared distances."""


def nearest(points: Floats, cameras: Floats, limit: float) -> tuple[Integers, Floats]:
    """The nearest camera of every point.

    Args:
        points: (N, 2) metres, finite.
        cameras: (M, 2) metres, finite, in order of priority.
        limit: metres, included.

    Returns:
        (N,) row of the camera, `NOBODY` beyond the limit; (N,) squared distance, infinite there.
    """
    found = np.full(len(points), NOBODY, dtype=np.int64)
    squared = np.full(len(points), np.inf)
    if len(cameras) == 0:
        return found, squared
    places, first = np.unique(cameras, axis=0, return_index=True)  # first: the one with priority
    order = np.argsort(first)
    places, first = places[order], first[order].astype(np.int64)
    tree = cKDTree(places)
    for start in range(0, len(points), CHUNK_ROWS):
        block = slice(start, start + CHUNK_ROWS)
        found[block], squared[block] = _nearest_block(points[block], places, tree, limit)
    inside = found != NOBODY
    found[inside] = first[found[inside]]
    return found, squared


def pairs_within(
    points: Floats, cameras: Floats, limit: float
) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Every (point, camera) at most ``limit`` metres apart, sorted by point and camera.

    Comes in blocks of points, so that what one block needs bounds the memory.

    Yields:
        (K,) row of the point, (K,) row of the camera, (K,) squared distance.
    """
    if len(cameras) == 0:
        return
    tree = cKDTree(cameras)
    for start in range(0, len(points), PAIR_ROWS):
        block = points[start : start + PAIR_ROWS]
        owner, camera = _ball(tree, block, np.full(len(block), limit * (1 + MARGIN)))
        squared = _squared(block[owner], cameras[camera])
        inside = squared <= limit**2
        yield owner[inside] + start, camera[inside], squared[inside]


def _nearest_block(
    points: Floats, places: Floats, tree: cKDTree, limit: float
) -> tuple[Integers, Floats]:
    reach = limit * (1 + MARGIN)
    answer = tree.query(points, k=2, distance_upper_bound=reach, workers=-1)
    distances, rows = np.asarray(answer[0]), np.asarray(answer[1], dtype=np.int64)
    found = np.where(np.isfinite(distances[:, 0]), rows[:, 0], NOBODY)
    with np.errstate(invalid="ignore"):  # both infinite: no camera, so no tie
        tied = distances[:, 1] <= distances[:, 0] * (1 + MARGIN)
    tied &= found != NOBODY
    if tied.any():
        found[tied] = _untie(points[tied], places, tree, distances[tied, 0] * (1 + MARGIN))
    squared = np.full(len(points), np.inf)
    some = found != NOBODY
    squared[some] = _squared(points[some], places[found[some]])
    beyond = squared > limit**2
    found[beyond], squared[beyond] = NOBODY, np.inf
    return found, squared


def _untie(points: Floats, places: Floats, tree: cKDTree, reach: Floats) -> Integers:
    owner, place = _ball(tree, points, reach)
    order = np.lexsort((place, _squared(points[owner], places[place]), owner))
    _, starts = np.unique(owner[order], return_index=True)
    winners: Integers = place[order][starts]
    return winners


def _ball(tree: cKDTree, points: Floats, reach: Floats) -> tuple[Integers, Integers]:
    """Candidates inside a radius of one's own, flattened: (K,) point, (K,) tree row, sorted."""
    lists = tree.query_ball_point(points, reach, workers=-1, return_sorted=True)
    lengths = np.fromiter((len(rows) for rows in lists), dtype=np.int64, count=len(lists))
    owner = np.repeat(np.arange(len(points), dtype=np.int64), lengths)
    flat = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(lengths.sum()))
    return owner, flat


def _squared(points: Floats, others: Floats) -> Floats:
    apart = points - others
    squared: Floats = apart[:, 0] ** 2 + apart[:, 1] ** 2
    return squared
