"""Commands as their users meet them: what is printed, what is written, and how they end."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit.cli import main
from evalkit.config import load_study
from evalkit.core.study import study_hash
from evalkit.simulate import Simulation
from tests.small_world import small_world


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)


Run = Callable[..., Ended]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = ended.value.code
        assert "Traceback" not in captured.out + captured.err
        return Ended(code if isinstance(code, int) else 0, captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return small_world(tmp_path_factory.mktemp("world") / "data")


@pytest.fixture(scope="module")
def finished(world: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whole run with pictures and tracking, shared by the tests that look at it."""
    out = tmp_path_factory.mktemp("out") / "runs"
    sites = [part for site in world.sites for part in ("--site", str(site))]
    with pytest.raises(SystemExit) as ended:
        main(["study", "run", str(world.study), *sites, "--out", str(out), "--json"])
    assert ended.value.code == 0
    return out


def sites_of(world: Simulation) -> list[str]:
    return [part for site in world.sites for part in ("--site", str(site))]


def test_a_run_folder_holds_all_a_reviewer_needs(finished: Path) -> None:
    names = {
        path.relative_to(finished / "latest").as_posix()
        for path in (finished / "latest").rglob("*")
    }
    assert {
        "study.json",
        "claim.json",
        "roster.json",
        "releases.json",
        "estimate.json",
        "versions.json",
        "result.json",
        "figures/forest.svg",
        "figures/forest.png",
        "report.html",
        "report.es.html",
        "report.pt.html",
    } <= names
    assert sum(name.endswith(".release") for name in names) == 3


def test_result_and_estimate_agree_and_the_verdict_has_its_reason(finished: Path) -> None:
    result = json.loads((finished / "latest" / "result.json").read_text())
    assert result["estimate"] == json.loads((finished / "latest" / "estimate.json").read_text())
    assert result["verdict"]["outcome"] in {"supported", "contradicted", "undecided"}
    assert set(result["verdict"]["reason"]) == {"en", "es", "pt"}
    assert result["placebo"] == []


def test_ledgers_and_run_folder_hold_the_same_hashes(world: Simulation, finished: Path) -> None:
    recorded = set(json.loads((finished / "latest" / "releases.json").read_text()).values())
    for site in world.sites:
        (ledger,) = site.parent.glob("*.store/ledger.jsonl")
        released = {json.loads(line).get("release") for line in ledger.read_text().splitlines()}
        assert len(released & recorded) == 1


