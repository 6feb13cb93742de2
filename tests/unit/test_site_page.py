"""The page and the terminal lines of a city's data check: complete, in three languages, safe and short."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pytest

import evalkit.report
from evalkit.cli.site_check import summary
from evalkit.core.frames import REJECT_REASONS
from evalkit.errors import ConfigError
from evalkit.report import LANGUAGES, site_page_name, write_site_page
from evalkit.report.check_words import CHECK_TABLES, check_words
from evalkit.report.findings import by_status, figure_text, say_finding
from evalkit.report.site_figures import LISTED, SAMPLE, figures_of

LOOK = {
    "check": "midnight",
    "status": "look",
    "case": "midnight",
    "figures": {"observed_share": 0.043, "expected_share": 1 / 1440, "rows": 1000},
}
FINE = {
    "check": "undated",
    "status": "fine",
    "case": "undated",
    "figures": {"cameras": 1200, "undated": 2, "undated_share": 2 / 1200},
}
UNKNOWN = {"check": "weekday", "status": "unknown", "case": "unknown_coarse_dates", "figures": {}}


def make_check(*findings: Any, **more: Any) -> dict[str, Any]:
    source = {
        "read": 100,
        "used": 90,
        "rejected": {"missing_date": 6, "duplicate": 4},
        "first": "2019-01-01",
        "last": "2021-12-31",
        "number": 90,
        "by_month": [["2019-01-01", 50], ["2021-12-01", 40]],
        "crime_types": {},
        "notes": ["a note"],
    }
    types = {f"type {number}": 100 - number for number in range(30)}
    return {
        "site": "x",
        "title": "City X",
        "descriptions": dict(REJECT_REASONS),
        "incidents": {**source, "crime_types": types},
        "cameras": source,
        "findings": list(findings or (LOOK, FINE, UNKNOWN)),
        "heaping": [
            {
                "check": "midnight",
                "rows": 1000,
                "observed": 0.043,
                "expected": 1 / 1440,
                "z": 51.2,
                "status": "look",
            }
        ],
        "places": [
            {
                "year": year,
                "rows": 500,
                "lost": 5,
                "lost_share": 5 / 505,
                "distinct": 333.3,
                "east": 12.0,
                "north": -34.0,
                "spread": 900.0,
            }
            for year in (2019, 2020)
        ],
        "points": {},
        "overlap": {
            "first": "2019-01-01",
            "last": "2021-12-31",
            "before": 5,
            "testable": 61,
            "edge": 7,
            "after": 8,
            "undated": 9,
        },
        "zones": {
            "study": "my-study",
            "given": True,
            "number": {"treated": 77, "control": 88, "outside": 99, "ring": 11},
            "total": 275,
        },
        "sudden": [{"period": "2020-05-01", "number": 12, "usual": 50.0}],
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        "resolution": "day",
        **more,
    }


def page_text(path: Path) -> str:
    whole = path.read_text(encoding="utf-8")
    assert not re.search(r"<script|https?://|url\(|@import", whole)
    body = re.sub(r"<[^>]+>", " ", whole.split("<body>")[1])
    return html.unescape(re.sub(r"[ \n]+", " ", body))


def test_the_page_leads_with_the_verdict_and_tells_every_finding_in_full(tmp_path: Path) -> None:
    text = page_text(write_site_page(make_check(), tmp_path)).replace("\u00a0", " ")
    said = check_words("en")
    assert text.index("1 of 3 checks needs a look") < text.index("4.3 % of times")
    assert text.index("4.3 % of times") < text.index("100 read = 90 used + 10 left out.")
    for expected in (
        "1 fine, 1 to look at, 1 that this data cannot tell.",
        said("midnight_why"),
        said("midnight_do"),
        "2 of 1,200 cameras (0.17 %) have no go-live date",
        "dates do not state the day",
        "stays in the city",
        "my-study",
        "type 0",
        f"{30 - LISTED} further types",
        "2020-05",
        "Sunday",
        "+51.2",
        "12 months or more from either end",
        f"Distinct points in {SAMPLE}",
    ):
        assert expected in text
    assert "type 29" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_in_every_language_and_links_to_the_others(
    language: str, tmp_path: Path
) -> None:
    path = write_site_page(make_check(), tmp_path, language=language, alternatives=LANGUAGES)
    assert path.name == site_page_name(language)
    text, said = page_text(path), check_words(language)
    for key in ("stays", "look", "fine", "unknown", "heaping", "places", "overlap_heading"):
        assert said(key) in text
    links = re.findall(r'href="([^"]+)"', path.read_text(encoding="utf-8"))
    assert sorted(links) == sorted(
        site_page_name(other) for other in LANGUAGES if other != language
    )


def test_nothing_to_look_at_is_said_plainly(tmp_path: Path) -> None:
    text = page_text(write_site_page(make_check(FINE, heaping=[]), tmp_path))
    assert "Nothing needs a look" in text
    assert "To look at" not in text
    assert summary(make_check(FINE))[0] == "City X (x): nothing needs a look"


def test_yearly_incidents_are_shown_by_year_and_not_as_empty_months(tmp_path: Path) -> None:
    check = make_check(resolution="year", zones=None, heaping=[], weekdays=[], sudden=[])
    check["incidents"]["by_month"] = [["2019-01-01", 50], ["2021-01-01", 40]]
    check["incidents"]["first"] = "2019-01-01"
    path = write_site_page(check, tmp_path)
    text = page_text(path)
    assert "Incidents by year Year Incidents 2019 50 2020 0 2021 40" in text
    assert "From 2019 to 2021." in text
    assert path.read_text().count('class="empty"') == 1
    assert "2019 to 2021" in summary(check)[1]


def test_a_city_without_cameras_or_coordinates_has_no_empty_tables(tmp_path: Path) -> None:
    none = {"read": 0, "used": 0, "rejected": {}, "first": None, "last": None, "notes": []}
    place = {**make_check()["places"][0], "distinct": None, "east": None, "spread": None}
    check = make_check(cameras=none, overlap=None, zones=None, places=[place])
    text = page_text(write_site_page(check, tmp_path))
    assert "The site file names no cameras." in text
    assert "The incidents have no coordinates; they are placed by area." in text
    assert "Distinct points" not in text
    assert "Cameras against" not in text


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> {braces}"
    check = make_check(site=hostile, title=hostile)
    check["incidents"]["crime_types"] = {hostile: 5}
    check["zones"]["number"] = {hostile: 5}
    whole = write_site_page(check, tmp_path).read_text(encoding="utf-8")
    assert "<script" not in whole
    assert whole.count("&lt;script&gt;") >= 4


def test_what_is_no_finding_is_refused(tmp_path: Path) -> None:
    for broken in ({"check": "x"}, {**LOOK, "status": "odd"}, {**LOOK, "check": "unheard"}):
        with pytest.raises(ConfigError, match="not one that"):
            write_site_page(make_check(broken), tmp_path)


def test_findings_are_put_under_their_status_in_their_order() -> None:
    found = by_status([FINE, LOOK, UNKNOWN, {**FINE, "check": "undated"}], check_words("en"))
    assert [len(found[status]) for status in ("look", "fine", "unknown")] == [1, 2, 1]


def test_a_figure_is_written_as_its_name_says() -> None:
    said = check_words("es")
    assert figure_text("any_share", 0.1234, said) == "12,3\u00a0%"
    assert figure_text("any_share", 0.0012, said) == "0,12\u00a0%"
    assert figure_text("weekday", 7, said) == "domingo"
    assert figure_text("reason", "missing_date", said) == "sin fecha"
    assert figure_text("reason", "new_reason", said) == "new reason"
    assert figure_text("rows", 12345, said) == "12\u00a0345"
    assert figure_text("day", "2020-01-01", said) == "2020-01-01"


def test_the_summary_fits_a_screen_however_much_is_found() -> None:
    many = [
        {**LOOK, "check": check, "case": check}
        for check in ("midnight", "full_hour", "first_of_month", "january", "december")
    ]
    lines = summary(make_check(*many, FINE, UNKNOWN))
    assert lines[0] == "City X (x): 5 of 7 checks need a look"
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 98
    told = "\n".join(lines)
    assert told.count("! ") == 4
    assert "Also to look at, on the page: December." in told
    assert "Cannot be told: Weekdays (dates do not state the day)." in told
    assert "incidents: 100 rows read = 90 used + 10 rejected; 2019-01-01 to 2021-12-31" in told
    assert "6 missing_date, 4 duplicate" in told


def test_every_word_of_the_check_is_used() -> None:
    folder = Path(evalkit.report.__file__).parent
    package = folder.parent
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (*folder.rglob("*.py"), *package.glob("quality/*.py"), package / "workbench.py")
        if path.name != "check_words.py"
    )
    built = re.compile(
        "^(day|reason|zone|live|unknown)_|_(why|do|much|caption)$|^verdict_look_(one|many)$"
    )
    for key in CHECK_TABLES["en"]:
        if not built.search(key) and not key.startswith("account_"):
            assert re.search(rf"""["']{key}["']""", source) or key.endswith("_english"), key
    for key in CHECK_TABLES["en"]:
        stem = re.sub("_(why|do|much)$|^unknown_", "", key)
        stem = stem.removesuffix("_fine").removesuffix("_nothing")
        if re.search("_(why|do|much)$|^unknown_", key) and not stem.startswith("account_"):
            assert re.search(rf"""["']{stem}["']""", source) or key == "unknown_caption", key


def test_a_finding_needs_its_words() -> None:
    with pytest.raises(KeyError):
        say_finding({**LOOK, "case": "unheard"}, check_words("en"))


def test_figures_of_nothing_are_none() -> None:
    assert figures_of({}, check_words("en")) == []
