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
import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.panel import Panel, Role
from evalkit.errors import NoPanelError, PanelError
from evalkit.panel.balance import Balance
from evalkit.panel.built import Built
from evalkit.panel.diagnostics import diagnose

__all__ = ["FORMAT", "read_built", "read_panel", "write_panel"]

FORMAT: Final = 2
"""Version of the layout above; another version is refused, not guessed at."""

FOLDER: Final = "panel"
MANIFEST: Final = "panel.json"
TABLES: Final = ("units", "counts", "exposure", "dose")

WAY_OUT: Final = "build it with `evalkit site panel STUDY --site SITE`"
AGAIN: Final = "build it again with `evalkit site panel STUDY --site SITE`"


class _Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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
        digests = {
            name: _write(table, fresh / f"{name}.parquet") for name, table in _tables(built).items()
        }
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
    return _read(folder, study)[0]


def read_built(folder: Path) -> Built:
    """Read the panel with its units, account and diagnostics, which are computed anew.

    Raises:
        NoPanelError, PanelError: as `read_panel`.
    """
    panel, tables, manifest = _read(folder, "")
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


def _write(table: pl.DataFrame, path: Path) -> str:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _sealed(built: Built, digests: dict[str, str]) -> bytes:
    panel = built.panel
    manifest = _Manifest(
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


def _digest(manifest: _Manifest) -> str:
    """SHA-256 of the canonical manifest with an empty digest."""
    bare = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def _version() -> str:
    try:
        return version("evalkit")
    except PackageNotFoundError:  # a source tree that was not installed
        return "not installed"


def _read(folder: Path, study: str) -> tuple[Panel, dict[str, pl.DataFrame], _Manifest]:
    place = folder / FOLDER
    manifest = _read_manifest(place)
    if study and manifest.study != study:
        raise NoPanelError(
            "the stored panel was built for another study", where=str(place), way_out=WAY_OUT
        )
    tables = {name: _read_table(place / f"{name}.parquet", manifest, name) for name in TABLES}
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
    panel = Panel(
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
    return panel, tables, manifest


def _read_manifest(place: Path) -> _Manifest:
    path = place / MANIFEST
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise NoPanelError(
            "the site has no stored panel", where=str(place), way_out=WAY_OUT
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    try:
        version_only = msgspec.json.decode(text, type=dict[str, object])
        if version_only.get("format") != FORMAT:
            raise PanelError(
                "the stored panel has another format version",
                where=str(path),
                limit=str(FORMAT),
                way_out=AGAIN,
            )
        manifest = msgspec.json.decode(text, type=_Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _changed(path) from None
    if manifest.digest != _digest(manifest) or set(manifest.sha256) != set(TABLES):
        raise _changed(path)
    return manifest


def _read_table(path: Path, manifest: _Manifest, name: str) -> pl.DataFrame:
    """The bytes that are hashed are the bytes that are parsed."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise PanelError(
            "a file of the stored panel is missing", where=str(path), way_out=AGAIN
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    if hashlib.sha256(raw).hexdigest() != manifest.sha256[name]:
        raise _changed(path)
    return pl.read_parquet(io.BytesIO(raw))


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
