"""Do the standard errors rest on enough treated units?

A cluster-robust standard error of an effect with a single treated cluster is far too small and looks like any other,
and with a handful it is still too small (MacKinnon & Webb 2017; Ferman & Pinto 2019): such a cohort's own shocks are
taken for its effect.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from evalkit.core.check import CheckContext, CheckResult, not_computable
from evalkit.core.estimate import Estimate

__all__ = ["FEWEST_IN_ALL", "FEW_IN_COHORT", "check"]

NAME = "small_cohorts"

FEW_IN_COHORT: Final = 5
"""Units below which a cohort is counted as small: MacKinnon & Webb's tests of true nulls reject many times too often
with up to about five treated clusters."""

FEWEST_IN_ALL: Final = 10
"""Treated units, over all cohorts, below which the overall standard error is not to be trusted either; the same
as the policy's least number of clusters."""


def check(estimate: Estimate, context: CheckContext) -> CheckResult:
    """Failed if a cohort has one unit only, if half of all treated units are in small cohorts, or if all are few.

    Figures: ``cohorts``, ``units`` in all of them, ``smallest``, ``single`` and ``small`` cohorts, and
    ``share_in_small`` of the units.
    """
    if context.cohort_units is None:
        return not_computable(NAME, "the sizes of the cohorts are not known here")
    variance = np.diagonal(estimate.covariance)[:1]
    if not (variance > 0.0).all() or not np.isfinite(variance).all() or len(variance) == 0:
        return not_computable(NAME, "the estimate has no standard error that could mislead")
    sizes = list(context.cohort_units.values())
    if not sizes or min(sizes) < 1:
        return not_computable(NAME, "there is no cohort, or one without units")
    small = [size for size in sizes if size < FEW_IN_COHORT]
    units, single = sum(sizes), sizes.count(1)
    share = sum(small) / units
    figures = {
        "cohorts": float(len(sizes)),
        "units": float(units),
        "smallest": float(min(sizes)),
        "single": float(single),
        "small": float(len(small)),
        "share_in_small": share,
    }
    if single:
        reason = f"{single} of {len(sizes)} cohorts have a single unit: nothing tells its effect from its own shocks"
    elif units < FEWEST_IN_ALL:
        reason = (
            f"{units} treated units are too few for a standard error; {FEWEST_IN_ALL} are asked for"
        )
    elif share >= 0.5:
        reason = (
            f"{100 * share:.0f} % of the treated units are in cohorts of fewer than {FEW_IN_COHORT}"
        )
    else:
        reason = (
            f"{units} treated units in {len(sizes)} cohorts, the smallest of {min(sizes)}; "
            f"{100 * share:.0f} % are in cohorts of fewer than {FEW_IN_COHORT}"
        )
        return CheckResult(NAME, "passed", reason, figures)
    return CheckResult(NAME, "failed", reason, figures)
