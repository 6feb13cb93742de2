"""What an estimate costs beside its peers, gate and ledger included, and what a thousand sites cost.

    .venv/bin/python experiments/benchmarks/estimators.py
    .venv/bin/python experiments/benchmarks/estimators.py --units 5000 --repeats 1 --without-sites

makes ten cities with 20,000 units, 120 periods and 24 cohorts together, and estimates with every method of
`estimator_methods.py`, each in a process of its own, one after the other, taking turns. Peers must give the
same effect and standard error, or the run fails. The clock starts after imports, after the data are in memory
in the form a library wants, and after a warm-up on a tenth of the units (pyfixest compiles on first use).
Everything is done twice: with libraries' own choice of threads, and with one thread for all.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from estimator_methods import CITIES, METHODS, PERIODS

HERE: Final = Path(__file__).parent
THREADS: Final = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
SETTINGS: Final[dict[str, dict[str, str]]] = {
    "threads of each library's choice": {},
    "one thread": dict.fromkeys(THREADS, "1"),
}

SAME_SUMS: Final = 1e-9
"""Relative: the same sums in another order, over 2.4 million cells."""
SAME_ROOT: Final = 1e-6
"""Relative: pyfixest iterates its weighted least squares and its centring to tolerances of about 1e-8."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Attributes:
        wall_s, cpu_s: seconds; processor time of all threads.
        peak_mb: most memory resident at once, imports and data included.
        effect, std_error: of all cities together, or of each.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    effect: tuple[float, ...]
    std_error: tuple[float, ...]


def here(method: str, units: int) -> Measured:
    """Run one method in this process."""
    METHODS[method](units // 10)()
    call = METHODS[method](units)
    before, start = _cpu(), time.perf_counter()
    found = call()
    wall, cpu = time.perf_counter() - start, _cpu() - before
    return Measured(wall, cpu, _peak_mb(), found.effect, found.std_error)


def in_process(arguments: list[str], variables: Mapping[str, str]) -> Any:
    """This script with ``arguments`` in a new process; what it prints, decoded."""
    command = [sys.executable, __file__, *arguments]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{ended.stderr}")
    return json.loads(ended.stdout.splitlines()[-1])


def compare(units: int, repeats: int, variables: Mapping[str, str]) -> dict[str, Measured]:
    """Every method; of several runs the median. Methods take turns: a slow minute hits all of them."""
    runs: dict[str, list[Measured]] = {name: [] for name in METHODS}
    for _ in range(repeats):
        for name, several in runs.items():
            several.append(
                Measured(**in_process([f"--method={name}", f"--units={units}"], variables))
            )
    return {
        name: Measured(
            median(one.wall_s for one in several),
            median(one.cpu_s for one in several),
            median(one.peak_mb for one in several),
            tuple(several[0].effect),
            tuple(several[0].std_error),
        )
        for name, several in runs.items()
    }


def check_equal(found: Mapping[str, Measured], units: int) -> None:
    """Peers of the same question must give the same numbers.

    evalkit multiplies the Poisson variance by G/(G−1) · (n−1)/(n−K), K counting the effect and the periods
    of all cities; pyfixest was asked for no factor, and gets this one here.

    Raises:
        RuntimeError: they do not.
    """
    own, peer = found["group_time_att by city"], found["diff-diff by city"]
    _same("group_time_att, effect", own.effect, peer.effect, SAME_SUMS)
    _same("group_time_att, standard error", own.std_error, peer.std_error, SAME_SUMS)
    own, peer = found["poisson_did"], found["fepois"]
    rows, counted = units * PERIODS, 1 + CITIES * PERIODS
    factor = math.sqrt(units / (units - 1) * (rows - 1) / (rows - counted))
    _same("poisson_did, effect", own.effect, peer.effect, SAME_ROOT)
    adjusted = tuple(factor * one for one in peer.std_error)
    _same("poisson_did, standard error", own.std_error, adjusted, SAME_ROOT)


def _same(what: str, own: tuple[float, ...], peer: tuple[float, ...], within: float) -> None:
    apart = max(abs(a / b - 1) for a, b in zip(own, peer, strict=True))
    print(f"{what}: at most {apart:.1e} apart, relative")
    if not apart <= within:
        raise RuntimeError(f"{what}: {own} is not {peer}")


def ratios(found: Mapping[str, Measured]) -> dict[str, float]:
    """How many times what evalkit takes a peer takes."""
    own, poisson = found["group_time_att"], found["poisson_did"]
    return {
        f"{peer} / {label}, {what}": getattr(found[peer], field) / getattr(mine, field)
        for peer, label, mine in (
            ("diff-diff by city", "group_time_att", own),
            ("diff-diff as one city", "group_time_att", own),
            ("fepois", "poisson_did", poisson),
        )
        for what, field in (("wall", "wall_s"), ("processor", "cpu_s"), ("memory", "peak_mb"))
    }


def _table(found: Mapping[str, Measured]) -> str:
    lines = [f"{'':26}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}"]
    lines += [
        f"{name:26}{one.wall_s:8.2f}{one.cpu_s:8.2f}{one.peak_mb:9.0f}"
        for name, one in found.items()
    ]
    return "\n".join(lines)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    """Measure, print, and write ``estimators.json`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--units", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-sites", action="store_true", help="no thousand sites")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    parser.add_argument("--sites", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.method:
        print(json.dumps(asdict(here(given.method, given.units))))
        return
    if given.sites:
        from thousand_sites import run

        print(json.dumps(run(given.sites)))
        return
    result: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("numpy", "diff-diff", "pyfixest")},
        "units": given.units,
        "periods": PERIODS,
        "cities": CITIES,
        "repeats": given.repeats,
    }
    for setting, variables in SETTINGS.items():
        found = compare(given.units, given.repeats, variables)
        print(f"\n{given.units:,} units, {setting}\n{_table(found)}\n")
        check_equal(found, given.units)
        for name, ratio in ratios(found).items():
            print(f"{name:52}{ratio:6.2f}")
        methods = {name: asdict(one) for name, one in found.items()}
        result[setting] = {"methods": methods, "ratios": ratios(found)}
    if not given.without_sites:
        result["a thousand sites"] = {}
        for name in ("poisson_did", "group_time_att"):
            seconds = in_process([f"--sites={name}"], {})
            print(f"\na thousand sites, {name}: {seconds}")
            result["a thousand sites"][name] = seconds
    (HERE / "estimators.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
