"""Figures and pages: that they are there, say what the result says, stay inside their paper, and load nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
import string
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib
import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalkit.report
from evalkit.claims.claim import Claim
from evalkit.claims.evidence import build_evidence
from evalkit.claims.verdict import judge
from evalkit.claims.wording import sentence
from evalkit.core.estimate import Estimate, SiteEffect
from evalkit.core.frames import REJECT_REASONS
from evalkit.core.panel import NEVER, Panel, Role
from evalkit.core.study import Units
from evalkit.errors import ConfigError, MissingExtraError
from evalkit.numerics.meta_analysis import pool
from evalkit.panel.balance import Balance
from evalkit.panel.diagnostics import diagnose
from evalkit.report import (
    LANGUAGES,
    before_after,
    forest,
    love_plot,
    panel_map,
    quality,
    write_page,
    write_pages,
    write_panel_page,
    write_site_page,
)
from evalkit.report.content import read_result
from evalkit.report.figures import canvas
from evalkit.report.figures.before_after import event_index
from evalkit.report.figures.forest import TICK_SPACE, draw_forest, percent_ticks
from evalkit.report.figures.quality import density
from evalkit.report.html import Markup, element, inline_svg
from evalkit.report.languages import TABLES, words
from evalkit.report.numbers import (
    bytes_size,
    decimal,
    interval,
    keep_together,
    p_value,
    percent,
    short_percent,
    whole,
)
from evalkit.report.style import STYLE

Result = dict[str, Any]

HOSTILE = "<script>alert('x')</script> \"quoted\" & <b>bold</b> $\\frac{1}{2}$ {braces}"
SVG = "{http://www.w3.org/2000/svg}"
CITIES = ("medellin", "montevideo", "chicago", "baltimore", "london_westminster", "new_orleans")
CLAIM = Claim(
    name="review",
    title="Where cameras are installed, crime falls by 13 %",
    source="A review (2019). doi:10.1000/182",
    measure="rate_ratio",
    value=0.87,
    also_printed=(0.876,),
    equivalence_margin=1.10,
    zero_margin=1.10,
    uncertainty="First doubt.\n\nSecond doubt,\nwrapped.",
    setting="public places",
)
OVERLAP_ROOM = 1.0
"""Pixels by which the boxes of two texts may touch: boxes are rounded outwards."""


def make_result(cities: int = 6, *, simulated: bool = True, imprecise: bool = False) -> Result:
    """What a run writes for invented cities, through the same functions as a run, and JSON."""
    rng = np.random.default_rng(7)
    names = (*CITIES, *(f"simulated-{number:02d}" for number in range(cities)))[:cities]
    theta = rng.normal(math.log(0.9), 0.08, cities)
    errors = rng.uniform(0.03, 0.12, cities)
    if imprecise:
        errors[-1] = 1.2
    effects = rng.normal(theta, errors)
    alone = cities == 1
    pooled = pool(
        effects,
        errors**2,
        method="fixed" if alone else "REML",
        interval="wald" if alone else "knapp_hartung",
    )
    sites = [
        SiteEffect(name, float(effect), float(error), float(weight))
        for name, effect, error, weight in zip(names, effects, errors, pooled.weights, strict=True)
    ]
    estimate = Estimate(
        estimator="random_effects",
        terms=("treated",),
        effect=np.array([pooled.effect]),
        covariance=np.array([[pooled.std_error**2]]),
        df=pooled.df,
        level=0.95,
        contributors=tuple(sorted(names)),
        sites=tuple(sorted(sites, key=lambda site: site.site)),
        details={
            name: float(getattr(pooled, name))
            for name in (
                "tau2",
                "q",
                "q_df",
                "q_p_value",
                "i2",
                "prediction_low",
                "prediction_high",
            )
        },
        notes=("a note that a reader must know",),
    )
    verdict = judge(
        build_evidence(
            pooled.effect,
            pooled.std_error,
            df=pooled.df,
            tau2=pooled.tau2,
            prediction_low=pooled.prediction_low,
            prediction_high=pooled.prediction_high,
            sites=cities,
        ),
        CLAIM,
    )
    plain = msgspec.to_builtins(verdict)
    plain["reason"] = {language: sentence(verdict, language) for language in ("en", "es", "pt")}
    result = {
        "evalkit": "0.1.0",
        "study": {"name": "demo", "title": "Cameras and crime, 2016–2022", "hash": "ab" * 32},
        "estimate": estimate.to_dict(),
        "claim": msgspec.to_builtins(CLAIM),
        "verdict": plain,
        "placebo": [],
        "truth": {
            "effect_mean": math.log(0.9),
            "effect_realised": float(theta.mean()),
            "cities": dict(zip(names, theta.tolist(), strict=True)),
        }
        if simulated
        else None,
        "files": {},
    }
    decoded: Result = msgspec.json.decode(msgspec.json.encode(result))
    return decoded


def bare_result() -> Result:
    """Nothing that may be absent is there."""
    result = make_result(3)
    result.update(claim=None, verdict=None, truth=None)
    del result["placebo"]
    result["estimate"]["details"] = dict.fromkeys(result["estimate"]["details"])
    return result


def null_result() -> Result:
    """Every number that may be null is."""
    result = bare_result()
    for row in (*result["estimate"]["terms"], *result["estimate"]["sites"]):
        row.update({name: None for name in row if name not in ("term", "site")})
    return result


def pooled_only() -> Result:
    """A one-step estimator has no city effects."""
    result = make_result(6)
    result["estimate"]["sites"] = []
    return result


def with_placebo() -> Result:
    result = make_result(6)
    result["placebo"] = ["baltimore", "new_orleans"]
    return result


RESULTS = {
    "one": lambda: make_result(1, simulated=False),
    "two": lambda: make_result(2),
    "six": make_result,
    "thirty-five": lambda: make_result(35, imprecise=True),
    "bare": bare_result,
    "null": null_result,
    "pooled only": pooled_only,
    "placebo": with_placebo,
}


def svg_words(path: Path) -> str:
    """All text of an SVG, which must be XML. No-break spaces become plain ones."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    lines = ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]
    return "\n".join(lines).replace("\u00a0", " ")


