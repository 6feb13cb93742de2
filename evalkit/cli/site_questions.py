"""Every guess about a city's file, shown to its analyst and taken or changed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial

import click
import msgspec

from evalkit.cli.output import say
from evalkit.cli.site_answers import (
    BETWEEN,
    NONE,
    REST,
    check_column,
    check_decimal,
    check_duplicates,
    check_formats,
    check_mapping,
    prompt,
)
from evalkit.cli.site_text import printable
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.readers.guess import ROLES, Categories, Guess, guess_source, take_sample

__all__ = ["confirm_categories", "confirm_source"]


def confirm_source(guess: Guess, zone: str, *, one_crime: bool, today: dt.date) -> Guess:
    """Show what was guessed about one file, and take what the analyst says instead.

    Args:
        guess: the first look.
        zone: the city's time zone.
        one_crime: whether the type of every incident is known, so that no column is asked for.
        today: incidents cannot be later.
    """
    say()
    say(f"{guess.kind.title()}: {printable(str(guess.sample.path))}, {guess.layout.format}")
    for doubt in guess.doubts:
        say(f"  To check: {printable(doubt)}")
    guess = _text(guess, zone, today)
    chosen = _columns(guess, one_crime=one_crime)

    def again(crs: str) -> Guess:
        order = guess.dates.order if guess.dates else ""
        kind, sample = guess.kind, guess.sample
        return guess_source(kind, sample, zone, chosen=chosen, order=order, crs=crs, today=today)

    confirmed = again("")
    if confirmed.needs_crs:
        confirmed = prompt("  coordinate system of x and y (as EPSG:2253)", None, again)
    confirmed = _dates(_decimal(confirmed), zone)
    return _duplicates(confirmed) if guess.kind == "incidents" else confirmed


def _text(guess: Guess, zone: str, today: dt.date) -> Guess:
    """Encoding and separator; another one gives other rows, and so other guesses."""
    layout, path = guess.layout, guess.sample.path
    if layout.format == "parquet":
        return guess

    def again(encoding: str, separator: str) -> Guess:
        sample = take_sample(path, encoding=encoding, separator=separator)
        return guess_source(guess.kind, sample, zone, today=today)

    taken = prompt(
        "  encoding",
        layout.encoding,
        lambda text: guess if text == layout.encoding else again(text, layout.separator),
    )
    if not layout.separator:
        return taken
    shown = "tab" if layout.separator == "\t" else layout.separator

    def other(text: str) -> Guess:
        if text == shown:
            return taken
        return again(taken.layout.encoding, "\t" if text == "tab" else text)

    return prompt("  separator (tab for the tab character)", shown, other)


def _columns(guess: Guess, *, one_crime: bool) -> dict[str, str]:
    """Role → column, empty for none; a date and a place are needed."""
    names = guess.sample.rows.columns
    say(f"  Columns: {', '.join(map(printable, names))}")
    say(f"  Enter takes the guess, {NONE} means that there is no such column.")
    chosen: dict[str, str] = {}
    for role in ROLES[guess.kind]:
        if role == "crime_type" and one_crime:
            chosen[role] = ""
            continue
        placed = bool(chosen.get("longitude")) and bool(chosen.get("latitude"))
        needed = role == "date" or (role == "area" and not placed)
        default = printable(guess.columns.get(role, "")) or (None if needed else NONE)
        chosen[role] = prompt(f"  {role}", default, partial(check_column, names, needed=needed))
    return chosen


def _decimal(guess: Guess) -> Guess:
    if not guess.layout.separator:
        return guess
    mark = prompt("  decimal mark: . or ,", guess.layout.decimal, check_decimal)
    return replace(guess, layout=msgspec.structs.replace(guess.layout, decimal=mark))


def _dates(guess: Guess, zone: str) -> Guess:
    if not {"date", "live_date"} & set(guess.columns):
        return guess
    if guess.dates is not None:
        say(f"  Dates: {guess.dates.why}")
    if guess.dates is not None and guess.dates.rival:
        say(f"  They can also be read as {guess.dates.rival}, with other dates.")
    formats = guess.layout.date_format
    default = BETWEEN.join(formats) if guess.dates is not None else None
    typed = prompt("  date format", default, partial(check_formats, guess, zone))
    if typed == formats:
        return guess
    layout = msgspec.structs.replace(guess.layout, date_format=typed)
    return replace(guess, layout=layout, why={**guess.why, "date_format": "as the analyst stated"})


def _duplicates(guess: Guess) -> Guess:
    say(f"  Duplicates: {guess.why['duplicates']}")
    kept = prompt(
        "  duplicates: id, row or keep", guess.duplicates, partial(check_duplicates, guess)
    )
    if kept == guess.duplicates:
        return guess
    return replace(guess, duplicates=kept, why={**guess.why, "duplicates": "the analyst says so"})


def confirm_categories(found: Categories, column: str) -> Categories:
    """Show each category with its type, and take what the analyst says instead."""
    say(f'  Categories of "{printable(column)}" in the first rows:')
    for name, count in found.counts.items():
        say(f"  {count:>8,}  {printable(name):<50}  {found.mapped.get(name, 'left out')}")
    if found.mapped and click.confirm("  Take these?", default=True):
        return found
    say(f"  Common types: {', '.join(CRIME_TYPES)}")
    say(f"  Enter takes the guess, {NONE} leaves out, {REST} takes all remaining guesses.")
    mapped: dict[str, str] = {}
    taking = False
    for name in found.counts:
        guess = found.mapped.get(name, NONE)
        if not taking:
            typed = prompt(f"  {printable(name)}", guess, check_mapping)
            taking = typed == REST
            guess = guess if taking else typed
        if guess != NONE:
            mapped[name] = guess
    left_out = tuple(name for name in found.counts if name not in mapped)
    return Categories(mapped=mapped, left_out=left_out, counts=found.counts)
