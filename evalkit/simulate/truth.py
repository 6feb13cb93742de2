"""What is true of a simulation, for tests and for whoever checks an estimate: ``truth.json``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec

__all__ = ["CityTruth", "Defects", "SiteTruth", "Truth", "load_truth", "write_truth"]


class Defects(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Planted rows of one city's incident file; no row counts twice.

    ``duplicates`` and ``unmapped`` are additional rows; the others are spoiled clean incidents.
    """

    duplicates: int
    unmapped: int
    missing: int
    zero: int
    swapped: int
    out_of_town: int
    bad_dates: int

    @property
    def spoiled(self) -> int:
        """Clean incidents that no reader can use."""
        return self.missing + self.zero + self.swapped + self.out_of_town + self.bad_dates


class SiteTruth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One camera site: where it stands, and its true first live day.

    ``group`` is ``adopter``, ``always``, ``later`` or ``undated``; ``cameras`` counts its rows.
    """

    id: str
    longitude: float
    latitude: float
    first_live: dt.date
    group: str
    cameras: int


class CityTruth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One city.

    Attributes:
        name: site name.
        theta: log rate ratio in its catchments while live.
        without: incidents had there been no camera.
        incidents: incidents that happened: without − prevented + displaced + added.
        prevented, displaced, added: what the cameras did; displaced ones are among the prevented.
        rows: rows of the incident file.
        usable: rows a faultless reader keeps.
        by_type: usable rows by common crime type.
        defects: planted rows by kind.
        camera_rows: rows of the camera file.
        sites: camera sites.
    """

    name: str
    theta: float
    without: int
    incidents: int
    prevented: int
    displaced: int
    added: int
    rows: int
    usable: int
    by_type: dict[str, int]
    defects: Defects
    camera_rows: int
    sites: tuple[SiteTruth, ...]


class Truth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole simulation.

    Attributes:
        preset, seed: what was simulated; window its first and last day.
        effect_mean: mean of θ over all cities there might be: what random-effects models estimate.
        effect_realised: mean of θ over these cities: what a fixed set of cities has.
        tau: standard deviation of θ between cities.
        radius_m, ring_m, displaced, ramp_months: see `evalkit.simulate.presets.Effect`.
        cities: per city.
    """

    preset: str
    seed: int
    window: tuple[dt.date, dt.date]
    effect_mean: float
    effect_realised: float
    tau: float
    radius_m: float
    ring_m: float
    displaced: float
    ramp_months: float
    cities: tuple[CityTruth, ...]


def write_truth(truth: Truth, path: Path) -> None:
    """Write ``truth.json``."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(truth), indent=1) + b"\n")


def load_truth(path: Path) -> Truth:
    """Read ``truth.json``."""
    return msgspec.json.decode(path.read_bytes(), type=Truth)
