"""Print ``result.json`` as the tables of docs/explanation/choose-an-estimator.md.

.venv/bin/python experiments/02_calibration/table.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

HERE = Path(__file__).parent
KEYS: Final = ("bias", "coverage", "size", "power")
DEFAULT: Final = "random_effects"

Table = dict[tuple[str, str], dict[str, Any]]


def main() -> None:
    """Print the default's table, then one for each quantity, then that of intervals."""
    rows = json.loads((HERE / "result.json").read_text(encoding="utf-8"))["rows"]
    table: Table = {(row["method"], row["world"]): row for row in rows}
    methods = list(dict.fromkeys(row["method"] for row in rows))
    worlds = list(dict.fromkeys(row["world"] for row in rows))
    _print(["World", *KEYS, "replications"])
    for world in worlds:
        row = table[DEFAULT, world]
        print(
            "|",
            " | ".join([world, *(cell(row, key) for key in KEYS), str(row["replications"])]),
            "|",
        )
    for key in KEYS:
        print()
        _of_all(key, [name for name in methods if "," not in name], worlds, table)
    for key in ("coverage", "size", "power"):
        print()
        _of_all(key, [name for name in methods if "," in name], worlds, table)


def cell(row: dict[str, Any], key: str) -> str:
    """A number with its Monte-Carlo error; a dot where the world without effect is the homogeneous one."""
    if key not in row or (key == "size" and row["size_world"] != row["world"]):
        return "·"
    number = f"{row[key]:+.1f}" if key == "bias" else f"{row[key]:.1f}"
    return f"{number} ± {row[f'{key}_mc']:.1f}"


def _of_all(key: str, methods: list[str], worlds: list[str], table: Table) -> None:
    shown = [w for w in worlds if any(cell(table[m, w], key) != "·" for m in methods)]
    _print([key.capitalize(), *shown])
    for method in methods:
        print("|", " | ".join([method, *(cell(table[method, w], key) for w in shown)]), "|")


def _print(heading: list[str]) -> None:
    print("|", " | ".join(heading), "|")
    print("|" + "---|" * len(heading))


if __name__ == "__main__":
    main()
