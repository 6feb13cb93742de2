"""The same meta-analysis on fewer sites: without each one in turn, and one site after another.

Sources
    Lau, J. et al. (1992). Cumulative meta-analysis of therapeutic trials for myocardial infarction. New
        England Journal of Medicine 327, 248–254.
    Viechtbauer, W. & Cheung, M. W.-L. (2010). Outlier and influence diagnostics for meta-analysis. Research
        Synthesis Methods 1, 112–125.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.meta_analysis import (
    Interval,
    Method,
    PooledEffect,
    TooFewEffectsError,
    pool,
)

__all__ = ["cumulative", "leave_one_out", "pool_any"]

Array = NDArray[np.float64]


def pool_any(
    effects: Array, variances: Array, *, method: Method, interval: Interval, level: float
) -> PooledEffect:
    """`meta_analysis.pool`, with a single effect reported as it is with its normal interval."""
    if len(effects) == 1:
        return pool(effects, variances, method="fixed", interval="wald", level=level)
    return pool(effects, variances, method=method, interval=interval, level=level)


def leave_one_out(
    effects: Sequence[float] | Array,
    variances: Sequence[float] | Array,
    *,
    method: Method = "REML",
    interval: Interval = "knapp_hartung",
    level: float = 0.95,
) -> tuple[PooledEffect, ...]:
    """Pool without each of k effects in turn; entry i is without effect i.

    Raises:
        TooFewEffectsError: fewer than two effects.
        InvalidEffectsError, NoSpreadError: as `meta_analysis.pool`.
    """
    y, v = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    if y.size < 2:
        raise TooFewEffectsError("leaving one out needs at least two effects")
    keep = ~np.eye(y.size, dtype=bool)
    return tuple(
        pool_any(y[row], v[row], method=method, interval=interval, level=level) for row in keep
    )


def cumulative(
    effects: Sequence[float] | Array,
    variances: Sequence[float] | Array,
    order: Sequence[int] | NDArray[np.int64],
    *,
    method: Method = "REML",
    interval: Interval = "knapp_hartung",
    level: float = 0.95,
) -> tuple[PooledEffect, ...]:
    """Pool the first effect in ``order``, the first two, and so on to all k.

    Args:
        effects: (k,).
        variances: (k,).
        order: (k,) positions, each once.
        method: as for `meta_analysis.pool`.
        interval: as for `meta_analysis.pool`.
        level: as for `meta_analysis.pool`.

    Raises:
        ValueError: ``order`` does not name each position once.
        InvalidEffectsError, NoSpreadError: as `meta_analysis.pool`.
    """
    y, v = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    places = np.asarray(order, dtype=np.int64)
    if not np.array_equal(np.sort(places), np.arange(y.size)):
        raise ValueError("order must name each position once")
    y, v = y[places], v[places]
    return tuple(
        pool_any(y[:count], v[:count], method=method, interval=interval, level=level)
        for count in range(1, y.size + 1)
    )
