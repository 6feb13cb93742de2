"""Detroit and Chicago from their portals' own files to a verdict, with every row accounted for.

    .venv/bin/python experiments/01_real_cities/run.py

reads the files from the folder named by EVALKIT_SHARED, or ``shared`` beside the repository, and writes
``result.json`` here. The radius is varied to show how much hangs on it; nothing is selected afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from evalkit.cli.running import Plan, build_panels, run_study
from evalkit.cli.site_init import from_recipe
from evalkit.cli.study import claim_of
from evalkit.config import load_study
from evalkit.core.study import Study
from evalkit.errors import EvalkitError
from evalkit.workbench import check_city, open_bench, read_city

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
STUDIES = REPOSITORY / "configs" / "studies"
SHARED = Path(os.environ.get("EVALKIT_SHARED", REPOSITORY.parent / "shared"))

CITIES = (
    ("detroit", "detroit", "detroit-green-light"),
    ("chicago-speed", "chicago", "chicago-traffic-placebo"),
    ("chicago-red-light", "chicago", "chicago-traffic-placebo"),
)
RADII = (100.0, 150.0, 250.0)


def variants(study: Study) -> Iterator[tuple[str, Study]]:
    """The study as registered, then the same with other radii; rings are twice the radius."""
    yield "as registered", study
    for radius in RADII:
        if radius != study.units.radius_m:
            units = replace(study.units, radius_m=radius, ring_m=2 * radius)
            yield f"radius {radius:g} m", replace(study, units=units)


def one(recipe: str, folder: Path, study: Study, label: str) -> dict[str, Any]:
    """One study on one city; a refusal is a result too."""
    site = folder / f"{recipe}.toml"
    bench = open_bench(site)
    plan = Plan(
        study=study,
        claim=claim_of(study, STUDIES / "x.toml"),
        benches=[bench],
        root=folder / "runs",
        tracking=False,
        pictures=False,
        quiet=True,
    )
    row: dict[str, Any] = {"site": recipe, "study": study.name, "variant": label}
    try:
        build_panels(plan)
        result = run_study(plan)
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


def main() -> None:
    """Run all cities and variants, print two tables, write them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    asked = parser.parse_args()
    accounts, rows = [], []
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
    for row in rows:
        shown = (
            f"{row['percent']:+6.1f} % [{row['percent_low']:+6.1f}, {row['percent_high']:+6.1f}]"
            if "percent" in row
            else " " * 27
        )
        print(f"{row['site']:>18} {row['variant']:<14} {shown}  {row['outcome']}")
    for account in accounts:
        del account["by_month"], account["notes"]
    asked.out.write_text(json.dumps({"accounts": accounts, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
