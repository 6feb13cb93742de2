"""Three small simulated cities as raw files, for tests of whole commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evalkit.simulate import PRESETS, Preset, Simulation, simulate


def small_preset(cities: int = 3) -> Preset:
    """The demo's cities, a fifth of the size, without checks; cohorts stay large enough for the default policy."""
    demo = PRESETS["demo"]
    shape = replace(
        demo.shape,
        side_m=(3_000.0, 3_000.0),
        incidents=(9_000.0, 9_000.0),
        hotspots=60,
        sites=(24, 24),
        batches=(3, 3),
    )
    return replace(demo, name="demo", cities=demo.cities[:cities], shape=shape, placebo_periods=())


def small_world(folder: Path, cities: int = 3, seed: int = 3) -> Simulation:
    """Write the raw files, site files, study and truth into ``folder``."""
    return simulate(small_preset(cities), folder, seed)
