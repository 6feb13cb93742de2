"""`review revoke`: a city has withdrawn; its run is made again without it and marked."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.output import as_json_option, print_json, say

if TYPE_CHECKING:
    from evalkit.cli.revoked import Mark
    from evalkit.cli.running import Plan
    from evalkit.core.study import Study
    from evalkit.disclosure.revocation import Revocation
    from evalkit.federation.run_folder import RunFolder
    from evalkit.workbench import Bench

__all__ = ["revoke"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--statement",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="What the city has written with `evalkit site revoke`.",
)
@click.option(
    "--site",
    "sites",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    help="Site file of a remaining city, which is asked where releases do not suffice; once for each.",
)
@click.option(
    "--public-key",
    default=None,
    help="The city's key, if it is not in roster.json, or is another now.",
)
@click.option("--no-pictures", is_flag=True, help="Draw nothing.")
@as_json_option
def revoke(
    folder: Path,
    file: Path,
    sites: tuple[Path, ...],
    public_key: str | None,
    no_pictures: bool,
    as_json: bool,
) -> None:
    """Make the run in FOLDER again without a city that has withdrawn, remove its releases, and mark the run.

    The signature is checked against the city's key in roster.json. The new run lies beside the old one and can be
    verified like any other.
    """
    from evalkit.cli.revoked import key_of, mark_of
    from evalkit.cli.verify_curve import is_curve
    from evalkit.core.study import study_hash
    from evalkit.disclosure.revocation import check_revocation
    from evalkit.federation.run_folder import RunFolder
    from evalkit.policy import PUBLIC_KEY

    run = RunFolder(folder)
    study = run.study()
    statement = _read(file)
    if public_key is not None:
        _check_key(public_key, PUBLIC_KEY)
    key = key_of(run, statement.site, public_key)
    check_revocation(statement, statement.site, key, study_hash(study))
    before = mark_of(run, study)
    _refuse_second(run, before, statement)
    todo = _Todo(
        run, study, statement, public_key, tuple(sites), not no_pictures, file, is_curve(run)
    )
    done = _run(todo, marked=before is not None)
    if as_json:
        print_json(done)
        return
    site = statement.site
    say(f"Withdrawn: {site}, on {statement.date}; the signature holds.")
    say(f"Marked:    {folder}; the releases of {site} are removed from it ({done['removed']}).")
    if done["new"] is not None:
        say(f"New run:   {done['new']}, without {site}; `evalkit review verify` recomputes it.")
    else:
        say(f"No new run yet: {done['why']}.")
        say(f"Then run:  {done['command']}")


@dataclass(frozen=True, slots=True)
class _Todo:
    run: RunFolder
    study: Study
    statement: Revocation
    public_key: str | None
    sites: tuple[Path, ...]
    pictures: bool
    file: Path
    curve: bool


def _read(file: Path) -> Revocation:
    from evalkit.disclosure.revocation import MOST_BYTES, read_revocation
    from evalkit.errors import ConfigError

    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"the statement cannot be read ({error.strerror})", where=str(file)
        ) from None
    return read_revocation(data)


def _check_key(given: str, pattern: str) -> None:
    import re

    from evalkit.errors import ConfigError

    if not re.fullmatch(pattern, given):
        raise ConfigError(
            "what is given as a public key is none",
            where="--public-key",
            limit="ed25519: and 43 letters, digits, - and _",
            way_out="copy it from `evalkit site key`",
        )


def _refuse_second(run: RunFolder, before: Mark | None, statement: Revocation) -> None:
    """A marked run is not the result any more: what another city says concerns the run that is."""
    from evalkit.errors import ConfigError

    if before is None or (before.new is None and before.statement.site == statement.site):
        return
    new = run.path.with_name(before.new) if before.new else None
    raise ConfigError(
        f"{before.statement.site} has withdrawn from this run before",
        where=str(run.path),
        way_out=f"name {new} instead"
        if new
        else f"make it again without {before.statement.site} first",
    )


def _run(todo: _Todo, *, marked: bool) -> dict[str, Any]:
    """Make the run again as far as that can be done now, then mark the old one."""
    from evalkit.cli.revoked import Mark, mark, new_path
    from evalkit.cli.verify_curve import verify_curve
    from evalkit.cli.verify_run import verify_run
    from evalkit.errors import EvalkitError, NeedsCitiesError
    from evalkit.runtimes.without import release_files

    run, site = todo.run, todo.statement.site
    if not marked:
        # what is made of an altered run would be altered too
        verify_curve(run, todo.study) if todo.curve else verify_run(run, todo.study)
    path = new_path(run, site)
    new: str | None = None
    why = ""
    try:
        _live(todo, path) if marked or todo.sites else _replayed(todo, path)
        new = path.name
    except NeedsCitiesError as error:
        why = error.what
    except EvalkitError as error:
        if todo.sites:
            raise  # nothing is marked yet, so it can be tried again
        why = error.what
    removed = len(release_files(run, site))
    made = Mark(todo.statement, new, todo.public_key)
    result = mark(run, made)
    if result is not None:
        _write_pages(run, result)
    _track(run, todo, made)
    return _told(todo, removed, path if new else None, why)


def _told(todo: _Todo, removed: int, new: Path | None, why: str) -> dict[str, Any]:
    named = ["--public-key", todo.public_key] if todo.public_key else []
    roster = todo.run.read("roster.json")
    rest = [site for site in roster["answered"] if site != todo.statement.site]
    files = [part for site in rest for part in ("--site", f"{site}.toml")]
    words = ["evalkit", "review", "revoke", str(todo.run.path), "--statement", str(todo.file)]
    return {
        "site": todo.statement.site,
        "date": todo.statement.date.isoformat(),
        "run": str(todo.run.path),
        "removed": removed,
        "new": None if new is None else str(new),
        "why": why,
        "command": None if new else shlex.join([*words, *named, *files]),
    }


def _replayed(todo: _Todo, path: Path) -> None:
    """From the releases of the other cities."""
    from evalkit.cli.curve import check_curve, write_curve_result
    from evalkit.cli.running import write_result
    from evalkit.runtimes.without import curve_without, run_without

    plan, site = _plan(todo, ()), todo.statement.site
    if todo.curve:
        found = check_curve(todo.study)
        made, outcomes, rounds = curve_without(todo.run, found, site, path)
        with _removed_on_error(path):
            _write_claim(plan, made)
            write_curve_result(plan, made, found, outcomes, rounds)
        return
    made, estimate = run_without(todo.run, todo.study, site, path)
    with _removed_on_error(path):
        _write_claim(plan, made)
        write_result(plan, made, estimate, withdrawn=_withdrawn(todo))


def _live(todo: _Todo, path: Path) -> None:
    """Ask the remaining cities; each one's gate is in force."""
    from evalkit.cli.curve import check_curve, write_curve_result
    from evalkit.cli.running import check_plan, write_result
    from evalkit.errors import ConfigError, NeedsCitiesError
    from evalkit.federation.run_folder import RunFolder
    from evalkit.runtimes.local import run_local, run_local_curve
    from evalkit.workbench import open_bench

    if not todo.sites:
        raise NeedsCitiesError(
            "its releases are removed already, and the remaining cities must answer again"
        )
    benches = [open_bench(site) for site in todo.sites]
    names = sorted(bench.site.name for bench in benches)
    rest = sorted(set(todo.run.read("roster.json")["answered"]) - {todo.statement.site})
    if names != rest:
        raise ConfigError(
            "the site files are not those of the remaining cities",
            where="--site",
            limit=", ".join(rest),
            way_out="name each of them once",
        )
    plan, stores = _plan(todo, benches), [bench.store for bench in benches]
    check_plan(plan)
    made = RunFolder.create(path, todo.study)
    with _removed_on_error(path):
        _write_claim(plan, made)
        if todo.curve:
            together = run_local_curve(made, stores)
            found = check_curve(todo.study)
            write_curve_result(plan, made, found, together.outcomes, together.rounds)
        else:
            estimate = run_local(made, stores)
            write_result(plan, made, estimate, withdrawn=_withdrawn(todo))


