"""Which date format reads a column, tried with the reader that will read it."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import polars as pl

from evalkit.config import Source
from evalkit.readers.dates import Dates, read_dates

__all__ = ["DateGuess", "Order", "guess_clock", "guess_dates", "with_clock"]

Order = Literal["day first", "month first", ""]
"""Which of two numbers is the day; empty if the format leaves no doubt."""

READABLE: Final = 0.6
"""Share of values a format must read. Real columns hold marks for unknown dates; half a column
that reads by chance is no date column."""

PROBE: Final = 60
"""Values, spread over the column, on which formats are compared by their shape first."""

FURTHER: Final = 0.01
"""Share of values that a second format must add to be worth naming."""

AT_MIDNIGHT: Final = 0.95
"""Share of times at exactly midnight from which a column holds plain dates."""

EPOCH_YEARS: Final = (dt.date(1980, 1, 1), dt.date(2037, 12, 31))
"""Numbers that would be dates outside of these years are not taken for epochs."""

_DAY_FIRST: Final = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%y")
_MONTH_FIRST: Final = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y", "%m.%d.%y")
_OTHER: Final = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%Y-%m-%d",
    "%d %B %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%Y년 %m월 %d일",
)
_MONTHS: Final = ("%b-%y", "%b-%Y", "%b %Y", "%B %Y", "%Y-%m", "%Y/%m", "%Y.%m", "%m/%Y")
_CLOCKS: Final = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H.%M", "%H")
_BEHIND: Final = (
    "",
    *(f" {clock}" for clock in _CLOCKS),
    " %H:%M%z",
    " %H:%M:%S%z",
    " %H:%M:%S.%f%z",
    "T%H:%M:%S",
)

FORMATS: Final = (
    "iso",
    *(f"{date}{clock}" for date in (*_DAY_FIRST, *_MONTH_FIRST, *_OTHER) for clock in _BEHIND),
    *_MONTHS,
)
"""Formats that are tried; the earlier counts where two read the same."""

_CODES: Final = {
    "%Y": r"\d{4}",
    "%m": r"\d{1,2}",
    "%d": r"\d{1,2}",
    "%y": r"\d{2}",
    "%H": r"\d{1,2}",
    "%I": r"\d{1,2}",
    "%M": r"\d{2}",
    "%S": r"\d{2}",
    "%f": r"\d+",
    "%p": r"[AaPp][Mm]",
    "%b": r"[A-Za-z]{3}",
    "%B": r"[A-Za-z]{3,9}",
    "%z": r"\s*(?:Z|z|[+-]\d{2}(?::?\d{2})?)",
}
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d.*)?|\d{8}(?:T\d{4,6}.*)?")
_OFFSET: Final = re.compile(
    r":\d\d(?:\.\d+)?\s*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$|T\d{4,6}(?:Z|[+-]\d\d)"
)
_EPOCHS: Final = {
    "epoch_s": re.compile(r"\d{9,10}(?:\.0+)?"),
    "epoch_ms": re.compile(r"\d{12,13}(?:\.0+)?"),
}


@dataclass(frozen=True, slots=True)
class DateGuess:
    """How a column of dates is written.

    Attributes:
        formats: for ``date_format``, in the order in which they are to be tried.
        share: share of the values that they read.
        order: which number is the day, where there are two that could be.
        rival: the format that would read the values as well, with other dates; empty if the values
            leave no doubt.
        has_time, has_offset: whether there is a time of day, and an offset from UTC.
        midnight: share of the times that are exactly midnight.
        why: one sentence on how it was found.
    """

    formats: tuple[str, ...]
    share: float
    order: Order = ""
    rival: str = ""
    has_time: bool = False
    has_offset: bool = False
    midnight: float = 0.0
    why: str = ""

    @property
    def plain(self) -> bool:
        """Whether the column holds dates only, whatever clock and offset are written behind."""
        return not self.has_time or self.midnight >= AT_MIDNIGHT


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    form: str
    read: Dates

    @property
    def share(self) -> float:
        return 1.0 - self.read.date.null_count() / max(len(self.read.date), 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    kept: _Tried
    rival: str = ""
    why: str = ""


def guess_dates(
    values: pl.Series, *, epochs: bool, order: Order = "", today: dt.date | None = None
) -> DateGuess | None:
    """Find the format of a column, None if it holds no dates.

    Args:
        values: (N,) cleaned text.
        epochs: whether numbers may be seconds or milliseconds since 1970; any long number would do,
            so that the column's name must say so.
        order: taken where the values allow both day first and month first.
        today: dates later than this speak against a reading, for what has happened already.
    """
    present = values.drop_nulls()
    probe = _spread(present)
    if not probe:
        return None
    forms = _candidates(probe, epochs=epochs)
    tried = [_try(present, form) for form in forms]
    fitting = [one for one in tried if one.share >= READABLE and not _impossible(one)]
    if not fitting:
        return None
    best = max(fitting, key=lambda one: (one.share, -forms.index(one.form)))
    return _described(_settled(best, tried, order, today), tried, probe)


def guess_clock(values: pl.Series) -> str:
    """The format of a column that holds times of day, empty if it holds none."""
    present = values.drop_nulls()
    probe = _spread(present)
    for clock in _CLOCKS:
        if (
            _hits(_shape(clock), probe)
            and _try("2000-01-01 " + present, f"%Y-%m-%d {clock}").share >= 0.9
        ):
            return clock
    return ""


def with_clock(formats: Sequence[str], clock: str) -> tuple[str, ...]:
    """Formats for dates with a time column behind them, and for rows whose time is missing."""
    bare = list(dict.fromkeys(map(_without_clock, formats)))
    joined = [f"{'%Y-%m-%d' if form == 'iso' else form} {clock}" for form in bare]
    read_by_iso = {"%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"} if "iso" in bare else set()
    return (*(form for form in joined if form not in read_by_iso), *bare)


def _without_clock(form: str) -> str:
    behind = max((one for one in _BEHIND if form.endswith(one)), key=len)
    return form.removesuffix(behind)


def _spread(present: pl.Series) -> list[str]:
    distinct = present.unique(maintain_order=True)
    return distinct.gather_every(max(len(distinct) // PROBE, 1)).to_list()[: 2 * PROBE]


def _candidates(probe: Sequence[str], *, epochs: bool) -> list[str]:
    """Formats of whose shape some values are; none if no shape is common."""
    shapes = {form: _ISO if form == "iso" else _shape(form) for form in FORMATS}
    hits = {form: _hits(shape, probe) for form, shape in shapes.items()}
    if epochs:
        hits |= {form: _hits(digits, probe) for form, digits in _EPOCHS.items()}
    common = max(hits.values()) >= READABLE / 2 * len(probe)
    return [form for form, count in hits.items() if count] if common else []


def _hits(shape: re.Pattern[str], probe: Sequence[str]) -> int:
    return sum(bool(shape.fullmatch(value)) for value in probe)


@cache
def _shape(form: str) -> re.Pattern[str]:
    parts = re.findall(r"%.|[^%]+", form)
    return re.compile("".join(_CODES.get(part) or re.escape(part) for part in parts))


def _try(present: pl.Series, form: str) -> _Tried:
    as_written = Source(files=(), date_format=(form,), convert_zone=False)
    return _Tried(form, read_dates(present, None, as_written, "UTC"))


def _impossible(one: _Tried) -> bool:
    """Whether numbers would be instants in years that no portal exports."""
    if one.form not in _EPOCHS:
        return False
    inside = one.read.date.is_between(*EPOCH_YEARS).mean()
    return not (isinstance(inside, float) and inside >= READABLE)


def _settled(
    best: _Tried, tried: Sequence[_Tried], order: Order, today: dt.date | None
) -> _Settled:
    """Which number is the day: by what only one order can read, then by what would be odd."""
    twin = _exchanged(best.form)
    other = next((one for one in tried if twin and one.form == twin), None)
    if other is None or not _differ(best, other):
        return _Settled(best)
    if _only(best, other):
        place = "first" if _order(best.form) == "day first" else "second"
        why = f"{_order(best.form)}, as numbers above 12 stand in the {place} place only"
        if _only(other, best) < FURTHER:
            return _Settled(best, why=why)
        why = f"mostly {_order(best.form)}, but some values read only the other way: both are mixed"
        return _Settled(best, other.form, why)
    for sentence, odd in (
        ("would give dates in the future", (_later(best, today), _later(other, today))),
        ("would put every date into one month", (_one_month(best), _one_month(other))),
    ):
        if odd[0] != odd[1]:
            kept, lost = (other, best) if odd[0] else (best, other)
            return _Settled(kept, lost.form, f"{_order(kept.form)}, as the other order {sentence}")
    wanted = order or "day first"
    kept, lost = (best, other) if _order(best.form) == wanted else (other, best)
    why = (
        f"{order}, as in the city's other file"
        if order
        else "a toss-up: no number is above 12, so that either order reads them"
    )
    return _Settled(kept, lost.form, why)


def _exchanged(form: str) -> str:
    if not _order(form):
        return ""
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _order(form: str) -> Order:
    if form.startswith(_DAY_FIRST):
        return "day first"
    return "month first" if form.startswith(_MONTH_FIRST) else ""


def _differ(one: _Tried, other: _Tried) -> bool:
    return bool((one.read.date != other.read.date).fill_null(value=False).any())


def _only(one: _Tried, other: _Tried) -> float:
    """Share of values that can be read as ``one`` and not as ``other``."""
    mine = one.read.date.is_not_null() & other.read.date.is_null()
    return float(mine.sum()) / max(len(mine), 1)


def _later(one: _Tried, today: dt.date | None) -> bool:
    return today is not None and bool((one.read.date > today).any())


def _one_month(one: _Tried) -> bool:
    """Whether every date lies in the same month, on several days: a first of the month misread."""
    dates = one.read.date.drop_nulls()
    return dates.dt.month().n_unique() == 1 and dates.dt.day().n_unique() > 2


def _described(found: _Settled, tried: Sequence[_Tried], probe: Sequence[str]) -> DateGuess:
    kept = found.kept
    formats, left = [kept.form], kept.read.date.is_null()
    for one in sorted(tried, key=lambda one: -one.share):
        more = left & one.read.date.is_not_null()
        if not _opposite(one, kept) and float(more.sum()) >= max(FURTHER * len(left), 1):
            formats.append(one.form)
            left &= one.read.date.is_null()
    share = 1.0 - float(left.sum()) / max(len(left), 1)
    midnight = kept.read.midnight.drop_nulls()
    return DateGuess(
        formats=tuple(formats),
        share=share,
        order=_order(kept.form),
        rival=found.rival,
        has_time=len(midnight) > 0,
        has_offset=_has_offset(kept.form, probe),
        midnight=float(midnight.sum()) / max(len(midnight), 1),
        why=found.why or f"reads {share:.1%} of the values",
    )


def _opposite(one: _Tried, other: _Tried) -> bool:
    orders = {_order(one.form), _order(other.form)}
    return orders == {"day first", "month first"}


def _has_offset(form: str, probe: Sequence[str]) -> bool:
    if form == "iso":
        return any(_OFFSET.search(value) for value in probe)
    return form in _EPOCHS or "%z" in form
