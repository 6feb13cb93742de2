"""TOML files become frozen structures; a key nobody knows is refused.

Two kinds of file: a **study** is the researcher's and may be sent anywhere; a **site** is the city's own
and is never sent. A site file names its sources, how their columns are to be read, and the city's policy.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from evalkit.core.falsification import derived_of
from evalkit.core.moderators import FACT_NAME, LONGEST_TEXT
from evalkit.core.specifications import specifications_of
from evalkit.core.study import Study, check_study
from evalkit.core.taxonomy import CRIME_TYPES, TAXONOMY
from evalkit.core.wrong_value import wrong_value
from evalkit.errors import ConfigError, TaxonomyError
from evalkit.policy import Policy, check_policy

__all__ = [
    "DATABASE_FORMS",
    "AreaColumns",
    "Areas",
    "CameraColumns",
    "Cameras",
    "City",
    "IncidentColumns",
    "Incidents",
    "Policy",
    "Site",
    "Source",
    "find_config",
    "load_site",
    "load_study",
    "read_toml",
]

T = TypeVar("T")

MAX_BYTES: Final = 1_000_000
"""Of one TOML file. The largest shipped one has 5 kB; a map of ten thousand categories has some 500 kB."""

DATABASE_FORMS: Final = (
    "sqlite:///file.db, duckdb:///file.duckdb, postgresql://user@host/database, or env:NAME for an "
    "environment variable that holds one of these"
)

_DATABASE: Final = re.compile(
    r"(sqlite|duckdb):///.+|(postgresql|postgres)://.*|env:[A-Za-z_][A-Za-z0-9_]*"
)

FactName = Annotated[str, msgspec.Meta(pattern=FACT_NAME)]


class City(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the city is. ``bounds`` is west, south, east, north in degrees (WGS 84).

    ``moderators`` are public facts of the city that studies may compare cities by. Only those that an approved
    study names are sent.
    """

    title: str
    time_zone: str
    bounds: tuple[float, float, float, float]
    country: str = ""
    moderators: dict[FactName, float | str] = {}


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one source is laid out: files, or a database.

    ``files`` are relative to the site file; globs are allowed. ``database`` is an address (`DATABASE_FORMS`),
    and ``table`` or ``query`` says what is read from it. It holds no password: ``env:NAME`` takes the whole
    address from an environment variable.

    ``separator`` and ``decimal`` matter for delimited text only. ``date_format`` is a strftime pattern,
    ``iso`` (any ISO 8601 form), ``epoch_s`` or ``epoch_ms``; several patterns are tried in order.
    ``source_zone`` is the zone of times that carry no offset; empty means the city's own.
    ``convert_zone = false`` keeps the local date as written and ignores any offset in it, for portals that
    export a plain date with a meaningless one. ``crs`` is an EPSG code such as ``EPSG:2253`` when x and y
    are projected, else ``lonlat``.
    """

    files: tuple[str, ...] = ()
    database: str = ""
    table: str = ""
    query: str = ""
    format: Literal["auto", "csv", "tsv", "parquet", "geojson"] = "auto"
    encoding: str = "utf-8"
    separator: str = ""
    decimal: Literal[".", ","] = "."
    date_format: tuple[str, ...] = ("iso",)
    source_zone: str = ""
    convert_zone: bool = True
    crs: str = "lonlat"
    missing: tuple[str, ...] = ("", "NA", "N/A", "NULL", "null", "None", "nan", "NaN", "-")


class IncidentColumns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column holds what, in the source's own names.

    ``time`` is for a separate time column. ``count`` is for sources that are counts already: how many
    incidents a row stands for; without it a row is one incident.
    """

    date: str
    longitude: str = ""
    latitude: str = ""
    time: str = ""
    id: str = ""
    crime_type: str = ""
    area: str = ""
    count: str = ""


