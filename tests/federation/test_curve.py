"""Several specifications in the same rounds: the same answers as one by one, each behind the gate."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from evalkit.config import Policy
from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.panel import Panel
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Specifications, Study, study_hash
from evalkit.errors import BadMessageError, MissingSiteError
from evalkit.federation.client_app import app as client_app
from evalkit.federation.codec import (
    decode_answers,
    decode_questions,
    encode_answers,
    encode_questions,
    encode_refusal,
)
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.server_app import conduct_curve
from evalkit.federation.site_store import SiteStore
from evalkit.runtimes.local import run_local, run_local_curve
from tests.panels import OPEN_POLICY, cities, study
from tests.stores import site_of, store_of


def asked_with(**changes: object) -> Study:
    """Six specifications of three panels."""
    return msgspec.structs.replace(
        study(estimator="random_effects"),
        specifications=Specifications(
            estimator=("poisson_did", "random_effects"),
            crime_types=(("robbery",), ("theft",), ("robbery", "theft")),
        ),
        **changes,
    )


def approving(asked: Study, **changes: object) -> Policy:
    """A policy that lists the study's own hash and nothing else."""
    return msgspec.structs.replace(OPEN_POLICY, studies=(study_hash(asked),), **changes)


def stores_for(
    asked: Study, root: Path, policy: Policy, panels: Iterable[Panel] | None = None
) -> list[SiteStore]:
    stores = []
    for panel in panels or cities():
        for one in specifications_of(asked):
            store = store_of(panel, one.study, root, policy)
        store.write_study(site_of(panel.sites[0], policy), asked)
        stores.append(store)
    return stores


class CountingGrid(InProcessGrid):
    """Counts the messages of each kind."""

    sent: list[str]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        listed = list(messages)
        self.sent = [*getattr(self, "sent", []), *(one.metadata.message_type for one in listed)]
        return super().push_messages(listed)


