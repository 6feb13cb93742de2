"""Answers and refusals by month as a small picture: bars up and down, drawn without any library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from evalkit.report.community_content import Month
from evalkit.report.html import Markup, element
from evalkit.report.languages import Words
from evalkit.report.numbers import whole

__all__ = ["timeline"]

WIDTH: Final = 800
LEFT: Final = 12
TOP: Final = 40
UP: Final = 120
"""Height of the tallest bar of answers; refusals have the same scale below the line, and at least `LEAST`."""
LEAST: Final = 30
WIDEST: Final = 46
LABELS: Final = 12
"""Months with a label, at most, so that labels do not run into one another."""
NUMBERED: Final = 24
"""Months up to which every bar has its number."""

LINE: Final = 26
"""Height of a row of labels."""


def timeline(months: Sequence[Month], said: Words) -> Markup:
    """The picture, with its alternative text.

    Args:
        months: one at least, in order.
        said: words of a language.
    """
    most = max(max(month.left, month.refused) for month in months) or 1
    below = max(LEAST, UP * max(month.refused for month in months) / most)
    slot = (WIDTH - 2 * LEFT) / len(months)
    bar = min(WIDEST, 0.7 * slot)
    axis, height = TOP + UP, TOP + UP + LINE + below + LINE
    every = -(-len(months) // LABELS)
    parts: list[Markup] = [*_legend(said)]
    for at, month in enumerate(months):
        middle = LEFT + (at + 0.5) * slot
        numbered = len(months) <= NUMBERED
        parts += _bar(
            middle, bar, axis, -UP * month.left / most, month.left, "--blue", said, numbered
        )
        start = axis + LINE
        parts += _bar(
            middle, bar, start, UP * month.refused / most, month.refused, "--orange", said, numbered
        )
        if at % every == 0:
            parts.append(_text(middle, axis + 18, month.month, "--muted", "middle"))
    for y in (axis, axis + LINE):
        parts.append(
            element(
                "line",
                x1=LEFT,
                x2=WIDTH - LEFT,
                y1=_places(y),
                y2=_places(y),
                style="stroke:var(--line)",
            )
        )
    label = said(
        "picture_alt",
        left=whole(sum(month.left for month in months), said.language),
        refused=whole(sum(month.refused for month in months), said.language),
    )
    return element(
        "svg", *parts, role="img", aria_label=label, viewBox=f"0 0 {WIDTH} {_places(height)}"
    )


def _legend(said: Words) -> list[Markup]:
    """A square and a word for each kind of bar, above the bars."""
    parts: list[Markup] = []
    for at, (key, colour) in enumerate(
        (("picture_left", "--blue"), ("picture_refused", "--orange"))
    ):
        x = LEFT + 130 * at
        square = element("rect", x=x, y=6, width=12, height=12, style=f"fill:var({colour})")
        parts += [square, _text(x + 18, 17, said(key), "--ink", "start")]
    return parts


def _bar(
    middle: float,
    width: float,
    start: float,
    height: float,
    number: int,
    colour: str,
    said: Words,
    numbered: bool,
) -> list[Markup]:
    """A bar that grows from ``start``, up if ``height`` is negative, with its number at the end; none for 0."""
    if not number:
        return []
    rectangle = element(
        "rect",
        x=_places(middle - width / 2),
        y=_places(min(start, start + height)),
        width=_places(width),
        height=_places(abs(height)),
        style=f"fill:var({colour})",
    )
    if not numbered:
        return [rectangle]
    end = start + height + (-6 if height < 0 else 17)
    return [rectangle, _text(middle, end, whole(number, said.language), "--ink", "middle")]


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> Markup:
    return element(
        "text",
        text,
        x=_places(x),
        y=_places(y),
        style=f"fill:var({colour});font:14px var(--font);text-anchor:{anchor}",
    )


def _places(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
