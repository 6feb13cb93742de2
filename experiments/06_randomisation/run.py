"""How often does a true null come out significant at 5 %, by the standard error and by re-assigning go-live dates?

Cities without any effect, of few or many places, whose places with cameras are like the others or five times busier.
Each is tested by the usual p-value, by the randomisation test, and by the same test of the effect itself, not divided
by its standard error. Run from the repository's root:

    .venv/bin/python experiments/06_randomisation/run.py --worlds 400
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest.mock import patch

import numpy as np

from evalkit.core.discover import estimator
from evalkit.core.estimator import estimate
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Analysis, Outcome, Study, Units, Window
from evalkit.errors import SeparationError
from evalkit.numerics import studentised
from evalkit.runtimes.pooled import ask_pooled

HERE = Path(__file__).parent
PERIODS = 24
LIVE = 11
LEVEL = 0.05
CITIES = ((4, 8, 1.0), (4, 30, 1.0), (6, 40, 5.0), (30, 60, 5.0))
ESTIMATORS = ("group_time_att", "poisson_did", "rate_ratio")


def panel_of(seed: int, treated: int, controls: int, busier: float) -> Panel:
    """One city in which cameras do nothing: seasons and shocks of the city, over-dispersed counts."""
    random = np.random.default_rng(seed)
    units = treated + controls
    first = np.arange(units) < treated
    live = np.where(first, LIVE, NEVER)
    level = 6 * random.gamma(4, 0.25, units) * np.where(first, busier, 1.0)
    season = 0.2 * np.sin(2 * np.pi * np.arange(PERIODS) / 12) + random.normal(0, 0.1, PERIODS)
    mean = level[:, None] * np.exp(season)
    return Panel(
        sites=("city",),
        crime_types=("theft",),
        periods=tuple(dt.date(2020 + m // 12, m % 12 + 1, 1) for m in range(PERIODS)),
        unit_ids=np.array([f"u{i:03d}" for i in range(units)]),
        site_of_unit=np.zeros(units, dtype=np.int64),
        role=np.where(first, int(Role.TREATED), int(Role.CONTROL)),
        first_live=live,
        last_live=live.copy(),
        counts=random.poisson(mean * random.gamma(8, 1 / 8, mean.shape))[None],
        exposure=np.ones((units, PERIODS)),
    )


def study_of(name: str) -> Study:
    """A study of this estimator, with 199 draws."""
    return Study(
        name="null",
        title="No effect",
        window=Window(start=dt.date(2020, 1, 1), end=dt.date(2021, 12, 31)),
        units=Units(kind="grid"),
        outcome=Outcome(crime_types=("theft",)),
        analysis=Analysis(estimator=name, randomisation=199),
    )


def one(name: str, city: tuple[int, int, float], seed: int) -> tuple[float, float, float]:
    """Three p-values; NaN in a world whose effect is no finite number."""
    treated, controls, busier = city
    ask = ask_pooled((panel_of(seed, treated, controls, busier),))
    try:
        found = estimate(estimator(name), study_of(name), ask)
        # the rank of the effect (or the score) by itself: what studentising is compared with
        with patch.object(studentised, "_divided", lambda effect, _variance: effect):
            bare = estimate(estimator(name), study_of(name), ask)
    except SeparationError:
        return math.nan, math.nan, math.nan
    key = "p_value_randomisation"
    return float(found.tidy()["p_value"][0]), found.details[key], bare.details[key]


def main() -> None:
    """Run all worlds on two processes and write ``result.json`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    asked = parser.parse_args()
    rows = []
    with ProcessPoolExecutor(max_workers=asked.processes) as pool:
        for city in CITIES:
            for name in ESTIMATORS:
                jobs = [(name, city, seed) for seed in range(asked.worlds)]
                found = np.array(list(pool.map(one, *zip(*jobs, strict=True), chunksize=20)))
                found = found[np.isfinite(found).all(axis=1)]
                usual, ranked, bare = (found <= LEVEL).mean(axis=0)
                rows.append(
                    {
                        "treated": city[0],
                        "controls": city[1],
                        "busier": city[2],
                        "estimator": name,
                        "worlds": len(found),
                        "usual": usual,
                        "studentised": ranked,
                        "not_studentised": bare,
                    }
                )
                print(rows[-1], flush=True)
    asked.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
