"""What commands print: words for people, one JSON document with ``--json``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from evalkit.errors import EvalkitError

__all__ = ["as_json_option", "print_json", "progress", "report_error", "say"]

Step = Callable[[str], None]

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def say(text: str = "") -> None:
    """Print a line for people."""
    click.echo(text)


def print_json(content: Mapping[str, Any]) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def report_error(error: EvalkitError, *, as_json: bool) -> None:
    """Say what, where, the limit and the way out; no traceback."""
    if as_json:
        parts = {"code": error.code, "what": error.what, "where": error.where}
        print_json({"error": {**parts, "limit": error.limit, "way_out": error.way_out}})
        return
    lines = [f"error [{error.code}]: {error.what}."]
    for label, text in (
        ("where", error.where),
        ("expected", error.limit),
        ("way out", error.way_out),
    ):
        if text:
            lines.append(f"  {label}: {text}")
    click.echo("\n".join(lines), err=True)


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
