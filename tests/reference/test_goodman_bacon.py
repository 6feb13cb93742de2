"""Goodman-Bacon's decomposition against published weights and a least-squares fit with dummies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.numerics.goodman_bacon import KINDS, Decomposition, Kind, decompose

# The published figures are printed to ten decimals.
PRINTED = 1e-10
# bacondecomp's own test, which matches Stata's, has three.
THREE_DECIMALS = 5e-4
# The parts and the whole are different sums of the same few hundred numbers.
SUMS = 1e-10

LABELS: dict[str, Kind] = {
    "Earlier vs Later Treated": "earlier_vs_later",
    "Later vs Earlier Treated": "later_vs_earlier",
    "Treated vs Untreated": "treated_vs_never",
}


def cohorts(outcome: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    groups = np.unique(first)
    means = np.stack([outcome[first == one].mean(axis=0) for one in groups])
    return means, np.array([float((first == one).sum()) for one in groups]), groups


def test_castle(shared: Path) -> None:
    folder = shared / "data" / "reference" / "did"
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))["castle"]
    panel = pl.read_csv(folder / "castle.csv")
    wide = {
        name: panel.pivot(on="year", index="sid", values=name).sort("sid").drop("sid").to_numpy()
        for name in ("l_homicide", "post")
    }
    live = wide["post"] > 0
    first = np.where(live.any(axis=1), live.argmax(axis=1), live.shape[1])
    found = decompose(*cohorts(wide["l_homicide"], first))
    for kind, weight in expected["bacon_weights"].items():
        assert found.weight(kind) == pytest.approx(weight, abs=PRINTED)
    published = pl.read_csv(shared / "data" / "reference" / "did_reference_results.csv").filter(
        pl.col("estimator") == "Goodman-Bacon average 2x2"
    )
    for label, average in published.select("parameter", "estimate").iter_rows():
        assert found.estimate(LABELS[label]) == pytest.approx(average, abs=THREE_DECIMALS)
    assert len(published) == len(LABELS)
    assert found.weight("treated_vs_always") == 0.0
    assert math.isnan(found.estimate("treated_vs_always"))
    assert found.coefficient == pytest.approx(expected["feols_l_homicide"][0], abs=PRINTED)
    assert_adds_up(found)


def assert_adds_up(found: Decomposition) -> None:
    assert sum(one.weight for one in found.comparisons) == pytest.approx(1.0, abs=SUMS)
    total = sum(one.weight * one.estimate for one in found.comparisons)
    assert total == pytest.approx(found.coefficient, abs=SUMS)
    assert all(one.weight > 0 for one in found.comparisons)
    assert sum(found.weight(kind) for kind in KINDS) == pytest.approx(1.0, abs=SUMS)


@given(st.integers(0, 10_000), st.integers(2, 9), st.sets(st.integers(0, 9), min_size=2))
def test_parts_sum_to_the_least_squares_coefficient(
    seed: int, periods: int, starts: set[int]
) -> None:
    draw = np.random.default_rng(seed)
    groups = np.unique(np.minimum(sorted(starts), periods))
    first = np.repeat(groups, draw.integers(1, 5, len(groups)))
    treated = (np.arange(periods) >= first[:, None]).astype(float)
    outcome = draw.standard_normal(treated.shape) + treated * draw.standard_normal(periods)
    if set(groups) <= {0, periods}:
        with pytest.raises(ValueError, match="no two cohorts"):
            decompose(*cohorts(outcome, first))
        return
    unit = np.kron(np.eye(len(first)), np.ones((periods, 1)))
    period = np.kron(np.ones((len(first), 1)), np.eye(periods)[:, 1:])
    design = np.column_stack([treated.ravel(), unit, period])
    fitted = np.linalg.lstsq(design, outcome.ravel(), rcond=None)[0]
    found = decompose(*cohorts(outcome, first))
    assert found.coefficient == pytest.approx(fitted[0], abs=1e-9)
    assert_adds_up(found)


def test_kinds_and_members_of_every_comparison() -> None:
    found = decompose(np.zeros((4, 6)), np.ones(4), np.array([0, 2, 4, 6]))
    assert {(one.kind, one.treated, one.control) for one in found.comparisons} == {
        ("treated_vs_always", 1, 0),
        ("treated_vs_always", 2, 0),
        ("earlier_vs_later", 1, 2),
        ("later_vs_earlier", 2, 1),
        ("treated_vs_never", 1, 3),
        ("treated_vs_never", 2, 3),
    }


@pytest.mark.parametrize(
    ("means", "units", "first", "message"),
    [
        (np.zeros(3), np.ones(3), np.arange(3), "cohorts × periods"),
        (np.zeros((2, 3)), np.ones(3), np.arange(2), "one per cohort"),
        (np.full((2, 3), np.nan), np.ones(2), np.array([1, 3]), "not finite"),
        (np.zeros((2, 3)), np.zeros(2), np.array([1, 3]), "no units"),
        (np.zeros((2, 3)), np.ones(2), np.array([3, 4]), "same period"),
        (np.zeros((2, 3)), np.ones(2), np.array([0, 3]), "no two cohorts"),
    ],
)
def test_refusals(means, units, first, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decompose(means, units, first)
