"""The two tables every reader ends in, why a row may be left out, and the account that adds up.

Vocabulary
    row       position of a record in its source file, counting from 1; the header is not counted.
    file      position of the file among the source's files in sorted order, counting from 0.
    used      a row that is in the normalised table.
    rejected  a row that is not, for exactly one reason: the first of `REJECT_REASONS` that applies.

A row outside a study's window is not rejected here: no study has been asked yet when a file is
read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import polars as pl

from evalkit.errors import ReadError

__all__ = [
    "AREAS",
    "ATTRIBUTE",
    "CAMERAS",
    "COUNT",
    "INCIDENTS",
    "REJECT_REASONS",
    "Account",
    "Column",
    "Contract",
    "cameras_with",
    "validate",
]

REJECT_REASONS: Final[dict[str, str]] = {
    "malformed_row": "the record does not have the shape of the others and cannot be taken apart",
    "missing_date": "the date is empty or marked as missing",
    "unreadable_date": "the date is not in a stated format, or not between 1900 and 2100",
    "impossible_date": "the camera goes live after its row was written, or is removed before",
    "unmapped_type": "the crime type is empty, or not one the site file maps to a common type",
    "missing_count": "the number the row stands for is empty or marked as missing",
    "unreadable_count": "the number the row stands for is not a whole number from 0 on",
    "other_purpose": "the camera is not of those that the site file's only lists",
    "missing_coordinates": "longitude or latitude is empty or marked as missing",
    "unreadable_coordinates": "longitude or latitude is not a finite number",
    "zero_coordinates": "longitude and latitude are both zero, which stands for unknown",
    "swapped_coordinates": "the point lies in the city only with longitude and latitude exchanged",
    "outside_earth": "longitude is beyond ±180 or latitude beyond ±90 degrees",
    "outside_city": "the point lies outside the city's bounds",
    "missing_area": "the area is empty or marked as missing, and it is all that places the row",
    "unmapped_area": "the area is not one that area_names lists, and it is all that places the row",
    "missing_name": "the polygon's name is empty or marked as missing",
    "missing_geometry": "the polygon is absent, or has no inside",
    "not_polygon": "the geometry is a point, a line or a mixture, and no polygon",
    "duplicate": "the row repeats an earlier one that is used",
}
"""Every reason for leaving a row out, in the order in which they are tried, with its meaning."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a normalised table promises.

    Attributes:
        name: the column's name.
        dtype: its polars type.
        meaning: what a value is.
        unit: unit of a value, empty for text and positions.
        nullable: whether a value may be null.
        lowest, highest: closed range of the values, where there is one.
    """

    name: str
    dtype: pl.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The columns of a normalised table in their order, and those that tell its rows apart."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> pl.Schema:
        """Names and types, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})


COUNT: Final = "count"
"""Column of the number that a row stands for."""

ATTRIBUTE: Final = "attribute."
"""Put before the source's names of the columns that describe a camera."""

_FILE: Final = Column("file", pl.UInt32(), "position of the source file, counting from 0")
_ROW: Final = Column("row", pl.UInt64(), "position in the source file, counting from 1", lowest=1)
_LONGITUDE: Final = Column(
    "longitude",
    pl.Float64(),
    "WGS 84; null if the source places rows by area",
    "degrees",
    True,
    -180,
    180,
)
_LATITUDE: Final = Column(
    "latitude",
    pl.Float64(),
    "WGS 84; null if the source places rows by area",
    "degrees",
    True,
    -90,
    90,
)
_AREA: Final = Column(
    "area",
    pl.String(),
    "name of the area: the common one of area_names, else as the source writes it",
    "",
    True,
)

INCIDENTS: Final = Contract(
    name="incidents",
    columns=(
        _FILE,
        _ROW,
        Column("date", pl.Date(), "calendar date of the incident in the city", "day"),
        Column(
            "hour", pl.Int8(), "hour of the day in the city; null without a time", "h", True, 0, 23
        ),
        _LONGITUDE,
        _LATITUDE,
        _AREA,
        Column("crime_type", pl.String(), "common crime type"),
        Column(COUNT, pl.UInt32(), "incidents the row stands for; 1 unless counts came"),
    ),
    key=("file", "row"),
)
"""One row per incident that is used, or per count of incidents."""

