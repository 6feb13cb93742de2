"""A site file as text: TOML with the reason for every choice beside it.

Column names and categories come from files that nobody has checked, so that everything is quoted:
no name can end a string, start a key, or hide in an invisible character. Counts of rows are left
out, as a site file may lie where more people look than at the data.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from evalkit.config import Policy, Source
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ConfigError
from evalkit.readers.guess import MAX_ROWS, ROLES, Bounds, Guess

__all__ = ["POLICY_WORDS", "Described", "printable", "quote", "site_text"]

WIDTH: Final = 98
LISTED: Final = 80
"""Categories without a type that are written down; more are noise."""

_COMMAND: Final = re.compile("`[^`]*`")
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

_ROLE_WORDS: Final = {
    "date": "when it happened",
    "time": "the time of day, put behind the date",
    "live_date": "the first day in operation; without it a camera can be neither treated nor control",
    "longitude": "east and west",
    "latitude": "north and south",
    "id": "the source's own number",
    "crime_type": "the category that [incidents.crime_types] translates",
    "area": "needed only for studies of areas; both files must use the same names",
}

_DUPLICATE_WORDS: Final = {
    "id": "rows with an identifier that occurred before are rejected",
    "row": "rows that equal an earlier one in every column named below are rejected",
    "keep": "no row is rejected for being like another",
}

POLICY_WORDS: Final = {
    "release_class": "the most revealing answer allowed: estimate, masked_sum, statistics or table",
    "crime_types": "common types that may be asked about",
    "min_incidents": "incidents behind every number that leaves, at least",
    "min_units": "treated units together, and controls together, at least",
    "min_treated_per_pattern": "cameras' surroundings that share a first month, at least",
    "max_parameters_per_cluster": "a model this rich relative to its clusters repeats its data",
    "min_residual_df": "observations left after the fit, at least",
    "max_two_unit_share": "the share that two places may have in a number that leaves",
    "min_clusters": "clusters behind a variance, at least",
    "max_leverage": "share of one place's own series that all answers together may determine, below",
    "max_rounds": "times a study may ask",
    "max_step": "how far a question may move a coefficient from the last one",
    "max_parameters": "coefficients of a question, at most",
    "max_specifications": "variants of itself that a study may ask with one approval, at most",
    "min_cities": "cities in a secure sum, at least",
    "epsilon": "loss of privacy of one noisy table; 0 adds no noise",
    "epsilon_total": "loss of privacy of all noisy tables together",
}
"""What each limit of the policy means, by its key."""


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Everything a new site file says.

    Attributes:
        name, title, zone, bounds: of the city.
        incidents, cameras: proposals, as the analyst has changed them.
        files: paths as they are written, by kind.
        camera_kind: what the cameras do.
        all_as: common type of every incident, empty if categories are mapped.
        doubts: about the city as a whole.
        confirmed: whether a person has gone through the choices.
    """

    name: str
    title: str
    zone: str
    bounds: Bounds
    incidents: Guess
    cameras: Guess
    files: Mapping[str, str]
    camera_kind: Literal["cctv", "traffic"]
    all_as: str = ""
    doubts: tuple[str, ...] = ()
    confirmed: bool = False


