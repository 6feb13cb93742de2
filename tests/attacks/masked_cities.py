"""Cities of secure sums for attacks: what each holds, and what a dishonest server or dishonest cities make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalkit.disclosure.masking import Masks, masked, stream
from evalkit.numerics.fixed_point import add, from_words, subtract, sum_of, to_words

__all__ = [
    "LABEL",
    "SESSION",
    "Masked",
    "difference_of_rosters",
    "masked_cities",
    "r_squared",
    "unmasked",
]

LABEL = "f" * 64
SESSION = "0" * 32

Words = NDArray[np.uint64]


@dataclass(frozen=True)
class Masked:
    """One city: its numbers, its masks, and what it sends."""

    plain: NDArray[np.float64]
    masks: Masks

    @property
    def sent(self) -> Words:
        return masked(to_words(self.plain), self.masks, LABEL)


def masked_cities(
    names: Sequence[str], random: np.random.Generator, plain: Mapping[str, NDArray[np.float64]]
) -> dict[str, Masked]:
    """Cities with secrets of their own for one roster; seeded, so that figures are the same everywhere."""
    roster = tuple(sorted(names))
    pairs = {(a, b): random.bytes(32) for a in roster for b in roster if a < b}
    return {
        name: Masked(
            plain[name],
            Masks(
                SESSION,
                roster,
                name,
                {
                    other: pairs[min(name, other), max(name, other)]
                    for other in roster
                    if other != name
                },
            ),
        )
        for name in roster
    }


def unmasked(target: Masked, helpers: Sequence[Masked]) -> NDArray[np.float64]:
    """What follows from a city's message when ``helpers`` hand over the secrets they share with it.

    They do so if they are made believe that it has dropped out (the recovery of Bonawitz et al. 2017), or if they
    collude.
    """
    words = target.sent
    for helper in helpers:
        secret = helper.masks.secrets[target.masks.site]
        pair = tuple(sorted((helper.masks.site, target.masks.site)))
        one = stream(secret, SESSION, LABEL, (pair[0], pair[1]), len(words))
        taken_off = subtract if target.masks.site == pair[0] else add
        words = taken_off(words, one)
    return from_words(words)


def difference_of_rosters(
    names: Sequence[str],
    left_out: str,
    random: np.random.Generator,
    plain: Mapping[str, NDArray[np.float64]],
) -> NDArray[np.float64]:
    """What follows for one city from two honest sums, over all cities and over all but that one."""
    full = masked_cities(names, random, plain)
    rest = masked_cities([name for name in names if name != left_out], random, plain)
    sums = [sum_of(one.sent for one in cities.values()) for cities in (full, rest)]
    return from_words(subtract(*sums))


def with_session(city: Masked, session: str) -> Masked:
    """The same secrets in another session."""
    return replace(city, masks=replace(city.masks, session=session))


def r_squared(guess: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Share of the truth's variance that a straight line through the guesses explains."""
    return float(np.corrcoef(guess, truth)[0, 1] ** 2)
