"""What a process keeps stays within its bytes, and is what was put in last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.kept import Kept

LIMIT = 100


def test_the_least_recently_used_goes_first() -> None:
    kept: Kept[str, int] = Kept(LIMIT)
    for number, key in enumerate("abc"):
        kept.put(key, number, 30)
    assert kept.get("a") == 0
    kept.put("d", 3, 30)
    assert [kept.get(key) for key in "abcd"] == [0, None, 2, 3]
    assert kept.size == 90


def test_a_value_above_the_limit_is_not_kept_and_takes_the_old_one_with_it() -> None:
    kept: Kept[str, int] = Kept(LIMIT)
    kept.put("a", 1, 10)
    kept.put("a", 2, LIMIT + 1)
    assert kept.get("a") is None
    assert kept.size == 0


def test_nothing_is_left_after_clearing() -> None:
    kept: Kept[str, int] = Kept(LIMIT)
    kept.put("a", 1, 10)
    kept.clear()
    assert kept.get("a") is None
    assert kept.size == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 150)), max_size=40))
def test_the_bound_holds_whatever_is_put_in(puts: list[tuple[int, int]]) -> None:
    kept: Kept[int, int] = Kept(LIMIT)
    last: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for number, (key, size) in enumerate(puts):
        kept.put(key, number, size)
        last[key], sizes[key] = number, size
        held = {one: kept.get(one) for one in last}
        assert kept.size <= LIMIT
        assert kept.size == sum(sizes[one] for one, found in held.items() if found is not None)
        assert all(found in (None, last[one]) for one, found in held.items())
