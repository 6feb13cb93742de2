"""The mean of effects that cities estimate by themselves, for estimators whose cities send nothing else."""

from __future__ import annotations

import math

import numpy as np

from evalkit.core.estimate import Estimate, SiteEffect
from evalkit.core.statistics import Statistics
from evalkit.core.terms import OVERALL
from evalkit.numerics.meta_analysis import pool

__all__ = ["mean_of_cities"]


def mean_of_cities(statistics: Statistics, field: str, level: float) -> Estimate:
    """Cities pooled by inverse variance, with a normal interval and Cochran's Q in the details.

    Args:
        statistics: collected; ``field`` of each city begins with effect, variance, units and unit-periods used.
        field: its name.
        level: of the interval.
    """
    rows = np.array([fields[field] for fields in statistics.parts.values()])
    pooled = pool(rows[:, 0], rows[:, 1], method="fixed", interval="wald", level=level)
    return Estimate(
        estimator=statistics.estimator,
        terms=(OVERALL,),
        effect=np.array([pooled.effect]),
        covariance=np.array([[pooled.std_error**2]]),
        df=math.inf,
        level=level,
        contributors=statistics.sites,
        units=float(rows[:, 2].sum()),
        observations=float(rows[:, 3].sum()),
        sites=tuple(
            SiteEffect(names[0], float(row[0]), math.sqrt(float(row[1])), float(weight))
            for names, row, weight in zip(statistics.parts, rows, pooled.weights, strict=True)
        ),
        details={"q": pooled.q, "q_p_value": pooled.q_p_value},
    )
