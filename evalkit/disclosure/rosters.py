"""With whom a city makes secure sums: the rules on rosters, and the signed keys of a session.

A session is one run of a study. Its roster is the list of cities whose answers are added up. Before it answers, every
city signs the roster together with a key made for this session; all signed keys come back with each question, and the
city verifies them against the public keys that it has pinned itself ([policy] peers). The server can so neither put
cities of its own among them nor show different cities different rosters.

Two sums over rosters that differ by one city give that city's own numbers. So a city answers a study for one roster
only, ever, and so every study of some of the same crimes on some of the same days (`overlaps`): a month more, a metre
more or a crime type that hardly occurs makes another study and nearly the same sum. There is no way to say that a city
has dropped out: whoever asks for a smaller roster asks another question.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from evalkit.core.estimator import Question
from evalkit.core.study import Study, matching_of, study_hash
from evalkit.disclosure.keys import PrivateKey, public_text, sign, verified
from evalkit.disclosure.masking import EPHEMERAL, Masks, new_secret, public_half, shared_secret
from evalkit.disclosure.questions import question_hash
from evalkit.errors import RefusalError
from evalkit.numerics.fixed_point import MOST_TERMS
from evalkit.policy import Policy

__all__ = [
    "FEWEST",
    "MOST_CITIES",
    "SESSION",
    "Invitation",
    "Session",
    "SignedKey",
    "SignedRoster",
    "agree",
    "asked_about",
    "check_asked",
    "content_hash",
    "masks_label",
    "new_session",
    "overlaps",
    "review_content",
    "review_roster",
    "roster_hash",
    "signed_key",
    "verify_signed",
]

PURPOSE: Final = "evalkit roster of a secure sum"

SESSION: Final = re.compile(r"^[0-9a-f]{32}$")
"""How a session is named: 128 random bits."""

FEWEST: Final = 3
"""Cities on a roster: of two each knows the other's numbers from the sum."""

MOST_CITIES: Final = MOST_TERMS
"""Cities on one roster; the sum over more might not fit."""

_EPHEMERAL: Final = re.compile(EPHEMERAL)


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the server asks for before the first question: a key for this session, this roster and these studies."""

    session: str
    roster: tuple[str, ...]
    studies: tuple[str, ...]


class Session(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session as a city keeps it, with the private half of its key; it never leaves the city."""

    session: str
    roster: tuple[str, ...]
    studies: tuple[str, ...]
    secret: bytes

    def is_of(self, invitation: Invitation) -> bool:
        """Whether it was made for just this."""
        mine = (self.session, self.roster, self.studies)
        return mine == (invitation.session, invitation.roster, invitation.studies)


@dataclass(frozen=True, slots=True)
class SignedKey:
    """A city's key of a session, with its signature; ``identity`` is the key it says it signed with."""

    site: str
    key: str
    signature: str
    identity: str = ""


