"""How much the rounds of a federated logistic regression tell about the covariates behind it.

Score and information at one β are five averages of the covariate's distribution (with a constant and one covariate).
What further rounds add is counted by singular values: how many directions of the units' covariates move the released
numbers by more than a millionth of what the most visible one does. The figures are in docs/privacy/doubly_robust.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evalkit.numerics.logistic import bounded_step, logistic_sums, newton_step

PRECISION = 1e-6

PAGE = Path(__file__).parents[2] / "docs/privacy/doubly_robust.md"

UNITS = [30, 100, 400]


def covariate(units: int) -> np.ndarray:
    """Standardised levels of controls, as uneven as incidents at places are."""
    level = np.random.default_rng(1).gamma(4, 1.5, units)
    found: np.ndarray = (level - level.mean()) / level.std()
    return found


def released(x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    rows = np.column_stack([np.ones(len(x)), x])
    found = logistic_sums(np.zeros(len(x), dtype=bool), rows, beta)
    return np.concatenate([found.score, found.information[np.triu_indices(2)]])


def told(x: np.ndarray, betas: list[np.ndarray]) -> int:
    """Directions of the n covariates that the answers at these β determine."""
    step = 1e-6
    columns = []
    for unit in range(len(x)):
        move = step * (np.arange(len(x)) == unit)
        difference = [released(x + move, beta) - released(x - move, beta) for beta in betas]
        columns.append(np.concatenate(difference) / (2 * step))
    values = np.linalg.svd(np.array(columns).T, compute_uv=False)
    return int((values > PRECISION * values[0]).sum())


def honest(x: np.ndarray) -> list[np.ndarray]:
    """The β of Newton's method with half as many treated units, whose level is higher."""
    ours = np.random.default_rng(2).normal(0.8, 1.0, len(x) // 2)
    rows = np.column_stack([np.ones(len(x) + len(ours)), np.r_[x, ours]])
    treated = np.arange(len(rows)) >= len(x)
    betas, beta = [], np.array([np.log(0.5), 0.0])
    for _ in range(12):
        betas.append(beta)
        found = logistic_sums(treated, rows, beta)
        step = newton_step(found.information, found.score)
        beta = beta + bounded_step(step)
        if np.abs(step).max() < 1e-8:
            return betas
    raise AssertionError("the logistic regression does not settle")


def chosen() -> list[np.ndarray]:
    """28 β, each no further from the one before than a city's gate allows (`max_step`), as many as it answers."""
    random, beta, betas = np.random.default_rng(3), np.zeros(2), []
    for _ in range(28):
        beta = np.clip(beta + random.uniform(-2, 2, 2), -8, 8)
        betas.append(beta)
    return betas


@pytest.mark.parametrize("units", UNITS)
def test_rounds_tell_a_few_averages_and_not_the_units(units: int) -> None:
    x = covariate(units)
    by_honest, by_chosen = told(x, honest(x)), told(x, chosen())
    assert by_honest <= 12
    assert by_honest < by_chosen < units
    if units >= 100:
        assert by_chosen < units / 2
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert re.search(rf"\b{by_honest} and {by_chosen} of {units}\b", page)
