"""The TOML files of a simulation: one site file a city, and the study."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

import numpy as np

from evalkit.simulate.draw import CityDraw
from evalkit.simulate.geo import metres_per_degree
from evalkit.simulate.incidents import CRIMES
from evalkit.simulate.layout import Layout, Portal
from evalkit.simulate.presets import Preset

__all__ = ["readme_text", "site_text", "study_text"]

_PAD_M: Final = 60.0
"""The city's bounds lie this far outside the town, so that rounding never cuts an incident off."""


def site_text(city: CityDraw, portal: Portal) -> str:
    """The site file of one city."""
    spec = city.spec
    lines = [
        f"# A simulated city. Its portal: {portal.about}.",
        f"name = {_quote(spec.name)}",
        "",
        "[city]",
        f"title = {_quote(spec.title)}",
        f"country = {_quote(spec.country)}",
        f"time_zone = {_quote(spec.time_zone)}",
        f"bounds = [{', '.join(f'{value:.5f}' for value in bounds(city))}]",
        "",
        "[incidents]",
        *_source(portal.incidents, "incidents"),
        f"duplicates = {_quote(portal.duplicates)}",
        "",
        "[incidents.columns]",
        *_columns(portal.incidents),
        "",
        "# Categories that are not listed here (paperwork, accidents) are rejected and counted.",
        "[incidents.crime_types]",
        *(
            f"{_quote(word)} = {_quote(crime)}"
            for crime, words in portal.categories.items()
            for word in words
        ),
        "",
        "[cameras]",
        *_source(portal.cameras, "cameras"),
        "",
        "[cameras.columns]",
        *_columns(portal.cameras),
        "",
        "# A real city lists the hashes of the studies it approves. This one protects nobody.",
        "[policy]",
        'studies = ["any"]',
    ]
    return "\n".join(lines) + "\n"


def bounds(city: CityDraw) -> tuple[float, float, float, float]:
    """West, south, east, north of the town, in degrees."""
    north = metres_per_degree(np.asarray(city.spec.latitude))[1]
    # The town is widest, in degrees, on its side away from the equator.
    far = abs(city.spec.latitude) + (city.places.half_y + _PAD_M) / float(north)
    east = metres_per_degree(np.asarray(far))[0]
    half_lon = (city.places.half_x + _PAD_M) / float(east)
    half_lat = (city.places.half_y + _PAD_M) / float(north)
    spec = city.spec
    return (
        spec.longitude - half_lon,
        spec.latitude - half_lat,
        spec.longitude + half_lon,
        spec.latitude + half_lat,
    )


def study_text(preset: Preset) -> str:
    """The study file: catchments against a lattice, then a random-effects mean of the cities."""
    earlier = ", ".join(map(str, preset.placebo_periods))
    checks = f"\n[checks]\nplacebo_periods = [{earlier}]\n" if earlier else ""
    return f"""\
name = {_quote(preset.name)}
title = {_quote(preset.title)}
claim = "cctv-review-2019"
notes = "Simulated cities; what is true of them is in truth.json."

[window]
start = {preset.start.isoformat()}
end = {preset.end.isoformat()}
period = "month"

[units]
kind = "catchment"
radius_m = {preset.effect.radius_m:g}
ring_m = {preset.effect.ring_m:g}
controls = "lattice"

[treatment]
transition = "drop"

[outcome]
crime_types = {_list(tuple(CRIMES))}

[analysis]
estimator = "random_effects"
first_stage = "poisson_did"
method = "REML"
interval = "knapp_hartung"
{checks}"""


def readme_text(preset: Preset, seed: int) -> str:
    """What lies in the folder, for whoever opens it later."""
    return f"""\
{preset.title}

Made by evalkit: preset {preset.name}, seed {seed}. The same preset, seed and versions of evalkit
and its libraries make the same files to the last byte. No place, camera or incident here is real.

study.toml            the question
<city>/site.toml      how to read a city's files, and its policy
<city>/incidents.*    incidents as the city's portal publishes them, mistakes included
<city>/cameras.*      cameras as the city's portal publishes them
truth.json            the true effect, every planted mistake counted, every site's first live day
"""


def _source(layout: Layout, stem: str) -> list[str]:
    settings: dict[str, str] = {
        "files": _list((f"{stem}.{layout.suffix}",)),
        "format": _quote(layout.suffix),
        "date_format": _list(layout.date_format),
    }
    if layout.delimited:
        settings["encoding"] = _quote(layout.encoding)
        settings["separator"] = _quote(layout.separator)
        settings["decimal"] = _quote(layout.decimal)
        settings["missing"] = _list(tuple(dict.fromkeys(("", layout.missing))))
    if layout.source_zone:
        settings["source_zone"] = _quote(layout.source_zone)
    if not layout.convert_zone:
        settings["convert_zone"] = "false"
    return [f"{key} = {value}" for key, value in settings.items()]


def _columns(layout: Layout) -> list[str]:
    return [f"{key} = {_quote(head)}" for key, head in layout.columns.items() if key != "extra"]


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quote, values))}]"


def _quote(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)
