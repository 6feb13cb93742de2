"""Subgroups of sites: an effect for each, and whether they differ more than chance explains.

With τ² of each group's own every group is a meta-analysis by itself. With a common τ² the groups share the
variance between sites and only their means differ; it is steadier where groups are small (Borenstein,
Hedges, Higgins & Rothstein 2009, chapter 19, who advise it below six sites a group).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import chi2_sf
from evalkit.numerics.meta_analysis import Interval, TooFewEffectsError, pool
from evalkit.numerics.meta_regression import RegressionMethod, regress

__all__ = ["Subgroups", "compare_subgroups"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Subgroups:
    """Effects by group.

    Attributes:
        effect, std_error: (G,) in the order of group numbers.
        df: (G,) of each group's t; ``math.inf`` for a normal one.
        tau2: (G,) variance of the true effects in each group; nan for one site alone with its own τ².
        sizes: (G,) number of sites.
        q_between: chi-square(G - 1) for Wald or with τ² of the groups' own, F(G - 1, k - G) else.
        q_df: G - 1.
        q_p_value: that the groups' effects are one.
        common_tau2: whether τ² is common.
        covariance: (G, G) of the effects.
    """

    effect: Array
    std_error: Array
    df: Array
    tau2: Array
    sizes: tuple[int, ...]
    q_between: float
    q_df: int
    q_p_value: float
    common_tau2: bool
    covariance: Array


def compare_subgroups(
    effects: Sequence[float] | Array,
    variances: Sequence[float] | Array,
    groups: Sequence[int] | NDArray[np.int64],
    *,
    method: RegressionMethod = "REML",
    interval: Interval = "knapp_hartung",
    level: float = 0.95,
    common_tau2: bool = True,
) -> Subgroups:
    """Pool each of G groups and test whether they differ.

    Args:
        effects: (k,) as for `meta_analysis.pool`.
        variances: (k,) as for `meta_analysis.pool`.
        groups: (k,) numbers 0 to G - 1, each present.
        method: as for `meta_analysis.pool`.
        interval: as for `meta_analysis.pool`.
        level: as for `meta_analysis.pool`.
        common_tau2: one τ² for all groups, or one for each.

    Raises:
        TooFewEffectsError: fewer than two groups, a number without a site, or no degree of freedom left.
        InvalidEffectsError: as `meta_analysis.pool`.
    """
    y, v = np.asarray(effects, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    member = np.asarray(groups, dtype=np.int64)
    sizes = tuple(int(n) for n in np.bincount(member)) if member.size else ()
    if len(sizes) < 2 or min(sizes) == 0:
        raise TooFewEffectsError("a comparison needs two groups or more, each with a site")
    if common_tau2:
        return _common(y, v, member, sizes, method, interval, level)
    return _own(y, v, member, sizes, method, interval, level)


def _common(
    y: Array,
    v: Array,
    member: NDArray[np.int64],
    sizes: tuple[int, ...],
    method: RegressionMethod,
    interval: Interval,
    level: float,
) -> Subgroups:
    """A meta-regression on indicators; the first group is the intercept."""
    count = len(sizes)
    indicators = (member[:, None] == np.arange(1, count)).astype(np.float64)
    fit = regress(y, v, indicators, method=method, interval=interval, level=level)
    means = np.column_stack([np.ones(count), np.eye(count)[:, 1:]])
    covariance = means @ fit.covariance @ means.T
    return Subgroups(
        effect=means @ fit.coefficients,
        std_error=np.sqrt(np.diagonal(covariance)),
        df=np.full(count, fit.df),
        tau2=np.full(count, fit.tau2),
        sizes=sizes,
        q_between=fit.qm,
        q_df=fit.qm_df,
        q_p_value=fit.qm_p_value,
        common_tau2=True,
        covariance=covariance,
    )


def _own(
    y: Array,
    v: Array,
    member: NDArray[np.int64],
    sizes: tuple[int, ...],
    method: RegressionMethod,
    interval: Interval,
    level: float,
) -> Subgroups:
    """Each group by itself; between groups Σ (θ_g - θ)²/se_g² with the standard errors as they are."""
    pooled = [
        pool(
            y[member == group],
            v[member == group],
            method="fixed" if size == 1 else method,
            interval="wald" if size == 1 else interval,
            level=level,
        )
        for group, size in enumerate(sizes)
    ]
    effect = np.array([one.effect for one in pooled])
    errors = np.array([one.std_error for one in pooled])
    weights = 1.0 / errors**2
    q = float(weights @ (effect - float(weights @ effect) / float(weights.sum())) ** 2)
    return Subgroups(
        effect=effect,
        std_error=errors,
        df=np.array([one.df for one in pooled]),
        tau2=np.array([math.nan if one.k == 1 else one.tau2 for one in pooled]),
        sizes=sizes,
        q_between=q,
        q_df=len(sizes) - 1,
        q_p_value=chi2_sf(q, len(sizes) - 1),
        common_tau2=False,
        covariance=np.diag(errors**2),
    )
