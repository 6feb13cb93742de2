"""From effects by event time to checks, picture and page; and what becomes of a claim on the scale of counts."""

from __future__ import annotations

import datetime as dt
import math
import re
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from evalkit.claims.claim import Claim
from evalkit.cli.conclusion import (
    check_lines,
    checks_on,
    event_study_of,
    untested_because,
    verdict_on,
)
from evalkit.cli.running import print_result
from evalkit.core.check import NOT_ASKED, CheckContext, context_of
from evalkit.core.design import design_of
from evalkit.core.discover import checks, estimator
from evalkit.core.estimate import Estimate, SiteEffect
from evalkit.core.estimator import Question, estimate
from evalkit.core.event_design import cohort_sizes, grid_of
from evalkit.core.falsification import placebo_cameras, placebo_dates, regression, rings
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study, Treatment, Units, Window
from evalkit.core.terms import OVERALL, at_event_time
from evalkit.errors import ConfigError, EstimationError, MissingSiteError, NoPanelError
from evalkit.federation.exchange import Absence, require
from evalkit.federation.run_folder import Failure, RunFolder
from evalkit.numerics.event_study import sup_t
from evalkit.numerics.meta_analysis import pool
from evalkit.report import LANGUAGES, write_page
from evalkit.report.checks_content import Checked, read_asked, read_checks, read_event_study
from evalkit.report.checks_section import reason_in
from evalkit.report.figures.event_study import draw_event_study, write_event_study
from evalkit.report.languages import words
from evalkit.report.numbers import true_minus
from evalkit.report.wording.credibility import STOPPED, TABLES
from evalkit.report.wording.credibility import credibility_words as words_of
from evalkit.report.wording.derived import KINDS, label_in, why_in
from evalkit.runtimes.derived import Derived, unanswered_of, why_of
from evalkit.runtimes.pooled import ask_pooled
from tests.panels import city, study
from tests.unit.test_report import (
    CLAIM,
    check_layout,
    check_page,
    check_pictures,
    make_result,
    same_bytes,
)

Result = dict[str, Any]

TIMES = (-5, -4, -3, -2, 0, 1, 2, 3, 4)


def event_study(*, scale: Any = "log_rate_ratio", times: tuple[int, ...] = TIMES) -> Estimate:
    """A fall of 15 % after go-live, nothing before it, with correlated errors."""
    count = len(times)
    effect = np.where(np.array(times) >= 0, -0.16, 0.01)
    covariance = 0.03**2 * (0.5 * np.eye(count) + 0.5)
    after = (np.array(times) >= 0) / sum(time >= 0 for time in times)
    both = np.vstack([after, np.eye(count)])
    return Estimate(
        estimator="poisson_did",
        terms=(OVERALL, *(at_event_time(time) for time in times)),
        effect=both @ effect,
        covariance=both @ covariance @ both.T,
        df=math.inf,
        level=0.95,
        contributors=("north", "south"),
        scale=scale,
    )


def run_folder(tmp_path: Path, asked: Study) -> RunFolder:
    """A run whose cities sent what does not tell sizes of cohorts."""
    run = RunFolder.create(tmp_path / "run", asked)
    run.write("releases.json", {})
    return run


def result_of(
    found: Estimate, asked: Study, tested: Claim | None = None, *, checked: bool = False
) -> Result:
    """What a run writes, through its own functions and JSON; checks take a second, so only where they are asked."""
    context = context_of(asked, {"2019": 20, "2020": 14})
    every = checks().values() if checked else ()
    plain = {
        "evalkit": "0",
        "study": {"name": "one", "title": "One", "hash": "0" * 64},
        "estimate": found.to_dict(),
        "claim": msgspec.to_builtins(tested) if tested else None,
        "verdict": verdict_on(asked, tested, found),
        "untested": untested_because(asked, tested, found),
        "checks": [msgspec.to_builtins(one(found, context)) for one in every],
        "event_study": event_study_of(found, asked),
        "placebo": [],
        "absent": [],
        "across": None,
        "truth": None,
        "files": {},
    }
    decoded: Result = msgspec.json.decode(msgspec.json.encode(plain))
    return decoded


