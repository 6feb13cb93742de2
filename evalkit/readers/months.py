"""Names of months in the languages of the cities' portals become English, which date patterns read.

A name is replaced only where it stands alone, so that no other word can turn into a month. Names
that two of the languages give to different months are left out.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import polars as pl

__all__ = ["MONTHS", "in_english"]

MONTHS: Final[dict[str, str]] = {
    "Jan": "jan january enero ene janeiro janvier janv gennaio gen januar januari jän jänner "
    "gener styczeń stycznia sty",
    "Feb": "feb february febrero fevereiro fev février févr fév febbraio februar februari febr "
    "febrer luty lutego lut",
    "Mar": "mar march marzo março mars märz mär mrz maart mrt març marzec marca",
    "Apr": "apr april abril abr avril avr aprile kwiecień kwietnia kwi",
    "May": "may mayo maio mai maggio mag mei maj maja maig",
    "Jun": "jun june junio junho juin giugno giu juni juny czerwiec czerwca cze",
    "Jul": "jul july julio julho juillet juil luglio lug juli juliol lipiec lipca lip",
    "Aug": "aug august agosto ago août augustus agost sierpień sierpnia sie",
    "Sep": "sep sept september septiembre setiembre set setembro septembre settembre setembre "
    "wrzesień września wrz",
    "Oct": "oct october octubre outubro out octobre ottobre ott oktober okt październik "
    "października paź",
    "Nov": "nov november noviembre novembro novembre listopad listopada lis",
    "Dec": "dec december diciembre dic dezembro dez décembre déc dicembre dezember desembre des "
    "grudzień grudnia gru",
}
"""English abbreviation → names and abbreviations: English, Spanish, Portuguese, French, Italian,
German, Dutch, Scandinavian, Catalan and Polish."""


def in_english(text: pl.Series, *, dots: bool) -> pl.Series:
    """``text`` with the names of months as English abbreviations; accents and capitals do not matter.

    Args:
        text: (N,) String.
        dots: whether the date pattern has a dot behind the month, which then stays.
    """
    composed = text.str.normalize("NFC")
    for english, found in _PATTERNS.items():
        behind = "" if dots else r"\.?"
        name = rf"{found}{behind}([^\p{{L}}]|$)"
        composed = composed.str.replace(name, f"${{1}}{english}${{2}}")
    return composed


def _plain(name: str) -> str:
    """Without accents, as systems that know no better write it."""
    return "".join(
        letter for letter in unicodedata.normalize("NFD", name) if not unicodedata.combining(letter)
    )


def _pattern(names: str) -> str:
    every = {form for name in names.split() for form in (name, _plain(name))}
    longest_first = sorted(every, key=lambda form: (-len(form), form))
    return rf"(?i)(^|[^\p{{L}}])(?:{'|'.join(map(re.escape, longest_first))})"


_PATTERNS: Final = {english: _pattern(names) for english, names in MONTHS.items()}
