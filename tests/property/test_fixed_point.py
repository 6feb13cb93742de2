"""128-bit fixed point: exact where it says so, and its sums are those of whole numbers modulo 2^128."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.numerics.fixed_point import (
    LARGEST,
    MOST_TERMS,
    add,
    from_words,
    negate,
    subtract,
    sum_of,
    to_words,
)

MODULUS = 2**128
HALF_STEP = Fraction(1, 2**65)
EXACT_FROM = 2.0**-12
# Each lane is rounded once when a sum is read back, and their sum once more.
READ_BACK = Fraction(1, 2**52)

numbers = st.floats(-LARGEST, LARGEST, allow_nan=False)
words = st.integers(0, MODULUS - 1)


def integer(words: np.ndarray) -> int:
    """One number's words as Python has it."""
    return int(words[0]) + (int(words[1]) << 64)


def of_integer(value: int) -> np.ndarray:
    return np.array([[value & (2**64 - 1), value >> 64]], dtype=np.uint64)


def signed(value: int) -> Fraction:
    return Fraction(value - MODULUS if value >= MODULUS // 2 else value, 2**64)


@given(numbers)
def test_a_number_is_held_to_half_a_step_and_exactly_from_two_to_the_minus_twelve(x: float) -> None:
    held = signed(integer(to_words(np.array([x]))[0]))
    assert abs(held - Fraction(x)) <= HALF_STEP
    if abs(x) >= EXACT_FROM:
        assert held == Fraction(x)
        assert from_words(to_words(np.array([x])))[0] == x


@given(st.lists(numbers, min_size=1, max_size=20))
def test_a_sum_is_that_of_the_numbers_as_held(values: list[float]) -> None:
    terms = [to_words(np.array([x])) for x in values]
    found = sum_of(terms)
    exact = sum(signed(integer(term[0])) for term in terms)
    assert signed(integer(found[0])) == exact
    assert abs(Fraction(float(from_words(found)[0])) - exact) <= READ_BACK * abs(exact)


@given(words, words)
def test_addition_is_modulo_two_to_the_128(a: int, b: int) -> None:
    assert integer(add(of_integer(a), of_integer(b))[0]) == (a + b) % MODULUS
    assert integer(subtract(of_integer(a), of_integer(b))[0]) == (a - b) % MODULUS
    assert integer(negate(of_integer(a))[0]) == -a % MODULUS


@pytest.mark.parametrize(
    ("a", "b"),
    [(2**64 - 1, 1), (2**128 - 1, 1), (2**64 - 1, 2**64 - 1), (0, 0), (2**127, 2**127)],
)
def test_carries(a: int, b: int) -> None:
    assert integer(add(of_integer(a), of_integer(b))[0]) == (a + b) % MODULUS


@given(words, st.lists(numbers, min_size=1, max_size=8))
def test_masks_leave_no_trace(mask: int, values: list[float]) -> None:
    """What one adds and another subtracts is gone, in whatever order."""
    terms = [to_words(np.array([x])) for x in values]
    masked = [add(terms[0], of_integer(mask)), *terms[1:], negate(of_integer(mask))]
    np.testing.assert_array_equal(sum_of(masked[::-1]), sum_of(terms))


@pytest.mark.parametrize("x", [LARGEST, -LARGEST, 1e12, 0.0, -0.0, 5e-324, 2.0**-65, -(2.0**-64)])
def test_extremes(x: float) -> None:
    (found,) = from_words(to_words(np.array([x])))
    assert abs(Fraction(float(found)) - Fraction(x)) <= HALF_STEP


@pytest.mark.parametrize("x", [np.nextafter(LARGEST, np.inf), -1e16, np.inf, -np.inf, np.nan])
def test_what_does_not_fit_is_refused(x: float) -> None:
    with pytest.raises(OverflowError):
        to_words(np.array([1.0, x]))


def test_the_largest_sum_does_not_wrap_around() -> None:
    for sign in (1.0, -1.0):
        total = sum_of([to_words(np.array([sign * LARGEST]))] * MOST_TERMS)
        assert from_words(total)[0] == sign * LARGEST * MOST_TERMS


def test_shapes_are_kept() -> None:
    values = np.arange(24.0).reshape(2, 3, 4) - 7.5
    np.testing.assert_array_equal(from_words(to_words(values)), values)
    assert to_words(np.empty(0)).shape == (0, 2)
