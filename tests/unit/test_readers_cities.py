"""The recipes of configs/sites on the cities' real extracts: every row is accounted for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from evalkit.config import CameraColumns, Cameras, City, IncidentColumns, Incidents, Site, load_site
from evalkit.core.frames import Account
from evalkit.readers import read_cameras, read_incidents
from tests.conftest import REPOSITORY

RECIPES = REPOSITORY / "configs" / "sites"


def recipe(name: str) -> Site:
    return load_site(RECIPES / f"{name}.toml")


@pytest.fixture(scope="module")
def cities(shared: Path) -> Path:
    return shared / "data" / "cities"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_is_named_like_its_file(path: Path) -> None:
    assert load_site(path).name == path.stem


def test_detroit_incidents(cities: Path) -> None:
    found = read_incidents(recipe("detroit"), cities / "detroit")
    assert found.account == Account(read=5112, used=4597, rejected={"unmapped_type": 515})
    counts = found.rows.group_by("crime_type").len().sort("crime_type").rows()
    assert counts == [("assault", 3376), ("homicide", 1221)]
    assert found.rows["date"].min() == dt.date(2021, 1, 1)
    assert found.rows["hour"].null_count() == 0


def test_detroit_side_charges_would_count_a_shooting_twice(cities: Path) -> None:
    """Why the recipe leaves them out: each repeats the time and place of a row that is used."""
    found = read_incidents(recipe("detroit"), cities / "detroit")
    place = ["incident_occurred_at", "longitude", "latitude"]
    source = pl.read_parquet(cities / "detroit" / "incidents.parquet")
    side = source.filter(~pl.col("offense_category").is_in(["AGGRAVATED ASSAULT", "HOMICIDE"]))
    rejected = found.rejected.join(side.select("incident_entry_id"), on="incident_entry_id")
    charge = pl.col("charge_description").str.strip_chars()
    shootings = source.filter(charge == "NON-FATAL SHOOTING")
    assert rejected.height == side.height == 388
    assert rejected.join(shootings, on=place, how="semi").height == 388


def test_detroit_cameras(cities: Path) -> None:
    found = read_cameras(recipe("detroit"), cities / "detroit")
    assert found.account == Account(read=979, used=942, rejected={"missing_coordinates": 37})
    assert found.rows["live_date"].null_count() == 2
    assert found.rows["live_date"].min() == dt.date(2016, 1, 1)
    inside = found.rows["live_date"].is_between(dt.date(2021, 1, 1), dt.date(2026, 3, 14))
    assert inside.sum() == 293


def test_detroits_older_snapshot_means_the_same_days(cities: Path) -> None:
    """Local midnight in UTC there, a plain date here: the two readings must meet."""
    newer = recipe("detroit")
    older = Cameras(
        files=("cameras_older_snapshot.csv",),
        date_format=newer.cameras.date_format,
        columns=CameraColumns(id="address", live_date="live_date", longitude="X", latitude="Y"),
    )
    columns = CameraColumns(
        id="address", live_date="greenlight_live_date", longitude="X", latitude="Y"
    )
    plain = Cameras(
        files=newer.cameras.files,
        date_format=newer.cameras.date_format,
        convert_zone=False,
        columns=columns,
    )
    tables = [
        read_cameras(
            Site(name="d", city=newer.city, incidents=newer.incidents, cameras=cameras),
            cities / "detroit",
        ).rows.unique("id", keep="none")
        for cameras in (older, plain)
    ]
    both = tables[0].join(tables[1], on="id")
    agree = (both["live_date"] == both["live_date_right"]).sum()
    # SOURCES.md: at least 8 addresses enrolled again; read in UTC, nearly all would differ by a day.
    assert both.height > 500
    assert agree > 0.95 * both.height


@pytest.mark.parametrize("kind", ["speed", "red-light"])
def test_chicago(cities: Path, kind: str) -> None:
    site = recipe(f"chicago-{kind}")
    incidents = read_incidents(site, cities / "chicago")
    assert incidents.account == Account(read=148_636, used=148_636)
    assert any("125 rows equal an earlier one" in note for note in incidents.notes)
    rows = {"speed": 212, "red-light": 300}[kind]
    assert site.cameras.kind == "traffic"
    assert read_cameras(site, cities / "chicago").account == Account(read=rows, used=rows)


def test_chicagos_undated_cameras(cities: Path) -> None:
    site = recipe("chicago-speed")
    pods = Cameras(
        files=("cameras_police_pod_undated.geojson",),
        columns=CameraColumns(id="marker_id", longitude="longitude", latitude="latitude"),
    )
    found = read_cameras(
        Site(name="pods", city=site.city, incidents=site.incidents, cameras=pods),
        cities / "chicago",
    )
    assert found.account.read == 717
    assert found.account.used + found.account.rejected["outside_city"] == 717
    assert found.rows["live_date"].null_count() == found.account.used


def medellin() -> Site:
    return Site(
        name="medellin",
        city=City(title="M", time_zone="America/Bogota", bounds=(-75.75, 6.1, -75.45, 6.4)),
        incidents=Incidents(
            files=("incidents.parquet",),
            decimal=",",
            all_as="homicide",
            duplicates="keep",
            columns=IncidentColumns(date="fecha_hecho", longitude="longitud", latitude="latitud"),
        ),
        cameras=Cameras(files=("none.csv",), columns=CameraColumns(area="none")),
    )


def test_medellin(cities: Path) -> None:
    """Decimal commas, NA for missing coordinates, and a Z that makes the first row 2009 locally."""
    found = read_incidents(medellin(), cities / "medellin")
    assert found.account.read == 9360
    assert found.account.rejected["missing_coordinates"] == 81
    assert found.account.rejected["unreadable_coordinates"] == 0
    assert found.rows["date"].min() == dt.date(2009, 12, 31)


def test_seoul(cities: Path) -> None:
    """Months that a spreadsheet mangled, and points outside the city."""
    site = Site(
        name="seoul",
        city=City(title="S", time_zone="Asia/Seoul", bounds=(126.7, 37.4, 127.2, 37.72)),
        incidents=medellin().incidents,
        cameras=Cameras(
            files=("cameras.csv",),
            date_format=("%b-%y",),
            columns=CameraColumns(live_date="설치년월", longitude="경도", latitude="위도"),
        ),
    )
    found = read_cameras(site, cities / "seoul")
    assert found.account.read == 26_428
    assert found.rows["live_date"].null_count() + found.rejected["설치년월"].null_count() >= 1482
    assert any("100% of dates fall on the first of a month" in note for note in found.notes)
