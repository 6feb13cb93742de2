"""The report's part about the design: effects by event time, and whether the checks of it were passed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from evalkit.report.checks_content import Asked, Checked, read_asked, read_checks, read_event_study
from evalkit.report.figures import canvas
from evalkit.report.figures.event_study import draw_event_study, event_study_text
from evalkit.report.figures.forest import level_text
from evalkit.report.html import Markup, element, inline_svg, join, section, table
from evalkit.report.languages import Words
from evalkit.report.numbers import (
    count_digits,
    decimal,
    interval,
    p_value,
    percent,
    true_minus,
    whole,
)
from evalkit.report.wording.credibility import STOPPED, credibility_words
from evalkit.report.wording.derived import KINDS, label_in, why_in

__all__ = ["credibility_sections", "reason_in"]

CHANCE: Final = 0.1
"""p-value of Cochran's Q from which cities differ no more than by chance, as the check ``heterogeneity`` has it."""


def credibility_sections(
    result: Mapping[str, Any], said: Words, *, draw: bool = True
) -> Markup | None:
    """The picture of effects by event time, if ``draw``, and the table of checks; None for a result with neither.

    Raises:
        ConfigError: that part of the result is not what a run writes.
        MissingExtraError: matplotlib is not installed.
    """
    picture = _event_study(result, said) if draw else None
    parts = [part for part in (picture, _checks(result, said)) if part]
    return join(parts) if parts else None


def _event_study(result: Mapping[str, Any], said: Words) -> Markup | None:
    found = read_event_study(result)
    if found is None:
        return None
    told, text = credibility_words(said.language), event_study_text(found, said.language)
    svg = canvas.svg_text(draw_event_study(found, said), text)
    heading = told("event_heading")
    return section(
        heading,
        element(
            "figure",
            element(
                "div",
                inline_svg(svg, prefix="event-study", label=text, colours=canvas.CSS_VARIABLES),
                class_="picture",
                tabindex=0,
                role="region",
                aria_label=heading,
            ),
            element(
                "figcaption", told("event_caption", level=level_text(found.level, said.language))
            ),
            class_="wide",
        ),
    )


def _checks(result: Mapping[str, Any], said: Words) -> Markup | None:
    found = read_checks(result)
    if not found:
        return None
    told = credibility_words(said.language)
    heads = [told(key) for key in ("check", "outcome", "reason")]
    rows = [
        [
            told.table.get(one.name, one.name),
            told(one.outcome.replace(" ", "_")),
            _capital(reason_in(one, said.language)),
        ]
        for one in found
    ]
    return section(
        told("checks_heading"),
        table(told("checks_caption"), heads, rows, text_columns=3),
        _asked(result, told),
    )


def _asked(result: Mapping[str, Any], told: Words) -> Markup | None:
    """The studies that the checks asked for, with their effects."""
    found = read_asked(result)
    if not found:
        return None
    language, kinds = told.language, KINDS[told.language]
    heads = [told(key) for key in ("asked_kind", "asked_label", "asked_change", "asked_interval")]
    rows = [
        [
            kinds.get(one.kind, one.kind),
            label_in(one.label, language),
            *_asked_numbers(one, language),
        ]
        for one in found
    ]
    return join(
        part
        for part in (
            table(told("asked_caption"), heads, rows, text_columns=2),
            _asked_in_vain(found, told),
        )
        if part is not None
    )


def _asked_numbers(one: Asked, language: str) -> tuple[str, str]:
    """The change and its interval: in percent, or in incidents."""
    if not one.count:
        return percent(one.change, language), interval(one.low, one.high, language)
    digits = count_digits(one.change)
    point = decimal(one.change, language, digits=digits, signed=True)
    return point, interval(one.low, one.high, language, digits=digits, unit=False)


def _asked_in_vain(found: Sequence[Asked], told: Words) -> Markup | None:
    """Why studies that the checks asked for have no estimate; those that share a reason together."""
    language, together = told.language, dict[str, list[str]]()
    for one in found:
        if one.why:
            kind = KINDS[language].get(one.kind, one.kind)
            named = f"{label_in(one.label, language)} ({kind})"
            together.setdefault(one.why, []).append(named)
    lines = [
        element(
            "li",
            told("not_estimated", labels=", ".join(named), why=why_in(why, language)),
        )
        for why, named in together.items()
    ]
    return element("ul", *lines) if lines else None


