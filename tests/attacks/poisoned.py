"""One poisoned city of six, and what is left of the pooled effect: the attack, without screening and with it.

The poisoned city is an honest one whose answer is changed in the last moment before it is sent: its effect is moved,
its numbers are made huge or no numbers at all, its variance or its counts are made negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from evalkit.core.discover import estimator
from evalkit.core.estimate import Estimate
from evalkit.core.estimator import Question, ask_first, estimate
from evalkit.core.panel import Panel
from evalkit.core.statistics import Statistics, merge_all
from evalkit.core.study import Study
from evalkit.errors import EvalkitError
from tests.panels import city, study

__all__ = ["ATTACKED", "ESTIMATORS", "POISONS", "Outcome", "attack", "drawn_trials"]

Fields = Mapping[str, np.ndarray]

TRUE: Final = -0.2
"""Log rate ratio in every honest city of `honest`."""

ATTACKED: Final = "clara"

ESTIMATORS: Final = (
    "random_effects",
    "rate_ratio",
    "poisson_did",
    "group_time_att",
    "doubly_robust",
    "regression_to_the_mean",
    "synthetic_did",
)

EFFECT_FIELDS: Final = {
    "random_effects": "effect",
    "regression_to_the_mean": "expected",
    "synthetic_did": "effect",
}

VARIANCES: Final = {
    **EFFECT_FIELDS,
    "rate_ratio": "dispersion",
    "poisson_did": "meat",
    "group_time_att": "cross",
    "doubly_robust": "cross",
}
"""Field that holds the variance, or that it is computed from."""

POISONS: Final = ("effect +5", "huge", "not a number", "negative variance")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attack.

    Attributes:
        bias: of the pooled effect, from that without the attack; infinite or NaN without a finite effect.
        ended: the error's code, if there is no estimate.
        named: cities that the result or the error names.
    """

    bias: float
    ended: str
    named: tuple[str, ...]


@lru_cache(maxsize=4)
def honest() -> tuple[Panel, ...]:
    """Six cities, small and large."""
    names = ("alta", "brisa", "clara", "dorada", "ermita", "fuente")
    return tuple(
        city(name, 40 + i, treated=18 + 3 * (i % 3), rate=6.0 + 3 * (i % 2), effect=TRUE)
        for i, name in enumerate(names)
    )


def moved(panel: Panel, by: float) -> Panel:
    """A city that counts exp(by) times the incidents where cameras are live: an effect of its own making."""
    period = np.arange(panel.n_periods)
    after = (panel.last_live[:, None] >= 0) & (period > panel.last_live[:, None])
    counts = np.where(after, np.rint(panel.counts * np.exp(by)), panel.counts)
    return replace(panel, counts=counts.astype(panel.counts.dtype))


def poisoned(name: str, poison: str, statistics: Statistics) -> Statistics:
    """A city's answer, changed; ``effect +5`` is made by other incidents or, where it is sent, by adding to it."""
    (names, fields), *_ = statistics.parts.items()
    changed = {key: array.copy() for key, array in fields.items()}
    if poison == "huge":
        changed = {key: array * 1e30 for key, array in changed.items()}
    elif poison == "not a number":
        changed = {key: array * np.nan for key, array in changed.items()}
    elif poison == "negative variance" and VARIANCES[name] in changed:
        array = changed[VARIANCES[name]]
        if name in EFFECT_FIELDS:
            array[1] *= -1
        else:
            array *= -1
    elif poison == "effect +5" and name in ("random_effects", "regression_to_the_mean"):
        changed[EFFECT_FIELDS[name]][0] += 5.0
    return replace(statistics, parts={names: changed})


def asked(name: str, poison: str) -> Callable[[Question], Sequence[Statistics]]:
    """All cities' answers, one of them poisoned; empty for none."""
    one = estimator(name)
    added = poison.startswith("effect") and name not in ("random_effects", "regression_to_the_mean")

    def answer(panel: Panel, question: Question) -> Statistics:
        if panel.sites != (ATTACKED,) or not poison:
            return one.summarise(panel, question)
        if added:
            return one.summarise(moved(panel, 5.0), question)
        return poisoned(name, poison, one.summarise(panel, question))

    return lambda question: [answer(panel, question) for panel in honest()]


def unscreened(
    name: str, asked_of: Study, ask: Callable[[Question], Sequence[Statistics]]
) -> Estimate:
    """The round loop as it was before there was screening."""
    one = estimator(name)
    question = ask_first(one, asked_of)
    for _ in range(30):
        found = one.finalise(merge_all(ask(question)), question)
        if isinstance(found, Estimate):
            return found
        question = found
    raise AssertionError("no end")


def attack(name: str, poison: str, *, screened: bool, outliers: str = "refuse") -> Outcome:
    """One attack on one estimator's study of six cities."""
    asked_of = study(estimator=name)
    federation = replace_outliers(asked_of, outliers)
    truth = float(estimate(estimator(name), asked_of, asked(name, "")).effect[0])
    try:
        with np.errstate(all="ignore"):
            found = (
                estimate(estimator(name), federation, asked(name, poison))
                if screened
                else unscreened(name, federation, asked(name, poison))
            )
    except (EvalkitError, ArithmeticError, ValueError, AssertionError) as error:
        text = str(error)
        code = error.code if isinstance(error, EvalkitError) else type(error).__name__
        return Outcome(float("nan"), code, (ATTACKED,) if ATTACKED in text else ())
    named = tuple(one.site for one in found.set_aside)
    return Outcome(float(found.effect[0]) - truth, "", named)


def replace_outliers(asked_of: Study, outliers: str) -> Study:
    """The study with another ``[federation] outliers``."""
    import msgspec

    federation = msgspec.structs.replace(asked_of.federation, outliers=outliers)
    return msgspec.structs.replace(asked_of, federation=federation)


def drawn_trials(
    trials: int, cities: int, tau: float, poison: float, *, screened: bool, seed: int = 5
) -> dict[str, float]:
    """Effects of simulated cities pooled by `random_effects`, the first of them moved by ``poison``.

    True effects have the mean −0.14 and the standard deviation ``tau``; standard errors are between 0.05 and 0.25.

    Returns:
        ``bias`` (mean of the pooled effect's error), ``caught`` (share of trials in which the poisoned city was set
        aside), ``honest`` (share of honest cities that were).
    """
    random = np.random.default_rng(seed)
    one = estimator("random_effects")
    asked_of = study(estimator="random_effects", method="DL", interval="wald")
    question = ask_first(one, asked_of)
    errors, caught, wrong = [], 0, 0
    names = [f"city{i:02d}" for i in range(cities)]
    for _ in range(trials):
        deviation = random.uniform(0.05, 0.25, cities)
        drawn = -0.14 + tau * random.normal(size=cities) + deviation * random.normal(size=cities)
        drawn[0] += poison
        answers = [
            Statistics(
                one.name,
                question.stage,
                "collected",
                {(name,): {"effect": np.array([effect, error**2, 60.0, 1440.0])}},
            )
            for name, effect, error in zip(names, drawn, deviation, strict=True)
        ]
        if screened:
            found = estimate(one, asked_of, lambda _, sent=answers: sent)
            out = {aside.site for aside in found.set_aside}
            caught += names[0] in out
            wrong += len(out - ({names[0]} if poison else set()))
        else:
            found = unscreened(one.name, asked_of, lambda _, sent=answers: sent)
        errors.append(float(found.effect[0]) + 0.14)
    honest_cities = cities - bool(poison)
    return {
        "bias": float(np.mean(errors)),
        "caught": caught / trials,
        "honest": wrong / (trials * honest_cities),
    }
