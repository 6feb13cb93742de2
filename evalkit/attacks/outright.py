"""Numbers of incidents that a release tells as they are, without any computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Told", "lone_series", "told_outright"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """(n,) numbers of incidents in a field."""

    field: str
    incidents: Floats


OF_TOTALS: Final = ("rate_ratio", "wdd")
ON_A_GRID: Final = ("poisson_did", "linear_did")
OF_TARGETS: Final = ("group_time_att", "doubly_robust")


def told_outright(estimator: str, fields: Mapping[str, Floats]) -> Told | None:
    """The incidents that stand in the fields; None where none do.

    Args:
        estimator: that sent them.
        fields: released.
    """
    if estimator in ON_A_GRID and "columns" in fields:
        exposure, incidents, _ = fields["columns"]
        return Told("columns", incidents[exposure > 0])
    if estimator in OF_TOTALS:
        return Told("totals", fields["totals"][fields["exposure"] > 0])
    if estimator in OF_TARGETS and "totals" in fields:
        treated, _, weight = fields["totals"]
        return Told("totals", treated[weight > 0])
    if estimator in OF_TARGETS and "mean" in fields:
        counts = fields["mean"] * fields["units"][:, None]
        return Told("mean", counts[fields["observed"] > 0])
    return None


def lone_series(fields: Mapping[str, Floats]) -> Floats:
    """(L, T) incidents of every place that is a block of its own in pooled `group_time_att`, period by period."""
    found: Floats = fields["mean"][fields["units"] == 1]
    return found
