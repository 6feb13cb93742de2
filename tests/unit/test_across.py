"""What the cities say together: the same as refits, recomputable from the estimate, and honest where it cannot be."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from evalkit.across.summary import summarise_cities
from evalkit.cli.conclusion import across_cities
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.estimators.random_effects import estimator
from evalkit.numerics.influence import influence
from evalkit.numerics.meta_regression import regress
from evalkit.numerics.small_study import egger
from tests.panels import study

EFFECTS = (-0.31, -0.12, -0.22, 0.05, -0.18, -0.27)
ERRORS = (0.05, 0.08, 0.06, 0.11, 0.04, 0.09)
POPULATION = (0.4, 1.2, 0.7, 3.1, 0.9, 0.5)
YEARS = (2012.0, 2009.0, 2012.0, 2015.0, 2010.0, 2018.0)
NAMES = ("alta", "brisa", "clara", "dorada", "estela", "fresca")


def named(**analysis: object) -> Study:
    return study(estimator="random_effects", **analysis)  # type: ignore[arg-type]  # as in panels


def found_by(
    cities: int = 6,
    *,
    facts: bool = False,
    order: tuple[int, ...] | None = None,
    effects: tuple[float, ...] = EFFECTS,
    **analysis: object,
) -> tuple[Estimate, Study]:
    """An estimate from effects, as the server has them; ``facts`` adds a moderator and an order."""
    asked = named(moderators=("population",), cumulative_by="year") if facts else named(**analysis)
    parts = {
        (NAMES[i],): {
            "effect": np.array([effects[i], ERRORS[i] ** 2, 0.0, 0.0]),
            **({"moderators": np.array([POPULATION[i], YEARS[i]])} if facts else {}),
        }
        for i in (order or range(cities))
    }
    statistics = Statistics("random_effects", "effect", "collected", parts)
    return estimator.finalise(statistics, Question(asked, "random_effects", "effect")), asked


def test_without_a_city_is_the_estimate_of_the_others() -> None:
    found, asked = found_by()
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    for index, city in enumerate(told.cities):
        others = tuple(other for other in range(6) if other != index)
        again, _ = found_by(order=others)
        low, high = again.interval()
        assert city.site == NAMES[index]
        assert city.without.estimate == again.effect[0]
        assert (city.without.conf_low, city.without.conf_high) == pytest.approx((low, high))
        assert city.without.tau2 == again.details["tau2"]


def test_diagnostics_are_those_of_the_numerics() -> None:
    found, asked = found_by()
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    expected = influence(EFFECTS, np.square(ERRORS), interval=asked.analysis.interval)
    assert [city.dffits for city in told.cities] == pytest.approx(expected.dffits)
    assert [city.cooks_distance for city in told.cities] == pytest.approx(expected.cooks)
    assert [city.influential for city in told.cities] == expected.influential.tolist()
    test = egger(EFFECTS, np.square(ERRORS))
    assert told.small_study is not None
    assert told.small_study.p_value == pytest.approx(test.p_value)
    assert told.small_study.low_power


def test_cities_are_added_in_the_order_of_the_moderator_and_ties_by_name() -> None:
    found, asked = found_by(facts=True)
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    assert told.cumulative is not None
    assert told.cumulative.sites == ("brisa", "estela", "alta", "clara", "dorada", "fresca")
    assert told.cumulative.values == tuple(sorted(YEARS))
    assert told.cumulative.effects[0].estimate == EFFECTS[1]
    assert told.cumulative.effects[-1].estimate == pytest.approx(found.effect[0])


def test_the_line_of_the_bubbles_is_the_regression() -> None:
    found, asked = found_by(facts=True)
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    assert told.bubble is not None
    fit = regress(
        EFFECTS,
        np.square(ERRORS),
        np.array(POPULATION)[:, None],
        interval=asked.analysis.interval,
    )
    slope = (told.bubble.line[-1] - told.bubble.line[0]) / (max(POPULATION) - min(POPULATION))
    assert slope == pytest.approx(fit.coefficients[1])
    assert told.bubble.p_value == pytest.approx(fit.p_value[1])
    assert told.bubble.values == POPULATION
    assert all(
        low < mid < high
        for low, mid, high in zip(told.bubble.low, told.bubble.line, told.bubble.high, strict=True)
    )


def test_a_study_that_names_nothing_has_neither_order_nor_bubbles() -> None:
    found, asked = found_by()
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    assert (told.cumulative, told.bubble, dict(told.absent)) == (None, None, {})


def test_order_of_arrival_does_not_matter() -> None:
    one = across_cities(*found_by(facts=True))
    two = across_cities(*found_by(facts=True, order=(3, 1, 5, 0, 2, 4)))
    assert one is not None
    assert two is not None

    def by_name(told: dict) -> list[tuple[str, float]]:
        return sorted((city["site"], city["without"]["estimate"]) for city in told["cities"])

    for (name, first), (other, second) in zip(by_name(one), by_name(two), strict=True):
        assert name == other
        assert first == pytest.approx(second, rel=1e-9)


@pytest.mark.parametrize("cities", [2, 3, 4])
def test_few_cities_say_what_cannot_be_computed(cities: int) -> None:
    found, asked = found_by(cities)
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    assert len(told.cities) == cities
    assert all(math.isfinite(city.without.estimate) for city in told.cities)
    if cities == 2:
        assert set(told.absent) == {"influence", "small_study"}
        assert all(city.dffits is None for city in told.cities)
    else:
        assert told.absent == {}


def test_cities_that_agree_exactly_do_not_break_it() -> None:
    found, asked = found_by(effects=(-0.2,) * 6, interval="knapp_hartung_truncated")
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    assert all(city.without.estimate == pytest.approx(-0.2) for city in told.cities)
    assert told.small_study is None or told.small_study.slope == pytest.approx(0, abs=1e-9)


def test_what_needs_spread_is_absent_where_one_city_is_all_of_it() -> None:
    found, asked = found_by(effects=(-0.2,) * 5 + (-0.5,))
    told = summarise_cities(found, asked.analysis)
    assert told is not None
    assert told.cities == ()
    assert "all effects are equal" in told.absent["cities"]


def test_one_city_and_other_estimators_have_nothing_to_say() -> None:
    found, asked = found_by(1)
    assert summarise_cities(found, asked.analysis) is None
    found, _ = found_by()
    assert summarise_cities(found, study(estimator="rate_ratio").analysis) is None


def test_it_survives_json_to_the_last_bit() -> None:
    told = across_cities(*found_by(facts=True))
    text = msgspec.json.encode(told)
    assert msgspec.json.encode(across_cities(*found_by(facts=True))) == text
    assert set(msgspec.json.decode(text)) == {
        "cities",
        "cumulative",
        "bubble",
        "small_study",
        "absent",
    }
