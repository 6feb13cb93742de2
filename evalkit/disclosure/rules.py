"""The disclosure rules, one function each: support and policy in, verdict out.

A verdict's ``reason`` is for the city's own eyes and may hold counts; only the rule's name ever leaves.
Where the default limits come from is written in ``docs/reference/disclosure.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from evalkit.config import Policy
from evalkit.core.statistics import Support

__all__ = ["RULES", "Verdict", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule applied to one release.

    Attributes:
        rule: its name, as in the policy.
        passed: whether the release may leave as far as this rule goes.
        found: the number that was judged.
        limit: the policy's limit.
        reason: one sentence for the city.
    """

    rule: str
    passed: bool
    found: float
    limit: float
    reason: str


def cell_incidents(support: Support, policy: Policy) -> Verdict:
    """Every cell rests on enough incidents. A cell with none at all tells that there were none."""
    smallest = min(support.cells, key=lambda cell: cell.incidents)
    return _at_least(
        "min_incidents",
        smallest.incidents,
        policy.min_incidents,
        f"the smallest cell ({smallest.pattern}, {smallest.phase}) rests on {smallest.incidents} incidents",
    )


def group_units(support: Support, policy: Policy) -> Verdict:
    """Treated units together, and controls together, are enough."""
    totals: dict[str, int] = {"treated units": 0, "control units": 0}
    for cell in support.cells:
        if cell.phase in ("before", "all"):
            totals["treated units" if cell.treated else "control units"] += cell.units
    group, units = min(totals.items(), key=lambda item: item[1])
    return _at_least("min_units", units, policy.min_units, f"there are {units} {group}")


def pattern_units(support: Support, policy: Policy) -> Verdict:
    """Every treated design pattern is shared by enough units: a cohort of one is one camera's series."""
    treated = [cell for cell in support.cells if cell.treated]
    if not treated:
        return Verdict(
            "min_treated_per_pattern", False, 0, policy.min_treated_per_pattern, "no treated unit"
        )
    smallest = min(treated, key=lambda cell: cell.units)
    return _at_least(
        "min_treated_per_pattern",
        smallest.units,
        policy.min_treated_per_pattern,
        f"the smallest cohort or term ({smallest.pattern}, {smallest.phase}) has {smallest.units} units",
    )


def control_pattern_units(support: Support, policy: Policy) -> Verdict:
    """Every distinct pattern among controls is shared by enough units."""
    controls = [cell for cell in support.cells if not cell.treated]
    if not controls:
        return Verdict("min_control_per_pattern", False, 0, policy.min_units, "no control unit")
    smallest = min(controls, key=lambda cell: cell.units)
    return _at_least(
        "min_control_per_pattern",
        smallest.units,
        policy.min_units,
        f"the smallest control group ({smallest.pattern}) has {smallest.units} units",
    )


def parameters_per_cluster(support: Support, policy: Policy) -> Verdict:
    """Few coefficients for many clusters: a rich model interpolates its data."""
    share = support.parameters / max(support.clusters, 1)
    return Verdict(
        "max_parameters_per_cluster",
        share <= policy.max_parameters_per_cluster,
        share,
        policy.max_parameters_per_cluster,
        f"{support.parameters} parameters for {support.clusters} clusters",
    )


def residual_df(support: Support, policy: Policy) -> Verdict:
    """Enough observations are left after the fit."""
    return _at_least(
        "min_residual_df",
        support.residual_df,
        policy.min_residual_df,
        f"{support.residual_df} residual degrees of freedom",
    )


def dominance(support: Support, policy: Policy) -> Verdict:
    """No cell is nearly the count of one or two units."""
    largest = max(support.cells, key=lambda cell: cell.largest_two)
    return Verdict(
        "max_two_unit_share",
        largest.largest_two <= policy.max_two_unit_share,
        largest.largest_two,
        policy.max_two_unit_share,
        f"two units hold {largest.largest_two:.0%} of a cell ({largest.pattern}, {largest.phase})",
    )


def clusters(support: Support, policy: Policy) -> Verdict:
    """Enough clusters behind a variance: with one, the cross-product is that cluster."""
    return _at_least(
        "min_clusters", support.clusters, policy.min_clusters, f"{support.clusters} clusters"
    )


Rule = Callable[[Support, Policy], Verdict]

RULES: Final[tuple[Rule, ...]] = (
    cell_incidents,
    group_units,
    pattern_units,
    control_pattern_units,
    parameters_per_cluster,
    residual_df,
    dominance,
    clusters,
)


def judge(support: Support, policy: Policy) -> tuple[Verdict, ...]:
    """Every rule's verdict. Support without a single cell fails: nothing is known, so nothing leaves."""
    if not support.cells:
        return (Verdict("support", False, 0, 1, "the statistic carries no support counts"),)
    return tuple(rule(support, policy) for rule in RULES)


def _at_least(rule: str, found: float, limit: float, reason: str) -> Verdict:
    return Verdict(rule, found >= limit, found, limit, reason)
