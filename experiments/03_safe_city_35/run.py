"""Thirty-five simulated cities from raw files to a verdict, every stage measured.

    .venv/bin/python experiments/03_safe_city_35/run.py

simulates the world ``safe-city`` (`experiments/worlds.py`) in a temporary folder, builds every panel, runs the study
with Flower in one process, recomputes it from the releases, and writes ``result.json`` here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from stages import run  # noqa: E402 (it lies one folder up, and the folders' names are no packages')


def main() -> None:
    """Run it with one seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    run("safe-city", parser.parse_args().seed, HERE / "result.json")


if __name__ == "__main__":
    main()
