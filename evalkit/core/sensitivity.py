"""What an estimator can tell of an estimate beside its effects, because it sees the cohorts: for the checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from evalkit.core.study import Window

__all__ = ["TwoWay", "WithoutCohort", "day_of_period"]

MONTHS: Final = {"month": 1, "quarter": 3, "year": 12}
DAYS: Final = {"day": 1, "week": 7}


@dataclass(frozen=True, slots=True)
class WithoutCohort:
    """The overall effect with one cohort's effects taken out of the average.

    Its units stay among the controls of others where they were, and in the regression.

    Attributes:
        cohort: that is left out: a year or a period of go-live.
        units: it has, as far as the server can tell.
        effect, std_error: of what is left, on the estimate's scale.
    """

    cohort: str
    units: float
    effect: float
    std_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoWay:
    """What a static two-way fixed-effects regression of the same panel is made of, in incidents.

    Attributes:
        coefficient: of that regression.
        negative: how much weight it gives to effects with the wrong sign; the weights of all effects sum to 1
            (de Chaisemartin & D'Haultfœuille 2020).
        already_treated: share of the weight on comparisons with units that were treated already (Goodman-Bacon
            2021); NaN where the panel is not balanced, or its cohorts have leads and lags but no means.
        without: the coefficient without these comparisons, or where those are not known without the effects of
            negative weight.
    """

    coefficient: float
    negative: float
    already_treated: float = math.nan
    without: float = math.nan


def day_of_period(window: Window, index: int) -> str:
    """The ISO month or day with which a period of the window begins."""
    if window.period in MONTHS:
        return str(np.datetime64(window.start, "M") + MONTHS[window.period] * index)
    return str(np.datetime64(window.start, "D") + DAYS[window.period] * index)
