"""A run from which a city has withdrawn: how it is marked, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import msgspec

from evalkit.cli.verify_curve import CURVE
from evalkit.core.study import Study, study_hash
from evalkit.disclosure.revocation import Revocation, check_revocation
from evalkit.errors import BadMessageError, ConfigError, EvalkitError, WithdrawnError
from evalkit.federation.run_folder import RunFolder
from evalkit.runtimes.without import release_files

__all__ = ["REVOKED", "Mark", "key_of", "mark", "mark_of", "new_path", "refuse_withdrawn"]

REVOKED: Final = "revoked.json"


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``revoked.json`` holds: the city's statement, and the name of the run that was made without the city.

    ``key`` is the one the signature was checked with, where it is not that of the run's roster.
    """

    statement: Revocation
    new: str | None = None
    key: str | None = None


def key_of(run: RunFolder, site: str, given: str | None) -> str:
    """The public key that a city had when the study ran.

    Raises:
        ConfigError: the city is not in the run, or the run does not know its key and none is given.
    """
    roster = run.read("roster.json")
    if not isinstance(roster, dict) or site not in roster.get("answered", ()):
        raise ConfigError(
            f"{site} is not in this run",
            where=str(run.path),
            limit=", ".join(roster.get("answered", ())) if isinstance(roster, dict) else None,
            way_out="name the run that the revocation is about",
        )
    found = given or roster.get("keys", {}).get(site)
    if not isinstance(found, str):
        raise ConfigError(
            f"the run does not know the public key of {site}",
            where=str(run.path / "roster.json"),
            limit="a key with which the signature can be checked",
            way_out="ask the city for its key (`evalkit site key`), by a way you trust, and name it with --public-key",
        )
    return found


def mark_of(run: RunFolder, study: Study) -> Mark | None:
    """The mark of a run, checked; None without one.

    Raises:
        BadMessageError: it is none, or not signed by a city of the run.
        ConfigError: it cannot be read.
    """
    if not (run.path / REVOKED).exists():
        return None
    try:
        found = msgspec.convert(run.read(REVOKED), type=Mark)
        key = key_of(run, found.statement.site, found.key)
        check_revocation(found.statement, found.statement.site, key, study_hash(study))
    except (msgspec.ValidationError, EvalkitError):
        raise BadMessageError(
            f"{REVOKED} holds no revocation of a city in this run",
            where=str(run.path),
            way_out="ask whoever ran the study for the run folder again",
        ) from None
    return found


def refuse_withdrawn(run: RunFolder, study: Study) -> None:
    """Say that a city has withdrawn from the run, and where the result without it is.

    Raises:
        WithdrawnError: one has.
        BadMessageError: see `mark_of`.
    """
    found = mark_of(run, study)
    if found is None:
        return
    site = found.statement.site
    raise WithdrawnError(
        f"{site} withdrew on {found.statement.date}, with a signature that holds: this run is the result no more, and "
        f"the releases of {site} are not in it",
        where=str(run.path),
        way_out=f"verify {run.path.with_name(found.new)}, which is without {site}"
        if found.new
        else "`evalkit review revoke` with the site files of the remaining cities makes it again",
    )


def mark(run: RunFolder, made: Mark) -> dict[str, Any] | None:
    """Mark a run and remove what the city sent: its releases, its row in the results, and pictures of it.

    The hashes of its releases stay, so that its ledger can still be held against them.

    Returns:
        What ``result.json`` holds now; None for a curve.
    """
    site = made.statement.site
    run.write(REVOKED, made)
    for file in release_files(run, site):
        file.unlink()
    for folder in sorted(run.path.rglob("figures")):
        shutil.rmtree(folder)
    for file in sorted(run.path.rglob("estimate.json")):
        holder = RunFolder(file.parent)
        holder.write("estimate.json", _without_row(holder.read("estimate.json"), site))
    revoked = {
        "site": site,
        "date": made.statement.date.isoformat(),
        "reason": made.statement.reason,
        "new": made.new,
    }
    for file in sorted(run.path.rglob("result.json")):
        holder = RunFolder(file.parent)
        holder.write("result.json", _marked(holder.read("result.json"), site, revoked))
    if (run.path / CURVE).exists():
        (run.path / "curve.html").unlink(missing_ok=True)
        run.write(CURVE, {**run.read(CURVE), "revoked": revoked})
        return None
    result: dict[str, Any] = run.read("result.json")
    return result


def _marked(result: dict[str, Any], site: str, revoked: dict[str, Any]) -> dict[str, Any]:
    result["estimate"] = _without_row(result["estimate"], site)
    result["across"] = None
    result["derived"] = [
        {**row, "estimate": _without_row(row["estimate"], site)} for row in result["derived"]
    ]
    result["revoked"] = revoked
    result["files"] = {name: path for name, path in result["files"].items() if name != "picture"}
    return result


def _without_row(estimate: dict[str, Any] | None, site: str) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {
        **estimate,
        "sites": [row for row in estimate["sites"] if row["site"] != site],
        "details": {
            name: value
            for name, value in estimate["details"].items()
            if not name.endswith(f"_{site}")
        },
    }


def new_path(run: RunFolder, site: str) -> Path:
    """Beside the run; with a number where that is taken."""
    path, number = run.path.with_name(f"{run.path.name}-without-{site}"), 1
    while path.exists():
        number += 1
        path = run.path.with_name(f"{run.path.name}-without-{site}-{number}")
    return path
