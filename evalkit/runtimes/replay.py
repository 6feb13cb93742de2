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
from evalkit.disclosure.rosters import Invitation
from evalkit.errors import BadMessageError
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.secure import check_record

__all__ = ["COMPARE_VERSIONS", "ask_replay", "recompute"]

COMPARE_VERSIONS: Final = (
    "compare versions.json with what is installed here; if they agree, the run was changed"
)
"""The way out where something recomputed differs: a release of evalkit may compute or word it otherwise."""


class _Header(msgspec.Struct, frozen=True):
    study: str
    session: str | None = None
    roster: list[str] = []


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
        used += sum(len(one.sites) for one in answers)  # a masked sum is of several releases
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
    digest, invitation = study_hash(study), None
    if study.federation.secure:
        roster = run.read("roster.json")
        invitation = check_record(roster.get("secure") if isinstance(roster, dict) else None)
        if digest not in invitation.studies:
            raise BadMessageError(
                "the session in roster.json is not one of this study",
                where=str(run.path),
                way_out="ask whoever ran the study for the run folder again",
            )
    for name in recorded:
        _check_header(run.path / "releases" / name, digest, invitation)
    return found


def _check_header(release: Path, digest: str, invitation: Invitation | None) -> None:
    """A release names the study its city approved, and the session it was masked in; no other may take it as its own.

    Raises:
        BadMessageError: it was made for another study than ``study.json`` holds, or another session than
            ``roster.json`` does.
    """
    header = msgspec.json.decode(release.read_bytes().partition(b"\n")[0], type=_Header)
    session, roster = (None, []) if invitation is None else (invitation.session, invitation.roster)
    if (header.session, header.roster) != (session, list(roster)):
        raise BadMessageError(
            f"the release {release.name} was made in another session than roster.json holds",
            limit="session and roster of roster.json in every masked release, and none in a plain one",
            way_out="ask whoever ran the study for the run folder again",
        )
    if header.study != digest:
        raise BadMessageError(
            f"the release {release.name} answers another study than study.json holds",
            limit="the hash of study.json in every release",
            way_out="ask whoever ran the study for the run folder again",
        )
