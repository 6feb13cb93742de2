"""What a release tells, the auditor's memory of it, and the budget a city sees."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from msgspec.structs import replace as with_

from evalkit.cli.site_budget import bar, budget, lines
from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import ask_first
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Study, Units, study_hash
from evalkit.disclosure import audit as auditor
from evalkit.disclosure import gate
from evalkit.disclosure.audit import Audit, released_digests, spent
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.told import Encoded, Piece, Told, place_names, told_by
from evalkit.errors import PanelError, RefusalError
from evalkit.federation.budget import budget_of
from evalkit.federation.site_store import SiteStore
from tests.panels import OPEN_POLICY, city, study
from tests.stores import store_of

CATCHMENTS = Units(kind="catchment", radius_m=150.0, ring_m=300.0)


def decoded(told: Encoded) -> Told:
    return msgspec.json.decode(told.data, type=Told)


def told_of(panel: Panel, asked: Study, **how: Any) -> Told:
    return decoded(told_by(panel, asked, **how))


def made(*sets: set[int], radius: float = 150.0, types: tuple[str, ...] = ("theft",)) -> Encoded:
    """What a release of discs around numbered places tells."""
    pieces = tuple(
        Piece(
            row=row,
            name=f"set {row}",
            treated=True,
            inner=0.0,
            outer=radius,
            places=tuple(sorted(f"place {number}" for number in own)),
        )
        for row, own in enumerate(sets)
    )
    told = Told(crime_types=types, pieces=pieces)
    return Encoded(msgspec.json.encode(told, order="deterministic"))


def released(folder: Path, *told: Encoded) -> list[dict[str, Any]]:
    """Ledger entries of these releases, with what they told on disk."""
    return [
        {"outcome": "released", "audit": Audit(folder, one).record(), "leverage": 0.25}
        for one in told
    ]


# ---------------------------------------------------------------- what is told


def test_statistics_tell_every_cohort_and_an_estimate_all_treated_places() -> None:
    panel = city("alta", 1)
    by_cohort = told_of(panel, study(estimator="poisson_did"))
    assert [(one.name, one.treated, len(one.places)) for one in by_cohort.pieces] == [
        ("never", False, 25),
        ("2020-09-01", True, 6),
        ("2020-12-01", True, 6),
        ("2021-03-01", True, 6),
    ]
    together = told_of(panel, study(estimator="random_effects"))
    assert [(one.name, len(one.places)) for one in together.pieces] == [
        ("all treated", 18),
        ("never", 25),
    ]


@pytest.mark.parametrize("name", sorted(estimators()))
def test_every_place_that_an_estimator_may_use_is_in_a_set(name: str) -> None:
    panel = city("alta", 1)
    pieces = told_of(panel, study(estimator=name)).pieces
    used = {place for one in pieces for place in one.places}
    members = np.isin(panel.role, (Role.TREATED, Role.CONTROL))
    assert used >= {f"{place}" for place in panel.unit_ids[members]}


def test_places_that_are_never_used_are_in_no_set() -> None:
    panel = city("alta", 1)
    exposure = panel.exposure.copy()
    exposure[20] = 0.0
    pieces = told_of(replace(panel, exposure=exposure), study(estimator="poisson_did")).pieces
    assert not any(str(panel.unit_ids[20]) in one.places for one in pieces)


def test_the_weighted_displacement_difference_tells_its_rings_too() -> None:
    panel = city("alta", 1)
    role, live = panel.role.copy(), panel.first_live.copy()
    role[18:24], live[18:24] = Role.RING, live[:6]
    ringed = replace(
        panel, role=role, ring=(role == Role.RING) * 1, first_live=live, last_live=live.copy()
    )
    asked = with_(study(estimator="wdd"), units=CATCHMENTS)
    rings = [one for one in told_of(ringed, asked).pieces if one.name == "ring"]
    (only,) = rings
    assert (only.inner, only.outer, len(only.places)) == (150.0, 300.0, 7)


def test_a_ring_under_study_is_counted_from_its_inner_radius() -> None:
    panel = city("alta", 1)
    asked = with_(study(estimator="random_effects"), units=CATCHMENTS)
    ringed = replace(panel, ring=(panel.role == Role.TREATED) * 1)
    treated, controls = told_of(ringed, asked).pieces
    assert (treated.inner, treated.outer) == (150.0, 300.0)
    assert (controls.inner, controls.outer) == (0.0, 150.0)


def test_places_keep_their_names_when_units_are_numbered_anew() -> None:
    asked = with_(study(), units=CATCHMENTS)
    where = np.array([[-75.1, 6.2], [-75.2, 6.3], [-75.1, 6.2]])
    ids = np.array(["site:00000", "site:00001", "ring:00000"])
    names = place_names(ids, where, asked)
    assert names[0] == names[2] == "catchment -75.100000,6.200000"
    again = np.array(["site:00004", "site:00003", "ring:00004"])
    assert place_names(again, where + 1e-9, asked) == names


def test_two_units_of_one_place_are_told_apart() -> None:
    where = np.full((2, 2), 0.5)
    for unit_kind in ("grid", "catchment"):
        asked = with_(study(), units=Units(kind=unit_kind))
        for ids in (["u1", "u2"], ["site:1", "site:2"]):
            assert len(set(place_names(np.array(ids), where, asked))) == 2


def test_areas_and_places_that_are_not_known_go_by_their_own_names() -> None:
    ids, nowhere = np.array(["north"]), np.array([[np.nan, np.nan]])
    assert place_names(ids, nowhere, with_(study(), units=Units(kind="area"))) == ("area north",)
    assert place_names(ids, None, study()) == ("grid north",)
    assert place_names(ids, nowhere, study()) == ("grid north",)


def test_an_area_that_is_drawn_too_is_one_place() -> None:
    ids = np.array(["north"])
    names = {
        place_names(ids, None, with_(study(), units=Units(kind=kind)))
        for kind in ("area", "polygon")
    }
    assert names == {("area north",)}


def test_cells_of_two_sizes_are_different_places() -> None:
    where, ids = np.array([[1.0, 2.0]]), np.array(["cell:0:0"])
    sizes = {
        place_names(ids, where, with_(study(), units=Units(kind="grid", cell_m=size)))
        for size in (250.0, 500.0)
    }
    assert len(sizes) == 2


# ---------------------------------------------------------------- the auditor


def test_a_first_release_spends_the_share_of_its_smallest_set(tmp_path: Path) -> None:
    verdict = Audit(tmp_path, made(set(range(8)), set(range(8, 30)))).judge([], OPEN_POLICY)
    assert (verdict.rule, verdict.passed, verdict.limit) == ("max_leverage", True, 0.5)
    assert verdict.found == pytest.approx(1 / 8)


@pytest.mark.parametrize(("left", "passes"), [(1, False), (2, False), (3, True)])
def test_what_two_releases_leave_over_must_be_three_places(
    left: int, passes: bool, tmp_path: Path
) -> None:
    everything = set(range(50))
    before = released(tmp_path, made(everything))
    verdict = Audit(tmp_path, made(set(range(left, 50)))).judge(before, OPEN_POLICY)
    assert (verdict.rule, verdict.passed) == ("max_leverage", passes)
    assert verdict.found == pytest.approx(1 / left)


def test_the_limit_is_the_citys(tmp_path: Path) -> None:
    before = released(tmp_path, made(set(range(50))))
    after = Audit(tmp_path, made(set(range(3, 50))))
    assert not after.judge(before, with_(OPEN_POLICY, max_leverage=0.3)).passed
    assert after.judge(before, with_(OPEN_POLICY, max_leverage=0.34)).passed


def test_another_distance_hides_no_difference(tmp_path: Path) -> None:
    """One place fewer at another radius: where the rings hold nearly nothing, it is told as at the same radius."""
    before = released(tmp_path, made(set(range(50))))
    fewer = Audit(tmp_path, made(set(range(1, 50)), radius=300.0)).judge(before, OPEN_POLICY)
    assert (fewer.rule, fewer.passed) == ("max_leverage", False)
    same = Audit(tmp_path, made(set(range(50)), radius=300.0)).judge(before, OPEN_POLICY)
    assert same.passed
    assert same.found == pytest.approx(1 / 50)


def test_a_ring_by_itself_is_another_number(tmp_path: Path) -> None:
    """Its places may be others than those with discs: what lies in the one says nothing of the other."""
    before = released(tmp_path, made(set(range(50))))
    told = decoded(made(set(range(1, 50)), radius=300.0))
    pieces = tuple(with_(piece, inner=150.0) for piece in told.pieces)
    ring = Encoded(msgspec.json.encode(with_(told, pieces=pieces), order="deterministic"))
    assert Audit(tmp_path, ring).judge(before, OPEN_POLICY).found < 0.05


@pytest.mark.parametrize("types", [("robbery",), ("homicide", "theft")])
def test_another_list_of_crimes_hides_no_difference(tmp_path: Path, types: tuple[str, ...]) -> None:
    """A type that hardly occurs makes another study and the same sum."""
    before = released(tmp_path, made(set(range(50))))
    verdict = Audit(tmp_path, made(set(range(1, 50)), types=types)).judge(before, OPEN_POLICY)
    assert not verdict.passed
    assert verdict.found == pytest.approx(1)
    same = Audit(tmp_path, made(set(range(50)), types=types)).judge(before, OPEN_POLICY)
    assert same.found == pytest.approx(1 / 50)


@pytest.mark.parametrize(
    ("radius", "passes"), [(150.0, True), (150.001, False), (187.0, False), (187.5, True)]
)
def test_nearly_the_same_discs_are_refused(tmp_path: Path, radius: float, passes: bool) -> None:
    """Whichever places they are around: names of lattice discs are others at any other radius."""
    before = released(tmp_path, made(set(range(50))))
    other = Audit(tmp_path, made(set(range(50)), radius=radius))
    verdict = other.judge(before, OPEN_POLICY)
    assert (verdict.rule, verdict.passed) == ("max_leverage", passes)


def test_rings_beside_one_another_are_not_nearly_the_same(tmp_path: Path) -> None:
    def ring(inner: float, outer: float) -> Encoded:
        told = decoded(made(set(range(50)), radius=outer))
        pieces = tuple(with_(piece, inner=inner) for piece in told.pieces)
        return Encoded(msgspec.json.encode(with_(told, pieces=pieces), order="deterministic"))

    before = released(tmp_path, ring(300.0, 350.0))
    assert Audit(tmp_path, ring(350.0, 400.0)).judge(before, OPEN_POLICY).passed
    assert not Audit(tmp_path, ring(300.0, 360.0)).judge(before, OPEN_POLICY).passed


@pytest.mark.parametrize(("side", "passes"), [(250.001, False), (300.0, False), (500.0, True)])
def test_nearly_the_same_cells_are_refused(tmp_path: Path, side: float, passes: bool) -> None:
    """Cells of 250 m and of 250.001 m hold the same incidents, and have no name in common."""
    panel = city("alta", 1)
    where = np.column_stack([np.arange(panel.n_units) / 400, np.zeros(panel.n_units)])

    def cells(size: float) -> Encoded:
        asked = with_(study(estimator="rate_ratio"), units=Units(kind="grid", cell_m=size))
        return told_by(panel, asked, place_names(panel.unit_ids, where, asked))

    before = released(tmp_path, cells(250.0))
    assert Audit(tmp_path, cells(side)).judge(before, OPEN_POLICY).passed == passes


def test_what_was_told_may_be_told_again_whatever_the_policy_says_now(tmp_path: Path) -> None:
    told = made(set(range(4)))
    before = released(tmp_path, told)
    verdict = Audit(tmp_path, told).judge(before, with_(OPEN_POLICY, max_leverage=0.1))
    assert (verdict.passed, verdict.found) == (True, 0.25)
    other = Audit(tmp_path, made(set(range(4)), set(range(4, 40))))
    assert not other.judge(before, with_(OPEN_POLICY, max_leverage=0.1)).passed


def test_refused_and_other_entries_told_nothing(tmp_path: Path) -> None:
    entries = [{"outcome": "refused", "rules": ["studies"]}, {"outcome": "approved"}]
    assert released_digests(entries) == ()
    assert Audit(tmp_path, made(set(range(9)))).judge(entries, OPEN_POLICY).passed


def forget(*_: Any) -> None:
    """As a process that has just begun."""
    auditor._KNOWN.clear()
    auditor._VERIFIED.clear()


def missing(path: Path) -> None:
    path.unlink()


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def other(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"place 1", b"place 9"))


@pytest.mark.parametrize("spoil", [missing, longer, other])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_memory_that_is_not_whole_refuses_everything(
    spoil: Any, fresh: bool, tmp_path: Path
) -> None:
    told, further = made(set(range(20))), made(set(range(30, 60)))
    before = released(tmp_path, told)
    assert all(Audit(tmp_path, one).judge(before, OPEN_POLICY).passed for one in (told, further))
    spoil(tmp_path / f"{told.digest}.json")
    if fresh:
        forget()
    for one in (told, further):
        verdict = Audit(tmp_path, one).judge(before, OPEN_POLICY)
        assert (verdict.rule, verdict.passed) == ("audit", False)
    with pytest.raises(RefusalError) as refused:
        spent(tmp_path, [told.digest])
    assert refused.value.rules == ("audit",)


@pytest.mark.parametrize("digest", [None, 7, "", "../../x", "0" * 64])
def test_a_release_that_does_not_say_what_it_told_refuses_everything(
    digest: object, tmp_path: Path
) -> None:
    entry = {"outcome": "released"} | ({} if digest is None else {"audit": digest})
    verdict = Audit(tmp_path, made(set(range(20)))).judge([entry], OPEN_POLICY)
    assert (verdict.rule, verdict.passed) == ("audit", False)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"crime_types":[],"format":2,"pieces":[]}', b'{"format":1}']
)
def test_a_file_of_another_make_refuses_everything(content: bytes, tmp_path: Path) -> None:
    before = released(tmp_path, Encoded(content))
    verdict = Audit(tmp_path, made(set(range(20)))).judge(before, OPEN_POLICY)
    assert (verdict.rule, verdict.passed) == ("audit", False)


def test_memory_and_a_fresh_process_agree_whatever_the_order(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    told = [made(set(random.choice(60, 40, replace=False).tolist())) for _ in range(6)]
    digests = [Audit(tmp_path, one).record() for one in told]
    warm = [spent(tmp_path, digests[:number]).leverage for number in range(1, 7)]
    forget()
    cold = [spent(tmp_path, digests[:number]).leverage for number in range(6, 0, -1)]
    np.testing.assert_allclose(warm, cold[::-1], rtol=1e-12)
    assert warm == sorted(warm)
    forget()
    assert spent(tmp_path, digests[::-1]).leverage == pytest.approx(warm[-1], rel=1e-12)


def test_nothing_released_is_nothing_spent(tmp_path: Path) -> None:
    found = spent(tmp_path, ())
    assert (found.leverage, found.places, found.known) == (0.0, (), 0)


def test_one_review_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def review(number: int) -> None:
        with Audit(tmp_path, made({number})).alone():
            inside.append(number)
            most.append(len(inside))
            threading.Event().wait(0.001)
            inside.remove(number)

    threads = [threading.Thread(target=review, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


# ---------------------------------------------------------------- the gate and the store


def answer(store: SiteStore, asked: Study) -> None:
    """As the city's app answers a first question."""
    one = estimator(asked.analysis.estimator)
    opened, policy = store.opened(study_hash(asked)), store.policy()
    question = ask_first(one, asked)
    assert policy is not None
    gate.review(
        one.summarise(opened.prepared(asked, policy).panel, question),
        question,
        policy,
        store.ledger,
        fingerprint=opened.panel.fingerprint,
        site=opened.name,
        audit=Audit(store.audit_folder, opened.told(asked, policy)),
    )


