"""Every run in MLflow: one parent run for the study, one child run for each city.

SQLite holds the runs and a folder beside it the artifacts; both are the researcher's. What is tracked is made
of releases and results only, so nothing of a city gets here that its gate has not let through. Everything goes
through a client object: no global tracking address, no active run, nothing another thread could change.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.errors import MissingExtraError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["DATABASE", "Tracker", "open_tracker"]

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "mlflow-artifacts"

_creating = threading.Lock()
"""Two threads that create the database at once break its migration."""


@dataclass(slots=True)
class Tracker:
    """One study's parent run.

    Attributes:
        database: the SQLite file.
        run_id: of the parent run.
    """

    client: MlflowClient
    database: Path
    experiment_id: str
    run_id: str
    _begun: float = field(default_factory=time.monotonic)

    def watch(
        self, question: Question, statistics: Statistics, outcome: Estimate | Question
    ) -> None:
        """Log one round while the study runs: cities that answered, parameters, time so far."""
        metrics = {
            "cities": float(len(statistics.sites)),
            "seconds": time.monotonic() - self._begun,
        }
        if isinstance(outcome, Estimate):
            metrics["effect"] = float(outcome.effect[0])
        else:
            metrics.update(
                {f"parameter_{i}": float(v) for i, v in enumerate(outcome.parameters[:20])}
            )
        self._log(self.run_id, metrics, step=question.round)

    def finish(self, result: Mapping[str, Any], folder: Path) -> None:
        """Log the result, one child run per city, and the run folder's files as artifacts."""
        estimate = result["estimate"]
        first = estimate["terms"][0]
        metrics = {**first, **{f"detail_{k}": v for k, v in estimate["details"].items()}}
        self._log(self.run_id, metrics)
        verdict = result.get("verdict")
        if verdict:
            self.client.set_tag(self.run_id, "claim", result["claim"]["name"])
            self.client.set_tag(self.run_id, "verdict", verdict["outcome"])
            self.client.set_tag(self.run_id, "verdict_reason", verdict["reason"]["en"])
        by_site = {row["site"]: row for row in estimate["sites"]}
        for site in estimate["contributors"]:
            self._city(site, by_site.get(site, {}))
        self.client.log_artifacts(self.run_id, str(folder))
        self.client.set_terminated(self.run_id, "FINISHED")

    def fail(self, code: str) -> None:
        """Mark the parent run as failed, with the error's code and nothing else."""
        self.client.set_tag(self.run_id, "error", code)
        self.client.set_terminated(self.run_id, "FAILED")

    def _city(self, site: str, row: Mapping[str, Any]) -> None:
        tags = {"mlflow.parentRunId": self.run_id, "site": site}
        child = self.client.create_run(self.experiment_id, run_name=site, tags=tags)
        self._log(child.info.run_id, row)
        self.client.set_terminated(child.info.run_id, "FINISHED")

    def _log(self, run_id: str, values: Mapping[str, Any], *, step: int = 0) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, float(value), now, step)
            for name, value in values.items()
            if isinstance(value, int | float) and math.isfinite(value)
        ]
        self.client.log_batch(run_id, metrics=metrics)


def open_tracker(folder: Path, study: Study, run_name: str) -> Tracker:
    """Create or open the database in ``folder`` and start the study's parent run.

    Raises:
        MissingExtraError: MLflow is not installed.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise MissingExtraError(
            "MLflow is not installed",
            limit="the extra `tracking`",
            way_out="pip install 'evalkit[tracking]', or run with --no-tracking",
        ) from None
    with _creating, _quiet():
        client = MlflowClient(tracking_uri=f"sqlite:///{database}")
        experiment = client.get_experiment_by_name(study.name)
        experiment_id = (
            experiment.experiment_id
            if experiment
            else client.create_experiment(
                study.name, artifact_location=(folder / ARTIFACTS / study.name).as_uri()
            )
        )
        run = client.create_run(experiment_id, run_name=run_name)
    tracker = Tracker(client, database, experiment_id, run.info.run_id)
    parameters = {
        "study": study.name,
        "study_hash": study_hash(study),
        "estimator": study.analysis.estimator,
        "first_stage": study.analysis.first_stage,
        "method": study.analysis.method,
        "interval": study.analysis.interval,
        "window": f"{study.window.start} to {study.window.end}",
        "units": study.units.kind,
        "crime_types": ", ".join(study.outcome.crime_types),
    }
    from mlflow.entities import Param

    client.log_batch(
        run.info.run_id, params=[Param(key, value) for key, value in parameters.items()]
    )
    return tracker


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Database migration logs forty lines nobody asked for."""
    loggers = [logging.getLogger(name) for name in ("alembic", "mlflow", "mlflow.store.db.utils")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
