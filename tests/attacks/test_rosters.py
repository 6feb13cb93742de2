"""Secure sums against a dishonest server and dishonest cities: rosters, forged keys, replay, collusion."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from msgspec.structs import replace as replace_struct

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, ask_first
from evalkit.core.study import Matching, Study, Window, study_hash
from evalkit.disclosure import rosters
from evalkit.disclosure.keys import make_key, public_text, sign
from evalkit.disclosure.masked import Part, sum_parts
from evalkit.disclosure.masking import new_secret, public_half
from evalkit.disclosure.rosters import (
    Invitation,
    Session,
    SignedKey,
    SignedRoster,
    content_hash,
    signed_key,
)
from evalkit.errors import BadMessageError, EstimationError
from evalkit.federation import client_app
from evalkit.federation.codec import ANSWER, encode_question, refusal_of
from evalkit.federation.secure_codec import (
    KEYS,
    attach_roster,
    decode_invitation,
    decode_masked,
    decode_signed_key,
    encode_invitation,
    take_roster,
)
from evalkit.federation.site_store import SiteStore
from evalkit.numerics.fixed_point import from_words, subtract, to_words
from tests.attacks.conftest import Record
from tests.attacks.masked_cities import (
    difference_of_rosters,
    masked_cities,
    r_squared,
    unmasked,
)
from tests.panels import OPEN_POLICY, city, study
from tests.stores import pin_peers, store_of, write_policy

TRIALS = 100
MANY = 1000
NAMES = ("alta", "brisa", "clara", "dorada")
EXACT = 2.0**-64
"""A number comes back to the step of the fixed point."""
NO_BETTER_THAN_CHANCE = 0.05
"""R² that DISCLOSURE.md allows; among 1,000 independent pairs it is above .015 once in ten thousand."""


def secure(asked: Study) -> Study:
    return replace_struct(asked, federation=replace_struct(asked.federation, sums="secure"))


ASKED = secure(study(estimator="linear_did"))
QUESTION = ask_first(estimator("linear_did"), ASKED)


class Federation:
    """Real cities behind their real app, and a server that may say what it likes."""

    def __init__(self, root: Path, studies: tuple[Study, ...] = (ASKED,)) -> None:
        self.stores: dict[str, SiteStore] = {}
        for number, name in enumerate(NAMES):
            for asked in studies:
                self.stores[name] = store_of(city(name, number + 1), asked, root, OPEN_POLICY)
        pin_peers(list(self.stores.values()))
        TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1

    def send(self, name: str, content: RecordDict, kind: str = ANSWER) -> RecordDict:
        config = {"store": str(self.stores[name].folder)}
        context = Context(1, 1, config, RecordDict({}), {})
        return client_app.app(Message(content, 1, kind), context).content

    def invite(self, name: str, invitation: Invitation) -> RecordDict:
        return self.send(name, encode_invitation(invitation), KEYS)

    def open(self, roster: tuple[str, ...] = NAMES, studies: tuple[Study, ...] = (ASKED,)):
        """A session that every city of the roster joins: its invitation and the signed keys."""
        digests = tuple(study_hash(one) for one in studies)
        invitation = Invitation(secrets.token_hex(16), roster, digests)
        keys = [
            decode_signed_key(self.invite(name, invitation), invitation.session, name)
            for name in roster
        ]
        return invitation, SignedRoster(invitation.session, tuple(keys))

    def ask(
        self, name: str, signed: SignedRoster | None, question: Question = QUESTION
    ) -> RecordDict:
        content = encode_question(question)
        return self.send(name, content if signed is None else attach_roster(content, signed))

    def released(self, name: str) -> int:
        return sum(one["outcome"] == "released" for one in self.stores[name].ledger.entries())


def rules(content: RecordDict) -> tuple[str, ...]:
    """Rules of a refusal; its code where there are none."""
    refusal = refusal_of(content)
    assert refusal is not None, "it was answered"
    return refusal[1] or (refusal[0],)


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation(tmp_path)


def plain_of(random: np.random.Generator, names=NAMES, size: int = 12) -> Mapping[str, np.ndarray]:
    """Numbers as a city's: of every size from 1e-6 to 1e12."""
    return {name: 10.0 ** random.uniform(-6, 12, size) for name in names}


