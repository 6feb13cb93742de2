"""The ledger on the command line: listed, verified, exported, held against a run; and verified by whoever has it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.output import as_json_option, counted, print_json, say
from evalkit.cli.site_options import site_option

if TYPE_CHECKING:
    from evalkit.disclosure.ledger_lines import Chain
    from evalkit.federation.run_against_ledger import Compared

__all__ = ["ledger", "review_ledger"]


def _stripped(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """Without the spaces and line ends that come along when it is pasted."""
    return text.strip()


public_option = click.option(
    "--public-key",
    default="",
    callback=_stripped,
    help="The city's public key, as it was given by another way.",
)
since_option = click.option(
    "--since",
    default="",
    callback=_stripped,
    help="A head hash of before, which the ledger must still hold.",
)
against_option = click.option(
    "--against",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A run folder: are the city's releases in it in the ledger?",
)


@click.command()
@site_option
@click.option("--verify", is_flag=True, help="Say what was verified, and the head to write down.")
@public_option
@since_option
@against_option
@click.option(
    "--export",
    "export_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the ledger for others into this file; it verifies by itself.",
)
@click.option(
    "--full", is_flag=True, help="With --export: also what stays in the city, for its own auditors."
)
@as_json_option
def ledger(
    path: Path,
    verify: bool,
    public_key: str,
    since: str,
    against: Path | None,
    export_path: Path | None,
    full: bool,
    as_json: bool,
) -> None:
    """List what left the city and what was refused, and verify the ledger: chain, signatures and length."""
    from evalkit.report.files import write_all
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    if full and export_path is None:
        raise click.UsageError("--full belongs to --export")
    chain = bench.store.ledger.verify(public_key)
    if not (verify or public_key or since or against or export_path):
        _list(bench.site.name, chain.entries, as_json=as_json)
        return
    said = _checked(chain, bench.site.name, str(bench.store.ledger.path), since, against)
    if export_path is not None and chain.entries:
        write_all({export_path: bench.store.ledger.export(full=full)})
        said["export"] = str(export_path)
        said["closed_fields"] = full
    _say(said, as_json=as_json)


@click.command(name="ledger")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@public_option
@since_option
@against_option
@as_json_option
def review_ledger(
    file: Path, public_key: str, since: str, against: Path | None, as_json: bool
) -> None:
    """Verify a ledger that a city has exported into FILE, without any city's data.

    Compare the key it prints with the one that the city has given by another way, or give that as --public-key.
    """
    from evalkit.disclosure.ledger_export import read_export
    from evalkit.federation.run_against_ledger import site_of

    chain = read_export(file.read_bytes(), str(file), public_key)
    said = _checked(chain, site_of(chain.entries), str(file), since, against)
    _say({**said, "key_given": bool(public_key)}, as_json=as_json)


def _checked(
    chain: Chain, site: str, where: str, since: str, against: Path | None
) -> dict[str, Any]:
    """What a verified chain says, and whether it agrees with an earlier head and a run."""
    from evalkit.disclosure.ledger_export import number_of

    entries = chain.entries
    outcomes = [str(entry.get("outcome")) for entry in entries]
    said: dict[str, Any] = {
        "site": site,
        "verified": True,
        "lines": len(entries),
        "first": entries[0]["time"] if entries else None,
        "last": entries[-1]["time"] if entries else None,
        "outcomes": {one: outcomes.count(one) for one in sorted(set(outcomes))},
        "head": chain.head.hash,
        "public_key": chain.public or None,
    }
    if since:
        said["since"] = {"head": since, "number": number_of(chain, since, where)}
    if against is not None:
        from evalkit.federation.run_against_ledger import compare

        said["against"] = _compared(compare(against, site, entries), against)
    return said


def _compared(found: Compared, run: Path) -> dict[str, Any]:
    return {
        "run": str(run),
        "studies": list(found.studies),
        "releases": found.releases,
        "elsewhere": list(found.elsewhere),
    }


def _say(said: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(said)
        return
    if not said["lines"]:
        say("The ledger is empty: nothing has left this city.")
        return
    say(
        f"Verified: {counted(said['lines'], 'line')} of {said['site'] or 'a city'}, "
        f"{said['first'][:19]} to {said['last'][:19]} (UTC): "
        f"{', '.join(f'{number} {outcome}' for outcome, number in said['outcomes'].items())}"
    )
    say(f"Head:     {said['head']}")
    if "key_given" in said:
        whose = "as given" if said["key_given"] else "compare it with the city's own word"
        say(f"Key:      {said['public_key']} ({whose})")
    else:
        say(f"Key:      {said['public_key']}")
        say("          Write both down where nobody who can change the store can change them.")
    if "since" in said:
        say(
            f"Since:    the earlier head is line {said['since']['number']}; nothing before it changed"
        )
    if "against" in said:
        _say_against(said["against"])
    if "export" in said:
        what = (
            "with what stays in the city: for its own auditors"
            if said["closed_fields"]
            else "without what stays in the city: for anybody"
        )
        say(f"Export:   {said['export']}, {what}")
        say(f"          To verify it: evalkit review ledger {said['export']}")


def _say_against(found: Mapping[str, Any]) -> None:
    if found["releases"]:
        releases = counted(found["releases"], "release")
        say(
            f"Run:      {releases} of this city in {found['run']}, each in the ledger, byte for byte"
        )
    else:
        say(f"Run:      nothing of this city is in {found['run']}: there was nothing to compare")
    if found["elsewhere"]:
        numbers = ", ".join(map(str, found["elsewhere"]))
        say(
            f"          Released for the same studies and not in this run: line {numbers}. They are of another run, or "
            "of one that did not keep them"
        )
    else:
        say("          Nothing else was released for its studies")


def _list(site: str, entries: tuple[dict[str, Any], ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"site": site, "verified": True, "entries": list(entries)})
        return
    if not entries:
        say("The ledger is empty: nothing has left this city.")
        return
    for entry in entries:
        say(f"{entry['number']:>4} {entry['time'][:19]} {_line(entry)}")
    say(f"{counted(len(entries), 'entry', 'entries')}, chain verified.")


def _line(entry: Mapping[str, Any]) -> str:
    """One entry of whatever outcome."""
    asked = (
        f" {entry['estimator']}/{entry['stage']} round {entry['round']}"
        if {"estimator", "stage", "round"} <= entry.keys()
        else ""
    )
    what = ""
    if "release" in entry and "bytes" in entry:
        what = f": {entry['bytes']} bytes, SHA-256 {str(entry['release'])[:12]}…"
    elif entry.get("rules"):
        what = f": rules: {', '.join(entry['rules'])}"
    elif entry.get("officer"):
        what = f": {entry['officer']} ({entry.get('given')} of {entry.get('needed')})"
    study = f"study {str(entry.get('study', ''))[:12]}…" if entry.get("study") else ""
    return f"{entry.get('outcome', ''):<9} {study}{asked}{what}"
