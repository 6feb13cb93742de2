"""The policy: what contradicts itself is refused, rules on time and crimes hold, damage refuses everything."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.config import Policy, load_site
from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import Question, only_sums
from evalkit.core.study import Federation, study_hash
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.disclosure.explained import KEYS, explain, shown
from evalkit.disclosure.gate import admit
from evalkit.disclosure.keys import make_key, public_text
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.questions import class_needed, review_question
from evalkit.errors import ConfigError, KeyFileError, RefusalError, TaxonomyError
from evalkit.federation.site_store import SiteStore
from evalkit.policy import LIMITS, check_policy, compare
from tests.panels import OPEN_POLICY, study
from tests.stores import site_of

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/reference/disclosure.md").read_text(encoding="utf-8")
ASKED = study(estimator="poisson_did")
DAY = dt.date(2026, 11, 25)
OWN = {"studies", "officers", "officers_needed", "treaty", "peers"}


def public(tmp_path: Path, name: str = "one") -> str:
    return public_text(make_key(tmp_path / f"{name}.pem"))


def review(policy: Policy, today: dt.date = DAY) -> tuple[str, ...]:
    """Rules that refuse the first question; none if it passes."""
    question = Question(ASKED, "poisson_did", "score", 0, np.zeros(1))
    try:
        review_question(question, policy, (), "f" * 64, today)
    except RefusalError as refusal:
        return refusal.rules
    return ()


def with_(**changes: object) -> Policy:
    return msgspec.structs.replace(OPEN_POLICY, **changes)


@pytest.mark.parametrize(
    ("policy", "rules"),
    [
        (with_(expires=DAY + dt.timedelta(days=1)), ()),
        (with_(expires=DAY), ("expires",)),
        (with_(expires=DAY - dt.timedelta(days=1)), ("expires",)),
        (with_(crime_types=("any",)), ()),
        (with_(crime_types=("theft", "robbery", "drugs")), ()),
        (with_(crime_types=("theft",)), ("crime_types",)),
        (with_(crime_types=()), ("crime_types",)),
        (with_(treaty="treaty.toml"), ("treaty",)),
        (with_(officers={"ana": "ed25519:" + "A" * 43}), ("studies",)),
    ],
)
def test_rules_of_the_question(policy: Policy, rules: tuple[str, ...]) -> None:
    assert review(policy) == rules


def test_an_expired_policy_leaves_a_line_in_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    question = Question(ASKED, "poisson_did", "score", 0, np.zeros(1))
    with pytest.raises(RefusalError):
        admit(question, with_(expires=dt.date(2020, 1, 1)), ledger, "f" * 64)
    (entry,) = ledger.entries()
    assert (entry["outcome"], entry["rules"]) == ("refused", ["expires"])


@pytest.mark.parametrize("name", sorted(estimators()))
def test_secure_sums_need_a_class_of_their_own_where_every_statistic_is_a_sum(name: str) -> None:
    one = estimator(name)
    secure = msgspec.structs.replace(study(estimator=name), federation=Federation(sums="secure"))
    assert class_needed(study(estimator=name), one) == one.release_class
    masked = one.release_class == "statistics" and only_sums(one, secure)
    assert class_needed(secure, one) == ("masked_sum" if masked else one.release_class)
    assert masked or name not in ("poisson_did", "linear_did")


def test_a_city_of_masked_sums_answers_a_secure_study_only() -> None:
    policy = with_(release_class="masked_sum")
    assert review(policy) == ("release_class",)
    secure = msgspec.structs.replace(ASKED, federation=Federation(sums="secure"))
    question = Question(secure, "poisson_did", "score", 0, np.zeros(1))
    review_question(question, policy, (), "f" * 64, DAY)


def test_whatever_is_asked_and_officers_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="officers are to approve"):
        check_policy(Policy(studies=("any",), officers={"ana": public(tmp_path)}), where="x")


def test_more_signatures_than_officers_cannot_be(tmp_path: Path) -> None:
    one = public(tmp_path)
    check_policy(Policy(officers={"ana": one}), where="x")
    with pytest.raises(ConfigError, match="more officers"):
        check_policy(Policy(officers={"ana": one}, officers_needed=2), where="x")
    with pytest.raises(ConfigError, match="more officers"):
        check_policy(Policy(officers_needed=2), where="x")
    with pytest.raises(ConfigError, match="same key"):
        check_policy(Policy(officers={"ana": one, "bea": one}, officers_needed=2), where="x")


@pytest.mark.parametrize("key", ["max_step", "epsilon", "epsilon_total"])
def test_a_number_that_json_cannot_hold_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} is not finite"):
        check_policy(with_(**{"epsilon_total": 1.0, key: float("inf")}), where="[policy]")


@pytest.mark.parametrize("listed", ["abc", "A" * 64, "any ", ""])
def test_what_is_listed_is_the_hash_of_a_study(listed: str) -> None:
    with pytest.raises(ConfigError, match="1 of 2 entries of studies"):
        check_policy(with_(studies=("a" * 64, listed)), where="[policy]")


def test_two_peers_with_one_key_are_refused(tmp_path: Path) -> None:
    key = public(tmp_path)
    with pytest.raises(ConfigError, match="two cities have the same key"):
        check_policy(with_(peers={"alta": key, "brisa": key}), where="[policy]")


def test_a_lost_key_is_not_made_again_beside_a_ledger_that_it_signed(tmp_path: Path) -> None:
    store = stored(tmp_path)
    store.ledger.append({"outcome": "refused"})
    store.identity_file.unlink()
    with pytest.raises(KeyFileError, match="its ledger is signed with it"):
        store.make_identity()
    for path in (store.ledger.path, store.ledger.head_path):
        path.rename(tmp_path / path.name)
    store.make_identity()
    assert store.ledger.append({"outcome": "refused"})


def test_crime_types_are_common_ones() -> None:
    check_policy(Policy(crime_types=tuple(CRIME_TYPES)), where="x")
    with pytest.raises(TaxonomyError, match="jaywalking"):
        check_policy(Policy(crime_types=("theft", "jaywalking")), where="x")


SITE = """
name = "alta"
[city]
title = "Alta"
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


