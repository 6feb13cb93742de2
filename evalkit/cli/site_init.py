"""New site files: from a shipped recipe, or by looking at a city's files and asking its analyst.

Everything happens on the analyst's machine. What the files hold is shown on the terminal and written
into the site file, and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import click

import evalkit
from evalkit.cli.output import say
from evalkit.cli.site_answers import (
    check_bounds,
    check_file,
    check_kind,
    check_name,
    check_type,
    check_zone,
    prompt,
)
from evalkit.cli.site_questions import confirm_categories, confirm_source
from evalkit.cli.site_text import Described, printable, quote, site_text
from evalkit.config import Site, find_config, parse_toml
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ConfigError, FileReadError
from evalkit.readers.files import find_files
from evalkit.readers.guess import (
    Bounds,
    Guess,
    areas_agree,
    common_type,
    doubt_places,
    guess_camera_kind,
    guess_source,
    join_bounds,
    take_sample,
)

__all__ = ["from_files", "from_recipe"]

T = TypeVar("T")

LISTED: Final = 60
"""Columns named in an error."""

_FLAGS: Final = {
    "name": "--name",
    "title": "--title",
    "time_zone": "--time-zone",
    "incidents": "--incidents",
    "cameras": "--cameras",
}
_FILES: Final = re.compile(r"^files\s*=\s*\[[^\]]*\]", re.MULTILINE)


def from_recipe(recipe: str, data: Path | None) -> str:
    """Text of a shipped recipe, its files as absolute paths in ``data`` if that is given.

    ``recipe`` may also be the path of a recipe of one's own, ending in ``.toml``.

    Raises:
        ConfigError: no such recipe, or the folder does not hold its files.
    """
    # Looked for from the package, so that a site file of the same name in the current folder is
    # not taken for the shipped one.
    beside = Path.cwd() if recipe.endswith(".toml") else Path(evalkit.__file__).parent
    found = find_config("sites", recipe, beside)
    text = found.read_bytes().decode("utf-8-sig")
    if data is None:
        return text
    sections = _patterns(text, str(found))
    wanted = [pattern for patterns in sections for pattern in patterns]
    lacking = [pattern for pattern in wanted if not _present(pattern, data)]
    if lacking:
        raise ConfigError(
            f"the folder has no {' and no '.join(dict.fromkeys(lacking))}",
            where=str(data),
            limit=f"the files of the recipe {recipe}: {', '.join(dict.fromkeys(wanted))}",
            way_out="put the portal's files there under these names, or name their folder with --data",
        )
    folder = data.resolve()
    lines = iter(
        f"files = [{', '.join(quote((folder / one).as_posix()) for one in patterns)}]"
        for patterns in sections
    )
    return _FILES.sub(lambda _: next(lines), text)


def from_files(path: Path, answers: Mapping[str, Any], *, ask: bool) -> str:
    """Text of a new site file at ``path``, from a look at the city's files.

    Args:
        path: where the file will be written; paths in it are relative to its folder.
        answers: what is known already: name, title, time_zone, incidents, cameras (paths), all_as.
        ask: whether to ask for what is missing and to show every guess for confirmation.

    Raises:
        ConfigError: an answer is missing and must not be asked for, or is wrong; or a file leaves
            open what only a person can decide.
        ReadError: a file cannot be read at all.
    """
    city = _city(path, answers, ask=ask)
    incidents, cameras = _first_look(city)
    if ask:
        one_crime = bool(city.all_as)
        incidents = confirm_source(incidents, city.zone, one_crime=one_crime, today=city.today)
        cameras = confirm_source(cameras, city.zone, one_crime=one_crime, today=city.today)
    _check_complete(incidents)
    _check_complete(cameras)
    incidents, all_as = _crimes(incidents, city, ask=ask)
    camera_kind = _camera_kind(cameras, ask=ask)
    bounds, doubts = _bounds(incidents, cameras, city, ask=ask)
    described = Described(
        name=city.name,
        title=city.title,
        zone=city.zone,
        bounds=bounds,
        incidents=incidents,
        cameras=cameras,
        files={
            "incidents": _written(city.incidents, path),
            "cameras": _written(city.cameras, path),
        },
        camera_kind=camera_kind,
        all_as=all_as,
        doubts=doubts,
        confirmed=ask,
    )
    # The doubts about each file have been shown to whoever was asked.
    for doubt in doubts if ask else (*doubts, *incidents.doubts, *cameras.doubts):
        click.echo(f"To check: {printable(doubt)}", err=True)
    text = site_text(described)
    parse_toml(text, Site, where=str(path))
    return text


@dataclass(frozen=True, slots=True)
class _City:
    """What is known of the city; ``today`` is the last day that any time zone has reached."""

    name: str
    title: str
    zone: str
    incidents: Path
    cameras: Path
    all_as: str
    today: dt.date


def _city(path: Path, answers: Mapping[str, Any], *, ask: bool) -> _City:
    missing = [flag for key, flag in _FLAGS.items() if not answers.get(key)]
    if missing and not ask:
        raise ConfigError(
            f"not given: {', '.join(missing)}",
            where="evalkit site init",
            way_out=f"add {' and '.join(missing)}, or leave out --yes to be asked",
        )
    slug = re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower()).strip("-_") or "city"

    def answer(key: str, label: str, guess: str | None, check: Callable[[str], T]) -> T:
        given = answers.get(key)
        return check(str(given)) if given else prompt(label, guess, check)

    return _City(
        name=answer("name", "Short name (small letters, digits, - and _)", slug[:64], check_name),
        title=answer("title", "The city's name as people write it", path.stem.title(), str),
        zone=answer("time_zone", "Time zone (IANA name, as America/Bogota)", None, check_zone),
        incidents=answer("incidents", "Incident file", None, check_file),
        cameras=answer("cameras", "Camera file", None, check_file),
        all_as=check_type(str(answers["all_as"])) if answers.get("all_as") else "",
        today=dt.datetime.now(tz=dt.UTC).date() + dt.timedelta(days=1),
    )


def _first_look(city: _City) -> tuple[Guess, Guess]:
    """Both files guessed, each helped by what the other one settles."""
    today = city.today
    pinned = {"crime_type": ""} if city.all_as else {}
    about, of = take_sample(city.incidents), take_sample(city.cameras)
    incidents = guess_source("incidents", about, city.zone, chosen=pinned, today=today)
    order = incidents.dates.order if incidents.dates and not incidents.dates.rival else ""
    cameras = guess_source("cameras", of, city.zone, order=order)
    if cameras.dates and cameras.dates.order and not cameras.dates.rival:
        incidents = guess_source(
            "incidents", about, city.zone, chosen=pinned, order=cameras.dates.order, today=today
        )
    areas = areas_agree(incidents, cameras)
    if areas is not None:
        incidents, cameras = (
            replace(one, columns={**one.columns, "area": name})
            for one, name in zip((incidents, cameras), areas, strict=True)
        )
    return incidents, cameras


def _check_complete(guess: Guess) -> None:
    """Refuse what nobody has settled.

    Raises:
        ConfigError: no date, no place, or places in an unnamed coordinate system.
    """
    columns, where = guess.columns, str(guess.sample.path)
    names = guess.sample.rows.columns
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    present = f"columns present: {', '.join(map(printable, names[:LISTED]))}{more}"
    by_hand = "leave out --yes and name the column when asked"
    if guess.kind == "incidents" and "date" not in columns:
        raise ConfigError(
            "no column of the incident file reads as dates", where=where, limit=present,
            way_out=by_hand,
        )  # fmt: skip
    if not {"longitude", "latitude"} <= set(columns) and "area" not in columns:
        raise ConfigError(
            f"no column of the {guess.kind} says where", where=where, limit=present,
            way_out=f"{by_hand}; a point in one column must be exported as two",
        )  # fmt: skip
    if guess.needs_crs:
        raise ConfigError(
            "the coordinates are lengths, not degrees, in a system that the file does not name",
            where=f"{where}, columns {columns['longitude']} and {columns['latitude']}",
            limit="degrees, or an EPSG code",
            way_out="leave out --yes and give the code when asked, or export degrees",
        )


def _crimes(guess: Guess, city: _City, *, ask: bool) -> tuple[Guess, str]:
    """The incidents with their categories settled, or the one type of all."""
    if city.all_as:
        return guess, city.all_as
    found = guess.categories
    if found is not None and ask:
        found = confirm_categories(found, guess.columns["crime_type"])
        guess = replace(guess, categories=found)
    if found is not None and found.mapped:
        return guess, ""
    if ask:
        guessed = common_type(guess.sample.path.stem)
        say(f"  Common types: {', '.join(CRIME_TYPES)}")
        all_as = prompt("  common type of every incident", guessed, check_type)
        columns = {role: name for role, name in guess.columns.items() if role != "crime_type"}
        return replace(guess, columns=columns, categories=None), all_as
    raise ConfigError(
        "no column holds categories that are understood"
        if found is None
        else f'no category of "{printable(guess.columns["crime_type"])}" is understood',
        where=str(guess.sample.path),
        limit=f"--all-as with one of {', '.join(CRIME_TYPES)}, if every row is of one type",
        way_out="add --all-as, or leave out --yes and translate the categories when asked",
    )


def _camera_kind(guess: Guess, *, ask: bool) -> Literal["cctv", "traffic"]:
    guessed = guess_camera_kind(guess.sample)
    return prompt("  kind of cameras: cctv or traffic", guessed, check_kind) if ask else guessed


def _bounds(
    incidents: Guess, cameras: Guess, city: _City, *, ask: bool
) -> tuple[Bounds, tuple[str, ...]]:
    """The city's bounds, and doubts about them."""
    guessed, doubt = join_bounds(incidents, cameras)
    if ask:
        shown = ", ".join(map(repr, guessed)) if guessed else None
        say()
        guessed = prompt("Bounds: west, south, east, north in degrees", shown, check_bounds)
    if guessed is None:
        raise ConfigError(
            "no row has coordinates, so that the city's bounds cannot be guessed",
            where=str(incidents.sample.path),
            way_out="leave out --yes and give the bounds when asked",
        )
    doubts = (doubt, doubt_places(guessed, city.zone))
    return guessed, tuple(one for one in doubts if one)


def _written(file: Path, site: Path) -> str:
    """``file`` relative to the site file's folder, or absolute if they share nothing but the root."""
    target, home = file.parent.resolve() / file.name, site.resolve().parent
    try:
        shared = Path(os.path.commonpath((target, home)))
    except ValueError:  # two drives
        return target.as_posix()
    if shared == Path(shared.anchor):
        return target.as_posix()
    return Path(os.path.relpath(target, home)).as_posix()


def _patterns(text: str, where: str) -> list[list[str]]:
    """``files`` of each section, in the order in which the text has them."""
    raw = tomllib.loads(text)
    found: list[list[str]] = [
        section["files"]
        for section in raw.values()
        if isinstance(section, dict) and "files" in section
    ]
    if len(found) != len(_FILES.findall(text)):
        raise ConfigError(
            "the recipe does not write its files as files = [...] on a line of their own",
            where=where,
            way_out="leave out --data and set the files by hand",
        )
    return found


def _present(pattern: str, folder: Path) -> bool:
    try:
        find_files([pattern], folder)
    except FileReadError:
        return False
    return True
