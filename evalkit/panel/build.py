"""Incident and camera rows become one city's panel: every cell filled, every row accounted for.

Which places are units depends on all incidents of the window, not on the study's crime types only:
a cell with burglaries and no robbery has a robbery count of zero.

Exposure is 1 in every cell: a unit is observed for the whole of every period, and what periods
differ by (28 or 31 days) all units of a city share, so that city × period effects absorb it. It is 0
in periods that the incidents do not cover (`evalkit.panel.coverage`), where a unit's cameras were
removed, and where a control's own camera comes after the study's adoption dates
(`evalkit.panel.cohorts`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.frames import ATTRIBUTE
from evalkit.core.panel import Panel, Role
from evalkit.core.study import Matching, Study, Units, matching_of
from evalkit.panel.account import account_of, facts_of
from evalkit.panel.balance import Balance, balance_of
from evalkit.panel.built import Built
from evalkit.panel.checks import check_areas, check_design, check_places, check_rows, check_size
from evalkit.panel.cohorts import Cohorts, cohorts, role_names
from evalkit.panel.covariates import Covariates, covariates_of
from evalkit.panel.coverage import Coverage, covered
from evalkit.panel.diagnostics import diagnose
from evalkit.panel.dose import attributes_of_units, doses
from evalkit.panel.matching import Matched, match_units
from evalkit.panel.periods import period_starts
from evalkit.panel.projection import Projection, city_projection, unproject
from evalkit.panel.rows import Rows, window_rows
from evalkit.panel.sites import Cameras, place_cameras
from evalkit.panel.zones.area import area_zones
from evalkit.panel.zones.catchment import catchment_zones
from evalkit.panel.zones.grid import grid_zones
from evalkit.panel.zones.hexagon import hexagon_zones
from evalkit.panel.zones.polygon import polygon_zones
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, Zoning

__all__ = ["MAX_CELLS", "Built", "build_from_rows", "build_panel"]

MAX_CELLS: Final = 200_000_000
"""Largest array of counts: 1.6 GB as 64-bit integers, which an ordinary machine holds twice."""

Complete = tuple[dt.date | None, dt.date | None]

ZONES: Final[dict[str, Callable[[Incidents, Cameras, Units], Zoning]]] = {
    "grid": grid_zones,
    "catchment": catchment_zones,
    "hexagon": hexagon_zones,
}


def build_panel(
    incidents: pl.DataFrame,
    cameras: pl.DataFrame,
    study: Study,
    *,
    site_name: str,
    bounds: tuple[float, float, float, float],
    study_hash: str,
    fingerprint: str,
    areas: pl.DataFrame | None = None,
    complete: Complete = (None, None),
) -> Built:
    """Build one city's panel for one study.

    Args:
        incidents: keeps the contract `evalkit.core.frames.INCIDENTS`.
        cameras: keeps the contract `evalkit.core.frames.CAMERAS`.
        study: a checked study (`check_study`).
        site_name: the city's name.
        bounds: west, south, east, north of the city in degrees; coordinates outside are not usable.
        study_hash: `study_hash(study)`, stamped on the panel.
        fingerprint: SHA-256 of the sources, stamped on the panel.
        areas: keeps the contract `evalkit.core.frames.AREAS`; for studies of polygons.
        complete: first and last day on which the incidents are complete; None where the source does not say.

    Raises:
        TaxonomyError: none of the study's crime types occurs in the city.
        EmptyWindowError: no incident of these types in the window.
        NothingToTestError: no unit goes live inside the window with a before and an after.
        NoControlError: no unit to compare them with.
        PanelError: the study's units need places the rows lack, the panel would be too large, or a covariate
            that controls are to be matched on is not known.
        MissingExtraError: the study matches controls and scikit-learn is not installed.
    """
    return build_from_rows(
        window_rows(incidents, study, city_projection(bounds), bounds),
        cameras,
        study,
        site_name=site_name,
        study_hash=study_hash,
        fingerprint=fingerprint,
        areas=areas,
        complete=complete,
    )


def build_from_rows(
    rows: Rows,
    cameras: pl.DataFrame,
    study: Study,
    *,
    site_name: str,
    study_hash: str,
    fingerprint: str,
    areas: pl.DataFrame | None = None,
    complete: Complete = (None, None),
) -> Built:
    """As `build_panel`, from incidents that were counted already (`evalkit.panel.tally`)."""
    where = f"site {site_name}, study {study.name}"
    check_rows(rows.seen, cameras, study, where)
    projection = rows.places.projection
    placed = place_cameras(cameras, projection, rows.places.bounds)
    check_places(rows, placed, study, where)

    zoning = _zoning(rows.places, placed, study, areas, where)
    found = cohorts(
        zoning.first,
        zoning.undated,
        zoning.gone,
        zoning.ring,
        study.window,
        study.treatment,
        study_hash,
    )
    coverage = covered(study.window, rows.seen, *complete)
    check_design(found, study, where)

    names = tuple(dict.fromkeys(study.outcome.crime_types))
    check_size(len(names), len(zoning.ids), found.periods, MAX_CELLS, where)
    panel = Panel(
        sites=(site_name,),
        crime_types=names,
        periods=period_starts(study.window),
        unit_ids=np.array(zoning.ids, dtype=np.str_),
        site_of_unit=np.zeros(len(zoning.ids), dtype=np.int64),
        role=found.role,
        ring=zoning.ring.astype(np.int64),
        first_live=found.first_live,
        last_live=found.last_live,
        counts=_count(
            rows, rows.of_places(zoning.unit), (len(names), len(zoning.ids), found.periods)
        ),
        exposure=_exposure(found, coverage),
        study=study_hash,
        fingerprint=fingerprint,
    )
    matching = matching_of(study)
    known = covariates_of(panel, zoning.xy, matching)
    matched = _match(panel, known, matching, where)
    balance = _balance(panel, known, matched)
    facts = facts_of(zoning, found, placed, rows, study) | {
        "periods before the data begin": coverage.before,
        "periods after the data end": coverage.after,
    }
    if matched is not None:
        panel = replace(panel, role=matched.role)
        found = replace(found, role=matched.role)
        facts |= matched.facts
    return Built(
        panel=panel,
        units=_unit_table(zoning, found, projection).with_columns(
            pl.Series(f"{ATTRIBUTE}{name}", values, dtype=pl.String)
            for name, values in attributes_of_units(zoning, placed).items()
        ),
        account=account_of(panel, zoning, rows),
        facts=facts,
        diagnostics=diagnose(panel, facts, balance),
        balance=balance,
        dose=doses(zoning, placed, study.window),
    )


def _exposure(found: Cohorts, coverage: Coverage) -> NDArray[np.float64]:
    """(U, T) 1 where a cell is used, else 0."""
    period = np.arange(found.periods)
    return ((period < found.used_until[:, None]) & coverage.used).astype(np.float64)


def _zoning(
    places: Incidents, cameras: Cameras, study: Study, areas: pl.DataFrame | None, where: str
) -> Zoning:
    units = study.units
    if units.kind == "area":
        return area_zones(places, cameras, study.treatment.min_cameras)
    if units.kind != "polygon":
        return ZONES[units.kind](places, cameras, units)
    return polygon_zones(places, cameras, units, check_areas(areas, where))


def _match(panel: Panel, known: Covariates, matching: Matching, where: str) -> Matched | None:
    if matching.method == "none":
        return None
    return match_units(panel.role, panel.unit_ids, known, matching, where)


def _balance(panel: Panel, known: Covariates, matched: Matched | None) -> tuple[Balance, ...]:
    """Of all treated units and controls, and of those that the matching kept."""
    groups = panel.role == Role.TREATED, panel.role == Role.CONTROL
    kept = None if matched is None else matched.role == panel.role
    return balance_of(known.names, known.values, *groups, kept)


def _count(rows: Rows, unit: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """(C, U, T) incidents; a cell that no incident falls into is a zero."""
    counted = rows.asked & (unit != OUTSIDE)
    cell = np.ravel_multi_index(
        (rows.crime_type[counted], unit[counted], rows.period[counted]), shape
    )
    counts = np.zeros(shape, dtype=np.int64)
    np.add.at(counts.reshape(-1), cell, rows.weight[counted])
    return counts


def _unit_table(zoning: Zoning, found: Cohorts, projection: Projection) -> pl.DataFrame:
    longitude, latitude = unproject(projection, zoning.xy[:, 0], zoning.xy[:, 1])
    return pl.DataFrame(
        {
            "unit": pl.Series(zoning.ids, dtype=pl.String),
            "role": pl.Series(role_names(found.role), dtype=pl.String),
            "ring": pl.Series(zoning.ring, dtype=pl.Int64),
            "first_live": pl.Series(zoning.first, dtype=pl.Date),
            "x": zoning.xy[:, 0],
            "y": zoning.xy[:, 1],
            "longitude": longitude,
            "latitude": latitude,
            "cameras": zoning.cameras,
            "neighbour_live": pl.Series(zoning.neighbour, dtype=pl.Date),
        }
    ).with_columns(pl.col("x", "y", "longitude", "latitude").fill_nan(None))
