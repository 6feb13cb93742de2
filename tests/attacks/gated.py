"""One city's answers for attacks: without the gate, and with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from evalkit.core.discover import estimator
from evalkit.core.estimator import Question, ask_first, estimate
from evalkit.core.panel import Panel, Role
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.disclosure import gate
from evalkit.disclosure.audit import Audit
from evalkit.disclosure.ledger import Ledger
from evalkit.disclosure.release import Release
from evalkit.disclosure.told import told_by
from evalkit.policy import Policy
from tests.panels import city

__all__ = ["answered", "lone_city", "released"]

DEFAULTS = Policy(studies=("any",))


def lone_city(seed: int, *, live: int = 5, treated: int = 19, **shape) -> tuple[Panel, int]:
    """A city in which one camera goes live in a period of its own, and that unit's number."""
    panel = city("alta", seed, treated=treated, **shape)
    lone = int(np.flatnonzero(panel.role == Role.TREATED)[0])
    first = panel.first_live.copy()
    first[lone] = live
    return replace(panel, first_live=first, last_live=first.copy()), lone


def answered(panel: Panel, asked: Study) -> list[tuple[Question, Statistics]]:
    """Every question of a study and the city's numbers, as if there were no gate."""
    one, found = estimator(asked.analysis.estimator), []

    def ask(question: Question) -> list[Statistics]:
        found.append((question, one.summarise(panel, question)))
        return [found[-1][1]]

    estimate(one, asked, ask)
    return found


def released(
    panel: Panel,
    question: Question,
    folder: Path,
    policy: Policy = DEFAULTS,
    *,
    ledger: str = "ledger",
) -> Release:
    """What the gate lets out of a panel as it is; errors as it raises them."""
    release = gate.review(
        estimator(question.estimator).summarise(panel, question),
        question,
        policy,
        Ledger(folder / f"{ledger}.jsonl"),
        fingerprint=panel.fingerprint,
        site=panel.sites[0],
        audit=Audit(folder / f"{ledger}.audit", told_by(panel, question.study)),
    )
    assert isinstance(release, Release)
    return release


def first_of(asked: Study) -> Question:
    """The study's first question."""
    return ask_first(estimator(asked.analysis.estimator), asked)
