"""Whether imprecise sites show larger effects than precise ones: Egger's regression.

y_i is regressed on its standard error with weights 1/v_i and a variance that is a multiple of v_i. A slope
tells of small-study effects: publication bias, but just as well cameras that work better in small projects.
Cities that join before their effects are known cannot suffer from the first.

Source: Egger, M., Davey Smith, G., Schneider, M. & Minder, C. (1997). Bias in meta-analysis detected by a
simple, graphical test. BMJ 315, 629–634. The same as metafor's ``regtest(model="lm")``. Sterne, J. A. C. et al.
(2011), BMJ 343, d4002, advise against the test with fewer than ten studies: it can hardly find anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import critical_value, two_sided_p
from evalkit.numerics.meta_analysis import TooFewEffectsError
from evalkit.numerics.meta_regression import regress

__all__ = ["ENOUGH_SITES", "SmallStudy", "egger"]

Array = NDArray[np.float64]

ENOUGH_SITES: Final = 10
"""Sterne et al. (2011): with fewer the test's power is too low to tell chance from asymmetry."""


@dataclass(frozen=True, slots=True)
class SmallStudy:
    """Egger's test.

    Attributes:
        slope: change of the effect per unit of standard error; 0 if small and large sites agree.
        std_error, statistic, p_value: of the slope, with t(k - 2).
        df: k - 2.
        limit: the effect that would be seen with a standard error of 0.
        limit_low, limit_high: its interval.
        k: number of sites.
        low_power: fewer than `ENOUGH_SITES`.
    """

    slope: float
    std_error: float
    statistic: float
    p_value: float
    df: int
    limit: float
    limit_low: float
    limit_high: float
    k: int
    low_power: bool


def egger(
    effects: Sequence[float] | Array, variances: Sequence[float] | Array, *, level: float = 0.95
) -> SmallStudy:
    """Egger's regression test of k effects.

    Raises:
        TooFewEffectsError: fewer than three effects, or effects that the line fits exactly.
        CollinearModeratorsError: all standard errors are the same, so there are no small sites.
        InvalidEffectsError: as `meta_analysis.pool`.
    """
    errors = np.sqrt(np.asarray(variances, dtype=np.float64))
    # With τ² = 0 and the Knapp–Hartung factor a meta-regression is weighted least squares.
    fit = regress(
        effects, variances, errors[:, None], method="fixed", interval="knapp_hartung", level=level
    )
    if not fit.covariance.any():
        raise TooFewEffectsError("the effects lie on a line exactly, which leaves nothing to test")
    slope, spread = float(fit.coefficients[1]), float(fit.std_error[1])
    limit = float(fit.coefficients[0])
    half = critical_value(level, fit.df) * float(fit.std_error[0])
    return SmallStudy(
        slope=slope,
        std_error=spread,
        statistic=slope / spread,
        p_value=two_sided_p(slope / spread, fit.df),
        df=fit.k - 2,
        limit=limit,
        limit_low=limit - half,
        limit_high=limit + half,
        k=fit.k,
        low_power=fit.k < ENOUGH_SITES,
    )
