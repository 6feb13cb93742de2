"""What is publicly known of cities, as the numbers a study asks for.

Vocabulary
    fact       one entry of ``[city.moderators]``: a name with a number or a short text.
    moderator  what a study names: a number (``population``), or an indicator of one text
               (``monitoring = active``), which is 1 in cities where the fact is that text and 0 elsewhere.
    subgroups  a fact with the texts that part the cities (``monitoring = active, passive``). A study lists
               them beforehand, so a city sends the number of its group and never a text of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ConfigError, ModeratorError

if TYPE_CHECKING:
    from evalkit.core.study import Analysis

__all__ = [
    "FACT_NAME",
    "LONGEST_TEXT",
    "Fact",
    "Groups",
    "Moderator",
    "check_facts",
    "group_of",
    "read_groups",
    "read_moderator",
    "values_of",
    "wanted",
]

Fact = float | str

FACT_NAME: Final = r"^[a-z][a-z0-9_]{0,39}$"
"""What a fact may be called."""

LONGEST_TEXT: Final = 40

_NAME: Final = re.compile(FACT_NAME)


@dataclass(frozen=True, slots=True)
class Moderator:
    """One moderator of a study: the fact's name, and the text it is an indicator of; None for a number."""

    name: str
    level: str | None = None

    @property
    def label(self) -> str:
        """As a study writes it."""
        return self.name if self.level is None else f"{self.name} = {self.level}"


@dataclass(frozen=True, slots=True)
class Groups:
    """The subgroups of a study: the fact's name and its texts in the study's order."""

    name: str
    levels: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """One a group, as moderators are written."""
        return tuple(f"{self.name} = {level}" for level in self.levels)


def read_moderator(text: str, *, key: str = "moderators") -> Moderator:
    """Read ``population`` or ``monitoring = active``.

    Raises:
        ConfigError: it is neither.
    """
    name, equals, level = (part.strip() for part in text.partition("="))
    if not _NAME.match(name) or bool(equals) != bool(level) or not _is_level(level, empty=True):
        raise ConfigError(
            f'"{text}" is no moderator',
            where=f"[analysis] {key}",
            limit='a name, or a name and a text: "population", "monitoring = active"',
            way_out="write it as in [city.moderators] of the cities' site files",
        )
    return Moderator(name, level or None)


def read_groups(text: str) -> Groups:
    """Read ``monitoring = active, passive``.

    Raises:
        ConfigError: no name, or fewer than two different texts.
    """
    name, _, rest = (part.strip() for part in text.partition("="))
    levels = tuple(level.strip() for level in rest.split(","))
    known = all(_is_level(level, empty=False) for level in levels)
    if not _NAME.match(name) or not known or len(set(levels)) < max(len(levels), 2):
        raise ConfigError(
            f'"{text}" names no subgroups',
            where="[analysis] subgroups",
            limit='a name and two or more texts: "monitoring = active, passive"',
            way_out="list every text that cities may have under that name in [city.moderators]",
        )
    return Groups(name, levels)


def wanted(analysis: Analysis) -> tuple[Moderator, ...]:
    """All that a study asks of a city: its moderators, then what cities are put in order of."""
    named = [read_moderator(text) for text in analysis.moderators]
    if analysis.cumulative_by:
        named.append(read_moderator(analysis.cumulative_by, key="cumulative_by"))
    return tuple(dict.fromkeys(named))


def check_facts(facts: Mapping[str, Fact], analysis: Analysis, *, site: str) -> None:
    """Say what a city lacks before anything is read or computed.

    Raises:
        ModeratorError: it lacks a moderator that the study names.
    """
    values_of(facts, wanted(analysis), site=site)
    if analysis.subgroups:
        group_of(facts, read_groups(analysis.subgroups), site=site)


def values_of(
    facts: Mapping[str, Fact], moderators: tuple[Moderator, ...], *, site: str
) -> NDArray[np.float64]:
    """A city's moderators as numbers, shape (M,), in the study's order.

    Raises:
        ModeratorError: the city lacks one, or has a text where a number is meant or the reverse.
    """
    return np.array([_value(facts, moderator, site) for moderator in moderators], dtype=np.float64)


def group_of(facts: Mapping[str, Fact], groups: Groups, *, site: str) -> int:
    """The number of the city's group, from 0.

    Raises:
        ModeratorError: the city lacks the fact, or its text is not one of the study's.
    """
    fact = _fact(facts, groups.name, site)
    if fact not in groups.levels:
        raise ModeratorError(
            f"the moderator {groups.name} of the city is none of the study's subgroups",
            where=f"site {site}, [city.moderators]",
            limit=", ".join(groups.levels),
            way_out="correct the site file, or list the city's text in the study's subgroups",
        )
    return groups.levels.index(str(fact))


def _value(facts: Mapping[str, Fact], moderator: Moderator, site: str) -> float:
    fact = _fact(facts, moderator.name, site)
    if isinstance(fact, str) is (moderator.level is None):
        kind = "a number" if moderator.level is None else "a text"
        raise ModeratorError(
            f"the study takes the moderator {moderator.name} for {kind}, and the city's is not",
            where=f"site {site}, [city.moderators]",
            limit=f'[analysis] moderators "{moderator.label}"',
            way_out='name a number as "population", an indicator as "monitoring = active"',
        )
    return float(fact == moderator.level) if isinstance(fact, str) else float(fact)


def _fact(facts: Mapping[str, Fact], name: str, site: str) -> Fact:
    if name not in facts:
        raise ModeratorError(
            f"the city {site} has no moderator {name}, which the study names",
            where=f"site {site}, [city.moderators]",
            limit=f"{name} = a number or a short text",
            way_out="add it to the site file and build the panel again, or leave it out of the study",
        )
    return facts[name]


def _is_level(text: str, *, empty: bool) -> bool:
    plain = "=" not in text and "," not in text and text.isprintable()
    return (empty or bool(text)) and plain and len(text) <= LONGEST_TEXT
