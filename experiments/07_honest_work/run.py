"""How much honest work does the default policy refuse?

    .venv/bin/python experiments/07_honest_work/run.py

runs every shipped study in the cities it is meant for, under the default policy: the demo's six simulated cities,
Detroit and Chicago. Each city has one store, so that everything asked before counts: first the study, with the studies
that its ``[checks]`` ask for, then a specification curve over choices that could have been made otherwise. What was
answered, refused (by which rule), or could not be computed at all is counted and written to ``result.json`` here.

The files of the real cities are read from the folder named by EVALKIT_SHARED, or ``shared`` beside the repository.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from evalkit.cli.curve import build_curve_panels, run_curve
from evalkit.cli.run_options import claim_of
from evalkit.cli.running import Plan, build_panels, run_study
from evalkit.cli.simulate import chosen_preset
from evalkit.cli.site_init import from_recipe
from evalkit.config import Policy, load_study
from evalkit.core.study import Specifications, Study, check_study
from evalkit.errors import EvalkitError
from evalkit.simulate import simulate
from evalkit.workbench import Bench, open_bench

HERE: Final = Path(__file__).parent
REPOSITORY: Final = HERE.parents[1]
STUDIES: Final = REPOSITORY / "configs" / "studies"
SHARED: Final = Path(os.environ.get("EVALKIT_SHARED", REPOSITORY.parent / "shared"))
SEED: Final = 2019

RADII: Final = (100.0, 150.0, 250.0)
ESTIMATORS: Final = ("random_effects/poisson_did", "random_effects/rate_ratio")
LATER: Final = {"detroit-green-light": 2022, "chicago-traffic-placebo": 2012}
"""First year of the curve's other window."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one study in one run; with several cities, one that does not answer ends it.

    Attributes:
        study: its name.
        cities: how many were asked.
        kind: ``main``, ``check`` or ``specification``.
        label: which.
        outcome: ``answered``, ``refused`` by a policy, or ``not computable`` for another reason.
        why: names of rules, or the error's code.
    """

    study: str
    cities: int
    kind: str
    label: str
    outcome: str
    why: str = ""


def judged(code: str | None, what: str | None) -> tuple[str, str]:
    """Outcome and reason of a study by its error, None for none."""
    if code is None:
        return "answered", ""
    rules = sorted(
        {
            rule
            for found in re.findall(r"\(rules: ([a-z_, ]+)\)", what or "")
            for rule in found.split(", ")
        }
    )
    if rules or code == "REFUSAL":
        return "refused", ", ".join(rules) or code
    inner = re.findall(r": ([A-Z][A-Z-]+)", what or "")
    return "not computable", ", ".join(sorted(set(inner))) or code


def sites_of(study: str) -> tuple[str, ...]:
    """The recipes that a shipped study is meant for, from the line ``# Sites:`` of its file."""
    text = (STUDIES / f"{study}.toml").read_text(encoding="utf-8")
    (named,) = re.findall(r"^# Sites: (.+)$", text, re.MULTILINE)
    return tuple(str(name) for name in named.split(", "))


def plan_of(study: Study, benches: Sequence[Bench], root: Path) -> Plan:
    return Plan(
        study=study,
        claim=claim_of(study, STUDIES / "x.toml"),
        benches=benches,
        root=root,
        tracking=False,
        pictures=False,
        quiet=True,
    )


def main_and_checks(study: Study, benches: Sequence[Bench], root: Path) -> list[Row]:
    """The study as it is shipped, and every study that its checks ask for."""
    plan = plan_of(study, benches, root)
    cities = len(benches)
    try:
        build_panels(plan)
        result = run_study(plan)
    except EvalkitError as error:
        return [Row(study.name, cities, "main", "as shipped", *judged(error.code, error.what))]
    rows = [Row(study.name, cities, "main", "as shipped", "answered")]
    for one in result["derived"]:
        outcome = judged(one["code"], one["what"])
        rows.append(Row(study.name, cities, "check", f"{one['kind']}: {one['label']}", *outcome))
    return rows


