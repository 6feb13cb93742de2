"""What blocks of all cities tell beyond the effects: the average without each cohort, and a two-way regression's parts.

Both need means of cohorts, which leave a city only where controls are pooled (``control_pool = "pooled"``).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.sensitivity import TwoWay, WithoutCohort, day_of_period
from evalkit.core.study import Study
from evalkit.estimators._group_time import marked_targets, target_weights
from evalkit.numerics.goodman_bacon import Decomposition, decompose
from evalkit.numerics.group_time import NEVER, Blocks, Cells, effects
from evalkit.numerics.group_time_totals import averages, totals
from evalkit.numerics.two_way_weights import TwoWayWeights, weights_from_means

__all__ = ["two_way_of", "without_each_cohort"]

Floats = NDArray[np.float64]

CLEAN: Final = ("treated_vs_never", "earlier_vs_later")
"""Comparisons whose controls are not treated yet, or never."""


def without_each_cohort(blocks: Blocks, cells: Cells, study: Study) -> tuple[WithoutCohort, ...]:
    """The overall effect without the effects of each cohort; empty with fewer than two cohorts that have one.

    A cohort that is left out still serves as a control of others before it goes live. NaN where no finite effect is
    left without it.
    """
    analysis, periods = study.analysis, blocks.mean.shape[1]
    keys = np.stack([cells.first, cells.start])
    cohorts = np.unique(keys[:, cells.post], axis=1).T
    if len(cohorts) < 2:
        return ()
    weights = target_weights(cells, analysis, periods)
    marked = marked_targets(analysis, weights.shape[1])
    left = []
    for first, start in cohorts:
        own = (cells.first == first) & (cells.start == start)
        others = np.where(own[:, None], 0.0, weights)
        found = averages(totals(blocks, cells, others), marked, analysis.scale)
        error = float(np.sqrt(np.maximum(found.covariance[0, 0], 0.0)))
        members = (blocks.first == first) & (blocks.start == start)
        units = float(blocks.units[members].sum())
        name = day_of_period(study.window, int(first))
        left.append(WithoutCohort(name, units, float(found.effect[0]), error))
    return tuple(left)


def two_way_of(blocks: Blocks, cells: Cells) -> TwoWay | None:
    """What a static two-way regression of the blocks averages; None if it has no answer.

    Comparisons are known in a balanced panel, which a transition that is left out prevents: ``without`` is then the
    mean of the effects with positive weight.
    """
    periods = np.arange(blocks.mean.shape[1])
    treated = (blocks.first != NEVER)[:, None] & (periods >= blocks.start[:, None])
    try:
        of_blocks = weights_from_means(blocks.mean, blocks.units, blocks.observed, treated)
    except ValueError:
        return None
    weights, found = _by_cohort(blocks, cells, of_blocks)
    comparisons = _comparisons(blocks)
    if comparisons is None:
        return TwoWay(
            coefficient=weights.coefficient,
            negative=weights.negative,
            without=weights.without_negative(found),
        )
    clean = [one for one in comparisons.comparisons if one.kind in CLEAN]
    share = sum(one.weight for one in clean)
    parts = sum(one.weight * one.estimate for one in clean)
    return TwoWay(
        coefficient=weights.coefficient,
        negative=weights.negative,
        already_treated=max(0.0, 1.0 - share),
        without=parts / share if share > 0.0 else math.nan,
    )


def _by_cohort(
    blocks: Blocks, cells: Cells, of_blocks: TwoWayWeights
) -> tuple[TwoWayWeights, Floats]:
    """(C, T) weights of cohorts and periods, and their effects; NaN where there is none."""
    keys, label = np.unique(np.stack([blocks.first, blocks.start]), axis=1, return_inverse=True)
    weights = np.zeros((keys.shape[1], blocks.mean.shape[1]))
    np.add.at(weights, label.ravel(), of_blocks.weights)
    found = np.full(weights.shape, np.nan)
    own = (cells.first == keys[0][:, None]) & (cells.start == keys[1][:, None])
    found[own.argmax(axis=0)[cells.post], cells.period[cells.post]] = effects(blocks, cells)[
        cells.post
    ]
    return TwoWayWeights(of_blocks.coefficient, weights), found


def _comparisons(blocks: Blocks) -> Decomposition | None:
    """Goodman-Bacon's, if every block is observed throughout and no two are treated first in the same period."""
    if not blocks.observed.all():
        return None
    first = np.where(blocks.first == NEVER, blocks.mean.shape[1], blocks.start)
    try:
        return decompose(blocks.mean, blocks.units, first)
    except ValueError:
        return None
