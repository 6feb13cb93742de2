"""No command looks up a name or opens a connection: every socket of a fresh process is watched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_world import small_world

SPY = """
import socket, sys

seen = []

def refuse(what):
    def call(*arguments, **_):
        seen.append((what, arguments[1:2] if what.startswith("connect") else arguments[:1]))
        raise OSError("no network here")
    return call

for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
    setattr(socket, name, refuse(name))
socket.create_connection = refuse("create_connection")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse(name))
from evalkit.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print("NETWORK", seen, file=sys.stderr)
    sys.exit(ended.code)
"""


def watched(folder: Path, *arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPY, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "NETWORK []"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("quiet")
    small_world(root / "data")
    return root


def test_the_spy_sees_an_attempt() -> None:
    """A watcher that sees nothing proves nothing."""
    probe = SPY.replace(
        "from evalkit.cli import main",
        "def main(_):\n    try: socket.create_connection(('example.invalid', 80))\n"
        "    except OSError: sys.exit(0)",
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "create_connection" in done.stderr


def test_a_study_with_tracking_and_pictures(folder: Path) -> None:
    sites = [
        part for site in sorted((folder / "data").glob("*/site.toml")) for part in ("--site", site)
    ]
    watched(folder, "study", "run", folder / "data" / "study.toml", *sites)
    watched(folder, "review", "verify", folder / "runs" / "latest")


def test_a_citys_own_commands(folder: Path) -> None:
    site = next((folder / "data").glob("*/site.toml"))
    study = folder / "data" / "study.toml"
    watched(folder, "site", "check", "--site", site)
    watched(folder, "site", "panel", "--site", site, "--study", study)
    watched(folder, "site", "preview", "--site", site, "--study", study)
    watched(folder, "site", "ledger", "--site", site)


def test_writing_studies_and_simulations(folder: Path) -> None:
    watched(folder, "study", "new", folder / "new.toml")
    watched(folder, "study", "check", folder / "new.toml")
    watched(folder, "--help")
