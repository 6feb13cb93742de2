"""Sessions of secure sums in a city's store: made once, readable by their owner only, forgotten after a week."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from evalkit.disclosure.keys import make_key, public_text
from evalkit.disclosure.masking import public_half
from evalkit.disclosure.rosters import Invitation, verify_signed
from evalkit.errors import ConfigError, RefusalError
from evalkit.federation.city_sessions import KEPT_SECONDS, CitySessions
from evalkit.policy import Policy

INVITATION = Invitation("a" * 32, ("alta", "brisa", "clara"), ("0" * 64,))


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    keys = {name: public_text(make_key(tmp_path / f"{name}.pem")) for name in ("brisa", "clara")}
    return Policy(peers=keys)


def test_a_session_is_made_once_and_signed_for_this_roster(tmp_path: Path, policy: Policy) -> None:
    identity = make_key(tmp_path / "alta.pem")
    sessions = CitySessions(tmp_path / "store" / "sessions")
    (tmp_path / "store").mkdir()
    first = sessions.join(INVITATION, "alta", policy, identity)
    assert sessions.join(INVITATION, "alta", policy, identity) == first
    assert first.key == public_half(sessions.read(INVITATION.session).secret)
    public = public_text(identity)
    assert verify_signed(first, INVITATION, public)
    for other in (
        Invitation("b" * 32, INVITATION.roster, INVITATION.studies),
        Invitation(INVITATION.session, INVITATION.roster[:2], INVITATION.studies),
        Invitation(INVITATION.session, INVITATION.roster, ("1" * 64,)),
    ):
        assert not verify_signed(first, other, public)
    assert not verify_signed(first, INVITATION, policy.peers["brisa"])
    (path,) = sessions.folder.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(sessions.folder.stat().st_mode) == 0o700


def test_an_old_session_is_forgotten(tmp_path: Path, policy: Policy) -> None:
    identity = make_key(tmp_path / "alta.pem")
    sessions = CitySessions(tmp_path / "sessions")
    sessions.join(INVITATION, "alta", policy, identity)
    (path,) = sessions.folder.iterdir()
    old = time.time() - KEPT_SECONDS - 1
    os.utime(path, (old, old))
    other = Invitation("b" * 32, INVITATION.roster, INVITATION.studies)
    sessions.join(other, "alta", policy, identity)
    assert [one.stem for one in sessions.folder.iterdir()] == ["b" * 32]
    with pytest.raises(RefusalError) as caught:
        sessions.read(INVITATION.session)
    assert caught.value.rules == ("session",)


@pytest.mark.parametrize("session", ["../x", "A" * 32, "", "a" * 33, "a" * 31 + "\n"])
def test_the_name_of_a_session_is_no_path(tmp_path: Path, session: str) -> None:
    with pytest.raises(RefusalError):
        CitySessions(tmp_path).read(session)


def test_where_nothing_can_be_stored_nothing_is_signed(tmp_path: Path, policy: Policy) -> None:
    (tmp_path / "sessions").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be stored"):
        CitySessions(tmp_path / "sessions").join(
            INVITATION, "alta", policy, make_key(tmp_path / "alta.pem")
        )
