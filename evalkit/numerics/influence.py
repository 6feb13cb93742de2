"""How much each site moves a meta-analysis: what changes when it is left out.

For every site i the model is fitted again without it, τ² included (marked (i)):

    rstudent   externally standardised residual: (y_i - x_i'b(i)) / √(s²(v_i + τ²(i)) + x_i'V(i)x_i).
    dffits     change of the site's fitted value: (x_i'b - x_i'b(i)) / √(s² h_i (v_i + τ²(i))).
    cooks      Cook's distance: (b - b(i))' V⁻¹ (b - b(i)).
    covariance_ratio  det V(i) / det V; below 1 the site makes the result less precise.
    dfbetas    (b - b(i)) / the standard errors of b at τ²(i).
    hat        h_i, how much its own effect counts in its fitted value.

s² is the Knapp–Hartung factor of the fit without the site, 1 for Wald. Source: Viechtbauer, W. & Cheung, M.
W.-L. (2010), Outlier and influence diagnostics for meta-analysis, Research Synthesis Methods 1, 112–125; a
site counts as influential by the rules of metafor's ``influence``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import chi2_quantile
from evalkit.numerics.meta_analysis import Interval
from evalkit.numerics.meta_regression import MetaRegression, RegressionMethod, regress

__all__ = ["Influence", "influence"]

Array = NDArray[np.float64]

DFFITS_LIMIT: Final = 3.0
"""Times √(p/(k - p)), as in metafor."""

HAT_LIMIT: Final = 3.0
"""Times p/k, as in metafor."""

DFBETAS_LIMIT: Final = 1.0
"""As in metafor."""


@dataclass(frozen=True, slots=True, eq=False)
class Influence:
    """Diagnostics of k sites; each array is (k,), ``dfbetas`` (k, p).

    Attributes:
        rstudent, dffits, cooks, covariance_ratio, dfbetas, hat: see the module.
        tau2, qe: of the model without the site.
        weight: share of the site, 0 to 1.
        influential: |dffits| > 3√(p/(k - p)), or the lower tail of chi-square(p) at Cook's distance above one
            half, or h_i > 3p/k, or any |dfbetas| > 1.
    """

    rstudent: Array
    dffits: Array
    cooks: Array
    covariance_ratio: Array
    dfbetas: Array
    hat: Array
    tau2: Array
    qe: Array
    weight: Array
    influential: NDArray[np.bool_]


def influence(
    effects: Sequence[float] | Array,
    variances: Sequence[float] | Array,
    moderators: Array | None = None,
    *,
    method: RegressionMethod = "REML",
    interval: Interval = "knapp_hartung",
) -> Influence:
    """Influence of each of k effects on their pooled effect or meta-regression.

    Args:
        effects: (k,).
        variances: (k,).
        moderators: (k, m), or None for the pooled effect.
        method: of the fit, as for `meta_regression.regress`.
        interval: of the fit, as for `meta_regression.regress`.

    Raises:
        TooFewEffectsError: without one effect there are not more than coefficients.
        CollinearModeratorsError: a moderator becomes constant when one effect is left out.
        InvalidEffectsError: as `meta_regression.regress`.
    """
    y, v = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    m = np.empty((y.size, 0)) if moderators is None else np.asarray(moderators, dtype=np.float64)
    whole = regress(y, v, m, method=method, interval=interval)
    x = np.column_stack([np.ones(y.size), m])
    without = [
        regress(y[keep], v[keep], m[keep], method=method, interval=interval)
        for keep in ~np.eye(y.size, dtype=bool)
    ]
    tau2 = np.array([fit.tau2 for fit in without])
    scale = np.array([fit.scale for fit in without])
    moved = np.array([whole.coefficients - fit.coefficients for fit in without])
    predicted = np.array([row @ fit.coefficients for row, fit in zip(x, without, strict=True)])
    uncertain = np.array([row @ fit.covariance @ row for row, fit in zip(x, without, strict=True)])
    dfbetas = np.array(
        [
            change / np.sqrt(fit.scale * np.diagonal(_unscaled(x, v + fit.tau2)))
            for change, fit in zip(moved, without, strict=True)
        ]
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # an exact fit has no spread to divide by
        rstudent = (y - predicted) / np.sqrt(scale * (v + tau2) + uncertain)
        dffits = (x * moved).sum(axis=1) / np.sqrt(scale * whole.hat * (v + tau2))
    cooks = np.einsum("ij,jk,ik->i", moved, np.linalg.inv(whole.covariance), moved)
    volume = np.linalg.det(whole.covariance)
    return Influence(
        rstudent=rstudent,
        dffits=dffits,
        cooks=cooks,
        covariance_ratio=np.array([np.linalg.det(fit.covariance) / volume for fit in without]),
        dfbetas=dfbetas,
        hat=whole.hat,
        tau2=tau2,
        qe=np.array([fit.qe for fit in without]),
        weight=whole.weights / whole.weights.sum(),
        influential=_influential(whole, dffits, cooks, dfbetas),
    )


def _unscaled(x: Array, total: Array) -> Array:
    return np.asarray(np.linalg.inv(x.T @ (x / total[:, None])), dtype=np.float64)


def _influential(
    whole: MetaRegression, dffits: Array, cooks: Array, dfbetas: Array
) -> NDArray[np.bool_]:
    p, k = len(whole.coefficients), whole.k
    found: NDArray[np.bool_] = (
        (np.abs(dffits) > DFFITS_LIMIT * math.sqrt(p / (k - p)))
        | (cooks > chi2_quantile(0.5, p))
        | (whole.hat > HAT_LIMIT * p / k)
        | (np.abs(dfbetas) > DFBETAS_LIMIT).any(axis=1)
    )
    return found
