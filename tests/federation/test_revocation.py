"""A city withdraws: its statement, its ledger, and the runs that it was in."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.cli import main
from evalkit.cli.curve import write_curve_result
from evalkit.cli.revoked import REVOKED, Mark, mark_of
from evalkit.cli.running import Plan, write_result
from evalkit.cli.verify_curve import verify_curve
from evalkit.cli.verify_run import verify_run
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import estimate
from evalkit.core.falsification import derived_of
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Checks, Specifications, Study, study_hash
from evalkit.disclosure.keys import make_key, public_text
from evalkit.disclosure.revocation import (
    ALL,
    MOST_BYTES,
    Revocation,
    check_revocation,
    is_revoked,
    read_revocation,
    revocation_bytes,
    revoke,
)
from evalkit.errors import (
    BadMessageError,
    ConfigError,
    EvalkitError,
    MissingSiteError,
    SignatureError,
    WithdrawnError,
)
from evalkit.federation.desk import stored_studies
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.federation.withdrawal import reinstate, studies_of, withdraw_from
from evalkit.report.languages import words
from evalkit.runtimes.local import run_local, run_local_curve
from evalkit.runtimes.without import release_files
from tests.attacks.poisoned import honest
from tests.panels import OPEN_POLICY, study
from tests.small_world import small_world
from tests.stores import site_of, store_of

GONE = "clara"
TODAY = dt.date(2026, 11, 25)

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        code = ended.value.code
        return (code if isinstance(code, int) else 0), said.out + said.err

    return call


def finished(asked: Study, root: Path) -> tuple[RunFolder, dict[str, SiteStore]]:
    """A run of six cities with all that `study run` writes but pictures."""
    stores = {panel.sites[0]: store_of(panel, asked, root / "stores") for panel in honest()}
    for one in derived_of(asked):
        for panel in honest():
            store_of(panel, one.study, root / "stores")
    run = RunFolder.create(root / "run", asked)
    found = run_local(run, list(stores.values()))
    plan = Plan(asked, None, (), root, tracking=False, pictures=False, quiet=True)
    write_result(plan, run, found)
    verify_run(run, asked)
    return run, stores


def statement_file(store: SiteStore, asked: Study | None, folder: Path) -> Path:
    file = folder / "statement.json"
    file.write_bytes(revocation_bytes(withdraw_from(store, asked, "the council decided so")))
    return file


def of_the_others(asked: Study) -> Estimate:
    one = estimator(asked.analysis.estimator)
    panels = [panel for panel in honest() if panel.sites != (GONE,)]
    return estimate(one, asked, lambda q: [one.summarise(panel, q) for panel in panels])


# ---------------------------------------------------------------- runs


@pytest.mark.parametrize("name", ["random_effects", "rate_ratio", "group_time_att"])
def test_a_run_is_made_again_without_the_city(name: str, tmp_path: Path, command: Command) -> None:
    asked = study(estimator=name)
    run, stores = finished(asked, tmp_path)
    hashes = run.read("releases.json")
    file = statement_file(stores[GONE], asked, tmp_path)
    code, said = command("review", "revoke", run.path, "--statement", file, "--no-pictures")
    assert code == 0, said

    new = RunFolder(tmp_path / f"run-without-{GONE}")
    held = verify_run(new, asked)
    np.testing.assert_allclose(held.found.effect, of_the_others(asked).effect, atol=1e-12)
    assert GONE not in held.found.contributors
    code, said = command("review", "verify", new.path)
    assert code == 0
    assert "Verified" in said
    assert GONE in (new.path / "report.html").read_text()  # it says who withdrew

    assert release_files(run, GONE) == []
    assert all(GONE not in row["site"] for row in run.read("result.json")["estimate"]["sites"])
    assert not any(GONE in key for key in run.read("result.json")["estimate"]["details"])
    assert run.read("releases.json") == hashes  # its ledger can still be held against the run
    assert run.read("result.json")["revoked"]["new"] == new.path.name
    for page in run.path.glob("report*.html"):
        assert new.path.name in page.read_text()
    code, said = command("review", "verify", run.path)
    assert code == WithdrawnError.exit_code
    assert f"{GONE} withdrew on" in said
    assert new.path.name in said


def test_the_checks_are_made_again_too(tmp_path: Path, command: Command) -> None:
    asked = msgspec.structs.replace(
        study(estimator="random_effects"), checks=Checks(by_crime_type=True)
    )
    run, stores = finished(asked, tmp_path)
    assert (run.path / "checks").is_dir()
    file = statement_file(stores[GONE], asked, tmp_path)
    code, said = command("review", "revoke", run.path, "--statement", file, "--no-pictures")
    assert code == 0, said
    new = RunFolder(tmp_path / f"run-without-{GONE}")
    held = verify_run(new, asked)
    assert len(held.derived) == 2
    assert all(isinstance(one.outcome, Estimate) for one in held.derived)
    assert all(GONE not in one.outcome.contributors for one in held.derived)


@pytest.mark.parametrize("second", ["group_time_att", "poisson_did"])
def test_a_curve_is_made_again_too(second: str, tmp_path: Path, command: Command) -> None:
    asked = msgspec.structs.replace(
        study(estimator="rate_ratio"),
        specifications=Specifications(
            estimator=("rate_ratio", second), crime_types=(("robbery",), ("robbery", "theft"))
        ),
    )
    found = specifications_of(asked)
    for panel in honest():
        stores = [store_of(panel, one.study, tmp_path / "stores") for one in found]
        store = stores[0]
        store.write_study(site_of(store.name, OPEN_POLICY), asked)
    everyone = [SiteStore(tmp_path / "stores" / panel.sites[0]) for panel in honest()]
    run = RunFolder.create(tmp_path / "run", asked)
    together = run_local_curve(run, everyone)
    plan = Plan(asked, None, (), tmp_path, tracking=False, pictures=False, quiet=True)
    write_curve_result(plan, run, found, together.outcomes, together.rounds)
    verify_curve(run, asked)
    gone = next(store for store in everyone if store.name == GONE)
    file = statement_file(gone, asked, tmp_path)
    code, said = command("review", "revoke", run.path, "--statement", file, "--no-pictures")
    assert code == 0, said
    assert release_files(run, GONE) == []
    assert command("review", "verify", run.path)[0] == WithdrawnError.exit_code
    new = RunFolder(tmp_path / f"run-without-{GONE}")
    if second == "poisson_did":  # its later questions are others without the city
        assert "No new run yet" in said
        assert not new.path.exists()
        return
    held = verify_curve(new, asked)
    assert held.curve["summary"]["estimated"] == 4
    assert GONE not in held.curve["cities"]


def test_rounds_after_the_first_need_the_cities(tmp_path: Path, command: Command) -> None:
    asked = study(estimator="poisson_did")
    run, stores = finished(asked, tmp_path)
    file = statement_file(stores[GONE], asked, tmp_path)
    code, said = command("review", "revoke", run.path, "--statement", file)
    assert code == 0
    assert f"evalkit review revoke {run.path}" in said
    assert said.count("--site") == 5
    assert not (tmp_path / f"run-without-{GONE}").exists()
    assert release_files(run, GONE) == []
    code, said = command("review", "verify", run.path)
    assert code == WithdrawnError.exit_code


def test_another_city_concerns_the_new_run(tmp_path: Path, command: Command) -> None:
    asked = study(estimator="rate_ratio")
    run, stores = finished(asked, tmp_path)
    file = statement_file(stores[GONE], asked, tmp_path)
    assert command("review", "revoke", run.path, "--statement", file, "--no-pictures")[0] == 0
    other = tmp_path / "other"
    other.mkdir()
    second = statement_file(stores["alta"], None, other)
    code, said = command("review", "revoke", run.path, "--statement", second)
    assert code == ConfigError.exit_code
    assert f"run-without-{GONE}" in said
    new = tmp_path / f"run-without-{GONE}"
    assert command("review", "revoke", new, "--statement", second, "--no-pictures")[0] == 0
    last = RunFolder(tmp_path / f"run-without-{GONE}-without-alta")
    assert len(verify_run(last, asked).found.contributors) == 4


def test_an_altered_run_is_not_made_again(tmp_path: Path, command: Command) -> None:
    asked = study(estimator="rate_ratio")
    run, stores = finished(asked, tmp_path)
    file = statement_file(stores[GONE], asked, tmp_path)
    release = next((run.path / "releases").glob("*alta*"))
    release.write_bytes(release.read_bytes()[:-1] + b"x")
    code, _ = command("review", "revoke", run.path, "--statement", file)
    assert code == BadMessageError.exit_code
    assert not (run.path / REVOKED).exists()


def test_from_the_command_line_with_cities_that_are_asked_again(
    tmp_path: Path, command: Command
) -> None:
    """Raw files to a run that is made again: four cities, several rounds, tracked in MLflow."""
    world = small_world(tmp_path / "data", cities=4)
    text = world.study.read_text()
    world.study.write_text(
        text.replace('estimator = "random_effects"', 'estimator = "poisson_did"')
    )
    sites = [part for site in world.sites for part in ("--site", site)]
    out = tmp_path / "runs"
    code, said = command("study", "run", world.study, *sites, "--out", out, "--no-pictures")
    assert code == 0, said
    run = RunFolder((out / "latest").resolve())
    gone = world.sites[1].parent.name
    file = tmp_path / "statement.json"
    code, said = command(
        "site", "revoke", "--site", world.sites[1], "--study", world.study, "--out", file
    )
    assert code == 0, said
    assert command("site", "ledger", "--site", world.sites[1])[0] == 0
    code, said = command("review", "revoke", run.path, "--statement", file)
    assert code == 0, said
    assert "No new run yet" in said
    assert release_files(run, gone) == []
    artifacts = list((out / "mlflow-artifacts").rglob("*.release"))
    assert artifacts
    assert not any(path.name.endswith(f"-{gone}.release") for path in artifacts)
    rest = [part for site in world.sites if site.parent.name != gone for part in ("--site", site)]
    code, said = command("review", "revoke", run.path, "--statement", file, *sites)
    assert code == ConfigError.exit_code  # the city that has withdrawn is not asked
    code, said = command(
        "review", "revoke", run.path, "--statement", file, *rest, "--no-pictures", "--json"
    )
    assert code == 0, said
    new = RunFolder(run.path.with_name(f"{run.path.name}-without-{gone}"))
    assert json.loads(said)["new"] == str(new.path)
    assert gone not in verify_run(new, new.study()).found.contributors
    code, said = command("review", "verify", run.path)
    assert code == WithdrawnError.exit_code
    assert new.path.name in said
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    tags = [one.data.tags for one in runs]
    assert any(new.path.name in tag.get("revoked", "") for tag in tags)
    assert not any(tag.get("site") == gone for tag in tags)


# ---------------------------------------------------------------- forged


def test_a_statement_of_another_key_is_refused(tmp_path: Path, command: Command) -> None:
    asked = study(estimator="rate_ratio")
    run, stores = finished(asked, tmp_path)
    mallory = make_key(tmp_path / "mallory.pem")
    forged = revoke(mallory, GONE, studies_of(asked), date=TODAY)
    mine = public_text(stores[GONE].identity())
    for statement in (
        forged,
        msgspec.structs.replace(forged, key=mine),  # names the right key, signed by another
        revoke(stores["alta"].identity(), GONE, studies_of(asked), date=TODAY),
        msgspec.structs.replace(withdraw_from(stores["alta"], asked), site=GONE),
    ):
        file = tmp_path / "forged.json"
        file.write_bytes(revocation_bytes(statement))
        code, said = command("review", "revoke", run.path, "--statement", file)
        assert code == SignatureError.exit_code
        assert SignatureError.code in said
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_bytes(
        revocation_bytes(revoke(stores[GONE].identity(), GONE, ("0" * 64,), date=TODAY))
    )
    code, _ = command("review", "revoke", run.path, "--statement", elsewhere)
    assert code == ConfigError.exit_code
    unknown = tmp_path / "unknown.json"
    unknown.write_bytes(revocation_bytes(revoke(mallory, "zeta", (ALL,), date=TODAY)))
    assert command("review", "revoke", run.path, "--statement", unknown)[0] == ConfigError.exit_code
    assert not (run.path / REVOKED).exists()
    verify_run(run, asked)
    assert len(release_files(run, GONE)) == 1


def test_two_hundred_mutated_statements(tmp_path: Path) -> None:
    """None is accepted, and each is refused with an error of evalkit."""
    key = make_key(tmp_path / "key.pem")
    digest = study_hash(study())
    good = revocation_bytes(revoke(key, GONE, (digest,), reason="so", date=TODAY))
    check_revocation(read_revocation(good), GONE, public_text(key), digest)
    draw, accepted = random.Random(7), 0
    for _ in range(200):
        data = bytearray(good)
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(data))
            match draw.randrange(3):
                case 0:
                    data[place] ^= 1 << draw.randrange(8)
                case 1:
                    del data[place]
                case _:
                    data.insert(place, draw.randrange(256))
        if bytes(data) == good:
            continue
        try:
            check_revocation(read_revocation(bytes(data)), GONE, public_text(key), digest)
            accepted += 1
        except EvalkitError:
            pass
    assert accepted == 0


def test_statements_that_are_none() -> None:
    for data in (b"", b"{}", b"[]", b"[" * 100_000, b"\xff\xfe", b" " * (MOST_BYTES + 1)):
        with pytest.raises(ConfigError, match="is not a city's revocation"):
            read_revocation(data)


def test_a_forged_mark_is_not_believed(tmp_path: Path, command: Command) -> None:
    """Nobody can pass a changed run off as a withdrawn one."""
    asked = study(estimator="rate_ratio")
    run, stores = finished(asked, tmp_path)
    forged = revoke(make_key(tmp_path / "m.pem"), GONE, studies_of(asked), date=TODAY)
    run.write(REVOKED, Mark(forged))
    code, said = command("review", "verify", run.path)
    assert code == BadMessageError.exit_code
    assert "holds no revocation" in said
    with pytest.raises(BadMessageError):
        mark_of(run, asked)
    (run.path / REVOKED).write_text('{"statement": 3}')
    assert command("review", "verify", run.path)[0] == BadMessageError.exit_code
    assert stores[GONE].ledger.entries()


# ---------------------------------------------------------------- the city


def test_the_city_answers_nothing_more_until_it_takes_it_back(tmp_path: Path) -> None:
    asked = study(estimator="random_effects")
    run, stores = finished(asked, tmp_path)
    statement = withdraw_from(stores[GONE], asked, "so")
    entry = stores[GONE].ledger.entries()[-1]
    assert entry["outcome"] == "revoked"
    assert entry["study"] == study_hash(asked)
    kept = list((stores[GONE].folder / "revocations").iterdir())
    assert [read_revocation(file.read_bytes()) for file in kept] == [statement]
    with pytest.raises(MissingSiteError, match=f"{GONE}: REFUSAL .rules: revoked"):
        run_local(RunFolder.create(tmp_path / "again", asked), list(stores.values()))
    reinstate(stores[GONE], asked)
    found = run_local(RunFolder.create(tmp_path / "once more", asked), list(stores.values()))
    assert GONE in found.contributors
    with pytest.raises(ConfigError, match="has not withdrawn"):
        reinstate(stores[GONE], asked)
    assert run.read("roster.json")["keys"][GONE] == statement.key


def test_a_city_withdraws_from_everything(tmp_path: Path) -> None:
    asked = study(estimator="random_effects")
    _, stores = finished(asked, tmp_path)
    withdraw_from(stores[GONE], None)
    entries = stores[GONE].ledger.entries()
    assert is_revoked(entries, study_hash(asked))
    assert is_revoked(entries, "f" * 64)
    assert [one.how for one in stored_studies(stores[GONE])] == ["revoked"]
    assert not stored_studies(stores[GONE])[0].approved
    reinstate(stores[GONE], None)
    assert not is_revoked(stores[GONE].ledger.entries(), study_hash(asked))
    assert stored_studies(stores[GONE])[0].approved


def test_taking_back_a_withdrawal_from_all_leaves_that_from_one_study(tmp_path: Path) -> None:
    one, other = study(estimator="random_effects"), study(estimator="poisson_did")
    _, stores = finished(one, tmp_path)

    def withdrawn() -> tuple[bool, bool]:
        entries = stores[GONE].ledger.entries()
        return is_revoked(entries, study_hash(one)), is_revoked(entries, study_hash(other))

    withdraw_from(stores[GONE], one)
    withdraw_from(stores[GONE], None)
    assert withdrawn() == (True, True)
    reinstate(stores[GONE], None)
    assert withdrawn() == (True, False)
    withdraw_from(stores[GONE], None)
    reinstate(stores[GONE], one)
    assert withdrawn() == (False, True)


def test_what_covers_a_study_covers_its_checks() -> None:
    asked = msgspec.structs.replace(
        study(estimator="random_effects"), checks=Checks(by_crime_type=True)
    )
    assert len(studies_of(asked)) > 1
    assert studies_of(asked)[0] == study_hash(asked)


def test_words_in_every_language() -> None:
    for language in ("en", "es", "pt"):
        said = words(language)
        assert "brisa" in said("revoked_line", city="brisa", date="2026-11-25")
        assert "brisa" in said("withdrawn_line", city="brisa", date="2026-11-25", run="run")


def test_a_statement_says_what_it_says() -> None:
    assert json.loads(
        revocation_bytes(
            Revocation(
                purpose="evalkit revocation",
                site=GONE,
                studies=(ALL,),
                reason="",
                date=TODAY,
                key="ed25519:" + "A" * 43,
                signature="",
            )
        )
    )["studies"] == [ALL]
