"""The page for a city's people: every figure from the ledger, every word in three languages, nothing of the data."""

from __future__ import annotations

import re
import string
from itertools import combinations
from pathlib import Path

import msgspec
import pytest

import evalkit
import evalkit.report
from evalkit.cli.site_report import community_in
from evalkit.core.estimator import RELEASE_CLASSES
from evalkit.core.study import study_hash
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.disclosure.ledger import Ledger
from evalkit.federation.desk import withdraw
from evalkit.federation.withdrawal import withdraw_from
from evalkit.report.community_content import Community, community_of
from evalkit.report.community_page import LISTED, write_community
from evalkit.report.numbers import LANGUAGES
from evalkit.report.wording.community import FAMILY_OF_RULE, TABLES
from tests.desk import desk
from tests.panels import study

COUNT = 127731
SOURCE = Path(evalkit.__file__).parent
FIRST = study(estimator="random_effects")
SECOND = msgspec.structs.replace(
    FIRST,
    title="A <b>placebo</b> & more",
    treatment=msgspec.structs.replace(FIRST.treatment, placebo_periods=2),
)
ONE, TWO = study_hash(FIRST), study_hash(SECOND)


def released(of: str, size: int, **more: object) -> dict[str, object]:
    return {
        "outcome": "released",
        "study": of,
        "bytes": size,
        "numbers": 4,
        "release": "ab" * 32,
        "release_class": "estimate",
        "verdicts": [{"rule": "min_incidents", "passed": True, "found": COUNT, "limit": 10}],
        **more,
    }


ENTRIES = (
    {"outcome": "approved", "study": ONE, "officer": "lucia", "given": 1, "needed": 2},
    {"outcome": "approved", "study": ONE, "officer": "marco", "given": 2, "needed": 2},
    released(ONE, 224, leverage=0.12, epsilon=0.5),
    {"outcome": "refused", "study": ONE, "rules": ["max_rounds", "studies"]},
    {"outcome": "refused", "study": ONE, "rules": ["studies"]},
    released(TWO, 1000, leverage=0.31, epsilon=0.25),
    {"outcome": "withdrawn", "study": ONE, "officer": "lucia", "given": 1, "needed": 2},
    {"outcome": "revoked", "study": TWO, "studies": [TWO]},
    {"outcome": "revoked", "studies": ["all"]},
    {"outcome": "reinstated", "studies": ["all"]},
    {"outcome": "reinstated", "study": ONE, "studies": [ONE]},
)


def counted(tmp_path: Path, entries: tuple[dict[str, object], ...] = ENTRIES) -> Community:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for entry in entries:
        ledger.append(entry)
    chain = ledger.verify()
    return community_of(
        "Porto <Brisa>",
        chain.entries,
        studies={ONE: FIRST, TWO: SECOND},
        standing={ONE: ("officers", ""), TWO: ("covered", ONE)},
        head=chain.head.hash,
        key=chain.public,
    )


def pages(found: Community, folder: Path) -> dict[str, str]:
    written = write_community(found, folder)
    return {
        language: path.read_text(encoding="utf-8")
        for language, path in zip(LANGUAGES, written, strict=True)
    }


def test_every_figure_is_counted_from_the_ledger(tmp_path: Path) -> None:
    found = counted(tmp_path)
    assert (len(found.answers), found.refused, found.numbers, found.lines) == (2, 2, 8, 11)
    assert found.refusals == {"max_rounds": 1, "studies": 2}
    assert found.leverage == 0.31
    assert found.epsilon == 0.75
    assert [answer.size for answer in found.answers] == [1000, 224]  # newest first
    first, second = found.studies
    assert [(who.officer, who.withdrawn) for who in first.signatures] == [
        ("lucia", False),
        ("marco", False),
        ("lucia", True),
    ]
    assert (len(first.answers), first.refused, first.how) == (1, 2, "officers")
    assert (len(second.answers), second.refused, second.by) == (1, 0, FIRST.title)
    assert [outcome for _, outcome, _, _ in found.gone] == [
        "withdrawn",
        "revoked",
        "revoked",
        "reinstated",
        "reinstated",
    ]
    assert not first.revoked
    assert sum(month.left for month in found.months) == 2
    assert sum(month.refused for month in found.months) == 2