def without(panel: Panel, units: list[int]) -> Panel:
    role = panel.role.copy()
    role[units] = Role.SET_APART
    return replace(panel, role=role)


def stored_pair(root: Path, units: list[int]) -> tuple[SiteStore, Study, Study]:
    """A city with two stored studies, the second without some treated units."""
    panel, first = city("alta", 1), study(estimator="poisson_did")
    second = with_(first, notes="without some")
    store_of(panel, first, root)
    return store_of(without(panel, units), second, root), first, second


def test_the_ledger_names_what_was_told_and_how_near_it_comes(tmp_path: Path) -> None:
    store, first, _ = stored_pair(tmp_path, [0])
    answer(store, first)
    (entry,) = store.ledger.entries()
    assert (store.audit_folder / f"{entry['audit']}.json").is_file()
    assert entry["leverage"] == pytest.approx(1 / 6)
    assert entry["verdicts"][-1]["rule"] == "max_leverage"


def test_a_second_study_without_one_camera_is_refused_and_nothing_is_kept_of_it(
    tmp_path: Path,
) -> None:
    store, first, second = stored_pair(tmp_path, [0])
    answer(store, first)
    with pytest.raises(RefusalError) as refused:
        answer(store, second)
    assert refused.value.rules == ("max_leverage",)
    *_, last = store.ledger.entries()
    assert (last["outcome"], last["rules"]) == ("refused", ["max_leverage"])
    assert last["verdicts"][-1]["found"] == pytest.approx(1)
    assert "audit" not in last
    assert len(list(store.audit_folder.glob("*.json"))) == 1
    answer(store, first)