def curve(study: Study, benches: Sequence[Bench], root: Path) -> list[Row]:
    """Radius × window × controls × first stage; where the window cannot begin later, without windows."""
    window = study.window
    later = LATER.get(study.name)
    windows = ((window.start, window.end), (dt.date(later, 1, 1), window.end)) if later else ()
    listed = Specifications(
        radius_m=RADII,
        window=windows,
        controls=("lattice", "later_cameras"),
        estimator=ESTIMATORS,
    )
    plan = plan_of(check_study(replace(study, specifications=listed)), benches, root)
    build_curve_panels(plan)
    result = run_curve(plan)
    return [
        Row(
            study.name,
            len(benches),
            "specification",
            ", ".join(row["choices"].values()),
            *judged(row["code"], row["what"]),
        )
        for row in result["specifications"]
    ]


def demo(folder: Path) -> tuple[Study, list[Bench]]:
    made = simulate(chosen_preset("demo"), folder / "demo", SEED)
    return load_study(made.study), [open_bench(site) for site in made.sites]


def real(name: str, folder: Path) -> tuple[Study, list[Bench]]:
    benches = []
    for recipe in sites_of(name):
        text = from_recipe(recipe, SHARED / "data" / "cities" / recipe.partition("-")[0])
        path = folder / f"{recipe}.toml"
        path.write_text(text, encoding="utf-8")
        benches.append(open_bench(path))
    return load_study(STUDIES / f"{name}.toml"), benches


def check_default(benches: Iterable[Bench]) -> None:
    """Every limit is the default one; only which studies may be asked is not."""
    for bench in benches:
        if bench.site.policy != Policy(studies=("any",)):
            raise SystemExit(
                f"{bench.site.name} has a policy of its own, and the defaults are in question"
            )


def summary(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """By kind: asked, answered, refused, not computable, share refused, and refusals by rule."""
    found = {}
    for kind in ("main", "check", "specification"):
        own = [row for row in rows if row.kind == kind]
        count = Counter(row.outcome for row in own)
        reasons = Counter(
            rule for row in own if row.outcome == "refused" for rule in row.why.split(", ")
        )
        found[kind] = {
            "asked": len(own),
            "answered": count["answered"],
            "refused": count["refused"],
            "not computable": count["not computable"],
            "share refused": count["refused"] / len(own) if own else None,
            "refused by": dict(reasons.most_common()),
        }
    return found


def main() -> None:
    """Run all, print, write, and fail if a shipped main study is refused."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    given = parser.parse_args()
    rows: list[Row] = []
    names = ["demo", *sorted(path.stem for path in STUDIES.glob("*.toml"))]
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            folder = Path(temporary) / name
            folder.mkdir()
            study, benches = demo(folder) if name == "demo" else real(name, folder)
            check_default(benches)
            rows += main_and_checks(study, benches, folder / "runs")
            rows += curve(study, benches, folder / "curves")
    for row in rows:
        if row.kind != "specification":
            print(f"{row.study:>26} {row.kind:<6} {row.label:<40} {row.outcome} {row.why}")
    tables = {name: summary([row for row in rows if row.study == name]) for name in names}
    for name, table in {**tables, "all": summary(rows)}.items():
        for kind, told in table.items():
            print(f"{name:>26} {kind:<14} {told}")
    content = {
        "policy": "the defaults, any study",
        "by study": tables,
        "all": summary(rows),
        "rows": [
            {"study": row.study, "cities": row.cities, "kind": row.kind, "label": row.label}
            | {"outcome": row.outcome, "why": row.why}
            for row in rows
        ],
    }
    given.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    refused = [row.study for row in rows if row.kind == "main" and row.outcome != "answered"]
    if refused:
        raise SystemExit(f"shipped studies that were not answered: {', '.join(refused)}")


if __name__ == "__main__":
    main()
