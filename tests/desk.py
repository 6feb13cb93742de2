"""A city with officers, for tests of approvals and treaties."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.config import Policy
from evalkit.core.study import Study
from evalkit.disclosure.keys import PrivateKey, make_key, public_text
from evalkit.federation.desk import approve, propose
from evalkit.federation.site_store import SiteStore
from tests.stores import site_of


@dataclass(frozen=True)
class Desk:
    """One city's store, and its officers' keys by name."""

    store: SiteStore
    keys: dict[str, PrivateKey]
    policy: Policy

    def sign(self, study: Study, officer: str, **when: Any) -> None:
        """Approve a study as that officer."""
        approve(self.store, propose(self.store, study, officer, **when), self.keys[officer])

    def file(self, digest: str, officer: str) -> Path:
        """Where that approval lies."""
        return self.store.approvals_folder / digest / f"{officer}.json"


def desk(root: Path, *studies: Study, needed: int = 1, name: str = "alta", **limits: Any) -> Desk:
    """A city with the officers ana, bea and carla that holds the studies."""
    keys = {one: make_key(root / f"{name}-{one}.pem") for one in ("ana", "bea", "carla")}
    officers = {one: public_text(key) for one, key in keys.items()}
    policy = Policy(
        officers=officers, officers_needed=needed, **{"release_class": "table", **limits}
    )
    store = SiteStore(root / name)
    store.write_site(site_of(name, policy))
    for one in studies:
        store.write_study(site_of(name, policy), one)
    return Desk(store, keys, policy)
