"""One city in memory: the world without cameras, the cameras, and what happened."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from evalkit.simulate.cameras import Cameras, draw_cameras
from evalkit.simulate.effect import apply_effect
from evalkit.simulate.incidents import Events, draw_incidents
from evalkit.simulate.presets import CitySpec, Preset, check_preset
from evalkit.simulate.world import Calendar, Places, draw_calendar, draw_places

__all__ = ["CityDraw", "draw_city", "portal_stream"]


@dataclass(frozen=True, slots=True, eq=False)
class CityDraw:
    """One city's clean world.

    Attributes:
        spec: the city.
        theta: its log rate ratio.
        places, calendar: where and when crime happens.
        cameras: its sites and cameras.
        without: incidents had there been no camera.
        incidents: incidents that happened.
        prevented, added, displaced: how the two differ; displaced ones are among the prevented.
    """

    spec: CitySpec
    theta: float
    places: Places
    calendar: Calendar
    cameras: Cameras
    without: Events
    incidents: Events
    prevented: int
    added: int
    displaced: int


def draw_city(spec: CitySpec, preset: Preset, seed: int) -> CityDraw:
    """Draw one city.

    Random numbers depend on the seed and the city's name only: adding a city does not change
    another, and the same seed gives the same world without cameras whatever the effect.

    Raises:
        ConfigError: the preset cannot be simulated.
    """
    check_preset(preset)
    world, sites, events, effect, _ = _streams(spec.name, seed)
    shape = preset.shape
    places = draw_places(shape, world)
    calendar = draw_calendar(
        preset.start, preset.end, latitude=spec.latitude, shock=shape.shock, rng=world
    )
    expected = world.uniform(*shape.incidents)
    cameras = draw_cameras(places, preset, any_day=spec.any_day, rng=sites)
    without = draw_incidents(places, calendar, expected=expected, noise=shape.noise, rng=events)
    theta = float(preset.effect.mean + preset.effect.tau * effect.standard_normal())
    applied = apply_effect(without, cameras, preset.effect, theta, effect)
    return CityDraw(
        spec=spec,
        theta=theta,
        places=places,
        calendar=calendar,
        cameras=cameras,
        without=without,
        incidents=applied.events,
        prevented=applied.prevented,
        added=applied.added,
        displaced=applied.displaced,
    )


def portal_stream(name: str, seed: int) -> np.random.Generator:
    """The random numbers of a city's portal: what is spoiled and which of its own words it uses."""
    return _streams(name, seed)[-1]


def _streams(name: str, seed: int) -> tuple[np.random.Generator, ...]:
    """World, cameras, incidents, effect, portal: apart, so that changing one leaves the others."""
    root = np.random.SeedSequence(seed, spawn_key=(zlib.crc32(name.encode()),))
    return tuple(np.random.default_rng(child) for child in root.spawn(5))
