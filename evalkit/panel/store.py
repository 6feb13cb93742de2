"""A built panel on disk, so that the process that serves a city never opens a raw row.

The folder ``panel`` inside the site's store holds

``units.parquet``
    one row per unit, in the panel's order: the table of `Built.units` and the columns
    ``first_period`` and ``last_period`` (−1 for never).
``counts.parquet``
    crime_type, unit, period (positions) and count; cells that are zero are left out.
``exposure.parquet``
    unit, period, exposure; cells that are one are left out.
``dose.parquet``
    unit (its name), period (its first day) and cameras: live ones at the period's end, where that changed.
``arrays.msgpack``
    of a small panel only, `SMALL` at most: its arrays once more, little-endian, since opening four tables takes longer
    than a small city's estimate.
``panel.json``
    what the arrays mean, the account, the balance before any camera, and the SHA-256 of the other files and of itself.

The digests find accidents and careless edits; whoever can write the folder can also write new
digests. That a study was approved and what was released is what the signed ledger shows.

Reading needs numpy, polars and msgspec only: a city starts a fresh process for every message.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.panel import Panel, Role
from evalkit.errors import NoPanelError, PanelError
from evalkit.panel.balance import Balance
from evalkit.panel.built import Built
from evalkit.panel.diagnostics import diagnose

__all__ = [
    "FORMAT",
    "Manifest",
    "Stored",
    "open_panel",
    "panel_in",
    "read_built",
    "read_panel",
    "where_units_are",
    "write_panel",
]

FORMAT: Final = 3
"""Version of the layout above."""

READABLE: Final = (2, FORMAT)
"""Versions that are read; another one is refused, not guessed at. Version 2 never had ``arrays.msgpack``."""

FOLDER: Final = "panel"
MANIFEST: Final = "panel.json"
TABLES: Final = ("units", "counts", "exposure", "dose")
ARRAYS: Final = "arrays"

SMALL: Final = 100_000
"""Cells in ``counts`` and ``exposure`` together; 1.8 MB of arrays. Beyond, it is the reading that takes the time."""

WAY_OUT: Final = "build it with `evalkit site panel --site SITE.toml --study STUDY.toml`"
AGAIN: Final = "build it again with `evalkit site panel --site SITE.toml --study STUDY.toml`"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What ``panel.json`` holds."""

    format: int
    evalkit: str
    site: str
    study: str
    fingerprint: str
    crime_types: tuple[str, ...]
    periods: tuple[dt.date, ...]
    account: dict[str, int]
    facts: dict[str, int]
    sha256: dict[str, str]
    balance: tuple[Balance, ...]
    digest: str = ""


