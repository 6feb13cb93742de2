"""Every run in MLflow: one parent run for the study, one child run for each city and each study its checks ask for.

SQLite holds the runs and a folder beside it the artifacts; both are the researcher's. What is tracked is made
of releases and results only, so nothing of a city gets here that its gate has not let through. Everything goes
through a client object: no global tracking address, no active run, nothing another thread could change.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.errors import ConfigError, EvalkitError, MissingExtraError

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["DATABASE", "Tracker", "check_tracking", "mark_revoked", "open_tracker"]

DATABASE: Final = "mlflow.db"
ARTIFACTS: Final = "mlflow-artifacts"

WAY_OUT: Final = "move the database away, choose another --out, or run with --no-tracking"

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
        """Log one round while the study runs: cities that answered, parameters, time so far.

        Raises:
            ConfigError: MLflow cannot record it; so of the other methods.
        """
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
        with _recording(self.database):
            self._log(self.run_id, metrics, step=question.round)

    def finish(self, result: Mapping[str, Any], folder: Path) -> None:
        """Log the result, one child run per city and per derived study, and the run folder's files as artifacts."""
        with _recording(self.database):
            self._finish(result, folder)

    def _finish(self, result: Mapping[str, Any], folder: Path) -> None:
        estimate = result["estimate"]
        first = estimate["terms"][0]
        metrics = {**first, **{f"detail_{k}": v for k, v in estimate["details"].items()}}
        self._log(self.run_id, metrics)
        verdict = result.get("verdict")
        if verdict:
            self.client.set_tag(self.run_id, "claim", result["claim"]["name"])
            self.client.set_tag(self.run_id, "verdict", verdict["outcome"])
            self.client.set_tag(self.run_id, "verdict_reason", verdict["reason"]["en"])
        for row in estimate.get("set_aside", ()):
            self.client.set_tag(self.run_id, f"set_aside_{row['site']}", row["reason"])
        by_site = {row["site"]: row for row in estimate["sites"]}
        for site in estimate["contributors"]:
            self._city(site, by_site.get(site, {}))
        self._checks(result["checks"])
        for row in result["derived"]:
            self._derived(row)
        self.client.log_artifacts(self.run_id, str(folder))
        self.client.set_terminated(self.run_id, "FINISHED")

    def _checks(self, checks: Sequence[Mapping[str, Any]]) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(f"check_{check['name']}", check["outcome"]) for check in checks]
        self.client.log_batch(self.run_id, tags=tags)

    def _derived(self, row: Mapping[str, Any]) -> None:
        """A child run of one study that the checks ask for."""
        estimate = row["estimate"]
        tags = {
            "mlflow.parentRunId": self.run_id,
            "derived": row["hash"],
            "kind": row["kind"],
            **({"code": row["code"]} if row["code"] else {}),
        }
        child = self.client.create_run(self.experiment_id, run_name=row["label"], tags=tags)
        if estimate is not None:
            self._log(child.info.run_id, estimate["terms"][0])
        self.client.set_terminated(child.info.run_id, "FINISHED" if estimate else "FAILED")

    def finish_curve(self, result: Mapping[str, Any], folder: Path) -> None:
        """Log a specification curve: its summary, one child run per specification, the folder as artifacts."""
        with _recording(self.database):
            self._log(self.run_id, {**result["summary"], "rounds": result["rounds"]})
            if result["claim"]:
                self.client.set_tag(self.run_id, "claim", result["claim"]["name"])
            for row in result["specifications"]:
                self._specification(row)
            self.client.log_artifacts(self.run_id, str(folder))
            self.client.set_terminated(self.run_id, "FINISHED")

    def _specification(self, row: Mapping[str, Any]) -> None:
        tags = {
            "mlflow.parentRunId": self.run_id,
            "specification": row["hash"],
            **{f"choice_{name}": value for name, value in row["choices"].items()},
            **{key: row[key] for key in ("outcome", "code") if row[key]},
        }
        name = f"specification {row['number']:03d}"
        child = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        self._log(child.info.run_id, {key: row[key] for key in row if key != "number"})
        estimated = row["status"] == "estimated"
        self.client.set_terminated(child.info.run_id, "FINISHED" if estimated else "FAILED")

    def fail(self, code: str) -> None:
        """Mark the parent run as failed, with the error's code and nothing else."""
        with _recording(self.database):
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


