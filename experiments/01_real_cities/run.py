"""Detroit and Chicago from their portals' own files to a verdict, with every row accounted for.

    .venv/bin/python experiments/01_real_cities/run.py

reads the files from the folder named by EVALKIT_SHARED, or ``shared`` beside the repository, and writes
``result.json`` here. The radius is varied to show how much hangs on it, the event study is asked with ever longer
periods until the city's gate lets one out, and each design is asked to show its own mistakes: placebo dates, placebo
cameras, rings and regression to the mean, as the studies' ``[checks]`` say, and a curve over choices that could have
been made otherwise. Nothing is selected afterwards.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from evalkit.cli.curve import build_curve_panels, run_curve
from evalkit.cli.run_options import claim_of
from evalkit.cli.running import Plan, build_panels, run_study
from evalkit.cli.site_init import from_recipe
from evalkit.config import load_study
from evalkit.core.study import Specifications, Study, check_study
from evalkit.errors import EvalkitError
from evalkit.workbench import Bench, check_city, open_bench, read_city

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
STUDIES = REPOSITORY / "configs" / "studies"
SHARED = Path(os.environ.get("EVALKIT_SHARED", REPOSITORY.parent / "shared"))

CITIES = (
    ("detroit", "detroit", "detroit-green-light"),
    ("chicago-speed", "chicago", "chicago-traffic-placebo"),
    ("chicago-red-light", "chicago", "chicago-red-light-placebo"),
)
RADII = (100.0, 150.0, 250.0)
EVENT_WINDOW = (-4, 6)
"""Periods before and after go-live, whatever the period; beyond them effects are binned."""
PERIODS = ("month", "quarter", "year")
"""Of the event study, from the study's own on: short periods leave the gate too few incidents a coefficient."""
OF_EVENTS = (
    "pre_trend",
    "honest_did_relative_magnitudes",
    "honest_did_smoothness",
    "small_cohorts",
)
OF_DERIVED = (
    "placebo_dates",
    "placebo_outcomes",
    "placebo_cameras",
    "displacement",
    "regression_to_the_mean",
    "leave_one_city_out",
)
LATER_START = {
    "detroit-green-light": dt.date(2022, 1, 1),
    "chicago-traffic-placebo": dt.date(2012, 1, 1),
    "chicago-red-light-placebo": dt.date(2010, 7, 1),
}
"""The other window of the curve. Red-light cameras of October 2010 leave no more than three months before them."""


def variants(study: Study) -> Iterator[tuple[str, Study]]:
    """The study as registered, then the same with other radii; rings are twice the radius. Checks: `falsified`."""
    study = replace(study, checks=msgspec.UNSET)
    yield "as registered", study
    for radius in RADII:
        if radius != study.units.radius_m:
            units = replace(study.units, radius_m=radius, ring_m=2 * radius)
            yield f"radius {radius:g} m", replace(study, units=units)


def one(recipe: str, folder: Path, study: Study, label: str) -> dict[str, Any]:
    """One study on one city; a refusal is a result too."""
    row: dict[str, Any] = {"site": recipe, "study": study.name, "variant": label}
    try:
        result = answered(recipe, folder, study)
    except EvalkitError as error:
        return {**row, "outcome": f"{error.code}: {error.what}"}
    term = result["estimate"]["terms"][0]
    return {
        **row,
        "outcome": result["verdict"]["outcome"],
        "reason": result["verdict"]["reason"]["en"],
        "placebo": bool(result["placebo"]),
        "percent": term["percent"],
        "percent_low": term["percent_low"],
        "percent_high": term["percent_high"],
        "clusters": result["estimate"]["clusters"],
    }


def event_studies(study: Study) -> Iterator[tuple[str, Study]]:
    """The study with effects by event time, in its own period and in longer ones."""
    analysis = replace(
        study.analysis, estimator="poisson_did", design="event_time", event_window=EVENT_WINDOW
    )
    for period in PERIODS[PERIODS.index(study.window.period) :]:
        window = replace(study.window, period=period)
        other = replace(study, window=window, analysis=analysis, checks=msgspec.UNSET)
        yield f"event study by {period}", other


def event_study(recipe: str, folder: Path, study: Study) -> dict[str, Any]:
    """The first that the city's gate lets out, with the refusals before it."""
    refused = []
    for label, asked in event_studies(study):
        try:
            result = answered(recipe, folder, asked)
        except EvalkitError as error:
            refused.append(f"{label}: {error.code}: {error.what}")
            continue
        return {
            "site": recipe,
            "study": study.name,
            "variant": label,
            "refused": refused,
            "outcome": result["verdict"]["outcome"],
            "placebo": bool(result["placebo"]),
            "terms": [
                {key: term[key] for key in ("term", "percent", "percent_low", "percent_high")}
                for term in result["estimate"]["terms"]
            ],
            "notes": result["estimate"]["notes"],
            "checks": [one for one in result["checks"] if one["name"] in OF_EVENTS],
        }
    return {"site": recipe, "study": study.name, "variant": "event study", "refused": refused}


