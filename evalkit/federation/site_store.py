"""What a city's serving process can see: panels built for approved studies, the policy, the ledger.

Raw incidents and cameras are read by the analyst's own command, never from here. A store is a folder:

    site.json                 the city's name, what its cameras do, and its moderators
    policy.json               a copy of the [policy] section in force when the panel was built
    treaty.toml               a copy of the treaty it names, and treaty.signatures.json
    approvals/<study hash>/   what the city's officers have signed, see `disclosure.approvals`
    ledger.jsonl              what left, and what was refused; ledger.head says how long it is
    keys/identity.pem         the city's private key
    sessions/                 the city's keys of secure sums, see `federation.city_sessions`
    <study hash>/study.json   the study a panel was built for
    <study hash>/panel/       the stored panel (`panel.store`)

Every question reads all files that bear on it, so that a policy that was changed or removed is in force, and a panel
that was rebuilt or damaged is noticed, from the next question on. What a process keeps is what it made of the same
bytes before: the decoded study and policy, the panel, and the panel prepared for the policy.
"""

from __future__ import annotations

import datetime as dt
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
from evalkit.disclosure.approval import covering_class, with_specifications
from evalkit.disclosure.approvals import (
    Judged,
    approved_studies,
    read_approvals,
    withdrawn_digests,
)
from evalkit.disclosure.cohorts import Prepared, prepare
from evalkit.disclosure.keys import PrivateKey, kept_key, make_key, public_text
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.questions import utc_today
from evalkit.disclosure.told import Encoded, place_names, told_by
from evalkit.disclosure.treaty import policy_under, signatures_file
from evalkit.errors import ConfigError, KeyFileError, NoPanelError
from evalkit.panel.built import Built
from evalkit.panel.store import Stored, open_panel, panel_in, where_units_are, write_panel

__all__ = ["Opened", "SiteStore"]

KEPT_BYTES: Final = 256 * 2**20
"""Memory for panels: five thousand of a small city (40 units, 24 months), or one of 70,000 units in 120 months."""

