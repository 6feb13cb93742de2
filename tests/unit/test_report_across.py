"""The report's part about the cities together: pictures without overlaps, sentences in three languages, no surprise."""

from __future__ import annotations

import math
import re
import string
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalkit.report
from evalkit.cli.conclusion import across_cities
from evalkit.core.estimator import Question
from evalkit.core.statistics import Statistics
from evalkit.errors import ConfigError
from evalkit.estimators.random_effects import estimator
from evalkit.report import LANGUAGES, write_page
from evalkit.report.across_content import read_across
from evalkit.report.content import read_result
from evalkit.report.figures.across import pictures_of, write_across
from evalkit.report.figures.labels import AIR, Mark, place_labels
from evalkit.report.figures.refits import moderator_value
from evalkit.report.figures.scatter import round_ticks, tick_texts
from evalkit.report.languages import words
from evalkit.report.wording.across import TABLES
from tests.panels import study
from tests.unit.test_report import (
    CLAIM,
    HOSTILE,
    check_layout,
    check_page,
    check_pictures,
    make_result,
    same_bytes,
)

Result = dict[str, Any]


def make_across(cities: int = 6, seed: int = 7, *, imprecise: bool = False) -> Result:
    """A result with moderators and an order, through the functions of a run, and JSON."""
    rng = np.random.default_rng(seed)
    names = [f"city-{index:02d}-somewhere" for index in range(cities)]
    size = np.exp(rng.normal(0, 0.8, cities))
    errors = rng.uniform(0.03, 0.14, cities)
    if imprecise:
        errors[-1] = 1.2
    effects = rng.normal(-0.15 + 0.05 * size, np.sqrt(errors**2 + 0.05**2))
    asked = study(
        estimator="random_effects",
        moderators=("monitoring = active", "population"),  # type: ignore[arg-type]  # a tuple
        subgroups="monitoring = active, passive",
        cumulative_by="year",
    )
    parts = {
        (name,): {
            "effect": np.array([effects[i], errors[i] ** 2, 0.0, 0.0]),
            "moderators": np.array([float(i % 2), size[i], float(2008 + (5 * i) % 9)]),
            "subgroup": np.array([float(1 - i % 2)]),
        }
        for i, name in enumerate(names)
    }
    statistics = Statistics("random_effects", "effect", "collected", parts)
    found = estimator.finalise(statistics, Question(asked, "random_effects", "effect"))
    result = make_result(6, simulated=False) | {
        "estimate": found.to_dict(),
        "across": across_cities(found, asked),
        "claim": msgspec.to_builtins(CLAIM),
    }
    decoded: Result = msgspec.json.decode(msgspec.json.encode(result))
    return decoded


SIZES = (2, 3, 4, 6, 12, 35)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("cities", SIZES)
def test_pictures_are_drawn_without_overlaps(cities: int, language: str) -> None:
    result = make_across(cities, imprecise=cities == 35)
    around = read_across(result)
    assert around is not None
    pictures = pictures_of(read_result(result, language), around, words(language))
    expected = {"influence", "cumulative"}
    expected |= {"funnel"} if cities >= 3 else set()
    expected |= {"bubble"} if cities >= 4 else set()
    assert set(pictures) == expected
    for picture in pictures.values():
        check_layout(picture.draw())


def test_pictures_are_files_that_are_the_same_every_time(tmp_path: Path) -> None:
    result = make_across()
    paths = write_across(result, tmp_path / "one")
    assert [path.name for path in paths[::2]] == [
        "influence.svg",
        "cumulative.svg",
        "bubble.svg",
        "funnel.svg",
    ]
    for svg, png in zip(paths[::2], paths[1::2], strict=True):
        said = check_pictures([svg, png])
        assert "city-00-somewhere" in said
    assert same_bytes(paths, write_across(result, tmp_path / "two"))


def test_a_result_without_it_has_no_pictures(tmp_path: Path) -> None:
    result = make_result(6)
    assert read_across(result) is None
    assert write_across(result, tmp_path) == []
    assert write_across(make_result(6) | {"across": None}, tmp_path) == []


def test_the_cumulative_forest_keeps_the_order(tmp_path: Path) -> None:
    result = make_across()
    paths = write_across(result, tmp_path)
    said = check_pictures(paths[2:4])
    years = [int(year) for year in re.findall(r"\((\d{4})\)", said)]
    assert len(years) == 6
    assert years == sorted(years)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_what_the_pictures_show(language: str, tmp_path: Path) -> None:
    table = TABLES[language]
    page = check_page(write_page(make_across(), tmp_path, language), language)
    for key in ("influence_heading", "cumulative_heading", "funnel_heading", "funnel_weak"):
        assert table[key].replace("\u00a0", " ") in page.text
    assert table["bubble_heading"].format(moderator="population") in page.text
    assert len(page.named("svg")) == 5
    assert "city-03-somewhere" in page.text


def test_ten_cities_are_enough_for_the_small_study_test(tmp_path: Path) -> None:
    page = check_page(write_page(make_across(12), tmp_path), "en")
    assert TABLES["en"]["funnel_weak"] not in page.text
    assert "Egger's test" in page.text


def test_the_page_names_the_city_that_the_answer_hangs_on(tmp_path: Path) -> None:
    result = make_across()
    pooled = result["estimate"]["terms"][0]
    pooled.update(conf_low=-0.3, conf_high=-0.01)
    for index, row in enumerate(result["across"]["cities"]):
        row["without"].update(conf_low=-0.3, conf_high=0.02 if index == 2 else -0.02)
    page = check_page(write_page(result, tmp_path), "en")
    assert "hangs on city-02-somewhere" in page.text