def test_months_without_anything_are_there_too() -> None:
    entries = [
        {"number": 1, "time": "2025-11-30T23:00:00", "outcome": "released", "study": ONE},
        {"number": 2, "time": "2026-02-01T01:00:00", "outcome": "refused", "study": ONE},
    ]
    found = community_of("a", entries, studies={}, standing={}, head="", key="")
    assert [(month.month, month.left, month.refused) for month in found.months] == [
        ("2025-11", 1, 0),
        ("2025-12", 0, 0),
        ("2026-01", 0, 0),
        ("2026-02", 0, 1),
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_all_of_it(tmp_path: Path, language: str) -> None:
    found = counted(tmp_path)
    text, said = pages(found, tmp_path / "out")[language], TABLES[language]
    plain = re.sub(r"<[^>]+>", " ", text)
    for part in (
        said["left_many"].format(count=2),
        said["refused_many"].format(count=2),
        said["numbers_many"].format(count=8),
        said["lines_many"].format(count=11),
        said["rule_studies"],
        said["rule_min_incidents"],
        said["family_consent"],
        said["class_estimate"],
        said["check_periods"],
        said["withdrawn_officer"].format(officer="lucia", date=found.last),
        said["revoked_line"].format(date=found.last, study=said["every_study"]),
        said["reinstated_line"].format(date=found.last, study=FIRST.title),
        f"evalkit review ledger ledger.export.jsonl --public-key {found.key} --since {found.head}",
        "lucia",
        "marco",
        "31",
    ):
        assert part in plain, part
    assert "<svg" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_by_whose_leave_a_study_may_be_asked(tmp_path: Path, language: str) -> None:
    before = ENTRIES[:6]
    said = TABLES[language]
    covered = pages(counted(tmp_path, before), tmp_path / "a")[language]
    assert said["agreed_covered"].format(title=FIRST.title) in covered
    revoked = (*before, {"outcome": "revoked", "study": TWO, "studies": [TWO]})
    text = pages(counted(tmp_path / "b", revoked), tmp_path / "c")[language]
    assert said["agreed_revoked"] in text
    assert said["agreed_covered"].format(title=FIRST.title) not in text
    for how in ("listed", "any", "no"):
        found = community_of(
            "a",
            [{"number": 1, "time": "2026-01-01T00:00:00", **released(ONE, 1)}],
            studies={ONE: FIRST},
            standing={ONE: (how, "")},
            head="h",
            key="k",
        )
        key = {"listed": "agreed_listed", "any": "agreed_any", "no": "agreed_none"}[how]
        assert said[key] in pages(found, tmp_path / how)[language].replace("&#x27;", "'")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_opens_offline_and_escapes_what_it_is_given(tmp_path: Path, language: str) -> None:
    text = pages(counted(tmp_path), tmp_path / "out")[language]
    assert "default-src 'none'" in text
    assert not re.search(r"<script|https?://|src=|@import|url\(", text)
    assert "Porto &lt;Brisa&gt;" in text
    assert "A &lt;b&gt;placebo&lt;/b&gt; &amp; more" in text
    assert f'<html lang="{language}">' in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_count_of_the_city_is_on_the_page(tmp_path: Path, language: str) -> None:
    text = pages(counted(tmp_path), tmp_path / "out")[language]
    assert str(COUNT) not in re.sub(r"[\s.,\u00a0]", "", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_ledger_has_a_page(tmp_path: Path, language: str) -> None:
    text, said = pages(counted(tmp_path, ()), tmp_path / "out")[language], TABLES[language]
    assert said["left_none"] in text
    assert said["refused_none"] in text
    assert "<svg" not in text


def test_an_old_line_without_numbers_makes_no_wrong_sum(tmp_path: Path) -> None:
    old = {key: value for key, value in released(ONE, 10).items() if key != "numbers"}
    found = counted(tmp_path, (old, released(ONE, 10)))
    assert found.numbers is None
    assert "numbers in all" not in pages(found, tmp_path / "out")["en"]


def test_a_long_ledger_lists_its_newest_answers(tmp_path: Path) -> None:
    entries = [
        {"number": at, "time": "2026-01-01T00:00:00", **released(ONE, at)}
        for at in range(1, LISTED + 11)
    ]
    found = community_of("a", entries, studies={}, standing={}, head="h", key="k")
    text = pages(found, tmp_path)["en"]
    assert f"The newest {LISTED} of {LISTED + 10}" in text
    assert text.count(f"<code>{'ab' * 8}</code>") == LISTED
    assert "study that the city holds no copy of" in text


def test_what_officers_do_at_the_desk_is_on_the_page(tmp_path: Path) -> None:
    city = desk(tmp_path, FIRST, needed=2)
    city.sign(FIRST, "ana")
    assert community_in(city.store, "Alta").studies[0].how == "no"
    city.sign(FIRST, "bea")
    found = community_in(city.store, "Alta")
    assert [(who.officer, who.given, who.needed) for who in found.studies[0].signatures] == [
        ("ana", 1, 2),
        ("bea", 2, 2),
    ]
    assert found.studies[0].how == "officers"
    text = pages(found, tmp_path / "a")["en"]
    assert f"bea, {found.last} (2 of 2 needed)" in text
    withdraw(city.store, ONE, "ana")
    withdraw_from(city.store, FIRST)
    text = pages(community_in(city.store, "Alta"), tmp_path / "b")["en"]
    assert f"ana withdrew on {found.last}" in text
    assert TABLES["en"]["agreed_revoked"] in text


# ---------------------------------------------------------------- words


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
    source = "".join(path.read_text(encoding="utf-8") for path in folder.glob("community_*.py"))
    families = {f"family_{family}" for family in (*FAMILY_OF_RULE.values(), "unknown")}
    built = {
        *families,
        *(f"rule_{rule}" for rule in FAMILY_OF_RULE),
        *(f"type_{one}" for one in CRIME_TYPES),
        *(f"class_{one}" for one in RELEASE_CLASSES),
        *(f"units_{one}" for one in ("grid", "hexagon", "catchment", "area", "polygon")),
        *("day", "week", "month", "quarter", "year"),
    }
    for key in TABLES["en"]:
        base = key.removesuffix("_one").removesuffix("_many")
        assert f'"{base}"' in source or key in built, key
    assert built <= TABLES["en"].keys()


def rules_in_the_code() -> set[str]:
    """Every rule that a refusal or a verdict of the package names."""
    found: set[str] = set()
    for folder in ("disclosure", "federation"):
        for path in (SOURCE / folder).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            constants = dict(re.findall(r'^([A-Z_]+): Final = "(\w+)"$', text, re.MULTILINE))
            for called in (r"rules=\(", r"(?:_refusal|_at_least|Verdict)\(\s*"):
                found |= set(re.findall(called + r'"([a-z_]+)"', text))
                named = re.findall(called + r"([A-Z_]+),", text)
                found |= {constants[name] for name in named if name in constants}
    return found


def test_every_rule_that_can_refuse_has_words() -> None:
    rules = rules_in_the_code()
    assert {"studies", "min_incidents", "max_leverage", "finite"} <= rules
    assert rules <= FAMILY_OF_RULE.keys()
