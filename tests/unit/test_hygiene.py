"""No code, pattern or path from a message: checked on the syntax tree of every module of evalkit.

Every check is a function from a module's source to findings, and is run on planted offenders first, so that one that
finds nothing in evalkit is known to be able to find something. `test_repository` does the same for pickling, for
`eval` and its like, and for what must never be committed.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import stat
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from evalkit.errors import NoPanelError, RefusalError
from evalkit.federation.city_sessions import CitySessions
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.local import run_local
from tests.panels import city, study
from tests.stores import pin_peers, store_of

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "evalkit"

Check = Callable[[str], list[str]]

FORBIDDEN_MODULES = {
    # objects as instructions for making them
    *("pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal"),
    *("shelve", "dbm", "copyreg"),
    # code from text, files and foreign libraries
    *("code", "codeop", "runpy", "imp", "ctypes", "cffi", "pty"),
    # processes and markup that loads what it names
    *("subprocess", "yaml", "xml", "lxml"),
}

FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__", "execfile", "input", "breakpoint"),
    *("os.system", "os.popen", "os.startfile", "os.execv", "os.execve", "os.execl", "os.execvp"),
    *("os.spawnl", "os.spawnv", "os.spawnve", "os.posix_spawn", "os.fork"),
    *(
        "numpy.load",
        "numpy.save",
        "numpy.savez",
        "numpy.memmap",
        "numpy.loadtxt",
        "numpy.fromregex",
    ),
    *(
        "pandas.read_pickle",
        "torch.load",
        "tempfile.mktemp",
        "importlib.util.spec_from_file_location",
    ),
    *("importlib.machinery.SourceFileLoader", "pkgutil.resolve_name", "types.FunctionType"),
    *("types.CodeType",),
}

FORBIDDEN_METHODS = {"read_pickle", "to_pickle", "deserialize", "map_elements"}
"""Called on anything: pandas and polars run or rebuild code with them."""

PLUGINS = {
    "evalkit/__init__.py": "public names of a table in the module itself",
    "evalkit/cli/__init__.py": "commands of a table in the module itself",
    "evalkit/core/discover.py": "files of a package of evalkit, found by looking into its folder",
}
"""Where a module is imported by a name that is computed. None of the names comes from a message: see the test."""

SERVING = (
    *(
        "client_app",
        "server_app",
        "exchange",
        "batch",
        "codec",
        "records",
        "secure",
        "secure_codec",
    ),
)
"""Modules of federation that hold messages in their hands."""

FILES = {
    *("open", "fdopen", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "rename"),
    *("mkdir", "rmdir", "rmtree", "touch", "glob", "rglob", "joinpath", "with_name", "with_suffix"),
    *("symlink_to", "hardlink_to", "copyfile", "copytree", "makedirs", "remove", "iterdir", "walk"),
}
"""Calls that open, make or look for files."""


def dotted(node: ast.expr, known: dict[str, str]) -> str:
    """``numpy.load`` for ``np.load`` where numpy was imported as np; empty for what is no plain name."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, known)
        return f"{before}.{node.attr}" if before else ""
    return ""


