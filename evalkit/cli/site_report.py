"""The page for a city's people, made from the ledger: what left, what was refused, who had agreed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.output import as_json_option, counted, print_json, say
from evalkit.cli.site_options import site_option

if TYPE_CHECKING:
    from evalkit.federation.site_store import SiteStore
    from evalkit.report.community_content import Community

__all__ = ["community_in", "report"]


@click.command()
@site_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder for the pages.",
)
@as_json_option
def report(path: Path, out: Path, as_json: bool) -> None:
    """Write a page for the city's people, in three languages: what left, for which study, by whose leave."""
    from evalkit.report.community_page import write_community
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    found = community_in(bench.store, bench.site.city.title)
    pages = write_community(found, out)
    if as_json:
        print_json({"site": bench.site.name, "pages": list(map(str, pages)), **_plain(found)})
        return
    left = counted(len(found.answers), "answer left", "answers left")
    say(f"{bench.site.city.title}: {left}, {counted(found.refused, 'question')} refused")
    say(f"Page: {pages[0]} (also {', '.join(page.name for page in pages[1:])})")
    say(
        "It holds what the ledger does of studies, rules and sizes, and no count of the city's data."
    )


def community_in(store: SiteStore, title: str) -> Community:
    """A store's counted ledger, with the studies it names and how they stand.

    Raises:
        LedgerError: the ledger is broken.
        ConfigError: the stored policy or a stored study is damaged.
    """
    from evalkit.federation.desk import standing, stored_studies
    from evalkit.report.community_content import community_of

    chain = store.ledger.verify()
    named = {str(entry["study"]) for entry in chain.entries if entry.get("study")}
    known = {one.study: one for one in stored_studies(store)} if named else {}
    for study in named - known.keys():
        known[study] = standing(store, study)
    held = {*named, *(one.by for one in known.values() if one.by)}
    return community_of(
        title,
        chain.entries,
        studies={one: store.study(one) for one in held if store.holds(one)},
        standing={study: (one.how, one.by) for study, one in known.items()},
        head=chain.head.hash,
        key=chain.public,
    )


def _plain(found: Community) -> dict[str, Any]:
    """What the page counts, without the studies' own text."""
    return {
        "left": len(found.answers),
        "refused": found.refused,
        "numbers": found.numbers,
        "refusals": found.refusals,
        "studies": [
            {
                "hash": one.hash,
                "title": one.study.title if one.study else None,
                "how": one.how,
                "left": len(one.answers),
                "refused": one.refused,
                "signatures": [asdict(who) for who in one.signatures],
            }
            for one in found.studies
        ],
        "months": [asdict(month) for month in found.months],
        "leverage": found.leverage,
        "epsilon": found.epsilon,
        "lines": found.lines,
        "head": found.head,
        "public_key": found.key or None,
    }
