"""How alike treated units and controls were before any camera, before and after matching.

Vocabulary
    standardised mean difference
        d = (mean of treated − mean of controls) / √((s²_treated + s²_control) / 2), with sample variances
        (Austin 2009, equation 1). The denominator is that of all units both times, as Stuart (2010, section
        4.1.1) advises: then a smaller d means that the means came closer, and nothing else.
    variance ratio
        s²_treated / s²_control; 1 for alike, below ½ or above 2 far apart (Stuart 2010).
    far apart
        |d| above a quarter: regression on the covariates then rests on its form more than on data (Rubin
        2001; Stuart 2010).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["FAR_APART", "Balance", "balance_of"]

FAR_APART: Final = 0.25
"""Standardised mean difference above which groups are far apart (Rubin 2001; Stuart 2010)."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Balance:
    """One covariate's balance; None where a number cannot be computed, or where nothing was matched.

    Attributes:
        covariate: its name in the study file.
        treated, control: means over all treated units and all controls.
        difference: standardised mean difference of these.
        variance_ratio: of these.
        matched_treated, matched_control: means over the units that the matching kept, each counted once.
        matched_difference: their standardised mean difference, with the same denominator.
        matched_variance_ratio: of these.
    """

    covariate: str
    treated: float
    control: float
    difference: float | None
    variance_ratio: float | None
    matched_treated: float | None
    matched_control: float | None
    matched_difference: float | None
    matched_variance_ratio: float | None

    @property
    def in_use(self) -> float | None:
        """The standardised difference between the units that will be compared."""
        return self.difference if self.matched_treated is None else self.matched_difference


def balance_of(
    names: Sequence[str], values: Floats, treated: Mask, control: Mask, kept: Mask | None = None
) -> tuple[Balance, ...]:
    """Balance of P covariates over U units.

    Args:
        names: length P.
        values: (U, P).
        treated: (U,) before matching.
        control: (U,) before matching.
        kept: (U,) units that the matching kept, at least one of each group; None without matching.

    Returns:
        One for each covariate, in order; none without a treated unit or without a control.
    """
    if not (treated.any() and control.any()):
        return ()
    return tuple(
        _one(name, values[:, column], treated, control, kept) for column, name in enumerate(names)
    )


def _one(name: str, value: Floats, treated: Mask, control: Mask, kept: Mask | None) -> Balance:
    before = value[treated], value[control]
    spread = math.sqrt(sum(map(_variance, before)) / 2)
    after = None if kept is None else (value[treated & kept], value[control & kept])
    return Balance(
        covariate=name,
        treated=float(before[0].mean()),
        control=float(before[1].mean()),
        difference=_difference(*before, spread),
        variance_ratio=_ratio(*before),
        matched_treated=float(after[0].mean()) if after else None,
        matched_control=float(after[1].mean()) if after else None,
        matched_difference=_difference(*after, spread) if after else None,
        matched_variance_ratio=_ratio(*after) if after else None,
    )


def _difference(treated: Floats, control: Floats, spread: float) -> float | None:
    return float(treated.mean() - control.mean()) / spread if spread > 0 else None


def _ratio(treated: Floats, control: Floats) -> float | None:
    below = _variance(control)
    return _variance(treated) / below if below > 0 else None


def _variance(values: Floats) -> float:
    """Sample variance; NaN, which is above nothing, for a single value."""
    return float(values.var(ddof=1)) if len(values) > 1 else math.nan
