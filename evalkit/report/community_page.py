"""A city's ledger as a page for its people, in three languages: what left, for whom, by whose leave, how to check it.

It opens offline and needs no library that draws, because a city installs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import evalkit
from evalkit.core.study import Study
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.report.community_content import Answer, Asked, Community, Signature
from evalkit.report.community_picture import timeline
from evalkit.report.files import write_all
from evalkit.report.html import Markup, document, element, join, section, table
from evalkit.report.languages import Words
from evalkit.report.numbers import LANGUAGES, MISSING, bytes_size, decimal, percent, whole
from evalkit.report.style import STYLE
from evalkit.report.wording.community import FAMILY_OF_RULE, TABLES, community_words

__all__ = ["write_community"]

LISTED: Final = 200
"""Answers shown one by one; a ledger may hold many thousands."""

SHOWN: Final = 16
"""Digits shown of a SHA-256; the whole of it is in the ledger."""


def write_community(found: Community, folder: Path) -> list[Path]:
    """Write ``community.html`` in every language; returns the pages, English first.

    Raises:
        ConfigError: the files cannot be written.
    """
    pages = {folder / _name(one): _page(found, community_words(one)).encode() for one in LANGUAGES}
    return write_all(pages)


def _name(language: str) -> str:
    return "community.html" if language == "en" else f"community.{language}.html"


def _page(found: Community, said: Words) -> str:
    title = said("title", city=found.city)
    links = [
        element("span", TABLES[one]["language_name"], aria_current="page")
        if one == said.language
        else element("a", TABLES[one]["language_name"], href=_name(one), lang=one, hreflang=one)
        for one in LANGUAGES
    ]
    body = join(
        (
            element(
                "header",
                element("nav", *links, aria_label=said("other_languages")),
                element("h1", title),
                element("p", said("intro", city=found.city)),
            ),
            element(
                "main",
                _summary(found, said),
                _no_incident(found, said),
                _picture(found, said),
                section(said("studies_heading"), *(_study(one, said) for one in found.studies))
                if found.studies
                else None,
                _refused(found, said),
                _rules(found, said),
                _budget(found, said),
                _gone(found, said),
                _every(found, said),
                _verify(found, said),
            ),
            element("footer", element("p", said("made_by", version=evalkit.__version__))),
        )
    )
    return document(title, said.language, STYLE, body)


def _summary(found: Community, said: Words) -> Markup:
    left = len(found.answers)
    heading = said.count("left", left) if left else said("left_none")
    lines = [
        said.count("refused", found.refused) if found.refused else said("refused_none"),
        said("between", first=found.first, last=found.last) if found.lines else None,
    ]
    return element(
        "div",
        element("h2", heading),
        element("p", " ".join(line for line in lines if line)),
        class_="verdict",
    )


def _no_incident(found: Community, said: Words) -> Markup:
    numbers = found.numbers
    total = " " + said.count("numbers", numbers) if found.answers and numbers is not None else ""
    return section(
        said("no_incident_heading"),
        element("p", said("no_incident") + total),
        element("p", said("not_said"), class_="quiet"),
    )


def _picture(found: Community, said: Words) -> Markup | None:
    if not found.months:
        return None
    return section(
        said("picture_heading"),
        element(
            "figure",
            element(
                "div",
                timeline(found.months, said),
                class_="picture",
                tabindex=0,
                role="region",
                aria_label=said("picture_heading"),
            ),
            element("figcaption", said("picture_caption")),
        ),
    )


def _study(one: Asked, said: Words) -> Markup:
    title = one.study.title if one.study else said("study_unknown")
    pairs: list[tuple[str, Markup | str]] = []
    if one.study:
        pairs.append((said("asked"), " ".join(_question(one.study, said))))
    agreed = [*(_signed(who, said) for who in one.signatures), *_standing(one, said)]
    pairs.append((said("agreed"), join(element("div", line) for line in agreed)))
    pairs.append((said("what"), _what(one.answers, said)))
    if one.answers:
        kinds = [said(f"class_{kind}") for kind in one.kinds] or [said("class_unknown")]
        pairs.append((said("kind"), "; ".join(kinds)))
    if one.refused:
        pairs.append((said("refused_here"), whole(one.refused, said.language)))
    pairs.append(("SHA-256", element("code", one.hash, class_="hash")))
    return element(
        "div",
        element("h3", title),
        element(
            "dl",
            *(
                part
                for name, value in pairs
                for part in (element("dt", name), element("dd", value))
            ),
            class_="pairs",
        ),
    )


def _question(study: Study, said: Words) -> Iterable[str]:
    """The question, and if it is one of a check, what that pretends."""
    units = study.units
    size = units.cell_m if units.kind == "grid" else units.radius_m
    yield said(
        "question",
        types=", ".join(
            said(f"type_{one}") for one in CRIME_TYPES if one in study.outcome.crime_types
        ),
        start=study.window.start.isoformat(),
        end=study.window.end.isoformat(),
        period=said(study.window.period),
        units=said(f"units_{units.kind}", size=decimal(size, said.language, digits=0)),
    )
    if study.outcome.hours:
        first, last = study.outcome.hours
        yield said("question_hours", first=str(first), last=str(last))
    treatment = study.treatment
    if treatment.pretended_earlier:
        yield said("check_periods")
    if treatment.pretends_cameras:
        yield said("check_cameras")
    if treatment.ring_under_study:
        yield said("check_ring")


def _signed(one: Signature, said: Words) -> str:
    if one.withdrawn:
        return said("withdrawn_officer", officer=one.officer, date=one.day)
    return said(
        "agreed_officer",
        officer=one.officer,
        date=one.day,
        given=whole(one.given, said.language),
        needed=whole(one.needed, said.language),
    )


def _standing(one: Asked, said: Words) -> list[str]:
    """How things are now, where the signatures do not say it."""
    if one.revoked:
        return [said("agreed_revoked")]
    if one.how == "covered":
        return [said("agreed_covered", title=one.by)]
    key = {"listed": "agreed_listed", "any": "agreed_any", "no": "agreed_none"}.get(one.how)
    return [said(key)] if key else []


def _what(answers: Sequence[Answer], said: Words) -> str:
    if not answers:
        return said("what_none")
    days = [answer.day for answer in answers]
    return said(
        "what_left",
        answers=said.count("answers", len(answers)),
        size=bytes_size(sum(answer.size for answer in answers), said.language),
        first=min(days),
        last=max(days),
    )


def _refused(found: Community, said: Words) -> Markup:
    heading = said("refused_heading")
    if not found.refused:
        return section(heading, element("p", said("refused_nothing")))
    listed = sorted(found.refusals.items(), key=lambda item: (-item[1], item[0]))
    rows = [
        [_rule(rule, said), _protects(rule, said), whole(times, said.language)]
        for rule, times in listed
    ]
    heads = [said("rule"), said("protects"), said("times")]
    return section(
        heading,
        table(said("refused_caption"), heads, rows, text_columns=2),
        element("p", said("refused_hint"), class_="quiet"),
    )


def _rules(found: Community, said: Words) -> Markup | None:
    if not found.rules:
        return None
    families = dict.fromkeys(FAMILY_OF_RULE.get(rule, "unknown") for rule in found.rules)
    rows = [
        [
            said(f"family_{family}"),
            element(
                "ul",
                *(
                    element("li", _rule(rule, said))
                    for rule in found.rules
                    if FAMILY_OF_RULE.get(rule, "unknown") == family
                ),
                style="margin:0",
            ),
        ]
        for family in families
    ]
    heads = [said("protects"), said("rule")]
    return section(said("rules_heading"), table(said("rules_caption"), heads, rows, text_columns=2))


def _rule(rule: str, said: Words) -> str:
    key = f"rule_{rule}"
    return said(key) if key in said.table else said("rule_unknown", rule=rule)


def _protects(rule: str, said: Words) -> str:
    return said(f"family_{FAMILY_OF_RULE.get(rule, 'unknown')}")


def _budget(found: Community, said: Words) -> Markup | None:
    lines = []
    if found.leverage is not None:
        share = percent(100 * found.leverage, said.language, digits=0, signed=False)
        lines.append(element("p", said("leverage_line", share=share)))
    if found.epsilon:
        epsilon = decimal(found.epsilon, said.language, digits=2)
        lines.append(element("p", said("epsilon_line", epsilon=epsilon)))
    return section(said("budget_heading"), *lines) if lines else None


def _gone(found: Community, said: Words) -> Markup:
    titles = {one.hash: one.study.title for one in found.studies if one.study}
    lines = [
        element("li", _gone_line(day, outcome, titles.get(study, study[:SHOWN]), officer, said))
        for day, outcome, study, officer in found.gone
    ]
    content = element("ul", *lines) if lines else element("p", said("withdrawn_nothing"))
    return section(said("withdrawn_heading"), content)


def _gone_line(day: str, outcome: str, study: str, officer: str, said: Words) -> str:
    if outcome == "withdrawn":
        return said("withdrawn_line", date=day, study=study, officer=officer)
    key = "revoked_line" if outcome == "revoked" else "reinstated_line"
    return said(key, date=day, study=study or said("every_study"))


def _every(found: Community, said: Words) -> Markup | None:
    if not found.answers:
        return None
    titles = {one.hash: one.study.title for one in found.studies if one.study}
    language = said.language
    rows = [
        [
            whole(answer.number, language),
            element("span", answer.day, style="white-space:nowrap"),
            titles.get(answer.study, answer.study[:SHOWN]),
            element("code", answer.seal[:SHOWN]),
            MISSING if answer.numbers is None else whole(answer.numbers, language),
            bytes_size(answer.size, language),
        ]
        for answer in found.answers[:LISTED]
    ]
    heads = [said(key) for key in ("number", "date", "study", "seal", "numbers", "size")]
    more = (
        element(
            "p",
            said(
                "list_newest",
                shown=whole(LISTED, language),
                all=whole(len(found.answers), language),
            ),
            class_="quiet",
        )
        if len(found.answers) > LISTED
        else None
    )
    return section(
        said("list_heading"), table(said("list_caption"), heads, rows, text_columns=4), more
    )


def _verify(found: Community, said: Words) -> Markup | None:
    if not found.lines:
        return None
    pairs = ((said("head"), found.head), (said("key"), found.key))
    return section(
        said("verify_heading"),
        element("p", said("verified", lines=said.count("lines", found.lines))),
        element(
            "dl",
            *(
                part
                for name, value in pairs
                for part in (
                    element("dt", name),
                    element("dd", element("code", value, class_="hash")),
                )
            ),
            class_="pairs",
        ),
        element("p", said("write_down")),
        element("p", said("ask")),
        element(
            "pre",
            f"evalkit review ledger ledger.export.jsonl --public-key {found.key} --since {found.head}",
        ),
        element("p", said("limit"), class_="quiet"),
    )
