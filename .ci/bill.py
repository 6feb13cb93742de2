"""Write the software bill of materials and the page of dependencies: `make bill`.

docs/reference/bill-of-materials.json  CycloneDX 1.6: what `pip install evalkit` brings to a city, and what
                                       `evalkit[study]` brings to a researcher, from the locked environment.
docs/reference/dependencies.md         the same for people: version, licence, why.

Made on Linux. The same environment gives the same bytes: no time, no serial number, no path and no address in it.
"""

# ruff: noqa: INP001 (a script, no package)

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY: Final = Path(__file__).resolve().parents[1]
BILL: Final = REPOSITORY / "docs" / "reference" / "bill-of-materials.json"
PAGE: Final = REPOSITORY / "docs" / "reference" / "dependencies.md"

INSTALLS: Final[dict[str, tuple[str, ...]]] = {"city": (), "study": ("study",)}
"""What is installed where: extras of evalkit."""

CLASSIFIERS: Final = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",  # which of them the package does not say
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "MIT License": "MIT",
    "Public Domain": "Public Domain",
}

READ: Final = {
    "huey": "MIT",
    "matplotlib": "PSF-2.0",
    "protobuf": "BSD-3-Clause",
    "skops": "MIT",
}
"""Packages whose metadata name no licence, or another name of it: from the licence file that they install."""

ALLOWED: Final = {
    *(
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "0BSD",
        "Apache-2.0",
        "ISC",
    ),
    *("PSF-2.0", "Python-2.0", "Zlib", "CC0-1.0", "Public Domain"),
    "MPL-2.0",
}
"""Permissive licences, and MPL-2.0, whose duty ends at its own files."""


INTRODUCTION: Final = """\
# Dependencies

Written by `make bill` from the locked environment on Linux; do not edit. The same as a CycloneDX 1.6 bill of materials:
[bill-of-materials.json](bill-of-materials.json). Reasons are those of `pyproject.toml`, versions those of
`constraints.txt`; a test holds all four against one another, and every licence against a list: permissive ones, and
MPL-2.0, whose duty ends at its own files.
"""


def closure(extras: tuple[str, ...]) -> set[str]:
    """Names of everything that evalkit with these extras brings, on this machine."""
    seen: set[str] = set()
    done: set[tuple[str, frozenset[str]]] = set()
    queue = [("evalkit", frozenset(extras))]
    while queue:
        name, wanted = queue.pop()
        if (name, wanted) in done:
            continue
        done.add((name, wanted))
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in wanted | {""}
            ):
                further = str(canonicalize_name(needed.name))
                seen.add(further)
                queue.append((further, frozenset(needed.extras)))
    return seen - {"evalkit"}


def locked() -> dict[str, str]:
    """Name → version in constraints.txt."""
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = [line.partition(";")[0].strip().split("==") for line in lines if "==" in line]
    return {str(canonicalize_name(name)): version for name, version in pinned}


def licences_of(component: dict[str, Any]) -> list[str]:
    """SPDX names or expressions, as far as the package tells."""
    name = str(canonicalize_name(component["name"]))
    if name in READ:
        return [READ[name]]
    found = []
    for one in component.get("licenses", ()):
        about = one.get("license", {})
        text = one.get("expression") or about.get("id") or about.get("name") or ""
        found.append(CLASSIFIERS.get(text.rpartition(" :: ")[2], text))
    precise = [text for text in found if text != "BSD" or "BSD-" not in " ".join(found)]
    return list(dict.fromkeys(precise))


def is_allowed(licence: str) -> bool:
    """Whether each part of an expression is allowed; of alternatives one is enough."""
    return any(
        all(part.strip("() ") in ALLOWED for part in re.split(r"\bAND\b", alternative))
        for alternative in re.split(r"\bOR\b", licence)
    )


