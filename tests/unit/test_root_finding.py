"""Bracketed roots against roots that are known in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from evalkit.numerics.root_finding import bracketed_root

# Four units in the last place, the stated precision, on top of one for the function itself.
ULPS = 5 * 2.0**-52

Case = tuple[Callable[[float], float], float, float, float]
CASES: list[Case] = [
    (lambda x: x**2 - 2, 0.0, 2.0, math.sqrt(2)),
    (lambda x: 2 - x**2, 2.0, 0.0, math.sqrt(2)),
    (math.cos, 1.0, 2.0, math.pi / 2),
    (lambda x: math.exp(x) - 1e-200, -1000.0, 0.0, math.log(1e-200)),
    (lambda x: 1 / (x + 1e-9) - 1.0, 0.0, 1e12, 1.0 - 1e-9),
    (lambda x: math.atan(x - 3e-7), -1e8, 1e8, 3e-7),
]


@pytest.mark.parametrize(("function", "low", "high", "root"), CASES)
def test_known_roots(
    function: Callable[[float], float], low: float, high: float, root: float
) -> None:
    # exp cannot be resolved better than the spacing of its argument allows.
    assert bracketed_root(function, low, high) == pytest.approx(root, rel=4 * ULPS)


def test_a_flat_triple_root_is_found_by_bisection() -> None:
    # |x - 0.3|³ vanishes below 1e-108, so this is as far as the function can tell.
    assert bracketed_root(lambda x: (x - 0.3) ** 3, -5.0, 7.0) == pytest.approx(0.3, rel=ULPS)


def test_a_jump_is_located() -> None:
    assert bracketed_root(lambda x: -1.0 if x < 0.7 else 1.0, 0.0, 1.0) == pytest.approx(
        0.7, rel=1e-15
    )


def test_roots_at_the_ends_and_at_zero() -> None:
    assert bracketed_root(lambda x: x, 0.0, 1.0) == 0.0
    assert bracketed_root(lambda x: x - 1.0, 0.0, 1.0) == 1.0
    assert bracketed_root(lambda x: x, -1.0, 3.0) == pytest.approx(0.0, abs=1e-300)


def test_few_evaluations_on_a_smooth_function() -> None:
    calls = 0

    def function(x: float) -> float:
        nonlocal calls
        calls += 1
        return math.exp(x) - 5.0

    bracketed_root(function, 0.0, 10.0)
    # Bisection alone would take 55.
    assert calls < 20


def test_same_sign_and_nan_are_refused() -> None:
    with pytest.raises(ValueError, match="same sign"):
        bracketed_root(lambda x: x**2 + 1, -1.0, 1.0)
    with pytest.raises(ValueError, match="not a number"):
        bracketed_root(lambda x: math.nan if 0.2 < x < 0.8 else x - 0.5, 0.0, 1.0)