def check_pictures(paths: list[Path]) -> str:
    """An SVG that is XML and a PNG that is one; returns the words."""
    assert [path.suffix for path in paths] == [".svg", ".png"]
    assert paths[1].read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return svg_words(paths[0])


def same_bytes(first: list[Path], second: list[Path]) -> bool:
    return [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def boxes(figure: Any) -> Iterator[tuple[str, Any]]:
    """Every visible text of a figure with its box in pixels."""
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [*axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels()]
    for text in texts:
        if text.get_text():
            yield text.get_text(), text.get_window_extent(renderer)


def check_layout(figure: Any) -> None:
    """No text leaves the paper, none lies on another."""
    found = list(boxes(figure))
    assert found
    paper = figure.bbox
    for text, box in found:
        inside = 0 <= box.x0 <= box.x1 <= paper.width and 0 <= box.y0 <= box.y1 <= paper.height
        assert inside, text
    for (one, first), (other, second) in combinations(found, 2):
        across = min(first.x1, second.x1) - max(first.x0, second.x0)
        up = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert across <= OVERLAP_ROOM or up <= OVERLAP_ROOM, (one, other)


class Page(HTMLParser):
    """Collects a page's tags, attributes and text, and insists that tags are closed."""

    VOID = frozenset({"meta", "link", "br", "hr", "img", "col"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag]
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data.replace("\u00a0", " ")

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def check_page(path: Path, language: str) -> Page:
    """Closed tags, the right language, unique ids, nothing loaded from anywhere."""
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.named("html") == [{"lang": language}]
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "link", "b"}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in {"src", "href", "xlink:href", "action", "poster"} and value:
                assert value.startswith(("#", "data:image/", "report.", "check.")), (tag, value)
    assert not re.search(r"url\((?!#)|@import|https?://", text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'url\(#([^)]*)\)|href="#([^"]*)"', text))
    assert {one or other for one, other in references} <= set(ids)
    for image in (*page.named("img"), *page.named("svg")):
        assert image.get("alt") or image.get("aria-label")
    return page


# ---------------------------------------------------------------- numbers and words


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(-12.44), "−12.4 %"),
        (percent(6.05, "es", digits=2), "+6,05 %"),
        (percent(-0.04), "0.0 %"),
        (percent(12.3, signed=False), "12.3 %"),
        (percent(None), "–"),
        (percent(math.nan), "–"),
        (percent(math.inf), "–"),
        (percent(1556.5, "pt"), "+1.556,5 %"),
        (percent(1556.5, "en"), "+1,556.5 %"),
        (short_percent(-13.0), "−13 %"),
        (short_percent(-12.36), "−12.4 %"),
        (interval(-21.0, 6.1), "[−21.0 %, +6.1 %]"),
        (interval(-21.0, 6.1, "pt"), "[−21,0 %; +6,1 %]"),
        (interval(-21.0, 6.1, unit=False), "[−21.0, +6.1]"),
        (interval(None, 6.1), "–"),
        (decimal(0.8700, "es", digits=2), "0,87"),
        (whole(61234, "es"), "61 234"),
        (whole(61234, "en"), "61,234"),
        (p_value(0.00004), "< 0.001"),
        (p_value(0.0204, "pt", relation=True), "= 0,020"),
        (p_value(None), "–"),
        (bytes_size(612), "612 B"),
        (bytes_size(12_345, "es"), "12,3 kB"),
        (bytes_size(2_500_000), "2.5 MB"),
    ],
)
def test_numbers_are_written_as_people_read_them(written: str, expected: str) -> None:
    assert written.replace("\u00a0", " ") == expected


def test_a_number_and_its_unit_stay_on_one_line() -> None:
    assert " " not in percent(-12.4) + interval(-21.0, 6.1) + bytes_size(612)
    assert keep_together("the 95 % interval [−21 %, +6 %] and") == (
        "the 95\u00a0% interval [−21\u00a0%,\u00a0+6\u00a0%] and"
    )


