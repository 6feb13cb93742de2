"""A panel of 20,000 units, 120 months and 8 crime types is stored and loaded in bounded memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

UNITS, PERIODS, TYPES = 20_000, 120, 8
CELLS = UNITS * PERIODS * TYPES
FULL = 2.7
"""How full the panel is on disk, at most: bytes for a cell that is not zero. Measured 2.2."""
OVERHEAD = 2.5
"""Most memory beyond what was there before, in sizes of the counts (8 bytes a cell). Measured 1.7."""

WRITE = f"""
import datetime as dt, sys
from pathlib import Path
import numpy as np, polars as pl
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.panel.built import Built
from evalkit.panel.diagnostics import diagnose
from evalkit.panel.store import write_panel
rng = np.random.default_rng(1)
counts = np.zeros(({TYPES}, {UNITS}, {PERIODS}), np.int64)
for kind in counts:
    kind[:] = rng.poisson(0.05, kind.shape)
live = np.where(np.arange({UNITS}) < 6000, 30 + np.arange({UNITS}) % 60, NEVER)
panel = Panel(
    sites=("big",), crime_types=tuple(f"type{{k}}" for k in range({TYPES})),
    periods=tuple(dt.date(2015 + m // 12, m % 12 + 1, 1) for m in range({PERIODS})),
    unit_ids=np.array([f"u{{i}}" for i in range({UNITS})]),
    site_of_unit=np.zeros({UNITS}, np.int64),
    role=np.where(live == NEVER, int(Role.CONTROL), int(Role.TREATED)),
    first_live=live, last_live=live.copy(),
    counts=counts, exposure=np.ones(({UNITS}, {PERIODS})), study="0" * 64)
units = pl.DataFrame({{"unit": panel.unit_ids, "role": "control"}})
write_panel(Built(panel, units, {{}}, {{}}, diagnose(panel, {{}})), Path(sys.argv[1]))
print(int(counts.sum()), np.count_nonzero(counts))
"""

READ = """
import resource, sys
from pathlib import Path
from evalkit.panel.store import read_panel
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
panel = read_panel(Path(sys.argv[1]))
print(int(panel.counts.sum()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def child(program: str, folder: Path) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], check=True, capture_output=True, text=True
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is in kilobytes on Linux only")
def test_a_large_panel_is_loaded_in_bounded_memory(tmp_path: Path) -> None:
    total, filled = child(WRITE, tmp_path)
    stored = sum(path.stat().st_size for path in (tmp_path / "panel").iterdir())
    assert stored < FULL * filled + 1_000_000  # zeros are implicit
    read, kilobytes = child(READ, tmp_path)
    assert read == total
    assert kilobytes * 1024 < OVERHEAD * 8 * CELLS
