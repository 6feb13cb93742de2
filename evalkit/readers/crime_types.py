"""A city's own categories become common crime types."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from evalkit.config import Incidents
from evalkit.errors import TaxonomyError
from evalkit.readers.naming import SpellingError, fold, spellings

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
    text = pl.repeat(None, length, dtype=pl.String(), eager=True) if values is None else values
    try:
        known = spellings(text, incidents.crime_types)
    except SpellingError as error:
        raise TaxonomyError(
            f'"{error}" is mapped to two common types under different spellings',
            where="[incidents.crime_types]",
            limit="capitals and surrounding blanks make no difference",
            way_out="keep one of the lines",
        ) from None
    met = {fold(value) for value in known}
    crime_type = text.replace_strict(known, default=None, return_dtype=pl.String())
    return CrimeTypes(
        crime_type=crime_type,
        unmapped=crime_type.is_null(),
        met=tuple(name for name in incidents.crime_types if fold(name) in met),
    )
