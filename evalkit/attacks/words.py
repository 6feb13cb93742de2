"""What each released field is, in words, by estimator: for the preview and the privacy pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FIELDS", "NO_WORDS", "in_words"]

NO_WORDS: Final = "not described: do not approve this study, and report the estimator that sends it"

RANDOMISATION: Final = (
    "rank of the city's statistic among those of other assignments of its dates, and their number"
)
NOISE: Final = "what noise was added: the loss of privacy, and the variance of the noise in each total; from the policy"
EFFECT: Final = "the city's effect, its variance, and how many units and cells are behind it"
BOOTSTRAP: Final = (
    "number of units, and the sums of their scores at no effect to the powers 1, 2, 4 and 6"
)
PRODUCTS: Final = "sums over units of the products of their scores: how much units differ"
ON_GRID: Final = "for each coefficient: exposure, incidents and units in its cells"
OF_TARGETS: Final[dict[str, str]] = {
    "totals": "for each target: incidents of treated units, incidents expected without cameras, unit-periods",
    "cross": "sums over units of the products of what each adds to the sums beside it",
    "sizes": "units, cells observed, cohort-periods without control, treated units never compared",
}

FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "counterfactual_model": {"effect": EFFECT},
    "doubly_robust": {
        **OF_TARGETS,
        "trimmed": "controls without weight, as nearly all places like them have cameras",
        "units": "units in each block of units that share a go-live and the periods observed",
        "observed": "1 for each block and period that is observed; follows from public dates",
        "cohort": "first period of each block's go-live and first one after it; public",
        "covariates": "units compared, and sums and sums of squares of each covariate",
        "score": "slope of the propensity's likelihood at the coefficients asked",
        "information": "curvature of the propensity's likelihood at the coefficients asked",
        "deviance": "fit of the propensity at the coefficients asked",
        "sums": "sums over units of outcomes, changes and covariates, by group and by odds",
        "odds_gram": "products of covariates, weighted by odds",
        "odds_change": "changes of controls times covariates, weighted by odds",
        "odds_information": "products of covariates, weighted by odds",
        "exceptional": "controls without weight in a comparison, and controls nearly so",
    },
    "group_time_att": {
        **OF_TARGETS,
        "randomisation": RANDOMISATION,
        "units": "units in each block of units that share a go-live and the periods observed",
        "mean": "mean incidents per unit of each block in each period",
        "scatter": "how the units of each block differ from its mean, period by period",
        "observed": "1 for each block and period that is observed; follows from public dates",
        "cohort": "first period of each block's go-live and first one after it; public",
    },
    "linear_did": {
        "information": "products of the design's columns; follows from public dates and exposure",
        "right": "products of the design's columns with incidents",
        "columns": ON_GRID,
        "sizes": "units, cells used, periods",
        "meat": PRODUCTS,
        "null": BOOTSTRAP,
    },
    "poisson_did": {
        "score": "for each coefficient: incidents less those fitted, at the coefficients asked",
        "information": "curvature of the likelihood at the coefficients asked, which tells cohorts' totals",
        "deviance": "fit at the coefficients asked",
        "columns": ON_GRID,
        "sizes": "units with incidents, cells used, periods with incidents, units without incidents",
        "meat": PRODUCTS,
        "null": BOOTSTRAP,
        "randomisation": RANDOMISATION,
    },
    "random_effects": {
        "effect": "the city's effect, its variance, clusters and observations",
        "moderators": "public facts of the city that the study names",
        "subgroup": "place of a public fact of the city in the study's list",
        "randomisation": RANDOMISATION,
        "noise": NOISE,
    },
    "rate_ratio": {
        "totals": "incidents in targets before and after the roll-out, in controls before and after",
        "exposure": "unit-periods behind each total; follows from public dates",
        "dispersion": "Pearson's χ² of the periods' shares, and its degrees of freedom",
        "sizes": "units, and units times periods used",
        "randomisation": RANDOMISATION,
        "noise": NOISE,
    },
    "regression_to_the_mean": {
        "expected": "log change that chance alone leads to expect, its variance, units, unit-periods",
    },
    "synthetic_did": {"effect": EFFECT + "; units left out"},
    "wdd": {
        "totals": "incidents before and after the roll-out in targets, controls and rings",
        "exposure": "unit-periods behind each total; follows from public dates",
        "between": "variance between units of each group's change",
        "sizes": "units of the three groups; cells used",
        "noise": NOISE,
    },
}
"""Estimator → field → what it is."""


def in_words(estimator: str, field: str) -> str:
    """What a field is."""
    return FIELDS.get(estimator, {}).get(field, NO_WORDS)