@pytest.mark.parametrize(
    "policy",
    [
        'treaty = "absent.toml"',
        'crime_types = ["jaywalking"]',
        "officers_needed = 2",
        'officers = {ana = "ed25519:short"}',
        'officers = {"Ana Maria" = "ed25519:' + "A" * 43 + '"}',
        "expires = 12",
        "max_leverage = 1.0",
        "min_cities = 2",
        "made_up = 1",
    ],
)
def test_a_site_file_with_a_policy_that_is_none_is_an_error(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "site.toml"
    path.write_text(SITE, encoding="utf-8")
    assert load_site(path).policy == Policy()
    path.write_text(SITE + policy, encoding="utf-8")
    with pytest.raises(ConfigError):
        load_site(path)


def stored(tmp_path: Path, policy: Policy | None = OPEN_POLICY) -> SiteStore:
    store = SiteStore(tmp_path / "alta.store")
    store.write_study(site_of("alta", policy), ASKED)
    return store


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"studies":["any"],"unknown":1}',
        b'{"studies":["any"],"min_incidents":0}',
        b'{"studies":["any"],"release_class":"rows"}',
        b'{"studies":"any"}',
        msgspec.json.encode(OPEN_POLICY).replace(b'"min_incidents":10,', b""),
    ],
)
def test_a_damaged_policy_or_one_with_an_unknown_key_refuses_everything(
    tmp_path: Path, damage: bytes
) -> None:
    store = stored(tmp_path)
    assert store.policy() is not None
    (store.folder / "policy.json").write_bytes(damage)
    with pytest.raises(ConfigError, match="damaged or has not the keys"):
        store.policy()


def test_without_a_policy_there_is_none(tmp_path: Path) -> None:
    assert stored(tmp_path, None).policy() is None


def test_every_key_of_a_policy_is_explained_and_is_a_limit_or_names_somebody() -> None:
    fields = set(Policy.__struct_fields__)
    assert set(KEYS) == fields
    assert set(LIMITS) | OWN == fields
    assert not set(LIMITS) & OWN


def test_the_page_has_the_defaults() -> None:
    """Wherever the page writes a key with its default, it is the default."""
    found = re.findall(r"`(\w+)` = (?:`([^`]*)`|([0-9.]*[0-9]))", PAGE)
    default = Policy()
    for key, quoted, number in found:
        if key in KEYS:
            value = getattr(default, key)
            assert quoted == shown(value) if quoted else float(number) == value, key
    assert set(LIMITS) - {key for key, _, _ in found} == set()


def test_explained_says_who_sets_what() -> None:
    written = Policy(
        studies=("0" * 64,), min_incidents=5, min_units=20, crime_types=("theft",), max_rounds=40
    )
    in_force = msgspec.structs.replace(written, max_rounds=10, min_incidents=12)
    found = {one.key: one for one in explain(written, in_force)}
    assert list(found) == list(KEYS)
    told = {key: (one.than_default, one.set_by) for key, one in found.items()}
    assert told["min_units"] == ("stricter", "city")
    assert told["min_incidents"] == ("stricter", "treaty")
    assert told["max_rounds"] == ("stricter", "treaty")
    assert told["crime_types"] == ("stricter", "city")
    assert told["studies"] == ("own", "city")
    assert told["min_clusters"] == ("same", "default")
    assert "at least 12." in found["min_incidents"].says


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_sentence_takes_its_value(key: str) -> None:
    words = KEYS[key]
    assert words.says.count("{}") == 1
    assert words.says.endswith(".")
    assert words.refuses
    assert words.source


def test_looser_is_said() -> None:
    default, noisy = Policy(), Policy(epsilon=1.0, epsilon_total=5.0)
    assert compare("min_incidents", Policy(min_incidents=5), default) == "looser"
    assert compare("epsilon", noisy, default) == "stricter"
    assert compare("epsilon", default, noisy) == "looser"
    assert compare("epsilon_total", noisy, default) == "stricter"
    assert compare("epsilon_total", noisy, Policy(epsilon=1.0)) == "looser"
    one, other = Policy(crime_types=("theft",)), Policy(crime_types=("robbery",))
    assert compare("crime_types", one, other) == "different"
    assert compare("expires", default, Policy(expires=DAY)) == "looser"


def test_the_hash_of_the_study_is_what_is_listed() -> None:
    assert review(with_(studies=(study_hash(ASKED),))) == ()
    other = msgspec.structs.replace(ASKED, title="Another title")
    assert review(with_(studies=(study_hash(other),))) == ("studies",)
