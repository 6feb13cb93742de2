"""What must never be committed: registry hosts, paths of a machine, code that runs received code.

Every check is a function from text to findings. It is run on planted offenders first, so that a
check that finds nothing in the repository is known to be able to find something.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Put together here, so that this file is no finding of its own.
REGISTRY_HOSTS = tuple(
    ".".join(labels)
    for labels in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("anaconda", "org"),
        ("crates", "io"),
        ("debian", "org"),
        ("ghcr", "io"),
        ("docker", "io"),
    )
)
HOME_FOLDERS = ("home", "root", "work", "Users")

REGISTRY = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, REGISTRY_HOSTS)) + r")(?![\w-])")
# Not inside a longer path (`docs/home/`) or an address, nor after a variable (`$x/home/`).
MACHINE_PATH = re.compile(r"(?<![\w.~$}*/-])/(?:" + "|".join(HOME_FOLDERS) + r")/")

# Everything that stores Python objects as instructions for making them.
PICKLING = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}

Check = Callable[[str], list[str]]


def registry_hosts(text: str) -> list[str]:
    return [f"registry host {host}" for host in sorted(set(REGISTRY.findall(text)))]


def machine_paths(text: str) -> list[str]:
    return [
        f"line {number}: a path of one machine"
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]


def pickling(source: str) -> list[str]:
    return [
        f"line {line}: imports {module}"
        for line, module in _imports(ast.parse(source))
        if module.partition(".")[0] in PICKLING
    ] + [
        f"line {node.lineno}: allow_pickle"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.keyword)
        and node.arg == "allow_pickle"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    ]


def code_from_text(source: str) -> list[str]:
    return [
        f"line {node.lineno}: calls {node.func.id}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in RUNS_TEXT
    ]


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def _committed() -> list[Path]:
    """Every file that is committed or that `git add .` would add."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git clone: which files are committed cannot be told")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # A file that is deleted but not yet committed as such is still listed.
    return [path for name in listing.split("\0") if name and (path := REPOSITORY / name).is_file()]


def _texts() -> dict[str, str]:
    texts = {}
    for path in _committed():
        content = path.read_bytes()
        if b"\0" not in content:
            texts[str(path.relative_to(REPOSITORY))] = content.decode("utf-8", errors="replace")
    return texts


def _sources() -> dict[str, str]:
    package = REPOSITORY / "evalkit"
    return {
        str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }


PLANTED: list[tuple[Check, str, bool]] = [
    *(
        (registry_hosts, f"index-url = https://files.{host}/simple", True)
        for host in REGISTRY_HOSTS
    ),
    (registry_hosts, "see docs.python.org and example.org", False),
    *((machine_paths, f"data = '/{folder}/someone/x.csv'", True) for folder in HOME_FOLDERS),
    (machine_paths, f"see docs/{HOME_FOLDERS[0]}/index.md or $HOME/x", False),
    (pickling, "import pickle", True),
    (pickling, "def f():\n    from joblib.externals import loky", True),
    (pickling, "np.load(path, allow_pickle=True)", True),
    (pickling, "np.load(path, allow_pickle=False)\nimport json", False),
    (code_from_text, "value = eval(text)", True),
    (code_from_text, "exec(text)", True),
    (code_from_text, "pattern = re.compile(text)", False),
]


@pytest.mark.parametrize(("check", "text", "found"), PLANTED)
def test_check_finds_what_is_planted_and_only_that(check: Check, text: str, found: bool) -> None:
    assert bool(check(text)) is found


@pytest.mark.parametrize("check", [registry_hosts, machine_paths])
def test_no_committed_file_has(check: Check) -> None:
    texts = _texts()
    assert "pyproject.toml" in texts
    assert {name: found for name, text in texts.items() if (found := check(text))} == {}


@pytest.mark.parametrize("check", [pickling, code_from_text])
def test_no_module_of_evalkit_has(check: Check) -> None:
    sources = _sources()
    assert "evalkit/__init__.py" in sources
    assert {name: found for name, source in sources.items() if (found := check(source))} == {}
