"""Every guess about a city's file, shown to its analyst and taken or changed."""

from __future__ import annotations

from dataclasses import replace

import click
import msgspec

from evalkit.cli.output import say
from evalkit.cli.site_answers import (
    BETWEEN,
    NONE,
    REST,
    check_column,
    check_duplicates,
    check_formats,
    check_mapping,
    prompt,
)
from evalkit.cli.site_text import printable
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.readers.guess import ROLES, Categories, Guess, guess_source, take_sample

__all__ = ["confirm_categories", "confirm_source"]


def confirm_source(guess: Guess, city: _City) -> Guess:
    """Show every guess about one file, and take what the analyst says instead."""
    say()
    say(f"{guess.kind.title()}: {printable(str(guess.sample.path))}, {guess.layout.format}")
    for doubt in guess.doubts:
        say(f"  To check: {printable(doubt)}")
    guess = _confirmed_text(guess, city)
    chosen = _confirmed_columns(guess, city)
    order = guess.dates.order if guess.dates else ""
    confirmed = guess_source(guess.kind, guess.sample, city.zone, chosen=chosen, order=order)
    confirmed = replace(confirmed, others=guess.others)
    if confirmed.needs_crs:
        confirmed = prompt(
            "  coordinate system of x and y (as EPSG:2253)",
            None,
            lambda crs: guess_source(
                guess.kind, guess.sample, city.zone, chosen=chosen, order=order, crs=crs.strip()
            ),
        )
    confirmed = _confirmed_dates(confirmed, city)
    if guess.kind == "incidents":
        say(f"  {confirmed.why['duplicates']}")
        kept = prompt(
            "  duplicates: id, row or keep",
            confirmed.duplicates,
            lambda text: check_duplicates(text, confirmed),
        )
        confirmed = replace(confirmed, duplicates=kept)
    return confirmed


def _confirmed_text(guess: Guess, city: _City) -> Guess:
    """Encoding and separator; another one gives other rows, and so other guesses."""
    layout, path = guess.layout, guess.sample.path
    if layout.format == "parquet":
        return guess

    def again(encoding: str, separator: str) -> Guess:
        sample = take_sample(path, encoding=encoding, separator=separator)
        return guess_source(guess.kind, sample, city.zone)

    taken = prompt(
        "  encoding",
        layout.encoding,
        lambda text: guess if text == layout.encoding else again(text, layout.separator),
    )
    if not layout.separator:
        return taken
    names = {"tab": "\t"}
    shown = next((name for name, one in names.items() if one == layout.separator), layout.separator)
    return prompt(
        "  separator (tab for the tab character)",
        shown,
        lambda text: (
            taken if text == shown else again(taken.layout.encoding, names.get(text, text))
        ),
    )


def _confirmed_columns(guess: Guess, city: _City) -> dict[str, str]:
    names = guess.sample.rows.columns
    say(f"  Columns: {', '.join(map(printable, names))}")
    say(f"  Enter takes the guess, {NONE} means that there is no such column.")
    chosen: dict[str, str] = {}
    for role in ROLES[guess.kind]:
        if role == "crime_type" and city.all_as:
            chosen[role] = ""
            continue
        placed = bool(chosen.get("longitude")) and bool(chosen.get("latitude"))
        needed = role == "date" or (role == "area" and not placed)
        chosen[role] = prompt(
            f"  {role}",
            guess.columns.get(role, None if needed else NONE),
            lambda text, needed=needed: check_column(text, names, needed=needed),
        )
    return chosen


def _confirmed_dates(guess: Guess, city: _City) -> Guess:
    if not {"date", "live_date"} & set(guess.columns):
        return guess
    if guess.dates is not None:
        say(f"  Dates: {guess.dates.why}")
    if guess.dates is not None and guess.dates.rival:
        say(f"  They can also be read as {guess.dates.rival}, with other dates.")
    formats = guess.layout.date_format
    typed = prompt(
        "  date format",
        BETWEEN.join(formats) if guess.dates is not None else None,
        lambda text: check_formats(text, guess, city.zone),
    )
    if typed == formats:
        return guess
    layout = msgspec.structs.replace(guess.layout, date_format=typed)
    why = {**guess.why, "date_format": "as the analyst stated"}
    return replace(guess, layout=layout, why=why)


def confirm_categories(found: Categories, column: str) -> Categories:
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
