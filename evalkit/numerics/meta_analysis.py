"""Pooling the effects of several sites: fixed effect and random effects, with their heterogeneity.

Vocabulary
    effect       one site's estimate y_i, on a scale where effects add up (here the log rate ratio).
    variance     v_i, its squared standard error, taken as known.
    tau2         τ², the variance of the true effects between sites.
    weight       w_i = 1 / (v_i + τ²); the pooled effect is Σ w_i y_i / Σ w_i.
    Q            Σ (1/v_i) (y_i - fixed-effect mean)², chi-square with k - 1 df if τ² = 0.
    generalised Q  the same with the weights of some τ²: Q(τ²) falls as τ² grows.
    I²           the share, in percent, of the total variance that is between sites.
    H²           total variance over within-site variance.

Estimators of τ²
    fixed   none: τ² is 0; the pooled effect is the precision-weighted mean of these very sites.
    DL      DerSimonian & Laird (1986): (Q - (k - 1)) / (Σ1/v - Σ1/v²/Σ1/v).
    HE      Hedges & Olkin (1985): variance of the effects less the mean of the variances.
    HS      Hunter & Schmidt (1990), as given by Viechtbauer (2005): (Q - k) / Σ1/v.
    SJ      Sidik & Jonkman (2005): τ²₀ Q(τ²₀)/(k - 1) with τ²₀ = Σ(y_i - ȳ)²/k; never 0.
    PM      Paule & Mandel (1982): the τ² with Q(τ²) = k - 1.
    EB      empirical Bayes, Morris (1983): the same equation as PM.
    ML      maximum likelihood.
    REML    restricted maximum likelihood (Viechtbauer 2005).
All but ``fixed`` are truncated at 0.

The likelihood of τ² can have several maxima. ML and REML here bracket every sign change of the
score on a grid, solve each to the last bits, and keep the highest, so the answer does not hang on a
starting value.

Sources (equations are written out where they are used; numbers refer to the papers)
    DerSimonian, R. & Laird, N. (1986). Meta-analysis in clinical trials. Controlled Clinical Trials
        7, 177–188.
    Hartung, J. & Knapp, G. (2001). A refined method for the meta-analysis of controlled clinical
        trials with binary outcome. Statistics in Medicine 20, 3875–3889.
    Higgins, J. P. T. & Thompson, S. G. (2002). Quantifying heterogeneity in a meta-analysis.
        Statistics in Medicine 21, 1539–1558.
    Higgins, J. P. T., Thompson, S. G. & Spiegelhalter, D. J. (2009). A re-evaluation of
        random-effects meta-analysis. Journal of the Royal Statistical Society A 172, 137–159.
    Paule, R. C. & Mandel, J. (1982). Consensus values and weighting factors. Journal of Research of
        the National Bureau of Standards 87, 377–385.
    Viechtbauer, W. (2005). Bias and efficiency of meta-analytic variance estimators in the
        random-effects model. Journal of Educational and Behavioral Statistics 30, 261–293.
    Viechtbauer, W. (2007). Confidence intervals for the amount of heterogeneity in meta-analysis.
        Statistics in Medicine 26, 37–52.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalkit.numerics.distributions import (
    chi2_isf,
    chi2_quantile,
    chi2_sf,
    critical_value,
    two_sided_p,
)
from evalkit.numerics.root_finding import bracketed_root

__all__ = [
    "Interval",
    "InvalidEffectsError",
    "Method",
    "NoSpreadError",
    "PooledEffect",
    "TooFewEffectsError",
    "pool",
]

Array = NDArray[np.float64]

Method = Literal["fixed", "DL", "PM", "REML", "ML", "HE", "HS", "SJ", "EB"]
Interval = Literal["wald", "knapp_hartung", "knapp_hartung_truncated"]

SCORE_GRID: Final = 65
"""Points at which the likelihood's score is looked at before its roots are solved. The score is a
sum of k smooth terms in ln(v_i + τ²); 65 points are 20 or more per decade for variances within a
factor 1,000."""

BRACKET_MARGIN: Final = 1.0 + 1e-6
"""The upper ends of brackets are exact bounds; a millionth more keeps rounding inside them."""

EQUAL_EFFECTS: Final = 8.0 * 2.0**-52
"""Effects that differ by less than eight units in the last place of the largest are equal."""

MIN_PREDICTION_K: Final = 3
"""t(k - 2) needs at least one degree of freedom."""

NOTE_SINGLE: Final = (
    "one effect only: nothing is pooled, tau2 is not defined, the fixed effect is reported"
)
NOTE_EMPTY_TAU2: Final = (
    "the effects differ less than their variances allow for: the Q-profile interval of tau2 is "
    "empty, reported as [0, 0]"
)


class InvalidEffectsError(ValueError):
    """Effects or variances that cannot be pooled: shape, NaN, infinite, variance not above 0."""


class TooFewEffectsError(ValueError):
    """More effects are needed for the interval that was asked for."""


class NoSpreadError(ValueError):
    """All effects are equal, so the Knapp–Hartung standard error is 0 and means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledEffect:
    """A pooled effect. All figures are on the scale of the effects; ``nan`` means not defined.

    Attributes:
        effect: Pooled effect.
        std_error: Its standard error, of the interval's kind.
        df: Degrees of freedom of the reference t; ``math.inf`` for Wald (normal).
        statistic: effect / std_error.
        p_value: Two-sided, of no effect.
        conf_low: Lower end of the confidence interval of the pooled effect.
        conf_high: Its upper end.
        tau2: Variance of the true effects; 0 for ``fixed``, nan for a single effect.
        tau2_low: Lower end of its Q-profile interval (Viechtbauer 2007); nan for ``fixed``.
        tau2_high: Its upper end.
        q: Cochran's Q.
        q_df: k - 1.
        q_p_value: Upper tail of chi-square(k - 1) at Q.
        i2: I² in percent, as metafor defines it. Random effects: 100 τ²/(τ² + s²) with s² the
            ``typical_variance``; fixed: 100 max(0, (Q - df)/Q).
        h2: τ²/s² + 1, or Q/df for ``fixed``, as metafor defines it.
        prediction_low: Lower end of the interval for the true effect of a new site, with t(k - 2):
            effect ± t √(τ² + std_error²) (Higgins, Thompson & Spiegelhalter 2009). nan for
            ``fixed`` and for k < 3, as are the next five.
        prediction_high: Its upper end.
        prediction_low_normal: The same with the normal quantile.
        prediction_high_normal: Its upper end.
        prediction_low_metafor: The same with the quantile of the confidence interval, as metafor's
            ``predict`` prints it: normal for Wald, t(k - 1) for Knapp–Hartung.
        prediction_high_metafor: Its upper end.
        typical_variance: s² = (k - 1) Σw/((Σw)² - Σw²) with w = 1/v, the typical within-site
            variance (Higgins & Thompson 2002, eq. 9); nan for a single effect.
        weights: Normalised to sum 1, in the order of the effects.
        k: Number of effects.
        method: As used: ``fixed`` for a single effect, whatever was asked.
        interval: As used.
        level: Coverage of every interval above.
        notes: What a reader must know, in sentences; usually empty.
    """

    effect: float
    std_error: float
    df: float
    statistic: float
    p_value: float
    conf_low: float
    conf_high: float
    tau2: float = math.nan
    tau2_low: float = math.nan
    tau2_high: float = math.nan
    q: float = 0.0
    q_df: int = 0
    q_p_value: float = math.nan
    i2: float = math.nan
    h2: float = math.nan
    prediction_low: float = math.nan
    prediction_high: float = math.nan
    prediction_low_normal: float = math.nan
    prediction_high_normal: float = math.nan
    prediction_low_metafor: float = math.nan
    prediction_high_metafor: float = math.nan
    typical_variance: float = math.nan
    weights: tuple[float, ...]
    k: int
    method: Method
    interval: Interval
    level: float
    notes: tuple[str, ...] = ()


