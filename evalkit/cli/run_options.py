"""What `study run` and `study curve` are given, and the plan it makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.claims.claim import Claim, load_claim
from evalkit.cli.output import as_json_option
from evalkit.config import find_config

if TYPE_CHECKING:
    from evalkit.cli.running import Plan
    from evalkit.core.study import Study

__all__ = ["claim_of", "plan_of", "run_options"]

Command = Callable[..., Any]


def run_options(no_pictures: str) -> Callable[[Command], Command]:
    """The study's file, its cities and what to write; ``no_pictures`` is what that option says of itself."""
    options = (
        click.argument("path", type=click.Path(path_type=Path)),
        click.option(
            "--site",
            "sites",
            type=click.Path(path_type=Path),
            multiple=True,
            required=True,
            help="A city's site file; once for each city.",
        ),
        click.option(
            "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True
        ),
        click.option(
            "--reuse-panels",
            is_flag=True,
            help="Use the panels already stored; do not read raw files.",
        ),
        click.option("--no-tracking", is_flag=True, help="Do not record the run in MLflow."),
        click.option("--no-pictures", is_flag=True, help=no_pictures),
        as_json_option,
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def plan_of(
    study: Study,
    path: Path,
    sites: tuple[Path, ...],
    *,
    out: Path,
    no_tracking: bool,
    no_pictures: bool,
    as_json: bool,
) -> Plan:
    """The plan of a run of ``study``, which ``path`` holds."""
    from evalkit.cli.running import Plan
    from evalkit.workbench import open_bench

    return Plan(
        study=study,
        claim=claim_of(study, path),
        benches=[open_bench(site) for site in sites],
        root=out,
        tracking=not no_tracking,
        pictures=not no_pictures,
        quiet=as_json,
    )


def claim_of(study: Study, path: Path) -> Claim | None:
    """The claim a study names, looked up beside it and among the shipped ones."""
    if study.claim is None:
        return None
    return load_claim(find_config("claims", study.claim, path.resolve().parent))
