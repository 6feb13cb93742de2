"""Every attack on a single answer that applies to it, with how near it comes: what the preview shows.

Only the city can run this, since it takes the incidents to say how near a guess is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.attacks.cluster_meat import leading_score, score_r_squared
from evalkit.attacks.cohort_totals import MOST_UNKNOWNS, cohort_totals, totals_of_groups
from evalkit.attacks.effect_alone import targets_from_effect
from evalkit.attacks.figure import Figure, figure_of, public_of
from evalkit.attacks.outright import told_outright
from evalkit.attacks.sums import solve_sums
from evalkit.core.before_after import before_after
from evalkit.core.design import Design
from evalkit.core.estimator import Question
from evalkit.core.event_design import columns_of, grid_of
from evalkit.errors import EvalkitError
from evalkit.numerics.least_squares import gram, score_residuals
from evalkit.numerics.poisson import profile, unit_scores

__all__ = ["Answer", "Finding", "attack_answer", "attack_places"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What one city would send, and what it knows itself.

    Attributes:
        question: what was asked.
        design: of the city, with its incidents.
        fields: what would leave.
        true: the same before any noise.
    """

    question: Question
    design: Design
    fields: Mapping[str, Floats]
    true: Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Finding:
    """One attack on one answer.

    Attributes:
        attack: its name.
        says: what it tried and what came out, in a sentence for the city.
        figure: how near it came.
        detail: further numbers of its own.
    """

    attack: str
    says: str
    figure: Figure
    detail: Mapping[str, float]


def attack_answer(answer: Answer) -> tuple[Finding, ...]:
    """All attacks on a single answer that apply to its estimator and stage."""
    found = (attack(answer) for attack in ATTACKS)
    return tuple(one for one in found if one is not None)


def attack_places(
    counts: Floats, treated: NDArray[np.bool_], sets: NDArray[np.bool_]
) -> Finding | None:
    """The best guess at every camera's incidents from the sums over sets of places that are known.

    Every sum is taken to be known exactly, whichever answer told it, and whether it is told or follows.

    Args:
        counts: (U,) incidents of each place.
        treated: (U,) whether there is a camera.
        sets: (Q, U) the places in each sum.

    Returns:
        None without cameras or sums.
    """
    rows = sets[sets.any(axis=1)].astype(np.float64)
    if not treated.any() or not len(rows):
        return None
    solved = solve_sums(rows, rows @ counts, float(counts.sum()) / len(counts))
    figure = figure_of(solved.guess[treated], counts[treated])
    leverage = float(solved.leverage[treated].max())
    return Finding(
        "one camera",
        f"the best guess at single cameras' incidents from {_counted(len(rows), 'sum')} over places, of this "
        f"answer and all before it that this panel's places make up: {figure.exact} of {figure.number} "
        f"within half an incident, R² {_number(figure.r_squared)}; the most that is known of one camera is "
        f"{leverage:.3f} of it",
        figure,
        {"leverage": leverage, "sums": float(len(rows))},
    )


def _outright(answer: Answer) -> Finding | None:
    told = told_outright(answer.question.estimator, answer.fields)
    true = told_outright(answer.question.estimator, answer.true)
    if told is None or true is None or not len(true.incidents):
        return None
    figure = figure_of(told.incidents, true.incidents)
    smallest = float(true.incidents.min())
    return Finding(
        "told outright",
        f"`{told.field}` holds {_counted(figure.number, 'number')} of incidents: {figure.exact} of {figure.number} as "
        f"they are; the smallest is {smallest:g}",
        figure,
        {"smallest": smallest},
    )