def pool(
    effects: Sequence[float] | Array,
    variances: Sequence[float] | Array,
    *,
    method: Method = "REML",
    interval: Interval = "knapp_hartung",
    level: float = 0.95,
) -> PooledEffect:
    """Pool k effects with known variances.

    Args:
        effects: Shape (k,), finite, on a scale where effects add up.
        variances: Shape (k,), finite and above 0: squared standard errors.
        method: Estimator of τ²; see the module's list.
        interval: ``wald``: normal, 1/√Σw. ``knapp_hartung``: t(k - 1), √(Q(τ²)/((k - 1) Σw)), never
            truncated, as metafor's ``test="knha"`` (Hartung & Knapp 2001).
            ``knapp_hartung_truncated``: the same but never below the Wald standard error, as
            metafor's ``test="adhoc"``.
        level: Coverage of every interval.

    Returns:
        The pooled effect. A single effect is returned as it is, with a note, and only with
        ``interval="wald"``.

    Raises:
        InvalidEffectsError: shapes differ or are not (k,), k = 0, NaN or infinite values, a
            variance that is not above 0.
        TooFewEffectsError: a Knapp–Hartung interval for one effect.
        NoSpreadError: an untruncated Knapp–Hartung interval for effects that are all equal.
        ValueError: unknown method or interval, or a level outside (0, 1).
    """
    _check_options(method, interval, level)
    y, v = _checked(effects, variances)
    if y.size == 1:
        return _single(float(y[0]), float(v[0]), interval, level)
    # Centring keeps the sums exact when effects are large and close together.
    centre = float(np.mean(y))
    y = np.zeros_like(y) if _all_equal(y) else y - centre
    tau2 = _tau2(y, v, method)
    w = 1.0 / (v + tau2)
    centred = _mean(y, w)
    std_error, df = _standard_error(y, w, interval)
    effect = centre + centred
    half_width = critical_value(level, df) * std_error
    q = _generalised_q(y, v, 0.0)
    q_df = y.size - 1
    within = _typical_variance(v)
    i2, h2 = _heterogeneity(method, tau2, within, q, q_df)
    tau2_low, tau2_high, notes = (
        (math.nan, math.nan, ()) if method == "fixed" else _tau2_interval(y, v, level)
    )
    dfs = (float(y.size - 2), math.inf, df)
    if method == "fixed" or y.size < MIN_PREDICTION_K:
        half_widths = [math.nan] * 3
    else:
        spread = math.sqrt(tau2 + std_error**2)
        half_widths = [critical_value(level, each) * spread for each in dfs]
    return PooledEffect(
        effect=effect,
        std_error=std_error,
        df=df,
        statistic=effect / std_error,
        p_value=two_sided_p(effect / std_error, df),
        conf_low=effect - half_width,
        conf_high=effect + half_width,
        tau2=tau2,
        tau2_low=tau2_low,
        tau2_high=tau2_high,
        q=q,
        q_df=q_df,
        q_p_value=chi2_sf(q, q_df),
        i2=i2,
        h2=h2,
        prediction_low=effect - half_widths[0],
        prediction_high=effect + half_widths[0],
        prediction_low_normal=effect - half_widths[1],
        prediction_high_normal=effect + half_widths[1],
        prediction_low_metafor=effect - half_widths[2],
        prediction_high_metafor=effect + half_widths[2],
        typical_variance=within,
        weights=tuple(float(x) for x in w / w.sum()),
        k=y.size,
        method=method,
        interval=interval,
        level=level,
        notes=notes,
    )


