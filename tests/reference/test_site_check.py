"""What `site check` says of four real cities: found where there is something, silent elsewhere."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from evalkit.cli.site_check import summary
from evalkit.cli.site_init import from_recipe
from evalkit.report import LANGUAGES, write_site_page
from evalkit.workbench import check_city, open_bench, read_city

TODAY = dt.date(2026, 11, 25)


def check(recipe: str, shared: Path, folder: Path) -> dict[str, Any]:
    data = shared / "data" / "cities" / recipe.split("-", maxsplit=1)[0]
    path = folder / f"{recipe}.toml"
    path.write_text(from_recipe(recipe, data), encoding="utf-8")
    bench = open_bench(path)
    return check_city(bench, read_city(bench), today=TODAY)


@pytest.mark.parametrize(
    ("recipe", "look", "unknown"),
    [
        ("detroit", {"overlap", "zones", "removed"}, 0),
        ("chicago-speed", {"removed"}, 0),
        ("seoul", {"account_cameras", "removed", "undated"}, 12),
        ("medellin", {"sudden", "moved", "duplicates", "midnight"}, 7),
    ],
)
def test_real_cities_need_the_looks_they_need(
    recipe: str, look: set[str], unknown: int, shared: Path, tmp_path: Path
) -> None:
    found = check(recipe, shared, tmp_path)
    status = {finding["check"]: finding["status"] for finding in found["findings"]}
    assert {name for name, value in status.items() if value == "look"} == look
    assert list(status.values()).count("unknown") == unknown
    lines = summary(found)
    assert len(lines) <= 30
    assert f"{len(look)} of 22" in lines[0]
    for language in LANGUAGES:
        page = write_site_page(found, tmp_path, language=language).read_text(encoding="utf-8")
        assert "http" not in page.split("<body>")[1]


def test_times_written_in_medellin_are_those_of_the_original_file(
    shared: Path, tmp_path: Path
) -> None:
    found = check("medellin", shared, tmp_path)
    file = shared / "data" / "cities" / "medellin" / "incidents.parquet"
    written = pl.read_parquet(file, columns=["fecha_hecho"])["fecha_hecho"].cast(pl.String)
    midnights = int(written.str.contains("[T ]00:00:00").sum())
    (heap,) = (one for one in found["heaping"] if one["check"] == "midnight")
    assert heap["rows"] == len(written) == 9360
    assert round(heap["observed"] * heap["rows"]) == midnights > 100
