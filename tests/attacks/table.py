"""The table of attacks: its rows, how a test records one, and how it becomes JSON and Markdown.

A row holds words with figures for the attack without evalkit's defence and with it. They are seeded and rounded, so
that every machine measures the same. `pytest tests/attacks --write-attack-table` writes what the tests measure; without
the option a test that measures anything else fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["FILE", "PAGE", "ROWS", "Row", "committed", "markdown", "write"]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
FILE: Final = REPOSITORY / "docs/explanation/attacks.json"
PAGE: Final = REPOSITORY / "docs/explanation/privacy.md"
BEGIN: Final = "<!-- attacks: written by pytest tests/attacks --write-attack-table -->"
END: Final = "<!-- end of attacks -->"

Row = Mapping[str, str]

ROWS: Final[Mapping[str, str]] = {
    "lone camera": "cohort of one camera, from block means",
    "cohort totals": "every cohort's incidents, from one honest score and information matrix",
    "one camera": "single cameras' incidents, from the sums that an honest answer tells",
    "two studies": "two studies that differ by one camera",
    "four studies": "combination of four studies, no two of which differ by one camera",
    "columns": "server picks columns, row indices or a formula",
    "extreme β": "server picks an extreme β that singles a unit out",
    "many β": "server asks at many β",
    "link": "many β under a link that is not canonical",
    "meat": "a cluster's score from the cross-products of few clusters",
    "small cells": "table cells with few incidents",
    "membership": "was this incident there, asked of a table by whoever knows all others",
    "alive and dead": "server claims a city both alive and dropped out, to unmask it",
    "collusion": "all cities but one collude against it in a secure sum",
    "poisoned": "one poisoned city of six: effect +5, huge, not a number, negative variance",
    "mutated releases": "releases changed, replayed or reordered on the way",
    "mutated questions": "questions changed, replayed or out of order",
    "mutated study files": "study files changed",
    "mutated policies": "policies changed in the store",
    "mutated ledgers": "ledger lines changed, removed, moved or cut off",
    "mutated runs": "run folders changed",
    "messages": "path traversal, pickle, oversized and malformed messages",
    "canaries": "canaries planted in raw rows",
}


def committed() -> dict[str, dict[str, str]]:
    """The rows in the repository."""
    if not FILE.is_file():
        return {}
    found: dict[str, dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def markdown(rows: Mapping[str, Row]) -> str:
    """The table as it stands on the page."""
    lines = ["| attack | without | with |", "|---|---|---|"]
    lines += [
        f"| {title} | {rows[key]['without']} | {rows[key]['with']} |"
        for key, title in ROWS.items()
        if key in rows
    ]
    return "\n".join(lines)


def on_page(text: str) -> str:
    """The table between the page's marks."""
    return text.partition(BEGIN)[2].partition(END)[0].strip()


def write(measured: Mapping[str, Row]) -> None:
    """Put measured rows into the file and onto the page; others stay as they are."""
    rows = committed() | {key: dict(row) for key, row in measured.items()}
    rows = {key: rows[key] for key in ROWS if key in rows}
    FILE.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    if BEGIN in text:
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        page = f"{head}{BEGIN}\n\n{markdown(rows)}\n\n{END}{tail}"
        PAGE.write_text(page, encoding="utf-8")
