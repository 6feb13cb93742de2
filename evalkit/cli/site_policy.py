"""A city's policy on the command line: every rule in plain language, whether it holds together, put in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.output import as_json_option, counted, print_json, say
from evalkit.cli.site_options import site_option

if TYPE_CHECKING:
    from evalkit.disclosure.explained import Explained
    from evalkit.federation.desk import Standing
    from evalkit.policy import Policy
    from evalkit.workbench import Bench

__all__ = ["policy"]

GROUPS = {
    "who": "Who decides",
    "question": "What may be asked",
    "statistic": "What an answer must rest on",
    "noise": "Noise in tables of counts",
}

SET_BY = {"city": "set by the city", "treaty": "set by the treaty", "default": "default"}


@click.group()
def policy() -> None:
    """What may leave the city: explain, check, put in force."""


@policy.command(name="explain")
@site_option
@as_json_option
def explain_policy(path: Path, as_json: bool) -> None:
    """Every rule in plain language: its value, who set it, what it refuses; and what may be asked now."""
    from evalkit.disclosure.explained import explain
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    written, in_force, notes = _policies(bench)
    rules = explain(written, in_force) if written and in_force else ()
    studies = _studies(bench)
    if as_json:
        print_json(
            {
                "site": bench.site.name,
                "notes": notes,
                "rules": [asdict(one) for one in rules],
                "studies": [{**asdict(one), "approved": one.approved} for one in studies],
            }
        )
        return
    for line in _lines(bench, rules, studies, notes):
        say(line)


@policy.command()
@site_option
@as_json_option
def check(path: Path, as_json: bool) -> None:
    """Hold the policy against itself, its treaty and what is in force; a policy that refuses all is an error."""
    from evalkit.disclosure.explained import explain
    from evalkit.errors import ConfigError
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    in_force, problems = _problems(bench, path)
    if problems:
        raise ConfigError(
            f"nothing can leave the city: {'; '.join(problems)}",
            where=f"{path}, [policy]",
            way_out="`evalkit site policy explain` says what each rule does",
        )
    rules = explain(bench.site.policy or in_force, in_force)
    looser = [one for one in rules if one.than_default == "looser"]
    _, _, notes = _policies(bench)
    if as_json:
        print_json({"site": bench.site.name, "notes": notes, "looser": [one.key for one in looser]})
        return
    for note in notes:
        say(f"Note: {note}.")
    for one in looser:
        say(f"Looser than the default, {_value(one.default)}: {one.key}. {one.says}")
    say(
        "The policy holds together; "
        f"{counted(len(looser), 'limit is', 'limits are')} looser than the default."
    )


@policy.command(name="apply")
@site_option
def apply_policy(path: Path) -> None:
    """Put the site file's policy and its treaty in force without building a panel."""
    from evalkit.workbench import open_bench

    bench = open_bench(path)
    bench.store.write_site(bench.site)
    say(f"In force in {bench.store.folder} from the next question on.")
    if bench.site.policy is None:
        say("Note: the site file has no [policy], so that everything is refused.")


def _policies(bench: Bench) -> tuple[Policy | None, Policy | None, list[str]]:
    """The policy as written, with its treaty's limits, and what has to be said of the two.

    It is the stored one, which is in force; before anything is stored, the site file's.
    """
    import msgspec

    from evalkit.federation.site_store import TREATY

    site, stored = bench.site.policy, bench.store.written_policy()
    named = site and msgspec.structs.replace(site, treaty=TREATY if site.treaty else "")
    notes: list[str] = []
    if stored is None:
        if named is not None:
            notes.append(
                "nothing is in force yet: the policy below is the site file's, and takes effect when a panel is "
                "built, or by `evalkit site policy apply`"
            )
        return named, named, notes
    if stored != named:
        notes.append(
            "the site file has another policy than the one in force, which is shown; it takes effect when a panel "
            "is built, or by `evalkit site policy apply`"
        )
    in_force = bench.store.limits()
    if in_force.treaty:
        notes.append(
            "the store's copy of the treaty is not in force, so that everything is refused: `evalkit site treaty "
            "check` says what is missing, and `evalkit site policy apply` takes over signatures that have come since"
        )
    return stored, in_force, notes


def _studies(bench: Bench) -> tuple[Standing, ...]:
    from evalkit.federation.desk import stored_studies

    return stored_studies(bench.store) if bench.store.folder.is_dir() else ()


def _problems(bench: Bench, path: Path) -> tuple[Policy, list[str]]:
    """The site file's policy with its treaty's limits, and why nothing could leave, whatever is asked."""
    from evalkit.cli.site_treaty import open_treaty
    from evalkit.disclosure.questions import utc_today
    from evalkit.disclosure.treaty import under_treaty
    from evalkit.policy import Policy

    policy = bench.site.policy
    if policy is None:
        return Policy(), ["there is no policy"]
    found = []
    if policy.treaty:
        _, verdict, _ = open_treaty(path, None)
        found += [f"of the treaty, {problem}" for problem in verdict.problems]
        policy = under_treaty(policy, verdict.treaty)
    if not policy.crime_types:
        found.append("the city and its treaty allow no crime type together")
    if policy.expires is not None and utc_today() >= policy.expires:
        found.append(f"the policy expired on {policy.expires.isoformat()}")
    return policy, found


def _lines(
    bench: Bench,
    rules: tuple[Explained, ...],
    studies: tuple[Standing, ...],
    notes: list[str],
) -> Iterator[str]:
    from evalkit.cli.site_approve import standing_lines

    yield f"{bench.site.city.title}: what may leave"
    for note in notes:
        yield f"Note: {note}."
    if not rules:
        yield "There is no policy, so that nothing may leave."
    for group, title in GROUPS.items():
        members = [one for one in rules if one.group == group]
        if members:
            yield ""
            yield title
        for one in members:
            yield f"  {one.says}"
            yield f"      {one.key}: {_standing_of(one)}"
            yield f"      Refuses {one.refuses}."
            yield f"      Source of the default: {one.source}."
    yield ""
    yield "What may be asked now"
    for line in standing_lines(studies):
        yield f"  {line}"


def _standing_of(one: Explained) -> str:
    default = f"default {_value(one.default)}"
    match one.than_default:
        case "same":
            return "the default"
        case "stricter" | "looser":
            return f"{SET_BY[one.set_by]}, {one.than_default} than the {default}"
        case "different":
            return f"{SET_BY[one.set_by]}, neither stricter nor looser than the {default}"
        case _:
            return SET_BY[one.set_by]


def _value(value: object) -> str:
    from evalkit.disclosure.explained import shown

    return shown(tuple(value) if isinstance(value, list) else value)
