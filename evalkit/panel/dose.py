"""How many cameras watch a unit, period by period, and what they are like."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.study import Window
from evalkit.panel.periods import as_days, period_starts
from evalkit.panel.sites import Cameras
from evalkit.panel.zones.zoning import Zoning

__all__ = ["attributes_of_units", "doses"]


def doses(zoning: Zoning, cameras: Cameras, window: Window) -> pl.DataFrame:
    """Cameras that are live in a unit at the end of a period; camera-months are sums of it.

    Undated cameras are not counted.

    Returns:
        unit, period (its first day), cameras; rows where the number differs from the period before. A unit that
        has none in the first period has no row for it.
    """
    starts = as_days(period_starts(window))
    rows, unit = zoning.held
    ends = np.append(starts[1:], as_days(window.end) + 1)
    steps = []
    for dates, sign in ((cameras.live[rows], 1), (cameras.removed[rows], -1)):
        # Of the period whose last day is the first not before the date.
        period = np.searchsorted(ends, dates, side="right")
        known = ~np.isnat(dates) & ~np.isnat(cameras.live[rows]) & (period < len(starts))
        steps.append(
            pl.DataFrame(
                {
                    "unit": unit[known],
                    "at": period[known],
                    "step": sign * cameras.count[rows][known],
                },
                schema={"unit": pl.Int64, "at": pl.Int64, "step": pl.Int64},
            )
        )
    changes = pl.concat(steps).group_by("unit", "at").agg(pl.col("step").sum())
    changes = changes.filter(pl.col("step") != 0).sort("unit", "at")
    return changes.select(
        pl.col("unit").replace_strict(
            pl.Series(np.arange(len(zoning.ids))),
            pl.Series(zoning.ids, dtype=pl.String),
            return_dtype=pl.String,
        ),
        pl.Series("period", starts[changes["at"].to_numpy()], dtype=pl.Date),
        pl.col("step").cum_sum().over("unit").alias("cameras"),
    )


def attributes_of_units(zoning: Zoning, cameras: Cameras) -> dict[str, NDArray[np.object_]]:
    """Attribute → (U,) the commonest value of each unit's cameras; None without cameras or values.

    Of equally common ones the first in the alphabet.
    """
    rows, unit = zoning.held
    found = {}
    for name, said in cameras.attributes.items():
        values = pl.DataFrame(
            {
                "unit": unit,
                "value": said.gather(rows),
                "count": cameras.count[rows],
            }
        ).drop_nulls()
        commonest = (
            values.group_by("unit", "value")
            .agg(pl.col("count").sum())
            .sort(["count", "value"], descending=[True, False])
            .unique("unit", keep="first", maintain_order=True)
        )
        column = np.full(len(zoning.ids), None, dtype=object)
        column[commonest["unit"].to_numpy()] = commonest["value"].to_numpy()
        found[name] = column
    return found