class CameraColumns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column holds what, in the source's own names.

    ``live_date`` is one column or several in order of precedence: row by row the first that can be read
    counts. ``removed`` is the first day on which the camera no longer works; nothing there means that it
    still does. ``reference_date`` is the day on which the row was written: a live date after it is
    impossible. ``count`` is how many cameras a row stands for.
    """

    live_date: str | tuple[str, ...] = ""
    removed: str = ""
    reference_date: str = ""
    longitude: str = ""
    latitude: str = ""
    id: str = ""
    area: str = ""
    count: str = ""

    @property
    def live_dates(self) -> tuple[str, ...]:
        """The columns of live dates in order of precedence; empty without any."""
        names = (self.live_date,) if isinstance(self.live_date, str) else self.live_date
        return tuple(name for name in names if name)


class Incidents(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The incident source, its columns, and its categories in the common taxonomy.

    ``crime_types`` maps a source value to a common type; values not listed are rejected as ``unmapped``
    and counted. ``all_as`` gives every row one type, for sources that hold a single crime.
    ``duplicates`` says which rows are the same event: equal ``id``, equal in every mapped column, or keep.
    ``area_names`` maps the source's names of areas to common ones; with it only listed areas are used.
    ``first_day`` and ``last_day`` say from when to when the source is complete, both included; periods that
    reach beyond are not used.
    """

    columns: IncidentColumns
    crime_types: dict[str, str] = {}
    all_as: str = ""
    taxonomy: str = TAXONOMY
    duplicates: Literal["id", "row", "keep"] = "row"
    area_names: dict[str, str] = {}
    first_day: dt.date | None = None
    last_day: dt.date | None = None


