"""Bad input of every kind: a clear error with a code and a way out, or a counted rejection. Never a traceback."""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from evalkit.cli import main
from evalkit.core.discover import estimator
from evalkit.core.estimator import estimate
from evalkit.core.panel import Panel, Role
from evalkit.errors import SeparationError
from evalkit.federation import client_app
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city
from tests.panels import study as study_of

WEST, SOUTH, EAST, NORTH = 10.0, 50.0, 10.03, 50.02

SITE = """
name = "{name}"
[city]
title = "Town"
time_zone = "Europe/Berlin"
bounds = [{west}, {south}, {east}, {north}]
[incidents]
files = ["incidents.csv"]
all_as = "{crime}"
duplicates = "keep"
{incidents}
[incidents.columns]
date = "when"
longitude = "lon"
latitude = "lat"
[cameras]
files = ["cameras.csv"]
[cameras.columns]
live_date = "live"
longitude = "lon"
latitude = "lat"
[policy]
studies = ["any"]
release_class = "table"
{policy}
"""

STUDY = """
name = "study"
title = "A study"
[window]
start = 2020-01-01
end = 2021-12-31
[units]
kind = "catchment"
[outcome]
crime_types = ["theft"]
[analysis]
estimator = "{estimator}"
{more}
"""


def town(folder: Path, name: str = "town", **changes: str) -> Path:
    """A town of 12 camera sites in two batches and a lattice of controls; every place has incidents."""
    folder.mkdir(parents=True, exist_ok=True)
    text = {"name": name, "crime": "theft", "incidents": "", "policy": ""}
    numbers = {"west": WEST, "south": SOUTH, "east": EAST, "north": NORTH}
    (folder / "site.toml").write_text(SITE.format(**{**text, **numbers, **changes}))
    cameras().write_csv(folder / "cameras.csv")
    incidents().write_csv(folder / "incidents.csv")
    return folder / "site.toml"


