"""`evalkit site init`: what is guessed about files, what is asked, and what is written."""

from __future__ import annotations

import datetime as dt
import json
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.cli.site import command
from evalkit.cli.site_init import from_files, from_recipe
from evalkit.cli.site_text import POLICY_WORDS, printable, quote
from evalkit.config import Policy, load_site
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ConfigError, EvalkitError, FileReadError, ReadError, TaxonomyError
from evalkit.policy import LIMITS
from evalkit.readers import read_cameras, read_incidents
from evalkit.readers.guess import (
    MAX_ROWS,
    Guess,
    Kind,
    areas_agree,
    common_type,
    doubt_places,
    guess_bounds,
    guess_camera_kind,
    guess_source,
    join_bounds,
    take_sample,
)
from evalkit.readers.guessing.dates import guess_dates
from evalkit.readers.guessing.headers import name_score, normalise
from evalkit.readers.guessing.positions import Points
from evalkit.readers.guessing.sample import guess_encoding
from evalkit.simulate import PRESETS, Shape, Simulation, simulate
from evalkit.simulate.presets import CITIES

SHARED_USE = 0.90
"""Least share of the rows a hand-written site file uses that a guessed one must use too."""

TODAY = dt.date(2024, 6, 30)
Rows = Mapping[str, Sequence[object]]


def write_csv(path: Path, rows: Rows, *, separator: str = ",", encoding: str = "utf-8") -> Path:
    text = pl.DataFrame(rows).write_csv(separator=separator)
    path.write_bytes(text.encode(encoding))
    return path


def town(n: int = 60, *, west: float = -74.1, south: float = 4.6) -> dict[str, list[object]]:
    """Rows of a small town: days of two months, points within some kilometres."""
    rng = np.random.default_rng(1)
    days = [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in rng.integers(0, 59, n)]
    return {
        "date": list(days),
        "longitude": [round(west + float(step), 6) for step in rng.uniform(0, 0.05, n)],
        "latitude": [round(south + float(step), 6) for step in rng.uniform(0, 0.05, n)],
        "type": [("HURTO", "LESIONES PERSONALES", "TRÁMITE")[i % 3] for i in range(n)],
        "number": [f"A-{i}" for i in range(n)],
    }


def incidents_of(rows: Rows, **names: str) -> dict[str, Sequence[object]]:
    return {names.get(key, key): values for key, values in rows.items()}


def look(
    path: Path, kind: Kind = "incidents", zone: str = "America/Bogota", **options: Any
) -> Guess:
    return guess_source(kind, take_sample(path), zone, today=TODAY, **options)


def init(*arguments: object, answers: Sequence[str] = ()) -> Result:
    return CliRunner().invoke(
        command, ["init", *map(str, arguments)], input="".join(f"{line}\n" for line in answers)
    )


def files(folder: Path, **changes: Sequence[object]) -> tuple[Path, Path]:
    """An incident and a camera file in Spanish."""
    rows = incidents_of(
        {**town(), **changes},
        date="FECHA_HECHO",
        longitude="LONGITUD",
        latitude="LATITUD",
        type="DELITO",
        number="NUNC",
    )
    places = town(20)
    cameras = {
        "CÓDIGO": places["number"],
        "FECHA_INSTALACIÓN": [f"{day:%d/%m/%Y}" for day in places["date"]],
        "LATITUD": places["latitude"],
        "LONGITUD": places["longitude"],
    }
    return (
        write_csv(folder / "incidents.csv", rows, separator=";"),
        write_csv(folder / "cameras.csv", cameras, separator=";", encoding="cp1252"),
    )


def flags(incidents: Path, cameras: Path, *more: str) -> list[str]:
    return [
        *("--name", "town", "--title", "Town", "--time-zone", "America/Bogota"),
        *("--incidents", str(incidents), "--cameras", str(cameras)),
        *more,
    ]


# ---------------------------------------------------------------- how a file is written

SPANISH = "id;situación\n1;LESIÓN\n2;riña; año, José, Peña\n"
PORTUGUESE = "id;SITUAÇÃO\n1;FURTO – VEÍCULO\n2;não, São João, ocorrência\n"
KOREAN = "관리번호,설치목적,위도\nC-1,생활방범 CCTV설치,37.5\nC-2,다목적,37.6\n"
GERMAN = "Aktenzeichen;Straße\n1;Königsallee\n2;Größe, Übung, Mäuse\n"


@pytest.mark.parametrize(
    ("text", "codec", "expected"),
    [
        ("plain,text\n1,2\n", "ascii", "utf-8"),
        (SPANISH, "utf-8", "utf-8"),
        (SPANISH, "utf-8-sig", "utf-8-sig"),
        (SPANISH, "utf-16", "utf-16"),
        (SPANISH, "utf-16-le", "utf-16-le"),
        (SPANISH, "utf-16-be", "utf-16-be"),
        (SPANISH, "latin-1", "cp1252"),
        (PORTUGUESE, "cp1252", "cp1252"),
        (GERMAN, "cp1252", "cp1252"),
        (KOREAN, "cp949", "cp949"),
        (KOREAN, "euc_kr", "cp949"),
        (KOREAN, "utf-8", "utf-8"),
    ],
)
def test_encoding_is_found(text: str, codec: str, expected: str) -> None:
    data = text.encode(codec)
    encoding, why, doubts = guess_encoding(data)
    assert encoding == expected
    assert data.decode(encoding) == text
    assert why
    assert not doubts


def test_bytes_that_no_letters_fit_are_a_doubt() -> None:
    encoding, _, doubts = guess_encoding(b"a;b\n\x81\x8d;\x90\xff\xfe\x9d\n")
    assert encoding == "latin-1"
    assert len(doubts) == 1


def test_encoding_is_tried_on_the_whole_file(tmp_path: Path) -> None:
    rows = "fecha;zona\n" + "2019-01-02;Centro\n" * (MAX_ROWS + 5)
    (tmp_path / "a.csv").write_bytes(rows.encode() + "2019-01-02;Peña\n".encode("cp1252"))
    sample = take_sample(tmp_path / "a.csv")
    assert sample.layout.encoding == "cp1252"
    assert sample.rows.height == MAX_ROWS


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separator_is_found_though_values_hold_others(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    lines = ["place, date, or so", "fecha", "note"], ["a, b; c", "2019-01-02", 'say "no"']
    records = [
        separator.join('"' + field.replace('"', '""') + '"' for field in fields)
        for fields in (lines[0], *[lines[1]] * 9)
    ]
    path.write_text("\n".join(records), encoding="utf-8")
    sample = take_sample(path)
    assert sample.layout.separator == separator
    assert sample.rows.columns == lines[0]
    assert sample.rows.row(0) == tuple(lines[1])


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\x1f\x8brest", "compressed"),
        (b"SQLite format 3\0", "database"),
    ],
)
def test_containers_are_refused_with_a_way_out(tmp_path: Path, head: bytes, word: str) -> None:
    (tmp_path / "a.csv").write_bytes(head)
    with pytest.raises(FileReadError, match=word) as caught:
        take_sample(tmp_path / "a.csv")
    assert "export" in str(caught.value)


