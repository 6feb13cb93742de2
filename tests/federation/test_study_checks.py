"""The studies that a study's checks ask for: approved with it, asked with it, recomputed with it."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flwr.app import Message

from evalkit.cli import main
from evalkit.config import load_study
from evalkit.core.estimate import Estimate
from evalkit.core.falsification import derived_of
from evalkit.core.study import Checks, Study, study_hash
from evalkit.errors import (
    BadMessageError,
    ConfigError,
    MissingSiteError,
    NothingToTestError,
    TaxonomyError,
)
from evalkit.federation.client_app import app as client_app
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import Failure, RunFolder
from evalkit.federation.server_app import conduct
from evalkit.federation.site_store import SiteStore
from evalkit.runtimes.derived import read_derived
from evalkit.runtimes.local import run_local
from evalkit.workbench import open_bench, store_study
from tests.panels import OPEN_POLICY, cities, study
from tests.small_world import small_world
from tests.stores import site_of, store_of

SECTION = """
[checks]
placebo_periods = [6, 12]
placebo_cameras = true
rings = true
chance = true
"""
KINDS = ["placebo_dates", "placebo_dates", "placebo_cameras", "rings", "chance"]


@dataclass(frozen=True)
class World:
    """Three simulated cities that approve one study by its hash and nothing else."""

    study: Path
    sites: tuple[Path, ...]

    def run(self, *words: object) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        return int(ended.value.code or 0), out.getvalue(), err.getvalue()

    def study_run(self, out: Path, *words: object) -> tuple[int, str, str]:
        sites = [word for site in self.sites for word in ("--site", site)]
        return self.run("study", "run", self.study, *sites, "--out", out, *words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = small_world(tmp_path_factory.mktemp("checked"), cities=3)
    with made.study.open("a") as file:
        file.write(SECTION)
    digest = study_hash(load_study(made.study))
    for site in made.sites:
        text = site.read_text()
        assert 'studies = ["any"]' in text
        site.write_text(text.replace('studies = ["any"]', f'studies = ["{digest}"]'))
    return World(made.study, made.sites)


@pytest.fixture(scope="module")
def finished(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A whole run from raw files, and what it said of its progress."""
    out = tmp_path_factory.mktemp("out")
    code, _, said = world.study_run(out)
    assert code == 0, said
    return (out / "latest").resolve(), said


@pytest.fixture
def copied(finished: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def result_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "result.json").read_text())
    return found


def outcomes(run: Path) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in result_of(run)["checks"]}


# ------------------------------------------------------------------- a whole run


def test_every_derived_study_is_in_the_result_with_its_hash(
    world: World, finished: tuple[Path, str]
) -> None:
    rows = result_of(finished[0])["derived"]
    derived = derived_of(load_study(world.study))
    assert [row["kind"] for row in rows] == KINDS
    assert [row["hash"] for row in rows] == [one.hash for one in derived]
    assert [row["label"] for row in rows] == [one.label for one in derived]
    for row in rows:
        assert row["code"] is row["what"] is None
        assert len(row["estimate"]["contributors"]) == 3
        kept = json.loads((finished[0] / row["folder"] / "estimate.json").read_text())
        assert kept == row["estimate"]


def test_the_checks_judge_them(finished: tuple[Path, str]) -> None:
    found = outcomes(finished[0])
    for name in ("placebo_dates", "placebo_cameras", "displacement"):
        assert found[name]["outcome"] in {"passed", "failed"}, found[name]
    assert found["placebo_dates"]["figures"]["placebos"] == 2
    assert found["placebo_cameras"]["figures"]["placebos"] == 1
    assert found["regression_to_the_mean"]["reason"] != (
        "the change that chance leads to expect was not asked"
    )
    assert found["placebo_outcomes"]["reason"] == "no placebo outcome was asked"
    for name in ("heterogeneity", "leave_one_city_out"):
        assert found[name]["outcome"] != "not computable"


