"""A city's roll-out as one before and one after, for estimators of totals.

The installation, from the first go-live of any treated unit to the last, is left out: it is neither. Controls
are units observed in every period that the city's data cover, so that before and after are the same places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design
from evalkit.errors import NoControlError, NothingToTestError

__all__ = ["BeforeAfter", "before_after"]


@dataclass(frozen=True, slots=True, eq=False)
class BeforeAfter:
    """Which units and periods of a design are compared.

    Attributes:
        target, control: (U,) units of the design.
        before, after: (T,) periods in which every target is observed without, or with, its camera.
    """

    target: NDArray[np.bool_]
    control: NDArray[np.bool_]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]


def before_after(design: Design) -> BeforeAfter:
    """Targets, controls, and the periods before and after the whole roll-out.

    Raises:
        NothingToTestError: no unit goes live, or no period is before or after the roll-out.
        NoControlError: no control is observed throughout.
    """
    observed = design.exposure > 0
    target = design.ever_treated
    # Periods that the city's data do not cover are observed for no unit.
    control = ~target & observed[:, observed.any(axis=0)].all(axis=1)
    if not target.any():
        raise NothingToTestError("no unit goes live inside the window", where=f"site {design.site}")
    if not control.any():
        raise NoControlError(
            "no control unit is observed through the whole window",
            where=f"site {design.site}",
            way_out='use [units] controls = "lattice", or a window that ends before later cameras go live',
        )
    live = design.treated[target] > 0
    before: NDArray[np.bool_] = np.all(observed[target] & ~live, axis=0)
    after: NDArray[np.bool_] = np.all(observed[target] & live, axis=0)
    if not before.any() or not after.any():
        raise NothingToTestError(
            "cameras keep going live through the whole window, so no period is before or after the roll-out",
            where=f"site {design.site}",
            limit="at least one whole period on each side",
            way_out="set [treatment] adoption_start and adoption_end, widen the window, or use poisson_did",
        )
    return BeforeAfter(target, control, before, after)
