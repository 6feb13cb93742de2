"""Which periods of the window the city's incidents cover whole.

A period that they do not cover would look like a fall in crime. The site file says from when to when the
incidents are complete; without it the first and the last date stand in, but only where the gap is clear.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Window
from evalkit.panel.periods import as_days, period_starts
from evalkit.panel.rows import Seen

__all__ = ["Coverage", "covered"]

CLEAR: Final = 20.0
"""A gap is clear if it would be empty by chance with a probability below e⁻²⁰, or 2·10⁻⁹: n incidents that
are as likely on any day all fall into d days, and none into g more, with probability (d/(d + g))ⁿ."""

COARSE: Final = 0.5
"""Share of dates on the first of a month from which dates are months, not days, so that the last one says
nothing about the end of its month. Of days 3 % are firsts."""


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Which of T periods are used.

    Attributes:
        used: (T,) bool.
        before, after: number of periods not used because the data begin later, or end earlier.
    """

    used: NDArray[np.bool_]
    before: int
    after: int


def covered(
    window: Window, seen: Seen, first_day: dt.date | None, last_day: dt.date | None
) -> Coverage:
    """Periods that the incidents cover whole.

    Args:
        window: of the study.
        seen: what came in, of the whole source.
        first_day: from when the source is complete; None if unknown.
        last_day: until when, this day included.
    """
    starts = as_days(period_starts(window)).astype(np.int64)
    ends = np.append(starts[1:], int(as_days(window.end).astype(np.int64)) + 1)
    early = np.zeros(len(starts), dtype=np.bool_)
    late = early.copy()
    if first_day is not None:
        early = starts < _day(first_day)
    elif seen.first is not None:
        early = _clear(seen, np.minimum(ends, _day(seen.first)) - starts)
    if last_day is not None:
        late = ends > _day(last_day) + 1
    elif seen.last is not None:
        late = _clear(seen, ends - np.maximum(starts, _day(seen.last) + 1))
    return Coverage(~(early | late), int(early.sum()), int((late & ~early).sum()))


def _clear(seen: Seen, gap: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(T,) whether so many days without incidents are no chance; never if dates are months or years."""
    if seen.first is None or seen.last is None or seen.firsts >= COARSE * seen.read:
        return np.zeros(len(gap), dtype=np.bool_)
    days = (seen.last - seen.first).days + 1
    clear: NDArray[np.bool_] = seen.read * np.log1p(np.maximum(gap, 0) / days) >= CLEAR
    return clear


def _day(date: dt.date) -> int:
    return int(as_days(date).astype(np.int64))