def test_a_lost_file_refuses_what_was_answered_before_too(tmp_path: Path) -> None:
    store, first, _ = stored_pair(tmp_path, [0])
    answer(store, first)
    (path,) = store.audit_folder.glob("*.json")
    path.unlink()
    with pytest.raises(RefusalError) as refused:
        answer(store, first)
    assert refused.value.rules == ("audit",)


def test_nothing_leaves_if_what_it_tells_cannot_be_kept(tmp_path: Path) -> None:
    store, first, _ = stored_pair(tmp_path, [0])
    store.audit_folder.write_text("in the way")
    with pytest.raises(RefusalError):
        answer(store, first)
    assert all(entry["outcome"] != "released" for entry in store.ledger.entries())


def test_places_come_from_the_verified_table_of_units(tmp_path: Path) -> None:
    store, first, _ = stored_pair(tmp_path, [0])
    digest = study_hash(first)
    opened, policy = store.opened(digest), store.policy()
    (store.study_folder(digest) / "panel" / "units.parquet").write_bytes(b"PAR1")
    assert policy is not None
    with pytest.raises(PanelError, match="changed"):
        opened.told(first, policy)


# ---------------------------------------------------------------- places that are controls again


@pytest.mark.parametrize(("few", "kept"), [(4, True), (6, False)])
def test_the_few_places_of_a_small_pretended_cohort_are_controls_again(
    few: int, kept: bool
) -> None:
    """Otherwise all controls, less the others that are used, would be these few places."""
    base = study(estimator="random_effects")
    asked = with_(
        base,
        treatment=with_(base.treatment, placebo_cameras=True),
        federation=with_(base.federation, small_cohorts="set_apart"),
    )
    panel = city("alta", 1, treated=18 + few, controls=40, cohorts=(4,))
    live = panel.first_live.copy()
    live[:few] = 22  # more than a year later, and nothing after: no cohort to join
    counts = panel.counts.copy()
    counts[:, :few, 22:] = 0
    panel = replace(panel, first_live=live, last_live=live.copy(), counts=counts)
    prepared = prepare(panel, asked, OPEN_POLICY)
    expected = Role.CONTROL if kept else Role.SET_APART
    assert set(prepared.panel.role[:few].tolist()) == {int(expected)}
    assert ((prepared.panel.first_live[:few] == NEVER).all()) == kept
    plain = with_(asked, treatment=base.treatment)
    assert set(prepare(panel, plain, OPEN_POLICY).panel.role[:few].tolist()) == {
        int(Role.SET_APART)
    }


