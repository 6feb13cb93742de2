"""A study may be asked if enough different officers have signed just this study, in this city, under these limits."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.core.study import Checks, Federation, Specifications, study_hash
from evalkit.disclosure.approval import covering_class
from evalkit.disclosure.gate import admit
from evalkit.disclosure.keys import make_key, public_text
from evalkit.errors import ConfigError, KeyFileError, LedgerError, RefusalError
from evalkit.federation.desk import approve, propose, standing, stored_studies, withdraw
from tests.desk import Desk, desk
from tests.panels import study
from tests.stores import site_of

ASKED = study(estimator="poisson_did")
DIGEST = study_hash(ASKED)
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
DAY = NOW.date()
DERIVED = msgspec.structs.replace(ASKED, checks=Checks(placebo_periods=(3, 6)))


def approved(city: Desk, digest: str = DIGEST, today: dt.date = DAY) -> bool:
    policy = city.store.policy(today)
    assert policy is not None
    assert not policy.officers
    return digest in policy.studies


def reasons(city: Desk, today: dt.date = DAY) -> list[str]:
    return [one.reason for one in city.store.approvals(today)]


def test_a_signature_approves_and_nothing_else_does(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED, studies=(DIGEST,))
    assert not approved(city), "listing is not enough where there are officers"
    city.sign(ASKED, "ana", now=NOW)
    assert approved(city)
    assert reasons(city) == [""]
    question = Question(ASKED, "poisson_did", "score", 0, np.zeros(1))
    admit(question, city.store.policy(), city.store.ledger, "f" * 64)


def test_unapproved_is_refused_with_a_line_in_the_ledger(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    question = Question(ASKED, "poisson_did", "score", 0, np.zeros(1))
    with pytest.raises(RefusalError) as caught:
        admit(question, city.store.policy(), city.store.ledger, "f" * 64)
    assert caught.value.rules == ("studies",)
    assert [entry["outcome"] for entry in city.store.ledger.entries()] == ["refused"]


def test_two_officers_are_two_persons(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED, needed=2)
    city.sign(ASKED, "ana", now=NOW)
    city.sign(ASKED, "ana", now=NOW + dt.timedelta(hours=1))
    assert not approved(city)
    folder = city.file(DIGEST, "ana")
    shutil.copy(folder, city.file(DIGEST, "bea"))
    assert not approved(city)
    city.sign(ASKED, "bea", now=NOW)
    assert approved(city)
    entries = [one for one in city.store.ledger.entries() if one["outcome"] == "approved"]
    assert [(one["officer"], one["given"], one["needed"]) for one in entries] == [
        ("ana", 1, 2),
        ("ana", 1, 2),
        ("bea", 2, 2),
    ]


def test_one_key_under_two_names_is_one_officer(tmp_path: Path) -> None:
    """Also in a policy that was written past the check of site files."""
    city = desk(tmp_path, ASKED, needed=2)
    officers = {**city.policy.officers, "bea": city.policy.officers["ana"]}
    policy = msgspec.structs.replace(city.policy, officers=officers)
    city.store.write_site(site_of("alta", policy))
    for name in ("ana", "bea"):
        approve(city.store, propose(city.store, ASKED, name, now=NOW), city.keys["ana"])
    assert reasons(city) == ["", ""]
    assert not approved(city)


def test_an_edited_study_asks_anew(tmp_path: Path) -> None:
    edited = msgspec.structs.replace(ASKED, notes="one word more")
    city = desk(tmp_path, ASKED, edited)
    city.sign(ASKED, "ana", now=NOW)
    assert approved(city)
    assert not approved(city, study_hash(edited))


def test_it_expires(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    last = DAY + dt.timedelta(days=10)
    city.sign(ASKED, "ana", now=NOW, expires=last)
    assert approved(city, today=last - dt.timedelta(days=1))
    assert not approved(city, today=last)
    assert reasons(city, last) == [f"it expired on {last}"]
    with pytest.raises(ConfigError, match="would have expired"):
        propose(city.store, ASKED, "ana", now=NOW, expires=DAY)


@pytest.mark.parametrize(
    "change",
    [{"min_incidents": 9}, {"min_incidents": 11}, {"max_specifications": 200}, {"epsilon": 1.0}],
)
def test_changed_limits_ask_anew(tmp_path: Path, change: dict[str, float]) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    city.store.write_site(site_of("alta", msgspec.structs.replace(city.policy, **change)))
    assert not approved(city)
    assert reasons(city) == ["the policy's limits have changed since"]
    city.store.write_site(site_of("alta", city.policy))
    assert approved(city)


@pytest.mark.parametrize(("sums", "asks_anew"), [("plain", False), ("secure", True)])
def test_another_peer_asks_anew_where_peers_hide_the_city(
    tmp_path: Path, sums: str, asks_anew: bool
) -> None:
    """Of a city that somebody has invented nobody's numbers are hidden."""
    one = study(estimator="poisson_did")
    asked = msgspec.structs.replace(one, federation=Federation(sums=sums))
    city = desk(tmp_path, asked, release_class="statistics")
    city.sign(asked, "ana", now=NOW)
    digest = study_hash(asked)
    assert approved(city, digest)
    invented = public_text(make_key(tmp_path / "invented.pem"))
    changed = msgspec.structs.replace(city.policy, peers={"invented": invented})
    city.store.write_site(site_of("alta", changed))
    assert approved(city, digest) is not asks_anew


