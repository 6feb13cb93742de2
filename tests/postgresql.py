"""A PostgreSQL server of the tests' own: on loopback, on a free port, in a temporary folder.

It refuses to run as root, so a test run by root starts it as the user ``postgres``, or ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
OWNER = "owner"
OWNER_PASSWORD = "Ow9ner-of-the-test-server"


class UnavailableError(Exception):
    """There is no PostgreSQL here, and the message says why."""


@dataclass(frozen=True)
class Server:
    """A running server; ``dsn`` is its owner's, ``log`` everything it was asked."""

    port: int
    log: Path

    @property
    def dsn(self) -> str:
        return self.address(OWNER, OWNER_PASSWORD)

    def address(self, user: str, password: str, database: str = "postgres") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"


def can_install() -> bool:
    return shutil.which("apt-get") is not None and os.geteuid() == 0


@contextmanager
def running_server(programs: Path) -> Iterator[Server]:
    """Start a server with the programs of that folder, and stop it whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="evalkit-postgresql-"))
    user = _user()
    secret = folder / "password"
    secret.write_text(OWNER_PASSWORD)
    if user:
        for path in (folder, secret):
            shutil.chown(path, user)
    data, log = folder / "data", folder / "log"
    port = _free_port()
    options = (
        f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
        "-c fsync=off -c log_statement=all"
    )
    try:
        _run(
            user, programs / "initdb", "-D", data, "-U", OWNER, "-A", "scram-sha-256",
            "--pwfile", secret, "--locale=C", "-E", "UTF8", "--no-sync",
        )  # fmt: skip
        _run(user, programs / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start")
        try:
            yield Server(port, log)
        finally:
            _run(user, programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_programs() -> Path:
    """The folder of PostgreSQL's programs, which are installed if they can be.

    Raises:
        UnavailableError: they are not there, and cannot be installed.
    """
    found = _look()
    if not found and can_install():
        _install()
        found = _look()
    if not found:
        raise UnavailableError(
            "no initdb on PATH or in Debian's folder, and no right to install: "
            "apt-get install postgresql"
        )
    return found


def _look() -> Path | None:
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _install() -> None:
    # Debian's package would start a server of its own.
    if not CLUSTERS.exists():
        CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
        CLUSTERS.write_text("create_main_cluster = false\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    keep = ("-o", "Dpkg::Options::=--force-confold")
    for words in (("update",), ("install", "-y", "--no-install-recommends", *keep, "postgresql")):
        done = subprocess.run(
            ["apt-get", "-q", *words],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise UnavailableError(f"apt-get {words[0]} failed: {done.stderr.strip()[-500:]}")


def _user() -> str:
    """The user to run as, empty for the one who runs the tests."""
    if os.geteuid() != 0:
        return ""
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in known)


def _run(user: str, *words: object) -> None:
    command = [str(word) for word in words]
    if user:
        command = ["runuser", "-u", user, "--", *command]
    # Not captured through pipes: the server would inherit them and keep them open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command, check=False, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