# ---------------------------------------------------------------- alive and dropped


def test_a_city_both_alive_and_dropped(federation: Federation, record: Record) -> None:
    """Without the rule a late answer of a city that was called dropped is unmasked; with it nobody plays along."""
    random = np.random.default_rng(11)
    exact = 0
    for _ in range(TRIALS):
        plain = plain_of(random)
        target = str(random.choice(NAMES))
        cities = masked_cities(NAMES, random, plain)
        if random.random() < 0.5:  # survivors hand over the secrets they share with the dropped
            others = [one for name, one in cities.items() if name != target]
            guess = unmasked(cities[target], others)
        else:  # or are asked again without it
            guess = difference_of_rosters(NAMES, target, random, plain)
        exact += bool(np.abs(guess - plain[target]).max() <= EXACT)
    answered = 0
    invitation, signed = federation.open()
    for name in NAMES:
        assert refusal_of(federation.ask(name, signed)) is None
    for trial in range(TRIALS):
        target, asked = random.choice(NAMES, 2, replace=False)
        rest = tuple(name for name in NAMES if name != target)
        without = tuple(one for one in signed.signed if one.site != target)
        content = attach_roster(encode_question(QUESTION), signed)
        if trial % 4 == 0:  # the same session without the dropped city
            content = attach_roster(encode_question(QUESTION), replace(signed, signed=without))
        elif trial % 4 == 1:  # a marker beside the city's name
            content["roster"] = ConfigRecord({**dict(content["roster"]), "dropped": [str(target)]})
        elif trial % 4 == 2:  # alive in one place of the list and not in the other
            again = next(one for one in signed.signed if one.site == target)
            both = SignedRoster(signed.session, (*signed.signed, again))
            content = attach_roster(encode_question(QUESTION), both)
        else:  # a new session without it
            smaller = Invitation(secrets.token_hex(16), rest, invitation.studies)
            answered += refusal_of(federation.invite(str(asked), smaller)) is None
            continue
        answered += refusal_of(federation.send(str(asked), content)) is None
    record(
        "alive and dead",
        without=f"exact, {exact} of {TRIALS}",
        with_=f"{answered} of {TRIALS} answered",
    )
    assert (exact, answered) == (TRIALS, 0)
    assert {federation.released(name) for name in NAMES} == {1}


def test_there_is_no_place_for_a_drop_out_in_a_message(federation: Federation) -> None:
    _, signed = federation.open()
    honest = attach_roster(encode_question(QUESTION), signed)
    take_roster(honest)
    head = dict(honest["roster"])
    for changes in (
        {"dropped": ["clara"]},
        {"absent": []},
        {"alive": [True] * 4},
        {"sites": [*NAMES[:3], "clara"]},
        {"sites": list(NAMES[:3])},
        {"sites": list(reversed(NAMES))},
        {"sites": ["alta", "brisa", "clara", "../dorada"]},
        {"keys": head["keys"][:3]},
        {"keys": [""] * 4},
        {"signatures": [*head["signatures"][:3], "dropped"]},
        {"signatures": "dropped"},
        {"session": "../../etc/passwd"},
        {"sites": [], "keys": [], "signatures": []},
    ):
        content = RecordDict({**dict(honest), "roster": ConfigRecord({**head, **changes})})
        with pytest.raises(BadMessageError):
            take_roster(content)
        assert rules(federation.send("alta", content)) == ("MESSAGE",)


# ---------------------------------------------------------------- rosters