def test_every_language_has_the_same_words_and_places() -> None:
    assert tuple(TABLES) == LANGUAGES == ("en", "es", "pt")

    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    english = TABLES["en"]
    for language, table in TABLES.items():
        assert list(table) == list(english), language
        for key, text in table.items():
            assert text.strip() == text != "", (language, key)
            assert places(text) == places(english[key]), (language, key)
    for key in english:
        if key.endswith("_many"):
            assert f"{key.removesuffix('_many')}_one" in english


def test_languages_are_not_copies_of_each_other() -> None:
    for one, other in combinations(TABLES.values(), 2):
        # "{count} unidades" and single words may well be the same.
        equal = {key for key in one if one[key] == other[key] and one[key].count(" ") > 1}
        assert equal == set()


def test_every_word_is_used() -> None:
    folder = Path(evalkit.report.__file__).parent
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
        if path.name != "languages.py"
    )
    # Outcomes and roles come from data; a source's name is put together.
    from_data = {"treated", "supported", "contradicted", "undecided"}
    built = {
        f"{name}_{part}" for name in ("incidents", "cameras") for part in ("heading", "by_month")
    }
    built |= {f"balance_{covariate}" for covariate in ("level", "trend", "x", "y")}
    for key in set(TABLES["en"]) - from_data - built:
        base = re.sub("_(one|many)$", "", key)
        assert re.search(rf"""["']({key}|{base})["']""", source), key


def test_counts_choose_singular_and_plural() -> None:
    assert words("es").count("cities", 1) == "1 ciudad"
    assert words("es").count("cities", 1200) == "1\u00a0200 ciudades"
    assert words("en").count("cities", 0) == "0 cities"


def test_places_are_filled_once() -> None:
    assert words("en")("data_title", title="{title} {0}") == "Data account: {title} {0}"


@pytest.mark.parametrize("call", [lambda: words("fr"), lambda: percent(1.0, "fr")])
def test_an_unknown_language_is_refused(call: Any) -> None:
    with pytest.raises(ConfigError, match="unknown language"):
        call()


# ---------------------------------------------------------------- forest


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_forest_is_drawn_without_overlaps(name: str, language: str) -> None:
    content = read_result(RESULTS[name](), language)
    for headline in (True, False):
        check_layout(draw_forest(content, words(language), headline=headline))


@pytest.mark.parametrize("name", RESULTS)
def test_forest_names_every_city_and_is_the_same_every_time(name: str, tmp_path: Path) -> None:
    result = RESULTS[name]()
    paths = forest(result, tmp_path / "one" / "forest")
    said = check_pictures(paths)
    for site in result["estimate"]["sites"]:
        assert site["site"] in said
    assert paths[0].name == "forest.svg"
    assert same_bytes(paths, forest(result, tmp_path / "two" / "forest"))


def test_forest_says_verdict_effect_claim_and_prediction(tmp_path: Path) -> None:
    result = make_result(6)
    said = check_pictures(forest(result, tmp_path / "forest"))
    opening, _, reason = result["verdict"]["reason"]["en"].partition(": ")
    assert opening in said
    assert reason.split(" interval")[0].removeprefix("the ") in said
    term = result["estimate"]["terms"][0]
    ends = interval(term["percent_low"], term["percent_high"], unit=False).replace("\u00a0", " ")
    assert f"{decimal(term['percent'], signed=True)} {ends}" in said
    for expected in (
        "claim −13 %",
        "no effect",
        "All cities together",
        "A further city",
        "I²",
        "true",
    ):
        assert expected in said


def test_forest_speaks_the_language_asked_for(tmp_path: Path) -> None:
    result = with_placebo()
    said = check_pictures(forest(result, tmp_path / "forest", "es"))
    assert result["verdict"]["reason"]["es"].partition(": ")[0] in said
    for expected in ("Ciudad", "Todas las ciudades", "afirmación −13 %", "Un placebo. Las cámaras"):
        assert expected in said
    assert not re.search(r"\d\.\d", said)


def test_one_city_is_drawn_once_with_the_interval_of_the_verdict(tmp_path: Path) -> None:
    result = make_result(1, simulated=False)
    result["estimate"]["terms"][0].update(conf_low=math.log(0.5), conf_high=math.log(2.0))
    said = check_pictures(forest(result, tmp_path / "forest"))
    assert said.count("medellin") == 1
    assert "[−50.0, +100.0]" in said
    assert "All cities" not in said


def test_an_imprecise_city_does_not_squeeze_the_others() -> None:
    def width(result: Result) -> float:
        figure = draw_forest(read_result(result, "en"), words("en"))
        low, high = figure.axes[0].get_xlim()
        return float(high - low)

    result = make_result(35, imprecise=True)
    widest = max(site["conf_high"] - site["conf_low"] for site in result["estimate"]["sites"])
    assert width(result) < widest / 2


def test_every_effect_is_inside_the_axis_unless_its_city_is_imprecise() -> None:
    result = make_result(6)
    low, high = draw_forest(read_result(result, "en"), words("en")).axes[0].get_xlim()
    for row in (*result["estimate"]["terms"], *result["estimate"]["sites"]):
        assert low < row["conf_low"] < row["conf_high"] < high