def _cohorts(answer: Answer) -> Finding | None:
    question, fields = answer.question, answer.fields
    if question.estimator != "poisson_did":
        return None
    grid = grid_of(question.study)
    found = cohort_totals(
        public_of(answer.design),
        grid,
        question.parameters,
        fields["score"],
        fields["information"],
        fields["columns"],
    )
    if found is None:
        says = (
            "every cohort's incidents in all periods, from `score` and `information`: not computed, as there are more "
            f"than {MOST_UNKNOWNS} cohorts and periods; with event times take them as told"
        )
        return Finding("cohort totals", says, Figure(0, 0, math.nan), {})
    truth = totals_of_groups(answer.design.outcome, answer.design, found.groups)
    cells = found.groups.exposure.sum(axis=1) * found.groups.sizes
    figure = figure_of(found.totals, truth, truth.sum() * cells / cells.sum())
    at = int(truth.argmin())
    verdict = "all follow" if found.rank == found.unknowns else "they do not follow"
    return Finding(
        "cohort totals",
        f"every cohort's incidents in all periods, from `score` and `information`: {verdict}; {figure.exact} of "
        f"{figure.number} within half an incident, R² {_number(figure.r_squared)} beyond their size; the smallest has "
        f"{truth[at]:g} incidents in {_counted(int(found.groups.sizes[at]), 'unit')}",
        figure,
        {
            "smallest": float(truth[at]),
            "rank": float(found.rank),
            "unknowns": float(found.unknowns),
        },
    )


def _meat(answer: Answer) -> Finding | None:
    if "meat" not in answer.fields:
        return None
    meat, scores = answer.fields["meat"], _scores(answer)
    if scores is None:
        return None
    if len(meat) == 1:
        square = scores[:, 0] ** 2
        share = float(square.max() / square.sum()) if square.sum() > 0 else 0.0
        says = (
            f"`meat` is one number, the sum of {len(scores)} units' squared scores; the largest is {share:.0%} of it, "
            "and nothing tells them apart"
        )
        return Finding("cluster", says, Figure(len(scores), 0, 0.0), {"largest": share})
    known = score_r_squared(leading_score(meat), scores)
    says = f"one unit's score rebuilt from `meat`, the cross-products of {len(scores)} units: R² {known:.2f} on average"
    return Finding("cluster", says, Figure(len(scores), 0, known), {})


def _scores(answer: Answer) -> Floats | None:
    """(G, K) of the city's units, as the estimator computed them."""
    question, design = answer.question, answer.design
    grid = grid_of(question.study)
    columns, beta = columns_of(design, grid), question.parameters
    if question.estimator == "poisson_did":
        return unit_scores(design.outcome, profile(design.outcome, design.exposure, columns, beta))
    if question.estimator == "linear_did":
        fit = gram(design.outcome, design.exposure, columns, grid.size)
        return score_residuals(design.outcome, beta, fit)
    return None


def _effect(answer: Answer) -> Finding | None:
    fields = answer.fields
    if "effect" not in fields or answer.question.study.analysis.scale == "count":
        return None
    effect, variance = (float(value) for value in fields["effect"][:2])
    try:
        chosen = before_after(answer.design)
    except EvalkitError:
        return None
    phases = (chosen.before, chosen.after)
    places = [np.ix_(units, phase) for units in (chosen.target, chosen.control) for phase in phases]
    exposure = np.array([answer.design.exposure[place].sum() for place in places])
    if not variance > 0 or not math.isfinite(effect):
        return None
    truth = float(sum(answer.design.outcome[place].sum() for place in places[:2]))
    guess = targets_from_effect(effect, variance, exposure)
    figure = figure_of(np.array([guess]), np.array([truth]))
    away = abs(guess / truth - 1) if truth > 0 else math.inf
    return Finding(
        "effect and variance",
        "all target units' incidents together, guessed from the effect and its variance as if counts were Poisson and "
        f"rates equal: {guess:.0f} where there are {truth:g} ({away:.0%} off)",
        figure,
        {"guess": guess, "truth": truth},
    )


ATTACKS: Final[tuple[Callable[[Answer], Finding | None], ...]] = (
    _outright,
    _cohorts,
    _meat,
    _effect,
)


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"
