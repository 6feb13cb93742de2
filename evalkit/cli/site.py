"""The city analyst's room: describe the city's files, check them, build panels, see what would leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.cli.site_approve import commands as desk_commands
from evalkit.cli.site_budget import budget
from evalkit.cli.site_ledger import ledger
from evalkit.cli.site_options import site_option, study_option
from evalkit.cli.site_peers import peers
from evalkit.cli.site_policy import policy
from evalkit.cli.site_preview import preview
from evalkit.cli.site_report import report
from evalkit.cli.site_revoke import revoke
from evalkit.cli.site_treaty import treaty
from evalkit.errors import ConfigError

__all__ = ["command"]


@click.group(name="site")
def command() -> None:
    """City analysts: describe, check and build a city's data; see what would leave."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--recipe", help="Start from a shipped recipe, such as detroit or chicago-speed.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --recipe: the folder that holds the portal's files.",
)
@click.option("--name", help="Short name of the city: small letters, digits, - and _.")
@click.option("--title", help="The city's name as people write it.")
@click.option("--time-zone", help="IANA name, such as America/Bogota.")
@click.option("--incidents", type=click.Path(path_type=Path), help="The incident file.")
@click.option("--cameras", type=click.Path(path_type=Path), help="The camera file.")
@click.option("--all-as", help="Common crime type of every incident, for a file with one crime.")
@click.option("--yes", is_flag=True, help="Take every guess without asking.")
def init(path: Path, recipe: str | None, data: Path | None, yes: bool, **answers: Any) -> None:
    """Write a new site file at PATH: from a recipe, or by looking at the files and asking."""
    from evalkit.cli.site_init import from_files, from_recipe

    if path.exists():
        raise ConfigError("the file exists already", where=str(path), way_out="choose another name")
    if recipe:
        text = from_recipe(recipe, data)
    else:
        text = from_files(
            path, {key: value for key, value in answers.items() if value}, ask=not yes
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    say(f"Wrote {path}. Read it through, then: evalkit site check --site {path}")


@command.command()
@site_option
@click.option(
    "--study",
    "study_path",
    type=click.Path(path_type=Path),
    help="Show how many incidents lie in this study's zones; without it a trial study's.",
)
@click.option(
    "--no-pictures", is_flag=True, help="Draw nothing; the page is written without a map."
)
@as_json_option
def check(path: Path, study_path: Path | None, no_pictures: bool, as_json: bool) -> None:
    """Account for every row and look for what may be wrong. Everything it writes stays in the city."""
    from evalkit.cli.site_check import summary, write_pages
    from evalkit.config import load_study
    from evalkit.workbench import check_city, open_bench, read_city

    study = load_study(study_path) if study_path else None
    bench = open_bench(path)
    rows = read_city(bench)
    found = check_city(bench, rows, study)
    folder = bench.private / "check"
    pages = write_pages(found, bench, rows, folder, draw=not no_pictures)
    if as_json:
        print_json(found)
        return
    for line in summary(found):
        say(line)
    say(f"Page:     {pages[0]} (also {', '.join(page.name for page in pages[1:])})")
    say(f"Rejected: {folder}/rejected-*.csv. All of it stays in the city.")


@command.command()
@site_option
@study_option
@click.option("--no-pictures", is_flag=True, help="Draw nothing.")
@as_json_option
def panel(path: Path, study_path: Path, no_pictures: bool, as_json: bool) -> None:
    """Build the study's panel, and those its checks ask for, from the raw files; put them into the city's store."""
    from evalkit.cli.site_balance import balance_lines
    from evalkit.cli.site_check import draw_panel, panel_page
    from evalkit.config import load_study
    from evalkit.core.falsification import derived_of
    from evalkit.core.specifications import specifications_of
    from evalkit.core.study import study_hash
    from evalkit.workbench import open_bench, store_specifications, store_study

    bench, study = open_bench(path), load_study(study_path)
    built, for_checks = store_study(bench, study)
    without = store_specifications(bench, study) if specifications_of(study) else {}
    folder = bench.store.study_folder(study_hash(study))
    pictures = [] if no_pictures else draw_panel(built, study, bench.site.city.title, folder)
    page = panel_page(built, study, bench.site.city.title, folder, pictures)
    if as_json:
        print_json(
            {
                "site": bench.site.name,
                "study": study_hash(study),
                "units": built.panel.n_units,
                "periods": built.panel.n_periods,
                "account": built.account,
                "balance": list(built.balance),
                "notes": list(built.diagnostics.notes),
                "page": str(page),
                "pictures": [str(picture) for picture in pictures],
                "specifications_without_panel": without,
                "checks_without_panel": for_checks,
            }
        )
        return
    say(f"{bench.site.city.title}: {built.panel.n_units} units × {built.panel.n_periods} periods")
    width = max(map(len, built.account))
    for label, count in built.account.items():
        say(f"  {label.replace('_', ' '):<{width}}  {count:>10,}")
    for line in balance_lines(built.balance):
        say(line)
    for note in built.diagnostics.notes:
        say(f"Note: {note}")
    say(f"Stored in {folder}")
    derived = derived_of(study)
    if derived:
        say(
            f"Also stored: {len(derived) - len(for_checks)} of {len(derived)} studies that its checks ask for, which "
            "approval of its hash covers"
        )
    for one in derived:
        if one.hash in for_checks:
            say(f"Note: {one.kind}, {one.label}: cannot be answered here: {for_checks[one.hash]}")
    for digest, code in without.items():
        say(f"Note: the specification {digest[:12]}… cannot be built here: {code}")
    say(f"Page: {page}")
    for picture in pictures:
        say(f"Picture: {picture}")


for _one in (*desk_commands, peers, policy, preview, treaty, ledger, report, revoke, budget):
    command.add_command(_one)
