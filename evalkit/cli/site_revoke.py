"""A city withdraws from a study, or from all, and says so in a signed file."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.cli.site_options import site_option

__all__ = ["revoke"]


@click.command()
@site_option
@click.option(
    "--study",
    "study_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The study to withdraw from.",
)
@click.option("--all", "everything", is_flag=True, help="Withdraw from every study.")
@click.option("--reason", default="", help="In the city's own words; it is in the statement.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the statement; default: revocation-SITE.json here.",
)
@click.option("--undo", is_flag=True, help="Take a revocation back.")
@as_json_option
def revoke(
    path: Path,
    study_path: Path | None,
    everything: bool,
    reason: str,
    out: Path | None,
    undo: bool,
    as_json: bool,
) -> None:
    """Withdraw the city from a study: it answers nothing more, and its results are to be made without it.

    The statement is signed with the city's own key. Send it to whoever ran the study: `evalkit review revoke` makes
    the result again without the city.
    """
    from evalkit.config import load_study
    from evalkit.disclosure.revocation import revocation_bytes
    from evalkit.errors import ConfigError
    from evalkit.federation.withdrawal import reinstate, withdraw_from
    from evalkit.workbench import open_bench

    if everything == (study_path is not None):
        raise ConfigError(
            "it is not said what to withdraw from",
            limit="either --study FILE or --all",
            way_out="name one of them",
        )
    bench = open_bench(path)
    study = load_study(study_path) if study_path else None
    what = "all studies" if study is None else f"the study {study.name}"
    if undo:
        reinstate(bench.store, study)
        if as_json:
            print_json({"site": bench.site.name, "study": study.name if study else "all"})
            return
        say(
            f"{bench.site.name} takes part in {what} again, as far as its policy and approvals let it."
        )
        return
    target = out or Path(f"revocation-{bench.site.name}.json")
    try:
        file = target.open("xb")
    except OSError as error:
        raise ConfigError(
            f"the statement cannot be written ({error.strerror})",
            where=str(target),
            way_out="choose another file with --out",
        ) from None
    try:
        statement = withdraw_from(bench.store, study, reason)
    except BaseException:
        file.close()
        target.unlink()
        raise
    with file:
        file.write(revocation_bytes(statement))
    if as_json:
        print_json(
            {
                "site": statement.site,
                "studies": list(statement.studies),
                "date": statement.date.isoformat(),
                "key": statement.key,
                "file": str(target),
            }
        )
        return
    say(
        f"{statement.site} has withdrawn from {what}. Its ledger says so, and it answers nothing more."
    )
    say(f"Statement: {target}, signed with {statement.key}")
    say("Send it to whoever ran the study. They run: evalkit review revoke RUN --statement FILE")