def reason_in(one: Checked, language: str) -> str:
    """A check's reason in a language; in English if it has no words for it."""
    return true_minus(_reason_in(one, language))


def _reason_in(one: Checked, language: str) -> str:
    if language == "en":
        return one.reason
    told = credibility_words(language)
    if one.outcome == "not computable" and not one.figures:
        return _without(one, told) or STOPPED.get(one.reason, {}).get(language, one.reason)
    said = _SAID.get(one.name)
    try:
        return said(one, told) if said else one.reason
    except KeyError:  # a figure that is not known
        return one.reason


def _pre_trend(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    p = p_value(figures["p_value"], language, relation=True)
    if one.outcome == "failed":
        return told("pre_trend_failed", p=p)
    sentence = told("pre_trend_passed", p=p, slope=_short(figures["slope_80"], language))
    if "bias_80" not in figures:
        return sentence
    bias, average = figures["bias_80"], figures["average"]
    sentence += told(
        "pre_trend_bias", bias=_short(bias, language), average=_short(average, language)
    )
    return sentence + told("pre_trend_hidden") if bias >= abs(average) else sentence


def _relative_magnitudes(one: Checked, told: Words) -> str:
    breakdown = decimal(one.figures["breakdown"], told.language, digits=2)
    return told("relative_magnitudes", breakdown=breakdown)


def _smoothness(one: Checked, told: Words) -> str:
    figures = one.figures
    if figures.get("low", -math.inf) <= 0.0 <= figures.get("high", math.inf):
        return told("smoothness_straight")
    language = told.language
    return told(
        "smoothness",
        breakdown=_short(figures["breakdown"], language),
        bend=_short(figures["largest_bend"], language),
    )


def _cohorts(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    counts = {
        key: whole(figures[key], language) for key in ("single", "cohorts", "units", "smallest")
    }
    if figures["single"]:
        return told("cohorts_single", **counts)
    if one.outcome == "failed" and figures["share_in_small"] < 0.5:
        return told("cohorts_few", **counts)
    share = percent(100 * figures["share_in_small"], language, digits=0, signed=False)
    return told("cohorts_share", share=share, **counts)


def _two_way(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    if "already_treated" in figures:
        share = percent(100 * figures["already_treated"], language, digits=0, signed=False)
        sentence = told("bacon_compared", share=share)
    elif "without" in figures:
        sentence = told("bacon_negative", weight=_short(-figures["negative"], language))
    else:
        sentence = told("bacon_none")
    sentence += told("bacon_coefficient", coefficient=_short(figures["coefficient"], language))
    if "without" in figures:
        sentence += told("bacon_without", without=_short(figures["without"], language))
    return sentence + told("bacon_apart") if figures["cohorts"] else sentence


def _without_cohort(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    limits = {key: _short(figures[key], language) for key in ("lowest", "highest")}
    sentence = told("cohort_between", **limits)
    if one.outcome == "passed":
        sentence += told("cohort_told" if figures["told"] else "cohort_not_told")
    else:
        key = "cohort_lost" if figures["told"] else "cohort_only"
        sentence += told(key, cohorts=_named(figures, "without "))
    if figures["single"]:
        sentence += told("cohort_single", cohorts=_named(figures, "unit of "))
    return sentence


def _named(figures: Mapping[str, float], prefix: str) -> str:
    return ", ".join(key.removeprefix(prefix) for key in figures if key.startswith(prefix))


def _detection(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    if not figures["detected"]:
        return told("detection_none")
    size = {key: _short(figures[key], language) for key in ("effect", "low", "high")}
    if one.outcome == "failed":
        return told("detection_failed" if figures["reported"] else "detection_alone", **size)
    return told("detection_both" if figures["watched_rises"] else "detection_passed", **size)


def _placebo(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    p, count = (
        p_value(figures["p_value"], language, relation=True),
        whole(figures["placebos"], language),
    )
    if one.outcome == "failed":
        sentence = told(
            "placebo_failed",
            failing=told(f"{one.name}_failing"),
            effect=_change(figures["effect"], language),
            label=label_in(one.words["label"], language),
            p=p,
            count=count,
        )
    else:
        widest = figures["widest"]
        sentence = told("placebo_passed", p=p, count=count, widest=_change(widest, language))
        studied = figures.get("studied")
        if studied is not None and abs(widest) >= abs(studied):
            sentence += told("placebo_wide", studied=_change(studied, language))
    return _beside(sentence, one, told)


def _rings(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    label = label_in(one.words["label"], language)
    if one.outcome == "failed":
        keys = {"effect": "rise", "low": "rise_low", "high": "rise_high"}
        size = {key: _change(figures[name], language) for key, name in keys.items()}
        return _beside(told("rings_rose", label=label, **size), one, told)
    if figures["fell"]:
        size = {key: _change(figures[key], language) for key in ("effect", "low", "high")}
        return _beside(told("rings_fell", label=label, **size), one, told)
    highest = _change(figures["highest"], language)
    return _beside(told("rings_none", highest=highest), one, told)


def _regression(one: Checked, told: Words) -> str:
    keys = ("expected", "effect", "left", "low", "high")
    return told("regression", **{key: _change(one.figures[key], told.language) for key in keys})


def _heterogeneity(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    ends = {
        key: _short(figures[f"prediction_{key}"], language)
        if f"prediction_{key}" in figures
        else "–"
        for key in ("low", "high")
    }
    p = p_value(figures["p_value"], language, relation=True)
    share = percent(figures["i2"], language, digits=0, signed=False)
    if one.outcome == "failed":
        return told("cities_differ", p=p, share=share, **ends)
    if figures["p_value"] >= CHANCE:
        return told("cities_alike", p=p, **ends)
    return told("cities_same_side", p=p, share=share, **ends)


def _without_city(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    limits = {key: _short(figures[key], language) for key in ("lowest", "highest")}
    sentence = told("city_between", **limits)
    if one.outcome == "passed":
        return sentence + told("city_told" if figures["told"] else "city_not_told")
    key = "city_lost" if figures["told"] else "city_only"
    return sentence + told(key, cities=one.words["cities"])


def _small_study(one: Checked, told: Words) -> str:
    figures, language = one.figures, told.language
    p = p_value(figures["p_value"], language, relation=True)
    if one.outcome == "failed":
        return told("small_failed", p=p, limit=_short(figures["limit"], language))
    if one.outcome == "not computable":
        return told("small_few", p=p, count=whole(figures["cities"], language))
    return told("small_passed", p=p)


def _beside(sentence: str, one: Checked, told: Words) -> str:
    """The sentence, and which derived studies have no estimate."""
    without = _without(one, told)
    return f"{sentence}; {without}" if without else sentence


def _without(one: Checked, told: Words) -> str:
    """Which derived studies have no estimate, and why; empty if there are none."""
    numbers = itertools.takewhile(lambda n: f"without {n}" in one.words, itertools.count(1))
    return "; ".join(
        told(
            "not_estimated",
            labels=", ".join(
                label_in(label, told.language) for label in one.words[f"without {n}"].split("; ")
            ),
            why=why_in(one.words.get(f"why {n}", ""), told.language),
        )
        for n in numbers
    )


def _change(value: float, language: str) -> str:
    """Two significant digits with a sign, as of a change."""
    return f"+{_short(value, language)}" if value > 0 else _short(value, language)


def _short(value: float, language: str) -> str:
    """Two significant digits."""
    if value == 0 or not math.isfinite(value):
        return decimal(value, language, digits=0)
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    return decimal(value, language, digits=digits)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


_SAID: Final[Mapping[str, Callable[[Checked, Words], str]]] = {
    "pre_trend": _pre_trend,
    "honest_did_relative_magnitudes": _relative_magnitudes,
    "honest_did_smoothness": _smoothness,
    "small_cohorts": _cohorts,
    "goodman_bacon": _two_way,
    "leave_one_cohort_out": _without_cohort,
    "detection_effects": _detection,
    "placebo_dates": _placebo,
    "placebo_outcomes": _placebo,
    "placebo_cameras": _placebo,
    "displacement": _rings,
    "regression_to_the_mean": _regression,
    "heterogeneity": _heterogeneity,
    "leave_one_city_out": _without_city,
    "small_study": _small_study,
}
"""Name of a check → what it says in other languages than English."""
