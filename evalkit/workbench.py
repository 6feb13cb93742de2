"""The analyst's own work on a city's raw files: read, account for every row, build the panel, store it.

This is the only place where readers and panel meet. It runs on the analyst's machine; what it writes into the
store is all that the serving process ever opens.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.config import Site, load_site
from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, ask_first, estimate
from evalkit.core.falsification import derived_of
from evalkit.core.frames import COUNT, REJECT_REASONS, Account
from evalkit.core.moderators import check_facts
from evalkit.core.panel import Panel
from evalkit.core.settings import settings_read
from evalkit.core.specifications import specifications_of
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, check_study, matching_of, study_hash
from evalkit.disclosure import gate, noise
from evalkit.disclosure.approval import covered_by
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.cohorts import prepare
from evalkit.disclosure.release import canonical_bytes
from evalkit.disclosure.rules import Verdict
from evalkit.disclosure.told import Encoded
from evalkit.errors import (
    ConfigError,
    EmptyWindowError,
    NoControlError,
    NothingToTestError,
    PanelError,
    RefusalError,
    TaxonomyError,
)
from evalkit.federation.site_store import TREATY, SiteStore
from evalkit.panel.build import build_from_rows, build_panel
from evalkit.panel.built import Built
from evalkit.panel.tally import open_tally
from evalkit.quality import Survey, survey
from evalkit.quality.calendar import by_period, resolution_of
from evalkit.quality.heaping import Clock
from evalkit.quality.survey import Source
from evalkit.quality.zones import ZoneShares, trial_study
from evalkit.readers import (
    Read,
    RowCache,
    read_areas,
    read_cameras,
    read_incidents,
    write_rejected,
)
from evalkit.readers.clock import read_times, rejected_years
from evalkit.readers.files import find_files
from evalkit.readers.stream import stream_incidents

__all__ = [
    "Bench",
    "CityRows",
    "Preview",
    "StreamedCity",
    "check_city",
    "is_in_force",
    "open_bench",
    "preview",
    "store_panel",
    "store_specifications",
    "store_study",
    "stream_city",
    "zone_shares",
]

LARGE_BYTES: Final = 300_000_000
"""Size of the incidents' files from which they are counted as they are read: some million rows, for which
reading all at once takes gigabytes of memory. Below it rows are kept, so that only new files are read."""

NO_ZONES: Final[Mapping[type[PanelError], str]] = {
    EmptyWindowError: "empty_window",
    NoControlError: "no_control",
    NothingToTestError: "nothing_to_test",
}
"""Why there are no shares by zone, in the words of `evalkit.report.check_words`."""

NOTE_NOISE: Final = (
    "noise is in these numbers; it is drawn once, when the question is answered: others will leave"
)

NOTE_GIVEN: Final = (
    "this question was answered: these are the noisy numbers that left, and will again"
)

NOTE_TRUE: Final = (
    "a rule refuses, so that no noise was drawn: these are the true numbers, for the city's own eyes, and they "
    "would not leave in any case"
)

BYTES_OF_A_ROW: Final = 60
"""To guess the number of rows, which decides how fine a search structure is worth its price."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One city's site file, where it lies, and where its store is."""

    site: Site
    folder: Path
    store: SiteStore

    @property
    def private(self) -> Path:
        """Where rows lie: beside the store, as the serving side opens the store and must find none."""
        return self.store.folder.with_name(
            f"{self.store.folder.name.removesuffix('.store')}.private"
        )