DECODED: Final = 512
"""Studies and policies kept decoded: a specification curve has `core.specifications.MOST` studies at most."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")

TREATY: Final = "treaty.toml"
"""Name of the copy of the treaty's file in a store."""


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
    _told: tuple[Prepared, Encoded] | None = None

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

    def told(self, study: Study, policy: Policy) -> Encoded:
        """What all answers to the study tell, see `disclosure.told`.

        Args:
            study: the one the panel was built for.
            policy: in force now.

        Raises:
            RefusalError: as `prepared`.
            PanelError: the table of units was changed or is missing.
        """
        prepared = self.prepared(study, policy)
        known = self._told
        if known is None or known[0] is not prepared:
            known = (prepared, told_by(prepared.panel, study, self.places(study)))
            self._told = known
        return known[1]

    def places(self, study: Study) -> tuple[str, ...]:
        """(U,) names of the places of the panel's units, see `disclosure.told.place_names`.

        Args:
            study: the one the panel was built for.

        Raises:
            PanelError: the table of units was changed or is missing.
        """
        return place_names(self.panel.unit_ids, where_units_are(self.stored), study)

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
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            raise NoPanelError(
                "the city's store is empty or damaged",
                where=str(self.folder / "site.json"),
                way_out="`evalkit site panel --site SITE.toml --study STUDY.toml`, or `evalkit site policy apply`",
            ) from None

    @property
    def identity_file(self) -> Path:
        """The city's private key, which signs its ledger and its part in secure sums. It never leaves the store."""
        return self.folder / "keys" / "identity.pem"

    def identity(self) -> PrivateKey:
        """The city's private key.

        Raises:
            KeyFileError: there is none, or others can read it.
        """
        return kept_key(self.identity_file)

    def make_identity(self) -> None:
        """Make the city's key if it has none.

        Raises:
            KeyFileError: its ledger has lines, which are signed with the key that is not there any more.
        """
        if self.identity_file.exists():
            return
        if self.ledger.path.is_file() and self.ledger.path.stat().st_size:
            raise KeyFileError(
                "the city's key is missing, and its ledger is signed with it",
                where=str(self.identity_file),
                limit="the key that was made with the store",
                way_out="restore it from a backup. If it is lost, move ledger.jsonl and ledger.head to another folder "
                "and keep them: a new key and a new ledger begin, and so does all that the ledger counts",
            )
        make_key(self.identity_file)

    @property
    def ledger(self) -> Ledger:
        """The city's ledger, signed with the city's key."""
        return Ledger(self.folder / "ledger.jsonl", self.identity)

    @property
    def audit_folder(self) -> Path:
        """Where the city keeps which sums its releases have told."""
        return self.folder / "audit"

    @property
    def sessions_folder(self) -> Path:
        """Where the city's keys of secure sums lie; they never leave the store."""
        return self.folder / "sessions"

    def policy(self, today: dt.date | None = None) -> Policy | None:
        """The policy in force, or None: then everything is refused.

        Treaty and officers are resolved: the limits are the stricter ones, ``studies`` the approved ones, and
        ``treaty`` and ``officers`` empty. A treaty that is not in force stays named, and the gate refuses everything.
        Approval of a stored study covers the specifications it lists (`disclosure.approval`).

        Args:
            today: in UTC; by default that of this machine.

        Raises:
            ConfigError: the stored policy or an approved study is damaged.
            KeyFileError, LedgerError: with a treaty or officers, what they are held against cannot be read.
        """
        raw = self._policy_bytes()
        if raw is None:
            return None
        written = _policy_of(raw)
        if written.treaty or written.officers:
            written = self._resolved(raw, today or utc_today())
            raw = msgspec.json.encode(written)
        held = tuple(digest for digest in written.studies if self.holds(digest))
        studies = tuple(self.study(digest) for digest in held)
        return _in_force(raw, held, studies) if held else written

    def written_policy(self) -> Policy | None:
        """The stored policy as the city wrote it, with its officers; None without one.

        Raises:
            ConfigError: it is damaged.
        """
        raw = self._policy_bytes()
        return None if raw is None else _policy_of(raw)

    def limits(self, today: dt.date | None = None) -> Policy:
        """The stored policy with its treaty's limits and with its officers; without a policy, one that allows nothing.

        A treaty that is not in force stays named.

        Raises:
            ConfigError: the stored policy is damaged.
            KeyFileError: with a treaty, the city's own key cannot be read.
        """
        raw = self._policy_bytes()
        return Policy() if raw is None else self._limited(raw, today or utc_today())

    def approvals(self, today: dt.date | None = None) -> tuple[Judged, ...]:
        """Every approval in the store, and whether it counts under the policy in force.

        Raises:
            ConfigError: the stored policy is damaged.
            KeyFileError, LedgerError: what they are held against cannot be read.
        """
        today = today or utc_today()
        return self._judged(self.limits(today), today)

    def _policy_bytes(self) -> bytes | None:
        """The bytes of the stored policy, which can be decoded."""
        path = self.folder / "policy.json"
        try:
            raw = path.read_bytes()
            _policy_of(raw)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConfigError(
                "the stored policy is damaged or has not the keys that this version knows",
                where=str(path),
                way_out="`evalkit site policy apply`, or build a panel again; until then everything is refused",
            ) from None
        return raw

    def _limited(self, raw: bytes, today: dt.date) -> Policy:
        """The policy with the stricter of its own and its treaty's limits."""
        written = _policy_of(raw)
        if not written.treaty:
            return written
        files = (self.folder / TREATY, signatures_file(self.folder / TREATY))
        treaty, signatures = (_bytes_in(file) for file in files)
        public = public_text(self.identity())
        return policy_under(raw, treaty, signatures, self.name, public, today)

    def _resolved(self, raw: bytes, today: dt.date) -> Policy:
        policy = self._limited(raw, today)
        if policy.treaty or not policy.officers:
            return policy
        judged = self._judged(policy, today)
        held = {one.study for one in judged if one.valid and self.holds(one.study)}
        needed = {
            digest: covering_class(self.study(digest), policy.max_specifications)
            for digest in sorted(held)
        }
        studies = approved_studies(judged, policy, needed)
        return msgspec.structs.replace(policy, studies=studies, officers={}, officers_needed=1)

    def _judged(self, policy: Policy, today: dt.date) -> tuple[Judged, ...]:
        return read_approvals(
            self.approvals_folder,
            site=self.name,
            policy=policy,
            today=today,
            withdrawn=withdrawn_digests(self.ledger.entries()),
        )

    @property
    def approvals_folder(self) -> Path:
        """Where officers' approvals lie, in a folder for each study."""
        return self.folder / "approvals"

    def held(self) -> tuple[str, ...]:
        """Hashes of all stored studies, those included that the approval of another one covers."""
        return tuple(
            path.parent.name
            for path in sorted(self.folder.glob("*/study.json"))
            if self.holds(path.parent.name)
        )

    def holds(self, digest: str) -> bool:
        """Whether the study of that hash is stored."""
        return bool(_HASH.fullmatch(digest)) and (self.folder / digest / "study.json").is_file()

    def study(self, digest: str) -> Study:
        """The study of that hash.

        Raises:
            NoPanelError: the city has built nothing for it.
        """
        if not _HASH.fullmatch(digest):
            raise _no_panel(self.folder)
        path = self.folder / digest / "study.json"
        try:
            study, hashed = _study_of(path.read_bytes())
        except OSError:
            raise _no_panel(self.folder) from None
        except (msgspec.DecodeError, UnicodeDecodeError):
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
        if not _HASH.fullmatch(digest):
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
        """Where what belongs to that study is stored; the panel is its subfolder ``panel``.

        Raises:
            NoPanelError: not the form of a study's hash; no name from elsewhere becomes part of a path.
        """
        if not _HASH.fullmatch(digest):
            raise _no_panel(self.folder)
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
        """Write the city's name and policy, which take effect for every study; make its key if it has none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.make_identity()
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
        self._write_treaty(site.policy.treaty if site.policy else "")
        if site.policy is None:
            policy.unlink(missing_ok=True)
        else:
            named = TREATY if site.policy.treaty else ""
            policy.write_bytes(
                msgspec.json.encode(msgspec.structs.replace(site.policy, treaty=named))
            )

    def _write_treaty(self, path: str) -> None:
        """Copy the treaty at ``path`` and its signatures; of what is not there no copy is left, so that it refuses."""
        copy = self.folder / TREATY
        pairs = [(Path(path), copy), (signatures_file(Path(path or TREATY)), signatures_file(copy))]
        for source, target in pairs:
            if path and source.is_file():
                target.write_bytes(source.read_bytes())
            else:
                target.unlink(missing_ok=True)


@lru_cache(maxsize=DECODED)
def _policy_of(raw: bytes) -> Policy:
    """The policy of these bytes. It was written whole: a limit taken out is damage and not the wish for its default."""
    keys = msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).keys()
    if keys != set(Policy.__struct_fields__):
        raise msgspec.ValidationError("the keys are not those of a whole policy")
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


def _bytes_in(path: Path) -> bytes:
    """A file's bytes; empty without it."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


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