def test_another_officer_less_does_not_ask_the_others_anew(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    city.sign(ASKED, "bea", now=NOW)
    officers = {"ana": city.policy.officers["ana"]}
    policy = msgspec.structs.replace(city.policy, officers=officers)
    city.store.write_site(site_of("alta", policy))
    assert approved(city)
    assert reasons(city) == ["", "the policy names no officer bea"]


def test_withdrawn_stays_withdrawn_though_its_file_comes_back(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    kept = city.file(DIGEST, "ana").read_bytes()
    assert not withdraw(city.store, DIGEST, "ana").approved
    assert not approved(city)
    city.file(DIGEST, "ana").write_bytes(kept)
    assert not approved(city)
    assert reasons(city) == ["it was withdrawn"]
    city.sign(ASKED, "ana", now=NOW + dt.timedelta(minutes=1))
    assert approved(city)
    with pytest.raises(ConfigError, match="has not approved"):
        withdraw(city.store, DIGEST, "bea")
    outcomes = [one["outcome"] for one in city.store.ledger.entries()]
    assert outcomes == ["approved", "withdrawn", "approved"]


def test_only_the_officers_own_key_signs(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    proposed = propose(city.store, ASKED, "ana", now=NOW)
    for key in (city.keys["bea"], make_key(tmp_path / "stranger.pem")):
        with pytest.raises(KeyFileError, match="not the one that the policy names"):
            approve(city.store, proposed, key)
    assert city.store.approvals() == ()
    with pytest.raises(ConfigError, match="no officer dora"):
        propose(city.store, ASKED, "dora", now=NOW)


def test_nothing_is_approved_that_the_gate_refuses_anyway(tmp_path: Path) -> None:
    for name, limits in (
        ("a", {"release_class": "estimate"}),
        ("b", {"crime_types": ("drugs",)}),
        ("c", {"expires": DAY}),
        ("d", {"max_parameters": 1}),
    ):
        city = desk(tmp_path, name=name, **limits)
        asked = study(estimator="poisson_did", design="event_time") if name == "d" else ASKED
        with pytest.raises(RefusalError):
            propose(city.store, asked, "ana", now=NOW)


def test_nothing_is_approved_while_the_ledger_is_broken(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    city.store.ledger.path.write_text("broken\n")
    with pytest.raises(LedgerError):
        city.sign(ASKED, "bea", now=NOW)
    assert not city.file(DIGEST, "bea").exists()
    with pytest.raises(LedgerError):
        city.store.policy()


def test_approval_covers_variants_up_to_the_limit(tmp_path: Path) -> None:
    city = desk(tmp_path, DERIVED)
    city.sign(DERIVED, "ana", now=NOW)
    policy = city.store.policy(DAY)
    assert policy is not None
    assert len(policy.studies) == 3
    few = desk(tmp_path, DERIVED, name="brisa", max_specifications=1)
    few.sign(DERIVED, "ana", now=NOW)
    policy = few.store.policy(DAY)
    assert policy is not None
    assert policy.studies == (study_hash(DERIVED),)


def test_the_class_is_that_of_the_most_revealing_variant() -> None:
    plain = study(estimator="random_effects")
    assert covering_class(plain, 100) == "estimate"
    curve = msgspec.structs.replace(
        plain, specifications=Specifications(estimator=("random_effects", "rate_ratio"))
    )
    assert covering_class(curve, 100) == estimator("rate_ratio").release_class
    assert covering_class(curve, 1) == "estimate"


def test_an_approval_of_a_less_revealing_class_does_not_count(tmp_path: Path) -> None:
    """As when a later version of an estimator sends more."""
    city = desk(tmp_path, ASKED)
    proposed = propose(city.store, ASKED, "ana", now=NOW)
    lower = msgspec.structs.replace(proposed, release_class="estimate")
    assert not approve(city.store, lower, city.keys["ana"]).approved
    assert not approved(city)


def test_standing_says_by_whom_and_until_when(tmp_path: Path) -> None:
    city = desk(tmp_path, DERIVED, ASKED, needed=2, expires=DAY + dt.timedelta(days=90))
    end = DAY + dt.timedelta(days=30)
    city.sign(DERIVED, "ana", now=NOW)
    assert standing(city.store, study_hash(DERIVED), DAY).given == ("ana",)
    city.sign(DERIVED, "bea", now=NOW, expires=end)
    one = standing(city.store, study_hash(DERIVED), DAY)
    assert (one.how, one.given, one.needed, one.until) == ("officers", ("ana", "bea"), 2, end)
    city.sign(DERIVED, "carla", now=NOW)
    assert standing(city.store, study_hash(DERIVED), DAY).until == city.policy.expires
    found = {one.name: one.how for one in stored_studies(city.store, DAY)}
    assert found == {"test": "no"} or set(found.values()) <= {"no", "officers", "covered"}
    hows = sorted(one.how for one in stored_studies(city.store, DAY))
    assert hows == ["no", "officers"]


def test_a_stored_variant_is_covered(tmp_path: Path) -> None:
    from evalkit.core.falsification import derived_of

    variants = [one.study for one in derived_of(DERIVED)]
    city = desk(tmp_path, DERIVED, *variants)
    city.sign(DERIVED, "ana", now=NOW)
    found = {one.study: one for one in stored_studies(city.store, DAY)}
    for one in variants:
        assert (found[study_hash(one)].how, found[study_hash(one)].by) == (
            "covered",
            study_hash(DERIVED),
        )


def test_listing_still_approves_where_there_are_no_officers(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    policy = msgspec.structs.replace(city.policy, officers={}, studies=(DIGEST,))
    city.store.write_site(site_of("alta", policy))
    assert approved(city)
    assert standing(city.store, DIGEST, DAY).how == "listed"
    policy = msgspec.structs.replace(policy, studies=("any",))
    city.store.write_site(site_of("alta", policy))
    assert standing(city.store, DIGEST, DAY).how == "any"
