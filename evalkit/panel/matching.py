"""Controls like the treated units: for each, the nearest ones before anybody had a camera.

Vocabulary
    distance  between a treated unit and a control, in standard deviations: of the covariates, each
              standardised over treated units and controls (``nearest``, Euclidean), or of the logit of the
              propensity score, √((s²_treated + s²_control) / 2) as in Austin (2011) (``propensity``).
    caliper   the largest distance at which a control is still one.
    greedy    of all pairs still possible the closest is formed first (one of the orders that Austin 2014
              finds alike). With a ratio of k this is done k times, so that every treated unit has its first
              control before any has a second.

There is no chance in it: units are put in the order of their names, so equal distances go to the first name, and
the order of rows changes nothing, to the last bit. Outcomes after the first go-live are never seen here.

The estimators carry no weights, so every unit counts once. Without replacement that is what matching means; with
replacement a control that was taken by several treated units is still one unit, and the balance counts it so.

scikit-learn is an extra and is imported when a study asks for matching.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.panel import Role
from evalkit.core.study import Matching
from evalkit.errors import MissingExtraError, NoControlError, PanelError
from evalkit.panel.covariates import Covariates

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

__all__ = ["Matched", "match", "match_units"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Nearest = tuple[Floats, Integers]
"""Distances and positions of some nearest controls."""

FIRST_LOOK: Final = 32
"""Neighbours looked up at first; four times as many whenever they are used up."""

MOST_STEPS: Final = 1_000
"""Of the logistic regression's solver; standardised covariates need about ten."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """What the matching made of U units.

    Attributes:
        role: (U,) `Role` values; treated units without a match and controls without one are set apart.
        pairs: (M, 2) treated unit and its control, as positions.
        facts: counts by name; see `evalkit.panel.notes`.
    """

    role: Integers
    pairs: Integers
    facts: Mapping[str, int]


def match_units(
    role: Integers, unit_ids: NDArray[np.str_], known: Covariates, matching: Matching, where: str
) -> Matched:
    """Match one city's treated units to its controls, and set the others apart.

    Args:
        role: (U,) `Role` values.
        unit_ids: (U,) unique names.
        known: their covariates.
        matching: of the study; its method is not none.
        where: city and study, for messages.

    Raises:
        NoControlError: no control, or none within the caliper of any treated unit.
        PanelError: a covariate is not known of every unit, or none can be computed.
        MissingExtraError: scikit-learn is not installed.
    """
    treated, control = role == Role.TREATED, role == Role.CONTROL
    _check(treated, control, known, matching, where)
    pairs = match(known.values, treated, control, unit_ids, matching)
    if not len(pairs):
        raise NoControlError(
            "no control lies within the caliper of any treated unit",
            where=where,
            limit=f"a distance of {matching.largest_distance:g} standard deviations or less",
            way_out="raise [matching] caliper, or name fewer covariates; if treated places have no like "
            "without a camera, this city cannot answer by matching",
        )
    matched = np.zeros(len(role), dtype=bool)
    matched[pairs.ravel()] = True
    uses = np.bincount(pairs[:, 1], minlength=len(role))
    controls_of = np.bincount(pairs[:, 0], minlength=len(role))
    left_out = (treated | control) & ~matched
    return Matched(
        role=np.where(left_out, int(Role.SET_APART), role).astype(np.int64),
        pairs=pairs,
        facts={
            "periods that units were matched on": known.periods,
            "treated units with a match": int((treated & matched).sum()),
            "treated units without a match": int((treated & ~matched).sum()),
            "treated units with fewer controls than asked": int(
                ((controls_of > 0) & (controls_of < matching.ratio)).sum()
            ),
            "matched controls": int((control & matched).sum()),
            "controls not taken by the matching": int((control & ~matched).sum()),
            "controls of several treated units": int((uses > 1).sum()),
        },
    )


def match(
    values: Floats,
    treated: Mask,
    control: Mask,
    unit_ids: NDArray[np.str_],
    matching: Matching,
) -> Integers:
    """Pairs of treated unit and control, (M, 2) positions, in the order of the treated units' names.

    Args:
        values: (U, P) covariates, finite for treated units and controls.
        treated: (U,) at least one.
        control: (U,) at least one.
        unit_ids: (U,) unique names.
        matching: of the study.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    by_name = np.argsort(unit_ids, kind="stable")
    first, second = by_name[treated[by_name]], by_name[control[by_name]]
    places, others = _places(values[first], values[second], matching.method)
    walks = _walks(places, others, matching.largest_distance)
    take = _with_replacement if matching.replacement else _without_replacement
    found = sorted(take(walks, len(others), matching.ratio))
    rows = np.array(found, dtype=np.int64).reshape(-1, 2)
    return np.column_stack([first[rows[:, 0]], second[rows[:, 1]]])


