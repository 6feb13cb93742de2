"""Write a whole simulation: one folder a city, the study, and the truth."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evalkit.errors import ConfigError
from evalkit.simulate.draw import CityDraw, draw_city, portal_stream
from evalkit.simulate.files import write_table
from evalkit.simulate.geo import to_degrees
from evalkit.simulate.incidents import CRIMES
from evalkit.simulate.messy import Rows, spoil
from evalkit.simulate.portals import PORTALS
from evalkit.simulate.presets import CitySpec, Preset, check_preset
from evalkit.simulate.settings import readme_text, site_text, study_text
from evalkit.simulate.table import camera_table, incident_table
from evalkit.simulate.truth import CityTruth, Defects, SiteTruth, Truth, write_truth

__all__ = ["Simulation", "simulate"]


@dataclass(frozen=True, slots=True)
class Simulation:
    """Where a simulation was written, and what is true of it.

    Attributes:
        sites: site files, in the order of the preset's cities.
        study: study file.
        truth: what ``truth.json`` beside the study holds.
    """

    sites: tuple[Path, ...]
    study: Path
    truth: Truth


def simulate(preset: Preset, folder: Path, seed: int) -> Simulation:
    """Write the raw files of every city, their site files, a study and the truth into ``folder``.

    The folder is created; files of an earlier simulation in it are replaced.

    Raises:
        ConfigError: the preset cannot be simulated, or the folder holds a study of somebody's own.
    """
    check_preset(preset)
    study, truth_file = folder / "study.toml", folder / "truth.json"
    if study.exists() and not truth_file.exists():
        raise ConfigError(
            "the folder holds a study that no simulation wrote",
            where=str(folder),
            way_out="name an empty or new folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    cities = tuple(_write_city(spec, preset, folder, seed) for spec in preset.cities)
    truth = _truth(preset, seed, cities)
    write_truth(truth, truth_file)
    _write_text(study, study_text(preset))
    _write_text(folder / "README.txt", readme_text(preset, seed))
    sites = tuple(folder / spec.name / "site.toml" for spec in preset.cities)
    return Simulation(sites=sites, study=study, truth=truth)


def _write_city(spec: CitySpec, preset: Preset, folder: Path, seed: int) -> CityTruth:
    city = draw_city(spec, preset, seed)
    portal, rng = PORTALS[spec.portal], portal_stream(spec.name, seed)
    rows, defects = spoil(city, preset.mess, rng)
    home = folder / spec.name
    home.mkdir(exist_ok=True)
    incidents = incident_table(city, rows, portal, rng)
    write_table(incidents, portal.incidents, home / f"incidents.{portal.incidents.suffix}")
    cameras = camera_table(city, portal, rng)
    write_table(cameras, portal.cameras, home / f"cameras.{portal.cameras.suffix}")
    _write_text(home / "site.toml", site_text(city, portal))
    return _city_truth(city, rows, defects)


def _city_truth(city: CityDraw, rows: Rows, defects: Defects) -> CityTruth:
    by_type = np.bincount(rows.crime[rows.usable], minlength=len(CRIMES))
    return CityTruth(
        name=city.spec.name,
        theta=city.theta,
        without=len(city.without),
        incidents=len(city.incidents),
        prevented=city.prevented,
        displaced=city.displaced,
        added=city.added,
        rows=len(rows.number),
        usable=int(rows.usable.sum()),
        by_type=dict(zip(CRIMES, by_type.tolist(), strict=True)),
        defects=defects,
        camera_rows=len(city.cameras.row_site),
        sites=_site_truths(city),
    )


def _site_truths(city: CityDraw) -> tuple[SiteTruth, ...]:
    cameras = city.cameras
    longitude, latitude = to_degrees(
        cameras.site_x, cameras.site_y, longitude=city.spec.longitude, latitude=city.spec.latitude
    )
    per_site = np.bincount(cameras.row_site, minlength=len(cameras.group))
    return tuple(
        SiteTruth(
            id=f"{city.spec.name}-{index + 1:03d}",
            longitude=round(float(longitude[index]), 7),
            latitude=round(float(latitude[index]), 7),
            first_live=city.calendar.start + dt.timedelta(days=int(cameras.live_day[index])),
            group=str(group),
            cameras=int(per_site[index]),
        )
        for index, group in enumerate(cameras.group)
    )


def _truth(preset: Preset, seed: int, cities: tuple[CityTruth, ...]) -> Truth:
    effect = preset.effect
    return Truth(
        preset=preset.name,
        seed=seed,
        window=(preset.start, preset.end),
        effect_mean=effect.mean,
        effect_realised=float(np.mean([city.theta for city in cities])),
        tau=effect.tau,
        radius_m=effect.radius_m,
        ring_m=effect.ring_m,
        displaced=effect.displaced,
        ramp_months=effect.ramp_months,
        cities=cities,
    )


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
