"""The analyst's own work on a city's raw files: read, account for every row, build the panel, store it.

This is the only place where readers and panel meet. It runs on the analyst's machine; what it writes into the
store is all that the serving process ever opens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from evalkit.config import Site, load_site
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, estimate
from evalkit.core.frames import REJECT_REASONS, Account
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, study_hash
from evalkit.disclosure import gate
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.release import canonical_bytes
from evalkit.disclosure.rules import Verdict
from evalkit.errors import ConfigError, RefusalError, TaxonomyError
from evalkit.federation.site_store import SiteStore
from evalkit.panel.build import build_from_rows, build_panel
from evalkit.panel.built import Built
from evalkit.panel.tally import open_tally
from evalkit.readers import Read, RowCache, read_cameras, read_incidents, write_rejected
from evalkit.readers.files import find_files
from evalkit.readers.stream import stream_incidents

__all__ = [
    "Bench",
    "CityRows",
    "Preview",
    "StreamedCity",
    "check_city",
    "open_bench",
    "preview",
    "store_panel",
    "stream_city",
]

LARGE_BYTES: Final = 300_000_000
"""Size of the incidents' files from which they are counted as they are read: some million rows, for which
reading all at once takes gigabytes of memory. Below it rows are kept, so that only new files are read."""

BYTES_OF_A_ROW: Final = 60
"""To guess the number of rows, which decides how fine a search structure is worth its price."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One city's site file, where it lies, and where its store is."""

    site: Site
    folder: Path
    store: SiteStore


@dataclass(frozen=True, slots=True)
class CityRows:
    """A city's normalised incidents and cameras, each with its account."""

    incidents: Read
    cameras: Read

    @property
    def fingerprint(self) -> str:
        """SHA-256 over both sources' fingerprints."""
        return _joint_fingerprint(self.incidents.fingerprint, self.cameras.fingerprint)


@dataclass(frozen=True, slots=True)
class StreamedCity:
    """A panel whose incidents were counted as they were read.

    Attributes:
        built: the panel.
        account: incidents read, used, and rejected by reason.
        notes: sentences about the source, as in `evalkit.readers.Read`.
    """

    built: Built
    account: Account
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What one round of a study would send, before anything is sent.

    Attributes:
        statistics: the numbers, with their support.
        verdicts: each rule's.
        data: the exact bytes.
        notes: what was done to small cohorts.
    """

    statistics: Statistics
    verdicts: tuple[Verdict, ...]
    data: bytes
    notes: tuple[str, ...]


def open_bench(path: Path) -> Bench:
    """Read a site file and find its store, by default ``<name>.store`` beside it.

    Raises:
        ConfigError: the site file is not one, or something that is not a folder lies where the store should.
    """
    site = load_site(path)
    folder = path.resolve().parent
    store = folder / (site.store or f"{site.name}.store")
    if store.exists() and not store.is_dir():
        raise ConfigError(
            "the city's store is not a folder",
            where=str(store),
            way_out="move the file away, or name another store in the site file",
        )
    return Bench(site, folder, SiteStore(store))


def read_city(bench: Bench) -> CityRows:
    """Read both sources; files that were read before and have not changed come from the store's ``rows``.

    Raises:
        ReadError: a file, column, encoding, date format or coordinate system is not what the site file says.
    """
    cache = RowCache(bench.store.folder / "rows")
    rows = CityRows(
        read_incidents(bench.site, bench.folder, cache),
        read_cameras(bench.site, bench.folder, cache),
    )
    cache.forget_the_rest()
    return rows


def check_city(bench: Bench, rows: CityRows) -> dict[str, Any]:
    """The data-quality account of both sources, as plain numbers and text; it stays in the city.

    Also writes the rejected rows into the store's ``check`` folder.
    """
    folder = bench.store.folder / "check"
    folder.mkdir(parents=True, exist_ok=True)
    sources = {"incidents": rows.incidents, "cameras": rows.cameras}
    for name, source in sources.items():
        write_rejected(source, folder / f"rejected-{name}.csv")
    return {
        "site": bench.site.name,
        "title": bench.site.city.title,
        "descriptions": dict(REJECT_REASONS),
        **{name: _check_source(source) for name, source in sources.items()},
    }


def store_panel(bench: Bench, study: Study, rows: CityRows | None = None) -> Built:
    """Build the study's panel and put it in the store.

    Raises:
        TaxonomyError: the city's categories are mapped to another taxonomy than the study's.
        ReadError, PanelError: see `read_city` and `panel.build`.
    """
    _check_taxonomy(bench.site, study)
    if rows is None and _is_large(bench):
        streamed = stream_city(bench, study)
        if streamed is not None:
            bench.store.write(bench.site, study, streamed.built)
            return streamed.built
    rows = rows or read_city(bench)
    built = build_panel(
        rows.incidents.rows,
        rows.cameras.rows,
        study,
        site_name=bench.site.name,
        bounds=bench.site.city.bounds,
        study_hash=study_hash(study),
        fingerprint=rows.fingerprint,
    )
    bench.store.write(bench.site, study, built)
    return built


def stream_city(bench: Bench, study: Study) -> StreamedCity | None:
    """Build the study's panel from incidents that are counted as they are read.

    Memory does not grow with the number of incidents. Panel and account are those that `store_panel`
    makes of all rows at once.

    Returns:
        None if the study's units or the source's files cannot be counted so.

    Raises:
        ReadError, PanelError: as `store_panel`.
    """
    site, bounds = bench.site, bench.site.city.bounds
    cameras = read_cameras(site, bench.folder)
    rows_to_come = _bytes(bench) // BYTES_OF_A_ROW
    tally = open_tally(cameras.rows, study, bounds, rows_to_come)
    incidents = None if tally is None else stream_incidents(site, bench.folder, tally.fresh)
    if incidents is None:
        return None
    built = build_from_rows(
        incidents.counts.rows(),
        cameras.rows,
        study,
        site_name=site.name,
        study_hash=study_hash(study),
        fingerprint=_joint_fingerprint(incidents.fingerprint, cameras.fingerprint),
    )
    return StreamedCity(built, incidents.account, incidents.notes)


def _is_large(bench: Bench) -> bool:
    return _bytes(bench) >= LARGE_BYTES


def _bytes(bench: Bench) -> int:
    """Size of the incidents' files; none of a database."""
    files = bench.site.incidents.files
    return (
        sum(path.stat().st_size for path in find_files(files, bench.folder).values())
        if files
        else 0
    )


