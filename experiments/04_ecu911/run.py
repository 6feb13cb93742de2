"""Sixteen centres, 4,300 cameras and ten years of daily incidents, simulated: from raw files to a verdict.

    .venv/bin/python experiments/04_ecu911/run.py

simulates the world ``ecu-911`` (`experiments/worlds.py`) in a temporary folder, builds every panel, runs the study
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
    run("ecu-911", parser.parse_args().seed, HERE / "result.json")


if __name__ == "__main__":
    main()