@pytest.mark.parametrize(
    ("roster", "rule"),
    [
        (NAMES[:2], "min_cities"),
        (NAMES[:1], "min_cities"),
        (NAMES[1:], "roster"),
        ((*NAMES[:3], "unknown"), "peers"),
    ],
)
def test_rosters_that_no_city_joins(
    federation: Federation, roster: tuple[str, ...], rule: str
) -> None:
    invitation = Invitation("a" * 32, roster, (study_hash(ASKED),))
    assert rules(federation.invite("alta", invitation)) == (rule,)
    assert not federation.stores["alta"].sessions_folder.exists()
    (entry,) = federation.stores["alta"].ledger.entries()
    assert (entry["outcome"], entry["rules"]) == ("refused", [rule])


def test_a_policy_cannot_allow_two_cities(federation: Federation) -> None:
    write_policy(federation.stores["alta"], min_cities=2)
    invitation = Invitation("a" * 32, NAMES[:2], (study_hash(ASKED),))
    assert rules(federation.invite("alta", invitation)) == ("CONFIG",)


def test_a_roster_that_is_asked_again_with_one_city_fewer_is_refused(
    tmp_path: Path,
) -> None:
    """Whatever the study is called, and whatever its estimator, level or timeout: its panel's cells are the same."""
    again = (
        ASKED,
        replace_struct(ASKED, title="Another title", notes="and a note"),
        replace_struct(ASKED, analysis=replace_struct(ASKED.analysis, level=0.9)),
        replace_struct(ASKED, federation=replace_struct(ASKED.federation, timeout_s=601.0)),
        secure(study(estimator="group_time_att")),
    )
    assert len({study_hash(one) for one in again}) == len(again)
    assert {content_hash(one) for one in again} == {content_hash(ASKED)}
    federation = Federation(tmp_path, again)
    _, signed = federation.open()
    assert refusal_of(federation.ask("alta", signed)) is None
    for one in again:
        smaller = Invitation(secrets.token_hex(16), NAMES[:3], (study_hash(one),))
        assert rules(federation.invite("alta", smaller)) == ("roster",)
        same = Invitation(secrets.token_hex(16), NAMES, (study_hash(one),))
        assert refusal_of(federation.invite("alta", same)) is None
    assert federation.released("alta") == 1


def nearly_asked() -> dict[str, Study]:
    """Studies whose sums are those of `ASKED`, or nearly."""
    window, units, outcome = ASKED.window, ASKED.units, ASKED.outcome
    treatment = replace_struct(ASKED.treatment, adoption_start=dt.date(1900, 1, 1))
    longer = replace_struct(window, end=dt.date(2022, 1, 31))
    return {
        "crime types in another order": replace_struct(
            ASKED, outcome=replace_struct(outcome, crime_types=outcome.crime_types[::-1])
        ),
        "a radius, of cells": replace_struct(ASKED, units=replace_struct(units, radius_m=101.0)),
        "cameras since 1900": replace_struct(ASKED, treatment=treatment),
        "a caliper, without matching": replace_struct(ASKED, matching=Matching(caliper=1.0)),
        "one crime type": replace_struct(
            ASKED, outcome=replace_struct(outcome, crime_types=("theft",))
        ),
        "a month more": replace_struct(ASKED, window=longer),
    }


@pytest.mark.parametrize("how", sorted(nearly_asked()))
def test_nearly_the_same_study_is_refused_for_another_roster(tmp_path: Path, how: str) -> None:
    """The first four gave the fourth city's own sums exactly, while only equal studies counted as one."""
    nearly = nearly_asked()[how]
    federation = Federation(tmp_path, (ASKED, nearly))
    _, signed = federation.open()
    assert refusal_of(federation.ask("alta", signed)) is None
    smaller = Invitation(secrets.token_hex(16), NAMES[:3], (study_hash(nearly),))
    assert rules(federation.invite("alta", smaller)) == ("roster",)
    same = Invitation(secrets.token_hex(16), NAMES, (study_hash(nearly),))
    assert refusal_of(federation.invite("alta", same)) is None


