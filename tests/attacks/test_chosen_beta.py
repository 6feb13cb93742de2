"""A server that picks β: one that singles a unit out, many that rebuild rows; and what the gate leaves of it."""

from __future__ import annotations

import numpy as np
import pytest

from evalkit.attacks.cohort_totals import cohort_totals
from evalkit.attacks.extreme_beta import isolating, logistic_weights, lone_count
from evalkit.attacks.figure import figure_of, public_of
from evalkit.attacks.many_betas import negative_binomial, poisson, rebuild_rows, score_of
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.core.event_design import columns_of, grid_of
from evalkit.core.study import study_hash
from evalkit.disclosure.questions import question_hash, review_question
from evalkit.errors import RefusalError
from evalkit.numerics.poisson import profile
from tests.attacks.conftest import Record
from tests.attacks.gated import DEFAULTS
from tests.panels import city, study

TRIALS = 1000
UNITS = 200
EVENTS = study(estimator="poisson_did", design="event_time", event_window=(-6, 9))
FEW = study(estimator="poisson_did", design="event_time", event_window=(-2, 3))


def asked(beta: np.ndarray, number: int = 0, stage: str = "score") -> Question:
    return Question(EVENTS, "poisson_did", stage, number, beta)


def passes(question: Question, entries: list[dict]) -> bool:
    try:
        review_question(question, DEFAULTS, entries, "0" * 64)
    except RefusalError:
        return False
    return True


def entry(question: Question) -> dict:
    return {
        "outcome": "released",
        "study": study_hash(question.study),
        "estimator": question.estimator,
        "round": question.round,
        "parameters": question.parameters.tolist(),
        "question": question_hash(question, "0" * 64),
    }


def allowed(random: np.random.Generator) -> list[Question]:
    """As many questions as the gate lets in, each as far from the last as it lets: corners of the trust region."""
    entries: list[dict] = []
    found: list[Question] = []
    beta = np.zeros(grid_of(EVENTS).size)
    while True:
        beta = np.clip(beta + random.choice([-2.0, 2.0], len(beta)), -30, 30)
        question = asked(beta, len(found))
        if not passes(question, entries):
            return found
        entries.append(entry(question))
        found.append(question)


def test_one_extreme_beta_is_one_unit(record: Record) -> None:
    random = np.random.default_rng(4)
    covariate = random.normal(size=UNITS)
    counts = random.poisson(random.gamma(2, 30, UNITS)).astype(float)
    guess = np.array([
        lone_count(float(counts @ logistic_weights(covariate, isolating(covariate, unit, 1e6).beta)))
        for unit in range(UNITS)
    ])  # fmt: skip
    without = figure_of(guess, counts)
    accepted = 0
    for _ in range(TRIALS):
        extreme = np.zeros(grid_of(EVENTS).size)
        extreme[random.integers(len(extreme))] = random.choice([-1, 1]) * random.uniform(2.01, 100)
        accepted += passes(asked(extreme), [])
    assert without.r_squared > 0.99
    record(
        "extreme β",
        without=f"R² {without.r_squared:.2f}, {without.exact} of {UNITS} units exact",
        with_=f"{accepted} of {TRIALS:,} let in",
    )


def test_all_the_betas_that_are_let_in(record: Record) -> None:
    """Thirty rounds at the corners of the trust region; every fifth answer is solved for single cameras' incidents."""
    random, grid = np.random.default_rng(8), grid_of(EVENTS)
    questions = allowed(random)
    assert len(questions) == DEFAULTS.max_rounds
    panel = city("alta", 12, treated=120, controls=60)
    (design,) = design_of(panel, EVENTS)
    counts = design.outcome.sum(axis=1)
    guesses = []
    for question in questions[::5]:
        (fields,) = estimator("poisson_did").summarise(panel, question).parts.values()
        found = cohort_totals(
            public_of(design), grid, question.parameters,
            fields["score"], fields["information"], fields["columns"],
        )  # fmt: skip
        if found is not None and found.rank == found.unknowns:
            guesses.append((found.totals / found.groups.sizes)[found.groups.label])
    assert guesses
    treated = design.ever_treated
    known = max(figure_of(guess[treated], counts[treated]).r_squared for guess in guesses)
    ranks = [rank_of(number) for number in (1, 30)]
    assert known < 0.05
    record(
        "many β",
        without="each is answered: cohorts' totals again and again, and a cohort of one exactly",
        with_=f"{len(questions)} let in, steps ≤ 2; R² {known:.2f} for single cameras; 30 β decide {ranks[1]} of "
        f"{CELLS} counts by cohort and period, one β {ranks[0]}",
    )


