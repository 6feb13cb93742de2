"""Was this incident in the data? Asked of a released table by somebody who knows all the other incidents.

The attacker has two panels, with the incident and without, and the released bytes of one of them. Without noise one
look decides. With noise nobody can be right more often than exp(ε)/(1 + exp(ε)) (Wasserman & Zhou 2010, A statistical
framework for differential privacy), whatever he computes; and asking again does not help.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from msgspec.structs import replace as replace_struct

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics
from evalkit.disclosure import gate
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.noise import noised
from evalkit.disclosure.release import canonical_bytes, parse_release, release_bytes
from evalkit.disclosure.told import told_by
from evalkit.policy import Policy
from tests.attacks.conftest import Record
from tests.panels import OPEN_POLICY, city, study

TRIALS = 1000
EPSILON = 0.3
NOISY = replace_struct(OPEN_POLICY, epsilon=EPSILON, epsilon_total=1000 * EPSILON)

BOUND = math.exp(EPSILON) / (1 + math.exp(EPSILON))
"""Share of right guesses that no attacker exceeds."""

SIGMAS = 6.5
"""Noise cannot be seeded: a normal number is further off with a probability of 8e-11."""

ASKED = study(estimator="rate_ratio", dispersion="doubled")
"""One cell for each total: the attacker's best case."""


@cache
def panels() -> tuple[Panel, Panel]:
    """Without the incident and with it: at a camera, in the first period."""
    without = city("alta", 1)
    counts = without.counts.copy()
    counts[0, 0, 0] += 1
    return without, replace(without, counts=counts)


@cache
def summarised(member: bool) -> tuple[Statistics, Question]:
    chosen = estimator("rate_ratio")
    question = chosen.first_question(ASKED)
    return chosen.summarise(panels()[member], question), question


def bytes_of(member: bool, policy: Policy) -> bytes:
    """What the gate releases, without its files: `test_one_question_has_one_answer` asks the gate itself."""
    statistics, question = summarised(member)
    (fields,) = statistics.parts.values()
    return canonical_bytes(
        site="alta",
        study="",
        estimator="rate_ratio",
        stage=question.stage,
        round_number=0,
        kind="collected",
        fields=noised(statistics, policy) if policy.epsilon else fields,
    )


def guess(data: bytes) -> bool:
    """The likelier of the two panels, by the one total in which they differ; a coin where both are as likely."""
    (fields,) = parse_release(data).parts.values()
    found = fields["totals"][0]
    without, with_it = (summarised(member)[0].parts[("alta",)]["totals"][0] for member in (0, 1))
    assert with_it == without + 1
    return bool(abs(found - with_it) < abs(found - without))


def right_guesses(policy: Policy) -> int:
    members = np.random.default_rng(1).random(TRIALS) < 0.5
    return sum(guess(bytes_of(bool(one), policy)) == one for one in members)


def test_an_incident_that_one_look_tells_is_hardly_better_than_a_coin_in_noise(
    record: Record,
) -> None:
    assert right_guesses(OPEN_POLICY) == TRIALS
    found = right_guesses(NOISY) / TRIALS
    error = SIGMAS * math.sqrt(BOUND * (1 - BOUND) / TRIALS)
    assert found < BOUND + error
    # the guess is the best there is: it reaches what noise of this scale allows, and is no chance itself
    assert found > BOUND - error
    record(
        "membership",
        without=f"right in {TRIALS} of {TRIALS}",
        with_=f"with noise of ε {EPSILON:g}: right in {BOUND:.1%}, the most there can be; a coin is right in 50.0%",
    )


def test_fresh_noise_could_be_averaged_away() -> None:
    """Why the same question must get the same answer: a thousand draws tell the count."""
    (fields, other) = (summarised(member)[0].parts[("alta",)]["totals"][0] for member in (0, 1))
    draws = [
        parse_release(bytes_of(True, NOISY)).parts[("alta",)]["totals"][0] for _ in range(TRIALS)
    ]
    error = math.sqrt(2) / EPSILON / math.sqrt(TRIALS)
    assert abs(np.mean(draws) - other) < SIGMAS * error
    assert error < 0.5 * (other - fields)


def test_one_question_has_one_answer(tmp_path: Path) -> None:
    """The same attack on the gate: a hundred answers, in whatever rounds, are one number."""
    ledger = Ledger(tmp_path / "ledger.jsonl")
    panel = panels()[True]
    statistics, question = summarised(True)
    totals, answers = set(), set()
    for number in range(100):
        release = gate.review(
            statistics,
            replace(question, round=number % 5),
            NOISY,
            ledger,
            fingerprint=panel.fingerprint,
            site="alta",
            audit=Audit(tmp_path / "audit", told_by(panel, question.study)),
        )
        answers.add(release_bytes(release))
        totals.add(release.fields["totals"].tobytes())
    assert len(totals) == 1
    assert len(answers) == 5  # the number of the round is in the header
    charged = [entry["epsilon"] for entry in ledger.entries()]
    assert charged == [EPSILON, *[0.0] * 99]
