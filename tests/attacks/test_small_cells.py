"""Tables of counts: a cell is told as it is, so a small one must not leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from evalkit.attacks.outright import told_outright
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.panel import Panel, Role
from evalkit.disclosure.gate import draft
from evalkit.errors import RefusalError
from tests.attacks.conftest import Record
from tests.attacks.gated import DEFAULTS, first_of, released
from tests.panels import city, study

TRIALS = 1000
THROUGH_FILES = 50
TABLE = study(estimator="rate_ratio")


def quiet(seed: int) -> Panel:
    """A city whose cameras have seen fewer incidents after go-live than the policy's least number."""
    panel = city("alta", seed)
    random = np.random.default_rng(seed)
    counts = panel.counts.copy()
    treated = np.flatnonzero(panel.role == Role.TREATED)
    after = np.arange(panel.n_periods) > panel.first_live[treated].max()
    counts[:, treated[:, None], np.flatnonzero(after)] = 0
    for _ in range(int(random.integers(1, 10))):
        counts[1, random.choice(treated), random.choice(np.flatnonzero(after))] += 1
    return replace(panel, counts=counts)


def test_small_cells(record: Record, tmp_path: Path) -> None:
    exact = leaked = 0
    question = first_of(TABLE)
    policy = msgspec.structs.replace(DEFAULTS, release_class="table")
    for seed in range(TRIALS):
        panel = quiet(seed)
        statistics = estimator("rate_ratio").summarise(panel, question)
        (fields,) = statistics.parts.values()
        told = told_outright("rate_ratio", fields)
        assert told is not None
        (design,) = design_of(panel, TABLE)
        after = np.arange(panel.n_periods) > panel.first_live.max()
        truth = design.outcome[design.ever_treated][:, after].sum()
        exact += bool(told.incidents[1] == truth)
        leaked += draft(statistics, policy).passed
        if seed < THROUGH_FILES:
            try:
                released(panel, question, tmp_path, policy, ledger=str(seed))
            except RefusalError as refusal:
                assert "min_incidents" in refusal.rules
            else:
                leaked += 1
    record(
        "small cells",
        without=f"exact, {exact} of {TRIALS} cells of 1 to 9 incidents",
        with_=f"{leaked} of {TRIALS} released",
    )
