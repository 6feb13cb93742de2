"""Checks of a city's rows: each finds what is planted, and stays silent where there is nothing."""

from __future__ import annotations

import datetime as dt
import math
from string import Formatter
from typing import Any

import numpy as np
import polars as pl
import pytest

from evalkit.core.frames import CAMERAS, INCIDENTS, REJECT_REASONS, Account
from evalkit.core.study import check_study
from evalkit.quality import devices, drift, gaps, heaping, overlap, places, repeats, survey, zones
from evalkit.quality.calendar import by_period, by_year, resolution_of
from evalkit.quality.finding import ENOUGH, excess_z
from evalkit.quality.survey import Source
from evalkit.report.check_words import CHECK_TABLES, check_words
from evalkit.report.findings import say_finding

DAY = dt.date(2019, 1, 1)
YEARS = 3
ROWS = 6_000
TODAY = dt.date(2022, 6, 1)


def days(number: int, seed: int = 1, years: int = YEARS) -> pl.Series:
    rng = np.random.default_rng(seed)
    last = (dt.date(DAY.year + years, 1, 1) - DAY).days
    ends = [DAY, DAY + dt.timedelta(days=last - 1)]
    spread = [DAY + dt.timedelta(days=int(day)) for day in rng.integers(0, last, number - 2)]
    return pl.Series("date", ends + spread)


def ones(dates: pl.Series) -> pl.Series:
    return pl.repeat(1, len(dates), dtype=pl.UInt32(), eager=True)


def incidents(number: int = ROWS, **columns: Any) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    frame = pl.DataFrame(
        {
            "file": pl.repeat(0, number, dtype=pl.UInt32(), eager=True),
            "row": pl.int_range(1, number + 1, dtype=pl.UInt64(), eager=True),
            "date": days(number),
            "hour": pl.Series(rng.integers(0, 24, number), dtype=pl.Int8()),
            "longitude": -75.6 + rng.normal(0, 0.02, number),
            "latitude": 6.2 + rng.normal(0, 0.02, number),
            "area": pl.repeat(None, number, dtype=pl.String(), eager=True),
            "crime_type": ["assault"] * number,
            "count": pl.repeat(1, number, dtype=pl.UInt32(), eager=True),
        }
    )
    return frame.with_columns(**columns).cast(dict(INCIDENTS.schema))


def cameras(
    live: list[dt.date | None], removed: list[dt.date | None] | None = None
) -> pl.DataFrame:
    number = len(live)
    return pl.DataFrame(
        {
            "file": [0] * number,
            "row": list(range(1, number + 1)),
            "id": [str(row) for row in range(number)],
            "live_date": live,
            "removed": removed or [None] * number,
            "longitude": [-75.6 + 0.0001 * row for row in range(number)],
            "latitude": [6.2] * number,
            "area": [None] * number,
            "count": [1] * number,
        },
        schema=dict(CAMERAS.schema),
    )


# ---------------------------------------------------------------- the calendar


def test_resolution_is_the_finest_that_dates_tell() -> None:
    assert resolution_of(days(500)) == "day"
    assert resolution_of(days(500).dt.truncate("1mo")) == "month"
    assert resolution_of(days(500).dt.truncate("1y")) == "year"
    assert resolution_of(days(500).head(0)) == "day"


def test_periods_hold_every_row_once_and_empty_ones_too() -> None:
    dates = days(900).set(days(900).dt.month() == 5, None)
    months = by_period(dates, ones(dates), "day")
    assert sum(number for _, number in months) == dates.count()
    assert len(months) == 12 * YEARS
    assert gaps.find_gaps(months) == [dt.date(DAY.year + year, 5, 1) for year in range(YEARS)]
    assert sum(by_year(dates, ones(dates)).values()) == dates.count()
    assert by_period(dates, ones(dates) * 3, "year")[0][1] == 3 * by_year(dates, ones(dates))[2019]
    assert by_period(dates.head(0), ones(dates.head(0)), "day") == []


# ---------------------------------------------------------------- heaps