# ---------------------------------------------------------------- what a run concludes


def test_the_gap_is_that_of_the_design_whatever_the_washout() -> None:
    """The panel's go-live interval holds the washout; the design leaves it out; the checks count it once."""
    for washout in (0, 2):
        asked = msgspec.structs.replace(study(), treatment=Treatment(washout_periods=washout))
        panel = city("alta", 1)
        last = np.where(
            panel.first_live < panel.n_periods, panel.first_live + washout, panel.last_live
        )
        (design,) = design_of(replace(panel, last_live=last), asked)
        unit = int(np.flatnonzero(design.ever_treated)[0])
        before, after = (
            int(np.flatnonzero(design.event_time[unit] == time)[0]) for time in (-1, 0)
        )
        assert context_of(asked).gap == after - before - 1 == washout + 1


def test_the_band_is_sup_t_over_all_event_times() -> None:
    found = event_study()
    told = event_study_of(
        found, study(estimator="poisson_did", design="event_time", event_window=(-5, 4))
    )
    assert told is not None
    assert told["critical_value"] == sup_t(found.covariance[1:, 1:]).critical_value > 1.96
    assert (told["gap"], told["bins"]) == (1, [-5, 4])


def test_an_effect_without_variance_has_no_band_and_a_listed_reference_does_not_matter() -> None:
    found = event_study()
    told = event_study_of(found, study())
    certain = found.covariance.copy()
    certain[2], certain[:, 2] = 0.0, 0.0
    assert event_study_of(replace(found, covariance=certain), study())["critical_value"] is None  # type: ignore[index]  # it has event times
    listed = replace(
        found,
        terms=(*found.terms, at_event_time(-1)),
        effect=np.append(found.effect, 0.0),
        covariance=np.pad(found.covariance, (0, 1)),
    )
    assert event_study_of(listed, study()) == told


def test_without_event_times_only_the_checks_that_need_them_stop(tmp_path: Path) -> None:
    found = event_study()
    alone = replace(
        found, terms=found.terms[:1], effect=found.effect[:1], covariance=found.covariance[:1, :1]
    )
    assert event_study_of(alone, study()) is None
    found_of = {
        one["name"]: one for one in checks_on(alone, study(), run_folder(tmp_path, study()))
    }
    assert set(found_of) == set(checks())
    for name in ("pre_trend", "honest_did_relative_magnitudes", "honest_did_smoothness"):
        assert found_of[name]["reason"] == "the estimate has no effects by event time"
    assert found_of["small_cohorts"]["reason"] == "the sizes of the cohorts are not known here"


def test_the_units_of_cohorts_come_from_what_cities_sent() -> None:
    asked = study(design="cohort_event_time", event_window=(-2, 3), estimator="poisson_did")
    grid = grid_of(asked)
    units = np.zeros((len(grid.cohorts), len(grid.event_times)))
    units[0], units[1] = 7, [3, 4, 4, 4, 2]
    assert cohort_sizes(grid, units.ravel()) == {grid.cohorts[0]: 7, grid.cohorts[1]: 4}
    lumped = study(design="event_time", event_window=(-2, 3))
    assert cohort_sizes(grid_of(lumped), units[0]) is None


@pytest.mark.parametrize(
    "analysis",
    [
        {"estimator": "regression_to_the_mean"},
        {"estimator": "random_effects", "first_stage": "regression_to_the_mean"},
    ],
)
def test_a_claim_about_cameras_is_not_tested_on_what_chance_does(analysis: dict[str, str]) -> None:
    asked, found = study(**analysis), event_study()
    assert verdict_on(asked, CLAIM, found) is None
    reasons = untested_because(asked, CLAIM, found)
    assert reasons is not None
    assert set(reasons) == set(LANGUAGES)
    assert verdict_on(study(), CLAIM, found) is not None


