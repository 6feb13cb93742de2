"""Camera catchments: everywhere within ``radius_m`` of a camera, the nearest camera wins.

Cameras at most ``radius_m`` apart form one site, and a site is one unit: their catchments overlap,
so one cannot be before and the other after. An incident within ``radius_m`` of its nearest camera
belongs to that camera's site, one from there to ``ring_m`` to the site's ring. Several ``ring_m``
make several rings, each a unit of its own; a radius belongs to what lies inside it. With ``ring_m``
equal to ``radius_m`` there are no rings.

With ``controls = "lattice"`` the controls are discs of the same radius on a square lattice through
the city's centre. A disc is used if its centre lies in the city's bounds, no camera of any kind
(dated or not, live in the window or not) is within ``radius_m`` and the outermost ``ring_m`` of it,
so that it touches no ring, and an incident of the window lies in it. With ``"later_cameras"`` only sites that go live
after the window, or after ``adoption_end``, are controls; such sites are controls in a lattice
study as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evalkit.core.study import Units
from evalkit.panel.nearest import NOBODY, nearest, pairs_within
from evalkit.panel.projection import is_located, unproject
from evalkit.panel.raster import assign, build_raster, cell_for, codes
from evalkit.panel.sites import Cameras, go_live, merge_sites
from evalkit.panel.zones.keys import Extent, Keys, square_keys
from evalkit.panel.zones.squares import distinct
from evalkit.panel.zones.zoning import OUTSIDE, Incidents, Zoning, no_dates

__all__ = ["LATTICE_GAP_M", "catchment_keys", "catchment_zones"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LATTICE_GAP_M: Final = 1.0
"""Space between two lattice discs, so that no incident on a rim lies in both."""


@dataclass(frozen=True, slots=True, eq=False)
class _Lattice:
    """D discs, and the disc of each of N points (`OUTSIDE` for none)."""

    disc: Integers
    keys: Integers
    centres: Floats


def catchment_zones(incidents: Incidents, cameras: Cameras, units: Units) -> Zoning:
    """Assign incidents to catchments, rings and lattice discs, in this order of units."""
    cameras = cameras.take(cameras.located)
    site = merge_sites(cameras.xy, units.radius_m)
    sites = int(site.max(initial=-1)) + 1
    around = len(units.rings_m)
    rings = sites * around
    unit = _camera_units(incidents.xy, cameras, site, sites, units)
    lattice = _lattice(incidents, unit, cameras, units)
    in_disc = lattice.disc != OUTSIDE
    unit[in_disc] = sites + rings + lattice.disc[in_disc]

    discs = len(lattice.centres)
    live = go_live(cameras, np.arange(len(site)), site, sites)
    centre = _means(cameras.xy, site, sites)
    return Zoning(
        unit=unit,
        ids=(
            *(f"site:{number:05d}" for number in range(sites)),
            *(
                f"ring{ring if ring > 1 else ''}:{number:05d}"
                for ring in range(1, around + 1)
                for number in range(sites)
            ),
            *(f"disc:{x}:{y}" for x, y in lattice.keys.tolist()),
        ),
        ring=np.repeat([*range(around + 1), 0], [*[sites] * (around + 1), discs]),
        first=np.concatenate([np.tile(live.first, 1 + around), no_dates(discs)]),
        undated=np.concatenate([np.tile(live.undated, 1 + around), np.zeros(discs, np.bool_)]),
        cameras=np.concatenate([live.cameras, np.zeros(rings + discs, np.int64)]),
        gone=np.concatenate([np.tile(live.gone, 1 + around), no_dates(discs)]),
        held=(cameras.rows, site),
        neighbour=np.concatenate(
            [_neighbours(cameras, site, sites, units), no_dates(rings + discs)]
        ),
        xy=np.concatenate([np.tile(centre, (1 + around, 1)), lattice.centres]),
        facts={
            "sites": sites,
            "units with dated and undated cameras": live.mixed,
            "cameras in the largest site": int(live.cameras.max(initial=0)),
            "sites across the city's bounds": _across(incidents, cameras, site, units.radius_m),
        },
    )


def catchment_keys(cameras: Cameras, units: Units, extent: Extent, points: int) -> Keys:
    """Keys of about ``points`` points: site and zone, lattice disc, or neither."""
    cameras = cameras.take(cameras.located)
    site = merge_sites(cameras.xy, units.radius_m)
    raster = build_raster(cameras.xy, _radii(units), owner=site, size=cell_for(points))
    zones = len(raster.radii) * (int(site.max(initial=-1)) + 1)
    spacing = 2 * units.radius_m + LATTICE_GAP_M
    first, (columns, rows) = square_keys(extent, spacing)
    discs = columns * rows if units.controls == "lattice" else 0

    def keys_of(x: Floats, y: Floats) -> Integers:
        key = codes(raster, x, y).astype(np.int64)
        free = np.flatnonzero(key == NOBODY)
        key[free] = zones + discs
        if discs:
            xy = np.column_stack([x[free], y[free]])
            square, inside = _squares(xy, spacing, units.radius_m)
            column, row = (square - first).T
            key[free[inside]] = zones + (column * rows + row)[inside]
        return key

    return Keys(zones + discs + 1, keys_of)


def _camera_units(
    xy: Floats, cameras: Cameras, site: Integers, sites: int, units: Units
) -> Integers:
    """(N,) catchment, ring or `OUTSIDE`, lattice discs left out."""
    raster = build_raster(cameras.xy, _radii(units), owner=site, size=cell_for(len(xy)))
    owner, zone = assign(raster, xy[:, 0], xy[:, 1])
    return np.where(owner == NOBODY, OUTSIDE, owner + zone * sites)


def _radii(units: Units) -> tuple[float, ...]:
    """Of the catchment, and of its rings if it has any."""
    return (units.radius_m, *units.rings_m)


def _lattice(incidents: Incidents, unit: Integers, cameras: Cameras, units: Units) -> _Lattice:
    disc = np.full(len(unit), OUTSIDE, dtype=np.int64)
    if units.controls != "lattice":
        return _Lattice(disc, np.empty((0, 2), np.int64), np.empty((0, 2)))
    spacing = 2 * units.radius_m + LATTICE_GAP_M
    free = np.flatnonzero((unit == OUTSIDE) & is_located(incidents.xy))
    key, inside = _squares(incidents.xy[free], spacing, units.radius_m)
    free, key = free[inside], key[inside]
    keys, number = distinct(key)
    centres = keys.astype(np.float64) * spacing
    allowed = _in_bounds(centres, incidents)
    near, _ = nearest(centres, cameras.xy, units.radius_m + units.reach_m)
    allowed &= near == NOBODY
    renumbered = np.where(allowed, np.cumsum(allowed) - 1, OUTSIDE)
    disc[free] = renumbered[number]
    return _Lattice(disc, keys[allowed], centres[allowed])


def _squares(xy: Floats, spacing: float, radius: float) -> tuple[Integers, NDArray[np.bool_]]:
    """(N, 2) column and row of the nearest lattice centre; (N,) whether its disc holds the point."""
    square = np.rint(xy / spacing).astype(np.int64)
    inside: NDArray[np.bool_] = ((xy - square * spacing) ** 2).sum(axis=1) <= radius**2
    return square, inside


def _in_bounds(xy: Floats, incidents: Incidents) -> NDArray[np.bool_]:
    west, south, east, north = incidents.bounds
    longitude, latitude = unproject(incidents.projection, xy[:, 0], xy[:, 1])
    inside: NDArray[np.bool_] = (
        (longitude >= west) & (longitude <= east) & (latitude >= south) & (latitude <= north)
    )
    return inside


def _neighbours(
    cameras: Cameras, site: Integers, sites: int, units: Units
) -> NDArray[np.datetime64]:
    """(S,) first go-live date of another site whose ring reaches this site's catchment."""
    first = no_dates(sites)
    for one, other, _ in pairs_within(cameras.xy, cameras.xy, units.radius_m + units.reach_m):
        apart = (site[one] != site[other]) & ~np.isnat(cameras.live[other])
        found = go_live(cameras, other[apart], site[one[apart]], sites).first
        first = np.fmin(first, found)
    return first


def _across(incidents: Incidents, cameras: Cameras, site: Integers, radius: float) -> int:
    """Sites with a camera nearer than ``radius`` to the city's bounds: no data beyond them."""
    moves = np.array([(radius, 0.0), (-radius, 0.0), (0.0, radius), (0.0, -radius)])
    inside = np.all([_in_bounds(cameras.xy + move, incidents) for move in moves], axis=0)
    return len(np.unique(site[~inside]))


def _means(xy: Floats, group: Integers, groups: int) -> Floats:
    counts = np.bincount(group, minlength=groups)
    sums = [np.bincount(group, weights=xy[:, axis], minlength=groups) for axis in (0, 1)]
    means: Floats = np.column_stack(sums) / counts[:, None]
    return means
