"""Mixed-effects meta-regression: why sites' effects differ, by what is known of the sites.

Vocabulary
    moderator    a number of each site (population) or an indicator of 0 and 1 (active monitoring).
    design       X, shape (k, p): a column of ones, then the moderators.
    residual tau2  τ², the variance of the true effects that the moderators leave unexplained.
    QE           Σ (y - Xb)²/v with fixed-effect b: chi-square with k - p df if no such variance is left.
    QM           b'V⁻¹b of the moderators' coefficients: whether they explain anything at all.
    R²           share, in percent, of τ² that the moderators explain: (τ²₀ - τ²)/τ²₀.
    hat          h_i, how much a site's own effect counts in its fitted value.

y_i = x_i'b + u_i + e_i with Var(u_i) = τ² and Var(e_i) = v_i known. With P = W - WX(X'WX)⁻¹X'W and W the
inverse of v + τ², τ² is

    fixed   0.
    DL      (QE - (k - p)) / tr P at τ² = 0, the method of moments.
    PM      the τ² at which y'Py = k - p.
    REML    the τ² at which y'PPy = tr P, the highest of all maxima of the restricted likelihood.

Without moderators all of it is `meta_analysis.pool`.

Sources
    Knapp, G. & Hartung, J. (2003). Improved tests for a random effects meta-regression with a single
        covariate. Statistics in Medicine 22, 2693–2710.
    López-López, J. A. et al. (2014). Estimation of the predictive power of the model in mixed-effects
        meta-regression. British Journal of Mathematical and Statistical Psychology 67, 30–48.
    Viechtbauer, W. (2010). Conducting meta-analyses in R with the metafor package. Journal of
        Statistical Software 36(3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import special
from scipy.linalg import solve_triangular

from evalkit.numerics.distributions import chi2_sf, critical_value, two_sided_p
from evalkit.numerics.meta_analysis import Interval, InvalidEffectsError, TooFewEffectsError
from evalkit.numerics.root_finding import bracketed_root

__all__ = [
    "CollinearModeratorsError",
    "MetaRegression",
    "RegressionMethod",
    "predict",
    "regress",
]

Array = NDArray[np.float64]

RegressionMethod = Literal["fixed", "DL", "PM", "REML"]

SCORE_GRID: Final = 65
"""Points at which the likelihood's score is looked at before its roots are solved, as in `meta_analysis`."""

BRACKET_MARGIN: Final = 1.0 + 1e-6
"""The upper ends of brackets are exact bounds; a millionth more keeps rounding inside them."""

COLLINEAR: Final = 1e-10
"""Relative: a moderator of which less than this is left after the others tells nothing that they do not."""

EXACT: Final = 1e-28
"""Relative to the squared effects: smaller sums of squared residuals are rounding, the fit is exact."""


class CollinearModeratorsError(ValueError):
    """A moderator is constant, or the same as a combination of others: its coefficient is not defined.

    Args:
        moderator: which, from 0.
        constant: whether it is the same for all.
    """

    def __init__(self, moderator: int, *, constant: bool) -> None:
        how = "is the same for all" if constant else "follows from those before it"
        super().__init__(f"moderator {moderator + 1} {how}")
        self.moderator = moderator
        self.constant = constant


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MetaRegression:
    """A fitted meta-regression; ``nan`` means not defined.

    Attributes:
        coefficients: (p,) intercept first, then the moderators.
        covariance: (p, p), of the interval's kind.
        df: of the reference t, k - p; ``math.inf`` for Wald.
        tau2: residual variance of the true effects.
        tau2_without: the same without moderators.
        r2: 100 max(0, (tau2_without - tau2)/tau2_without); nan if there is nothing to explain.
        i2, h2: as metafor defines them for a model with moderators.
        qe, qe_df, qe_p_value: test of what the moderators leave.
        qm: test of all moderators together: chi-square(m) for Wald, F(m, k - p) else. nan without any.
        qm_df, qm_p_value: m, and its p-value.
        scale: s², by which Knapp–Hartung multiplies the covariance; 1 for Wald.
        hat: (k,) leverages.
        fitted: (k,) X b.
        weights: (k,) 1/(v + τ²), as they are.
        k, method, interval, level: what was asked.
    """

    coefficients: Array
    covariance: Array
    df: float
    tau2: float
    tau2_without: float
    r2: float
    i2: float
    h2: float
    qe: float
    qe_df: int
    qe_p_value: float
    qm: float
    qm_df: int
    qm_p_value: float
    scale: float
    hat: Array
    fitted: Array
    weights: Array
    k: int
    method: RegressionMethod
    interval: Interval
    level: float

    @property
    def std_error(self) -> Array:
        """(p,) standard errors."""
        root: Array = np.sqrt(np.diagonal(self.covariance))
        return root

    @property
    def p_value(self) -> Array:
        """(p,) two-sided p-values of no effect."""
        return two_sided_p(self.coefficients / self.std_error, self.df)


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Weighted least squares at one τ²."""

    coefficients: Array
    unscaled: Array
    hat: Array
    residuals: Array
    weights: Array
    log_determinant: float

    @property
    def squares(self) -> float:
        """The weighted sum of squared residuals, y'Py."""
        return float(self.weights @ self.residuals**2)

    @property
    def trace(self) -> float:
        """The trace of P, Σ w_i (1 - h_i)."""
        return float(self.weights @ (1.0 - self.hat))


