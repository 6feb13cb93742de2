"""Names of effects, the same whatever the estimator, so that figures and checks find them.

Vocabulary
    event time  periods since the camera went live: 0 is the first period wholly with it, −1 the last
                wholly without; periods of the transition have none.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "OVERALL",
    "at_event_time",
    "event_time_of",
    "event_times",
    "in_subgroup",
    "of_moderator",
]

OVERALL: Final = "treated"
"""The average effect on the treated: the first term of every estimate."""

_EVENT: Final = re.compile(r"event time (-?\d+)")


def at_event_time(event_time: int) -> str:
    """Name of the effect at one event time."""
    return f"event time {event_time}"


def event_time_of(term: str) -> int | None:
    """The event time a term is the effect at, None for another term."""
    match = _EVENT.fullmatch(term)
    return int(match[1]) if match else None


def event_times(terms: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Position and event time of the terms that have one, event times ascending."""
    found = [
        (index, time)
        for index, term in enumerate(terms)
        if (time := event_time_of(term)) is not None
    ]
    return tuple(sorted(found, key=lambda one: one[1]))


def of_moderator(label: str) -> str:
    """Name of a coefficient of a meta-regression: what one more of the moderator adds to the effect."""
    return f"moderator {label}"


def in_subgroup(label: str) -> str:
    """Name of the effect in a subgroup of cities."""
    return f"cities with {label}"
