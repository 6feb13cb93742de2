"""The report's part about the cities together: how much hangs on one, on their order, on a moderator, on small ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.report.across_content import Around, Diagnostics, Funnel, read_across
from evalkit.report.content import Content, Effect, percent_of
from evalkit.report.figures import canvas
from evalkit.report.figures.across import Picture, pictures_of
from evalkit.report.figures.forest import level_text
from evalkit.report.html import Markup, element, inline_svg, join, section, table
from evalkit.report.languages import Words
from evalkit.report.numbers import decimal, interval, p_value, percent, whole
from evalkit.report.wording.across import across_words

__all__ = ["across_sections"]


def across_sections(
    result: Mapping[str, Any], content: Content, said: Words, *, draw: bool = True
) -> Markup | None:
    """Everything that a result says of its cities together, with pictures if ``draw``; None if it says nothing.

    Raises:
        ConfigError: that part of the result is not what a run writes.
        MissingExtraError: matplotlib is not installed.
    """
    around = read_across(result)
    if around is None:
        return None
    pictures = pictures_of(content, around, said) if draw else {}
    return join(
        part
        for part in (
            _influence(content, around.cities, pictures, said),
            _cumulative(content, around, pictures, said),
            _bubble(content, around, pictures, said),
            _funnel(content, around.funnel, pictures, said),
        )
        if part is not None
    )


def _influence(
    content: Content, cities: Sequence[Diagnostics], pictures: Mapping[str, Picture], said: Words
) -> Markup | None:
    if not cities:
        return None
    words, language = across_words(said.language), said.language
    heading = words("influence_heading")
    return section(
        heading,
        *(element("p", line) for line in _influence_lines(content, cities, words)),
        _picture(
            pictures.get("influence"),
            heading,
            words("influence_caption", level=_level(content, language)),
        ),
        _diagnostics(cities, words, said),
    )


def _influence_lines(content: Content, cities: Sequence[Diagnostics], words: Words) -> list[str]:
    language = words.language
    known = [city for city in cities if city.without.effect is not None]
    whole_effect = content.pooled.effect
    lines = []
    if known and whole_effect is not None:
        effects = [_known(city.without.effect) for city in known]
        farthest = max(known, key=lambda city: abs(_known(city.without.effect) - whole_effect))
        lines.append(
            words(
                "influence_line",
                low=percent(percent_of(min(effects)), language),
                high=percent(percent_of(max(effects)), language),
                city=farthest.without.name,
                effect=percent(percent_of(farthest.without.effect), language),
            )
        )
    decisive = [
        city.without.name
        for city in cities
        if None not in (_excludes(city.without), _excludes(content.pooled))
        and _excludes(city.without) is not _excludes(content.pooled)
    ]
    if decisive:
        lines.append(words.count("influence_changes", len(decisive), cities=", ".join(decisive)))
    if any(city.dffits is not None for city in cities):
        marked = [city.without.name for city in cities if city.influential]
        lines.append(
            words.count("influence_marked", len(marked), cities=", ".join(marked))
            if marked
            else words("influence_none")
        )
    return lines


def _excludes(effect: Effect) -> bool | None:
    """Whether an interval leaves out no effect; None without one."""
    if effect.low is None or effect.high is None:
        return None
    return effect.low > 0 or effect.high < 0


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _diagnostics(cities: Sequence[Diagnostics], words: Words, said: Words) -> Markup | None:
    if all(city.dffits is None for city in cities):
        return None
    language = said.language
    heads = [
        said("city"),
        *(words(key) for key in ("change_without", "residual", "dffits", "cooks", "hat")),
    ]
    rows = [
        [
            f"{city.without.name} *" if city.influential else city.without.name,
            percent(percent_of(city.without.effect), language),
            decimal(city.rstudent, language, digits=2, signed=True),
            decimal(city.dffits, language, digits=2, signed=True),
            decimal(city.cooks_distance, language, digits=2),
            decimal(city.hat, language, digits=2),
        ]
        for city in cities
    ]
    caption = words("diagnostics")
    return element("details", element("summary", caption), table(caption, heads, rows))


def _cumulative(
    content: Content, around: Around, pictures: Mapping[str, Picture], said: Words
) -> Markup | None:
    if around.ordered is None or "cumulative" not in pictures:  # there is nothing but the picture
        return None
    words, by = across_words(said.language), around.ordered.by
    heading = words("cumulative_heading")
    caption = words("cumulative_caption", by=by, level=_level(content, said.language))
    return section(
        heading,
        element("p", words("cumulative_line", by=by)),
        _picture(pictures["cumulative"], heading, caption),
    )


def _bubble(
    content: Content, around: Around, pictures: Mapping[str, Picture], said: Words
) -> Markup | None:
    if around.bubbles is None:
        return None
    words, language = across_words(said.language), said.language
    moderator = around.bubbles.moderator
    heading = words("bubble_heading", moderator=moderator)
    tested = p_value(around.bubbles.p_value, language, relation=True)
    return section(
        heading,
        element("p", words("bubble_line", moderator=moderator, p=tested)),
        _picture(
            pictures.get("bubble"),
            heading,
            words("bubble_caption", level=_level(content, language)),
        ),
    )


def _funnel(
    content: Content, funnel: Funnel | None, pictures: Mapping[str, Picture], said: Words
) -> Markup | None:
    if funnel is None:
        return None
    words, language = across_words(said.language), said.language
    level, heading = _level(content, language), words("funnel_heading")
    if funnel.p_value is None:
        lines = [words("funnel_untested")]
    else:
        tested = words(
            "funnel_test",
            p=p_value(funnel.p_value, language, relation=True),
            df=whole(funnel.df, language),
            limit=percent(percent_of(funnel.limit), language),
            level=level,
            interval=interval(
                percent_of(funnel.limit_low), percent_of(funnel.limit_high), language
            ),
        )
        lines = [tested, *([words("funnel_weak")] if funnel.low_power else [])]
    return section(
        heading,
        *(element("p", line) for line in lines),
        _picture(pictures.get("funnel"), heading, words("funnel_caption", level=level)),
    )


def _picture(picture: Picture | None, heading: str, caption: str) -> Markup | None:
    if picture is None:
        return None
    svg = canvas.svg_text(picture.draw(), picture.text)
    return element(
        "figure",
        element(
            "div",
            inline_svg(svg, prefix=picture.name, label=picture.text, colours=canvas.CSS_VARIABLES),
            class_="picture",
            tabindex=0,
            role="region",
            aria_label=heading,
        ),
        element("figcaption", caption),
        class_="wide",
    )


def _level(content: Content, language: str) -> str:
    return level_text(content.level, language)