def test_all_of_them_take_one_round_more(finished: tuple[Path, str]) -> None:
    assert finished[1].count("rounds:") == 2
    assert "checks, 5 questions to each city, 5 of 5 studies ended" in finished[1]


def test_every_release_is_in_the_ledger_of_its_city(
    world: World, finished: tuple[Path, str]
) -> None:
    sent = {
        digest
        for file in finished[0].rglob("releases.json")
        for digest in json.loads(file.read_text()).values()
    }
    assert len(sent) == 3 * (1 + len(KINDS))
    entries = [entry for site in world.sites for entry in open_bench(site).store.ledger.entries()]
    assert sent <= {entry["release"] for entry in entries if entry["outcome"] == "released"}


def test_mlflow_has_a_child_for_each_and_the_outcome_of_every_check(
    finished: tuple[Path, str],
) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{finished[0].parent / 'mlflow.db'}")
    (experiment,) = (one for one in client.search_experiments() if one.name == "demo")
    runs = client.search_runs([experiment.experiment_id])
    children = {one.data.tags["derived"]: one for one in runs if "derived" in one.data.tags}
    rows = result_of(finished[0])["derived"]
    assert set(children) == {row["hash"] for row in rows}
    for row in rows:
        child = children[row["hash"]]
        assert child.info.run_name == row["label"]
        assert child.data.metrics["estimate"] == row["estimate"]["terms"][0]["estimate"]
    (parent,) = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    for name, check in outcomes(finished[0]).items():
        assert parent.data.tags[f"check_{name}"] == check["outcome"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("report.html", ("No effect at false dates", "6 months earlier", "100 to 200 m")),
        ("report.es.html", ("Sin efecto en fechas falsas", "6 meses antes", "de 100 a 200 m")),
        ("report.pt.html", ("Sem efeito em datas falsas", "6 meses antes", "de 100 a 200 m")),
    ],
)
def test_the_report_shows_them(
    finished: tuple[Path, str], page: str, words: tuple[str, ...]
) -> None:
    text = (finished[0] / page).read_text(encoding="utf-8")
    assert all(word in text for word in words)


def test_the_run_verifies_and_so_does_what_is_derived(world: World, copied: Path) -> None:
    code, said, _ = world.run("review", "verify", copied, "--json")
    assert code == 0
    told = json.loads(said)
    assert (told["derived"], told["not_estimated"]) == (5, [])


