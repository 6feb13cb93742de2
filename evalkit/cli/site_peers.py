"""The cities with which a city makes secure sums: which keys are pinned, and the lines that pin more."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.cli.site_options import site_option

__all__ = ["peers"]


@click.command()
@site_option
@click.option(
    "--of",
    "others",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Another city's site file on this machine, whose key is to be pinned; may be repeated.",
)
@as_json_option
def peers(path: Path, others: tuple[Path, ...], as_json: bool) -> None:
    """Show which cities' keys are pinned for secure sums, or print the lines that pin further ones."""
    from evalkit.config import Policy
    from evalkit.disclosure.keys import public_text
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    policy = bench.site.policy or Policy()
    known = dict(sorted(policy.peers.items()))
    new: dict[str, str] = {}
    for other in map(open_bench, others):
        if other.site.name != bench.site.name:
            new[other.site.name] = public_text(other.store.identity())
    changed = sorted(name for name in new if known.get(name, new[name]) != new[name])
    if as_json:
        print_json(
            {
                "site": bench.site.name,
                "min_cities": policy.min_cities,
                "pinned": known,
                "new": new,
                "changed": changed,
            }
        )
        return
    say(f"{bench.site.name} makes secure sums over {policy.min_cities} cities or more.")
    for name, key in known.items():
        say(f"Pinned:   {name}  {key}")
    if not known:
        say("Pinned:   none, so that every secure sum is refused")
    for name in changed:
        say(f"Changed:  {name} has another key now than the pinned one: ask the city why")
    if new:
        say(
            "Put these lines into the site file, then build a panel or `evalkit site policy apply`:"
        )
        say()
        say("[policy.peers]")
        for name, key in sorted({**known, **new}.items()):
            say(f'{name} = "{key}"')