def test_a_file_without_header_is_refused_without_its_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("2019-01-02,4.61,-74.08\n2019-01-03,4.62,-74.07\n")
    with pytest.raises(FileReadError, match="header") as caught:
        take_sample(tmp_path / "a.csv")
    assert "4.61" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1garbage", b'{"type": "Feature"}'])
@pytest.mark.parametrize("name", ["a.parquet", "a.geojson", "a.csv"])
def test_damaged_files_are_read_errors(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError):
        take_sample(tmp_path / name)


def test_repeated_and_empty_names_are_left_aside(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("date,x,x,\n2019-01-02,1,2,3\n")
    assert take_sample(tmp_path / "a.csv").rows.columns == ["date"]


# ---------------------------------------------------------------- which column holds what


@pytest.mark.parametrize(
    ("names", "cameras"),
    [
        (
            ("Fecha del hecho", "Longitud", "Latitud", "Delito", "Expediente"),
            "Fecha de instalación",
        ),
        (("DATA_OCORRENCIA", "LONGITUDE", "LATITUDE", "NATUREZA", "NUM_BO"), "Data de instalação"),
        (("발생일시", "경도", "위도", "죄종", "사건번호"), "설치일자"),
        (("Tatzeit", "Längengrad", "Breitengrad", "Delikt", "Aktenzeichen"), "Inbetriebnahme"),
        (
            ("Date des faits", "lon", "lat", "Type d'infraction", "Numéro dossier"),
            "Mise en service",
        ),
        (("Data reato", "Longitudine", "Latitudine", "Reato", "Protocollo"), "Attivazione"),
        (("Pleegdatum", "Lengtegraad", "Breedtegraad", "Misdrijf", "id"), "installation_date"),
        (("Brottsdatum", "lng", "lat", "Brottstyp", "Ärende id"), "Go-Live Date"),
        (
            ("dateOccurred", "pointLongitude", "pointLatitude", "primaryType", "caseNumber"),
            "liveDate",
        ),
        (("Gerningstidspunkt", "Længdegrad", "Breddegrad", "Forhold", "Sags-id"), "i drift fra"),
    ],
)
def test_columns_are_known_by_name_in_many_languages(
    tmp_path: Path, names: tuple[str, ...], cameras: str
) -> None:
    roles = ("date", "longitude", "latitude", "crime_type", "id")
    keys = ("date", "longitude", "latitude", "type", "number")
    rows = town()
    table = {name: rows[key] for name, key in zip(names, keys, strict=True)}
    other = {"Bemerkung": ["x"] * 60, "edad": [str(30 + i % 9) for i in range(60)]}
    guess = look(write_csv(tmp_path / "i.csv", {**other, **table}))
    assert {role: guess.columns[role] for role in roles} == dict(zip(roles, names, strict=True))
    seen = look(
        write_csv(tmp_path / "c.csv", {cameras: rows["date"], names[1]: rows["longitude"],
                                       names[2]: rows["latitude"]}),
        "cameras",
    )  # fmt: skip
    assert seen.columns["live_date"] == cameras


def test_names_are_compared_without_accents_capitals_and_separators() -> None:
    assert normalise("FECHA_HECHO") == normalise("Fecha hecho") == normalise("fechaHecho")
    assert normalise("Nº Ocorrência") == "no ocorrencia"
    assert normalise("발생 일시") == "발생 일시"
    assert name_score("date", "Fecha-Hecho") == name_score("date", "fecha_hecho") == 100


def test_the_deed_is_preferred_to_its_report(tmp_path: Path) -> None:
    rows = town()
    later = [day + dt.timedelta(days=3) for day in rows["date"]]
    table = {"Date reported": later, "Date occurred": rows["date"], "Updated on": later, **rows}
    guess = look(write_csv(tmp_path / "i.csv", {k: v for k, v in table.items() if k != "date"}))
    assert guess.columns["date"] == "Date occurred"
    only = look(write_csv(tmp_path / "j.csv", {"Updated on": later, "lon": rows["longitude"],
                                               "lat": rows["latitude"]}))  # fmt: skip
    assert only.columns["date"] == "Updated on"
    assert any("Updated on" in doubt for doubt in only.doubts)


def test_a_reference_date_is_no_first_day_of_a_camera(tmp_path: Path) -> None:
    rows = town()
    table = {"데이터기준일자": rows["date"], "경도": rows["longitude"], "위도": rows["latitude"]}
    guess = look(write_csv(tmp_path / "c.csv", table), "cameras")
    assert "live_date" not in guess.columns
    assert any("undated" in doubt for doubt in guess.doubts)


def test_columns_without_telling_names_are_known_by_values(tmp_path: Path) -> None:
    rows = town()
    table = {"a": rows["number"], "b": rows["latitude"], "c": rows["date"], "d": rows["longitude"]}
    guess = look(write_csv(tmp_path / "i.csv", table))
    assert guess.columns["date"] == "c"
    assert (guess.columns["longitude"], guess.columns["latitude"]) == ("d", "b")
    assert any("time zone" in doubt for doubt in guess.doubts)


def test_exchanged_headers_are_exchanged_back(tmp_path: Path) -> None:
    rows = town(west=-101.2)
    table = {"date": rows["date"], "latitude": rows["longitude"], "longitude": rows["latitude"]}
    guess = look(write_csv(tmp_path / "i.csv", table))
    assert (guess.columns["longitude"], guess.columns["latitude"]) == ("latitude", "longitude")
    assert any("exchanged" in doubt for doubt in guess.doubts)


def test_lengths_need_a_named_system(tmp_path: Path) -> None:
    rows = town()
    table = {
        "date": rows["date"],
        "X": [480_000 + 40 * i for i in range(60)],
        "Y": [4_649_000 + 30 * i for i in range(60)],
    }
    guess = look(write_csv(tmp_path / "i.csv", table))
    assert guess.needs_crs
    assert guess.points is None
    named = look(tmp_path / "i.csv", crs="EPSG:32616")
    assert named.points is not None
    assert named.points.middle == pytest.approx((-87.23, 42.0), abs=0.05)
    with pytest.raises(ConfigError, match="lengths"):
        from_files(
            tmp_path / "s.toml",
            {"name": "a", "title": "A", "time_zone": "America/Chicago", "all_as": "theft",
             "incidents": tmp_path / "i.csv", "cameras": tmp_path / "i.csv"},
            ask=False,
        )  # fmt: skip


def test_degrees_are_preferred_to_lengths(tmp_path: Path) -> None:
    rows = town()
    table = {
        **rows,
        "X Coordinate": [1_160_000.5 + i for i in range(60)],
        "Y Coordinate": [1_900_000.5 + i for i in range(60)],
    }
    guess = look(write_csv(tmp_path / "i.csv", table))
    assert (guess.columns["longitude"], guess.columns["latitude"]) == ("longitude", "latitude")


def test_decimal_commas_are_seen(tmp_path: Path) -> None:
    rows = town()
    comma = {
        key: [str(v).replace(".", ",") for v in rows[key]] for key in ("longitude", "latitude")
    }
    guess = look(write_csv(tmp_path / "i.csv", {**rows, **comma}, separator=";"))
    assert guess.layout.decimal == ","
    assert guess.points is not None


def test_an_identifier_that_looks_like_an_epoch_is_no_date(tmp_path: Path) -> None:
    rows = {**town(), "number": [str(2_019_000_000 + i) for i in range(60)]}
    guess = look(write_csv(tmp_path / "i.csv", incidents_of(rows, number="case_id", date="when")))
    assert (guess.columns["date"], guess.columns["id"]) == ("when", "case_id")


def test_case_numbers_of_several_charges_are_no_duplicates(tmp_path: Path) -> None:
    rows = town()
    case = [f"K-{i // 2}" for i in range(60)]
    guess = look(write_csv(tmp_path / "i.csv", incidents_of({**rows, "number": case},
                                                            number="case_number")))  # fmt: skip
    assert guess.columns["id"] == "case_number"
    assert guess.duplicates == "row"
    doubled = {key: [*values, *values[:9]] for key, values in rows.items()}
    twice = look(write_csv(tmp_path / "j.csv", incidents_of(doubled, number="case_number")))
    assert twice.duplicates == "id"


def test_areas_are_proposed_where_both_files_use_the_same_names(tmp_path: Path) -> None:
    rows = town()
    barrio = [("Centro", "Norte", "Sur")[i % 3] for i in range(60)]
    one = look(write_csv(tmp_path / "i.csv", {**rows, "BARRIO": barrio}))
    same = look(write_csv(tmp_path / "c.csv", {**rows, "Barrio": barrio}), "cameras")
    other = look(
        write_csv(tmp_path / "d.csv", {**rows, "Barrio": [f"{i % 3:02d}" for i in range(60)]}),
        "cameras",
    )
    assert areas_agree(one, same) == ("BARRIO", "Barrio")
    assert areas_agree(one, other) is None
    assert "area" not in one.columns


def test_a_file_without_coordinates_is_placed_by_area(tmp_path: Path) -> None:
    rows = {"date": town()["date"], "관서": ["중부서" if i % 2 else "종로서" for i in range(60)]}
    guess = look(write_csv(tmp_path / "i.csv", rows), zone="Asia/Seoul")
    assert guess.columns == {"date": "date", "area": "관서"}


# ---------------------------------------------------------------- dates


def dates(values: Sequence[str], **options: Any) -> Any:
    return guess_dates(pl.Series(values), **{"epochs": False, **options})


DAYS = [
    dt.datetime(2019, 1, 1, 5, 30, tzinfo=dt.UTC) + dt.timedelta(days=9 * i, hours=i % 7)
    for i in range(80)
]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("%Y-%m-%d", "iso"),
        ("%Y-%m-%dT%H:%M:%S", "iso"),
        ("%Y-%m-%d %H:%M", "iso"),
        ("%Y%m%d", "iso"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%d/%m/%y", "%d/%m/%y"),
        ("%m/%d/%y %H:%M", "%m/%d/%y %H:%M"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M:%S"),
        ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M:%S %p"),
        ("%d %B %Y", "%d %B %Y"),
        ("%d-%b-%Y", "%d-%b-%Y"),
        ("%B %d, %Y", "%B %d, %Y"),
        ("%b-%y", "%b-%y"),
        ("%Y/%m/%d %H:%M:%S+00", "%Y/%m/%d %H:%M:%S%z"),
        ("%Y.%m.%d", "%Y.%m.%d"),
        ("%Y년 %m월 %d일", "%Y년 %m월 %d일"),
    ],
)
def test_date_formats_are_found_and_read_back(written: str, expected: str) -> None:
    found = dates([day.strftime(written) for day in DAYS])
    assert found.formats == (expected,)
    assert found.share == 1.0
    assert not found.rival


def test_which_number_is_the_day_is_told_by_values_above_twelve() -> None:
    first = dates([f"{day:%d/%m/%Y}" for day in DAYS])
    second = dates([f"{day:%m/%d/%Y}" for day in DAYS])
    assert (first.order, second.order) == ("day first", "month first")
    assert "above 12" in first.why
    assert "above 12" in second.why


@pytest.mark.parametrize("order", ["day first", "month first"])
def test_ambiguous_dates_are_said_to_be_so(order: str) -> None:
    values = [f"{a:02d}/{b:02d}/2019" for a, b in ((3, 4), (5, 2), (11, 7), (8, 8), (1, 12))] * 5
    free = dates(values)
    assert {free.formats[0], free.rival} == {"%d/%m/%Y", "%m/%d/%Y"}
    assert "toss-up" in free.why
    helped = dates(values, order=order)
    assert helped.order == order
    assert helped.rival
    assert "other file" in helped.why


def test_firsts_of_the_month_settle_the_order_but_remain_a_doubt() -> None:
    found = dates([f"{month:02d}/01/20{year}" for month in range(1, 13) for year in (18, 19, 20)])
    assert found.formats == ("%m/%d/%Y",)
    assert found.rival == "%d/%m/%Y"
    assert "one month" in found.why


def test_dates_in_the_future_settle_the_order() -> None:
    found = dates(["05/06/2024", "08/06/2024", "06/05/2024"], today=dt.date(2024, 6, 9))
    assert found.formats == ("%d/%m/%Y",)
    assert "future" in found.why


def test_mixed_orders_are_a_doubt() -> None:
    mostly = [f"{day:%d/%m/%Y}" for day in DAYS]
    found = dates([*mostly, *(f"{day:%m/%d/%Y}" for day in DAYS if day.day > 12)][:110])
    assert found.formats == ("%d/%m/%Y",)
    assert found.rival == "%m/%d/%Y"
    assert "mixed" in found.why


def test_a_second_format_is_added_but_never_the_opposite_order() -> None:
    found = dates([f"{day:%d/%m/%Y}" for day in DAYS] + [f"{day:%Y-%m-%d}" for day in DAYS[:20]])
    assert found.formats == ("%d/%m/%Y", "iso")
    assert found.share == 1.0


def test_numbers_count_as_epochs_only_if_the_name_allows() -> None:
    stamps = [str(int(day.timestamp())) for day in DAYS]
    assert dates(stamps) is None
    assert dates(stamps, epochs=True).formats == ("epoch_s",)
    assert dates([f"{one}000" for one in stamps], epochs=True).formats == ("epoch_ms",)
    assert dates(["999999999999", "111111111111"], epochs=True) is None


@pytest.mark.parametrize("values", [["Centro"], ["4.61", "4.62"], ["02-3423-6772"], ["A-1"], []])
def test_what_is_no_date_is_none(values: list[str]) -> None:
    assert guess_dates(pl.Series(values, dtype=pl.String()), epochs=False) is None


def test_a_time_column_is_put_behind_the_date(tmp_path: Path) -> None:
    rows = town()
    table = {
        **rows,
        "date": [f"{day:%d/%m/%Y}" for day in rows["date"]],
        "hora": [f"{i % 24:02d}:{i % 60:02d}" for i in range(60)],
    }
    guess = look(write_csv(tmp_path / "i.csv", table))
    assert guess.columns["time"] == "hora"
    assert guess.layout.date_format == ("%d/%m/%Y %H:%M", "%d/%m/%Y")
    midnight = [f"{day:%Y-%m-%d}T00:00:00.000" for day in rows["date"]]
    twelve = [f"{1 + i % 12}:05 PM" for i in range(60)]
    other = look(write_csv(tmp_path / "j.csv", {**table, "date": midnight, "hora": twelve}))
    assert other.layout.date_format == ("%Y-%m-%d %I:%M %p", "iso")
    told = look(write_csv(tmp_path / "k.csv", {**table, "date": [f"{day:%m/%d/%Y %I:%M %p}"
                                               for day in DAYS[:60]]}))  # fmt: skip
    assert "time" not in told.columns


def test_a_meaningless_offset_keeps_the_date_as_written(tmp_path: Path) -> None:
    rows = town()
    for name, when in (("a", "00:00:00+00"), ("b", "05:00:00+00")):
        table = {**rows, "live_date": [f"{day:%Y/%m/%d} {when}" for day in rows["date"]]}
        del table["date"]
        guess = look(write_csv(tmp_path / f"{name}.csv", table), "cameras")
        assert guess.layout.convert_zone is (name == "b")


def test_a_name_that_says_utc_sets_the_source_zone(tmp_path: Path) -> None:
    rows = town()
    times = [f"{day:%Y-%m-%d} 13:45:00" for day in rows["date"]]
    named = look(write_csv(tmp_path / "a.csv", {**rows, "date": times} | {}))
    assert named.layout.source_zone == ""
    table = {("logged_utc" if key == "date" else key): values for key, values in rows.items()}
    assert (
        look(write_csv(tmp_path / "b.csv", {**table, "logged_utc": times})).layout.source_zone
        == "UTC"
    )
    # A date without a time is never moved, whatever the name says.
    assert look(write_csv(tmp_path / "c.csv", table)).layout.source_zone == ""


def test_words_for_no_date_are_marks_of_missing_values(tmp_path: Path) -> None:
    rows = town()
    days = [f"{day:%d-%m-%Y}" for day in rows["date"]]
    days[3] = days[9] = "SIN FECHA"
    days[5] = "00-00-0000"
    days[7] = "31-02-2019"
    table = {"live date": days, "lon": rows["longitude"], "lat": rows["latitude"]}
    guess = look(write_csv(tmp_path / "c.csv", table), "cameras")
    assert guess.layout.missing[-2:] == ("SIN FECHA", "00-00-0000")


# ---------------------------------------------------------------- categories


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("ROBBERY", "robbery"),
        ("THEFT", "theft"),
        ("LARCENY - THEFT FROM BUILDING", "theft"),
        ("LARCENY - PERSONAL PROPERTY FROM MOTOR VEHICLE", "theft_from_vehicle"),
        ("THEFT FROM MOTOR VEHICLE", "theft_from_vehicle"),
        ("Burglary from vehicle", "theft_from_vehicle"),
        ("MOTOR VEHICLE THEFT", "vehicle_theft"),
        ("STOLEN VEHICLE", "vehicle_theft"),
        ("CARJACKING", "robbery"),
        ("BURGLARY", "burglary"),
        ("BATTERY", "assault"),
        ("SEXUAL ASSAULT", "sexual_violence"),
        ("NON-FATAL SHOOTING", "assault"),
        ("MURDER / NON-NEGLIGENT MANSLAUGHTER (VOLUNTARY)", "homicide"),
        ("NEGLIGENT HOMICIDE / MANSLAUGHTER (INVOLUNTARY)", None),
        ("ATTEMPTED MURDER", None),
        ("CRIMINAL DAMAGE", "property_damage"),
        ("WEAPONS VIOLATION", "weapons"),
        ("ASSAULT WITH A WEAPON", "assault"),
        ("NARCOTICS", "drugs"),
        ("DRUG TRAFFICKING", "drugs"),
        ("DISORDERLY CONDUCT", "disorder"),
        ("DRIVING UNDER THE INFLUENCE", "traffic"),
        ("TRAFFIC PAPERWORK", None),
        ("STOLEN PROPERTY", None),
        ("IDENTITY THEFT", None),
        ("LOST PROPERTY", None),
        ("HURTO A PERSONAS", "theft"),
        ("HURTO A RESIDENCIAS", "burglary"),
        ("HURTO DE MOTOCICLETAS", "vehicle_theft"),
        ("HURTO A ENTIDADES COMERCIALES", "theft"),
        ("ROBO CON VIOLENCIA", "robbery"),
        ("ROBO A CASA HABITACIÓN SIN VIOLENCIA", "burglary"),
        ("ROBO EN LUGAR HABITADO", "burglary"),
        ("ROBO DE VEHÍCULO", "vehicle_theft"),
        ("ROBO DE VEHÍCULO CON VIOLENCIA", "robbery"),
        ("ATRACO", "robbery"),
        ("LESIONES PERSONALES", "assault"),
        ("LESIONES EN ACCIDENTE DE TRÁNSITO", None),
        ("HOMICIDIO", "homicide"),
        ("HOMICIDIO CULPOSO", None),
        ("VIOLENCIA INTRAFAMILIAR", "assault"),
        ("ABUSO SEXUAL", "sexual_violence"),
        ("DAÑO EN BIEN AJENO", "property_damage"),
        ("PORTE ILEGAL DE ARMAS", "weapons"),
        ("TRÁFICO DE ESTUPEFACIENTES", "drugs"),
        ("ROUBO DE CELULAR", "robbery"),
        ("FURTO EM RESIDÊNCIA", "burglary"),
        ("FURTO DE VEÍCULO", "vehicle_theft"),
        ("LESÃO CORPORAL DOLOSA", "assault"),
        ("LESÃO CORPORAL CULPOSA", None),
        ("ESTUPRO", "sexual_violence"),
        ("TRÁFICO DE DROGAS", "drugs"),
        ("ACIDENTE DE TRÂNSITO SEM VÍTIMA", None),
        ("Violence and sexual offences", "assault"),
        ("Vehicle crime", "vehicle_theft"),
        ("Wohnungseinbruchdiebstahl", "burglary"),
        ("Taschendiebstahl", "theft"),
        ("Raub", "robbery"),
        ("Körperverletzung", "assault"),
        ("Cambriolage", "burglary"),
        ("Vol avec violence", "robbery"),
        ("Vol à l'étalage", "theft"),
        ("Furto in abitazione", "burglary"),
        ("Rapina", "robbery"),
        ("Røveri", "robbery"),
        ("차량절도", "vehicle_theft"),
        ("침입절도", "burglary"),
        ("절도", "theft"),
        ("교통민원", None),
        ("TH-01", None),
        ("", None),
    ],
)
def test_categories_become_common_types(category: str, expected: str | None) -> None:
    assert common_type(category) == expected


