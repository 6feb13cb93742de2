"""What live cameras do: thin, or add to, the incidents within reach from the first live day.

Given the incidents without cameras, each one in the catchment of a live site is kept with
probability exp(θ) when θ ≤ 0; when θ > 0 it gains a Poisson number of copies with mean exp(θ) − 1.
Either way the expected count is exactly exp(θ) times the count without. A share of the prevented
incidents happens in the ring instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.simulate.cameras import Cameras
from evalkit.simulate.incidents import Events, join, take
from evalkit.simulate.presets import Effect

__all__ = ["Applied", "apply_effect", "catchment_of", "dose"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_MONTH_DAYS: Final = 365.25 / 12
_BLOCK: Final = 16_384
"""Incidents per block of the distance table: it stays in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """The incidents that happened, and how many were prevented, added and displaced.

    Displaced incidents are among the prevented ones and among ``events``.
    """

    events: Events
    prevented: int
    added: int
    displaced: int


def apply_effect(
    without: Events, cameras: Cameras, effect: Effect, theta: float, rng: np.random.Generator
) -> Applied:
    """Apply the log rate ratio ``theta`` to the incidents without cameras."""
    row = catchment_of(without, cameras, effect.radius_m)
    strength = theta * dose(without, cameras, row, effect.ramp_months)
    prevented = rng.random(len(without)) < -np.expm1(np.minimum(strength, 0))
    copies = rng.poisson(np.expm1(np.maximum(strength, 0)))
    moved = prevented & (rng.random(len(without)) < effect.displaced)
    displaced = _displace(take(without, moved), row[moved], cameras, effect, rng)
    source = np.repeat(np.arange(len(without)), copies)
    added = _turn(take(without, source), row[source], cameras, rng)
    return Applied(
        events=join(join(take(without, ~prevented), displaced), added),
        prevented=int(prevented.sum()),
        added=len(added),
        displaced=len(displaced),
    )


def catchment_of(events: Events, cameras: Cameras, radius_m: float) -> Ints:
    """(N,) the nearest camera row within ``radius_m`` of each event, −1 where there is none."""
    nearest = np.full(len(events), -1, dtype=np.int64)
    for begin in range(0, len(events), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        squared = (events.x[block, None] - cameras.row_x) ** 2
        squared += (events.y[block, None] - cameras.row_y) ** 2
        row = squared.argmin(axis=1)
        near = np.take_along_axis(squared, row[:, None], axis=1)[:, 0] < radius_m**2
        nearest[block] = np.where(near, row, -1)
    return nearest


def dose(events: Events, cameras: Cameras, row: Ints, ramp_months: float) -> Floats:
    """(N,) share of the full θ that applies to each event, from 0 (no live camera) to 1."""
    since = events.day - cameras.live_day[cameras.row_site[row]]
    live = (row >= 0) & (since >= 0)
    if ramp_months <= 0:
        return live.astype(np.float64)
    full = ramp_months * _MONTH_DAYS
    grown: Floats = np.where(live, np.clip(since, 0, full) / full, 0.0)
    return grown


def _displace(
    events: Events, row: Ints, cameras: Cameras, effect: Effect, rng: np.random.Generator
) -> Events:
    """Move each event evenly over the ring of its camera, outside every camera's catchment."""
    moved = events
    todo = np.arange(len(events))
    while len(todo):
        distance = np.sqrt(rng.uniform(effect.radius_m**2, effect.ring_m**2, size=len(todo)))
        angle = rng.uniform(0, 2 * np.pi, size=len(todo))
        x, y = moved.x.copy(), moved.y.copy()
        x[todo] = cameras.row_x[row[todo]] + distance * np.cos(angle)
        y[todo] = cameras.row_y[row[todo]] + distance * np.sin(angle)
        moved = replace(moved, x=x, y=y)
        inside = catchment_of(take(moved, todo), cameras, effect.radius_m) >= 0
        todo = todo[inside]
    return moved


def _turn(events: Events, row: Ints, cameras: Cameras, rng: np.random.Generator) -> Events:
    """Turn each event about its nearest camera: as near as before, but not at the same spot."""
    distance = np.hypot(events.x - cameras.row_x[row], events.y - cameras.row_y[row])
    angle = rng.uniform(0, 2 * np.pi, size=len(events))
    return replace(
        events,
        x=cameras.row_x[row] + distance * np.cos(angle),
        y=cameras.row_y[row] + distance * np.sin(angle),
    )