def _check_options(method: str, interval: str, level: float) -> None:
    if method not in get_args(Method):
        raise ValueError(f"unknown method {method!r}; one of {', '.join(get_args(Method))}")
    if interval not in get_args(Interval):
        raise ValueError(f"unknown interval {interval!r}; one of {', '.join(get_args(Interval))}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie strictly between 0 and 1, not {level!r}")


def _checked(
    effects: Sequence[float] | Array, variances: Sequence[float] | Array
) -> tuple[Array, Array]:
    y = np.asarray(effects, dtype=np.float64)
    v = np.asarray(variances, dtype=np.float64)
    if y.ndim != 1 or y.shape != v.shape:
        raise InvalidEffectsError(
            "effects and variances must be two lists of one length, "
            f"not of shapes {y.shape} and {v.shape}"
        )
    if y.size == 0:
        raise InvalidEffectsError("no effect to pool")
    if not np.isfinite(y).all():
        raise InvalidEffectsError(f"{np.sum(~np.isfinite(y))} effects are not finite numbers")
    if not np.isfinite(v).all():
        raise InvalidEffectsError(f"{np.sum(~np.isfinite(v))} variances are not finite numbers")
    if not (v > 0.0).all():
        raise InvalidEffectsError(
            f"{np.sum(v <= 0.0)} variances are not above 0; "
            "an effect without uncertainty cannot be weighed against others"
        )
    return y, v


