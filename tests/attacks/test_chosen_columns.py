"""A server that picks columns reads every row; evalkit's questions have no place for one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from evalkit.attacks.figure import figure_of
from evalkit.attacks.sums import solve_sums
from evalkit.errors import BadMessageError
from evalkit.federation.codec import decode_question, encode_question
from tests.attacks.conftest import Record
from tests.attacks.gated import first_of
from tests.panels import study

TRIALS = 1000
ROWS = 120


def naive_site(y: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """A site that multiplies its outcome with whatever columns it is sent, as general regression services do."""
    return columns.T @ y


def by_index(random: np.random.Generator) -> np.ndarray:
    """Row indices: each question names a set of rows, none smaller than a half."""
    return (random.random((ROWS, ROWS)) < 0.75).astype(float)


def by_column(random: np.random.Generator) -> np.ndarray:
    """Columns of random numbers, named as covariates."""
    return random.normal(size=(ROWS, ROWS))


def by_formula(random: np.random.Generator) -> np.ndarray:
    """Conditions on one public covariate: z ≤ c for every c, as a formula or a filter says it."""
    z = random.uniform(size=ROWS)
    return (z[:, None] <= np.sort(z)).astype(float)


def extra(random: np.random.Generator) -> RecordDict:
    """An honest question with one thing more: a key, a record or an array, of any name."""
    content = encode_question(first_of(study(estimator="poisson_did")))
    words = (
        "columns",
        "rows",
        "row_indices",
        "formula",
        "x",
        "subset",
        "weights",
        "filter",
        "code",
    )
    word = str(random.choice(words))
    array = Array(
        dtype="float64",
        shape=(ROWS,),
        stype="evalkit.little-endian",
        data=random.random(ROWS).tobytes(),
    )
    places: tuple[Callable[[], None], ...] = (
        lambda: content.__setitem__(word, ConfigRecord({word: "y ~ x"})),
        lambda: content.__setitem__(word, ArrayRecord({word: array})),
        lambda: content.__setitem__(
            "question",
            ConfigRecord({**dict(content["question"]), word: random.integers(0, 99, 5).tolist()}),
        ),
        lambda: content.__setitem__(
            "parameters", ArrayRecord({**dict(content["parameters"]), word: array})
        ),
        lambda: content.__setitem__(
            "question", ConfigRecord({**dict(content["question"]), "estimator": f"{word}(x, 1)"})
        ),
        lambda: content.__setitem__(
            "question", ConfigRecord({**dict(content["question"]), "stage": f"rows[{word}]"})
        ),
    )
    places[int(random.integers(len(places)))]()
    return content


def test_columns_rows_and_formulas(record: Record) -> None:
    random = np.random.default_rng(11)
    y = random.poisson(random.gamma(2, 4, ROWS)).astype(float)
    known = []
    for chosen in (by_index, by_column, by_formula):
        columns = chosen(random)
        figure = figure_of(solve_sums(columns.T, naive_site(y, columns)).guess, y)
        known.append(figure.r_squared)
    accepted = 0
    for _ in range(TRIALS):
        try:
            decode_question(extra(random))
        except BadMessageError:
            continue
        accepted += 1
    assert min(known) > 1 - 1e-9
    record(
        "columns",
        without=f"R² {known[0]:.2f} by row indices, {known[1]:.2f} by columns, {known[2]:.2f} by a formula",
        with_=f"not expressible: {accepted} of {TRIALS:,} questions that carry one are read",
    )
