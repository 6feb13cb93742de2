"""What a static two-way regression averages: the effects of treated cells, some with a weight below zero.

β of y = α_i + γ_t + β D + e is Σ w_k δ_k over the effects δ_k of treated cells, where w_k = Σ D̃ over the cells of k
/ Σ D̃ D and D̃ is what the fixed effects leave of D. The weights sum to 1, and fall below zero where a place that is
nearly always treated is treated when nearly all are: such cells serve others as controls. If effects grow, they are
taken off.

Source
    de Chaisemartin, C. & D'Haultfœuille, X. (2020). Two-way fixed effects estimators with heterogeneous treatment
        effects. American Economic Review 110(9), 2964–2996: theorem 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["TwoWayWeights", "weights_from_means", "weights_from_products"]

Array = NDArray[np.float64]
Booleans = NDArray[np.bool_]

NOTHING: Final = 1e-12
"""Share of the treated cells' weight at and below which the fixed effects leave nothing of D but rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoWayWeights:
    """The coefficient and the weights in it.

    Attributes:
        coefficient: β.
        weights: of each effect, 0 for what is not treated; they sum to 1.
    """

    coefficient: float
    weights: Array

    @property
    def negative(self) -> float:
        """How far the weights below zero sum below zero; 0 if there are none."""
        return float(np.maximum(-self.weights, 0.0).sum())

    def without_negative(self, effects: Array) -> float:
        """Mean of the effects by their positive weights; those that are NaN are left out, NaN if all are.

        Args:
            effects: of the shape of the weights.
        """
        kept = np.where(np.isfinite(effects), np.maximum(self.weights, 0.0), 0.0)
        total = float(kept.sum())
        if not total > 0.0:
            return float("nan")
        return float((kept * np.where(kept > 0.0, effects, 0.0)).sum()) / total


def weights_from_products(information: Array, right: Array, treated: Booleans) -> TwoWayWeights:
    """From the cross-products of a regression with one indicator for each kind of cell, exactly.

    D is the sum of the treated cells' indicators, hence D̃ that of their residuals: whatever the fixed effects are.

    Args:
        information: (K, K) Σ w x̃x̃' of the residualised indicators.
        right: (K,) Σ x̃y.
        treated: (K,) the indicators of treated cells; the others are of cells before treatment.

    Raises:
        ValueError: the fixed effects leave nothing of D.
    """
    products = information[:, treated].sum(axis=1)
    variance = float(products[treated].sum())
    if not variance > NOTHING * float(np.abs(information[np.ix_(treated, treated)]).sum()):
        raise ValueError("the fixed effects leave nothing of the treatment")
    weights = np.where(treated, products, 0.0) / variance
    return TwoWayWeights(float(right[treated].sum()) / variance, weights)


def weights_from_means(
    means: Array, units: Array, observed: Booleans, treated: Booleans
) -> TwoWayWeights:
    """From the mean outcomes of groups of units that share treatment and periods observed.

    Args:
        means: (G, T); not looked at where not observed.
        units: (G,) number of units, above 0.
        observed: (G, T).
        treated: (G, T).

    Raises:
        ValueError: the fixed effects leave nothing of D.
    """
    mass = units[:, None] * observed
    used = treated & observed
    residual = np.where(observed, _residual(used.astype(np.float64), mass), 0.0)
    variance = float((mass * residual * used).sum())
    if not variance > NOTHING * float((mass * used).sum()):
        raise ValueError("the fixed effects leave nothing of the treatment")
    outcome = np.where(observed, means, 0.0)
    coefficient = float((mass * residual * outcome).sum()) / variance
    return TwoWayWeights(coefficient, np.where(used, mass * residual, 0.0) / variance)


def _residual(values: Array, mass: Array) -> Array:
    """(G, T) what weighted group and period means leave of the values: groups are eliminated, periods solved."""
    rows = mass.sum(axis=1, keepdims=True)
    rows = np.where(rows > 0.0, rows, 1.0)
    share = mass / rows
    centred = values - (share * values).sum(axis=1, keepdims=True)
    matrix = np.diag(mass.sum(axis=0)) - mass.T @ share
    # The level of the period effects is free, so that the matrix is singular: the shortest solution.
    period = np.linalg.lstsq(matrix, (mass * centred).sum(axis=0), rcond=None)[0]
    residual: Array = centred - period + share @ period[:, None]
    return residual
