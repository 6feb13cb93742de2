"""Write simulated cities with a known truth."""

from __future__ import annotations

from pathlib import Path

import click

from evalkit.cli.output import as_json_option, cities, print_json, say
from evalkit.errors import ConfigError
from evalkit.simulate import PRESETS, Preset, simulate

__all__ = ["chosen_preset", "command"]


@click.command(name="simulate")
@click.argument("preset")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=2019,
    show_default=True,
    help="Same seed, same cities, to the byte.",
)
@as_json_option
def command(preset: str, folder: Path, seed: int, as_json: bool) -> None:
    """Write the raw files, site files, study and truth of a PRESET into FOLDER."""
    chosen = chosen_preset(preset)
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(
            "the folder is not empty", where=str(folder), way_out="name a new or empty folder"
        )
    made = simulate(chosen, folder, seed)
    if as_json:
        print_json({"study": str(made.study), "sites": [str(site) for site in made.sites]})
        return
    say(f"Wrote {cities(len(made.sites))}, {made.study.name} and truth.json to {folder}.")
    sites = " ".join(f"--site {site}" for site in made.sites[:2])
    more = " …" if len(made.sites) > 2 else ""
    say(f"Next: evalkit study run {made.study} {sites}{more}")


def chosen_preset(name: str) -> Preset:
    """A preset by name.

    Raises:
        ConfigError: no such preset, with the names that exist.
    """
    if name not in PRESETS:
        raise ConfigError(
            f'no preset named "{name}"',
            limit=f"one of {', '.join(PRESETS)}",
            way_out="choose one of these",
        )
    return PRESETS[name]