@given(st.text(max_size=40))
def test_a_category_becomes_a_known_type_or_none(category: str) -> None:
    assert common_type(category) in {None, *CRIME_TYPES}


def test_spellings_of_one_category_are_written_once(tmp_path: Path) -> None:
    kinds = ["Hurto", "HURTO ", "hurto", "ATRACO"] * 15
    guess = look(write_csv(tmp_path / "i.csv", {**town(), "type": kinds}))
    assert guess.categories is not None
    assert guess.categories.mapped == {"HURTO": "theft", "ATRACO": "robbery"}
    assert guess.categories.counts == {"HURTO": 45, "ATRACO": 15}


# ---------------------------------------------------------------- bounds


@given(
    seed=st.integers(0, 999),
    longitude=st.floats(-170, 170),
    latitude=st.floats(-70, 70),
    spoiled=st.integers(0, 20),
)
def test_bounds_hold_the_town_and_nothing_far_away(
    seed: int, longitude: float, latitude: float, spoiled: int
) -> None:
    rng = np.random.default_rng(seed)
    x = longitude + rng.uniform(-0.04, 0.04, 1000)
    y = latitude + rng.uniform(-0.03, 0.03, 1000)
    far = Points(
        np.concatenate([x, np.full(spoiled, -longitude / 2 + 3)]),
        np.concatenate([y, np.full(spoiled, latitude + 5)]),
    )
    west, south, east, north = guess_bounds(far)
    inside = (x > west) & (x < east) & (y > south) & (y < north)
    assert inside.mean() > 0.98
    assert east - west < 0.1
    assert north - south < 0.1


