"""The figures of a city's data check as tables and bars: crime types, heaps, places by year, cameras, zones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from evalkit.report.findings import figure_text
from evalkit.report.html import Markup, element, section, table
from evalkit.report.languages import Words
from evalkit.report.numbers import MISSING, decimal, percent, whole

__all__ = ["figures_of"]

LISTED: Final = 12
"""Crime types shown one by one; a source with hundreds is told by its commonest."""

SAMPLE: Final = 500
"""Rows for which distinct points are worked out (`evalkit.quality.drift.SAMPLE`)."""

LIVE: Final = ("before", "testable", "edge", "after", "undated")


def figures_of(check: Mapping[str, Any], said: Words) -> list[Markup]:
    """Sections for what the check holds, in the order of a page."""
    parts = (
        _types((check.get("incidents") or {}).get("crime_types") or {}, said),
        _heaps(check.get("heaping") or (), check.get("weekdays") or (), said),
        _sudden(check.get("sudden") or (), check.get("resolution"), said),
        _places(check.get("places") or (), said),
        _overlap(check.get("overlap"), said),
        _zones(check.get("zones"), said),
    )
    return [part for part in parts if part is not None]


def _types(types: Mapping[str, int], said: Words) -> Markup | None:
    if not types:
        return None
    listed = list(types.items())[:LISTED]
    rest = list(types.values())[LISTED:]
    if rest:
        listed.append((said("more_types", count=whole(len(rest), said.language)), sum(rest)))
    heads = [said("type"), "", said("incidents"), said("share_of_all")]
    return section(said("types"), _bars(said("types_caption"), heads, listed, said))


def _heaps(
    heaps: Sequence[Mapping[str, Any]], weekdays: Sequence[int], said: Words
) -> Markup | None:
    if not heaps:
        return None
    rows = [
        [
            said(str(heap["check"])),
            said(str(heap["status"])),
            whole(heap["rows"], said.language),
            figure_text("share", heap["observed"], said),
            figure_text("share", heap["expected"], said),
            decimal(heap["z"], said.language, digits=1, signed=True),
        ]
        for heap in heaps
    ]
    heads = [said(key) for key in ("value", "verdict", "rows", "observed", "expected", "z")]
    days = [(said(f"day_{number}"), count) for number, count in enumerate(weekdays, start=1)]
    day_heads = [said("weekday"), "", said("incidents"), said("share_of_all")]
    return section(
        said("heaping"),
        table(said("heaping_caption"), heads, rows, text_columns=2),
        element("p", said("heaping_note"), class_="quiet"),
        _bars(said("weekdays"), day_heads, days, said) if days else None,
    )


def _sudden(found: Sequence[Mapping[str, Any]], resolution: Any, said: Words) -> Markup | None:
    if not found:
        return None
    length = 4 if resolution == "year" else 7
    rows = [
        [
            str(one["period"])[:length],
            whole(one["number"], said.language),
            whole(one["usual"], said.language),
        ]
        for one in found
    ]
    heads = [said("period"), said("incidents"), said("usual")]
    return section(said("sudden"), table(said("sudden_caption"), heads, rows))


def _places(years: Sequence[Mapping[str, Any]], said: Words) -> Markup | None:
    if not years:
        return None
    if all(year["spread"] is None for year in years):
        return section(said("places"), element("p", said("no_coordinates")))
    sample = whole(SAMPLE, said.language)
    rows = [
        [
            str(year["year"]),
            whole(year["rows"], said.language),
            whole(year["lost"], said.language),
            figure_text("share", year["lost_share"], said),
            whole(year["distinct"], said.language),
            decimal(year["east"], said.language, digits=0, signed=True),
            decimal(year["north"], said.language, digits=0, signed=True),
        ]
        for year in years
    ]
    heads = [
        *(said(key) for key in ("year", "rows", "lost", "lost_share")),
        said("distinct", sample=sample),
        said("east"),
        said("north"),
    ]
    return section(
        said("places"),
        table(said("places_caption"), heads, rows),
        element("p", said("places_note", sample=sample), class_="quiet"),
    )


def _overlap(overlap: Mapping[str, Any] | None, said: Words) -> Markup | None:
    if not overlap:
        return None
    live = [(said(f"live_{key}"), int(overlap[key])) for key in LIVE]
    caption = said("overlap_caption", first=str(overlap["first"]), last=str(overlap["last"]))
    heads = [said("when"), "", said("cameras"), said("share_of_all")]
    return section(said("overlap_heading"), _bars(caption, heads, live, said))


def _zones(zones: Mapping[str, Any] | None, said: Words) -> Markup | None:
    if not zones:
        return None
    caption = (
        said("zones_given", study=str(zones["study"])) if zones["given"] else said("zones_trial")
    )
    rows = [
        (said(f"zone_{zone}") if f"zone_{zone}" in said.table else str(zone), int(number))
        for zone, number in sorted(zones["number"].items(), key=lambda item: -item[1])
    ]
    heads = [said("zone"), "", said("incidents"), said("share_of_all")]
    return section(said("zones_heading"), _bars(caption, heads, rows, said))


def _bars(
    caption: str, heads: Sequence[str], numbers: Iterable[tuple[str, int]], said: Words
) -> Markup:
    """A table with a bar in each row, as long as its number."""
    listed = list(numbers)
    most, total = max((number for _, number in listed), default=0), sum(n for _, n in listed)
    rows = [
        [
            name,
            _bar(number / most if most else 0.0),
            whole(number, said.language),
            percent(100 * number / total, said.language, signed=False) if total else MISSING,
        ]
        for name, number in listed
    ]
    return table(caption, heads, rows, text_columns=2)


def _bar(part: float) -> Markup:
    return element(
        "span", element("span", style=f"width:{100 * part:.1f}%"), class_="bar", aria_hidden="true"
    )
