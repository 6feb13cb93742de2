"""Forged, copied, replayed and mutated approvals and treaties: none counts, none crashes anything."""

from __future__ import annotations

import datetime as dt
import json
import random
import shutil
from pathlib import Path

import msgspec
import pytest

from evalkit.core.study import study_hash
from evalkit.disclosure.approvals import approval_bytes
from evalkit.disclosure.keys import canonical, make_key, public_text
from evalkit.disclosure.treaty import parse_treaty, policy_under, sign_treaty
from evalkit.federation.desk import propose
from evalkit.federation.site_store import SiteStore
from evalkit.policy import Policy
from tests.desk import Desk, desk
from tests.panels import study

ASKED = study(estimator="poisson_did")
OTHER = msgspec.structs.replace(ASKED, title="Another question")
DIGEST = study_hash(ASKED)
NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)
DAY = NOW.date()
TRIALS = 1000


def approved(city: Desk, digest: str = DIGEST) -> bool:
    policy = city.store.policy(DAY)
    return policy is not None and digest in policy.studies


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to three edits: a flipped bit, a byte more or less, a part twice or cut off, two parts exchanged."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed)) if changed else 0
        match chance.randrange(6):
            case 0 if changed:
                changed[at] ^= 1 << chance.randrange(8)
            case 1:
                changed.insert(at, chance.randrange(256))
            case 2 if changed:
                del changed[at]
            case 3:
                changed[at:at] = changed[at : at + chance.randint(1, 40)]
            case 4:
                del changed[at : at + chance.randint(1, 40)]
            case _:
                half = len(changed) // 2
                changed = changed[half:] + changed[:half]
    return bytes(changed)


def test_mutated_approvals(tmp_path: Path) -> None:
    city, chance = desk(tmp_path, ASKED), random.Random(5)
    city.sign(ASKED, "ana", now=NOW)
    file = city.file(DIGEST, "ana")
    good = file.read_bytes()
    assert approved(city)
    accepted = 0
    for _ in range(TRIALS):
        bad = mutated(good, chance)
        if bad != good:
            file.write_bytes(bad)
            accepted += approved(city)
    assert accepted == 0
    file.write_bytes(good)
    assert approved(city)


@pytest.mark.parametrize(
    "change",
    [
        {"study": study_hash(OTHER)},
        {"site": "brisa"},
        {"officer": "bea"},
        {"release_class": "table"},
        {"expires": "2099-01-01"},
        {"policy": "0" * 64},
        {"time": "2027-01-01T00:00:00Z"},
        {"study_name": "harmless"},
        {"purpose": "evalkit treaty"},
        {"note": "an unknown key"},
    ],
)
def test_edited_approvals(tmp_path: Path, change: dict[str, str]) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    file = city.file(DIGEST, "ana")
    content = json.loads(file.read_bytes())
    content["approval"].update(change)
    file.write_bytes(canonical(content) + b"\n")
    assert not approved(city)


@pytest.mark.parametrize("form", ["spaces", "order", "twice", "no newline"])
def test_an_approval_in_other_words_is_none(tmp_path: Path, form: str) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    file = city.file(DIGEST, "ana")
    data = file.read_bytes()
    content = json.loads(data)
    file.write_bytes(
        {
            "spaces": json.dumps(content).encode(),
            "order": canonical({"signature": content["signature"]})[:-1]
            + b',"approval":'
            + canonical(content["approval"])
            + b"}\n",
            "twice": data.replace(b'"site"', b'"site":"brisa","site"', 1),
            "no newline": data.rstrip(b"\n"),
        }[form]
    )
    assert not approved(city)


def test_replays(tmp_path: Path) -> None:
    """The same signature for another study, officer or city."""
    city = desk(tmp_path, ASKED, OTHER, needed=2)
    city.sign(ASKED, "ana", now=NOW)
    source = city.file(DIGEST, "ana")
    for digest, officer in ((study_hash(OTHER), "ana"), (DIGEST, "bea"), (DIGEST, "carla")):
        target = city.file(digest, officer)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)
    assert not approved(city)
    assert not approved(city, study_hash(OTHER))
    assert sum(one.valid for one in city.store.approvals(DAY)) == 1


