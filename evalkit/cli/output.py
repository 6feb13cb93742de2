"""What commands print: words for people, one JSON document with ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from evalkit.core.text import shows_plainly
from evalkit.errors import EvalkitError

__all__ = [
    "as_json_option",
    "cities",
    "counted",
    "print_json",
    "progress",
    "report_error",
    "report_parts",
    "say",
]

Step = Callable[[str], None]

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def say(text: str = "") -> None:
    """Print a line for people.

    Text of a study or a file comes from others. Control characters in it, which could move the cursor of a terminal and
    write over what is shown, are printed as escapes.
    """
    click.echo(_shown(text))


def _shown(text: str) -> str:
    return "".join(
        character if shows_plainly(character) or character in "\n\t" else f"\\u{ord(character):04x}"
        for character in text
    )


def cities(number: int) -> str:
    """A number of cities, as people write it."""
    return f"{number} {'city' if number == 1 else 'cities'}"


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things, as people write it; the plural has an s if none is given."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def report_error(error: EvalkitError, *, as_json: bool) -> None:
    """Say what, where, the limit and the way out; no traceback."""
    parts = ("what", "where", "limit", "way_out")
    report_parts(error.code, {part: getattr(error, part) for part in parts}, as_json=as_json)


def report_parts(code: str, parts: Mapping[str, str | None], *, as_json: bool) -> None:
    """An error's parts ``what``, ``where``, ``limit`` and ``way_out``: lines, or one JSON document."""
    if as_json:
        print_json({"error": {"code": code, **parts}})
        return
    lines = [f"error [{code}]: {parts['what']}."]
    for part, label in (("where", "where"), ("limit", "expected"), ("way_out", "way out")):
        if parts[part]:
            lines.append(f"  {label}: {parts[part]}")
    click.echo(_shown("\n".join(lines)), err=True)


@contextmanager
def progress(title: str, total: int | None, *, quiet: bool) -> Iterator[Step]:
    """A progress bar on standard error; each call of the yielded function is one step done.

    Where standard error is not a terminal, each step is a plain line instead. ``total`` is None where nobody
    knows how many steps it will take.
    """
    if quiet:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        done = 0

        def plain(label: str) -> None:
            nonlocal done
            done += 1
            count = f"{done}/{total}" if total else str(done)
            click.echo(f"  [{count}] {title}: {label}", err=True)

        yield plain
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)

        def step(label: str) -> None:
            bar.update(task, advance=1, description=f"{title}: {label}")

        yield step
