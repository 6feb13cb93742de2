"""The pictures of the cities together, each under its own name, for the page and as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.report.across_content import Around, read_across
from evalkit.report.content import Content, read_result
from evalkit.report.figures import canvas
from evalkit.report.figures.bubble import bubble_text, draw_bubble
from evalkit.report.figures.funnel import draw_funnel, funnel_text
from evalkit.report.figures.refits import (
    cumulative_text,
    draw_cumulative,
    draw_left_out,
    left_out_text,
)
from evalkit.report.languages import Words, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "pictures_of", "write_across"]


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its file's name, how to draw it, and what it shows in one sentence."""

    name: str
    draw: Callable[[], Figure]
    text: str


def pictures_of(content: Content, around: Around, said: Words) -> dict[str, Picture]:
    """The pictures that a result has, by name: ``influence``, ``cumulative``, ``bubble``, ``funnel``."""
    language = said.language
    found: list[Picture] = []
    if around.cities:
        text = left_out_text(around.cities, language)
        found.append(
            Picture("influence", lambda: draw_left_out(content, around.cities, said), text)
        )
    ordered, bubbles, funnel = around.ordered, around.bubbles, around.funnel
    if ordered is not None:
        text = cumulative_text(ordered, language)
        found.append(Picture("cumulative", lambda: draw_cumulative(content, ordered, said), text))
    if bubbles is not None:
        text = bubble_text(bubbles, language)
        found.append(Picture("bubble", lambda: draw_bubble(bubbles, said), text))
    if funnel is not None:
        text = funnel_text(funnel, language)
        found.append(Picture("funnel", lambda: draw_funnel(funnel, content.level, said), text))
    return {picture.name: picture for picture in found}


def write_across(result: Mapping[str, Any], folder: Path, language: str = "en") -> list[Path]:
    """Write every picture that the result has as SVG and PNG, and return their paths.

    Args:
        result: what a run's ``result.json`` holds.
        folder: where ``influence.svg`` and the others go.
        language: ``en``, ``es`` or ``pt``.

    Raises:
        ConfigError: not a run's result, an unknown language, or the files cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    around = read_across(result)
    if around is None:
        return []
    pictures = pictures_of(read_result(result, language), around, said).values()
    return [
        path
        for picture in pictures
        for path in canvas.png_and_svg(picture.draw(), folder / picture.name, picture.text)
    ]
