"""Event-time designs of poisson_did and linear_did against pyfixest, R's fixest and a slow reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, estimate
from evalkit.core.event_design import Grid, columns_of, grid_of
from evalkit.core.panel import Panel, concatenate
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.numerics.least_squares import gram, score_residuals
from evalkit.numerics.poisson import fit_margins, profile, unit_scores
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study

# Two independent solvers of one problem, both converged to below 1e-9.
ORACLE = 1e-8
# expected.json prints eight to ten decimals.
PRINTED = 2e-8
# The same sums in another order, relative to the largest entry.
SAME = 1e-12

WINDOWS = {
    "static": (-6, 12),
    "event_time": (-5, 7),
    "cohort_event_time": (-3, 4),
}


def three_cities() -> tuple[Panel, ...]:
    """Cohorts and the event times that occur differ between cities; two units have no incident."""
    panels = (
        city("alta", 1, treated=24, controls=40),
        city("brisa", 2, treated=30, controls=45, cohorts=(5, 17)),
        city("clara", 3, treated=27, controls=40, effect=-0.4, cohorts=(9, 11, 20), rate=2.0),
    )
    quiet = panels[0].counts.copy()
    quiet[:, [0, 40]] = 0
    from dataclasses import replace

    return (replace(panels[0], counts=quiet), *panels[1:])


def asked(name: str, design: str) -> Study:
    return study(estimator=name, design=design, event_window=WINDOWS[design])  # type: ignore[arg-type]


@pytest.mark.parametrize("design", sorted(WINDOWS))
# pyfixest 0.60 calls pandas in a way that pandas 3.1 deprecates; the numbers are not concerned
@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_several_cities_equal_pyfixest_with_dummies(name: str, design: str) -> None:
    import pyfixest

    panels, question = three_cities(), asked(name, design)
    grid = grid_of(question)
    frame = long_frame(panels, question, grid, silent=name == "linear_did")
    dummies = [column for column in frame.columns if column.startswith("d")]
    shared = {
        "data": frame.to_pandas(),
        "vcov": {"CRV1": "unit"},
        # none of pyfixest's small-sample factors (see test_poisson_did): our own, spelled out below
        "ssc": pyfixest.ssc(k_adj=False, G_adj=False),
        "demeaner": pyfixest.MapDemeaner(fixef_tol=1e-13),
    }
    formula = f"y ~ {' + '.join(dummies)} | unit + city_period"
    model = (
        pyfixest.fepois(formula, iwls_tol=1e-13, **shared)
        if name == "poisson_did"
        else pyfixest.feols(formula, **shared)
    )
    assert list(model.coef().index) == dummies
    found = estimate(estimator(name), question, ask_pooled(panels))
    clusters, observations = frame["unit"].n_unique(), len(frame)
    assert (found.clusters, found.observations) == (clusters, observations)
    counted = len(dummies) + frame["city_period"].n_unique()
    factor = clusters / (clusters - 1) * (observations - 1) / (observations - counted)
    weights, names = averages(frame, dummies, grid)
    assert found.terms == names
    np.testing.assert_allclose(found.effect, weights @ model.coef().to_numpy(), rtol=0, atol=ORACLE)
    covariance = factor * weights @ model._vcov @ weights.T
    np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=ORACLE)


@pytest.mark.parametrize("design", sorted(WINDOWS))
@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_pooled_equals_one_city_after_another(name: str, design: str) -> None:
    panels, question = three_cities(), asked(name, design)

    def ask(one: Question) -> list[Statistics]:
        return [estimator(name).summarise(panel, one) for panel in panels]

    pooled = estimate(estimator(name), question, ask_pooled(panels))
    split = estimate(estimator(name), question, ask)
    assert pooled.terms == split.terms
    np.testing.assert_allclose(pooled.effect, split.effect, rtol=0, atol=1e-10)
    np.testing.assert_allclose(pooled.covariance, split.covariance, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shared_exposure", [True, False])
def test_group_totals_equal_dense_arrays(shared_exposure: bool) -> None:
    """The fast sums over groups of units against (K, U, T) arrays, as a textbook would write them."""
    question = asked("poisson_did", "event_time")
    (design,) = design_of(three_cities()[0], question)
    grid = grid_of(question)
    column = columns_of(design, grid)
    random = np.random.default_rng(8)
    scale = 1.0 if shared_exposure else random.uniform(0.5, 2, design.exposure.shape)
    exposure = design.exposure * scale
    beta = random.normal(0, 0.3, grid.size)
    fit = profile(design.outcome, exposure, column, beta)
    slow = dense(design.outcome, exposure, column, beta)
    scores = unit_scores(design.outcome, fit)
    assert (len(fit.groups.starts) < 10) == shared_exposure
    for one, other in (
        (fit.score, slow.score),
        (fit.information, slow.information),
        (scores, slow.unit_scores),
        (np.array(fit.deviance), np.array(slow.deviance)),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=SAME * max(1, np.abs(other).max()) * 10)


@dataclass
class Dense:
    score: np.ndarray
    information: np.ndarray
    unit_scores: np.ndarray
    deviance: float


def dense(y: np.ndarray, exposure: np.ndarray, column: np.ndarray, beta: np.ndarray) -> Dense:
    units = y.sum(axis=1) > 0
    y, exposure, column = y[units], exposure[units], column[units]
    x = np.stack([column == k for k in range(len(beta))]).astype(float)
    mu = fit_margins(y, exposure * np.exp(np.tensordot(beta, x, axes=1)))
    n, t = y.shape
    effects = np.column_stack(
        [np.kron(np.eye(n), np.ones((t, 1))), np.kron(np.ones((n, 1)), np.eye(t))]
    )
    root = np.sqrt(mu.ravel())
    flat = x.reshape(len(beta), -1).T
    solution = np.linalg.lstsq(effects * root[:, None], flat * root[:, None], rcond=None)[0]
    rest = (flat - effects @ solution).T.reshape(x.shape)
    scores = np.einsum("kut,ut->uk", rest, y - mu)
    ratio = np.where(y > 0, np.log(np.where(y > 0, y, 1) / np.where(mu > 0, mu, 1)), 0)
    return Dense(
        scores.sum(axis=0),
        np.einsum("kut,jut->kj", rest * mu, rest),
        scores,
        float(2 * (y * ratio - (y - mu)).sum()),
    )


def test_castle_equals_fixest_feols(shared: Path, published: dict) -> None:
    frame = pl.read_csv(shared / "data/reference/did/castle.csv", null_values="NA").sort(
        "sid", "year"
    )
    y = frame["l_homicide"].to_numpy().reshape(50, 11)
    column = np.where(frame["post"].to_numpy().reshape(50, 11) > 0, 0, -1)
    effect, error = linear(y, np.ones_like(y), column, np.ones((1, 1)))
    assert effect == pytest.approx(published["castle"]["feols_l_homicide"][0], abs=1e-10)
    assert error == pytest.approx(published["castle"]["feols_l_homicide"][1], abs=1e-10)


@pytest.fixture(scope="module")
def published(shared: Path) -> dict:
    import json

    return json.loads((shared / "data/reference/did/expected.json").read_text())


@pytest.fixture(scope="module")
def df_het(shared: Path) -> dict[str, np.ndarray]:
    frame = pl.read_csv(shared / "data/reference/did/df_het.csv.gz").sort("unit", "year")
    shape = (frame["unit"].n_unique(), frame["year"].n_unique())
    live = frame["g"].to_numpy().reshape(shape)
    year = frame["year"].to_numpy().reshape(shape)
    return {
        "y": frame["dep_var"].to_numpy().reshape(shape),
        "event": np.where(live > 0, year - live, -1),
        "cohort": np.searchsorted(np.unique(live[:, 0]), live[:, 0]),
        "state": frame["state"].to_numpy().reshape(shape)[:, 0],
    }


def test_df_het_two_way_fixed_effects(df_het: dict[str, np.ndarray], published: dict) -> None:
    column = np.where(df_het["event"] >= 0, 0, -1)
    effect, error = linear(
        df_het["y"], np.ones(column.shape), column, np.ones((1, 1)), df_het["state"]
    )
    assert effect == pytest.approx(published["df_het"]["twfe"][0], abs=PRINTED)
    assert error == pytest.approx(published["df_het"]["twfe"][1], abs=PRINTED)


def test_df_het_with_leads_is_sun_and_abraham(
    df_het: dict[str, np.ndarray], published: dict
) -> None:
    column, weights = saturated(df_het["event"], df_het["cohort"], leads=True)
    effect, error = linear(df_het["y"], np.ones(column.shape), column, weights, df_het["state"])
    assert effect == pytest.approx(published["df_het"]["sunab_att"][0], abs=PRINTED)
    assert error == pytest.approx(published["df_het"]["sunab_att"][1], abs=PRINTED)


def test_df_het_without_leads_is_imputation(df_het: dict[str, np.ndarray], published: dict) -> None:
    column, weights = saturated(df_het["event"], df_het["cohort"], leads=False)
    effect, _ = linear(df_het["y"], np.ones(column.shape), column, weights, df_het["state"])
    assert effect == pytest.approx(published["df_het"]["bjs_2s_point"], abs=PRINTED)


def test_base_stagg_is_sun_and_abraham(shared: Path, published: dict) -> None:
    """With the covariate's published coefficient taken off the outcome: Frisch, Waugh and Lovell for the points."""
    frame = pl.read_csv(shared / "data/reference/did/base_stagg.csv").sort("id", "year")
    shape = (frame["id"].n_unique(), frame["year"].n_unique())
    outcome = frame["y"].to_numpy() - published["base_stagg"]["x1"][0] * frame["x1"].to_numpy()
    live = frame["year_treated"].to_numpy().reshape(shape)
    year = frame["year"].to_numpy().reshape(shape)
    event = np.where(live < 1000, year - live, -1)
    cohort = np.searchsorted(np.unique(live[:, 0]), live[:, 0])
    column, weights = saturated(event, cohort, leads=True)
    effect, _ = linear(outcome.reshape(shape), np.ones(shape), column, weights)
    assert effect == pytest.approx(published["base_stagg"]["sunab_att"][0], abs=1e-6)


