"""What the estimators that can be tested by re-assigning go-live dates share: tables, strata, seeds, words.

Dates, never among them, are dealt out anew among the units of a city that are observed in the same periods (a control
that leaves the panel when its own camera comes cannot have had another's date). The numbers of units that go live in
each period stay, in every such stratum. The statistic is computed again for each assignment, inside the city; what
leaves is the rank of the city's own (`numerics.randomisation.field_of`, 7 numbers), never a draw.

Draws follow from the study's hash and the city's name: the city can repeat them, and nobody can choose them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from evalkit.core.design import Design, design_of
from evalkit.core.estimate import Estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Study, study_hash
from evalkit.errors import EstimationError
from evalkit.estimators._group_time import event_times, starts_of, target_weights
from evalkit.numerics.group_time import cells_of
from evalkit.numerics.randomisation import FIELD, Randomised, field_of, randomised, rank, slots_of
from evalkit.numerics.studentised import (
    GroupTimeT,
    RateRatioT,
    ScoreT,
    Table,
    blocks_of_table,
)

__all__ = [
    "P_VALUE",
    "group_time_field",
    "rate_ratio_field",
    "score_field",
    "seed_of",
    "with_randomisation",
    "with_randomisation_of_cities",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

P_VALUE: Final = "p_value_randomisation"
"""Of an estimate's details; with a city's name after another underscore, that city's."""

DIGITS: Final = 12
"""Significant digits in which exposures are compared."""


class _Prepared(Protocol):
    def prepare(self) -> Callable[[Integers], Floats]:
        """The function of (D, U) orders."""


def seed_of(study: Study, site: str) -> int:
    """Of a city's draws: the first 128 bits of a SHA-256 over the study's hash and the city's name."""
    digest = hashlib.sha256(f"randomisation {study_hash(study)} {site}".encode()).digest()
    return int.from_bytes(digest[:16], "big")


def group_time_field(city: Panel, design: Design, study: Study) -> Floats:
    """(7,) `field_of` the overall group-time effect over its standard error."""
    table = _table(city, design, study, proportional=False)
    analysis = study.analysis
    cells = cells_of(blocks_of_table(table), analysis.control_group, analysis.base_period)
    weights = target_weights(cells, analysis, design.outcome.shape[1])
    overall = np.ones(weights.shape[1], dtype=bool)
    if analysis.aggregation == "dynamic":
        overall = event_times(analysis) >= 0
    statistic = GroupTimeT(table, cells, weights, overall, analysis.scale)
    return _field(table, statistic, study, design.site)


def score_field(city: Panel, design: Design, study: Study) -> Floats:
    """(7,) `field_of` the score statistic of one Poisson effect."""
    table = _table(city, design, study, proportional=True)
    return _field(table, ScoreT(table), study, design.site)


def rate_ratio_field(city: Panel, design: Design, study: Study) -> Floats:
    """(7,) `field_of` the log rate ratio of four totals over its standard error."""
    table = _table(city, design, study, proportional=False)
    target, observed = table.first != NEVER, table.observed
    covered = observed.any(axis=0)
    statistic = RateRatioT(
        table,
        before=(observed[target] & ~table.live[target]).all(axis=0),
        after=(observed[target] & table.live[target]).all(axis=0),
        control=~target & observed[:, covered].all(axis=1),
        dispersion=study.analysis.dispersion,
        add_half=study.analysis.zero_cells == "add_half",
    )
    return _field(table, statistic, study, design.site)


def with_randomisation(found: Estimate, study: Study, fields: Mapping[str, Floats]) -> Estimate:
    """The estimate with the randomisation test in its details and notes; itself if the study asks for none.

    Args:
        found: the estimate.
        study: of the estimate.
        fields: summed over cities; ``randomisation`` is that of `field_of`.

    Raises:
        EstimationError: the field is missing, or is not one of every city.
    """
    if not study.analysis.reassignments:
        return found
    total = _checked(fields, len(found.contributors))
    test = randomised(total)
    details = {
        **found.details,
        P_VALUE: test.p_value,
        "randomisation_smallest_p": test.smallest,
        "randomisation_assignments": float(test.compared),
        "randomisation_few": float(test.few),
    }
    return replace(found, details=details, notes=(*found.notes, *_notes(test, found.level)))


