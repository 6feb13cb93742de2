"""A question: what a server asks of every city in one round."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Study

__all__ = ["Question"]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked of every city in one round.

    Only ``estimator``, ``stage``, ``round``, ``parameters`` and the study's hash travel. The city has the
    study itself, approved beforehand.
    """

    study: Study
    estimator: str
    stage: str
    round: int = 0
    parameters: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