# ---------------------------------------------------------------- places whose camera is removed


def leaving(few: int) -> Panel:
    """A city in which the cameras of some places of one cohort are removed in the last months."""
    panel = city("alta", 1, treated=40, controls=40, cohorts=(8,))
    exposure = panel.exposure.copy()
    exposure[:few, 20:] = 0.0
    return replace(panel, exposure=exposure)


def test_a_place_whose_camera_is_removed_is_a_pattern_of_its_own() -> None:
    """At many coefficients its incidents would follow from one honest score: its row of the design is no other's."""
    asked = study(estimator="poisson_did")
    question = ask_first(estimator("poisson_did"), asked)
    statistics = estimator("poisson_did").summarise(leaving(1), question)
    refused = [one.rule for one in gate.draft(statistics, OPEN_POLICY).verdicts if not one.passed]
    assert "min_treated_per_pattern" in refused
    sets = {one.name: len(one.places) for one in told_of(leaving(1), asked).pieces}
    assert sets == {"never": 40, "2020-09-01": 39, "2020-09-01 until 2021-09-01": 1}


@pytest.mark.parametrize(("few", "kept"), [(1, False), (4, False), (5, True), (40, True)])
def test_places_that_leave_together_are_kept_if_they_are_enough(few: int, kept: bool) -> None:
    base = study(estimator="poisson_did")
    asked = with_(base, federation=with_(base.federation, small_cohorts="set_apart"))
    prepared = prepare(leaving(few), asked, OPEN_POLICY)
    expected = Role.TREATED if kept else Role.SET_APART
    assert set(prepared.panel.role[:few].tolist()) == {int(expected)}
    assert (prepared.panel.role[few:40] == Role.TREATED).all()
    if not kept:
        with pytest.raises(RefusalError) as refused:
            prepare(leaving(few), base, OPEN_POLICY)
        assert refused.value.rules == ("min_treated_per_pattern",)