def with_randomisation_of_cities(
    found: Estimate, study: Study, parts: Mapping[tuple[str, ...], Mapping[str, Floats]]
) -> Estimate:
    """`with_randomisation` where every city sent its own field; each city's p-value is then in the details too.

    Raises:
        EstimationError: see there.
    """
    if not study.analysis.reassignments:
        return found
    fields = {names[0]: _checked(part, 1) for names, part in parts.items()}
    total = np.sum(np.stack(list(fields.values())), axis=0)
    of_cities = {f"{P_VALUE}_{site}": randomised(field).p_value for site, field in fields.items()}
    both = with_randomisation(found, study, {"randomisation": total})
    return replace(both, details={**both.details, **of_cities})


def _checked(fields: Mapping[str, Floats], places: int) -> Floats:
    """The field, if it is one that ``places`` cities can have sent."""
    total = fields.get("randomisation", np.empty(0))
    if (
        total.shape != (FIELD,)
        or total[6] != places
        or total[1] < 0
        or not 1 <= total[2] <= total[3]
    ):
        raise EstimationError(
            "a city's randomisation test is missing or does not fit the study",
            limit=f"{FIELD} numbers of every city",
            way_out="use the same evalkit version at the server and at every city",
        )
    return total


def _field(table: Table, statistic: _Prepared, study: Study, site: str) -> Floats:
    """Rank own among the assignments of one city."""
    random = np.random.default_rng(seed_of(study, site))
    numbers = table.outcome.size + table.observed.size * 2
    ranked = rank(table.slots, statistic.prepare(), study.analysis.reassignments, random, numbers)
    return field_of(ranked, table.slots, study.analysis.level)


def _table(city: Panel, design: Design, study: Study, *, proportional: bool) -> Table:
    """One city's units in the order of their names, so that the order of rows decides nothing.

    Args:
        city: panel of the city.
        design: of the same panel.
        study: of both.
        proportional: whether units of a stratum must have proportional exposure, or only be observed together.
    """
    used = (city.role == Role.TREATED) | (city.role == Role.CONTROL)
    never = np.full(city.n_units, NEVER)
    (bare,) = design_of(replace(city, first_live=never, last_live=never), study)
    order = np.argsort(city.unit_ids[used], kind="stable")
    exposure = bare.exposure[order]
    key = (exposure > 0).astype(np.float64)
    if proportional:
        key = np.round(exposure / np.maximum(exposure.max(axis=1, keepdims=True), 1e-300), DIGITS)
    _, stratum = np.unique(key, axis=0, return_inverse=True)
    stratum = stratum.ravel().astype(np.int64)
    start = starts_of(design, study)[order]
    first = design.first_live[order]
    _, block = np.unique(np.stack([stratum, first, start]), axis=1, return_inverse=True)
    slots = slots_of(block.ravel().astype(np.int64), stratum)
    member = slots.units[slots.starts]
    return Table(
        outcome=bare.outcome[order],
        exposure=exposure,
        slots=slots,
        first=first[member],
        start=start[member],
        observed=design.exposure[order][member] > 0,
        live=design.treated[order][member] > 0,
    )


def _notes(test: Randomised, level: float) -> tuple[str, ...]:
    """What the p-value is, and how small it can be."""
    if math.isnan(test.p_value):
        return (
            f"{P_VALUE} cannot be computed: no two units with different go-live dates are observed in the same periods",
        )
    one = test.places == 1
    where = "" if one else " in any city"
    how = "" if one else "; cities are put together by the scores of their ranks"
    notes = [
        (
            f"{P_VALUE} tests that cameras changed nothing at any place{where}, by re-assigning go-live dates "
            f"inside each city ({test.compared} assignments compared{how}); it holds if other places could as well "
            "have got the dates"
        )
    ]
    if not one:
        notes.append(
            f"{P_VALUE} may be small because of one city: it is no test of the cities' mean, and nothing follows for a "
            "further one"
        )
    if test.few:
        few = "this city has" if one else f"{test.few} of {test.places} cities have"
        most = f"{1 / (1 - level):.0f}"
        reach = (
            f"{P_VALUE} cannot be below {test.smallest:.2g}"
            if one
            else f"with every city at its most extreme {P_VALUE} would be {test.smallest:.2g}"
        )
        notes.append(f"{few} fewer than {most} assignments to compare: {reach}")
    return tuple(notes)
