"""Where cameras stand and when they go live.

Sites prefer hot places, but by their time-invariant intensity: selection is on the level, never on
a passing peak, so that there is no regression to the mean to mistake for an effect.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ConfigError
from evalkit.simulate.presets import Effect, Preset, Shape
from evalkit.simulate.world import BORDER_M, Places, density

__all__ = ["Cameras", "Group", "draw_cameras"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PREFERENCE: Final = 1.3
"""How steeply the odds of a camera rise with intensity (its exponent)."""
_MARGIN_M: Final = 30.0
"""Keeps one site's ring out of the next one's catchment, approaches included."""
_APPROACH_M: Final = (4.0, 12.0)
_LEAST_PER_BATCH: Final = 5


class Group(enum.StrEnum):
    """When a site goes live, seen from the window."""

    ADOPTER = "adopter"
    ALWAYS = "always"
    LATER = "later"
    UNDATED = "undated"
    """Goes live like an adopter, but the portal publishes no date."""


@dataclass(frozen=True, slots=True)
class Cameras:
    """S sites with R camera rows; metres from the centre, days counted from the window's first.

    Attributes:
        site_x, site_y: (S,) the junction.
        live_day: (S,) true first live day; negative before the window.
        group: S groups.
        row_site: (R,) site of each row.
        row_x, row_y: (R,) position of each camera; a site's first camera stands at the junction.
    """

    site_x: Floats
    site_y: Floats
    live_day: Ints
    group: tuple[Group, ...]
    row_site: Ints
    row_x: Floats
    row_y: Floats


def draw_cameras(
    places: Places, preset: Preset, *, any_day: bool, rng: np.random.Generator
) -> Cameras:
    """Draw sites, their groups and go-live days, and their cameras.

    Raises:
        ConfigError: the town has no room for so many sites.
    """
    shape = preset.shape
    wanted = int(rng.integers(shape.sites[0], shape.sites[1], endpoint=True))
    x, y = _choose_sites(places, wanted, preset.effect, rng)
    group = _choose_groups(wanted, shape, rng)
    live_day = _go_live(density(places, x, y), group, preset, any_day=any_day, rng=rng)
    extra = np.where(rng.random(wanted) < shape.approaches, rng.integers(1, 4, size=wanted), 0)
    row_site = np.repeat(np.arange(wanted), 1 + extra)
    first = np.concatenate([[True], np.diff(row_site) > 0])
    distance = np.where(first, 0.0, rng.uniform(*_APPROACH_M, size=len(row_site)))
    angle = rng.uniform(0, 2 * np.pi, size=len(row_site))
    return Cameras(
        site_x=x,
        site_y=y,
        live_day=live_day,
        group=group,
        row_site=row_site,
        row_x=x[row_site] + distance * np.cos(angle),
        row_y=y[row_site] + distance * np.sin(angle),
    )


def _choose_sites(
    places: Places, wanted: int, effect: Effect, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Sample by weight without replacement (Gumbel top-k), keeping sites apart."""
    inner = np.array([places.half_x - BORDER_M, places.half_y - BORDER_M])
    spots = np.stack([places.hot_x, places.hot_y], axis=1)
    near = spots + rng.normal(0.0, 15.0, size=spots.shape)
    anywhere = rng.uniform(-1, 1, size=(8 * wanted, 2)) * inner
    candidates = np.clip(np.concatenate([near, anywhere]), -inner, inner)
    score = _PREFERENCE * np.log(density(places, candidates[:, 0], candidates[:, 1]))
    score += rng.gumbel(size=len(score))
    spacing = effect.radius_m + effect.ring_m + _MARGIN_M
    chosen = np.empty((0, 2))
    for candidate in candidates[np.argsort(-score, kind="stable")]:
        if len(chosen) == wanted:
            break
        if not len(chosen) or np.linalg.norm(chosen - candidate, axis=1).min() >= spacing:
            chosen = np.concatenate([chosen, candidate[None]])
    if len(chosen) < wanted:
        raise ConfigError(
            f"the town has room for {len(chosen)} of {wanted} camera sites",
            where="simulation shape",
            limit=f"sites at least {spacing:g} m apart",
            way_out="ask for fewer sites, a larger side_m or a smaller radius",
        )
    return chosen[:, 0], chosen[:, 1]


def _choose_groups(sites: int, shape: Shape, rng: np.random.Generator) -> tuple[Group, ...]:
    labels = [
        *[Group.ALWAYS] * round(shape.always * sites),
        *[Group.UNDATED] * round(shape.undated * sites),
        *[Group.LATER] * round(shape.later * sites),
    ]
    labels += [Group.ADOPTER] * (sites - len(labels))
    return tuple(labels[index] for index in rng.permutation(sites))


def _go_live(
    intensity: Floats,
    group: tuple[Group, ...],
    preset: Preset,
    *,
    any_day: bool,
    rng: np.random.Generator,
) -> Ints:
    """(S,) first live day: batches in distinct months, hotter places sooner on the whole."""
    first, last = preset.shape.install_months
    window = (preset.end - preset.start).days + 1
    sites = len(group)
    is_adopter = np.array([label is Group.ADOPTER for label in group])
    low, high = preset.shape.batches
    batches = int(rng.integers(low, high, endpoint=True))
    batches = max(1, min(batches, int(is_adopter.sum()) // _LEAST_PER_BATCH, last - first + 1))
    months = np.sort(rng.choice(np.arange(first, last + 1), size=batches, replace=False))
    urgency = np.argsort(np.argsort(-intensity)) / sites + rng.normal(0.0, 0.5, size=sites)
    month = rng.choice(months, size=sites)
    month[np.flatnonzero(is_adopter)[np.argsort(urgency[is_adopter], kind="stable")]] = np.repeat(
        months, _batch_sizes(int(is_adopter.sum()), batches, rng)
    )
    begin, length = _month_bounds(preset.start, month)
    day = begin + (np.floor(rng.random(sites) * length).astype(np.int64) if any_day else 0)
    before = -rng.integers(100, 1500, size=sites)
    after = window + rng.integers(20, 400, size=sites)
    day = np.where([label is Group.ALWAYS for label in group], before, day)
    later: Ints = np.where([label is Group.LATER for label in group], after, day)
    return later


def _batch_sizes(sites: int, batches: int, rng: np.random.Generator) -> Ints:
    least = min(_LEAST_PER_BATCH, sites // batches)
    rest = rng.multinomial(sites - least * batches, np.full(batches, 1 / batches))
    sizes: Ints = least + rest
    return sizes


def _month_bounds(start: dt.date, month: Ints) -> tuple[Ints, Ints]:
    """First day (counted from ``start``) and length of each month index."""
    origin = np.datetime64(start, "M")
    first = (origin + month).astype("datetime64[D]")
    following = (origin + month + 1).astype("datetime64[D]")
    begin = (first - np.datetime64(start, "D")).astype(np.int64)
    return begin, (following - first).astype(np.int64)