# ---------------------------------------------------------------- the budget


def test_the_budget_says_what_is_spent_and_what_is_open(tmp_path: Path) -> None:
    store, first, second = stored_pair(tmp_path, [0])
    before = budget_of(store)
    assert (before.releases, before.analyses, len(before.open)) == (0, 0, 2)
    assert all(one.admitted and not one.asked for one in before.open)
    answer(store, first)
    after = budget_of(store)
    assert after.spent is not None
    assert (after.releases, after.analyses, after.spent.sets) == (1, 1, 4)
    assert after.spent.leverage == pytest.approx(1 / 6)
    assert (len(after.spent.places), after.spent.treated) == (18, True)
    found = {one.study: one for one in after.open}
    assert found[study_hash(first)].admitted
    assert found[study_hash(first)].asked
    assert not found[study_hash(second)].admitted
    assert found[study_hash(second)].leverage == pytest.approx(1)
    text = "\n".join(lines(after))
    assert "33% spent" in text
    assert "REFUSED" in text
    assert "answered before" in text


def test_the_budget_of_a_city_that_forgot_says_so(tmp_path: Path) -> None:
    store, first, _ = stored_pair(tmp_path, [0])
    answer(store, first)
    for path in store.audit_folder.glob("*.json"):
        path.unlink()
    found = budget_of(store)
    assert found.spent is None
    assert lines(found)[0].startswith("Everything is refused")
    assert not any(one.admitted for one in found.open)