def falsified(recipe: str, folder: Path, study: Study) -> dict[str, Any]:
    """The study with the checks it asks for: every derived study, a refusal too, and what the checks say of them."""
    row = {"site": recipe, "study": study.name}
    try:
        result = answered(recipe, folder, study)
    except EvalkitError as error:
        return {**row, "refused": f"{error.code}: {error.what}"}
    return {
        **row,
        "derived": [derived_row(one) for one in result["derived"]],
        "checks": [one for one in result["checks"] if one["name"] in OF_DERIVED],
    }


def derived_row(one: dict[str, Any]) -> dict[str, Any]:
    about = {key: one[key] for key in ("kind", "label", "hash")}
    if one["estimate"] is None:
        return {**about, "refused": f"{one['code']}: {one['what']}"}
    term = one["estimate"]["terms"][0]
    return {**about, **{key: term[key] for key in ("percent", "percent_low", "percent_high")}}


def curve(recipe: str, folder: Path, study: Study) -> dict[str, Any]:
    """Radius × window × controls × estimator, in one job."""
    window = study.window
    listed = Specifications(
        radius_m=RADII,
        window=((window.start, window.end), (LATER_START[study.name], window.end)),
        controls=("lattice", "later_cameras"),
        estimator=("random_effects/poisson_did", "random_effects/rate_ratio"),
    )
    bench = open_bench(folder / f"{recipe}.toml")
    plan = plan_of(bench, folder, check_study(replace(study, specifications=listed)))
    build_curve_panels(plan)
    result = run_curve(plan)
    kept = ("choices", "status", "percent", "percent_low", "percent_high", "outcome", "code")
    return {
        "site": recipe,
        "study": study.name,
        "summary": result["summary"],
        "specifications": [{key: row[key] for key in kept} for row in result["specifications"]],
    }


def plan_of(bench: Bench, folder: Path, study: Study) -> Plan:
    return Plan(
        study=study,
        claim=claim_of(study, STUDIES / "x.toml"),
        benches=[bench],
        root=folder / "runs",
        tracking=False,
        pictures=False,
        quiet=True,
    )


def answered(recipe: str, folder: Path, study: Study) -> dict[str, Any]:
    """What ``result.json`` of a run holds."""
    plan = plan_of(open_bench(folder / f"{recipe}.toml"), folder, study)
    build_panels(plan)
    return run_study(plan)


def main() -> None:
    """Run all cities and variants, print their tables, write them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    asked = parser.parse_args()
    accounts, rows = [], []
    events, beliefs, curves = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for recipe, data, study_name in CITIES:
            text = from_recipe(recipe, SHARED / "data" / "cities" / data)
            (folder / f"{recipe}.toml").write_text(text, encoding="utf-8")
            bench = open_bench(folder / f"{recipe}.toml")
            found = check_city(bench, read_city(bench))
            for source in ("incidents", "cameras"):
                account = found[source]
                rejected = account["rejected"]
                accounts.append({"site": recipe, "source": source, **account, "notes": None})
                print(
                    f"{recipe:>18} {source:<9} {account['read']:>7} read = {account['used']:>7} used "
                    f"+ {sum(rejected.values()):>4} rejected {rejected or ''}"
                )
            study = load_study(STUDIES / f"{study_name}.toml")
            rows += [one(recipe, folder, changed, label) for label, changed in variants(study)]
            events.append(event_study(recipe, folder, study))
            beliefs.append(falsified(recipe, folder, study))
            curves.append(curve(recipe, folder, study))
    for row in rows:
        shown = (
            f"{row['percent']:+6.1f} % [{row['percent_low']:+6.1f}, {row['percent_high']:+6.1f}]"
            if "percent" in row
            else " " * 27
        )
        print(f"{row['site']:>18} {row['variant']:<14} {shown}  {row['outcome']}")
    show_design(events, beliefs, curves)
    for account in accounts:
        del account["by_month"], account["notes"]
    found = {
        "accounts": accounts,
        "rows": rows,
        "event_studies": events,
        "falsification": beliefs,
        "curves": curves,
    }
    asked.out.write_text(json.dumps(plain(found), indent=1, allow_nan=False) + "\n")


def show_design(
    events: Sequence[dict[str, Any]],
    beliefs: Sequence[dict[str, Any]],
    curves: Sequence[dict[str, Any]],
) -> None:
    for event in events:
        print(f"{event['site']}, {event['variant']}; refused: {event['refused'] or 'none'}")
        for term in event.get("terms", ()):
            print(f"{term['term']:>18} {interval_of(term)}")
    for belief in beliefs:
        print(f"{belief['site']}: {belief.get('refused', 'derived studies')}")
        for row in belief.get("derived", ()):
            print(f"{row['kind']:>18} {row['label']:<20} {row.get('refused') or interval_of(row)}")
    for told in (*events, *beliefs):
        for check in told.get("checks", ()):
            print(f"{told['site']:>18} {check['name']}: {check['outcome']}; {check['reason']}")
    for drawn in curves:
        print(f"{drawn['site']:>18} curve: {drawn['summary']}")


def interval_of(row: dict[str, Any]) -> str:
    return f"{row['percent']:+6.1f} % [{row['percent_low']:+6.1f}, {row['percent_high']:+6.1f}]"


def plain(value: Any) -> Any:
    """Infinity and not-a-number as null, which JSON has."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    main()