def mark_revoked(folder: Path, study: str, run_name: str, site: str, new: str | None) -> None:
    """Mark a run from which a city has withdrawn: a tag, and neither the city's child run nor its releases any more.

    Args:
        folder: of the database.
        study: the experiment's name.
        run_name: of the parent run; nothing is done where there is none.
        site: the city.
        new: name of the run that was made without it.

    Raises:
        MissingExtraError: MLflow is not installed.
        ConfigError: MLflow cannot record it.
    """
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise _missing() from None
    database = folder.resolve() / DATABASE
    with _creating, _quiet(), _recording(database):
        client = MlflowClient(tracking_uri=f"sqlite:///{database}")
        experiment = client.get_experiment_by_name(study)
        if experiment is None:
            return
        runs = client.search_runs([experiment.experiment_id])
        for run in runs:
            if run.info.run_name != run_name or "mlflow.parentRunId" in run.data.tags:
                continue
            client.set_tag(
                run.info.run_id, "revoked", f"{site} withdrew; see {new or 'no new run yet'}"
            )
            artifacts = folder.resolve() / ARTIFACTS / study / run.info.run_id / "artifacts"
            _remove_artifacts(artifacts, site)
            for child in runs:
                tags = child.data.tags
                if tags.get("mlflow.parentRunId") == run.info.run_id and tags.get("site") == site:
                    client.delete_run(child.info.run_id)


def _remove_artifacts(folder: Path, site: str) -> None:
    """What the city sent, and what shows it by name: the marked run's folder has what is left of these."""
    for file in sorted(folder.rglob("*")):
        of_city = file.name.split("-", 2)[-1] == f"{site}.release"
        shows = file.suffix in (".html", ".png", ".svg") or file.name in (
            "estimate.json",
            "result.json",
        )
        if file.is_file() and (of_city or shows):
            file.unlink()


def check_tracking(folder: Path) -> None:
    """Say at once what would stop tracking at the end of a study; MLflow itself is not imported.

    Raises:
        MissingExtraError: MLflow is not installed.
        ConfigError: the database in ``folder`` is there and cannot be written.
    """
    if importlib.util.find_spec("mlflow") is None:
        raise _missing()
    database = folder.resolve() / DATABASE
    if not database.exists():
        return
    # MLflow would try a broken database for two minutes before it says so.
    try:
        with contextlib.closing(
            sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)
        ) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        raise ConfigError(
            f"MLflow's database cannot be used ({error})", where=str(database), way_out=WAY_OUT
        ) from None


def open_tracker(folder: Path, study: Study, run_name: str) -> Tracker:
    """Create or open the database in ``folder`` and start the study's parent run.

    Raises:
        MissingExtraError: MLflow is not installed.
        ConfigError: the study's experiment was deleted in MLflow, or MLflow cannot record the run.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / DATABASE
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise _missing() from None
    with _creating, _quiet(), _recording(database):
        client = MlflowClient(tracking_uri=f"sqlite:///{database}")
        experiment_id = _experiment(client, folder, study.name)
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

    with _recording(database):
        client.log_batch(
            run.info.run_id, params=[Param(key, value) for key, value in parameters.items()]
        )
    return tracker


def _experiment(client: MlflowClient, folder: Path, name: str) -> str:
    """The id of the study's experiment, made if there is none."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        made: str = client.create_experiment(
            name, artifact_location=(folder / ARTIFACTS / name).as_uri()
        )
        return made
    if experiment.lifecycle_stage == "deleted":
        raise ConfigError(
            f"the experiment {name} was deleted in MLflow, which keeps its name",
            where=str(folder / DATABASE),
            way_out=f"restore it with `mlflow experiments restore -x {experiment.experiment_id}`, "
            "choose another --out, or run with --no-tracking",
        )
    found: str = experiment.experiment_id
    return found


def _missing() -> MissingExtraError:
    return MissingExtraError(
        "MLflow is not installed",
        limit="the extra `tracking`",
        way_out="pip install 'evalkit[tracking]', or run with --no-tracking",
    )


@contextlib.contextmanager
def _recording(database: Path) -> Iterator[None]:
    """MLflow, SQLAlchemy and the file system each raise their own errors; users get one of ours."""
    try:
        yield
    except EvalkitError:
        raise
    except Exception as error:
        raise ConfigError(
            f"MLflow cannot record the run ({type(error).__name__})",
            where=str(database),
            way_out=WAY_OUT,
        ) from error


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