def regress(
    effects: Sequence[float] | Array,
    variances: Sequence[float] | Array,
    moderators: Array,
    *,
    method: RegressionMethod = "REML",
    interval: Interval = "knapp_hartung",
    level: float = 0.95,
) -> MetaRegression:
    """Regress k effects with known variances on m moderators; an intercept is added.

    Args:
        effects: (k,) finite.
        variances: (k,) finite and above 0.
        moderators: (k, m) finite; m may be 0.
        method: estimator of τ².
        interval: ``wald``, ``knapp_hartung`` or ``knapp_hartung_truncated``, as in `meta_analysis.pool`.
        level: of intervals made from it.

    Raises:
        InvalidEffectsError: shapes that do not fit, values that are not finite, variances not above 0.
        TooFewEffectsError: not more effects than coefficients.
        CollinearModeratorsError: a moderator that is constant or follows from others.
        ValueError: unknown method.
    """
    if method not in get_args(RegressionMethod):
        raise ValueError(
            f"unknown method {method!r}; one of {', '.join(get_args(RegressionMethod))}"
        )
    if interval not in get_args(Interval):
        raise ValueError(f"unknown interval {interval!r}; one of {', '.join(get_args(Interval))}")
    y, v, x = _checked(effects, variances, moderators)
    k, p = x.shape
    tau2 = _tau2(y, v, x, method)
    without = tau2 if p == 1 else _tau2(y, v, x[:, :1], method)
    fit, start = _fit(y, v + tau2, x), _fit(y, v, x)
    scale = _scale(fit.squares / (k - p), interval)
    df = math.inf if interval == "wald" else float(k - p)
    covariance = scale * fit.unscaled
    qm, qm_p = _test_of_moderators(fit.coefficients, covariance, df)
    within = (k - p) / start.trace
    return MetaRegression(
        coefficients=fit.coefficients,
        covariance=covariance,
        df=df,
        tau2=tau2,
        tau2_without=without,
        r2=100.0 * max(0.0, (without - tau2) / without) if without > 0.0 else math.nan,
        i2=_i2(method, tau2, within, start.squares, k - p),
        h2=start.squares / (k - p) if method == "fixed" else tau2 / within + 1.0,
        qe=start.squares,
        qe_df=k - p,
        qe_p_value=chi2_sf(start.squares, k - p),
        qm=qm,
        qm_df=p - 1,
        qm_p_value=qm_p,
        scale=scale,
        hat=fit.hat,
        fitted=x @ fit.coefficients,
        weights=fit.weights,
        k=k,
        method=method,
        interval=interval,
        level=level,
    )


def predict(fit: MetaRegression, moderators: Array) -> tuple[Array, Array, Array]:
    """Mean effect at given moderators with its confidence limits.

    Args:
        fit: of p coefficients.
        moderators: (g, p - 1).

    Returns:
        Effect, lower and upper limit, each (g,).
    """
    rows = np.column_stack([np.ones(len(moderators)), moderators])
    effect: Array = rows @ fit.coefficients
    spread = np.sqrt(np.einsum("gi,ij,gj->g", rows, fit.covariance, rows))
    half: Array = critical_value(fit.level, fit.df) * spread
    return effect, effect - half, effect + half


def _checked(
    effects: Sequence[float] | Array, variances: Sequence[float] | Array, moderators: Array
) -> tuple[Array, Array, Array]:
    y = np.asarray(effects, dtype=np.float64)
    v = np.asarray(variances, dtype=np.float64)
    m = np.asarray(moderators, dtype=np.float64)
    if y.ndim != 1 or y.shape != v.shape or m.ndim != 2 or len(m) != y.size:
        raise InvalidEffectsError(
            "effects, variances and rows of moderators must be of one number, "
            f"not of shapes {y.shape}, {v.shape} and {m.shape}"
        )
    for name, values in (("effects", y), ("variances", v), ("moderators", m)):
        if not np.isfinite(values).all():
            raise InvalidEffectsError(f"{np.sum(~np.isfinite(values))} {name} are not finite")
    if not (v > 0.0).all():
        raise InvalidEffectsError(f"{np.sum(v <= 0.0)} variances are not above 0")
    x = np.column_stack([np.ones(y.size), m])
    k, p = x.shape
    if k <= p:
        raise TooFewEffectsError(
            f"{k} effects for {p} coefficients; a meta-regression needs at least {p + 1}"
        )
    _check_collinear(x)
    return y, v, x