@dataclass(frozen=True, slots=True)
class SignedRoster:
    """All cities' signed keys as they come with a question; names sorted, each once."""

    session: str
    signed: tuple[SignedKey, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        """The roster they stand for."""
        return tuple(one.site for one in self.signed)


def roster_hash(roster: Sequence[str]) -> str:
    """SHA-256 over the sorted names."""
    return hashlib.sha256(msgspec.json.encode(sorted(roster))).hexdigest()


def content_hash(study: Study) -> str:
    """SHA-256 over what the study's panel is made of; studies that share it share sums over the same cells."""
    parts = (study.window, study.units, study.treatment, study.outcome, matching_of(study))
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def asked_about(study: Study) -> dict[str, Any]:
    """For the ledger: the days and crimes that a study's sums are about."""
    window = study.window
    return {
        "days": [window.start.isoformat(), window.end.isoformat()],
        "crimes": sorted(study.outcome.crime_types),
    }


def overlaps(study: Study, entry: Mapping[str, Any]) -> bool:
    """Whether the study is about some of the incidents that a ledger's entry of a secure sum was about."""
    asked = asked_about(study)
    (start, end), (first, last) = (
        asked["days"],
        entry.get("days", ("", "9")),
    )  # ISO days sort as texts
    crimes = entry.get("crimes", asked["crimes"])
    return bool(start <= last and first <= end and set(asked["crimes"]) & set(crimes))


def masks_label(question: Question) -> str:
    """SHA-256 over all that is asked, which all cities derive masks from; it knows nothing of a city's data."""
    return hashlib.sha256(f"{question.round} {question_hash(question, '')}".encode()).hexdigest()


def review_roster(site: str, roster: Sequence[str], policy: Policy) -> None:
    """Let the roster pass, or say which rule refuses it.

    Raises:
        RefusalError: too few cities or too many, a name twice, this city not among them, or one that is not pinned.
    """
    if len(set(roster)) != len(roster) or site not in roster or len(roster) > MOST_CITIES:
        raise _refusal(
            "roster",
            "the roster of the secure sum names a city twice, not this one, or too many",
            f"each city once, this one among them, {MOST_CITIES} at most",
        )
    if len(roster) < max(policy.min_cities, FEWEST):
        raise _refusal(
            "min_cities",
            f"the secure sum is over {len(roster)} cities; the city asks for {policy.min_cities}",
            "more cities in the study",
        )
    unknown = sorted(set(roster) - set(policy.peers) - {site})
    if unknown:
        raise _refusal(
            "peers",
            f"the city has not pinned the key of {', '.join(unknown)}",
            "add their public keys to [policy.peers], as they gave them to you themselves",
        )


def review_content(
    study: Study, roster: Sequence[str], entries: Sequence[Mapping[str, Any]]
) -> None:
    """Let the study be answered for this roster, unless one of some of the same incidents was answered for another.

    Raises:
        RefusalError: rule ``roster``.
    """
    mine = roster_hash(roster)
    for entry in entries:
        if (
            "roster" in entry
            and entry.get("outcome") == "released"
            and entry.get("roster") != mine
            and overlaps(study, entry)
        ):
            raise _refusal(
                "roster",
                "the city has answered a study of some of the same days and crimes for another roster",
                "ask the same cities again; fewer or other cities need other days or other crimes",
            )


def new_session(invitation: Invitation) -> Session:
    """A session with a key of its own."""
    return Session(
        session=invitation.session,
        roster=invitation.roster,
        studies=invitation.studies,
        secret=new_secret(),
    )


def signed_key(session: Session, site: str, identity: PrivateKey) -> SignedKey:
    """The public half of the session's key, signed by the city."""
    key = public_half(session.secret)
    statement = _statement(session.session, session.roster, session.studies, site, key)
    return SignedKey(site, key, sign(identity, statement), public_text(identity))


def verify_signed(one: SignedKey, invitation: Invitation, public: str) -> bool:
    """Whether the holder of ``public`` has signed this key for this session, roster and studies.

    Raises:
        ConfigError: ``public`` is not a public key.
    """
    statement = _statement(
        invitation.session, invitation.roster, invitation.studies, one.site, one.key
    )
    return bool(_EPHEMERAL.match(one.key)) and verified(public, statement, one.signature)


def agree(signed: SignedRoster, mine: Session, site: str, policy: Policy) -> Masks:
    """Verify all keys of a session against the pinned ones, and derive what is shared with each other city.

    Args:
        signed: as it came with a question.
        mine: the session as this city keeps it.
        site: this city's name.
        policy: in force now, with the pinned keys.

    Raises:
        RefusalError: rule ``roster`` if it is not the roster that was agreed to, or not this city's own key; rule
            ``peers`` if a signature is not that of a pinned key; and as `review_roster`.
    """
    review_roster(site, signed.sites, policy)
    if signed.session != mine.session or signed.sites != mine.roster:
        raise _refusal(
            "roster",
            "the question comes with another roster than the city has agreed to",
            "the same cities in the whole session, none of them left out or marked as dropped",
        )
    invitation = Invitation(mine.session, mine.roster, mine.studies)
    secrets: dict[str, bytes] = {}
    for one in signed.signed:
        if one.site == site:
            if one.key != public_half(mine.secret):
                raise _refusal("roster", "the roster holds another key for this city", "its own")
            continue
        if not verify_signed(one, invitation, policy.peers[one.site]):
            raise _refusal(
                "peers",
                f"the key of {one.site} is not signed by the city whose public key is pinned",
                "a signature over this session, roster and studies; ask that city for its public key if it made "
                "a new one",
            )
        try:
            secrets[one.site] = shared_secret(mine.secret, one.key)
        except ValueError:
            raise _refusal(
                "peers", f"the key of {one.site} gives no secret", "an X25519 key"
            ) from None
    return Masks(mine.session, mine.roster, site, secrets)


def check_asked(question: Question, mine: Session) -> None:
    """Let a question pass that belongs to the session.

    Raises:
        RefusalError: rule ``session``.
    """
    if study_hash(question.study) not in mine.studies:
        raise _refusal(
            "session",
            "the question's study is none of this session's",
            "the studies that the keys were signed for",
        )


def _statement(
    session: str, roster: Sequence[str], studies: Sequence[str], site: str, key: str
) -> dict[str, Any]:
    return {
        "purpose": PURPOSE,
        "session": session,
        "roster": list(roster),
        "studies": hashlib.sha256("\n".join(studies).encode()).hexdigest(),
        "site": site,
        "key": key,
    }


def _refusal(rule: str, what: str, limit: str) -> RefusalError:
    return RefusalError(what, where=f"rule {rule}", limit=limit, rules=(rule,))
