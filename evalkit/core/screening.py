"""Answers that cannot be right, or that do not belong to those of the other cities, are set aside before merging.

A city's machine may be broken, or lie. What is looked at is what the city sent and nothing else, without any chance,
so that whoever replays a run from its releases sets the same cities aside.

impossible   the message cannot be read; fields or shapes that the other cities do not have; not finite or above
             `LARGEST`; a count, a size or a variance below 0; a matrix of cross-products that is none; a standard
             error below `SMALLEST_ERROR`.
implausible  an effect of a factor above `MOST_TIMES` either way with a standard error that makes it no accident; an
             effect that is too far from the other cities' (`numerics.outliers`); or no effect of its own, and a great
             change of that of all together.

A study says by ``[federation] outliers`` what follows: ``refuse`` leaves such a city out (the default), ``downweight``
raises the variance of one that is too far until it is just not, where cities send their effect with its variance, and
``name`` keeps an implausible one and says so, and ends at an impossible one. The result names the city in each case.

An implausible city is set aside only with at least three others, and no more than a minority is ever set aside: if most
cities disagree, nobody can tell who is wrong. Of a sum over cities only the sum can be judged.

Attributes of an estimator that are read here, each optional:
    effect_field    the field of a collected statistic that begins with effect and variance; else
    city_effect(fields, question)  (effect, variance) of the first effect, of one city or of a sum of cities.
    never_negative  fields without an entry below 0.
    semidefinite    fields of symmetric positive semi-definite matrices, (K, K) or (M, K, K).
    unbounded       fields that may be above `LARGEST`.
    ragged          stages in which the shapes of cities differ.
    optional        fields that not every city sends, such as those that come with noise.
    recovers        (stage, stage that is asked again) when a city is set aside after the first round.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from evalkit.core.question import Question
from evalkit.core.set_aside import RULE_SAYS, Rule, SetAside
from evalkit.core.statistics import Statistics
from evalkit.core.study import Study
from evalkit.errors import CityAnswerError, EvalkitError
from evalkit.numerics.outliers import FEWEST, critical_residual, outliers_of

__all__ = [
    "FEWEST_LEFT",
    "HONEST_SPREAD",
    "LARGEST",
    "MOST_TIMES",
    "OUTLIER_LEVEL",
    "SMALLEST_ERROR",
    "Screen",
]

Floats = NDArray[np.float64]
Fields = Mapping[str, Floats]

LARGEST: Final = 1e24
"""The largest sums a city sends are of squares: of a billion incidents at each of a million places. None has those."""

SMALLEST_ERROR: Final = 1e-3
"""Of a log rate ratio: less needs four million incidents in each of the four totals."""

MOST_TIMES: Final = 20.0
"""Factor on crime that is taken for an error and not for an effect: one crime left of twenty, or twenty for one."""

NO_ACCIDENT: Final = 5.0
"""Standard errors of a factor above `MOST_TIMES` that are none of chance: a city with few incidents has such too."""

HONEST_SPREAD: Final = 0.3
"""Standard deviation of true log rate ratios between honest cities that is taken for granted, however alike the others
look: a tenth of the cities then differ from the mean by a factor of 1.6 or more."""

OUTLIER_LEVEL: Final = 0.001
"""Chance that any honest city of a study is called an outlier, at that spread."""

MOST_INFLUENCE: Final = math.log(2.0)
"""Change of the effect of all cities by one whose own effect cannot be computed."""

FEWEST_LEFT: Final = 3
"""Cities that must be left where a study names no quorum."""

ROUNDING: Final = 1e-8
"""Relative to the largest entry: asymmetry and negative eigenvalues that sums of doubles leave."""

NOISE: Final = "noise"
"""Field of a city that adds noise: its counts may be below 0."""

NEVER_IN_DOUBT: Final[tuple[Rule, ...]] = (
    "message",
    "fields",
    "finite",
    "size",
    "sign",
    "matrix",
    "precision",
)
"""Rules on what is impossible, whatever the other cities say."""


class _Judged(Protocol):
    """What of an estimator is read by its name and scales; the rest is optional."""

    @property
    def name(self) -> str: ...


@dataclass(slots=True)
class Screen:
    """What one estimation has set aside so far; a city left out stays so in all later rounds.

    Attributes:
        estimator: whose answers they are; see the module for what is read of it.
        study: with ``[federation] outliers`` and ``quorum``.
        log_scale: whether effects are log rate ratios.
        set_aside: by city.
    """

    estimator: _Judged
    study: Study
    log_scale: bool = True
    set_aside: dict[str, SetAside] = field(default_factory=dict)

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the cities without which the estimate is made, sorted."""
        return tuple(sorted(site for site, one in self.set_aside.items() if one.left_out))

    def passed(self, answers: Sequence[Statistics], question: Question) -> list[Statistics]:
        """The answers of one round that are merged.

        Args:
            answers: one a city, or of several cities in one.
            question: that they answer.

        Raises:
            CityAnswerError: a city's answer is impossible, and the study wants to end there, or too few cities are
                left; or a sum over cities is impossible.
        """
        out = set(self.left_out)
        cities = {
            names: part
            for one in answers
            for names, part in one.parts.items()
            if not (len(names) == 1 and names[0] in out)
        }
        if any(len(names) > 1 for names in cities):  # nobody can tell whose part of a sum is wrong
            self._judge_sums(cities)
            return _without(answers, out)
        if len(cities) > 1:
            known = {names[0]: fields for names, fields in cities.items()}
            stage = answers[0].stage
            self._set_aside_impossible(known, answers[0].kind, stage, question.round)
            self._set_aside_implausible(known, answers[0].kind, question)
        return self._weighted(_without(answers, set(self.left_out)))

    # ------------------------------------------------------------ impossible

    def _judge_sums(self, sums: Mapping[tuple[str, ...], Fields]) -> None:
        for names, fields in sums.items():
            rule = self._impossible(fields)
            if rule is not None:
                raise CityAnswerError(
                    f"the sum over {len(names)} cities cannot be right: {RULE_SAYS[rule].replace('its answer', 'it')}",
                    where=f"cities {', '.join(names)}",
                    way_out="a sum does not tell which city is broken: ask them, or run the study without each in turn",
                )

    def _set_aside_impossible(
        self, cities: dict[str, Fields], kind: str, stage: str, number: int
    ) -> None:
        exact = kind == "additive" or stage not in self._names("ragged")
        usual = _usual_layout(cities, exact=exact, optional=self._names("optional"))
        found: dict[str, Rule] = {}
        for site, fields in cities.items():
            if not fields:
                found[site] = "message"
            elif usual is None or not usual(fields):
                found[site] = "fields"
            else:
                rule = self._impossible(fields)
                if rule is not None:
                    found[site] = rule
        if not found:
            return
        ends = self.study.federation.on_outlier == "name"
        out = len(self.left_out)
        if ends or not self._may_go(len(cities) + out, len(found) + out):
            raise CityAnswerError(
                "; ".join(f"{site}: {RULE_SAYS[rule]}" for site, rule in found.items()),
                where=f"study {self.study.name}",
                limit="answers that can be right"
                if ends
                else f"at least {self._fewest()} other cities, and more than are broken",
                way_out="ask those cities to update evalkit and to build their panel again, or run the study "
                "without them",
            )
        for site, rule in found.items():
            self._leave_out(cities, SetAside(site, rule, "left out", number))

    def _impossible(self, fields: Fields) -> Rule | None:
        unbounded = self._names("unbounded")
        if not all(bool(np.isfinite(array).all()) for array in fields.values()):
            return "finite"
        if any(
            array.size and float(np.abs(array).max()) > LARGEST
            for name, array in fields.items()
            if name not in unbounded
        ):
            return "size"
        semidefinite = self._names("semidefinite")
        for name in self._names("never_negative"):
            if name in fields and NOISE not in fields and _least(fields[name]) < 0:
                return "sign"
        for name in semidefinite:
            if name in fields and fields[name].size and _least(_diagonal(fields[name])) < 0:
                return "sign"
        of_effect = fields.get(getattr(self.estimator, "effect_field", ""), np.empty(0))
        if of_effect.size > 1 and float(of_effect[1:].min()) < 0:
            return "sign"
        if not all(_is_semidefinite(fields[name]) for name in semidefinite if name in fields):
            return "matrix"
        return None

    # ------------------------------------------------------------ implausible

    def _set_aside_implausible(
        self, cities: dict[str, Fields], kind: str, question: Question
    ) -> None:
        judged = hasattr(self.estimator, "city_effect") or hasattr(self.estimator, "effect_field")
        if len(cities) < FEWEST or not judged:
            return
        kept = {site: one for site, one in self.set_aside.items() if not one.left_out}
        effects = {
            site: found
            for site, fields in cities.items()
            if site not in kept and (found := self._effect(fields, question)) is not None
        }
        extreme = self._extreme(effects, kind, question.round)
        certain = {site for site, (_, variance) in effects.items() if variance == 0}
        uncertain = {site: one for site, one in effects.items() if site not in certain}
        for one in (*extreme, *self._far(uncertain, question.round)):
            if self._may_lose(cities):
                self._set_aside(cities, one)
        if kind == "additive":
            self._set_aside_influential(cities, effects, question)

    def _effect(self, fields: Fields, question: Question) -> tuple[float, float] | None:
        """The effect of one city, or of a sum, with its variance; None where there is none."""
        name = getattr(self.estimator, "effect_field", "")
        try:
            with np.errstate(all="ignore"):
                effect, variance = (
                    fields[name][:2] if name else self.estimator.city_effect(fields, question)  # type: ignore[attr-defined]  # asked for by the caller
                )
        except (EvalkitError, ArithmeticError, ValueError, IndexError):
            return None
        usable = math.isfinite(effect) and math.isfinite(variance) and variance >= 0
        return (float(effect), float(variance)) if usable else None

    def _extreme(
        self, effects: dict[str, tuple[float, float]], kind: str, number: int
    ) -> list[SetAside]:
        """Effects that no camera has, and those that no city can know so well; they leave ``effects``."""
        if not self.log_scale:
            return []
        found: list[SetAside] = []
        limit = math.log(MOST_TIMES)
        collected = kind == "collected"
        for site, (effect, variance) in effects.items():
            error = math.sqrt(variance)
            if abs(effect) > limit and abs(effect) > NO_ACCIDENT * error:
                found.append(SetAside(site, "effect", "left out", number, effect, limit))
            elif collected and error < SMALLEST_ERROR:
                found.append(SetAside(site, "precision", "left out", number, error, SMALLEST_ERROR))
        found.sort(key=lambda one: (-abs(one.found), one.site))
        if not self._may_go(len(effects), len(found)):
            effects.clear()  # most are out of bounds: the others are not wrong because they differ from them
            return []
        for one in found:
            effects.pop(one.site)
        return found

    def _far(self, effects: Mapping[str, tuple[float, float]], number: int) -> list[SetAside]:
        """Effects too far from the others', the farthest first."""
        most = sum(self._may_go(len(effects), going) for going in range(1, len(effects)))
        if not most:
            return []
        names = sorted(effects)
        y, v = np.array([effects[name] for name in names]).T
        told = outliers_of(
            y,
            v,
            level=OUTLIER_LEVEL,
            tau2_at_least=HONEST_SPREAD**2 if self.log_scale else 0.0,
            most=most,
        )
        if told is None:
            return []
        limit = critical_residual(len(names), OUTLIER_LEVEL)
        found: list[SetAside] = []
        for index, residual, apart in zip(told.index, told.residual, told.difference, strict=True):
            site = names[index]
            found.append(SetAside(site, "outlier", "left out", number, float(residual), limit))
            self._variances[site] = float((apart / limit) ** 2 - told.spread)
        return found

    def _set_aside_influential(
        self, cities: dict[str, Fields], effects: Mapping[str, object], question: Question
    ) -> None:
        for site in sorted(set(cities) - set(effects) - set(self.set_aside)):
            if not self._may_lose(cities):
                return
            without = self._effect(_sum_of(cities, site), question)
            if without is None:
                continue
            whole = self._effect(_sum_of(cities), question)
            moved = math.inf if whole is None else abs(whole[0] - without[0])
            if moved > MOST_INFLUENCE and (self.log_scale or whole is None):
                self._set_aside(cities, SetAside(site, "influence", "left out", question.round))

    # ------------------------------------------------------------ what follows

    def _set_aside(self, cities: dict[str, Fields], one: SetAside) -> None:
        wanted = self.study.federation.on_outlier
        weighable = one.rule == "outlier" and hasattr(self.estimator, "effect_field")
        if wanted == "name" and one.rule not in NEVER_IN_DOUBT:
            self.set_aside[one.site] = replace(one, action="named")
        elif wanted == "downweight" and weighable:
            self.set_aside[one.site] = replace(one, action="down-weighted")
        else:
            self._leave_out(cities, one)

    def _leave_out(self, cities: dict[str, Fields], one: SetAside) -> None:
        self.set_aside[one.site] = one
        cities.pop(one.site)

    def _weighted(self, answers: list[Statistics]) -> list[Statistics]:
        name = getattr(self.estimator, "effect_field", "")
        less = {
            site: self._variances[site]
            for site, one in self.set_aside.items()
            if one.action == "down-weighted"
        }
        if not less:
            return answers
        return [
            replace(
                one,
                parts={
                    names: _with_variance(fields, name, less[names[0]])
                    if names[0] in less
                    else fields
                    for names, fields in one.parts.items()
                },
            )
            for one in answers
        ]

    _variances: dict[str, float] = field(default_factory=dict, repr=False)

    def _may_lose(self, cities: Mapping[str, Fields]) -> bool:
        """Whether one more city of these can be left out."""
        out = len(self.left_out)
        return self._may_go(len(cities) + out, out + 1)

    def _may_go(self, size: int, going: int) -> bool:
        return size - going >= self._fewest() and 2 * going < size

    def _fewest(self) -> int:
        return self.study.federation.quorum or FEWEST_LEFT

    def _names(self, attribute: str) -> tuple[str, ...]:
        return cast("tuple[str, ...]", getattr(self.estimator, attribute, ()))


