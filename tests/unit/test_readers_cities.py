"""The recipes of configs/sites on the cities' real extracts: every row is accounted for."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from evalkit.cli.site_init import from_recipe
from evalkit.config import CameraColumns, Cameras, Site, load_site, parse_toml
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


def test_medellin(cities: Path) -> None:
    """Decimal commas, NA for missing coordinates, and a Z that makes the first row 2009 locally."""
    site = recipe("medellin")
    found = read_incidents(site, cities / "medellin")
    assert found.account == Account(read=9360, used=9279, rejected={"missing_coordinates": 81})
    assert found.rows["date"].min() == dt.date(2009, 12, 31)
    assert found.rows["longitude"].is_between(-75.72, -75.46).all()
    assert any("505 rows equal an earlier one" in note for note in found.notes)


def test_medellin_has_no_cameras(cities: Path) -> None:
    found = read_cameras(recipe("medellin"), cities / "medellin")
    assert found.account == Account(read=0, used=0)
    assert "no panel can be built" in found.notes[0]


def test_seoul_incidents(cities: Path) -> None:
    """Counts by police station and year become counts by district."""
    found = read_incidents(recipe("seoul"), cities / "seoul")
    assert found.account == Account(
        read=284, used=252, rejected={"missing_count": 1, "unmapped_area": 31}
    )
    assert found.rows["area"].n_unique() == 23
    assert found.rows["date"].dt.year().unique().sort().to_list() == list(range(2010, 2019))
    jung = found.rows.filter(
        (pl.col("area") == "Jung-gu") & (pl.col("date") == dt.date(2010, 1, 1))
    )
    assert sorted(jung["count"].to_list()) == [6634, 9378]


def test_seoul_cameras(cities: Path) -> None:
    """Months that a spreadsheet mangled, dates that cannot be, and other purposes."""
    found = read_cameras(recipe("seoul"), cities / "seoul")
    assert found.account == Account(
        read=26_428,
        used=17_914,
        rejected={"impossible_date": 2531, "other_purpose": 5977, "outside_city": 6},
    )
    assert any("100% of dates fall on the first of a month" in note for note in found.notes)
    impossible = found.rejected.filter(pl.col("reason") == "impossible_date")
    assert dict(impossible.group_by("관리기관명").len().iter_rows()) == {
        "서울특별시 송파구청": 863,
        "서울특별시_서초구": 1668,
    }
    undated = found.rows.filter(pl.col("live_date").is_null())
    assert {"Dongjak-gu", "Yongsan-gu"} < set(undated["area"])
    assert found.rows["live_date"].min() == dt.date(2004, 1, 1)
    assert set(found.rows["attribute.설치목적구분"]) == {"생활방범", "다목적", "차량방범"}


@pytest.mark.parametrize("name", ["seoul", "medellin"])
def test_a_site_file_from_the_recipe_finds_its_data(name: str, cities: Path) -> None:
    text = from_recipe(name, cities / name)
    site = parse_toml(text, Site, where=name)
    assert read_incidents(site, Path("/")).account.read == {"seoul": 284, "medellin": 9360}[name]