def _plan(todo: _Todo, benches: Sequence[Bench]) -> Plan:
    from evalkit.claims.claim import Claim
    from evalkit.cli.running import Plan
    from evalkit.cli.verify_run import read_as

    return Plan(
        todo.study,
        read_as(todo.run, "claim.json", Claim) if todo.study.claim else None,
        benches,
        todo.run.path.parent,
        tracking=False,
        pictures=todo.pictures,
        quiet=True,
        truth=None if todo.curve else todo.run.read("result.json").get("truth"),
    )


def _write_claim(plan: Plan, made: RunFolder) -> None:
    if plan.claim is not None:
        made.write("claim.json", plan.claim)


@contextlib.contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    """A folder that is not complete is no run."""
    try:
        yield
    except BaseException:
        shutil.rmtree(path)
        raise


def _withdrawn(todo: _Todo) -> dict[str, Any]:
    statement = todo.statement
    return {
        "site": statement.site,
        "date": statement.date.isoformat(),
        "run": todo.run.path.name,
    }


def _write_pages(run: RunFolder, result: dict[str, Any]) -> Sequence[Path]:
    from evalkit.report.page import write_pages

    return write_pages(result, run.path, draw=False)


def _track(run: RunFolder, todo: _Todo, made: Mark) -> None:
    """Mark the run in MLflow too, where it was tracked and MLflow is here."""
    from evalkit.tracking import DATABASE, mark_revoked

    if (run.path.parent / DATABASE).exists():
        mark_revoked(run.path.parent, todo.study.name, run.path.name, made.statement.site, made.new)
