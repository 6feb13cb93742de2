"""Numbers whose sums are exact: 128-bit two's-complement integers, vectorised, as two lanes of 64 bits.

A real number x is held as round(x · 2^64). Addition is modulo 2^128, so it is associative and commutative to the last
bit, and a mask that is added by one city and subtracted by another is gone from the sum without a trace.

Precision. A double with |x| ≥ 2^-12 is a multiple of 2^-64 and is held exactly; a smaller one is off by at most 2^-65
(2.7e-20), so one of 1e-6 keeps 2.8e-14 of its size. The sum itself adds no error at all; reading it back as a double
rounds once in each lane, together less than 2^-52 (2.3e-16) of its size. On entries from 1e-6 to 1e12 the sum over any
number of cities is therefore that of real numbers to far better than 1e-9, where cities' entries do not cancel.

Range. |x| ≤ 2^53 (9.0e15): the sum of `MOST_TERMS` of them stays below 2^63 and cannot wrap around.

Shapes: (N,) float64 ↔ (N, 2) uint64, the low lane first, which is the little-endian order of 16-byte integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "MOST_TERMS", "add", "from_words", "negate", "subtract", "sum_of", "to_words"]

Words = NDArray[np.uint64]

SCALE: Final = 2.0**64

LARGEST: Final = 2.0**53
"""Largest absolute value that is held."""

MOST_TERMS: Final = 1000
"""Numbers that can be added up without any doubt."""

_SIGN: Final = np.uint64(63)
_ONE: Final = np.uint64(1)


def to_words(values: NDArray[np.float64]) -> Words:
    """(N,) numbers as (N, 2) words.

    Raises:
        OverflowError: a number is beyond `LARGEST`, infinite or not a number.
    """
    size = np.abs(values)
    if not bool((size <= LARGEST).all()):
        raise OverflowError("a number is too large for fixed point")
    whole = np.floor(size)
    # |x| - floor|x| is exact, and so is its product with a power of two; it stays below 2^64 - 2^10.
    words = np.stack([np.rint((size - whole) * SCALE), whole], axis=-1).astype(np.uint64)
    return np.where((values < 0)[..., None], negate(words), words)


def from_words(words: Words) -> NDArray[np.float64]:
    """(N, 2) words as the (N,) nearest numbers, up to one unit in their last place."""
    below = (words[..., 1] >> _SIGN) == _ONE
    size = np.where(below[..., None], negate(words), words)
    values = size[..., 1].astype(np.float64) + size[..., 0].astype(np.float64) / SCALE
    return np.where(below, -values, values)


def add(left: Words, right: Words) -> Words:
    """The sum modulo 2^128 of words of one shape."""
    low = left[..., 0] + right[..., 0]
    carry = (low < left[..., 0]).astype(np.uint64)
    return np.stack([low, left[..., 1] + right[..., 1] + carry], axis=-1)


def negate(words: Words) -> Words:
    """The number that gives zero when it is added."""
    low = ~words[..., 0] + _ONE
    carry = (low == 0).astype(np.uint64)
    return np.stack([low, ~words[..., 1] + carry], axis=-1)


def subtract(left: Words, right: Words) -> Words:
    """The difference modulo 2^128 of words of one shape."""
    return add(left, negate(right))


def sum_of(terms: Iterable[Words]) -> Words:
    """The sum modulo 2^128 of words of one shape, of at least one term."""
    return reduce(add, terms)
