"""A simulated study from raw files to a verdict: every stage in a process of its own, its time and its memory.

    .venv/bin/python experiments/stages.py simulate FOLDER --world safe-city --seed 1
    .venv/bin/python experiments/stages.py panels FOLDER
    .venv/bin/python experiments/stages.py study FOLDER
    .venv/bin/python experiments/stages.py verify FOLDER

`run` does all four, as the scripts of `03_safe_city_35` and `04_ecu911` ask for.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from worlds import WORLDS

from evalkit.cli.run_options import claim_of
from evalkit.cli.running import Plan, build_panels, run_study
from evalkit.config import load_study
from evalkit.simulate import load_truth
from evalkit.simulate import simulate as write
from evalkit.workbench import open_bench


def simulate(folder: Path, world: str, seed: int) -> dict[str, Any]:
    """`evalkit simulate`: every city's raw files as its portal would publish them."""
    cities = []
    for name, preset in WORLDS[world].items():
        cities += write(preset, folder / name, seed).truth.cities
    return {
        "cities": len(cities),
        "incidents": sum(one.incidents for one in cities),
        "rows": sum(one.rows for one in cities),
        "cameras": sum(one.camera_rows for one in cities),
        "written_mb": _megabytes(folder, "**/incidents.*"),
    }


def panels(folder: Path) -> dict[str, Any]:
    """`evalkit site panel` for every city: read, account for every row, count, store."""
    plan = _plan(folder)
    build_panels(plan)
    manifests = [json.loads(one.read_text()) for one in folder.glob("**/panel/panel.json")]
    return {
        "cities": len(plan.benches),
        "incidents_used": sum(one["account"]["incidents"] for one in manifests),
        "stored_mb": _megabytes(folder, "**/panel/*"),
    }


def study(folder: Path) -> dict[str, Any]:
    """`evalkit study run`: Flower in one process, gates, ledgers, estimate, verdict, picture, report."""
    result = run_study(_plan(folder))
    run = folder / "runs" / "latest"
    releases = list(run.glob("releases/*.release"))
    estimate = result["estimate"]
    return {
        "releases": len(releases),
        "released_kb": sum(one.stat().st_size for one in releases) / 1000,
        "cities": len(estimate["contributors"]),
        "absent": result["absent"],
        "effect": estimate["terms"][0],
        "details": estimate["details"],
        "notes": estimate["notes"],
        "sites": [
            {key: row[key] for key in ("site", "percent", "percent_low", "percent_high")}
            for row in estimate["sites"]
        ],
        "verdict": result["verdict"]["outcome"],
        "reason": result["verdict"]["reason"]["en"],
    }


def verify(folder: Path) -> dict[str, Any]:
    """`evalkit review verify`: the estimate and the verdict again, from the releases alone."""
    command = [sys.executable, "-m", "evalkit", "review", "verify", "--json"]
    done = subprocess.run(
        [*command, str((folder / "runs" / "latest").resolve())],
        capture_output=True,
        text=True,
        check=False,
    )
    return {"verified": done.returncode == 0, "said": (done.stdout or done.stderr).strip()}


def run(world: str, seed: int, out: Path) -> None:
    """All stages in a temporary folder; prints what they took and writes ``out``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {"simulate": _apart(["simulate", name, f"--world={world}", f"--seed={seed}"])}
        found |= {stage: _apart([stage, name]) for stage in STAGES}
        truths = [load_truth(one) for one in sorted(folder.glob("*/truth.json"))]
    cities = {city.name: city.theta for truth in truths for city in truth.cities}
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "seed": seed,
        "stages": found,
        "truth": {
            "mean": truths[0].effect_mean,
            "mean_of_these_cities": sum(cities.values()) / len(cities),
            "tau": truths[0].tau,
            "cities": cities,
        },
    }
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for stage, took in found.items():
        print(
            f"{stage:>9} {took['wall_s']:8.1f} s {took['cpu_s']:8.1f} s CPU {took['peak_mb']:6} MB"
        )
    print(found["study"]["reason"])


def _apart(arguments: list[str]) -> dict[str, Any]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


STAGES: Final[dict[str, Callable[[Path], dict[str, Any]]]] = {
    "panels": panels,
    "study": study,
    "verify": verify,
}


def _plan(folder: Path) -> Plan:
    written = min(folder.glob("**/study.toml"))
    asked = load_study(written)
    return Plan(
        study=asked,
        claim=claim_of(asked, written),
        benches=[open_bench(site) for site in sorted(folder.glob("**/site.toml"))],
        root=folder / "runs",
        tracking=False,
        quiet=True,
    )


def _megabytes(folder: Path, pattern: str) -> float:
    return sum(one.stat().st_size for one in folder.glob(pattern)) / 1e6


def _used() -> tuple[float, float]:
    """Processor seconds, and the most megabytes resident, of this process or the largest of its children."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return (
        sum(one.ru_utime + one.ru_stime for one in both),
        max(one.ru_maxrss for one in both) / unit,
    )


def main() -> None:
    """Run one stage and print what it took and found as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("stage", choices=["simulate", *STAGES])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--world", choices=list(WORLDS), default="safe-city")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start = time.perf_counter()
    if given.stage == "simulate":
        found = simulate(given.folder, given.world, given.seed)
    else:
        found = STAGES[given.stage](given.folder)
    wall = time.perf_counter() - start
    cpu, peak = _used()
    took = {"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "peak_mb": round(peak)}
    print(json.dumps(took | found))


if __name__ == "__main__":
    main()
