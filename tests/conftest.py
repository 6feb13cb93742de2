"""What every test shares: quiet third parties, deterministic properties, and the reference data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Before anything imports flwr, mlflow or matplotlib: nothing reports to anyone, no window opens.
os.environ.update(
    {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        "DO_NOT_TRACK": "true",
        "MPLBACKEND": "Agg",
    }
)

# Tests on all processors at once (pytest-xdist): a matrix product must not ask for all of them too.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.update({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})

import pytest
from hypothesis import HealthCheck, settings

from tests.postgresql import Server, UnavailableError, can_install, find_programs, running_server

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_VARIABLE = "EVALKIT_SHARED"
NO_SHARED_DATA = "NO REFERENCE DATA"
NO_POSTGRESQL = "NO POSTGRESQL"

# `too_slow` is a timed check, and so is a deadline: on a busy machine they would fail at random.
settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# For hunting: `pytest --hypothesis-profile=explore` draws new examples every time, and many more.
settings.register_profile(
    "explore",
    max_examples=2000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the reference data and the cities' extracts; never copied into the repo.

    It is ``$EVALKIT_SHARED``, or ``shared`` beside the repository. Where it is absent a test that
    needs it is skipped with a reason that the summary counts; it fails instead if ``CI=true``, or
    if the variable names a folder without the data.
    """
    named = os.environ.get(SHARED_VARIABLE)
    root = Path(named) if named else REPOSITORY.parent / "shared"
    if (root / "data" / "reference").is_dir():
        return root.resolve()
    where = f"{SHARED_VARIABLE}={named}" if named else "../shared beside the repository"
    reason = (
        f"{NO_SHARED_DATA}: {where} holds no data/reference folder; "
        f"set {SHARED_VARIABLE} to the folder that does"
    )
    if named or os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server of the tests' own, which is stopped at the end.

    Where there is none and none can be installed a test that needs it is skipped with a reason that
    the summary counts; with ``CI=true`` it fails if it could have been installed.
    """
    try:
        programs = find_programs()
    except UnavailableError as error:
        reason = f"{NO_POSTGRESQL}: {error}"
        if os.environ.get("CI") == "true" and can_install():
            pytest.fail(reason)
        pytest.skip(reason)
    with running_server(programs) as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the tests that lacked something: a skip must not look like a pass."""
    skips = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", [])]
    unserved = sum(NO_POSTGRESQL in reason for reason in skips)
    if unserved:
        terminalreporter.section("no PostgreSQL", sep="!", red=True, bold=True)
        terminalreporter.write_line(
            f"{unserved} skipped: they read from a real server. Install PostgreSQL (Debian: "
            "apt-get install postgresql); it need not run."
        )
    skipped = [reason for reason in skips if NO_SHARED_DATA in reason]
    if skipped:
        terminalreporter.section("reference data missing", sep="!", red=True, bold=True)
        terminalreporter.write_line(
            f"{len(skipped)} skipped: they compare evalkit with reference data that is not here. "
            f"Set {SHARED_VARIABLE} to the folder that holds data/reference."
        )