class _Outwards:
    """One treated unit's controls from the nearest outwards, equals in the order of their names."""

    __slots__ = ("_at", "_count", "_distance", "_known", "_limit", "_look", "_order", "_place")

    def __init__(
        self, look: NearestNeighbors, place: Floats, count: int, limit: float, first: Nearest
    ) -> None:
        self._look, self._place, self._count, self._limit = look, place, count, limit
        self._at = 0
        self._put(*first)

    def next(self, free: Mask) -> tuple[float, int] | None:
        """Distance and position of the next control that is free; None if none lies within the caliper."""
        while True:
            ahead = np.flatnonzero(free[self._order[self._at : self._known]])
            if len(ahead):
                here = self._at + int(ahead[0])
                if self._distance[here] > self._limit:
                    return None
                self._at = here + 1
                return float(self._distance[here]), int(self._order[here])
            self._at = self._known
            if len(self._order) == self._count or self._beyond():
                return None
            self._look_further()

    def _beyond(self) -> bool:
        return bool(self._distance[-1] > self._limit)

    def _look_further(self) -> None:
        number = min(4 * len(self._order), self._count)
        distance, order = self._look.kneighbors(self._place[None], number)
        self._put(distance[0], order[0])

    def _put(self, distance: Floats, order: Integers) -> None:
        by_distance = np.lexsort((order, distance))
        self._distance: Floats = distance[by_distance]
        self._order: Integers = order[by_distance]
        # As far away as the last there may be others that were not returned: their names decide.
        all_known = len(order) == self._count
        self._known = (
            self._count if all_known else int(np.searchsorted(self._distance, self._distance[-1]))
        )


def _without_replacement(
    walks: list[_Outwards], controls: int, ratio: int
) -> Iterable[tuple[int, int]]:
    free = np.ones(controls, dtype=bool)
    still = list(range(len(walks)))
    for _ in range(ratio):
        heap: list[tuple[float, int, int]] = []
        for unit in still:
            _push(heap, unit, walks[unit].next(free))
        still = []
        while heap:
            _, unit, control = heapq.heappop(heap)
            if free[control]:
                free[control] = False
                still.append(unit)
                yield unit, control
            else:
                _push(heap, unit, walks[unit].next(free))
        still.sort()


def _push(heap: list[tuple[float, int, int]], unit: int, found: tuple[float, int] | None) -> None:
    if found is not None:
        heapq.heappush(heap, (found[0], unit, found[1]))


def _with_replacement(
    walks: list[_Outwards], controls: int, ratio: int
) -> Iterable[tuple[int, int]]:
    free = np.ones(controls, dtype=bool)
    for unit, walk in enumerate(walks):
        for _ in range(ratio):
            found = walk.next(free)
            if found is None:
                break
            yield unit, found[1]


def _places(treated: Floats, control: Floats, method: str) -> tuple[Floats, Floats]:
    """(T, D) and (C, D): where the units lie, so that Euclidean distance is the method's distance."""
    linear_model, _, preprocessing = _scikit_learn()
    everyone = np.concatenate([treated, control])
    standard: Floats = preprocessing.StandardScaler().fit_transform(everyone)
    if method == "propensity":
        group = np.repeat([1, 0], [len(treated), len(control)])
        # The default ridge (C = 1) keeps the logit finite where a covariate separates the groups.
        model = linear_model.LogisticRegression(max_iter=MOST_STEPS).fit(standard, group)
        logit = np.asarray(model.decision_function(standard), dtype=np.float64)[:, None]
        spread = math.sqrt((_variance(logit[group == 1]) + _variance(logit[group == 0])) / 2)
        standard = logit / spread if spread > 0 else logit
    return standard[: len(treated)], standard[len(treated) :]


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _walks(treated: Floats, control: Floats, limit: float) -> list[_Outwards]:
    """One for each treated unit, all looked up once together.

    A tree and not the matrix product of brute force, whose rounding would tell equal distances apart.
    """
    _, neighbors, _ = _scikit_learn()
    look: NearestNeighbors = neighbors.NearestNeighbors(algorithm="kd_tree").fit(control)
    distance, order = look.kneighbors(treated, min(FIRST_LOOK, len(control)))
    return [
        _Outwards(look, place, len(control), limit, (distance[unit], order[unit]))
        for unit, place in enumerate(treated)
    ]


def _scikit_learn() -> tuple[Any, Any, Any]:
    try:
        from sklearn import linear_model, neighbors, preprocessing
    except ImportError:
        raise MissingExtraError(
            "the study matches controls, which needs scikit-learn",
            where="[matching]",
            limit="scikit-learn 1.7 or later",
            way_out="pip install 'evalkit[matching]'",
        ) from None
    return linear_model, neighbors, preprocessing


def _check(treated: Mask, control: Mask, known: Covariates, matching: Matching, where: str) -> None:
    if not control.any():
        raise NoControlError(
            "the study matches controls, and no unit is left as one",
            where=where,
            limit="one control or more; units that go live later are not matched",
            way_out='use units.controls = "lattice", smaller units or a smaller ring_m, or no [matching]',
        )
    if not known.names:
        raise PanelError(
            f"none of {', '.join(matching.covariates)} can be computed",
            where=where,
            limit="a trend takes two periods before the first go-live",
            way_out="start the study's window earlier, or match on the level",
        )
    if not np.isfinite(known.values[treated | control]).all():
        raise PanelError(
            "a covariate of [matching] is not known of every treated unit and control",
            where=where,
            limit="numbers for all of them",
            way_out="leave x and y out of the covariates",
        )
