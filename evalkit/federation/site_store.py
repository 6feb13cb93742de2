"""What a city's serving process can see: panels built for approved studies, the policy, the ledger.

Raw incidents and cameras are read by the analyst's own command, never from here. A store is a folder:

    site.json                 the city's name, what its cameras do, and its moderators
    policy.json               a copy of the [policy] section in force when the panel was built
    ledger.jsonl              what left, and what was refused
    <study hash>/study.json   the study a panel was built for
    <study hash>/panel/       the stored panel (`panel.store`)

Every question reads all files that bear on it, so that a policy that was changed or removed is in force, and a panel
that was rebuilt or damaged is noticed, from the next question on. What a process keeps is what it made of the same
bytes before: the decoded study and policy, the panel, and the panel prepared for the policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from evalkit.config import Policy, Site
from evalkit.core.kept import Kept
from evalkit.core.panel import Panel
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.approval import with_specifications
from evalkit.disclosure.cohorts import Prepared, prepare
from evalkit.disclosure.ledger import Ledger
from evalkit.errors import ConfigError, NoPanelError
from evalkit.panel.built import Built
from evalkit.panel.store import Stored, open_panel, panel_in, write_panel

__all__ = ["Opened", "SiteStore"]

KEPT_BYTES: Final = 256 * 2**20
"""Memory for panels: five thousand of a small city (40 units, 24 months), or one of 70,000 units in 120 months."""

DECODED: Final = 512
"""Studies and policies kept decoded: a specification curve has `core.specifications.MOST` studies at most."""

_HASH: Final = re.compile(r"^[0-9a-f]{64}$")


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What ``site.json`` holds; stores written before there were moderators have none."""

    name: str
    cameras: str
    moderators: dict[str, float | str] = {}


@dataclass(slots=True, eq=False)
class Opened:
    """A stored panel as it was at one moment.

    Attributes:
        name: the city's name.
        panel: the panel, with the city's moderators.
        stored: the digests of the files it was made of, without the files.
    """

    name: str
    panel: Panel
    stored: Stored
    _head: _Head
    _made: tuple[Policy, Prepared] | None = None

    def prepared(self, study: Study, policy: Policy) -> Prepared:
        """The panel with its cohorts as the policy wants them, see `disclosure.cohorts.prepare`.

        Args:
            study: the one the panel was built for.
            policy: in force now.

        Raises:
            RefusalError: cohorts are too small for the policy, and the study does not allow them to be set apart.
        """
        made = self._made
        if made is None or made[0] != policy:
            made = (policy, prepare(self.panel, study, policy))
            self._made = made
        return made[1]

    def is_of(self, head: _Head, stored: Stored) -> bool:
        """Whether these are the bytes it was made of: those of ``panel.json`` name all others' digests."""
        return self._head == head and self.stored.text == stored.text


