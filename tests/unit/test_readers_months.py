"""Names of months in other languages: each means one month, and nothing else becomes one."""

from __future__ import annotations

import polars as pl
import pytest

from evalkit.readers.months import MONTHS, in_english


def test_no_name_stands_for_two_months() -> None:
    names = [name for written in MONTHS.values() for name in written.split()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("english", MONTHS)
def test_every_name_is_read(english: str) -> None:
    names = pl.Series([f"3 {name.upper()}. 2018" for name in MONTHS[english].split()])
    assert set(in_english(names, dots=False)) == {f"3 {english} 2018"}
    assert set(in_english(names, dots=True)) == {f"3 {english}. 2018"}


@pytest.mark.parametrize("word", ["mayor-18", "augen 2018", "2018", "7월", "setembrox"])
def test_other_words_stay(word: str) -> None:
    assert in_english(pl.Series([word]), dots=False).to_list() == [word]


def test_letters_put_together_from_two_and_letters_without_accents() -> None:
    names = pl.Series(["fe\u0301vrier 2018", "fevrier 2018", "MARCO 2018", "aout 2018", None])
    assert in_english(names, dots=False).to_list() == [
        "Feb 2018",
        "Feb 2018",
        "Mar 2018",
        "Aug 2018",
        None,
    ]