def bill(raw: dict[str, Any]) -> dict[str, Any]:
    """What is kept of the environment's bill: the components that are installed in a city or by a researcher."""
    installs = {name: closure(extras) for name, extras in INSTALLS.items()}
    pinned = locked()
    components = []
    for one in raw["components"]:
        name = str(canonicalize_name(one["name"]))
        where = [install for install, names in installs.items() if name in names]
        if not where:
            continue
        if pinned.get(name) != one["version"]:
            raise SystemExit(
                f"{name} {one['version']} is installed, constraints.txt has {pinned.get(name)}: "
                "run `make install` first"
            )
        components.append(
            {
                "bom-ref": name,
                "licenses": [_licence(text) for text in licences_of(one)],
                "name": name,
                "properties": [{"name": "evalkit:install", "value": place} for place in where],
                "purl": f"pkg:pypi/{name}@{one['version']}",
                "type": "library",
                "version": one["version"],
            }
        )
    names = {one["name"] for one in components}
    return {
        "$schema": raw["$schema"],
        "bomFormat": raw["bomFormat"],
        "specVersion": raw["specVersion"],
        "version": 1,
        "metadata": {
            "component": {
                **{key: raw["metadata"]["component"][key] for key in ("description", "licenses")},
                "bom-ref": "evalkit",
                "name": "evalkit",
                "type": "application",
                "version": raw["metadata"]["component"]["version"],
            },
            "properties": [{"name": "cdx:reproducible", "value": "true"}],
            "tools": {
                "components": [
                    {key: tool[key] for key in ("name", "type", "version")}
                    for tool in raw["metadata"]["tools"]["components"]
                ]
            },
        },
        "components": sorted(components, key=lambda one: one["name"]),
        "dependencies": _graph(raw, names | {"evalkit"}),
    }


def _licence(text: str) -> dict[str, Any]:
    """As CycloneDX has it: one identifier, an expression, or a name of one's own."""
    if " " in text and text not in ALLOWED:
        return {"expression": text}
    known = text not in {"BSD", "Public Domain"}
    return {"license": {"id" if known else "name": text}}


def _graph(raw: dict[str, Any], names: set[str]) -> list[dict[str, Any]]:
    def plain(reference: str) -> str:
        name = reference.partition("==")[0]
        return "evalkit" if name == "root-component" else str(canonicalize_name(name))

    found = []
    for one in raw["dependencies"]:
        if plain(one["ref"]) in names:
            needed = sorted({plain(name) for name in one.get("dependsOn", ())} & names)
            found.append({"ref": plain(one["ref"]), **({"dependsOn": needed} if needed else {})})
    return sorted(found, key=lambda one: str(one["ref"]))


def reasons() -> dict[str, str]:
    """Name of a direct dependency → why it is there, from the comments in pyproject.toml."""
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    listed = [*project["dependencies"], *extras["tracking"], *extras["figures"]]
    found = {}
    for requirement in listed:
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        found[str(canonicalize_name(Requirement(requirement).name))] = line.partition("# ")[2]
    return found


def page(content: dict[str, Any]) -> str:
    """The page of a bill."""
    why = reasons()
    needed_by: dict[str, list[str]] = {}
    for one in content["dependencies"]:
        for name in one.get("dependsOn", ()):
            if one["ref"] != "evalkit":
                needed_by.setdefault(name, []).append(one["ref"])
    parts: dict[str, list[str]] = {"city": [], "study": []}
    city = {
        one["name"]
        for one in content["components"]
        if any(entry["value"] == "city" for entry in one["properties"])
    }
    for one in content["components"]:
        places = {entry["value"] for entry in one["properties"]}
        licence = ", ".join(_text_of(entry) for entry in one["licenses"])
        by = [
            name for name in needed_by.get(one["name"], ()) if "city" not in places or name in city
        ]
        reason = why.get(one["name"]) or "needed by " + ", ".join(f"`{name}`" for name in by)
        row = f"| `{one['name']}` | {one['version']} | {licence} | {reason} |"
        parts["city" if "city" in places else "study"].append(row)
    head = "| package | version | licence | why |\n|---|---|---|---|\n"
    return (
        f"{INTRODUCTION}\n"
        f"## What a city installs ({len(parts['city'])} packages)\n\n{head}"
        + "\n".join(parts["city"])
        + "\n\n"
        f"## What `evalkit[study]` adds ({len(parts['study'])} packages)\n\n{head}"
        + "\n".join(parts["study"])
        + "\n"
    )


def _text_of(entry: dict[str, Any]) -> str:
    about = entry.get("license", {})
    return str(entry.get("expression") or about.get("id") or about.get("name"))


def main() -> None:
    """Write both files."""
    command = ["environment", "--spec-version", "1.6", "--output-reproducible", "--short-PURLs"]
    ended = subprocess.run(
        [
            str(Path(sys.executable).with_name("cyclonedx-py")),
            *command,
            *("--output-format", "JSON", "--pyproject", str(REPOSITORY / "pyproject.toml")),
            sys.executable,
        ],
        check=True,
        capture_output=True,
    )
    content = bill(json.loads(ended.stdout))
    BILL.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(content), encoding="utf-8")


if __name__ == "__main__":
    main()
