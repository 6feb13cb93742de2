"""From summed scores, information and cluster cross-products to a step and a covariance."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import EstimationError

__all__ = ["SINGULAR", "cluster_covariance", "solve_information"]

Floats = NDArray[np.float64]

SINGULAR: Final = 1e-10
"""Smallest eigenvalue of the information, scaled to a unit diagonal, below which a coefficient is a combination
of others. Rounding leaves about 1e-15; designs that are merely thin stay above 1e-6."""


def solve_information(information: Floats, score: Floats) -> Floats:
    """The Newton step information⁻¹ · score.

    Raises:
        EstimationError: the information does not identify every coefficient.
    """
    diagonal = np.diagonal(information)
    identified = bool(np.isfinite(information).all() and len(diagonal) and (diagonal > 0).all())
    if identified:
        scale = np.sqrt(diagonal)
        smallest = float(np.linalg.eigvalsh(information / np.outer(scale, scale))[0])
        identified = smallest > SINGULAR
    if not identified:
        raise EstimationError(
            "the treatment effect is not identified",
            limit="treated units with a before and an after, and controls in the same periods",
            way_out="widen the window or the adoption dates, or use a design with fewer effects",
        )
    return np.asarray(np.linalg.solve(information, score), dtype=np.float64)


def cluster_covariance(
    information: Floats, meat: Floats, *, clusters: float, observations: float, periods: float
) -> Floats:
    """Cluster-robust covariance with the small-sample factor G/(G−1) · (n−1)/(n−K) of R's fixest.

    K counts coefficients and period effects; unit effects are nested in the clusters and not counted.

    Args:
        information: (R, R).
        meat: (R, R) sum of the clusters' outer products of scores.
        clusters: G.
        observations: n.
        periods: period effects, over all cities.

    Raises:
        EstimationError: fewer than two clusters, or no degree of freedom left.
    """
    counted = len(information) + periods
    if clusters < 2 or observations <= counted:
        raise EstimationError(
            "too few clusters for a standard error",
            limit=f"at least 2 clusters and more than {counted:g} observations",
            way_out="use more units or longer windows",
        )
    bread = np.linalg.inv(information)
    factor = clusters / (clusters - 1) * (observations - 1) / (observations - counted)
    covariance: Floats = factor * bread @ meat @ bread
    return covariance