CAMERAS: Final = Contract(
    name="cameras",
    columns=(
        _FILE,
        _ROW,
        Column(
            "id", pl.String(), "the source's own id, else file name and row; need not be unique"
        ),
        Column(
            "live_date",
            pl.Date(),
            "first day in operation; null if the source does not say",
            "day",
            True,
        ),
        Column(
            "removed",
            pl.Date(),
            "first day out of operation; null if it still works or the source does not say",
            "day",
            True,
        ),
        _LONGITUDE,
        _LATITUDE,
        _AREA,
        Column(COUNT, pl.UInt32(), "cameras the row stands for; 1 unless counts came"),
    ),
    key=("file", "row"),
)
"""One row per camera record that is used; several may be one place."""


AREAS: Final = Contract(
    name="areas",
    columns=(
        _FILE,
        _ROW,
        Column("name", pl.String(), "the area's name; rows of one name are one area"),
        Column(
            "geometry", pl.Binary(), "valid polygon of one or several parts, WKB, WGS 84", "degrees"
        ),
    ),
    key=("file", "row"),
)
"""One row per polygon that is used, in the order of the files."""


def cameras_with(attributes: Iterable[str]) -> Contract:
    """`CAMERAS` and a column for each of the source's ``attributes``, its name after `ATTRIBUTE`."""
    extra = (
        Column(f"{ATTRIBUTE}{name}", pl.String(), "as the source writes it", "", True)
        for name in attributes
    )
    return replace(CAMERAS, columns=(*CAMERAS.columns, *extra))


@dataclass(frozen=True, slots=True)
class Account:
    """How many rows were read, used, and rejected for which reason.

    Attributes:
        read: rows in the source files.
        used: rows in the normalised table.
        rejected: reason → rows, every known reason in its fixed order.

    Raises:
        ReadError: the numbers do not add up, or a reason is not among `REJECT_REASONS`.
    """

    read: int
    used: int
    rejected: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.rejected) - set(REJECT_REASONS))
        if unknown:
            raise ReadError(
                f"unknown reasons for rejecting a row: {', '.join(unknown)}",
                limit=f"one of {', '.join(REJECT_REASONS)}",
            )
        complete = {reason: int(self.rejected.get(reason, 0)) for reason in REJECT_REASONS}
        object.__setattr__(self, "rejected", complete)
        if min(self.read, self.used, *complete.values()) < 0:
            raise ReadError("an account has a negative number of rows", limit="counts ≥ 0")
        if self.read != self.used + sum(complete.values()):
            raise ReadError(
                f"the account does not add up: {self.read} rows read, {self.used} used and "
                f"{sum(complete.values())} rejected",
                limit="read = used + rejected",
                way_out="this is a fault in the reader; please report it with the site file",
            )

    def __add__(self, other: Account) -> Account:
        """The account of both sources together."""
        return Account(
            read=self.read + other.read,
            used=self.used + other.used,
            rejected={
                reason: self.rejected[reason] + other.rejected[reason] for reason in REJECT_REASONS
            },
        )

    def to_dict(self) -> dict[str, int | dict[str, int]]:
        """Plain numbers, for JSON."""
        return {"read": self.read, "used": self.used, "rejected": dict(self.rejected)}


def validate(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return ``frame`` if it keeps ``contract``, column for column.

    Raises:
        ReadError: wrong columns or types, a null or a value where none may be, or two rows with one
            key. The message names columns and counts, never values.
    """
    if frame.schema != contract.schema:
        raise ReadError(
            f"the {contract.name} table has columns {_describe(frame.schema)}",
            limit=_describe(contract.schema),
            way_out="this is a fault in the reader; please report it with the site file",
        )
    broken = [text for column in contract.columns for text in _breaches(frame[column.name], column)]
    repeated = frame.height - frame.select(contract.key).n_unique() if frame.height else 0
    if repeated:
        broken.append(f"{repeated} rows repeat the key ({', '.join(contract.key)})")
    if broken:
        raise ReadError(
            f"the {contract.name} table breaks its contract: {'; '.join(broken)}",
            way_out="this is a fault in the reader; please report it with the site file",
        )
    return frame


def _breaches(values: pl.Series, column: Column) -> Iterable[str]:
    nulls = values.null_count()
    if nulls and not column.nullable:
        yield f"{nulls} nulls in {column.name}"
    if column.lowest is not None:
        below = int((values < column.lowest).sum())
        if below:
            yield f"{below} values of {column.name} below {column.lowest:g}"
    if column.highest is not None:
        # NaN sorts above every number in polars, so it is counted here.
        above = int((values > column.highest).sum())
        if above:
            yield f"{above} values of {column.name} above {column.highest:g} or not a number"


def _describe(schema: Mapping[str, pl.DataType]) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in schema.items())
