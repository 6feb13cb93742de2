"""Covariates of units: what their outcome was like before anybody's cameras."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import EstimationError

__all__ = ["NEEDED", "early_covariates", "no_covariates", "periods_needed"]

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

NEEDED: Final = {"level": 1, "trend": 3}
"""Periods before the first go-live from which a covariate can be computed; two give a line without error."""


def periods_needed(names: tuple[str, ...]) -> int:
    """Periods that all of the named covariates need."""
    return max((NEEDED[name] for name in names), default=0)


def early_covariates(
    y: Floats, used: Booleans, until: int, names: tuple[str, ...], units: Booleans, where: str
) -> Floats:
    """(U, q) the named covariates from the periods before ``until``, once each; 0 for other ``units``.

    ``level`` is the mean outcome, ``trend`` the slope of a line through the outcomes, per period.

    Args:
        y: (U, T) outcomes, 0 where not used.
        used: (U, T) cells that are observed.
        until: index of the first period that is not looked at.
        names: of the covariates.
        units: (U,) units that need them.
        where: for the error.

    Raises:
        EstimationError: one of the units is observed in too few of the periods.
    """
    needed, early = periods_needed(names), used[:, :until]
    seen = early.sum(axis=1)
    if names and units.any() and seen[units].min() < needed:
        raise no_covariates(
            "a unit is observed in too few periods before the first go-live",
            where,
            f"at least {needed} for {', '.join(names)}",
        )
    counted = np.where(units, np.maximum(seen, 1), 1)[:, None]
    values = np.where(units[:, None] & early, y[:, :until], 0.0)
    columns = {"level": values.sum(axis=1) / counted[:, 0]}
    if "trend" in names:
        time = np.where(early, np.arange(until), 0.0)
        centred = np.where(early, time - time.sum(axis=1, keepdims=True) / counted, 0.0)
        width = np.where(units, (centred**2).sum(axis=1), 1.0)
        columns["trend"] = (centred * values).sum(axis=1) / width
    return np.column_stack([np.empty((len(y), 0)), *(columns[n] for n in dict.fromkeys(names))])


def no_covariates(what: str, where: str, limit: str) -> EstimationError:
    """The error of covariates that cannot be computed or tell nothing."""
    return EstimationError(
        what,
        where=f"{where}, [analysis] covariates",
        limit=limit,
        way_out="use a longer window before the cameras, or name fewer covariates",
    )
