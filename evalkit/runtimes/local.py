"""Cities in this process: the same ServerApp and ClientApp as on a network, gate and ledger included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flwr.app import Context, RecordDict
from flwr.serverapp import ServerApp

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Watch
from evalkit.core.together import Together, WatchMany
from evalkit.errors import EstimationError
from evalkit.federation.client_app import app as client_app
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.server_app import curve_app, server_app
from evalkit.federation.site_store import SiteStore

__all__ = ["run_local", "run_local_curve"]

MOST_WORKERS: Final = 4
CITIES_PER_WORKER: Final = 25
"""A city's answer waits for the disk to have its line in the ledger; meanwhile others can compute. Many threads cost
more than they gain, as one computes at a time. Few cities may be large ones: memory is for two of those at once."""


def run_local(
    run: RunFolder,
    stores: Sequence[SiteStore],
    *,
    watch: Watch | None = None,
    watch_checks: WatchMany | None = None,
    workers: int | None = None,
) -> Estimate:
    """Run the study of ``run`` over cities' stores in this process, and those that its checks ask for.

    Args:
        run: a fresh run folder with its study.
        stores: one per city; each city's policy is in force.
        watch: called after every round.
        watch_checks: called after every round of the studies that the study's checks ask for.
        workers: cities that answer at the same time; None for as many as suit their number.

    Raises:
        MissingSiteError, EstimationError: see `server_app.conduct`.
    """
    found: list[Estimate] = []
    _serve(server_app(watch, found.append, watch_checks), run, stores, workers)
    if not found:
        raise EstimationError("the server finished without an estimate")
    return found[0]


def run_local_curve(
    run: RunFolder,
    stores: Sequence[SiteStore],
    *,
    watch: WatchMany | None = None,
    workers: int | None = None,
) -> Together:
    """Estimate all specifications of the study of ``run`` over cities' stores in this process.

    Args:
        run: a fresh run folder with its study.
        stores: one per city; each city's policy is in force.
        watch: called after every round.
        workers: cities that answer at the same time; None for as many as suit their number.

    Raises:
        MissingSiteError: see `server_app.conduct_curve`.
    """
    found: list[Together] = []
    _serve(curve_app(watch, found.append), run, stores, workers)
    if not found:
        raise EstimationError("the server finished without an answer")
    return found[0]


def _workers(cities: int) -> int:
    return min(MOST_WORKERS, max(2, cities // CITIES_PER_WORKER))


def _serve(
    app: ServerApp, run: RunFolder, stores: Sequence[SiteStore], workers: int | None
) -> None:
    workers = _workers(len(stores)) if workers is None else workers
    nodes = {
        number: {"store": str(store.folder)}
        for number, store in enumerate(sorted(stores, key=lambda one: one.name), start=1)
    }
    sites = ",".join(sorted(store.name for store in stores))
    with InProcessGrid(client_app, nodes, workers=workers) as grid:
        context = Context(
            grid.run.run_id, 0, {}, RecordDict({}), {"run-folder": str(run.path), "sites": sites}
        )
        app(grid, context)