def saturated(
    event: np.ndarray, cohort: np.ndarray, *, leads: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A column for each cohort and event time that occurs, and the weights of its average effect."""
    has = (event >= 0) | (leads & (event < -1))
    keys = np.where(has, cohort[:, None] * 1000 + event + 500, -1)
    names, column = np.unique(keys, return_inverse=True)
    column = column.reshape(event.shape) - 1
    cells = np.bincount(column[has], minlength=len(names) - 1).astype(float)
    cells[(names[1:] % 1000) < 500] = 0
    return column, (cells / cells.sum())[None]


def linear(
    y: np.ndarray,
    exposure: np.ndarray,
    column: np.ndarray,
    weights: np.ndarray,
    clusters: np.ndarray | None = None,
) -> tuple[float, float]:
    """Average effect and clustered error, from the numerics alone; fixest's small-sample factor."""
    size = weights.shape[1]
    fit = gram(y, exposure, column, size)
    beta = np.linalg.solve(fit.information, fit.right)
    scores = score_residuals(y, beta, fit)
    if clusters is None:
        counted = size + fit.periods
        names = np.arange(len(y))
    else:
        # units are nested in the states, so that their effects are not counted either
        counted = size + fit.periods
        names = np.unique(clusters, return_inverse=True)[1]
    summed = np.zeros((names.max() + 1, size))
    np.add.at(summed, names, scores)
    number, observations = len(summed), fit.observations
    factor = number / (number - 1) * (observations - 1) / (observations - counted)
    spread = weights @ np.linalg.inv(fit.information)
    covariance = factor * spread @ (summed.T @ summed) @ spread.T
    return float((weights @ beta)[0]), float(np.sqrt(covariance[0, 0]))


def long_frame(
    panels: tuple[Panel, ...], question: Study, grid: Grid, *, silent: bool
) -> pl.DataFrame:
    """One row per used unit-period with a dummy for each coefficient; silent units have no incident."""
    rows = []
    for design in design_of(concatenate(panels), question):
        column = columns_of(design, grid)
        for unit, (y, exposure) in enumerate(zip(design.outcome, design.exposure, strict=True)):
            if y.sum() == 0 and not silent:
                continue
            rows += [
                (
                    f"{design.site}-{unit}",
                    f"{design.site}-{t:02d}",
                    float(y[t]),
                    int(column[unit, t]),
                )
                for t in np.flatnonzero(exposure > 0)
            ]
    frame = pl.DataFrame(rows, schema=["unit", "city_period", "y", "column"], orient="row")
    present = sorted(set(frame["column"]) - {-1})
    return frame.with_columns(
        (pl.col("column") == k).cast(pl.Float64).alias(f"d{k}") for k in present
    )


def averages(
    frame: pl.DataFrame, dummies: list[str], grid: Grid
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Overall and by event time, weighted by treated cells; written out from the frame."""
    cells = np.array([frame[name].sum() for name in dummies])
    times = np.array([grid.event_times[int(name[1:]) % len(grid.event_times)] for name in dummies])
    rows, names = [np.where(times >= 0, cells, 0)], ["treated"]
    if not grid.static:
        for time in sorted(set(times.tolist())):
            rows.append(np.where(times == time, cells, 0))
            names.append(f"event time {time}")
    return np.stack([row / row.sum() for row in rows]), tuple(names)


def test_terms_of_an_event_study_are_in_order() -> None:
    found: Estimate = estimate(
        estimator("poisson_did"), asked("poisson_did", "event_time"), ask_pooled(three_cities())
    )
    assert found.terms[0] == "treated"
    assert found.terms[1:4] == ("event time -5", "event time -4", "event time -3")
    assert "event time -1" not in found.terms