def _single(effect: float, variance: float, interval: Interval, level: float) -> PooledEffect:
    if interval != "wald":
        raise TooFewEffectsError(
            "a Knapp-Hartung interval estimates the spread between effects and needs at least 2, "
            'not 1; ask for interval="wald"'
        )
    std_error = math.sqrt(variance)
    half_width = critical_value(level, math.inf) * std_error
    return PooledEffect(
        effect=effect,
        std_error=std_error,
        df=math.inf,
        statistic=effect / std_error,
        p_value=two_sided_p(effect / std_error, math.inf),
        conf_low=effect - half_width,
        conf_high=effect + half_width,
        weights=(1.0,),
        k=1,
        method="fixed",
        interval=interval,
        level=level,
        notes=(NOTE_SINGLE,),
    )


def _mean(y: Array, w: Array) -> float:
    return float(w @ y / w.sum())


def _generalised_q(y: Array, v: Array, tau2: float) -> float:
    """Q(τ²) = Σ w_i (y_i - μ(τ²))² (Viechtbauer 2007)."""
    w = 1.0 / (v + tau2)
    return float(w @ (y - _mean(y, w)) ** 2)


def _all_equal(y: Array) -> bool:
    return bool(np.ptp(y) <= EQUAL_EFFECTS * np.max(np.abs(y)))


def _spread(y: Array) -> float:
    """Unbiased variance of the effects."""
    return float(np.var(y, ddof=1))


def _typical_variance(v: Array) -> float:
    """s² = (k - 1) Σw / ((Σw)² - Σw²) (Higgins & Thompson 2002, eq. 9)."""
    w = 1.0 / v
    total = w.sum()
    return float((v.size - 1) / (total - (w @ w) / total))


def _standard_error(y: Array, w: Array, interval: Interval) -> tuple[float, float]:
    """Standard error of the pooled effect and the degrees of freedom of its reference t."""
    wald = 1.0 / math.sqrt(float(w.sum()))
    if interval == "wald":
        return wald, math.inf
    df = y.size - 1
    # Hartung & Knapp (2001): the weighted mean square of the effects around the pooled one.
    mean_square = float(w @ (y - _mean(y, w)) ** 2) / df
    if interval == "knapp_hartung_truncated":
        return wald * math.sqrt(max(1.0, mean_square)), float(df)
    if _spread(y) == 0.0:
        raise NoSpreadError(
            "all effects are equal, so the Knapp-Hartung standard error would be 0; ask for "
            'interval="wald" or "knapp_hartung_truncated"'
        )
    return wald * math.sqrt(mean_square), float(df)


def _heterogeneity(
    method: Method, tau2: float, within: float, q: float, q_df: int
) -> tuple[float, float]:
    """I² in percent and H², by metafor's definitions."""
    if method == "fixed":
        return (100.0 * max(0.0, (q - q_df) / q) if q > 0.0 else 0.0), q / q_df
    return 100.0 * tau2 / (within + tau2), tau2 / within + 1.0


def _tau2(y: Array, v: Array, method: Method) -> float:
    if method == "fixed" or (_spread(y) == 0.0):
        return 0.0
    match method:
        case "DL":
            return _tau2_dersimonian_laird(y, v)
        case "HE":
            return max(0.0, _spread(y) - float(np.mean(v)))
        case "HS":
            return max(0.0, (_generalised_q(y, v, 0.0) - y.size) / float((1.0 / v).sum()))
        case "SJ":
            return _tau2_sidik_jonkman(y, v)
        case "PM" | "EB":
            return _tau2_at_q(y, v, float(y.size - 1))
        case "ML" | "REML":
            return _tau2_likelihood(y, v, restricted=method == "REML")


