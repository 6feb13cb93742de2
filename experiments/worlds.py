"""The simulated worlds of the experiments: what lies in each folder of a study."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from evalkit.simulate import PRESETS, CitySpec, Mess, Preset, Shape

__all__ = ["CAMERAS", "CENTRES", "WORLDS"]

CENTRES: Final = 16
CAMERAS: Final = 4300

_SHAPE: Final = Shape(
    side_m=(12_000.0, 16_000.0),  # a province's towns together: room for so many catchments
    incidents=(150_000.0, 250_000.0),
    hotspots=900,
    batches=(12, 20),
    install_months=(12, 84),
    approaches=0.0,  # one camera a site, so that there are as many as stated
)


def _centres() -> dict[str, Preset]:
    """Sixteen centres with 4,300 cameras together; two presets, as the cameras do not divide evenly."""
    less, more = divmod(CAMERAS, CENTRES)
    groups = {"more": (0, more, less + 1), "fewer": (more, CENTRES, less)}
    return {
        name: Preset(
            name="ecu-911",
            title="Cameras and crime in sixteen simulated centres",
            cities=tuple(_centre(at) for at in range(first, until)),
            shape=replace(_SHAPE, sites=(cameras, cameras)),
            mess=Mess(),
            start=dt.date(2010, 1, 1),
            end=dt.date(2019, 12, 31),
        )
        for name, (first, until, cameras) in groups.items()
    }


def _centre(at: int) -> CitySpec:
    """An invented centre; the portal publishes days without hours."""
    return CitySpec(
        name=f"centre-{at + 1:02d}",
        title=f"Centre {at + 1}",
        country="Ecuador",
        time_zone="America/Guayaquil",
        longitude=-79.5 + 0.1 * at,
        latitude=-3.6 + 0.25 * at,
        portal="dados-abertos",
    )


WORLDS: Final[Mapping[str, Mapping[str, Preset]]] = {
    "safe-city": {"cities": PRESETS["safe-city"]},
    "ecu-911": _centres(),
}