class Cameras(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The camera source. ``kind`` says what the cameras do; traffic enforcement is a placebo.

    ``only`` maps columns of the source to the values that make a row one of the cameras in question; other
    rows are rejected as ``other_purpose``. ``attributes`` are columns that are carried along to describe the
    units. ``area_names`` is as for incidents. ``last_day`` is when the source was made: a live date after it
    is impossible.
    """

    columns: CameraColumns
    kind: Literal["cctv", "traffic"] = "cctv"
    only: dict[str, tuple[str, ...]] = {}
    attributes: tuple[str, ...] = ()
    area_names: dict[str, str] = {}
    last_day: dt.date | None = None


class AreaColumns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column or property holds what; without ``name`` file and row name a polygon."""

    name: str = ""


class Areas(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The city's polygons: GeoJSON, or GeoParquet with WKB. For studies whose unit is the polygon.

    ``crs`` is that of the outlines. Settings of text and dates do not apply.
    """

    columns: AreaColumns = AreaColumns()


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One city: its sources, how to read them, and its policy. Never leaves the city.

    Without ``cameras`` the incidents can be checked, but no panel can be built. Without ``policy`` everything
    is refused. `load_site` makes the path of the policy's treaty absolute.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    city: City
    incidents: Incidents
    cameras: Cameras | None = None
    areas: Areas | None = None
    policy: Policy | None = None
    store: str = ""


def read_toml(path: Path, kind: type[T]) -> T:
    """Read one TOML file into ``kind``.

    Raises:
        ConfigError: the file is absent, too large, not TOML, has an unknown key or a value of the wrong type.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(
                "the file is too large for a study, site, claim or treaty file",
                where=str(path),
                limit=f"at most {MAX_BYTES:,} bytes",
                way_out="check that it is the file you meant; data belong into the files it names",
            )
        text = data.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            "the file does not exist",
            where=str(path),
            way_out="check the path; `evalkit study new` and `evalkit site init` write new files",
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            "the file is not UTF-8 text", where=str(path), way_out="save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"the file cannot be read ({error.strerror})", where=str(path)) from None
    return parse_toml(text, kind, where=str(path))


def parse_toml(text: str, kind: type[T], *, where: str) -> T:
    """Parse TOML text into ``kind``; ``where`` names its origin in errors."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"not valid TOML: {error}", where=where, way_out="mend the line it names"
        ) from None
    except (RecursionError, ValueError):  # lists in lists in lists; numbers of thousands of digits
        raise ConfigError(
            "not valid TOML: nested too deeply, or a number too long", where=where
        ) from None
    try:
        return msgspec.convert(raw, type=kind)
    except msgspec.ValidationError as error:
        wrong = wrong_value(str(error), kind)
        raise ConfigError(
            wrong.what,
            where=f"{where}, {wrong.place}" if wrong.place else where,
            limit=wrong.limit or None,
            way_out=wrong.way_out,
        ) from None


def load_study(path: Path | str) -> Study:
    """Read and check a study file, with every one of its specifications and of the studies its checks ask for."""
    study = check_study(read_toml(Path(path), Study))
    specifications_of(study)
    derived_of(study)
    return study


def load_site(path: Path | str) -> Site:
    """Read and check a site file.

    Raises:
        ConfigError: unreadable, or its parts contradict each other.
        TaxonomyError: a crime type outside the taxonomy.
    """
    site = _check_site(read_toml(Path(path), Site), where=str(path))
    return _with_policy(site, Path(path))


def _with_policy(site: Site, path: Path) -> Site:
    """The site, its policy checked, with the whole path of the treaty, which is written relative to the site file.

    Raises:
        ConfigError, TaxonomyError: see `evalkit.policy.check_policy`; or there is no such treaty.
    """
    if site.policy is None:
        return site
    check_policy(site.policy, where=f"{path}, [policy]")
    if not site.policy.treaty:
        return site
    treaty = path.resolve().parent / site.policy.treaty
    if not treaty.is_file():
        raise ConfigError(
            "the treaty's file does not exist",
            where=str(treaty),
            limit="a path relative to the site file",
            way_out="correct [policy] treaty; without the file everything is refused",
        )
    policy = msgspec.structs.replace(site.policy, treaty=str(treaty))
    return msgspec.structs.replace(site, policy=policy)


def find_config(kind: Literal["claims", "studies", "sites"], name: str, beside: Path) -> Path:
    """Find ``name`` as a path beside the file that mentions it, or among the shipped configurations.

    Raises:
        ConfigError: nothing of that name, with the names that exist.
    """
    literal = beside / name
    if literal.suffix == ".toml" and literal.is_file():
        return literal
    package = Path(__file__).parent
    folders = (beside, package / "configs" / kind, package.parent / "configs" / kind)
    for folder in folders:
        candidate = folder / f"{name}.toml"
        if candidate.is_file():
            return candidate
    known = sorted({file.stem for folder in folders[1:] for file in folder.glob("*.toml")})
    raise ConfigError(
        f'no {kind.removesuffix("s")} named "{name}"',
        where=str(beside),
        limit=f"a .toml path, or one of {', '.join(known) or 'none shipped'}",
        way_out="correct the name, or give the path of your own file",
    )


def _check_site(site: Site, *, where: str) -> Site:
    west, south, east, north = site.city.bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ConfigError(
            "city.bounds are not west, south, east, north in degrees",
            where=where,
            limit="−180 ≤ west < east ≤ 180 and −90 ≤ south < north ≤ 90",
            way_out="longitudes first and third, latitudes second and fourth",
        )
    _check_facts(site.city, where=where)
    _check_places(site.incidents, where=where, section="incidents")
    if site.cameras is not None:
        _check_places(site.cameras, where=where, section="cameras")
        _check_cameras(site.cameras, where=f"{where}, [cameras]")
    if site.areas is not None:
        _check_areas(site.areas, where=f"{where}, [areas]")
    incidents = site.incidents
    if incidents.first_day and incidents.last_day and incidents.last_day < incidents.first_day:
        raise ConfigError(
            "last_day lies before first_day",
            where=f"{where}, [incidents]",
            limit="first_day ≤ last_day",
            way_out="swap the two dates",
        )
    mapped = set(incidents.crime_types.values()) | (
        {incidents.all_as} if incidents.all_as else set()
    )
    if not mapped:
        raise TaxonomyError(
            "no crime type is mapped",
            where=f"{where}, [incidents]",
            limit="[incidents.crime_types] maps source values to common types, or all_as names one",
            way_out='for a single-crime source write all_as = "assault"',
        )
    if incidents.all_as and incidents.crime_types:
        raise ConfigError(
            "both all_as and crime_types are given",
            where=f"{where}, [incidents]",
            limit="one of the two",
            way_out="remove all_as if the source holds several crimes",
        )
    if incidents.crime_types and not incidents.columns.crime_type:
        raise ConfigError(
            "crime_types are mapped but no column holds them",
            where=f"{where}, [incidents.columns]",
            way_out="name the column as crime_type",
        )
    if incidents.taxonomy == TAXONOMY and not mapped <= set(CRIME_TYPES):
        raise TaxonomyError(
            f"unknown common crime types: {', '.join(sorted(mapped - set(CRIME_TYPES)))}",
            where=f"{where}, [incidents.crime_types]",
            limit=f"one of {', '.join(CRIME_TYPES)}",
            way_out="map the source value to the nearest of these, or leave it out",
        )
    if incidents.duplicates == "id" and not incidents.columns.id:
        raise ConfigError(
            'duplicates = "id" needs an id column',
            where=f"{where}, [incidents]",
            way_out='name it in [incidents.columns], or use duplicates = "row"',
        )
    return site


def _check_facts(city: City, *, where: str) -> None:
    """A number is finite; a text is short and can be written in a study."""
    for name, fact in city.moderators.items():
        good = (
            math.isfinite(fact)
            if isinstance(fact, float)
            else 0 < len(fact) <= LONGEST_TEXT
            and fact == fact.strip()
            and fact.isprintable()
            and not set(fact) & set("=,")
        )
        if not good:
            raise ConfigError(
                f"the moderator {name} cannot be used",
                where=f"{where}, [city.moderators]",
                limit=f"a finite number, or a text of 1 to {LONGEST_TEXT} letters without = and comma",
                way_out="correct it, or remove it",
            )


def _check_places(source: Incidents | Cameras, *, where: str, section: str) -> None:
    """Where the rows come from, and that something says where they are."""
    _check_source(source, where=f"{where}, [{section}]")
    columns = source.columns
    if not (columns.longitude and columns.latitude) and not columns.area:
        raise ConfigError(
            f"[{section}.columns] places no row",
            where=where,
            limit="longitude and latitude, or area",
            way_out="name the columns that hold them",
        )
    if source.area_names and not columns.area:
        raise ConfigError(
            "area_names are given but no column holds areas",
            where=f"{where}, [{section}.columns]",
            way_out="name the column as area",
        )


def _check_areas(areas: Areas, *, where: str) -> None:
    _check_source(areas, where=where)
    if areas.database or areas.format not in ("auto", "parquet", "geojson"):
        raise ConfigError(
            "areas are no geometry file",
            where=where,
            limit="files in GeoJSON, or in GeoParquet with WKB",
            way_out="export them as GeoJSON",
        )


def _check_cameras(cameras: Cameras, *, where: str) -> None:
    """Dates that speak of a live date need one; filters and attributes name their columns once."""
    columns = cameras.columns
    if not columns.live_dates and (columns.removed or columns.reference_date or cameras.last_day):
        raise ConfigError(
            "removed, reference_date and last_day need a live date",
            where=where,
            limit="[cameras.columns] live_date",
            way_out="name the column of live dates, or remove the others",
        )
    if any(not values for values in cameras.only.values()):
        raise ConfigError(
            "a column under only lists no value, so that no camera is left",
            where=f"{where} only",
            way_out="list the values that count, or remove the column",
        )
    if len(set(cameras.attributes)) < len(cameras.attributes) or "" in cameras.attributes:
        raise ConfigError(
            "attributes names a column twice, or one without a name",
            where=f"{where} attributes",
            limit="each column once",
            way_out="correct the list",
        )


def _check_source(source: Source, *, where: str) -> None:
    """Files or a database; of a database a table or a query, and no password. Never repeats an address."""
    if bool(source.files) == bool(source.database):
        raise ConfigError(
            "both files and database are given" if source.files else 'the key "files" is missing',
            where=where,
            limit="files, or a database with a table or query",
            way_out="remove one of them" if source.files else "add it",
        )
    if not source.database and (source.table or source.query):
        raise ConfigError(
            "a table or query is given without a database",
            where=where,
            limit=f"database = {DATABASE_FORMS}",
            way_out="add database, or remove table and query",
        )
    if not source.database:
        return
    if bool(source.table) == bool(source.query):
        raise ConfigError(
            "both table and query are given"
            if source.table
            else "the database is not asked anything",
            where=where,
            limit='table = "schema.incidents", or query = "SELECT ..."',
            way_out="write one of the two",
        )
    if _holds_password(source.database):
        raise ConfigError(
            "a password stands in the site file",
            where=f"{where} database",
            limit="an address without a password",
            way_out="change the password, as it was written down; put the address into an environment "
            'variable and write database = "env:NAME"',
        )
    if not _DATABASE.fullmatch(source.database):
        raise ConfigError(
            "database is not the address of one",
            where=where,
            limit=DATABASE_FORMS,
            way_out="correct it",
        )


def _holds_password(address: str) -> bool:
    """Whether an address in any of the usual ways of writing one carries a password."""
    if re.search(r"pass(word|wd)?\s*=", address, re.IGNORECASE):
        return True
    try:
        parts = urlsplit(address)
        named = {key.lower() for key in parse_qs(parts.query, keep_blank_values=True)}
        return parts.password is not None or any("pass" in key for key in named)
    except ValueError:  # no address at all; refused as such
        return False
