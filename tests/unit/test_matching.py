"""Matched controls: hand-made cities, worlds with known bias, and the way through builder, store and gate."""

from __future__ import annotations

import datetime as dt
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from evalkit.config import load_study, parse_toml
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Matching, Study, Units, check_study, matching_of, study_hash
from evalkit.disclosure.cohorts import prepare
from evalkit.errors import ConfigError, MissingExtraError, NoControlError, PanelError
from evalkit.panel import matching as module
from evalkit.panel.balance import FAR_APART, Balance, balance_of
from evalkit.panel.built import Built
from evalkit.panel.covariates import Covariates, covariates_of
from evalkit.panel.matching import match, match_units
from evalkit.panel.notes import find_notes
from evalkit.panel.store import read_built, read_panel, write_panel
from evalkit.workbench import open_bench, preview, store_panel
from tests.matched_worlds import (
    different_trends,
    effect,
    matched,
    mean_reverting,
    panel_of,
    two_populations,
)
from tests.panel_frames import adds_up, build, camera, camera_frame, incident, incident_frame, study
from tests.panels import OPEN_POLICY
from tests.small_world import small_world

GRID = Units(kind="grid", cell_m=100.0, ring_m=100.0)
NEAREST = Matching(method="nearest", covariates=("level",))

CONFIGS = Path(__file__).parents[2] / "configs"

ROUNDING = 1e-12
"""Means and variances of ten numbers: some dozen roundings of 1e-16."""

SEEDS = 12
"""A bias is the mean over so many cities; one city's estimate has a standard deviation of about 0.1, the mean
thus a standard error of 0.03."""

CLEAR = 0.15
"""Five standard errors of that mean: bias that is not chance."""


# ---------------------------------------------------------------- the study file


def test_a_study_without_the_section_keeps_its_hash() -> None:
    asked = study(GRID)
    before = msgspec.json.encode(asked, order="deterministic")
    assert b"matching" not in before
    assert study_hash(replace_matching(asked, Matching())) != study_hash(asked)
    assert matching_of(asked) == Matching()
    assert msgspec.json.decode(before, type=Study) == asked


def replace_matching(asked: Study, matching: Matching) -> Study:
    return msgspec.structs.replace(asked, matching=matching)


def test_the_section_is_read_from_toml_and_comes_back() -> None:
    text = (CONFIGS / "studies" / "detroit-green-light.toml").read_text(encoding="utf-8")
    section = '[matching]\nmethod = "propensity"\nratio = 2\ncovariates = ["level", "x"]\n'
    asked = check_study(parse_toml(f"{text}\n{section}", Study, where="here"))
    assert matching_of(asked) == Matching(method="propensity", ratio=2, covariates=("level", "x"))
    assert msgspec.json.decode(msgspec.json.encode(asked), type=Study) == asked


@pytest.mark.parametrize(
    ("matching", "largest"),
    [
        (Matching(method="propensity"), 0.2),
        (Matching(method="propensity", caliper=0.0), math.inf),
        (Matching(method="nearest"), math.inf),
        (Matching(method="nearest", caliper=0.5), 0.5),
    ],
)
def test_the_caliper_in_force(matching: Matching, largest: float) -> None:
    assert matching.largest_distance == largest


@pytest.mark.parametrize(
    ("covariates", "kind", "said"),
    [
        ((), "grid", "no covariate"),
        (("level", "level"), "grid", "named twice"),
        (("level", "x"), "area", "areas have none"),
    ],
)
def test_covariates_that_mean_nothing(covariates: tuple, kind: str, said: str) -> None:
    asked = study(Units(kind=kind))  # type: ignore[arg-type]  # a literal, spelled out above
    with pytest.raises(ConfigError, match=said):
        check_study(replace_matching(asked, Matching(method="nearest", covariates=covariates)))


# ---------------------------------------------------------------- covariates


def counted(rows: list[list[int]], treated: list[bool], live: int) -> Panel:
    return panel_of(np.array(rows), np.array(treated), live)


def test_level_and_trend_by_hand() -> None:
    made = counted([[1, 2, 9, 4, 5, 99], [0, 0, 0, 0, 0, 99]], [True, False], 5)
    known = covariates_of(made, np.array([[3.0, 4.0], [5.0, 6.0]]), Matching(covariates=ALL))
    assert (known.names, known.periods) == (ALL, 5)
    expected = [[np.log(22), np.log(10) - np.log(4), 3, 4], [0, 0, 5, 6]]
    np.testing.assert_allclose(known.values, expected, atol=ROUNDING)
    last_two = covariates_of(made, np.zeros((2, 2)), Matching(pre_periods=2))
    np.testing.assert_allclose(
        last_two.values[0], [np.log(10), np.log(6) - np.log(5)], atol=ROUNDING
    )


