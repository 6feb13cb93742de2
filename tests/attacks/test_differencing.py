"""Several honest answers put together: what each of them keeps to itself, their difference tells.

A study says which cameras it is about by the days on which they went live, and camera dates are public. Two studies
whose first days are one day apart differ by one camera; of four studies of many cameras each, the first less the second
less the third plus the fourth is one camera. Every one of these answers keeps every rule about a single release.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import msgspec
import numpy as np
import pytest

from evalkit.attacks.sums import solve_sums
from evalkit.core.discover import estimator
from evalkit.core.panel import Panel, Role
from evalkit.core.study import Study
from evalkit.disclosure.gate import draft
from evalkit.disclosure.release import canonical_bytes, parse_release, release_bytes
from evalkit.errors import RefusalError
from evalkit.panel.cohorts import cohorts
from tests.attacks.conftest import Record
from tests.attacks.gated import DEFAULTS, first_of, released
from tests.panels import city, study

TABLES = msgspec.structs.replace(DEFAULTS, release_class="table")
TRIALS = 1000
FEW = 50
NEAR = 0.5
TREATED, CONTROLS = 41, 30
GO_LIVE = dt.date(2020, 12, 1)
"""The first camera's day; all others follow in the same month, so that all have one design row."""

LIVE = 11
"""The month's number in the window."""

GROUPS = (1, 19, 1, 10, 10)
"""Cameras that went live on that day, on the next, and so on."""

Answer = Callable[[Panel, Study, Path], bytes]


@dataclass(frozen=True)
class Target:
    """A city, the studies asked of it, and the one camera whose incidents are wanted."""

    studies: tuple[Study, ...]
    panels: tuple[Panel, ...]
    unit: int

    @property
    def treated(self) -> list[np.ndarray]:
        """(U,) cameras of each study."""
        return [panel.role == Role.TREATED for panel in self.panels]

    @property
    def truth(self) -> float:
        """Its incidents in all months but that of its go-live."""
        counts = self.panels[0].total(self.studies[0].outcome.crime_types)[self.unit]
        return float(counts.sum() - counts[LIVE])


def days() -> np.ndarray:
    """(U,) go-live dates, NaT for places without a camera and for the ring."""
    found = np.full(TREATED + CONTROLS + 1, np.datetime64("NaT"), dtype="datetime64[D]")
    later = np.repeat(np.arange(len(GROUPS)), GROUPS)
    found[:TREATED] = np.datetime64(GO_LIVE) + later
    return found


def asked_of(panel: Panel, asked: Study) -> Panel:
    """The panel as the builder makes it for the study's adoption dates."""
    first = days()
    flags = np.zeros(len(first), dtype=bool)
    none = np.full(len(first), np.datetime64("NaT"), dtype="datetime64[D]")
    ring = np.zeros(len(first), dtype=np.int64)
    ring[-1] = 1
    found = cohorts(first, flags, none, ring, asked.window, asked.treatment)
    role = np.where(ring > 0, int(Role.RING), found.role)
    used = np.arange(panel.n_periods) < found.used_until[:, None]
    return replace(
        panel,
        role=role,
        first_live=found.first_live,
        last_live=found.last_live,
        exposure=used.astype(np.float64),
    )


def between(first: int, last: int) -> Study:
    """The study of the cameras from one to the other, in the order of their days."""
    base = study(estimator="rate_ratio")
    start, end = (days()[unit].astype(object) for unit in (first, last))
    treatment = msgspec.structs.replace(base.treatment, adoption_start=start, adoption_end=end)
    return msgspec.structs.replace(base, treatment=treatment)


def target(seed: int, ranges: Sequence[tuple[int, int]], unit: int) -> Target:
    panel = city("alta", seed, treated=TREATED, controls=CONTROLS)
    studies = tuple(between(*one) for one in ranges)
    return Target(studies, tuple(asked_of(panel, one) for one in studies), unit)


def by_rules_on_one_release(panel: Panel, asked: Study, folder: Path) -> bytes:
    """What leaves if nobody remembers what has left before; every other rule is kept."""
    question = first_of(asked)
    statistics = estimator("rate_ratio").summarise(panel, question)
    assert draft(statistics, TABLES).passed
    (fields,) = statistics.parts.values()
    return canonical_bytes(
        site="alta", study="", estimator="rate_ratio", stage=question.stage, round_number=0,
        kind="collected", fields=fields,
    )  # fmt: skip


def by_the_gate(panel: Panel, asked: Study, folder: Path) -> bytes:
    return release_bytes(released(panel, first_of(asked), folder, TABLES))


def targets_total(data: bytes) -> float:
    """Incidents of the study's cameras, before and after, from the released bytes."""
    (fields,) = parse_release(data).parts.values()
    return float(fields["totals"][:2].sum())


