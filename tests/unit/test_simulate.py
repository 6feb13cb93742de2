"""Simulated cities: the truth they state is the truth of their files, and the effect is exact."""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import json
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyproj import Geod

from evalkit.config import Site, Source, load_site, load_study
from evalkit.errors import ConfigError
from evalkit.simulate import (
    PRESETS,
    CityDraw,
    CitySpec,
    Effect,
    Mess,
    Preset,
    Shape,
    Simulation,
    draw_city,
    load_truth,
    simulate,
)
from evalkit.simulate.cameras import Group
from evalkit.simulate.effect import apply_effect, catchment_of, dose
from evalkit.simulate.geo import to_degrees
from evalkit.simulate.incidents import CRIMES
from evalkit.simulate.portals import PORTALS
from evalkit.simulate.world import density

SMALL = Shape(incidents=(4_000.0, 4_000.0), hotspots=80, sites=(24, 24), batches=(4, 4))
ONE_OF_EACH_PORTAL = tuple(
    {city.portal: city for city in reversed(PRESETS["safe-city"].cities)}.values()
)
TINY = Preset(name="tiny", title="One city of each portal", cities=ONE_OF_EACH_PORTAL, shape=SMALL)
CLEAN = Mess(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
STANDARD_ERRORS = 4.0
"""Seeds are fixed, so these tests pass or fail for ever; a sound simulator passes 4 SE with odds of
16,000 to 1."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return simulate(TINY, tmp_path_factory.mktemp("tiny"), 7)


@pytest.fixture(scope="module")
def default_city() -> CityDraw:
    return draw_city(PRESETS["demo"].cities[0], PRESETS["demo"], 11)


# ------------------------------------------------------------ presets


def test_presets_are_six_the_same_six_without_effect_and_thirty_five() -> None:
    demo, null, many = PRESETS["demo"], PRESETS["null"], PRESETS["safe-city"]
    assert len(demo.cities) == 6
    assert len({city.time_zone for city in demo.cities}) == 6
    assert len({city.portal for city in demo.cities}) == 6
    assert null.cities == demo.cities
    assert (null.effect.mean, null.effect.tau, null.effect.displaced) == (0.0, 0.0, 0.0)
    assert len(many.cities) == len({city.name for city in many.cities}) == 35
    assert many.cities[:6] == demo.cities
    assert {city.portal for city in many.cities} == set(PORTALS)
    assert demo.effect.mean == math.log(0.87)
    assert demo.months == 48


@pytest.mark.parametrize("city", PRESETS["safe-city"].cities, ids=lambda city: city.name)
def test_a_swapped_coordinate_always_lies_outside_the_city(city: CitySpec) -> None:
    ZoneInfo(city.time_zone)
    assert abs(city.longitude - city.latitude) > 1
    assert abs(city.latitude) < 60


@pytest.mark.parametrize(
    "broken",
    [
        replace(TINY, cities=()),
        replace(TINY, cities=TINY.cities[:1] * 2),
        replace(TINY, cities=(replace(TINY.cities[0], portal="unheard-of"),)),
        replace(TINY, end=dt.date(2021, 12, 30)),
        replace(TINY, shape=replace(SMALL, install_months=(10, 48))),
        replace(TINY, effect=Effect(displaced=1.5)),
        replace(TINY, effect=Effect(radius_m=200.0)),
        replace(TINY, mess=Mess(missing=0.6, zero=0.6)),
    ],
    ids=["none", "twice", "portal", "window", "install", "share", "ring", "mess"],
)
def test_a_preset_that_cannot_be_simulated_is_refused(broken: Preset, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        simulate(broken, tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_a_town_without_room_for_its_cameras_is_refused() -> None:
    crowded = replace(TINY, shape=replace(SMALL, sites=(900, 900)))
    with pytest.raises(ConfigError, match="room for"):
        draw_city(crowded.cities[0], crowded, 1)


def test_a_study_that_is_not_simulated_is_never_overwritten(tmp_path: Path) -> None:
    study = tmp_path / "study.toml"
    study.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="no simulation wrote"):
        simulate(TINY, tmp_path, 1)
    assert study.read_text(encoding="utf-8") == "mine"


# ------------------------------------------------------------ reproducible


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(
    tiny: Simulation, tmp_path: Path
) -> None:
    simulate(TINY, tmp_path / "again", 7)
    simulate(TINY, tmp_path / "other", 8)
    first, again, other = map(
        _contents, (tiny.study.parent, tmp_path / "again", tmp_path / "other")
    )
    assert first == again
    assert first.keys() == other.keys()
    assert first["study.toml"] == other["study.toml"]
    differing = {name for name in first if first[name] != other[name]}
    assert {name for name in first if "/" in name} <= differing


def test_adding_a_city_leaves_the_others_alone(tiny: Simulation, tmp_path: Path) -> None:
    few = replace(TINY, cities=TINY.cities[2:5])
    simulate(few, tmp_path, 7)
    alone, among = _contents(tmp_path), _contents(tiny.study.parent)
    raw = [name for name in alone if "/" in name]
    assert len(raw) == 9
    assert all(alone[name] == among[name] for name in raw)


def test_another_effect_keeps_the_world_without_cameras() -> None:
    null = replace(TINY, effect=PRESETS["null"].effect)
    with_effect, without = (draw_city(TINY.cities[0], preset, 3) for preset in (TINY, null))
    for name in ("x", "y", "day", "second", "crime"):
        assert np.array_equal(getattr(with_effect.without, name), getattr(without.without, name))
        assert np.array_equal(getattr(without.incidents, name), getattr(without.without, name))
    assert np.array_equal(with_effect.cameras.row_x, without.cameras.row_x)
    assert np.array_equal(with_effect.cameras.live_day, without.cameras.live_day)
    assert without.prevented == without.added == without.displaced == 0
    assert with_effect.prevented > 0


# ------------------------------------------------------------ what the files say


def test_the_study_and_the_truth_agree_with_the_preset(tiny: Simulation) -> None:
    study = load_study(tiny.study)
    assert (study.window.start, study.window.end) == (TINY.start, TINY.end)
    assert (study.units.kind, study.units.radius_m, study.units.ring_m) == (
        "catchment",
        100.0,
        200.0,
    )
    assert set(study.outcome.crime_types) == set(CRIMES)
    assert (study.analysis.estimator, study.analysis.first_stage, study.claim) == (
        "random_effects",
        "poisson_did",
        "cctv-review-2019",
    )
    truth = load_truth(tiny.study.parent / "truth.json")
    assert truth == tiny.truth
    assert truth.effect_mean == TINY.effect.mean
    assert truth.effect_realised == pytest.approx(np.mean([c.theta for c in truth.cities]))
    assert [city.name for city in truth.cities] == [site.parent.name for site in tiny.sites]


def test_the_truth_adds_up(tiny: Simulation) -> None:
    for city in tiny.truth.cities:
        assert city.incidents == city.without - city.prevented + city.displaced + city.added
        assert sum(city.by_type.values()) == city.usable
        assert sum(site.cameras for site in city.sites) == city.camera_rows
        assert 0 < city.displaced < city.prevented
        assert city.theta < 0
        assert city.added == 0


@pytest.mark.parametrize("index", range(len(TINY.cities)), ids=[c.portal for c in TINY.cities])
def test_an_independent_reader_counts_exactly_the_planted_rows(
    tiny: Simulation, index: int
) -> None:
    site, truth = load_site(tiny.sites[index]), tiny.truth.cities[index]
    rows = _incidents(site, tiny.sites[index].parent)
    found = Counter(_verdict(row, site) for row in rows)
    ids = [row.id for row in rows if _verdict(row, site) == "usable"]
    defects = truth.defects
    duplicates = len(ids) - len(set(ids))
    assert found == {
        "usable": truth.usable + duplicates,
        "unmapped": defects.unmapped,
        "missing": defects.missing,
        "zero": defects.zero,
        "elsewhere": defects.swapped + defects.out_of_town,
        "bad date": defects.bad_dates,
    }
    assert duplicates == defects.duplicates
    assert len(rows) == truth.rows
    assert truth.rows == truth.incidents + defects.duplicates + defects.unmapped
    assert truth.usable == truth.incidents - defects.spoiled
    assert all(number > 0 for number in _numbers(defects).values())
    by_type = {row.id: row.crime for row in rows if _verdict(row, site) == "usable"}
    assert Counter(by_type.values()) == truth.by_type


@pytest.mark.parametrize("index", range(len(TINY.cities)), ids=[c.portal for c in TINY.cities])
def test_cameras_publish_the_true_dates_or_none(tiny: Simulation, index: int) -> None:
    site, truth = load_site(tiny.sites[index]), tiny.truth.cities[index]
    table = _table(site.cameras, tiny.sites[index].parent)
    columns = site.cameras.columns
    published = Counter(_day(row[columns.live_date], site) for row in table)
    expected: Counter[dt.date | None] = Counter()
    for camera in truth.sites:
        expected[None if camera.group == Group.UNDATED else camera.first_live] += camera.cameras
    assert published == expected
    assert len(table) == truth.camera_rows
    assert len({row[columns.id] for row in table}) == len(table)
    points = np.array(
        [(_number(r[columns.longitude]), _number(r[columns.latitude])) for r in table]
    )
    for camera in truth.sites:
        metres = Geod(ellps="WGS84").inv(
            *np.full((2, len(table)), [[camera.longitude], [camera.latitude]]), *points.T
        )[2]
        assert (metres < 13).sum() == camera.cameras
        assert metres.min() < 0.2


@pytest.mark.parametrize("spec", TINY.cities, ids=lambda spec: spec.portal)
def test_what_is_written_is_what_was_drawn(spec: CitySpec, tmp_path: Path) -> None:
    preset = replace(TINY, cities=(spec,), mess=CLEAN)
    site = load_site(simulate(preset, tmp_path, 5).sites[0])
    city = draw_city(spec, preset, 5)
    rows = _incidents(site, tmp_path / spec.name)
    assert len(rows) == len(city.incidents)
    drawn = city.incidents
    degrees = to_degrees(drawn.x, drawn.y, longitude=spec.longitude, latitude=spec.latitude)
    days = (np.datetime64(preset.start, "D") + drawn.day).tolist()
    crimes = np.array(list(CRIMES))[drawn.crime].tolist()
    written = [(row.day, row.longitude, row.latitude, row.crime) for row in rows]
    expected = list(zip(days, *(axis.tolist() for axis in degrees), crimes, strict=True))
    assert Counter(map(_to_a_millionth, written)) == Counter(map(_to_a_millionth, expected))
    west, south, east, north = site.city.bounds
    assert all(west < row.longitude < east and south < row.latitude < north for row in rows)


def test_files_begin_with_the_mark_their_encoding_has(tiny: Simulation) -> None:
    marks = {"utf-8-sig": codecs.BOM_UTF8, "utf-16": codecs.BOM_UTF16_LE}
    seen = set()
    for path in tiny.sites:
        site = load_site(path)
        for source in (site.incidents, site.cameras):
            if source.format in ("csv", "tsv"):
                head = (path.parent / source.files[0]).read_bytes()[:3]
                mark = marks.get(source.encoding, b"")
                assert head.startswith(mark)
                assert mark or not head.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE))
                seen.add(source.encoding)
    assert seen == {"utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"}


# ------------------------------------------------------------ cameras


def test_cameras_stand_apart_and_prefer_hot_places(default_city: CityDraw) -> None:
    cameras, places = default_city.cameras, default_city.places
    site = np.stack([cameras.site_x, cameras.site_y], axis=1)
    row = np.stack([cameras.row_x, cameras.row_y], axis=1)
    between = np.linalg.norm(row[:, None] - row[None], axis=2)
    same = cameras.row_site[:, None] == cameras.row_site[None]
    assert between[~same].min() > 300
    assert np.linalg.norm(row - site[cameras.row_site], axis=1).max() <= 12
    assert (np.bincount(cameras.row_site) > 1).any()
    rng = np.random.default_rng(0)
    anywhere = rng.uniform(-1, 1, (4000, 2)) * [places.half_x, places.half_y]
    assert np.median(density(places, *site.T)) > 5 * np.median(density(places, *anywhere.T))


@pytest.mark.parametrize("spec", PRESETS["demo"].cities[:2], ids=lambda spec: spec.name)
def test_cameras_go_live_in_batches_of_at_least_five(spec: CitySpec) -> None:
    preset = PRESETS["demo"]
    cameras = draw_city(spec, preset, 2).cameras
    days = [preset.start + dt.timedelta(days=int(day)) for day in cameras.live_day]
    by_group = {
        group: [d for d, g in zip(days, cameras.group, strict=True) if g is group]
        for group in Group
    }
    months = Counter((day.year - 2018) * 12 + day.month - 1 for day in by_group[Group.ADOPTER])
    assert 8 <= len(months) <= 12
    assert min(months.values()) >= 5
    assert min(months) >= 10
    assert max(months) <= 38
    assert all(day < preset.start for day in by_group[Group.ALWAYS])
    assert all(day > preset.end for day in by_group[Group.LATER])
    assert all(preset.start < day < preset.end for day in by_group[Group.UNDATED])
    assert all(by_group.values())
    firsts = [day.day == 1 for day in by_group[Group.ADOPTER]]
    assert not all(firsts) if spec.any_day else all(firsts)


# ------------------------------------------------------------ size and noise


def test_a_default_city_has_the_promised_size_and_dispersion(default_city: CityDraw) -> None:
    assert 40_000 < len(default_city.without) < 90_000
    counts = _catchment_months(default_city)
    assert 3 < counts.mean() < 5.5
    fitted = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    freedom = (len(counts) - 1) * (counts.shape[1] - 1)
    assert 1.3 < ((counts - fitted) ** 2 / fitted).sum() / freedom < 2.0


def test_noise_is_independent_over_months(default_city: CityDraw) -> None:
    counts = _catchment_months(default_city)
    fitted = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    residual = (counts - fitted) / np.sqrt(fitted)
    lagged = np.corrcoef(residual[:, :-1].ravel(), residual[:, 1:].ravel())[0, 1]
    # Residuals of T months around their own mean correlate by −1/(T − 1) without any dependence.
    months = counts.shape[1]
    tolerance = STANDARD_ERRORS / math.sqrt(residual[:, 1:].size)
    assert lagged == pytest.approx(-1 / (months - 1), abs=tolerance)


def test_without_noise_counts_are_poisson() -> None:
    quiet = replace(PRESETS["null"], shape=replace(Shape(), noise=0.0))
    counts = _catchment_months(draw_city(quiet.cities[0], quiet, 4))
    fitted = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    freedom = (len(counts) - 1) * (counts.shape[1] - 1)
    tolerance = STANDARD_ERRORS * math.sqrt(2 / freedom)
    assert ((counts - fitted) ** 2 / fitted).sum() / freedom == pytest.approx(1, abs=tolerance)


# ------------------------------------------------------------ the effect


@pytest.mark.parametrize("ratio", [0.5, 0.87, 1.0, 1.3, 2.5])
def test_counts_within_reach_of_live_cameras_change_by_the_ratio(ratio: float) -> None:
    effect = Effect(mean=math.log(ratio), tau=0.0, displaced=0.3)
    after = changed = 0
    for seed in range(6):
        city = draw_city(TINY.cities[0], replace(TINY, effect=effect), seed)
        after += _exposed(city, city.without)
        changed += _exposed(city, city.incidents)
    # Thinned: binomial. Copied: Poisson copies.
    variance = after * (ratio * (1 - ratio) if ratio < 1 else ratio - 1)
    assert after > 1000
    assert abs(changed - ratio * after) <= STANDARD_ERRORS * math.sqrt(variance)


def test_nothing_changes_elsewhere_or_before() -> None:
    preset = replace(TINY, effect=Effect(mean=-0.7, tau=0.0, displaced=0.0))
    city = draw_city(TINY.cities[1], preset, 1)
    before = _keys(city, city.without, live=False)
    assert len(before) > 1000
    assert before == _keys(city, city.incidents, live=False)
    assert len(city.incidents) == len(city.without) - city.prevented


def test_prevented_incidents_reappear_evenly_in_the_ring() -> None:
    preset = replace(TINY, effect=Effect(mean=-5.0, tau=0.0, displaced=0.4))
    distances: list[float] = []
    prevented = displaced = 0
    for seed in range(6):
        city = draw_city(TINY.cities[2], preset, seed)
        old = set(zip(city.without.x, city.without.y, strict=True))
        moved = [
            point
            for point in zip(city.incidents.x, city.incidents.y, strict=True)
            if point not in old
        ]
        assert len(moved) == city.displaced
        prevented, displaced = prevented + city.prevented, displaced + city.displaced
        rows = np.stack([city.cameras.row_x, city.cameras.row_y], axis=1)
        metres = np.linalg.norm(np.array(moved)[:, None] - rows[None], axis=2)
        assert metres.min() >= 100
        distances += metres.min(axis=1).tolist()
    assert max(distances) <= 200
    spread = math.sqrt(prevented * 0.4 * 0.6)
    assert abs(displaced - 0.4 * prevented) <= STANDARD_ERRORS * spread
    # Evenly over the ring's area, the squared distance has its mean half-way. A camera's fellows a
    # few metres away cut a sliver off the inner edge or fill one in: within 2 % of the width.
    width = 200**2 - 100**2
    middle = (np.mean(np.square(distances)) - 100**2) / width
    tolerance = STANDARD_ERRORS / math.sqrt(12 * len(distances)) + 0.02
    assert middle == pytest.approx(0.5, abs=tolerance)


def test_a_ramp_grows_from_nothing_to_the_full_effect() -> None:
    city = draw_city(TINY.cities[3], replace(TINY, effect=PRESETS["null"].effect), 1)
    row = catchment_of(city.without, city.cameras, 100.0)
    strength = dose(city.without, city.cameras, row, 6.0)
    since = city.without.day - city.cameras.live_day[city.cameras.row_site[row]]
    inside = row >= 0
    assert (strength[~inside] == 0).all()
    assert (strength[inside & (since < 0)] == 0).all()
    assert (strength[inside & (since >= 183)] == 1).all()
    growing = inside & (since >= 0) & (since < 182)
    assert growing.any()
    assert strength[growing] == pytest.approx(since[growing] / (6 * 365.25 / 12))
    at_once = dose(city.without, city.cameras, row, 0.0)
    assert np.array_equal(at_once, (inside & (since >= 0)).astype(float))
    slow = Effect(mean=0.0, displaced=0.0, ramp_months=24.0)
    quick = replace(slow, ramp_months=0.0)
    slower, quicker = (
        apply_effect(city.without, city.cameras, effect, -1.0, np.random.default_rng(0))
        for effect in (slow, quick)
    )
    assert 0 < slower.prevented < quicker.prevented


def test_cities_differ_by_tau() -> None:
    cities = tuple(replace(TINY.cities[0], name=f"city-{n}") for n in range(60))
    preset = replace(TINY, cities=cities, effect=Effect(mean=-0.2, tau=0.3))
    theta = np.array([draw_city(city, preset, 1).theta for city in cities])
    assert theta.mean() == pytest.approx(-0.2, abs=STANDARD_ERRORS * 0.3 / math.sqrt(60))
    assert theta.std(ddof=1) == pytest.approx(0.3, abs=STANDARD_ERRORS * 0.3 / math.sqrt(118))


@pytest.mark.parametrize("ratio", [0.7, 1.0])
def test_before_and_after_against_the_rest_of_town_recovers_the_effect(ratio: float) -> None:
    """A Mantel-Haenszel rate ratio per city, knowing nothing of how the effect was applied."""
    effect = Effect(mean=math.log(ratio), tau=0.0, displaced=0.0)
    preset = replace(TINY, effect=effect, shape=replace(SMALL, incidents=(15_000.0, 15_000.0)))
    logs = [
        math.log(_mantel_haenszel(draw_city(TINY.cities[seed % 10], preset, seed)))
        for seed in range(12)
    ]
    error = np.std(logs, ddof=1) / math.sqrt(len(logs))
    assert error < 0.03
    assert np.mean(logs) == pytest.approx(math.log(ratio), abs=STANDARD_ERRORS * error)


# ------------------------------------------------------------ an independent reader


@dataclass(frozen=True)
class _Row:
    id: object
    day: dt.date | None
    longitude: float
    latitude: float
    crime: str | None


def _to_a_millionth(row: tuple[Any, float, float, Any]) -> tuple[Any, ...]:
    """Most portals round to 6 decimals, 0.1 m."""
    return row[0], float(np.round(row[1], 6)), float(np.round(row[2], 6)), row[3]


def _contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _table(source: Source, folder: Path) -> list[dict[str, Any]]:
    path = folder / source.files[0]
    if source.format == "parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    if source.format == "geojson":
        features = json.loads(path.read_bytes())["features"]
        return [_with_geometry(feature) for feature in features]
    text = io.StringIO(path.read_bytes().decode(source.encoding), newline="")
    table = csv.DictReader(text, delimiter=source.separator, strict=True)
    return [
        {
            key: None if value in source.missing else _plain(value, source)
            for key, value in row.items()
        }
        for row in table
    ]


def _with_geometry(feature: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = feature["properties"]
    repeated = [properties["longitude"], properties["latitude"]]
    geometry = feature["geometry"]
    assert repeated == (geometry["coordinates"] if geometry else [None, None])
    return properties


def _plain(value: str, source: Source) -> str:
    """A decimal comma becomes a point, in numbers only."""
    if source.decimal == "," and value.replace(",", "").replace("-", "").isdigit():
        assert "." not in value
        return value.replace(",", ".")
    return value


def _incidents(site: Site, folder: Path) -> list[_Row]:
    source, columns = site.incidents, site.incidents.columns
    rows = []
    for row in _table(source, folder):
        place = _number(row[columns.longitude]), _number(row[columns.latitude])
        written = row[columns.date], row.get(columns.time)
        word = row[columns.crime_type]
        rows.append(
            _Row(
                id=row[columns.id] if columns.id else (*written, *place, word),
                day=_instant_day(*written, site),
                longitude=place[0],
                latitude=place[1],
                crime=source.crime_types.get(word),
            )
        )
    return rows


def _number(value: object) -> float:
    return math.nan if value is None else float(str(value))


def _instant_day(date: Any, time: str | None, site: Site) -> dt.date | None:
    """The local date of an incident, by the standard library alone."""
    source, home = site.incidents, ZoneInfo(site.city.time_zone)
    written = source.date_format[0]
    if date is None:
        return None
    if isinstance(date, dt.datetime):
        return date.astimezone(home).date()
    try:
        if written.startswith("epoch"):
            seconds = int(date) / (1000 if written == "epoch_ms" else 1)
            return dt.datetime.fromtimestamp(seconds, home).date()
        if written == "iso":
            return dt.datetime.fromisoformat(date).astimezone(home).date()
        text = date if time is None else f"{date} {time}"
        naive = dt.datetime.strptime(text, written)  # noqa: DTZ007 (the zone is attached below)
    except ValueError:
        return None
    if "%H" not in written and "%I" not in written:
        return naive.date()
    if source.source_zone:
        return naive.replace(tzinfo=ZoneInfo(source.source_zone)).astimezone(home).date()
    # A time that a change of clocks skips comes back from UTC as another one.
    back = naive.replace(tzinfo=home).astimezone(dt.UTC).astimezone(home)
    assert back.replace(tzinfo=None) == naive
    return naive.date()


def _day(value: Any, site: Site) -> dt.date | None:
    if value is None or isinstance(value, dt.date):
        return value
    written = site.cameras.date_format[0]
    if written == "iso":
        assert not site.cameras.convert_zone
        return dt.datetime.fromisoformat(value).date()
    return dt.datetime.strptime(value, written).date()  # noqa: DTZ007 (a date has no zone)


def _verdict(row: _Row, site: Site) -> str:
    west, south, east, north = site.city.bounds
    if row.crime is None:
        return "unmapped"
    if row.day is None:
        return "bad date"
    if math.isnan(row.longitude) or math.isnan(row.latitude):
        return "missing"
    if row.longitude == row.latitude == 0:
        return "zero"
    if not (west <= row.longitude <= east and south <= row.latitude <= north):
        return "elsewhere"
    assert TINY.start <= row.day <= TINY.end
    return "usable"


def _numbers(defects: Any) -> dict[str, int]:
    return {name: getattr(defects, name) for name in defects.__struct_fields__}


# ------------------------------------------------------------ counting by hand


def _site_of(city: CityDraw, events: Any) -> np.ndarray:
    """Site within 100 m of each event, −1 where there is none, by brute force."""
    cameras = city.cameras
    metres = np.hypot(
        events.x[:, None] - cameras.row_x[None], events.y[:, None] - cameras.row_y[None]
    )
    return np.where(metres.min(axis=1) < 100, cameras.row_site[metres.argmin(axis=1)], -1)


def _live(city: CityDraw, events: Any) -> np.ndarray:
    site = _site_of(city, events)
    return (site >= 0) & (events.day >= city.cameras.live_day[site])


def _exposed(city: CityDraw, events: Any) -> int:
    return int(_live(city, events).sum())


def _keys(city: CityDraw, events: Any, *, live: bool) -> set[tuple[float, float, int, int]]:
    mask = _live(city, events) == live
    return set(
        zip(events.x[mask], events.y[mask], events.day[mask], events.second[mask], strict=True)
    )


def _catchment_months(city: CityDraw) -> np.ndarray:
    """(S, T) incidents without cameras, sites of at least one incident."""
    site = _site_of(city, city.without)
    month = city.calendar.month_of_day[city.without.day]
    counts = np.zeros((len(city.cameras.group), month.max() + 1))
    np.add.at(counts, (site[site >= 0], month[site >= 0]), 1)
    return counts[counts.sum(axis=1) > 0]


def _mantel_haenszel(city: CityDraw) -> float:
    site, day = _site_of(city, city.incidents), city.incidents.day
    rest = day[site < 0]
    top = bottom = 0.0
    for index, group in enumerate(city.cameras.group):
        if group is not Group.ADOPTER:
            continue
        live = city.cameras.live_day[index]
        own = day[site == index]
        after, before = (own >= live).sum(), (own < live).sum()
        rest_after, rest_before = (rest >= live).sum(), (rest < live).sum()
        total = after + before + rest_after + rest_before
        top += after * rest_before / total
        bottom += before * rest_after / total
    return top / bottom
