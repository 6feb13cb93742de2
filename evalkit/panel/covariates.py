"""What is known of every unit before the first treated unit of its city goes live.

Nothing later may choose a comparison: an outcome that cameras could have changed would carry the effect into it.

Vocabulary
    before  the last ``pre_periods`` periods before the first go-live of any treated unit of the city, or all
            of them. The same periods for every unit, whenever its own camera comes.
    level   ln(1 + incidents before).
    trend   ln(1 + incidents in the later half of before) − ln(1 + incidents in the earlier half); the middle
            one of an odd number of periods is in neither.
    x, y    metres east and north of the city's centre.

Logs, because a few places have most of the crime and the estimators work on ratios; sums over halves and not
month by month, because a month of one place is mostly zeros and ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import Panel, Role
from evalkit.core.study import Matching

__all__ = ["Covariates", "covariates_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """P covariates of U units.

    Attributes:
        names: length P; those asked for that can be computed.
        values: (U, P).
        periods: how many periods before the first go-live were used.
    """

    names: tuple[str, ...]
    values: Floats
    periods: int


def covariates_of(panel: Panel, xy: Floats, matching: Matching) -> Covariates:
    """Covariates of one city's units, all crime types of the study added up.

    A trend takes two periods and is left out where there is one; so is everything without a treated unit.

    Args:
        panel: of one city, roles as the cameras make them.
        xy: (U, 2) metres from the city's centre, NaN where unknown.
        matching: of the study.
    """
    live = panel.first_live[panel.role == Role.TREATED]
    end = int(live.min()) if len(live) else 0
    start = max(end - matching.pre_periods, 0) if matching.pre_periods else 0
    used = panel.exposure[:, start:end] > 0
    before = np.where(used, panel.counts[:, :, start:end].sum(axis=0), 0).astype(np.float64)
    periods = end - start
    columns: dict[str, Floats] = {}
    if periods:
        columns["level"] = np.log1p(before.sum(axis=1))
    if periods >= 2:
        half = periods // 2
        later, earlier = before[:, periods - half :], before[:, :half]
        columns["trend"] = np.log1p(later.sum(axis=1)) - np.log1p(earlier.sum(axis=1))
    columns |= {"x": xy[:, 0], "y": xy[:, 1]} if periods else {}
    names = tuple(name for name in matching.covariates if name in columns)
    values = np.column_stack([columns[name] for name in names]) if names else before[:, :0]
    return Covariates(names, values, periods)
