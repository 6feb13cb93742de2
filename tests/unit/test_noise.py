"""Noise in count tables: its distribution and privacy, the budget, the same answer twice, and honest intervals."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replace_struct
from scipy.special import gammaincc

from evalkit.core.discover import estimator, estimators
from evalkit.core.estimator import Question, ask_first
from evalkit.core.noise import COST, FIELD, Noise
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, merge
from evalkit.core.study import Matching, Study
from evalkit.disclosure import gate, noise
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.release import Release, release_bytes
from evalkit.disclosure.told import told_by
from evalkit.errors import (
    ConfigError,
    EstimationError,
    LedgerError,
    MissingExtraError,
    RefusalError,
    SeparationError,
)
from evalkit.numerics.discrete_laplace import probability, variance
from evalkit.policy import Policy, check_policy
from tests.panels import OPEN_POLICY, city, study

TABLES = tuple(name for name, one in estimators().items() if hasattr(one, "with_noise"))

SAME = 1e-12
"""Sums of a few dozen integers, divided."""

RARE = 1e-9
"""OpenDP's noise cannot be seeded: tests of it may fail by chance once in a thousand million runs."""

SIGMAS = 6.5
"""A normal number is as far off with a probability of 8e-11; of a hundred none is, but for `RARE`."""

NOISY = replace_struct(OPEN_POLICY, epsilon=1.0, epsilon_total=100.0)


def test_chances_sum_to_one_and_have_the_stated_variance() -> None:
    for scale in (0.2, 1.0, 10.0):
        k = np.arange(-2000, 2001)
        chance = probability(k, scale)
        assert abs(chance.sum() - 1) < SAME
        assert abs((k**2 * chance).sum() / variance(scale) - 1) < SAME
    assert variance(1e-4) == pytest.approx(0.0, abs=1e-300)


@pytest.mark.parametrize("epsilon", [3.0, 1.0, 0.1])
def test_noise_is_discrete_laplace(epsilon: float) -> None:
    counts = np.full(20_000, 50)
    noisy, scale = noise.noisy_counts(counts, epsilon)
    assert noisy.dtype == np.int64
    assert 1 / epsilon <= scale <= (1 + SAME) / epsilon
    edge = math.ceil(scale * 5)
    k = np.arange(-edge, edge + 1)
    chance = probability(k, scale)
    expected = len(counts) * np.append(chance, 1 - chance.sum())
    found = np.array([np.sum(noisy - 50 == one) for one in k])
    found = np.append(found, len(counts) - found.sum())
    used = expected >= 5
    chi2 = float(((found - expected)[used] ** 2 / expected[used]).sum())
    assert gammaincc((used.sum() - 1) / 2, chi2 / 2) > RARE


@pytest.mark.parametrize("epsilon", [1.0, 0.3])
def test_one_incident_changes_no_chance_by_more_than_exp_epsilon(epsilon: float) -> None:
    draws = 40_000
    with_it, without = (noise.noisy_counts(np.full(draws, count), epsilon)[0] for count in (51, 50))
    compared = 0
    for k in range(50 - math.ceil(4 / epsilon), 51 + math.ceil(4 / epsilon)):
        a, b = int((with_it == k).sum()), int((without == k).sum())
        if min(a, b) < 100:
            continue
        compared += 1
        error = math.sqrt(1 / a + 1 / b)
        assert abs(math.log(a / b)) < epsilon + SIGMAS * error
    assert compared > 5


def answer_of(name: str, panel: Panel, asked: Study | None = None) -> tuple[Statistics, Question]:
    chosen = estimator(name)
    question = ask_first(chosen, asked or study(estimator=name))
    return chosen.summarise(panel, question), question


def with_one_more(panel: Panel, crime: int, unit: int, period: int) -> Panel:
    counts = panel.counts.copy()
    counts[crime, unit, period] += 1
    return replace(panel, counts=counts)


def test_both_estimators_of_tables_can_answer_with_noise() -> None:
    assert {"rate_ratio", "wdd"} <= set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_there_for_whoever_can_add_noise_and_go_no_further(name: str) -> None:
    assert estimator(name).release_class == "table"
    one, other = (answer_of(name, city(site, 1))[0] for site in ("alta", "brisa"))
    assert one.tables.keys() == one.parts.keys()
    assert not merge(one, other).tables


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("dispersion", ["quasi", "doubled"])
def test_one_incident_changes_one_cell_by_one(name: str, dispersion: str) -> None:
    asked = study(estimator=name, dispersion=dispersion)
    panel = city("alta", 1)
    (before,) = answer_of(name, panel, asked)[0].tables.values()
    changes = []
    for unit in range(0, panel.n_units, 3):
        for period in range(0, panel.n_periods, 5):
            one_more = with_one_more(panel, unit % 2, unit, period)
            (after,) = answer_of(name, one_more, asked)[0].tables.values()
            changes.append(sum(int(np.abs(after[key] - before[key]).sum()) for key in before))
    assert set(changes) == {0, 1}