@given(
    low=st.floats(-4, 0.5),
    span=st.floats(0.02, 8),
    inches=st.floats(2, 6),
)
def test_ticks_are_ordered_apart_and_inside(low: float, span: float, inches: float) -> None:
    low, high = min(low, 0.0), max(low + span, 0.01)
    ticks = percent_ticks(low, high, inches)
    assert 0 in ticks
    places = [math.log1p(tick / 100) for tick in ticks]
    assert all(low - 1e-9 <= place <= high + 1e-9 for place in places)
    scale = inches / (high - low)
    # Half a hair for sums of floats.
    assert all((b - a) * scale >= TICK_SPACE - 1e-9 for a, b in pairwise(places))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("value", [0.2, 0.5, 0.88, 0.97, 1.03, 1.6, 6.0])
@pytest.mark.parametrize("cities", [1, 6])
def test_labels_of_claim_and_no_effect_never_meet(value: float, cities: int, language: str) -> None:
    result = make_result(cities)
    result["claim"].update(value=value, equivalence_margin=1.02)
    check_layout(draw_forest(read_result(result, language), words(language)))


def test_forest_reads_a_verdict_without_a_colon_and_a_missing_language() -> None:
    result = make_result(2)
    result["verdict"]["reason"] = {"en": "no colon here"}
    content = read_result(result, "pt")
    assert (content.headline, content.reason) == ("", "no colon here")
    check_layout(draw_forest(content, words("pt")))


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"study": {}, "estimate": {}},
        {"study": {"name": "x"}, "estimate": {"terms": [], "estimator": "x", "level": 0.95}},
        {**make_result(2), "verdict": {"outcome": "certain"}},
        {**make_result(2), "claim": {"value": -1.0}},
        {**make_result(2), "claim": {}},
    ],
)
def test_what_is_no_result_is_refused(broken: Result, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not one that a run wrote"):
        forest(broken, tmp_path / "forest")


def test_a_name_too_long_is_shortened_and_markup_is_not_interpreted(tmp_path: Path) -> None:
    result = make_result(3)
    result["study"]["title"] = HOSTILE
    result["estimate"]["sites"][0]["site"] = "x" * 80
    result["estimate"]["sites"][1]["site"] = "a$b$c"
    check_layout(draw_forest(read_result(result, "en"), words("en")))
    said = check_pictures(forest(result, tmp_path / "forest"))
    assert "a$b$c" in said
    assert "x…" in said
    assert "<script>alert('x')</script>" in said


def test_drawing_in_threads_gives_the_same_bytes_and_leaves_settings_alone(tmp_path: Path) -> None:
    result = make_result(6)
    expected = forest(result, tmp_path / "alone")
    settings = dict(matplotlib.rcParams)
    with ThreadPoolExecutor(max_workers=4) as threads:
        drawn = list(threads.map(lambda n: forest(result, tmp_path / f"{n}"), range(8)))
    assert all(same_bytes(paths, expected) for paths in drawn)
    assert dict(matplotlib.rcParams) == settings


def test_an_svg_falls_back_on_a_font_without_serifs(tmp_path: Path) -> None:
    svg = forest(make_result(2), tmp_path / "forest")[0].read_text(encoding="utf-8")
    families = re.findall(r"'DejaVu Sans'[^;\"]*", svg)
    assert families
    assert all(family.endswith("sans-serif") for family in families)


def test_without_matplotlib_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'evalkit\[figures\]'"):
        forest(make_result(2), tmp_path / "forest")


def test_importing_the_package_does_not_import_matplotlib() -> None:
    code = "import sys, evalkit.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be written"):
        forest(make_result(2), tmp_path / "file" / "forest")


# ---------------------------------------------------------------- maps and series


def city_units() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    roles = (
        ["treated"] * 30
        + ["always", "undated", "set_apart"] * 3
        + ["ring"] * 39
        + ["control"] * 200
    )
    dates = [dt.date(2017, 1, 1) + dt.timedelta(days=30 * n) for n in range(30)]
    sites = rng.uniform(-3000, 3000, (39, 2))
    xy = np.concatenate([sites, sites, rng.uniform(-4000, 4000, (200, 2))])
    return pl.DataFrame(
        {
            "unit": [f"unit {number}" for number in range(len(roles))],
            "role": roles,
            "first_live": [*dates, *([None] * (len(roles) - 30))],
            "x": xy[:, 0],
            "y": xy[:, 1],
        },
        schema_overrides={"first_live": pl.Date},
    )


@pytest.mark.parametrize(
    "zones",
    [None, Units(kind="catchment"), Units(kind="grid"), Units(kind="area")],
    ids=["none", "catchment", "grid", "area"],
)
def test_the_map_counts_every_role(zones: Units | None, tmp_path: Path) -> None:
    units = city_units()
    cameras = units.filter(pl.col("role") == "treated").select("x", "y")
    paths = panel_map(units, "A city", tmp_path / "map", zones=zones, cameras=cameras)
    said = check_pictures(paths)
    for expected in (
        "A city",
        "278 units",
        "treated",
        "ring, set apart",
        "2017-01",
        "2019-05",
        "1 km",
    ):
        assert expected in said
    again = panel_map(units, "A city", tmp_path / "again", zones=zones, cameras=cameras)
    assert same_bytes(paths, again)


