"""A city's part in secure sums: the sessions it has joined, and its masks for a question.

Sessions lie in the store's folder ``sessions``, one file each that only its owner may read: it holds the private half
of the session's key. After a week it is removed, so that nobody can take masks off old answers, the city included.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from evalkit.core.estimator import Question
from evalkit.disclosure.keys import OWNER_ONLY, PrivateKey
from evalkit.disclosure.masking import Masks
from evalkit.disclosure.rosters import (
    SESSION,
    Invitation,
    Session,
    SignedKey,
    SignedRoster,
    agree,
    check_asked,
    new_session,
    review_roster,
    signed_key,
)
from evalkit.errors import ConfigError, RefusalError
from evalkit.policy import Policy

__all__ = ["CitySessions", "Party"]

KEPT_SECONDS: Final = 7 * 24 * 3600
"""A run of thirty rounds takes minutes to hours."""


@dataclass(frozen=True, slots=True)
class CitySessions:
    """The folder of one city's sessions."""

    folder: Path

    def join(
        self, invitation: Invitation, site: str, policy: Policy, identity: PrivateKey
    ) -> SignedKey:
        """Make and sign a key for a session; the same one if it is asked for again.

        Raises:
            RefusalError: rule ``roster``, ``min_cities`` or ``peers`` (`rosters.review_roster`); rule ``session`` if
                the id is taken by another roster or other studies.
            ConfigError: the session cannot be stored, or the stored one is damaged.
        """
        review_roster(site, invitation.roster, policy)
        self._forget_old()
        session = new_session(invitation)
        if not self._keep(session):
            session = self.read(invitation.session)
            if not session.is_of(invitation):
                raise _refusal("the session has begun with another roster or other studies")
        return signed_key(session, site, identity)

    def _keep(self, session: Session) -> bool:
        """Write a session, unless there is one of its id; whether it was written."""
        path = self._path(session.session)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if path.exists():
                return False
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode(session))
        except OSError as error:
            raise ConfigError(
                f"the session cannot be stored ({error.strerror})",
                where=str(self.folder),
                way_out="free disk space or mend the folder's permissions",
            ) from None
        return True

    def read(self, session: str) -> Session:
        """A session that the city has joined.

        Raises:
            RefusalError: rule ``session``: there is none of that id.
            ConfigError: it is damaged.
        """
        try:
            return msgspec.json.decode(self._path(session).read_bytes(), type=Session)
        except OSError:
            raise _refusal("the city has joined no session of that id") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ConfigError(
                "a stored session is damaged",
                where=str(self.folder),
                way_out="run the study again, which opens a new session",
            ) from None

    def _path(self, session: str) -> Path:
        if not SESSION.fullmatch(session):  # it comes from a message
            raise _refusal("the session has no id")
        return self.folder / f"{session}.json"

    def _forget_old(self) -> None:
        limit = time.time() - KEPT_SECONDS
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


@dataclass(slots=True)
class Party:
    """The city in the session that one message belongs to.

    Attributes:
        sessions: the city's.
        site: its name.
        signed: the signed keys that came with the message; None without.
    """

    sessions: CitySessions
    site: str
    signed: SignedRoster | None
    _agreed: tuple[Session, Policy, Masks] | None = None

    def masks(self, question: Question, policy: Policy) -> Masks:
        """Masks for a question, after everything about session, roster and keys has been verified.

        Raises:
            RefusalError: rule ``session``, ``roster``, ``min_cities`` or ``peers``.
            ConfigError: the stored session is damaged.
        """
        if self.signed is None:
            raise RefusalError(
                "the study asks for secure sums, and the question comes without a roster",
                where="rule roster",
                way_out="use a server of this version of evalkit",
                rules=("roster",),
            )
        known = self._agreed
        if known is None or known[1] != policy:
            mine = self.sessions.read(self.signed.session)
            known = (mine, policy, agree(self.signed, mine, self.site, policy))
            self._agreed = known
        check_asked(question, known[0])
        return known[2]


def _refusal(what: str) -> RefusalError:
    return RefusalError(
        what,
        where="rule session",
        way_out="run the study again, which opens a new session",
        rules=("session",),
    )