def camera_places() -> list[tuple[float, float]]:
    return [(WEST + 0.004 + 0.006 * (i % 4), SOUTH + 0.004 + 0.005 * (i // 4)) for i in range(12)]


def cameras() -> pl.DataFrame:
    return pl.DataFrame(
        [
            ("2020-09-01" if i % 2 else "2021-02-01", lon, lat)
            for i, (lon, lat) in enumerate(camera_places())
        ],
        schema=["live", "lon", "lat"],
        orient="row",
    )


def even() -> pl.DataFrame:
    """Two incidents a month at every camera, one at every point of a fine grid."""
    grid = [
        (WEST + 0.0009 + 0.0018 * i, SOUTH + 0.0009 + 0.0018 * j)
        for i in range(16)
        for j in range(11)
    ]
    rows = []
    for month in range(24):
        day = dt.date(2020 + month // 12, month % 12 + 1, 3 + month % 5)
        for lon, lat in [*camera_places(), *camera_places(), *grid]:
            rows.append((f"{day} 12:00:00", lon, lat))
    return pl.DataFrame(rows, schema=["when", "lon", "lat"], orient="row")


def incidents() -> pl.DataFrame:
    """The same, but here and there one is missing: places that are all alike have no standard error."""
    rows = even().with_row_index("row")
    place = pl.struct("lon", "lat").rank("dense") % 7
    month = pl.col("when").str.slice(5, 2).cast(pl.Int64)
    return rows.filter((place * 5 + month * 3 + pl.col("row") % 11) % 6 > 0).drop("row")


def study(folder: Path, estimator: str = "random_effects", more: str = "") -> Path:
    path = folder / "study.toml"
    path.write_text(STUDY.format(estimator=estimator, more=more))
    return path


FROM_A_ROW = re.compile(r"\d\d:\d\d:\d\d|\b(?:10|50)\.\d{3,}")
"""Times of day and coordinates as the town's rows have them, and no setting has."""

Ending = tuple[int, str, str]
Run = Callable[..., Ending]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Ending:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        assert not FROM_A_ROW.search(captured.err)
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture
def study_run(run: Run, tmp_path: Path) -> Callable[..., Ending]:
    def call(study_path: Path, *sites: Path) -> Ending:
        named = [part for site in sites for part in ("--site", site)]
        return run(
            "study", "run", study_path, *named, "--out", tmp_path / "runs", "--no-tracking",
            "--no-pictures",
        )  # fmt: skip

    return call


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def account(run: Run, site: Path, source: str = "incidents") -> dict:
    code, out, _ = run("site", "check", "--site", site, "--no-pictures", "--json")
    assert code == 0
    found = json.loads(out)[source]
    assert found["read"] == found["used"] + sum(found["rejected"].values())
    return found


def test_the_pattern_knows_a_row_when_it_sees_one(tmp_path: Path) -> None:
    town(tmp_path)
    for name in ("incidents.csv", "cameras.csv"):
        header, *rows = (tmp_path / name).read_text().splitlines()
        assert not FROM_A_ROW.search(header)
        assert all(FROM_A_ROW.search(row) for row in rows)


def test_the_town_itself_is_good(study_run, tmp_path: Path) -> None:
    code, out, _ = study_run(study(tmp_path), town(tmp_path))
    assert code == 0
    assert "Effect:" in out


def test_missing_column(run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    rewrite(site, 'date = "when"', 'date = "wenn"')
    code, _, err = run("site", "check", "--site", site)
    assert code == 4
    assert "READ-COLUMN" in err
    assert '"wenn"' in err
    assert '"when"' in err
    assert "incidents.csv" in err


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('title = "Town"', 'titel = "Town"', 'did you mean "title"'),
        ("[policy]", "[policy]\nmin_unit = 3", 'did you mean "min_units"'),
        ('live_date = "live"', 'life_date = "live"', 'did you mean "live_date"'),
    ],
)
def test_unknown_key_in_a_site_file(
    run: Run, tmp_path: Path, old: str, new: str, hint: str
) -> None:
    site = town(tmp_path)
    rewrite(site, old, new)
    code, _, err = run("site", "check", "--site", site)
    assert code == 3
    assert hint in err


def test_unknown_key_in_a_study_and_a_claim(run: Run, tmp_path: Path) -> None:
    code, _, err = run("study", "check", study(tmp_path, more="methd = 'DL'"))
    assert code == 3
    assert 'did you mean "method"' in err
    (tmp_path / "claim.toml").write_text('name = "c"\nfigure = 0.9\n')
    path = study(tmp_path)
    path.write_text('claim = "claim.toml"\n' + path.read_text())
    code, _, err = run("study", "check", path)
    assert code == 3
    assert 'unknown key "figure"' in err


def test_a_claim_that_nobody_knows(run: Run, tmp_path: Path) -> None:
    path = study(tmp_path)
    path.write_text('claim = "no-such-claim"\n' + path.read_text())
    for command in (
        ("study", "check", path),
        ("study", "run", path, "--site", town(tmp_path), "--out", tmp_path / "runs"),
    ):
        code, _, err = run(*command)
        assert code == 3
        assert 'no claim named "no-such-claim"' in err
        assert "cctv-review-2019" in err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", [b"", b"name = ", b"\xff\xfe\x00", b"[window]\nstart = 3\n"])
def test_files_that_are_no_study(run: Run, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    code, _, err = run("study", "check", path)
    assert code == 3
    assert "way out" in err


def test_a_study_that_is_a_folder_or_absent(run: Run, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml"):
        code, _, err = run("study", "check", path)
        assert code == 3
        assert "CONFIG" in err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("end = 2021-12-31", "end = 2019-12-31", "ends"),
        ("end = 2021-12-31", "end = 2021-12-15", "not the first day of a month"),
        ('["theft"]', '["teft"]', "unknown crime types: teft"),
        ('["theft"]', "[]", "no crime type"),
        ('kind = "catchment"', 'kind = "catchment"\nring_m = 50.0', "smaller than"),
        ('kind = "catchment"', 'kind = "circle"', "circle"),
        ("random_effects", "made_up", "no estimator named"),
    ],
)
def test_studies_that_mean_nothing(
    run: Run, tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = study(tmp_path)
    rewrite(path, old, new)
    code, _, err = run("study", "check", path)
    assert code == 3
    assert words in err


def test_a_quorum_above_the_number_of_cities(study_run, tmp_path: Path) -> None:
    asked = study(tmp_path, more="[federation]\nquorum = 2")
    code, _, err = study_run(asked, town(tmp_path))
    assert code == 3
    assert "2 cities must answer and the run has 1" in err
    assert not list((tmp_path / "runs").glob("*"))


def test_wrong_encoding(run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    text = (tmp_path / "incidents.csv").read_text().replace("when", "fecha_año")
    (tmp_path / "incidents.csv").write_bytes(text.encode("latin-1"))
    rewrite(site, '"when"', '"fecha_año"')
    code, _, err = run("site", "check", "--site", site)
    assert code == 4
    assert "READ-ENCODING" in err
    assert "latin-1" in err or "cp1252" in err


def test_dates_nobody_can_read(run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    rewrite(site, 'duplicates = "keep"', 'duplicates = "keep"\ndate_format = ["%d/%m/%Y"]')
    code, _, err = run("site", "check", "--site", site)
    assert code == 4
    assert "READ-DATES" in err
    assert "2020" not in err


def test_a_few_unreadable_dates_are_counted(run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    bad = incidents().with_columns(
        when=pl.when(pl.int_range(pl.len()) < 7).then(pl.lit("soon")).otherwise("when")
    )
    bad.write_csv(tmp_path / "incidents.csv")
    assert account(run, site)["rejected"] == {"unreadable_date": 7}


def test_swapped_coordinates_are_an_error_when_most_and_counted_when_few(
    run: Run, tmp_path: Path
) -> None:
    site = town(tmp_path)
    incidents().rename({"lon": "lat", "lat": "lon"}).write_csv(tmp_path / "incidents.csv")
    code, _, err = run("site", "check", "--site", site)
    assert code == 4
    assert "READ-COORDINATES" in err
    assert "swap" in err.lower()
    few = pl.int_range(pl.len()) < 9
    incidents().with_columns(
        lon=pl.when(few).then("lat").otherwise("lon"), lat=pl.when(few).then("lon").otherwise("lat")
    ).write_csv(tmp_path / "incidents.csv")
    assert account(run, site)["rejected"] == {"swapped_coordinates": 9}


def test_a_camera_outside_the_city_is_counted(run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    pl.concat(
        [cameras(), pl.DataFrame({"live": ["2020-09-01"], "lon": [20.0], "lat": [10.0]})]
    ).write_csv(tmp_path / "cameras.csv")
    assert account(run, site, "cameras")["rejected"] == {"outside_city": 1}


def test_a_window_without_incidents(study_run, tmp_path: Path) -> None:
    path = study(tmp_path)
    rewrite(path, "start = 2020-01-01\nend = 2021-12-31", "start = 2010-01-01\nend = 2011-12-31")
    code, _, err = study_run(path, town(tmp_path))
    assert code == 5
    assert "PANEL-WINDOW" in err


def test_no_control_units(study_run, tmp_path: Path) -> None:
    site = town(tmp_path)
    cameras().with_columns(live=pl.lit("2020-09-01")).write_csv(tmp_path / "cameras.csv")
    path = study(tmp_path)
    rewrite(path, 'kind = "catchment"', 'kind = "catchment"\ncontrols = "later_cameras"')
    code, _, err = study_run(path, site)
    assert code == 5
    assert "PANEL-CONTROL" in err


def test_no_unit_goes_live(study_run, tmp_path: Path) -> None:
    site = town(tmp_path)
    cameras().with_columns(live=pl.lit("2015-09-01")).write_csv(tmp_path / "cameras.csv")
    code, _, err = study_run(study(tmp_path), site)
    assert code == 5
    assert "PANEL-TREATED" in err


def test_one_cohort_only_is_allowed_with_a_note(study_run, run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    note = "all treated units go live in one period"
    built = ("site", "panel", "--site", site, "--study", study(tmp_path), "--no-pictures")
    assert note not in run(*built)[1]
    cameras().with_columns(live=pl.lit("2020-09-01")).write_csv(tmp_path / "cameras.csv")
    code, out, _ = run(*built)
    assert code == 0
    assert note in out
    code, out, _ = study_run(study(tmp_path), site)
    assert code == 0
    assert "Effect:" in out


@pytest.mark.parametrize(
    ("estimator", "ending", "words"),
    [
        ("poisson_did", 8, "no variance"),
        ("linear_did", 8, "no variance"),
        # a first stage fails inside its city, which tells the kind of error and nothing else
        ("random_effects", 7, "town: ESTIMATE"),
    ],
)
def test_units_that_are_all_alike_have_no_error(
    study_run, tmp_path: Path, estimator: str, ending: int, words: str
) -> None:
    """One cohort and the same incidents everywhere: an interval of no width would look like certainty."""
    site = town(tmp_path)
    even().write_csv(tmp_path / "incidents.csv")
    cameras().with_columns(live=pl.lit("2020-09-01")).write_csv(tmp_path / "cameras.csv")
    code, out, err = study_run(study(tmp_path, estimator), site)
    assert code == ending
    assert "Effect:" not in out
    assert words in err
    assert "way out: " in err


def test_checks_of_an_event_study_are_written_and_recomputed(
    study_run, run: Run, tmp_path: Path
) -> None:
    site = town(tmp_path)
    asked = study(tmp_path, "poisson_did", 'design = "event_time"\nevent_window = [-3, 3]')
    code, out, _ = study_run(asked, site)
    assert code == 0
    assert "Check:    pre_trend: " in out
    folder = tmp_path / "runs" / "latest"
    result = json.loads((folder / "result.json").read_text())
    assert {one["name"] for one in result["checks"]} >= {"pre_trend", "small_cohorts"}
    assert result["event_study"]["critical_value"] > 1.96
    assert run("review", "verify", folder)[0] == 0
    for key, changed in (("checks", "checks"), ("event_study", "event study")):
        broken = {**result, key: type(result[key])()}
        (folder / "result.json").write_text(json.dumps(broken))
        code, _, err = run("review", "verify", folder)
        assert code != 0
        assert changed in err


def without_incidents_after_go_live(folder: Path) -> Path:
    site = town(folder, policy="min_incidents = 1")
    near = pl.lit(value=False)
    for lon, lat in camera_places():
        near |= ((pl.col("lon") - lon).abs() < 0.0016) & ((pl.col("lat") - lat).abs() < 0.0011)
    incidents().filter(~(near & (pl.col("when") >= "2020-09-01"))).write_csv(
        folder / "incidents.csv"
    )
    return site


def test_zero_cells_are_refused_by_the_default_policy(study_run, tmp_path: Path) -> None:
    site = without_incidents_after_go_live(tmp_path)
    rewrite(site, "min_incidents = 1", "")
    code, _, err = study_run(study(tmp_path), site)
    assert code == 7
    assert "REFUSAL" in err
    assert "way out" in err


@pytest.mark.parametrize("zero_cells", ["refuse", "add_half"])
@pytest.mark.parametrize("name", ["poisson_did", "random_effects", "rate_ratio"])
def test_zero_cells_leave_no_city_whatever_the_estimator(
    study_run, tmp_path: Path, name: str, zero_cells: str
) -> None:
    """The least a policy can ask for is one incident a cell, so a gate comes before any correction."""
    site = without_incidents_after_go_live(tmp_path)
    asked = study(tmp_path, name, f'zero_cells = "{zero_cells}"')
    code, _, err = study_run(asked, site)
    assert code == 7
    assert "town: REFUSAL" in err
    assert not list((tmp_path / "runs").rglob("*.release"))
    incidents().write_csv(tmp_path / "incidents.csv")  # nothing but the incidents was in the way
    assert study_run(asked, site)[0] == 0


def without_treated_incidents() -> Panel:
    """A panel whose treated units have no incident once they are live."""
    panel = city("alta", 1)
    counts = panel.counts.copy()
    for unit in np.flatnonzero(panel.role == Role.TREATED):
        counts[:, unit, panel.first_live[unit] :] = 0
    return replace(panel, counts=counts)


@pytest.mark.parametrize("name", ["poisson_did", "rate_ratio"])
def test_zero_cells_in_one_place_are_a_separation(name: str) -> None:
    with pytest.raises(SeparationError) as caught:
        estimate(
            estimator(name), study_of(estimator=name), ask_pooled([without_treated_incidents()])
        )
    assert caught.value.exit_code == 8
    assert caught.value.way_out


def test_one_half_is_added_where_the_study_says_so() -> None:
    asked = study_of(estimator="rate_ratio", zero_cells="add_half")
    found = estimate(estimator("rate_ratio"), asked, ask_pooled([without_treated_incidents()]))
    assert np.isfinite(found.effect).all()
    assert any("one half was added" in note for note in found.notes)


def test_a_city_whose_crime_type_is_another(study_run, tmp_path: Path) -> None:
    code, _, err = study_run(study(tmp_path), town(tmp_path, crime="robbery"))
    assert code == 3
    assert "CONFIG-TAXONOMY" in err


def test_two_cities_with_different_taxonomies(study_run, tmp_path: Path) -> None:
    good = town(tmp_path / "a", "a")
    other = town(tmp_path / "b", "b", incidents='taxonomy = "ucr-1930"')
    code, _, err = study_run(study(tmp_path), good, other)
    assert code == 3
    assert "CONFIG-TAXONOMY" in err
    assert "ucr-1930" in err


def test_a_city_without_a_panel(run: Run, tmp_path: Path) -> None:
    site, path = town(tmp_path), study(tmp_path)
    code, _, err = run("site", "preview", "--site", site, "--study", path)
    assert code == 5
    assert "PANEL-ABSENT" in err
    assert "evalkit site panel" in err
    code, _, err = run(
        "study", "run", path, "--site", site, "--reuse-panels", "--no-tracking", "--no-pictures",
        "--out", tmp_path / "runs",
    )  # fmt: skip
    assert code == 5
    assert "PANEL-ABSENT" in err


def test_facts_that_the_estimator_does_not_use_are_not_asked_of_a_city(
    run: Run, study_run, tmp_path: Path
) -> None:
    named = 'moderators = ["population"]'
    asked = study(tmp_path, "wdd", named)
    code, out, err = study_run(asked, town(tmp_path))
    assert code == 0, err
    assert "Ignored:  moderators (not used by wdd)" in out
    found = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert found["ignored"] == ["moderators"]
    code, _, err = study_run(study(tmp_path, "random_effects", named), town(tmp_path))
    assert code == 3
    assert "CONFIG-MODERATOR" in err


def test_a_city_without_a_policy_refuses(study_run, tmp_path: Path) -> None:
    site = town(tmp_path)
    rewrite(site, '[policy]\nstudies = ["any"]\nrelease_class = "table"\n', "")
    code, _, err = study_run(study(tmp_path), site)
    assert code == 7
    assert "rules: policy" in err


def test_one_city_of_two_refuses(study_run, tmp_path: Path) -> None:
    good, strict = (
        town(tmp_path / "a", "a"),
        town(tmp_path / "b", "b", policy="min_units = 1000"),
    )
    code, _, err = study_run(study(tmp_path), good, strict)
    assert code == 7
    assert "1 of 2 cities gave no answer: b: REFUSAL (rules: min_units" in err
    assert "quorum" in err
    code, out, _ = study_run(study(tmp_path, more="[federation]\nquorum = 1"), good, strict)
    assert code == 0
    assert "1 city)" in out
    assert "Absent:   b did not answer or refused" in out
    result = json.loads((tmp_path / "runs" / "latest" / "result.json").read_text())
    assert result["absent"] == ["b"]
    assert result["estimate"]["contributors"] == ["a"]


def test_a_city_that_never_answers(
    study_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only that the study ends and names the city; how long a second is does not matter."""
    answered, known = threading.Event(), client_app.estimator

    def hang(name: str):
        answered.wait(30)
        return known(name)

    monkeypatch.setattr(client_app, "estimator", hang)
    try:
        code, _, err = study_run(
            study(tmp_path, more="[federation]\ntimeout_s = 1"), town(tmp_path)
        )
    finally:
        answered.set()
    assert code == 7
    assert "town: NO-ANSWER" in err
    assert "way out" in err


def test_one_city_in_two_site_files(run: Run, tmp_path: Path) -> None:
    first, second = town(tmp_path / "a"), town(tmp_path / "b")
    for more in ([], ["--reuse-panels"]):
        code, _, err = run(
            "study", "run", study(tmp_path), "--site", first, "--site", second, *more,
            "--out", tmp_path / "runs",
        )  # fmt: skip
        assert code == 3
        assert "two site files name the city town" in err
    assert not (tmp_path / "runs").exists()


def test_a_site_file_that_is_absent_or_a_folder(run: Run, tmp_path: Path) -> None:
    for site in (tmp_path / "none.toml", tmp_path):
        for command in (
            ("site", "check", "--site", site),
            ("site", "ledger", "--site", site),
            ("study", "run", study(tmp_path), "--site", site, "--out", tmp_path / "runs"),
        ):
            code, _, err = run(*command)
            assert code == 3
            assert str(site) in err


@pytest.mark.parametrize("command", ["check", "panel", "preview", "ledger"])
def test_a_store_that_is_a_file(run: Run, tmp_path: Path, command: str) -> None:
    """Above all, `ledger` must not say of it that nothing has left the city."""
    site = town(tmp_path)
    (tmp_path / "town.store").write_text("")
    more = ["--study", study(tmp_path)] if command in {"panel", "preview"} else []
    code, _, err = run("site", command, "--site", site, *more)
    assert code == 3
    assert "town.store" in err


def test_a_source_that_is_absent_empty_or_a_folder(run: Run, tmp_path: Path) -> None:
    site = town(tmp_path)
    path = tmp_path / "incidents.csv"
    path.unlink()
    assert run("site", "check", "--site", site)[0] == 4
    path.write_text("")
    assert run("site", "check", "--site", site)[0] == 4
    path.unlink()
    path.mkdir()
    assert run("site", "check", "--site", site)[0] == 4


def test_a_run_folder_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run(
        "study", "run", study(tmp_path), "--site", town(tmp_path), "--out", tmp_path / "file",
        "--no-tracking", "--no-pictures",
    )  # fmt: skip
    assert code == 3
    assert "run folder" in err
    assert str(tmp_path / "file") in err
    assert not (tmp_path / "town.store").exists()  # said before anything was read


@pytest.mark.parametrize(
    ("module", "extra", "flag"),
    [("mlflow", "tracking", "--no-pictures"), ("matplotlib", "figures", "--no-tracking")],
)
def test_missing_extras_say_how_to_get_them(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, extra: str, flag: str
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = run(
        "study", "run", study(tmp_path), "--site", town(tmp_path), "--out", tmp_path / "r", flag
    )
    assert code == 3
    assert "EXTRA-MISSING" in err
    assert f"evalkit[{extra}]" in err
    assert not (tmp_path / "r").exists()  # said before any city was asked
    flags = ("--no-tracking", "--no-pictures")
    code, _, _ = run("study", "run", tmp_path / "study.toml", "--site", tmp_path / "site.toml",
                     "--out", tmp_path / "r", *flags)  # fmt: skip
    assert code == 0  # the way out is one


def test_unknown_preset_recipe_and_run(run: Run, tmp_path: Path) -> None:
    assert run("simulate", "atlantis", tmp_path / "a")[0] == 3
    assert run("site", "init", tmp_path / "s.toml", "--recipe", "atlantis")[0] == 3
    code, _, err = run("review", "verify", tmp_path)
    assert code == 3
    assert "not a run" in err
