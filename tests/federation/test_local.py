"""The in-process federation: same apps, gate, codec and ledger as on a network."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import Question, estimate
from evalkit.core.panel import NEVER
from evalkit.core.study import study_hash
from evalkit.disclosure.cohorts import prepare
from evalkit.errors import MissingSiteError
from evalkit.federation import client_app
from evalkit.federation.codec import ANSWER, HELLO, encode_question, refusal_of
from evalkit.federation.grid import InProcessGrid
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.runtimes.local import run_local
from evalkit.runtimes.pooled import ask_pooled
from evalkit.runtimes.replay import ask_replay
from tests.panels import OPEN_POLICY, cities, city, study
from tests.stores import store_of

# The same sums in the same order; only the panel's way through Parquet lies between, which is exact.
SAME = 1e-10


def stores_for(asked, root: Path, panels=None, policy=OPEN_POLICY) -> list[SiteStore]:
    return [store_of(panel, asked, root, policy) for panel in panels or cities()]


@pytest.mark.parametrize("name", sorted(estimators()))
def test_federated_equals_pooled(name: str, tmp_path: Path) -> None:
    asked = study(estimator=name)
    run = RunFolder.create(tmp_path / "run", asked)
    found = run_local(run, stores_for(asked, tmp_path / "stores"))
    prepared = tuple(prepare(panel, asked, OPEN_POLICY).panel for panel in cities())
    pooled = estimate(estimator(name), asked, ask_pooled(prepared))
    np.testing.assert_allclose(found.effect, pooled.effect, rtol=0, atol=SAME)
    np.testing.assert_allclose(found.covariance, pooled.covariance, rtol=0, atol=SAME)
    assert found.contributors == ("alta", "brisa", "clara", "dorada")


@pytest.mark.parametrize("name", sorted(estimators()))
def test_run_folder_recomputes_to_the_last_bit(name: str, tmp_path: Path) -> None:
    asked = study(estimator=name)
    run = RunFolder.create(tmp_path / "run", asked)
    found = run_local(run, stores_for(asked, tmp_path / "stores"))
    again = estimate(estimator(name), asked, ask_replay(RunFolder(tmp_path / "run")))
    assert again.effect.tobytes() == found.effect.tobytes()
    assert again.covariance.tobytes() == found.covariance.tobytes()
    assert again.to_dict() == run.read("estimate.json")


def test_every_release_is_in_its_citys_ledger_with_the_same_hash(tmp_path: Path) -> None:
    asked = study(estimator="poisson_did")
    run = RunFolder.create(tmp_path / "run", asked)
    stores = stores_for(asked, tmp_path / "stores")
    run_local(run, stores)
    ledgers = {store.name: store.ledger.entries() for store in stores}
    released = {e["release"] for entries in ledgers.values() for e in entries}
    assert released == set(run.read("releases.json").values())
    assert all(e["outcome"] == "released" for entries in ledgers.values() for e in entries)
    assert {len(entries) for entries in ledgers.values()} == {5}


def test_running_a_study_again_asks_nothing_new(tmp_path: Path) -> None:
    """Twenty runs of one study stay within a budget of thirty distinct questions."""
    asked = study(estimator="poisson_did")
    policy = replace_policy(max_rounds=6)
    stores = stores_for(asked, tmp_path / "stores", policy=policy)
    estimates = [
        run_local(RunFolder.create(tmp_path / f"run{i}", asked), stores).effect.tobytes()
        for i in range(3)
    ]
    assert len(set(estimates)) == 1


def test_a_city_without_a_policy_refuses(tmp_path: Path) -> None:
    asked = study()
    panels = cities()
    stores = [
        store_of(panels[0], asked, tmp_path, None),
        *(store_of(panel, asked, tmp_path) for panel in panels[1:]),
    ]
    run = RunFolder.create(tmp_path / "run", asked)
    with pytest.raises(MissingSiteError, match=r"alta: REFUSAL \(rules: policy\)"):
        run_local(run, stores)
    (entry,) = stores[0].ledger.entries()
    assert entry["outcome"] == "refused"
    assert entry["rules"] == ["policy"]


def test_a_city_that_has_not_approved_the_study_refuses(tmp_path: Path) -> None:
    asked = study()
    stores = stores_for(asked, tmp_path, policy=replace_policy(studies=("0" * 64,)))
    with pytest.raises(MissingSiteError, match="rules: studies"):
        run_local(RunFolder.create(tmp_path / "run", asked), stores)


def test_an_approved_hash_is_answered(tmp_path: Path) -> None:
    asked = study()
    stores = stores_for(asked, tmp_path, policy=replace_policy(studies=(study_hash(asked),)))
    found = run_local(RunFolder.create(tmp_path / "run", asked), stores)
    assert len(found.contributors) == 4


def test_a_city_that_allows_estimates_only_refuses_statistics(tmp_path: Path) -> None:
    asked = study(estimator="poisson_did")
    stores = stores_for(asked, tmp_path, policy=replace_policy(release_class="estimate"))
    with pytest.raises(MissingSiteError, match="rules: release_class"):
        run_local(RunFolder.create(tmp_path / "run", asked), stores)


def test_a_city_without_a_panel_is_named(tmp_path: Path) -> None:
    asked, other = study(), study(method="DL")
    panels = cities()
    stores = [
        store_of(panels[0], other, tmp_path),
        *(store_of(panel, asked, tmp_path) for panel in panels[1:]),
    ]
    with pytest.raises(MissingSiteError, match="alta: PANEL-ABSENT"):
        run_local(RunFolder.create(tmp_path / "run", asked), stores)


def test_small_cohorts_are_refused_when_the_study_says_so(tmp_path: Path) -> None:
    asked = study()
    strict = type(asked)(
        **{
            **{f: getattr(asked, f) for f in asked.__struct_fields__},
            "federation": type(asked.federation)(small_cohorts="refuse"),
        }
    )
    panels = (city("lone", 9, treated=18, cohorts=(8, 8, 8, 8, 8, 8, 8, 8, 12)), city("full", 10))
    stores = [store_of(panel, strict, tmp_path) for panel in panels]
    with pytest.raises(MissingSiteError, match=r"lone: REFUSAL \(rules: min_treated_per_pattern\)"):
        run_local(RunFolder.create(tmp_path / "run", strict), stores)


def test_quorum_goes_on_without_the_city_that_refuses_and_names_who_contributed(
    tmp_path: Path,
) -> None:
    asked = with_federation(study(estimator="poisson_did"), quorum=3)
    panels = cities()
    stores = [
        store_of(panels[0], asked, tmp_path, None),
        *(store_of(panel, asked, tmp_path) for panel in panels[1:]),
    ]
    found = run_local(RunFolder.create(tmp_path / "run", asked), stores)
    assert found.contributors == ("brisa", "clara", "dorada")


def test_a_city_that_never_answers_is_an_error_within_the_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = with_federation(study(), timeout_s=1.0)
    stores = stores_for(asked, tmp_path)
    release = threading.Event()
    slow = client_app.estimator

    def hang(name: str):
        if threading.current_thread().name.endswith("_0"):
            release.wait(30)
        return slow(name)

    monkeypatch.setattr(client_app, "estimator", hang)
    try:
        with pytest.raises(MissingSiteError, match="NO-ANSWER"):
            run_local(RunFolder.create(tmp_path / "run", asked), stores, workers=4)
    finally:
        release.set()


def test_no_exception_text_leaves_a_city(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A library's error often quotes the value it choked on; neither message nor log may carry it."""
    asked = study()
    stores = stores_for(asked, tmp_path)
    canary = "CANARY-4711"

    def explode(name: str):
        raise ValueError(f"could not convert {canary}")

    monkeypatch.setattr(client_app, "estimator", explode)
    with pytest.raises(MissingSiteError, match="alta, brisa, clara, dorada: INTERNAL") as caught:
        run_local(RunFolder.create(tmp_path / "run", asked), stores)
    assert canary not in str(caught.value)
    assert canary not in caplog.text
    assert "ValueError" in caplog.text
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or canary.encode() not in file.read_bytes()


