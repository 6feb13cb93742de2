"""The server's side of a whole study, as a Flower ServerApp.

It sees releases and nothing else: this module may not import readers or panels, not even indirectly, which an
import contract checks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Watch, estimate
from evalkit.core.study import Study
from evalkit.federation.exchange import ask_through, gather_roster
from evalkit.federation.run_folder import RunFolder

__all__ = ["app", "conduct", "server_app"]


def conduct(
    grid: Grid,
    study: Study,
    expected: tuple[str, ...],
    run: RunFolder,
    watch: Watch | None = None,
) -> Estimate:
    """Gather the roster, run the rounds, keep every release, return the estimate.

    Raises:
        MissingSiteError: a city refused or did not answer, and there is no quorum.
        EstimationError: no estimate can be computed from what the cities released.
    """
    roster = gather_roster(grid, expected, study.federation)
    run.write(
        "roster.json",
        {"expected": list(expected), "answered": list(roster.sites), "cameras": roster.cameras},
    )
    ask = ask_through(grid, roster, study.federation, run.write_release)
    found = estimate(estimator(study.analysis.estimator), study, ask, watch=watch)
    run.write_estimate(found)
    return found


def server_app(
    watch: Watch | None = None, done: Callable[[Estimate], None] | None = None
) -> ServerApp:
    """A ServerApp that conducts the study in its run folder.

    The run's configuration names ``run-folder`` and, separated by commas, ``sites``.

    Args:
        watch: called after every round.
        done: called with the estimate.
    """
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        run = RunFolder(Path(str(context.run_config["run-folder"])))
        expected = tuple(site for site in str(context.run_config["sites"]).split(",") if site)
        found = conduct(grid, run.study(), expected, run, watch)
        if done is not None:
            done(found)

    return made


app = server_app()
