"""A run as one self-contained page: the verdict first, then the effect, the cities, the claim, and how to check.

No script, no font, no picture and no style from anywhere: the file can be mailed, printed and archived. The
same run gives the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from evalkit.errors import ConfigError
from evalkit.report.across_section import across_sections
from evalkit.report.checks_section import credibility_sections
from evalkit.report.content import Claimed, Content, Effect, percent_of, read_result
from evalkit.report.figures import canvas
from evalkit.report.figures.forest import alternative_text, draw_forest, level_text
from evalkit.report.files import write_all
from evalkit.report.html import Markup, document, element, inline_svg, join, section, table
from evalkit.report.languages import TABLES, Words, words
from evalkit.report.numbers import (
    GAP,
    LANGUAGES,
    MISSING,
    bytes_size,
    count_digits,
    decimal,
    interval,
    keep_together,
    p_value,
    percent,
    short_percent,
    true_minus,
    whole,
)
from evalkit.report.style import STYLE
from evalkit.report.wording.credibility import credibility_words

__all__ = ["page_name", "write_page", "write_pages"]

TESTS: Final = (
    "p_no_effect",
    "p_claim",
    "p_equivalent_to_claim",
    "p_equivalent_to_no_effect",
)

LARGEST_LOG_FACTOR: Final = math.log(1e6)
"""Bayes factors beyond a million to one are not told apart; their tails depend on the normal approximation."""


@dataclass(frozen=True, slots=True)
class _Released:
    """What the run folder says left the cities; sizes in bytes.

    Attributes:
        by_city: city → number of releases and their bytes.
        missing: releases that are listed and not there.
    """

    by_city: Mapping[str, tuple[int, int]]
    missing: int

    @property
    def total(self) -> tuple[int, int]:
        """All releases and their bytes."""
        return (
            sum(count for count, _ in self.by_city.values()),
            sum(size for _, size in self.by_city.values()),
        )


def page_name(language: str) -> str:
    """``report.html``, ``report.es.html``, ``report.pt.html``."""
    return "report.html" if language == "en" else f"report.{language}.html"


def write_pages(result: Mapping[str, Any], folder: Path, *, draw: bool = True) -> list[Path]:
    """Write the page in every language, each linked to the others; with pictures if ``draw``."""
    return [
        write_page(result, folder, language, alternatives=LANGUAGES, draw=draw)
        for language in LANGUAGES
    ]


def write_page(
    result: Mapping[str, Any],
    folder: Path,
    language: str = "en",
    *,
    alternatives: Sequence[str] = (),
    draw: bool = True,
) -> Path:
    """Write one page into a run's folder and return its path.

    Args:
        result: what the run's ``result.json`` holds.
        folder: the run's folder; its ``releases.json``, ``releases`` and ``versions.json`` are read if present.
        language: ``en``, ``es`` or ``pt``.
        alternatives: languages in which the page exists beside this one, to link to.
        draw: whether to put pictures on the page, which needs matplotlib.

    Raises:
        ConfigError: not a run's result, an unknown language, or the page cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    said = words(language)
    content = read_result(result, language)
    body = join(
        (
            _header(content, said, alternatives),
            element(
                "main",
                _revoked(content, said),
                _verdict(content, said),
                _placebo(content, said),
                _set_aside(content, said),
                _effect(content, said),
                _picture(content, said) if draw else None,
                _cities(content, said),
                _further(content, said),
                credibility_sections(result, said, draw=draw),
                _differences(content, said),
                across_sections(result, content, said, draw=draw),
                _truth(content, said),
                _claim(content, said),
                _tests(content, said),
                _left(_released(folder, content), said),
                _verify(content, folder, said),
                _notes(content, said),
                _versions(content, folder, said),
            ),
            element("footer", element("p", said("made_by", version=content.version))),
        )
    )
    text = document(content.title, language, STYLE, body)
    return write_all({folder / page_name(language): text.encode("utf-8")})[0]


def _header(content: Content, said: Words, alternatives: Sequence[str]) -> Markup:
    links = [
        element("span", TABLES[other]["language_name"], aria_current="page")
        if other == said.language
        else element(
            "a", TABLES[other]["language_name"], href=page_name(other), lang=other, hreflang=other
        )
        for other in alternatives
    ]
    return element(
        "header",
        element("nav", *links, aria_label=said("other_languages")) if links else None,
        element("h1", content.title),
        element("p", f"{said('study')} ", element("code", content.name), class_="quiet"),
    )


def _verdict(content: Content, said: Words) -> Markup:
    if content.untested:
        heading, reason = credibility_words(said.language)("untested_heading"), content.untested
    elif content.outcome is None:
        heading, reason = said("no_verdict"), said("no_verdict_reason")
    else:
        heading, reason = content.headline or said(content.outcome), content.reason
    return element(
        "section",
        element("h2", heading),
        element("p", keep_together(reason[:1].upper() + reason[1:])) if reason else None,
        class_=f"verdict {content.outcome or 'none'}",
    )