def _joint_fingerprint(*fingerprints: str) -> str:
    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()


def preview(bench: Bench, study: Study) -> Preview:
    """Run the study's question on this city alone and judge what would leave; nothing leaves.

    For an estimator of several rounds the last round is shown, which carries the most.

    Raises:
        RefusalError: the question itself is refused, or cohorts stay too small.
        NoPanelError: the panel has not been built.
    """
    digest = study_hash(study)
    panel = bench.store.panel(digest)
    policy = bench.site.policy
    if policy is None:
        raise RefusalError(
            "the city has no policy",
            where="rule policy",
            way_out="add [policy] to the site file",
            rules=("policy",),
        )
    prepared = prepare(panel, study, policy)
    chosen = estimator(study.analysis.estimator)
    last: list[tuple[Question, Statistics]] = []

    def ask(question: Question) -> list[Statistics]:
        last[:] = [(question, chosen.summarise(prepared.panel, question))]
        return [last[0][1]]

    estimate(chosen, study, ask)
    question, statistics = last[0]
    (fields,) = statistics.parts.values()
    data = canonical_bytes(
        site=bench.site.name,
        study=digest,
        estimator=statistics.estimator,
        stage=statistics.stage,
        round_number=question.round,
        kind=statistics.kind,
        fields=fields,
    )
    return Preview(statistics, gate.draft(statistics, policy).verdicts, data, prepared.notes)


def _check_taxonomy(site: Site, study: Study) -> None:
    """Equal words of two taxonomies need not mean the same crimes."""
    if site.incidents.taxonomy != study.outcome.taxonomy:
        raise TaxonomyError(
            f'the site maps its categories to "{site.incidents.taxonomy}", the study counts by '
            f'"{study.outcome.taxonomy}"',
            where=f"site {site.name}, [incidents] taxonomy",
            limit="one taxonomy for the study and all its cities",
            way_out="map the city's categories to the study's taxonomy",
        )


def _check_source(source: Read) -> Mapping[str, Any]:
    account = source.account
    column = "date" if "date" in source.rows.columns else "live_date"
    dates = source.rows[column].drop_nulls()
    return {
        "read": account.read,
        "used": account.used,
        "rejected": {reason: count for reason, count in account.rejected.items() if count},
        "first": _iso(dates.min()),
        "last": _iso(dates.max()),
        "by_month": _by_month(dates),
        "crime_types": _counts(source.rows, "crime_type"),
        "notes": list(source.notes),
    }


def _by_month(dates: pl.Series) -> list[tuple[str, int]]:
    """Month (its first day) and number of rows, oldest first, months without rows left out."""
    months = (
        dates.dt.truncate("1mo").alias("month").to_frame().group_by("month").len().sort("month")
    )
    return [(month.isoformat(), int(count)) for month, count in months.iter_rows()]


def _counts(rows: pl.DataFrame, column: str) -> dict[str, int]:
    if column not in rows.columns:
        return {}
    counts = rows.group_by(column).len().sort("len", descending=True)
    return {str(name): int(count) for name, count in counts.iter_rows()}


def _iso(value: Any) -> str | None:
    return None if value is None else str(value)