@dataclass(frozen=True, slots=True)
class CityRows:
    """A city's normalised incidents and cameras, and its polygons if it has any, each with its account."""

    incidents: Read
    cameras: Read
    areas: Read | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the sources' fingerprints."""
        return _joint_fingerprint(self.incidents.fingerprint, self.cameras, self.areas)

    @property
    def outlines(self) -> pl.DataFrame | None:
        """The polygons; None if the site file names none."""
        return None if self.areas is None else self.areas.rows


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
        first, question: the study's first question, and the one that the numbers answer.
        panel: of the city, with its cohorts merged.
        true: the fields before any noise.
        told: what the answer tells, as the row-space auditor counts it.
        places: names of the places of the panel's units.
    """

    statistics: Statistics
    verdicts: tuple[Verdict, ...]
    data: bytes
    notes: tuple[str, ...]
    first: Question
    question: Question
    panel: Panel
    true: Mapping[str, NDArray[np.float64]]
    told: Encoded
    places: tuple[str, ...]


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
    """Read all sources; files that were read before and have not changed come from the ``rows`` beside the store.

    Raises:
        ReadError: a file, column, encoding, date format or coordinate system is not what the site file says.
    """
    cache = RowCache(bench.private / "rows")
    rows = CityRows(
        read_incidents(bench.site, bench.folder, cache),
        read_cameras(bench.site, bench.folder, cache),
        _read_outlines(bench),
    )
    cache.forget_the_rest()
    return rows


def check_city(
    bench: Bench, rows: CityRows, study: Study | None = None, today: dt.date | None = None
) -> dict[str, Any]:
    """The data-quality account of both sources, as plain numbers and text; it stays in the city.

    Also writes the rejected rows into the ``check`` folder beside the store.

    Args:
        bench: the city.
        rows: both its sources.
        study: for the shares of incidents by zone; without one those of `trial_study`.
        today: dates after it are still to come; without one this machine's date.

    Raises:
        TaxonomyError: the city's categories are mapped to another taxonomy than the study's.
    """
    if study is not None:
        _check_taxonomy(bench.site, study)
    folder = bench.private / "check"
    folder.mkdir(parents=True, exist_ok=True)
    sources = {"incidents": rows.incidents, "cameras": rows.cameras}
    outlines = {} if rows.areas is None else {"areas": rows.areas}
    for name, source in (sources | outlines).items():
        write_rejected(source, folder / f"rejected-{name}.csv")
    return {
        "site": bench.site.name,
        "title": bench.site.city.title,
        "descriptions": dict(REJECT_REASONS),
        **{name: _check_source(source) for name, source in sources.items()},
        **{name: _account_of(source) for name, source in outlines.items()},
        **_survey(bench, rows, study, today or dt.date.today()).to_dict(),  # noqa: DTZ011 (the analyst's own day)
    }


def _survey(bench: Bench, rows: CityRows, study: Study | None, today: dt.date) -> Survey:
    site, incidents, cameras = bench.site, rows.incidents, rows.cameras
    times = read_times(site.incidents, bench.folder)
    shares = zone_shares(bench, rows, study)
    return survey(
        Source(incidents.rows, incidents.account),
        Source(cameras.rows, cameras.account),
        rejected=rejected_years(incidents, site.incidents, site.city.time_zone),
        clock=Clock(times.times, times.midnights, times.full_hours) if times else None,
        shares=shares if isinstance(shares, ZoneShares) else None,
        no_shares=shares if isinstance(shares, str) else "",
        today=today,
    )


def zone_shares(bench: Bench, rows: CityRows, study: Study | None) -> ZoneShares | str:
    """Incidents by zone of a study, or of `trial_study`; why not, if no panel can be built for it."""
    incidents, cameras = rows.incidents.rows, rows.cameras.rows
    if cameras.is_empty():
        return "no_cameras"
    first, last = incidents["date"].min(), incidents["date"].max()
    if not isinstance(first, dt.date) or not isinstance(last, dt.date):
        return "no_rows"
    chosen = study or trial_study(
        first,
        last,
        resolution_of(incidents["date"]),
        incidents["crime_type"].unique().to_list(),
        placed=all(part["longitude"].count() > 0 for part in (incidents, cameras)),
    )
    if chosen is None:
        return "short"
    try:
        built = build_panel(
            incidents,
            cameras,
            check_study(chosen),
            site_name=bench.site.name,
            bounds=bench.site.city.bounds,
            study_hash=study_hash(chosen),
            fingerprint=rows.fingerprint,
            areas=rows.outlines,
            complete=_complete(bench.site),
        )
    except PanelError as error:
        return NO_ZONES.get(type(error), "no_panel")
    roles = dict(built.diagnostics.zones.select("role", "incidents").iter_rows())
    outside = ("without a usable place", "outside every unit")
    roles["outside"] = sum(built.account.get(label, 0) for label in outside)
    return ZoneShares(chosen.name, study is not None, roles)


def store_panel(bench: Bench, study: Study, rows: CityRows | None = None) -> Built:
    """Build the study's panel and put it in the store.

    Raises:
        TaxonomyError: the city's categories are mapped to another taxonomy than the study's.
        ModeratorError: the study names a moderator that the city lacks.
        ReadError, PanelError: see `read_city` and `panel.build`.
    """
    _check_taxonomy(bench.site, study)
    _check_moderators(bench.site, study)
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
        areas=rows.outlines,
        complete=_complete(bench.site),
    )
    bench.store.write(bench.site, study, built)
    return built


def store_study(bench: Bench, study: Study) -> tuple[Built, dict[str, str]]:
    """Build and store the study's panel, and those of the studies that its checks ask for.

    Raw files are read once; studies that differ in their analysis alone share a panel.

    Returns:
        The study's panel, and the hash of each derived study without one → code of the error; `REFUSAL` where there
        are more of them than the city's policy lets one approval cover.

    Raises:
        TaxonomyError, ModeratorError, ReadError, PanelError: of the study itself; see `store_panel`.
    """
    derived = [one.study for one in derived_of(study)]
    if not derived:
        return store_panel(bench, study), {}
    _check_taxonomy(bench.site, study)
    _check_moderators(bench.site, study)
    rows = None if _is_large(bench) else read_city(bench)
    built = store_panel(bench, study, rows)
    policy = bench.site.policy
    if policy is not None and len(covered_by(study)) > policy.max_specifications:
        return built, {study_hash(one): RefusalError.code for one in derived}
    return built, _store_alike(bench, derived, rows, {_panel_key(study): built})


def store_specifications(bench: Bench, study: Study) -> dict[str, str]:
    """Build and store the panels of all specifications of a study, and the study itself without one.

    Specifications that differ in their analysis alone share a panel, which is built once; raw files are read
    once. One that cannot be built in this city (no control, nothing to test) keeps none, and the city will not
    answer it; the others are not held up.

    Returns:
        Hash of each specification without a panel → code of the error.

    Raises:
        RefusalError: the study lists more specifications than the city's policy allows.
        TaxonomyError, ReadError: see `store_panel`.
    """
    found = specifications_of(study)
    policy = bench.site.policy
    together = len(covered_by(study))
    if policy is not None and together > policy.max_specifications:
        raise RefusalError(
            f"the study lists {together} specifications"
            + (" and studies for its checks" if together > len(found) else ""),
            where=f"site {bench.site.name}, rule max_specifications",
            limit=f"{policy.max_specifications}",
            way_out="shorten the lists, or raise [policy] max_specifications",
            rules=("max_specifications",),
        )
    _check_taxonomy(bench.site, study)
    bench.store.write_study(bench.site, study)
    rows = None if _is_large(bench) else read_city(bench)
    return _store_alike(bench, [one.study for one in found], rows, {})


def _store_alike(
    bench: Bench, studies: Sequence[Study], rows: CityRows | None, built: Mapping[bytes, Built]
) -> dict[str, str]:
    """Build each different panel once and store it for every study it serves.

    Args:
        bench: the city.
        studies: whose panels are wanted.
        rows: its sources; None where they are counted as they are read.
        built: panels that are there already, by `_panel_key`.

    Returns:
        Hash of each study without a panel → code of the error.

    Raises:
        ReadError: see `store_panel`. A crime type that the city does not hold is one without a panel.
    """
    alike: dict[bytes, list[Study]] = {}
    for one in studies:
        alike.setdefault(_panel_key(one), []).append(one)
    failed: dict[str, str] = {}
    for key, members in alike.items():
        known, others = built.get(key), members
        try:
            if known is None:
                known, others = store_panel(bench, members[0], rows), members[1:]
        except (PanelError, TaxonomyError) as error:
            failed.update({study_hash(one): error.code for one in members})
            for one in members:
                _forget(bench, one)
            continue
        for one in others:
            stamped = replace(known.panel, study=study_hash(one))
            bench.store.write(bench.site, one, replace(known, panel=stamped))
    return failed


def _forget(bench: Bench, study: Study) -> None:
    """Remove a panel of older files that could not be built again."""
    shutil.rmtree(bench.store.study_folder(study_hash(study)) / "panel", ignore_errors=True)


def _panel_key(study: Study) -> bytes:
    """What a panel depends on: equal for studies that differ in their analysis alone."""
    parts = (
        study.window,
        study.units,
        study.treatment,
        study.outcome,
        matching_of(study),
        study_hash(study) if study.treatment.pretends_cameras else "",  # it draws the places
    )
    return msgspec.json.encode(parts, order="deterministic")


def _read_outlines(bench: Bench) -> Read | None:
    return read_areas(bench.site, bench.folder) if bench.site.areas else None


def stream_city(bench: Bench, study: Study) -> StreamedCity | None:
    """Build the study's panel from incidents that are counted as they are read.

    Memory does not grow with the number of incidents. Panel and account are those that `store_panel`
    makes of all rows at once.

    Returns:
        None if the study's units or the source's files cannot be counted so, or its rows are counts already.

    Raises:
        ReadError, PanelError: as `store_panel`.
    """
    site, bounds = bench.site, bench.site.city.bounds
    if site.incidents.columns.count:
        return None
    cameras = read_cameras(site, bench.folder)
    rows_to_come = _bytes(bench) // BYTES_OF_A_ROW
    outlines = _read_outlines(bench)
    areas = None if outlines is None else outlines.rows
    tally = open_tally(cameras.rows, study, bounds, rows_to_come, areas)
    incidents = None if tally is None else stream_incidents(site, bench.folder, tally.fresh)
    if incidents is None:
        return None
    built = build_from_rows(
        incidents.counts.rows(),
        cameras.rows,
        study,
        site_name=site.name,
        study_hash=study_hash(study),
        fingerprint=_joint_fingerprint(incidents.fingerprint, cameras, outlines),
        areas=areas,
        complete=_complete(site),
    )
    return StreamedCity(built, incidents.account, incidents.notes)


def _complete(site: Site) -> tuple[dt.date | None, dt.date | None]:
    return site.incidents.first_day, site.incidents.last_day


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


def _joint_fingerprint(incidents: str, cameras: Read, areas: Read | None) -> str:
    outlines = "" if areas is None else areas.fingerprint
    return hashlib.sha256(f"{incidents}{cameras.fingerprint}{outlines}".encode()).hexdigest()


def is_in_force(bench: Bench) -> bool:
    """Whether the policy in the city's store is the one in its site file.

    Raises:
        ConfigError: the stored policy is damaged.
    """
    written = bench.site.policy
    named = written and msgspec.structs.replace(written, treaty=TREATY if written.treaty else "")
    return bool(bench.store.written_policy() == named)


def preview(bench: Bench, study: Study) -> Preview:
    """Run the study's question on this city alone and judge what would leave; nothing leaves.

    For an estimator of several rounds the last round is shown, which carries the most.

    Raises:
        RefusalError: the question itself is refused, or cohorts stay too small.
        NoPanelError: the panel has not been built.
    """
    digest = study_hash(study)
    panel = bench.store.panel(digest)
    # with the limits of a treaty, which the site file only names
    policy = bench.store.limits() if is_in_force(bench) else bench.site.policy
    if policy is None:
        raise RefusalError(
            "the city has no policy",
            where="rule policy",
            way_out="add [policy] to the site file, and put it in force with `evalkit site policy apply`",
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
    true = fields
    asked = (question, policy, bench.store.ledger.entries())
    told = bench.store.opened(digest).told(study, policy)
    verdicts = (
        *gate.draft(statistics, policy).verdicts,
        Audit(bench.store.audit_folder, told).judge(bench.store.ledger.entries(), policy),
        *noise.judged(*asked, fingerprint=panel.fingerprint),
    )
    notes = prepared.notes
    if noise.wanted(question, policy) and all(verdict.passed for verdict in verdicts):
        shown = noise.preview(
            statistics, *asked, fingerprint=panel.fingerprint, store=bench.store.folder
        )
        fields = shown.fields
        notes = (*notes, NOTE_GIVEN if shown.entry["repeated"] else NOTE_NOISE)
        statistics = replace(statistics, parts={statistics.sites: fields})
    elif noise.wanted(question, policy):
        notes = (*notes, NOTE_TRUE)
    data = canonical_bytes(
        site=bench.site.name,
        study=digest,
        estimator=statistics.estimator,
        stage=statistics.stage,
        round_number=question.round,
        kind=statistics.kind,
        fields=fields,
    )
    opened = bench.store.opened(digest)
    return Preview(
        statistics,
        verdicts,
        data,
        notes,
        first=ask_first(chosen, study),
        question=question,
        panel=prepared.panel,
        true=true,
        told=told,
        places=opened.places(study),
    )


def _check_moderators(site: Site, study: Study) -> None:
    """A city needs the facts that the study names, unless its estimator uses none of them."""
    if "moderators" in settings_read(study):
        check_facts(site.city.moderators, study.analysis, site=site.name)


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
    column = "date" if "date" in source.rows.columns else "live_date"
    dates = source.rows[column].drop_nulls()
    return {
        **_account_of(source),
        "first": _iso(dates.min()),
        "last": _iso(dates.max()),
        "number": int(source.rows[COUNT].cast(pl.Int64).sum()),
        "by_month": _by_month(source.rows, column),
        "crime_types": _counts(source.rows, "crime_type"),
    }


def _account_of(source: Read) -> Mapping[str, Any]:
    account = source.account
    return {
        "read": account.read,
        "used": account.used,
        "rejected": {reason: count for reason, count in account.rejected.items() if count},
        "first": None,
        "last": None,
        "notes": list(source.notes),
    }


def _by_month(rows: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    """Month (its first day) and what its rows stand for, oldest first, months without any left out."""
    months = by_period(rows[column], rows[COUNT], "month")
    return [(month.isoformat(), count) for month, count in months if count]


def _counts(rows: pl.DataFrame, column: str) -> dict[str, int]:
    """Value → what its rows stand for, the most frequent first."""
    if column not in rows.columns:
        return {}
    number = pl.col(COUNT).cast(pl.Int64).sum()
    counts = rows.group_by(column).agg(number).sort(COUNT, column, descending=[True, False])
    return {str(name): int(count) for name, count in counts.iter_rows()}


def _iso(value: Any) -> str | None:
    return None if value is None else str(value)