def _revoked(content: Content, said: Words) -> Markup | None:
    """Before anything else: that the page is not the result any more, or what became of another one."""
    if content.revoked is not None:
        about = content.revoked
        line = said("revoked_line", city=about["site"], date=about["date"])
        if about["new"]:
            line = f"{line} {said('revoked_new', run=about['new'])}"
        return section(said("revoked_heading"), element("p", element("strong", line)))
    if content.withdrawn is not None:
        about = content.withdrawn
        line = said("withdrawn_line", city=about["site"], date=about["date"], run=about["run"])
        return element("p", line, class_="quiet")
    return None


def _set_aside(content: Content, said: Words) -> Markup | None:
    """Cities that were set aside, where nobody can miss them."""
    if not content.set_aside:
        return None
    lines = [element("li", sentence) for sentence in content.set_aside]
    return section(
        said("set_aside_heading"), element("p", said("set_aside_line")), element("ul", *lines)
    )


def _placebo(content: Content, said: Words) -> Markup | None:
    """Beside the verdict, because it changes what the verdict means."""
    if not content.placebo:
        return None
    line = said("placebo_line", cities=", ".join(content.placebo))
    return element("p", element("strong", f"{said('placebo_heading')}. "), line, class_="placebo")


def _effect(content: Content, said: Words) -> Markup:
    pooled, language = content.pooled, said.language
    cities = len(content.contributors) or len(content.cities)
    change, ends = _numbers(pooled, content, language)
    level = level_text(content.level, language)
    line = (
        credibility_words(language)("count_line", level=level, interval=ends)
        if content.count
        else said("effect_line", level=level, interval=ends)
    )
    return section(
        said("result_heading"),
        element("p", element("strong", change), element("span", line), class_="effect"),
        element(
            "p", said.count("effect_from", cities, estimator=content.estimator), class_="quiet"
        ),
        _randomisation(content, said),
    )


def _randomisation(content: Content, said: Words) -> Markup | None:
    """The p-value from re-assigned go-live dates, and how small it can be where that is not small."""
    details, language = content.details, said.language
    if "p_value_randomisation" not in details:
        return None
    line = said(
        "randomisation_line",
        p=p_value(details["p_value_randomisation"], language, relation=True),
        count=whole(details["randomisation_assignments"], language),
    )
    few = (
        said("randomisation_few", p=p_value(details["randomisation_smallest_p"], language))
        if details["randomisation_few"]
        else ""
    )
    return element("p", f"{line} {few}".rstrip(), class_="quiet")


def _picture(content: Content, said: Words) -> Markup | None:
    if (
        content.count
    ):  # a number of incidents has no place beside a claim, nor beside another city's
        return None
    label = alternative_text(content, said)
    svg = canvas.svg_text(draw_forest(content, said, headline=False), label)
    level = level_text(content.level, said.language)
    return section(
        said("picture_heading"),
        element(
            "figure",
            element(
                "div",
                inline_svg(svg, prefix="forest", label=label, colours=canvas.CSS_VARIABLES),
                class_="picture",
                tabindex=0,
                role="region",
                aria_label=said("picture_heading"),
            ),
            element("figcaption", said("picture_caption", level=level)),
            class_="wide",
        ),
    )


def _cities(content: Content, said: Words) -> Markup | None:
    if len(content.cities) < 2:  # one city is the effect above
        return None
    language = said.language
    truth = content.simulated.cities if content.simulated else {}
    heads = [
        said("city"),
        _change_head(content, said),
        _interval_head(content, said),
        said("weight"),
    ]
    rows = [
        [city.name, *_numbers(city, content, language), _weight(city, language)]
        for city in content.cities
    ]
    foot = [said("all_cities"), *_numbers(content.pooled, content, language), ""]
    if truth:
        heads.append(said("true_change"))
        mean = content.simulated.mean if content.simulated else None
        for row, city in zip(rows, content.cities, strict=True):
            row.append(percent(percent_of(truth.get(city.name)), language))
        foot.append(percent(percent_of(mean), language))
    return table(said("table_caption"), heads, rows, foot=foot)


def _further(content: Content, said: Words) -> Markup | None:
    if not content.others:
        return None
    heads = [said("term"), _change_head(content, said), _interval_head(content, said)]
    terms = (content.pooled, *content.others)
    rows = [[true_minus(term.name), *_numbers(term, content, said.language)] for term in terms]
    return section(said("terms_heading"), table(said("terms_caption"), heads, rows))


