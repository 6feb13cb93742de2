"""Starting must be cheap: what a command does not need, it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("flwr", "mlflow", "sklearn", "matplotlib", "pandas")
ALL = (*HEAVY, "polars", "numpy", "scipy")


def imported(code: str) -> set[str]:
    """Top-level modules loaded after running ``code`` in a fresh interpreter."""
    probe = (
        f"import sys\ntry:\n {code}\nexcept SystemExit: pass\nprint('\\n', *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "code",
    [
        "import evalkit",
        "from evalkit.cli import main; main(['--help'])",
        "from evalkit.cli import main; main(['--version'])",
    ],
)
def test_help_imports_nothing_heavy(code: str) -> None:
    assert imported(code) & set(ALL) == set()


@pytest.mark.parametrize("room", ["site", "study", "review", "simulate", "demo"])
def test_rooms_explain_themselves_without_flower_mlflow_or_plotting(room: str) -> None:
    loaded = imported(f"from evalkit.cli import main; main(['{room}', '--help'])")
    allowed = {"flwr"} if room == "review" else set()
    assert loaded & set(HEAVY) <= allowed


@pytest.mark.parametrize(
    "command", ["site init", "site check", "site panel", "site preview", "site ledger", "study run"]
)
def test_commands_explain_themselves_without_flower_mlflow_or_plotting(command: str) -> None:
    words = [*command.split(), "--help"]
    assert imported(f"from evalkit.cli import main; main({words})") & set(HEAVY) == set()


def test_the_probe_sees_an_import() -> None:
    assert {"numpy", "polars"} <= imported("import numpy, polars")


def test_public_names_are_loaded_on_first_use() -> None:
    import evalkit

    for name in evalkit.__all__:
        assert getattr(evalkit, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = evalkit.nothing
