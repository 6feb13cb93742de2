"""Cities in this process: the same ServerApp and ClientApp as on a network, gate and ledger included."""

from __future__ import annotations

from collections.abc import Sequence

from flwr.app import Context, RecordDict

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Watch
from evalkit.errors import EstimationError
from evalkit.federation.client_app import app as client_app
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.server_app import server_app
from evalkit.federation.site_store import SiteStore

__all__ = ["run_local"]


def run_local(
    run: RunFolder, stores: Sequence[SiteStore], *, watch: Watch | None = None, workers: int = 2
) -> Estimate:
    """Run the study of ``run`` over cities' stores in this process.

    Args:
        run: a fresh run folder with its study.
        stores: one per city; each city's policy is in force.
        watch: called after every round.
        workers: cities that compute at the same time.

    Raises:
        MissingSiteError, EstimationError: see `server_app.conduct`.
    """
    found: list[Estimate] = []
    nodes = {
        number: {"store": str(store.folder)}
        for number, store in enumerate(sorted(stores, key=lambda one: one.name), start=1)
    }
    sites = ",".join(sorted(store.name for store in stores))
    with InProcessGrid(client_app, nodes, workers=workers) as grid:
        context = Context(
            grid.run.run_id, 0, {}, RecordDict({}), {"run-folder": str(run.path), "sites": sites}
        )
        server_app(watch, found.append)(grid, context)
    if not found:
        raise EstimationError("the server finished without an estimate")
    return found[0]
