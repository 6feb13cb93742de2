"""Do cameras seem to move crimes that they should not?

The same panel and estimator with crimes that the study names as placebos (`core.falsification`). An effect there is
one of something else than cameras, which may move the crimes under study as well.
"""

from __future__ import annotations

from evalkit.checks._placebo import judge
from evalkit.core.check import CheckContext, CheckResult
from evalkit.core.estimate import Estimate

__all__ = ["check"]

NAME = "placebo_outcomes"


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if a placebo has an effect, at 1 − the estimate's level over all placebos (Bonferroni).

    Figures: as `_placebo.judge`.
    """
    return judge(
        NAME,
        estimate,
        context.placebo_outcomes,
        context,
        failing="crimes that cameras should not move seem to move",
    )
