"""TOML files become frozen structures; a key nobody knows is refused.

Two kinds of file: a **study** is the researcher's and may be sent anywhere; a **site** is the city's own
and is never sent. A site file names its sources, how their columns are to be read, and the city's policy.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from evalkit.core.study import Study, check_study
from evalkit.core.taxonomy import CRIME_TYPES, TAXONOMY
from evalkit.errors import ConfigError, TaxonomyError

__all__ = [
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

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
ReleaseClass = Literal["estimate", "masked_sum", "statistics", "table"]


class City(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the city is. ``bounds`` is west, south, east, north in degrees (WGS 84)."""

    title: str
    time_zone: str
    bounds: tuple[float, float, float, float]
    country: str = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the files of one source are laid out. Paths are relative to the site file; globs are allowed.

    ``separator`` and ``decimal`` matter for delimited text only. ``date_format`` is a strftime pattern,
    ``iso`` (any ISO 8601 form), ``epoch_s`` or ``epoch_ms``; several patterns are tried in order.
    ``source_zone`` is the zone of times that carry no offset; empty means the city's own.
    ``convert_zone = false`` keeps the local date as written and ignores any offset in it, for portals that
    export a plain date with a meaningless one. ``crs`` is an EPSG code such as ``EPSG:2253`` when x and y
    are projected, else ``lonlat``.
    """

    files: tuple[str, ...]
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
    """Which column holds what, in the source's own names. ``time`` is for a separate time column."""

    date: str
    longitude: str = ""
    latitude: str = ""
    time: str = ""
    id: str = ""
    crime_type: str = ""
    area: str = ""


class CameraColumns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column holds what, in the source's own names."""

    live_date: str = ""
    longitude: str = ""
    latitude: str = ""
    id: str = ""
    area: str = ""


class Incidents(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The incident source, its columns, and its categories in the common taxonomy.

    ``crime_types`` maps a source value to a common type; values not listed are rejected as ``unmapped``
    and counted. ``all_as`` gives every row one type, for sources that hold a single crime.
    ``duplicates`` says which rows are the same event: equal ``id``, equal in every mapped column, or keep.
    """

    columns: IncidentColumns
    crime_types: dict[str, str] = {}
    all_as: str = ""
    taxonomy: str = TAXONOMY
    duplicates: Literal["id", "row", "keep"] = "row"


class Cameras(Source, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The camera source. ``kind`` says what the cameras do; traffic enforcement is a placebo."""

    columns: CameraColumns
    kind: Literal["cctv", "traffic"] = "cctv"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may leave the city. Defaults and their sources: ``docs/reference/disclosure.md``.

    ``studies`` lists the study hashes the city approves; ``["any"]`` approves whatever is asked and suits
    simulated cities only. ``release_class`` is the most revealing class the city allows.
    """

    studies: tuple[str, ...]
    release_class: ReleaseClass = "statistics"
    min_incidents: Count = 10
    min_units: Count = 10
    min_treated_per_pattern: Count = 5
    max_parameters_per_cluster: Share = 0.10
    min_residual_df: Count = 10
    max_two_unit_share: Share = 0.90
    min_clusters: Count = 10
    max_rounds: Count = 30
    max_step: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    max_parameters: Count = 200


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One city: its sources, how to read them, and its policy. Never leaves the city.

    Without ``policy`` everything is refused. ``folder`` is where the site file lies; it is set by
    `load_site` and cannot be written in the file.
    """

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    city: City
    incidents: Incidents
    cameras: Cameras
    policy: Policy | None = None
    store: str = ""


def read_toml(path: Path, kind: type[T]) -> T:
    """Read one TOML file into ``kind``.

    Raises:
        ConfigError: the file is absent, not TOML, has an unknown key or a value of the wrong type.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
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
    try:
        return msgspec.convert(raw, type=kind)
    except msgspec.ValidationError as error:
        what, hint = _explain(str(error), kind)
        raise ConfigError(what, where=where, way_out=hint) from None


def load_study(path: Path | str) -> Study:
    """Read and check a study file."""
    return check_study(read_toml(Path(path), Study))


def load_site(path: Path | str) -> Site:
    """Read and check a site file.

    Raises:
        ConfigError: unreadable, or its parts contradict each other.
        TaxonomyError: a crime type outside the taxonomy.
    """
    return _check_site(read_toml(Path(path), Site), where=str(path))


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
    for section, columns in (
        ("incidents", site.incidents.columns),
        ("cameras", site.cameras.columns),
    ):
        located = bool(columns.longitude) and bool(columns.latitude)
        if not located and not columns.area:
            raise ConfigError(
                f"[{section}.columns] places no row",
                where=where,
                limit="longitude and latitude, or area",
                way_out="name the columns that hold them",
            )
    incidents = site.incidents
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


def _explain(message: str, kind: type) -> tuple[str, str]:
    """Turn msgspec's words into ours, naming the nearest known key."""
    unknown = re.search(r"unknown field `([^`]*)`(?: - at `\$\.?([^`]*)`)?", message)
    if unknown:
        key, place = unknown.group(1), unknown.group(2) or ""
        known = _fields_at(kind, place)
        near = difflib.get_close_matches(key, known, n=1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        section = f" in [{place}]" if place else ""
        return f'unknown key "{key}"{section}', f"{hint}known keys: {', '.join(known)}"
    missing = re.search(r"missing required field `([^`]*)`(?: - at `\$\.?([^`]*)`)?", message)
    if missing:
        section = f" in [{missing.group(2)}]" if missing.group(2) else ""
        return f'the key "{missing.group(1)}" is missing{section}', "add it"
    return message.replace("`$.", "`"), "correct the value it names"


def _fields_at(kind: type, place: str) -> list[str]:
    info: msgspec.inspect.Type = msgspec.inspect.type_info(kind)
    for part in [p for p in re.split(r"[.\[]", place) if p]:
        field = next((f for f in _struct_fields(info) if f.encode_name == part), None)
        if field is None:
            return []
        info = field.type
    return [field.encode_name for field in _struct_fields(info)]


def _struct_fields(info: msgspec.inspect.Type) -> tuple[msgspec.inspect.Field, ...]:
    if isinstance(info, msgspec.inspect.StructType):
        return info.fields
    if isinstance(info, msgspec.inspect.UnionType):
        return next((f for f in map(_struct_fields, info.types) if f), ())
    return ()
