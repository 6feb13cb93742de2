"""The first rows of a file as text, and how the file is written: format, encoding, separator."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import msgspec
import polars as pl

from evalkit.config import Source
from evalkit.errors import FileReadError
from evalkit.readers.files import readers
from evalkit.readers.protocol import Reader
from evalkit.readers.sources._bytes import read_bytes, to_utf8
from evalkit.readers.sources._header import SEPARATORS, read_header
from evalkit.readers.sources._records import read_exactly, read_fast

__all__ = ["MAX_ROWS", "Sample", "guess_encoding", "guess_separator", "take_sample"]

MAX_ROWS: Final = 20_000
"""Rows that guesses rest on: enough for every habit of a file, and read in a moment."""

SEPARATOR_LINES: Final = 200
"""Records on which separators are compared."""

PLAUSIBLE: Final = 0.5
"""Share of letters beyond ASCII that must look at home, else the encoding is in doubt."""

RUNS: Final = 20_000
"""Runs of such letters that are looked at."""

NO_HEADER: Final = 0.5
"""Share of names that look like values from which the first record is no header."""

Format = Literal["csv", "tsv", "parquet", "geojson"]

_CONTAINERS: Final = {
    b"PK\x03\x04": "a spreadsheet (.xlsx) or a zip archive",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"\x1f\x8b": "compressed (gzip)",
    b"SQLite format 3": "a database (SQLite, GeoPackage)",
}
"""First bytes of files that no reader takes apart, and what to call them."""

_VALUE: Final = re.compile(r"[-+]?\d[\d.,:/+\-TZ ]*")
_RUN: Final = re.compile(r"([A-Za-z]?)([^\x00-\x7f]+)(?=([A-Za-z]?))")
"""A run of characters beyond ASCII, with the ASCII letters that touch it."""

_WESTERN: Final = re.compile(
    "[À-ÖØ-öø-ÿŒœŠšŽžŸ]{1,4}|[ªº°·¡¿«»–—‘’“”…€£§²³½¼]+[À-ÖØ-öø-ÿ]?"  # noqa: RUF001 (the characters meant)
)
_KOREAN: Final = re.compile(r"[\uac00-\ud7a3\u3000-\u303f\u00b7]+")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The first rows of one file.

    Attributes:
        path: the file.
        layout: its ``format``, ``encoding`` and ``separator``; everything else as by default.
        rows: up to `MAX_ROWS` rows, all String; only columns whose name is not empty and occurs
            once, as the readers refuse any other.
        why: key of the site file → one sentence on how it was found.
        doubts: sentences about what a person should check.
    """

    path: Path
    layout: Source
    rows: pl.DataFrame
    why: dict[str, str]
    doubts: tuple[str, ...] = ()


def take_sample(path: Path, *, encoding: str = "", separator: str = "") -> Sample:
    """Look at a file; what ``encoding`` and ``separator`` state is not guessed.

    Raises:
        FileReadError: absent, empty, of no known format, or without a header.
        EncodingError: the stated encoding does not fit.
    """
    kind = _format(path)
    layout = Source(files=(path.name,), format=kind)
    if kind == "parquet":
        return Sample(path, layout, _parquet_rows(path), {"format": "by the file's first bytes"})
    data = read_bytes(path)
    found, sentence, doubts = (
        (encoding, "as stated", ()) if encoding else guess_encoding(data, path.name)
    )
    layout = msgspec.structs.replace(layout, encoding=found)
    why = {"format": "by the file's name and first bytes", "encoding": sentence}
    if kind == "geojson":
        rows = _geojson_rows(path, data, layout)
        return Sample(path, layout, rows, why, doubts)
    body = _head(to_utf8(data, found, str(path))[0], MAX_ROWS)
    layout = msgspec.structs.replace(layout, separator=separator or guess_separator(body))
    why["separator"] = "as stated" if separator else "splits the first records evenly"
    return Sample(path, layout, _delimited_rows(path, body, layout.separator), why, doubts)


def guess_encoding(data: bytes, name: str = "the file") -> tuple[str, str, tuple[str, ...]]:
    """Encoding of a whole file, how it was found, and doubts.

    The whole file is decoded, not only its head: one letter in the last row would stop the reader.
    """
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", "by its byte order mark", ()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "by its byte order mark", ()
    head = data[:4096]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > len(zeros) / 2:
            return encoding, "every second byte is zero", ()
    if _decoded(data, "utf-8") is not None:
        return "utf-8", "the whole file is valid UTF-8", ()
    shares = {
        encoding: _at_home(text, letters, western=western)
        for encoding, letters, western in (
            ("cp949", _KOREAN, False),
            ("cp1252", _WESTERN, True),
            ("latin-1", _WESTERN, True),
        )
        if (text := _decoded(data, encoding)) is not None
    }
    best = max(shares, key=lambda encoding: shares[encoding])
    doubt = (
        f"{name}: no encoding makes all its letters look as they should; {best} reads every byte, "
        "but check accented letters"
    )
    doubts = () if shares[best] >= PLAUSIBLE else (doubt,)
    return best, f"not UTF-8; {shares[best]:.0%} of its special letters look at home", doubts


