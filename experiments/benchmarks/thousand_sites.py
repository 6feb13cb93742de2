"""A study over a thousand small cities' stores in one process: the runtime's own way, messages and all."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import polars as pl
from estimator_methods import OPEN, asked, panel_of

from evalkit.config import CameraColumns, Cameras, City, IncidentColumns, Incidents, Site
from evalkit.core.panel import Panel, Role
from evalkit.core.study import Analysis, Study, study_hash
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.panel.built import Built
from evalkit.panel.diagnostics import diagnose
from evalkit.runtimes.local import run_local

__all__ = ["SITES", "UNITS", "rounds", "store_of"]

SITES: Final = 1000
UNITS: Final = 40
YEARS: Final = 2
COHORTS: Final = 2


def rounds(folder: Path, estimator: str) -> dict[str, float]:
    """Seconds of a study's rounds over `SITES` stores, written before the clock starts.

    Every city answers every round through Flower's apps: stored files read and verified, gate, ledger written and
    flushed, release checked and kept by the server. Processor time tells what the work costs when the machine does
    something else too; the rest of the time is waiting, mostly for the disk to have each city's line in its ledger.
    """
    periods = 12 * YEARS
    study = asked(Analysis(estimator=estimator), periods)
    stores = [
        store_of(
            panel_of(f"site{at:04d}", at, units=UNITS, periods=periods, cohorts=COHORTS),
            study,
            folder,
        )
        for at in range(SITES)
    ]
    marks, work = [time.perf_counter()], [time.process_time()]

    def mark(*_: object) -> None:
        marks.append(time.perf_counter())
        work.append(time.process_time())

    found = run_local(
        RunFolder.create(folder / "run", study),
        stores,
        watch=mark,
    )
    whole = time.perf_counter() - marks[0]
    later = [after - before for before, after in pairwise(marks)]
    return {
        "sites answered": float(len(found.contributors)),
        "rounds": float(len(later)),
        "first round, with the roll call": later[0],
        "slowest later round": max(later[1:], default=0.0),
        "seconds a round": whole / len(later),
        "processor seconds a round": (work[-1] - work[0]) / len(later),
        "processor seconds of the slowest later round": max(
            (after - before for before, after in pairwise(work[1:])), default=0.0
        ),
        "whole run": whole,
    }


def run(estimator: str) -> dict[str, float]:
    """`rounds` in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        return rounds(Path(folder), estimator)


def store_of(panel: Panel, study: Study, root: Path) -> SiteStore:
    """A city's store in ``root`` with this panel, built for this study; its policy is the default one."""
    (name,) = panel.sites
    store = SiteStore(root / name)
    site = Site(
        name=name,
        city=City(title=name, time_zone="UTC", bounds=(0.0, 0.0, 1.0, 1.0)),
        incidents=Incidents(
            files=("i.csv",),
            columns=IncidentColumns(date="d", longitude="x", latitude="y"),
            all_as="theft",
        ),
        cameras=Cameras(files=("c.csv",), columns=CameraColumns(longitude="x", latitude="y")),
        policy=OPEN,
    )
    stamped = replace(panel, study=study_hash(study))
    store.write(site, study, _built(stamped))
    return store


def _built(panel: Panel) -> Built:
    units = panel.n_units
    table = pl.DataFrame(
        {
            "unit": panel.unit_ids,
            "role": [Role(role).name.lower() for role in panel.role],
            "first_live": [None if at < 0 else panel.periods[at] for at in panel.first_live],
            "x": [float(100 * at) for at in range(units)],
            "y": [0.0] * units,
            "longitude": [0.5] * units,
            "latitude": [0.5] * units,
            "cameras": [int(at >= 0) for at in panel.first_live],
            "neighbour_live": [None] * units,
        },
        schema_overrides={"first_live": pl.Date, "neighbour_live": pl.Date},
    )
    return Built(panel, table, {"incidents": int(panel.counts.sum())}, {}, diagnose(panel, {}))