def test_other_days_or_other_crimes_may_have_another_roster() -> None:
    (entry,) = [{"outcome": "released", "roster": "other", **rosters.asked_about(ASKED)}]
    outcome = replace_struct(ASKED.outcome, crime_types=("burglary",))
    window = Window(start=dt.date(2022, 1, 1), end=dt.date(2022, 12, 31))
    rosters.review_content(replace_struct(ASKED, outcome=outcome), NAMES, [entry])
    rosters.review_content(replace_struct(ASKED, window=window), NAMES, [entry])
    for nearly in nearly_asked().values():
        assert rosters.overlaps(nearly, entry)
    assert rosters.overlaps(ASKED, {"roster": "written before days and crimes were"})


def test_sessions_opened_before_the_first_answer_do_not_help(federation: Federation) -> None:
    """Two sessions over two rosters are open; the first one to be answered closes the other."""
    _, four = federation.open()
    _, three = federation.open(NAMES[:3])
    assert refusal_of(federation.ask("alta", three)) is None
    assert rules(federation.ask("alta", four)) == ("roster",)
    assert refusal_of(federation.ask("alta", three)) is None


def test_a_session_of_one_roster_is_not_one_of_another(federation: Federation) -> None:
    invitation, _ = federation.open()
    smaller = replace(invitation, roster=NAMES[:3])
    assert rules(federation.invite("alta", smaller)) == ("session",)
    assert refusal_of(federation.invite("alta", invitation)) is None


def test_a_question_without_a_roster_is_refused(federation: Federation) -> None:
    assert rules(federation.ask("alta", None)) == ("roster",)


# ---------------------------------------------------------------- keys


def test_forged_swapped_and_foreign_keys(federation: Federation, tmp_path: Path) -> None:
    """The server puts a key of its own in the place of a city's, to share the secret itself."""
    invitation, signed = federation.open()
    _, other = federation.open()
    stranger = make_key(tmp_path / "stranger.pem")
    own = Session(
        session=invitation.session,
        roster=invitation.roster,
        studies=invitation.studies,
        secret=new_secret(),
    )
    forged = signed_key(own, "brisa", stranger)
    alta, brisa, clara, dorada = signed.signed
    for changed in (
        (alta, forged, clara, dorada),
        (alta, replace(brisa, key=forged.key), clara, dorada),
        (alta, replace(brisa, signature=clara.signature), clara, dorada),
        (alta, replace(clara, site="brisa"), replace(brisa, site="clara"), dorada),
        (alta, other.signed[1], clara, dorada),
        (alta, replace(brisa, key=public_half(bytes(31) + b"\1")), clara, dorada),
    ):
        assert rules(federation.ask("alta", SignedRoster(signed.session, changed))) == ("peers",)
    mine = (replace(alta, key=forged.key), brisa, clara, dorada)
    assert rules(federation.ask("alta", SignedRoster(signed.session, mine))) == ("roster",)
    assert federation.released("alta") == 0
    assert refusal_of(federation.ask("alta", signed)) is None


def test_a_key_that_gives_everybody_the_same_secret_is_refused(federation: Federation) -> None:
    """A pinned city that is dishonest signs the point of order one; no secret may come of it."""
    invitation, signed = federation.open()
    brisa = federation.stores["brisa"]
    zero = "A" * 43
    statement = rosters._statement(
        invitation.session, invitation.roster, invitation.studies, "brisa", zero
    )
    signature = sign(brisa.identity(), statement)
    changed = tuple(
        SignedKey("brisa", zero, signature) if one.site == "brisa" else one for one in signed.signed
    )
    assert rules(federation.ask("alta", SignedRoster(signed.session, changed))) == ("peers",)


def test_a_peer_that_is_no_longer_pinned_or_has_another_key(
    federation: Federation, tmp_path: Path
) -> None:
    _, signed = federation.open()
    keys = {name: public_text(one.identity()) for name, one in federation.stores.items()}
    peers = {name: keys[name] for name in NAMES[1:]}
    other = public_text(make_key(tmp_path / "other.pem"))
    write_policy(federation.stores["alta"], peers={**peers, "brisa": other})
    assert rules(federation.ask("alta", signed)) == ("peers",)
    write_policy(federation.stores["alta"], peers={name: peers[name] for name in NAMES[2:]})
    assert rules(federation.ask("alta", signed)) == ("peers",)
    write_policy(federation.stores["alta"], peers=peers)
    assert refusal_of(federation.ask("alta", signed)) is None


