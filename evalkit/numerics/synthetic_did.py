"""Synthetic difference-in-differences for one block: treated units that start together, controls that never do.

Y is (N, T), controls first (N0), then treated (N1); T0 periods before, T1 after. Unit weights ω make the controls'
path before run parallel to the treated units', period weights λ make the periods before predict those after; then

    τ = (mean treated after − Σ λ treated before) − Σ ω (controls after − Σ λ controls before)

(Arkhangelsky, Athey, Hirshberg, Imbens & Wager 2021, American Economic Review 111, 4088–4118, algorithm 1). With
equal weights that is difference-in-differences; with λ = 0 and ω without intercept it is synthetic control.

Weights are found by Frank–Wolfe steps on the simplex, a hundred of them, then every weight up to a quarter of the
largest is set to zero, then again to convergence, as the authors' R package synthdid does (R/solver.R, R/synthdid.R).
ω is held towards equal weights by ζ = (N1·T1)^¼ σ̂, σ̂ the standard deviation of the controls' first differences
before. Standard errors are its jackknife with weights held fixed (algorithm 3) and its placebo (algorithm 4).

Staggered starts are several blocks with the same controls, one for each start; sums over their treated unit-periods
are averaged, as the paper's appendix proposes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "TINY_PENALTY",
    "Block",
    "Fit",
    "Sums",
    "SyntheticDid",
    "Weighting",
    "apply_weights",
    "jackknife_variance",
    "mean_difference",
    "noise_level",
    "simplex_weights",
    "staggered_jackknife",
    "staggered_placebos",
    "staggered_sums",
    "synthetic_did",
    "unit_weights",
    "without_control",
]

Floats = NDArray[np.float64]

Weighting = Literal["synthetic_did", "difference_in_differences", "synthetic_control"]

_Item = TypeVar("_Item")

PRE_SPARSIFY_STEPS: Final = 100
"""Steps before small weights are dropped (synthdid's ``max.iter.pre.sparsify``)."""

MAX_STEPS: Final = 10_000
"""Steps after it (synthdid's ``max.iter``)."""

LEAST_DECREASE: Final = 1e-5
"""Stop when the objective falls by less than its square in units of σ̂² (synthdid's ``min.decrease``)."""

TINY_PENALTY: Final = 1e-6
"""ζ/σ̂ for λ, and for ω of synthetic control: enough for a unique solution (synthdid's ``eta.lambda``)."""

KEPT: Final = 0.25
"""Weights up to this share of the largest are dropped (synthdid's ``sparsify_function``)."""


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticDid:
    """Effect of one block.

    Attributes:
        effect: τ, treated less counterfactual, on Y's scale.
        treated_mean: mean of the treated units after.
        counterfactual_mean: ``treated_mean − effect``.
        omega: (N0,) weights of controls, sum 1.
        lam: (T0,) weights of periods before, sum 1 (0 for synthetic control); or (N0, T0), a row for each control.
    """

    effect: float
    treated_mean: float
    counterfactual_mean: float
    omega: Floats
    lam: Floats


def synthetic_did(
    controls: Floats, treated: Floats, before: int, *, weighting: Weighting = "synthetic_did"
) -> SyntheticDid:
    """Fit weights and effect of one block.

    Args:
        controls: (N0, T) outcomes of never-treated units.
        treated: (N1, T) outcomes of units treated from period ``before`` on.
        before: T0, periods before; at least 2.
        weighting: synthetic difference-in-differences, or one of its two relatives with fixed weights.

    Raises:
        ValueError: fewer than 2 controls, 1 treated unit, 2 periods before or 1 after.
    """
    omega = unit_weights(controls, treated, before, weighting=weighting)
    sigma = noise_level(controls, before)
    lam = np.full(before, 1 / before)
    if weighting == "synthetic_control" and sigma > 0:
        lam = np.zeros(before)
    elif weighting == "synthetic_did" and sigma > 0:
        lam = _sparse_weights(
            controls[:, :before],
            controls[:, before:].mean(axis=1),
            TINY_PENALTY * sigma,
            (LEAST_DECREASE * sigma) ** 2,
            intercept=True,
        )
    return apply_weights(controls, treated, before, omega, lam)


def noise_level(controls: Floats, before: int) -> float:
    """σ̂: standard deviation of the controls' first differences before."""
    return float(np.diff(controls[:, :before], axis=1).std(ddof=1))


def unit_weights(
    controls: Floats, treated: Floats, before: int, *, weighting: Weighting = "synthetic_did"
) -> Floats:
    """(N0,) weights ω of controls; arguments and errors are those of ``synthetic_did``."""
    n0, periods = controls.shape
    if n0 < 2 or len(treated) < 1 or not 2 <= before < periods or treated.shape[1] != periods:
        raise ValueError("a block needs 2 controls, 1 treated unit, 2 periods before and 1 after")
    sigma = noise_level(controls, before)
    if weighting == "difference_in_differences" or sigma == 0:
        return np.full(n0, 1 / n0)
    with_intercept = weighting == "synthetic_did"
    penalty = (len(treated) * (periods - before)) ** 0.25 if with_intercept else TINY_PENALTY
    return _sparse_weights(
        controls[:, :before].T,
        treated[:, :before].mean(axis=0),
        penalty * sigma,
        (LEAST_DECREASE * sigma) ** 2,
        intercept=with_intercept,
    )


def apply_weights(
    controls: Floats, treated: Floats, before: int, omega: Floats, lam: Floats
) -> SyntheticDid:
    """The effect under given weights; those of periods may be a row for each control.

    The treated units then have the rows' mean under ω, so that what all units share in a period cancels.
    """
    if lam.ndim == 2:
        after = controls[:, before:].mean(axis=1)
        change = float(omega @ (after - (lam * controls[:, :before]).sum(axis=1)))
        path = treated.mean(axis=0)
        level, mean = float((omega @ lam) @ path[:before]), float(path[before:].mean())
        return SyntheticDid(mean - level - change, mean, level + change, omega, lam)
    contrast = np.concatenate([-lam, np.full(controls.shape[1] - before, 0.0)])
    contrast[before:] = 1 / (controls.shape[1] - before)
    treated_path = treated.mean(axis=0)
    effect = float((treated_path - omega @ controls) @ contrast)
    mean = float(treated_path[before:].mean())
    return SyntheticDid(effect, mean, mean - effect, omega, lam)


def without_control(omega: Floats, control: int) -> Floats:
    """(N0,) weights with one control's set to 0 and the others scaled to sum 1; equal if nothing is left."""
    left = omega.copy()
    left[control] = 0.0
    total = float(left.sum())
    if total > 0:
        scaled: Floats = left / total
        return scaled
    left[:] = 1 / (len(omega) - 1)
    left[control] = 0.0
    return left


def jackknife_variance(controls: Floats, treated: Floats, before: int, fit: SyntheticDid) -> float:
    """Leave-one-unit-out variance of τ with weights held fixed; NaN with one treated or one weighted control.

    It is conservative for many units (theorem 2 of the paper).
    """
    return staggered_jackknife([Block(controls, treated, before)], [fit], mean_difference)


def mean_difference(sums: Sums) -> float:
    """Treated less counterfactual per treated unit-period: τ, averaged over blocks."""
    return (sums.treated - sums.counterfactual) / sums.unit_periods


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Treated units that start together, with the controls of all blocks, over the block's own periods.

    Attributes:
        controls: (N0, T); the rows are the same units in every block.
        treated: (N1, T).
        before: periods before.
    """

    controls: Floats
    treated: Floats
    before: int

    @property
    def after(self) -> int:
        """Periods after."""
        return int(self.controls.shape[1]) - self.before


@dataclass(frozen=True, slots=True)
class Sums:
    """Over all treated unit-periods: outcome, counterfactual, and how many they are."""

    treated: float
    counterfactual: float
    unit_periods: float


Statistic = Callable[[Sums], float]
Fit = Callable[[Floats, Floats, int], SyntheticDid]
"""Controls, treated units and periods before to weights and effect."""


def staggered_sums(blocks: Sequence[Block], fits: Sequence[SyntheticDid]) -> Sums:
    """The sums under the fitted weights."""
    rows = [
        (len(block.treated) * block.after, fit.treated_mean, fit.counterfactual_mean)
        for block, fit in zip(blocks, fits, strict=True)
    ]
    return Sums(
        math.fsum(n * mean for n, mean, _ in rows),
        math.fsum(n * counterfactual for n, _, counterfactual in rows),
        float(sum(n for n, _, _ in rows)),
    )


def staggered_jackknife(
    blocks: Sequence[Block], fits: Sequence[SyntheticDid], statistic: Statistic
) -> float:
    """Leave-one-unit-out variance of a statistic of the sums, weights held fixed.

    A control that is left out leaves all blocks. NaN if a block has one treated unit or one weighted control.
    """
    if any(
        len(b.treated) < 2 or (f.omega != 0).sum() < 2 for b, f in zip(blocks, fits, strict=True)
    ):
        return math.nan
    values = []
    for i in range(len(blocks[0].controls)):
        refits = [
            apply_weights(b.controls, b.treated, b.before, without_control(f.omega, i), f.lam)
            for b, f in zip(blocks, fits, strict=True)
        ]
        values.append(statistic(staggered_sums(blocks, refits)))
    for position, (b, f) in enumerate(zip(blocks, fits, strict=True)):
        for i in range(len(b.treated)):
            fewer = Block(b.controls, np.delete(b.treated, i, axis=0), b.before)
            refit = apply_weights(fewer.controls, fewer.treated, b.before, f.omega, f.lam)
            values.append(
                statistic(
                    staggered_sums(
                        _replaced(blocks, position, fewer), _replaced(fits, position, refit)
                    )
                )
            )
    n = len(values)
    return (n - 1) / n * float(((np.array(values) - np.mean(values)) ** 2).sum())


def staggered_placebos(
    blocks: Sequence[Block],
    statistic: Statistic,
    random: np.random.Generator,
    *,
    draws: int,
    fit: Fit = synthetic_did,
) -> Floats:
    """(draws,) values of the statistic where controls, drawn at random, stand for the treated of every block.

    Args:
        blocks: of the treated only their number matters.
        statistic: of the sums over placebos.
        random: where draws come from.
        draws: how many.
        fit: how weights and effect of a block are found.

    Raises:
        ValueError: not at least two more controls than treated units.
    """
    n0 = len(blocks[0].controls)
    sizes = [len(block.treated) for block in blocks]
    if n0 < sum(sizes) + 2:
        raise ValueError("placebos need at least two more controls than treated units")
    values = np.empty(draws)
    for draw in range(draws):
        order = random.permutation(n0)
        groups = np.split(order, np.cumsum(sizes))
        placebos = [
            Block(block.controls[groups[-1]], block.controls[group], block.before)
            for block, group in zip(blocks, groups[:-1], strict=True)
        ]
        fits = [fit(one.controls, one.treated, one.before) for one in placebos]
        values[draw] = statistic(staggered_sums(placebos, fits))
    return values


def _replaced(items: Sequence[_Item], position: int, item: _Item) -> list[_Item]:
    return [*items[:position], item, *items[position + 1 :]]


def simplex_weights(
    A: Floats, b: Floats, zeta: float, start: Floats, least: float, steps: int, *, intercept: bool
) -> Floats:
    """Minimise ζ²‖x‖² + ‖Ax − b‖²/n over the simplex by Frank–Wolfe with exact line search.

    Args:
        A: (n, k) columns to combine.
        b: (n,) what they should equal.
        zeta: penalty.
        start: (k,) in the simplex.
        least: stop when a step lowers the objective by no more than this.
        steps: at most so many.
        intercept: whether a free constant is fitted with ``Ax`` (columns are centred).
    """
    if intercept:
        A, b = A - A.mean(axis=0), b - b.mean()
    n = len(b)
    gram = A.T @ A + n * zeta**2 * np.eye(A.shape[1])
    target = A.T @ b
    # A step to vertex v moves x to (1−s)x + s·e_v and so half the gradient g = Gx − c to (1−s)g + s(G_v − c): all
    # that a step needs is kept that way, since products with A would make it five times slower.
    vertices = gram - target
    x = start.copy()
    gradient = gram @ x - target
    quadratic, linear = float(x @ (gradient + target)), float(target @ x)
    for step in range(steps):
        v = int(gradient.argmin())
        c_v, g_v, g_vv = float(target[v]), float(gradient[v]), float(gram[v, v])
        q_v = g_v + c_v
        slope = g_v - (quadratic - linear)
        curvature = g_vv - 2 * q_v + quadratic
        s = min(1.0, max(0.0, -slope / curvature)) if curvature > 0 else 0.0
        gradient *= 1 - s
        gradient += s * vertices[v]
        x *= 1 - s
        x[v] += s
        quadratic = (1 - s) ** 2 * quadratic + 2 * s * (1 - s) * q_v + s * s * g_vv
        linear = (1 - s) * linear + s * c_v
        decrease = -(2 * s * slope + s * s * curvature) / n
        if step > 0 and decrease <= least:
            break
    return x


def _sparse_weights(A: Floats, b: Floats, zeta: float, least: float, *, intercept: bool) -> Floats:
    k = A.shape[1]
    first = simplex_weights(
        A, b, zeta, np.full(k, 1 / k), least, PRE_SPARSIFY_STEPS, intercept=intercept
    )
    kept = np.where(first <= KEPT * first.max(), 0.0, first)
    return simplex_weights(A, b, zeta, kept / kept.sum(), least, MAX_STEPS, intercept=intercept)