def _differences(content: Content, said: Words) -> Markup:
    sentences = _heterogeneity(content, said) or [said("no_differences")]
    return section(
        said("differences_heading"),
        *(element("p", sentence) for sentence in sentences),
        element("p", _prediction(content, said)),
    )


def _heterogeneity(content: Content, said: Words) -> list[str]:
    """What is known, in plain words; with one city nothing is."""
    details, language = content.details, said.language
    if len(content.contributors) == 1 or len(content.cities) == 1:
        return []
    sentences = []
    if "i2" in details:
        sentences.append(
            said("i2_line", i2=percent(details["i2"], language, digits=0, signed=False))
        )
    if "tau2" in details:
        sentences += _spread(math.sqrt(max(details["tau2"], 0.0)), content.pooled.effect, said)
    if {"q", "q_df", "q_p_value"} <= set(details):
        sentences.append(
            said(
                "q_line",
                q=decimal(details["q"], language),
                df=whole(details["q_df"], language),
                p=p_value(details["q_p_value"], language, relation=True),
            )
        )
    return sentences


def _spread(tau: float, mean: float | None, said: Words) -> list[str]:
    """What τ means for cities; a τ that prints as zero has no range."""
    language = said.language
    if tau < 0.0005:  # three decimals are shown
        return [said("tau_zero")]
    if mean is None:
        return []
    low, high = (percent(percent_of(mean + side * tau), language) for side in (-1, 1))
    return [said("tau_line", tau=decimal(tau, language, digits=3), low=low, high=high)]


def _prediction(content: Content, said: Words) -> str:
    expected = content.prediction
    if expected is None or expected.low is None or expected.high is None:
        return said("no_prediction")
    language = said.language
    line = said(
        "prediction_line",
        low=percent(percent_of(expected.low), language),
        high=percent(percent_of(expected.high), language),
        level=level_text(content.level, language),
    )
    if expected.high < 0:
        meaning = "prediction_fall"
    elif expected.low > 0:
        meaning = "prediction_rise"
    else:
        meaning = "prediction_zero"
    return f"{line} {said(meaning)}"


def _truth(content: Content, said: Words) -> Markup | None:
    truth = content.simulated
    if truth is None or truth.mean is None:
        return None
    language, pooled = said.language, content.pooled
    line = said(
        "truth_line",
        mean=percent(percent_of(truth.mean), language),
        realised=percent(percent_of(truth.realised), language),
    )
    if pooled.low is not None and pooled.high is not None:
        inside = pooled.low <= truth.mean <= pooled.high
        line = f"{line} {said('truth_inside' if inside else 'truth_outside')}"
    return section(said("truth_heading"), element("p", line))


def _claim(content: Content, said: Words) -> Markup | None:
    claim, language = content.claim, said.language
    if claim is None:
        return None
    value = said(
        "claim_value",
        value=short_percent(percent_of(claim.value), language),
        ratio=decimal(math.exp(claim.value), language, digits=2),
    )
    region = None
    if claim.low is not None and claim.high is not None:
        region = said(
            "claim_region",
            low=percent(percent_of(claim.low), language),
            high=percent(percent_of(claim.high), language),
        )
    also = None
    if claim.also_printed:
        printed = "; ".join(percent(percent_of(other), language) for other in claim.also_printed)
        also = said("claim_also", values=printed)
    return section(
        said("claim_heading"),
        element("blockquote", element("p", claim.title)),
        element(
            "p",
            # how it is tested is beside the point where it is not
            " ".join(text for text in (() if content.untested else (value, region, also)) if text),
        ),
        _claim_pairs(claim, said),
        _uncertainty(claim, said),
    )


def _claim_pairs(claim: Claimed, said: Words) -> Markup | None:
    pairs = (
        ("claim_source", claim.source),
        ("claim_setting", claim.setting),
        ("claim_types", ", ".join(claim.crime_types)),
    )
    written = [
        element(kind, text)
        for key, value in pairs
        if value
        for kind, text in (("dt", said(key)), ("dd", value))
    ]
    return element("dl", *written, class_="pairs") if written else None


def _uncertainty(claim: Claimed, said: Words) -> Markup | None:
    paragraphs = [" ".join(part.split()) for part in claim.uncertainty.split("\n\n")]
    paragraphs = [part for part in paragraphs if part]
    if not paragraphs:
        return None
    return join(
        (
            element("h3", said("claim_uncertainty")),
            *(element("p", part) for part in paragraphs),
        )
    )


def _tests(content: Content, said: Words) -> Markup | None:
    figures, language = content.figures, said.language
    rows = [
        [said(key), f"p{GAP}{p_value(figures[key], language, relation=True)}"]
        for key in TESTS
        if key in figures
    ]
    if "log_bayes_factor" in figures:
        rows.append(
            [said("log_bayes_factor"), _bayes_factor(figures["log_bayes_factor"], language)]
        )
    if not rows:
        return None
    heads = [said("question"), said("figure")]
    return section(said("tests_heading"), table(said("tests_caption"), heads, rows))


