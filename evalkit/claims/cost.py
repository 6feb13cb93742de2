"""Cost: crimes prevented against what the cameras cost, with the effect's interval carried through.

With a log rate ratio θ, and A incidents where cameras were live, there would have been A·exp(−θ)
without them, so that

    N = A (exp(−θ) − 1)            crimes prevented (below 0: caused),
    B = N · u                      benefit, u the mean cost of one such crime,
    C = camera-years × (K · r / (1 − (1 + r)^−n) + running cost),

with capital K per camera written off over its lifetime of n years at the discount rate r as a
constant yearly payment (the equivalent annual cost). Benefits fall into the same years as the
costs, so that nothing else is discounted.

The interval
    N falls in θ, so the ends of its interval are those of θ's, exchanged, and so are those of B,
    B/C and B − C, which are linear in N. C/N is not: N may be near 0 or below. If the interval of
    N holds 0, the values of C/N that it allows are all those from C/N_high upwards, without end,
    and beyond that "no crime is prevented at all": an unbounded set, as in Fieller (1954). It is
    reported as such and not as an interval between two numbers.

Only θ is uncertain here. Counts, costs and the mix of crimes are taken as given; what is an
assumption says so in the file, and in the result.

Sources
    Drummond, M. F. et al. (2015). Methods for the Economic Evaluation of Health Care Programmes,
        4th ed., chapters 4 and 7 (equivalent annual cost, ratios).
    Fieller, E. C. (1954). Some problems in interval estimation. Journal of the Royal Statistical
        Society B 16, 175–185.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from evalkit.config import read_toml
from evalkit.core.taxonomy import CRIME_TYPES
from evalkit.errors import ConfigError

__all__ = [
    "CostFile",
    "CostPerCrime",
    "CostResult",
    "Costs",
    "Figure",
    "Range",
    "annual_cost",
    "assumptions_of",
    "cost_of",
    "load_costs",
    "mean_cost_of_crime",
    "prevented",
]

SHARES_TOLERANCE: Final = 1e-6
"""Of the sum of shares: six decimals are more than anybody writes."""


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number with where it comes from; without a source it has to say that it is an assumption."""

    value: Annotated[float, msgspec.Meta(ge=0)]
    source: str = ""
    assumption: bool = False


class Costs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What cameras cost, and what crimes cost.

    Attributes:
        currency, price_year: all amounts are in this money.
        cameras: number of cameras.
        years: for which they were live and their effect is counted.
        capital_per_camera: everything bought once, divided by the cameras.
        running_per_camera_year: staff, repair, power, lines.
        lifetime_years: after which a camera is bought anew.
        discount_rate: a year, 0.05 for 5 %.
        per_crime: common crime type → cost of one crime to society.
        treated_incidents: crime type → incidents where cameras were live, in those years. Without
            it they are taken from what the run's cities released.
        mix: crime type → share of the incidents, for a total that is not known by type.
    """

    currency: str
    price_year: int
    capital_per_camera: Figure
    running_per_camera_year: Figure
    lifetime_years: Figure
    discount_rate: Figure
    per_crime: dict[str, Figure]
    cameras: Figure | None = None
    years: Figure | None = None
    treated_incidents: dict[str, Figure] = {}
    mix: dict[str, Figure] = {}


class CostFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of costs."""

    costs: Costs


