"""How much of a city's disclosure budget is spent, and which analyses are still open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from evalkit.cli.output import as_json_option, counted, print_json, say
from evalkit.cli.site_options import site_option

if TYPE_CHECKING:
    from evalkit.disclosure.audit import Spent
    from evalkit.federation.budget import Budget, Open

__all__ = ["budget"]

WIDTH: Final = 40
"""Characters of the bar."""

NAMED: Final = 3
"""Places that are named; where there are more, their number is."""


@click.command()
@site_option
@as_json_option
def budget(path: Path, as_json: bool) -> None:
    """Show how near all releases together come to a single place, and what each open study would add."""
    from evalkit.federation.budget import budget_of
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    found = budget_of(bench.store)
    if as_json:
        print_json({"site": bench.site.name, **_plain(found)})
        return
    for line in (f"{bench.site.city.title}: disclosure budget", *lines(found)):
        say(line)


def _plain(found: Budget) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(found)


def lines(found: Budget) -> list[str]:
    """The budget in words, a line each."""
    if found.spent is None:
        return [f"Everything is refused: {found.why}.", "Restore the store's folder audit."]
    share = found.spent.leverage / found.limit
    text = [
        f"  {bar(share)} {share:.0%} spent",
        f"  {found.spent.leverage:.3f} of what is unknown about a single place; refused from {found.limit:g} on",
        f"  {counted(found.releases, 'release')} of {counted(found.analyses, 'study', 'studies')}",
        f"  {found.spent.sets} different sums over {found.spent.known} places were told",
    ]
    if found.spent.leverage:
        text += _nearest(found.spent)
    if found.epsilon or found.epsilon_total:
        text.append(
            f"  noise: a loss of privacy of {found.epsilon:g} of {found.epsilon_total:g} (ε)"
        )
    text.append("Studies that are approved:" if found.open else "No stored study is approved.")
    return text + [_line(one, found.limit) for one in found.open]


def bar(share: float) -> str:
    """A bar of fixed width, full at 1."""
    full = min(WIDTH, round(share * WIDTH))
    return f"[{'#' * full}{'.' * (WIDTH - full)}]"


def _nearest(spent: Spent) -> list[str]:
    kind = "with a camera" if spent.treated else "without a camera"
    number = len(spent.places)
    names = ": " + "; ".join(spent.places) if number <= NAMED else ""
    return [
        f"  nearest to being told: {number} {'place' if number == 1 else 'places'} {kind}{names}",
        f"  they are in {', '.join(spent.pieces)}",
    ]


def _line(one: Open, limit: float) -> str:
    if one.leverage is None:
        return f"  cannot be answered  {one.name} {one.study[:12]}… ({one.why})"
    mark = "answered before" if one.asked and one.admitted else "open"
    if not one.admitted:
        mark = "REFUSED"
    name = f"{one.name} {one.study[:12]}…"
    return f"  {mark:<18}  {name}: {one.leverage:.3f} afterwards, {one.leverage / limit:.0%} of the limit"