def site_text(city: Described) -> str:
    """The site file.

    Raises:
        ConfigError: a name that no text file can hold.
    """
    parts = (
        _top(city),
        (f"name = {quote(city.name)}",),
        _city(city),
        _incidents(city),
        _cameras(city),
        _policy(),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def quote(text: str) -> str:
    """A TOML basic string; what cannot be seen is written as an escape.

    Raises:
        ConfigError: half of a surrogate pair, as in file names of another encoding.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(
            "a name holds bytes that are no text",
            where=ascii(text),
            limit="names that can be written as UTF-8",
            way_out="rename the file or the column",
        )
    return f'"{"".join(_SHORT.get(character) or _seen(character) for character in text)}"'


def printable(text: str) -> str:
    """``text`` for a comment or a terminal: control and invisible characters as escapes."""
    return "".join(map(_seen, text))


def _seen(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _top(city: Described) -> Iterator[str]:
    confirmed = (
        "An analyst went through the choices below."
        if city.confirmed
        else "Nobody has confirmed the choices below yet: read them through."
    )
    yield from _comment(
        f"{city.title}: how evalkit reads this city's files, and what may leave the city."
    )
    yield from _comment(
        f"Written by `evalkit site init` after a look at the first {MAX_ROWS:,} rows of each file. "
        "`evalkit site check --site` with this file accounts for every row."
    )
    yield from _comment(confirmed)
    yield from _comment("This file stays in the city: no command sends it anywhere.")
    doubts = [*city.doubts, *city.incidents.doubts, *city.cameras.doubts]
    if doubts:
        yield "#"
        yield "# TO CHECK, as the files alone cannot settle it:"
        for doubt in doubts:
            yield from _comment(doubt, "# - ", "#   ")


def _city(city: Described) -> Iterator[str]:
    yield "[city]"
    yield f"title = {quote(city.title)}"
    yield '# country = "" # two letters, for reports'
    yield from _comment("The city's own clock: dates and hours are those of this zone.")
    yield f"time_zone = {quote(city.zone)}"
    yield from _comment(
        "West, south, east, north in degrees; rows outside are rejected. Guessed from the middle "
        "99 % of the positions with a tenth added on each side: check it on a map, and widen it if "
        "part of the city is missing."
    )
    yield f"bounds = [{', '.join(map(repr, city.bounds))}]"


def _incidents(city: Described) -> Iterator[str]:
    guess = city.incidents
    yield "[incidents]"
    yield from _source(guess, city.files["incidents"])
    if city.all_as:
        yield "# The file holds one crime, as stated."
        yield f"all_as = {quote(city.all_as)}"
    yield from _comment(
        f"What is the same event told twice: {_DUPLICATE_WORDS[guess.duplicates]}. Chosen because "
        f'{guess.why["duplicates"]}. Others: "id", "row", "keep".'
    )
    yield f"duplicates = {quote(guess.duplicates)}"
    yield ""
    yield from _columns(guess)
    if not city.all_as:
        yield ""
        yield from _crime_types(guess)


def _cameras(city: Described) -> Iterator[str]:
    yield "[cameras]"
    yield from _comment(
        '"cctv" watches the public; "traffic" (speed, red lights) does nothing about other crime and '
        "serves as a placebo."
    )
    yield f"kind = {quote(city.camera_kind)}"
    yield from _source(city.cameras, city.files["cameras"])
    yield ""
    yield from _columns(city.cameras)


def _source(guess: Guess, file: str) -> Iterator[str]:
    layout, plain = guess.layout, Source(files=())
    yield from _comment(
        "Relative to this file; several files and patterns such as *.csv are allowed."
    )
    yield f"files = [{quote(file)}]"
    yield f"format = {quote(layout.format)} # {guess.why['format']}"
    if layout.format != "parquet":
        yield f"encoding = {quote(layout.encoding)} # {guess.why['encoding']}"
    if layout.separator:
        yield f"separator = {quote(layout.separator)} # {guess.why['separator']}"
    if layout.separator or layout.decimal != plain.decimal:
        yield f"decimal = {quote(layout.decimal)}"
    if {"date", "live_date"} & set(guess.columns):
        yield from _dates(guess)
    if layout.crs != plain.crs:
        yield f"crs = {quote(layout.crs)} # x and y are lengths in this system"
    if layout.missing != plain.missing:
        yield from _comment(
            "What stands for nothing: evalkit's usual marks, and words and zeros found where a date "
            "or a number should be."
        )
        yield f"missing = {_list(layout.missing)}"


def _dates(guess: Guess) -> Iterator[str]:
    layout = guess.layout
    if "date_format" in guess.why:
        yield from _comment(f"Dates: {guess.why['date_format']}.")
    yield f"date_format = {_list(layout.date_format)}"
    if not layout.convert_zone:
        yield from _comment(
            "Every time is exactly midnight, so that the column holds plain dates and the offset "
            "means nothing: the date is kept as it is written."
        )
        yield "convert_zone = false"
    if layout.source_zone:
        yield from _comment("The column's name says that its times are not the city's own.")
        yield f"source_zone = {quote(layout.source_zone)}"


def _columns(guess: Guess) -> Iterator[str]:
    yield f"[{guess.kind}.columns]"
    for role in ROLES[guess.kind]:
        others = [quote(name) for name in guess.others.get(role, ())]
        also = f"; could also be {', '.join(others)}" if others else ""
        if role in guess.columns:
            yield from _comment(f"{role}: {_ROLE_WORDS[role]}{also}")
            yield f"{role} = {quote(guess.columns[role])}"
        elif others or role == "live_date":
            yield from _comment(f"no {role}: {_ROLE_WORDS[role]}{also}")


def _crime_types(guess: Guess) -> Iterator[str]:
    found = guess.categories
    mapped, left_out = (found.mapped, found.left_out) if found else ({}, ())
    yield "[incidents.crime_types]"
    yield from _comment(
        "The city's categories as common types, the commonest first: guessed by words, so check "
        f"each. Common types: {', '.join(CRIME_TYPES)} (ICCS, UNODC 2015)."
    )
    yield from (f"{quote(name)} = {quote(common)}" for name, common in mapped.items())
    if left_out:
        yield from _comment(
            "Left out, rejected as unmapped and counted. To use one, remove its # and name a type. "
            "A category that is not in the first rows is left out as well; the check counts them."
        )
        yield from (f'# {quote(name)} = ""' for name in left_out[:LISTED])
    if len(left_out) > LISTED:
        yield f"# and {len(left_out) - LISTED} more"


def _policy() -> Iterator[str]:
    yield "[policy]"
    yield from _comment(
        "Nothing is approved yet, so nothing leaves. To approve a study, read its file, run "
        "`evalkit study check` on it, and write the hash it prints between the brackets, in quotes. "
        "Any change of the study gives another hash, which this list does not hold. Look at exactly "
        "what would leave with `evalkit site preview`."
    )
    yield "studies = []"
    yield from _comment(
        "Officers can sign studies in its place (`evalkit site officer` makes a key), the policy can expire "
        "on a day, and a treaty with other cities can tighten it: docs/how-to/approve-a-study.md. "
        "`evalkit site policy explain` says every rule in plain language."
    )
    yield from _comment("The limits below are the defaults; remove a # to set your own.")
    for field in msgspec.structs.fields(Policy):
        if field.name in POLICY_WORDS:
            value = _toml(field.default)
            yield f"# {field.name} = {value} # {POLICY_WORDS[field.name]}"


def _comment(text: str, first: str = "# ", rest: str = "# ") -> list[str]:
    # A command in backticks stays on one line, so that it can be copied.
    whole = _COMMAND.sub(lambda found: found[0].replace(" ", "\0"), printable(text))
    lines = textwrap.wrap(
        whole,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def _toml(value: object) -> object:
    """A default as TOML writes it."""
    if isinstance(value, tuple):
        return _list(value)
    return quote(value) if isinstance(value, str) else value


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(quote, values))}]"
