"""`evalkit study curve`: does the answer depend on choices that could have been made otherwise?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from evalkit.cli.output import cities, counted, print_json, say
from evalkit.cli.run_options import plan_of, run_options

__all__ = ["curve"]

LABELS: Final = {
    "run": "Run",
    "result": "Result",
    "mlflow": "MLflow",
    "picture": "Picture",
    "report": "Report",
}


@click.command()
@run_options("Draw nothing and write no page.")
def curve(
    path: Path,
    sites: tuple[Path, ...],
    out: Path,
    reuse_panels: bool,
    no_tracking: bool,
    no_pictures: bool,
    as_json: bool,
) -> None:
    """Estimate every combination of a study's [specifications], all in the same few rounds."""
    from evalkit.cli.curve import build_curve_panels, check_curve, run_curve
    from evalkit.config import load_study

    study = load_study(path)
    check_curve(study)
    plan = plan_of(
        study,
        path,
        sites,
        out=out,
        no_tracking=no_tracking,
        no_pictures=no_pictures,
        as_json=as_json,
    )
    if not reuse_panels:
        build_curve_panels(plan)
    result = run_curve(plan)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: Mapping[str, Any]) -> None:
    from evalkit.cli.curve import verdicts_line

    summary = result["summary"]
    rows = sorted(
        (row for row in result["specifications"] if row["status"] == "estimated"),
        key=lambda row: float(row["estimate"]),
    )
    for row in rows:
        interval = f"[{_percent(row['percent_low'])}, {_percent(row['percent_high'])}]"
        say(
            f"  {row['number']:03d} {_percent(row['percent']):>9} {interval:<22} "
            f"{row['outcome'] or '':<13} {_choices(row)}"
        )
    for what, numbers in _failures(result).items():
        say(f"  {', '.join(numbers)} not estimated: {what}")
    say(
        f"Specifications: {summary['specifications']}, {summary['estimated']} estimated, in "
        f"{counted(result['rounds'], 'round')}, one message a round to each of {cities(len(result['cities']))}"
    )
    if summary["estimated"]:
        say(
            f"Effects:  median {_percent(summary['median_percent'])}, from "
            f"{_percent(summary['lowest_percent'])} to {_percent(summary['highest_percent'])}; "
            f"{summary['share_clear_falls']:.0%} of the intervals lie below no effect, "
            f"{summary['share_clear_rises']:.0%} above"
        )
    if result["claim"] and summary["estimated"]:
        say(f"Claim:    {result['claim']['title']}")
        if summary["share_supported"] is not None:
            say(verdicts_line(summary))
    say(
        "Note:     specifications share their data, so the shares describe how far the answer depends on choices; "
        "they are no probabilities"
    )
    for label, file in result["files"].items():
        say(f"{LABELS[label] + ':':<10}{file}")


def _failures(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Reason → numbers of the specifications that failed for it."""
    found: dict[str, list[str]] = {}
    for row in result["specifications"]:
        if row["status"] == "failed":
            found.setdefault(f"{row['code']}: {row['what']}", []).append(f"{row['number']:03d}")
    return found


def _choices(row: Mapping[str, Any]) -> str:
    return " · ".join(row["choices"].values())


def _percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "−")
