"""Answers at a prompt, and the checks that send a wrong one back with the way out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, TypeVar
from zoneinfo import available_timezones

import click
import msgspec

from evalkit.cli.site_text import printable
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ConfigError, EvalkitError, TaxonomyError
from evalkit.readers.dates import read_dates
from evalkit.readers.guess import Bounds, Guess
from evalkit.readers.text import clean

__all__ = [
    "BETWEEN",
    "NONE",
    "REST",
    "check_bounds",
    "check_column",
    "check_decimal",
    "check_duplicates",
    "check_file",
    "check_formats",
    "check_kind",
    "check_mapping",
    "check_name",
    "check_type",
    "check_zone",
    "prompt",
]

T = TypeVar("T")

NONE: Final = "-"
"""What an analyst types for: no such column, no common type."""

REST: Final = "."
"""What an analyst types to take the remaining guesses as they are."""

BETWEEN: Final = " | "
"""Between several date formats."""

READS: Final = 0.5
"""Share of the first rows that a typed date format must read; the readers refuse a file below."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KINDS: Final[dict[str, Literal["cctv", "traffic"]]] = {"cctv": "cctv", "traffic": "traffic"}
_DECIMALS: Final[dict[str, Literal[".", ","]]] = {".": ".", ",": ","}
_DUPLICATES: Final[dict[str, Literal["id", "row", "keep"]]] = {
    "id": "id",
    "row": "row",
    "keep": "keep",
}


def prompt(label: str, default: str | None, check: Callable[[str], T]) -> T:
    """Ask until the answer passes ``check``."""

    def checked(text: str) -> T:
        try:
            return check(text.strip())
        except EvalkitError as error:
            parts = (error.what, error.limit, error.way_out)
            raise click.UsageError("; ".join(part for part in parts if part)) from None

    answer: T = click.prompt(label, default=default, value_proc=checked)
    return answer


def check_name(text: str) -> str:
    """A short name for the site."""
    if _NAME.fullmatch(text):
        return text
    raise ConfigError(
        f'"{printable(text)}" cannot be a short name',
        limit="1 to 64 small letters, digits, - and _, the first a letter or digit",
        way_out="choose another --name",
    )


def check_zone(text: str) -> str:
    """An IANA time zone."""
    zones = available_timezones()
    if text in zones:
        return text
    folded = {zone.casefold(): zone for zone in zones}
    near = difflib.get_close_matches(text.casefold(), folded, n=3)
    raise ConfigError(
        f'"{printable(text)}" is not a time zone',
        limit="an IANA name such as America/Bogota",
        way_out=f"did you mean {' or '.join(folded[name] for name in near)}?"
        if near
        else "correct --time-zone",
    )


def check_file(text: str) -> Path:
    """A file that exists."""
    path = Path(text).expanduser()
    if path.is_file():
        return path
    there = sorted(one.name for one in path.parent.iterdir()) if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    raise ConfigError(
        "this is a folder, not a file" if path.is_dir() else "the file does not exist",
        where=str(path),
        way_out=f'did you mean "{near[0]}"?' if near else "name the file as the portal exports it",
    )


def check_type(text: str) -> str:
    """A common crime type."""
    if text in CRIME_TYPES:
        return text
    raise TaxonomyError(
        f'"{printable(text)}" is not a common crime type',
        limit=f"one of {', '.join(CRIME_TYPES)}",
        way_out="choose the nearest",
    )


def check_mapping(text: str) -> str:
    """A common crime type, or one of the two marks."""
    return text if text in {NONE, REST} else check_type(text)


def check_kind(text: str) -> Literal["cctv", "traffic"]:
    """What cameras do."""
    if text in _KINDS:
        return _KINDS[text]
    raise ConfigError("no such kind of camera", limit="cctv or traffic")


def check_decimal(text: str) -> Literal[".", ","]:
    """A decimal mark."""
    if text in _DECIMALS:
        return _DECIMALS[text]
    raise ConfigError("no such decimal mark", limit="a point or a comma")


def check_duplicates(guess: Guess, text: str) -> Literal["id", "row", "keep"]:
    """What tells the same event told twice."""
    if text == "id" and "id" not in guess.columns:
        raise ConfigError("there is no identifier", limit="row or keep")
    if text in _DUPLICATES:
        return _DUPLICATES[text]
    raise ConfigError("no such rule", limit="id, row or keep")


def check_column(names: Sequence[str], text: str, *, needed: bool) -> str:
    """A column by its name, or as it is shown; empty for none."""
    if text in names:
        return text
    if text == NONE and not needed:
        return ""
    # A name with characters that cannot be typed is chosen as it is shown.
    alike = [name for name in names if printable(name).strip().casefold() == text.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = difflib.get_close_matches(text, names, n=1)
    raise ConfigError(
        "this must be a column" if text == NONE else f'no column "{printable(text)}"',
        way_out=f'did you mean "{printable(near[0])}"?' if near else "choose one of those listed",
    )


def check_formats(guess: Guess, zone: str, text: str) -> tuple[str, ...]:
    """Formats that read most of the first rows, tried with the reader itself."""
    formats = tuple(part.strip() for part in text.split(BETWEEN.strip()) if part.strip())
    layout = msgspec.structs.replace(guess.layout, date_format=formats)
    rows, columns = guess.sample.rows, guess.columns
    times = clean(rows[columns["time"]], layout.missing) if "time" in columns else None
    name = columns.get("date") or columns["live_date"]
    read = read_dates(clean(rows[name], layout.missing), times, layout, zone)
    present = len(read.date) - int(read.missing.sum())
    unreadable = int(read.unreadable.sum())
    if unreadable > READS * present:
        raise ConfigError(
            f"this reads {1 - unreadable / present:.0%} of the first rows",
            way_out="write the pattern with % signs: day %d, month %m, year %Y, time %H:%M",
        )
    return formats


def check_bounds(text: str) -> Bounds:
    """West, south, east, north."""
    numbers = re.findall(r"[-+]?\d+(?:\.\d+)?", text.replace("−", "-"))
    if len(numbers) == 4:
        west, south, east, north = map(float, numbers)
        if -180 <= west < east <= 180 and -90 <= south < north <= 90:
            return west, south, east, north
    raise ConfigError(
        "these are no bounds",
        limit="four numbers: west and east from −180 to 180, south and north from −90 to 90",
        way_out="west before south before east before north",
    )