def test_one_point_still_gives_bounds() -> None:
    west, south, east, north = guess_bounds(Points(np.array([179.9999]), np.array([-1.0])))
    assert west < east <= 180
    assert south < north


def test_places_far_from_their_time_zone_are_a_doubt(tmp_path: Path) -> None:
    fine, lost = (-74.2, 4.5, -74.0, 4.8), (74.0, 4.5, 74.2, 4.8)
    assert not doubt_places(fine, "America/Bogota")
    assert "minus" in doubt_places(lost, "America/Bogota")
    for city in CITIES:
        box = (city.longitude - 0.1, 0.0, city.longitude + 0.1, 1.0)
        assert not doubt_places(box, city.time_zone), city.name


def test_a_camera_file_of_another_region_does_not_widen_the_city(tmp_path: Path) -> None:
    one = look(write_csv(tmp_path / "i.csv", town()))
    same = look(write_csv(tmp_path / "c.csv", town(west=-74.09)), "cameras")
    away = look(write_csv(tmp_path / "d.csv", town(west=-70.0)), "cameras")
    assert one.points is not None
    joined, doubt = join_bounds(one, same)
    assert joined is not None
    assert not doubt
    assert joined[2] > guess_bounds(one.points)[2]
    apart, doubt = join_bounds(one, away)
    assert apart == guess_bounds(one.points)
    assert doubt