@dataclass(frozen=True, slots=True)
class Range:
    """A value with the ends that follow from θ's interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CostPerCrime:
    """Cost per crime prevented.

    Attributes:
        kind: ``bounded`` if θ's whole interval is a fall; ``unbounded`` if it holds no effect;
            ``none`` if it is a rise, so that no crime is prevented.
        value: at the estimate; nan unless that is a fall.
        low: least; nan for ``none``.
        high: most; ``math.inf`` for ``unbounded``, nan for ``none``.
    """

    kind: Literal["bounded", "unbounded", "none"]
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostResult:
    """What it cost and what it brought.

    Attributes:
        incidents: A.
        camera_years: over which they were counted.
        annual_cost_per_camera: capital and running cost together.
        total_cost: C.
        mean_cost_of_crime: u.
        prevented: N.
        benefit: B.
        net_benefit: B − C.
        benefit_cost_ratio: B/C.
        cost_per_crime: C/N.
        break_even: log rate ratio at which B = C.
    """

    incidents: float
    camera_years: float
    annual_cost_per_camera: float
    total_cost: float
    mean_cost_of_crime: float
    prevented: Range
    benefit: Range
    net_benefit: Range
    benefit_cost_ratio: Range
    cost_per_crime: CostPerCrime
    break_even: float


def load_costs(path: Path) -> Costs:
    """Read and check a file of costs.

    Raises:
        ConfigError: not such a file, an unknown crime type, a number without source that does not
            say it is an assumption, a lifetime, number or rate that cannot be, or shares that do not add up to 1.
    """
    costs = read_toml(path, CostFile).costs
    where = str(path)
    named = {*costs.per_crime, *costs.treated_incidents, *costs.mix}
    unknown = sorted(named - set(CRIME_TYPES))
    if unknown or not costs.per_crime:
        raise ConfigError(
            f"unknown crime types: {', '.join(unknown)}" if unknown else "no crime has a cost",
            where=where,
            limit=f"some of {', '.join(CRIME_TYPES)}",
            way_out="use the common names",
        )
    bare = sorted(
        name for name, figure in _figures(costs).items() if not (figure.source or figure.assumption)
    )
    if bare:
        raise ConfigError(
            f"figures without a source: {', '.join(bare)}",
            where=where,
            limit="each with a source, or with assumption = true",
            way_out="add the source, or say that it is an assumption",
        )
    if costs.lifetime_years.value <= 0 or costs.discount_rate.value >= 1:
        raise ConfigError(
            "lifetime_years or discount_rate is out of range",
            where=where,
            limit="a lifetime above 0, a rate below 1 (0.05 for 5 %)",
            way_out="correct it",
        )
    if costs.treated_incidents and costs.mix:
        raise ConfigError(
            "both treated_incidents and mix are given",
            where=where,
            limit="one of the two: incidents by type are a mix already",
            way_out="remove mix",
        )
    shares = math.fsum(figure.value for figure in costs.mix.values())
    if costs.mix and not abs(shares - 1) <= SHARES_TOLERANCE:
        raise ConfigError(
            f"the shares of mix add up to {shares:g}",
            where=f"{where}, [costs.mix]",
            limit="1, over all crime types that it names",
            way_out="correct the shares, or give numbers of incidents as treated_incidents",
        )
    return costs


def assumptions_of(costs: Costs) -> tuple[str, ...]:
    """Names of the figures that are assumptions, as in the file."""
    return tuple(name for name, figure in _figures(costs).items() if figure.assumption)


def annual_cost(costs: Costs) -> float:
    """Equivalent annual cost of one camera."""
    rate, years = costs.discount_rate.value, costs.lifetime_years.value
    factor = 1 / years if rate == 0 else rate / -math.expm1(-years * math.log1p(rate))
    return costs.capital_per_camera.value * factor + costs.running_per_camera_year.value


def mean_cost_of_crime(costs: Costs, crime_types: tuple[str, ...]) -> float:
    """u: mean cost of a crime over the study's crime types.

    Args:
        costs: with ``treated_incidents`` or ``mix``, unless one cost is common to all types.
        crime_types: of the study.

    Raises:
        ConfigError: a crime type without cost, or several costs and no mix.
    """
    missing = sorted(set(crime_types) - set(costs.per_crime))
    if missing:
        raise ConfigError(
            f"no cost is given for {', '.join(missing)}",
            where="[costs.per_crime]",
            limit="every crime type that the study counts",
            way_out="add them",
        )
    each = {name: costs.per_crime[name].value for name in crime_types}
    if len(set(each.values())) == 1:
        return next(iter(each.values()))
    weights = {
        name: figure.value
        for name, figure in (costs.treated_incidents or costs.mix).items()
        if name in each
    }
    total = math.fsum(weights.values())
    if total <= 0:
        raise ConfigError(
            "crimes of several costs are counted together, and nothing says how many are of each type",
            where="[costs]",
            limit="treated_incidents, or mix, for the study's crime types",
            way_out="add [costs.mix.robbery] value = 0.3 and so on",
        )
    return math.fsum(each[name] * weight for name, weight in weights.items()) / total


def prevented(incidents: float, effect: float) -> float:
    """N for one log rate ratio."""
    try:
        return incidents * math.expm1(-effect)
    except OverflowError:
        return math.inf


def cost_of(
    *,
    incidents: float,
    camera_years: float,
    annual_cost_per_camera: float,
    mean_cost: float,
    effect: float,
    low: float,
    high: float,
) -> CostResult:
    """Everything from θ with its interval.

    Args:
        incidents: A, where cameras were live.
        camera_years: of those cameras in that time.
        annual_cost_per_camera: `annual_cost`.
        mean_cost: `mean_cost_of_crime`.
        effect: θ.
        low: lower end of its interval.
        high: upper end.

    Raises:
        ConfigError: no incident, no camera-year or no cost.
    """
    for name, value in (
        ("incidents", incidents),
        ("camera-years", camera_years),
        ("cost", annual_cost_per_camera),
        ("cost of a crime", mean_cost),
    ):
        if not (math.isfinite(value) and value > 0):
            raise ConfigError(
                f"there is no {name} to compare with",
                limit="a number above 0",
                way_out="correct the file of costs",
            )
    cost = camera_years * annual_cost_per_camera
    saved = Range(*(prevented(incidents, theta) for theta in (effect, high, low)))

    def scaled(factor: float, shift: float = 0.0) -> Range:
        return Range(*(factor * n + shift for n in (saved.value, saved.low, saved.high)))

    return CostResult(
        incidents=incidents,
        camera_years=camera_years,
        annual_cost_per_camera=annual_cost_per_camera,
        total_cost=cost,
        mean_cost_of_crime=mean_cost,
        prevented=saved,
        benefit=scaled(mean_cost),
        net_benefit=scaled(mean_cost, -cost),
        benefit_cost_ratio=scaled(mean_cost / cost),
        cost_per_crime=_per_crime(cost, saved),
        break_even=-math.log1p(cost / mean_cost / incidents),
    )


def _per_crime(cost: float, saved: Range) -> CostPerCrime:
    if saved.high <= 0:
        return CostPerCrime("none", math.nan, math.nan, math.nan)
    value = cost / saved.value if saved.value > 0 else math.nan
    if saved.low <= 0:
        return CostPerCrime("unbounded", value, cost / saved.high, math.inf)
    return CostPerCrime("bounded", value, cost / saved.high, cost / saved.low)


def _figures(costs: Costs) -> dict[str, Figure]:
    """Every figure of the file by its name there."""
    found: dict[str, Figure] = {}
    for name in costs.__struct_fields__:
        value = getattr(costs, name)
        if isinstance(value, Figure):
            found[name] = value
        elif isinstance(value, Mapping):
            found.update({f"{name}.{key}": figure for key, figure in value.items()})
    return found
