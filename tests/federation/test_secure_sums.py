"""Secure sums end to end: the plain result to 1e-9, and nothing but the sum for the server."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct

from evalkit.cli.released import treated_totals
from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import ask_first, estimate, only_sums
from evalkit.core.falsification import derived_of
from evalkit.core.settings import check_askable
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Checks, Specifications, Study, check_study, study_hash
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.masked import parse_masked, sum_parts
from evalkit.disclosure.questions import class_needed
from evalkit.disclosure.rosters import roster_hash
from evalkit.errors import (
    BadMessageError,
    ConfigError,
    EstimationError,
    EvalkitError,
    MissingSiteError,
)
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.runtimes.derived import read_derived
from evalkit.runtimes.local import run_local, run_local_curve
from evalkit.runtimes.pooled import ask_pooled
from evalkit.runtimes.replay import recompute
from tests.panels import OPEN_POLICY, cities, city, study
from tests.stores import pin_peers, store_of, write_policy

UNCHANGED = 1e-9
"""The promise of a study that asks for secure sums. Doubles that are added in another order differ by 1e-13."""

ADDITIVE = sorted(name for name, one in estimators().items() if only_sums(one, study()))


def secure(asked: Study) -> Study:
    return replace_struct(asked, federation=replace_struct(asked.federation, sums="secure"))


def stores_for(asked: Study, root: Path, panels=None, policy=OPEN_POLICY) -> list[SiteStore]:
    stores = [store_of(panel, asked, root, policy) for panel in panels or cities()]
    pin_peers(stores)
    return stores


def run_both(asked: Study, tmp_path: Path, panels=None, policy=OPEN_POLICY):
    """The study with plain and with secure sums, each over stores of its own."""
    found = []
    for one in (asked, secure(asked)):
        folder = tmp_path / ("secure" if one.federation.secure else "plain")
        run = RunFolder.create(folder / "run", one)
        found.append(run_local(run, stores_for(one, folder / "stores", panels, policy)))
    return found


def assert_same(plain, masked) -> None:
    np.testing.assert_allclose(masked.effect, plain.effect, rtol=UNCHANGED, atol=UNCHANGED)
    np.testing.assert_allclose(masked.covariance, plain.covariance, rtol=UNCHANGED, atol=1e-12)
    assert masked.contributors == plain.contributors
    assert masked.clusters == plain.clusters


def test_which_estimators_are_sums() -> None:
    assert ADDITIVE == ["doubly_robust", "group_time_att", "linear_did", "poisson_did"]


@pytest.mark.parametrize("name", ADDITIVE)
def test_the_result_is_unchanged(name: str, tmp_path: Path) -> None:
    assert_same(*run_both(study(estimator=name), tmp_path))


@pytest.mark.parametrize(
    "analysis",
    [
        {"estimator": "poisson_did", "design": "event_time", "event_window": (-3, 4)},
        {"estimator": "poisson_did", "bootstrap": 99, "randomisation": 99},
        {"estimator": "group_time_att", "aggregation": "dynamic", "event_window": (-3, 4)},
        {"estimator": "group_time_att", "scale": "count", "randomisation": 99},
    ],
)
def test_the_result_is_unchanged_with_further_fields(analysis: dict, tmp_path: Path) -> None:
    """Held against one pool of all units: draws of a randomisation test follow from the study's hash."""
    asked = secure(study(**analysis))
    policy = replace_struct(OPEN_POLICY, max_parameters_per_cluster=0.5)
    run = RunFolder.create(tmp_path / "run", asked)
    masked = run_local(run, stores_for(asked, tmp_path / "stores", policy=policy))
    panels = tuple(prepare(panel, asked, policy).panel for panel in cities())
    pooled = estimate(estimator(asked.analysis.estimator), asked, ask_pooled(panels))
    assert_same(pooled, masked)
    assert set(pooled.details) == set(masked.details)
    for name, value in pooled.details.items():
        assert masked.details[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name


@pytest.mark.parametrize("number", [3, 20])
@pytest.mark.parametrize("name", ["poisson_did", "group_time_att"])
def test_three_and_twenty_cities(name: str, number: int, tmp_path: Path) -> None:
    panels = [city(f"city{i:02d}", i, effect=-0.1) for i in range(number)]
    plain, masked = run_both(study(estimator=name), tmp_path, panels)
    assert_same(plain, masked)
    assert len(masked.contributors) == number


def test_what_is_asked_of_a_city_is_the_class_masked_sum(tmp_path: Path) -> None:
    asked = secure(study(estimator="poisson_did"))
    assert class_needed(asked, estimator("poisson_did")) == "masked_sum"
    strict = replace_struct(OPEN_POLICY, release_class="masked_sum")
    stores = stores_for(asked, tmp_path / "stores", policy=strict)
    assert run_local(RunFolder.create(tmp_path / "run", asked), stores).contributors
    plain = study(estimator="poisson_did")
    others = stores_for(plain, tmp_path / "others", policy=strict)
    with pytest.raises(MissingSiteError, match="rules: release_class"):
        run_local(RunFolder.create(tmp_path / "plain", plain), others)


def test_the_run_folder_recomputes_to_the_last_bit_and_the_ledgers_hold_its_bytes(
    tmp_path: Path,
) -> None:
    asked = secure(study(estimator="poisson_did"))
    run = RunFolder.create(tmp_path / "run", asked)
    stores = stores_for(asked, tmp_path / "stores")
    found = run_local(run, stores)
    again = recompute(RunFolder(run.path), asked)
    assert again.effect.tobytes() == found.effect.tobytes()
    assert again.to_dict() == run.read("estimate.json")
    entries = [entry for store in stores for entry in store.ledger.entries()]
    assert {one["release"] for one in entries} == set(run.read("releases.json").values())
    assert {one["roster"] for one in entries} == {roster_hash([one.name for one in stores])}
    assert {one["session"] for one in entries} == {run.read("roster.json")["secure"]["session"]}
    totals = treated_totals(run)
    assert totals is not None
    plain_run = RunFolder.create(tmp_path / "plain", study(estimator="poisson_did"))
    run_local(plain_run, stores_for(plain_run.study(), tmp_path / "others"))
    assert totals == treated_totals(plain_run)


def test_no_city_can_be_read_from_what_the_server_has(tmp_path: Path) -> None:
    """Neither a number of a city's own answer, nor the private half of a session's key."""
    asked = secure(study(estimator="poisson_did"))
    run = RunFolder.create(tmp_path / "run", asked)
    stores = stores_for(asked, tmp_path / "stores")
    run_local(run, stores)
    question = ask_first(estimator("poisson_did"), asked)
    statistics = estimator("poisson_did").summarise(stores[0].panel(study_hash(asked)), question)
    sent = b"".join(path.read_bytes() for path in run.path.rglob("*") if path.is_file())
    for array in statistics.total().values():
        for value in array.ravel():
            assert value == 0 or np.float64(value).tobytes() not in sent
    for store in stores:
        for path in store.sessions_folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            secret = path.read_text().partition('"secret":"')[2].partition('"')[0]
            assert len(secret) == 44
            assert secret.encode() not in sent


def test_changed_files_are_found(tmp_path: Path) -> None:
    asked = secure(study(estimator="poisson_did"))
    run = RunFolder.create(tmp_path / "run", asked)
    run_local(run, stores_for(asked, tmp_path / "stores"))
    path = sorted((run.path / "releases").iterdir())[0]
    data = path.read_bytes()
    hashes = run.read("releases.json")
    roster = run.read("roster.json")

    def changed(release: bytes, *, hash_too: bool) -> None:
        path.write_bytes(release)
        digest = hashlib.sha256(release).hexdigest()
        run.write("releases.json", {**hashes, path.name: digest} if hash_too else hashes)

    changed(data[:-1] + bytes([data[-1] ^ 1]), hash_too=False)
    with pytest.raises(BadMessageError, match="was changed"):
        recompute(run, asked)
    session = roster["secure"]["session"]
    flipped = session[:-1] + ("0" if session[-1] != "0" else "1")
    changed(data.replace(session.encode(), flipped.encode()), hash_too=True)
    with pytest.raises(EstimationError, match="different sessions"):
        recompute(run, asked)
    changed(data[:-1] + bytes([data[-1] ^ 0x40]), hash_too=True)  # the highest bits but one
    with pytest.raises(EstimationError, match="do not cancel"):
        recompute(run, asked)
    changed(data, hash_too=True)
    recompute(run, asked)
    for keys in (
        [{**roster["secure"]["keys"][0], "key": roster["secure"]["keys"][1]["key"]}],
        [{**roster["secure"]["keys"][0], "signature": "A" * 86}],
        [{**roster["secure"]["keys"][0], "site": "elsewhere"}],
        [],
    ):
        record = {**roster["secure"], "keys": [*keys, *roster["secure"]["keys"][1:]]}
        run.write("roster.json", {**roster, "secure": record})
        with pytest.raises(BadMessageError):
            recompute(run, asked)
    run.write("roster.json", {name: value for name, value in roster.items() if name != "secure"})
    with pytest.raises(BadMessageError, match="session of secure sums"):
        recompute(run, asked)


def test_studies_of_checks_are_asked_in_the_same_session(tmp_path: Path) -> None:
    checks = Checks(placebo_periods=(2,), by_crime_type=True)
    plain = replace_struct(study(estimator="poisson_did"), checks=checks)
    outcomes = []
    for asked in (plain, secure(plain)):
        folder = tmp_path / ("secure" if asked.federation.secure else "plain")
        others = [one.study for one in derived_of(asked)]
        stores = stores_for(asked, folder / "stores")
        for panel, store in zip(cities(), stores, strict=True):
            for other in others:
                store_of(panel, other, folder / "stores")
            assert len(store.held()) == 1 + len(others)
        pin_peers(stores)
        run = RunFolder.create(folder / "run", asked)
        run_local(run, stores)
        outcomes.append([one.outcome for one in read_derived(run, asked)])
        sessions = {entry.get("session") for store in stores for entry in store.ledger.entries()}
        assert len(sessions) == 1
    assert len(outcomes[0]) == 3
    for one, other in zip(*outcomes, strict=True):
        assert_same(one, other)


def test_a_curve_is_one_session_and_its_result_is_unchanged(tmp_path: Path) -> None:
    listed = Specifications(estimator=("poisson_did", "group_time_att", "linear_did"))
    plain = replace_struct(study(estimator="poisson_did"), specifications=listed)
    found = []
    for asked in (plain, secure(plain)):
        folder = tmp_path / ("secure" if asked.federation.secure else "plain")
        for one in specifications_of(asked):
            stores = [store_of(panel, one.study, folder / "stores") for panel in cities()]
        pin_peers(stores)
        run = RunFolder.create(folder / "run", asked)
        found.append(run_local_curve(run, stores))
        sessions = {entry.get("session") for store in stores for entry in store.ledger.entries()}
        assert len(sessions) == 1
        for number, one in enumerate(specifications_of(asked)):
            recompute(RunFolder(run.specification(number)), one.study)
    assert len(found[0].outcomes) == 3
    for one, other in zip(found[0].outcomes, found[1].outcomes, strict=True):
        assert_same(one, other)


def test_a_city_that_does_not_answer_ends_the_round_and_may_come_back(tmp_path: Path) -> None:
    """Its masks are in the others' answers: nothing can be unmasked, and the same cities are asked again."""
    asked = secure(study(estimator="poisson_did"))
    stores = stores_for(asked, tmp_path / "stores")
    panel = stores[1].folder / study_hash(asked) / "panel"
    panel.rename(panel.with_name("away"))
    with pytest.raises(MissingSiteError, match="brisa: PANEL-ABSENT") as caught:
        run_local(RunFolder.create(tmp_path / "run", asked), stores)
    assert "ask the same cities again" in str(caught.value)
    panel.with_name("away").rename(panel)
    assert len(run_local(RunFolder.create(tmp_path / "again", asked), stores).contributors) == 4


def test_every_run_is_a_session_of_its_own(tmp_path: Path) -> None:
    asked = secure(study(estimator="linear_did"))
    stores = stores_for(asked, tmp_path / "stores")
    first = run_local(RunFolder.create(tmp_path / "run", asked), stores)
    second = run_local(RunFolder.create(tmp_path / "again", asked), stores)
    assert first.effect.tobytes() == second.effect.tobytes()
    sessions = {entry["session"] for entry in stores[0].ledger.entries()}
    assert len(sessions) == 2


def test_too_few_cities(tmp_path: Path) -> None:
    asked = secure(study(estimator="poisson_did"))
    stores = stores_for(asked, tmp_path / "stores", panels=cities()[:2])
    with pytest.raises(MissingSiteError, match="2 cities are on the roster"):
        run_local(RunFolder.create(tmp_path / "run", asked), stores)


def test_a_city_may_ask_for_more_cities_than_three(tmp_path: Path) -> None:
    asked = secure(study(estimator="poisson_did"))
    stores = stores_for(asked, tmp_path / "stores")
    write_policy(stores[2], min_cities=5)
    with pytest.raises(MissingSiteError, match=r"clara: REFUSAL \(rules: min_cities\)"):
        run_local(RunFolder.create(tmp_path / "run", asked), stores)
    (entry,) = stores[2].ledger.entries()
    assert (entry["outcome"], entry["rules"]) == ("refused", ["min_cities"])


@pytest.mark.parametrize(
    "name", ["random_effects", "rate_ratio", "wdd", "synthetic_did", "regression_to_the_mean"]
)
def test_estimators_that_are_not_sums_are_refused_before_anybody_is_asked(name: str) -> None:
    with pytest.raises(ConfigError, match='sums = "secure"') as caught:
        check_askable(secure(study(estimator=name)))
    assert "poisson_did" in str(caught.value)


@pytest.mark.parametrize("name", ["group_time_att", "doubly_robust"])
def test_pooled_controls_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="within_city"):
        check_askable(secure(study(estimator=name, control_pool="pooled")))


