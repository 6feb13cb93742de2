"""Bias, coverage, size and power of every estimator in worlds with a known truth.

Run from the repository's root; every replication is kept in ``--draws``, so that a run can be stopped and resumed:

    .venv/bin/python experiments/02_calibration/run.py --replications 500 --methods random_effects
    .venv/bin/python experiments/02_calibration/run.py --replications 200
    .venv/bin/python experiments/02_calibration/run.py --replications 0
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import multiprocessing
import os
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from worlds import CLAIM, WORLDS, CityTruth, Draw, draw

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.study import Analysis, Outcome, Study, Treatment, Units, Window
from evalkit.errors import EvalkitError
from evalkit.numerics.meta_analysis import Interval, pool
from evalkit.runtimes.pooled import ask_pooled

HERE = Path(__file__).parent
DRAWS: Final = Path(tempfile.gettempdir()) / "evalkit-calibration.jsonl"
LEVEL: Final = 0.95
INTERVALS: Final[tuple[Interval, ...]] = ("wald", "knapp_hartung", "knapp_hartung_truncated")
"""Intervals of the same city effects, at no further cost."""

CHOSEN_ON: Final = 1000
"""The default interval was chosen on replications below this one; those from here on confirm it."""

LONGER: Final = "longer of both"
"""Knapp–Hartung's interval or Wald's, whichever is longer (Jackson, Law, Rücker & Schwarzer 2017)."""

Truth = Callable[[Estimate, Draw], float]


@dataclass(frozen=True, slots=True)
class Method:
    """A choice of estimator with the effect that it is an estimate of."""

    analysis: Analysis
    truth: Truth


def of_population(_: Estimate, world: Draw) -> float:
    """The mean effect in the population the cities are drawn from."""
    return world.mean


def of_unit_months(_: Estimate, world: Draw) -> float:
    """Mean log effect over the treated unit-months of these cities."""
    cities = world.truths.values()
    return sum(c.log_mean * c.cells for c in cities) / sum(c.cells for c in cities)


def of_incidents(_: Estimate, world: Draw) -> float:
    """Log of expected over untreated incidents in the treated unit-months of these cities."""
    cities = world.truths.values()
    return math.log(sum(c.with_camera for c in cities) / sum(c.without_camera for c in cities))


def per_unit_month(_: Estimate, world: Draw) -> float:
    """Change of incidents per treated unit and month."""
    cities = world.truths.values()
    changed = sum(c.with_camera - c.without_camera for c in cities)
    return changed / sum(c.cells for c in cities)


def net_count(_: Estimate, world: Draw) -> float:
    """Change of incidents after the roll-outs, in treated places and rings."""
    return sum(c.count_after + c.ring_after for c in world.truths.values())


def weighted(part: Callable[[CityTruth], float]) -> Truth:
    """These cities' effects with the weights the estimator gave them."""

    def truth(found: Estimate, world: Draw) -> float:
        weights = np.array([one.weight for one in found.sites])
        values = np.array([part(world.truths[one.site]) for one in found.sites])
        return float(weights @ values / weights.sum())

    return truth


METHODS: Final[Mapping[str, Method]] = {
    "random_effects": Method(Analysis(), of_population),
    "random_effects/rate_ratio": Method(Analysis(first_stage="rate_ratio"), of_population),
    "poisson_did": Method(Analysis(estimator="poisson_did"), of_incidents),
    "poisson_did cohort_event_time": Method(
        Analysis(estimator="poisson_did", design="cohort_event_time"), of_unit_months
    ),
    "rate_ratio": Method(Analysis(estimator="rate_ratio"), weighted(lambda c: c.ratio_after)),
    "wdd": Method(Analysis(estimator="wdd"), net_count),
    "linear_did": Method(Analysis(estimator="linear_did"), per_unit_month),
    "group_time_att": Method(Analysis(estimator="group_time_att"), of_incidents),
    "doubly_robust": Method(
        Analysis(estimator="doubly_robust", covariates=("level",)), of_incidents
    ),
    "synthetic_did": Method(Analysis(estimator="synthetic_did"), weighted(lambda c: c.ratio)),
    "counterfactual_model": Method(
        Analysis(estimator="counterfactual_model"), weighted(lambda c: c.ratio)
    ),
}