# ---------------------------------------------------------------- whole cities


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """The demo's cities and one city of every other portal, larger than what is looked at."""
    cities = {city.portal: city for city in reversed(CITIES)} | {
        city.portal: city for city in PRESETS["demo"].cities
    }
    preset = replace(
        PRESETS["demo"], cities=tuple(cities.values()), shape=Shape(incidents=(23_000, 25_000))
    )
    return simulate(preset, tmp_path_factory.mktemp("cities"), seed=7)


SIMULATED = {city.portal: city for city in reversed(CITIES)} | {
    city.portal: city for city in PRESETS["demo"].cities
}


def guessed_site(written: Path, *more: str) -> Path:
    """A site file guessed from the files beside one that was written by hand."""
    by_hand = load_site(written)
    home = written.parent
    path = home / "guessed.toml"
    path.unlink(missing_ok=True)
    result = init(
        path,
        *("--name", by_hand.name, "--title", by_hand.city.title),
        *("--time-zone", by_hand.city.time_zone),
        *("--incidents", home / by_hand.incidents.files[0]),
        *("--cameras", home / by_hand.cameras.files[0], "--yes", *more),
    )
    assert result.exception is None, result.exception
    return path


def used_alike(one: pl.DataFrame, other: pl.DataFrame, columns: Sequence[str]) -> float:
    """Share of the rows of ``one`` that are in ``other`` with the same values."""
    keys = ["file", "row"]
    return one.select(*keys, *columns).join(
        other.select(*keys, *columns), on=[*keys, *columns], how="semi", nulls_equal=True
    ).height / one.height  # fmt: skip


@pytest.mark.parametrize("portal", [name for name in SIMULATED if name != "control-room"])
def test_guessed_cities_use_what_written_ones_use(simulated: Simulation, portal: str) -> None:
    written = next(path for path in simulated.sites if path.parent.name == SIMULATED[portal].name)
    by_hand, guessed = load_site(written), load_site(guessed_site(written))
    home = written.parent
    one, other = read_incidents(by_hand, home).rows, read_incidents(guessed, home).rows
    places = ["longitude", "latitude"]
    assert used_alike(one, other, ["date", "hour", *places]) >= SHARED_USE
    assert used_alike(one, other, ["crime_type"]) >= SHARED_USE
    one, other = read_cameras(by_hand, home).rows, read_cameras(guessed, home).rows
    assert used_alike(one, other, ["live_date", *places]) >= SHARED_USE
    assert guessed.policy is not None
    assert guessed.policy.studies == ()


SOURCE_QUESTIONS = {"incidents": 2 + 7 + 1 + 1 + 1, "cameras": 2 + 5 + 1 + 1}
"""Encoding and separator; columns; decimal mark; date format; what is a duplicate (incidents)."""


def test_codes_must_be_translated_by_a_person(simulated: Simulation) -> None:
    written = next(path for path in simulated.sites if path.parent.name == "mangrove")
    home = written.parent
    out = home / "codes.toml"
    answers = ["--name", "m", "--title", "M", "--time-zone", "Asia/Manila", "--incidents",
               home / "incidents.csv", "--cameras", home / "cameras.csv"]  # fmt: skip
    refused = init(out, *answers, "--yes")
    assert isinstance(refused.exception, ConfigError)
    assert "--all-as" in str(refused.exception)
    assert not out.exists()
    questions = [""] * (SOURCE_QUESTIONS["incidents"] + SOURCE_QUESTIONS["cameras"])
    types = {
        "TH": "theft",
        "AS": "assault",
        "RB": "robbery",
        "BG": "burglary",
        "CN": "vehicle_theft",
    }
    sample = look(home / "incidents.csv", zone="Asia/Manila")
    assert sample.categories is not None
    translated = [types.get(code[:2], "-") for code in sample.categories.counts]
    result = init(out, *answers, answers=[*questions, *translated, *[""] * 3])
    assert result.exception is None, result.output
    by_hand, guessed = load_site(written), load_site(out)
    assert guessed.incidents.crime_types == by_hand.incidents.crime_types
    assert guessed.incidents.source_zone == by_hand.incidents.source_zone == "UTC"
    one, other = read_incidents(by_hand, home).rows, read_incidents(guessed, home).rows
    assert used_alike(one, other, ["date", "hour", "crime_type"]) >= SHARED_USE


def test_detroit_by_looking_at_its_files(shared: Path, tmp_path: Path) -> None:
    home = shared / "data" / "cities" / "detroit"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(from_recipe("detroit", home), encoding="utf-8")
    out = tmp_path / "detroit.toml"
    result = init(
        out, "--name", "detroit", "--title", "Detroit", "--time-zone", "America/Detroit",
        "--incidents", home / "incidents.parquet", "--cameras", home / "cameras.csv", "--yes",
    )  # fmt: skip
    assert result.exception is None
    by_hand, guessed = load_site(recipe), load_site(out)
    assert guessed.incidents.columns.date == "incident_occurred_at"
    assert guessed.incidents.columns.crime_type in {"offense_category", "charge_description"}
    one, other = read_incidents(by_hand, tmp_path).rows, read_incidents(guessed, tmp_path).rows
    assert used_alike(one, other, ["date", "hour", "longitude", "latitude"]) >= SHARED_USE
    one, other = read_cameras(by_hand, tmp_path).rows, read_cameras(guessed, tmp_path).rows
    assert used_alike(one, other, ["live_date", "longitude", "latitude"]) == 1.0
    assert not guessed.cameras.convert_zone
    older = look(home / "cameras_older_snapshot.csv", "cameras", "America/Detroit")
    assert older.layout.convert_zone


