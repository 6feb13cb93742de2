"""Cost: arithmetic by hand, the interval carried through, and what is said where a ratio has no meaning."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.claims.cost import (
    annual_cost,
    assumptions_of,
    cost_of,
    load_costs,
    mean_cost_of_crime,
    prevented,
)
from evalkit.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "configs" / "costs" / "ecu911-scale.toml"

FILE = """
[costs]
currency = "EUR"
price_year = 2020
cameras = {value = 10, source = "s"}
years = {value = 3, source = "s"}
capital_per_camera = {value = 1000, source = "s"}
running_per_camera_year = {value = 100, source = "s"}
lifetime_years = {value = 5, source = "s"}
discount_rate = {value = 0.1, source = "s"}
per_crime.robbery = {value = 300, source = "s"}
per_crime.theft = {value = 60, assumption = true}
"""

EFFECT = {"effect": math.log(0.8), "low": math.log(0.7), "high": math.log(0.9)}
SIZE = {
    "incidents": 800.0,
    "camera_years": 20.0,
    "annual_cost_per_camera": 500.0,
    "mean_cost": 120.0,
}


def written(folder: Path, text: str) -> Path:
    path = folder / "costs.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_by_hand() -> None:
    found = cost_of(**SIZE, **EFFECT)
    # 800 incidents are 80 % of the 1000 there would have been
    assert found.prevented.value == pytest.approx(200)
    assert found.prevented.low == pytest.approx(800 / 0.9 - 800)
    assert found.prevented.high == pytest.approx(800 / 0.7 - 800)
    assert found.total_cost == 10_000
    assert found.benefit.value == pytest.approx(24_000)
    assert found.net_benefit.value == pytest.approx(14_000)
    assert found.benefit_cost_ratio.value == pytest.approx(2.4)
    assert found.cost_per_crime.kind == "bounded"
    assert found.cost_per_crime.value == pytest.approx(50)
    assert found.cost_per_crime.low == pytest.approx(10_000 / (800 / 0.7 - 800))
    assert found.cost_per_crime.high == pytest.approx(10_000 / (800 / 0.9 - 800))


def test_an_interval_that_holds_no_effect_has_no_upper_limit() -> None:
    found = cost_of(**SIZE, effect=math.log(0.9), low=math.log(0.75), high=math.log(1.05))
    one = found.cost_per_crime
    assert (one.kind, one.high) == ("unbounded", math.inf)
    assert one.low == pytest.approx(10_000 / (800 / 0.75 - 800))
    assert one.value > one.low
    assert found.benefit_cost_ratio.low < 0 < found.benefit_cost_ratio.high


def test_an_estimated_rise_has_no_cost_per_crime() -> None:
    found = cost_of(**SIZE, effect=math.log(1.1), low=math.log(0.95), high=math.log(1.3))
    assert found.cost_per_crime.kind == "unbounded"
    assert math.isnan(found.cost_per_crime.value)
    found = cost_of(**SIZE, effect=math.log(1.1), low=math.log(1.02), high=math.log(1.3))
    assert found.cost_per_crime.kind == "none"
    assert found.prevented.high < 0


@given(
    st.floats(-1.5, 1.5),
    st.floats(0.01, 1.0),
    st.floats(1.0, 1e6),
    st.floats(0.1, 1e5),
    st.floats(1.0, 1e5),
    st.floats(1.0, 1e6),
)
def test_every_effect_inside_its_interval_gives_figures_inside_theirs(
    effect: float, half: float, incidents: float, years: float, annual: float, unit: float
) -> None:
    found = cost_of(
        incidents=incidents,
        camera_years=years,
        annual_cost_per_camera=annual,
        mean_cost=unit,
        effect=effect,
        low=effect - half,
        high=effect + half,
    )
    slack = 1e-9 * (incidents + 1)
    for share in (0.0, 0.3, 0.9, 1.0):
        inside = prevented(incidents, effect - half + 2 * half * share)
        assert found.prevented.low - slack <= inside <= found.prevented.high + slack
        if inside > slack:
            ratio = found.total_cost / inside
            assert found.cost_per_crime.low * (1 - 1e-9) <= ratio
            assert ratio <= found.cost_per_crime.high * (1 + 1e-9)
    assert found.prevented.low <= found.prevented.value <= found.prevented.high
    even = cost_of(
        incidents=incidents,
        camera_years=years,
        annual_cost_per_camera=annual,
        mean_cost=unit,
        effect=found.break_even,
        low=found.break_even,
        high=found.break_even,
    )
    assert even.benefit_cost_ratio.value == pytest.approx(1.0)


def test_the_equivalent_annual_cost_is_worth_the_capital(tmp_path: Path) -> None:
    costs = load_costs(written(tmp_path, FILE))
    yearly = annual_cost(costs) - 100
    assert math.fsum(yearly / 1.1**year for year in range(1, 6)) == pytest.approx(1000)
    free = load_costs(written(tmp_path, FILE.replace("value = 0.1,", "value = 0,")))
    assert annual_cost(free) == 300


def test_the_mean_cost_follows_the_mix(tmp_path: Path) -> None:
    mix = "mix.robbery = {value = 0.25, source = 's'}\nmix.theft = {value = 0.75, source = 's'}\n"
    costs = load_costs(written(tmp_path, FILE + mix))
    assert mean_cost_of_crime(costs, ("robbery", "theft")) == pytest.approx(120)
    assert mean_cost_of_crime(costs, ("theft",)) == 60
    with pytest.raises(ConfigError, match="nothing says how many"):
        mean_cost_of_crime(load_costs(written(tmp_path, FILE)), ("robbery", "theft"))
    with pytest.raises(ConfigError, match="no cost is given for burglary"):
        mean_cost_of_crime(costs, ("burglary",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value = 1000, source = 's'", "value = 1000", "without a source: capital_per_camera"),
        ("per_crime.theft", "per_crime.pickpocketing", "unknown crime types: pickpocketing"),
        ("value = 5,", "value = 0,", "lifetime_years"),
        ("value = 0.1,", "value = 10,", "discount_rate"),
        ("price_year", "prize_year", "unknown key"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = FILE.replace('"s"', "'s'")
    assert old in text
    with pytest.raises(ConfigError, match=message):
        load_costs(written(tmp_path, text.replace(old, new, 1)))


@pytest.mark.parametrize("share", [0.3, 0.750002, 3, 0])
def test_shares_that_do_not_add_up_to_1_are_refused(tmp_path: Path, share: float) -> None:
    mix = f"mix.robbery = {{value = 0.25, source = 's'}}\nmix.theft = {{value = {share}, source = 's'}}\n"
    with pytest.raises(ConfigError, match="the shares of mix add up to"):
        load_costs(written(tmp_path, FILE + mix))


def test_incidents_by_type_and_a_mix_contradict_each_other(tmp_path: Path) -> None:
    both = 'mix.theft = {value = 1, source = "s"}\ntreated_incidents.theft = {value = 9, source = "s"}\n'
    with pytest.raises(ConfigError, match="both"):
        load_costs(written(tmp_path, FILE + both))


@pytest.mark.parametrize("name", sorted(SIZE))
def test_nothing_to_compare_with_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="to compare with"):
        cost_of(**{**SIZE, name: 0.0}, **EFFECT)


def test_the_shipped_example_is_on_the_scale_it_says() -> None:
    costs = load_costs(EXAMPLE)
    assert costs.cameras is not None
    capital = costs.cameras.value * costs.capital_per_camera.value
    assert capital == pytest.approx(240e6, rel=1e-4)
    sourced = {"cameras", "capital_per_camera"}
    assert set(assumptions_of(costs)) == {
        "years",
        "running_per_camera_year",
        "lifetime_years",
        "discount_rate",
        "treated_incidents.robbery",
        "treated_incidents.theft",
        "per_crime.robbery",
        "per_crime.theft",
    }
    assert all(getattr(costs, name).source for name in sourced)
