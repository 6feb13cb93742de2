"""The release desk on the command line: keys, approvals by officers, and what is approved."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.output import as_json_option, counted, print_json, say
from evalkit.cli.site_options import site_option

if TYPE_CHECKING:
    from evalkit.core.study import Study
    from evalkit.disclosure.approvals import Approval
    from evalkit.disclosure.keys import PrivateKey
    from evalkit.federation.desk import Standing
    from evalkit.policy import Policy
    from evalkit.workbench import Bench

__all__ = ["commands", "standing_lines"]

CLASS_WORDS = {
    "estimate": "this city's effect, its variance and what tells how alike its places are",
    "masked_sum": "sums over cities only; this city's part is masked",
    "statistics": "this city's own sums over groups of places, from which the effect is computed",
    "table": "counts of incidents by group and time",
}
"""Release class → what leaves, for an officer."""

key_option = click.option(
    "--key",
    "key_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The officer's private key; default: NAME.pem in the folder officers of <name>.private.",
)


@click.command()
@site_option
@as_json_option
def key(path: Path, as_json: bool) -> None:
    """Show the city's own public key, for treaties and other cities' policies; make it if there is none."""
    from evalkit.disclosure.keys import public_text
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    bench.store.make_identity()
    public = public_text(bench.store.identity())
    if as_json:
        print_json({"site": bench.site.name, "public": public})
        return
    say(f'{bench.site.name} = "{public}"')


@click.command()
@click.argument("name")
@site_option
@key_option
@click.option(
    "--no-passphrase", is_flag=True, help="Protect the key by the file's permissions alone."
)
@as_json_option
def officer(
    name: str, path: Path, key_path: Path | None, no_passphrase: bool, as_json: bool
) -> None:
    """Make the key of the officer NAME and print the line for [policy.officers]."""
    from evalkit.disclosure.keys import make_key, public_text
    from evalkit.policy import is_name
    from evalkit.workbench import open_bench

    if not is_name(name):
        from evalkit.errors import ConfigError

        raise ConfigError(
            "an officer's name is not written as it must be",
            where="NAME",
            limit="up to 64 small letters, digits, _ and -, first a letter or digit",
            way_out="choose another",
        )
    file = key_path or _key_file(open_bench(path), name)
    passphrase = ""
    if not no_passphrase and not file.exists():
        passphrase = click.prompt(
            "Passphrase of the new key", hide_input=True, confirmation_prompt=True, err=True
        )
    public = public_text(make_key(file, passphrase))
    if as_json:
        print_json({"officer": name, "public": public, "key": str(file)})
        return
    say(f"Wrote {file}. It is {name}'s own: keep it, and let nobody else have it.")
    say("Add this line to the site file, then build a panel or `evalkit site policy apply`:")
    say()
    say("[policy.officers]")
    say(f'{name} = "{public}"')


@click.command()
@site_option
@click.option(
    "--study",
    "study_path",
    type=click.Path(path_type=Path),
    required=True,
    help="The study's file, as the researcher sent it.",
)
@click.option("--officer", "name", required=True, help="Who approves, as in [policy.officers].")
@key_option
@click.option(
    "--expires",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day on which the approval does not hold any more.",
)
@click.option("--yes", is_flag=True, help="Sign without asking.")
@click.option("--withdraw", "take_back", is_flag=True, help="Withdraw the officer's approval.")
@as_json_option
def approve(
    path: Path,
    study_path: Path,
    name: str,
    key_path: Path | None,
    expires: dt.datetime | None,
    yes: bool,
    take_back: bool,
    as_json: bool,
) -> None:
    """Show what a study asks and lets out, and sign it for the officer; the site file's policy takes effect."""
    from evalkit.config import load_study
    from evalkit.core.study import study_hash
    from evalkit.federation.desk import approve as sign
    from evalkit.federation.desk import propose, withdraw
    from evalkit.workbench import open_bench

    bench, study = open_bench(path), load_study(study_path)
    digest = study_hash(study)
    if take_back:
        _confirm(f"Withdraw {name}'s approval of {study.name}?", yes=yes)
        _tell(withdraw(bench.store, digest, name), bench, f"{name} has withdrawn it", as_json)
        return
    bench.store.write_site(bench.site)
    approval = propose(bench.store, study, name, expires=expires.date() if expires else None)
    if not as_json:
        for line in _shown(bench, study, approval, bench.store.limits()):
            say(line)
    _confirm(f"Sign this as {name}?", yes=yes)
    private = _load(key_path or _key_file(bench, name))
    bench.store.write_study(bench.site, study)
    standing = sign(bench.store, approval, private)
    _tell(standing, bench, f"{name} has approved it", as_json)


