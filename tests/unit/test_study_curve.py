"""`evalkit study curve` from raw files to pages, and the picture's words."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.cli import main
from evalkit.cli.curve import summary_of
from evalkit.report.curve_page import write_curve
from evalkit.report.wording.curve import TABLES
from evalkit.simulate import Simulation
from tests.small_world import small_world

LISTS = """
[specifications]
radius_m = [80.0, 100.0]
controls = ["lattice", "later_cameras"]
estimator = ["poisson_did", "random_effects"]

[analysis]"""


def called(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    code = ended.value.code
    return (code if isinstance(code, int) else 0), out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return small_world(tmp_path_factory.mktemp("world") / "data", cities=2)


def sites_of(world: Simulation) -> list[str]:
    return [part for site in world.sites for part in ("--site", str(site))]


@pytest.fixture(scope="module")
def study(world: Simulation) -> Path:
    path = world.study.with_name("curve.toml")
    text = world.study.read_text(encoding="utf-8")
    path.write_text(text.replace("\n[analysis]", LISTS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(world: Simulation, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "runs"
    code, printed, err = called("study", "curve", study, *sites_of(world), "--out", out, "--json")
    assert code == 0, err
    (out / "printed.json").write_text(printed, encoding="utf-8")
    return out


def result_of(finished: Path) -> dict:
    return json.loads((finished / "latest" / "curve.json").read_text(encoding="utf-8"))


def test_every_combination_is_in_the_result(finished: Path) -> None:
    result = result_of(finished)
    assert result == json.loads((finished / "printed.json").read_text(encoding="utf-8"))
    assert len(result["specifications"]) == 8
    assert set(result["dimensions"]) == {"radius_m", "controls", "estimator"}
    lattice = [row for row in result["specifications"] if row["choices"]["controls"] == "lattice"]
    assert {row["status"] for row in lattice} == {"estimated"}
    assert all(row["outcome"] in {"supported", "contradicted", "undecided"} for row in lattice)
    assert result["summary"] == summary_of(result["specifications"])
    assert result["messages"] == 2 * result["rounds"] <= 20


def test_what_a_city_refuses_is_named_and_ends_nothing_else(finished: Path) -> None:
    failed = [row for row in result_of(finished)["specifications"] if row["status"] == "failed"]
    assert failed
    assert all(row["choices"]["controls"] == "later_cameras" for row in failed)
    assert all(row["code"] == "SITE-MISSING" for row in failed)
    assert all(row["estimate"] is None for row in failed)


def test_each_specification_can_be_recomputed(finished: Path) -> None:
    for row in result_of(finished)["specifications"]:
        if row["status"] == "estimated":
            folder = finished / "latest" / "specifications" / f"{row['number']:03d}"
            code, out, err = called("review", "verify", folder, "--json")
            assert code == 0, err
            verified = json.loads(out)
            assert (verified["study"], verified["verdict"]) == (row["hash"], row["outcome"])


def test_a_whole_curve_can_be_recomputed(finished: Path) -> None:
    result = result_of(finished)
    code, out, err = called("review", "verify", finished / "latest", "--json")
    assert code == 0, err
    failed = [row["number"] for row in result["specifications"] if row["status"] == "failed"]
    assert json.loads(out) == {
        "verified": True,
        "releases": result["releases"],
        "study": result["study"]["hash"],
        "claim": result["claim"]["name"],
        "summary": result["summary"],
        "not_estimated": failed,
        "other_versions": {},
    }
    code, out, err = called("review", "verify", finished / "latest")
    assert code == 0, err
    assert f"{result['summary']['estimated']} of 8 specifications estimated" in out
    assert ", ".join(f"{number:03d}" for number in failed) in out


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree((finished / "latest").resolve(), tmp_path / "copy")


def edit(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


FIRST = "specifications/000"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("curve.json", lambda c: c["summary"].update(supported=99), ": summary."),
        ("curve.json", lambda c: c["summary"].update(share_falls=0.123), ": summary."),
        ("curve.json", lambda c: c["specifications"][0].update(estimate=-1.0), "specification 000"),
        ("curve.json", lambda c: c["specifications"][1].update(outcome="undecid"), "specification 001"),
        ("curve.json", lambda c: c["specifications"].pop(), "number of specifications"),
        ("curve.json", lambda c: c["study"].update(title="Another"), ": study."),
        ("curve.json", lambda c: c["claim"].update(value=0.5), ": claim."),
        ("curve.json", lambda c: c.update(evalkit="0.0.1"), ": version of evalkit."),
        ("curve.json", lambda c: c.update(level=0.9), ": level of intervals."),
        ("curve.json", lambda c: c.update(releases=1), ": number of releases."),
        ("curve.json", lambda c: c.update(rounds=19, messages=38), ": number of rounds."),
        ("curve.json", lambda c: c.update(messages=1), ": number of messages."),
        ("curve.json", lambda c: c["cities"].pop(), ": cities."),
        ("curve.json", lambda c: c["dimensions"].pop("controls"), ": dimensions."),
        (f"{FIRST}/estimate.json", lambda e: e.update(df=99.0), "holds another estimate"),
        (f"{FIRST}/result.json", lambda r: r["estimate"].update(df=99.0), ": estimate."),
        (f"{FIRST}/claim.json", lambda c: c.update(title="Other"), ": claim."),
        (f"{FIRST}/roster.json", lambda r: r["expected"].pop(), "names other cities"),
        (f"{FIRST}/versions.json", lambda v: v.update(numpy="1.0"), "names other versions"),
        (f"{FIRST}/study.json", lambda s: s["units"].update(cell_m=251.0), "another study"),
    ],
)  # fmt: skip
def test_verify_finds_what_was_changed_in_a_curve(
    copied: Path, file: str, change: Callable[[dict], object], said: str
) -> None:
    edit(copied / file, change)
    code, _, err = called("review", "verify", copied)
    assert code == 7, err
    assert said in err
    assert "versions.json" in err


def test_verify_finds_a_changed_release_of_a_curve(copied: Path) -> None:
    release = next((copied / FIRST / "releases").iterdir())
    data = bytearray(release.read_bytes())
    data[-3] ^= 1
    release.write_bytes(bytes(data))
    code, out, _ = called("review", "verify", copied, "--json")
    assert code == 7
    assert "was changed" in json.loads(out)["error"]["what"]


def test_verify_finds_a_failure_in_a_curve_that_is_none(copied: Path) -> None:
    """An estimate cannot be hidden by writing down that there is none."""
    failure = {"code": "ESTIMATE", "what": "no estimate"}
    (copied / FIRST / "failure.json").write_text(json.dumps(failure), encoding="utf-8")
    code, _, err = called("review", "verify", copied)
    assert code == 7
    assert "records a failure, and its releases give an estimate" in err


@pytest.mark.parametrize(("content", "said"), [(None, "did not finish"), ("[1]", "damaged")])
def test_verify_says_that_a_curve_did_not_finish(
    copied: Path, content: str | None, said: str
) -> None:
    (copied / "curve.json").unlink()
    if content is not None:
        (copied / "curve.json").write_text(content, encoding="utf-8")
    code, _, err = called("review", "verify", copied)
    assert code == 3
    assert said in err


def test_pages_and_pictures_are_there_in_three_languages(finished: Path) -> None:
    folder = finished / "latest"
    for name, language in (("curve.html", "en"), ("curve.es.html", "es"), ("curve.pt.html", "pt")):
        page = (folder / name).read_text(encoding="utf-8")
        assert TABLES[language]["median_heading"] in page
        assert "<svg" in page
        assert "<script" not in page
    assert (folder / "figures" / "curve.png").stat().st_size > 10_000
    assert (folder / "figures" / "curve.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_mlflow_has_the_curve_and_a_run_for_each_specification(finished: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{finished / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id])
    children = [one for one in runs if "mlflow.parentRunId" in one.data.tags]
    (parent,) = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    result = result_of(finished)
    rows = {row["hash"]: row for row in result["specifications"]}
    assert {child.data.tags["specification"] for child in children} == set(rows)
    for child in children:
        row = rows[child.data.tags["specification"]]
        assert child.info.status == ("FINISHED" if row["status"] == "estimated" else "FAILED")
        assert child.data.metrics.get("estimate") == row["estimate"]
    assert parent.data.metrics["specifications"] == 8
    assert parent.info.status == "FINISHED"


def test_panels_are_kept_and_taken_again(world: Simulation, study: Path, finished: Path) -> None:
    arguments = ("study", "curve", study, *sites_of(world), "--out", finished.parent / "again")
    code, out, err = called(*arguments, "--reuse-panels", "--no-tracking", "--no-pictures")
    assert code == 0, err
    assert "panels" not in err
    assert re.search(r"Verdicts: \d+ supports? it", out)
    assert "no probabilities" in out
    again = result_of(finished.parent / "again")
    assert again["specifications"] == result_of(finished)["specifications"]


def test_check_says_what_approval_covers(study: Path) -> None:
    code, out, _ = called("study", "check", study)
    assert code == 0
    assert "8 specifications" in out
    code, out, _ = called("study", "check", study, "--json")
    assert len(json.loads(out)["specifications"]) == 8


def test_a_study_without_lists_has_no_curve(world: Simulation, tmp_path: Path) -> None:
    code, _, err = called("study", "curve", world.study, *sites_of(world), "--out", tmp_path)
    assert code == 3
    assert "lists no specifications" in err


def test_words_are_the_same_in_every_language() -> None:
    for key, english in TABLES["en"].items():
        for language in ("es", "pt"):
            said = TABLES[language][key]
            assert set(re.findall(r"{\w+}", said)) == set(re.findall(r"{\w+}", english)), key
    assert {frozenset(table) for table in TABLES.values()} == {frozenset(TABLES["en"])}


def test_a_curve_without_any_estimate_or_claim_still_has_its_page(
    finished: Path, tmp_path: Path
) -> None:
    result = result_of(finished)
    rows = [row for row in result["specifications"] if row["status"] == "failed"]
    bare = {**result, "specifications": rows, "summary": summary_of(rows), "claim": None}
    page, _ = write_curve(bare, tmp_path)
    assert TABLES["en"]["nothing"] in page.read_text(encoding="utf-8")
    untested = [
        {**row, "outcome": None, "reason": None}
        for row in result["specifications"]
        if row["status"] == "estimated"
    ]
    bare = {**result, "specifications": untested, "summary": summary_of(untested), "claim": None}
    page, _ = write_curve(bare, tmp_path)
    assert "median" in page.read_text(encoding="utf-8")