def _tau2_dersimonian_laird(y: Array, v: Array) -> float:
    """(Q - (k - 1)) / (Σw - Σw²/Σw), truncated at 0 (DerSimonian & Laird 1986)."""
    w = 1.0 / v
    total = w.sum()
    return max(0.0, float((_generalised_q(y, v, 0.0) - (y.size - 1)) / (total - (w @ w) / total)))


def _tau2_sidik_jonkman(y: Array, v: Array) -> float:
    """Two steps from τ²₀ = Σ(y - ȳ)²/k (Sidik & Jonkman 2005); always above 0."""
    start = float(np.var(y))
    return start * _generalised_q(y, v, start) / (y.size - 1)


def _tau2_at_q(y: Array, v: Array, target: float) -> float:
    """The τ² with Q(τ²) = target, or 0 if Q(0) is at or below it.

    Q(τ²) ≤ Σ(y - ȳ)²/τ², because the weighted mean minimises Q: the root lies below Σ(y -
    ȳ)²/target.
    """
    if _generalised_q(y, v, 0.0) <= target:
        return 0.0
    highest = (y.size - 1) * _spread(y) / target * BRACKET_MARGIN
    return bracketed_root(lambda tau2: _generalised_q(y, v, tau2) - target, 0.0, highest)


def _tau2_interval(y: Array, v: Array, level: float) -> tuple[float, float, tuple[str, ...]]:
    """Q-profile interval: the τ² at which Q(τ²) meets the two quantiles of chi-square(k - 1).

    Viechtbauer (2007). Both ends are 0, with a note, if Q(0) is below the lower quantile: no τ² ≥ 0
    is then compatible with the effects.
    """
    tail = (1.0 - level) / 2.0
    df = y.size - 1
    lower_quantile = chi2_quantile(tail, df)
    if _generalised_q(y, v, 0.0) < lower_quantile or _spread(y) == 0.0:
        return 0.0, 0.0, (NOTE_EMPTY_TAU2,)
    return _tau2_at_q(y, v, chi2_isf(tail, df)), _tau2_at_q(y, v, lower_quantile), ()


def _tau2_likelihood(y: Array, v: Array, *, restricted: bool) -> float:
    """The τ² ≥ 0 with the highest (restricted) likelihood.

    With s² the variance of the effects, the score is negative beyond s² + s √max(v): there Σw²(y -
    μ)² ≤ (k - 1) s²/(τ² (τ² + min v)) and tr(P) ≥ (k - 1)/(max v + τ²). Every maximum lies below.
    """
    spread = _spread(y)
    highest = (spread + math.sqrt(spread * float(v.max()))) * BRACKET_MARGIN
    smallest = float(v.min())
    grid = np.geomspace(smallest, smallest + highest, SCORE_GRID) - smallest
    grid[0], grid[-1] = 0.0, highest
    rising = _score(y, v, grid, restricted=restricted) > 0.0

    def score(tau2: float) -> float:
        return float(_score(y, v, np.array([tau2]), restricted=restricted)[0])

    candidates = [] if rising[0] else [0.0]
    candidates += [
        bracketed_root(score, float(grid[i]), float(grid[i + 1]))
        for i in np.flatnonzero(rising[:-1] & ~rising[1:])
    ]
    return max(candidates, key=lambda tau2: _log_likelihood(y, v, tau2, restricted=restricted))


def _score(y: Array, v: Array, tau2: Array, *, restricted: bool) -> Array:
    """Twice the derivative of the log likelihood by τ²; τ² and the answer have shape (g,).

    y'PPy - tr(P) for REML and y'PPy - tr(W) for ML, with P = W - W11'W/Σw (Viechtbauer 2005).
    """
    w = 1.0 / (v[None, :] + tau2[:, None])
    total = w.sum(axis=1)
    mean = (w @ y) / total
    squares = ((w * (y[None, :] - mean[:, None])) ** 2).sum(axis=1)
    trace = total - (w * w).sum(axis=1) / total if restricted else total
    difference: Array = squares - trace
    return difference


def _log_likelihood(y: Array, v: Array, tau2: float, *, restricted: bool) -> float:
    """Up to a constant; profiled over the mean."""
    total = v + tau2
    value = -0.5 * (float(np.log(total).sum()) + _generalised_q(y, v, tau2))
    return value - 0.5 * math.log(float((1.0 / total).sum())) if restricted else value
