"""The researcher's room: write a study, check it, run it."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import unicodedata
from pathlib import Path
from typing import Final

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.cli.run_options import claim_of, plan_of, run_options
from evalkit.cli.study_cost import cost
from evalkit.cli.study_curve import curve
from evalkit.cli.study_power import power
from evalkit.config import load_study, parse_toml
from evalkit.core.discover import estimator
from evalkit.core.falsification import derived_of
from evalkit.core.settings import answers_with, check_askable, ignored_note, ignored_settings
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Matching, Study, Units, check_study, matching_of, study_hash
from evalkit.core.taxonomy import CRIME_TYPES, TAXONOMY
from evalkit.disclosure.questions import class_needed
from evalkit.errors import ConfigError

__all__ = ["command"]

TEMPLATE: Final = """\
# A study: what is asked, written down before anybody looks at data.
# Cities approve its hash: `evalkit study check` prints it. Any change gives a new hash.
name = "{name}"
title = {title}
claim = "cctv-review-2019"

[window]
start = {start}
end = {end}            # last day, included
period = "month"            # day, week, month or quarter; whole ones only

[units]
kind = "catchment"          # grid, hexagon, catchment, area or polygon
radius_m = 100.0            # treated: everywhere within this distance of a camera
ring_m = 200.0              # set apart: crime might move here; a list makes several rings
controls = "lattice"        # discs of the same size elsewhere, or "later_cameras"

[outcome]
taxonomy = "{taxonomy}"
# one or more of: {crime_types}
crime_types = ["robbery", "theft"]

[treatment]
transition = "drop"         # the go-live period is neither before nor after

[analysis]
estimator = "random_effects"    # each city its own effect, then pooled; or poisson_did, rate_ratio
first_stage = "poisson_did"
method = "REML"
interval = "knapp_hartung"

[federation]
quorum = 0                  # 0: every city must answer
small_cohorts = "coarsen"   # merge go-live periods with too few cameras; or "set_apart", "refuse"
"""


DAY: Final = click.DateTime(["%Y-%m-%d"])


@click.group(name="study")
def command() -> None:
    """Researchers: write a study, check it, run it over cities."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--title", default="What public cameras do to crime", show_default=True)
@click.option(
    "--start", type=DAY, default="2019-01-01", show_default=True, help="First day of the window."
)
@click.option(
    "--end", type=DAY, default="2022-12-31", show_default=True, help="Last day of the window."
)
def new(path: Path, title: str, start: dt.datetime, end: dt.datetime) -> None:
    """Write a new study file at PATH, with every choice explained."""
    if path.exists():
        raise ConfigError("the file exists already", where=str(path), way_out="choose another name")
    text = TEMPLATE.format(
        name=_short_name(path.stem),
        title=json.dumps(title, ensure_ascii=False),  # TOML's escapes are JSON's
        start=start.date(),
        end=end.date(),
        taxonomy=TAXONOMY,
        crime_types=", ".join(CRIME_TYPES),
    )
    study = check_study(parse_toml(text, Study, where=str(path)))  # no file that cannot be read
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    say(f"Wrote {path}. Edit it, then: evalkit study check {path}")
    say(f"Hash now: {study_hash(study)}")


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@as_json_option
def check(path: Path, as_json: bool) -> None:
    """Read a study, say what it means and what cities must allow, and print its hash."""
    study = load_study(path)
    claim = claim_of(study, path)
    check_askable(study)
    needed = class_needed(study, estimator(study.analysis.estimator))
    if as_json:
        print_json(
            {
                "name": study.name,
                "title": study.title,
                "hash": study_hash(study),
                "release_class": needed,
                "claim": claim.name if claim else None,
                "ignored": ignored_settings(study),
                "specifications": [one.hash for one in specifications_of(study)],
                "derived": [
                    {"kind": one.kind, "label": one.label, "hash": one.hash}
                    for one in derived_of(study)
                ],
                "study": study,
            }
        )
        return
    units = study.units
    where = {
        "grid": f"square cells of {units.cell_m:g} m, a buffer of {units.reach_m:g} m around cameras set apart",
        "catchment": f"{units.radius_m:g} m around cameras, {_rings(units)}, controls: {units.controls}",
        "hexagon": f"H3 hexagons of resolution {units.hexagon_resolution}, a buffer of {units.reach_m:g} m around "
        "cameras set apart",
        "area": "named areas",
        "polygon": f"polygons of the city's own, a buffer of {units.reach_m:g} m around cameras set apart",
    }[units.kind]
    say(f"Study:    {study.title} ({study.name})")
    say(f"Window:   {study.window.start} to {study.window.end} by {study.window.period}")
    say(f"Units:    {where}")
    say(f"Controls: {_controls(matching_of(study))}")
    say(f"Outcome:  {', '.join(study.outcome.crime_types)}")
    say(f"Analysis: {answers_with(study)}; cities must allow the release class {needed}")
    if study.federation.secure:
        say("Sums:     secure; nobody sees the numbers of one city, and every city must answer")
    ignored = ignored_note(study)
    if ignored:
        say(f"Ignored:  {ignored}")
    say(f"Claim:    {claim.title if claim else 'none'}")
    listed = specifications_of(study)
    if listed:
        say(f"Others:   {len(listed)} specifications, which approval of the hash covers")
    for one in derived_of(study):
        say(f"Checks:   {one.kind}, {one.label}; approval of the hash covers it")
    say(f"Hash:     {study_hash(study)}")


@command.command()
@run_options("Draw nothing.")
def run(
    path: Path,
    sites: tuple[Path, ...],
    out: Path,
    reuse_panels: bool,
    no_tracking: bool,
    no_pictures: bool,
    as_json: bool,
) -> None:
    """Run a study over cities on this machine, each behind its own gate and ledger."""
    from evalkit.cli.running import build_panels, print_result, run_study

    study = load_study(path)
    check_askable(study)
    plan = plan_of(
        study,
        path,
        sites,
        out=out,
        no_tracking=no_tracking,
        no_pictures=no_pictures,
        as_json=as_json,
    )
    ignored = ignored_note(study)
    if ignored and not as_json:
        say(f"Ignored:  {ignored}")
    if not reuse_panels:
        build_panels(plan)
    result = run_study(plan)
    if as_json:
        print_json(result)
    else:
        print_result(result)


def _controls(matching: Matching) -> str:
    """Which controls are kept, for people."""
    if matching.method == "none":
        return "all of them, not matched"
    caliper = matching.largest_distance
    within = "any distance" if math.isinf(caliper) else f"{caliper:g} standard deviations"
    again = "with" if matching.replacement else "without"
    return (
        f"up to {matching.ratio} for each treated unit, {matching.method} by {', '.join(matching.covariates)} "
        f"within {within}, {again} replacement"
    )


def _rings(units: Units) -> str:
    """Where the rings end, for people."""
    match [f"{radius:g}" for radius in units.rings_m]:
        case []:
            return "no ring"
        case [only]:
            return f"ring to {only} m set apart"
        case radii:
            return f"rings to {', '.join(radii[:-1])} and {radii[-1]} m set apart"


for one in (curve, power, cost):
    command.add_command(one)


def _short_name(stem: str) -> str:
    """A file's name as a study's: small letters without accents, digits, ``.``, ``_`` and ``-``."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_.-]+", "-", plain).strip("-_.")[:64] or "study"
