"""Draw ``result.json``: one sheet each for bias, coverage, size and power, estimators by worlds.

.venv/bin/python experiments/02_calibration/picture.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap

HERE = Path(__file__).parent
PICTURE = HERE.parents[1] / "docs" / "pictures" / "calibration.png"

PAPER: Final = "#ffffff"
INK: Final = "#1d2733"
MUTED: Final = "#66717d"
BAD: Final = LinearSegmentedColormap.from_list("bad", ["#f7f9fa", "#f6d9b0", "#d9662b"])
GOOD: Final = LinearSegmentedColormap.from_list("good", ["#f7f9fa", "#a8cbe0", "#2f74a8"])

Sheet = tuple[str, str, str, Callable[[float], float], LinearSegmentedColormap]

SHEETS: Final[tuple[Sheet, ...]] = (
    ("bias", "Bias", "percent of the true effect", lambda x: abs(x) / 50, BAD),
    ("coverage", "Coverage", "of 95 % intervals, percent", lambda x: abs(x - 95) / 20, BAD),
    ("size", "Size", "of a 5 % test without effect, percent", lambda x: abs(x - 5) / 20, BAD),
    (
        "power",
        "Power",
        "to see 13 %, percent; misleading where size is not 5",
        lambda x: x / 100,
        GOOD,
    ),
)
"""Key, title, unit, darkness from 0 to 1, colours."""


def main() -> None:
    """Write the picture."""
    rows = json.loads((HERE / "result.json").read_text(encoding="utf-8"))["rows"]
    methods = [m for m in dict.fromkeys(row["method"] for row in rows) if "," not in m]
    worlds = list(dict.fromkeys(row["world"] for row in rows))
    table = {(row["method"], row["world"]): row for row in rows}
    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK})
    figure, axes = plt.subplots(2, 2, figsize=(14, 9.6), facecolor=PAPER, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12, wspace=0.02, hspace=0.03)
    for index, (axis, sheet) in enumerate(zip(axes.flat, SHEETS, strict=True)):
        _sheet(axis, sheet, methods, worlds, table, names=index % 2 == 0)
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})


def _sheet(
    axis: Axes,
    sheet: Sheet,
    methods: list[str],
    worlds: list[str],
    table: dict[tuple[str, str], dict[str, Any]],
    *,
    names: bool,
) -> None:
    key, title, unit, darkness, colours = sheet
    dark = np.full((len(methods), len(worlds)), np.nan)
    for y, method in enumerate(methods):
        for x, world in enumerate(worlds):
            row = table.get((method, world), {})
            # A null that is the homogeneous one is shown once.
            known = key in row and not (key == "size" and row["size_world"] != world)
            if known:
                dark[y, x] = min(1.0, darkness(row[key]))
            label = _number(row[key], signed=key == "bias") if known else "·"
            strong = known and dark[y, x] > 0.75
            axis.text(
                x,
                y,
                label,
                ha="center",
                va="center",
                color=PAPER if strong else INK if known else MUTED,
            )
    axis.imshow(dark, cmap=colours, vmin=0, vmax=1, aspect="auto")
    axis.set_xticks(range(len(worlds)), [_label(w) for w in worlds], fontsize=8)
    axis.set_yticks(range(len(methods)), methods if names else [])
    axis.tick_params(length=0, colors=INK, top=False, bottom=False)
    axis.set_xticks(np.arange(-0.5, len(worlds)), minor=True)
    axis.set_yticks(np.arange(-0.5, len(methods)), minor=True)
    axis.grid(which="minor", color=PAPER, linewidth=2)
    axis.tick_params(which="minor", length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=20)
    axis.text(0, 1.015, unit, transform=axis.transAxes, fontsize=8.5, color=MUTED)


def _label(world: str) -> str:
    return world.replace("_", "-\n").replace("ogeneous", "o-\ngeneous")


def _number(value: float, *, signed: bool) -> str:
    rounded = round(value)
    return f"{rounded:+d}" if signed and rounded else f"{rounded:d}"


if __name__ == "__main__":
    main()