def test_a_copy_from_another_city_with_the_same_officers(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    twin = tmp_path / "twin"
    shutil.copytree(city.store.folder, twin)
    (twin / "site.json").write_bytes(
        (twin / "site.json").read_bytes().replace(b'"alta"', b'"brisa"')
    )
    for file in twin.glob("ledger*"):
        file.unlink()
    policy = SiteStore(twin).policy(DAY)
    assert policy is not None
    assert policy.studies == ()


def test_a_strangers_key_under_an_officers_name(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    forged = approval_bytes(
        make_key(tmp_path / "stranger.pem"), propose(city.store, ASKED, "ana", now=NOW)
    )
    file = city.file(DIGEST, "ana")
    file.parent.mkdir(parents=True)
    file.write_bytes(forged)
    assert not approved(city)


@pytest.mark.parametrize("place", ["../../x", "not-a-hash", "0" * 63, "approvals"])
def test_files_in_odd_places_are_not_looked_at(tmp_path: Path, place: str) -> None:
    city = desk(tmp_path, ASKED)
    city.sign(ASKED, "ana", now=NOW)
    odd = city.store.approvals_folder / place / "ana.json"
    odd.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(city.file(DIGEST, "ana"), odd)
    assert not approved(city)
    assert len(city.store.approvals(DAY)) == 0


def test_a_folder_and_a_huge_file_are_no_approvals(tmp_path: Path) -> None:
    city = desk(tmp_path, ASKED)
    city.file(DIGEST, "ana").mkdir(parents=True)
    city.file(DIGEST, "bea").write_bytes(b"[" * 2_000_000)
    assert not approved(city)
    assert [one.valid for one in city.store.approvals(DAY)] == [False, False]


def test_mutated_treaties(tmp_path: Path) -> None:
    """Whatever is changed, limits are those that all have signed, or everything is refused."""
    keys = {name: make_key(tmp_path / f"{name}.pem") for name in ("alta", "brisa")}
    members = "\n".join(f'{name} = "{public_text(key)}"' for name, key in keys.items())
    text = f"""name = "andes"
expires = 2027-12-31
[members]
{members}
[limits]
min_incidents = 25
max_rounds = 12
crime_types = ["theft", "robbery"]
""".encode()
    treaty, signatures = parse_treaty(text, where="test"), {}
    for name, key in keys.items():
        signatures = sign_treaty(treaty, signatures, name, key)
    signed = canonical(signatures)
    policy = msgspec.json.encode(Policy(studies=("any",), treaty="treaty.toml"))
    public = public_text(keys["alta"])

    def in_force(treaty_bytes: bytes, signature_bytes: bytes) -> Policy:
        return policy_under(policy, treaty_bytes, signature_bytes, "alta", public, DAY)

    good = in_force(text, signed)
    assert (good.treaty, good.min_incidents, good.max_rounds) == ("", 25, 12)
    chance, harmless = random.Random(7), 0
    for number in range(TRIALS):
        which = number % 2
        bad_text = mutated(text, chance) if which else text
        bad_signed = signed if which else mutated(signed, chance)
        found = in_force(bad_text, bad_signed)
        if not found.treaty:  # a space or comment more: it says the same, and all have signed that
            assert found == good
            assert parse_treaty(bad_text, where="test") == treaty
            harmless += 1
    assert harmless < TRIALS / 10


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"limits = 1",
        b"x = " + b"[" * 5_000,
        b'name = "a"\n',
        b'name = "a"\nexpires = 2027-01-01\n[members]\n',
        b"#" * 2_000_000,
    ],
)
def test_what_is_no_treaty_refuses_everything(data: bytes) -> None:
    policy = msgspec.json.encode(Policy(studies=("any",), treaty="treaty.toml"))
    found = policy_under(policy, data, b"{}", "alta", "ed25519:" + "A" * 43, DAY)
    assert found.treaty