def test_a_curve_is_its_specifications_run_one_by_one(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores", approving(asked))
    run = RunFolder.create(tmp_path / "run", asked)
    together = run_local_curve(run, stores)
    for number, one in enumerate(specifications_of(asked)):
        alone = RunFolder.create(tmp_path / f"alone{number}", one.study)
        expected = run_local(alone, stores)
        found = together.outcomes[number]
        assert isinstance(found, Estimate)
        assert found.effect.tobytes() == expected.effect.tobytes()
        folder = RunFolder(run.specification(number))
        assert folder.read("estimate.json") == alone.read("estimate.json")
        assert folder.read("releases.json") == alone.read("releases.json")


def test_a_round_is_one_message_to_each_city(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores", approving(asked))
    nodes = {i: {"store": str(store.folder)} for i, store in enumerate(stores, start=1)}
    run = RunFolder.create(tmp_path / "run", asked)
    names = tuple(sorted(store.name for store in stores))
    with CountingGrid(client_app, nodes) as grid:
        together = conduct_curve(grid, run, names)
    assert grid.sent.count("query.hello") == len(stores)
    assert grid.sent.count("query.batch") == together.rounds * len(stores)
    assert together.rounds < 10


def test_every_question_has_its_own_entry_in_the_ledger(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores", approving(asked))
    run = RunFolder.create(tmp_path / "run", asked)
    run_local_curve(run, stores)
    kept: set[str] = set()
    for number in range(6):
        kept |= set(RunFolder(run.specification(number)).read("releases.json").values())
    entries = [entry for store in stores for entry in store.ledger.entries()]
    assert {entry["release"] for entry in entries} == kept
    assert {entry["study"] for entry in entries} == {one.hash for one in specifications_of(asked)}


def test_without_the_approved_study_in_its_store_a_city_answers_nothing(tmp_path: Path) -> None:
    """The server's word that a hash is a specification of something is worth nothing."""
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores", approving(asked))
    for store in stores:
        shutil.rmtree(store.study_folder(study_hash(asked)))
    together = run_local_curve(RunFolder.create(tmp_path / "run", asked), stores)
    assert all(isinstance(one, MissingSiteError) for one in together.outcomes)
    assert all("rules: studies" in str(one) for one in together.outcomes)
    assert all(
        entry["outcome"] == "refused" and entry["rules"] == ["studies"]
        for store in stores
        for entry in store.ledger.entries()
    )


def test_a_tampered_study_approves_nothing(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores", approving(asked), [cities()[0]])
    other = msgspec.structs.replace(asked, title="another")
    path = stores[0].study_folder(study_hash(asked)) / "study.json"
    path.write_bytes(msgspec.json.encode(other, order="deterministic"))
    together = run_local_curve(RunFolder.create(tmp_path / "run", asked), stores)
    assert all(isinstance(one, MissingSiteError) for one in together.outcomes)
    assert stores[0].ledger.entries() == []


def test_a_city_that_refuses_one_specification_answers_the_others(tmp_path: Path) -> None:
    asked = asked_with()
    stores = stores_for(asked, tmp_path / "stores", approving(asked))
    rejected = specifications_of(asked)[2]
    shutil.rmtree(stores[1].study_folder(rejected.hash))
    together = run_local_curve(RunFolder.create(tmp_path / "run", asked), stores)
    failed = [i for i, one in enumerate(together.outcomes) if not isinstance(one, Estimate)]
    assert failed == [2]
    assert f"{stores[1].name}: PANEL-ABSENT" in str(together.outcomes[2])


def test_with_a_quorum_each_specification_rests_on_the_cities_that_answered_it(
    tmp_path: Path,
) -> None:
    asked = asked_with()
    asked = msgspec.structs.replace(
        asked, federation=msgspec.structs.replace(asked.federation, quorum=3)
    )
    stores = stores_for(asked, tmp_path / "stores", approving(asked))
    shutil.rmtree(stores[1].study_folder(specifications_of(asked)[0].hash))
    together = run_local_curve(RunFolder.create(tmp_path / "run", asked), stores)
    sizes = [len(one.contributors) for one in together.outcomes if isinstance(one, Estimate)]
    assert sizes == [3, 4, 4, 4, 4, 4]


def test_more_specifications_than_a_policy_allows_are_refused(tmp_path: Path) -> None:
    asked = asked_with()
    policy = approving(asked, max_specifications=5)
    stores = stores_for(asked, tmp_path / "stores", policy)
    together = run_local_curve(RunFolder.create(tmp_path / "run", asked), stores)
    assert all("rules: studies" in str(one) for one in together.outcomes)


# --------------------------------------------------------------------------- messages


def questions() -> list:
    asked = study(estimator="poisson_did")
    first = estimator("poisson_did").first_question(asked)
    return [first, replace(first, round=1, parameters=np.array([0.5]))]


def test_questions_come_back_as_they_were() -> None:
    first, second = decode_questions(encode_questions(questions()))
    assert (first.round, second.round) == (0, 1)
    np.testing.assert_array_equal(second.parameters, [0.5])


def test_answers_come_back_in_their_order() -> None:
    parts = [encode_refusal("A"), encode_refusal("B")]
    found = decode_answers(encode_answers(parts), 2)
    assert [one["refusal"]["code"] for one in found] == ["A", "B"]


@pytest.mark.parametrize(
    "content",
    [
        RecordDict({"refusal": ConfigRecord({"code": "A", "rules": []})}),
        RecordDict({"refusal-0001": ConfigRecord({"code": "A", "rules": []})}),
        RecordDict({"refusal-1": ConfigRecord({"code": "A", "rules": []})}),
        RecordDict({"../x-0000": ConfigRecord({})}),
        encode_answers([encode_refusal("A"), encode_refusal("B"), encode_refusal("C")]),
        RecordDict({}),
    ],
)
def test_answers_to_something_else_are_refused(content: RecordDict) -> None:
    with pytest.raises(BadMessageError):
        decode_answers(content, 2)


def test_a_question_with_more_in_it_is_refused() -> None:
    content = encode_questions(questions())
    content["extra-0000"] = ArrayRecord({})
    with pytest.raises(BadMessageError):
        decode_questions(content)


def test_too_many_questions_are_not_sent() -> None:
    with pytest.raises(BadMessageError):
        encode_questions(questions()[:1] * 1001)
