"""The numbers of the page on estimators are those of the experiment, and what it says of the default is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.study import Analysis

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/explanation/choose-an-estimator.md").read_text(encoding="utf-8")
RESULT = REPOSITORY / "experiments/02_calibration/result.json"
FOUND = json.loads(RESULT.read_text(encoding="utf-8"))
ROWS = {(row["method"], row["world"]): row for row in FOUND["rows"]}
CONFIRMED = {(row["method"], row["world"]): row for row in FOUND["confirmation"]}
KEYS = ("bias", "coverage", "size", "power")
DEFAULT = "random_effects"
ORDINARY = ("homogeneous", "heterogeneous", "over_dispersed")

LEAST_REPLICATIONS = 190
"""Two hundred were asked for; `doubly_robust` fails on a few."""


def tables() -> list[list[list[str]]]:
    """Cells of every table of the page."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE + "\n", re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        for table in found
    ]


def cells() -> list[tuple[str, str, str, str]]:
    """Method, world, key and text of every number on the page."""
    found = []
    for heading, _, *lines in tables():
        for line in lines:
            if heading[0] == "World":
                found += [
                    (DEFAULT, line[0], key, text)
                    for key, text in zip(heading[1:], line[1:], strict=True)
                ]
            elif heading[0].lower() in KEYS:
                found += [
                    (line[0], world, heading[0].lower(), text)
                    for world, text in zip(heading[1:], line[1:], strict=True)
                ]
    return found


@pytest.mark.parametrize(("method", "world", "key", "text"), cells())
def test_number(method: str, world: str, key: str, text: str) -> None:
    row = ROWS[method, world]
    if key == "replications":
        assert int(text) == row[key]
    elif text == "·":
        assert key == "size"
        assert row["size_world"] != world
    else:
        number, error = (float(part) for part in text.split("±"))
        assert number == round(row[key], 1)
        assert error == round(row[f"{key}_mc"], 1)


def test_every_result_is_on_the_page() -> None:
    shown = {(method, world, key) for method, world, key, _ in cells()}
    missing = {
        (method, world, key)
        for (method, world), row in ROWS.items()
        for key in KEYS
        if (method, world, key) not in shown
        and not (key == "bias" and "," in method)  # intervals share their estimate
        and not (key == "size" and row["size_world"] != world)
    }
    assert missing == set()


def enough(row: dict[str, Any], least: int) -> bool:
    return bool(row["replications"] >= least and row["replications_null"] >= least)


def test_every_row_rests_on_enough_replications() -> None:
    assert all(enough(row, LEAST_REPLICATIONS) for row in ROWS.values())


@pytest.mark.parametrize("world", ORDINARY)
@pytest.mark.parametrize("rows", [ROWS, CONFIRMED], ids=["all seeds", "confirmation"])
def test_the_default_keeps_its_level(rows: dict[tuple[str, str], Any], world: str) -> None:
    default = rows[DEFAULT, world]
    assert enough(default, 500)
    assert default["coverage"] >= 93
    assert abs(default["coverage"] - 95) < 2 * default["coverage_mc"]
    assert 3 <= default["size"] <= 7
    same = rows[f"{DEFAULT}, {Analysis().interval}", world]
    assert [default[key] for key in KEYS] == [same[key] for key in KEYS]


def test_the_page_shows_the_confirmation() -> None:
    (table,) = (lines for lines in tables() if lines[0][0] == "Confirmed on other seeds")
    keys = table[0][1:]
    shown = {line[0]: dict(zip(keys, line[1:], strict=True)) for line in table[2:]}
    assert shown == {
        world: {
            key: f"{CONFIRMED[DEFAULT, world][key]:.1f} ± {CONFIRMED[DEFAULT, world][f'{key}_mc']:.1f}"
            for key in keys
        }
        for world in ORDINARY
    }


def test_what_the_page_says_fails_does_fail() -> None:
    assert all(row["bias"] < -20 for (_, world), row in ROWS.items() if world == "pre_trending")
    for method in ("wdd", "linear_did", "synthetic_did"):
        assert ROWS[method, "hot_spots"]["coverage"] < 90
    assert ROWS["rate_ratio", "over_dispersed"]["size"] > 10
    for method in ("synthetic_did", "counterfactual_model"):
        assert ROWS[method, "few_treated"]["coverage"] < 85
        assert ROWS[method, "few_treated"]["error_ratio"] < 0.7
