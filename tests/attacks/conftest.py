"""What the attacks share: the table that their figures go into."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks import table

OPTION = "--write-attack-table"
MEASURED = pytest.StashKey[dict[str, table.Row]]()

Record = Callable[..., None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION, action="store_true", help="write the measured figures into docs/explanation"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = {}
    if config.getoption(OPTION, default=False) and config.getoption("numprocesses", default=None):
        raise pytest.UsageError(f"{OPTION} writes files: without --numprocesses")


def pytest_sessionfinish(session: pytest.Session) -> None:
    measured = session.config.stash[MEASURED]
    if session.config.getoption(OPTION, default=False) and measured:
        table.write(measured)


@pytest.fixture
def record(pytestconfig: pytest.Config) -> Record:
    """Record one row: ``record(key, without=…, with_=…)``; it must be the one that is committed."""

    def keep(key: str, *, without: str, with_: str) -> None:
        row = {"without": without, "with": with_}
        assert key in table.ROWS
        if pytestconfig.getoption(OPTION, default=False):
            pytestconfig.stash[MEASURED][key] = row
        else:
            assert table.committed().get(key) == row, f"run pytest tests/attacks {OPTION}"

    return keep