def test_wrong_and_unknown_sessions(tmp_path: Path) -> None:
    other = secure(study(estimator="poisson_did"))
    federation = Federation(tmp_path, (ASKED, other))
    _, signed = federation.open()
    unknown = replace(signed, session="b" * 32)
    assert rules(federation.ask("alta", unknown)) == ("session",)
    question = ask_first(estimator("poisson_did"), other)
    assert rules(federation.ask("alta", signed, question)) == ("session",)
    _, second = federation.open()
    mixed = SignedRoster(second.session, signed.signed)
    assert rules(federation.ask("alta", mixed)) == ("roster",)


def test_a_stored_session_that_was_damaged_gives_a_code(federation: Federation) -> None:
    invitation, signed = federation.open()
    path = federation.stores["alta"].sessions_folder / f"{invitation.session}.json"
    path.write_bytes(b"\xff{")
    assert rules(federation.ask("alta", signed)) == ("CONFIG",)
    path.unlink()
    assert rules(federation.ask("alta", signed)) == ("session",)


@pytest.mark.parametrize(
    "changes",
    [
        {"session": "A" * 32},
        {"session": "../" + "a" * 29},
        {"session": "a" * 31},
        {"roster": ["alta", "alta", "brisa"]},
        {"roster": ["brisa", "alta", "clara"]},
        {"roster": []},
        {"roster": "alta"},
        {"roster": [f"c{i:04d}" for i in range(1001)]},
        {"studies": []},
        {"studies": ["0" * 63]},
        {"studies": ["0" * 64] * 2},
        {"note": "hello"},
    ],
)
def test_hostile_invitations(federation: Federation, changes: dict) -> None:
    honest = encode_invitation(Invitation("a" * 32, NAMES, (study_hash(ASKED),)))
    decode_invitation(honest)
    content = RecordDict({"session": ConfigRecord({**dict(honest["session"]), **changes})})
    with pytest.raises(BadMessageError):
        decode_invitation(content)
    assert rules(federation.send("alta", content, KEYS)) == ("MESSAGE",)


# ---------------------------------------------------------------- replay


def test_one_mask_never_covers_two_vectors(federation: Federation) -> None:
    """The city's data change between two askings of one question: the difference of both answers would be bare."""
    _, signed = federation.open()
    first = federation.ask("alta", signed)
    again = federation.ask("alta", signed)
    assert dict(first["words"].items()).keys() == dict(again["words"].items()).keys()
    for name, array in first["words"].items():
        assert again["words"][name].data == array.data
    panel = city("alta", 99)
    store = store_of(panel, ASKED, federation.stores["alta"].folder.parent)
    pin_peers(list(federation.stores.values()))
    assert store.folder == federation.stores["alta"].folder
    assert rules(federation.ask("alta", signed)) == ("session",)


def test_replayed_masked_releases_are_refused(federation: Federation) -> None:
    """An old answer, of another session, round or city, in the place of this one."""
    old, signed = federation.open()
    answer = federation.ask("alta", signed)
    decode_masked(answer, QUESTION, "alta", old.session, NAMES)
    new, again = federation.open()
    later = replace(QUESTION, round=1)
    for question, site, session, roster in (
        (QUESTION, "alta", new.session, NAMES),
        (later, "alta", old.session, NAMES),
        (QUESTION, "brisa", old.session, NAMES),
        (QUESTION, "alta", old.session, NAMES[:3]),
    ):
        with pytest.raises(BadMessageError):
            decode_masked(answer, question, site, session, roster)
    parts = [
        decode_masked(federation.ask(name, again), QUESTION, name, new.session, NAMES).part
        for name in NAMES
    ]
    sum_parts(parts)
    stale = decode_masked(answer, QUESTION, "alta", old.session, NAMES).part
    with pytest.raises(EstimationError, match="different sessions"):
        sum_parts([stale, *parts[1:]])
    relabelled = replace(stale, session=new.session)
    with pytest.raises(EstimationError, match="do not cancel"):
        sum_parts([relabelled, *parts[1:]])


