"""Findings of `evalkit.quality` in words: what, how much, why it matters, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from evalkit.report.languages import Words
from evalkit.report.numbers import percent, whole

__all__ = ["STATUSES", "Said", "by_status", "figure_text", "say_finding"]

STATUSES: Final = ("look", "fine", "unknown")


@dataclass(frozen=True, slots=True)
class Said:
    """One finding in one language.

    Attributes:
        status: one of `STATUSES`.
        what: name of the check.
        much: how much, or why it cannot be told.
        why: why it matters.
        way_out: what to do.
    """

    status: str
    what: str
    much: str
    why: str
    way_out: str


def say_finding(finding: Mapping[str, Any], said: Words) -> Said:
    """One finding, as `evalkit.quality.Finding.to_dict` gives it, in words.

    Raises:
        KeyError: it is not a finding that the words know.
    """
    check, status, case = (str(finding[key]) for key in ("check", "status", "case"))
    if status not in STATUSES:
        raise KeyError(status)
    places = {
        name: figure_text(name, value, said) for name, value in finding.get("figures", {}).items()
    }
    sentence = case if status == "unknown" else f"{case}_much"
    if status == "fine" and f"{check}_fine_much" in said.table:
        sentence = f"{check}_fine_much"
    return Said(
        status, said(check), said(sentence, **places), said(f"{check}_why"), said(f"{check}_do")
    )


def by_status(findings: Sequence[Mapping[str, Any]], said: Words) -> dict[str, list[Said]]:
    """Findings in words, under their status, in their order."""
    spoken = [say_finding(finding, said) for finding in findings]
    return {status: [one for one in spoken if one.status == status] for status in STATUSES}


def figure_text(name: str, value: Any, said: Words) -> str:
    """A figure as people write it; its name tells what it is."""
    if name.endswith("share"):
        small = 0 < abs(float(value)) < 0.01
        return percent(100 * float(value), said.language, digits=2 if small else 1, signed=False)
    if name == "weekday":
        return said(f"day_{value}")
    if name == "reason":
        return said.table.get(f"reason_{value}", str(value).replace("_", " "))
    if isinstance(value, (int, float)):
        return whole(value, said.language)
    return str(value)