def test_excess_is_counted_in_binomial_standard_errors() -> None:
    # 100 throws, a half expected: standard deviation 5.
    assert excess_z(60, 100, 0.5) == pytest.approx(2.0)
    assert excess_z(0, 0, 0.5) == 0.0


def test_a_certain_but_small_excess_does_not_cry_wolf() -> None:
    ten_million = heaping.judge_heap("first_of_month", 360_000, 10_000_000, 12 / 365.25)
    assert ten_million.z > 50
    assert ten_million.finding.status == "fine"


def test_a_large_but_uncertain_excess_does_not_cry_wolf() -> None:
    few = heaping.judge_heap("midnight", 2, 100, 1 / 12)
    assert few.finding.status == "fine"
    assert heaping.judge_heap("midnight", 9, ENOUGH - 1, 0.001).finding.status == "unknown"


def test_an_excess_that_is_large_and_certain_is_found() -> None:
    heap = heaping.judge_heap("midnight", 500, 10_000, 1 / 1440)
    assert heap.finding.status == "look"
    assert heap.observed == 0.05
    assert heap.finding.figures["expected_share"] == pytest.approx(1 / 1440)


def test_full_hours_are_judged_among_times_that_are_not_midnight() -> None:
    midnight, full = heaping.clock_heaps(heaping.Clock(10_000, 5_000, 4_000))
    assert (midnight.rows, full.rows) == (10_000, 5_000)
    assert full.observed == 0.8
    assert full.expected == pytest.approx(23 / 1439)
    assert [midnight.finding.status, full.finding.status] == ["look", "look"]
    assert heaping.clock_heaps(None) == ()


def test_even_days_make_no_heap() -> None:
    dates = days(ROWS)
    found = heaping.calendar_heaps(dates, ones(dates))
    assert [heap.check for heap in found] == ["first_of_month", "january", "december", "weekday"]
    assert {heap.finding.status for heap in found} == {"fine"}
    assert all(abs(heap.z) < 4 for heap in found)