def _check_collinear(x: Array) -> None:
    """Every column must keep something of its own after those before it."""
    lengths = np.linalg.norm(x - np.outer(np.ones(len(x)), x.mean(axis=0)), axis=0)
    sizes = np.linalg.norm(x, axis=0)
    constant = lengths[1:] <= COLLINEAR * np.maximum(sizes[1:], np.finfo(float).tiny)
    if constant.any():
        raise CollinearModeratorsError(int(np.flatnonzero(constant)[0]), constant=True)
    if x.shape[1] < 3:
        return
    centred = (x[:, 1:] - x[:, 1:].mean(axis=0)) / lengths[1:]
    left = np.abs(np.diagonal(np.linalg.qr(centred, mode="r")))
    if (left < COLLINEAR).any():
        raise CollinearModeratorsError(int(np.flatnonzero(left < COLLINEAR)[0]), constant=False)


def _fit(y: Array, total: Array, x: Array) -> _Fit:
    """Least squares with weights 1/total, by an orthogonal decomposition of W^½ X."""
    w = 1.0 / total
    root = np.sqrt(w)
    q, r = np.linalg.qr(root[:, None] * x)
    coefficients = solve_triangular(r, q.T @ (root * y))
    inverse = solve_triangular(r, np.eye(x.shape[1]))
    return _Fit(
        coefficients=coefficients,
        unscaled=inverse @ inverse.T,
        hat=(q**2).sum(axis=1),
        residuals=y - x @ coefficients,
        weights=w,
        log_determinant=2.0 * float(np.log(np.abs(np.diagonal(r))).sum()),
    )


def _scale(mean_square: float, interval: Interval) -> float:
    if interval == "wald":
        return 1.0
    return max(1.0, mean_square) if interval == "knapp_hartung_truncated" else mean_square


def _test_of_moderators(coefficients: Array, covariance: Array, df: float) -> tuple[float, float]:
    """QM and its p-value (Knapp & Hartung 2003 for the F form)."""
    m = len(coefficients) - 1
    if m == 0 or not covariance.any():
        return math.nan, math.nan
    b = coefficients[1:]
    statistic = float(b @ np.linalg.solve(covariance[1:, 1:], b))
    if math.isinf(df):
        return statistic, chi2_sf(statistic, m)
    return statistic / m, float(special.fdtrc(m, df, statistic / m))


def _i2(method: RegressionMethod, tau2: float, within: float, qe: float, df: int) -> float:
    if method == "fixed":
        return 100.0 * max(0.0, (qe - df) / qe) if qe > 0.0 else 0.0
    return 100.0 * tau2 / (within + tau2)


def _tau2(y: Array, v: Array, x: Array, method: RegressionMethod) -> float:
    k, p = x.shape
    # Equally weighted residuals bound τ² from above for every estimator.
    unweighted = _fit(y, np.ones(k), x).squares
    if method == "fixed" or unweighted <= EXACT * float(y @ y):
        return 0.0
    if method == "REML":
        return _tau2_restricted(y, v, x, unweighted / (k - p))
    start = _fit(y, v, x)
    if method == "DL":
        moments: float = (start.squares - (k - p)) / start.trace
        return max(0.0, moments)
    if start.squares <= k - p:
        return 0.0
    # y'Py ≤ Σ (y - Xb)²/τ² for the unweighted b.
    highest = unweighted / (k - p) * BRACKET_MARGIN
    return bracketed_root(lambda tau2: _fit(y, v + tau2, x).squares - (k - p), 0.0, highest)


def _tau2_restricted(y: Array, v: Array, x: Array, spread: float) -> float:
    """The τ² ≥ 0 with the highest restricted likelihood; the bound is that of `meta_analysis`."""
    highest = (spread + math.sqrt(spread * float(v.max()))) * BRACKET_MARGIN
    smallest = float(v.min())
    grid = np.geomspace(smallest, smallest + highest, SCORE_GRID) - smallest
    grid[0], grid[-1] = 0.0, highest
    rising = _restricted(y, v, x, grid)[0] > 0.0
    candidates = [] if rising[0] else [0.0]
    candidates += [
        bracketed_root(
            lambda tau2: float(_restricted(y, v, x, np.array([tau2]))[0][0]),
            float(grid[i]),
            float(grid[i + 1]),
        )
        for i in np.flatnonzero(rising[:-1] & ~rising[1:])
    ]
    return float(candidates[int(np.argmax(_restricted(y, v, x, np.array(candidates))[1]))])


def _restricted(y: Array, v: Array, x: Array, tau2: Array) -> tuple[Array, Array]:
    """Twice the score y'PPy - tr P and twice the log restricted likelihood at (g,) values of τ², each (g,)."""
    w = 1.0 / (v[None, :] + tau2[:, None])
    root = np.sqrt(w)
    q, r = np.linalg.qr(root[:, :, None] * x)
    target = root * y
    # What an orthogonal basis of W^½ X leaves of W^½ y is W^½ times the residuals.
    left = target - (q @ (np.swapaxes(q, 1, 2) @ target[:, :, None]))[:, :, 0]
    hat = (q**2).sum(axis=2)
    score: Array = (w * left**2).sum(axis=1) - (w * (1.0 - hat)).sum(axis=1)
    determinant = 2.0 * np.log(np.abs(np.diagonal(r, axis1=1, axis2=2))).sum(axis=1)
    likelihood: Array = np.log(w).sum(axis=1) - determinant - (left**2).sum(axis=1)
    return score, likelihood