@pytest.mark.parametrize(
    ("recipe", "cameras"),
    [("chicago-speed", "cameras_speed.csv"), ("chicago-red-light", "cameras_red_light.csv")],
)
def test_chicago_by_looking_at_its_files(
    shared: Path, tmp_path: Path, recipe: str, cameras: str
) -> None:
    home = shared / "data" / "cities" / "chicago"
    flags = ["--name", "chicago", "--title", "Chicago", "--time-zone", "America/Chicago",
             "--incidents", home / "incidents.parquet", "--cameras", home / cameras, "--yes"]  # fmt: skip
    refused = init(tmp_path / "no.toml", *flags)
    assert isinstance(refused.exception, ConfigError)
    assert "--all-as" in str(refused.exception)
    out = tmp_path / "chicago.toml"
    assert init(out, *flags, "--all-as", "assault").exception is None
    written = tmp_path / "recipe.toml"
    written.write_text(from_recipe(recipe, home), encoding="utf-8")
    by_hand, guessed = load_site(written), load_site(out)
    assert guessed.cameras.kind == "traffic"
    assert guessed.cameras.columns.live_date == by_hand.cameras.columns.live_date
    assert guessed.incidents.columns.date == "date"
    one, other = read_cameras(by_hand, tmp_path).rows, read_cameras(guessed, tmp_path).rows
    assert used_alike(one, other, ["live_date", "longitude", "latitude"]) >= SHARED_USE
    one, other = read_incidents(by_hand, tmp_path).rows, read_incidents(guessed, tmp_path).rows
    assert used_alike(one, other, ["date", "hour", "crime_type"]) >= SHARED_USE


def test_seouls_cameras_are_dated_by_month(shared: Path) -> None:
    guess = look(shared / "data" / "cities" / "seoul" / "cameras.csv", "cameras", "Asia/Seoul")
    assert guess.columns["live_date"] == "설치년월"
    assert guess.layout.date_format == ("%b-%y",)


# ---------------------------------------------------------------- recipes


def test_a_recipe_names_the_files_in_the_data_folder(shared: Path, tmp_path: Path) -> None:
    home = shared / "data" / "cities" / "detroit"
    path = tmp_path / "d.toml"
    assert init(path, "--recipe", "detroit", "--data", home).exception is None
    site = load_site(path)
    assert site.incidents.files == ((home / "incidents.parquet").resolve().as_posix(),)
    assert site.cameras.files == ((home / "cameras.csv").resolve().as_posix(),)
    assert "Left out on purpose" in path.read_text(encoding="utf-8")


def test_a_recipe_without_data_is_the_shipped_text() -> None:
    text = from_recipe("detroit", None)
    assert tomllib.loads(text)["incidents"]["files"] == ["incidents.parquet"]


def test_a_recipe_whose_files_are_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cameras.csv").write_text("a\n")
    with pytest.raises(ConfigError, match=r"incidents\.parquet") as caught:
        from_recipe("detroit", tmp_path)
    assert "--data" in str(caught.value)
    assert "no cameras.csv" not in str(caught.value)
    with pytest.raises(ConfigError, match="no site named"):
        from_recipe("atlantis", tmp_path)


def test_a_file_in_the_current_folder_is_not_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "detroit.toml").write_text("name = 'mine'\n")
    monkeypatch.chdir(tmp_path)
    assert 'name = "detroit"' in from_recipe("detroit", None)
    assert from_recipe("detroit.toml", None) == "name = 'mine'\n"


def test_a_recipe_takes_odd_folders(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" \\ [c] ü'
    folder.mkdir()
    (folder / "incidents.parquet").touch()
    (folder / "cameras.csv").touch()
    raw = tomllib.loads(from_recipe("detroit", folder))
    assert raw["cameras"]["files"] == [(folder.resolve() / "cameras.csv").as_posix()]


# ---------------------------------------------------------------- without questions


def test_yes_takes_every_guess(tmp_path: Path) -> None:
    result = init(tmp_path / "town.toml", *flags(*files(tmp_path), "--yes"))
    assert result.exception is None
    site = load_site(tmp_path / "town.toml")
    assert site.incidents.files == ("incidents.csv",)
    assert site.incidents.crime_types == {"HURTO": "theft", "LESIONES PERSONALES": "assault"}
    assert site.cameras.encoding == "cp1252"
    assert site.cameras.columns.live_date == "FECHA_INSTALACIÓN"
    text = (tmp_path / "town.toml").read_text(encoding="utf-8")
    assert '# "TRÁMITE" = ""' in text
    assert "Nobody has confirmed" in text


@pytest.mark.parametrize("flag", ["--name", "--title", "--time-zone", "--incidents", "--cameras"])
def test_a_missing_answer_is_named_by_its_flag(tmp_path: Path, flag: str) -> None:
    given = flags(*files(tmp_path), "--yes")
    at = given.index(flag)
    result = init(tmp_path / "town.toml", *given[:at], *given[at + 2 :])
    assert isinstance(result.exception, ConfigError)
    assert flag in str(result.exception)
    assert not (tmp_path / "town.toml").exists()


@pytest.mark.parametrize(
    ("flag", "value", "kind", "hint"),
    [
        ("--time-zone", "America/Bogotá", ConfigError, "America/Bogota"),
        ("--time-zone", "../../etc/passwd", ConfigError, "IANA"),
        ("--time-zone", "america/bogota", ConfigError, "America/Bogota"),
        ("--name", "Big Town", ConfigError, "small letters"),
        ("--incidents", "incidnets.csv", ConfigError, "incidents.csv"),
        ("--all-as", "larceny", TaxonomyError, "theft"),
    ],
)
def test_a_wrong_answer_is_refused_with_the_way_out(
    tmp_path: Path, flag: str, value: str, kind: type[EvalkitError], hint: str
) -> None:
    given = flags(*files(tmp_path), "--yes", "--all-as", "theft")
    given[given.index(flag) + 1] = str(tmp_path / value) if flag == "--incidents" else value
    result = init(tmp_path / "town.toml", *given)
    assert isinstance(result.exception, kind)
    assert hint in str(result.exception)


def test_what_no_column_says_is_an_error_that_lists_the_columns(tmp_path: Path) -> None:
    rows = town()
    _, cameras = files(tmp_path)
    undated = write_csv(tmp_path / "u.csv", {"lon": rows["longitude"], "lat": rows["latitude"]})
    result = init(tmp_path / "a.toml", *flags(undated, cameras, "--yes"))
    assert "dates" in str(result.exception)
    assert "lon, lat" in str(result.exception)
    nowhere = write_csv(tmp_path / "n.csv", {"date": rows["date"], "punto": ["(4.6, -74.1)"] * 60})
    result = init(tmp_path / "a.toml", *flags(nowhere, cameras, "--yes"))
    assert isinstance(result.exception, ConfigError)
    assert "where" in str(result.exception)
    assert "74.1" not in str(result.exception)


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "town.toml").write_text("mine")
    result = init(tmp_path / "town.toml", *flags(*files(tmp_path), "--yes"))
    assert isinstance(result.exception, ConfigError)
    assert (tmp_path / "town.toml").read_text() == "mine"