@pytest.mark.parametrize(
    ("check", "planted"),
    [
        ("first_of_month", dt.date(2020, 4, 1)),
        ("january", dt.date(2020, 1, 14)),
        ("december", dt.date(2020, 12, 14)),
        ("weekday", dt.date(2020, 4, 15)),
    ],
)
def test_what_is_heaped_on_one_day_is_found_and_nothing_else(check: str, planted: dt.date) -> None:
    even = days(ROWS)
    dates = even.append(pl.Series("date", [planted] * (ROWS // 5)))
    found = {heap.check: heap.finding.status for heap in heaping.calendar_heaps(dates, ones(dates))}
    assert found[check] == "look"
    # Every heap on one day is a heap on its weekday.
    assert {name for name, status in found.items() if status == "look"} <= {check, "weekday"}


def test_a_period_that_ends_early_has_no_january_too_many() -> None:
    dates = days(ROWS)
    short = dates.filter(dates < dt.date(2019, 4, 1))
    found = {heap.check: heap for heap in heaping.calendar_heaps(short, ones(short))}
    assert found["january"].expected == pytest.approx(31 / 90)
    assert found["january"].finding.status == "fine"


def test_dates_that_tell_no_day_have_no_weekdays() -> None:
    months, years = (days(900).dt.truncate(step) for step in ("1mo", "1y"))
    found = heaping.calendar_heaps(months, ones(months))
    assert [heap.check for heap in found] == ["january", "december"]
    assert found[0].expected == pytest.approx(1 / 12)
    assert heaping.calendar_heaps(years, ones(years)) == ()
    assert heaping.heap_finding("weekday", (), "coarse_dates").case == "unknown_coarse_dates"


def test_weekdays_are_counted_from_monday() -> None:
    dates = pl.Series([dt.date(2020, 4, 13), dt.date(2020, 4, 19), None])
    assert heaping.weekdays(dates, pl.Series([2, 5, 9])) == [2, 0, 0, 0, 0, 0, 5]


def test_the_weekday_deviate_is_that_of_its_chi_square() -> None:
    # χ²(6) = 22.458 has an upper tail of 0.001, as a normal deviate of 3.090 has
    # (tables); the approximation is off by 0.026 there.
    assert heaping._chi2_z(22.458, 6) == pytest.approx(3.090, abs=0.03)
    assert heaping._chi2_z(5.348, 6) == pytest.approx(0.0, abs=0.03)


# ---------------------------------------------------------------- gaps


def series(*numbers: int) -> list[tuple[dt.date, int]]:
    months = pl.date_range(DAY, DAY + dt.timedelta(days=31 * len(numbers)), "1mo", eager=True)
    return list(zip(months.to_list(), numbers, strict=False))


def test_an_empty_month_is_a_gap_and_a_half_one_is_sudden() -> None:
    found = series(300, 310, 0, 305, 290, 100, 300, 295)
    assert gaps.find_gaps(found) == [dt.date(2019, 3, 1)]
    (sudden,) = gaps.find_sudden(found)
    assert (sudden.period, sudden.number) == (dt.date(2019, 6, 1), 100)
    assert gaps.gap_finding(found, "day").figures["gaps"] == 1
    assert gaps.sudden_finding(found, "day").case == "sudden"


def test_a_month_delivered_twice_is_sudden() -> None:
    (sudden,) = gaps.find_sudden(series(300, 310, 290, 700, 300, 305, 300))
    assert sudden.number == 700


def test_a_last_month_that_is_incomplete_is_told_as_such() -> None:
    finding = gaps.sudden_finding(series(300, 310, 290, 300, 300, 305, 90), "day")
    assert finding.case == "sudden_edge"


def test_seasons_lockdowns_and_small_numbers_are_not_sudden() -> None:
    assert gaps.find_sudden(series(100, 120, 140, 150, 140, 120, 100, 95)) == []
    assert gaps.find_sudden(series(300, 310, 190, 187, 200, 305, 300)) == []  # less 37 %
    assert gaps.find_sudden(series(3, 1, 4, 2, 7, 3, 1, 2)) == []
    assert gaps.gap_finding(series(3, 4), "day").status == "unknown"
    assert gaps.gap_finding(series(3, 4, 5, 6), "day").status == "fine"


# ---------------------------------------------------------------- places


def test_many_rows_on_one_point_are_found() -> None:
    rows = incidents()
    assert places.heap_point_finding(places.points_of(rows)).status == "fine"
    station = pl.int_range(ROWS) < ROWS // 20
    heaped = rows.with_columns(
        longitude=pl.when(station).then(-75.61).otherwise("longitude"),
        latitude=pl.when(station).then(6.21).otherwise("latitude"),
    )
    finding = places.heap_point_finding(places.points_of(heaped))
    assert finding.status == "look"
    assert finding.figures["largest"] == ROWS // 20


def test_coarse_positions_are_found() -> None:
    rows = incidents()
    exact = places.points_of(rows)
    assert (exact.rows, exact.points) == (ROWS, ROWS)
    assert places.precision_finding(exact).status == "fine"
    rounded = places.points_of(rows.with_columns(pl.col("longitude", "latitude").round(3)))
    assert places.precision_finding(rounded).case == "precision_round"
    snapped = rows.with_columns(
        longitude=-75.6 + (pl.int_range(ROWS) % 100) * 0.00123456, latitude=pl.lit(6.2123456)
    )
    finding = places.precision_finding(places.points_of(snapped))
    assert finding.case == "precision"
    assert finding.figures["points"] == 100


def test_rows_without_coordinates_say_nothing_about_points() -> None:
    nowhere = incidents(longitude=pl.lit(None, pl.Float64()), latitude=pl.lit(None, pl.Float64()))
    points = places.points_of(nowhere)
    assert points.rows == points.points == points.largest == 0
    assert places.heap_point_finding(points).case == "unknown_no_points"
    assert places.precision_finding(points).case == "unknown_no_points"


# ---------------------------------------------------------------- drift


def rejected(lost: dict[int, int]) -> pl.DataFrame:
    rows = [(year, "missing_coordinates") for year, number in lost.items() for _ in range(number)]
    return pl.DataFrame(
        [*rows, (2019, "unmapped_type")],
        schema={"year": pl.Int32(), "reason": pl.String()},
        orient="row",
    )


def test_steady_places_do_not_drift() -> None:
    years = drift.years_of_places(incidents(), rejected({2019: 60, 2020: 70, 2021: 65}))
    assert [(year.year, year.lost) for year in years] == [(2019, 60), (2020, 70), (2021, 65)]
    assert sum(year.rows for year in years) == ROWS
    assert drift.missing_finding(years).status == "fine"
    assert drift.moved_finding(years).status == "fine"


def test_more_rows_without_a_place_are_found() -> None:
    years = drift.years_of_places(incidents(), rejected({2021: 600}))
    finding = drift.missing_finding(years)
    assert finding.status == "look"
    assert finding.figures["before_share"] == 0.0
    assert finding.figures["after_share"] == pytest.approx(600 / (600 + years[2].rows))
    clean = drift.years_of_places(incidents(), rejected({}))
    assert drift.missing_finding(clean).case == "lost_places_none"
    assert drift.missing_finding(clean[:1]).case == "unknown_one_year"


def test_a_move_of_all_places_is_found_and_measured() -> None:
    moved = incidents(
        latitude=pl.col("latitude")
        + pl.when(pl.col("date").dt.year() == 2021).then(0.01).otherwise(0)
    )
    finding = drift.moved_finding(drift.years_of_places(moved, rejected({})))
    assert finding.case == "moved"
    assert (finding.figures["before"], finding.figures["after"]) == ("2020", "2021")
    # A hundredth of a degree of latitude is 1113 m; chance moves a mean of 2000 by 70 m or so.
    assert finding.figures["metres"] == pytest.approx(1113, abs=250)


def test_places_that_become_fewer_are_found() -> None:
    later = pl.col("date").dt.year() == 2021
    coarse = incidents(
        longitude=pl.when(later).then(pl.col("longitude").round(2)).otherwise("longitude"),
        latitude=pl.when(later).then(pl.col("latitude").round(2)).otherwise("latitude"),
    )
    finding = drift.moved_finding(drift.years_of_places(coarse, rejected({})))
    assert finding.case == "moved_distinct"
    assert finding.figures["before_points"] > 4 * int(str(finding.figures["after_points"]))


def test_distinct_points_do_not_depend_on_the_number_of_rows() -> None:
    even = drift._distinct(np.full(100, 10.0))
    assert even == pytest.approx(100 * (1 - 0.99**drift.SAMPLE))
    assert drift._distinct(np.full(100, 1000.0)) == pytest.approx(even)


def test_areas_have_no_positions_to_drift() -> None:
    areas = incidents(
        longitude=pl.lit(None, pl.Float64()), latitude=pl.lit(None, pl.Float64()), area=pl.lit("x")
    )
    years = drift.years_of_places(areas, rejected({}))
    assert drift.moved_finding(years).case == "unknown_no_points"


# ---------------------------------------------------------------- accounts and repeats


def test_faulty_rows_count_and_chosen_ones_do_not() -> None:
    chosen = Account(1000, 700, {"unmapped_type": 280, "duplicate": 20})
    assert repeats.account_finding("incidents", chosen).status == "fine"
    faulty = Account(1000, 900, {"missing_date": 30, "zero_coordinates": 70})
    finding = repeats.account_finding("incidents", faulty)
    assert finding.status == "look"
    assert finding.figures["reason"] == "zero_coordinates"
    assert finding.figures["faulty_share"] == 0.1
    nothing = repeats.account_finding("cameras", Account(5, 0, {"missing_coordinates": 5}))
    assert nothing.case == "account_cameras_nothing"
    assert repeats.account_finding("cameras", Account(0, 0)).case == "unknown_no_cameras"


def test_rows_that_are_kept_although_they_repeat_another_are_counted() -> None:
    rows = incidents()
    double = pl.concat([rows, rows.head(300).with_columns(row=pl.col("row") + ROWS)])
    assert repeats.kept_repeats(rows) == 0
    assert repeats.kept_repeats(double) == 300
    told = {"placed": True, "daily": True}
    account = Account(ROWS + 300, ROWS + 300)
    finding = repeats.duplicates_finding(account, double, told)
    assert (finding.status, finding.figures["kept"]) == ("look", 300)
    assert repeats.duplicates_finding(Account(ROWS, ROWS), rows, told).status == "fine"
    coarse = repeats.duplicates_finding(account, double, {"placed": False, "daily": True})
    assert coarse.case == "unknown_coarse_rows"


# ---------------------------------------------------------------- cameras


def test_a_list_without_removed_cameras_is_told() -> None:
    live: list[dt.date | None] = [dt.date(2020, 1, 1)] * 3
    assert devices.removal_finding(cameras(live)).status == "look"
    gone = cameras(live, [None, None, dt.date(2021, 1, 1)])
    assert devices.removal_finding(gone).status == "fine"
    assert devices.removal_finding(cameras([])).case == "unknown_no_cameras"


def test_undated_cameras_are_told_from_a_share_on() -> None:
    dated: list[dt.date | None] = [dt.date(2020, 1, 1)] * 99
    assert devices.undated_finding(cameras([*dated, None])).status == "fine"
    assert devices.undated_finding(cameras([*dated, *[None] * 10])).status == "look"


def test_dates_of_the_last_years_only_are_told() -> None:
    spread: list[dt.date | None] = [dt.date(2005 + at % 15, 3, 1 + at % 28) for at in range(60)]
    assert devices.recent_finding(cameras(spread)).status == "fine"
    recent: list[dt.date | None] = [dt.date(2019, 1 + at % 12, 3) for at in range(60)]
    assert devices.recent_finding(cameras([*recent, dt.date(2001, 1, 1)])).status == "look"
    assert devices.recent_finding(cameras(recent[:5])).case == "unknown_few"
    assert devices.recent_finding(cameras([None])).case == "unknown_no_dates"


def test_a_date_that_too_many_cameras_share_is_told() -> None:
    spread: list[dt.date | None] = [DAY + dt.timedelta(days=9 * at) for at in range(60)]
    assert devices.default_date_finding(cameras(spread)).status == "fine"
    finding = devices.default_date_finding(cameras([*spread, *[DAY] * 30]))
    assert finding.status == "look"
    assert (finding.figures["number"], finding.figures["day"]) == (31, DAY)


# ---------------------------------------------------------------- periods and zones


def test_cameras_are_sorted_by_the_incidents_period() -> None:
    live = [
        dt.date(2018, 1, 1), dt.date(2019, 6, 1), dt.date(2020, 6, 1), dt.date(2021, 6, 1),
        dt.date(2023, 1, 1), None,
    ]  # fmt: skip
    found = overlap.overlap_of(days(300), "day", cameras(live))
    assert found is not None
    assert (found.before, found.edge, found.testable, found.after, found.undated) == (1, 2, 1, 1, 1)
    assert found.dated == 5
    assert overlap.overlap_finding(found, cameras=True).status == "look"
    middle = overlap.overlap_of(days(300), "day", cameras([dt.date(2020, 6, 1)]))
    assert overlap.overlap_finding(middle, cameras=True).status == "fine"
    assert overlap.overlap_finding(None, cameras=False).case == "unknown_no_cameras"


def test_a_year_of_yearly_data_lasts_to_its_end() -> None:
    years = days(300).dt.truncate("1y")
    found = overlap.overlap_of(years, "year", cameras([dt.date(2021, 11, 1)]))
    assert found is not None
    assert found.last == dt.date(2021, 12, 31)
    assert (found.edge, found.after) == (1, 0)


def test_dates_to_come_are_counted() -> None:
    rows = incidents()
    assert overlap.future_finding(rows, cameras([DAY]), TODAY).status == "fine"
    finding = overlap.future_finding(rows, cameras([dt.date(2030, 1, 1)]), dt.date(2021, 12, 30))
    assert finding.status == "look"
    assert (finding.figures["incidents"] >= 1, finding.figures["cameras"]) == (True, 1)


@pytest.mark.parametrize(
    ("first", "last", "resolution", "start", "end"),
    [
        ("2019-01-01", "2021-12-31", "day", "2019-01-01", "2021-12-31"),
        ("2019-01-02", "2021-12-30", "day", "2019-02-01", "2021-11-30"),
        ("2019-01-01", "2021-12-01", "month", "2019-01-01", "2021-12-31"),
        ("2019-01-01", "2021-01-01", "year", "2019-01-01", "2021-12-31"),
    ],
)
def test_the_trial_study_takes_whole_periods(
    first: str, last: str, resolution: Any, start: str, end: str
) -> None:
    study = zones.trial_study(
        dt.date.fromisoformat(first),
        dt.date.fromisoformat(last),
        resolution,
        ["assault"],
        placed=True,
    )
    assert study is not None
    assert (str(study.window.start), str(study.window.end)) == (start, end)
    assert check_study(study) is study


def test_there_is_no_trial_study_of_a_month() -> None:
    last = dt.date(2019, 1, 31)
    assert zones.trial_study(DAY, last, "day", ["assault"], placed=True) is None


def test_few_treated_incidents_or_no_controls_are_told() -> None:
    def finding(**number: int) -> str:
        return zones.zone_finding(zones.ZoneShares("s", given=True, number=number)).status

    assert finding(treated=500, control=4000, ring=300, outside=10_000) == "fine"
    assert finding(treated=100, control=4000, ring=300, outside=10_000) == "look"
    assert finding(treated=500, ring=300, outside=10_000) == "look"
    assert zones.zone_finding(None, "no_control").case == "unknown_no_control"
    # The limit is where two standard errors of a log ratio, 2/√n each, are a fifth.
    assert 2 * 2 / math.sqrt(zones.FEW_TREATED) == pytest.approx(0.2)


# ---------------------------------------------------------------- all together, and in words


def survey_of(rows: pl.DataFrame, stand: pl.DataFrame, shares: Any = None) -> Any:
    return survey(
        Source(rows, Account(rows.height, rows.height)),
        Source(stand, Account(stand.height, stand.height)),
        rejected=rejected({}),
        clock=heaping.Clock(ROWS, 4, 100) if rows.height else None,
        shares=shares,
        no_shares="no_panel",
        today=TODAY,
    )


def test_clean_rows_need_no_look() -> None:
    live: list[dt.date | None] = [dt.date(2012 + at % 10, 6, 1 + at % 28) for at in range(60)]
    middle: list[dt.date | None] = [dt.date(2020, 3, 1 + at % 28) for at in range(80)]
    stand = cameras([*live, *middle], [dt.date(2021, 12, 1)] * 140)
    shares = zones.ZoneShares("s", given=True, number={"treated": 900, "control": 900})
    found = survey_of(incidents(), stand, shares)
    assert [f.check for f in found.findings if f.status == "look"] == []


@pytest.mark.parametrize("language", list(CHECK_TABLES))
@pytest.mark.parametrize("empty", [True, False])
def test_every_finding_is_said_in_every_language(language: str, empty: bool) -> None:
    rows, stand = incidents(), cameras([dt.date(2020, 1, 1), None])
    found = survey_of(rows.head(0), stand.head(0)) if empty else survey_of(rows, stand)
    said = check_words(language)
    spoken = [say_finding(finding.to_dict(), said) for finding in found.findings]
    assert len({one.what for one in spoken}) == len(found.findings)
    for one in spoken:
        assert all((one.what, one.much, one.why, one.way_out))
        assert "{" not in one.much
        assert "nan" not in one.much
    if empty:
        assert {one.status for one in spoken} == {"unknown"}


def test_an_empty_city_is_surveyed_without_a_warning() -> None:
    plain = survey_of(incidents().head(0), cameras([])).to_dict()
    assert plain["overlap"] is None
    assert plain["heaping"] == plain["places"] == plain["weekdays"] == []


def test_the_tables_of_words_hold_the_same_keys_and_places() -> None:
    def shape(table: Any) -> dict[str, set[str | None]]:
        return {
            key: {place for _, place, _, _ in Formatter().parse(text) if place}
            for key, text in table.items()
        }

    english = shape(CHECK_TABLES["en"])
    for table in CHECK_TABLES.values():
        assert shape(table) == english


def test_every_reason_for_leaving_a_row_out_has_words() -> None:
    for table in CHECK_TABLES.values():
        assert {f"reason_{reason}" for reason in REJECT_REASONS} <= set(table)