def test_masks_of_two_questions_share_nothing() -> None:
    """The difference of two answers under different masks is as random as each."""
    random = np.random.default_rng(12)
    plain = plain_of(random, size=MANY)
    cities = masked_cities(NAMES, random, plain)
    one = cities["alta"]
    other = replace(one, masks=replace(one.masks, session="1" * 32))
    gap = from_words(subtract(one.sent, other.sent))
    assert np.abs(gap).min() > 0
    assert r_squared(gap, np.log10(plain["alta"])) < NO_BETTER_THAN_CHANCE


# ---------------------------------------------------------------- what a masked vector tells


def test_a_masked_vector_is_as_good_as_random() -> None:
    random = np.random.default_rng(13)
    truth, sent = [], []
    for _ in range(MANY):
        plain = plain_of(random, size=4)
        truth.append(np.log10(plain["brisa"]))
        sent.append(masked_cities(NAMES, random, plain)["brisa"].sent)
    values = np.array(truth)
    lanes = np.array(sent)
    for entry in range(values.shape[1]):
        for lane in range(2):
            guess = lanes[:, entry, lane].astype(np.float64)
            assert r_squared(guess, values[:, entry]) < NO_BETTER_THAN_CHANCE
    every = lanes.astype("<u8").tobytes()
    counts = np.bincount(np.frombuffer(every, np.uint8), minlength=256)
    expected = len(every) / 256
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    # 255 degrees of freedom: mean 255, standard deviation 22.6; the draws are seeded
    assert 170 < chi_square < 350


def test_bare_numbers_would_fail_that_test() -> None:
    """The test of randomness can fail: without masks the bytes are far from uniform."""
    random = np.random.default_rng(14)
    every = to_words(10.0 ** random.uniform(-6, 12, 4 * MANY)).astype("<u8").tobytes()
    counts = np.bincount(np.frombuffer(every, np.uint8), minlength=256)
    expected = len(every) / 256
    assert float(((counts - expected) ** 2 / expected).sum()) > 10_000


def test_colluding_cities(record: Record) -> None:
    """All but one: the sum without theirs is that city's, whatever the protocol. With two honest cities it is not."""
    random = np.random.default_rng(15)
    exact = 0
    for _ in range(TRIALS):
        plain = plain_of(random)
        cities = masked_cities(NAMES, random, plain)
        others = [one for name, one in cities.items() if name != "clara"]
        exact += bool(np.abs(unmasked(cities["clara"], others) - plain["clara"]).max() <= EXACT)
    truth, guesses = [], []
    for _ in range(MANY):
        plain = plain_of(random, size=1)
        cities = masked_cities(NAMES, random, plain)
        two = [cities[name] for name in ("alta", "brisa")]
        truth.append(float(np.log10(plain["clara"][0])))
        guesses.append(float(unmasked(cities["clara"], two)[0]))
    beside = r_squared(np.array(guesses), np.array(truth))
    record(
        "collusion",
        without=f"exact, {exact} of {TRIALS}",
        with_=f"exact, {exact} of {TRIALS}: a stated limit; with a second honest city R² {beside:.3f}",
    )
    assert exact == TRIALS
    assert beside < NO_BETTER_THAN_CHANCE


def test_a_part_names_its_roster() -> None:
    """A sum over fewer cities than the roster cannot be made, even if the server has renamed a city's part."""
    random = np.random.default_rng(16)
    plain = plain_of(random)
    cities = masked_cities(NAMES, random, plain)
    parts = [
        Part(name, "0" * 64, "linear_did", "gram", 0, "0" * 32, NAMES, {"x": one.sent})
        for name, one in cities.items()
    ]
    total = sum_parts(parts).total()["x"]
    np.testing.assert_allclose(total, np.sum(list(plain.values()), axis=0), rtol=1e-15)
    with pytest.raises(EstimationError, match="missing or there twice"):
        sum_parts([replace(parts[0], site="brisa"), *parts[1:]])
