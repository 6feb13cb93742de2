"""Do places without a camera seem to gain from one?

As many controls as there are treated units are pretended to have got a camera when those did, against the other
controls (`core.falsification`). No camera stands there, so an effect is one of the comparison itself: controls that do
not move alike at those dates, or standard errors that are too small. It says nothing of how treated places were chosen.
"""

from __future__ import annotations

from evalkit.checks._placebo import judge
from evalkit.core.check import CheckContext, CheckResult
from evalkit.core.estimate import Estimate

__all__ = ["check"]

NAME = "placebo_cameras"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if the placebo has an effect, at 1 − the estimate's level.

    Figures: as `_placebo.judge`.
    """
    return judge(
        NAME,
        estimate,
        context.placebo_cameras,
        context,
        failing="places that never had a camera seem to change with one",
    )