ALL = ("level", "trend", "x", "y")


def test_nothing_after_the_first_go_live_is_seen() -> None:
    made = different_trends(1)
    counts = made.counts.copy()
    counts[:, :, 12:] = np.random.default_rng(0).integers(0, 1000, counts[:, :, 12:].shape)
    for method in ("nearest", "propensity"):
        one = matched(made, Matching(method=method))
        other = matched(replace(made, counts=counts), Matching(method=method))
        assert np.array_equal(one.role, other.role)


def test_a_trend_takes_two_periods() -> None:
    made = counted([[1, 2, 3], [1, 2, 3]], [True, False], 1)
    assert covariates_of(made, np.zeros((2, 2)), Matching()).names == ("level",)
    only = Matching(method="nearest", covariates=("trend",))
    known = covariates_of(made, np.zeros((2, 2)), only)
    with pytest.raises(PanelError, match="none of trend can be computed"):
        match_units(made.role, made.unit_ids, known, only, "here")


# ---------------------------------------------------------------- balance


def test_balance_is_the_formula_of_the_textbook() -> None:
    treated = np.array([4.0, 6.0, 9.0, 5.0])
    control = np.array([1.0, 2.0, 4.0, 5.0, 6.0, 0.0])
    kept = np.array([True, True, False, True, False, False, True, True, True, False])
    is_treated = np.arange(10) < 4
    values = np.concatenate([treated, control])[:, None]
    (found,) = balance_of(("level",), values, is_treated, ~is_treated, kept)
    # treated: mean 6, s² = (4 + 0 + 9 + 1)/3 = 14/3; controls: mean 3, s² = (4 + 1 + 1 + 4 + 9 + 9)/5 = 28/5
    spread = math.sqrt((14 / 3 + 28 / 5) / 2)
    expected = Balance("level", 6, 3, 3 / spread, (14 / 3) / (28 / 5), 5, 5, 0, 1)
    for field in Balance.__slots__[1:]:
        assert getattr(found, field) == pytest.approx(getattr(expected, field), abs=ROUNDING)
    (plain,) = balance_of(("level",), values, is_treated, ~is_treated)
    assert (plain.in_use, plain.matched_treated) == (found.difference, None)
    assert found.in_use == found.matched_difference


def test_balance_that_cannot_be_told_is_none() -> None:
    alike = np.ones((4, 1))
    two = np.array([True, True, False, False])
    (found,) = balance_of(("level",), alike, two, ~two)
    assert (found.difference, found.variance_ratio) == (None, None)
    single = np.array([True, False, False, False])
    (found,) = balance_of(("level",), np.arange(4.0)[:, None], single, ~single)
    assert found.difference is None
    assert balance_of(("level",), alike, two, np.zeros(4, dtype=bool)) == ()


@pytest.mark.parametrize(("shift", "said"), [(2.0, "more crime than"), (-2.0, "less crime than")])
def test_groups_far_apart_are_named_with_a_way_out(shift: float, said: str) -> None:
    made = counted([[1, 2, 3], [1, 2, 3]], [True, False], 1)
    far = Balance("level", 1 + shift, 1, shift, 1, None, None, None, None)
    (note,) = [note for note in find_notes(made, {}, [far]) if "standard deviations" in note]
    assert said in note
    assert "[matching]" in note
    assert "later_cameras" in note
    near = replace(far, difference=FAR_APART)
    assert not any("standard deviations" in note for note in find_notes(made, {}, [near]))
    still = replace(far, matched_treated=1.0, matched_control=0.0, matched_difference=shift)
    assert any("the matched treated units" in note for note in find_notes(made, {}, [still]))


# ---------------------------------------------------------------- matching


def units_at(treated: list[float], control: list[float]) -> tuple:
    """Values, masks and names of units on a line, treated ones first."""
    values = np.array([*treated, *control])[:, None]
    is_treated = np.arange(len(values)) < len(treated)
    return values, is_treated, ~is_treated, np.array([f"u{n:03d}" for n in range(len(values))])


def test_the_closest_pair_comes_first() -> None:
    # The first treated unit is nearest to 5.0 as well, but the second is nearer.
    pairs = match(*units_at([4.0, 5.1], [5.0, 1.0]), NEAREST)
    assert pairs.tolist() == [[0, 3], [1, 2]]


def test_everyone_has_a_first_control_before_anyone_a_second() -> None:
    units = units_at([0.0, 10.0], [0.0, 0.1, 0.2, 30.0])
    plan = msgspec.structs.replace(NEAREST, ratio=2)
    assert match(*units, plan).tolist() == [[0, 2], [0, 3], [1, 4], [1, 5]]


def test_with_replacement_each_has_its_nearest() -> None:
    units = units_at([1.0, 1.2, 1.1], [1.0, 9.0, 1.3])
    plan = msgspec.structs.replace(NEAREST, replacement=True)
    assert match(*units, plan).tolist() == [[0, 3], [1, 5], [2, 3]]


