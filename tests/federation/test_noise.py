"""Noisy tables through a federated run: replayed to the last bit, asked again at no cost, gone when the budget is."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace as replace_struct

from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import estimate
from evalkit.core.noise import COST, FIELD
from evalkit.core.study import study_hash
from evalkit.disclosure.noise import FOLDER, spent
from evalkit.errors import MissingSiteError
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.local import run_local
from evalkit.runtimes.replay import ask_replay
from tests.panels import OPEN_POLICY, cities, study
from tests.stores import site_of, store_of

NOISY = replace_struct(OPEN_POLICY, epsilon=0.5, epsilon_total=0.5)
TABLES = tuple(name for name, one in estimators().items() if hasattr(one, "with_noise"))


@pytest.mark.parametrize("name", TABLES)
def test_a_noisy_run_is_replayed_and_repeated_to_the_last_bit(name: str, tmp_path: Path) -> None:
    asked = study(estimator=name)
    # one city adds no noise
    stores = [
        store_of(panel, asked, tmp_path, OPEN_POLICY if number == 0 else NOISY)
        for number, panel in enumerate(cities())
    ]
    found = run_local(RunFolder.create(tmp_path / "run", asked), stores)
    assert found.details[COST] > 1
    assert {key for key in found.details if key.startswith("epsilon_")} == {
        "epsilon_brisa",
        "epsilon_clara",
        "epsilon_dorada",
    }
    replayed = estimate(estimator(name), asked, ask_replay(RunFolder(tmp_path / "run")))
    again = run_local(RunFolder.create(tmp_path / "again", asked), stores)
    for other in (replayed, again):
        assert other.effect.tobytes() == found.effect.tobytes()
        assert other.covariance.tobytes() == found.covariance.tobytes()
    assert [spent(store.ledger.entries()) for store in stores] == [0, 0.5, 0.5, 0.5]
    assert [len(list((store.folder / FOLDER).glob("*"))) for store in stores] == [0, 1, 1, 1]
    assert FIELD.encode() in b"".join(
        path.read_bytes() for path in (tmp_path / "run").rglob("*.release")
    )


def test_a_second_study_is_refused_when_the_budget_is_gone(tmp_path: Path) -> None:
    first, second = study(estimator="rate_ratio"), study(estimator="wdd")
    panel = cities()[0]
    store = store_of(panel, first, tmp_path, NOISY)
    run_local(RunFolder.create(tmp_path / "run", first), [store])
    store_of(panel, second, tmp_path, NOISY)
    with pytest.raises(MissingSiteError, match="epsilon_total"):
        run_local(RunFolder.create(tmp_path / "second", second), [store])
    store.write_site(site_of("alta", replace_struct(NOISY, epsilon_total=1.0)))
    assert study_hash(second) != study_hash(first)
    run_local(RunFolder.create(tmp_path / "third", second), [store])
    assert spent(store.ledger.entries()) == 1.0
