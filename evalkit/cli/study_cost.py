"""`evalkit study cost`: what did a prevented crime cost, and was it worth it?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.errors import ConfigError

if TYPE_CHECKING:
    from evalkit.claims.cost import CostResult, Costs, Range
    from evalkit.federation.run_folder import RunFolder

__all__ = ["cost"]


@click.command()
@click.option(
    "--run", "run_path", type=click.Path(path_type=Path), required=True, help="A finished run."
)
@click.option(
    "--costs", "path", type=click.Path(path_type=Path), required=True, help="The file of costs."
)
@as_json_option
def cost(run_path: Path, path: Path, as_json: bool) -> None:
    """Cost per crime prevented and benefit-cost ratio of a run's effect; also written as RUN/cost.json."""
    from evalkit.claims.cost import (
        annual_cost,
        assumptions_of,
        cost_of,
        load_costs,
        mean_cost_of_crime,
    )
    from evalkit.federation.run_folder import RunFolder

    costs, run = load_costs(path), RunFolder(run_path.resolve())
    study, estimate = run.study(), run.read("estimate.json")
    term = _term(estimate, run_path)
    crime_types = study.outcome.crime_types
    incidents, camera_years, source = _scheme(costs, run, crime_types)
    found = cost_of(
        incidents=incidents,
        camera_years=camera_years,
        annual_cost_per_camera=annual_cost(costs),
        mean_cost=mean_cost_of_crime(costs, crime_types),
        effect=term["estimate"],
        low=term["conf_low"],
        high=term["conf_high"],
    )
    result: dict[str, Any] = {
        "study": run.summary(),
        "effect": {key: term[key] for key in ("estimate", "conf_low", "conf_high")},
        "level": estimate["level"],
        "currency": costs.currency,
        "price_year": costs.price_year,
        "incidents_from": source,
        "assumptions": list(assumptions_of(costs)),
        **_plain(found),
        "costs": costs,
    }
    run.write("cost.json", result)
    if as_json:
        print_json(result)
    else:
        _print(found, result, term)


def _term(estimate: dict[str, Any], run_path: Path) -> dict[str, Any]:
    """The run's first term, if it is a log rate ratio with an interval."""
    term: dict[str, Any] = estimate["terms"][0]
    known = all(term[key] is not None for key in ("estimate", "conf_low", "conf_high"))
    if estimate.get("scale", "log_rate_ratio") != "log_rate_ratio" or not known:
        raise ConfigError(
            "the run's effect is no rate ratio with an interval",
            where=str(run_path),
            limit='an estimate on the scale "log_rate_ratio"',
            way_out='use an estimator with [analysis] scale = "ratio"',
        )
    return term


def _scheme(costs: Costs, run: RunFolder, crime_types: tuple[str, ...]) -> tuple[float, float, str]:
    """Incidents, camera-years, and whether they are the file's or the releases'."""
    from evalkit.cli.released import treated_totals

    if costs.treated_incidents:
        if costs.cameras is None or costs.years is None:
            raise ConfigError(
                "treated_incidents are given, and not over how many cameras and years",
                where="[costs]",
                limit="cameras and years, of the same scheme",
                way_out="add both",
            )
        counted = [costs.treated_incidents.get(name) for name in crime_types]
        if any(one is None for one in counted):
            raise ConfigError(
                "treated_incidents lack a crime type of the study",
                where="[costs.treated_incidents]",
                limit=", ".join(crime_types),
                way_out="add it, with 0 if there was none",
            )
        total = math.fsum(one.value for one in counted if one is not None)
        return total, costs.cameras.value * costs.years.value, "file"
    totals = treated_totals(run)
    if totals is None:
        raise ConfigError(
            "the run's releases do not tell how many incidents there were where cameras were live",
            where=str(run.path),
            limit="an estimator that releases totals (rate_ratio, or poisson_did with one effect)",
            way_out="add [costs.treated_incidents], cameras and years to the file of costs",
        )
    return totals.incidents, totals.unit_years, "releases"


def _plain(found: CostResult) -> dict[str, Any]:
    """Plain numbers; what is infinite or not a number becomes null."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: clean(inner) for key, inner in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    plain: dict[str, Any] = clean(msgspec.to_builtins(found))
    return plain


def _print(found: CostResult, result: dict[str, Any], term: dict[str, Any]) -> None:
    money = f"{result['currency']} of {result['price_year']}"
    low, high = (100 * math.expm1(term[key]) for key in ("conf_low", "conf_high"))
    say(
        f"Effect:     {_signed(100 * math.expm1(term['estimate']))} % "
        f"[{_signed(low)} %, {_signed(high)} %] ({result['level']:.0%} interval)"
    )
    if result["incidents_from"] == "file":
        say(
            f"Incidents:  {_whole(found.incidents)} in {_whole(found.camera_years)} camera-years, "
            "as the file of costs says; no city released them"
        )
    else:
        say(
            f"Incidents:  {_whole(found.incidents)} in {_whole(found.camera_years)} unit-years, from the "
            "releases; a unit counts as one camera"
        )
    say(f"Prevented:  {_span(found.prevented)} crimes")
    say(
        f"Cost:       {_whole(found.total_cost)} ({money}), {_whole(found.annual_cost_per_camera)} a "
        "camera and year"
    )
    say(f"Each crime: {_per_crime(found)}")
    say(f"Benefit:    {_span(found.benefit)} at {_whole(found.mean_cost_of_crime)} a crime")
    ratio = found.benefit_cost_ratio
    say(f"Ratio:      {_number(ratio.value)} [{_number(ratio.low)}, {_number(ratio.high)}]")
    say(f"Net:        {_span(found.net_benefit)}")
    say(f"Break-even: a change of {_signed(100 * math.expm1(found.break_even))} %")
    say("Note: the interval is the effect's alone; costs and counts are taken as given")
    if result["incidents_from"] == "file":
        say("Note: the effect of the run's cities is assumed to hold for the scheme in the file")
    if result["assumptions"]:
        say(f"Note: assumptions to replace: {', '.join(result['assumptions'])}")


def _per_crime(found: CostResult) -> str:
    one = found.cost_per_crime
    if one.kind == "none":
        return "no crime is prevented, so none has a cost: the whole interval is a rise"
    value = _whole(one.value) if math.isfinite(one.value) else "not defined at the estimate"
    if one.kind == "bounded":
        return f"{value} [{_whole(one.low)}, {_whole(one.high)}] for one prevented"
    return (
        f"{value}; at least {_whole(one.low)}, and without upper limit, as the interval of the effect "
        "holds no effect"
    )


def _span(one: Range) -> str:
    return f"{_whole(one.value)} [{_whole(one.low)}, {_whole(one.high)}]"


def _whole(value: float) -> str:
    return f"{value:,.0f}".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