def test_unknown_message_types_get_a_code_back(tmp_path: Path) -> None:
    asked = study()
    (store,) = stores_for(asked, tmp_path, panels=cities()[:1])
    with InProcessGrid(client_app.app, {1: {"store": str(store.folder)}}) as grid:
        messages = [
            Message(RecordDict({}), 1, kind) for kind in ("train", "query.nothing", ANSWER, HELLO)
        ]
        replies = {r.metadata.message_type: r for r in grid.send_and_receive(messages)}
    assert refusal_of(replies["train"].content) == ("INTERNAL", ())
    assert refusal_of(replies["query.nothing"].content) == ("INTERNAL", ())
    assert refusal_of(replies[ANSWER].content) == ("MESSAGE", ())
    assert refusal_of(replies[HELLO].content) is None


def test_two_nodes_for_one_city_are_refused(tmp_path: Path) -> None:
    asked = study()
    (store,) = stores_for(asked, tmp_path, panels=cities()[:1])
    with pytest.raises(MissingSiteError, match="more than one node says it is alta"):
        run_local(RunFolder.create(tmp_path / "run", asked), [store, store])


def test_the_run_configuration_cannot_move_a_city_to_another_store(tmp_path: Path) -> None:
    """Limits and paths are the node's own; what whoever submits the run writes is never looked at."""
    asked = study()
    good, other = (
        store_of(panel, asked, tmp_path / str(i), policy)
        for i, (panel, policy) in enumerate(zip(cities(), (None, OPEN_POLICY), strict=False))
    )
    question = estimator("random_effects").first_question(asked)
    message = Message(RecordDict({}), reply_to=_asked(question))
    context = Context(
        1, 1, {"store": str(good.folder)}, RecordDict({}), {"store": str(other.folder)}
    )
    reply = client_app.app(_asked(question), context)
    assert refusal_of(reply.content) == ("REFUSAL", ("policy",))
    assert message.metadata.dst_node_id == reply.metadata.dst_node_id


def test_later_cameras_never_treated_in_window_are_controls(tmp_path: Path) -> None:
    asked = study()
    panel = city("late", 12)
    assert (panel.first_live == NEVER).sum() == 25
    run = RunFolder.create(tmp_path / "run", asked)
    found = run_local(run, [store_of(panel, asked, tmp_path)])
    assert found.contributors == ("late",)
    assert json.loads((tmp_path / "run" / "roster.json").read_text())["answered"] == ["late"]


def replace_policy(**changes):
    from msgspec.structs import replace as replace_struct

    return replace_struct(OPEN_POLICY, **changes)


def with_federation(asked, **changes):
    from msgspec.structs import replace as replace_struct

    return replace_struct(asked, federation=replace_struct(asked.federation, **changes))


def _asked(question: Question) -> Message:
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    return Message(encode_question(replace(question)), 1, ANSWER)
