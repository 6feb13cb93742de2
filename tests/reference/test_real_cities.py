"""Detroit and Chicago from their original files to a verdict; the registered studies under configs/studies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalkit.cli.run_options import claim_of
from evalkit.cli.running import Plan, build_panels, run_study
from evalkit.cli.site_init import from_recipe
from evalkit.config import load_study
from evalkit.core.study import study_hash
from evalkit.errors import MissingSiteError
from evalkit.panel.store import read_built
from evalkit.workbench import Bench, open_bench, read_city

STUDIES = Path(__file__).parents[2] / "configs" / "studies"


def bench_for(recipe: str, shared: Path, folder: Path) -> Bench:
    data = shared / "data" / "cities" / recipe.split("-", maxsplit=1)[0]
    path = folder / f"{recipe}.toml"
    path.write_text(from_recipe(recipe, data), encoding="utf-8")
    return open_bench(path)


def plan_for(bench: Bench, name: str, folder: Path) -> Plan:
    path = STUDIES / f"{name}.toml"
    study = load_study(path)
    return Plan(
        study=study,
        claim=claim_of(study, path),
        benches=[bench],
        root=folder / "runs",
        tracking=False,
        pictures=False,
        quiet=True,
    )


@pytest.mark.parametrize(
    ("recipe", "incidents", "cameras"),
    [("detroit", 5_112, 979), ("chicago-speed", 148_636, 212), ("chicago-red-light", 148_636, 300)],
)
def test_accounts_add_up_to_the_files(
    recipe: str, incidents: int, cameras: int, shared: Path, tmp_path: Path
) -> None:
    rows = read_city(bench_for(recipe, shared, tmp_path))
    for read, total in ((rows.incidents, incidents), (rows.cameras, cameras)):
        assert read.account.read == total
        assert read.account.used + sum(read.account.rejected.values()) == total
        assert read.rows.height == read.account.used
        assert read.rejected.height == total - read.account.used


@pytest.mark.parametrize(
    ("recipe", "study", "outcome"),
    [
        ("detroit", "detroit-green-light", "undecided"),
        ("chicago-speed", "chicago-traffic-placebo", "contradicted"),
        ("chicago-red-light", "chicago-red-light-placebo", "contradicted"),
    ],
)
def test_registered_studies_run_from_the_original_files(
    recipe: str, study: str, outcome: str, shared: Path, tmp_path: Path
) -> None:
    bench = bench_for(recipe, shared, tmp_path)
    plan = plan_for(bench, study, tmp_path)
    build_panels(plan)
    built = read_built(bench.store.study_folder(study_hash(plan.study)))
    came, *went = built.account.values()
    assert came == sum(went)
    result = run_study(plan)
    assert result["verdict"]["outcome"] == outcome
    assert result["placebo"] == ([recipe] if recipe.startswith("chicago") else [])


def test_every_shipped_study_names_the_recipes_it_is_meant_for_and_is_run_above() -> None:
    meant = {
        (recipe, path.stem)
        for path in STUDIES.glob("*.toml")
        for recipe in re.findall(r"^# Sites: (.+)$", path.read_text("utf-8"), re.MULTILINE)[
            0
        ].split(", ")
    }
    assert all((STUDIES.parent / "sites" / f"{recipe}.toml").is_file() for recipe, _ in meant)
    (run,) = [
        mark.args[1]
        for mark in test_registered_studies_run_from_the_original_files.pytestmark
        if mark.name == "parametrize"
    ]
    assert {(recipe, study) for recipe, study, _ in run} == meant


def test_too_few_red_light_cameras_are_refused_and_not_estimated(
    shared: Path, tmp_path: Path
) -> None:
    """In the study made for speed cameras: by its radius and window no five of them share a go-live year."""
    bench = bench_for("chicago-red-light", shared, tmp_path)
    plan = plan_for(bench, "chicago-traffic-placebo", tmp_path)
    build_panels(plan)
    with pytest.raises(MissingSiteError, match="min_treated_per_pattern"):
        run_study(plan)
    assert not list((tmp_path / "runs").rglob("*.release"))