def test_mlflow_has_one_parent_and_a_child_for_each_city(finished: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{finished / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id])
    children = [one for one in runs if "mlflow.parentRunId" in one.data.tags]
    (parent,) = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    result = json.loads((finished / "latest" / "result.json").read_text())
    assert {child.data.tags["site"] for child in children} == set(
        result["estimate"]["contributors"]
    )
    assert parent.data.tags["verdict"] == result["verdict"]["outcome"]
    assert parent.data.metrics["estimate"] == result["estimate"]["terms"][0]["estimate"]
    assert parent.data.metrics["cities"] == 3
    assert parent.info.status == "FINISHED"
    assert "result.json" in {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert Path(experiment.artifact_location.removeprefix("file://")).is_relative_to(finished)


def test_verify_recomputes_and_finds_a_changed_release(
    run: Run, finished: Path, tmp_path: Path
) -> None:
    import shutil

    good = run("review", "verify", finished / "latest", "--json")
    assert good.code == 0
    assert good.json["verified"] is True
    copy = tmp_path / "copy"
    shutil.copytree(finished / "latest", copy)
    release = next((copy / "releases").iterdir())
    data = bytearray(release.read_bytes())
    data[-3] ^= 1
    release.write_bytes(bytes(data))
    bad = run("review", "verify", copy)
    assert bad.code == 7
    assert "was changed" in bad.err
    hashes = json.loads((copy / "releases.json").read_text())
    hashes[release.name] = hashlib.sha256(release.read_bytes()).hexdigest()
    (copy / "releases.json").write_text(json.dumps(hashes))
    forged = run("review", "verify", copy)
    assert forged.code == 7
    assert "differs from the recorded one" in forged.err


def test_stored_panels_give_the_same_estimate(
    run: Run, world: Simulation, finished: Path, tmp_path: Path
) -> None:
    again = run(
        "study", "run", world.study, *sites_of(world), "--out", tmp_path, "--reuse-panels",
        "--no-tracking", "--no-pictures", "--json",
    )  # fmt: skip
    before = json.loads((finished / "latest" / "estimate.json").read_text())
    assert again.json["estimate"] == before
    assert not (tmp_path / "mlflow.db").exists()


def test_a_run_prints_verdict_effect_and_places_and_progress_goes_to_stderr(
    run: Run, world: Simulation, tmp_path: Path
) -> None:
    ended = run(
        "study", "run", world.study, *sites_of(world), "--out", tmp_path, "--no-tracking",
        "--no-pictures",
    )  # fmt: skip
    assert ended.code == 0
    assert re.search(r"^Verdict: ", ended.out, re.MULTILINE)
    assert re.search(r"^Effect: .*%.*interval", ended.out, re.MULTILINE)
    assert "panels" not in ended.out
    assert "[3/3] panels" in ended.err
    assert "rounds" in ended.err


def test_site_check_adds_up(run: Run, world: Simulation) -> None:
    ended = run("site", "check", "--site", world.sites[0], "--json")
    for source in ("incidents", "cameras"):
        account = ended.json[source]
        assert account["read"] == account["used"] + sum(account["rejected"].values())
    (folder,) = world.sites[0].parent.glob("*.store/check")
    assert {"check.html", "map.svg", "rejected-incidents.csv"} <= {p.name for p in folder.iterdir()}
    words = run("site", "check", "--site", world.sites[0], "--no-pictures")
    assert "rows read =" in words.out


def test_site_panel_preview_and_ledger(run: Run, world: Simulation, finished: Path) -> None:
    assert finished.exists()
    site, study = world.sites[0], world.study
    built = run("site", "panel", "--site", site, "--study", study, "--json")
    came, *went = built.json["account"].values()
    assert came == sum(went)
    shown = run("site", "preview", "--site", site, "--study", study, "--json")
    assert shown.json["would_leave"] is True
    recorded = set(json.loads((finished / "latest" / "releases.json").read_text()).values())
    assert shown.json["sha256"] in recorded
    words = run("site", "preview", "--site", site, "--study", study)
    assert "This would leave the city." in words.out
    ledger = run("site", "ledger", "--site", site, "--json")
    assert ledger.json["verified"] is True
    assert shown.json["sha256"] in {entry["release"] for entry in ledger.json["entries"]}


def test_a_tampered_ledger_is_named(
    run: Run, world: Simulation, finished: Path, tmp_path: Path
) -> None:
    import shutil

    assert finished.exists()
    copy = tmp_path / "city"
    shutil.copytree(world.sites[0].parent, copy)
    (ledger,) = copy.glob("*.store/ledger.jsonl")
    ledger.write_text(ledger.read_text().replace('"released"', '"refused"', 1))
    ended = run("site", "ledger", "--site", copy / "site.toml")
    assert ended.code == 6
    assert "broken at line 1" in ended.err


def test_study_new_and_check(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert run("study", "new", path).code == 0
    found = run("study", "check", path, "--json")
    assert found.json["hash"] == study_hash(load_study(path))
    assert found.json["release_class"] == "estimate"
    assert "Hash:" in run("study", "check", path).out
    again = run("study", "new", path)
    assert again.code == 3
    assert "exists already" in again.err


def test_simulate_refuses_a_folder_in_use(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    ended = run("simulate", "demo", tmp_path)
    assert ended.code == 3
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_demo_goes_from_raw_files_to_a_verdict(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.cli import simulate as room
    from tests.small_world import small_preset

    monkeypatch.setitem(room.PRESETS, "demo", small_preset(2))
    ended = run(
        "demo", "--data", tmp_path / "data", "--out", tmp_path / "runs", "--no-tracking", "--json"
    )
    assert ended.code == 0
    result = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert result["estimate"] == ended.json["estimate"]
    assert set(result["truth"]["cities"]) == set(result["estimate"]["contributors"])
    twice = run(
        "demo", "--data", tmp_path / "data", "--out", tmp_path / "runs", "--no-tracking",
        "--no-pictures",
    )  # fmt: skip
    assert "Truth:" in twice.out


def test_demo_never_clears_a_folder_that_is_not_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious.csv").write_text("1")
    ended = run("demo", "--data", tmp_path)
    assert ended.code == 3
    assert (tmp_path / "precious.csv").exists()


def test_errors_with_json_are_json(run: Run, tmp_path: Path) -> None:
    ended = run("study", "check", tmp_path / "none.toml", "--json")
    assert ended.code == 3
    assert ended.json["error"]["code"] == "CONFIG"


def test_wrong_usage_is_explained(run: Run) -> None:
    ended = run("study", "run")
    assert ended.code == 2
    assert "Usage" in ended.err
    assert run("nowhere").code == 2


def test_an_unexpected_error_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from evalkit.cli import study as room

    def explode(_: object) -> None:
        raise ZeroDivisionError("secret 4711")

    monkeypatch.delenv("EVALKIT_DEBUG", raising=False)
    monkeypatch.setattr(room, "load_study", explode)
    ended = run("study", "check", tmp_path / "x.toml")
    assert ended.code == 70
    assert "ZeroDivisionError" in ended.err
    assert "4711" not in ended.err