def test_equal_distances_go_to_the_first_name_however_many_there_are() -> None:
    values, treated, control, names = units_at([3.0] * 3, [3.0] * 500)
    assert match(values, treated, control, names, NEAREST)[:, 1].tolist() == [3, 4, 5]
    backwards = names[::-1].copy()
    pairs = match(values, treated, control, backwards, NEAREST)
    assert sorted(pairs[:, 1].tolist()) == [500, 501, 502]


def test_a_control_beyond_the_caliper_is_none() -> None:
    values, treated, _, names = units_at([0.0, 5.0], [0.0, 0.1, 0.0, 0.1])
    role = np.where(treated, int(Role.TREATED), int(Role.CONTROL)).astype(np.int64)
    known = Covariates(("level",), values, 6)
    plan = Matching(method="nearest", covariates=("level",), caliper=0.2, ratio=3)
    found = match_units(role, names, known, plan, "here")
    apart = int(Role.SET_APART)
    assert found.role.tolist() == [1, apart, 0, 0, 0, apart]
    assert found.facts == {
        "periods that units were matched on": 6,
        "treated units with a match": 1,
        "treated units without a match": 1,
        "treated units with fewer controls than asked": 0,
        "matched controls": 3,
        "controls not taken by the matching": 1,
        "controls of several treated units": 0,
    }
    with pytest.raises(NoControlError, match="within the caliper"):
        match_units(role[1:], names[1:], Covariates(("level",), values[1:], 6), plan, "here")


def test_the_propensity_caliper_is_austins() -> None:
    random = np.random.default_rng(4)
    treated = np.arange(300) < 60
    values = random.normal(0, 1, (300, 2)) + 0.8 * treated[:, None]
    names = np.array([f"u{n:03d}" for n in range(300)])
    plan = Matching(method="propensity", caliper=0.2)
    pairs = match(values, treated, ~treated, names, plan)
    first, second = module._places(values[treated], values[~treated], "propensity")
    logit = np.concatenate([first, second])[:, 0]
    # in units of the pooled standard deviation, which is therefore one
    assert (first.var(ddof=1) + second.var(ddof=1)) / 2 == pytest.approx(1, abs=1e-9)
    assert (np.abs(logit[pairs[:, 0]] - logit[pairs[:, 1]]) <= 0.2).all()
    taken = set(pairs[:, 1].tolist())
    lonely = [unit for unit in range(60) if unit not in set(pairs[:, 0].tolist())]
    for unit in lonely:  # every control within reach belongs to somebody
        near = np.flatnonzero(np.abs(logit[60:] - logit[unit]) <= 0.2) + 60
        assert set(near.tolist()) <= taken


def test_without_any_control_it_says_so() -> None:
    role = np.full(2, int(Role.TREATED))
    with pytest.raises(NoControlError, match="no unit is left"):
        match_units(
            role, np.array(["a", "b"]), Covariates(("level",), np.ones((2, 1)), 3), NEAREST, ""
        )


def test_an_unknown_covariate_is_refused() -> None:
    role = np.array([int(Role.TREATED), int(Role.CONTROL)])
    known = Covariates(("x",), np.array([[1.0], [np.nan]]), 3)
    with pytest.raises(PanelError, match="not known of every"):
        match_units(role, np.array(["a", "b"]), known, NEAREST, "here")


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"evalkit\[matching\]"):
        match(*units_at([0.0], [0.0]), NEAREST)


def test_nobody_pays_for_scikit_learn_who_does_not_match() -> None:
    script = "import sys, evalkit.panel.build; print([m for m in sys.modules if 'sklearn' in m])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "[]"


def test_the_tree_gives_equal_distances_to_equal_places() -> None:
    """What the order of equals rests on."""
    places = np.tile([[0.1, 0.7]], (100, 1))
    distance, _ = NearestNeighbors(algorithm="kd_tree").fit(places).kneighbors([[0.3, 0.2]], 100)
    assert len(np.unique(distance)) == 1


# ---------------------------------------------------------------- does it help?


def bias(world, matching: Matching | None) -> float:
    panels = [world(seed) for seed in range(SEEDS)]
    return float(np.mean([effect(matched(one, matching) if matching else one) for one in panels]))


@pytest.mark.parametrize("world", [different_trends, mean_reverting])
def test_where_cameras_go_to_hot_places_matching_comes_closer(world) -> None:
    unmatched = bias(world, None)
    assert unmatched < -CLEAR  # a fall that no camera made
    for method in ("nearest", "propensity"):
        assert abs(bias(world, Matching(method=method))) < abs(unmatched) / 2


