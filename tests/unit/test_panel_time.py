"""Hours, counts, removal, washout, coverage and dose, from rows to the panel."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from evalkit.core.design import design_of
from evalkit.core.study import Outcome, Study, Treatment, Units, check_study
from evalkit.errors import ConfigError, NothingToTestError
from evalkit.panel.build import Built, build_from_rows, build_panel
from evalkit.panel.coverage import covered
from evalkit.panel.rows import Seen
from evalkit.panel.store import read_built, write_panel
from evalkit.panel.tally import open_tally
from tests.panel_frames import (
    BOUNDS,
    build,
    camera,
    camera_frame,
    counts,
    exposure,
    incident,
    incident_frame,
    roles,
    study,
)

AREA = Units(kind="area")
CATCHMENT = Units(kind="catchment")
PLACE, FAR = (5.0, 5.0), (3000.0, 3000.0)


def with_columns(frame: pl.DataFrame, **columns: Any) -> pl.DataFrame:
    kinds = {"hour": pl.Int8(), "count": pl.UInt32(), "removed": pl.Date()}
    return frame.with_columns(pl.Series(n, v, dtype=kinds.get(n)) for n, v in columns.items())


def hours_study(hours: tuple[int, int]) -> Study:
    asked = study(CATCHMENT)
    from msgspec.structs import replace

    return check_study(
        replace(asked, outcome=Outcome(crime_types=asked.outcome.crime_types, hours=hours))
    )


def streamed(incidents: pl.DataFrame, cameras: pl.DataFrame, asked: Study) -> Built:
    tally = open_tally(cameras, asked, BOUNDS, 1000)
    assert tally is not None
    for block in incidents.iter_slices(3):
        tally.add(block)
    return build_from_rows(
        tally.rows(),
        cameras,
        asked,
        site_name="handmade",
        study_hash="a" * 64,
        fingerprint="b" * 64,
    )


@pytest.mark.parametrize("one", [build, streamed])
@pytest.mark.parametrize(
    ("hours", "inside"), [((22, 6), [22, 23, 0, 5]), ((6, 22), [6, 21]), ((0, 6), [0, 5])]
)
def test_hours_of_the_day(one: Any, hours: tuple[int, int], inside: list[int]) -> None:
    clock: list[int | None] = [22, 23, 0, 5, 6, 21, None]
    incidents = with_columns(
        incident_frame(
            [*[incident("2020-02-05", *PLACE) for _ in clock], incident("2020-01-05", *FAR)]
        ),
        hour=[*clock, inside[0]],
    )
    built = one(incidents, camera_frame([camera("2020-03-10", 0, 0)]), hours_study(hours))
    assert sum(counts(built, "site:00000")) == len(inside)
    account = dict(built.account)
    assert account["without an hour"] == 1
    assert account["at other hours"] == len(clock) - 1 - len(inside)
    total = account.pop("incidents")
    assert total == len(clock) + 1 == sum(account.values())


@pytest.mark.parametrize("hours", [(5, 5), (24, 3), (0, 24)])
def test_hours_that_are_no_part_of_the_day(hours: tuple[int, int]) -> None:
    with pytest.raises(ConfigError):
        hours_study(hours)


@pytest.mark.parametrize("one", [build, streamed])
def test_rows_that_stand_for_several_incidents(one: Any) -> None:
    incidents = with_columns(
        incident_frame([incident("2020-01-05", *PLACE), incident("2020-05-05", *FAR)]),
        count=[7, 3],
    )
    built = one(incidents, camera_frame([camera("2020-03-10", 0, 0)]), study(CATCHMENT))
    assert counts(built, "site:00000") == [7, 0, 0, 0, 0, 0]
    assert built.account["incidents"] == 10


def test_washout_is_left_out_of_the_design() -> None:
    incidents = incident_frame([incident("2020-01-05", *PLACE), incident("2020-05-05", *FAR)])
    asked = study(CATCHMENT, treatment=Treatment(washout_periods=2))
    built = build(incidents, camera_frame([camera("2020-02-10", 0, 0)]), asked)
    (design,) = design_of(built.panel, asked)
    row = int(np.flatnonzero(design.ever_treated)[0])
    assert design.exposure[row].tolist() == [1, 0, 0, 0, 1, 1]
    assert design.treated[row].tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(NothingToTestError, match="period before and one after"):
        build(
            incidents,
            camera_frame([camera("2020-02-10", 0, 0)]),
            study(CATCHMENT, treatment=Treatment(washout_periods=4)),
        )


def test_a_site_ends_when_its_last_camera_is_removed() -> None:
    incidents = incident_frame([incident("2020-01-05", *PLACE), incident("2020-01-05", *FAR)])
    cameras = with_columns(
        camera_frame([camera("2020-02-10", 0, 0), camera("2020-03-10", 20, 0)]),
        removed=[dt.date(2020, 4, 1), dt.date(2020, 5, 20)],
    )
    built = build(incidents, cameras, study(CATCHMENT))
    assert exposure(built, "site:00000") == [1, 1, 1, 1, 0, 0]
    assert exposure(built, "ring:00000") == [1, 1, 1, 1, 0, 0]
    assert any("removed again" in note for note in built.notes)
    still = with_columns(cameras, removed=[dt.date(2020, 4, 1), None])
    assert exposure(build(incidents, still, study(CATCHMENT)), "site:00000") == [1] * 6


def test_dose_counts_live_cameras_at_the_end_of_a_period(tmp_path: Any) -> None:
    incidents = incident_frame([incident("2020-01-05", *PLACE), incident("2020-01-05", *FAR)])
    cameras = with_columns(
        camera_frame(
            [camera("2019-02-10", 0, 0), camera("2020-02-29", 20, 0), camera("2020-03-01", 30, 0)]
        ),
        removed=[dt.date(2020, 5, 31), None, None],
        count=[2, 1, 4],
    )
    built = build(
        incidents,
        pl.concat(
            [
                cameras,
                with_columns(
                    camera_frame([camera("2020-04-05", 900, 900)]), removed=[None], count=[1]
                ),
            ]
        ),
        study(CATCHMENT),
    )
    assert built.dose.filter(pl.col("unit") == "site:00000").rows() == [
        ("site:00000", dt.date(2020, 1, 1), 2),
        ("site:00000", dt.date(2020, 2, 1), 3),
        ("site:00000", dt.date(2020, 3, 1), 7),
        ("site:00000", dt.date(2020, 5, 1), 5),
    ]
    write_panel(built, tmp_path)
    assert read_built(tmp_path).dose.equals(built.dose)


def test_attributes_describe_the_units() -> None:
    incidents = incident_frame([incident("2020-01-05", *PLACE), incident("2020-01-05", *FAR)])
    cameras = camera_frame(
        [camera("2020-02-10", 0, 0), camera("2020-02-11", 20, 0), camera("2020-02-12", 30, 0)]
    ).with_columns(pl.Series("attribute.watched", ["active", "passive", "passive"]))
    built = build(incidents, cameras, study(CATCHMENT))
    units = dict(built.units.select("unit", "attribute.watched").iter_rows())
    assert units["site:00000"] == "passive"
    assert units["ring:00000"] is None


def test_so_many_cameras_make_an_area_treated() -> None:
    incidents = incident_frame([[{**incident("2020-01-05")[0], "area": name}] for name in "abc"])
    cameras = with_columns(
        camera_frame(
            [camera(day, area=name) for name, day in (("a", "2020-02-10"), ("a", "2020-04-10"),
                                                      ("b", "2020-02-10"), ("c", "2020-02-10"))]
        ),
        count=[3, 7, 9, 10],
    )  # fmt: skip
    built = build(incidents, cameras, study(AREA, treatment=Treatment(min_cameras=10)))
    assert roles(built) == {"a": "treated", "b": "control", "c": "treated"}
    live = dict(built.units.select("unit", "first_live").iter_rows())
    assert live == {"a": dt.date(2020, 4, 10), "b": None, "c": dt.date(2020, 2, 10)}


def test_years_are_periods() -> None:
    incidents = incident_frame([incident("2018-01-05", *PLACE), incident("2020-12-31", *FAR)])
    asked = study(CATCHMENT, start="2018-01-01", end="2020-12-31", period="year")
    built = build(incidents, camera_frame([camera("2019-06-10", 0, 0)]), asked)
    assert [day.year for day in built.panel.periods] == [2018, 2019, 2020]
    assert counts(built, "site:00000") == [1, 0, 0]


HALF_YEAR = study(CATCHMENT).window


def seen(first: dt.date, last: dt.date, read: int, firsts: int = 0) -> Seen:
    return Seen(read, frozenset({"assault"}), first, last, firsts)


def test_coverage_as_the_site_file_states_it() -> None:
    whole = seen(dt.date(2010, 1, 1), dt.date(2022, 1, 1), 10_000)
    found = covered(HALF_YEAR, whole, dt.date(2020, 2, 2), dt.date(2020, 5, 31))
    assert found.used.tolist() == [False, False, True, True, True, False]
    assert (found.before, found.after) == (2, 1)
    assert covered(HALF_YEAR, whole, dt.date(2020, 1, 1), dt.date(2020, 6, 30)).used.all()


def test_coverage_told_by_the_dates_only_where_the_gap_is_clear() -> None:
    often = seen(dt.date(2020, 2, 20), dt.date(2020, 6, 1), 2000)
    assert covered(HALF_YEAR, often, None, None).used.tolist() == [False] * 2 + [True] * 3 + [False]
    seldom = seen(dt.date(2020, 2, 20), dt.date(2020, 6, 1), 20)
    assert covered(HALF_YEAR, seldom, None, None).used.all()
    monthly = seen(dt.date(2020, 1, 1), dt.date(2020, 6, 1), 2000, firsts=2000)
    assert covered(HALF_YEAR, monthly, None, None).used.all()


def test_uncovered_periods_are_not_used_and_noted() -> None:
    incidents = incident_frame(
        [incident("2020-01-01", *PLACE, times=300), incident("2020-04-30", *FAR, times=300)]
    )
    cameras = camera_frame([camera("2020-02-10", 0, 0)])
    built = build_panel(
        incidents, cameras, study(CATCHMENT), site_name="handmade", bounds=BOUNDS,
        study_hash="a" * 64, fingerprint="b" * 64, complete=(None, dt.date(2020, 4, 30)),
    )  # fmt: skip
    assert exposure(built, "site:00000") == [1, 1, 1, 1, 0, 0]
    assert any("2 periods of the window are not used" in note for note in built.notes)
