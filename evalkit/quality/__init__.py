"""What may be wrong with a city's rows although every one of them can be read. It stays in the city.

Where things are
    finding     what one check says, in numbers; the words are those of `evalkit.report`.
    calendar    days, months and years of a source, and how finely it states them.
    heaping     more rows on a midnight, a first of a month, a weekday than there should be.
    gaps        periods without rows, and sudden drops and rises.
    places      many rows on one point, and positions coarsened for anonymity.
    drift       how coordinates change from year to year.
    repeats     rows that are left out as duplicates, and equal ones that are kept.
    devices     what a list of cameras cannot tell: those removed, those undated.
    overlap     the incidents' period against the cameras' dates, and dates to come.
    zones       how many incidents lie where a study looks.
    survey      all of them.

Every check judges the *size* of what it finds. With ten million rows any excess is significant, and with
fifty none is: a finding needs both an excess that matters and more than chance (`finding.SURE`).
"""

from __future__ import annotations

from evalkit.quality.finding import Finding
from evalkit.quality.survey import Survey, survey

__all__ = ["Finding", "Survey", "survey"]
