"""City stores made from small panels, for tests of gate, ledger and federation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import polars as pl

from evalkit.config import (
    CameraColumns,
    Cameras,
    City,
    IncidentColumns,
    Incidents,
    Policy,
    Site,
)
from evalkit.core.panel import Panel, Role
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.keys import public_text
from evalkit.federation.site_store import SiteStore
from evalkit.panel.built import Built
from evalkit.panel.diagnostics import diagnose
from tests.panels import OPEN_POLICY


def site_of(name: str, policy: Policy | None) -> Site:
    """A site file's content; its sources are never read here."""
    place = {"longitude": "x", "latitude": "y"}
    return Site(
        name=name,
        city=City(title=name.title(), time_zone="UTC", bounds=(0.0, 0.0, 1.0, 1.0)),
        incidents=Incidents(
            files=("i.csv",), columns=IncidentColumns(date="d", **place), all_as="theft"
        ),
        cameras=Cameras(files=("c.csv",), columns=CameraColumns(**place)),
        policy=policy,
    )


def built_of(panel: Panel) -> Built:
    """A panel as `panel.build` would hand it over."""
    n = panel.n_units
    units = pl.DataFrame(
        {
            "unit": panel.unit_ids,
            "role": [Role(role).name.lower() for role in panel.role],
            "first_live": [None if g < 0 else panel.periods[g] for g in panel.first_live],
            "x": [float(100 * i) for i in range(n)],
            "y": [0.0] * n,
            "longitude": [0.5] * n,
            "latitude": [0.5] * n,
            "cameras": [int(g >= 0) for g in panel.first_live],
            "neighbour_live": [None] * n,
        },
        schema_overrides={"first_live": pl.Date, "neighbour_live": pl.Date},
    )
    return Built(panel, units, {"incidents": int(panel.counts.sum())}, {}, diagnose(panel, {}))


def store_of(
    panel: Panel, study: Study, root: Path, policy: Policy | None = OPEN_POLICY
) -> SiteStore:
    """A store in ``root/<city>`` with one study's panel."""
    store = SiteStore(root / panel.sites[0])
    stamped = replace(panel, study=study_hash(study))
    store.write(site_of(panel.sites[0], policy), study, built_of(stamped))
    return store


def pin_peers(stores: Sequence[SiteStore]) -> Sequence[SiteStore]:
    """Write every city's public key into every other city's policy, as their analysts would."""
    keys = {store.name: public_text(store.identity()) for store in stores}
    for store in stores:
        peers = {name: key for name, key in keys.items() if name != store.name}
        write_policy(store, peers=peers)
    return stores


def write_policy(store: SiteStore, **changes: object) -> None:
    """Change keys of a store's policy."""
    path = store.folder / "policy.json"
    policy = msgspec.json.decode(path.read_bytes(), type=Policy)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(policy, **changes)))