def test_a_quorum_is_refused() -> None:
    asked = secure(study(estimator="poisson_did"))
    check_study(asked)
    with pytest.raises(ConfigError, match='quorum = 3 is given with sums = "secure"'):
        check_study(replace_struct(asked, federation=replace_struct(asked.federation, quorum=3)))


def test_every_answer_of_an_estimator_that_is_sums_is_added_up() -> None:
    """What an estimator says of itself holds in every round."""
    for name, one in estimators().items():
        for pool in ("within_city", "pooled"):
            asked = study(estimator=name, control_pool=pool)
            kinds = set()
            question = one.first_question(asked)
            for _ in range(12):
                try:
                    statistics = one.summarise(cities()[0], question)
                    kinds.add(statistics.kind)
                    outcome = one.finalise(statistics, question)
                except EvalkitError:
                    break
                if not hasattr(outcome, "stage"):
                    break
                question = outcome
            assert (kinds == {"additive"}) == only_sums(one, asked), (name, pool)


def test_masked_releases_alone_are_no_sum(tmp_path: Path) -> None:
    asked = secure(study(estimator="linear_did"))
    run = RunFolder.create(tmp_path / "run", asked)
    run_local(run, stores_for(asked, tmp_path / "stores"))
    files = sorted((run.path / "releases").glob("000-*"))
    parts = [parse_masked(path.read_bytes()) for path in files]
    assert sum_parts(parts).sites == ("alta", "brisa", "clara", "dorada")
    for some in (parts[:3], parts[1:], [*parts, parts[0]], [], parts[:1] * 4):
        with pytest.raises(EstimationError):
            sum_parts(some)
