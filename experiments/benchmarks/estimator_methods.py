"""Ways of estimating one effect from ten cities' panels: evalkit's behind its gate, and the peers'.

Every method is a preparation, which is not timed, and a call, which is. What is prepared is what each library
is given: evalkit its panels, the peers one data frame with a row for each unit and period.
"""

from __future__ import annotations

import datetime as dt
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from evalkit.config import Policy
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.statistics import Statistics
from evalkit.core.study import Analysis, Outcome, Study, Treatment, Units, Window
from evalkit.disclosure import gate
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.told import told_by

__all__ = ["CITIES", "METHODS", "PERIODS", "Answer", "asked", "panel_of", "panels"]

CITIES: Final = 10
PERIODS: Final = 120
COHORTS: Final = 24
FIRST: Final = 12
APART: Final = 4
OPEN: Final = Policy(studies=("any",))


@dataclass(frozen=True, slots=True)
class Answer:
    """Effects and their standard errors: of all cities, or one for each."""

    effect: tuple[float, ...]
    std_error: tuple[float, ...]


Call = Callable[[], Answer]


def panel_of(name: str, seed: int, *, units: int, periods: int, cohorts: int) -> Panel:
    """One city: half of the units go live in cohorts of like size, 4 periods apart; −10 % from then on."""
    rng = np.random.default_rng(seed)
    live = np.full(units, NEVER)
    half = units // 2
    starts = np.arange(FIRST, FIRST + APART * cohorts, APART)
    live[:half] = np.resize(starts, half)
    period = np.arange(periods)
    after = (live[:, None] != NEVER) & (period >= live[:, None])
    level = 3 * rng.gamma(4, 0.25, units)[:, None]
    mean = level * np.exp(0.2 * np.sin(2 * np.pi * period / 12) - 0.1 * after)
    counts = rng.poisson(mean * rng.gamma(8, 1 / 8, mean.shape))
    return Panel(
        sites=(name,),
        crime_types=("theft",),
        periods=tuple(dt.date(2010 + at // 12, at % 12 + 1, 1) for at in range(periods)),
        unit_ids=np.array([f"u{at}" for at in range(units)]),
        site_of_unit=np.zeros(units, np.int64),
        role=np.where(live == NEVER, int(Role.CONTROL), int(Role.TREATED)),
        first_live=live,
        last_live=live.copy(),
        counts=counts[None].astype(np.int64),
        exposure=np.ones((units, periods)),
        fingerprint=f"{seed:064x}",
    )


def panels(units: int) -> tuple[Panel, ...]:
    """Ten cities with ``units`` units together."""
    return tuple(
        panel_of(f"city{at}", at, units=units // CITIES, periods=PERIODS, cohorts=COHORTS)
        for at in range(CITIES)
    )


def asked(analysis: Analysis, periods: int = PERIODS) -> Study:
    """The study: units are treated from the period in which they go live, as the peers have it."""
    return Study(
        name="benchmark",
        title="benchmark",
        window=Window(
            start=dt.date(2010, 1, 1),
            end=dt.date(2010 + periods // 12, 1, 1) - dt.timedelta(days=1),
        ),
        units=Units(kind="grid"),
        outcome=Outcome(crime_types=("theft",)),
        treatment=Treatment(transition="treat"),
        analysis=analysis,
    )


def behind_gate(cities: Sequence[Panel], study: Study, ledgers: Path) -> Estimate:
    """What a run does between questions and estimate, without messages: admit, prepare, compute, review."""
    method = estimator(study.analysis.estimator)

    def ask(question: Question) -> list[Statistics]:
        return [_answer(city, question, ledgers) for city in cities]

    def _answer(city: Panel, question: Question, folder: Path) -> Statistics:
        (name,) = city.sites
        ledger = Ledger(folder / f"{name}.jsonl")
        policy = gate.admit(question, OPEN, ledger, city.fingerprint)
        prepared = prepare(city, study, policy)
        found = method.summarise(prepared.panel, question)
        release = gate.review(
            found,
            question,
            policy,
            ledger,
            fingerprint=city.fingerprint,
            site=name,
            audit=Audit(folder / name, told_by(prepared.panel, study)),
        )
        return release.statistics()

    return estimate(method, study, ask)


def _evalkit(analysis: Analysis, *, each: bool = False) -> Callable[[int], Call]:
    study = asked(analysis)

    def prepared(units: int) -> Call:
        cities = panels(units)
        groups = [[city] for city in cities] if each else [list(cities)]
        # writing ledgers is timed, deleting them, as no city does, is not
        folder = tempfile.TemporaryDirectory()

        def call() -> Answer:
            ledgers = Path(tempfile.mkdtemp(dir=folder.name))
            found = [behind_gate(group, study, ledgers) for group in groups]
            return Answer(
                tuple(float(one.effect[0]) for one in found),
                tuple(float(one.std_error[0]) for one in found),
            )

        return call

    return prepared


def _rows(cities: Sequence[Panel]) -> Any:
    """One row for each unit and period; ``first`` is 0 for controls, as diff-diff wants it."""
    import pandas as pd

    units = sum(city.n_units for city in cities)
    live = np.repeat(np.concatenate([city.first_live for city in cities]), PERIODS)
    period = np.tile(np.arange(PERIODS), units)
    place = np.repeat(np.arange(len(cities)), [city.n_units * PERIODS for city in cities])
    return pd.DataFrame(
        {
            "y": np.concatenate([city.counts[0].ravel() for city in cities]).astype(np.float64),
            "unit": np.repeat(np.arange(units), PERIODS),
            "period": period + 1,
            "city_period": place * PERIODS + period,
            "first": np.where(live == NEVER, 0, live + 1),
            "live": ((live != NEVER) & (period >= live)).astype(np.float64),
        }
    )


def diff_diff(units: int, *, each: bool) -> Call:
    """Callaway & Sant'Anna by diff-diff, without covariates; a city at a time, or all units as one city."""
    from diff_diff import CallawaySantAnna

    cities = panels(units)
    frames = [_rows([city]) for city in cities] if each else [_rows(cities)]

    def call() -> Answer:
        found = [
            CallawaySantAnna(control_group="never_treated", estimation_method="reg").fit(
                frame, outcome="y", unit="unit", time="period", first_treat="first"
            )
            for frame in frames
        ]
        return Answer(
            tuple(float(one.overall_att) for one in found),
            tuple(float(one.overall_se) for one in found),
        )

    return call


def fepois(units: int) -> Call:
    """Poisson with effects of units and of cities' periods by pyfixest, without a small-sample factor."""
    import pyfixest

    rows = _rows(panels(units))

    def call() -> Answer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units without incidents, in the subset for warming up
            fitted = pyfixest.fepois(
                "y ~ live | unit + city_period",
                data=rows,
                vcov={"CRV1": "unit"},
                ssc=pyfixest.ssc(k_adj=False, G_adj=False),
            )
        return Answer((float(fitted.coef()["live"]),), (float(fitted.se()["live"]),))

    return call


_GROUP_TIME: Final = Analysis(estimator="group_time_att", scale="count")

METHODS: Final[dict[str, Callable[[int], Call]]] = {
    "group_time_att": _evalkit(_GROUP_TIME),
    "group_time_att by city": _evalkit(_GROUP_TIME, each=True),
    "diff-diff by city": lambda units: diff_diff(units, each=True),
    "diff-diff as one city": lambda units: diff_diff(units, each=False),
    "poisson_did": _evalkit(Analysis(estimator="poisson_did")),
    "fepois": fepois,
}
