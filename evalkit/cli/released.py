"""What a run's releases say of incidents where cameras were live: nothing is asked of a city again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.disclosure.release import parse_release
from evalkit.federation.run_folder import RunFolder

__all__ = ["YEARS_OF_A_PERIOD", "TreatedTotals", "treated_totals"]

YEARS_OF_A_PERIOD: Final = {
    "day": 1 / 365.25,
    "week": 7 / 365.25,
    "month": 1 / 12,
    "quarter": 1 / 4,
    "year": 1.0,
}

Fields = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class TreatedTotals:
    """Incidents in treated units after go-live, and the unit-years in which they were counted."""

    incidents: float
    unit_years: float


def treated_totals(run: RunFolder) -> TreatedTotals | None:
    """Totals of all contributing cities, or None if the estimator's releases do not hold them.

    ``rate_ratio`` releases the four totals, the static ``poisson_did`` exposure and incidents of its one
    coefficient; an effect alone, as of ``random_effects``, tells no number of incidents.
    """
    study = run.study()
    if study.federation.secure:  # only the sum over all cities can be read
        return _together([_of_city(one) for one in run.last_releases()], study)
    latest: dict[str, tuple[int, Statistics]] = {}
    for name in sorted(run.read("releases.json")):
        statistics = parse_release((run.path / "releases" / Path(name).name).read_bytes())
        latest[statistics.sites[0]] = (int(name[:3]), statistics)
    return _together([_of_city(statistics) for _, statistics in latest.values()], study)


def _together(totals: Sequence[tuple[float, float] | None], study: Study) -> TreatedTotals | None:
    """Of all of them, or None if one is not known."""
    known = [one for one in totals if one is not None]
    if not known or len(known) < len(totals):
        return None
    incidents, units = np.sum(known, axis=0).tolist()
    return TreatedTotals(incidents, units * YEARS_OF_A_PERIOD[study.window.period])


def _of_city(statistics: Statistics) -> tuple[float, float] | None:
    """Incidents and unit-periods after go-live."""
    (fields,) = statistics.parts.values()
    if statistics.estimator == "rate_ratio":
        return float(fields["totals"][1]), float(fields["exposure"][1])
    columns = fields.get("columns")
    if statistics.estimator == "poisson_did" and columns is not None and columns.shape[1] == 1:
        return float(columns[1, 0]), float(columns[0, 0])
    return None
