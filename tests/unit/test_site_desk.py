"""The release desk's commands: keys, approvals, treaty, policy in plain language."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from evalkit.cli import cli
from evalkit.config import load_study
from evalkit.core.study import study_hash
from evalkit.disclosure.explained import KEYS
from evalkit.errors import ConfigError, EvalkitError, KeyFileError, SignatureError
from evalkit.workbench import open_bench

SITE = """name = "{name}"
[city]
title = "Ciudad {name}"
time_zone = "UTC"
bounds = [0, 0, 1, 1]
[incidents]
files = ["i.csv"]
all_as = "theft"
[incidents.columns]
date = "d"
longitude = "x"
latitude = "y"
[policy]
"""
STUDY = """name = "market"
title = "Cameras at the market"
[window]
start = 2020-01-01
end = 2021-12-31
[units]
kind = "catchment"
[outcome]
crime_types = ["theft"]
[analysis]
estimator = "poisson_did"
[checks]
placebo_periods = [6]
"""


class Town:
    """A folder with a site file and a study file."""

    def __init__(self, folder: Path, name: str = "alta") -> None:
        self.folder, self.name = folder, name
        self.site, self.study = folder / f"{name}.toml", folder / "market.toml"
        self.write("")
        self.study.write_text(STUDY, encoding="utf-8")

    def write(self, policy: str) -> None:
        self.site.write_text(SITE.format(name=self.name) + policy, encoding="utf-8")

    def run(self, *words: str, input: str = "") -> Result:  # noqa: A002 (click's own name)
        arguments = ["site", *words, "--site", str(self.site)]
        return CliRunner().invoke(cli, arguments, input=input)

    def good(self, *words: str, input: str = "") -> str:  # noqa: A002 (click's own name)
        result = self.run(*words, input=input)
        assert result.exception is None, result.exception
        return result.stdout

    def fails(self, *words: str) -> EvalkitError:
        error = self.run(*words).exception
        assert isinstance(error, EvalkitError), error
        return error

    def approve(self, *words: str, input: str = "") -> str:  # noqa: A002 (click's own name)
        return self.good("approve", "--study", str(self.study), *words, input=input)

    def officers(self, *names: str, more: str = "") -> None:
        lines = [self.good("officer", name, "--no-passphrase").splitlines()[-1] for name in names]
        self.write(more + "[policy.officers]\n" + "\n".join(lines))


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


def test_a_citys_key_is_made_once(town: Town) -> None:
    line = town.good("key")
    assert line.startswith('alta = "ed25519:')
    assert town.good("key") == line
    assert json.loads(town.good("key", "--json"))["public"] in line


def test_an_officers_key_is_the_officers_alone(town: Town) -> None:
    shown = town.good("officer", "ana", input="secret\nsecret\n")
    file = town.folder / "alta.private/officers/ana.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    assert "secret" not in shown
    assert shown.splitlines()[-1].startswith('ana = "ed25519:')
    assert isinstance(town.fails("officer", "ana", "--no-passphrase"), KeyFileError)
    assert isinstance(town.fails("officer", "../x", "--no-passphrase"), ConfigError)


def test_a_passphrase_is_asked_for_and_must_be_right(town: Town) -> None:
    line = town.good("officer", "ana", input="secret\nsecret\n").splitlines()[-1]
    town.write("[policy.officers]\n" + line)
    words = ("approve", "--study", str(town.study), "--officer", "ana", "--yes")
    assert isinstance(town.run(*words, input="wrong\n").exception, KeyFileError)
    assert "approved by ana" in town.good(*words, input="secret\n")


def test_an_officer_sees_what_is_signed_and_can_say_no(town: Town) -> None:
    town.officers("ana")
    refused = town.run("approve", "--study", str(town.study), "--officer", "ana", input="n\n")
    assert refused.exit_code == 1
    assert open_bench(town.site).store.approvals() == ()
    shown = town.approve("--officer", "ana", input="y\n")
    for words in (
        "Cameras at the market",
        "2020-01-01 to 2021-12-31, by month",
        "100 m around cameras",
        "crimes     theft",
        "poisson_did",
        "statistics: this city's own sums",
        "1 study for its checks",
        "Incidents behind every number that leaves: at least 10.",
        "approved by ana",
    ):
        assert words in shown, words


def test_the_second_officer_is_asked_for(town: Town) -> None:
    town.officers("ana", "bea", more="officers_needed = 2\n")
    assert "1 signature missing" in town.approve("--officer", "ana", "--yes")
    done = json.loads(
        town.approve("--officer", "bea", "--yes", "--expires", "2099-01-31", "--json")
    )
    assert (done["approved"], done["given"], done["until"]) == (True, ["ana", "bea"], "2099-01-31")
    assert "market" in town.good("approvals")
    assert "approved by ana, bea until 2099-01-31 (UTC)" in town.good("approvals")


def test_withdrawing(town: Town) -> None:
    town.officers("ana")
    town.approve("--officer", "ana", "--yes")
    told = town.approve("--officer", "ana", "--withdraw", "--yes")
    assert "NOT approved" in told
    words = ("approve", "--study", str(town.study), "--officer", "ana", "--withdraw", "--yes")
    assert isinstance(town.fails(*words), ConfigError)
    entries = open_bench(town.site).store.ledger.entries()
    assert [entry["outcome"] for entry in entries] == ["approved", "withdrawn"]
    assert {entry["study"] for entry in entries} == {study_hash(load_study(town.study))}


def test_an_approval_that_does_not_count_is_listed_with_its_reason(town: Town) -> None:
    town.officers("ana")
    town.approve("--officer", "ana", "--yes")
    text = town.site.read_text(encoding="utf-8")
    town.site.write_text(text.replace("[policy]\n", "[policy]\nmin_units = 11\n"), "utf-8")
    town.good("policy", "apply")
    assert "the policy's limits have changed since" in town.good("approvals")
    found = json.loads(town.good("approvals", "--json"))
    assert [one["valid"] for one in found["approvals"]] == [False]


def test_the_policy_in_plain_language(town: Town) -> None:
    town.officers("ana", more='min_incidents = 5\nmin_units = 12\ncrime_types = ["theft"]\n')
    text = town.good("policy", "explain")
    assert "nothing is in force yet" in text
    town.approve("--officer", "ana", "--yes")
    text = town.good("policy", "explain")
    assert "nothing is in force yet" not in text
    assert "min_incidents: set by the city, looser than the default 10" in text
    assert "min_units: set by the city, stricter than the default 10" in text
    assert "market" in text
    assert "approved by ana" in text
    for key, words in KEYS.items():
        assert f"{key}: " in text
        assert words.refuses in text
        assert words.source in text
    found = json.loads(town.good("policy", "explain", "--json"))
    assert {one["key"] for one in found["rules"]} == set(KEYS)
    assert [one["how"] for one in found["studies"]] == ["officers"]


def test_a_policy_that_is_not_in_force_yet_is_said(town: Town) -> None:
    town.write("min_units = 12\n")
    town.good("policy", "apply")
    town.write("min_units = 13\n")
    assert "another policy than the one in force" in town.good("policy", "explain")
    assert "at least 12." in town.good("policy", "explain")


def test_checking_a_policy(town: Town) -> None:
    town.write("min_incidents = 5\n")
    shown = town.good("policy", "check")
    assert "min_incidents" in shown
    assert "1 limit is looser" in shown
    assert json.loads(town.good("policy", "check", "--json"))["looser"] == ["min_incidents"]
    town.write("expires = 2020-01-01\n")
    assert "expired on 2020-01-01" in town.fails("policy", "check").what
    town.site.write_text(SITE.format(name="alta").replace("[policy]\n", ""), encoding="utf-8")
    assert "there is no policy" in town.fails("policy", "check").what
    assert "nothing may leave" in town.good("policy", "explain")


def test_a_treaty_between_two_cities(tmp_path: Path) -> None:
    towns = [Town(tmp_path, name) for name in ("alta", "brisa")]
    members = "".join(town.good("key") for town in towns)
    file = tmp_path / "andes.toml"
    file.write_text(
        f'name = "andes"\nexpires = 2099-01-01\n[members]\n{members}[limits]\nmin_units = 20\n'
        "min_clusters = 5\n",
        encoding="utf-8",
    )
    for town in towns:
        town.write('treaty = "andes.toml"\nmin_clusters = 12\n')
    one, other = towns
    assert isinstance(one.fails("treaty", "check"), SignatureError)
    shown = one.good("treaty", "sign", "--yes")
    assert "min_units = 20: tightens this city's 10" in shown
    assert "min_clusters = 5: this city's 12 is as strict" in shown
    assert "Not in force yet: brisa has not signed it" in shown
    assert "brisa has not signed it" in one.fails("policy", "check").what
    one.good("policy", "apply")
    assert "everything is refused" in one.good("policy", "explain")
    other.good("treaty", "sign", "--yes")
    for town in towns:
        assert "in force until 2099-01-01" in town.good("treaty", "check")
        town.good("policy", "apply")
        assert "min_units: set by the treaty, stricter than the default 10" in town.good(
            "policy", "explain"
        )
    found = json.loads(one.good("treaty", "show", "--json"))
    assert (found["signed"], found["in_force"]) == (["alta", "brisa"], True)
    (tmp_path / "andes.signatures.json").write_bytes(b"{")
    for what in (("show",), ("check",), ("sign", "--yes")):
        assert "signatures is damaged" in one.fails("treaty", *what).what
    assert (tmp_path / "andes.signatures.json").read_bytes() == b"{"


def test_a_treaty_can_be_read_before_the_policy_names_it(tmp_path: Path) -> None:
    town = Town(tmp_path)
    assert "names no treaty" in town.fails("treaty", "show").what
    file = tmp_path / "t.toml"
    file.write_text("not a treaty", encoding="utf-8")
    assert isinstance(town.fails("treaty", "show", "--treaty", str(file)), ConfigError)
    absent = town.fails("treaty", "show", "--treaty", str(tmp_path / "absent.toml"))
    assert "cannot be read" in absent.what
