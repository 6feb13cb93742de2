"""What a panel regression with unit and period effects does after its fit, linear or multiplicative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, support_of
from evalkit.core.event_design import (
    Effects,
    Grid,
    Joined,
    cells_by_column,
    check_errors,
    effects_of,
)
from evalkit.core.statistics import Support
from evalkit.numerics.sandwich import cluster_covariance

__all__ = ["Fitted", "effects_with_errors", "support_of_columns"]

Floats = NDArray[np.float64]


class Fitted(Protocol):
    """One city's fit: `numerics.least_squares.Gram` and `numerics.poisson.Profile` are."""

    @property
    def columns(self) -> Floats:
        """(3, K) exposure, incidents and units of each coefficient."""

    @property
    def clusters(self) -> int:
        """Units with a usable cell."""

    @property
    def observations(self) -> int:
        """Usable cells."""

    @property
    def periods(self) -> int:
        """Periods with a usable cell."""


def support_of_columns(
    design: Design, columns: NDArray[np.int64], grid: Grid, fit: Fitted
) -> Support:
    """What a city's fit rests on, coefficient by coefficient.

    Args:
        design: of the city.
        columns: (U, T) which coefficient a cell has, −1 for none.
        grid: K coefficients.
        fit: of that city.
    """
    parameters = int((fit.columns[0] > 0).sum())
    residual_df = fit.observations - fit.clusters - fit.periods + 1 - parameters
    support = support_of(
        design, clusters=fit.clusters, parameters=parameters, residual_df=residual_df
    )
    return replace(support, cells=(*support.cells, *cells_by_column(design, columns, grid)))


def effects_with_errors(
    grid: Grid, joined: Joined, information: Floats, total: Mapping[str, Floats]
) -> tuple[Effects, Floats, Floats]:
    """E effects of a study, their covariance (E, E), and that (R, R) of the joined coefficients.

    Args:
        grid: K coefficients.
        joined: which of them are one, R in all.
        information: (R, R).
        total: ``columns`` (3, K), ``meat`` (K, K), and ``sizes`` that begin with clusters, observations, periods.

    Raises:
        EstimationError: too few clusters for an error, or units are all alike.
    """
    clusters, observations, periods = (float(value) for value in total["sizes"][:3])
    covariance = cluster_covariance(
        information,
        joined.matrix.T @ total["meat"] @ joined.matrix,
        clusters=clusters,
        observations=observations,
        periods=periods,
    )
    effects = effects_of(grid, total["columns"][0])
    weights = effects.weights @ joined.matrix
    of_effects = weights @ covariance @ weights.T
    check_errors(effects, of_effects)
    return effects, of_effects, covariance