@click.command()
@site_option
@as_json_option
def approvals(path: Path, as_json: bool) -> None:
    """List every study in the city's store with who approved it, and why an approval does not count."""
    from evalkit.federation.desk import stored_studies
    from evalkit.workbench import open_bench

    store = open_bench(path).store
    judged, studies = store.approvals(), stored_studies(store)
    if as_json:
        print_json(
            {
                "site": store.name,
                "studies": [{**_plain(one), "approved": one.approved} for one in studies],
                "approvals": [
                    {
                        "study": one.study,
                        "officer": one.officer,
                        "valid": one.valid,
                        "reason": one.reason,
                        "approval": one.approval,
                    }
                    for one in judged
                ],
            }
        )
        return
    for line in standing_lines(studies):
        say(line)
    for one in judged:
        if not one.valid:
            say(f"Does not count: {one.officer}, study {one.study[:12]}…: {one.reason}")


commands = (key, officer, approve, approvals)


def standing_lines(studies: tuple[Standing, ...]) -> Iterator[str]:
    """A line for each study that is not covered by another one's approval; the covered ones are counted."""
    if not studies:
        yield "No study is stored, and none approved."
    for one in studies:
        if one.how == "covered":
            continue
        covers = sum(other.by == one.study for other in studies)
        also = f", with {counted(covers, 'study', 'studies')} that it covers" if covers else ""
        yield f"{one.name or 'not stored'} {one.study[:12]}…: {_in_words(one)}{also}"


def _in_words(one: Standing) -> str:
    until = f" until {one.until.isoformat()} (UTC)" if one.until else ""
    signed = ", ".join(one.given)
    match one.how:
        case "officers":
            return f"approved by {signed}{until}"
        case "listed":
            return f"approved by listing it in [policy] studies{until}"
        case "revoked":
            return "NOT approved: the city has withdrawn from it (rule revoked)"
        case "any":
            return f'approved, as the policy approves any study (studies = ["any"]){until}'
        case "covered":
            return f"approved with {one.by[:12]}…{until}"
        case _ if one.needed:
            missing = max(one.needed - len(one.given), 0)
            who = f"signed by {signed}; " if signed else ""
            return (
                f"NOT approved: {who}{counted(missing, 'signature')} missing"
                if missing
                else f"NOT approved: {who}the policy refuses it"
            )
        case _:
            return "NOT approved"


def _shown(bench: Bench, study: Study, approval: Approval, limits: Policy) -> Iterator[str]:
    """What is signed, in words."""
    from evalkit.core.falsification import derived_of
    from evalkit.core.specifications import specifications_of
    from evalkit.disclosure.explained import explain

    yield f"{bench.site.city.title}: approval of the study {study.name}"
    yield f"  {study.title}"
    yield f"  hash       {approval.study}"
    window = study.window
    yield f"  window     {window.start} to {window.end}, by {window.period}"
    yield f"  units      {_units(study)}"
    hours = study.outcome.hours
    band = f", from {hours[0]}:00 to {hours[1]}:00" if hours else ""
    yield f"  crimes     {', '.join(study.outcome.crime_types)}{band}"
    analysis = study.analysis
    first = f" over {analysis.first_stage}" if analysis.estimator == "random_effects" else ""
    yield f"  estimator  {analysis.estimator}{first}"
    yield f"  leaves     {approval.release_class}: {CLASS_WORDS[approval.release_class]}"
    specifications, derived = len(specifications_of(study)), len(derived_of(study))
    together = specifications + derived
    if together > limits.max_specifications:
        yield f"  covers     itself only: its {together} variants are more than the policy allows"
    elif together:
        parts = [
            counted(specifications, "specification") if specifications else "",
            f"{counted(derived, 'study', 'studies')} for its checks" if derived else "",
        ]
        yield f"  covers     also {' and '.join(part for part in parts if part)}"
    if approval.expires:
        yield f"  until      {approval.expires} (UTC)"
    yield "Under these rules; if one changes, the approval does not hold any more:"
    for one in explain(bench.store.written_policy() or limits, limits):
        if one.group != "who":
            yield f"  {one.says}"


def _units(study: Study) -> str:
    units = study.units
    match units.kind:
        case "grid":
            return f"cells of {units.cell_m:g} m"
        case "hexagon":
            return f"hexagons of H3 resolution {units.hexagon_resolution}"
        case "catchment":
            return f"{units.radius_m:g} m around cameras"
        case "area":
            return "named areas"
        case _:
            return "the city's polygons"


def _tell(standing: Standing, bench: Bench, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"site": bench.site.name, **_plain(standing), "approved": standing.approved})
        return
    say(f"{what}. {standing.name or 'The study'}: {_in_words(standing)}.")


def _plain(standing: Standing) -> dict[str, object]:
    from dataclasses import asdict

    return asdict(standing)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True, err=True)


def _key_file(bench: Bench, name: str) -> Path:
    return bench.private / "officers" / f"{name}.pem"


def _load(file: Path) -> PrivateKey:
    """The private key, with its passphrase if it has one."""
    from evalkit.disclosure.keys import load_key

    try:
        encrypted = b"ENCRYPTED" in file.read_bytes()[:100]
    except OSError:
        encrypted = False
    asked = (
        click.prompt(f"Passphrase of {file.name}", hide_input=True, err=True) if encrypted else ""
    )
    return load_key(file, asked)
