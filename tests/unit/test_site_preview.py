"""The release desk's window: every field in words, every rule, every attack; the exact bytes in a file."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.attacks.figure import figure_of
from evalkit.attacks.known import known_sums
from evalkit.attacks.payload import Answer, Finding, attack_answer, attack_places
from evalkit.attacks.sums import solve_sums
from evalkit.attacks.words import FIELDS, NO_WORDS, in_words
from evalkit.cli import main
from evalkit.core.design import design_of
from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import Question, estimate
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.disclosure.release import parse_release
from evalkit.disclosure.told import Told, told_by
from evalkit.simulate import Simulation
from tests.panels import city, study
from tests.small_world import small_world


def last_answer(panel: Panel, asked: Study) -> Answer:
    one, last = estimator(asked.analysis.estimator), []

    def ask(question: Question) -> list[Statistics]:
        last[:] = [question, one.summarise(panel, question)]
        return [last[1]]

    estimate(one, asked, ask)
    question, statistics = last
    ((fields,), (design,)) = statistics.parts.values(), design_of(panel, asked)
    return Answer(question, design, fields, fields)


def found(panel: Panel, asked: Study) -> dict[str, Finding]:
    return {one.attack: one for one in attack_answer(last_answer(panel, asked))}


STUDIES = {
    **{name: study(estimator=name) for name in sorted(estimators())},
    "pooled": study(estimator="group_time_att", control_pool="pooled"),
    "pooled doubly robust": study(estimator="doubly_robust", control_pool="pooled"),
    "randomisation": study(estimator="poisson_did", randomisation=19),
    "bootstrap": study(estimator="poisson_did", bootstrap=99),
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_field_has_words(name: str) -> None:
    asked = STUDIES[name]
    one, panels = estimator(asked.analysis.estimator), [city("alta", 1), city("brisa", 2)]
    fields: set[str] = set()

    def ask(question: Question) -> list[Statistics]:
        answers = [one.summarise(panel, question) for panel in panels]
        fields.update(*(part for answer in answers for part in answer.parts.values()))
        return answers

    estimate(one, asked, ask)
    assert fields
    assert {field for field in fields if in_words(one.name, field) == NO_WORDS} == set()


def test_every_estimator_is_described() -> None:
    assert FIELDS.keys() == estimators().keys()
    assert in_words("poisson_did", "another") == NO_WORDS


def test_an_event_study_tells_every_cohort() -> None:
    asked = study(estimator="poisson_did", design="event_time", event_window=(-6, 9))
    attacks = found(city("alta", 1), asked)
    cohorts = attacks["cohort totals"]
    assert cohorts.figure.exact == cohorts.figure.number == 4
    assert cohorts.detail["smallest"] == 502
    assert "all follow" in cohorts.says
    assert attacks["told outright"].figure.r_squared == 1.0
    assert 0 < attacks["cluster"].figure.r_squared < 0.5


def test_a_static_design_does_not() -> None:
    attacks = found(city("alta", 1), study(estimator="poisson_did"))
    assert attacks["cohort totals"].figure.exact == 0
    assert "do not follow" in attacks["cohort totals"].says
    assert attacks["cluster"].figure.r_squared == 0


def test_a_large_city_is_told_what_was_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalkit.attacks.cohort_totals.MOST_UNKNOWNS", 5)
    attacks = found(city("alta", 1), study(estimator="poisson_did"))
    assert attacks["cohort totals"].figure.number == 0
    assert "not computed" in attacks["cohort totals"].says


@pytest.mark.parametrize(
    "name", ["rate_ratio", "wdd", "group_time_att", "linear_did", "doubly_robust"]
)
def test_totals_are_told_outright(name: str) -> None:
    told = found(city("alta", 1), study(estimator=name))["told outright"]
    assert told.figure.exact == told.figure.number > 0


def test_the_least_revealing_class_is_guessed_at() -> None:
    guess = found(city("alta", 1), study(estimator="random_effects"))["effect and variance"]
    assert guess.detail["truth"] > 0
    assert guess.figure.exact == 0


def test_noise_is_measured_against_the_true_counts() -> None:
    answer = last_answer(city("alta", 1), study(estimator="rate_ratio"))
    noisy = {**answer.fields, "totals": answer.fields["totals"] + 3}
    told = attack_answer(replace(answer, fields=noisy))[0]
    assert told.figure.exact == 0


def test_what_was_released_before_counts() -> None:
    """Two earlier answers whose sets differ by one camera tell that camera."""
    panel, asked = city("alta", 1), study(estimator="random_effects")
    names = tuple(panel.unit_ids.tolist())
    own = told_by(panel, asked)
    alone = known_sums(panel, asked, names, own, ())
    finding = attack_places(alone.counts, alone.treated, alone.sets)
    assert finding is not None
    assert finding.detail["leverage"] == pytest.approx(1 / 18)
    told = msgspec.json.decode(own.data, type=Told)
    (all_treated,) = [piece for piece in told.pieces if piece.treated]
    fewer = msgspec.structs.replace(all_treated, places=all_treated.places[1:])
    earlier = msgspec.structs.replace(told, pieces=(fewer,))
    known = known_sums(panel, asked, names, own, (earlier,))
    finding = attack_places(known.counts, known.treated, known.sets)
    assert finding is not None
    assert finding.detail["leverage"] == pytest.approx(1.0)
    assert finding.figure.exact == 1


def test_sums_of_other_crimes_or_places_are_left_out() -> None:
    panel, asked = city("alta", 1), study(estimator="random_effects")
    own = told_by(panel, asked)
    told = msgspec.json.decode(own.data, type=Told)
    others = (
        msgspec.structs.replace(told, crime_types=("burglary",)),
        msgspec.structs.replace(
            told,
            pieces=tuple(
                msgspec.structs.replace(piece, places=("elsewhere",)) for piece in told.pieces
            ),
        ),
    )
    names = tuple(panel.unit_ids.tolist())
    assert len(known_sums(panel, asked, names, own, others).sets) == len(
        known_sums(panel, asked, names, own, ()).sets
    )


def test_figures() -> None:
    truth = np.array([1.0, 2.0, 3.0])
    assert figure_of(truth, truth).r_squared == 1.0
    assert figure_of(np.full(3, 2.0), truth) == type(figure_of(truth, truth))(3, 1, 0.0)
    assert math.isnan(figure_of(truth[:1], truth[:1]).r_squared)
    solved = solve_sums(np.array([[1.0, 1, 0], [0, 1, 0]]), np.array([5.0, 2]), 1.0)
    np.testing.assert_allclose(solved.guess, [3, 2, 1])
    np.testing.assert_array_equal(solved.decided, [True, True, False])


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    made = small_world(tmp_path_factory.mktemp("preview"), cities=1)
    text = made.study.read_text()
    events = text.replace('first_stage = "poisson_did"', "").replace(
        'estimator = "random_effects"',
        'estimator = "poisson_did"\ndesign = "event_time"\nevent_window = [-2, 3]',
    )
    lines = [line for line in events.splitlines() if not line.startswith(("method", "interval"))]
    (made.study.parent / "events.toml").write_text("\n".join(lines))
    return made


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_the_exact_bytes_are_written_once(
    world: Simulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--site", world.sites[0], "--study", world.study.parent / "events.toml")
    assert run(capsys, "site", "panel", *where, "--no-pictures")[0] == 0
    file = tmp_path / "bytes"
    code, text = run(capsys, "site", "preview", *where, "--bytes", file, "--json")
    assert code == 0
    shown = json.loads(text)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == shown["sha256"]
    (fields,) = parse_release(file.read_bytes()).parts.values()
    assert {name: array.tolist() for name, array in fields.items()} == shown["fields"]
    assert {one["attack"] for one in shown["attacks"]} == {
        "told outright", "cohort totals", "cluster", "one camera",
    }  # fmt: skip
    assert run(capsys, "site", "preview", *where, "--bytes", file)[0] != 0


def test_in_words(world: Simulation, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--site", world.sites[0], "--study", world.study.parent / "events.toml")
    run(capsys, "site", "panel", *where, "--no-pictures")
    code, text = run(capsys, "site", "preview", *where)
    assert code == 0
    assert "information (5, 5): curvature of the likelihood" in text
    assert "… and 13 more" in text
    assert "every cohort's incidents" in text
    _, every = run(capsys, "site", "preview", *where, "--all")
    assert "more" not in every.split("What the rules say")[0]


def test_a_study_that_is_not_approved_would_not_leave(
    world: Simulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = world.sites[0]
    text = site.read_text()
    assert 'studies = ["any"]' in text
    where = ("--site", site, "--study", world.study)
    try:
        site.write_text(text.replace('studies = ["any"]', "studies = []"))
        run(capsys, "site", "panel", *where, "--no-pictures")
        shown = json.loads(run(capsys, "site", "preview", *where, "--json")[1])
        assert shown["would_leave"] is False
        assert shown["question"]["rule"] == "studies"
        assert all(rule["passed"] for rule in shown["rules"])
        site.write_text(text)
        shown = json.loads(run(capsys, "site", "preview", *where, "--json")[1])
        assert any("the policy in the store is not the one" in note for note in shown["notes"])
    finally:
        site.write_text(text)
