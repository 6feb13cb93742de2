"""What makes a panel impossible, said before anything is counted."""

from __future__ import annotations

import numpy as np
import polars as pl

from evalkit.core.panel import Role
from evalkit.core.study import Study
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import (
    EmptyWindowError,
    NoControlError,
    NothingToTestError,
    PanelError,
    TaxonomyError,
)
from evalkit.panel.cohorts import Cohorts
from evalkit.panel.rows import Rows, Seen
from evalkit.panel.sites import Cameras

__all__ = ["check_areas", "check_design", "check_places", "check_rows", "check_size"]


def check_rows(seen: Seen, cameras: pl.DataFrame, study: Study, where: str) -> None:
    """Refuse a city without cameras or without any incident of the study's crime types.

    Raises:
        NothingToTestError: no camera.
        TaxonomyError: incidents, but none of the study's crime types.
    """
    if cameras.is_empty():
        raise NothingToTestError(
            "no camera was read",
            where=where,
            limit="one camera or more",
            way_out="look at the account of rejected rows from `evalkit site check`",
        )
    if not seen.read or seen.crime_types & set(study.outcome.crime_types):
        return
    # Names outside the taxonomy are data, so they are not repeated.
    known = sorted(seen.crime_types & set(CRIME_TYPES))
    raise TaxonomyError(
        f"the city has no incident of {', '.join(study.outcome.crime_types)}",
        where=where,
        limit=f"a type that its data hold: {', '.join(known) or 'none of the taxonomy'}",
        way_out="map the city's categories to the study's types in [incidents.crime_types] of the "
        "site file, or leave this city out of the study",
    )


def check_places(rows: Rows, cameras: Cameras, study: Study, where: str) -> None:
    """Refuse a window without incidents, and rows none of which can be placed.

    Rows of which a few cannot be placed are counted in the account instead.

    Raises:
        EmptyWindowError: no incident of the study's crime types in the window.
        PanelError: no incident or no camera has a place that the study's units need.
    """
    if not rows.asked.any():
        raise _empty_window(rows.seen, study, where)
    kind = study.units.kind
    usable_cameras = cameras.area.is_not_null().any() if kind == "area" else cameras.located.any()
    for name, usable in (("incidents", rows.placed.any()), ("cameras", usable_cameras)):
        if usable:
            continue
        if kind == "area":
            raise PanelError(
                f"the study counts areas, and none of the {name} names one",
                where=where,
                limit="an area in every row",
                way_out=f"name the column as [{name}.columns] area in the site file, or use "
                'units.kind = "grid" or "catchment", which need coordinates only',
            )
        raise PanelError(
            f"the study counts in metres ({kind}), and none of the {name} has coordinates inside "
            "the city's bounds",
            where=where,
            limit="longitude and latitude in every row",
            way_out=f"name the columns in [{name}.columns] and check [city] bounds in the site "
            'file, or use units.kind = "area"',
        )


def check_areas(areas: pl.DataFrame | None, where: str) -> pl.DataFrame:
    """The polygons of a study of polygons.

    Raises:
        PanelError: there are none.
    """
    if areas is None or areas.is_empty():
        raise PanelError(
            "the study counts polygons, and the city has none",
            where=where,
            limit="one usable polygon or more",
            way_out="name their file as [areas] files in the site file and look at its account with "
            '`evalkit site check`, or use units.kind = "grid", which needs none',
        )
    return areas


def check_design(found: Cohorts, study: Study, where: str) -> None:
    """Refuse a panel without a before and after, or without a comparison.

    Units that go live later may stand in for controls, so treated units of two cohorts suffice.

    Raises:
        NothingToTestError: no treated unit has a period before its go-live and one after it.
        NoControlError: no control, and all treated units go live in the same period.
    """
    window, drop = study.window, study.treatment.transition == "drop"
    treated = found.role == Role.TREATED
    first, end = found.first_live[treated], found.last_live[treated]
    if not (end + drop < found.used_until[treated]).any():
        raise NothingToTestError(
            "no unit has a camera that goes live inside the window, with a period before and one "
            "after",
            where=where,
            limit=f"a live date after the first {window.period} of {window.start} to {window.end}, "
            "inside the adoption dates"
            + (", and before the last" if drop else "")
            + (", washout included" if study.treatment.washout_periods else ""),
            way_out="widen the study's window or its adoption dates, or check the live dates with "
            "`evalkit site check`",
        )
    if not (found.role == Role.CONTROL).any() and len(np.unique(first)) == 1:
        raise NoControlError(
            "no unit is left as a control, and all treated units go live in the same period",
            where=where,
            limit="one control or more, or treated units that go live later than others",
            way_out='for catchments use units.controls = "lattice" or a smaller ring_m; for a grid '
            "smaller cells or a smaller ring_m; for areas smaller areas",
        )


def check_size(crime_types: int, units: int, periods: int, limit: int, where: str) -> None:
    """Refuse an array that would not fit in memory.

    Raises:
        PanelError: more than ``limit`` cells.
    """
    if crime_types * units * periods > limit:
        raise PanelError(
            f"the panel would have {crime_types} crime types × {units} units × {periods} periods",
            where=where,
            limit=f"{limit} cells",
            way_out="use longer periods, larger cells, or fewer crime types",
        )


def _empty_window(seen: Seen, study: Study, where: str) -> EmptyWindowError:
    coverage = (
        f"the city's incidents run from {seen.first:%Y-%m} to {seen.last:%Y-%m}"
        if seen.first and seen.last
        else "the city has no incident at all"
    )
    return EmptyWindowError(
        f"no incident of the study's crime types from {study.window.start} to {study.window.end}",
        where=where,
        limit=f"incidents inside the window; {coverage}",
        way_out="move the study's window, or read the files that cover it",
    )