def test_a_study_that_is_not_approved_is_not_open(tmp_path: Path) -> None:
    panel, asked = city("alta", 1), study(estimator="poisson_did")
    store = store_of(panel, asked, tmp_path, with_(OPEN_POLICY, studies=("0" * 64,)))
    assert budget_of(store).open == ()
    bare = store_of(panel, asked, tmp_path / "bare", None)
    with pytest.raises(RefusalError, match="no policy"):
        budget_of(bare)


@pytest.mark.parametrize(("share", "full"), [(0.0, 0), (0.5, 20), (1.0, 40), (2.0, 40)])
def test_the_bar_is_as_long_as_what_is_spent(share: float, full: int) -> None:
    assert bar(share).count("#") == full
    assert len(bar(share)) == 42


def test_the_command_prints_words_and_json(tmp_path: Path, monkeypatch: Any) -> None:
    store, first, _ = stored_pair(tmp_path, [0])
    answer(store, first)
    bench = type("Bench", (), {"store": store, "site": _site()})()
    monkeypatch.setattr("evalkit.workbench.open_bench", lambda _: bench)
    said = CliRunner().invoke(budget, ["--site", "x.toml"])
    assert said.exit_code == 0, said.output
    assert "Alta: disclosure budget" in said.output
    told = json.loads(CliRunner().invoke(budget, ["--site", "x.toml", "--json"]).output)
    assert (told["site"], told["limit"], told["analyses"]) == ("alta", 0.5, 1)


def _site() -> Any:
    from tests.stores import site_of

    return site_of("alta", OPEN_POLICY)