def test_the_map_survives_one_unit_many_units_and_no_places(tmp_path: Path) -> None:
    units = city_units()
    check_pictures(panel_map(units.head(1), "One", tmp_path / "one", language="pt"))
    many = pl.concat([units.filter(pl.col("role") == "control")] * 20)
    paths = panel_map(many, "Many", tmp_path / "many", zones=Units(kind="grid"))
    check_pictures(paths)
    # Thousands of outlines would be megabytes; a picture inside the SVG is not.
    assert "<image" in paths[0].read_text(encoding="utf-8")
    nowhere = units.with_columns(x=pl.lit(None, pl.Float64), y=pl.lit(None, pl.Float64))
    assert "no coordinates" in check_pictures(panel_map(nowhere, "None", tmp_path / "none"))


def city_panel(*, controls: int = 40, ratio: float = 0.5) -> Panel:
    """Twenty treated units with 8 incidents before and 8 × ratio after, controls with 4 throughout."""
    treated, periods = 20, 36
    live = np.where(np.arange(treated) % 2, 12, 18)
    first = np.concatenate([live, np.full(controls, NEVER)]).astype(np.int64)
    after = (first[:, None] != NEVER) & (np.arange(periods) > first[:, None])
    level = np.where(np.arange(treated + controls) < treated, 8, 4)[:, None]
    counts = np.where(after, level * ratio, level)[None].astype(np.int64)
    role = np.where(first == NEVER, Role.CONTROL, Role.TREATED).astype(np.int64)
    return Panel(
        sites=("city",),
        crime_types=("robbery",),
        periods=tuple(dt.date(2018 + n // 12, n % 12 + 1, 1) for n in range(periods)),
        unit_ids=np.array([f"u{n}" for n in range(treated + controls)]),
        site_of_unit=np.zeros(treated + controls, dtype=np.int64),
        role=role,
        first_live=first,
        last_live=first.copy(),
        counts=counts,
        exposure=np.ones(counts.shape[1:]),
    )


def test_the_index_is_one_hundred_before_and_the_effect_after() -> None:
    index = event_index(diagnose(city_panel(ratio=0.5), {}).event_time)
    assert index is not None
    np.testing.assert_allclose(index.index[index.event_time < 0], 100.0)
    np.testing.assert_allclose(index.index[index.event_time > 0], 50.0)
    np.testing.assert_allclose(index.after, 50.0)


def test_before_and_after_are_drawn(tmp_path: Path) -> None:
    diagnostics = diagnose(city_panel(), {})
    paths = before_after(diagnostics, "A city", tmp_path / "one")
    said = check_pictures(paths)
    for expected in ("A city", "treated", "control", "after 50", "(−50 %)", "2019", "+12"):
        assert expected in said
    assert same_bytes(paths, before_after(diagnostics, "A city", tmp_path / "two"))
    assert "después 50" in check_pictures(
        before_after(diagnostics, "A city", tmp_path / "es", language="es")
    )


def test_before_and_after_without_controls_says_so(tmp_path: Path) -> None:
    diagnostics = diagnose(city_panel(controls=0), {})
    said = check_pictures(before_after(diagnostics, "A city", tmp_path / "none"))
    assert "no treated and control units" in said


BALANCE = (
    Balance("level", 3.3, 1.7, 2.24, 1.59, 2.6, 2.5, 0.16, 1.82),
    Balance("trend", -0.15, 0.0, -0.28, None, -0.14, -0.16, 0.05, None),
    Balance("x", -1200.0, 800.0, -0.02, 1.0, 0.0, 0.0, -0.03, 1.0),
    Balance("y", 1.0, 1.0, None, None, 1.0, 1.0, None, None),
)
MATCHED = {
    "treated units with a match": 60,
    "treated units without a match": 5,
    "matched controls": 118,
    "controls not taken by the matching": 1240,
}
UNMATCHED = tuple(Balance(one.covariate, 1.0, 0.0, 0.4, 1.0, *[None] * 4) for one in BALANCE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_love_plot_says_how_many_were_matched_and_how_far_apart_they_were(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    saved = canvas.png_and_svg

    def keep(figure: Any, stem: Path, title: str) -> list[Path]:
        figures.append(figure)
        return saved(figure, stem, title)

    monkeypatch.setattr(canvas, "png_and_svg", keep)
    paths = love_plot(BALANCE, MATCHED, "A city", tmp_path / "one", language=language)
    said = check_pictures(paths)
    for number in ("60", "65", "118", decimal(2.24, language, signed=True, digits=2)):
        assert number in said
    assert "→" in said
    assert same_bytes(
        paths, love_plot(BALANCE, MATCHED, "A city", tmp_path / "two", language=language)
    )
    plain = check_pictures(love_plot(UNMATCHED, {}, "A city", tmp_path / "none", language=language))
    assert "→" not in plain
    assert words(language)("balance_unmatched") in plain
    for figure in figures:
        check_layout(figure)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_a_panel_shows_balance_notes_and_pictures(
    language: str, tmp_path: Path
) -> None:
    pictures = love_plot(BALANCE, MATCHED, "A city", tmp_path / "balance")
    path = write_panel_page(
        "A <city>",
        "A study",
        tmp_path,
        account={"incidents": 1234},
        balance=BALANCE,
        notes=["a <note>"],
        pictures=pictures,
        language=language,
    )
    page = check_page(path, language)
    for expected in ("A <city>", "A study", "a <note>", decimal(0.16, language, digits=2)):
        assert expected in page.text
    assert len(page.named("img")) == 1
    assert len(page.named("table")) == 2
    bare = write_panel_page("A", "B", tmp_path, account={}, balance=(), notes=())
    assert len(check_page(bare, "en").named("table")) == 1


BOUNDS = (-56.25, -34.93, -56.0, -34.80)


def city_rows(rows: int = 400) -> pl.DataFrame:
    rng = np.random.default_rng(2)
    days = rng.integers(0, 700, rows)
    frame = pl.DataFrame(
        {
            "date": [dt.date(2019, 1, 1) + dt.timedelta(days=int(day)) for day in days],
            "longitude": rng.uniform(BOUNDS[0], BOUNDS[2], rows),
            "latitude": rng.uniform(BOUNDS[1], BOUNDS[3], rows),
        }
    )
    gap = (pl.col("date") >= dt.date(2019, 6, 1)) & (pl.col("date") < dt.date(2019, 7, 1))
    return frame.filter(~gap)


def test_quality_shows_density_cameras_and_the_missing_month(tmp_path: Path) -> None:
    rows = city_rows()
    paths = quality(rows, rows.head(9), BOUNDS, "A city", tmp_path / "one")
    said = check_pictures(paths)
    for expected in (
        "Incidents per square of 200 m",
        "cameras",
        "month without an incident",
        "2020",
    ):
        assert expected in said
    assert same_bytes(paths, quality(rows, rows.head(9), BOUNDS, "A city", tmp_path / "two"))


def test_quality_counts_what_rows_stand_for_and_years_of_yearly_data(tmp_path: Path) -> None:
    rows = pl.DataFrame(
        {
            "date": [dt.date(year, 1, 1) for year in (2015, 2016, 2018)],
            "longitude": [BOUNDS[0] + 0.01] * 3,
            "latitude": [BOUNDS[1] + 0.01] * 3,
            "count": [4000, 5000, 6000],
        }
    )
    said = check_pictures(quality(rows, rows, BOUNDS, "A city", tmp_path / "one"))
    for expected in ("Incidents by year", "year without an incident", "2017", "4,000", "15,000"):
        assert expected in said
    assert "Incidents by month" not in said


def test_quality_survives_rows_without_places_or_dates(tmp_path: Path) -> None:
    nowhere = city_rows().with_columns(
        longitude=pl.lit(None, pl.Float64), latitude=pl.lit(None, pl.Float64)
    )
    said = check_pictures(quality(nowhere, nowhere, BOUNDS, "A city", tmp_path / "one"))
    assert "No incident has coordinates" in said
    empty = check_pictures(quality(nowhere.clear(), nowhere.clear(), BOUNDS, "x", tmp_path / "two"))
    assert "Incidents by month" not in empty


def test_density_counts_every_row_once() -> None:
    rng = np.random.default_rng(3)
    xy = rng.uniform(-1000, 1000, (5000, 2))
    counts = density(xy, (-1000.0, 1000.0, -1000.0, 1000.0), 130.0)
    assert counts.sum() == 5000
    assert density(xy, (-1000.0, 0.0, -1000.0, 0.0), 125.0).sum() == (xy < 0).all(axis=1).sum()


@pytest.mark.parametrize("language", LANGUAGES)
def test_maps_and_series_have_no_overlaps(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    saved = canvas.png_and_svg

    def keep(figure: Any, stem: Path, title: str) -> list[Path]:
        figures.append(figure)
        return saved(figure, stem, title)

    monkeypatch.setattr(canvas, "png_and_svg", keep)
    units, rows = city_units(), city_rows()
    stem = tmp_path / "figure"
    panel_map(units, "City", stem, zones=Units(kind="catchment"), cameras=units, language=language)
    before_after(diagnose(city_panel(), {}), "City", stem, language=language)
    quality(rows, rows.head(9), BOUNDS, "City", stem, language=language)
    assert len(figures) == 3
    for figure in figures:
        check_layout(figure)


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_load_nothing_and_say_what_the_result_says(
    name: str, language: str, tmp_path: Path
) -> None:
    result = RESULTS[name]()
    path = write_page(result, tmp_path / "run", language)
    assert path.name == ("report.html" if language == "en" else f"report.{language}.html")
    page = check_page(path, language)
    for expected in ("Cameras and crime, 2016–2022", "evalkit review verify run", "ab" * 32):
        assert expected in page.text
    for site in result["estimate"]["contributors"]:
        assert site in page.text or name == "pooled only"
    if result["verdict"]:
        _, _, reason = result["verdict"]["reason"][language].partition(": ")
        assert reason[1:] in page.text
    assert path.read_bytes() == write_page(result, tmp_path / "run", language).read_bytes()


def test_a_page_names_effect_claim_tests_truth_and_notes(tmp_path: Path) -> None:
    result = with_placebo()
    text = check_page(write_page(result, tmp_path), "en").text
    term = result["estimate"]["terms"][0]
    ends = interval(term["percent_low"], term["percent_high"]).replace("\u00a0", " ")
    for expected in (
        percent(term["percent"]).replace("\u00a0", " "),
        ends,
        "A placebo. The cameras of baltimore, new_orleans",
        "a rate ratio of 0.87",
        "anything from −20.9 % to −4.3 %",
        "also prints −12.4 %",
        CLAIM.title,
        CLAIM.source,
        "First doubt.",
        "Second doubt, wrapped.",
        "I² = ",
        "prediction interval",
        "Bayes factor",
        "These cities are simulated",
        "A note that a reader must know",
    ):
        assert expected in text


def test_a_page_without_verdict_says_that_none_was_tested(tmp_path: Path) -> None:
    text = check_page(write_page(bare_result(), tmp_path), "en").text
    assert "No claim was tested" in text
    assert "no prediction for a further city" in text
    assert "What the claim says" not in text


def test_further_effects_have_their_table(tmp_path: Path) -> None:
    result = make_result(2)
    result["estimate"]["terms"].append({**result["estimate"]["terms"][0], "term": "period +1"})
    assert "period +1" in check_page(write_page(result, tmp_path), "en").text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    result = with_placebo()
    result["study"] = dict.fromkeys(("name", "title", "hash"), HOSTILE)
    result["evalkit"] = HOSTILE
    result["placebo"] = [HOSTILE]
    result["estimate"].update(estimator=HOSTILE, contributors=[HOSTILE], notes=[HOSTILE])
    result["estimate"]["terms"].append({**result["estimate"]["terms"][0], "term": HOSTILE})
    result["estimate"]["sites"][0]["site"] = HOSTILE
    result["claim"].update(
        title=HOSTILE, source=HOSTILE, uncertainty=HOSTILE, setting=HOSTILE, crime_types=[HOSTILE]
    )
    result["verdict"]["reason"] = dict.fromkeys(LANGUAGES, f"{HOSTILE}: {HOSTILE}")
    run = tmp_path / 'a "folder" <i>'
    run.mkdir()
    (run / "versions.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    page = check_page(write_page(result, run), "en")
    assert page.text.count(HOSTILE) >= 12
    assert 'verify a "folder" <i>' in page.text


def test_pages_in_all_languages_link_to_each_other(tmp_path: Path) -> None:
    paths = write_pages(make_result(2), tmp_path)
    assert [path.name for path in paths] == ["report.html", "report.es.html", "report.pt.html"]
    for path, language in zip(paths, LANGUAGES, strict=True):
        page = check_page(path, language)
        links = {link["href"] for link in page.named("a")}
        assert links == {other.name for other in paths} - {path.name}


def write_run(folder: Path, names: list[str]) -> None:
    (folder / "releases").mkdir(parents=True)
    hashes = {}
    for name in names:
        content = name.encode() * 10
        (folder / "releases" / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    (folder / "releases.json").write_text(json.dumps(hashes))


def test_what_left_the_cities_is_counted_by_city(tmp_path: Path) -> None:
    result = make_result(2)
    names = [f"{n:03d}-score-{city}.release" for n in range(3) for city in CITIES[:2]]
    write_run(tmp_path, names)
    text = check_page(write_page(result, tmp_path), "en").text
    total = sum(len(name) * 10 for name in names)
    assert f"6 releases, {bytes_size(total)} together".replace("\u00a0", " ") in text
    size = sum(len(name) * 10 for name in names if "medellin" in name)
    assert f"medellin3{bytes_size(size)}".replace("\u00a0", " ") in text


def test_a_city_whose_name_ends_like_another_is_told_apart(tmp_path: Path) -> None:
    result = make_result(2)
    result["estimate"]["contributors"] = ["york", "new-york"]
    write_run(tmp_path, ["000-effect-york.release", "000-effect-new-york.release"])
    text = check_page(write_page(result, tmp_path), "en").text
    assert "york1230 B" in text
    assert "new-york1270 B" in text


def test_a_listing_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_run(run, ["000-effect-medellin.release"])
    (tmp_path / "secret.release").write_bytes(b"x" * 5000)
    listing = json.loads((run / "releases.json").read_text())
    listing |= {"../../secret.release": "0", "gone.release": "0"}
    (run / "releases.json").write_text(json.dumps(listing))
    text = check_page(write_page(make_result(2), run), "en").text
    assert "1 release," in text
    assert "2 listed releases are not in the folder" in text
    assert "5.0 kB" not in text


def test_a_damaged_listing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "releases.json").write_text("{")
    with pytest.raises(ConfigError, match=r"releases\.json cannot be read"):
        write_page(make_result(2), tmp_path)
    (tmp_path / "releases.json").write_text("[]")
    with pytest.raises(ConfigError, match="damaged"):
        write_page(make_result(2), tmp_path)


def test_every_colour_of_a_picture_has_a_dark_counterpart(tmp_path: Path) -> None:
    text = write_page(make_result(6), tmp_path).read_text(encoding="utf-8")
    picture = text[text.index("<svg") : text.index("</svg>")]
    variables = set(re.findall(r"var\((--[a-z]+)", picture))
    assert {"--ink", "--paper", "--blue", "--orange"} <= variables
    assert not re.search(r"[:\s]#[0-9a-f]{6}", re.sub(r"var\([^)]*\)", "", picture))
    dark = STYLE.split("prefers-color-scheme: dark")[1].split("}\n}")[0]
    assert all(f"{variable}:" in dark for variable in variables - {"--font"})


def test_elements_escape_by_construction() -> None:
    made = element("p", "<i>", Markup("<b>x</b>"), None, title='"<>&')
    assert made == '<p title="&quot;&lt;&gt;&amp;">&lt;i&gt;<b>x</b></p>'


def test_ids_of_inlined_pictures_do_not_meet() -> None:
    svg = (
        '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt">'
        '<path id="a" clip-path="url(#a)" style="fill: #1c2b36"/><use xlink:href="#a"/></svg>'
    )
    made = inline_svg(svg, prefix="p", label='"', colours={"#1c2b36": "--ink"})
    assert 'id="p-a"' in made
    assert 'clip-path="url(#p-a)"' in made
    assert 'href="#p-a"' in made
    assert "fill: var(--ink, #1c2b36)" in made
    assert 'aria-label="&quot;"' in made
    assert "http" not in made
    assert "width" not in made


# ---------------------------------------------------------------- a city's data account


def make_check() -> dict[str, Any]:
    months = [[f"2019-{month:02d}", 0 if month == 4 else 1000 + month] for month in range(1, 12)]
    return {
        "site": "montevideo",
        "title": "Montevideo",
        "incidents": {
            "read": 61_234,
            "used": 58_000,
            "rejected": {"missing_date": 1234, "duplicate": 2000, "zero_coordinates": 0},
            "first": "2019-01-01",
            "last": "2019-11-30",
            "by_month": months,
            "notes": ["the time column is empty"],
        },
        "cameras": {
            "read": 3,
            "used": 3,
            "rejected": {},
            "first": None,
            "last": None,
            "by_month": [[dt.date(2019, 1, 1), 1], [dt.date(2019, 3, 1), 2]],
            "notes": [],
        },
        "descriptions": dict(REJECT_REASONS),
    }


def test_the_account_adds_up_on_the_page(tmp_path: Path) -> None:
    path = write_site_page(make_check(), tmp_path)
    assert path.name == "check.html"
    page = check_page(path, "en")
    for expected in (
        "Data account: Montevideo",
        "61,234 read = 58,000 used + 3,234 left out.",
        "missing_date",
        REJECT_REASONS["missing_date"],
        "2.02 %",
        "From 2019-01-01 to 2019-11-30.",
        "the time column is empty",
        "3 read = 3 used + 0 left out.",
        "No date is known.",
        "No row was left out.",
    ):
        assert expected in page.text
    assert "zero_coordinates" not in page.text
    # One month without incidents stands out; one without a new camera does not.
    assert [mark.get("class") for mark in page.named("strong")].count("empty") == 1


def test_an_account_that_does_not_add_up_says_so(tmp_path: Path) -> None:
    check = make_check()
    check["incidents"]["used"] -= 1
    assert "do not add up" in check_page(write_site_page(check, tmp_path), "en").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_site_page_speaks_every_language(language: str, tmp_path: Path) -> None:
    check_page(write_site_page(make_check(), tmp_path, language=language), language)


def test_a_site_page_shows_pictures_and_needs_no_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = city_rows()
    pictures = quality(rows, rows.head(3), BOUNDS, "Montevideo", tmp_path / "map")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    page = check_page(write_site_page(make_check(), tmp_path, pictures=pictures), "en")
    kinds = [str(image["src"]).partition(";")[0] for image in page.named("img")]
    assert kinds == ["data:image/svg+xml", "data:image/png"]


def test_hostile_text_stays_text_on_a_site_page(tmp_path: Path) -> None:
    check = make_check()
    check.update(site=HOSTILE, title=HOSTILE, descriptions={HOSTILE: HOSTILE})
    check["incidents"].update(
        rejected={HOSTILE: 3234}, first=HOSTILE, last=HOSTILE, notes=[HOSTILE]
    )
    page = check_page(write_site_page(check, tmp_path), "en")
    assert page.text.count(HOSTILE) >= 7


@pytest.mark.parametrize(
    "check",
    [
        {},
        {"site": "x", "incidents": {"read": 1}},
        {**make_check(), "incidents": {**make_check()["incidents"], "by_month": [["never", 1]]}},
    ],
)
def test_what_is_no_account_is_refused(check: dict[str, Any], tmp_path: Path) -> None:
    if check:
        with pytest.raises(ConfigError, match="not one that"):
            write_site_page(check, tmp_path)
    else:
        with pytest.raises(ConfigError):
            write_site_page(check, tmp_path)


def test_pictures_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "map.txt").write_text("x")
    with pytest.raises(ConfigError, match="unknown kind"):
        write_site_page(make_check(), tmp_path, pictures=[tmp_path / "map.txt"])
    with pytest.raises(ConfigError, match="cannot be read"):
        write_site_page(make_check(), tmp_path, pictures=[tmp_path / "absent.svg"])
