"""Numbers as people read them: a true minus sign, decimal commas in Spanish and Portuguese, units with their gap.

Every function takes a language code and returns text that does not break across lines inside a number. A value
that is null, not a number or infinite is shown as `MISSING`, never as ``nan``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from evalkit.errors import ConfigError

__all__ = [
    "GAP",
    "LANGUAGES",
    "MINUS",
    "MISSING",
    "bytes_size",
    "check_language",
    "count_digits",
    "decimal",
    "interval",
    "keep_together",
    "p_value",
    "percent",
    "short_percent",
    "true_minus",
    "whole",
]

MINUS: Final = "−"
MISSING: Final = "–"
GAP: Final = "\u00a0"
"""No-break space: a number and its unit stay on one line."""

LEAST_P: Final = 0.001
"""Smaller p-values are printed as below it; the digits beyond depend on tails nobody can check."""


@dataclass(frozen=True, slots=True)
class _Style:
    decimal: str
    thousands: str
    between: str


_STYLES: Final[dict[str, _Style]] = {
    "en": _Style(decimal=".", thousands=",", between=f",{GAP}"),
    # With a decimal comma the ends of an interval are told apart by a semicolon.
    "es": _Style(decimal=",", thousands=GAP, between=f";{GAP}"),
    "pt": _Style(decimal=",", thousands=".", between=f";{GAP}"),
}

LANGUAGES: Final = tuple(_STYLES)
"""Languages of a report."""


def check_language(language: str) -> str:
    """Return ``language``.

    Raises:
        ConfigError: it is not one of `LANGUAGES`.
    """
    if language not in _STYLES:
        raise ConfigError(
            "a report in an unknown language was asked for",
            limit=f"one of {', '.join(LANGUAGES)}",
            way_out="choose one of these, or add a table to evalkit.report.languages",
        )
    return language


def decimal(
    value: float | None, language: str = "en", *, digits: int = 1, signed: bool = False
) -> str:
    """A number with ``digits`` decimals; ``signed`` writes a plus as well. What rounds to zero has no sign."""
    style = _STYLES[check_language(language)]
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{abs(value):,.{digits}f}"
    if float(text.replace(",", "")) != 0:
        text = (MINUS if value < 0 else "+" * signed) + text
    return text.translate({ord(","): style.thousands, ord("."): style.decimal})


def whole(value: float | None, language: str = "en") -> str:
    """A count, with thousands set apart."""
    return decimal(value, language, digits=0)


def percent(
    value: float | None, language: str = "en", *, digits: int = 1, signed: bool = True
) -> str:
    """A number that is in percent already: ``−12.4 %``."""
    text = decimal(value, language, digits=digits, signed=signed)
    return text if text == MISSING else f"{text}{GAP}%"


def short_percent(value: float | None, language: str = "en") -> str:
    """As few digits as show the number: ``−13 %``, ``−12.4 %``."""
    hidden = value is not None and abs(value - round(value)) < 0.05  # what one decimal would hide
    return percent(value, language, digits=0 if hidden else 1)


def true_minus(sentence: str) -> str:
    """A sentence with a minus sign before its negative numbers, in place of a hyphen.

    Dates, ranges, names such as ``city-2`` and exponents keep theirs.
    """
    return re.sub(r"(?<![\w.)\-])-(?=\.?\d)", MINUS, sentence)


def count_digits(value: float | None) -> int:
    """Decimals that show three digits of an effect in incidents; an average over units and periods is small."""
    size = abs(value or 0.0)
    return 1 if size == 0 or size >= 10 else min(1 - math.floor(math.log10(size)) + 1, 6)


def interval(
    low: float | None,
    high: float | None,
    language: str = "en",
    *,
    digits: int = 1,
    unit: bool = True,
) -> str:
    """An interval in percent: ``[−21.0 %, +6.1 %]``; ``unit = False`` for a column headed %."""
    if any(end is None or not math.isfinite(end) for end in (low, high)):
        return MISSING
    write = percent if unit else decimal
    low_text, high_text = (write(end, language, digits=digits, signed=True) for end in (low, high))
    return f"[{low_text}{_STYLES[language].between}{high_text}]"


def keep_together(sentence: str) -> str:
    """Plain spaces inside an interval and before a percent sign become no-break spaces."""
    whole_intervals = re.sub(r"\[[^\]]*\]", lambda found: found.group().replace(" ", GAP), sentence)
    return whole_intervals.replace(" %", f"{GAP}%")


def p_value(value: float | None, language: str = "en", *, relation: bool = False) -> str:
    """Three decimals, or ``< 0.001``; ``relation`` writes ``= 0.020`` as well, for the middle of a sentence."""
    if value is not None and value < LEAST_P:
        return f"<{GAP}{decimal(LEAST_P, language, digits=3)}"
    text = decimal(value, language, digits=3)
    return f"={GAP}{text}" if relation else text


def bytes_size(value: float, language: str = "en") -> str:
    """A size in bytes, or in thousands or millions of bytes (SI)."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{decimal(value / factor, language)}{GAP}{unit}"
    return f"{whole(value, language)}{GAP}B"