def guess_separator(body: bytes) -> str:
    """The separator of UTF-8 ``body``: records have as many fields as the header, and many."""
    # Not str.splitlines: a form feed or a line separator ends no record.
    text = io.StringIO(body.decode("utf-8", errors="ignore"), newline="")
    lines = list(islice(text, SEPARATOR_LINES))

    def fit(separator: str) -> tuple[bool, int]:
        records = _records(lines, separator)
        width = len(records[0]) if records else 0
        same = sum(len(record) == width for record in records)
        return (width > 1 and same >= 0.9 * len(records), width)

    return max(SEPARATORS, key=fit)


def _records(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        records = list(csv.reader(lines, delimiter=separator))
    except csv.Error:
        return []
    # The last one may have been cut in the middle of a quoted field.
    return [record for record in records if record][: max(len(records) - 1, 2)]


def _format(path: Path) -> Format:
    """Format by the first bytes, then by the ending, then by what text begins with."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        head = read_bytes(path)[:4096]  # raises, and says why
    for magic, kind in _CONTAINERS.items():
        if head.startswith(magic):
            raise FileReadError(
                f"the file is {kind}, which cannot be read as it is",
                where=str(path),
                limit="CSV, TSV, GeoJSON or Parquet",
                way_out="unpack it, or export the table as CSV",
            )
    if head.startswith(b"PAR1"):
        return "parquet"
    suffix = path.suffix.lower()
    if suffix in {".csv", ".txt"}:
        return "csv"
    if suffix in {".tsv", ".tab"}:
        return "tsv"
    if suffix in {".geojson", ".json"} or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "geojson"
    return "csv"


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _at_home(text: str, letters: re.Pattern[str], *, western: bool) -> float:
    """Share of characters beyond ASCII that stand as ``letters`` of their language do.

    Accented letters touch ASCII ones, or are a word's only letters; Hangul mostly does not.
    """
    good = total = 0
    for match in islice(_RUN.finditer(text), RUNS):
        before, run, after = match.groups()
        total += len(run)
        touched = bool(before or after)
        alone = not any(character.isalpha() for character in run)
        if letters.fullmatch(run) and (touched == western or alone):
            good += len(run)
    return good / total if total else 1.0


def _head(body: bytes, rows: int) -> bytes:
    """``body`` up to the end of about that many lines."""
    end = 0
    for _ in range(rows + 1):
        found = body.find(b"\n", end)
        if found < 0:
            return body
        end = found + 1
    return body[:end]


def _delimited_rows(path: Path, body: bytes, separator: str) -> pl.DataFrame:
    header = read_header(body, separator, (), str(path))
    written = [name for name in header.names if name]
    if sum(bool(_VALUE.fullmatch(name)) for name in written) > NO_HEADER * len(written):
        # The names are not listed: they are probably the values of the first row.
        raise FileReadError(
            "the first record seems to hold data, not column names",
            where=str(path),
            limit="a header",
            way_out="export the file again with a header, or put one before the first line",
        )
    counts = Counter(header.names)
    kept = [(at, name) for at, name in enumerate(header.names) if name and counts[name] == 1]
    records = body[header.end :]
    layout = (header.separator, len(header.names), [at for at, _ in kept])
    table = (read_fast(records, *layout) if records else None) or read_exactly(records, *layout)
    if not table.rows.height:
        raise FileReadError(
            "no row of the file has as many fields as its header",
            where=str(path),
            limit=f"{len(header.names)} fields",
            way_out="state the separator, or export the file again",
        )
    names = [name for _, name in kept]
    return table.rows.rename(dict(zip(table.rows.columns, names, strict=True))).head(MAX_ROWS)


def _parquet_rows(path: Path) -> pl.DataFrame:
    schema = pl.DataFrame()
    try:
        flat = [
            name
            for name, dtype in pl.read_parquet_schema(path).items()
            if not (dtype.is_nested() or isinstance(dtype, pl.Object | pl.Duration | pl.Binary))
        ]
        schema = pl.read_parquet(path, columns=flat, n_rows=MAX_ROWS)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        _reader("parquet").read(path, Source(files=(path.name,)), ())  # raises, and says why
    return schema.select(
        pl.col(name).dt.to_string("iso") if dtype.is_temporal() else pl.col(name).cast(pl.String())
        for name, dtype in schema.schema.items()
    )


def _geojson_rows(path: Path, data: bytes, layout: Source) -> pl.DataFrame:
    names = [
        "longitude",
        "latitude",
        *_property_names(to_utf8(data, layout.encoding, str(path))[0]),
    ]
    table = _reader("geojson").read(path, layout, list(dict.fromkeys(names)))
    return table.rows.head(MAX_ROWS)


def _property_names(data: bytes) -> list[str]:
    """Names of the first features' properties; none if the file is damaged, which the reader says."""
    try:
        root = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return []
    features = root.get("features") if isinstance(root, dict) else None
    names: dict[str, None] = {}
    for feature in features[:MAX_ROWS] if isinstance(features, list) else ():
        properties = feature.get("properties") if isinstance(feature, dict) else None
        if isinstance(properties, dict) and _has_point(feature):
            names |= dict.fromkeys(properties)
    return [name for name in names if name.strip()]


def _has_point(feature: dict[str, object]) -> bool:
    """Whether the reader takes the feature for a row: a point, or no geometry at all."""
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict):
        return geometry is None
    place = geometry.get("coordinates")
    if geometry.get("type") != "Point" or not isinstance(place, list):
        return False
    return not place or (len(place) > 1 and all(type(value) in {int, float} for value in place[:2]))


def _reader(kind: str) -> Reader:
    return next(reader for reader in readers() if kind in reader.formats)
