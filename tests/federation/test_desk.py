"""The release desk over a whole federation: asked before officers sign, after they have, and after they withdraw."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from evalkit.core.study import Study, study_hash
from evalkit.disclosure.keys import canonical, make_key, public_text
from evalkit.disclosure.treaty import parse_treaty, sign_treaty, signatures_file
from evalkit.errors import MissingSiteError
from evalkit.federation.desk import approve, propose, withdraw
from evalkit.federation.run_folder import RunFolder
from evalkit.federation.site_store import SiteStore
from evalkit.runtimes.local import run_local
from tests.panels import OPEN_POLICY, cities, study
from tests.stores import site_of, store_of


def stores_of(asked: Study, root: Path) -> list[SiteStore]:
    return [store_of(panel, asked, root) for panel in cities()]


def refusals(asked: Study, stores: list[SiteStore], run: Path) -> str:
    with pytest.raises(MissingSiteError) as caught:
        run_local(RunFolder.create(run, asked), stores)
    return str(caught.value)


def test_a_study_runs_from_the_last_officers_signature_to_the_first_withdrawal(
    tmp_path: Path,
) -> None:
    asked = study(estimator="poisson_did")
    stores = stores_of(asked, tmp_path)
    keys = {name: make_key(tmp_path / f"{name}.pem") for name in ("ana", "bea")}
    officers = {name: public_text(key) for name, key in keys.items()}
    alta = stores[0]
    policy = msgspec.structs.replace(OPEN_POLICY, studies=(), officers=officers, officers_needed=2)
    alta.write_site(site_of("alta", policy))

    assert "alta: REFUSAL (rules: studies)" in refusals(asked, stores, tmp_path / "none")
    approve(alta, propose(alta, asked, "ana"), keys["ana"])
    assert "alta: REFUSAL (rules: studies)" in refusals(asked, stores, tmp_path / "one")
    approve(alta, propose(alta, asked, "bea"), keys["bea"])
    run = RunFolder.create(tmp_path / "two", asked)
    assert run_local(run, stores).contributors == ("alta", "brisa", "clara", "dorada")
    withdraw(alta, study_hash(asked), "ana")
    assert "alta: REFUSAL (rules: studies)" in refusals(asked, stores, tmp_path / "gone")
    outcomes = [entry["outcome"] for entry in alta.ledger.entries()]
    assert outcomes[:4] == ["refused", "approved", "refused", "approved"]
    assert outcomes[-2:] == ["withdrawn", "refused"]


def test_a_treaty_tightens_every_member(tmp_path: Path) -> None:
    asked = study(estimator="poisson_did")
    stores = stores_of(asked, tmp_path)
    file = tmp_path / "andes.toml"
    members = "".join(f'{one.name} = "{public_text(one.identity())}"\n' for one in stores)
    text = f'name = "andes"\nexpires = 2099-01-01\n[members]\n{members}[limits]\n'
    policy = msgspec.structs.replace(OPEN_POLICY, treaty=str(file))

    def in_force(limits: str, signers: list[SiteStore]) -> None:
        file.write_text(text + limits, encoding="utf-8")
        treaty, signatures = parse_treaty(file.read_bytes(), where="test"), {}
        for one in signers:
            signatures = sign_treaty(treaty, signatures, one.name, one.identity())
        signatures_file(file).write_bytes(canonical(signatures))
        for one in stores:
            one.write_site(site_of(one.name, policy))

    in_force("min_units = 10\n", stores[:-1])
    everywhere = ", ".join(one.name for one in stores)
    told = refusals(asked, stores, tmp_path / "a")
    assert f"{everywhere}: REFUSAL (rules: treaty)" in told
    in_force("min_units = 10\n", stores)
    assert len(run_local(RunFolder.create(tmp_path / "b", asked), stores).contributors) == 4
    in_force("min_units = 20\n", stores)
    told = refusals(asked, stores, tmp_path / "c")
    assert "rules: min_units" in told
    in_force('crime_types = ["theft"]\n', stores)
    told = refusals(asked, stores, tmp_path / "d")
    assert f"{everywhere}: REFUSAL (rules: crime_types)" in told