def attack(one: Target, answer: Answer, folder: Path) -> tuple[float, list[str]]:
    """The best guess at the camera's incidents from all answers that were given, and the rules that refused others.

    Without a difference that decides it, the guess is what the first answer says of the camera's equals: their mean.
    """
    rows, totals, refused = [], [], []
    for asked, panel in zip(one.studies, one.panels, strict=True):
        try:
            data = answer(panel, asked, folder)
        except RefusalError as refusal:
            refused += refusal.rules
            continue
        rows.append(panel.role == Role.TREATED)
        totals.append(targets_total(data))
    mean = totals[0] / rows[0].sum()
    solved = solve_sums(np.array(rows), np.array(totals), mean)
    return float(solved.guess[one.unit]), refused


TWO = ((0, 40), (1, 40))
"""The first camera of all is in one study and not in the other."""

FOUR = ((0, 30), (0, 19), (21, 40), (31, 40))
"""P + B + u + Q, P + B, Q + R and R: the first less the second less the third plus the fourth is u."""


def test_the_studies_are_what_they_are_said_to_be() -> None:
    two, four = target(0, TWO, 0), target(0, FOUR, 20)
    (alone,) = np.flatnonzero(two.treated[0] ^ two.treated[1])
    assert alone == two.unit
    signs = four.treated[0] * 1 - four.treated[1] - four.treated[2] + four.treated[3]
    np.testing.assert_array_equal(np.flatnonzero(signs), [four.unit])
    apart = [int((a ^ b).sum()) for a, b in combinations(four.treated, 2)]
    assert min(apart) >= 10
    assert min(int(one.sum()) for one in four.treated) >= 10


def outcomes(
    ranges: Sequence[tuple[int, int]], unit: int, answer: Answer, folder: Path
) -> tuple[int, int, int]:
    """Of `TRIALS` cities: camera's incidents found to ±0.5; found by chance; cities in which the auditor refused."""
    hits = chance = refusals = 0
    for seed in range(TRIALS):
        one = target(seed, ranges, unit)
        guess, refused = attack(one, answer, folder / str(seed))
        assert set(refused) <= {"max_leverage"}
        hits += abs(guess - one.truth) <= NEAR
        other = replace(one, unit=unit + 1)
        chance += abs(guess - other.truth) <= NEAR
        refusals += bool(refused)
    return hits, chance, refusals


@pytest.mark.parametrize(
    ("row", "ranges", "unit"), [("two studies", TWO, 0), ("four studies", FOUR, 20)]
)
def test_differences_of_honest_studies(
    row: str,
    ranges: Sequence[tuple[int, int]],
    unit: int,
    record: Record,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # thousands of ledgers; the disk is not asked
    without, _, _ = outcomes(ranges, unit, by_rules_on_one_release, tmp_path)
    assert without == TRIALS
    hits, chance, refusals = outcomes(ranges, unit, by_the_gate, tmp_path)
    assert refusals == TRIALS
    # a guess at another camera's incidents is as good: three standard deviations of the difference of two counts
    assert abs(hits - chance) <= 3 * np.sqrt(max(hits + chance, 1))
    record(
        row,
        without=f"within ±0.5, {without} of {TRIALS}",
        with_=f"refused in {refusals} of {TRIALS}; within ±0.5 in {hits}, by chance {chance}",
    )


def with_a_rare_type(one: Target, seed: int) -> Target:
    """The second study counts homicides too, of which there are nearly none."""
    homicides = np.random.default_rng(seed).poisson(0.0005, one.panels[0].counts.shape[1:])
    panels = tuple(
        replace(
            panel,
            crime_types=("homicide", *panel.crime_types),
            counts=np.concatenate([homicides[None], panel.counts]),
        )
        for panel in one.panels
    )
    first, second = one.studies
    types = ("homicide", *second.outcome.crime_types)
    outcome = msgspec.structs.replace(second.outcome, crime_types=types)
    return replace(
        one, panels=panels, studies=(first, msgspec.structs.replace(second, outcome=outcome))
    )


def test_a_crime_type_that_hardly_occurs_hides_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the auditor told crime types apart, both studies were answered, and two in three counts found to ±0.5."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    exact = 0
    for seed in range(FEW):
        one = with_a_rare_type(target(seed, TWO, 0), seed)
        guess, _ = attack(one, by_rules_on_one_release, tmp_path)
        exact += abs(guess - one.truth) <= NEAR
        _, refused = attack(one, by_the_gate, tmp_path / str(seed))
        assert refused == ["max_leverage"]
    assert exact > FEW / 2


def test_the_refusal_names_the_rule_and_no_number(tmp_path: Path) -> None:
    one = target(3, TWO, 0)
    by_the_gate(one.panels[0], one.studies[0], tmp_path)
    with pytest.raises(RefusalError) as refused:
        by_the_gate(one.panels[1], one.studies[1], tmp_path)
    assert refused.value.rules == ("max_leverage",)
    assert not any(character.isdigit() for character in str(refused.value))


def test_asking_again_is_no_difference(tmp_path: Path) -> None:
    one = target(3, TWO, 0)
    asked, panel = one.studies[0], one.panels[0]
    assert by_the_gate(panel, asked, tmp_path) == by_the_gate(panel, asked, tmp_path)
