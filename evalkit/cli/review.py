"""The reviewer's room: recompute a run without any city's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from evalkit.claims.claim import Claim
from evalkit.cli.conclusion import absent_cities, placebo_cities, verdict_on
from evalkit.cli.output import as_json_option, print_json, say
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, estimate
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.errors import BadMessageError, ConfigError
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.replay import ask_replay

__all__ = ["command"]

T = TypeVar("T")


class _Result(msgspec.Struct, frozen=True):
    """The parts of ``result.json`` that can be recomputed."""

    study: dict[str, Any]
    estimate: dict[str, Any]
    claim: dict[str, Any] | None
    verdict: dict[str, Any] | None
    placebo: list[str]
    absent: list[str]


class _Roster(msgspec.Struct, frozen=True):
    expected: list[str]
    cameras: dict[str, str]


class _Header(msgspec.Struct, frozen=True):
    study: str


@click.group(name="review")
def command() -> None:
    """Reviewers: recompute a run from its releases."""


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@as_json_option
def verify(folder: Path, as_json: bool) -> None:
    """Redo merging, estimation and verdict from the releases in FOLDER and compare to the last bit."""
    run = RunFolder(folder)
    study = run.study()
    if not (folder / "estimate.json").exists():
        raise ConfigError(
            "the run did not finish: it has no estimate",
            where=str(folder),
            way_out="name the folder of a run that ended with a result",
        )
    releases = _read(run, "releases.json", dict[str, str])
    found = _replay(run, study, len(releases))
    for name in releases:
        _check_study(folder / "releases" / name, study)
    claim = _read(run, "claim.json", Claim) if study.claim else None
    verdict = _as_json(verdict_on(claim, found)) if claim else None
    _compare(run, study, found, claim, verdict)
    if as_json:
        print_json(
            {
                "verified": True,
                "releases": len(releases),
                "study": study_hash(study),
                "claim": claim.name if claim else None,
                "verdict": verdict["outcome"] if verdict else None,
            }
        )
        return
    first = found.to_dict()["terms"][0]
    conclusion = "estimate and verdict" if verdict else "estimate"
    say(f"Verified: {len(releases)} releases give the recorded {conclusion} to the last bit.")
    say(f"Study:    {study.title}")
    say(f"Hash:     {study_hash(study)}")
    say(
        f"Effect:   log rate ratio {first['estimate']:.6f}, standard error {first['std_error']:.6f}"
    )
    if claim and verdict:
        say(f"Claim:    {claim.title} (rate ratio {claim.value:g})")
        say(f"Verdict:  {verdict['reason']['en']}")


def _replay(run: RunFolder, study: Study, recorded: int) -> Estimate:
    """Estimate from the releases; every recorded one must have been asked for.

    Raises:
        BadMessageError: a release was changed, or answers no question of the study.
    """
    replay, used = ask_replay(run), 0

    def ask(question: Question) -> Sequence[Statistics]:
        nonlocal used
        answers = replay(question)
        used += len(answers)
        return answers

    found = estimate(estimator(study.analysis.estimator), study, ask)
    if used != recorded:
        raise BadMessageError(
            f"{recorded} releases are recorded and the study asks for {used}",
            where=str(run.path),
            limit="releases that answer the study's questions, and no others",
            way_out="ask whoever ran the study for the run folder again",
        )
    return found


def _check_study(release: Path, study: Study) -> None:
    """A release names the study its city approved; another study may not take it as its own.

    Raises:
        BadMessageError: it was made for another study than ``study.json`` holds.
    """
    header = msgspec.json.decode(release.read_bytes().partition(b"\n")[0], type=_Header)
    if header.study != study_hash(study):
        raise BadMessageError(
            f"the release {release.name} answers another study than study.json holds",
            limit="the hash of study.json in every release",
            way_out="ask whoever ran the study for the run folder again",
        )


def _compare(
    run: RunFolder,
    study: Study,
    found: Estimate,
    claim: Claim | None,
    verdict: Mapping[str, Any] | None,
) -> None:
    """Hold what was recomputed against what the run folder says.

    Raises:
        BadMessageError: they differ, with the parts that do.
    """
    result = _read(run, "result.json", _Result)
    roster = _read(run, "roster.json", _Roster)
    estimated = found.to_dict()
    differs = {
        "study": result.study.get("hash") != study_hash(study),
        "estimate": run.read("estimate.json") != estimated or result.estimate != estimated,
        "claim": result.claim != _as_json(claim),
        "verdict": result.verdict != verdict,
        "placebo cities": result.placebo != placebo_cities(found, roster.cameras),
        "absent cities": result.absent != absent_cities(found, roster.expected),
    }
    parts = [part for part, differ in differs.items() if differ]
    if parts:
        raise BadMessageError(
            f"what is recomputed differs from the recorded one: {', '.join(parts)}",
            where=str(run.path),
            limit="equality to the last bit",
            way_out="compare versions.json with what is installed here; if they agree, the run was changed",
        )


def _read(run: RunFolder, name: str, kind: type[T]) -> T:
    """Read one JSON file of the run as ``kind``.

    Raises:
        ConfigError: it is absent or not what a run writes.
    """
    try:
        return msgspec.convert(run.read(name), type=kind)
    except msgspec.ValidationError:
        raise ConfigError(
            f"{name} is damaged",
            where=str(run.path),
            way_out="ask whoever ran the study for the run folder again",
        ) from None


def _as_json(content: Any) -> Any:
    """As it comes back from a file: lists for tuples, null for what is not a number."""
    return msgspec.json.decode(msgspec.json.encode(content))