def test_a_claim_is_not_tested_on_counts(capsys: pytest.CaptureFixture[str]) -> None:
    found = event_study(scale="count")
    assert verdict_on(study(), CLAIM, found) is None
    assert verdict_on(study(), None, found) is untested_because(study(), None, found) is None
    reasons = untested_because(study(), CLAIM, found)
    assert reasons is not None
    assert set(reasons) == set(LANGUAGES)
    assert untested_because(study(), CLAIM, event_study()) is None
    print_result(result_of(found, study(), CLAIM, checked=True))
    said = capsys.readouterr().out
    assert "a claim about a rate ratio cannot be tested with differences of counts" in said
    assert "incidents" in said
    assert "Check:    pre_trend: passed" in said
    assert (
        "%"
        not in next(line for line in said.splitlines() if line.startswith("Effect:")).split("(")[0]
    )


def of_counting_cities() -> Result:
    """Cities with effects in incidents, one without a standard error."""
    sites = (
        SiteEffect("east", -1234.5, 4.0),
        SiteEffect("north", -12.0, 4.0),
        SiteEffect("south", 3.0, math.nan),
    )
    return result_of(replace(event_study(scale="count"), sites=sites), study(), CLAIM)


def test_cities_are_printed_in_incidents_where_the_study_counts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_result(of_counting_cities())
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert rows == [
        ["east", "−1,234", "[−1,242,", "−1,227]", "incidents"],
        ["north", "−12", "[−19.8,", "−4.16]", "incidents"],
        ["south", "+3", "[not", "defined,", "not", "defined]", "incidents"],
    ]


def test_a_city_without_an_interval_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    sites = (SiteEffect("north", -0.1, math.nan), SiteEffect("south", math.nan, math.nan))
    print_result(result_of(replace(event_study(), sites=sites), study()))
    said = capsys.readouterr().out
    assert "−9.5 % [not defined, not defined]" in said
    assert "south          not defined [not defined, not defined]" in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_cities_in_incidents(language: str, tmp_path: Path) -> None:
    path = write_page(of_counting_cities(), tmp_path, language)
    check_page(path, language)
    text = path.read_text(encoding="utf-8")
    assert "north" in text
    table = text[text.index("<caption>" + words(language)("table_caption")) :]
    table = table[: table.index("</table>")]
    assert TABLES[language]["difference"] in table
    assert "%" not in table.split("<tbody>")[1]


@pytest.mark.parametrize(
    ("first_stage", "scale", "refused"),
    [
        ("wdd", "ratio", True),
        ("linear_did", "ratio", True),
        ("group_time_att", "count", True),
        ("synthetic_did", "count", True),
        ("group_time_att", "ratio", False),
        ("synthetic_did", "ratio", False),
        ("poisson_did", "ratio", False),
    ],
)
def test_random_effects_pools_ratios_only(first_stage: str, scale: Any, refused: bool) -> None:
    asked = study(estimator="random_effects", first_stage=first_stage, scale=scale)
    if not refused:
        assert isinstance(estimator("random_effects").first_question(asked), Question)
        return
    with pytest.raises(ConfigError, match="differences of incidents") as told:
        estimator("random_effects").first_question(asked)
    assert told.value.way_out


@pytest.mark.parametrize("name", ["poisson_did", "linear_did"])
def test_units_that_are_all_alike_are_refused(name: str) -> None:
    panel = city("alta", 1)
    alike = replace(
        panel, counts=np.full_like(panel.counts, 3), exposure=np.ones_like(panel.exposure)
    )
    asked = study(estimator=name)
    with pytest.raises(EstimationError, match="no variance"):
        estimate(estimator(name), asked, ask_pooled([alike]))


# ---------------------------------------------------------------- picture


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("scale", ["log_rate_ratio", "count"])
@pytest.mark.parametrize("times", [TIMES, tuple(t for t in range(-30, 61) if t != -1), (0, 1)])
def test_the_picture_has_no_overlaps(language: str, scale: Any, times: tuple[int, ...]) -> None:
    asked = study(
        estimator="poisson_did", design="event_time", event_window=(min(*times, -1), max(times))
    )
    found = read_event_study(result_of(event_study(scale=scale, times=times), asked))
    assert found is not None
    check_layout(draw_event_study(found, words(language)))


