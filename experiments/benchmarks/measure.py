"""Time, processor time and memory of one method, in a process of its own.

Imports are done before the clock starts: they are paid once a day, not once a city.
"""

from __future__ import annotations

import hashlib
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Measured", "measure"]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Attributes:
        wall_s, cpu_s: seconds; processor time of all threads.
        peak_mb: most memory resident at once, imports included.
        counts: digest of what was counted, empty for a method that counts nothing.
        total: sum of the counts.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    counts: str
    total: int


def measure(method: str, folder: Path) -> Measured:
    """Run ``method`` on the city in ``folder`` in a new process."""
    command = [sys.executable, __file__, method, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"{method} failed:\n{ended.stderr}")
    return Measured(**json.loads(ended.stdout))


def _here(method: str, folder: Path) -> Measured:
    from methods import METHODS

    if method == "geopandas":
        import geopandas  # noqa: F401 (before the clock)
    if method.startswith("tree"):
        import scipy.spatial  # noqa: F401 (before the clock)
    before, start = _cpu(), time.perf_counter()
    counts = METHODS[method](folder)
    wall, cpu = time.perf_counter() - start, _cpu() - before
    return Measured(
        wall_s=wall,
        cpu_s=cpu,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        counts="" if counts is None else hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest(),
        total=0 if counts is None else int(counts.sum()),
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(asdict(_here(sys.argv[1], Path(sys.argv[2])))))