def test_what_is_influential_is_marked(tmp_path: Path) -> None:
    result = make_across()
    for index, row in enumerate(result["across"]["cities"]):
        row["influential"] = index == 4
    page = check_page(write_page(result, tmp_path), "en")
    assert "city-04-somewhere *" in page.text
    assert "city-04-somewhere counts as influential: look at its data" in page.text
    result["across"]["cities"][3]["influential"] = True
    page = check_page(write_page(result, tmp_path), "en")
    assert "count as influential: look at their data" in page.text


def test_hostile_names_are_text(tmp_path: Path) -> None:
    result = make_across()
    result["across"]["cumulative"]["by"] = HOSTILE
    result["across"]["bubble"]["moderator"] = HOSTILE
    for part in (result["estimate"]["sites"][0], result["across"]["cities"][0]):
        part["site"] = HOSTILE
    result["across"]["bubble"]["sites"][0] = HOSTILE
    result["across"]["cumulative"]["sites"][0] = HOSTILE
    assert HOSTILE in check_page(write_page(result, tmp_path), "en").text


@pytest.mark.parametrize(
    "damage",
    [
        lambda across: across.pop("cities"),
        lambda across: across["cities"][0].pop("without"),
        lambda across: across["cumulative"]["sites"].pop(),
        lambda across: across["bubble"].update(sites=["nowhere"] * 6),
        lambda across: across.update(small_study={}),
    ],
)
def test_a_damaged_result_is_refused(damage: Any) -> None:
    result = make_across()
    damage(result["across"])
    with pytest.raises(ConfigError, match="together"):
        read_across(result)


def test_numbers_that_are_not_known_leave_pictures_out() -> None:
    result = make_across()
    for row in result["estimate"]["sites"]:
        row["std_error"] = None
    around = read_across(result)
    assert around is not None
    assert around.funnel is None


# ---------------------------------------------------------------- words and numbers


def test_every_language_has_the_same_words_and_places() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert tuple(TABLES) == LANGUAGES
    english = TABLES["en"]
    for table in TABLES.values():
        assert list(table) == list(english)
        for key, text in table.items():
            assert text.strip() == text != ""
            assert places(text) == places(english[key]), key
    for one, other in combinations(TABLES.values(), 2):
        assert not [key for key in one if one[key] == other[key] and one[key].count(" ") > 1]


def test_every_word_is_used() -> None:
    folder = Path(evalkit.report.__file__).parent
    source = "".join(
        (folder / name).read_text(encoding="utf-8")
        for name in (
            "across_section.py",
            "figures/refits.py",
            "figures/bubble.py",
            "figures/funnel.py",
        )
    )
    for key in TABLES["en"]:
        base = key.removesuffix("_one").removesuffix("_many")
        assert f'"{base}"' in source, key


@pytest.mark.parametrize(
    ("value", "language", "text"),
    [
        (2014.0, "en", "2014"),
        (12500.0, "en", "12,500"),
        (2.5, "es", "2,50"),
        (31.25, "en", "31.2"),
        (3.0, "pt", "3"),
    ],
)
def test_moderators_are_written_as_people_do(value: float, language: str, text: str) -> None:
    assert moderator_value(value, language) == text


def test_ticks_share_their_decimals() -> None:
    assert tick_texts([0.4, 0.6, 1.0], "en") == ["0.4", "0.6", "1.0"]
    assert tick_texts([2010.0, 2015.0], "pt") == ["2010", "2015"]
    assert tick_texts([0.0, 0.025], "es") == ["0,000", "0,025"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_inside(low: float, span: float) -> None:
    ticks = round_ticks(low, low + span)
    assert 2 <= len(ticks) <= 8
    slack = 1e-6 * max(1.0, abs(low), span)
    assert all(low - slack <= tick <= low + span + slack for tick in ticks)


@given(
    st.lists(
        st.tuples(st.floats(0, 8), st.floats(0, 4), st.floats(0.05, 0.2), st.floats(0.3, 1.5)),
        min_size=1,
        max_size=20,
    )
)
def test_names_lie_on_no_point_no_name_and_inside(found: list[tuple[float, ...]]) -> None:
    marks = [Mark(x, y, radius, width, 0.16) for x, y, radius, width in found]
    line = [(step / 10, 2.0, step / 10, 2.0) for step in range(81)]
    placed = place_labels(marks, (8.0, 4.0), lines=line)
    boxes = []
    for label, mark in zip(placed, marks, strict=True):
        if label is None:
            continue
        box = (label.left, label.middle - 0.08, label.left + mark.width, label.middle + 0.08)
        assert box[0] >= 0
        assert box[1] >= 0
        assert box[2] <= 8.0
        assert box[3] <= 4.0
        boxes.append(box)
    for one, other in combinations(boxes, 2):
        across = min(one[2], other[2]) - max(one[0], other[0])
        up = min(one[3], other[3]) - max(one[1], other[1])
        assert across < 0 or up < 0
    for box in boxes:
        for mark in marks:
            near = math.hypot(
                mark.x - min(max(mark.x, box[0]), box[2]),
                mark.y - min(max(mark.y, box[1]), box[3]),
            )
            assert near > mark.radius - AIR