def test_the_picture_is_the_same_every_time_and_survives_a_wild_interval(tmp_path: Path) -> None:
    found = event_study()
    covariance = found.covariance.copy()
    covariance[3, 3] = 30.0**2
    result = result_of(replace(found, covariance=covariance), study())
    first = write_event_study(result, tmp_path / "one")
    second = write_event_study(result, tmp_path / "two")
    assert "go-live" in check_pictures(first)
    assert same_bytes(first, second)
    assert write_event_study(make_result(), tmp_path / "none") == []


def test_bins_and_reference_are_named() -> None:
    result = result_of(
        event_study(), study(estimator="poisson_did", design="event_time", event_window=(-5, 4))
    )
    found = read_event_study(result)
    assert found is not None
    assert found.reference
    assert [found.place(time) for time in (-1, 0)] == [-1, 1]
    figure = draw_event_study(found, words("en"))
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels[0] == "≤−5"
    assert "−1" in labels
    assert labels[-1] == "≥4"


@pytest.mark.parametrize("broken", [{"gap": 1}, {"critical_value": 2.0, "bins": None, "gap": "x"}])
def test_what_no_run_wrote_is_refused(broken: Result) -> None:
    result = result_of(event_study(), study())
    with pytest.raises(ConfigError, match="not what a run wrote"):
        read_event_study({**result, "event_study": broken})
    with pytest.raises(ConfigError, match="not what a run wrote"):
        read_checks({**result, "checks": [broken]})


# ---------------------------------------------------------------- page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_picture_and_checks(language: str, tmp_path: Path) -> None:
    result = result_of(event_study(), study(), CLAIM, checked=True)
    path = write_page(result, tmp_path, language)
    check_page(path, language)
    text = path.read_text(encoding="utf-8")
    table = TABLES[language]
    for key in ("event_heading", "checks_heading", "passed", "not_computable", *checks()):
        assert table[key] in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_counts_says_why_there_is_no_verdict(language: str, tmp_path: Path) -> None:
    result = result_of(event_study(scale="count"), study(), CLAIM)
    path = write_page(result, tmp_path, language)
    check_page(path, language)
    text = path.read_text(encoding="utf-8")
    assert TABLES[language]["untested_heading"] in text
    assert TABLES[language]["difference"] in text
    assert 'id="forest' not in text  # incidents have no place on an axis of percent


def test_reasons_are_translated_with_their_figures() -> None:
    found = read_checks(result_of(event_study(), study(), checked=True))
    for one in found:
        assert reason_in(one, "en") == true_minus(one.reason)
    spoken = [one for one in found if one.name in ("pre_trend", "small_cohorts")]
    spoken += [one for one in found if one.name.startswith("honest")]
    assert len(spoken) == 4
    for one in spoken:
        for language in ("es", "pt"):
            said = reason_in(one, language)
            assert said != one.reason
            assert not re.search(r"\d\.\d", said)  # decimal commas
    unknown = Checked("new_check", "passed", "all is well", {})
    assert reason_in(unknown, "es") == "all is well"
    halved = Checked("pre_trend", "passed", "all is well", {})
    assert reason_in(halved, "pt") == "all is well"


def of_cities(effects: list[float]) -> Estimate:
    """Pooled cities, as random_effects gives them."""
    one = pool(
        np.array(effects), np.full(len(effects), 0.0025), method="REML", interval="knapp_hartung"
    )
    return replace(
        single(one.effect, one.std_error),
        df=one.df,
        sites=tuple(SiteEffect(f"c{i}", effect, 0.05) for i, effect in enumerate(effects)),
    )


def single(effect: float, error: float) -> Estimate:
    return replace(
        event_study(),
        terms=(OVERALL,),
        effect=np.array([effect]),
        covariance=np.array([[error**2]]),
    )


