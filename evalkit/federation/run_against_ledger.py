"""A run folder held against one city's ledger: did what it shows leave the city, and what else left for its studies?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from evalkit.core.study import study_hash
from evalkit.errors import BadMessageError, ConfigError, LedgerError
from evalkit.federation.run_folder import RunFolder

__all__ = ["Compared", "compare", "site_of"]

NAMED: Final = 5
"""Files that an error names; the rest is counted."""

SUFFIX: Final = ".release"


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found.

    Attributes:
        site: the city.
        studies: hashes of the run's study and of those kept below it (checks, specifications).
        releases: the city's releases in the run, all of them in the ledger with the same SHA-256.
        elsewhere: numbers of the ledger's lines of these studies whose release is not in this run: of another run, or
            of one that ended before it could keep it.
    """

    site: str
    studies: tuple[str, ...]
    releases: int
    elsewhere: tuple[int, ...]


def site_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """The city that a ledger's lines name; empty if none of them does."""
    return next((str(entry["site"]) for entry in reversed(entries) if entry.get("site")), "")


def compare(run: Path, site: str, entries: Sequence[Mapping[str, Any]]) -> Compared:
    """Hold a run's releases of one city against its ledger.

    Args:
        run: the folder of a run or of a specification curve.
        site: the city's name.
        entries: verified lines of its ledger, closed fields or not.

    Raises:
        LedgerError: a release of this city is not in the ledger with the same study and SHA-256.
        BadMessageError: a release file is missing, or not the bytes that the run folder lists.
        ConfigError: the folder is not a run.
    """
    released = {
        (str(entry.get("study")), str(entry.get("release")))
        for entry in entries
        if entry.get("outcome") == "released"
    }
    run = run.resolve()
    studies: list[str] = []
    found: set[tuple[str, str]] = set()
    unknown: list[str] = []
    number = 0
    for folder in _folders(run):
        study = study_hash(folder.study())
        studies.append(study)
        for name, digest in _releases(folder, site):
            number += 1
            found.add((study, digest))
            if (study, digest) not in released:
                unknown.append(str((folder.path / "releases" / name).relative_to(run)))
    if unknown:
        raise LedgerError(
            f"{len(unknown)} of {number} releases of {site} in the run are not in its ledger: "
            f"{', '.join(unknown[:NAMED])}{' and others' if len(unknown) > NAMED else ''}",
            where=str(run),
            limit="every release of the city in its ledger, with the same study and SHA-256",
            way_out="a release that the ledger does not hold was not made by this city's gate, or was made under "
            "another ledger",
        )
    elsewhere = tuple(
        int(entry["number"])
        for entry in entries
        if entry.get("outcome") == "released"
        and entry.get("study") in studies
        and (entry.get("study"), entry.get("release")) not in found
    )
    return Compared(site, tuple(dict.fromkeys(studies)), number, elsewhere)


def _folders(run: Path) -> Iterator[RunFolder]:
    """The run's folder and those kept below it."""
    RunFolder(run).study()  # whatever is no run is said to be none
    for listed in sorted(run.rglob("releases.json")):
        yield RunFolder(listed.parent)


def _releases(folder: RunFolder, site: str) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each release that says it is of this city, in its name or in its header."""
    recorded = folder.read("releases.json")
    if not isinstance(recorded, dict):
        raise ConfigError("releases.json is damaged", where=str(folder.path))
    kept = {path.name for path in (folder.path / "releases").glob(f"*{SUFFIX}")}
    for name in sorted({*recorded, *kept}):
        try:
            data = (folder.path / "releases" / Path(name).name).read_bytes()
        except OSError:
            raise _changed(name, "is missing", folder) from None
        digest = hashlib.sha256(data).hexdigest()
        if recorded.get(name) != digest:
            raise _changed(name, "is not the one that releases.json lists", folder)
        if name.endswith(f"-{site}{SUFFIX}") or _site_in(data) == site:
            yield name, digest


def _site_in(data: bytes) -> str:
    try:
        header = msgspec.json.decode(data.partition(b"\n")[0])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    return str(header.get("site", "")) if isinstance(header, dict) else ""


def _changed(name: str, how: str, folder: RunFolder) -> BadMessageError:
    return BadMessageError(
        f"the release {name} {how}",
        where=str(folder.path),
        limit="the bytes whose SHA-256 is in releases.json",
        way_out="ask whoever ran the study for the run folder again",
    )
