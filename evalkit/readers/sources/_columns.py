"""Columns that are asked for and not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from evalkit.errors import MissingColumnError

__all__ = ["check_columns", "listed"]

LISTED: Final = 60
"""Names listed in a message before it becomes unreadable."""


def check_columns(wanted: Sequence[str], present: Sequence[str], where: str) -> None:
    """Refuse if a column of ``wanted`` is not ``present``.

    Raises:
        MissingColumnError: names the column, those most like it, and those that are there.
    """
    missing = [name for name in wanted if name not in set(present)]
    if not missing:
        return
    named = " and no column ".join(f'"{name}"' for name in missing)
    near = [match for name in missing if (match := _nearest(name, present))]
    raise MissingColumnError(
        f"no column {named}",
        where=where,
        limit=f"one of the columns present: {listed(present)}",
        way_out=(
            f"did you mean {' and '.join(near)}? names must match letter for letter"
            if near
            else "correct the names under columns in the site file"
        ),
    )


def listed(names: Iterable[str]) -> str:
    """Column names for a message, control characters made visible and long lists cut."""
    shown = [name if name.isprintable() else ascii(name)[1:-1] for name in names]
    if len(shown) > LISTED:
        return f"{', '.join(shown[:LISTED])} and {len(shown) - LISTED} more"
    return ", ".join(shown)


def _nearest(name: str, present: Sequence[str]) -> str:
    folded = {other.strip().casefold(): other for other in reversed(present)}
    close = difflib.get_close_matches(name.strip().casefold(), folded, n=2)
    return " or ".join(f'"{folded[match]}"' for match in close)
