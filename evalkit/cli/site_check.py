"""Pictures, pages and words of `site check` and `site panel`; they show the city's data and stay in the city."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from evalkit.core.study import Study
from evalkit.panel.built import Built
from evalkit.report import (
    LANGUAGES,
    before_after,
    love_plot,
    panel_map,
    quality,
    write_panel_page,
    write_site_page,
)
from evalkit.report.check_words import check_words
from evalkit.report.findings import Said, by_status
from evalkit.workbench import Bench, CityRows

__all__ = ["draw_panel", "panel_page", "summary", "write_pages"]

WIDTH: Final = 98
IN_FULL: Final = 4
"""Findings that are told in full, so that the summary fits one screen; the page has them all."""

REASONS: Final = 6
"""Reasons for leaving rows out that are listed; the page has them all."""


def write_pages(
    found: Mapping[str, Any], bench: Bench, rows: CityRows, folder: Path, *, draw: bool
) -> list[Path]:
    """Write the page in every language, with a map if ``draw``; return the paths, English first."""
    return [
        write_site_page(
            found,
            folder,
            pictures=_draw(bench, rows, folder, language) if draw else (),
            language=language,
            alternatives=LANGUAGES,
        )
        for language in LANGUAGES
    ]


def draw_panel(built: Built, study: Study, title: str, folder: Path) -> list[Path]:
    """Draw the map of units, the series before and after, and the balance; returns the pictures."""
    balance = (
        love_plot(built.balance, built.facts, title, folder / "balance") if built.balance else []
    )
    return [
        *panel_map(built.units, title, folder / "map", zones=study.units),
        *before_after(built.diagnostics, title, folder / "before-after"),
        *balance,
    ]


def panel_page(
    built: Built, study: Study, title: str, folder: Path, pictures: Sequence[Path]
) -> Path:
    """Write the page of one study's panel and return its path."""
    return write_panel_page(
        title,
        study.title,
        folder,
        account=built.account,
        balance=built.balance,
        notes=built.notes,
        pictures=pictures,
    )


def summary(found: Mapping[str, Any]) -> list[str]:
    """What `check_city` found, as lines for a terminal: the verdict first, and one screen of it."""
    said = check_words("en")
    findings = by_status(found["findings"], said)
    look, more = findings["look"][:IN_FULL], findings["look"][IN_FULL:]
    every = sum(map(len, findings.values()))
    verdict = (
        said.count("verdict_look", len(findings["look"]), all=str(every))
        if look
        else said("verdict_fine")
    )
    return [
        f"{found['title']} ({found['site']}): {verdict[:1].lower()}{verdict[1:]}",
        *_account("incidents", found["incidents"], yearly=found["resolution"] == "year"),
        *_account("cameras", found["cameras"], yearly=False),
        *_areas(found.get("areas")),
        *(line for one in look for line in _told(one)),
        *_listed("Also to look at, on the page", [one.what for one in more]),
        *_listed("Fine", [one.what for one in findings["fine"]]),
        *_untold(findings["unknown"]),
    ]


def _areas(source: Mapping[str, Any] | None) -> list[str]:
    """The polygons, of a city that has any."""
    if source is None:
        return []
    notes = [line for note in source["notes"] for line in _wrapped(f"  {note}", "  ")]
    return [*_account("areas", source, yearly=False), *notes]


def _account(name: str, source: Mapping[str, Any], *, yearly: bool) -> list[str]:
    rejected = sum(source["rejected"].values())
    line = f"{name}: {source['read']:,} rows read = {source['used']:,} used + {rejected:,} rejected"
    if source["first"]:
        first, last = (source[key][: 4 if yearly else None] for key in ("first", "last"))
        line += f"; {first} to {last}"
    reasons = sorted(source["rejected"].items(), key=lambda item: -item[1])
    words = [f"{count:,} {reason}" for reason, count in reasons[:REASONS]]
    left = len(reasons) - len(words)
    if left:
        words.append(f"{left} more")
    return [line, *_wrapped(f"  {', '.join(words)}", "  ")] if words else [line]


def _told(one: Said) -> list[str]:
    return [
        *_wrapped(f"! {one.what}: {one.much}.", "  "),
        *_wrapped(f"  {one.why} → {one.way_out}", "  "),
    ]


def _untold(found: list[Said]) -> list[str]:
    """Checks that the data cannot tell, together where the reason is the same."""
    reasons: dict[str, list[str]] = {}
    for one in found:
        reasons.setdefault(one.much, []).append(one.what)
    told = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    return _listed("Cannot be told", [told] if told else [])


def _listed(label: str, names: list[str]) -> list[str]:
    return _wrapped(f"{label}: {', '.join(names)}.", "  ") if names else []


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _draw(bench: Bench, rows: CityRows, folder: Path, language: str) -> list[Path]:
    """Where incidents and cameras lie, and the months; the vector picture only."""
    city = bench.site.city
    stem = folder / ("map" if language == "en" else f"map.{language}")
    pictures = quality(
        rows.incidents.rows,
        rows.cameras.rows,
        city.bounds,
        city.title,
        stem,
        language=language,
    )
    return [picture for picture in pictures if picture.suffix == ".svg"]