def test_where_groups_differ_in_level_only_matching_does_harm() -> None:
    """Daw & Hatfield (2018): it picks controls that were high by luck, and luck does not last."""
    assert abs(bias(two_populations, None)) < CLEAR
    assert bias(two_populations, Matching(method="nearest")) > CLEAR


# ---------------------------------------------------------------- builder, store, gate


def city(matching: Matching | None = None, **more: str) -> Built:
    """Five treated cells with 30, 4, 4, 3 and 3 incidents before, controls with 4, 3, 1 and 1."""
    treated = [(0, 30), (1000, 4), (2000, 4), (3000, 3), (4000, 3)]
    controls = [(0, 4), (1000, 3), (2000, 1), (3000, 1)]
    rows = [incident("2020-01-05", x + 5, 5, times=number) for x, number in treated]
    rows += [incident("2020-01-05", x + 5, 3005, times=number) for x, number in controls]
    rows += [incident("2020-05-05", x + 5, 5, times=4) for x, _ in treated]
    asked = study(GRID)
    if matching is not None:
        asked = check_study(replace_matching(asked, matching))
    cameras = camera_frame([camera("2020-03-10", x + 5, 5) for x, _ in treated])
    return build(incident_frame(rows), cameras, asked)


def test_the_builder_sets_the_rest_apart_and_says_what_is_estimated() -> None:
    built = city(Matching(method="nearest", covariates=("level",), caliper=0.1))
    roles = built.panel.role.tolist()
    assert (roles.count(Role.TREATED), roles.count(Role.CONTROL)) == (2, 2)
    assert built.units["role"].to_list().count("set_apart") == 5
    assert built.facts["treated units without a match"] == 3
    assert adds_up(built)
    assert built.account["in units set apart by the study"] > 0
    notes = " ".join(built.notes)
    for expected in (
        "3 treated units have no like place",
        "says nothing of the others",
        "falls back",
    ):
        assert expected in notes
    (level,) = built.balance
    assert level.matched_difference == pytest.approx(0, abs=ROUNDING)
    assert level.difference is not None
    assert level.difference > FAR_APART


def test_without_matching_the_builder_only_tells_how_far_apart_they_are() -> None:
    built = city()
    assert "set_apart" not in built.units["role"].to_list()
    assert [one.covariate for one in built.balance] == ["level", "trend"]
    assert any("too far for a fair comparison" in note for note in built.notes)
    assert not any("matched" in name for name in built.facts)


@pytest.mark.parametrize("matching", [None, Matching(method="nearest")])
def test_balance_comes_back_from_the_store(matching: Matching | None, tmp_path: Path) -> None:
    built = city(matching)
    write_panel(built, tmp_path)
    read = read_built(tmp_path)
    assert read.balance == built.balance
    assert read.notes == built.notes
    assert read.facts == built.facts
    assert np.array_equal(read_panel(tmp_path).role, built.panel.role)


def test_a_matched_panel_passes_the_gates_preparation() -> None:
    panel = matched(different_trends(2), Matching(method="propensity", ratio=2))
    asked = study(GRID, start="2020-01-01", end="2021-12-31", crime_types=("robbery", "theft"))
    prepared = prepare(panel, asked, OPEN_POLICY).panel
    assert np.array_equal(prepared.role, panel.role)


def test_a_demo_city_with_matched_controls_still_passes_its_gate(tmp_path: Path) -> None:
    world = small_world(tmp_path, cities=1)
    asked = replace_matching(load_study(world.study), Matching(method="nearest", ratio=2))
    bench = open_bench(world.sites[0])
    built = store_panel(bench, asked)
    shown = preview(bench, asked)
    assert all(verdict.passed for verdict in shown.verdicts)
    assert bench.store.panel(study_hash(asked)).role.tolist() == built.panel.role.tolist()
    roles = built.panel.role.tolist()
    assert roles.count(Role.CONTROL) == 2 * roles.count(Role.TREATED)
    stored = json.loads((bench.store.study_folder(study_hash(asked)) / "study.json").read_bytes())
    assert stored["matching"]["method"] == "nearest"
    # what leaves is what leaves without matching: an effect, its variance and two sizes
    (fields,) = shown.statistics.parts.values()
    assert set(fields) == {"effect"}


def test_controls_keep_their_own_camera_to_come() -> None:
    """Units of a later cohort are treated units, matched on the periods before the very first go-live."""
    made = different_trends(3)
    live = made.first_live.copy()
    live[np.flatnonzero(live != NEVER)[::2]] = 15
    made = replace(made, first_live=live, last_live=live.copy())
    known = covariates_of(made, np.zeros((made.n_units, 2)), Matching())
    assert known.periods == 12
    found = matched(made, Matching(method="nearest"))
    assert np.array_equal(found.first_live, live)
    assert found.periods[0] == dt.date(2020, 1, 1)
