"""What a city's serving process can see: panels built for approved studies, the policy, the ledger.

Raw incidents and cameras are read by the analyst's own command, never from here. A store is a folder:

    site.json                 the city's name and what its cameras do
    policy.json               a copy of the [policy] section in force when the panel was built
    ledger.jsonl              what left, and what was refused
    <study hash>/study.json   the study a panel was built for
    <study hash>/panel/       the stored panel (`panel.store`)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from evalkit.config import Policy, Site
from evalkit.core.panel import Panel
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.ledger import Ledger
from evalkit.errors import ConfigError, NoPanelError
from evalkit.panel.built import Built
from evalkit.panel.store import read_panel, write_panel

__all__ = ["SiteStore"]

_HASH: Final = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class SiteStore:
    """One city's store."""

    folder: Path

    @property
    def name(self) -> str:
        """The city's name.

        Raises:
            NoPanelError: the folder is not a store.
        """
        return self._head("name")

    @property
    def camera_kind(self) -> str:
        """``cctv`` or ``traffic``: a public fact, and the difference between a treatment and a placebo.

        Raises:
            NoPanelError: the folder is not a store.
        """
        return self._head("cameras")

    def _head(self, key: str) -> str:
        try:
            path = self.folder / "site.json"
            return msgspec.json.decode(path.read_bytes(), type=dict[str, str])[key]
        except (OSError, msgspec.DecodeError, KeyError):
            raise _no_panel(self.folder) from None

    @property
    def ledger(self) -> Ledger:
        """The city's ledger."""
        return Ledger(self.folder / "ledger.jsonl")

    def policy(self) -> Policy | None:
        """The policy in force, or None: then everything is refused."""
        path = self.folder / "policy.json"
        if not path.exists():
            return None
        try:
            return msgspec.json.decode(path.read_bytes(), type=Policy)
        except (OSError, msgspec.DecodeError):
            raise ConfigError(
                "the stored policy is damaged or has a key this version does not know",
                where=str(path),
                way_out="build a panel again; until then everything is refused",
            ) from None

    def study(self, digest: str) -> Study:
        """The study of that hash.

        Raises:
            NoPanelError: the city has built nothing for it.
        """
        if not _HASH.match(digest):
            raise _no_panel(self.folder)
        path = self.folder / digest / "study.json"
        try:
            study = msgspec.json.decode(path.read_bytes(), type=Study)
        except OSError:
            raise _no_panel(self.folder) from None
        except msgspec.DecodeError:
            raise ConfigError(
                "a stored study is damaged", where=str(path), way_out="build the panel again"
            ) from None
        if study_hash(study) != digest:
            raise ConfigError(
                "a stored study does not have the hash it is stored under",
                where=str(path),
                way_out="build the panel again",
            )
        return study

    def panel(self, digest: str) -> Panel:
        """The panel built for that study.

        Raises:
            NoPanelError: there is none.
        """
        if not _HASH.match(digest):
            raise _no_panel(self.folder)
        return read_panel(self.study_folder(digest), study=digest)

    def study_folder(self, digest: str) -> Path:
        """Where what belongs to that study is stored; the panel is its subfolder ``panel``."""
        return self.folder / digest

    def write(self, site: Site, study: Study, built: Built) -> Path:
        """Store a panel with its study and the policy in force; returns their folder."""
        digest = study_hash(study)
        self.write_site(site)
        folder = self.study_folder(digest)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.json").write_bytes(msgspec.json.encode(study, order="deterministic"))
        write_panel(built, folder)
        return folder

    def write_site(self, site: Site) -> None:
        """Write the city's name and policy, which take effect for every study."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "site.json").write_bytes(
            msgspec.json.encode(
                {"name": site.name, "cameras": site.cameras.kind if site.cameras else "cctv"}
            )
        )
        policy = self.folder / "policy.json"
        if site.policy is None:
            policy.unlink(missing_ok=True)
        else:
            policy.write_bytes(msgspec.json.encode(site.policy))


def _no_panel(folder: Path) -> NoPanelError:
    return NoPanelError(
        "the city has no panel for this study",
        where=str(folder),
        way_out="the city's analyst runs `evalkit site panel --site SITE.toml --study STUDY.toml`",
    )