DATES = {"6 months earlier": single(-0.31, 0.05), "1 month earlier": single(0.02, 0.1)}
RINGS = {"100 to 200 m": single(0.35, 0.05)}
SPOKEN = {
    "a placebo that fails": ("placebo_dates", single(-0.2, 0.05), {"placebo_dates": DATES}),
    "one that passes": (
        "placebo_outcomes",
        single(-0.2, 0.05),
        {"placebo_outcomes": {"drugs": DATES["1 month earlier"]}},
    ),
    "one that hides much": (
        "placebo_cameras",
        single(-0.2, 0.05),
        {"placebo_cameras": {"places without a camera": single(0.01, 0.4)}},
    ),
    "a ring that rises": ("displacement", single(-0.2, 0.05), {"rings": RINGS}),
    "a ring that falls": (
        "displacement",
        single(-0.2, 0.05),
        {"rings": {"100 to 200.5 m": single(-0.35, 0.05)}},
    ),
    "a ring that does nothing": (
        "displacement",
        single(-0.2, 0.05),
        {"rings": {"100 to 200 m": single(-0.01, 0.05)}},
    ),
    "regression": (
        "regression_to_the_mean",
        single(-0.4, 0.05),
        {"expected_change": single(-0.05, 0.02)},
    ),
    "cities alike": ("heterogeneity", of_cities([-0.2, -0.21, -0.19, -0.2]), {}),
    "cities apart": ("heterogeneity", of_cities([-0.5, 0.35, -0.4, 0.25]), {}),
    "cities on one side": ("heterogeneity", of_cities([-1.0, -1.2, -0.9, -1.05, -0.95, -1.25]), {}),
    "no city alone": ("leave_one_city_out", of_cities([-0.2, -0.22, -0.18, -0.21]), {}),
    "one city alone": ("leave_one_city_out", of_cities([-0.2, -0.22, -0.18, 0.3]), {}),
    "not estimated": (
        "placebo_dates",
        single(-0.2, 0.05),
        {
            "unanswered": {
                "placebo_dates": {
                    "6 months earlier": "PANEL",
                    "12 months earlier": "PANEL",
                    "1 year earlier": "X",
                }
            }
        },
    ),
    "partly not estimated": (
        "placebo_dates",
        single(-0.2, 0.05),
        {"placebo_dates": DATES, "unanswered": {"placebo_dates": {"2 weeks earlier": "PANEL"}}},
    ),
}


@pytest.mark.parametrize("language", ["es", "pt"])
@pytest.mark.parametrize("case", SPOKEN)
def test_every_reason_of_these_checks_is_said_in_every_language(case: str, language: str) -> None:
    """No English word is left, and every number and name of the English sentence is there."""
    name, estimate, known = SPOKEN[case]
    result = checks()[name](estimate, CheckContext(interval="knapp_hartung", **known))
    (one,) = read_checks({"checks": [msgspec.to_builtins(result)]})
    said = reason_in(one, language)
    assert said != one.reason
    english = {"the", "earlier", "without", "from", "could", "cities", "of"}
    assert not english & set(re.findall(r"[a-z]+", said.replace("Egger", ""))), said
    assert not re.search(r"\d\.\d", said), said
    for code in ("PANEL", "drugs", "c3"):
        assert (code in said) == (code in one.reason)
    for count in (r"\b6\b", r"\b12\b", r"\b100\b"):
        assert bool(re.search(count, said)) == bool(re.search(count, one.reason))


def test_labels_of_derived_studies_in_other_languages() -> None:
    assert label_in("1 month earlier", "es") == "1 mes antes"
    assert label_in("12 months earlier", "pt") == "12 meses antes"
    assert label_in("100 to 200.5 m", "es") == "de 100 a 200,5 m"
    assert label_in("drugs, disorder", "pt") == "drugs, disorder"
    assert label_in("6 months earlier", "en") == "6 months earlier"
    asked = msgspec.structs.replace(
        study(estimator="poisson_did"), units=Units(kind="catchment", ring_m=(200.0, 300.0))
    )
    for period in ("day", "week", "month", "quarter", "year"):
        window = Window(start=dt.date(2018, 1, 1), end=dt.date(2023, 12, 31), period=period)
        derived = [
            *placebo_dates(msgspec.structs.replace(asked, window=window), (2, 3)),
            *rings(asked),
            placebo_cameras(asked),
            regression(asked),
        ]
        for one in derived:
            for language in ("es", "pt"):
                assert label_in(one.label, language) != one.label
                assert one.kind in KINDS[language]


