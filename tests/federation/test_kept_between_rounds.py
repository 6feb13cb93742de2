"""What a city's process keeps from one question to the next must not outlive what it was made from."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from evalkit.core.discover import estimator
from evalkit.core.kept import Kept
from evalkit.core.study import study_hash
from evalkit.disclosure.cohorts import prepare
from evalkit.errors import ConfigError, PanelError
from evalkit.federation import client_app, site_store
from evalkit.federation.codec import (
    ANSWER,
    BATCH,
    decode_answers,
    decode_release,
    encode_question,
    encode_questions,
    refusal_of,
)
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.site_store import SiteStore
from evalkit.panel import store as panel_store
from tests.panels import OPEN_POLICY, cities, city, study
from tests.stores import built_of, site_of, store_of, write_policy

ASKED = study(estimator="poisson_did")
QUESTION = estimator("poisson_did").first_question(ASKED)
HASH = study_hash(ASKED)


@pytest.fixture
def store(tmp_path: Path) -> SiteStore:
    """A city that has answered once, so that its process keeps what it can."""
    made = store_of(cities()[0], ASKED, tmp_path)
    assert refusal_of(ask(made)) is None
    return made


def ask(store: SiteStore) -> RecordDict:
    with InProcessGrid(client_app.app, {1: {"store": str(store.folder)}}):
        message = Message(encode_question(QUESTION), 1, ANSWER)
        context = Context(1, 1, {"store": str(store.folder)}, RecordDict({}), {})
        return client_app.app(message, context).content


def score(store: SiteStore) -> np.ndarray:
    return decode_release(ask(store), QUESTION, store.name).statistics.total()["score"]


def panel_file(store: SiteStore, name: str) -> Path:
    return store.folder / HASH / "panel" / name


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"studies": ("0" * 64,)}, "studies"),
        ({"release_class": "estimate"}, "release_class"),
        ({"min_clusters": 1000}, "min_clusters"),
        ({"min_treated_per_pattern": 1000}, "min_treated_per_pattern"),
    ],
)
def test_a_policy_made_stricter_is_obeyed_at_the_next_question(
    store: SiteStore, change: dict, rule: str
) -> None:
    stricter = msgspec.structs.replace(OPEN_POLICY, **change)
    (store.folder / "policy.json").write_bytes(msgspec.json.encode(stricter))
    assert refusal_of(ask(store)) == ("REFUSAL", (rule,))
    (store.folder / "policy.json").write_bytes(msgspec.json.encode(OPEN_POLICY))
    assert refusal_of(ask(store)) is None


def test_a_policy_changed_without_a_new_size_or_time_is_obeyed(store: SiteStore) -> None:
    """Times of files are coarse, and can be set."""
    path = store.folder / "policy.json"
    before = path.stat()
    text = path.read_bytes()
    changed = text.replace(b'"any"', b'"not"')
    assert len(changed) == len(text)
    assert changed != text
    path.write_bytes(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert refusal_of(ask(store)) == ("REFUSAL", ("studies",))


def test_a_policy_removed_refuses_everything(store: SiteStore) -> None:
    (store.folder / "policy.json").unlink()
    assert refusal_of(ask(store)) == ("REFUSAL", ("policy",))


def test_a_damaged_policy_refuses_everything(store: SiteStore) -> None:
    path = store.folder / "policy.json"
    path.write_bytes(path.read_bytes()[:-1])
    assert refusal_of(ask(store)) == ("CONFIG", ())
    with pytest.raises(ConfigError, match="stored policy is damaged"):
        store.policy()


def test_cohorts_are_prepared_for_the_policy_in_force(tmp_path: Path) -> None:
    """A cohort that a stricter policy finds too small is merged, although the panel had been prepared before."""
    panel = city("alta", 3, treated=18, cohorts=(8, 8, 11))
    store = store_of(panel, ASKED, tmp_path)
    opened = store.opened(HASH)
    loose = opened.prepared(ASKED, OPEN_POLICY)
    strict_policy = msgspec.structs.replace(OPEN_POLICY, min_treated_per_pattern=8)
    strict = store.opened(HASH).prepared(ASKED, strict_policy)
    fresh = prepare(opened.panel, ASKED, strict_policy)
    assert strict.notes == fresh.notes != loose.notes
    assert np.array_equal(strict.panel.first_live, fresh.panel.first_live)
    assert opened.prepared(ASKED, OPEN_POLICY).notes == loose.notes


def test_a_panel_built_again_is_the_one_that_answers(store: SiteStore) -> None:
    before = score(store)
    panel = cities()[0]
    more = replace(panel, study=HASH, counts=panel.counts + 1)
    store.write(site_of(store.name, OPEN_POLICY), ASKED, built_of(more))
    assert np.array_equal(store.panel(HASH).counts, more.counts)
    assert not np.array_equal(score(store), before)


def test_moderators_changed_in_the_store_are_the_ones_read(store: SiteStore) -> None:
    path = store.folder / "site.json"
    head = msgspec.json.decode(path.read_bytes())
    path.write_bytes(msgspec.json.encode({**head, "moderators": {"density": 12.5}}))
    assert store.panel(HASH).moderators == ({"density": 12.5},)


@pytest.mark.parametrize("how", ["changed", "missing"])
@pytest.mark.parametrize("name", ["counts.parquet", "dose.parquet", "arrays.msgpack", "panel.json"])
def test_a_panel_file_damaged_between_questions_is_found(
    store: SiteStore, name: str, how: str
) -> None:
    path = panel_file(store, name)
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:])
    code = "PANEL-ABSENT" if (name, how) == ("panel.json", "missing") else "PANEL"
    assert refusal_of(ask(store)) == (code, ())
    with pytest.raises(PanelError):
        store.panel(HASH)
    path.write_bytes(whole)
    assert refusal_of(ask(store)) is None


def test_a_study_damaged_between_questions_is_found(store: SiteStore) -> None:
    path = store.folder / HASH / "study.json"
    path.write_bytes(path.read_bytes().replace(b'"Test"', b'"Text"'))
    with pytest.raises(ConfigError, match="does not have the hash"):
        store.study(HASH)
    assert refusal_of(ask(store)) == ("CONFIG", ())


def test_a_ledger_damaged_between_questions_stops_everything(store: SiteStore) -> None:
    path = store.ledger.path
    path.write_bytes(path.read_bytes().replace(b'"released"', b'"relEased"'))
    assert refusal_of(ask(store)) == ("LEDGER", ())


def test_two_stores_do_not_share(tmp_path: Path) -> None:
    """Neither two cities, nor two stores of one city: each answers from its own files."""
    first, second = cities()[:2]
    stores = [
        store_of(first, ASKED, tmp_path / "a"),
        store_of(second, ASKED, tmp_path / "a"),
        store_of(replace(second, sites=first.sites), ASKED, tmp_path / "b"),
    ]
    panels = (first, second, second)
    for _ in range(2):
        for store, panel in zip(stores, panels, strict=True):
            assert np.array_equal(store.panel(HASH).counts, panel.counts)
    assert [store.opened(HASH).name for store in stores] == ["alta", "brisa", "alta"]
    (stores[2].folder / "policy.json").unlink()
    assert refusal_of(ask(stores[0])) is None
    assert refusal_of(ask(stores[2])) == ("REFUSAL", ("policy",))


def test_a_store_moved_into_the_place_of_another_answers_for_itself(tmp_path: Path) -> None:
    first, second = (
        store_of(panel, ASKED, tmp_path / str(at)) for at, panel in enumerate(cities()[:2])
    )
    assert first.panel(HASH).sites == ("alta",)
    first.folder.rename(tmp_path / "away")
    second.folder.rename(first.folder)
    assert first.panel(HASH).sites == ("brisa",)
    assert first.name == "brisa"


def test_the_panel_is_made_once_and_its_files_are_read_each_time(
    store: SiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    verified = panel_store._verified

    def watched(place, manifest, name):
        read.append(name)
        return verified(place, manifest, name)

    monkeypatch.setattr(panel_store, "_verified", watched)
    first = store.opened(HASH)
    assert store.opened(HASH) is first
    assert (
        not first.panel.unit_ids.flags.writeable
    )  # nor any of its other arrays: it is lent to every question
    assert sorted(read) == sorted(["arrays", "counts", "dose", "exposure", "units"] * 2)


def test_panels_kept_stay_within_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room for two of four cities: all four are answered, and answered alike, again and again."""
    stores = [store_of(panel, ASKED, tmp_path) for panel in cities()]
    one = store_of(cities()[0], ASKED, tmp_path / "measured")
    held: Kept = Kept(10**9)
    monkeypatch.setattr(site_store, "_OPENED", held)
    one.opened(HASH)
    limit = int(2.5 * held.size)
    held = Kept(limit)
    monkeypatch.setattr(site_store, "_OPENED", held)
    for _ in range(2):
        for store, panel in zip(stores, cities(), strict=True):
            assert np.array_equal(store.panel(HASH).counts, panel.counts)
            assert held.size <= limit
    assert held.size > 0


def test_a_policy_changed_within_a_batch_is_in_force_from_the_next_question(
    store: SiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = client_app._answer

    def then_changed(*given: object) -> RecordDict:
        found = answered(*given)
        write_policy(store, studies=())
        return found

    monkeypatch.setattr(client_app, "_answer", then_changed)
    with InProcessGrid(client_app.app, {1: {"store": str(store.folder)}}):
        message = Message(encode_questions([QUESTION, QUESTION]), 1, BATCH)
        context = Context(1, 1, {"store": str(store.folder)}, RecordDict({}), {})
        first, second = decode_answers(client_app.app(message, context).content, 2)
    assert refusal_of(first) is None
    assert refusal_of(second) == ("REFUSAL", ("studies",))
