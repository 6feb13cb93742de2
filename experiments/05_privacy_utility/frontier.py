"""Draw ``result.json``: what an attacker gets against what honest work pays.

.venv/bin/python experiments/05_privacy_utility/frontier.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

HERE: Final = Path(__file__).parent

PAPER: Final = "#ffffff"
INK: Final = "#1d2733"
MUTED: Final = "#66717d"
RULE: Final = "#d9dee3"
HONEST: Final = "#2f74a8"
ATTACK: Final = "#d9662b"

SHOWN: Final = (
    ("none", None, None, "no rules, no auditor"),
    ("default", None, None, "rules, no auditor"),
    ("loose", 0.5, None, "looser rules, auditor 0.5"),
    ("default", 0.5, None, "rules, auditor 0.5 (default)"),
    ("default", 0.2, None, "rules, auditor 0.2"),
    ("strict", 0.5, None, "stricter rules, auditor 0.5"),
    ("default", None, 10.0, "rules, no auditor, ε 10"),
    ("default", None, 1.0, "rules, no auditor, ε 1"),
    ("default", None, 0.1, "rules, no auditor, ε 0.1"),
    ("default", 0.5, 1.0, "rules, auditor 0.5, ε 1"),
)
"""Policies of the right-hand panel, all of class ``table``: thresholds, max_leverage, epsilon, words."""


def draw(result: dict[str, Any], path: Path) -> None:
    """Write the picture."""
    plt.rcParams.update(
        {
            "font.family": "DejaVu Sans",
            "font.size": 9.5,
            "text.color": INK,
            "axes.edgecolor": RULE,
            "axes.labelcolor": INK,
            "xtick.color": MUTED,
            "ytick.color": MUTED,
        }
    )
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, 5.4), facecolor=PAPER, layout="constrained", width_ratios=(1, 1.15)
    )
    _noise(left, result["rows"])
    _rules(right, result["rows"])
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)


def _find(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    (row,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return row


def _noise(axis: Axes, rows: list[dict[str, Any]]) -> None:
    """Width of the interval by how often a guess about one incident is right."""
    noisy = [row for row in rows if row["epsilon"] and row["max_leverage"] == 0.5]
    for key, colour, words in (
        ("membership_bound", MUTED, "most that any attacker reaches"),
        ("membership", ATTACK, "best guess from the released totals"),
    ):
        x, y = [100 * row[key] for row in noisy], [row["width_ratio"] for row in noisy]
        axis.plot(x, y, color=colour, marker="o", markersize=5, linewidth=1.4, label=words)
    for row in noisy:
        axis.annotate(
            f"ε {row['epsilon']:g}",
            (100 * row["membership_bound"], row["width_ratio"]),
            xytext=(4, 7),
            textcoords="offset points",
            color=MUTED,
        )
    plain = _find(rows, release_class="table", thresholds="default", max_leverage=0.5, epsilon=None)
    masked = _find(rows, release_class="masked_sum", thresholds="default", max_leverage=0.5)
    for row, words, shift, side in (
        (plain, "table, statistics or\nestimate without noise", (-4, -30), "right"),
        (masked, "masked sum", (4, -16), "left"),
    ):
        axis.plot(100 * row["membership"], row["width_ratio"], "s", color=INK, markersize=6)
        axis.annotate(
            words,
            (100 * row["membership"], row["width_ratio"]),
            xytext=shift,
            textcoords="offset points",
            ha=side,
        )
    axis.set_xlim(48, 104)
    axis.set_ylim(0.96, None)
    axis.set_xlabel("right guesses whether one incident was there, percent (50 is a coin)")
    axis.set_ylabel("width of the 95 % interval, without protection 1")
    axis.set_title("Noise: what it hides and what it costs", loc="left", fontsize=11, pad=12)
    axis.legend(frameon=False, loc="upper right")
    _clean(axis)
    axis.grid(color=RULE, linewidth=0.6)


def _rules(axis: Axes, rows: list[dict[str, Any]]) -> None:
    """Cameras whose count is known by subtraction, and honest questions refused, policy by policy."""
    for at, (thresholds, limit, epsilon, _) in enumerate(SHOWN):
        row = _find(
            rows,
            release_class="table",
            thresholds=thresholds,
            max_leverage=limit,
            epsilon=epsilon,
        )
        for share, offset, colour in (
            (row["recovered"], -0.17, ATTACK),
            (row["share_refused"], 0.17, HONEST),
        ):
            axis.barh(at + offset, 100 * share, height=0.3, color=colour)
            axis.annotate(
                f"{100 * share:.0f}",
                (100 * share, at + offset),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                fontsize=8.5,
            )
    axis.set_yticks(range(len(SHOWN)), [words for *_, words in SHOWN], color=INK)
    axis.invert_yaxis()
    axis.set_xlim(0, 108)
    axis.set_xlabel("percent")
    axis.set_title("Tables: subtraction and honest questions", loc="left", fontsize=11, pad=12)
    bars = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in (ATTACK, HONEST)]
    axis.legend(
        bars,
        ["cameras whose count is known", "honest questions refused"],
        frameon=False,
        loc="lower right",
    )
    _clean(axis)
    axis.tick_params(length=0)


def _clean(axis: Axes) -> None:
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


if __name__ == "__main__":
    draw(json.loads((HERE / "result.json").read_text(encoding="utf-8")), HERE / "frontier.png")