def _bayes_factor(log_factor: float, language: str) -> str:
    """Above one in favour of the claim; a small one is written as a fraction of one."""
    bounded = min(abs(log_factor), LARGEST_LOG_FACTOR)
    factor = math.exp(bounded)
    text = decimal(factor, language, digits=0 if factor >= 100 else 1)
    sign = ("> " if log_factor > 0 else "< ") if abs(log_factor) > bounded else ""
    return f"{sign}{text}" if log_factor >= 0 else f"{sign}1/{text}"


def _released(folder: Path, content: Content) -> _Released | None:
    """Read the listing of releases; None if the folder has none.

    Raises:
        ConfigError: the listing is damaged.
    """
    listed = _read_json(folder / "releases.json")
    if listed is None:
        return None
    if not isinstance(listed, dict):
        raise ConfigError("releases.json is damaged", where=str(folder))
    by_city: dict[str, tuple[int, int]] = {}
    missing = 0
    for name in sorted(listed):
        path = folder / "releases" / name
        # Only a plain file name: a listing must not lead out of the folder.
        if path.name != name or not path.is_file():
            missing += 1
            continue
        city = _city_of(name, content.contributors)
        count, size = by_city.get(city, (0, 0))
        by_city[city] = (count + 1, size + path.stat().st_size)
    return _Released(dict(sorted(by_city.items())), missing)


def _city_of(name: str, cities: Sequence[str]) -> str:
    """The city of ``000-stage-city.release``; a name may hold hyphens, so the longest known one wins."""
    stem = name.removesuffix(".release")
    known = [city for city in cities if stem.endswith(f"-{city}")]
    return max(known, key=len) if known else stem


def _left(released: _Released | None, said: Words) -> Markup:
    if released is None:
        return section(said("left_heading"), element("p", said("left_nothing")))
    language = said.language
    count, size = released.total
    rows = [
        [city, whole(number, language), bytes_size(amount, language)]
        for city, (number, amount) in released.by_city.items()
    ]
    heads = [said("city"), said("releases"), said("size")]
    foot = [said("total"), whole(count, language), bytes_size(size, language)]
    line = said.count("left", count, size=bytes_size(size, language))
    return section(
        said("left_heading"),
        element("p", f"{line} {said('left_what')}"),
        element("p", element("strong", said.count("left_missing", released.missing)))
        if released.missing
        else None,
        table(said("left_caption"), heads, rows, foot=foot) if rows else None,
    )


def _verify(content: Content, folder: Path, said: Words) -> Markup:
    # The folder's name, not its path: the page may travel, and a path is this machine's business.
    command = f"evalkit review verify {folder.resolve().name}"
    return section(
        said("verify_heading"),
        element("p", said("verify_line")),
        element("pre", element("code", command)),
        element("p", said("hash_line"), element("br"), element("code", content.hash, class_="hash"))
        if content.hash
        else None,
    )


def _notes(content: Content, said: Words) -> Markup | None:
    if not content.notes:
        return None
    notes = [element("li", true_minus(note[:1].upper() + note[1:])) for note in content.notes]
    return section(said("notes_heading"), element("ul", *notes))


def _versions(content: Content, folder: Path, said: Words) -> Markup:
    found = _read_json(folder / "versions.json")
    versions = {"evalkit": content.version} | (found if isinstance(found, dict) else {})
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return section(said("versions_heading"), element("p", text, class_="quiet"))


def _read_json(path: Path) -> Any:
    """The content of a file, None if there is no such file.

    Raises:
        ConfigError: it cannot be read or is damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        raise ConfigError(
            f"{path.name} cannot be read",
            where=str(path.parent),
            way_out="name a folder made by `evalkit study run`",
        ) from None


def _change_head(content: Content, said: Words) -> str:
    return credibility_words(said.language)("difference") if content.count else said("change")


def _interval_head(content: Content, said: Words) -> str:
    return said("interval_heading", level=level_text(content.level, said.language))


def _numbers(effect: Effect, content: Content, language: str) -> list[str]:
    """An effect and its interval: percent change, or a number of incidents."""
    if content.count:
        digits = count_digits(content.pooled.effect)
        point = decimal(effect.effect, language, digits=digits, signed=True)
        return [
            point,
            interval(effect.low, effect.high, language, digits=digits, unit=False),
        ]
    return [percent(percent_of(effect.effect), language), _interval(effect, language)]


def _interval(effect: Effect, language: str) -> str:
    return interval(percent_of(effect.low), percent_of(effect.high), language)


def _weight(effect: Effect, language: str) -> str:
    if effect.weight is None:
        return MISSING
    return percent(100 * effect.weight, language, signed=False)
