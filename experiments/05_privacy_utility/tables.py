"""Write the figures of ``result.json`` into ``README.md``, between its markers.

.venv/bin/python experiments/05_privacy_utility/tables.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent


def write_tables(result: dict[str, Any], path: Path) -> None:
    """Replace what stands between ``<!-- name -->`` and ``<!-- end -->``.

    Raises:
        ValueError: the page lacks a marker.
    """
    text = path.read_text(encoding="utf-8")
    for name, lines in {
        "gates": gates(result["rows"]),
        "noise": noise(result["rows"]),
        "blocks": blocks(result["blocks"]),
        "setting": setting(result),
    }.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{path.name} has no marker {name}")
        body = "\n".join(lines) + "\n"
        text = pattern.sub(lambda found, body=body: f"{found[1]}{body}{found[2]}", text)
    path.write_text(text, encoding="utf-8")


def setting(result: dict[str, Any]) -> list[str]:
    """What was run."""
    honest = result["honest"]
    words = (
        f"Seed {result['seed']}; {result['cities']} cities, {result['cameras']} cameras tried, {result['draws']} noisy",
        f"answers behind each width, {result['trials_of_membership']:,} guesses about an incident,",
        f"{result['worlds_of_blocks']} worlds for each number of blocks; {result['cpu_s']:.0f} s of processor time.",
        "Honest questions:",
        f"{', '.join(honest['estimators'])}, each {', '.join(honest['variants'])}, of every city.",
    )
    return [" ".join(words)]


def gates(rows: list[dict[str, Any]]) -> list[str]:
    """Every class behind every gate, without noise."""
    return _table(
        (
            "class",
            "thresholds",
            "`max_leverage`",
            "cameras known by subtraction",
            "error of a city's total",
            "one incident guessed",
            "width",
            "cities that answer",
            "honest questions refused",
        ),
        [
            (
                row["release_class"],
                row["thresholds"],
                _limit(row),
                _percent(row["recovered"]),
                _percent(row["total_error"]),
                _percent(row["membership"]),
                _ratio(row["width_ratio"]),
                str(row["answer"]),
                f"{row['refused']} of {row['asked']}",
            )
            for row in rows
            if row["epsilon"] is None
        ],
    )


def noise(rows: list[dict[str, Any]]) -> list[str]:
    """Tables with noise."""
    return _table(
        (
            "ε",
            "`max_leverage`",
            "cameras known by subtraction",
            "error of a city's total",
            "one incident guessed",
            "at most",
            "width",
        ),
        [
            (
                f"{row['epsilon']:g}",
                _limit(row),
                _percent(row["recovered"]),
                _percent(row["total_error"], 2),
                _percent(row["membership"]),
                _percent(row["membership_bound"]),
                _ratio(row["width_ratio"]),
            )
            for row in rows
            if row["epsilon"] is not None
        ],
    )


def blocks(rows: list[dict[str, Any]]) -> list[str]:
    """Coverage and width by number of blocks."""
    numbers = sorted({row["blocks"] for row in rows})
    found = {(row["epsilon"], row["blocks"]): row for row in rows}
    return _table(
        ("ε", *map(str, numbers)),
        [
            (
                f"{epsilon:g}",
                *(
                    f"{_percent(found[epsilon, number]['coverage'])}, {found[epsilon, number]['width']:.3f}"
                    for number in numbers
                ),
            )
            for epsilon in dict.fromkeys(row["epsilon"] for row in rows)
        ],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return [lines[0], f"|{'---|' * len(head)}", *lines[1:]]


def _limit(row: dict[str, Any]) -> str:
    return "off" if row["max_leverage"] is None else f"{row['max_leverage']:g}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    write_tables(json.loads((HERE / "result.json").read_text(encoding="utf-8")), HERE / "README.md")