def study_of(analysis: Analysis) -> Study:
    """The study that every method answers."""
    return Study(
        name="calibration",
        title="Calibration",
        window=Window(start=dt.date(2020, 1, 1), end=dt.date(2022, 12, 31)),
        units=Units(kind="grid"),
        outcome=Outcome(crime_types=("robbery",)),
        treatment=Treatment(transition="drop"),
        analysis=analysis,
    )


Job = tuple[str, bool, int, tuple[str, ...]]
Row = dict[str, Any]


def one(job: Job) -> list[Row]:
    """One replication of one world, by every method asked."""
    world, effect, replication, methods = job
    seed = np.random.SeedSequence([list(WORLDS).index(world), int(effect), replication])
    drawn = draw(WORLDS[world], effect=effect, random=np.random.default_rng(seed))
    rows: list[Row] = []
    for name in methods:
        place: Row = {"world": world, "effect": effect, "replication": replication}
        rows.extend({**place, **row} for row in _rows(name, METHODS[name], drawn))
    return rows


def _rows(name: str, method: Method, drawn: Draw) -> Iterator[Row]:
    study, begun = study_of(method.analysis), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a learner's advice is not a result
            found = estimate(estimator(study.analysis.estimator), study, ask_pooled(drawn.panels))
    except EvalkitError as error:
        yield {"method": name, "failed": error.code}
        return
    low, high = found.interval()
    numbers = {
        "estimate": float(found.effect[0]),
        "std_error": float(found.std_error[0]),
        "low": low,
        "high": high,
        "truth": method.truth(found, drawn),
        "mean": drawn.mean,
        "count": found.scale == "count",
    }
    yield {"method": name, **numbers, "cpu_s": time.process_time() - begun}
    if name != "random_effects":
        return
    effects = np.array([site.effect for site in found.sites])
    variances = np.array([site.std_error**2 for site in found.sites])
    others = {}
    for interval in INTERVALS:
        other = pool(effects, variances, method="REML", interval=interval, level=LEVEL)
        others[interval] = {**numbers, "std_error": other.std_error}
        others[interval] |= {"low": other.conf_low, "high": other.conf_high}
        yield {"method": f"{name}, {interval}", **others[interval]}
    wald, spread = others["wald"], others["knapp_hartung"]
    longer = max(wald, spread, key=lambda row: row["high"] - row["low"])
    yield {**longer, "method": f"{name}, {LONGER}"}


def jobs_of(
    worlds: Sequence[str],
    methods: Sequence[str],
    replications: Iterable[int],
    known: set[tuple[Any, ...]],
) -> Iterator[Job]:
    """What is still to be done, replication by replication, so that a run cut short is balanced."""
    for replication in replications:
        for world in worlds:
            for effect in (True, False) if WORLDS[world].null_differs else (True,):
                missing = tuple(
                    name for name in methods if (name, world, effect, replication) not in known
                )
                if missing:
                    yield world, effect, replication, missing


