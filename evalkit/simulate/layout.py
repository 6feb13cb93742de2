"""How a portal writes its files: the words in which `evalkit.simulate.portals` puts each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Layout", "Portal"]


@dataclass(frozen=True, slots=True)
class Layout:
    """One file.

    Attributes:
        suffix: of the file, which is also its format.
        columns: header of each thing written, in the file's order. Keys are those of the site
            file's columns, and ``extra`` for a column that nobody needs.
        date_format: as declared in the site file.
        written: strftime pattern of the date column; ``typed`` for a Parquet date, ``epoch_s`` or
            ``epoch_ms`` for a number.
        time_written: pattern of a separate time column.
        clock: times are written in the city's own zone, or in UTC.
        source_zone, convert_zone: as declared in the site file.
        encoding: a Python codec; ``utf-8-sig`` and ``utf-16`` write a byte order mark.
        separator, decimal, newline: of delimited text.
        decimals: of coordinates.
        missing: how an empty value is written in delimited text.
    """

    suffix: Literal["csv", "tsv", "parquet", "geojson"]
    columns: dict[str, str]
    date_format: tuple[str, ...]
    written: str
    time_written: str = ""
    clock: Literal["local", "utc"] = "local"
    source_zone: str = ""
    convert_zone: bool = True
    encoding: str = "utf-8"
    separator: str = ","
    decimal: Literal[".", ","] = "."
    newline: str = "\n"
    decimals: int = 6
    missing: str = ""

    @property
    def delimited(self) -> bool:
        """Whether the file is delimited text."""
        return self.suffix in ("csv", "tsv")


@dataclass(frozen=True, slots=True)
class Portal:
    """One way of publishing.

    Attributes:
        about: a line for the site file.
        incidents, cameras: the two files.
        categories: the portal's own crime categories by common type, the commonest first.
        unmapped: categories of rows that are no crime.
        bad_dates: what stands in the date column of a spoiled row; ``None`` is an empty value.
        incident_id, camera_id: pattern with ``{year}`` and ``{number}``.
        duplicates: how the site file says that a row is repeated.
        incident_extra, camera_extra: values of the column that nobody needs.
        newest_first: order of the incident rows.
    """

    about: str
    incidents: Layout
    cameras: Layout
    categories: dict[str, tuple[str, ...]]
    unmapped: tuple[str, ...]
    bad_dates: tuple[str | None, ...]
    incident_extra: tuple[str, ...]
    camera_extra: tuple[str, ...]
    incident_id: str = "{number}"
    camera_id: str = "{number}"
    duplicates: Literal["id", "row"] = "row"
    newest_first: bool = False
