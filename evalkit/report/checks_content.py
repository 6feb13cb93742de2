"""What a result says of its design's credibility and of effects by event time, typed and checked, for page and figure.

Effects are on the scale of the estimate; numbers that are not known are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from evalkit.core.terms import event_time_of
from evalkit.errors import ConfigError
from evalkit.report.json_numbers import known_numbers, number_or_none

__all__ = [
    "REFERENCE",
    "Asked",
    "Checked",
    "EffectAt",
    "EventStudy",
    "read_asked",
    "read_checks",
    "read_event_study",
]

Outcome = Literal["passed", "failed", "not computable"]

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "passed": "passed",
    "failed": "failed",
    "not computable": "not computable",
}

REFERENCE: Final = -1
"""Event time that the others are compared with, where it has no effect of its own."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One check: name, outcome, the reason in English, and the numbers and names in it that are known."""

    name: str
    outcome: Outcome
    reason: str
    figures: Mapping[str, float]
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One study that the checks ask for: kind, label, change with its interval; None where there is none.

    The change is one in percent, or a number of incidents where ``count``. ``why`` says why it has no estimate; empty
    if it has one.
    """

    kind: str
    label: str
    change: float | None
    low: float | None
    high: float | None
    count: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class EffectAt:
    """The effect at one event time, its own interval, and its part of the band for all of them together.

    Attributes:
        time: event time.
        effect: on the estimate's scale.
        low, high: its interval; None where there is none.
        band_low, band_high: of the simultaneous band; None where there is none.
    """

    time: int
    effect: float
    low: float | None
    high: float | None
    band_low: float | None
    band_high: float | None


@dataclass(frozen=True, slots=True)
class EventStudy:
    """Effects by event time, ascending.

    Attributes:
        effects: at least one.
        gap: periods between event times −1 and 0 that are left out.
        bins: event times that stand for all earlier and all later ones; empty if there are none.
        level: of intervals and band.
        count: whether effects are numbers of incidents, and not log rate ratios.
    """

    effects: tuple[EffectAt, ...]
    gap: int
    bins: tuple[int, ...]
    level: float
    count: bool

    @property
    def reference(self) -> bool:
        """Whether event time −1 has no effect of its own: all others are relative to it."""
        return all(one.time != REFERENCE for one in self.effects)

    @property
    def banded(self) -> bool:
        """Whether there is a simultaneous band."""
        return any(one.band_low is not None for one in self.effects)

    def place(self, time: int) -> int:
        """Where an event time lies on an axis of periods on which the gap keeps its width."""
        return time if time < 0 else time + self.gap


def read_checks(result: Mapping[str, Any]) -> tuple[Checked, ...]:
    """Read ``checks`` of a result; empty if it has none.

    Raises:
        ConfigError: it is not what a run writes.
    """
    try:
        return tuple(
            Checked(
                str(row["name"]),
                _OUTCOMES[row["outcome"]],
                str(row["reason"]),
                known_numbers(row["figures"]),
                {str(key): str(value) for key, value in (row.get("words") or {}).items()},
            )
            for row in result.get("checks") or ()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _not_of_a_run("the checks", "checks") from None


def read_asked(result: Mapping[str, Any]) -> tuple[Asked, ...]:
    """Read ``derived`` of a result; empty if it has none.

    Raises:
        ConfigError: it is not what a run writes.
    """
    try:
        return tuple(_asked(row) for row in result.get("derived") or ())
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise _not_of_a_run("the studies that checks ask for", "derived") from None


def _asked(row: Mapping[str, Any]) -> Asked:
    estimate = row["estimate"] or {"terms": [{}]}
    term, count = estimate["terms"][0], estimate.get("scale") == "count"
    keys = (
        ("estimate", "conf_low", "conf_high")
        if count
        else ("percent", "percent_low", "percent_high")
    )
    change, low, high = (number_or_none(term.get(key)) for key in keys)
    stated = (str(row[key]) for key in ("code", "what") if row.get(key))
    why = "" if row["estimate"] else str(row.get("why") or ", ".join(stated))
    return Asked(str(row["kind"]), str(row["label"]), change, low, high, count, why)


def read_event_study(result: Mapping[str, Any]) -> EventStudy | None:
    """Read the effects by event time of a result; None if it has none.

    Raises:
        ConfigError: they are not what a run writes.
    """
    about = result.get("event_study")
    if not about:
        return None
    try:
        return _read(about, result["estimate"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _not_of_a_run("the effects by event time", "event_study") from None


def _read(about: Mapping[str, Any], estimate: Mapping[str, Any]) -> EventStudy | None:
    critical = number_or_none(about["critical_value"])
    bins = tuple(int(time) for time in about["bins"] or ())
    found = []
    for row in estimate["terms"]:
        time, effect = event_time_of(str(row["term"])), number_or_none(row["estimate"])
        if time is None or effect is None:
            continue
        error = number_or_none(row["std_error"])
        if time == REFERENCE and effect == 0.0 and not error:
            continue  # a reference that is listed
        half = None if critical is None or error is None else critical * error
        found.append(
            EffectAt(
                time=time,
                effect=effect,
                low=number_or_none(row["conf_low"]),
                high=number_or_none(row["conf_high"]),
                band_low=None if half is None else effect - half,
                band_high=None if half is None else effect + half,
            )
        )
    if not found:
        return None
    return EventStudy(
        tuple(sorted(found, key=lambda one: one.time)),
        int(about["gap"]),
        bins,
        float(estimate["level"]),
        estimate.get("scale") == "count",
    )


def _not_of_a_run(what: str, key: str) -> ConfigError:
    return ConfigError(
        f"{what} of the result are not what a run wrote",
        where=f"result.json {key}",
        way_out="name a folder made by `evalkit study run`",
    )