def imported(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Line, name in the module, and what it stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                full = alias.name if alias.asname else alias.name.partition(".")[0]
                yield node.lineno, alias.asname or full, alias.name if alias.asname else full
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name, f"{node.module}.{alias.name}"


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the full name of what is called, builtins without theirs."""
    known = {name: full for _, name, full in imported(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func, known).removeprefix("builtins.")


def forbidden_imports(source: str) -> list[str]:
    tree = ast.parse(source)
    modules = [(line, full) for line, _, full in imported(tree)]
    modules += [
        (node.lineno, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    return [
        f"line {line}: imports {full}"
        for line, full in modules
        if full.partition(".")[0] in FORBIDDEN_MODULES or full in FORBIDDEN_CALLS
    ]


def forbidden_calls(source: str) -> list[str]:
    found = []
    for node, name in calls(ast.parse(source)):
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if name in FORBIDDEN_CALLS or method in FORBIDDEN_METHODS:
            found.append(f"line {node.lineno}: calls {name or method}")
        if name == "getattr" and node.args and dotted(node.args[0], {}) in {"builtins", "os"}:
            found.append(
                f"line {node.lineno}: takes a function of {dotted(node.args[0], {})} by name"
            )
        for keyword in node.keywords:
            value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
            if keyword.arg in {"shell", "allow_pickle"} and value is not False:
                found.append(f"line {node.lineno}: {keyword.arg}")
    return found


def computed_imports(source: str) -> list[str]:
    return [
        f"line {node.lineno}: imports a module by a computed name"
        for node, name in calls(ast.parse(source))
        if name in {"importlib.import_module", "importlib.reload"}
        and not (node.args and isinstance(node.args[0], ast.Constant))
    ]


def patterns_from_elsewhere(source: str) -> list[str]:
    """Regular expressions that are neither written in place nor a constant of evalkit."""
    tree = ast.parse(source)
    constants = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    constants |= {
        name
        for _, name, full in imported(tree)
        if full.startswith("evalkit.") and name.isupper() and _is_text(full)
    }
    return [
        f"line {node.lineno}: a pattern that is not written here"
        for node, name in calls(tree)
        if name.startswith("re.") and name.removeprefix("re.") in RE_FUNCTIONS
        if not (
            node.args
            and (
                isinstance(node.args[0], ast.Constant)
                or (isinstance(node.args[0], ast.Name) and node.args[0].id in constants)
            )
        )
    ]


RE_FUNCTIONS = {
    *("compile", "match", "fullmatch", "search", "split", "findall", "finditer", "sub", "subn"),
}


def _is_text(full: str) -> bool:
    """Whether ``evalkit.module.NAME`` is assigned a text where it is defined."""
    module, _, name = full.rpartition(".")
    path = REPOSITORY / (module.replace(".", "/") + ".py")
    return path.is_file() and any(
        isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Constant)
        and name in ast.unparse(node).partition("=")[0]
        for node in ast.parse(path.read_text(encoding="utf-8")).body
    )


def paths_from_messages(source: str) -> list[str]:
    """Files opened where messages are handled, but for the store or run folder of the node's own configuration.

    Allowed is ``SiteStore(Path(str(context.node_config["store"])))`` and the same with ``RunFolder`` and
    ``run_config``: a literal key, and the path goes straight into the one class that knows what lies in the folder.
    """
    tree = ast.parse(source)
    straight = {
        id(argument)
        for node, name in calls(tree)
        if name.rpartition(".")[2] in {"SiteStore", "RunFolder"}
        for argument in node.args
    }
    found = []
    for node, name in calls(tree):
        last = name.rpartition(".")[2] or (
            node.func.attr if isinstance(node.func, ast.Attribute) else ""
        )
        if last in {"Path", "PurePath"}:
            if not (id(node) in straight and len(node.args) == 1 and _is_own_setting(node.args[0])):
                found.append(f"line {node.lineno}: a path that is not the node's own setting")
        elif last in {"SiteStore"} and not all(
            isinstance(one, ast.Call) and dotted(one.func, {}) == "Path" for one in node.args
        ):
            found.append(f"line {node.lineno}: a store that is not the node's own setting")
        elif last in FILES and not name.startswith("RunFolder."):
            found.append(f"line {node.lineno}: {last}")
    return found


def _is_own_setting(node: ast.expr) -> bool:
    return bool(
        re.fullmatch(
            r"str\(context\.(node_config|run_config)\[(['\"])[a-z-]+\2\]\)", ast.unparse(node)
        )
    )


def values_in_logs(source: str) -> list[str]:
    """Whatever is logged beside a fixed sentence and the name of a type."""
    found = []
    for node, name in calls(ast.parse(source)):
        parts = name.split(".")
        if parts[-1] not in {"debug", "info", "warning", "error", "exception", "critical", "log"}:
            continue
        if not parts[0].strip("_").startswith(("log", "LOG")):
            continue
        fixed = bool(node.args) and isinstance(node.args[0], ast.Constant)
        rest = [ast.unparse(one) for one in node.args[1:]]
        if not fixed or not all(re.fullmatch(r"type\(\w+\)\.__name__", one) for one in rest):
            found.append(f"line {node.lineno}: logs a value")
        if parts[-1] == "exception" or any(one.arg == "exc_info" for one in node.keywords):
            found.append(f"line {node.lineno}: logs an exception's text")
    return found


PLANTED: list[tuple[Check, str, bool]] = [
    *((forbidden_imports, f"import {name}", True) for name in sorted(FORBIDDEN_MODULES)),
    (forbidden_imports, "def f():\n    from xml.etree import ElementTree", True),
    (forbidden_imports, "import xml.sax as s", True),
    (forbidden_imports, "from os import system", True),
    (forbidden_imports, "import json, codecs\nfrom evalkit.core import study", False),
    *((forbidden_calls, f"import os\n{name}(text)", True) for name in sorted(FORBIDDEN_CALLS)),
    *((forbidden_calls, f"x.{name}(text)", True) for name in sorted(FORBIDDEN_METHODS)),
    (forbidden_calls, "import numpy as np\nnp.load(path)", True),
    (forbidden_calls, "import builtins\nbuiltins.eval(text)", True),
    (forbidden_calls, "import builtins as b\nb.exec(text)", True),
    (forbidden_calls, "import os\ngetattr(os, name)(text)", True),
    (forbidden_calls, "run(command, shell=True)", True),
    (forbidden_calls, "f(path, allow_pickle=maybe)", True),
    (forbidden_calls, "re.compile(text)\nnumpy.frombuffer(data)\nself.load(path)", False),
    (computed_imports, "import importlib\nimportlib.import_module(name)", True),
    (computed_imports, "from importlib import import_module as im\nim('a.' + name)", True),
    (computed_imports, "import importlib\nimportlib.import_module('evalkit.core')", False),
    (patterns_from_elsewhere, "import re\nre.compile(text)", True),
    (patterns_from_elsewhere, "import re\nre.search(message['pattern'], x)", True),
    (patterns_from_elsewhere, "from re import match\nmatch(f'{a}', x)", True),
    (patterns_from_elsewhere, "import re\nA = f()\nre.compile(A)", True),
    (
        patterns_from_elsewhere,
        "import re\nA: Final = '^a$'\nre.compile(A)\nre.sub('b', x, y)",
        False,
    ),
    (
        patterns_from_elsewhere,
        "import re\nfrom evalkit.policy import PUBLIC_KEY\nre.match(PUBLIC_KEY, x)",
        False,
    ),
    (paths_from_messages, "Path(message.content['x']['path'])", True),
    (paths_from_messages, "SiteStore(Path(str(message.content['x'])))", True),
    (paths_from_messages, "SiteStore(Path(str(context.node_config[key])))", True),
    (
        paths_from_messages,
        "root = Path(str(context.node_config['store']))\nroot / wire.study",
        True,
    ),
    (paths_from_messages, "SiteStore(wire.store)", True),
    (paths_from_messages, "open(wire.study)", True),
    (paths_from_messages, "folder.joinpath(name)", True),
    (paths_from_messages, "(folder / name).read_bytes()", True),
    (paths_from_messages, "SiteStore(Path(str(context.node_config['store'])))", False),
    (paths_from_messages, "RunFolder(Path(str(context.run_config['run-folder'])))", False),
    (values_in_logs, "_log.error(f'bad {row}')", True),
    (values_in_logs, "_log.error('bad %s', error)", True),
    (values_in_logs, "logger.exception('bad')", True),
    (values_in_logs, "_log.error('bad', exc_info=True)", True),
    (values_in_logs, "_log.error('an error of type %s', type(error).__name__)\nmath.log(x)", False),
]


@pytest.mark.parametrize(("check", "text", "found"), PLANTED)
def test_check_finds_what_is_planted_and_only_that(check: Check, text: str, found: bool) -> None:
    assert bool(check(text)) is found


def sources(*folders: str) -> dict[str, str]:
    found = {
        str(path.relative_to(REPOSITORY)): path.read_text(encoding="utf-8")
        for folder in folders or ("",)
        for path in sorted((PACKAGE / folder).rglob("*.py"))
    }
    assert len(found) > 5
    return found


def findings(check: Check, texts: dict[str, str]) -> dict[str, list[str]]:
    return {name: found for name, source in texts.items() if (found := check(source))}


@pytest.mark.parametrize("check", [forbidden_imports, forbidden_calls])
def test_no_module_of_evalkit_has(check: Check) -> None:
    assert findings(check, sources()) == {}


def test_modules_are_imported_by_a_computed_name_in_three_places_only() -> None:
    assert set(findings(computed_imports, sources())) == set(PLUGINS)


def test_no_pattern_comes_from_elsewhere_where_messages_are_read() -> None:
    assert findings(patterns_from_elsewhere, sources("federation", "disclosure")) == {}


def test_no_path_comes_from_a_message() -> None:
    texts = {
        f"evalkit/federation/{name}.py": (PACKAGE / "federation" / f"{name}.py").read_text("utf-8")
        for name in SERVING
    }
    assert findings(paths_from_messages, texts) == {}
    # and the one place that makes a path of them is really looked at
    assert "node_config" in texts["evalkit/federation/client_app.py"]


def test_no_log_line_of_a_city_or_server_holds_a_value() -> None:
    assert findings(values_in_logs, sources("federation", "disclosure", "runtimes")) == {}


HOSTILE_DIGESTS = {
    "parent": "..",
    "absolute": "/etc",
    "empty": "",
    "short": "a" * 63,
    "line end": "{hash}\n",
    "capitals": "{HASH}",
    "inside": "../{name}/{hash}",
    "dot": "./{hash}",
    "nul": "{hash}\0",
    "full width": "\uff10" * 64,
}


@pytest.mark.parametrize("how", ["study", "opened", "panel", "study_folder"])
@pytest.mark.parametrize("digest", sorted(HOSTILE_DIGESTS))
def test_a_store_makes_a_path_of_a_hash_and_of_nothing_else(
    how: str, digest: str, tmp_path: Path
) -> None:
    asked = study()
    store = store_of(city("alta", 1), asked, tmp_path)
    (good,) = [path.name for path in store.folder.iterdir() if len(path.name) == 64]
    getattr(store, how)(good)
    name = HOSTILE_DIGESTS[digest].format(hash=good, HASH=good.upper(), name=store.folder.name)
    with pytest.raises(NoPanelError):
        getattr(store, how)(name)


PRIVATE_BLOCK = re.compile(b"-----BEGIN [A-Z ]*" + b"PRIVATE KEY-----")


def has_private_key(data: bytes) -> bool:
    return bool(PRIVATE_BLOCK.search(data))


def test_no_committed_file_holds_a_private_key() -> None:
    for kind in (b"", b"RSA ", b"EC ", b"OPENSSH ", b"ENCRYPTED "):
        assert has_private_key(b"x\n-----BEGIN " + kind + b"PRIVATE KEY" + b"-----\n")
    assert not has_private_key(b"-----BEGIN PUBLIC KEY-----")
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git clone: which files are committed cannot be told")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [path for name in listing.split("\0") if name and (path := REPOSITORY / name).is_file()]
    assert len(paths) > 100
    assert [str(path) for path in paths if has_private_key(path.read_bytes())] == []


@pytest.mark.parametrize("session", ["..", "../keys/identity", "", "a" * 31, "{good}\n", "/etc/x"])
def test_a_session_of_secure_sums_is_a_file_of_its_own_folder(session: str, tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(RefusalError, match="no id"):
        CitySessions(tmp_path / "sessions").read(session.format(good="a" * 32))


@pytest.mark.parametrize("sums", ["plain", "secure"])
def test_keys_are_their_owners_alone_and_never_in_a_run_folder(sums: str, tmp_path: Path) -> None:
    asked = study(estimator="poisson_did")
    asked = replace(asked, federation=replace(asked.federation, sums=sums))
    cities = [city(name, seed) for seed, name in enumerate(("alta", "brisa", "clara"))]
    stores = [store_of(one, asked, tmp_path) for one in cities]
    pin_peers(stores)
    run = RunFolder.create(tmp_path / "run", asked)
    run_local(run, stores)
    secrets = []
    for store in stores:
        raw = store.identity().private_bytes_raw()
        held = [path for path in store.folder.rglob("*") if path.is_file()]
        keys = [path for path in held if has_private_key(path.read_bytes())]
        assert keys == [store.identity_file]
        own = [path for path in held if path.parent == store.sessions_folder]
        assert len(own) == (sums == "secure")
        for path in [*keys, *own]:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for path in own:
            secret = str(json.loads(path.read_bytes())["secret"])
            secrets += [secret.encode(), base64.b64decode(secret)]
        secrets += [store.identity_file.read_bytes().splitlines()[1], raw, raw.hex().encode()]
        secrets.append(base64.urlsafe_b64encode(raw).rstrip(b"="))
        exported = store.ledger.export(full=True)
        for path in held:
            if path not in (*keys, *own):
                assert not any(secret in path.read_bytes() for secret in secrets), path.name
        assert not any(secret in exported for secret in secrets)
    shared = [path for path in run.path.rglob("*") if path.is_file()]
    assert len(shared) > 5
    for path in shared:
        assert not any(secret in path.read_bytes() for secret in secrets), path.name


def unexplained(text: str) -> list[str]:
    """Security rules switched off in a line of source or settings that does not say why."""
    return [
        line.strip()
        for line in text.splitlines()
        if re.search(r"noqa:[^#(]*\bS\d{3}\b", line)
        and not re.search(r"noqa: [A-Z0-9, ]+[#(] ?\w", line)
    ]


def test_no_security_rule_is_switched_off_without_a_reason() -> None:
    assert unexplained("x = 1  # noqa: S608")
    assert unexplained("x = 1  # noqa: E501, S101")
    assert not unexplained("x = 1  # noqa: S608 (nothing in it comes from elsewhere)")
    assert not unexplained("x = 1  # noqa: S608  # a fixed list")
    assert findings(unexplained, sources()) == {}
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    off = {rule for rule in lint["ignore"] if re.fullmatch(r"S\d*", rule)}
    off |= {
        rule
        for rules in lint["per-file-ignores"].values()
        for rule in rules
        if re.fullmatch(r"S\d*", rule)
    }
    assert off <= {"S603", "S"}  # S: in tests alone
    assert [folder for folder, rules in lint["per-file-ignores"].items() if "S" in rules] == [
        "tests/**"
    ]
    for rule in off:
        (line,) = [
            line
            for line in text.splitlines()
            if line.strip().startswith(f'"{rule}",') and "security:" not in line
        ]
        assert re.search(r"# \w{3}", line), line


def test_what_a_change_has_to_pass_runs_the_security_rules() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    assert "make test" in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^test: lint\b", makefile, re.MULTILINE)
    assert re.search(r"^lint:.*\n\t\$\(BIN\)/ruff check \.$", makefile, re.MULTILINE)
