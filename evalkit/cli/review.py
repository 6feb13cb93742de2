"""The reviewer's room: recompute a run without any city's data."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.core.discover import estimator
from evalkit.core.estimator import estimate
from evalkit.core.study import study_hash
from evalkit.errors import BadMessageError
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.replay import ask_replay

__all__ = ["command"]


@click.group(name="review")
def command() -> None:
    """Reviewers: recompute a run from its releases."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@as_json_option
def verify(folder: Path, as_json: bool) -> None:
    """Redo merging and estimation from the releases in FOLDER and compare to the last bit."""
    run = RunFolder(folder)
    study = run.study()
    again = estimate(estimator(study.analysis.estimator), study, ask_replay(run)).to_dict()
    recorded = run.read("estimate.json")
    result = run.read("result.json")
    if (
        again != recorded
        or result["estimate"] != recorded
        or result["study"]["hash"] != study_hash(study)
    ):
        raise BadMessageError(
            "the recomputed estimate differs from the recorded one",
            where=str(folder),
            limit="equality to the last bit",
            way_out="compare versions.json with what is installed here; if they agree, the run was changed",
        )
    releases = len(run.read("releases.json"))
    if as_json:
        print_json({"verified": True, "releases": releases, "study": study_hash(study)})
        return
    first = again["terms"][0]
    say(f"Verified: {releases} releases give the recorded estimate to the last bit.")
    say(f"Study:    {study.title}")
    say(f"Hash:     {study_hash(study)}")
    say(
        f"Effect:   log rate ratio {first['estimate']:.6f}, standard error {first['std_error']:.6f}"
    )