class _Layout(Protocol):
    def __call__(self, fields: Fields) -> bool: ...


def _usual_layout(
    cities: Mapping[str, Fields], *, exact: bool, optional: Sequence[str]
) -> _Layout | None:
    """Whether fields are laid out as those of most cities; None if there is no majority."""

    def layout(fields: Fields) -> tuple[tuple[str, object], ...]:
        return tuple(
            (name, fields[name].shape if exact else fields[name].ndim)
            for name in sorted(fields)
            if name not in optional
        )

    counted = Counter(layout(fields) for fields in cities.values())
    (most, times), *_ = counted.most_common(1)
    if 2 * times <= len(cities):
        return None
    return lambda fields: layout(fields) == most


def _without(answers: Sequence[Statistics], out: set[str]) -> list[Statistics]:
    """The same objects where nothing is left out of them."""
    if not out:
        return list(answers)
    kept: list[Statistics] = []
    for one in answers:
        if out.isdisjoint(one.sites):
            kept.append(one)
            continue
        parts = {names: fields for names, fields in one.parts.items() if out.isdisjoint(names)}
        if parts:
            support = tuple(part for part in one.support if part.site not in out)
            kept.append(replace(one, parts=parts, support=support))
    return kept


def _sum_of(cities: Mapping[str, Fields], without: str = "") -> Fields:
    chosen = [fields for site, fields in sorted(cities.items()) if site != without]
    return {name: np.sum([fields[name] for fields in chosen], axis=0) for name in chosen[0]}


def _with_variance(fields: Fields, name: str, variance: float) -> Fields:
    changed = fields[name].copy()
    changed[1] = max(variance, float(changed[1]))
    return {**fields, name: changed}


def _least(array: Floats) -> float:
    """The smallest entry, 0 for one that is only below it by rounding."""
    if not array.size:
        return 0.0
    least = float(array.min())
    return 0.0 if -least <= ROUNDING * float(np.abs(array).max()) and least > -1 else least


def _diagonal(array: Floats) -> Floats:
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        return array
    return np.diagonal(array, axis1=-2, axis2=-1)


def _is_semidefinite(array: Floats) -> bool:
    if not array.size:
        return True
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        return False
    allowed = ROUNDING * float(np.abs(array).max())
    if float(np.abs(array - np.swapaxes(array, -1, -2)).max()) > allowed:
        return False
    return bool(np.linalg.eigvalsh(array).min() >= -allowed * array.shape[-1])
