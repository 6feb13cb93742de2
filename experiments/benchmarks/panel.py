"""What a panel costs beside its peers, and how the cost grows.

    make benchmark
    .venv/bin/python experiments/benchmarks/panel.py --rows 1000000 --without-growth

makes a city of 10 million incidents and 20,000 cameras in a temporary folder, counts it in every way of
`methods.py`, each in a process of its own, one after the other, and prints ratios within this one run:
seconds depend on the machine. Then it does so for 50 million incidents, and for 2,000 cameras. Methods that
are planar must give identical counts, or the run fails. Needs 4 GB of disk and 6 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Final

from city import make_city
from measure import Measured, measure
from methods import METHODS

HERE: Final = Path(__file__).parent

TITLES: Final = {
    "floor": "read and decode only (polars)",
    "raster": "polars + evalkit's raster",
    "whole": "evalkit site panel, all of it",
    "tree": "polars + SciPy k-d tree",
    "tree_on_all": "the same on all processors",
    "geopandas": "pandas + geopandas sjoin_nearest",
}


def compare(folder: Path, names: Iterable[str], repeats: int) -> dict[str, Measured]:
    """Every method on one city; of several runs the median of time and memory.

    Methods take turns, so that a slow minute of the machine hits all of them.
    """
    names = list(names)
    runs: dict[str, list[Measured]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names:
            if turn == 0 or name != "geopandas":  # a minute and more
                runs[name].append(measure(name, folder))
    found = {name: _median(several) for name, several in runs.items()}
    if len({one.counts for one in found.values() if one.counts}) > 1:
        raise RuntimeError("the methods do not count alike")
    return found


def ratios(found: Mapping[str, Measured]) -> dict[str, float]:
    """How many times another method takes what the raster takes, and so on."""
    return {
        "geopandas / raster, wall": found["geopandas"].wall_s / found["raster"].wall_s,
        "geopandas / raster, processor": found["geopandas"].cpu_s / found["raster"].cpu_s,
        "tree / raster, wall": found["tree"].wall_s / found["raster"].wall_s,
        "tree on all / raster, wall": found["tree_on_all"].wall_s / found["raster"].wall_s,
        "raster / floor, processor": found["raster"].cpu_s / found["floor"].cpu_s,
        "geopandas / whole, wall": found["geopandas"].wall_s / found["whole"].wall_s,
        "whole / floor, processor": found["whole"].cpu_s / found["floor"].cpu_s,
    }


def growth(more: Measured, fewer: Measured) -> dict[str, float]:
    """How many times more a larger city takes."""
    return {
        "wall": more.wall_s / fewer.wall_s,
        "processor": more.cpu_s / fewer.cpu_s,
        "memory": more.peak_mb / fewer.peak_mb,
        "peak MB": more.peak_mb,
    }


def _median(several: list[Measured]) -> Measured:
    return Measured(
        wall_s=median(one.wall_s for one in several),
        cpu_s=median(one.cpu_s for one in several),
        peak_mb=median(one.peak_mb for one in several),
        counts=several[0].counts,
        total=several[0].total,
    )


def _table(found: Mapping[str, Measured]) -> str:
    floor = found["floor"].cpu_s
    lines = [f"{'':34}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}{'× floor':>9}"]
    lines += [
        f"{TITLES[name]:34}{one.wall_s:8.2f}{one.cpu_s:8.2f}{one.peak_mb:9.0f}{one.cpu_s / floor:9.1f}"
        for name, one in found.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write ``panel.json`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--cameras", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without-growth", action="store_true", help="one city only")
    asked = parser.parse_args()
    result: dict[str, object] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}",
        "rows": asked.rows,
        "cameras": asked.cameras,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "city"
        make_city(folder, asked.rows, asked.cameras)
        found = compare(folder, METHODS, asked.repeats)
        print(f"{asked.rows:,} incidents, {asked.cameras:,} cameras\n{_table(found)}\n")
        for name, ratio in ratios(found).items():
            print(f"{name:32}{ratio:6.2f}")
        result |= {"methods": {name: asdict(one) for name, one in found.items()}}
        result |= {"ratios": ratios(found)}
        if not asked.without_growth:
            (folder / "incidents.csv").unlink()
            for label, rows, cameras in (
                ("five times the incidents", 5 * asked.rows, asked.cameras),
                ("a tenth of the cameras", asked.rows, asked.cameras // 10),
            ):
                make_city(folder, rows, cameras)
                other = compare(folder, ("floor", "raster", "whole"), 1)
                print(f"\n{rows:,} incidents, {cameras:,} cameras\n{_table(other)}\n")
                grown = {
                    name: growth(other[name], found[name])
                    if rows > asked.rows
                    else growth(found[name], other[name])
                    for name in ("raster", "whole")
                }
                for name, by in grown.items():
                    print(f"{TITLES[name]:34}" + "  ".join(f"{k} {v:.2f}" for k, v in by.items()))
                result[label] = {
                    "methods": {name: asdict(one) for name, one in other.items()},
                    "growth": grown,
                }
    (HERE / "panel.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
