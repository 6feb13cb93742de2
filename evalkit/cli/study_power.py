"""`evalkit study power`: how many cities, cameras and months would it take?"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.errors import ConfigError

if TYPE_CHECKING:
    from evalkit.claims.planning import Needed, Plan, PowerOfPlan
    from evalkit.core.study import Study

__all__ = ["power"]

DEFAULT_CLAIM: Final = "cctv-review-2019"

DEFAULTS: Final = {
    "cities": 6,
    "cameras": 60.0,
    "controls": 200.0,
    "before": 24.0,
    "after": 24.0,
    "rate": 3.0,
    "dispersion": 1.5,
    "tau": 0.05,
}
"""Where neither an option nor a panel says more. Assumptions: about what the demo's cities look like."""

ASSUMED: Final = {
    "cities": "cities",
    "cameras": "treated units in each",
    "controls": "control units in each",
    "before": "periods before go-live",
    "after": "periods after go-live",
    "rate": "incidents per treated unit and period without cameras",
    "control_rate": "incidents per control unit and period",
    "dispersion": "variance over that of Poisson counts",
    "tau": "standard deviation of effects between cities (log scale)",
}

QUANTITIES: Final = {
    "cities": "cities",
    "cameras": "cameras in each city",
    "periods": "periods, before and after together",
}


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--site",
    "sites",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A city with a panel of the study: its own counts take the place of assumptions.",
)
@click.option("--claim", help=f"Claim to detect: shipped, or a path.  [default: {DEFAULT_CLAIM}]")
@click.option("--effect", type=float, help="Change to detect in percent, such as -13.")
@click.option("--cities", type=click.IntRange(min=1), help="Number of cities.")
@click.option("--cameras", type=float, help="Treated units in each city.")
@click.option("--controls", type=float, help="Control units in each city.")
@click.option("--before", type=float, help="Periods before go-live.")
@click.option("--after", type=float, help="Periods after go-live.")
@click.option("--rate", type=float, help="Incidents per treated unit and period without cameras.")
@click.option("--control-rate", type=float, help="The same of control units.  [default: --rate]")
@click.option("--dispersion", type=float, help="Variance over that of Poisson counts.")
@click.option("--tau", type=float, help="Standard deviation of effects between cities, log scale.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("power"), show_default=True)
@click.option("--no-pictures", is_flag=True, help="Draw nothing and write no page.")
@as_json_option
def power(
    path: Path | None,
    sites: tuple[Path, ...],
    claim: str | None,
    effect: float | None,
    out: Path,
    no_pictures: bool,
    as_json: bool,
    **assumed: float | None,
) -> None:
    """How many cities, cameras and months would it take? From assumptions, or from panels of PATH, a study."""
    from evalkit.claims.planning import power_of_plan
    from evalkit.cli.planning import curves
    from evalkit.config import load_study

    study = load_study(path) if path else None
    target, claimed = _target(study, path, claim, effect)
    given = {name: value for name, value in assumed.items() if value is not None}
    plan, source = _plan(study, sites, given, target)
    found = power_of_plan(plan, target)
    result = _result(found, source, claimed, study, curves(found))
    if not no_pictures:
        from evalkit.report.power_page import write_power

        written = write_power(result, out)
        result["files"] = {"report": str(written[0]), "picture": str(written[-1])}
    if as_json:
        print_json(result)
    else:
        _print(found, result)


def _target(
    study: Study | None, path: Path | None, claim: str | None, effect: float | None
) -> tuple[float, dict[str, Any] | None]:
    """The log rate ratio to detect, and the claim it comes from."""
    from evalkit.claims.claim import load_claim
    from evalkit.config import find_config

    if effect is not None:
        if claim is not None:
            raise ConfigError("both --claim and --effect are given", way_out="give one of the two")
        if not -100 < effect < math.inf or effect == 0:
            raise ConfigError(
                "--effect is no change that could be detected",
                limit="a change from −99 to +9,900 %, other than 0 %",
                way_out="give -13 for a fall by 13 %",
            )
        return math.log1p(effect / 100), None
    name = claim or (study.claim if study else None) or DEFAULT_CLAIM
    beside = path.resolve().parent if path else Path.cwd()
    loaded = load_claim(find_config("claims", name, beside))
    return math.log(loaded.value), {"name": loaded.name, "title": loaded.title}


def _plan(
    study: Study | None, sites: tuple[Path, ...], given: dict[str, Any], effect: float
) -> tuple[Plan, dict[str, str]]:
    """The plan, and for each assumption where it comes from: an option, the panels, or a default."""
    from evalkit.claims.planning import Plan

    if not sites:
        level = {"level": study.analysis.level} if study else {}
        values = {**DEFAULTS, **given}
        values.setdefault("control_rate", values["rate"])
        source = {name: "given" if name in given else "assumed" for name in values}
        if "control_rate" not in given:
            source["control_rate"] = source["rate"]
        return Plan(**{**values, **level}), source
    if study is None:
        raise ConfigError(
            "cities are named and no study, so no panel can be found",
            way_out="evalkit study power STUDY.toml --site SITE.toml",
        )
    from evalkit.cli.planning import city_figures, plan_of_cities
    from evalkit.workbench import open_bench

    tau = float(given.get("tau", DEFAULTS["tau"]))
    cities = [city_figures(open_bench(site), study) for site in sites]
    plan = plan_of_cities(cities, tau=tau, effect=effect)
    source = {name: "given" if name in given else "panels" for name in ASSUMED}
    if "tau" not in given:
        source["tau"] = "assumed"
    values = {name: getattr(plan, name) for name in ASSUMED}
    return Plan(**{**values, **given, "level": plan.level}), source


def _result(
    found: PowerOfPlan,
    source: dict[str, str],
    claim: dict[str, Any] | None,
    study: Study | None,
    lines: dict[str, Any],
) -> dict[str, Any]:
    from evalkit import __version__

    plain: dict[str, Any] = msgspec.to_builtins(found)
    return {
        "evalkit": __version__,
        "study": study.name if study else None,
        "period": study.window.period if study else "month",
        "claim": claim,
        "effect_percent": 100 * math.expm1(found.effect),
        "detectable_percent": (
            None if found.detectable is None else 100 * math.expm1(found.detectable)
        ),
        "sources": source,
        **plain,
        "curves": lines,
        "files": {},
    }


def _print(found: PowerOfPlan, result: dict[str, Any]) -> None:
    plan = found.plan
    width = max(map(len, ASSUMED.values()))
    say(f"To detect:  a change of {_percent(result['effect_percent'])}")
    say(f"Assuming (a period is a {result['period']})")
    for name, label in ASSUMED.items():
        value = getattr(plan, name)
        say(f"  {label:<{width}}  {value:>10.4g}  {result['sources'][name]}")
    say(f"Power:      {100 * found.power:.0f} %")
    say(
        f"Errors:     {found.std_error:.3f} in one city, {found.mean_std_error:.3f} of the mean (log scale)"
    )
    smallest = result["detectable_percent"]
    if smallest is None:
        say("Detectable: nothing; not even a change by 99 % with a power of 80 %")
    else:
        say(f"Detectable: {_percent(smallest)} with a power of 80 %")
    say("Needed for 80 %, each alone and the rest as it is")
    for one in found.needed:
        say(f"  {QUANTITIES[one.quantity]:<{width}}  {_needed(one)}")
    if plan.cities == 1:
        say("Note: one city speaks for itself only; numbers of cities start from two, and count τ")
    if "panels" in result["sources"].values():
        say("Note: these figures come from the cities' own counts and have passed no gate")
    for label, file in result["files"].items():
        say(f"{label.capitalize() + ':':<12}{file}")


def _needed(one: Needed) -> str:
    if one.number is not None:
        return f"{one.number:>10,}  (now {one.now:.4g})"
    best = f"the power never exceeds {100 * one.best_power:.0f} %"
    reasons = {
        "between_cities": f"cannot be reached: cities differ too much, and {best}",
        "controls": f"cannot be reached: there are too few controls, and {best}",
        "too_many": "more than 100,000",
    }
    return reasons[one.obstacle]


def _percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "−")
