"""A finished run's releases answer its questions again: the result, recomputed without any city."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Ask, Question, estimate
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.errors import BadMessageError
from evalkit.federation.run_folder import RunFolder

__all__ = ["COMPARE_VERSIONS", "ask_replay", "recompute"]

COMPARE_VERSIONS: Final = (
    "compare versions.json with what is installed here; if they agree, the run was changed"
)
"""The way out where something recomputed differs: a release of evalkit may compute or word it otherwise."""


class _Header(msgspec.Struct, frozen=True):
    study: str


def ask_replay(run: RunFolder) -> Ask:
    """Ask the releases in a run folder."""

    def ask(question: Question) -> Sequence[Statistics]:
        return run.releases(question)

    return ask


def recompute(run: RunFolder, study: Study) -> Estimate:
    """Estimate from the releases of a run; every recorded one must have been asked for, and answer this study.

    Raises:
        BadMessageError: a release was changed, answers no question of the study, or another study.
        ConfigError: the folder is not that of a run.
        EstimationError: the releases give no estimate.
    """
    replay, used = ask_replay(run), 0

    def ask(question: Question) -> Sequence[Statistics]:
        nonlocal used
        answers = replay(question)
        used += len(answers)
        return answers

    found = estimate(estimator(study.analysis.estimator), study, ask)
    recorded: dict[str, str] = run.read("releases.json")
    if used != len(recorded):
        raise BadMessageError(
            f"{len(recorded)} releases are recorded and the study asks for {used}",
            where=str(run.path),
            limit="releases that answer the study's questions, and no others",
            way_out="ask whoever ran the study for the run folder again",
        )
    digest = study_hash(study)
    for name in recorded:
        _check_study(run.path / "releases" / name, digest)
    return found


def _check_study(release: Path, digest: str) -> None:
    """A release names the study its city approved; another study may not take it as its own.

    Raises:
        BadMessageError: it was made for another study than ``study.json`` holds.
    """
    header = msgspec.json.decode(release.read_bytes().partition(b"\n")[0], type=_Header)
    if header.study != digest:
        raise BadMessageError(
            f"the release {release.name} answers another study than study.json holds",
            limit="the hash of study.json in every release",
            way_out="ask whoever ran the study for the run folder again",
        )