def test_doubts_are_said_and_written(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path, date=["03/04/2019", "05/02/2019", "11/07/2019"] * 20)
    cameras.write_text("LATITUD;LONGITUD\n4.61;-74.08\n4.62;-74.09\n")
    result = init(tmp_path / "town.toml", *flags(incidents, cameras, "--yes"))
    assert "toss-up" in result.stderr
    text = (tmp_path / "town.toml").read_text(encoding="utf-8")
    assert "TO CHECK" in text
    assert "%m/%d/%Y" in text
    assert load_site(tmp_path / "town.toml").incidents.date_format == ("%d/%m/%Y",)


def test_one_file_settles_the_order_of_the_other(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path, date=["03/04/2019", "05/02/2019", "11/07/2019"] * 20)
    places = town(20)
    write_csv(
        cameras,
        {"live date": [f"{day:%m/%d/%Y}" for day in places["date"]], "LATITUD": places["latitude"],
         "LONGITUD": places["longitude"]},
        separator=";",
    )  # fmt: skip
    assert init(tmp_path / "town.toml", *flags(incidents, cameras, "--yes")).exception is None
    site = load_site(tmp_path / "town.toml")
    assert site.incidents.date_format == site.cameras.date_format == ("%m/%d/%Y",)


def test_paths_are_relative_where_that_makes_sense(tmp_path: Path) -> None:
    data, sites = tmp_path / "data", tmp_path / "sites" / "deep"
    data.mkdir()
    result = init(sites / "town.toml", *flags(*files(data), "--yes"))
    assert result.exception is None
    site = load_site(sites / "town.toml")
    assert site.incidents.files == ("../../data/incidents.csv",)
    assert read_incidents(site, sites.resolve()).rows.height == 40


def test_nothing_is_sent_and_nothing_but_text_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    answers = files(tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    given = {"name": "t", "title": "T", "time_zone": "America/Bogota",
             "incidents": answers[0], "cameras": answers[1]}  # fmt: skip
    assert from_files(tmp_path / "town.toml", given, ask=False)
    assert sorted(tmp_path.iterdir()) == before


def test_the_policy_approves_nothing_and_explains_every_limit(tmp_path: Path) -> None:
    init(tmp_path / "town.toml", *flags(*files(tmp_path), "--yes"))
    text = (tmp_path / "town.toml").read_text(encoding="utf-8")
    site = load_site(tmp_path / "town.toml")
    assert site.policy == Policy(studies=())
    assert "`evalkit study check`" in text
    assert set(POLICY_WORDS) == set(LIMITS) - {"expires"}
    # Every commented default is the real one, and can be uncommented.
    policy = text[text.index("[policy]") :]
    lines = [line.removeprefix("# ") for line in policy.splitlines() if " = " in line]
    stated = tomllib.loads("\n".join(lines))
    assert set(stated) == {"studies", *POLICY_WORDS}
    assert msgspec.convert(stated, Policy) == Policy()


def test_no_row_counts_are_written(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path, type=["HURTO"] * 47 + ["RARO"] * 13)
    init(tmp_path / "town.toml", *flags(incidents, cameras, "--yes"))
    text = (tmp_path / "town.toml").read_text(encoding="utf-8")
    assert "47" not in text.partition("[incidents.crime_types]")[2].partition("[cameras]")[0]


def test_traffic_cameras_are_known_by_name(tmp_path: Path) -> None:
    rows = town()
    for name, kind in (
        ("speed_cameras", "traffic"),
        ("cameras", "cctv"),
        ("FOTOMULTAS", "traffic"),
    ):
        path = write_csv(tmp_path / f"{name}.csv", rows)
        assert guess_camera_kind(take_sample(path)) == kind


# ---------------------------------------------------------------- with questions


def test_pressing_enter_takes_every_guess(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path)
    given = flags(incidents, cameras)
    asked = init(tmp_path / "asked.toml", *given, answers=[""] * 30)
    assert asked.exception is None, asked.output
    assert init(tmp_path / "taken.toml", *given, "--yes").exception is None
    one, other = load_site(tmp_path / "asked.toml"), load_site(tmp_path / "taken.toml")
    assert one == other
    assert "An analyst went through" in (tmp_path / "asked.toml").read_text(encoding="utf-8")


def test_everything_missing_is_asked_for(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path)
    answers = [
        *("Villa Alta!", "villa-alta"),  # not a short name, then one
        "Villa Alta",
        *("Bogota", "America/Bogota"),  # not a zone, then one
        *(str(tmp_path), str(incidents)),  # a folder, then a file
        str(cameras),
        *[""] * 30,
    ]
    result = init(tmp_path / "town.toml", answers=answers)
    assert result.exception is None, result.output
    site = load_site(tmp_path / "town.toml")
    assert (site.name, site.city.title, site.city.time_zone) == (
        "villa-alta",
        "Villa Alta",
        "America/Bogota",
    )
    assert "is not a time zone" in result.output
    assert "folder" in result.output


def test_every_guess_can_be_changed(tmp_path: Path) -> None:
    rows = town()
    day = [f"{day:%d/%m/%Y}" for day in rows["date"]]
    incidents, cameras = files(tmp_path)
    table = {"otra": day, "fecha": day, "lon": rows["longitude"], "lat": rows["latitude"],
             "delito": rows["type"], "caso": rows["number"], "barrio": ["A", "B"] * 30}  # fmt: skip
    write_csv(incidents, table)
    answers = [
        *("latin-1", ","),
        *("nope", "otra"),  # date: not a column, then another one than the guess
        *("", "", "", "caso", "", "barrio"),  # time, longitude, latitude, id, crime type, area
        "",  # decimal mark
        *("%Y-%m-%d", "%d/%m/%Y | iso"),  # a format that reads nothing, then two
        *("sometimes", "keep"),
        *("", "", "", "", "", "-", "", "", ""),  # cameras; no id
        *("n", "robbery", "theft", "-"),  # the mapping; categories by number of rows, then name
        "traffic",
        *("1, 2, 3", "-75, 4, -73, 5"),  # no bounds, then some
    ]
    result = init(tmp_path / "town.toml", *flags(incidents, cameras), answers=answers)
    assert result.exception is None, result.output
    site = load_site(tmp_path / "town.toml")
    assert site.incidents.encoding == "latin-1"
    assert msgspec.structs.asdict(site.incidents.columns) == {
        "date": "otra", "time": "", "longitude": "lon", "latitude": "lat", "id": "caso",
        "crime_type": "delito", "area": "barrio", "count": "",
    }  # fmt: skip
    assert site.incidents.date_format == ("%d/%m/%Y", "iso")
    assert site.incidents.duplicates == "keep"
    assert site.incidents.crime_types == {"HURTO": "robbery", "LESIONES PERSONALES": "theft"}
    assert site.cameras.columns.id == ""
    assert site.cameras.kind == "traffic"
    assert site.city.bounds == (-75.0, 4.0, -73.0, 5.0)
    for said in ("no column", "reads 0%", "no such rule", "no bounds"):
        assert said in result.output


def test_the_rest_of_a_mapping_can_be_taken_at_once(tmp_path: Path) -> None:
    kinds = ["A1"] * 20 + ["B2"] * 15 + ["HURTO"] * 25
    incidents, cameras = files(tmp_path, type=kinds)
    questions = SOURCE_QUESTIONS["incidents"] + SOURCE_QUESTIONS["cameras"]
    answers = [*[""] * questions, "n", "theft", "burglary", ".", *[""] * 3]
    result = init(tmp_path / "town.toml", *flags(incidents, cameras), answers=answers)
    assert result.exception is None, result.output
    assert load_site(tmp_path / "town.toml").incidents.crime_types == {
        "HURTO": "theft",
        "A1": "burglary",
    }


def test_codes_are_translated_one_by_one(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path, type=["X1", "X1", "X2"] * 20)
    questions = SOURCE_QUESTIONS["incidents"] + SOURCE_QUESTIONS["cameras"]
    answers = [*[""] * questions, "larceny", "theft", "", *[""] * 3]
    result = init(tmp_path / "town.toml", *flags(incidents, cameras), answers=answers)
    assert result.exception is None, result.output
    site = load_site(tmp_path / "town.toml")
    assert site.incidents.crime_types == {"X1": "theft"}
    assert "not a common crime type" in result.output


def test_one_crime_is_asked_for_where_no_column_holds_it(tmp_path: Path) -> None:
    incidents, cameras = files(tmp_path)
    rows = town()
    homicides = tmp_path / "homicidios.csv"
    write_csv(homicides, {"fecha": rows["date"], "lon": rows["longitude"], "lat": rows["latitude"]})
    result = init(tmp_path / "town.toml", *flags(homicides, cameras), answers=[""] * 30)
    assert result.exception is None, result.output
    assert load_site(tmp_path / "town.toml").incidents.all_as == "homicide"
    given = flags(incidents, cameras, "--all-as", "theft")
    assert init(tmp_path / "all.toml", *given, answers=[""] * 30).exception is None
    site = load_site(tmp_path / "all.toml")
    assert site.incidents.all_as == "theft"
    assert not site.incidents.crime_types


def test_a_coordinate_system_is_asked_for(tmp_path: Path) -> None:
    _, cameras = files(tmp_path)
    rows = town()
    lengths = tmp_path / "hurtos.csv"
    write_csv(lengths, {"fecha": rows["date"], "x": [600_000 + 40 * i for i in range(60)],
                        "y": [509_000 + 30 * i for i in range(60)]})  # fmt: skip
    answers = [*[""] * 9, "EPSG:9999999", "EPSG:32618", *[""] * 30]
    result = init(tmp_path / "town.toml", *flags(lengths, cameras), answers=answers)
    assert result.exception is None, result.output
    site = load_site(tmp_path / "town.toml")
    assert site.incidents.crs == "EPSG:32618"
    assert "not a coordinate system" in result.output
    assert read_incidents(site, tmp_path).rows.height > 50


def test_names_with_blanks_around_can_be_taken(tmp_path: Path) -> None:
    rows = town()
    _, cameras = files(tmp_path)
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]},
         "properties": {" Fecha ": day.isoformat(), "Delito\t": "HURTO", " ": 1}}
        for x, y, day in zip(rows["longitude"], rows["latitude"], rows["date"], strict=True)
    ]  # fmt: skip
    path = tmp_path / "i.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    result = init(tmp_path / "town.toml", *flags(path, cameras), answers=[""] * 30)
    assert result.exception is None, result.output
    site = load_site(tmp_path / "town.toml")
    assert site.incidents.columns.date == " Fecha "
    assert read_incidents(site, tmp_path).rows.height > 50


