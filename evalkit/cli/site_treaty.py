"""A federation treaty on the command line: what it says, this city's signature, and whether it is in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.cli.site_options import site_option

if TYPE_CHECKING:
    from evalkit.disclosure.treaty import Treaty, Verdict
    from evalkit.workbench import Bench

__all__ = ["open_treaty", "treaty"]

treaty_option = click.option(
    "--treaty",
    "treaty_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The treaty's file; default: the one that [policy] treaty names.",
)


@click.group()
def treaty() -> None:
    """Limits that several cities agree on: read, sign, check."""


@treaty.command()
@site_option
@treaty_option
@as_json_option
def show(path: Path, treaty_path: Path | None, as_json: bool) -> None:
    """Say what a treaty holds, who has signed it, and which limits it would tighten here."""
    bench, verdict, _ = open_treaty(path, treaty_path)
    if as_json:
        _print(bench, verdict)
        return
    for line in _lines(bench, verdict):
        say(line)


@treaty.command()
@site_option
@treaty_option
@click.option("--yes", is_flag=True, help="Sign without asking.")
@as_json_option
def sign(path: Path, treaty_path: Path | None, yes: bool, as_json: bool) -> None:
    """Sign a treaty with the city's own key; the signature is written beside the treaty's file."""
    from evalkit.disclosure.keys import canonical
    from evalkit.disclosure.treaty import read_signatures, sign_treaty, signatures_file

    bench, verdict, file = open_treaty(path, treaty_path)
    if not as_json:
        for line in _lines(bench, verdict):
            say(line)
    if not yes:
        click.confirm(f"Sign this for {bench.site.name}?", abort=True, err=True)
    target = signatures_file(file)
    before = read_signatures(target.read_bytes()) if target.exists() else {}
    signed = sign_treaty(verdict.treaty, before, bench.site.name, bench.store.identity())
    target.write_bytes(canonical(signed) + b"\n")
    if bench.site.policy is not None and bench.site.policy.treaty == str(file.resolve()):
        bench.store.write_site(bench.site)
    _, after, _ = open_treaty(path, treaty_path)
    if as_json:
        _print(bench, after)
        return
    say(f"Signed: {target}. Send it to the other members with the treaty.")
    for problem in after.problems:
        say(f"Not in force yet: {problem}.")


@treaty.command()
@site_option
@treaty_option
@as_json_option
def check(path: Path, treaty_path: Path | None, as_json: bool) -> None:
    """Say whether a treaty is in force here; anything else than yes is an error."""
    from evalkit.errors import SignatureError

    bench, verdict, file = open_treaty(path, treaty_path)
    if not verdict.in_force:
        raise SignatureError(
            f"the treaty is not in force: {'; '.join(verdict.problems)}",
            where=str(file),
            limit="every member's signature, this city among them, and a day before it expires",
            way_out="get the missing signatures; until then a policy that names it refuses everything",
        )
    if as_json:
        _print(bench, verdict)
        return
    say(f"The treaty {verdict.treaty.name} is in force until {verdict.treaty.expires} (UTC).")


def open_treaty(path: Path, treaty_path: Path | None) -> tuple[Bench, Verdict, Path]:
    """The city, whether the treaty is in force there, and the treaty's file.

    Raises:
        ConfigError: no treaty is named, or it cannot be read.
    """
    from evalkit.disclosure.keys import public_text
    from evalkit.disclosure.questions import utc_today
    from evalkit.disclosure.treaty import (
        judge_treaty,
        parse_treaty,
        read_signatures,
        signatures_file,
    )
    from evalkit.errors import ConfigError
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    named = bench.site.policy.treaty if bench.site.policy else ""
    if treaty_path is None and not named:
        raise ConfigError(
            "the policy names no treaty",
            where=f"{path}, [policy]",
            way_out='add treaty = "FILE.toml", or give --treaty',
        )
    file = treaty_path or Path(named)
    bench.store.make_identity()
    data = _bytes_of(file, "treaty")
    beside = signatures_file(file)
    raw = _bytes_of(beside, "file of the treaty's signatures") if beside.exists() else b""
    signatures = read_signatures(raw)
    if not signatures and raw.strip() not in (b"", b"{}"):
        raise ConfigError(
            "the file of the treaty's signatures is damaged",
            where=str(beside),
            limit="a JSON object, city = signature, as `evalkit site treaty sign` writes it",
            way_out="ask the member who sent it for the file again; without it all members sign anew",
        )
    verdict = judge_treaty(
        parse_treaty(data, where=str(file)),
        signatures,
        site=bench.site.name,
        public=public_text(bench.store.identity()),
        today=utc_today(),
    )
    return bench, verdict, file


def _bytes_of(file: Path, what: str) -> bytes:
    from evalkit.errors import ConfigError

    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the {what} cannot be read ({error.strerror})",
            where=str(file),
            way_out="check the path",
        ) from None


def _lines(bench: Bench, verdict: Verdict) -> Iterator[str]:
    from evalkit.disclosure.explained import shown

    treaty = verdict.treaty
    yield f"Treaty {treaty.name}, until {treaty.expires} (UTC)"
    for city, public in treaty.members.items():
        yield f"  {'signed    ' if city in verdict.signed else 'not signed'}  {city}  {public}"
    effects = _effects(bench, treaty)
    for key, value, effect in effects:
        yield f"  {key} = {shown(tuple(value) if isinstance(value, list) else value)}: {effect}"
    if not effects:
        yield "  It sets no limit."
    for problem in verdict.problems:
        yield f"Not in force: {problem}."


def _effects(bench: Bench, treaty: Treaty) -> list[tuple[str, object, str]]:
    """Each limit of the treaty and what it does to this city's policy."""
    from evalkit.disclosure.explained import shown
    from evalkit.disclosure.treaty import under_treaty
    from evalkit.policy import Policy

    ours = bench.site.policy or Policy()
    joint = under_treaty(ours, treaty)
    return [
        (
            key,
            value,
            f"tightens this city's {shown(getattr(ours, key))}"
            if getattr(joint, key) != getattr(ours, key)
            else f"this city's {shown(getattr(ours, key))} is as strict",
        )
        for key, value in treaty.limits.items()
    ]


def _print(bench: Bench, verdict: Verdict) -> None:
    treaty = verdict.treaty
    print_json(
        {
            "site": bench.site.name,
            "treaty": treaty,
            "signed": list(verdict.signed),
            "in_force": verdict.in_force,
            "problems": list(verdict.problems),
            "effects": [
                {"key": key, "value": value, "effect": effect}
                for key, value, effect in _effects(bench, treaty)
            ],
        }
    )
