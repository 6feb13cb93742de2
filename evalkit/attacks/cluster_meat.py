"""A cluster's score from the cross-products of all clusters' scores, M = Σ u u'.

M is symmetric, of rank at most the number of clusters. With one cluster it is u u', and u its leading eigenvector
times the root of the eigenvalue, up to the sign. With more clusters that is still the best single guess, and a worse
one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["leading_score", "score_r_squared"]

Floats = NDArray[np.float64]


def leading_score(meat: Floats) -> Floats:
    """(K,) the guess at a cluster's score; its sign is arbitrary."""
    values, vectors = np.linalg.eigh(meat)
    found: Floats = vectors[:, -1] * np.sqrt(max(float(values[-1]), 0.0))
    return found


def score_r_squared(guess: Floats, scores: Floats) -> float:
    """Mean over (G, K) clusters of the squared cosine between a cluster's score and the guess: the share rebuilt."""
    lengths = np.linalg.norm(scores, axis=1) * np.linalg.norm(guess)
    some = lengths > 0
    if not some.any():
        return 0.0
    cosine = (scores[some] @ guess) / lengths[some]
    return float((cosine**2).mean())