def test_why_cities_did_not_answer_is_said_in_other_languages() -> None:
    """The sentence is that of `exchange.require`, without the explanation of each code."""
    absent = [Absence("alta", "REFUSAL", ("studies",)), Absence("brisa", "NO-ANSWER")]
    with pytest.raises(MissingSiteError) as missed:
        require(1, 3, absent, study().federation)
    folder = Failure(missed.value.code, missed.value.what)
    (one,) = placebo_dates(study(estimator="poisson_did"), (6,))
    why = unanswered_of((Derived(one, "checks/00", folder),))["placebo_dates"]["6 months earlier"]
    assert why == (
        "SITE-MISSING, 2 of 3 cities gave no answer: alta: REFUSAL (rules: studies); brisa: NO-ANSWER"
    )
    assert why_in(why, "en") == why
    assert why_in(why, "es") == (
        "SITE-MISSING, 2 de 3 ciudades no respondieron: alta: REFUSAL (reglas: studies); brisa: NO-ANSWER"
    )
    assert "cidades não responderam" in why_in(why, "pt")
    assert why_in("ESTIMATE, something else", "pt") == "ESTIMATE, something else"


@pytest.mark.parametrize(
    ("kind", "english", "spanish", "portuguese"),
    [
        (
            "placebo_outcomes",
            "no panel stored there, for instance because the city records no such crime",
            "no hay panel guardado allí, por ejemplo porque la ciudad no registra ese delito",
            "não há painel guardado aí, por exemplo porque a cidade não regista esse crime",
        ),
        (
            "rings",
            "no panel stored there",
            "no hay panel guardado allí",
            "não há painel guardado aí",
        ),
    ],
)
def test_a_panel_that_is_absent_is_said_in_words(
    kind: str, english: str, spanish: str, portuguese: str
) -> None:
    absent = [Absence("alta", NoPanelError.code), Absence("brisa", "NO-ANSWER")]
    with pytest.raises(MissingSiteError) as missed:
        require(1, 3, absent, study().federation)
    why = why_of(kind, Failure(missed.value.code, missed.value.what))
    assert why == (
        f"SITE-MISSING, 2 of 3 cities gave no answer: alta: PANEL-ABSENT ({english}); brisa: NO-ANSWER"
    )
    assert f"PANEL-ABSENT ({spanish}); brisa" in why_in(why, "es")
    assert f"PANEL-ABSENT ({portuguese}); brisa" in why_in(why, "pt")


def test_negative_numbers_have_a_minus_sign_for_people_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert true_minus("between -0.16 and -.5 [-1, -2], 2018-01-02, 3-4, city-2, 1e-05, CASE-1") == (
        "between −0.16 and −.5 [−1, −2], 2018-01-02, 3-4, city-2, 1e-05, CASE-1"
    )
    found = replace(event_study(), notes=("from -2 on",))
    result = result_of(found, study())
    result["checks"] = [
        {"name": "one", "outcome": "passed", "reason": "it is -0.2", "figures": {}, "words": {}}
    ]
    assert result["estimate"]["terms"][1]["term"] == "event time -5"
    text = write_page(result, tmp_path).read_text(encoding="utf-8")
    for said in ("event time −5", "It is −0.2", "From −2 on"):
        assert said in text
    print_result(result)
    printed = capsys.readouterr().out
    assert "it is −0.2" in printed
    assert "from −2 on" in printed


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_can_do_without_pictures(language: str, tmp_path: Path) -> None:
    result = result_of(event_study(), study(), CLAIM, checked=True)
    path = write_page(result, tmp_path, language, draw=False)
    check_page(path, language)
    text = path.read_text(encoding="utf-8")
    assert "<svg" not in text
    assert TABLES[language]["checks_heading"] in text


