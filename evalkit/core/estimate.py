"""An estimate: effects with their covariance, always on the log rate-ratio scale unless it says otherwise.

`Estimate.tidy`, `Estimate.glance` and `Estimate.by_site` have fixed column names, whatever the estimator,
after the conventions of broom (Robinson, Hayes & Couch).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalkit.core.sensitivity import TwoWay, WithoutCohort
from evalkit.core.set_aside import SetAside
from evalkit.numerics.distributions import t_quantile, t_sf

__all__ = [
    "GLANCE_COLUMNS",
    "SITE_COLUMNS",
    "TIDY_COLUMNS",
    "Estimate",
    "Scale",
    "SiteEffect",
    "percent_change",
]

TIDY_COLUMNS: Final = (
    "term",
    "estimate",
    "std_error",
    "statistic",
    "p_value",
    "conf_low",
    "conf_high",
    "percent",
    "percent_low",
    "percent_high",
)
Scale = Literal["log_rate_ratio", "count"]

LARGEST_EXPONENT: Final = 700.0
"""exp of it is a double. Differences of counts pass through the same table, and may be larger."""

SITE_COLUMNS: Final = ("site", *TIDY_COLUMNS)
GLANCE_COLUMNS: Final = ("estimator", "sites", "units", "observations", "clusters", "df", "level")


@dataclass(frozen=True, slots=True)
class SiteEffect:
    """One city's effect: log rate ratio, standard error, and the weight it got when pooled (0 to 1).

    ``moderators`` are those that the study names, as it writes them.
    """

    site: str
    effect: float
    std_error: float
    weight: float = math.nan
    moderators: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What an estimator returns.

    Attributes:
        estimator: its name.
        terms: (K,) names of the effects; the first is the one a claim is tested on. Names of the others are
            those of `evalkit.core.terms`.
        effect: (K,) on ``scale``.
        covariance: (K, K).
        df: degrees of freedom of the t reference; infinite for a normal one.
        level: of the intervals, such as 0.95.
        contributors: cities whose statistics are in it, sorted.
        units, observations, clusters: sizes, summed over cities; NaN where a release does not tell.
        sites: city effects, where the estimator has them.
        details: further named numbers (tau2, q, i2, prediction_low, …).
        notes: plain sentences a reader must know.
        scale: of the effects: log rate ratios, or differences of incidents (per unit and period unless a note says
            otherwise), for which there is no percent change and no claim can be tested.
        term_df: (K,) degrees of freedom where terms come from different models and ``df`` is of the first only;
            empty where all have ``df``.
        without_cohorts: the first effect without each cohort in turn; empty where cohorts are not told apart.
        set_aside: cities whose answers are impossible or implausible, and what was done with them.
        two_way: what a static two-way regression of the same panel is made of; None where that is not known.
    """

    estimator: str
    terms: tuple[str, ...]
    effect: NDArray[np.float64]
    covariance: NDArray[np.float64]
    df: float
    level: float
    contributors: tuple[str, ...]
    units: float = math.nan
    observations: float = math.nan
    clusters: float = math.nan
    sites: tuple[SiteEffect, ...] = ()
    details: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scale: Scale = "log_rate_ratio"
    term_df: tuple[float, ...] = ()
    without_cohorts: tuple[WithoutCohort, ...] = ()
    two_way: TwoWay | None = None
    set_aside: tuple[SetAside, ...] = ()

    def df_of(self, index: int) -> float:
        """Degrees of freedom of one term."""
        return self.term_df[index] if self.term_df else self.df

    @property
    def std_error(self) -> NDArray[np.float64]:
        """(K,) standard errors."""
        return np.sqrt(np.diagonal(self.covariance))

    def interval(self, index: int = 0) -> tuple[float, float]:
        """Confidence limits of one term at `level`."""
        half = t_quantile(0.5 + self.level / 2, self.df_of(index)) * float(self.std_error[index])
        return float(self.effect[index]) - half, float(self.effect[index]) + half

    def tidy(self) -> pl.DataFrame:
        """One row per term, columns `TIDY_COLUMNS`."""
        rows = [
            self._row(term, float(self.effect[i]), float(self.std_error[i]), self.df_of(i))
            for i, term in enumerate(self.terms)
        ]
        return pl.DataFrame(rows, schema=_schema(TIDY_COLUMNS), orient="row")

    def by_site(self) -> pl.DataFrame:
        """One row per city, columns `SITE_COLUMNS`; intervals are normal. Empty if there are none."""
        rows = [
            (one.site, *self._row(self.terms[0], one.effect, one.std_error, math.inf))
            for one in self.sites
        ]
        return pl.DataFrame(rows, schema=_schema(SITE_COLUMNS), orient="row")

    def _row(self, term: str, effect: float, error: float, df: float) -> tuple[Any, ...]:
        row = _tidy_row(term, effect, error, df, self.level)
        return row if self.scale == "log_rate_ratio" else (*row[:-3], math.nan, math.nan, math.nan)

    def glance(self) -> pl.DataFrame:
        """One row about the whole fit, columns `GLANCE_COLUMNS`."""
        row = (
            self.estimator,
            float(len(self.contributors)),
            self.units,
            self.observations,
            self.clusters,
            self.df,
            self.level,
        )
        return pl.DataFrame([row], schema=_schema(GLANCE_COLUMNS), orient="row")

    def summary(self) -> str:
        """A short paragraph for a terminal."""
        low, high = self.interval()
        change = percent_change if self.scale == "log_rate_ratio" else float
        unit = " %" if self.scale == "log_rate_ratio" else ""
        head = (
            f"{self.estimator}: {change(float(self.effect[0])):+.1f}{unit} "
            f"[{change(low):+.1f}{unit}, {change(high):+.1f}{unit}] "
            f"from {len(self.contributors)} {'city' if len(self.contributors) == 1 else 'cities'}"
        )
        return "\n".join((head, *(f"note: {note}" for note in self.notes)))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and text, for JSON; not-a-number and infinity become null."""
        return {
            "estimator": self.estimator,
            "scale": self.scale,
            "level": self.level,
            "df": _finite(self.df),
            "contributors": list(self.contributors),
            "units": _finite(self.units),
            "observations": _finite(self.observations),
            "clusters": _finite(self.clusters),
            "terms": [_null_rows(row) for row in self.tidy().to_dicts()],
            "sites": [
                {
                    **_null_rows(row),
                    "weight": _finite(one.weight),
                    **({"moderators": dict(one.moderators)} if one.moderators else {}),
                }
                for row, one in zip(self.by_site().to_dicts(), self.sites, strict=True)
            ],
            "details": {name: _finite(value) for name, value in self.details.items()},
            "notes": list(self.notes),
            **({"set_aside": [one.to_dict() for one in self.set_aside]} if self.set_aside else {}),
        }


def percent_change(log_ratio: float) -> float:
    """100·(exp(θ) − 1): a log rate ratio as percent change in crime; infinite where that is no double."""
    return 100.0 * math.expm1(log_ratio) if log_ratio < LARGEST_EXPONENT else math.inf


def _tidy_row(term: str, effect: float, error: float, df: float, level: float) -> tuple[Any, ...]:
    statistic = effect / error if error > 0 else math.nan
    p_value = 2 * t_sf(abs(statistic), df) if math.isfinite(statistic) else math.nan
    half = t_quantile(0.5 + level / 2, df) * error
    low, high = effect - half, effect + half
    percents = tuple(percent_change(value) for value in (effect, low, high))
    return (term, effect, error, statistic, p_value, low, high, *percents)


def _schema(columns: tuple[str, ...]) -> dict[str, pl.DataType]:
    text = {"term", "site", "estimator"}
    return {name: pl.String() if name in text else pl.Float64() for name in columns}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _null_rows(row: dict[str, Any]) -> dict[str, Any]:
    return {k: _finite(v) if isinstance(v, float) else v for k, v in row.items()}
