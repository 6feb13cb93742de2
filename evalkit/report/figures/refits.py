"""Two forest plots of the same meta-analysis on fewer cities: without each in turn, and one after another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.report.across_content import Diagnostics, Ordered
from evalkit.report.content import Content, Effect, percent_of
from evalkit.report.figures.forest import draw_forest
from evalkit.report.languages import Words
from evalkit.report.numbers import decimal, percent
from evalkit.report.wording.across import across_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "cumulative_text",
    "draw_cumulative",
    "draw_left_out",
    "left_out_range",
    "left_out_text",
    "moderator_value",
]

YEARS: tuple[int, int] = (1800, 2200)
"""Whole numbers in between are written without a separator of thousands: they are years."""


def draw_left_out(content: Content, cities: Sequence[Diagnostics], said: Words) -> Figure:
    """The pooled effect without each city, in the order of the effects; all together at the foot."""
    rows = tuple(city.without for city in cities)
    return draw_forest(
        _only(content, rows),
        said,
        headline=False,
        first_column=across_words(said.language)("without"),
    )


def draw_cumulative(content: Content, ordered: Ordered, said: Words) -> Figure:
    """The pooled effect with one city more a row."""
    rows = tuple(
        replace(row, name=f"+ {row.name} ({moderator_value(value, said.language)})")
        for row, value in zip(ordered.rows, ordered.values, strict=True)
    )
    return draw_forest(
        _only(content, rows),
        said,
        headline=False,
        first_column=across_words(said.language)("cumulative_added"),
        in_order=True,
    )


def left_out_range(cities: Sequence[Diagnostics]) -> tuple[float, float] | None:
    """Smallest and largest effect without a city, as percent change."""
    found = [
        percent
        for city in cities
        if (percent := percent_of(city.without.effect)) is not None and math.isfinite(percent)
    ]
    return (min(found), max(found)) if found else None


def left_out_text(cities: Sequence[Diagnostics], language: str) -> str:
    """The picture of `draw_left_out` in one sentence."""
    low, high = left_out_range(cities) or (None, None)
    return across_words(language)(
        "influence_alt", low=percent(low, language), high=percent(high, language)
    )


def cumulative_text(ordered: Ordered, language: str) -> str:
    """The picture of `draw_cumulative` in one sentence."""
    return across_words(language)("cumulative_alt", by=ordered.by)


def moderator_value(value: float, language: str) -> str:
    """A moderator as people write it: whole numbers without decimals, years without separators."""
    if value == round(value):
        year = YEARS[0] <= value <= YEARS[1]
        return str(int(value)) if year else decimal(value, language, digits=0)
    digits = 1 if abs(value) >= 10 else 2
    return decimal(value, language, digits=digits)


def _only(content: Content, rows: tuple[Effect, ...]) -> Content:
    """The content with these rows in place of the cities; what is true or predicted of cities is not of these."""
    return replace(content, cities=rows, prediction=None, simulated=None)