def edit(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def hide(run: Path) -> None:
    """Pretend that a placebo was refused, releases and all."""
    folder = run / "checks" / "00-placebo_dates"
    (folder / "failure.json").write_text('{"code": "SITE-MISSING", "what": "no answer"}')


def remove(run: Path) -> None:
    shutil.rmtree(run / "checks" / "03-rings")


def swap(run: Path) -> None:
    """Put the weaker placebo in the place of the other."""
    first, second = run / "checks" / "00-placebo_dates", run / "checks" / "01-placebo_dates"
    shutil.rmtree(first)
    shutil.copytree(second, first)


def change_release(run: Path) -> None:
    release = sorted((run / "checks" / "02-placebo_cameras" / "releases").iterdir())[0]
    data = bytearray(release.read_bytes())
    data[-3] ^= 1
    release.write_bytes(bytes(data))


TAMPERING: dict[str, Callable[[Path], object]] = {
    "a hidden placebo": hide,
    "a missing folder": remove,
    "another study's folder": swap,
    "a changed release": change_release,
    "another estimate": lambda run: edit(
        run / "checks" / "03-rings" / "estimate.json",
        lambda one: one["terms"][0].update(estimate=0.0),
    ),
    "another row": lambda run: edit(
        run / "result.json", lambda one: one["derived"][0]["estimate"].update(df=3.0)
    ),
    "another roster": lambda run: edit(
        run / "checks" / "00-placebo_dates" / "roster.json", lambda one: one["expected"].pop()
    ),
    "other versions": lambda run: edit(
        run / "checks" / "00-placebo_dates" / "versions.json", lambda one: one.update(numpy="1.0")
    ),
    "a row less": lambda run: edit(run / "result.json", lambda one: one["derived"].pop()),
    "another outcome": lambda run: edit(
        run / "result.json", lambda one: one["checks"][-1].update(outcome="failed")
    ),
}


@pytest.mark.parametrize("how", TAMPERING)
def test_verify_finds_what_was_changed(world: World, copied: Path, how: str) -> None:
    TAMPERING[how](copied)
    code, said, _ = world.run("review", "verify", copied, "--json")
    assert code != 0
    error = json.loads(said)["error"]
    assert error["code"] in {BadMessageError.code, ConfigError.code}
    if how != "a changed release":  # that is nothing another version of evalkit could have done
        assert error["code"] == ConfigError.code or "versions.json" in error["way_out"]


# ------------------------------------------------------------------ approval and refusal


def test_a_city_that_approved_only_another_study_refuses(world: World, tmp_path: Path) -> None:
    """Approving one derived study covers neither its parent nor its siblings."""
    derived = derived_of(load_study(world.study))
    site = world.sites[1]
    kept = site.read_text()
    parent = study_hash(load_study(world.study))
    try:
        site.write_text(kept.replace(parent, derived[0].hash))
        code, said, _ = world.study_run(
            tmp_path / "out", "--json", "--no-pictures", "--no-tracking"
        )
    finally:
        site.write_text(kept)
    assert code != 0
    assert "rules: studies" in json.loads(said)["error"]["what"]


def test_more_than_a_policy_lets_one_approval_cover_is_not_computable(
    world: World, tmp_path: Path
) -> None:
    site = world.sites[0]
    kept = site.read_text()
    try:
        site.write_text(kept + "max_specifications = 4\n")
        _, without = store_study(open_bench(site), load_study(world.study))
        code, _, said = world.study_run(tmp_path / "out", "--no-pictures", "--no-tracking")
    finally:
        site.write_text(kept)
        store_study(open_bench(site), load_study(world.study))
    assert set(without.values()) == {"REFUSAL"}
    assert code == 0, said
    run = tmp_path / "out" / "latest"
    assert all(row["code"] == MissingSiteError.code for row in result_of(run)["derived"])
    reason = outcomes(run)["placebo_dates"]
    assert reason["outcome"] == "not computable"
    assert "6 months earlier, 12 months earlier could not be estimated" in reason["reason"]
    assert "rules: studies" in reason["reason"]
    code, told, _ = world.run("review", "verify", run)
    assert code == 0
    assert "0 of 5 studies" in told
    assert "ledgers do" in told


def test_what_a_city_cannot_build_is_named_and_the_rest_is_stored(world: World) -> None:
    """No weapons in this city; 44 periods earlier no camera has a before."""
    bench = open_bench(world.sites[0])
    asks = Checks(placebo_periods=(6, 44), placebo_outcomes=(("weapons",),), chance=True)
    asked = msgspec.structs.replace(load_study(world.study), checks=asks)
    built, without = store_study(bench, asked)
    soon, far, weapons, chance = derived_of(asked)
    assert without == {far.hash: NothingToTestError.code, weapons.hash: TaxonomyError.code}
    assert bench.store.panel(soon.hash).study == soon.hash
    same = bench.store.panel(chance.hash)
    assert (same.counts == built.panel.counts).all()
    assert (same.role == built.panel.role).all()
    assert bench.store.study(chance.hash) == chance.study


def test_site_panel_and_study_check_say_what_approval_covers(world: World) -> None:
    derived = derived_of(load_study(world.study))
    _, said, _ = world.run("study", "check", world.study, "--json")
    assert [one["hash"] for one in json.loads(said)["derived"]] == [one.hash for one in derived]
    _, said, _ = world.run("study", "check", world.study)
    assert said.count("approval of the hash covers it") == len(derived)
    panel = ("site", "panel", "--site", world.sites[0], "--study", world.study, "--no-pictures")
    _, said, _ = world.run(*panel)
    assert "5 of 5 studies that its checks ask for" in said
    _, said, _ = world.run(*panel, "--json")
    assert json.loads(said)["checks_without_panel"] == {}


# ------------------------------------------------------------------------- in process


def asked_with(**changes: Any) -> Study:
    checks = Checks(placebo_periods=(4,), placebo_outcomes=(("theft",),), chance=True)
    plain = study(estimator="random_effects")
    outcome = msgspec.structs.replace(plain.outcome, crime_types=("robbery",))
    return msgspec.structs.replace(plain, checks=checks, outcome=outcome, **changes)


def stores_for(asked: Study, root: Path) -> list[SiteStore]:
    policy = msgspec.structs.replace(OPEN_POLICY, studies=(study_hash(asked),))
    stores = []
    for panel in cities():
        store = store_of(panel, asked, root, policy)
        for one in derived_of(asked):
            store_of(panel, one.study, root, policy)
        store.write_study(site_of(panel.sites[0], policy), asked)
        stores.append(store)
    return stores


def test_each_is_the_study_run_by_itself(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores")
    run = RunFolder.create(tmp_path / "run", asked)
    run_local(run, stores)
    for number, one in enumerate(read_derived(run, asked)):
        alone = RunFolder.create(tmp_path / f"alone{number}", one.about.study)
        expected = run_local(alone, stores)
        assert isinstance(one.outcome, Estimate)
        assert one.outcome.effect.tobytes() == expected.effect.tobytes()
        assert RunFolder(run.path / one.folder).read("releases.json") == alone.read("releases.json")


class CountingGrid(InProcessGrid):
    """Counts the messages of each kind."""

    sent: list[str]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        listed = list(messages)
        self.sent = [*getattr(self, "sent", []), *(one.metadata.message_type for one in listed)]
        return super().push_messages(listed)


def test_a_study_without_checks_asks_nothing_more(tmp_path: Path) -> None:
    """One question and no batch; with checks one message to each city for all of them."""
    for checks, batches in ((msgspec.UNSET, 0), (asked_with().checks, 4)):
        asked = msgspec.structs.replace(asked_with(), checks=checks)
        stores = stores_for(asked, tmp_path / str(batches))
        run = RunFolder.create(tmp_path / f"run{batches}", asked)
        nodes = {number: {"store": str(one.folder)} for number, one in enumerate(stores, 1)}
        names = tuple(one.name for one in stores)
        with CountingGrid(client_app, nodes) as grid:
            conduct(grid, asked, names, run)
            assert grid.sent.count("query.batch") == batches
            assert grid.sent.count("query.answer") == 4


def test_what_one_city_refuses_is_not_computable_and_fails_nothing(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores")
    shutil.rmtree(stores[2].study_folder(derived_of(asked)[1].hash))
    run = RunFolder.create(tmp_path / "run", asked)
    assert run_local(run, stores).contributors == tuple(one.name for one in stores)
    dates, outcome, chance = read_derived(run, asked)
    assert isinstance(dates.outcome, Estimate)
    assert isinstance(chance.outcome, Estimate)
    assert isinstance(outcome.outcome, Failure)
    assert outcome.outcome.code == MissingSiteError.code
    assert f"{stores[2].name}: PANEL-ABSENT" in outcome.outcome.what


def test_a_city_cannot_be_talked_into_a_derived_study_it_does_not_derive(tmp_path: Path) -> None:
    """The server's study asks for more than the one the city holds; the city goes by its own."""
    held, asked = asked_with(), asked_with()
    wider = msgspec.structs.replace(asked_with(), checks=Checks(placebo_periods=(4, 8)))
    stores = stores_for(held, tmp_path / "stores")
    extra = derived_of(wider)[1]
    policy = stores[0].policy()
    assert policy is not None
    assert extra.hash not in policy.studies
    assert set(policy.studies) == {
        study_hash(asked),
        *(one.hash for one in derived_of(asked)),
    }
