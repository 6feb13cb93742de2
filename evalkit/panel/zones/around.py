"""Places with cameras in them, and the places around: what grid cells, hexagons and polygons share.

A place with a camera takes the go-live of its first one. A place without, but with a camera nearby,
is a ring and takes the go-live of the first camera nearby.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.panel.sites import Cameras, go_live
from evalkit.panel.zones.zoning import Zoning, no_dates

__all__ = ["Near", "zoning_around"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Near:
    """K pairs of a place and a camera nearby but outside it."""

    place: Integers
    camera: Integers


def zoning_around(
    unit: Integers,
    ids: tuple[str, ...],
    xy: Floats,
    cameras: Cameras,
    place_of_camera: Integers,
    near: Near,
    facts: Mapping[str, int],
) -> Zoning:
    """Roles and go-lives of U places.

    Args:
        unit: (N,) place of each incident, or `OUTSIDE`.
        ids: U texts.
        xy: (U, 2) metres, a point of each place for the map.
        cameras: M cameras with coordinates.
        place_of_camera: (M,) place of each camera, or `OUTSIDE`.
        near: cameras around the places.
        facts: counts worth reporting, beside those found here.
    """
    count = len(ids)
    held = np.flatnonzero(place_of_camera >= 0)
    inside = go_live(cameras, held, place_of_camera[held], count)
    around = go_live(cameras, near.camera, near.place, count)
    ring = (inside.cameras == 0) & (around.cameras > 0)
    neighbour = no_dates(count)
    dated = ~np.isnat(cameras.live[near.camera])
    first = go_live(cameras, near.camera[dated], near.place[dated], count).first
    neighbour[~ring] = first[~ring]
    return Zoning(
        unit=unit,
        ids=ids,
        ring=ring.astype(np.int64),
        first=np.where(ring, around.first, inside.first),
        undated=np.where(ring, around.undated, inside.undated),
        cameras=inside.cameras,
        gone=np.where(ring, around.gone, inside.gone),
        held=(cameras.rows[held], place_of_camera[held]),
        neighbour=neighbour,
        xy=xy,
        facts={"units with dated and undated cameras": inside.mixed, **facts},
    )