def read(draws: Path) -> list[Row]:
    """All replications kept so far; a line cut off by an interruption is left out."""
    rows = []
    for line in draws.read_text().splitlines() if draws.exists() else ():
        try:
            rows.extend(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def share(hits: Iterable[bool]) -> tuple[float, float]:
    """A share in percent and its Monte-Carlo standard error."""
    values = np.array(list(hits), dtype=float)
    p = float(values.mean())
    # Agresti & Coull (1998): 500 of 500 are not known without error either.
    softened = (values.sum() + 2) / (len(values) + 4)
    return round(100 * p, 2), round(100 * math.sqrt(softened * (1 - softened) / len(values)), 2)


def summary(rows: Sequence[Row]) -> list[Row]:
    """One row for each method and world; percent throughout, bias in percent of the true effect."""
    groups: dict[tuple[str, str], dict[bool, list[Row]]] = defaultdict(
        lambda: {True: [], False: []}
    )
    for row in rows:
        groups[row["method"], row["world"]][row["effect"]].append(row)
    found = []
    order = [*METHODS, *(f"random_effects, {one}" for one in (*INTERVALS, LONGER))]
    for method in order:
        for world, about in WORLDS.items():
            both = groups.get((method, world))
            if both is None:
                continue
            effect = [row for row in both[True] if "failed" not in row]
            where = world if about.null_differs else "homogeneous"
            tried = groups[method, where][False]
            null = [row for row in tried if "failed" not in row]
            failed = len(both[True]) - len(effect) + (len(tried) - len(null)) * (where == world)
            line: Row = {"method": method, "world": world, "failed": failed}
            if effect:
                line |= _with_effect(effect)
            if null:
                line["replications_null"] = len(null)
                line["size"], line["size_mc"] = share(r["low"] > 0 or r["high"] < 0 for r in null)
                line["size_world"] = where
            found.append(line)
    return found


def _with_effect(rows: Sequence[Row]) -> Row:
    errors = np.array([row["estimate"] - row["truth"] for row in rows])
    scale = abs(float(np.mean([row["truth"] for row in rows])))
    estimates = np.array([row["estimate"] for row in rows])
    line: Row = {
        "replications": len(rows),
        "truth": round(float(np.mean([row["truth"] for row in rows])), 4),
        "bias": round(100 * float(errors.mean()) / scale, 2),
        "bias_mc": round(100 * float(errors.std(ddof=1)) / math.sqrt(len(rows)) / scale, 2),
        "error_ratio": round(
            float(np.mean([row["std_error"] for row in rows]) / errors.std(ddof=1)), 3
        ),
        "sd_estimate": round(float(estimates.std(ddof=1)), 4),
        "mean_length": round(100 * float(np.mean([r["high"] - r["low"] for r in rows])) / scale, 1),
    }
    line["coverage"], line["coverage_mc"] = share(r["low"] <= r["truth"] <= r["high"] for r in rows)
    line["power"], line["power_mc"] = share(r["high"] < 0 for r in rows)
    if not rows[0]["count"]:
        line["coverage_mean"], _ = share(r["low"] <= r["mean"] <= r["high"] for r in rows)
    times = [row["cpu_s"] for row in rows if "cpu_s" in row]
    if times:
        line["cpu_s"] = round(float(np.median(times)), 3)
    return line


def show(lines: Sequence[Row]) -> None:
    """Print the table."""
    print(
        f"{'method':<30}{'world':<15}{'n':>5}{'bias %':>14}{'coverage':>14}{'size':>13}{'power':>13}"
    )
    for x in lines:
        cells = [
            f"{x[key]:.1f} ± {x[f'{key}_mc']:.1f}" if key in x else "-"
            for key in ("bias", "coverage", "size", "power")
        ]
        n = x.get("replications", 0)
        failed = f"  failed {x['failed']}" if x["failed"] else ""
        print(
            f"{x['method']:<30}{x['world']:<15}{n:>5}"
            f"{cells[0]:>14}{cells[1]:>14}{cells[2]:>13}{cells[3]:>13}{failed}"
        )


def main() -> None:
    """Run what is missing on two processes, then write ``result.json`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=200)
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help="seeds from here on: what was chosen on others, confirmed",
    )
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--draws", type=Path, default=DRAWS)
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    asked = parser.parse_args()
    rows = read(asked.draws)
    known = {(r["method"], r["world"], r["effect"], r["replication"]) for r in rows}
    wanted = range(asked.first, asked.first + asked.replications)
    jobs = list(jobs_of(asked.worlds, asked.methods, wanted, known))
    begun = time.monotonic()
    # One thread each: two processes already use both processors.
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=fresh) as workers, asked.draws.open("a") as kept:
        for start in range(0, len(jobs), 40):
            if time.monotonic() - begun > asked.seconds:
                print(f"stopped after {start} of {len(jobs)} replications")
                break
            for found in workers.map(one, jobs[start : start + 40], chunksize=4):
                rows.extend(found)
                kept.write(json.dumps(found) + "\n")
            kept.flush()
    lines = summary(rows)
    confirming = [r for r in rows if r["replication"] >= CHOSEN_ON and "random" in r["method"]]
    found = {"claim": round(CLAIM, 6), "rows": lines, "confirmation": summary(confirming)}
    asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    show(lines)


if __name__ == "__main__":
    main()
