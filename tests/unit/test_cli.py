"""Commands as their users meet them: what is printed, what is written, and how they end."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit.cli import main
from evalkit.config import load_study
from evalkit.core.study import study_hash
from evalkit.errors import MissingSiteError
from evalkit.federation.run_folder import RunFolder
from evalkit.simulate import Simulation
from tests.small_world import small_preset, small_world


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
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main(["study", "run", str(world.study), *sites_of(world), "--out", str(out), "--json"])
    assert ended.value.code == 0
    (out.parent / "printed.json").write_text(printed.getvalue())
    return out


def sites_of(world: Simulation) -> list[str]:
    return [part for site in world.sites for part in ("--site", str(site))]


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run folder, to be tampered with."""
    return shutil.copytree(finished / "latest", tmp_path / "copied")


def change(path: Path, edit: Callable[[dict], object]) -> None:
    """Edit a JSON file in place."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


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
    assert result["absent"] == []


def test_what_is_printed_as_json_is_the_result_file(finished: Path) -> None:
    printed = json.loads((finished.parent / "printed.json").read_text())
    assert printed == json.loads((finished / "latest" / "result.json").read_text())
    assert set(printed) == {
        "evalkit", "study", "estimate", "claim", "verdict", "placebo", "absent", "checks",
        "derived", "event_study", "untested", "ignored", "across", "truth", "files",
    }  # fmt: skip
    assert set(printed["study"]) == {"name", "title", "hash"}
    for path in printed["files"].values():
        assert Path(path).exists()


def test_latest_is_the_run_that_finished_last(finished: Path) -> None:
    (folder,) = (path for path in finished.glob("*-demo") if path.is_dir())
    assert (finished / "latest").resolve() == folder.resolve()


def test_ledgers_and_run_folder_hold_the_same_hashes(world: Simulation, finished: Path) -> None:
    recorded = json.loads((finished / "latest" / "releases.json").read_text())
    assert len(recorded) == len(world.sites)
    for site in world.sites:
        (ledger,) = site.parent.glob("*.store/ledger.jsonl")
        (name,) = (name for name in recorded if name.endswith(f"-{site.parent.name}.release"))
        release = finished / "latest" / "releases" / name
        digest = hashlib.sha256(release.read_bytes()).hexdigest()
        first = json.loads(ledger.read_text().splitlines()[0])
        assert digest == recorded[name] == first["release"]
        assert first["bytes"] == release.stat().st_size


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
    rows = {row["site"]: row for row in result["estimate"]["sites"]}
    for child in children:
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.metrics["estimate"] == rows[child.data.tags["site"]]["estimate"]
    assert parent.data.tags["claim"] == result["claim"]["name"]
    assert parent.data.tags["verdict_reason"] == result["verdict"]["reason"]["en"]
    assert parent.data.params["study_hash"] == result["study"]["hash"]
    assert parent.info.status == "FINISHED"
    artifacts = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"result.json", "releases", "releases.json", "figures", "report.html"} <= artifacts
    assert Path(experiment.artifact_location.removeprefix("file://")).is_relative_to(finished)


def test_verify_recomputes_and_finds_a_changed_release(
    run: Run, finished: Path, copied: Path
) -> None:
    result = json.loads((finished / "latest" / "result.json").read_text())
    good = run("review", "verify", finished / "latest", "--json")
    assert good.code == 0
    assert good.json == {
        "verified": True,
        "releases": 3,
        "study": result["study"]["hash"],
        "claim": result["claim"]["name"],
        "verdict": result["verdict"]["outcome"],
        "derived": 0,
        "not_estimated": [],
        "other_versions": {},
    }
    words = run("review", "verify", finished / "latest")
    assert result["verdict"]["reason"]["en"] in words.out
    release = next((copied / "releases").iterdir())
    data = bytearray(release.read_bytes())
    data[-3] ^= 1
    release.write_bytes(bytes(data))
    bad = run("review", "verify", copied)
    assert bad.code == 7
    assert "was changed" in bad.err
    digest = hashlib.sha256(release.read_bytes()).hexdigest()
    change(copied / "releases.json", lambda hashes: hashes.update({release.name: digest}))
    forged = run("review", "verify", copied)
    assert forged.code == 7
    assert "differs from the recorded one: estimate" in forged.err


def other_outcome(result: dict) -> None:
    result["verdict"]["outcome"] = {"supported": "contradicted"}.get(
        result["verdict"]["outcome"], "supported"
    )


@pytest.mark.parametrize(
    ("file", "edit", "part"),
    [
        ("result.json", other_outcome, "verdict"),
        ("result.json", lambda r: r["verdict"]["reason"].update(es="Sí."), "verdict"),
        ("result.json", lambda r: r["claim"].update(value=0.5), "claim"),
        ("claim.json", lambda c: c.update(value=0.5), "claim, verdict"),
        ("result.json", lambda r: r["estimate"].update(df=99.0), "estimate"),
        ("estimate.json", lambda e: e.update(df=99.0), "estimate"),
        ("result.json", lambda r: r["study"].update(hash="0" * 64), "study"),
        ("result.json", lambda r: r["study"].update(title="Another title"), "study"),
        ("result.json", lambda r: r.update(evalkit="0.0.1"), "version of evalkit"),
        ("result.json", lambda r: r["ignored"].append("bootstrap"), "settings not used"),
        ("versions.json", lambda v: v.update(evalkit="0.0.1"), "version of evalkit"),
        ("roster.json", lambda r: r["answered"].pop(), "cities that answered"),
        ("result.json", lambda r: r["placebo"].append("alta"), "placebo cities"),
        ("roster.json", lambda r: r["expected"].append("zona"), "absent cities"),
    ],
)
def test_verify_finds_whatever_else_was_changed(
    run: Run, copied: Path, file: str, edit: Callable[[dict], object], part: str
) -> None:
    change(copied / file, edit)
    ended = run("review", "verify", copied)
    assert ended.code == 7
    assert f"differs from the recorded one: {part}." in ended.err


def test_verify_says_which_versions_are_not_those_of_the_run(run: Run, copied: Path) -> None:
    change(copied / "versions.json", lambda versions: versions.update(numpy="1.0"))
    ended = run("review", "verify", copied)
    assert ended.code == 0
    here = RunFolder(copied).other_versions()["numpy"][1]
    assert f"numpy 1.0 → {here}" in ended.out
    assert run("review", "verify", copied, "--json").json["other_versions"] == {
        "numpy": ["1.0", here]
    }


def test_verify_knows_the_study_that_the_cities_answered(run: Run, copied: Path) -> None:
    """Another study in the folder, with its own hash beside the result, is not what was approved."""
    change(copied / "study.json", lambda study: study["outcome"].update(crime_types=["burglary"]))
    forged = study_hash(RunFolder(copied).study())
    change(copied / "result.json", lambda result: result["study"].update(hash=forged))
    ended = run("review", "verify", copied)
    assert ended.code == 7
    assert "answers another study" in ended.err


def test_verify_finds_a_release_that_nobody_asked_for(run: Run, copied: Path) -> None:
    release = next((copied / "releases").iterdir())
    more = release.with_name("009-effect-zona.release")
    more.write_bytes(release.read_bytes())
    digest = hashlib.sha256(more.read_bytes()).hexdigest()
    change(copied / "releases.json", lambda hashes: hashes.update({more.name: digest}))
    ended = run("review", "verify", copied)
    assert ended.code == 7
    assert "4 releases are recorded and the study asks for 3" in ended.err


@pytest.mark.parametrize(
    "name", ["result.json", "releases.json", "claim.json", "roster.json", "versions.json"]
)
@pytest.mark.parametrize("content", [None, b"", b"[1]", b'{"a": [1]}'])
def test_verify_says_which_file_is_damaged(
    run: Run, copied: Path, name: str, content: bytes | None
) -> None:
    (copied / name).unlink()
    if content is not None:
        (copied / name).write_bytes(content)
    ended = run("review", "verify", copied)
    assert ended.code == 3
    assert name in ended.err


def test_verify_says_that_a_run_did_not_finish(run: Run, copied: Path) -> None:
    (copied / "estimate.json").unlink()
    ended = run("review", "verify", copied)
    assert ended.code == 3
    assert "did not finish" in ended.err


def test_stored_panels_give_the_same_estimate(
    run: Run, world: Simulation, finished: Path, tmp_path: Path
) -> None:
    again = run(
        "study", "run", world.study, *sites_of(world), "--out", tmp_path, "--reuse-panels",
        "--no-tracking", "--no-pictures", "--json",
    )  # fmt: skip
    before = json.loads((finished / "latest" / "estimate.json").read_text())
    assert again.json["estimate"] == before
    assert not (tmp_path / "latest" / "figures").exists()
    page = (tmp_path / "latest" / "report.html").read_text(encoding="utf-8")
    assert "<svg" not in page
    assert again.json["files"]["report"].endswith("report.html")
    assert "picture" not in again.json["files"]
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
    result = json.loads((tmp_path / "latest" / "result.json").read_text())
    first = result["estimate"]["terms"][0]
    effect = re.search(r"^Effect: +(\S+) % \[(\S+) %, (\S+) %\]", ended.out, re.MULTILINE)
    assert effect
    assert [float(text.replace("−", "-")) for text in effect.groups()] == [
        round(first[key], 1) for key in ("percent", "percent_low", "percent_high")
    ]
    assert result["verdict"]["reason"]["en"] in ended.out
    assert "(95% interval, random_effects, 3 cities)" in ended.out
    for row in result["estimate"]["sites"]:
        assert re.search(rf"^  {row['site']} ", ended.out, re.MULTILINE)
    assert f"Result:   {result['files']['result']}" in ended.out
    assert not re.search(r"panels|rounds|\[\d+(/\d+)?\]", ended.out)
    assert "[3/3] panels" in ended.err
    assert "[1] rounds: effect, answered by 3 cities" in ended.err


def test_site_check_adds_up(run: Run, world: Simulation) -> None:
    ended = run("site", "check", "--site", world.sites[0], "--json")
    assert set(ended.json) == {
        "site", "title", "descriptions", "incidents", "cameras", "findings", "heaping", "places",
        "points", "overlap", "zones", "sudden", "weekdays", "resolution",
    }  # fmt: skip
    for source in ("incidents", "cameras"):
        account = ended.json[source]
        assert account["read"] == account["used"] + sum(account["rejected"].values())
    (folder,) = world.sites[0].parent.glob("*.private/check")
    assert {"check.html", "map.svg", "rejected-incidents.csv"} <= {p.name for p in folder.iterdir()}
    assert {"check.es.html", "check.pt.html", "map.pt.svg"} <= {p.name for p in folder.iterdir()}
    words = run("site", "check", "--site", world.sites[0], "--no-pictures")
    assert "rows read =" in words.out
    assert re.search(r"\d+ of \d+ checks needs? a look$", words.out.splitlines()[0])
    lines = words.out.splitlines()
    assert len(lines) <= 40  # one screen
    assert max(map(len, lines[:-2])) <= 98  # the last two are paths
    assert not (folder / "check.html").read_text(encoding="utf-8").count("<img")


def test_site_check_looks_through_the_eyes_of_a_study(run: Run, world: Simulation) -> None:
    ended = run(
        "site", "check", "--site", world.sites[0], "--study", world.study, "--no-pictures", "--json"
    )
    zones = ended.json["zones"]
    assert zones["given"] is True
    assert zones["number"]["treated"] > 0
    assert sum(zones["number"].values()) == zones["total"] <= ended.json["incidents"]["number"]
    built = run("site", "panel", "--site", world.sites[0], "--study", world.study, "--json")
    account = built.json["account"]
    assert zones["number"]["treated"] == account["in treated units"]
    assert zones["number"]["control"] == account["in control units"]


def test_site_panel_preview_and_ledger(run: Run, world: Simulation, finished: Path) -> None:
    assert finished.exists()
    site, study = world.sites[0], world.study
    built = run("site", "panel", "--site", site, "--study", study, "--json")
    assert set(built.json) == {
        "site", "study", "units", "periods", "account", "balance", "notes", "page", "pictures",
        "specifications_without_panel", "checks_without_panel",
    }  # fmt: skip
    came, *went = built.json["account"].values()
    assert came == sum(went)
    shown = run("site", "preview", "--site", site, "--study", study, "--json")
    assert set(shown.json) == {
        "site", "would_leave", "estimator", "stage", "fields", "words", "bytes", "sha256", "question",
        "rules", "attacks", "notes",
    }  # fmt: skip
    assert shown.json["would_leave"] is True
    assert shown.json["words"].keys() == shown.json["fields"].keys()
    assert {one["attack"] for one in shown.json["attacks"]} == {"effect and variance", "one camera"}
    assert all(rule["passed"] for rule in shown.json["rules"])
    recorded = set(json.loads((finished / "latest" / "releases.json").read_text()).values())
    assert shown.json["sha256"] in recorded
    words = run("site", "preview", "--site", site, "--study", study)
    assert "This would leave the city." in words.out
    ledger = run("site", "ledger", "--site", site, "--json")
    assert set(ledger.json) == {"site", "verified", "entries"}
    assert ledger.json["verified"] is True
    assert shown.json["sha256"] in {entry["release"] for entry in ledger.json["entries"]}


def test_a_tampered_ledger_is_named(
    run: Run, world: Simulation, finished: Path, tmp_path: Path
) -> None:
    assert finished.exists()
    copy = tmp_path / "city"
    shutil.copytree(world.sites[0].parent, copy)
    (ledger,) = copy.glob("*.store/ledger.jsonl")
    ledger.write_text(ledger.read_text().replace('"released"', '"refused"', 1))
    ended = run("site", "ledger", "--site", copy / "site.toml")
    assert ended.code == 6
    assert "broken at line 1" in ended.err


@pytest.fixture
def town(world: Simulation, finished: Path, tmp_path: Path) -> Path:
    """A copy of one city after the run, to be tampered with; other runs of other tests may have come before."""
    assert finished.exists()
    return shutil.copytree(world.sites[0].parent, tmp_path / "town") / "site.toml"


def lines_in(town: Path) -> int:
    (ledger,) = town.parent.glob("*.store/ledger.jsonl")
    return len(ledger.read_bytes().splitlines())


def test_a_ledger_is_verified_exported_and_held_against_a_run(
    run: Run, town: Path, finished: Path, tmp_path: Path
) -> None:
    file, latest = tmp_path / "out" / "ledger.export.jsonl", finished / "latest"
    told = run(
        "site", "ledger", "--site", town, "--against", latest, "--export", file, "--json"
    ).json
    lines = lines_in(town)
    assert (told["verified"], told["lines"], told["against"]["releases"]) == (True, lines, 1)
    assert told["against"]["elsewhere"] == []
    assert b'"found"' not in file.read_bytes()
    reviewed = run(
        "review", "ledger", file, "--public-key", told["public_key"], "--since", told["head"],
        "--against", latest, "--json",
    ).json  # fmt: skip
    assert reviewed["head"] == told["head"]
    assert reviewed["since"]["number"] == lines
    assert reviewed["against"]["releases"] == 1
    said = run("site", "ledger", "--site", town, "--verify")
    assert said.code == 0
    assert told["head"] in said.out
    assert f"Verified: {lines} line" in said.out
    run("site", "ledger", "--site", town, "--export", file, "--full")
    assert b'"found"' in file.read_bytes()
    ended = run("review", "ledger", file)
    assert ended.code == 0
    assert "compare it with the city's own word" in ended.out


def test_a_changed_export_is_named(run: Run, town: Path, tmp_path: Path) -> None:
    file = tmp_path / "ledger.export.jsonl"
    run("site", "ledger", "--site", town, "--export", file)
    file.write_text(file.read_text().replace('"numbers":4', '"numbers":5'))
    ended = run("review", "ledger", file)
    assert ended.code == 6
    assert "broken at line 1" in ended.err


@pytest.mark.parametrize("option", ["--since", "--public-key"])
def test_an_earlier_head_or_key_that_is_not_the_ledgers_is_named(
    run: Run, town: Path, option: str
) -> None:
    other = {"--since": "0" * 64, "--public-key": "ed25519:" + "A" * 43}[option]
    ended = run("site", "ledger", "--site", town, option, other)
    assert ended.code == 6
    assert "Traceback" not in ended.err


def test_a_release_that_the_ledger_does_not_hold_is_named(
    run: Run, town: Path, copied: Path, world: Simulation
) -> None:
    city = world.sites[0].parent.name
    listed = copied / "releases.json"
    recorded = json.loads(listed.read_text())
    (name,) = (name for name in recorded if name.endswith(f"-{city}.release"))
    path = copied / "releases" / name
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    ended = run("site", "ledger", "--site", town, "--against", copied)
    assert ended.code == 7
    assert "is not the one that releases.json lists" in ended.err
    recorded[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    listed.write_text(json.dumps(recorded))
    ended = run("site", "ledger", "--site", town, "--against", copied)
    assert ended.code == 6
    assert "1 of 1 releases" in ended.err
    # under another city's name it is still this city's, by its header
    other = name.replace(city, "elsewhere")
    path.rename(path.with_name(other))
    recorded[other] = recorded.pop(name)
    listed.write_text(json.dumps(recorded))
    ended = run("site", "ledger", "--site", town, "--against", copied)
    assert ended.code == 6
    assert other in ended.err


def test_a_release_that_is_not_in_the_run_is_listed(
    run: Run, town: Path, copied: Path, world: Simulation
) -> None:
    city = world.sites[0].parent.name
    listed = copied / "releases.json"
    recorded = json.loads(listed.read_text())
    (name,) = (name for name in recorded if name.endswith(f"-{city}.release"))
    (copied / "releases" / name).unlink()
    del recorded[name]
    listed.write_text(json.dumps(recorded))
    found = run("site", "ledger", "--site", town, "--against", copied)
    assert found.code == 0
    assert "not in this run: line " in found.out


def test_the_page_for_the_city_s_people(run: Run, town: Path, tmp_path: Path) -> None:
    told = run("site", "report", "--site", town, "--out", tmp_path / "page", "--json").json
    lines = lines_in(town)
    assert told["lines"] == told["left"] + told["refused"] == lines
    assert sum(study["left"] for study in told["studies"]) == told["left"] > 0
    assert told["studies"][0]["how"] != "no"
    for page in told["pages"]:
        assert told["head"] in Path(page).read_text(encoding="utf-8")
    assert {Path(page).name for page in told["pages"]} == {
        "community.html", "community.es.html", "community.pt.html",
    }  # fmt: skip


def test_study_new_and_check(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert run("study", "new", path).code == 0
    found = run("study", "check", path, "--json")
    assert set(found.json) == {
        "name", "title", "hash", "release_class", "claim", "ignored", "specifications",
        "derived", "study",
    }  # fmt: skip
    assert found.json["hash"] == study_hash(load_study(path))
    assert found.json["release_class"] == "estimate"
    assert "Hash:" in run("study", "check", path).out
    again = run("study", "new", path)
    assert again.code == 3
    assert "exists already" in again.err


@pytest.mark.parametrize("title", ['Say "cheese"', "C:\\new\\table", "Câmeras – 카메라", "'''"])
def test_study_new_writes_any_title_as_it_is(run: Run, tmp_path: Path, title: str) -> None:
    path = tmp_path / "Ñandú & Sons.toml"
    assert run("study", "new", path, "--title", title).code == 0
    written = load_study(path)
    assert (written.title, written.name) == (title, "nandu-sons")


@pytest.mark.parametrize("title", ["two\nlines", "\x1b[2Jclear", "left\u202eright"])
def test_a_title_that_could_pass_for_something_else_is_refused(
    run: Run, tmp_path: Path, title: str
) -> None:
    found = run("study", "new", tmp_path / "study.toml", "--title", title)
    assert (found.code, title in found.err) == (3, False)
    assert "one line" in found.err


def test_a_file_name_without_a_latin_letter_gives_a_study_a_name(run: Run, tmp_path: Path) -> None:
    assert run("study", "new", tmp_path / "카메라.toml").code == 0
    assert load_study(tmp_path / "카메라.toml").name == "study"


@pytest.mark.parametrize(
    ("start", "code"), [("nonsense", 2), ("2019-01-02", 3), ("2023-01-01", 3), ("2019-13-01", 2)]
)
def test_study_new_writes_no_file_that_it_could_not_read(
    run: Run, tmp_path: Path, start: str, code: int
) -> None:
    path = tmp_path / "mine.toml"
    assert run("study", "new", path, "--start", start).code == code
    assert not path.exists()


def test_simulate_writes_cities_a_study_and_the_truth(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.cli import simulate as room

    monkeypatch.setitem(room.PRESETS, "demo", small_preset(1))
    ended = run("simulate", "demo", tmp_path / "a", "--seed", 5, "--json")
    assert set(ended.json) == {"study", "sites"}
    assert all(Path(path).is_file() for path in [ended.json["study"], *ended.json["sites"]])
    assert json.loads((tmp_path / "a" / "truth.json").read_text())["seed"] == 5
    words = run("simulate", "demo", tmp_path / "b", "--seed", 5)
    assert words.out.startswith("Wrote 1 city, study.toml")
    assert "Next: evalkit study run" in words.out
    assert run("simulate", "demo", tmp_path / "c", "--seed", -1).code == 2
    assert not (tmp_path / "c").exists()


def test_simulate_refuses_a_folder_in_use(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    ended = run("simulate", "demo", tmp_path)
    assert ended.code == 3
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_demo_goes_from_raw_files_to_a_verdict(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.cli import simulate as room

    monkeypatch.setitem(room.PRESETS, "demo", small_preset(2))
    ended = run(
        "demo", "--data", tmp_path / "data", "--out", tmp_path / "runs", "--no-tracking", "--json"
    )
    assert ended.code == 0
    result = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert result["estimate"] == ended.json["estimate"]
    assert set(result["truth"]["cities"]) == set(result["estimate"]["contributors"])
    (tmp_path / "data" / "notes.txt").write_text("keep")
    (tmp_path / "data" / "own").mkdir()
    (tmp_path / "data" / "own" / "site.toml").write_text("keep")
    twice = run(
        "demo", "--data", tmp_path / "data", "--out", tmp_path / "runs", "--no-tracking",
        "--no-pictures",
    )  # fmt: skip
    assert "Truth:" in twice.out
    assert (tmp_path / "data" / "notes.txt").read_text() == "keep"
    assert (tmp_path / "data" / "own" / "site.toml").read_text() == "keep"


def test_demo_never_clears_a_folder_that_is_not_its_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "precious.csv").write_text("1")
    for _ in range(2):
        ended = run("demo", "--data", tmp_path)
        assert ended.code == 3
        assert "not an earlier simulation" in ended.err
        assert (tmp_path / "precious.csv").exists()
        (tmp_path / "truth.json").write_text("{}")


def test_a_mistyped_preset_removes_nothing(run: Run, world: Simulation, tmp_path: Path) -> None:
    data = shutil.copytree(world.study.parent, tmp_path / "data")
    before = sorted(data.rglob("*"))
    ended = run("demo", "--preset", "atlantis", "--data", data)
    assert ended.code == 3
    assert "demo, null, safe-city" in ended.err
    assert sorted(data.rglob("*")) == before


@pytest.mark.parametrize("name", ["..", "../outside", ".", "", "/"])
def test_a_truth_that_points_elsewhere_removes_nothing_there(
    world: Simulation, tmp_path: Path, name: str
) -> None:
    from evalkit.cli.demo import _clear

    data, outside = tmp_path / "data", tmp_path / "outside"
    for folder in (data, outside):
        folder.mkdir()
    for folder in (tmp_path, data, outside):
        (folder / "site.toml").write_text("keep")
    shutil.copy(world.study.parent / "truth.json", data)
    change(data / "truth.json", lambda truth: truth["cities"][0].update(name=name))
    before = sorted(tmp_path.rglob("*"))
    _clear(data)
    assert sorted(tmp_path.rglob("*")) == before


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


def explode(_: object) -> None:
    raise ZeroDivisionError("secret 4711")


def test_an_unexpected_error_is_json_where_json_is_wanted(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from evalkit.cli import study as room

    monkeypatch.delenv("EVALKIT_DEBUG", raising=False)
    monkeypatch.setattr(room, "load_study", explode)
    ended = run("study", "check", tmp_path / "x.toml", "--json")
    assert ended.code == 70
    assert ended.json["error"]["code"] == "INTERNAL"
    assert "4711" not in ended.out + ended.err


def test_debugging_shows_where_it_broke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from evalkit.cli import study as room

    monkeypatch.setenv("EVALKIT_DEBUG", "1")
    monkeypatch.setattr(room, "load_study", explode)
    with pytest.raises(ZeroDivisionError):
        main(["study", "check", str(tmp_path / "x.toml")])


@pytest.mark.parametrize(
    "command", [("simulate", "demo"), ("demo", "--data"), ("study", "new")], ids=" ".join
)
def test_a_path_that_cannot_be_used_is_named(
    run: Run, tmp_path: Path, command: tuple[str, str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    ended = run(*command, file / "x.toml" if command[0] == "study" else file)
    assert ended.code == 3
    assert str(file) in ended.err
    assert "way out" in ended.err


def reused(
    run: Run, world: Simulation, out: Path, study: Path | None = None, *more: object
) -> Ended:
    """A study over the panels already stored, with tracking and without pictures."""
    return run(
        "study", "run", study or world.study, *sites_of(world), "--out", out, "--reuse-panels",
        "--no-pictures", *more,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["no database", "folder"])
def test_a_database_that_mlflow_cannot_use_is_said_before_any_city_is_asked(
    run: Run, world: Simulation, finished: Path, tmp_path: Path, kind: str
) -> None:
    assert finished.exists()
    database = tmp_path / "mlflow.db"
    database.mkdir() if kind == "folder" else database.write_bytes(b"no database" * 100)
    ended = reused(run, world, tmp_path)
    assert ended.code == 3
    assert "MLflow's database cannot be used" in ended.err
    assert "--no-tracking" in ended.err
    assert list(tmp_path.iterdir()) == [database]


def test_a_deleted_experiment_does_not_cost_the_result(
    run: Run, world: Simulation, finished: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    shutil.copy(finished / "mlflow.db", tmp_path)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    client.delete_experiment(client.get_experiment_by_name("demo").experiment_id)
    ended = reused(run, world, tmp_path)
    assert ended.code == 3
    assert "the run is complete, but not recorded: the experiment demo was deleted" in ended.err
    assert "mlflow experiments restore" in ended.err
    assert run("review", "verify", tmp_path / "latest").code == 0


def test_a_run_that_fails_is_failed_in_mlflow_too(
    run: Run, world: Simulation, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from evalkit.runtimes import local

    shutil.copy(finished / "mlflow.db", tmp_path)
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo").experiment_id
    endings = {
        "SITE-MISSING": MissingSiteError("nobody is there"),
        "INTERNAL": ZeroDivisionError("secret 4711"),
        "STOPPED": KeyboardInterrupt(),
    }
    codes = {"SITE-MISSING": 7, "INTERNAL": 70, "STOPPED": 130}
    monkeypatch.delenv("EVALKIT_DEBUG", raising=False)
    for name, error in endings.items():

        def fail(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(local, "run_local", fail)
        assert reused(run, world, tmp_path).code == codes[name]
        newest, *_ = client.search_runs([experiment], order_by=["attributes.start_time DESC"])
        assert newest.info.status == "FAILED"
        assert newest.data.tags["error"] == name


def test_trouble_with_mlflow_does_not_hide_why_a_study_failed(
    run: Run, world: Simulation, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit import tracking
    from evalkit.errors import ConfigError
    from evalkit.runtimes import local

    def refuse(*_: object) -> None:
        raise ConfigError("MLflow is broken")

    def fail(*_: object, **__: object) -> None:
        raise MissingSiteError("nobody is there")

    assert finished.exists()
    monkeypatch.setattr(tracking, "open_tracker", refuse)
    monkeypatch.setattr(local, "run_local", fail)
    ended = reused(run, world, tmp_path)
    assert ended.code == 7
    assert "nobody is there" in ended.err