class _Arrays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A panel's arrays in ``arrays.msgpack``; counts and exposure as positions and values, as in the tables."""

    unit_ids: tuple[str, ...]
    role: bytes
    ring: bytes
    first_live: bytes
    last_live: bytes
    counts: tuple[bytes, bytes, bytes, bytes]
    exposure: tuple[bytes, bytes, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A stored panel whose files were read and found to be those that were written.

    Attributes:
        place: the panel's folder.
        text: the bytes of ``panel.json``. Through the digests in it they name the content of every other file.
        manifest: what they say.
        files: name of table → its bytes.
    """

    place: Path
    text: bytes
    manifest: Manifest
    files: Mapping[str, bytes]


def write_panel(built: Built, folder: Path) -> Path:
    """Write ``folder/panel``, replacing an older one, and return its path.

    A reader sees the old panel, the new one, or for an instant none; never a mixture.

    Raises:
        PanelError: the panel holds several cities, or the folder cannot be written.
    """
    if len(built.panel.sites) != 1:
        raise PanelError(
            f"the panel holds {len(built.panel.sites)} cities",
            limit="one; every city stores its own",
        )
    final, fresh, stale = (folder / f"{FOLDER}{end}" for end in ("", ".new", ".old"))
    try:
        for leftover in (fresh, stale):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh.mkdir(parents=True)
        tables = _tables(built)
        digests = {
            name: _write(_parquet(table), fresh / _file_name(name))
            for name, table in tables.items()
        }
        if len(tables["counts"]) + len(tables["exposure"]) <= SMALL:
            digests[ARRAYS] = _write(_arrays(built.panel), fresh / _file_name(ARRAYS))
        (fresh / MANIFEST).write_bytes(_sealed(built, digests))
        if final.exists():
            final.rename(stale)
        fresh.rename(final)
        shutil.rmtree(stale, ignore_errors=True)
    except OSError as error:
        raise PanelError(
            f"the panel cannot be written ({error.strerror or os.strerror(error.errno or 0)})",
            where=str(folder),
            way_out="check the disk and the permissions of the site's store",
        ) from None
    return final


def read_panel(folder: Path, *, study: str = "") -> Panel:
    """Read the panel in ``folder/panel`` and verify it.

    Args:
        folder: the site's store.
        study: hash of the study it must have been built for; empty for any.

    Raises:
        NoPanelError: there is none, or it was built for another study.
        PanelError: a file was changed, is missing, or is of another version.
    """
    return panel_in(open_panel(folder, study=study))


def open_panel(folder: Path, *, study: str = "", known: Stored | None = None) -> Stored:
    """Read the files in ``folder/panel`` and verify their digests, without looking into the tables.

    Args:
        folder: the site's store.
        study: hash of the study it must have been built for; empty for any.
        known: what an earlier call returned; spares interpreting a ``panel.json`` whose bytes are the same.

    Raises:
        NoPanelError, PanelError: as `read_panel`.
    """
    place = folder / FOLDER
    text = _text_of(place)
    same = known is not None and known.text == text and known.place == place
    manifest = known.manifest if same and known is not None else _manifest(text, place / MANIFEST)
    if study and manifest.study != study:
        raise NoPanelError(
            "the stored panel was built for another study", where=str(place), way_out=WAY_OUT
        )
    files = {name: _verified(place, manifest, name) for name in sorted(manifest.sha256)}
    return Stored(place, text, manifest, files)


def panel_in(stored: Stored) -> Panel:
    """The panel of verified files.

    Raises:
        PanelError: the panel in them cannot be.
    """
    if ARRAYS not in stored.files:
        return _panel_of(stored.manifest, _tables_in(stored))
    path = stored.place / _file_name(ARRAYS)
    try:
        return _small_panel(stored.manifest, stored.files[ARRAYS])
    except (msgspec.DecodeError, ValueError, IndexError):
        raise _changed(path) from None


def where_units_are(stored: Stored) -> NDArray[np.float64]:
    """(U, 2) longitude and latitude of every unit of a stored panel; NaN where it has none.

    Args:
        stored: as `open_panel` returned it, with its files or without: then the table of units is read again.

    Raises:
        PanelError: the table was changed, or is missing.
    """
    raw = stored.files.get("units") or _verified(stored.place, stored.manifest, "units")
    places = pl.read_parquet(io.BytesIO(raw), columns=["longitude", "latitude"])
    return places.cast(pl.Float64).fill_null(math.nan).to_numpy()


def read_built(folder: Path) -> Built:
    """Read the panel with its units, account and diagnostics, which are computed anew.

    Raises:
        NoPanelError, PanelError: as `read_panel`.
    """
    stored = open_panel(folder)
    panel, tables, manifest = panel_in(stored), _tables_in(stored), stored.manifest
    return Built(
        panel=panel,
        units=tables["units"].drop("first_period", "last_period"),
        account=manifest.account,
        facts=manifest.facts,
        diagnostics=diagnose(panel, manifest.facts, manifest.balance),
        balance=manifest.balance,
        dose=tables["dose"],
    )


def _tables(built: Built) -> dict[str, pl.DataFrame]:
    panel = built.panel
    crime_type, unit, period = np.nonzero(panel.counts)
    cut_unit, cut_period = np.nonzero(panel.exposure != 1)
    return {
        "units": built.units.with_columns(
            pl.Series("ring", panel.ring),
            pl.Series("first_period", panel.first_live),
            pl.Series("last_period", panel.last_live),
        ),
        "counts": pl.DataFrame(
            {
                "crime_type": crime_type.astype(np.uint16),
                "unit": unit.astype(np.uint32),
                "period": period.astype(np.uint32),
                "count": panel.counts[crime_type, unit, period],
            }
        ),
        "dose": built.dose,
        "exposure": pl.DataFrame(
            {
                "unit": cut_unit.astype(np.uint32),
                "period": cut_period.astype(np.uint32),
                "exposure": panel.exposure[cut_unit, cut_period],
            }
        ),
    }


def _file_name(name: str) -> str:
    return f"{name}.msgpack" if name == ARRAYS else f"{name}.parquet"


def _parquet(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _arrays(panel: Panel) -> bytes:
    crime_type, unit, period = np.nonzero(panel.counts)
    cut_unit, cut_period = np.nonzero(panel.exposure != 1)
    return msgspec.msgpack.encode(
        _Arrays(
            unit_ids=tuple(panel.unit_ids.tolist()),
            role=_packed(panel.role, "<i1"),
            ring=_packed(panel.ring, "<i8"),
            first_live=_packed(panel.first_live, "<i8"),
            last_live=_packed(panel.last_live, "<i8"),
            counts=(
                _packed(crime_type, "<u2"),
                _packed(unit, "<u4"),
                _packed(period, "<u4"),
                _packed(panel.counts[crime_type, unit, period], "<i8"),
            ),
            exposure=(
                _packed(cut_unit, "<u4"),
                _packed(cut_period, "<u4"),
                _packed(panel.exposure[cut_unit, cut_period], "<f8"),
            ),
        )
    )


def _packed(array: NDArray[Any], dtype: str) -> bytes:
    return array.astype(dtype).tobytes()


def _write(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _sealed(built: Built, digests: dict[str, str]) -> bytes:
    panel = built.panel
    manifest = Manifest(
        format=FORMAT,
        evalkit=_version(),
        site=panel.sites[0],
        study=panel.study,
        fingerprint=panel.fingerprint,
        crime_types=panel.crime_types,
        periods=panel.periods,
        account=dict(built.account),
        facts=dict(built.facts),
        sha256=digests,
        balance=built.balance,
    )
    sealed = msgspec.structs.replace(manifest, digest=_digest(manifest))
    return msgspec.json.format(msgspec.json.encode(sealed), indent=1)


def _digest(manifest: Manifest) -> str:
    """SHA-256 of the canonical manifest with an empty digest."""
    bare = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def _version() -> str:
    try:
        return version("evalkit")
    except PackageNotFoundError:  # a source tree that was not installed
        return "not installed"


def _tables_in(stored: Stored) -> dict[str, pl.DataFrame]:
    return {name: pl.read_parquet(io.BytesIO(stored.files[name])) for name in TABLES}


def _panel_of(manifest: Manifest, tables: Mapping[str, pl.DataFrame]) -> Panel:
    units = tables["units"]
    shape = (len(manifest.crime_types), len(units), len(manifest.periods))
    counts = np.zeros(shape, dtype=np.int64)
    cells = tables["counts"]
    counts[_at(cells, "crime_type"), _at(cells, "unit"), _at(cells, "period")] = cells[
        "count"
    ].to_numpy()
    exposure = np.ones(shape[1:])
    cut = tables["exposure"]
    exposure[_at(cut, "unit"), _at(cut, "period")] = cut["exposure"].to_numpy()
    values = {role.name.lower(): int(role) for role in Role}
    return Panel(
        sites=(manifest.site,),
        crime_types=manifest.crime_types,
        periods=manifest.periods,
        unit_ids=np.array(units["unit"].to_list(), dtype=np.str_),
        site_of_unit=np.zeros(shape[1], dtype=np.int64),
        role=np.array([values[name] for name in units["role"].to_list()], dtype=np.int64),
        ring=_owned(units["ring"]),
        first_live=_owned(units["first_period"]),
        last_live=_owned(units["last_period"]),
        counts=counts,
        exposure=exposure,
        study=manifest.study,
        fingerprint=manifest.fingerprint,
    )


def _small_panel(manifest: Manifest, data: bytes) -> Panel:
    """Equal to what `_panel_of` makes of the tables.

    Raises:
        msgspec.DecodeError, ValueError, IndexError: not what `_arrays` writes.
    """
    found = msgspec.msgpack.decode(data, type=_Arrays)
    shape = (len(manifest.crime_types), len(found.unit_ids), len(manifest.periods))
    counts = np.zeros(shape, dtype=np.int64)
    crime_type, unit, period, count = found.counts
    counts[
        np.frombuffer(crime_type, "<u2"),
        np.frombuffer(unit, "<u4"),
        np.frombuffer(period, "<u4"),
    ] = np.frombuffer(count, "<i8")
    exposure = np.ones(shape[1:])
    cut_unit, cut_period, share = found.exposure
    exposure[np.frombuffer(cut_unit, "<u4"), np.frombuffer(cut_period, "<u4")] = np.frombuffer(
        share, "<f8"
    )
    return Panel(
        sites=(manifest.site,),
        crime_types=manifest.crime_types,
        periods=manifest.periods,
        unit_ids=np.array(found.unit_ids, dtype=np.str_),
        site_of_unit=np.zeros(shape[1], dtype=np.int64),
        role=_unpacked(found.role, "<i1"),
        ring=_unpacked(found.ring, "<i8"),
        first_live=_unpacked(found.first_live, "<i8"),
        last_live=_unpacked(found.last_live, "<i8"),
        counts=counts,
        exposure=exposure,
        study=manifest.study,
        fingerprint=manifest.fingerprint,
    )


def _unpacked(data: bytes, dtype: str) -> NDArray[np.int64]:
    return np.frombuffer(data, dtype).astype(np.int64)


def _text_of(place: Path) -> bytes:
    path = place / MANIFEST
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NoPanelError(
            "the site has no stored panel", where=str(place), way_out=WAY_OUT
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _manifest(text: bytes, path: Path) -> Manifest:
    try:
        if msgspec.json.decode(text, type=_Version).format not in READABLE:
            raise PanelError(
                "the stored panel has another format version",
                where=str(path),
                limit=", ".join(str(one) for one in READABLE),
                way_out=AGAIN,
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _changed(path) from None
    listed = set(manifest.sha256)
    if manifest.digest != _digest(manifest) or listed - {ARRAYS} != set(TABLES):
        raise _changed(path)
    return manifest


class _Version(msgspec.Struct, frozen=True):
    """Of a manifest of any version; one without a version is of none."""

    format: object = None


def _verified(place: Path, manifest: Manifest, name: str) -> bytes:
    """The bytes that are hashed are the bytes that are parsed."""
    # `Path` would double the time to read a file of a few kilobytes, and a city's every answer reads five
    path = os.path.join(place, _file_name(name))  # noqa: PTH118
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            raw = file.readall()
    except FileNotFoundError:
        raise PanelError(
            "a file of the stored panel is missing", where=path, way_out=AGAIN
        ) from None
    except OSError as error:
        raise _unreadable(Path(path), error) from None
    if hashlib.sha256(raw).hexdigest() != manifest.sha256[name]:
        raise _changed(Path(path))
    return raw


def _changed(path: Path) -> PanelError:
    return PanelError(
        "the stored panel was changed after it was written",
        where=str(path),
        limit="the bytes whose SHA-256 panel.json records",
        way_out=AGAIN,
    )


def _unreadable(path: Path, error: OSError) -> PanelError:
    return PanelError(
        f"the stored panel cannot be read ({error.strerror})",
        where=str(path),
        way_out="check the permissions of the site's store",
    )


def _at(table: pl.DataFrame, column: str) -> NDArray[np.int64]:
    return table[column].cast(pl.Int64).to_numpy()


def _owned(column: pl.Series) -> NDArray[np.int64]:
    """A copy: arrays lent by polars may already be read-only or shared."""
    owned: NDArray[np.int64] = column.cast(pl.Int64).to_numpy().copy()
    return owned
