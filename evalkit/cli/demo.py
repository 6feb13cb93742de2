"""Everybody's first minute: simulated cities, from raw files to a tested claim."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.output import as_json_option, print_json, say
from evalkit.config import load_study
from evalkit.errors import ConfigError

if TYPE_CHECKING:
    from evalkit.simulate import Truth

__all__ = ["command"]

MARKER = "truth.json"


@click.command(name="demo")
@click.option("--preset", default="demo", show_default=True, help="demo, null or safe-city.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=2019,
    show_default=True,
    help="Same seed, same cities, to the byte.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("demo-data"), show_default=True
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--no-tracking", is_flag=True, help="Do not record the run in MLflow.")
@click.option("--no-pictures", is_flag=True, help="Draw nothing.")
@as_json_option
def command(
    preset: str,
    seed: int,
    data: Path,
    out: Path,
    no_tracking: bool,
    no_pictures: bool,
    as_json: bool,
) -> None:
    """Simulate cities, let each read its own messy files, run a federated study, test the claim."""
    from evalkit.cli.run_options import claim_of
    from evalkit.cli.running import Plan, build_panels, print_result, run_study
    from evalkit.cli.simulate import chosen_preset
    from evalkit.simulate import load_truth, simulate
    from evalkit.workbench import open_bench

    chosen = chosen_preset(preset)
    _clear(data)
    if not as_json:
        say(f"Writing the raw files of simulated cities to {data} (preset {preset}, seed {seed}) …")
    made = simulate(chosen, data, seed)
    study = load_study(made.study)
    plan = Plan(
        study=study,
        claim=claim_of(study, made.study),
        benches=[open_bench(site) for site in made.sites],
        root=out,
        tracking=not no_tracking,
        pictures=not no_pictures,
        quiet=as_json,
        truth=_beside(load_truth(data / MARKER)),
    )
    build_panels(plan)
    result = run_study(plan)
    if as_json:
        print_json(result)
        return
    say()
    print_result(result)
    say()
    say("Next:     open the report in a browser; recompute it without any city's data with")
    say(f"          evalkit review verify {result['files']['run']}")


def _clear(folder: Path) -> None:
    """Remove an earlier simulation's cities, and nothing that somebody else put beside them."""
    import msgspec

    from evalkit.simulate import load_truth

    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        cities = {city.name for city in load_truth(folder / MARKER).cities}
    except (FileNotFoundError, msgspec.DecodeError):
        raise ConfigError(
            "the folder is not empty and not an earlier simulation",
            where=str(folder),
            way_out="choose another with --data",
        ) from None
    # Only what is found right here can be removed: no edited truth.json can point elsewhere.
    for home in list(folder.iterdir()):
        if home.name in cities and (home / "site.toml").is_file() and not home.is_symlink():
            shutil.rmtree(home)


def _beside(truth: Truth) -> dict[str, object]:
    """The parts of the truth that belong beside a result."""
    return {
        "effect_mean": truth.effect_mean,
        "effect_realised": truth.effect_realised,
        "cities": {city.name: city.theta for city in truth.cities},
    }
