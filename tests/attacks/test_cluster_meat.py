"""Cross-products of clusters' scores: with one cluster they are that cluster, with many they tell little of any."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evalkit.attacks.cluster_meat import leading_score, score_r_squared
from evalkit.core.design import design_of
from evalkit.core.event_design import columns_of, grid_of
from evalkit.errors import RefusalError
from evalkit.numerics.poisson import profile, unit_scores
from tests.attacks.conftest import Record
from tests.attacks.gated import first_of, released
from tests.panels import city, study

CITIES = 40
EVENTS = study(estimator="poisson_did", design="event_time", event_window=(-6, 9))


def scores(seed: int) -> np.ndarray:
    """(G, K) of a city's treated units."""
    panel = city("alta", seed, treated=100, controls=60)
    (design,) = design_of(panel, EVENTS)
    grid = grid_of(EVENTS)
    columns = columns_of(design, grid)
    fit = profile(design.outcome, design.exposure, columns, np.zeros(grid.size))
    found = unit_scores(design.outcome, fit)
    return found[design.ever_treated[fit.informative]]


def known(clusters: int) -> float:
    """Mean share of a cluster's score that the best guess rebuilds."""
    found = []
    for seed in range(CITIES):
        own = scores(seed)[:clusters]
        found.append(score_r_squared(leading_score(own.T @ own), own))
    return float(np.mean(found))


def test_a_clusters_score(record: Record, tmp_path: Path) -> None:
    by_number = {clusters: known(clusters) for clusters in (1, 2, 10, 100)}
    assert by_number[1] == pytest.approx(1.0)
    assert by_number[1] > by_number[2] > by_number[10] > by_number[100]
    few = city("alta", 1, treated=5, controls=4, cohorts=(8,))
    with pytest.raises(RefusalError) as refused:
        released(few, first_of(EVENTS), tmp_path)
    assert "min_clusters" in refused.value.rules
    record(
        "meat",
        without=f"R² {by_number[1]:.2f} with one cluster, {by_number[2]:.2f} with two",
        with_=f"fewer than 10 refused; R² {by_number[10]:.2f} with 10, {by_number[100]:.2f} with 100",
    )
