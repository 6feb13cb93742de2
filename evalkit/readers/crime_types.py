"""A city's own categories become common crime types."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import polars as pl

from evalkit.config import Incidents
from evalkit.errors import TaxonomyError

__all__ = ["CrimeTypes", "read_crime_types"]


@dataclass(frozen=True, slots=True, eq=False)
class CrimeTypes:
    """Common crime types of N rows.

    Attributes:
        crime_type: (N,) String; null where the site file maps nothing.
        unmapped: (N,) Boolean.
        met: the site file's categories that some row has.
    """

    crime_type: pl.Series
    unmapped: pl.Series
    met: tuple[str, ...] = ()


def read_crime_types(values: pl.Series | None, length: int, incidents: Incidents) -> CrimeTypes:
    """Map cleaned text to common crime types.

    Categories match exactly, but for capitals, surrounding blanks, and the two ways in which
    Unicode can write an accented letter.

    Args:
        values: (N,) String, or None without such a column.
        length: N.
        incidents: the mapping, or the one type of all rows.

    Raises:
        TaxonomyError: two spellings of one category are mapped to different types.
    """
    if incidents.all_as:
        return CrimeTypes(
            crime_type=pl.repeat(incidents.all_as, length, dtype=pl.String(), eager=True),
            unmapped=pl.repeat(value=False, n=length, eager=True),
        )
    mapping = _folded(incidents.crime_types)
    seen = [] if values is None else values.unique().drop_nulls().to_list()
    known = {value: mapping[key] for value in seen if (key := _fold(value)) in mapping}
    met = {_fold(value) for value in known}
    text = pl.repeat(None, length, dtype=pl.String(), eager=True) if values is None else values
    crime_type = text.replace_strict(known, default=None, return_dtype=pl.String())
    return CrimeTypes(
        crime_type=crime_type,
        unmapped=crime_type.is_null(),
        met=tuple(name for name in incidents.crime_types if _fold(name) in met),
    )


def _folded(mapping: dict[str, str]) -> dict[str, str]:
    folded: dict[str, str] = {}
    for name, common in mapping.items():
        key = _fold(name)
        if folded.setdefault(key, common) != common:
            raise TaxonomyError(
                f'"{name}" is mapped to two common types under different spellings',
                where="[incidents.crime_types]",
                limit="capitals and surrounding blanks make no difference",
                way_out="keep one of the lines",
            )
    return folded


def _fold(value: str) -> str:
    return unicodedata.normalize("NFC", value).strip().casefold()
