"""What a result says of its cities together, typed and checked, for the page and the figures.

Effects are log rate ratios, as in `evalkit.report.content`; numbers that are not known are None.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evalkit.errors import ConfigError
from evalkit.report.content import Effect

__all__ = ["Around", "Bubbles", "Diagnostics", "Funnel", "Ordered", "Point", "read_across"]


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """One city: the pooled effect without it, and how far it moves the whole."""

    without: Effect
    rstudent: float | None
    dffits: float | None
    cooks_distance: float | None
    hat: float | None
    influential: bool


@dataclass(frozen=True, slots=True)
class Ordered:
    """The pooled effect after one city more, each row named by its city, in the order of ``by``."""

    by: str
    values: tuple[float, ...]
    rows: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A city in a scatter: its place across, its effect or error up, its weight."""

    site: str
    x: float
    y: float
    weight: float


@dataclass(frozen=True, slots=True)
class Bubbles:
    """A moderator across, effects up, and the meta-regression's line with its limits."""

    moderator: str
    points: tuple[Point, ...]
    at: tuple[float, ...]
    line: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    p_value: float | None


@dataclass(frozen=True, slots=True)
class Funnel:
    """Effects across and standard errors up, around a pooled effect; Egger's test where there is one.

    Attributes:
        points: x the effect, y the standard error.
        centre: the pooled effect.
        slope, limit, p_value, df: of Egger's test, or None.
        limit_low, limit_high: interval of the limit.
        low_power: fewer cities than the test needs.
    """

    points: tuple[Point, ...]
    centre: float
    slope: float | None = None
    limit: float | None = None
    limit_low: float | None = None
    limit_high: float | None = None
    p_value: float | None = None
    df: float | None = None
    low_power: bool = False


@dataclass(frozen=True, slots=True)
class Around:
    """All of it; parts a result does not have are empty or None."""

    cities: tuple[Diagnostics, ...]
    ordered: Ordered | None
    bubbles: Bubbles | None
    funnel: Funnel | None


LEAST_CITIES: Final = 3
"""Fewer points make no funnel."""


def read_across(result: Mapping[str, Any]) -> Around | None:
    """Read ``across`` of a result; None if it has none.

    Raises:
        ConfigError: it is not what a run writes.
    """
    if not result.get("across"):
        return None
    try:
        return _read(result["across"], result["estimate"])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ConfigError(
            "what the result says of its cities together is not what a run wrote",
            where="result.json across",
            way_out="name a folder made by `evalkit study run`",
        ) from None


def _read(across: Mapping[str, Any], estimate: Mapping[str, Any]) -> Around:
    sites = {str(row["site"]): row for row in estimate["sites"]}
    return Around(
        cities=tuple(_diagnostics(row) for row in across["cities"]),
        ordered=_ordered(across["cumulative"]),
        bubbles=_bubbles(across["bubble"], sites),
        funnel=_funnel(across["small_study"], sites, estimate),
    )


def _diagnostics(row: Mapping[str, Any]) -> Diagnostics:
    return Diagnostics(
        without=_effect(row["site"], row["without"]),
        rstudent=_number(row["rstudent"]),
        dffits=_number(row["dffits"]),
        cooks_distance=_number(row["cooks_distance"]),
        hat=_number(row["hat"]),
        influential=bool(row["influential"]),
    )


def _ordered(found: Mapping[str, Any] | None) -> Ordered | None:
    if found is None:
        return None
    return Ordered(
        by=str(found["by"]),
        values=tuple(float(value) for value in found["values"]),
        rows=tuple(
            _effect(site, row) for site, row in zip(found["sites"], found["effects"], strict=True)
        ),
    )


def _bubbles(
    found: Mapping[str, Any] | None, sites: Mapping[str, Mapping[str, Any]]
) -> Bubbles | None:
    if found is None:
        return None
    places = dict(zip(found["sites"], found["values"], strict=True))
    points = [_point(site, float(place), sites[site], "estimate") for site, place in places.items()]
    return Bubbles(
        moderator=str(found["moderator"]),
        points=tuple(point for point in points if point is not None),
        at=tuple(map(float, found["line_at"])),
        line=tuple(map(float, found["line"])),
        low=tuple(map(float, found["low"])),
        high=tuple(map(float, found["high"])),
        p_value=_number(found["p_value"]),
    )


def _funnel(
    test: Mapping[str, Any] | None,
    sites: Mapping[str, Mapping[str, Any]],
    estimate: Mapping[str, Any],
) -> Funnel | None:
    centre = _number(estimate["terms"][0]["estimate"])
    places = {site: _number(row["estimate"]) for site, row in sites.items()}
    points = [
        _point(site, place, sites[site], "std_error")
        for site, place in places.items()
        if place is not None
    ]
    known = tuple(point for point in points if point is not None and point.y > 0)
    if centre is None or len(known) < LEAST_CITIES:
        return None
    if test is None:
        return Funnel(known, centre)
    return Funnel(
        points=known,
        centre=centre,
        slope=_number(test["slope"]),
        limit=_number(test["limit"]),
        limit_low=_number(test["limit_low"]),
        limit_high=_number(test["limit_high"]),
        p_value=_number(test["p_value"]),
        df=_number(test["df"]),
        low_power=bool(test["low_power"]),
    )


def _point(site: str, x: float, row: Mapping[str, Any], up: str) -> Point | None:
    y = _number(row[up])
    return None if y is None else Point(site, x, y, _number(row.get("weight")) or 0.0)


def _effect(name: Any, row: Mapping[str, Any]) -> Effect:
    return Effect(
        name=str(name),
        effect=_number(row["estimate"]),
        low=_number(row["conf_low"]),
        high=_number(row["conf_high"]),
    )


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