_OPENED: Final[Kept[tuple[str, str], Opened]] = Kept(KEPT_BYTES)
"""By store and study; used only while the bytes on disk are those it was made of."""


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
        return self._head().name

    @property
    def camera_kind(self) -> str:
        """``cctv`` or ``traffic``: a public fact, and the difference between a treatment and a placebo.

        Raises:
            NoPanelError: the folder is not a store.
        """
        return self._head().cameras

    @property
    def moderators(self) -> dict[str, float | str]:
        """Public facts of the city; only those that a study names are ever sent.

        Raises:
            NoPanelError: the folder is not a store.
        """
        return self._head().moderators

    def _head(self) -> _Head:
        try:
            return msgspec.json.decode((self.folder / "site.json").read_bytes(), type=_Head)
        except (OSError, msgspec.DecodeError):
            raise _no_panel(self.folder) from None

    @property
    def ledger(self) -> Ledger:
        """The city's ledger."""
        return Ledger(self.folder / "ledger.jsonl")

    def policy(self) -> Policy | None:
        """The policy in force, or None: then everything is refused.

        Approval of a stored study covers the specifications it lists (`disclosure.approval`).
        """
        path = self.folder / "policy.json"
        try:
            raw = path.read_bytes()
            written = _policy_of(raw)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            raise ConfigError(
                "the stored policy is damaged or has a key this version does not know",
                where=str(path),
                way_out="build a panel again; until then everything is refused",
            ) from None
        held = tuple(digest for digest in written.studies if self._holds(digest))
        studies = tuple(self.study(digest) for digest in held)
        return _in_force(raw, held, studies) if held else written

    def _holds(self, digest: str) -> bool:
        return bool(_HASH.match(digest)) and (self.folder / digest / "study.json").is_file()

    def study(self, digest: str) -> Study:
        """The study of that hash.

        Raises:
            NoPanelError: the city has built nothing for it.
        """
        if not _HASH.match(digest):
            raise _no_panel(self.folder)
        path = self.folder / digest / "study.json"
        try:
            study, hashed = _study_of(path.read_bytes())
        except OSError:
            raise _no_panel(self.folder) from None
        except msgspec.DecodeError:
            raise ConfigError(
                "a stored study is damaged", where=str(path), way_out="build the panel again"
            ) from None
        if hashed != digest:
            raise ConfigError(
                "a stored study does not have the hash it is stored under",
                where=str(path),
                way_out="build the panel again",
            )
        return study

    def panel(self, digest: str) -> Panel:
        """The panel built for that study, with the city's moderators.

        Raises:
            NoPanelError: there is none.
        """
        return self.opened(digest).panel

    def opened(self, digest: str) -> Opened:
        """The panel of the bytes that are there now.

        Raises:
            NoPanelError: there is none.
            PanelError: a file was changed, is missing, or is of another version.
        """
        if not _HASH.match(digest):
            raise _no_panel(self.folder)
        key = (str(self.folder.absolute()), digest)
        known = _OPENED.get(key)
        head = self._head()
        stored = open_panel(
            self.study_folder(digest), study=digest, known=known.stored if known else None
        )
        if known is not None and known.is_of(head, stored):
            return known
        panel = replace(panel_in(stored), moderators=(head.moderators,))
        panel.unit_ids.setflags(write=False)  # the other arrays are so anyway
        made = Opened(head.name, panel, replace(stored, files={}), head)
        # twice, because it is held once more when it is prepared for a policy
        _OPENED.put(key, made, 2 * _bytes_of(panel) + len(stored.text))
        return made

    def study_folder(self, digest: str) -> Path:
        """Where what belongs to that study is stored; the panel is its subfolder ``panel``."""
        return self.folder / digest

    def write(self, site: Site, study: Study, built: Built) -> Path:
        """Store a panel with its study and the policy in force; returns their folder."""
        folder = self.write_study(site, study)
        write_panel(built, folder)
        return folder

    def write_study(self, site: Site, study: Study) -> Path:
        """Store a study without a panel, and the policy in force; returns the study's folder."""
        self.write_site(site)
        folder = self.study_folder(study_hash(study))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.json").write_bytes(msgspec.json.encode(study, order="deterministic"))
        return folder

    def write_site(self, site: Site) -> None:
        """Write the city's name and policy, which take effect for every study."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "site.json").write_bytes(
            msgspec.json.encode(
                _Head(
                    name=site.name,
                    cameras=site.cameras.kind if site.cameras else "cctv",
                    moderators=site.city.moderators,
                )
            )
        )
        policy = self.folder / "policy.json"
        if site.policy is None:
            policy.unlink(missing_ok=True)
        else:
            policy.write_bytes(msgspec.json.encode(site.policy))


@lru_cache(maxsize=DECODED)
def _policy_of(raw: bytes) -> Policy:
    return msgspec.json.decode(raw, type=Policy)


@lru_cache(maxsize=DECODED)
def _study_of(raw: bytes) -> tuple[Study, str]:
    """The study of these bytes, and its hash."""
    study = msgspec.json.decode(raw, type=Study)
    return study, study_hash(study)


def _in_force(raw: bytes, held: tuple[str, ...], studies: tuple[Study, ...]) -> Policy:
    """`with_specifications` of a policy's bytes and of the stored studies with the hashes ``held``."""
    key = (raw, held)
    known = _IN_FORCE.get(key)
    if known is None:
        known = with_specifications(_policy_of(raw), studies)
        size = len(raw) + sum(len(digest) for digest in (*held, *known.studies))
        _IN_FORCE.put(key, known, size)
    return known


_IN_FORCE: Final[Kept[tuple[bytes, tuple[str, ...]], Policy]] = Kept(16 * 2**20)
"""By what decides it: the hashes name the studies, since `SiteStore.study` has compared them."""


def _bytes_of(panel: Panel) -> int:
    arrays = (
        panel.unit_ids,
        panel.site_of_unit,
        panel.role,
        panel.ring,
        panel.first_live,
        panel.last_live,
        panel.counts,
        panel.exposure,
    )
    return sum(array.nbytes for array in arrays)


def _no_panel(folder: Path) -> NoPanelError:
    return NoPanelError(
        "the city has no panel for this study",
        where=str(folder),
        way_out="the city's analyst runs `evalkit site panel --site SITE.toml --study STUDY.toml`",
    )