@pytest.mark.parametrize("name", TABLES)
def test_nothing_but_the_noisy_table_tells_of_incidents(name: str) -> None:
    """Other incidents and the same noisy table give the same answer to the last bit."""
    one, other = (answer_of(name, city("alta", seed))[0] for seed in (1, 2))
    (table,) = one.tables.values()
    fields = [
        estimator(name).with_noise(*part.parts.values(), table, Noise(1.0, variance(1.0)))  # type: ignore[attr-defined]  # of class table
        for part in (one, other)
    ]
    assert fields[0].keys() == fields[1].keys()
    assert all(fields[0][key].tobytes() == fields[1][key].tobytes() for key in fields[0])


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_noise_gives_the_true_totals(name: str) -> None:
    statistics, _ = answer_of(name, city("alta", 1))
    (fields,), (table,) = statistics.parts.values(), statistics.tables.values()
    again = estimator(name).with_noise(fields, table, Noise(1.0, 0.0))  # type: ignore[attr-defined]  # of class table
    for key in ("totals", "exposure", "sizes"):
        np.testing.assert_array_equal(again[key], fields[key])


def test_clusters_of_one_unit_give_the_variance_between_units() -> None:
    """As many units as clusters: the same variance as without noise."""
    panel = city("alta", 1, treated=12, controls=12)
    statistics, _ = answer_of("wdd", panel)
    (fields,), (table,) = statistics.parts.values(), statistics.tables.values()
    again = estimator("wdd").with_noise(fields, table, Noise(1.0, 0.0))  # type: ignore[attr-defined]  # of class table
    np.testing.assert_allclose(again["between"], fields["between"], rtol=SAME)


def review(ledger: Ledger, policy: Policy, name: str = "rate_ratio", **asked: str | int) -> Release:
    panel = city("alta", 1)
    statistics, question = answer_of(name, panel, study(estimator=name, **asked))  # type: ignore[arg-type]  # literals come from the tests
    return gate.review(
        statistics,
        question,
        policy,
        ledger,
        fingerprint=panel.fingerprint,
        site="alta",
        audit=Audit(ledger.path.parent / "audit", told_by(panel, question.study)),
    )


