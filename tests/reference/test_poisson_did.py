"""poisson_did against R's fixest (published numbers), pyfixest and statsmodels."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evalkit.config import load_study
from evalkit.core.design import design_of
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role, concatenate
from evalkit.core.study import Outcome, Study, Treatment, Units, Window
from evalkit.disclosure.cohorts import prepare
from evalkit.runtimes.pooled import ask_pooled
from evalkit.simulate import PRESETS, simulate
from evalkit.workbench import open_bench, store_panel
from tests.panels import cities, study

# expected.json prints ten decimals; half a unit in the last is 5e-11, and fixest's own convergence is 1e-8.
FIXEST = 1e-8
# Two independent solvers of one likelihood, both converged to below 1e-9 in β.
ORACLE = 1e-8


@pytest.fixture(scope="module", params=["made by hand", "simulated files"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[Panel, ...], Study]:
    """Four small panels; and two simulated cities from their raw files, as their gates would have them."""
    if request.param == "made by hand":
        return cities(), study()
    folder = tmp_path_factory.mktemp("world")
    demo = PRESETS["demo"]
    shape = replace(
        demo.shape,
        side_m=(3_000.0, 3_000.0),
        incidents=(9_000.0, 9_000.0),
        hotspots=60,
        sites=(24, 24),
        batches=(3, 3),
    )
    made = simulate(replace(demo, cities=demo.cities[:2], shape=shape), folder, seed=3)
    asked = load_study(made.study)
    panels = []
    for site in made.sites:
        bench = open_bench(site)
        built = store_panel(bench, asked)
        assert bench.site.policy is not None
        panels.append(prepare(built.panel, asked, bench.site.policy).panel)
    return tuple(panels), asked


def castle(shared: Path) -> tuple[Panel, Study, np.ndarray]:
    frame = pl.read_csv(shared / "data/reference/did/castle.csv", null_values="NA").sort(
        "sid", "year"
    )
    shape = (50, 11)
    post = frame["post"].to_numpy().reshape(shape)
    live = np.where(post.any(axis=1), post.argmax(axis=1), NEVER)
    panel = Panel(
        sites=("us",),
        crime_types=("homicide",),
        periods=tuple(dt.date(year, 1, 1) for year in range(2000, 2011)),
        unit_ids=frame["state"].to_numpy().reshape(shape)[:, 0].astype(str),
        site_of_unit=np.zeros(50, dtype=np.int64),
        role=np.where(live == NEVER, int(Role.CONTROL), int(Role.TREATED)),
        first_live=live,
        last_live=live.copy(),
        counts=frame["homicide_c"].to_numpy().reshape(1, *shape).astype(np.int64),
        exposure=np.ones(shape),
    )
    asked = Study(
        name="castle",
        title="Castle doctrine (Cheng & Hoekstra 2013)",
        window=Window(start=dt.date(2000, 1, 1), end=dt.date(2010, 12, 31)),
        units=Units(kind="area"),
        outcome=Outcome(crime_types=("homicide",)),
        treatment=Treatment(transition="treat"),
    )
    return panel, asked, frame["population"].to_numpy().reshape(shape).astype(float)


def fit(panels: tuple[Panel, ...], asked: Study) -> Estimate:
    return estimate(estimator("poisson_did"), asked, ask_pooled(panels))


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, list[float]]:
    return json.loads((shared / "data/reference/did/expected.json").read_text())["castle"]


def test_castle_equals_fixest(shared: Path, published: dict[str, list[float]]) -> None:
    panel, asked, _ = castle(shared)
    found = fit((panel,), asked)
    assert found.effect[0] == pytest.approx(published["fepois_homicide_c"][0], abs=FIXEST)
    assert found.std_error[0] == pytest.approx(published["fepois_homicide_c"][1], abs=FIXEST)


def test_castle_with_population_as_exposure_equals_fixest_with_offset(
    shared: Path, published: dict[str, list[float]]
) -> None:
    panel, asked, population = castle(shared)
    found = fit((replace(panel, exposure=population),), asked)
    expected = published["fepois_homicide_c_offset_logpop"]
    assert found.effect[0] == pytest.approx(expected[0], abs=FIXEST)
    assert found.std_error[0] == pytest.approx(expected[1], abs=FIXEST)


# pyfixest 0.60 calls pandas in a way that pandas 3.1 deprecates; the numbers are not concerned
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_several_cities_equal_pyfixest_with_city_by_period_effects(
    world: tuple[tuple[Panel, ...], Study],
) -> None:
    import pyfixest

    panels, asked = world
    frame = long_frame(panels, asked)
    model = pyfixest.fepois(
        "y ~ treated | unit + city_period",
        data=frame.to_pandas(),
        vcov={"CRV1": "unit"},
        # pyfixest 0.60 counts nested effects by an order that depends on PYTHONHASHSEED: take none of its
        # small-sample factors and apply our own, spelled out
        ssc=pyfixest.ssc(k_adj=False, G_adj=False),
        iwls_tol=1e-13,
        demeaner=pyfixest.MapDemeaner(fixef_tol=1e-13),
    )
    found = fit(panels, asked)
    clusters, observations = int(found.clusters), int(found.observations)
    counted = 1 + frame["city_period"].n_unique()
    factor = clusters / (clusters - 1) * (observations - 1) / (observations - counted)
    assert found.effect[0] == pytest.approx(float(model.coef()["treated"]), abs=ORACLE)
    assert found.std_error[0] == pytest.approx(
        float(model.se()["treated"]) * np.sqrt(factor), abs=ORACLE
    )


def test_several_cities_equal_statsmodels_with_dummies(
    world: tuple[tuple[Panel, ...], Study],
) -> None:
    import statsmodels.api as sm

    panels, asked = world
    frame = long_frame(panels, asked)
    dummies = (
        frame.select("unit", "city_period").to_dummies(drop_first=True).to_numpy().astype(float)
    )
    treated = frame["treated"].to_numpy().astype(float)
    design = np.column_stack([treated, np.ones(len(treated)), dummies])
    design = design[:, independent_columns(design)]
    groups = frame["unit"].cast(pl.Categorical).to_physical().to_numpy()
    model = sm.GLM(frame["y"].to_numpy(), design, family=sm.families.Poisson())
    result = model.fit(
        tol=1e-13,
        maxiter=200,
        cov_type="cluster",
        cov_kwds={"groups": groups, "use_correction": False},
    )
    found = fit(panels, asked)
    clusters, observations = int(found.clusters), int(found.observations)
    counted = 1 + frame["city_period"].n_unique()
    factor = clusters / (clusters - 1) * (observations - 1) / (observations - counted)
    assert found.effect[0] == pytest.approx(result.params[0], abs=ORACLE)
    assert found.std_error[0] == pytest.approx(result.bse[0] * np.sqrt(factor), abs=ORACLE)


def long_frame(panels: tuple[Panel, ...], asked: Study) -> pl.DataFrame:
    """One row per used unit-period; units without incidents left out, as every Poisson package does."""
    rows = []
    for design in design_of(concatenate(panels), asked):
        for unit, (y, used, treated) in enumerate(
            zip(design.outcome, design.exposure > 0, design.treated, strict=True)
        ):
            if y.sum() == 0:
                continue
            rows += [
                (f"{design.site}-{unit}", f"{design.site}-{t:02d}", float(y[t]), float(treated[t]))
                for t in np.flatnonzero(used)
            ]
    return pl.DataFrame(rows, schema=["unit", "city_period", "y", "treated"], orient="row")


def independent_columns(matrix: np.ndarray) -> np.ndarray:
    """Columns that are not sums of others: one city-period level per city is one of its units' levels."""
    from scipy.linalg import qr

    _, triangle, order = qr(matrix, mode="economic", pivoting=True)
    rank = int((np.abs(np.diag(triangle)) > 1e-9 * abs(triangle[0, 0])).sum())
    kept = np.sort(order[:rank])
    return kept if kept[0] == 0 else np.r_[0, kept]
