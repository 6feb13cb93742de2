"""Do cameras seem to work before they are there?

Go-live is pretended earlier and only what lies before the true one is used (`core.falsification`). An effect is a
reaction before go-live, a trend that parallel paths do not have, or the fall of places chosen at their peak.
"""

from __future__ import annotations

from evalkit.checks._placebo import judge
from evalkit.core.check import CheckContext, CheckResult
from evalkit.core.estimate import Estimate

__all__ = ["check"]

NAME = "placebo_dates"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if a placebo has an effect, at 1 − the estimate's level over all placebos (Bonferroni).

    Figures: as `_placebo.judge`.
    """
    return judge(
        NAME,
        estimate,
        context.placebo_dates,
        context,
        failing="cameras seem to work before they are there",
    )
