"""One honest information matrix tells every cohort's incidents; the gate sees to it that cohorts are large."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evalkit.attacks.cohort_totals import (
    cohort_totals,
    linear_cohort_totals,
    totals_of_groups,
)
from evalkit.attacks.figure import Figure, figure_of, public_of
from evalkit.attacks.payload import attack_places
from evalkit.core.design import design_of, patterns_of
from evalkit.core.discover import estimator
from evalkit.core.event_design import grid_of
from evalkit.core.panel import Panel
from tests.attacks.conftest import Record
from tests.attacks.gated import answered, first_of, lone_city, released
from tests.panels import city, study

CITIES = 50
EVENTS = study(estimator="poisson_did", design="event_time", event_window=(-6, 9))


def rebuilt(panel: Panel, fields, beta) -> tuple[Figure, np.ndarray]:
    (design,) = design_of(panel, EVENTS)
    found = cohort_totals(
        public_of(design), grid_of(EVENTS), beta,
        fields["score"], fields["information"], fields["columns"],
    )  # fmt: skip
    assert found is not None
    assert found.rank == found.unknowns
    return figure_of(
        found.totals, totals_of_groups(design.outcome, design, found.groups)
    ), found.groups.sizes


def test_every_cohorts_incidents_follow_from_one_round(record: Record, tmp_path: Path) -> None:
    """Without the gate also those of a cohort of one; what the gate lets out tells large cohorts only."""
    without = passed = number = cameras = 0
    smallest, known = [], []
    question = first_of(EVENTS)
    for seed in range(CITIES):
        panel, _ = lone_city(seed)
        (fields,) = estimator("poisson_did").summarise(panel, question).parts.values()
        figure, sizes = rebuilt(panel, fields, question.parameters)
        without, number = without + figure.exact, number + figure.number
        assert sizes.min() == 1
        large = city("alta", seed, treated=120, controls=60)
        release = released(large, question, tmp_path, ledger=str(seed))
        figure, sizes = rebuilt(large, release.fields, question.parameters)
        passed += figure.exact == figure.number
        smallest.append(int(sizes.min()))
        (design,) = design_of(large, EVENTS)
        sets = np.zeros((4, len(design.outcome)), dtype=bool)
        for row, (_, units) in enumerate(patterns_of(design)):
            sets[row, units] = True
        camera = attack_places(design.outcome.sum(axis=1), design.ever_treated, sets)
        assert camera is not None
        known.append(camera.figure.r_squared)
        cameras += camera.figure.number
    assert without == number
    assert passed == CITIES
    record(
        "cohort totals",
        without=f"exact, {without} of {number} cohorts in {CITIES} cities, of one camera too",
        with_=f"exact, by design: cohorts of {min(smallest)} cameras or more here, never fewer than 5 nor 10 incidents",
    )
    assert np.mean(known) < 0.05
    record(
        "one camera",
        without="R² 1.00 for a camera that is a cohort",
        with_=f"R² {np.mean(known):.2f} for {cameras:,} cameras in cohorts of {min(smallest)}",
    )


def test_a_lone_camera_in_a_static_design_is_not_decided() -> None:
    """Two numbers do not decide twenty-seven: the guess is no better than the mean."""
    asked = study(estimator="poisson_did")
    panel = city("alta", 3)
    question, statistics = answered(panel, asked)[0]
    (fields,), (design,) = statistics.parts.values(), design_of(panel, asked)
    found = cohort_totals(
        public_of(design), grid_of(asked), question.parameters,
        fields["score"], fields["information"], fields["columns"],
    )  # fmt: skip
    assert found is not None
    assert found.rank < found.unknowns
    truth = totals_of_groups(design.outcome, design, found.groups)
    assert figure_of(found.totals, truth).exact == 0


def test_with_unit_effects_alone_profiled_out_the_equations_are_linear() -> None:
    """What most federated fits send: period effects among the coefficients."""
    random = np.random.default_rng(5)
    groups, periods = 6, 12
    x = np.zeros((groups, periods, periods))
    x[:, np.arange(1, periods), np.arange(1, periods)] = 1
    for group, live in enumerate((3, 4, 6, 8, 9)):
        x[group, live:, 0] = 1
    weights, beta = np.ones((groups, periods)), random.normal(0, 0.3, periods)
    totals = random.integers(1, 500, groups).astype(float)
    share = weights * np.exp(x @ beta)
    share /= share.sum(axis=1, keepdims=True)
    information = sum(
        total * row.T @ (np.diag(p) - np.outer(p, p)) @ row
        for total, row, p in zip(totals, x, share, strict=True)
    )
    found = linear_cohort_totals(x, weights, beta, information)
    np.testing.assert_allclose(found, totals, rtol=1e-8)


def test_attacks_are_given_no_incident() -> None:
    (design,) = design_of(city("alta", 1), EVENTS)
    assert np.isnan(public_of(design).outcome).all()
