"""The server's side of a whole study, as a Flower ServerApp.

It sees releases and nothing else: this module may not import readers or panels, not even indirectly, which an
import contract checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, Watch, estimate
from evalkit.core.falsification import derived_of
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Study, study_hash
from evalkit.core.together import Together, WatchMany, estimate_together
from evalkit.federation.batch import ask_many_through
from evalkit.federation.codec import Received
from evalkit.federation.exchange import Roster, ask_through, gather_roster
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.secure import OpenSession, ask_many_securely, ask_securely, open_session
from evalkit.federation.secure_codec import ReceivedPart

__all__ = ["app", "conduct", "conduct_curve", "curve_app", "server_app"]


def conduct(
    grid: Grid,
    study: Study,
    expected: tuple[str, ...],
    run: RunFolder,
    watch: Watch | None = None,
    watch_checks: WatchMany | None = None,
) -> Estimate:
    """Gather the roster, run the rounds, keep every release, return the estimate.

    Then the studies that the study's checks ask for are put to the same cities, all in the same rounds. One that
    cannot be estimated is written down with the reason and fails nothing.

    Raises:
        MissingSiteError: a city refused or did not answer, and there is no quorum.
        EstimationError: no estimate can be computed from what the cities released.
    """
    roster = gather_roster(grid, expected, study.federation)
    derived = derived_of(study)
    session = _session(grid, roster, [study, *(one.study for one in derived)])
    answered = _answered(roster, expected, session)
    run.write("roster.json", answered)
    left: set[str] = set()
    ask = (
        ask_through(grid, roster, study.federation, run.write_release, left)
        if session is None
        else ask_securely(grid, roster, study.federation, session, run.write_release)
    )
    found = estimate(estimator(study.analysis.estimator), study, ask, watch=watch, left_out=left)
    run.write_estimate(found)
    if derived:
        folders = [run.derived(number, one.kind).path for number, one in enumerate(derived)]
        studies = [one.study for one in derived]
        _in_step(grid, roster, session, answered, folders, studies, watch_checks)
    return found


def conduct_curve(
    grid: Grid,
    run: RunFolder,
    expected: tuple[str, ...],
    watch: WatchMany | None = None,
) -> Together:
    """Estimate every specification of the run's study, all in the same rounds.

    Each specification gets a run folder of its own in ``specifications``, which can be verified by itself.

    Raises:
        MissingSiteError: a city is not there, and there is no quorum. A city that refuses one specification
            ends that one only.
    """
    study = run.study()
    roster = gather_roster(grid, expected, study.federation)
    found = [one.study for one in specifications_of(study)]
    session = _session(grid, roster, found)
    answered = _answered(roster, expected, session)
    run.write("roster.json", answered)
    folders = [run.specification(number) for number in range(len(found))]
    return _in_step(grid, roster, session, answered, folders, found, watch)


def _session(grid: Grid, roster: Roster, studies: Sequence[Study]) -> OpenSession | None:
    """A session of secure sums for all studies, which share one way of adding up; None for plain sums.

    Raises:
        MissingSiteError: see `secure.open_session`.
    """
    federation = studies[0].federation
    if not federation.secure:
        return None
    return open_session(grid, roster, federation, [study_hash(study) for study in studies])


def _answered(
    roster: Roster, expected: Sequence[str], session: OpenSession | None
) -> dict[str, Any]:
    known = {
        "expected": list(expected),
        "answered": list(roster.sites),
        "cameras": roster.cameras,
        **({"keys": roster.keys} if roster.keys else {}),
    }
    return known if session is None else {**known, "secure": session.record()}


def _in_step(
    grid: Grid,
    roster: Roster,
    session: OpenSession | None,
    answered: Mapping[str, Any],
    paths: Sequence[Path],
    studies: Sequence[Study],
    watch: WatchMany | None,
) -> Together:
    """Estimate several studies in the same rounds, each with a run folder of its own."""
    folders = {
        study_hash(study): RunFolder.create(path, study)
        for path, study in zip(paths, studies, strict=True)
    }
    for folder in folders.values():
        folder.write("roster.json", answered)

    def keep(question: Question, received: Received | ReceivedPart) -> None:
        folders[study_hash(question.study)].write_release(question, received)

    jobs = [(estimator(study.analysis.estimator), study) for study in studies]
    left: dict[str, set[str]] = {}

    def leave(study: Study, cities: tuple[str, ...]) -> None:
        left.setdefault(study_hash(study), set()).update(cities)

    federation = studies[0].federation
    ask = (
        ask_many_through(grid, roster, federation, keep, left)
        if session is None
        else ask_many_securely(grid, roster, federation, session, keep)
    )
    together = estimate_together(jobs, ask, watch=watch, leave=leave)
    for folder, outcome in zip(folders.values(), together.outcomes, strict=True):
        if isinstance(outcome, Estimate):
            folder.write_estimate(outcome)
        else:
            folder.write_failure(outcome)
    return together


def server_app(
    watch: Watch | None = None,
    done: Callable[[Estimate], None] | None = None,
    watch_checks: WatchMany | None = None,
) -> ServerApp:
    """A ServerApp that conducts the study in its run folder.

    The run's configuration names ``run-folder`` and, separated by commas, ``sites``.

    Args:
        watch: called after every round.
        done: called with the estimate.
        watch_checks: called after every round of the studies that the study's checks ask for.
    """
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        run = RunFolder(Path(str(context.run_config["run-folder"])))
        expected = tuple(site for site in str(context.run_config["sites"]).split(",") if site)
        found = conduct(grid, run.study(), expected, run, watch, watch_checks)
        if done is not None:
            done(found)

    return made


def curve_app(
    watch: WatchMany | None = None, done: Callable[[Together], None] | None = None
) -> ServerApp:
    """A ServerApp that conducts the specification curve of the study in its run folder; see `server_app`."""
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        run = RunFolder(Path(str(context.run_config["run-folder"])))
        expected = tuple(site for site in str(context.run_config["sites"]).split(",") if site)
        found = conduct_curve(grid, run, expected, watch)
        if done is not None:
            done(found)

    return made


app = server_app()
