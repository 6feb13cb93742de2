"""What each check says of designs whose truth is known."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.core.check import CheckContext, context_of
from evalkit.core.discover import checks, estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate as run_estimator
from evalkit.core.panel import Panel
from evalkit.core.study import Analysis, Outcome, Study, Treatment, Units, Window
from evalkit.core.terms import OVERALL, at_event_time
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city
from tests.panels import study as small_study

PLAIN = CheckContext()


def estimate(effects: dict[int, float], error: float = 0.02, df: float = math.inf) -> Estimate:
    values = np.array([np.mean([v for t, v in effects.items() if t >= 0]), *effects.values()])
    return Estimate(
        estimator="made up",
        terms=(OVERALL, *map(at_event_time, effects)),
        effect=values,
        covariance=error**2 * np.eye(len(values)),
        df=df,
        level=0.95,
        contributors=("alta",),
    )


def trend(slope: float, effect: float = 0.0, gap: int = 0) -> dict[int, float]:
    """A straight line through the reference, and an effect from go-live on."""
    return {
        time: slope * (time + 1 + (gap if time >= 0 else 0)) + (effect if time >= 0 else 0.0)
        for time in (-5, -4, -3, -2, 0, 1, 2)
    }


def run(name: str, effects: dict[int, float], context: CheckContext = PLAIN, **more: float):
    return checks()[name](estimate(effects, **more), context)


def test_a_trend_fails_the_pre_trend_test() -> None:
    result = run("pre_trend", trend(0.1))
    assert result.outcome == "failed"
    assert result.figures["p_value"] < 1e-6


def test_a_flat_path_passes_and_the_reason_says_what_could_hide() -> None:
    result = run("pre_trend", trend(0.0, -0.3))
    assert result.outcome == "passed"
    assert "80 % power" in result.reason
    assert "could have gone unseen" not in result.reason
    weak = run("pre_trend", trend(0.0, -0.3), error=0.5)
    assert weak.outcome == "passed"
    assert "could have gone unseen" in weak.reason
    # Slopes are in units of the errors; the mean of the three effects is two periods from the reference.
    assert weak.figures["slope_80"] == pytest.approx(25 * result.figures["slope_80"])
    assert weak.figures["bias_80"] == pytest.approx(2 * weak.figures["slope_80"])
    assert 0 < weak.figures["slope_50"] < weak.figures["slope_80"]


def test_few_degrees_of_freedom_make_the_pre_trend_test_more_careful() -> None:
    many, few = (run("pre_trend", trend(0.01), df=df).figures["p_value"] for df in (math.inf, 8.0))
    assert few > many


def test_an_unobserved_transition_adds_to_the_bias_of_a_trend() -> None:
    near = run("pre_trend", trend(0.0))
    far = run("pre_trend", trend(0.0), CheckContext(gap=1))
    extra = far.figures["bias_80"] - near.figures["bias_80"]
    assert extra == pytest.approx(near.figures["slope_80"])


def test_with_a_varying_base_a_trend_adds_its_slope_to_every_effect_before() -> None:
    effects = {-3: 0.0, -2: 0.0, -1: 0.01, 0: -0.3, 1: -0.3}
    result = run("pre_trend", effects)
    # Three independent effects, each moved by the slope: noncentrality 3 s²/0.02² = 10.9 gives 80 % at 3 df.
    assert result.figures["slope_80"] == pytest.approx(0.02 * math.sqrt(10.903 / 3), rel=1e-3)
    for name in ("honest_did_relative_magnitudes", "honest_did_smoothness"):
        honest = run(name, effects)
        assert honest.outcome == "not computable"
        assert "universal" in honest.reason


def test_a_reference_that_is_listed_as_zero_is_no_varying_base() -> None:
    listed = estimate({-3: 0.0, -2: 0.0, -1: 0.0, 0: -0.5, 1: -0.5})
    covariance = listed.covariance.copy()
    covariance[3] = covariance[:, 3] = 0.0
    listed = replace(listed, covariance=covariance)
    without = run("honest_did_smoothness", {-3: 0.0, -2: 0.0, 0: -0.5, 1: -0.5})
    assert checks()["honest_did_smoothness"](listed, PLAIN) == without


@pytest.mark.parametrize("gap", [0, 1])
def test_a_straight_trend_is_found_out_by_smoothness(gap: int) -> None:
    result = run("honest_did_smoothness", trend(-0.1, gap=gap), CheckContext(gap=gap))
    assert result.outcome == "failed"
    assert "straight trend" in result.reason
    assert result.figures["low"] < 0.0 < result.figures["high"]


def test_an_effect_beyond_a_straight_trend_passes_smoothness_and_a_bend_fails_it() -> None:
    assert run("honest_did_smoothness", trend(-0.1, -1.0)).outcome == "passed"
    bent = trend(0.0, -0.3) | {-4: 0.5}
    result = run("honest_did_smoothness", bent)
    assert result.outcome == "failed"
    assert result.figures["largest_bend"] == pytest.approx(1.0)


def test_relative_magnitudes_compares_with_the_drift_before() -> None:
    assert run("honest_did_relative_magnitudes", trend(0.0, -0.5)).outcome == "passed"
    drifting = run("honest_did_relative_magnitudes", trend(0.0, -0.5) | {-3: 0.4})
    assert drifting.outcome == "failed"
    assert 0.0 < drifting.figures["breakdown"] < 1.0
    assert drifting.figures["low"] < 0.0 < drifting.figures["high"]


@pytest.mark.parametrize("name", ["honest_did_relative_magnitudes", "honest_did_smoothness"])
def test_no_effect_leaves_nothing_to_explain_away(name: str) -> None:
    result = run(name, trend(0.0, 0.001))
    assert result.outcome == "not computable"
    assert "not told from zero" in result.reason


@pytest.mark.parametrize("name", ["pre_trend", "honest_did_smoothness"])
def test_binned_ends_are_left_out(name: str) -> None:
    effects = trend(0.0, -0.5)
    wild = {-6: 9.0, **effects, 3: 9.0}
    assert run(name, wild, CheckContext(bins=(-6, 3))) == run(name, effects)


def test_published_event_study(shared: Path) -> None:
    folder = shared / "data" / "reference" / "did"
    beta = np.loadtxt(folder / "ehec_betahat.txt")
    one = Estimate(
        estimator="fixest",
        terms=tuple(map(at_event_time, (-6, -5, -4, -3, -2, 0, 1))),
        effect=beta,
        covariance=np.loadtxt(folder / "ehec_sigma.txt"),
        df=math.inf,
        level=0.95,
        contributors=("ehec",),
    )
    found = {name: check(one, PLAIN) for name, check in checks().items()}
    assert found["pre_trend"].outcome == "passed"
    assert found["honest_did_relative_magnitudes"].outcome == "passed"
    assert 1.0 < found["honest_did_relative_magnitudes"].figures["breakdown"] < 2.0
    assert found["honest_did_smoothness"].outcome == "passed"


@pytest.mark.parametrize(
    ("sizes", "outcome", "words"),
    [
        ({"2018-01": 12, "2019-01": 3}, "passed", "the smallest of 3"),
        ({"2018-01": 40, "2019-01": 1}, "failed", "a single unit"),
        ({"2018-01": 4, "2019-01": 3}, "failed", "too few"),
        ({"2018-01": 4, "2018-04": 4, "2019-01": 7}, "failed", "fewer than 5"),
        ({}, "not computable", "no cohort"),
        ({"2018-01": 0}, "not computable", "without units"),
        (None, "not computable", "not known"),
    ],
)
def test_small_cohorts(sizes: dict[str, int] | None, outcome: str, words: str) -> None:
    result = run("small_cohorts", trend(0.0, -0.5), CheckContext(cohort_units=sizes))
    assert result.outcome == outcome
    assert words in result.reason


def test_context_of_a_study() -> None:
    study = Study(
        name="one",
        title="One",
        window=Window(start=dt.date(2017, 1, 1), end=dt.date(2020, 12, 31)),
        units=Units(kind="grid"),
        outcome=Outcome(crime_types=("robbery",)),
        treatment=Treatment(washout_periods=2),
        analysis=Analysis(estimator="poisson_did", design="event_time", event_window=(-4, 8)),
    )
    types = ("robbery",)
    assert context_of(study) == CheckContext(gap=3, bins=(-4, 8), crime_types=types)
    static = Study(
        name="two",
        title="Two",
        window=study.window,
        units=study.units,
        outcome=study.outcome,
        treatment=Treatment(transition="treat"),
    )
    sizes = {"2018-01": 5}
    assert context_of(static, sizes) == CheckContext(cohort_units=sizes, crime_types=types)


def test_ends_are_binned_only_by_estimators_that_do_so() -> None:
    """The first and last coefficient of the grid stand for all beyond them; group-time effects stop at the window."""
    panels = (city("alta", 1), city("brisa", 2))
    for name in ("poisson_did", "linear_did", "group_time_att", "doubly_robust"):
        design = "event_time" if name.endswith("did") else "static"
        wide, narrow = (asked(name, design, window, panels) for window in ((-20, 20), (-3, 3)))
        place = narrow.terms.index(at_event_time(3))
        alone = wide.effect[wide.terms.index(at_event_time(3))]
        binned = abs(narrow.effect[place] - alone) > 1e-6
        for any_design in ("static", "event_time"):
            told = context_of(question(name, any_design, (-3, 3))).bins
            assert told == ((-3, 3) if binned and any_design == "event_time" else None)
        assert binned == (name.endswith("did"))


def question(name: str, design: str, window: tuple[int, int]) -> Study:
    return small_study(estimator=name, design=design, event_window=window, aggregation="dynamic")


def asked(name: str, design: str, window: tuple[int, int], panels: tuple[Panel, ...]) -> Estimate:
    return run_estimator(estimator(name), question(name, design, window), ask_pooled(panels))