WHY = "SITE-MISSING, 1 of 6 cities gave no answer: palisade: REFUSAL (rules: max_two_unit_share)"

RINGS = ("100 to 200 m", "200 to 300 m")


@pytest.mark.parametrize("language", LANGUAGES)
def test_derived_studies_that_count_are_shown_in_incidents(language: str, tmp_path: Path) -> None:
    counted = replace(single(-12.0, 4.0), scale="count").to_dict()
    rows = [{"kind": "rings", "label": "100 to 200 m", "estimate": counted}]
    result = {**result_of(event_study(), study(), checked=True), "derived": rows}
    text = write_page(result, tmp_path, language).read_text(encoding="utf-8")
    table = text.split(TABLES[language]["asked_caption"] + "</cap")[1]
    assert ("−12.0" if language == "en" else "−12,0") in table
    assert "%" not in table.split("</table>")[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_the_studies_behind_the_checks(language: str, tmp_path: Path) -> None:
    rows = [
        {
            "kind": "placebo_dates",
            "label": "6 months earlier",
            "estimate": single(-0.31, 0.05).to_dict(),
        },
        {"kind": "rings", "label": "100 to 200 m", "estimate": None, "why": WHY},
        {"kind": "rings", "label": "200 to 300 m", "estimate": None, "why": WHY},
        {"kind": "by_crime_type", "label": "drugs", "estimate": None, "code": "X", "what": "y"},
    ]
    result = {**result_of(event_study(), study(), CLAIM, checked=True), "derived": rows}
    path = write_page(result, tmp_path, language)
    check_page(path, language)
    text = path.read_text(encoding="utf-8")
    for kind, label in (("placebo_dates", "6 months earlier"), ("rings", "100 to 200 m")):
        assert KINDS[language][kind] in text
        assert label_in(label, language) in text
    assert ("−26.7" if language == "en" else "−26,7") in text
    reasons = re.findall(r"<li>(.*?)</li>", text.split(TABLES[language]["asked_caption"])[-1])
    named = (f"{label_in(label, language)} ({KINDS[language]['rings']})" for label in RINGS)
    said = words_of(language)("not_estimated", labels=", ".join(named), why=why_in(WHY, language))
    assert said.lower() in reasons[0].lower()
    assert "drugs" in reasons[1]
    assert "X, y" in reasons[1]
    with pytest.raises(ConfigError, match="not what a run wrote"):
        read_asked({"derived": [{"kind": "rings"}]})


def test_checks_that_were_not_asked_are_one_line_and_translated() -> None:
    found = [one(single(-0.2, 0.05), CheckContext()) for one in checks().values()]
    plain = [msgspec.to_builtins(one) for one in found]
    assert {one.name for one in found if one.reason == NOT_ASKED.get(one.name)} == set(NOT_ASKED)
    last = list(check_lines(plain))[-1]
    assert all(name in last for name in NOT_ASKED)
    assert set(NOT_ASKED.values()) <= set(STOPPED)
    lines = list(
        check_lines([{**one, "outcome": "passed"} for one in plain if one["name"] == "pre_trend"])
    )
    assert lines == [
        f"Check:    pre_trend: passed; {checks()['pre_trend'](single(-0.2, 0.05), CheckContext()).reason}"
    ]


def test_every_language_has_the_same_words_and_places() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for table in TABLES.values():
        assert set(table) == set(TABLES["en"])
        for key, text in table.items():
            assert places(text) == places(TABLES["en"][key]), key
    for reason, others in STOPPED.items():
        assert set(others) == set(LANGUAGES) - {"en"}, reason


def test_a_statistic_without_columns_tells_no_sizes() -> None:
    from evalkit.cli.conclusion import _cohort_units

    sent = Statistics("group_time_att", "totals", "additive", {("a",): {"sizes": np.ones(4)}})
    assert _cohort_units(study(), sent) is None
