"""Values of a source that the site file lists, under their common names."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

import polars as pl

from evalkit.errors import ConfigError

__all__ = ["SpellingError", "common_names", "fold", "spellings"]


def common_names(values: pl.Series, names: Mapping[str, str], where: str) -> pl.Series:
    """(N,) String: the common name of each value, null where ``names`` does not list it.

    Values match exactly, but for capitals, surrounding blanks, and the two ways in which Unicode can
    write an accented letter.

    Args:
        values: (N,) cleaned text, null where missing.
        names: value → common name.
        where: place of ``names`` in the site file, for errors.

    Raises:
        ConfigError: two spellings of one value have different common names.
    """
    try:
        known = spellings(values, names)
    except SpellingError as error:
        raise ConfigError(
            f'"{error}" has two common names under different spellings',
            where=where,
            limit="capitals and surrounding blanks make no difference",
            way_out="keep one of the lines",
        ) from None
    return values.replace_strict(known, default=None, return_dtype=pl.String())


class SpellingError(Exception):
    """Two spellings of one value have different common names; holds the second."""


def spellings(values: pl.Series, names: Mapping[str, str]) -> dict[str, str]:
    """Distinct value → common name, of those that ``names`` lists in some spelling.

    Raises:
        SpellingError: two spellings of one value have different common names.
    """
    folded: dict[str, str] = {}
    for value, common in names.items():
        if folded.setdefault(fold(value), common) != common:
            raise SpellingError(value)
    seen = values.unique().drop_nulls().to_list()
    return {value: folded[key] for value in seen if (key := fold(value)) in folded}


def fold(value: str) -> str:
    """What is the same for all spellings of a value."""
    return unicodedata.normalize("NFC", value).strip().casefold()