@pytest.mark.parametrize("name", TABLES)
def test_the_answer_is_noisy_and_the_ledger_says_what_it_cost(name: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    totals = answer_of(name, city("alta", 1))[0].parts[("alta",)]["totals"]
    release = review(ledger, NOISY, name)
    assert np.abs(release.fields["totals"] - totals).max() > 0
    assert release.fields[FIELD][0] == 1.0
    assert release.fields[FIELD][1] == 12 * variance(1.0) or name == "rate_ratio"
    assert not {"support", "tables"} & release.fields.keys()
    (entry,) = ledger.entries()
    assert (entry["epsilon"], entry["repeated"]) == (1.0, False)


def test_other_classes_have_no_noise(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    release = review(ledger, NOISY, "random_effects", first_stage="poisson_did")
    (entry,) = ledger.entries()
    assert FIELD not in release.fields
    assert "epsilon" not in entry
    assert noise.spent(ledger.entries()) == 0


def test_an_effect_does_not_give_away_the_table_that_noise_hides(tmp_path: Path) -> None:
    """Without the rule: of all four whole numbers near noisy totals, the true ones alone give effect and variance."""
    panel, asked = city("alta", 1), {"first_stage": "rate_ratio", "dispersion": "poisson"}
    told = study(estimator="random_effects", **asked)
    (fields,) = answer_of("random_effects", panel, told)[0].parts.values()
    (table,) = answer_of("rate_ratio", panel)[0].parts.values()
    exposure, near = table["exposure"], np.arange(-60, 61)
    a, b, c = np.meshgrid(*(total + near for total in table["totals"][:3]), indexing="ij")
    known = exposure[0] * exposure[3] / (exposure[1] * exposure[2])
    d = c * b / a * known * np.exp(-fields["effect"][0])  # the last total that gives the effect
    whole = np.abs(d - np.round(d)) < 1e-7 * d
    fits = np.abs(1 / a + 1 / b + 1 / c + 1 / d - fields["effect"][1]) < 1e-12
    (found,) = np.argwhere(whole & fits)
    assert (found == 60).all()
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(RefusalError) as refused:
        review(ledger, NOISY, "random_effects", **asked)
    assert refused.value.rules == ("epsilon",)


def test_asking_again_gives_the_same_bytes_at_no_cost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    policy = replace_struct(NOISY, epsilon=1.0, epsilon_total=1.0)
    answers = {release_bytes(review(ledger, policy)) for _ in range(5)}
    assert len(answers) == 1
    assert [entry["repeated"] for entry in ledger.entries()] == [False, True, True, True, True]
    assert noise.spent(ledger.entries()) == 1.0


def test_the_budget_holds_over_all_studies(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    policy = replace_struct(NOISY, epsilon=0.1, epsilon_total=0.3)
    for level in (0.9, 0.95, 0.99):  # three studies; 0.1 three times is more than 0.3 in doubles
        review(ledger, policy, level=level)
    with pytest.raises(RefusalError) as caught:
        review(ledger, policy, "wdd")
    assert caught.value.rules == ("epsilon_total",)
    assert ledger.entries()[-1]["outcome"] == "refused"
    review(ledger, policy, level=0.9)  # repeats stay free
    assert abs(noise.spent(ledger.entries()) - 0.3) < SAME


def test_what_is_refused_costs_nothing_and_draws_nothing(tmp_path: Path) -> None:
    """The rules judge true counts, whatever the noise."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(RefusalError) as caught:
        review(ledger, replace_struct(NOISY, min_incidents=10_000_000))
    assert caught.value.rules == ("min_incidents",)
    assert noise.spent(ledger.entries()) == 0
    assert not (tmp_path / noise.FOLDER).exists()
    # the true smallest count passes at its own number and fails one above, however large the noise
    support = answer_of("rate_ratio", city("alta", 1))[0].support[0]
    smallest = min(cell.incidents for cell in support.cells)
    drowning = replace_struct(NOISY, epsilon=0.001)
    review(ledger, replace_struct(drowning, min_incidents=smallest))
    with pytest.raises(RefusalError):
        review(ledger, replace_struct(drowning, min_incidents=smallest + 1))


def test_what_cannot_be_made_of_noisy_counts_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(RefusalError) as caught:
        review(ledger, NOISY, randomisation=19)
    assert caught.value.rules == ("epsilon",)
    panel = city("alta", 1)
    matched = replace_struct(study(estimator="rate_ratio"), matching=Matching(method="nearest"))
    with pytest.raises(RefusalError) as caught:
        gate.admit(
            Question(matched, "rate_ratio", "totals"), NOISY, ledger, fingerprint=panel.fingerprint
        )
    assert caught.value.rules == ("epsilon",)


@pytest.mark.parametrize("damage", ["remove", "change"])
def test_an_answer_that_was_given_and_is_gone_is_not_drawn_again(
    damage: str, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    review(ledger, NOISY)
    (kept,) = (tmp_path / noise.FOLDER).iterdir()
    if damage == "remove":
        kept.unlink()
    else:
        kept.write_bytes(kept.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(LedgerError):
        review(ledger, NOISY)


def test_an_answer_that_cannot_be_kept_does_not_leave(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    (tmp_path / noise.FOLDER).write_text("not a folder", encoding="utf-8")
    with pytest.raises(LedgerError):
        review(ledger, NOISY)
    assert ledger.entries() == []


def test_a_draw_that_never_left_is_drawn_anew(tmp_path: Path) -> None:
    """The machine stopped between drawing and the ledger line: nothing was sent, nothing was spent."""
    elsewhere = Ledger(tmp_path / "a" / "ledger.jsonl")
    review(elsewhere, NOISY)
    (orphan,) = (tmp_path / "a" / noise.FOLDER).iterdir()
    home = tmp_path / "b" / noise.FOLDER
    home.mkdir(parents=True)
    (home / orphan.name).write_bytes(orphan.read_bytes())
    ledger = Ledger(tmp_path / "b" / "ledger.jsonl")
    review(ledger, NOISY)
    assert noise.spent(ledger.entries()) == 1.0


def test_without_opendp_no_table_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    ledger = Ledger(tmp_path / "ledger.jsonl")
    with pytest.raises(MissingExtraError, match="privacy"):
        review(ledger, NOISY)
    assert ledger.entries() == []


def test_a_budget_into_which_no_table_fits_is_a_mistake() -> None:
    check_policy(Policy(epsilon=1.0, epsilon_total=1.0), where="[policy]")
    check_policy(Policy(), where="[policy]")
    for total in (0.0, 0.9):
        with pytest.raises(ConfigError, match="epsilon_total"):
            check_policy(Policy(epsilon=1.0, epsilon_total=total), where="[policy]")


# ---------------------------------------------------------------- estimates


def noisy_estimate(name: str, statistics: Statistics, question: Question, epsilon: float):
    policy = replace_struct(NOISY, epsilon=epsilon)
    fields = noise.noised(statistics, policy)
    return estimator(name).finalise(replace(statistics, parts={("alta",): fields}), question)


@pytest.mark.parametrize(
    ("name", "effect", "epsilon"),
    [("rate_ratio", -0.2, 0.3), ("rate_ratio", -0.2, 0.1), ("wdd", 0.0, 0.3), ("wdd", 0.0, 0.1)],
)
def test_intervals_with_noise_cover_and_are_not_shifted(
    name: str, effect: float, epsilon: float
) -> None:
    """300 simulated cities: the interval covers about as often as without noise, and the mean stays.

    The panels are seeded and the noise is not. Without noise 93 % (`rate_ratio`) and 95 % (`wdd`) of these intervals
    cover; fewer than 86 % of 300 by chance are rarer than `RARE` at 94 %.
    """
    worlds, covered, errors = 300, 0, []
    for seed in range(worlds):
        statistics, question = answer_of(name, city("alta", 1000 + seed, effect=effect))
        bare = estimator(name).finalise(statistics, question)
        found = noisy_estimate(name, statistics, question, epsilon)
        low, high = found.interval()
        covered += low < effect < high
        errors.append(float(found.effect[0] - bare.effect[0]))
    assert covered >= 0.86 * worlds
    error = np.std(errors) / math.sqrt(worlds)
    assert abs(np.mean(errors)) < SIGMAS * error


@pytest.mark.parametrize("name", TABLES)
def test_less_epsilon_costs_more_width_and_the_result_says_so(name: str) -> None:
    statistics, question = answer_of(name, city("alta", 1))
    costs = []
    for epsilon in (10.0, 1.0, 0.1):
        found = noisy_estimate(name, statistics, question, epsilon)
        costs.append(found.details[COST])
        assert found.details["epsilon_alta"] == epsilon
        assert any(
            f"(epsilon {epsilon:g}); the interval is {costs[-1]:.2f} times" in note
            for note in found.notes
        )
    assert 1.0 <= costs[0] < costs[1] < costs[2]
    assert costs[0] < 1.001
    assert costs[2] > 1.1


@pytest.mark.parametrize("name", TABLES)
def test_cities_with_and_without_noise_go_together(name: str) -> None:
    plain, question = answer_of(name, city("brisa", 2))
    statistics, _ = answer_of(name, city("alta", 1))
    fields = noise.noised(statistics, NOISY)
    both = Statistics(name, "totals", "collected", {("alta",): fields, **plain.parts})
    found = estimator(name).finalise(both, question)
    assert found.contributors == ("alta", "brisa")
    assert "epsilon_alta" in found.details
    assert "epsilon_brisa" not in found.details
    alone = estimator(name).finalise(plain, question)
    assert found.sites[1].std_error == alone.sites[0].std_error


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("wrong", [[1.0, 2.0], [0.0] * 5, [0.0] * 7, [1.0, *[-1.0] * 4]])
def test_what_a_city_says_of_its_noise_is_checked(name: str, wrong: list[float]) -> None:
    statistics, question = answer_of(name, city("alta", 1))
    fields = {**statistics.parts[("alta",)], FIELD: np.array(wrong)}
    with pytest.raises(EstimationError, match="noise"):
        estimator(name).finalise(replace(statistics, parts={("alta",): fields}), question)


def test_a_total_that_noise_drowned_has_no_logarithm() -> None:
    statistics, question = answer_of("rate_ratio", city("alta", 1))
    fields = {
        **statistics.parts[("alta",)],
        FIELD: np.array([0.01, *[2400.0] * 4]),
        "totals": np.array([100.0, -3.0, 100.0, 120.0]),
    }
    with pytest.raises(SeparationError, match="noise"):
        estimator("rate_ratio").finalise(replace(statistics, parts={("alta",): fields}), question)
    fields["totals"] = np.array([100.0, 110.0, 100.0, 120.0])
    found = estimator("rate_ratio").finalise(
        replace(statistics, parts={("alta",): fields}), question
    )
    assert any("rough" in note for note in found.notes)


def test_a_difference_of_drowned_totals_stays_a_number() -> None:
    statistics, question = answer_of("wdd", city("alta", 1))
    fields = dict(
        noise.noised(statistics, NOISY), totals=np.array([100.0, -30.0, -5.0, 20.0, 0.0, 0.0])
    )
    found = estimator("wdd").finalise(replace(statistics, parts={("alta",): fields}), question)
    assert np.isfinite(found.effect).all()
    assert (found.std_error > 0).all()
