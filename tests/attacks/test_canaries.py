"""Canaries planted in a city's raw rows are searched in every byte that leaves, is logged or is tracked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from evalkit.config import load_site
from tests.attacks.conftest import Record
from tests.small_world import small_world

WORD = "KANARIENVOGEL"
NUMBER = "47.114711"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every text column of a city carries the word in some rows, and one coordinate is the number."""
    root = tmp_path_factory.mktemp("canary")
    made = small_world(root / "data")
    site = next(path for path in made.sites if (path.parent / "incidents.csv").exists())
    columns = load_site(site).incidents.columns
    source = load_site(site).incidents
    path = site.parent / "incidents.csv"
    encoding = source.encoding
    lines = path.read_bytes().decode(encoding).splitlines()
    separator = source.separator or max(",;\t|", key=lines[0].count)
    names = [name.strip('"\ufeff') for name in lines[0].split(separator)]
    spoiled = []
    for number, line in enumerate(lines[1:]):
        fields = line.split(separator)
        if len(fields) != len(names):
            continue
        if number % 50 == 0:
            fields[names.index(columns.crime_type)] = f"{WORD}{number}"
        elif number % 50 == 1:
            fields[names.index(columns.date)] = f"{WORD}{number}"
        elif number % 50 == 2:
            fields[names.index(columns.longitude)] = NUMBER
        spoiled.append(separator.join(fields))
    path.write_bytes("\n".join([lines[0], *spoiled]).encode(encoding))
    (root / "canary-city.txt").write_text(str(site))
    return root


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    """All that a study over the three cities prints, with Flower's and MLflow's logs at their loudest."""
    sites = [
        part
        for site in sorted((folder / "data").glob("*/site.toml"))
        for part in ("--site", str(site))
    ]
    code = (
        "import logging, sys; logging.basicConfig(level=logging.DEBUG);"
        "from evalkit.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [
            sys.executable, "-c", code, "study", "run", str(folder / "data" / "study.toml"), *sites,
            "--out", str(folder / "runs"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


def holding(folder: Path) -> list[Path]:
    """Files with a canary in them, as text or as a double."""
    import struct

    patterns = (WORD.encode(), NUMBER.encode(), struct.pack("<d", float(NUMBER)))
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and any(pattern in path.read_bytes() for pattern in patterns)
    ]


def test_the_canaries_were_alive(folder: Path, printed: str) -> None:
    """They reached the reader: the rejected rows, which stay in the city, hold them."""
    assert printed
    site = Path((folder / "canary-city.txt").read_text())
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", "site", "check", "--site", str(site), "--no-pictures"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert WORD not in done.stdout + done.stderr
    (rejected,) = site.parent.glob("*.private/check/rejected-incidents.csv")
    table = pl.read_csv(rejected, infer_schema=False)
    assert table.height > 100
    assert WORD in rejected.read_text()
    assert NUMBER in rejected.read_text()


def test_no_canary_leaves_the_city(folder: Path, printed: str) -> None:
    assert WORD not in printed
    assert NUMBER not in printed
    assert holding(folder / "runs") == []


def run(*words: object) -> str:
    """All that a command prints, with whatever log there is."""
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (words, done.stderr[-2000:])
    return done.stdout + done.stderr


def test_no_canary_is_in_what_the_release_desk_shows_or_writes(
    folder: Path, printed: str, tmp_path: Path
) -> None:
    """Preview, exact bytes, ledger and its export, budget, community report, policy, approvals, keys, withdrawal."""
    assert printed
    site = Path((folder / "canary-city.txt").read_text())
    of_study = ("--study", folder / "data" / "study.toml")
    outside = tmp_path / "desk"
    outside.mkdir()
    commands: tuple[tuple[object, ...], ...] = (
        ("preview", *of_study, "--all", "--bytes", outside / "bytes"),
        ("preview", *of_study, "--json"),
        ("ledger", "--verify"),
        ("ledger", "--json"),
        ("ledger", "--export", outside / "ledger.json"),
        ("ledger", "--export", outside / "full.json", "--full"),
        ("budget",),
        ("report", "--out", outside / "report"),
        ("policy", "explain"),
        ("policy", "check"),
        ("approvals",),
        ("key",),
        ("peers",),
    )
    told = "".join(run("site", *command, "--site", site) for command in commands)
    assert WORD not in told
    assert NUMBER not in told
    written = [path for path in outside.rglob("*") if path.is_file()]
    assert len(written) >= 4
    assert holding(outside) == []
    (store,) = site.parent.glob("*.store")
    kept = {path.relative_to(store).parts[0] for path in store.rglob("*") if path.is_file()}
    assert {"audit", "ledger.jsonl", "ledger.head", "keys"} <= kept
    assert holding(store) == []


def errors_of_libraries(folder: Path) -> dict[str, str]:
    """What ten ordinary libraries and functions say of a row with the word in it."""
    import datetime as dt
    import json
    import sqlite3

    import numpy as np

    file = folder / "rows.csv"
    file.write_text(f"number\n1\n{WORD}\n")
    table = sqlite3.connect(":memory:")
    table.execute("create table rows (number integer check (typeof(number) = 'integer'))")
    words = pl.Series(["1", WORD])
    attempts = {
        "int": lambda: int(WORD),
        "float": lambda: float(WORD),
        "datetime": lambda: dt.datetime.strptime(WORD, "%Y-%m-%d"),  # noqa: DTZ007 (it fails)
        "look-up": lambda: {"theft": 1}[WORD],
        "numpy": lambda: np.array([WORD]).astype(float),
        "polars cast": lambda: words.cast(pl.Int64),
        "polars date": lambda: words.str.to_date("%Y-%m-%d"),
        "polars csv": lambda: pl.read_csv(file, schema={"number": pl.Int64}),
        "json": lambda: json.loads(WORD),
        "sqlite": lambda: table.execute("insert into rows values (?)", (WORD,)),
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except Exception as error:  # noqa: BLE001  # what it says is what is measured
            found[name] = str(error)
    table.close()
    assert found.keys() == attempts.keys()
    return found


def test_ordinary_errors_carry_the_value(
    folder: Path, printed: str, tmp_path: Path, record: Record
) -> None:
    said = errors_of_libraries(tmp_path)
    carried = sum(WORD in text for text in said.values())
    assert carried >= 8
    found = len(holding(folder / "runs")) + printed.count(WORD) + printed.count(NUMBER)
    record(
        "canaries",
        without=f"{carried} of {len(said)} ordinary library errors carry the value",
        with_=f"{found} found in all that is sent, printed, logged, tracked and written by the release desk",
    )


def test_no_canary_is_in_what_the_serving_process_can_open(folder: Path, printed: str) -> None:
    """The store: panel, policy, ledger. Rows lie beside it, where the canary must be found."""
    assert printed
    stores = list(folder.glob("data/*/*.store"))
    assert stores
    for store in stores:
        assert holding(store) == []
    assert any(holding(private) for private in folder.glob("data/*/*.private"))
