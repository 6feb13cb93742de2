"""A study with secure sums from the command line: keys are exchanged, the study is checked, run and verified."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest

from evalkit.cli import main
from tests.small_world import small_world


def call(*arguments: object) -> tuple[int, str]:
    """Exit code, and what was printed on both channels."""
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        pytest.raises(SystemExit) as ended,
    ):
        main([str(argument) for argument in arguments])
    assert "Traceback" not in printed.getvalue()
    code = ended.value.code
    return code if isinstance(code, int) else 0, printed.getvalue()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """Three cities that have pinned one another's keys, and a study with secure sums."""
    folder = tmp_path_factory.mktemp("secure") / "data"
    made = small_world(folder)
    text = made.study.read_text().replace('"random_effects"', '"poisson_did"')
    made.study.write_text(text + '\n[federation]\nsums = "secure"\n')
    for site in made.sites:
        assert call("site", "key", "--site", site)[0] == 0
    for site in made.sites:
        others = [part for one in made.sites for part in ("--of", one)]
        code, printed = call("site", "peers", "--site", site, *others)
        assert code == 0
        assert "Pinned:   none" in printed
        lines = printed[printed.index("[policy.peers]") :]
        assert lines.count("ed25519:") == len(made.sites) - 1
        with site.open("a") as file:
            file.write(f"\n{lines}")
        told = json.loads(call("site", "peers", "--site", site, *others, "--json")[1])
        assert told["pinned"] == told["new"]
        assert told["changed"] == []
    return made.study, list(made.sites)


@pytest.fixture(scope="module")
def finished(world: tuple[Path, list[Path]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, sites = world
    out = tmp_path_factory.mktemp("out") / "runs"
    named = [part for site in sites for part in ("--site", site)]
    code, printed = call(
        "study", "run", path, *named, "--out", out, "--no-tracking", "--no-pictures"
    )
    assert code == 0, printed
    return out / "latest"


def test_a_study_says_that_its_sums_are_secure(world: tuple[Path, list[Path]]) -> None:
    code, printed = call("study", "check", world[0])
    assert code == 0
    assert "release class masked_sum" in printed
    assert "Sums:     secure" in printed


def test_the_run_is_verified_and_a_changed_release_is_found(finished: Path, tmp_path: Path) -> None:
    code, printed = call("review", "verify", finished)
    assert code == 0, printed
    copied = shutil.copytree(finished, tmp_path / "copied")
    release = sorted((copied / "releases").iterdir())[0]
    release.write_bytes(release.read_bytes()[:-1] + b"\0")
    code, printed = call("review", "verify", copied)
    assert code != 0
    assert "was changed" in printed


def test_a_session_that_was_changed_is_found(finished: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(finished, tmp_path / "copied")
    file = copied / "roster.json"
    roster = json.loads(file.read_text())
    roster["secure"]["keys"][0]["signature"] = roster["secure"]["keys"][1]["signature"]
    file.write_text(json.dumps(roster))
    code, printed = call("review", "verify", copied)
    assert code != 0
    assert "not signed for it" in printed


def test_a_city_holds_its_ledger_against_the_run(
    world: tuple[Path, list[Path]], finished: Path
) -> None:
    for site in world[1]:
        code, printed = call("site", "ledger", "--site", site, "--against", finished, "--json")
        assert code == 0, printed
        told = json.loads(printed)
        assert told["against"]["releases"] > 1
        assert told["against"]["elsewhere"] == []


def test_two_cities_are_too_few(world: tuple[Path, list[Path]], tmp_path: Path) -> None:
    path, sites = world
    named = [part for site in sites[:2] for part in ("--site", site)]
    code, printed = call("study", "run", path, *named, "--out", tmp_path, "--no-tracking")
    assert code != 0
    assert "3 cities or more" in printed


def test_a_study_that_cannot_be_added_up_is_refused(
    world: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    file = tmp_path / "study.toml"
    text = world[0].read_text().replace('claim = "cctv-review-2019"\n', "")
    file.write_text(text.replace('"poisson_did"\nfirst', '"random_effects"\nfirst'))
    code, printed = call("study", "check", file)
    assert code != 0
    assert "[federation] sums" in printed


def test_a_city_with_another_key_is_told(world: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """Whoever pins keys again sees that one has changed, before it is taken over."""
    folder = shutil.copytree(world[1][1].parent, tmp_path / "copied")
    other = folder / world[1][1].name
    store = next(folder.glob("*.store"))
    (store / "keys" / "identity.pem").unlink()
    for name in ("ledger.jsonl", "ledger.head"):  # beside a ledger no other key is made
        (store / name).unlink(missing_ok=True)
    assert call("site", "key", "--site", other)[0] == 0
    code, printed = call("site", "peers", "--site", world[1][0], "--of", other)
    assert code == 0
    assert "Changed:" in printed