PERIODS = 8
CELLS = 4 * PERIODS


def rank_of(number: int) -> int:
    """Directions of the cohorts' counts by period that score, information and columns at so many β move."""
    panel = city("alta", 5, rate=20.0, cohorts=(2, 3, 4))
    (design,) = design_of(panel, FEW)
    grid = grid_of(FEW)
    column = columns_of(design, grid)[:, :PERIODS]
    exposure, outcome = design.exposure[:, :PERIODS], design.outcome[:, :PERIODS]
    random = np.random.default_rng(2)
    betas = [random.uniform(-1, 1, grid.size) for _ in range(number)]
    first = [int(np.flatnonzero(design.cohort == one)[0]) for one in np.unique(design.cohort)]
    upper = np.triu_indices(grid.size)

    def told(y: np.ndarray) -> np.ndarray:
        fits = [profile(y, exposure, column, beta) for beta in betas]
        return np.concatenate([
            np.concatenate([fit.score, fit.information[upper], fit.columns[1]]) for fit in fits
        ])  # fmt: skip

    rows, step = [], 1e-3
    for unit in first:
        for period in np.flatnonzero(exposure[unit] > 0):
            move = np.zeros_like(outcome)
            move[unit, period] = step
            rows.append((told(outcome + move) - told(outcome - move)) / (2 * step))
    values = np.linalg.svd(np.array(rows), compute_uv=False)
    return int((values > 1e-5 * values[0]).sum())


def test_a_link_that_is_not_canonical(record: Record) -> None:
    random = np.random.default_rng(9)
    rows, columns, questions = 100, 4, 40
    x = np.column_stack([np.ones(rows), random.normal(size=(rows, columns - 1))])
    y = random.poisson(np.exp(x @ np.array([1.5, 0.3, -0.2, 0.1])) * random.gamma(2, 0.5, rows))
    betas = [random.uniform(-2, 2, columns) for _ in range(questions)]
    found = {}
    for name, weight in (("other", negative_binomial(0.5)), ("canonical", poisson)):
        scores = [score_of(x, y.astype(float), beta, weight) for beta in betas]
        solved = rebuild_rows(x, betas, scores, weight, float(y.mean()))
        found[name] = (solved.rank, figure_of(solved.guess, y.astype(float)))
    assert found["other"][0] == rows
    assert found["canonical"][0] == columns
    record(
        "link",
        without=f"negative binomial: {questions} β give rank {found['other'][0]} of {rows}, "
        f"{found['other'][1].exact} rows exact",
        with_=f"no such model; Poisson: rank {found['canonical'][0]} of {rows}, "
        f"{found['canonical'][1].exact} rows exact",
    )


def test_no_estimator_that_is_asked_at_a_beta_has_another_link() -> None:
    """The registry: what carries parameters is Poisson, logistic or linear, all canonical."""
    from evalkit.core.discover import estimators

    carrying = {
        name
        for name, one in estimators().items()
        if len(one.first_question(study(estimator=name)).parameters)
    }
    assert carrying == {"poisson_did", "linear_did"}


@pytest.mark.parametrize("number", [30, 31, 1000])
def test_rounds_beyond_the_budget(number: int) -> None:
    assert not passes(asked(np.zeros(grid_of(EVENTS).size), number), [])
