"""A treaty holds where every member has signed it; the stricter of treaty and policy is in force, else nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.config import Policy
from evalkit.core.discover import estimator
from evalkit.core.study import study_hash
from evalkit.disclosure.gate import admit
from evalkit.disclosure.keys import PrivateKey, canonical, make_key, public_text
from evalkit.disclosure.treaty import (
    Treaty,
    judge_treaty,
    parse_treaty,
    sign_treaty,
    signatures_file,
    under_treaty,
)
from evalkit.errors import ConfigError, RefusalError, SignatureError
from evalkit.federation.site_store import SiteStore
from evalkit.policy import LIMITS
from tests.desk import desk
from tests.panels import city, study
from tests.stores import site_of, store_of

ASKED = study(estimator="poisson_did")
DAY = dt.date(2026, 11, 25)
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
LIMITED = """[limits]
min_incidents = 25
max_two_unit_share = 1
expires = 2027-06-30
crime_types = ["theft", "robbery", "drugs"]
"""


def treaty_text(members: dict[str, str], limits: str = LIMITED, expires: str = "2027-12-31") -> str:
    lines = "".join(f'{name} = "{key}"\n' for name, key in members.items())
    return f'name = "andes"\nexpires = {expires}\n[members]\n{lines}{limits}'


@dataclass(frozen=True)
class Federation:
    store: SiteStore
    keys: dict[str, PrivateKey]
    file: Path

    @property
    def members(self) -> dict[str, str]:
        return {name: public_text(key) for name, key in self.keys.items()}

    def sign(self, *names: str) -> None:
        """Let these members sign, and the city take the file over."""
        treaty, signatures = parse_treaty(self.file.read_bytes(), where="test"), {}
        for name in names:
            signatures = sign_treaty(treaty, signatures, name, self.keys[name])
        signatures_file(self.file).write_bytes(canonical(signatures))
        self.take()

    def take(self, **limits: object) -> None:
        policy = Policy(studies=("any",), release_class="table", treaty=str(self.file), **limits)
        self.store.write_site(site_of("alta", policy))


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    store = store_of(city("alta", 1), ASKED, tmp_path)
    keys = {"alta": store.identity(), "brisa": make_key(tmp_path / "brisa.pem")}
    found = Federation(store, keys, tmp_path / "andes.toml")
    found.file.write_text(treaty_text(found.members), encoding="utf-8")
    return found


def refused(store: SiteStore) -> tuple[str, ...]:
    question = estimator("poisson_did").first_question(ASKED)
    try:
        admit(question, store.policy(DAY), store.ledger, "f" * 64)
    except RefusalError as refusal:
        assert store.ledger.entries()[-1]["rules"] == list(refusal.rules)
        return refusal.rules
    return ()


def test_the_stricter_of_both_is_in_force(federation: Federation) -> None:
    federation.sign("alta", "brisa")
    federation.take(min_incidents=5, min_units=40, max_two_unit_share=0.8)
    policy = federation.store.policy(DAY)
    assert policy is not None
    assert policy.treaty == ""
    assert policy.min_incidents == 25
    assert policy.max_two_unit_share == 0.8
    assert policy.min_units == 40, "what the treaty does not set is up to the city"
    assert policy.expires == dt.date(2027, 6, 30)
    assert policy.crime_types == ("drugs", "robbery", "theft")
    assert refused(federation.store) == ()


def test_what_a_treaty_leaves_out_it_does_not_tighten_to_the_default(tmp_path: Path) -> None:
    treaty = Treaty(
        name="t",
        members={"a": "ed25519:" + "A" * 43, "b": "ed25519:" + "B" * 43},
        expires=DAY,
        limits={"max_rounds": 7},
    )
    loose = Policy(min_incidents=1, max_rounds=100, treaty="x")
    assert under_treaty(loose, treaty) == Policy(min_incidents=1, max_rounds=7)


@pytest.mark.parametrize("signers", [(), ("alta",), ("brisa",)])
def test_everything_is_refused_until_all_have_signed(
    federation: Federation, signers: tuple[str, ...]
) -> None:
    federation.sign(*signers)
    assert refused(federation.store) == ("treaty",)
    federation.sign("alta", "brisa")
    assert refused(federation.store) == ()


def test_a_changed_treaty_needs_new_signatures(federation: Federation) -> None:
    federation.sign("alta", "brisa")
    text = federation.file.read_text(encoding="utf-8")
    federation.file.write_text("# a note\n" + text.replace(" = 25", "   = 25"), encoding="utf-8")
    federation.take()
    assert refused(federation.store) == (), "a comment changes nothing"
    federation.file.write_text(text.replace("= 25", "= 24"), encoding="utf-8")
    federation.take()
    assert refused(federation.store) == ("treaty",)


def test_it_expires(federation: Federation) -> None:
    federation.file.write_text(
        treaty_text(federation.members, expires=DAY.isoformat()), encoding="utf-8"
    )
    federation.sign("alta", "brisa")
    assert refused(federation.store) == ("treaty",)
    before = federation.store.policy(DAY - dt.timedelta(days=1))
    assert before is not None
    assert not before.treaty


def test_a_city_that_is_no_member_or_under_another_key_answers_nothing(
    federation: Federation, tmp_path: Path
) -> None:
    others = {name: make_key(tmp_path / f"{name}2.pem") for name in ("alta", "brisa", "clara")}
    for names in (("alta", "brisa"), ("brisa", "clara")):
        keys = {name: others[name] for name in names}
        strange = Federation(federation.store, keys, federation.file)
        strange.file.write_text(treaty_text(strange.members), encoding="utf-8")
        strange.sign(*names)
        assert refused(federation.store) == ("treaty",)


@pytest.mark.parametrize("name", ["treaty.toml", "treaty.signatures.json"])
def test_without_one_of_its_files_everything_is_refused(federation: Federation, name: str) -> None:
    federation.sign("alta", "brisa")
    (federation.store.folder / name).unlink()
    assert refused(federation.store) == ("treaty",)


def test_a_treaty_that_is_gone_takes_its_copy_along(federation: Federation) -> None:
    federation.sign("alta", "brisa")
    federation.file.unlink()
    federation.take()
    assert not (federation.store.folder / "treaty.toml").exists()
    assert refused(federation.store) == ("treaty",)


def test_the_stored_policy_names_no_path(federation: Federation) -> None:
    federation.sign("alta", "brisa")
    stored = federation.store.written_policy()
    assert stored is not None
    assert stored.treaty == "treaty.toml"


def test_officers_sign_under_the_treatys_limits(tmp_path: Path) -> None:
    office = desk(tmp_path, ASKED)
    keys = {"alta": office.store.identity(), "brisa": make_key(tmp_path / "b.pem")}
    joint = Federation(office.store, keys, tmp_path / "t.toml")
    joint.file.write_text(treaty_text(joint.members), encoding="utf-8")
    joint.sign("alta", "brisa")
    policy = msgspec.structs.replace(office.policy, treaty=str(joint.file))
    office.store.write_site(site_of("alta", policy))
    office.sign(ASKED, "ana", now=NOW)
    found = office.store.policy(DAY)
    assert found is not None
    assert (found.studies, found.min_incidents) == ((study_hash(ASKED),), 25)
    joint.file.write_text(
        treaty_text(joint.members, "[limits]\nmin_incidents = 26\n"), encoding="utf-8"
    )
    treaty = parse_treaty(joint.file.read_bytes(), where="test")
    signatures = dict.fromkeys(keys, "")
    for name, key in keys.items():
        signatures = sign_treaty(treaty, signatures, name, key)
    signatures_file(joint.file).write_bytes(canonical(signatures))
    office.store.write_site(site_of("alta", policy))
    found = office.store.policy(DAY)
    assert found is not None
    assert found.studies == (), "limits that changed ask officers anew"


def test_only_members_sign(federation: Federation, tmp_path: Path) -> None:
    treaty = parse_treaty(federation.file.read_bytes(), where="test")
    with pytest.raises(SignatureError, match="not among its members"):
        sign_treaty(treaty, {}, "clara", make_key(tmp_path / "c.pem"))
    with pytest.raises(SignatureError, match="with another key"):
        sign_treaty(treaty, {}, "alta", federation.keys["brisa"])


def test_problems_name_the_city(federation: Federation) -> None:
    treaty = parse_treaty(federation.file.read_bytes(), where="test")
    signatures = sign_treaty(treaty, {}, "alta", federation.keys["alta"])
    signatures["brisa"] = signatures["alta"]
    verdict = judge_treaty(
        treaty, signatures, site="alta", public=federation.members["alta"], today=DAY
    )
    assert verdict.signed == ("alta",)
    assert verdict.problems == ("the signature of brisa is not of this treaty by its key",)


@pytest.mark.parametrize(
    "limits",
    [
        "[limits]\nmade_up = 1\n",
        '[limits]\nstudies = ["any"]\n',
        "[limits]\nofficers_needed = 1\n",
        "[limits]\nmin_incidents = 0\n",
        '[limits]\nmin_incidents = "10"\n',
        '[limits]\ncrime_types = ["jaywalking"]\n',
        "[limits]\nmin_cities = 2\n",
        "extra = 1\n",
    ],
)
def test_what_is_no_limit_is_an_error(federation: Federation, limits: str) -> None:
    with pytest.raises(ConfigError):
        parse_treaty(treaty_text(federation.members, limits).encode(), where="test")


def test_every_limit_can_be_in_a_treaty(federation: Federation) -> None:
    lines = []
    for key in LIMITS:
        value = getattr(Policy(), key)
        text = {"expires": "2027-01-01", "crime_types": '["any"]', "release_class": '"estimate"'}
        lines.append(f"{key} = {text.get(key, value)}")
    treaty = parse_treaty(
        treaty_text(federation.members, "[limits]\n" + "\n".join(lines)).encode(), where="test"
    )
    assert set(treaty.limits) == set(LIMITS)


def test_two_members_with_one_key_are_an_error(federation: Federation) -> None:
    twice = {**federation.members, "clara": federation.members["brisa"]}
    with pytest.raises(ConfigError, match="same key"):
        parse_treaty(treaty_text(twice).encode(), where="test")
    with pytest.raises(ConfigError):
        parse_treaty(treaty_text({"alta": federation.members["alta"]}).encode(), where="test")


def test_parameters_are_not_touched(federation: Federation) -> None:
    """The treaty's integers become the policy's numbers: 1 is 1.0 where a share is wanted."""
    treaty = parse_treaty(federation.file.read_bytes(), where="test")
    assert treaty.limits["max_two_unit_share"] == 1.0
    assert isinstance(treaty.limits["max_two_unit_share"], float)
    assert np.isclose(under_treaty(Policy(), treaty).max_two_unit_share, 0.90)
