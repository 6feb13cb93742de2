"""A finished run computed again without one city, from the releases of the others.

That is enough where the others' releases do not depend on what the city sent: in the first round, and so for every
estimator of one round. A later question was made of all cities' answers; without one of them it is another question,
which only the cities can answer.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Ask, Question, estimate
from evalkit.core.falsification import derived_of
from evalkit.core.specifications import Specification
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.errors import EvalkitError, NeedsCitiesError
from evalkit.federation.codec import Received
from evalkit.federation.run_folder import Failure, RunFolder

__all__ = ["curve_without", "release_files", "roster_without", "run_without"]


def run_without(run: RunFolder, study: Study, site: str, path: Path) -> tuple[RunFolder, Estimate]:
    """A run folder of the same study with the same releases but those of one city, and the estimate they give.

    The studies that the study's checks ask for are computed again too; one that cannot be has its reason there.

    Args:
        run: a run that verifies.
        study: of the run.
        site: the city that is left out.
        path: of the new folder, which must not exist. It is removed again where an error is raised.

    Raises:
        NeedsCitiesError: further questions would have to be asked.
        EvalkitError: the other cities' releases give no estimate.
    """
    made = RunFolder.create(path, study)
    try:
        roster = roster_without(run, site)
        made.write("roster.json", roster)
        found = _estimate_without(run, study, site, made)
        for number, one in enumerate(derived_of(study)):
            folder = made.derived(number, one.kind).path
            _ended_without(run.derived(number, one.kind), one.study, site, folder)
    except BaseException:
        shutil.rmtree(path)
        raise
    return made, found


def curve_without(
    run: RunFolder, found: Sequence[Specification], site: str, path: Path
) -> tuple[RunFolder, list[Estimate | EvalkitError | Failure], int]:
    """As `run_without`, of a specification curve: its folder, what came of each specification, and the rounds.

    Args:
        run: a curve that verifies.
        found: its specifications.
        site: as for `run_without`.
        path: as for `run_without`.

    Raises:
        NeedsCitiesError: further questions of one of them would have to be asked.
    """
    made = RunFolder.create(path, run.study())
    try:
        made.write("roster.json", roster_without(run, site))
        outcomes = [
            _ended_without(
                RunFolder(run.specification(number)), one.study, site, made.specification(number)
            )
            for number, one in enumerate(found)
        ]
    except BaseException:
        shutil.rmtree(path)
        raise
    files = made.path.rglob("releases/*.release")
    rounds = max((int(file.name.partition("-")[0]) + 1 for file in files), default=1)
    return made, outcomes, rounds


def roster_without(run: RunFolder, site: str) -> dict[str, object]:
    """What ``roster.json`` of the run holds, without the city."""
    roster = run.read("roster.json")
    return {
        name: [one for one in value if one != site]
        if isinstance(value, list)
        else {one: known for one, known in value.items() if one != site}
        for name, value in roster.items()
        if name != "secure"
    }


def release_files(run: RunFolder, site: str) -> list[Path]:
    """The files of one city's releases in a run, in its checks and its specifications."""
    found = []
    for file in sorted(run.path.rglob("releases/*.release")):
        *_, name = file.name.split("-", 2)
        if name == f"{site}.release":
            found.append(file)
    return found


def _ended_without(
    run: RunFolder, study: Study, site: str, path: Path
) -> Estimate | EvalkitError | Failure:
    """One of several studies that were asked together; a reason why it has no estimate is written down.

    Raises:
        NeedsCitiesError: see `run_without`.
    """
    made = RunFolder.create(path, study)
    made.write("roster.json", roster_without(run, site))
    failed = run.failure()
    if failed is not None and not (run.path / "releases.json").exists():
        made.write("failure.json", failed)
        return failed
    try:
        return _estimate_without(run, study, site, made)
    except NeedsCitiesError:
        raise
    except EvalkitError as error:
        made.write_failure(error)
        return error


def _estimate_without(run: RunFolder, study: Study, site: str, made: RunFolder) -> Estimate:
    if study.federation.secure:
        raise _needs("a sum over cities cannot be taken apart")
    one = estimator(study.analysis.estimator)
    asked = _asked(run, study)

    def ask(question: Question) -> Sequence[Statistics]:
        before = asked.get((question.round, question.stage))
        if before is None or not np.array_equal(before, question.parameters):
            raise _needs("the questions after the first round are others without it")
        sent = [answer for answer in run.releases(question) if site not in answer.sites]
        for answer in sent:
            made.write_release(question, _as_received(run, question, answer))
        return sent

    found = estimate(one, study, ask)
    made.write_estimate(found)
    return found


def _asked(run: RunFolder, study: Study) -> dict[tuple[int, str], NDArray[np.float64]]:
    """Round and stage → parameters of every question that the run asked."""
    found: dict[tuple[int, str], NDArray[np.float64]] = {}

    def ask(question: Question) -> Sequence[Statistics]:
        found[question.round, question.stage] = question.parameters
        return run.releases(question)

    replay: Ask = ask
    with contextlib.suppress(
        EvalkitError
    ):  # what failed with all cities may give an estimate without one
        estimate(estimator(study.analysis.estimator), study, replay)
    return found


def _as_received(run: RunFolder, question: Question, answer: Statistics) -> Received:
    (site,) = answer.sites
    name = f"{question.round:03d}-{question.stage}-{site}.release"
    return Received(site, answer, (run.path / "releases" / name).read_bytes())


def _needs(why: str) -> NeedsCitiesError:
    return NeedsCitiesError(
        f"the releases do not suffice to leave the city out: {why}",
        limit="answers of the remaining cities to further questions",
        way_out="name the site files of the remaining cities with --site",
    )