def test_stopping_in_the_middle_writes_nothing(tmp_path: Path) -> None:
    result = init(tmp_path / "town.toml", *flags(*files(tmp_path)), answers=["", ""])
    assert result.exit_code != 0
    assert not (tmp_path / "town.toml").exists()


# ---------------------------------------------------------------- hostile names

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(texts)
def test_any_text_comes_back_from_its_quotes(text: str) -> None:
    assert tomllib.loads(f"key = {quote(text)} # {printable(text)}") == {"key": text}


def test_half_a_surrogate_pair_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match="no text"):
        quote("a\udc80")


HOSTILE = [
    'a "quoted" name',
    "two\nlines",
    'end"\n[policy]\nstudies = ["any"]\n#',
    "carriage\rreturn and tab\t",
    "back\\slash \\u0041",
    "bell \x07 delete \x7f escape \x1b[31m",
    "right-to-left \u202e and zero width \u200b",
    "line separator \u2028 next line \x85",
    "''' # [x] = y",
    "emoji 🚨 and 한글",
]


@pytest.mark.parametrize("kind", ["csv", "geojson"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_and_categories_give_a_valid_site(
    tmp_path: Path, name: str, kind: str
) -> None:
    rows = town()
    table: dict[str, Sequence[object]] = {
        f"fecha {name}": [day.isoformat() for day in rows["date"]],
        f"longitud {name}": rows["longitude"],
        f"latitud {name}": rows["latitude"],
        f"delito {name}": [f"HURTO {name}", name, f"{name} ASALTO"] * 20,
        f"barrio {name}": ["A", "B"] * 30,
    }
    path = tmp_path / f"incidents.{kind}"
    if kind == "csv":
        write_csv(path, table)
    else:
        keys = list(table)
        features = [
            {"type": "Feature", "geometry": None, "properties": dict(zip(keys, row, strict=True))}
            for row in zip(*table.values(), strict=True)
        ]
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    other = tmp_path / "other"
    other.mkdir()
    _, cameras = files(other)
    given = [*flags(path, cameras, "--yes"), "--title", f"Town {name}"]
    result = init(tmp_path / "town.toml", *given)
    assert result.exception is None, result.exception
    site = load_site(tmp_path / "town.toml")
    assert site.policy == Policy(studies=())
    assert site.city.title == f"Town {name}"
    # Surrounding blanks are no part of a name in delimited text.
    assert site.incidents.columns.date.strip() == f"fecha {name}".strip()
    assert {"theft", "robbery"} == set(site.incidents.crime_types.values())
    assert read_incidents(site, tmp_path).rows.height == 40
    text = (tmp_path / "town.toml").read_text(encoding="utf-8")
    assert all(character.isprintable() or character == "\n" for character in text)


worded = texts.filter(lambda text: any(character.isalpha() for character in text))


@settings(max_examples=25)  # each is a file
@given(st.lists(worded, min_size=5, max_size=5, unique_by=str.strip))
def test_any_header_is_survived(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "any-header.csv"
    write_csv(path, dict(zip(names, town(30).values(), strict=True)))
    guess = look(path)
    assert set(guess.columns.values()) <= set(guess.sample.rows.columns)
    assert tomllib.loads(f"a = [{', '.join(map(quote, guess.sample.rows.columns))}]") == {
        "a": guess.sample.rows.columns
    }
